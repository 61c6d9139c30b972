//! The next commands, as many as fit (OMA-TS-DM_Protocol 1.2.1, 6).
//!
//! Promise: probes first, then the queue's order; a command that can never fit fails with its cause and the
//! others go on; a command is recorded as sent in the same outcome as the reply that holds it.

use std::collections::VecDeque;

use postern_wire::terms::{CommandId, CommandState, OperationKind, Redelivery};

use super::{
    Effect, Reply, Session, Turn,
    build::{build, ids},
    compose::Composer,
    flight::InFlight,
    serve::Open,
    upload::Upload,
};
use crate::{
    command::{Cause, Event},
    operations::data_octets,
    probe,
    queue::{BodyItem, Note, PendingCommand, Queue, SentAs},
};

/// A command that is in the message.
struct Chosen {
    id: CommandId,
    first: u32,
    parts: u32,
    probe: Option<Vec<String>>,
}

impl Session {
    /// Adds commands and gives the encoded reply, and whether Final is in it; `None` where nothing is sent.
    pub(super) fn fill(
        &self,
        open: &mut Open,
        composer: &mut Composer,
        turn: &mut Turn<'_>,
        queue: &mut Queue,
    ) -> Option<(Reply, bool)> {
        let before = composer.len();
        // A wipe does not wait for the end of an object.
        let suspended = turn.peer.wipe_only || queue.is_suspended_by_wipe();
        let overtaken = |upload: &mut Upload| {
            suspended && queue.get(upload.command).is_none_or(|command| command.kind != OperationKind::Wipe)
        };
        if let Some(upload) = open.upload.take_if(overtaken) {
            let note = Note::cause(Cause::ObjectBrokenOff);
            turn.effects.extend(queue.apply(upload.command, Event::NotExecuted, note, turn.now));
        }
        loop {
            if open.upload.is_some() {
                match self.chunk(open, composer, turn, queue) {
                    Some(sent) => return Some(sent),
                    None if open.upload.is_some() => return None,
                    None => {}
                }
            }
            let chosen = self.choose(open, composer, turn, queue);
            if chosen.is_empty() && open.upload.is_some() {
                continue;
            }
            if chosen.is_empty() {
                return None;
            }
            if let Ok(reply) = composer.finish(true, false) {
                for one in chosen {
                    record(one, open, turn, queue);
                }
                return Some((reply, true));
            }
            composer.truncate(before, &mut VecDeque::new());
            let mut rejected = 0;
            for Chosen { id, first, probe, .. } in chosen {
                let Some(command) = queue.get(id) else { continue };
                if !composer.can_encode(build(command, probe.as_deref(), first, self.account.quirks)) {
                    reject(id, Cause::BadFormat, turn, queue);
                    rejected += 1;
                }
            }
            if rejected == 0 {
                return None;
            }
        }
    }

    /// Adds the next chunk of the object on its way. `None` with the object still there: it waits for a message to
    /// itself; `None` without: it cannot be sent.
    fn chunk(
        &self,
        open: &mut Open,
        composer: &mut Composer,
        turn: &mut Turn<'_>,
        queue: &mut Queue,
    ) -> Option<(Reply, bool)> {
        let mut upload = open.upload.take()?;
        let id = upload.command;
        let command = queue.get(id)?;
        let first = upload.is_at_start();
        let (before, cmd_id) = (composer.len(), composer.next_id());
        let reply = match upload.next(composer) {
            Some((chunk, octets, last)) => {
                composer.push_all(vec![chunk], octets);
                composer.finish(last, false).ok().map(|reply| (reply, last)).ok_or(Cause::BadFormat)
            }
            None if composer.len() > 1 && !open.waited => {
                open.upload = Some(upload);
                return None;
            }
            None => Err(Cause::TooLargeForMessage),
        };
        match reply {
            Ok((reply, last)) => {
                let mut flight = InFlight::new(command, (open.msg_out, cmd_id, 1), None);
                flight.chunk = !last;
                open.in_flight.push(flight);
                if first && command.state == CommandState::Queued {
                    send(id, (cmd_id, 1), open, turn, queue);
                }
                open.upload = Some(upload);
                Some((reply, last))
            }
            Err(cause) => {
                composer.truncate(before, &mut VecDeque::new());
                reject(id, cause, turn, queue);
                None
            }
        }
    }

    /// Whether a command only waits for the Status of this message to be out of the way.
    pub(super) fn waits_for_room(
        &self,
        open: &Open,
        composer: &Composer,
        queue: &Queue,
        turn: &Turn<'_>,
    ) -> bool {
        composer.len() > 1 && (open.upload.is_some() || sendable(open, queue, turn).next().is_some())
    }

    /// The commands of this message, put into it. An object too large for any message is begun when its turn comes.
    fn choose(
        &self,
        open: &mut Open,
        composer: &mut Composer,
        turn: &mut Turn<'_>,
        queue: &mut Queue,
    ) -> Vec<Chosen> {
        let quirks = self.account.quirks;
        let most = quirks.max_commands_per_message.map_or(usize::MAX, |most| most.max(1) as usize);
        let due: Vec<CommandId> = sendable(open, queue, turn).map(|command| command.id).collect();
        let before = composer.len();
        let mut chosen = Vec::new();
        for id in due {
            let Some(command) = queue.get(id) else { continue };
            let first = composer.next_id();
            let probe = (command.state == CommandState::Sent).then(|| probe::uris(&command.body)).flatten();
            let commands = build(command, probe.as_deref(), first, quirks);
            let too_large = |item: &BodyItem| {
                let octets = item.data.as_ref().map_or(0, data_octets);
                open.max_obj.is_some_and(|most| most > 0 && octets as u64 > most)
            };
            if probe.is_none() && command.body.every_item().any(|(_, item)| too_large(item)) {
                reject(id, Cause::TooLargeForDevice, turn, queue);
                continue;
            }
            let parts = commands.iter().map(ids).sum::<u32>();
            let octets = composer.octets(&commands);
            let fits = composer.could_ever_fit(octets);
            if !fits && probe.is_none() && !quirks.no_large_objects {
                let upload = Upload::of(command, composer.encoding());
                if upload.is_some() {
                    if chosen.is_empty() {
                        open.upload = upload;
                    }
                    break;
                }
            }
            if parts as usize > most || !fits {
                reject(id, Cause::TooLargeForMessage, turn, queue);
                continue;
            }
            if composer.len() - before + parts as usize > most {
                break;
            }
            if !composer.push_all(commands, octets) {
                if !(open.waited && chosen.is_empty()) {
                    break;
                }
                reject(id, Cause::TooLargeForMessage, turn, queue); // it had a message to itself and did not fit
                continue;
            }
            chosen.push(Chosen { id, first, parts, probe });
        }
        chosen
    }
}

/// What may go out now, in order: probes of commands in unknown fate, then what is queued.
fn sendable<'a>(
    open: &'a Open,
    queue: &'a Queue,
    turn: &Turn<'_>,
) -> impl Iterator<Item = &'a PendingCommand> + use<'a> {
    let now = turn.now;
    let suspended = turn.peer.wipe_only || queue.is_suspended_by_wipe();
    let free = move |command: &&PendingCommand| {
        let busy = open.in_flight.iter().any(|flight| flight.command == command.id);
        let waits = command.ordered
            && queue.iter().any(|other| {
                other.operation == command.operation
                    && (other.created, other.id) < (command.created, command.id)
            });
        let admitted = !suspended || command.kind == OperationKind::Wipe;
        admitted && !busy && !waits && !open.held.contains(&command.id)
    };
    let probes = queue.iter().filter(free).filter(|command| {
        let unknown = command.state == CommandState::Sent && command.accepted.is_none();
        unknown && command.redelivery == Redelivery::ProbeFirst && probe::uris(&command.body).is_some()
    });
    let queued = queue.iter().filter(free).filter(move |command| {
        command.state == CommandState::Queued && command.deadline.is_none_or(|deadline| now < deadline)
    });
    probes.chain(queued)
}

/// A command that is never sent: it fails, or stays in doubt where an earlier sending may have been executed.
fn reject(id: CommandId, cause: Cause, turn: &mut Turn<'_>, queue: &mut Queue) {
    let doubtful =
        queue.get(id).is_some_and(|command| command.state == CommandState::Sent || command.may_be_executed());
    let event = if doubtful { Event::GiveUp } else { Event::Reject };
    turn.effects.extend(queue.apply(id, event, Note::cause(cause), turn.now));
}

fn record(chosen: Chosen, open: &mut Open, turn: &mut Turn<'_>, queue: &mut Queue) {
    let Chosen { id, first, parts, probe } = chosen;
    let Some(command) = queue.get(id) else { return };
    let uri = probe.as_ref().and_then(|uris| uris.first()).cloned();
    open.in_flight.push(InFlight::new(command, (open.msg_out, first, parts), probe));
    match uri {
        Some(uri) => turn.effects.push(Effect::ProbeSent { command: id, uri, at: turn.now }),
        None => send(id, (first, parts), open, turn, queue),
    }
}

fn send(id: CommandId, (cmd_id, parts): (u32, u32), open: &Open, turn: &mut Turn<'_>, queue: &mut Queue) {
    let sent = SentAs {
        session: open.id,
        device_session: open.session_id.clone(),
        msg_id: open.msg_out,
        cmd_id,
        parts,
    };
    turn.effects.extend(queue.send(id, sent, turn.now));
}
