//! Status and Results back to the commands that they answer (OMA-TS-DM_Protocol 1.2.1, 8.5).
//!
//! Promise: matched by MsgRef and CmdRef only (AM-13); a Status about a Status is ignored (PT-05); a command is
//! settled once, when each of its items is answered or the device's package is complete.

use std::mem;

use postern_wire::{
    syncml::{Command, Data, Item, Message, Meta, Status},
    terms::{CommandId, CommandState, ProofClass, Redelivery, UtcMillis, Verb},
};

use super::{
    SessionConfig, download,
    flight::{Codes, InFlight},
    serve::{Open, Server},
    upload::Upload,
    verdict,
};
use crate::{
    command::{Cause, Event},
    destructive,
    effect::{Effect, ResultItem},
    probe,
    queue::{Note, PendingCommand, Queue, SentAs},
    user,
};

/// What stands for the value of a secret that a device gave away.
pub(super) const REDACTED: &str = "(redacted)";

/// Puts the Status and Results of a message beside what they answer. What comes back are the codes of those Results
/// that are answered otherwise than 200, by their CmdID.
pub(super) fn take(open: &mut Open, message: &Message, config: &SessionConfig) -> Vec<(u32, u32)> {
    let newest = open.msg_out;
    let mut codes = Vec::new();
    for command in &message.body {
        match command {
            Command::Status(status) if is_about_a_command(status) => {
                let msg_ref = status.msg_ref.unwrap_or(newest);
                let Some((at, slot)) = find(open, msg_ref, status.cmd_ref) else { continue };
                let flight = &mut open.in_flight[at];
                let of = &flight.slots[slot];
                if !status.cmd.is_empty() && !status.cmd.eq_ignore_ascii_case(of.verb.as_str()) {
                    continue; // about another message of the same numbers, sent before the core started again
                }
                let told = status.items.iter().filter(|item| item.data.is_some());
                let told: Vec<_> = match (of.alert, of.verb) {
                    (Some(code), _) => user::answers(code, &status.items),
                    (None, Verb::Get) => Vec::new(),
                    _ => told.map(|item| result(item, &Meta::default(), None, flight, slot)).collect(),
                };
                flight.results.extend(told.into_iter().map(|result| (slot, result)));
                let refs = status.target_refs.iter().chain(&status.source_refs).cloned().collect();
                flight.slots[slot].answered(refs, status.code);
            }
            Command::Results(results) => {
                let msg_ref = results.msg_ref.unwrap_or(newest);
                let Some((at, slot)) = find(open, msg_ref, results.cmd_ref) else {
                    // A chunk of nothing that we asked for: it is not to go on.
                    codes.extend(
                        results.items.iter().any(|item| item.more_data).then_some((results.cmd_id, 413)),
                    );
                    continue;
                };
                if let Some(code) = download::take(open, results, at, slot, config) {
                    codes.extend(code.map(|code| (results.cmd_id, code)));
                    continue;
                }
                let source = results.source_ref.as_deref().or(results.target_ref.as_deref());
                for item in &results.items {
                    let item = result(item, &results.meta, source, &open.in_flight[at], slot);
                    open.in_flight[at].results.push((slot, item));
                }
            }
            // Alerts and Status may stand between chunks; a command may not.
            Command::Alert(_) | Command::Status(_) => {}
            _ => download::break_off(open),
        }
    }
    codes
}

fn is_about_a_command(status: &Status) -> bool {
    status.cmd_ref != 0
        && !matches!(status.cmd.as_str(), "Status" | "Results" | "SyncHdr")
        && status.code != 101
}

fn find(open: &Open, msg_ref: u32, cmd_ref: u32) -> Option<(usize, usize)> {
    let of = |(at, flight): (usize, &InFlight)| Some((at, flight.slot(msg_ref, cmd_ref)?));
    open.in_flight.iter().enumerate().find_map(of)
}

/// One item of Results with the defaults of the tree: chr and text/plain (SRV-11).
pub(super) fn result(
    item: &Item,
    meta: &Meta,
    source: Option<&str>,
    flight: &InFlight,
    slot: usize,
) -> ResultItem {
    let named = item.source.as_ref().map(|source| source.uri.as_str()).filter(|uri| !uri.is_empty());
    let format = item.meta.format.as_deref().or(meta.format.as_deref()).unwrap_or("chr").trim();
    let default_type = if format.eq_ignore_ascii_case("node") { "" } else { "text/plain" };
    let asked = flight.slots[slot].uris.first().map(String::as_str);
    let uri = named.or(source).or(asked).unwrap_or_default();
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
    if complete {
        download::break_off(open);
    }
    for flight in mem::take(&mut open.in_flight) {
        let codes = flight.codes();
        if !complete && !flight.is_answered(&codes) {
            open.in_flight.push(flight);
            continue;
        }
        let Some(command) = queue.get(flight.command) else { continue };
        let refused = |code: &Option<u32>| matches!(code, None | Some(401 | 407));
        let all = || codes.iter().flatten();
        let outcome = if server != Server::Fine && all().all(refused) {
            open.upload.take_if(|upload| upload.command == flight.command);
            (!flight.probe).then_some((Event::NotExecuted, Cause::ServerCredentials))
        } else if let Some(upload) = open.upload.take_if(|upload| upload.command == flight.command) {
            match chunk_answered(upload, &flight, command, &codes, config) {
                Chunk::GoesOn(upload) => {
                    open.upload = Some(upload);
                    open.progress = true;
                    continue;
                }
                Chunk::Ends(end) => {
                    open.held.push(flight.command);
                    end
                }
            }
        } else if flight.probe && all().all(Option::is_some) {
            let found: Vec<_> = flight.results.iter().map(|(_, result)| result).collect();
            let codes: Vec<_> = all().copied().collect();
            Some(probe::decide(&command.body, &codes, &found))
        } else {
            match verdict::of(&flight, command, &codes).filter(|_| !flight.probe) {
                None => {
                    open.held.push(flight.command);
                    unanswered(&flight, command, config)
                }
                some => some,
            }
        };
        let Some((event, cause)) = outcome else { continue };
        let note = note(flight, &codes, command, cause, open.class);
        effects.extend(queue.apply(note.0, event, note.1, now));
    }
    effects
}

/// What the answer to a chunk means.
enum Chunk {
    /// The next one is due, or the first one again.
    GoesOn(Upload),
    /// The command is at its end, or waits for its redelivery.
    Ends(Option<(Event, Cause)>),
}

fn chunk_answered(
    mut upload: Upload,
    flight: &InFlight,
    command: &PendingCommand,
    codes: &Codes,
    config: &SessionConfig,
) -> Chunk {
    let code = codes.iter().flatten().next().copied().flatten();
    let broken = upload.broken;
    match code {
        _ if broken && upload.restart() => Chunk::GoesOn(upload),
        _ if broken => Chunk::Ends(Some((Event::Fail, Cause::ObjectBrokenOff))),
        Some(213) if flight.chunk => Chunk::GoesOn(upload),
        Some(424) if upload.restart() => Chunk::GoesOn(upload),
        // LD-19: it took the chunk for the whole. What stands at the node now is a part.
        Some(200..=212) if flight.chunk => Chunk::Ends(Some((Event::Fail, Cause::NoLargeObjects))),
        Some(_) => Chunk::Ends(verdict::of(flight, command, codes)),
        None => Chunk::Ends(unanswered(flight, command, config)),
    }
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

fn note(
    flight: InFlight,
    codes: &Codes,
    command: &PendingCommand,
    cause: Cause,
    class: ProofClass,
) -> (CommandId, Note) {
    let code = verdict::code(command, &flight, codes);
    let items = flight.statuses(codes);
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
