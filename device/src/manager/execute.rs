//! Commands as they stand in a SyncBody: one Status each, several Items, Sequence and Atomic
//! (OMA-TS-DM_RepPro 1.2.1, 6.6.3, 6.6.12).
//!
//! Promise: every command gets its Status, in the order of the commands, a container's before its children's. An
//! Atomic either stands whole or leaves the tree as it was.

use postern_wire::syncml::{Command, Data, Group, Item, Meta, Request, Status, Style, Version, command_len};

use super::{Manager, dialogue::bypasses};
use crate::{codes::Code, event::Event};

/// The answer to one Item of a command, or to a command without Items.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// CmdRef.
    pub cmd_ref: u32,
    /// Cmd.
    pub cmd: String,
    /// Data.
    pub code: Code,
    /// TargetRef.
    pub target: Option<String>,
    /// SourceRef.
    pub source: Option<String>,
    /// Items of the Status.
    pub items: Vec<Item>,
    /// What a Get read.
    pub results: Vec<Item>,
}

impl Answer {
    /// The Status that says it.
    #[must_use]
    pub fn status(&self, msg_ref: u32) -> Status {
        Status {
            msg_ref: Some(msg_ref),
            cmd_ref: self.cmd_ref,
            cmd: self.cmd.clone(),
            target_refs: self.target.iter().cloned().collect(),
            source_refs: self.source.iter().cloned().collect(),
            code: self.code.0,
            items: self.items.clone(),
            ..Status::default()
        }
    }
}

/// How commands are to be run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Run {
    /// Do them.
    Execute,
    /// Answer each with this code and do nothing: the server is not authenticated, or an Atomic has failed.
    Refuse(Code),
}

impl Manager<'_> {
    /// Runs one command of a SyncBody. Status and Results of the server's are not answered.
    pub fn run(&mut self, command: &Command, run: Run) -> Vec<Answer> {
        let mut answers = Vec::new();
        self.run_into(command, run, &mut answers);
        for answer in &answers {
            self.events.push(Event::Command {
                name: answer.cmd.clone(),
                uri: answer.target.clone().unwrap_or_default(),
                code: answer.code,
            });
        }
        answers
    }

    fn run_into(&mut self, command: &Command, run: Run, answers: &mut Vec<Answer>) {
        let run = if self.cancelled && run == Run::Execute { Run::Refuse(Code::NOT_EXECUTED) } else { run };
        match command {
            Command::Add(request)
            | Command::Replace(request)
            | Command::Get(request)
            | Command::Delete(request)
            | Command::Copy(request)
            | Command::Exec(request) => self.request(command, request, run, answers),
            Command::Sequence(group) => self.sequence(group, run, answers),
            Command::Atomic(group) => self.atomic(group, run, answers),
            Command::Alert(alert) => {
                let answer = match run {
                    Run::Refuse(code) => plain(alert.cmd_id, "Alert", code),
                    Run::Execute => self.alert(alert),
                };
                answers.push(answer);
            }
            Command::Unknown { name, cmd_id } => {
                let code = match run {
                    Run::Refuse(code) => code,
                    Run::Execute => Code::NOT_IMPLEMENTED,
                };
                answers.push(plain(cmd_id.unwrap_or_default(), name, code));
            }
            Command::Results(results) => answers.push(plain(results.cmd_id, "Results", Code::NOT_ALLOWED)),
            Command::Status(_) => {}
        }
    }

    fn request(&mut self, command: &Command, request: &Request, run: Run, answers: &mut Vec<Answer>) {
        let name = name(command);
        let incomplete = request.cmd_id == 0 || request.items.is_empty();
        match run {
            Run::Refuse(code) => answers.push(plain(request.cmd_id, name, code)),
            Run::Execute if incomplete => answers.push(plain(request.cmd_id, name, Code::INCOMPLETE)),
            Run::Execute if name == "Exec" && request.items.len() > 1 => {
                answers.push(plain(request.cmd_id, name, Code::BAD_REQUEST));
            }
            Run::Execute => {
                for item in &request.items {
                    let meta = merged(&request.meta, &item.meta);
                    let done = self.item(command, item, &meta, request.correlator.as_deref());
                    let (code, results) = match done {
                        Ok(Done::Read(items)) => (Code::OK, items),
                        Ok(Done::Code(code)) => (code, Vec::new()),
                        Err(code) => (code, Vec::new()),
                    };
                    answers.push(Answer {
                        cmd_ref: request.cmd_id,
                        cmd: name.to_owned(),
                        code,
                        target: item.target.as_ref().map(|target| target.uri.clone()),
                        source: item.source.as_ref().map(|source| source.uri.clone()),
                        items: Vec::new(),
                        results,
                    });
                }
            }
        }
    }

    fn item(
        &mut self,
        command: &Command,
        item: &Item,
        meta: &Meta,
        correlator: Option<&str>,
    ) -> Result<Done, Code> {
        let target = item.target.as_ref().map(|target| target.uri.as_str()).ok_or(Code::INCOMPLETE)?;
        let data: Option<&Data> = item.data.as_ref();
        if item.more_data {
            return Err(Code::UNSUPPORTED); // a chunk inside Atomic or Sequence
        }
        match command {
            Command::Get(_) => return self.get(target).map(Done::Read),
            Command::Exec(_) => return self.exec(target, data, correlator).map(Done::Code),
            Command::Add(_) => self.add(target, meta, data)?,
            Command::Replace(_) => self.replace(target, meta, data)?,
            Command::Delete(_) => self.delete(target)?,
            Command::Copy(_) => {
                let source = item.source.as_ref().ok_or(Code::INCOMPLETE)?;
                self.copy(&source.uri, target)?;
            }
            _ => return Err(Code::UNSUPPORTED),
        }
        Ok(Done::Code(Code::OK))
    }

    /// A child's failure does not stop the rest; the user's refusal does.
    fn sequence(&mut self, group: &Group, mut run: Run, answers: &mut Vec<Answer>) {
        let code = match run {
            Run::Execute => Code::OK,
            Run::Refuse(code) => code,
        };
        answers.push(plain(group.cmd_id, "Sequence", code));
        for child in &group.commands {
            let start = answers.len();
            self.run_into(child, run, answers);
            let refused = matches!(child, Command::Alert(_))
                && answers[start..].iter().any(|answer| bypasses(answer.code));
            if run == Run::Execute && refused {
                run = Run::Refuse(Code::NOT_EXECUTED);
            }
        }
    }

    /// All or nothing: the first failing child keeps its code, those before it become 216, those behind it 215. The
    /// answers have to fit one message, or nothing stands either (517).
    fn atomic(&mut self, group: &Group, run: Run, answers: &mut Vec<Answer>) {
        if let Run::Refuse(code) = run {
            answers.push(plain(group.cmd_id, "Atomic", code));
            group.commands.iter().for_each(|child| self.run_into(child, run, answers));
            return;
        }
        let before = self.state.snapshot();
        let container = answers.len();
        answers.push(plain(group.cmd_id, "Atomic", Code::OK));
        let mut failed = None;
        for child in &group.commands {
            let start = answers.len();
            if failed.is_some() {
                self.run_into(child, Run::Refuse(Code::NOT_EXECUTED), answers);
                continue;
            }
            match may_be_atomic(child) {
                Ok(()) => self.run_into(child, Run::Execute, answers),
                Err(code) => {
                    // the child's own children were not executed
                    self.run_into(child, Run::Refuse(Code::NOT_EXECUTED), answers);
                    if let Some(own) = answers.get_mut(start) {
                        own.code = code;
                    }
                }
            }
            if answers[start..].iter().any(|answer| !answer.code.is_success()) {
                failed = Some(Code::ATOMIC_FAILED);
            }
        }
        let style = Style { encoding: self.encoding, ..Style::xml(Version::V1_2) };
        let octets = |answer: &Answer| command_len(&Command::Status(answer.status(u32::MAX)), &style);
        if failed.is_none() && answers[container..].iter().map(octets).sum::<usize>() > self.atomic_octets {
            failed = Some(Code::ATOMIC_TOO_LARGE);
        }
        if let Some(code) = failed {
            self.state.go_back(before);
            answers[container].code = code;
            for done in answers[container + 1..].iter_mut().filter(|done| done.code.is_success()) {
                done.code = Code::ROLLED_BACK;
                done.items.clear();
            }
        }
    }
}

enum Done {
    Read(Vec<Item>),
    Code(Code),
}

/// Which children an Atomic takes.
fn may_be_atomic(child: &Command) -> Result<(), Code> {
    match child {
        Command::Add(_) | Command::Replace(_) | Command::Delete(_) | Command::Copy(_) | Command::Alert(_) => {
            Ok(())
        }
        Command::Get(_) | Command::Atomic(_) => Err(Code::FAILED),
        _ => Err(Code::UNSUPPORTED),
    }
}

/// The Item's Meta where it says something, else the command's.
fn merged(command: &Meta, item: &Meta) -> Meta {
    Meta {
        format: item.format.clone().or_else(|| command.format.clone()),
        type_: item.type_.clone().or_else(|| command.type_.clone()),
        size: item.size.or(command.size),
        ..Meta::default()
    }
}

fn name(command: &Command) -> &'static str {
    match command {
        Command::Add(_) => "Add",
        Command::Replace(_) => "Replace",
        Command::Get(_) => "Get",
        Command::Delete(_) => "Delete",
        Command::Copy(_) => "Copy",
        _ => "Exec",
    }
}

pub(super) fn plain(cmd_ref: u32, cmd: &str, code: Code) -> Answer {
    Answer {
        cmd_ref,
        cmd: cmd.to_owned(),
        code,
        target: None,
        source: None,
        items: Vec::new(),
        results: Vec::new(),
    }
}
