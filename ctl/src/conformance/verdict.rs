//! How a case ends, and the few words in which cases state what they want.

use std::fmt;

use serde::Serialize;

/// How a case ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "verdict", content = "reason", rename_all = "kebab-case")]
pub enum Verdict {
    /// The rule holds.
    Pass,
    /// It does not; what was seen.
    Fail(String),
    /// It cannot be asked of this peer, or of any; why.
    NotApplicable(String),
}

/// Why a case does not pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Miss {
    /// The rule is broken; what was seen.
    Broken(String),
    /// The rule does not apply here; why.
    NotApplicable(String),
}

/// What a case comes to.
pub type Outcome<T = ()> = Result<T, Miss>;

impl Miss {
    /// A broken rule.
    pub fn broken(what: impl Into<String>) -> Self {
        Self::Broken(what.into())
    }

    /// A rule that does not apply.
    pub fn not_applicable(why: impl Into<String>) -> Self {
        Self::NotApplicable(why.into())
    }
}

impl From<std::io::Error> for Miss {
    fn from(error: std::io::Error) -> Self {
        Self::Broken(format!("the connection failed: {error}"))
    }
}

impl From<Outcome> for Verdict {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Ok(()) => Self::Pass,
            Err(Miss::Broken(what)) => Self::Fail(what),
            Err(Miss::NotApplicable(why)) => Self::NotApplicable(why),
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pass => "pass",
            Self::Fail(_) => "fail",
            Self::NotApplicable(_) => "not applicable",
        })
    }
}

/// Wants `what` to hold.
pub fn hold(condition: bool, what: impl FnOnce() -> String) -> Outcome {
    if condition { Ok(()) } else { Err(Miss::Broken(what())) }
}

/// Wants `got` to be `wanted`; `what` names the thing.
pub fn same<T: PartialEq<U> + fmt::Debug, U: fmt::Debug>(what: &str, got: T, wanted: U) -> Outcome {
    if got == wanted { Ok(()) } else { Err(Miss::Broken(format!("{what} is {got:?}, not {wanted:?}"))) }
}

/// Wants `got` to be one of `wanted`.
pub fn one_of<T: PartialEq + fmt::Debug>(what: &str, got: &T, wanted: &[T]) -> Outcome {
    hold(wanted.contains(got), || format!("{what} is {got:?}, none of {wanted:?}"))
}

/// Wants something to be there.
pub fn some<T>(what: &str, got: Option<T>) -> Outcome<T> {
    got.ok_or_else(|| Miss::Broken(format!("{what} is missing")))
}
