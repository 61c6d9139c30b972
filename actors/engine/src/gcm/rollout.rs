//! A roll-out of what is set for all gateways: one gateway first, then the rest one after the other, stopping on error.
//!
//! The first one has to prove it good (its trial passes); of the others it is enough that they put it in force. A gateway
//! that is not connected when its turn comes is put off: it gets the version when it is back, since others have it then.
//! The first turn is not put off but passed to the next gateway. The state is rows; [`next`] looks at them, so a core that
//! was started anew goes on where the last one was.

/// How far one gateway is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Its turn has not come.
    Waiting,
    /// Its new version was made.
    Given,
    /// It has it.
    Done,
    /// It refused it.
    Failed,
    /// It was not there.
    PutOff,
}

impl State {
    /// The stable spelling.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Given => "given",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::PutOff => "put-off",
        }
    }

    /// The word read back.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Waiting, Self::Given, Self::Done, Self::Failed, Self::PutOff]
            .into_iter()
            .find(|state| state.as_str() == text)
    }
}

/// What is known of the version that was made for a gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// No answer yet.
    Open,
    /// In force, on trial.
    Applied,
    /// It has proved good.
    Good,
    /// Refused, or fallen back.
    Rejected,
    /// Somebody gave the gateway another one.
    Replaced,
}

/// One gateway in a roll-out, in the order of the turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// How far it is.
    pub state: State,
    /// Whether the gateway is connected.
    pub connected: bool,
    /// What became of its version; it counts while the state is [`State::Given`].
    pub fate: Fate,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Wait for an answer or a connection.
    Wait,
    /// Give this gateway its version.
    Give(usize),
    /// Set this step's state.
    Set(usize, State),
    /// Stop: this gateway refused it.
    Stop(usize),
    /// All is done.
    Finish,
}

/// Looks what is to be done next. After each step but [`Next::Wait`] it is asked again.
#[must_use]
pub fn next(steps: &[Step]) -> Next {
    let proved = steps.iter().any(|step| step.state == State::Done);
    for (index, step) in steps.iter().enumerate() {
        match step.state {
            State::Done | State::PutOff => {}
            State::Failed => return Next::Stop(index),
            State::Given => {
                return match step.fate {
                    Fate::Rejected => Next::Set(index, State::Failed),
                    Fate::Good | Fate::Replaced => Next::Set(index, State::Done),
                    Fate::Applied if proved => Next::Set(index, State::Done),
                    // The first one went away before it had proved anything: it waits for it.
                    Fate::Applied => Next::Wait,
                    Fate::Open if proved && !step.connected => Next::Set(index, State::PutOff),
                    Fate::Open => Next::Wait,
                };
            }
            State::Waiting if step.connected => return Next::Give(index),
            State::Waiting if proved => return Next::Set(index, State::PutOff),
            // Nobody has proved it yet: the next one that is there goes first.
            State::Waiting => {}
        }
    }
    let waits = steps.iter().any(|step| step.state == State::Waiting);
    if waits { Next::Wait } else { Next::Finish }
}

#[cfg(test)]
mod tests {
    use super::{Fate::*, Next, State::*, Step, next};

    const fn step(state: super::State, connected: bool, fate: super::Fate) -> Step {
        Step { state, connected, fate }
    }

    #[test]
    fn the_table_of_roll_outs() {
        let here = |state| step(state, true, Open);
        let cases: [(&str, Vec<Step>, Next); 14] = [
            ("the first is given it", vec![here(Waiting), here(Waiting)], Next::Give(0)),
            ("and waited for", vec![here(Given), here(Waiting)], Next::Wait),
            ("also while it is on trial", vec![step(Given, true, Applied), here(Waiting)], Next::Wait),
            ("also when it goes away", vec![step(Given, false, Open), here(Waiting)], Next::Wait),
            ("until it proved good", vec![step(Given, true, Good), here(Waiting)], Next::Set(0, Done)),
            ("then the next", vec![here(Done), here(Waiting), here(Waiting)], Next::Give(1)),
            ("which has to apply it", vec![here(Done), step(Given, true, Applied)], Next::Set(1, Done)),
            (
                "or is put off when it is gone",
                vec![here(Done), step(Given, false, Open)],
                Next::Set(1, PutOff),
            ),
            ("or was not there", vec![here(Done), step(Waiting, false, Open)], Next::Set(1, PutOff)),
            ("a refusal", vec![here(Done), step(Given, true, Rejected), here(Waiting)], Next::Set(1, Failed)),
            ("stops it", vec![here(Done), here(Failed), here(Waiting)], Next::Stop(1)),
            (
                "an absent first lets the next go first",
                vec![step(Waiting, false, Open), here(Waiting)],
                Next::Give(1),
            ),
            ("nobody is there", vec![step(Waiting, false, Open)], Next::Wait),
            ("all have it or will", vec![here(Done), here(PutOff)], Next::Finish),
        ];
        for (what, steps, expected) in cases {
            assert_eq!(next(&steps), expected, "{what}");
        }
        assert_eq!(next(&[]), Next::Finish, "no gateway at all");
    }

    #[test]
    fn a_version_that_somebody_replaced_does_not_hold_the_others_up() {
        assert_eq!(next(&[step(Given, true, Replaced), step(Waiting, true, Open)]), Next::Set(0, Done));
    }

    #[test]
    fn a_roll_out_ends_whatever_the_gateways_do() {
        // Every sequence of fates for three gateways comes to Finish, Stop or Wait within a bounded number of steps.
        for fates in 0..5_u32.pow(3) {
            let fate =
                |n: u32| [Open, Applied, Good, Rejected, Replaced][(fates / 5_u32.pow(n) % 5) as usize];
            let mut steps: Vec<Step> = (0..3).map(|n| step(Waiting, true, fate(n))).collect();
            let ended = (0..20).any(|_| match next(&steps) {
                Next::Give(index) => {
                    steps[index].state = Given;
                    false
                }
                Next::Set(index, state) => {
                    steps[index].state = state;
                    false
                }
                Next::Wait | Next::Stop(_) | Next::Finish => true,
            });
            assert!(ended, "{fates}");
        }
    }
}
