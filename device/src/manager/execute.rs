//! Commands as they stand in a SyncBody: one Status each, several Items, Sequence and Atomic
//! (OMA-TS-DM_RepPro 6.6.3, 6.6.12; omadm.md 3.6).
//!
//! Promise: every command gets its Status, in the order of the commands, a container's before its children's. An
//! Atomic either stands whole or leaves the tree as it was.

use postern_wire::syncml::{Command, Data, Group, Item, Meta, Request};

use super::Manager;
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
    /// What a Get read.
    pub results: Vec<Item>,
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
                let code = match (run, alert.code) {
                    (Run::Refuse(code), _) => code,
                    (Run::Execute, 1222) => Code::OK,
                    (Run::Execute, _) => Code::UNSUPPORTED,
                };
                answers.push(plain(alert.cmd_id, "Alert", code));
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

    /// A child's failure does not stop the rest.
    fn sequence(&mut self, group: &Group, run: Run, answers: &mut Vec<Answer>) {
        let code = match run {
            Run::Execute => Code::OK,
            Run::Refuse(code) => code,
        };
        answers.push(plain(group.cmd_id, "Sequence", code));
        for child in &group.commands {
            self.run_into(child, run, answers);
        }
    }

    /// All or nothing: the first failing child keeps its code, those before it become 216, those behind it 215.
    fn atomic(&mut self, group: &Group, run: Run, answers: &mut Vec<Answer>) {
        if let Run::Refuse(code) = run {
            answers.push(plain(group.cmd_id, "Atomic", code));
            group.commands.iter().for_each(|child| self.run_into(child, run, answers));
            return;
        }
        let before = self.state.snapshot();
        let container = answers.len();
        answers.push(plain(group.cmd_id, "Atomic", Code::OK));
        let mut failed = false;
        for child in &group.commands {
            let start = answers.len();
            if failed {
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
            failed = answers[start..].iter().any(|answer| !answer.code.is_success());
            if failed {
                for done in &mut answers[container + 1..] {
                    if done.code.is_success() {
                        done.code = Code::ROLLED_BACK;
                        done.results.clear();
                    }
                }
            }
        }
        if failed {
            self.state.go_back(before);
            answers[container].code = Code::ATOMIC_FAILED;
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

fn plain(cmd_ref: u32, cmd: &str, code: Code) -> Answer {
    Answer { cmd_ref, cmd: cmd.to_owned(), code, target: None, source: None, results: Vec::new() }
}
