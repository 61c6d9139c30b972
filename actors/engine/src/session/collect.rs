//! Status and Results back to the commands that they answer (OMA-TS-DM_Protocol 1.2.1, 8.5).
//!
//! Promise: matched by MsgRef and CmdRef only (AM-13); a Status about a Status is ignored (PT-05); a command is
//! settled once, when each of its items is answered or the device's package is complete.

use std::mem;

use postern_wire::{
    syncml::{Command, Data, Item, Message, Meta, Results, Status},
    terms::{CommandId, CommandState, ProofClass, Redelivery, UtcMillis, Verb},
};

use super::{
    SessionConfig,
    serve::{Open, Server},
};
use crate::{
    command::{self, Cause, Event, Verdict},
    destructive,
    effect::{Effect, ItemStatus, ResultItem},
    probe,
    queue::{Note, PendingCommand, Queue, SentAs},
};

/// What stands for the value of a secret that a device gave away.
const REDACTED: &str = "(redacted)";

/// A command, or the probe of one, that waits for its Status.
#[derive(Debug)]
pub(super) struct InFlight {
    pub(super) command: CommandId,
    pub(super) msg_id: u32,
    pub(super) cmd_id: u32,
    pub(super) parts: u32,
    pub(super) probe: bool,
    pub(super) verb: Verb,
    /// Target of each item.
    pub(super) uris: Vec<String>,
    answers: Vec<Answer>,
    results: Vec<(u32, ResultItem)>,
    chunked: bool,
    /// Result code of an alert that came before the Status 202 (LD-13).
    pub(super) alert: Option<(bool, Vec<ResultItem>)>,
}

#[derive(Debug)]
struct Answer {
    part: u32,
    refs: Vec<String>,
    code: u32,
}

impl InFlight {
    pub(super) fn new(
        command: &PendingCommand,
        (msg_id, cmd_id, parts): (u32, u32, u32),
        probe: Option<Vec<String>>,
    ) -> Self {
        let verb = if probe.is_some() { Verb::Get } else { command.body.verb() };
        let uris =
            |command: &PendingCommand| command.body.items().iter().map(|item| item.target.clone()).collect();
        Self {
            command: command.id,
            msg_id,
            cmd_id,
            parts,
            probe: probe.is_some(),
            verb,
            uris: probe.unwrap_or_else(|| uris(command)),
            answers: Vec::new(),
            results: Vec::new(),
            chunked: false,
            alert: None,
        }
    }

    pub(super) fn resumed(command: &PendingCommand, sent: &SentAs) -> Self {
        Self::new(command, (sent.msg_id, sent.cmd_id, sent.parts.max(1)), None)
    }

    fn part(&self, msg_ref: u32, cmd_ref: u32) -> Option<u32> {
        let part = cmd_ref.checked_sub(self.cmd_id)?;
        (self.msg_id == msg_ref && part < self.parts).then_some(part)
    }

    /// The code of each item, where one is known.
    fn codes(&self) -> Vec<Option<u32>> {
        let mut codes = vec![None; self.uris.len()];
        let mut unnamed = Vec::new();
        for answer in &self.answers {
            let by_part = usize::try_from(answer.part).ok().filter(|_| self.parts > 1);
            let named: Vec<usize> = match by_part {
                Some(part) => vec![part],
                None if self.uris.len() == 1 => vec![0],
                None => (0..self.uris.len())
                    .filter(|&at| answer.refs.iter().any(|name| same_node(name, &self.uris[at])))
                    .collect(),
            };
            if named.is_empty() {
                unnamed.push(answer.code);
            }
            for at in named {
                if let Some(code) = codes.get_mut(at) {
                    *code = code.or(Some(answer.code));
                }
            }
        }
        let mut unnamed = unnamed.into_iter().peekable();
        let one_for_all = unnamed.len() == 1;
        for code in codes.iter_mut().filter(|code| code.is_none()) {
            *code = if one_for_all { unnamed.peek().copied() } else { unnamed.next() };
        }
        if self.verb == Verb::Get {
            for (at, code) in codes.iter_mut().enumerate() {
                *code = code.or_else(|| self.has_result(at).then_some(200));
            }
        }
        codes
    }

    fn has_result(&self, at: usize) -> bool {
        self.results.iter().any(|(part, result)| {
            self.uris.len() == 1
                || (self.parts > 1 && usize::try_from(*part).is_ok_and(|part| part == at))
                || same_node(&result.uri, &self.uris[at])
        })
    }

    /// Whether every item is answered, and every successful Get has its result.
    fn is_answered(&self, codes: &[Option<u32>]) -> bool {
        codes.iter().enumerate().all(|(at, code)| match code {
            Some(200..=299) if self.verb == Verb::Get => self.has_result(at),
            code => code.is_some(),
        })
    }
}

/// Puts the Status and Results of a message beside what they answer.
pub(super) fn take(open: &mut Open, message: &Message) {
    let newest = open.msg_out;
    for command in &message.body {
        match command {
            Command::Status(status) if is_about_a_command(status) => {
                let msg_ref = status.msg_ref.unwrap_or(newest);
                let Some((flight, part)) = find(open, msg_ref, status.cmd_ref) else { continue };
                if !status.cmd.is_empty() && !status.cmd.eq_ignore_ascii_case(flight.verb.as_str()) {
                    continue; // about another message of the same numbers, sent before the core started again
                }
                let refs = status.target_refs.iter().chain(&status.source_refs).cloned().collect();
                flight.answers.push(Answer { part, refs, code: status.code });
                let told = status.items.iter().filter(|item| item.data.is_some());
                let told: Vec<_> =
                    told.map(|item| (part, result(item, &Meta::default(), None, flight))).collect();
                if flight.verb != Verb::Get {
                    flight.results.extend(told);
                }
            }
            Command::Results(results) => {
                let msg_ref = results.msg_ref.unwrap_or(newest);
                let Some((flight, part)) = find(open, msg_ref, results.cmd_ref) else { continue };
                flight.chunked |= is_chunked(results);
                let source = results.source_ref.as_deref().or(results.target_ref.as_deref());
                for item in &results.items {
                    let item = result(item, &results.meta, source, flight);
                    flight.results.push((part, item));
                }
            }
            _ => {}
        }
    }
}

/// Whether an object is cut over several messages, which is not taken yet.
pub(super) fn is_chunked(results: &Results) -> bool {
    results.items.iter().any(|item| item.more_data)
}

fn is_about_a_command(status: &Status) -> bool {
    status.cmd_ref != 0
        && !matches!(status.cmd.as_str(), "Status" | "Results" | "SyncHdr")
        && status.code != 101
}

fn find(open: &mut Open, msg_ref: u32, cmd_ref: u32) -> Option<(&mut InFlight, u32)> {
    open.in_flight.iter_mut().find_map(|flight| {
        let part = flight.part(msg_ref, cmd_ref)?;
        Some((flight, part))
    })
}

/// One item of Results with the defaults of the tree: chr and text/plain (SRV-11).
fn result(item: &Item, meta: &Meta, source: Option<&str>, flight: &InFlight) -> ResultItem {
    let named = item.source.as_ref().map(|source| source.uri.as_str()).filter(|uri| !uri.is_empty());
    let format = item.meta.format.as_deref().or(meta.format.as_deref()).unwrap_or("chr").trim();
    let default_type = if format.eq_ignore_ascii_case("node") { "" } else { "text/plain" };
    let uri = named.or(source).or(flight.uris.first().map(String::as_str)).unwrap_or_default();
    let secret = destructive::is_secret(uri);
    ResultItem {
        uri: uri.to_owned(),
        format: format.to_ascii_lowercase(),
        type_: item.meta.type_.as_deref().or(meta.type_.as_deref()).unwrap_or(default_type).trim().to_owned(),
        data: if secret { REDACTED.into() } else { item.data.clone().unwrap_or_default() },
    }
}

/// Settles what is answered; with the package complete, also what will not be answered any more.
pub(super) fn settle(
    open: &mut Open,
    queue: &mut Queue,
    config: &SessionConfig,
    server: Server,
    complete: bool,
    now: UtcMillis,
) -> Vec<Effect> {
    let mut effects = Vec::new();
    for flight in mem::take(&mut open.in_flight) {
        let codes = flight.codes();
        if !complete && !flight.is_answered(&codes) {
            open.in_flight.push(flight);
            continue;
        }
        let Some(command) = queue.get(flight.command) else { continue };
        let refused = |code: &Option<u32>| matches!(code, None | Some(401 | 407));
        let outcome = if server != Server::Fine && codes.iter().all(refused) {
            (!flight.probe).then_some((Event::NotExecuted, Cause::ServerCredentials))
        } else if codes.iter().any(Option::is_none) {
            open.held.push(flight.command);
            unanswered(&flight, command, config)
        } else if flight.probe {
            let found: Vec<_> = flight.results.iter().map(|(_, result)| result).collect();
            Some(probe::decide(&command.body, &codes, &found))
        } else {
            Some(verdict(&flight, command, &codes))
        };
        let Some((event, cause)) = outcome else { continue };
        let note = note(flight, &codes, command, cause, open.class);
        effects.extend(queue.apply(note.0, event, note.1, now));
    }
    effects
}

/// What becomes of a command that the device's complete package does not answer (SRV-17, LD-17).
fn unanswered(flight: &InFlight, command: &PendingCommand, config: &SessionConfig) -> Option<(Event, Cause)> {
    if flight.probe { None } else { lost(command, config, Cause::NotAnswered) }
}

/// What becomes of a command whose fate is unknown; `None` where it waits for a probe.
fn lost(command: &PendingCommand, config: &SessionConfig, cause: Cause) -> Option<(Event, Cause)> {
    match command.redelivery {
        Redelivery::ProbeFirst if probe::uris(&command.body).is_some() => None,
        Redelivery::ProbeFirst => Some((Event::GiveUp, cause)),
        Redelivery::Repeat if command.sends >= config.sends => Some((Event::GiveUp, Cause::SentTooOften)),
        class => Some((Event::Lost(class), cause)),
    }
}

/// What the items' codes mean together.
fn verdict(flight: &InFlight, command: &PendingCommand, codes: &[Option<u32>]) -> (Event, Cause) {
    if flight.chunked {
        return (Event::Fail, Cause::ObjectTooLarge);
    }
    let (mut done, mut failed, mut good) = (0, None, Cause::Done);
    for &code in codes {
        match command::judge(flight.verb, code.unwrap_or(0), command.sends) {
            Verdict::Later => {
                return match flight.alert {
                    None => (Event::Accept, Cause::Accepted),
                    Some((true, _)) => (Event::Succeed, Cause::Done),
                    Some((false, _)) => (Event::Fail, Cause::FailedLater),
                };
            }
            Verdict::Success(cause) => {
                done += 1;
                good = cause;
            }
            Verdict::Failure(cause) => failed = failed.or(Some(cause)),
            Verdict::Credentials => failed = failed.or(Some(Cause::ServerCredentials)),
        }
    }
    match failed {
        None => (Event::Succeed, good),
        Some(cause) if done == 0 => (Event::Fail, cause),
        Some(_) => (Event::Fail, Cause::PartlyDone),
    }
}

fn note(
    flight: InFlight,
    codes: &[Option<u32>],
    command: &PendingCommand,
    cause: Cause,
    class: ProofClass,
) -> (CommandId, Note) {
    let first_bad = codes
        .iter()
        .flatten()
        .find(|code| !matches!(command::judge(flight.verb, **code, command.sends), Verdict::Success(_)));
    let code = first_bad.or_else(|| codes.iter().flatten().next()).copied();
    let items =
        flight.uris.into_iter().zip(codes).map(|(uri, code)| ItemStatus { uri, code: *code }).collect();
    let alerted = flight.alert.into_iter().flat_map(|(_, data)| data);
    let results = flight.results.into_iter().map(|(_, result)| result).chain(alerted);
    let results = if flight.probe { Vec::new() } else { results.collect() };
    (flight.command, Note { cause, code, items, results, class })
}

/// Sends every command whose session is gone the way of its redelivery class.
pub(super) fn lose(
    queue: &mut Queue,
    config: &SessionConfig,
    class: ProofClass,
    now: UtcMillis,
    gone: impl Fn(&SentAs) -> bool,
) -> Vec<Effect> {
    let fates: Vec<_> = queue
        .iter()
        .filter(|command| command.state == CommandState::Sent && command.accepted.is_none())
        .filter(|command| command.sent.as_ref().is_none_or(&gone))
        .filter_map(|command| Some((command.id, lost(command, config, Cause::SessionLost)?)))
        .collect();
    fates
        .into_iter()
        .filter_map(|(id, (event, cause))| {
            queue.apply(id, event, Note { class, ..Note::cause(cause) }, now).ok()
        })
        .collect()
}

/// Whether two spellings name one node.
pub(super) fn same_node(one: &str, other: &str) -> bool {
    fn bare(uri: &str) -> &str {
        let uri = uri.trim();
        uri.strip_prefix("./").unwrap_or(uri)
    }
    bare(one) == bare(other)
}

/// The text of some data, empty where it is none.
pub(super) fn text(data: Option<&Data>) -> &str {
    match data {
        Some(Data::Text(text) | Data::Markup(text)) => text,
        Some(Data::Binary(_)) | None => "",
    }
}
