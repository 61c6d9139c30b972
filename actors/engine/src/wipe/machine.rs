//! The table of a wipe's transitions, and how it is printed.

use postern_wire::terms::WipeState::{
    self, Accepted, Armed, AwaitingApproval, Cancelled, Expired, Failed, InDoubt, Pending, Requested,
    Retrying, Sent, Succeeded,
};
use serde_json::json;

macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$doc])* $variant),+ }

        impl $name {
            /// Each of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The stable spelling.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }
    };
}

words! {
    /// What can happen to a wipe.
    Event {
        /// The limits let it pass.
        Admit = "admit",
        /// A second person has to agree first.
        AskApproval = "ask-approval",
        /// A second person agreed.
        Approve = "approve",
        /// A second person refused.
        Reject = "reject",
        /// Its command stands in a reply, recorded before the bytes leave.
        Send = "send",
        /// The session ended without the device's Status, or the device did not take our credentials.
        Lose = "lose",
        /// The device's Status said done.
        Acknowledge = "acknowledge",
        /// The device's Status said that it will be done (202).
        Accept = "accept",
        /// The device's alert said done.
        Complete = "complete",
        /// The device's Status, or its alert, said that it failed.
        Refuse = "refuse",
        /// It was sent as often as a command is, and never answered.
        GiveUp = "give-up",
        /// The device was not seen for the set time after it had acknowledged.
        Silence = "silence",
        /// The device came back with its old enrolment after it had acknowledged.
        ComeBack = "come-back",
        /// The alert of an accepted wipe did not come in time.
        Overrun = "overrun",
        /// It could not be put into a message for this device.
        Unsendable = "unsendable",
        /// Its time passed, by a clock that is trusted.
        Expire = "expire",
        /// It is kept armed.
        Arm = "arm",
        /// A person takes it back.
        Cancel = "cancel",
        /// Two persons let the device off.
        Disarm = "disarm",
        /// The device said that it leaves its enrolment.
        Leave = "leave",
        /// The enrolment ended, or the device was enrolled anew: another generation never inherits a wipe.
        Supersede = "supersede",
        /// The database was restored from a backup: what became of it since is not known.
        Restore = "restore",
    }
}

words! {
    /// When an edge holds; of several for one state and event the first that holds is taken.
    When {
        /// Always.
        Always = "always",
        /// The device's Status is all the evidence that its way demands.
        StatusCounts = "status-counts",
        /// Silence after an acknowledgement counts for its way.
        SilenceCounts = "silence-counts",
        /// To leave the enrolment is what was wanted.
        LeavingCounts = "leaving-counts",
        /// It is armed.
        IsArmed = "is-armed",
        /// It is not armed.
        NotArmed = "not-armed",
        /// Another try is left.
        TriesLeft = "tries-left",
        /// What was let pass and is not proved done is armed (setting).
        Arms = "arms",
        /// What failed or expired changes nothing for the device (setting, the original's without disenrolment).
        Keeps = "keeps",
    }
}

/// What a guard looks at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ground {
    /// [`When::StatusCounts`].
    pub status_counts: bool,
    /// [`When::SilenceCounts`].
    pub silence_counts: bool,
    /// [`When::LeavingCounts`].
    pub leaving_counts: bool,
    /// [`When::IsArmed`].
    pub armed: bool,
    /// [`When::TriesLeft`].
    pub tries_left: bool,
    /// [`When::Arms`].
    pub arms: bool,
    /// [`When::Keeps`].
    pub keeps: bool,
}

impl When {
    /// Whether it holds on this ground.
    #[must_use]
    pub const fn holds(self, ground: &Ground) -> bool {
        match self {
            Self::Always => true,
            Self::StatusCounts => ground.status_counts,
            Self::SilenceCounts => ground.silence_counts,
            Self::LeavingCounts => ground.leaving_counts,
            Self::IsArmed => ground.armed,
            Self::NotArmed => !ground.armed,
            Self::TriesLeft => ground.tries_left,
            Self::Arms => ground.arms,
            Self::Keeps => ground.keeps,
        }
    }
}

/// One transition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edge {
    /// From where.
    pub from: WipeState,
    /// By what.
    pub event: Event,
    /// When it holds.
    pub when: When,
    /// To where.
    pub to: WipeState,
}

const fn edge(from: WipeState, event: Event, when: When, to: WipeState) -> Edge {
    Edge { from, event, when, to }
}

/// Every transition that there is.
pub const EDGES: &[Edge] = &[
    edge(Requested, Event::Admit, When::Always, Pending),
    edge(Requested, Event::AskApproval, When::Always, AwaitingApproval),
    // A second person
    edge(AwaitingApproval, Event::Approve, When::Always, Pending),
    edge(AwaitingApproval, Event::Reject, When::Always, Cancelled),
    edge(AwaitingApproval, Event::Cancel, When::Always, Cancelled),
    edge(AwaitingApproval, Event::Expire, When::Always, Expired),
    edge(AwaitingApproval, Event::Leave, When::Always, Cancelled),
    edge(AwaitingApproval, Event::Supersede, When::Always, Cancelled),
    edge(AwaitingApproval, Event::Restore, When::Always, InDoubt),
    // Waiting for the device
    edge(Pending, Event::Send, When::Always, Sent),
    edge(Pending, Event::Unsendable, When::Always, Failed),
    edge(Pending, Event::Cancel, When::Always, Cancelled),
    edge(Pending, Event::Expire, When::Always, Expired),
    edge(Pending, Event::Leave, When::LeavingCounts, Succeeded),
    edge(Pending, Event::Leave, When::Always, Cancelled),
    edge(Pending, Event::Supersede, When::Always, Cancelled),
    edge(Pending, Event::Restore, When::Always, InDoubt),
    // On its way
    edge(Sent, Event::Send, When::Always, Sent),
    edge(Sent, Event::Lose, When::IsArmed, Armed),
    edge(Sent, Event::Lose, When::Always, Pending),
    edge(Sent, Event::Acknowledge, When::StatusCounts, Succeeded),
    edge(Sent, Event::Acknowledge, When::Always, Accepted),
    edge(Sent, Event::Accept, When::Always, Accepted),
    edge(Sent, Event::Refuse, When::IsArmed, Armed),
    edge(Sent, Event::Refuse, When::TriesLeft, Retrying),
    edge(Sent, Event::Refuse, When::Always, Failed),
    edge(Sent, Event::Unsendable, When::IsArmed, Armed),
    edge(Sent, Event::Unsendable, When::Always, Failed),
    edge(Sent, Event::GiveUp, When::IsArmed, Armed),
    edge(Sent, Event::GiveUp, When::TriesLeft, Retrying),
    edge(Sent, Event::GiveUp, When::Always, InDoubt),
    edge(Sent, Event::Expire, When::NotArmed, InDoubt),
    edge(Sent, Event::Leave, When::LeavingCounts, Succeeded),
    edge(Sent, Event::Leave, When::Always, InDoubt),
    edge(Sent, Event::Supersede, When::Always, InDoubt),
    edge(Sent, Event::Restore, When::Always, InDoubt),
    // Acknowledged, its evidence to come
    edge(Accepted, Event::Complete, When::Always, Succeeded),
    edge(Accepted, Event::Silence, When::SilenceCounts, Succeeded),
    edge(Accepted, Event::Refuse, When::IsArmed, Armed),
    edge(Accepted, Event::Refuse, When::TriesLeft, Retrying),
    edge(Accepted, Event::Refuse, When::Always, Failed),
    edge(Accepted, Event::ComeBack, When::IsArmed, Armed),
    edge(Accepted, Event::ComeBack, When::TriesLeft, Retrying),
    edge(Accepted, Event::ComeBack, When::Always, Failed),
    edge(Accepted, Event::Overrun, When::IsArmed, Armed),
    edge(Accepted, Event::Overrun, When::TriesLeft, Retrying),
    edge(Accepted, Event::Overrun, When::Always, Failed),
    edge(Accepted, Event::Leave, When::LeavingCounts, Succeeded),
    edge(Accepted, Event::Leave, When::Always, InDoubt),
    edge(Accepted, Event::Supersede, When::Always, InDoubt),
    edge(Accepted, Event::Restore, When::Always, InDoubt),
    // Waiting for another try
    edge(Retrying, Event::Send, When::Always, Sent),
    edge(Retrying, Event::Unsendable, When::Always, Failed),
    edge(Retrying, Event::Cancel, When::Always, Cancelled),
    edge(Retrying, Event::Expire, When::Always, Expired),
    edge(Retrying, Event::Leave, When::LeavingCounts, Succeeded),
    edge(Retrying, Event::Leave, When::Always, InDoubt),
    edge(Retrying, Event::Supersede, When::Always, InDoubt),
    edge(Retrying, Event::Restore, When::Always, InDoubt),
    // Not proved done
    edge(Failed, Event::Arm, When::Arms, Armed),
    edge(Failed, Event::Cancel, When::Keeps, Cancelled),
    edge(Expired, Event::Arm, When::Arms, Armed),
    edge(Expired, Event::Cancel, When::Keeps, Cancelled),
    edge(InDoubt, Event::Arm, When::Arms, Armed),
    edge(InDoubt, Event::Disarm, When::Always, Cancelled),
    // Until proved done
    edge(Armed, Event::Send, When::Always, Sent),
    edge(Armed, Event::Unsendable, When::Always, Armed),
    edge(Armed, Event::Disarm, When::Always, Cancelled),
    edge(Armed, Event::Leave, When::LeavingCounts, Succeeded),
    edge(Armed, Event::Leave, When::Always, InDoubt),
    edge(Armed, Event::Supersede, When::Always, InDoubt),
    edge(Armed, Event::Restore, When::Always, InDoubt),
];

/// The state after `event`, or why there is none.
///
/// # Errors
/// [`Refused`] for every pair that the table does not name, and where no guard of one that it names holds.
pub fn transition(state: WipeState, event: Event, ground: &Ground) -> Result<WipeState, Refused> {
    EDGES
        .iter()
        .find(|edge| edge.from == state && edge.event == event && edge.when.holds(ground))
        .map(|edge| edge.to)
        .ok_or(Refused { state, event })
}

/// A transition that the table does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a wipe that is {state} does not take {:?}", event.as_str())]
pub struct Refused {
    /// Where the wipe stands.
    pub state: WipeState,
    /// What was asked.
    pub event: Event,
}

/// The table as JSON: `[{"from": …, "event": …, "when": …, "to": …}]`, in its order.
#[must_use]
pub fn edges_json() -> serde_json::Value {
    EDGES
        .iter()
        .map(|edge| {
            json!({
                "from": edge.from,
                "event": edge.event.as_str(),
                "when": edge.when.as_str(),
                "to": edge.to,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// Every ground there is: seven truths.
    fn grounds() -> impl Iterator<Item = Ground> {
        (0..128_u32).map(|bits| Ground {
            status_counts: bits & 1 > 0,
            silence_counts: bits & 2 > 0,
            leaving_counts: bits & 4 > 0,
            armed: bits & 8 > 0,
            tries_left: bits & 16 > 0,
            arms: bits & 32 > 0,
            keeps: bits & 64 > 0,
        })
    }

    #[test]
    fn what_the_table_does_not_name_is_refused_for_every_ground() {
        let mut refused = 0;
        for &state in WipeState::ALL {
            for &event in Event::ALL {
                if EDGES.iter().any(|edge| edge.from == state && edge.event == event) {
                    continue;
                }
                for ground in grounds() {
                    assert_eq!(transition(state, event, &ground), Err(Refused { state, event }));
                }
                refused += 1;
            }
        }
        assert!(refused > WipeState::ALL.len() * Event::ALL.len() / 2);
    }

    #[test]
    fn each_edge_can_be_taken() {
        for edge in EDGES {
            let taken = grounds().any(|ground| {
                let first = EDGES.iter().find(|other| {
                    other.from == edge.from && other.event == edge.event && other.when.holds(&ground)
                });
                first == Some(edge)
            });
            assert!(taken, "{edge:?} stands behind one that always holds");
        }
    }

    #[test]
    fn what_is_over_stays_over() {
        for state in [Succeeded, Cancelled] {
            assert!(!EDGES.iter().any(|edge| edge.from == state), "{state}");
        }
    }

    #[test]
    fn every_state_but_the_first_is_reached_and_none_leads_back_to_it() {
        let reached: HashSet<_> = EDGES.iter().map(|edge| edge.to).collect();
        for state in WipeState::ALL {
            assert_eq!(reached.contains(state), *state != Requested, "{state}");
        }
    }

    #[test]
    fn success_needs_evidence_of_the_device() {
        for edge in EDGES.iter().filter(|edge| edge.to == Succeeded) {
            let evidence = matches!(
                (edge.event, edge.when),
                (Event::Acknowledge, When::StatusCounts)
                    | (Event::Complete, When::Always)
                    | (Event::Silence, When::SilenceCounts)
                    | (Event::Leave, When::LeavingCounts)
            );
            assert!(evidence, "{edge:?}");
        }
        // Silence without an acknowledgement before it proves nothing.
        assert!(EDGES.iter().all(|edge| edge.event != Event::Silence || edge.from == Accepted));
    }

    #[test]
    fn what_is_armed_leaves_that_only_by_proof_by_two_persons_or_with_its_enrolment() {
        for edge in EDGES.iter().filter(|edge| edge.from == Armed) {
            let allowed = match edge.to {
                Sent | Armed => true,
                Succeeded | InDoubt => {
                    matches!(edge.event, Event::Leave | Event::Supersede | Event::Restore)
                }
                Cancelled => edge.event == Event::Disarm,
                _ => false,
            };
            assert!(allowed, "{edge:?}");
        }
        let armed = Ground { armed: true, tries_left: true, arms: true, keeps: true, ..Ground::default() };
        for state in [Sent, Accepted] {
            for event in [Event::Lose, Event::Refuse, Event::GiveUp, Event::ComeBack, Event::Overrun] {
                if let Ok(next) = transition(state, event, &armed) {
                    assert_eq!(next, Armed, "{state} {event:?}");
                }
            }
        }
        assert!(transition(Sent, Event::Expire, &armed).is_err(), "what is armed does not expire");
    }

    #[test]
    fn the_edges_are_printed_whole() {
        let printed = edges_json();
        let rows = printed.as_array().unwrap();
        assert_eq!(rows.len(), EDGES.len());
        assert_eq!(
            rows[0],
            json!({"from": "requested", "event": "admit", "when": "always", "to": "pending"})
        );
    }
}
