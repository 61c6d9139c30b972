//! The next commands, as many as fit (OMA-TS-DM_Protocol 1.2.1, 6; omadm.md 3.4).
//!
//! Promise: probes first, then the queue's order; a command that can never fit fails with its cause and the
//! others go on; a command is recorded as sent in the same outcome as the reply that holds it.

use std::collections::VecDeque;

use postern_wire::{
    syncml::{Command, Item, Location, Meta, Request},
    terms::{CommandId, CommandState, OperationKind, Redelivery, Verb},
};

use super::{Effect, Reply, Session, Turn, collect::InFlight, compose::Composer, serve::Open};
use crate::{
    account::Quirks,
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
    /// Adds commands and gives the encoded reply; `None` where nothing is sent.
    pub(super) fn fill(
        &self,
        open: &mut Open,
        composer: &mut Composer,
        turn: &mut Turn<'_>,
        queue: &mut Queue,
    ) -> Option<Reply> {
        let before = composer.len();
        loop {
            let chosen = self.choose(open, composer, turn, queue);
            if chosen.is_empty() {
                return None;
            }
            if let Ok(reply) = composer.finish(true, false) {
                for one in chosen {
                    record(one, open, turn, queue);
                }
                return Some(reply);
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

    /// Whether a command only waits for the Status of this message to be out of the way.
    pub(super) fn waits_for_room(
        &self,
        open: &Open,
        composer: &Composer,
        queue: &Queue,
        turn: &Turn<'_>,
    ) -> bool {
        composer.len() > 1 && sendable(open, queue, turn).next().is_some()
    }

    fn choose(
        &self,
        open: &Open,
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
            if probe.is_none() && command.body.items().iter().any(too_large) {
                reject(id, Cause::TooLargeForDevice, turn, queue);
                continue;
            }
            let (parts, octets) = (commands.len(), composer.octets(&commands));
            if parts > most || !composer.could_ever_fit(octets) {
                reject(id, Cause::TooLargeForMessage, turn, queue);
                continue;
            }
            if composer.len() - before + parts > most {
                break;
            }
            if !composer.push_all(commands, octets) {
                if !(open.waited && chosen.is_empty()) {
                    break;
                }
                reject(id, Cause::TooLargeForMessage, turn, queue); // it had a message to itself and did not fit
                continue;
            }
            chosen.push(Chosen { id, first, parts: u32::try_from(parts).unwrap_or(u32::MAX), probe });
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
        None => {
            let sent = SentAs {
                session: open.id,
                device_session: open.session_id.clone(),
                msg_id: open.msg_out,
                cmd_id: first,
                parts,
            };
            turn.effects.extend(queue.send(id, sent, turn.now));
        }
    }
}

/// The command, or its probe, as it stands in the message.
fn build(command: &PendingCommand, probe: Option<&[String]>, first: u32, quirks: Quirks) -> Vec<Command> {
    let body = &command.body;
    let nodes: Vec<BodyItem>;
    let (verb, items) = match probe {
        Some(uris) => {
            nodes = uris.iter().map(BodyItem::node).collect();
            (Verb::Get, nodes.as_slice())
        }
        None => (body.verb(), body.items()),
    };
    let each = if verb == Verb::Get && quirks.one_item_per_get { 1 } else { items.len().max(1) };
    let correlator = body.correlator().map(ToOwned::to_owned).filter(|_| verb == Verb::Exec);
    items
        .chunks(each)
        .zip(first..)
        .map(|(items, cmd_id)| {
            let items = items.iter().map(|item| self::item(verb, item)).collect();
            let request = Request { cmd_id, correlator: correlator.clone(), items, ..Request::default() };
            match verb {
                Verb::Add => Command::Add(request),
                Verb::Replace => Command::Replace(request),
                Verb::Get => Command::Get(request),
                Verb::Delete => Command::Delete(request),
                Verb::Exec => Command::Exec(request),
                Verb::Copy => Command::Copy(request),
                Verb::Atomic | Verb::Sequence | Verb::Alert => Command::Sequence(Default::default()),
            }
        })
        .collect()
}

/// One Item; Add and Replace always carry Data, for a client that crashes without it (LD-15).
fn item(verb: Verb, item: &BodyItem) -> Item {
    let data = match verb {
        Verb::Add | Verb::Replace => Some(item.data.clone().unwrap_or_default()),
        Verb::Exec => item.data.clone(),
        _ => None,
    };
    let meta = match verb {
        Verb::Add | Verb::Replace | Verb::Exec => {
            Meta { format: item.format.clone(), type_: item.type_.clone(), ..Meta::default() }
        }
        _ => Meta::default(),
    };
    Item {
        target: Some(Location::uri(item.target.clone())),
        source: item.source.as_ref().map(|uri| Location::uri(uri.clone())),
        meta,
        data,
        more_data: false,
    }
}
