//! What the Status of a command, and of all that is inside it, mean together (OMA-TS-DM_RepPro 1.2.1, 6.6.3, 6.6.14).
//!
//! Promise: an Atomic is a success only as a whole; rolled back (507), not rolled back although it had to be (516), and
//! too large to be answered (517) are told apart. What the person at the device refused is told as such.

use std::slice;

use crate::{
    command::{self, Cause, Event, Verdict},
    queue::{Body, PendingCommand},
};
use postern_wire::terms::Verb;

use super::flight::{Codes, InFlight};

/// What became of a command or of one inside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Done(Cause),
    Failed(Cause),
    /// An alert will tell.
    Later,
    /// The device has not said.
    Unknown,
}

/// What the codes mean together; `None` where the device has not said enough.
pub(super) fn of(flight: &InFlight, command: &PendingCommand, codes: &Codes) -> Option<(Event, Cause)> {
    if let Some(cause) = flight.broken {
        return Some((Event::Fail, cause));
    }
    let mut slots = codes.iter();
    let plain = matches!(command.body, Body::Plain { .. }) || flight.probe;
    let fate = if plain {
        let verb = flight.slots.first().map_or_else(|| command.body.verb(), |slot| slot.verb);
        items(verb, codes.iter().flatten().copied(), command.sends)
    } else {
        fate(&command.body, &mut slots, command.sends)
    };
    match (fate, &flight.alert) {
        (Fate::Unknown, _) => None,
        (Fate::Done(cause), _) => Some((Event::Succeed, cause)),
        (Fate::Failed(cause), _) => Some((Event::Fail, cause)),
        (Fate::Later, None) => Some((Event::Accept, Cause::Accepted)),
        (Fate::Later, Some((true, _))) => Some((Event::Succeed, Cause::Done)),
        (Fate::Later, Some((false, _))) => Some((Event::Fail, Cause::FailedLater)),
    }
}

/// The code that stands for the whole command: a container's own, else the first that is no success.
pub(super) fn code(command: &PendingCommand, flight: &InFlight, codes: &Codes) -> Option<u32> {
    let own = codes.first().and_then(|slot| slot.first().copied().flatten());
    if !command.body.children().is_empty() && own.is_some_and(|code| !(200..300).contains(&code)) {
        return own;
    }
    let all = || {
        let verbs = flight.slots.iter().map(|slot| slot.verb);
        verbs.zip(codes).flat_map(|(verb, slot)| slot.iter().flatten().map(move |code| (verb, *code)))
    };
    let bad = all()
        .find(|(verb, code)| !matches!(command::judge(*verb, *code, command.sends), Verdict::Success(_)));
    bad.or_else(|| all().next()).map(|(_, code)| code)
}

fn fate(body: &Body, slots: &mut slice::Iter<'_, Vec<Option<u32>>>, sends: u32) -> Fate {
    let own = slots.next().cloned().unwrap_or_default();
    match body {
        Body::Plain { verb, .. } => items(*verb, own.into_iter(), sends),
        Body::UserAlert { .. } => items(Verb::Alert, own.into_iter(), sends),
        Body::Atomic(children) => {
            let inside: Vec<_> = children.iter().map(|child| fate_and_codes(child, slots, sends)).collect();
            atomic(own.first().copied().flatten(), &inside)
        }
        Body::Sequence(children) => {
            let inside: Vec<_> = children.iter().map(|child| fate(child, slots, sends)).collect();
            sequence(own.first().copied().flatten(), &inside)
        }
    }
}

fn fate_and_codes(
    body: &Body,
    slots: &mut slice::Iter<'_, Vec<Option<u32>>>,
    sends: u32,
) -> (Fate, Vec<u32>) {
    let codes =
        slots.as_slice().first().map_or_else(Vec::new, |slot| slot.iter().flatten().copied().collect());
    (fate(body, slots, sends), codes)
}

/// What the items of one command make together.
fn items(verb: Verb, codes: impl Iterator<Item = Option<u32>>, sends: u32) -> Fate {
    let (mut done, mut failed, mut good) = (0, None, Cause::Done);
    for code in codes {
        let Some(code) = code else { return Fate::Unknown };
        match command::judge(verb, code, sends) {
            Verdict::Later => return Fate::Later,
            Verdict::Success(cause) => {
                done += 1;
                good = cause;
            }
            Verdict::Failure(cause) => failed = failed.or(Some(cause)),
            Verdict::Credentials => failed = failed.or(Some(Cause::ServerCredentials)),
        }
    }
    match failed {
        None => Fate::Done(good),
        Some(cause) if done == 0 => Fate::Failed(cause),
        Some(_) => Fate::Failed(Cause::PartlyDone),
    }
}

fn atomic(own: Option<u32>, inside: &[(Fate, Vec<u32>)]) -> Fate {
    let any = |wanted: fn(&Fate) -> bool| inside.iter().any(|(fate, _)| wanted(fate));
    let rollback_failed = inside.iter().any(|(_, codes)| codes.contains(&516));
    match own {
        None if any(|fate| *fate == Fate::Unknown) => Fate::Unknown,
        // LD-17: no Status for the Atomic itself. The children that failed did not take the others back.
        None if any(|fate| matches!(fate, Fate::Failed(_))) => Fate::Failed(Cause::NotRolledBack),
        None => Fate::Done(Cause::Done),
        Some(200..=212) if any(|fate| matches!(fate, Fate::Failed(_))) => Fate::Failed(Cause::NotRolledBack),
        Some(200..=212) => Fate::Done(Cause::Done),
        Some(516) => Fate::Failed(Cause::RollbackFailed),
        Some(507 | 500) if rollback_failed => Fate::Failed(Cause::RollbackFailed),
        Some(507) if any(|fate| *fate == Fate::Failed(Cause::RefusedByUser)) => {
            Fate::Failed(Cause::RefusedByUser)
        }
        Some(507) => Fate::Failed(Cause::RolledBack),
        Some(517) => Fate::Failed(Cause::AtomicTooLarge),
        Some(code) => items(Verb::Atomic, std::iter::once(Some(code)), 1),
    }
}

fn sequence(own: Option<u32>, inside: &[Fate]) -> Fate {
    let refused = own.filter(|code| !(200..=212).contains(code));
    if let Some(code) = refused.filter(|_| inside.iter().all(|fate| *fate == Fate::Unknown)) {
        return items(Verb::Sequence, std::iter::once(Some(code)), 1);
    }
    let failures: Vec<Cause> = inside
        .iter()
        .filter_map(|fate| match fate {
            Fate::Failed(cause) => Some(*cause),
            _ => None,
        })
        .collect();
    if inside.contains(&Fate::Unknown) {
        Fate::Unknown
    } else if failures.contains(&Cause::RefusedByUser) {
        Fate::Failed(Cause::RefusedByUser)
    } else if failures.len() == inside.len() {
        failures.first().map_or(Fate::Done(Cause::Done), |cause| Fate::Failed(*cause))
    } else if !failures.is_empty() {
        Fate::Failed(Cause::PartlyDone)
    } else if inside.contains(&Fate::Later) {
        Fate::Later
    } else {
        Fate::Done(Cause::Done)
    }
}
