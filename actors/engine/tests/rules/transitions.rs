//! The table of a command's life: what it allows, and that it refuses every other pair.

use postern_engine::command::{Cause, Event, is_pending, transition};
use postern_wire::terms::{CommandState, Redelivery};

use CommandState::{Cancelled, Expired, Failed, InDoubt, Queued, Sent, Succeeded, Superseded};

const EVENTS: &[Event] = &[
    Event::Send,
    Event::Succeed,
    Event::Fail,
    Event::Accept,
    Event::NotExecuted,
    Event::Lost(Redelivery::Repeat),
    Event::Lost(Redelivery::ProbeFirst),
    Event::Lost(Redelivery::AtMostOnce),
    Event::ProbedDone,
    Event::ProbedUndone,
    Event::ProbedUnclear,
    Event::GiveUp,
    Event::Reject,
    Event::Expire,
    Event::Cancel,
    Event::Supersede,
    Event::ResolveDone,
    Event::ResolveUndone,
];

const ALLOWED: &[(CommandState, Event, CommandState)] = &[
    (Queued, Event::Send, Sent),
    (Queued, Event::Reject, Failed),
    (Queued, Event::Expire, Expired),
    (Queued, Event::Cancel, Cancelled),
    (Queued, Event::Supersede, Superseded),
    (Queued, Event::GiveUp, InDoubt),
    (Sent, Event::Succeed, Succeeded),
    (Sent, Event::Fail, Failed),
    (Sent, Event::Accept, Sent),
    (Sent, Event::NotExecuted, Queued),
    (Sent, Event::Lost(Redelivery::Repeat), Queued),
    (Sent, Event::Lost(Redelivery::ProbeFirst), Sent),
    (Sent, Event::Lost(Redelivery::AtMostOnce), InDoubt),
    (Sent, Event::ProbedDone, Succeeded),
    (Sent, Event::ProbedUndone, Queued),
    (Sent, Event::ProbedUnclear, InDoubt),
    (Sent, Event::GiveUp, InDoubt),
    (InDoubt, Event::ResolveDone, Succeeded),
    (InDoubt, Event::ResolveUndone, Failed),
];

#[test]
fn every_transition_that_the_table_does_not_name_is_refused() {
    let mut refused = 0;
    for &state in CommandState::ALL {
        for &event in EVENTS {
            let wanted = ALLOWED.iter().find(|(from, what, _)| (*from, *what) == (state, event));
            match (transition(state, event), wanted) {
                (Ok(next), Some((_, _, wanted))) => assert_eq!(next, *wanted, "{state} {event:?}"),
                (Err(error), None) => {
                    refused += 1;
                    assert_eq!((error.state, error.event), (state, event));
                }
                (got, wanted) => panic!("{state} {event:?}: {got:?}, not {wanted:?}"),
            }
        }
    }
    assert_eq!(refused, CommandState::ALL.len() * EVENTS.len() - ALLOWED.len());
}

#[test]
fn a_sent_command_cannot_be_sent_taken_back_expired_or_overtaken() {
    for event in [Event::Send, Event::Cancel, Event::Expire, Event::Supersede, Event::Reject] {
        assert!(transition(Sent, event).is_err(), "{event:?}");
    }
}

#[test]
fn a_finished_command_never_moves_again() {
    for state in [Succeeded, Failed, Expired, Cancelled, Superseded] {
        assert!(!is_pending(state));
        assert!(EVENTS.iter().all(|&event| transition(state, event).is_err()), "{state}");
    }
}

#[test]
fn a_command_in_doubt_is_never_sent_again() {
    for &event in EVENTS {
        assert!(!matches!(transition(InDoubt, event), Ok(Queued | Sent)), "{event:?}");
    }
}

#[test]
fn every_cause_has_its_own_spelling() {
    let mut spellings: Vec<_> = Cause::ALL.iter().map(|cause| cause.as_str()).collect();
    spellings.sort_unstable();
    spellings.dedup();
    assert_eq!(spellings.len(), Cause::ALL.len());
}
