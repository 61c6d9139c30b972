//! The person's decision on an enrolment whose hardware is enrolled already.
//!
//! Promise: one of the two stays, and a person said which; both decisions keep the history of both.

use postern_wire::terms::EnrolmentState;

/// What a person decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The newcomer is the right one.
    Release,
    /// It is not.
    Reject,
}

/// What comes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The newcomer begins its life; the one that was there, if it still is, is retired.
    Begin {
        /// Whether there is one to retire.
        retire_twin: bool,
    },
    /// The newcomer is retired.
    Retire,
}

/// It is not in quarantine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the enrolment is {0}, not in quarantine")]
pub struct NotQuarantined(pub EnrolmentState);

/// What `decision` does to an enrolment in this state; `twin` is where the one with the same hardware stands.
///
/// # Errors
/// [`NotQuarantined`].
pub fn decide(
    state: EnrolmentState,
    twin: Option<EnrolmentState>,
    decision: Decision,
) -> Result<Step, NotQuarantined> {
    match (state, decision) {
        (EnrolmentState::Quarantined, Decision::Release) => {
            Ok(Step::Begin { retire_twin: twin.is_some_and(|twin| twin != EnrolmentState::Retired) })
        }
        (EnrolmentState::Quarantined, Decision::Reject) => Ok(Step::Retire),
        (other @ (EnrolmentState::New | EnrolmentState::Managed | EnrolmentState::Retired), _) => {
            Err(NotQuarantined(other))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use EnrolmentState::{Managed, New, Quarantined, Retired};

    #[test]
    fn a_released_newcomer_retires_the_one_that_was_there() {
        for (twin, retire_twin) in
            [(Some(Managed), true), (Some(New), true), (Some(Retired), false), (None, false)]
        {
            let step = decide(Quarantined, twin, Decision::Release);
            assert_eq!(step, Ok(Step::Begin { retire_twin }), "{twin:?}");
        }
        assert_eq!(decide(Quarantined, Some(Managed), Decision::Reject), Ok(Step::Retire));
    }

    #[test]
    fn what_is_not_in_quarantine_is_neither_released_nor_rejected() {
        for state in [New, Managed, Retired] {
            for decision in [Decision::Release, Decision::Reject] {
                assert_eq!(decide(state, Some(Managed), decision), Err(NotQuarantined(state)));
            }
        }
    }
}
