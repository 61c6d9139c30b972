//! Why a command of posternctl did not do what was asked, and the exit code that says so to a script.
//!
//! Exit codes: 0 done, 1 refused, 2 invalid input, 3 unreachable, 4 denied, 64 usage. The slug is the one of the core's log line for the same refusal.

use postern_api::problem::{Problem, ProblemItem};
use serde::Serialize;

/// What a process ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// The core refused it, or what was asked about is not well.
    Refused = 1,
    /// What was given cannot be right, whoever asks.
    Invalid = 2,
    /// The core, or something behind it, does not answer for now.
    Unreachable = 3,
    /// This token may not do that.
    Denied = 4,
    /// The command line itself.
    Usage = 64,
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// A failure as it is told to the person or the script that asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{sentence}")]
pub struct Failure {
    /// What the process ends with.
    #[serde(serialize_with = "exit_code")]
    pub exit: Exit,
    /// The stable name of the reason.
    pub slug: String,
    /// One sentence for a person.
    pub sentence: String,
    /// HTTP status, when the core answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The single things that were wrong, or the devices that an ambiguous name could mean.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<ProblemItem>,
}

impl Failure {
    /// A failure that no answer of the core caused.
    pub fn new(exit: Exit, slug: &str, sentence: impl Into<String>) -> Self {
        Self { exit, slug: slug.to_owned(), sentence: sentence.into(), status: None, errors: Vec::new() }
    }

    /// What was given cannot be right.
    pub fn invalid(slug: &str, sentence: impl Into<String>) -> Self {
        Self::new(Exit::Invalid, slug, sentence)
    }

    /// The command line itself.
    pub fn usage(sentence: impl Into<String>) -> Self {
        Self::new(Exit::Usage, "usage", sentence)
    }

    /// A file that was named and cannot be read or written.
    pub fn file(path: &std::path::Path, error: &std::io::Error) -> Self {
        Self::invalid("file", format!("{}: {error}", path.display()))
    }
}

/// What the core refused, as the same sentence for every command.
impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        let exit = match problem.status {
            401 | 403 => Exit::Denied,
            400 | 413 | 415 | 422 => Exit::Invalid,
            502..=504 => Exit::Unreachable,
            _ => Exit::Refused,
        };
        let mut sentence = problem.title.clone();
        if let Some(detail) = problem.detail.as_deref().filter(|detail| *detail != problem.title) {
            sentence = format!("{sentence}: {detail}");
        }
        if let Some(instance) = &problem.instance {
            sentence = format!("{sentence} (request {instance})");
        }
        let slug = problem.slug().to_owned();
        Self { exit, slug, sentence, status: Some(problem.status), errors: problem.errors }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's serialize_with gives a reference")]
fn exit_code<S: serde::Serializer>(exit: &Exit, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u8(*exit as u8)
}

#[cfg(test)]
mod tests {
    use postern_api::problem::Slug;

    use super::*;

    #[test]
    fn every_kind_of_refusal_has_the_exit_code_of_its_family() {
        for (slug, exit) in [
            (Slug::Unauthenticated, Exit::Denied),
            (Slug::Forbidden, Exit::Denied),
            (Slug::ReservedUri, Exit::Denied),
            (Slug::NotFound, Exit::Refused),
            (Slug::AmbiguousDevice, Exit::Refused),
            (Slug::WrongState, Exit::Refused),
            (Slug::PreconditionFailed, Exit::Refused),
            (Slug::OutOfSpace, Exit::Refused),
            (Slug::Internal, Exit::Refused),
            (Slug::InvalidRequest, Exit::Invalid),
            (Slug::InvalidSyncMl, Exit::Invalid),
            (Slug::NotYet, Exit::Invalid),
            (Slug::TooLarge, Exit::Invalid),
            (Slug::Unavailable, Exit::Unreachable),
            (Slug::Standby, Exit::Unreachable),
        ] {
            assert_eq!(Failure::from(slug.problem("x")).exit, exit, "{}", slug.as_str());
        }
    }

    #[test]
    fn a_refusal_names_what_was_wrong_and_the_request_in_the_log() {
        let mut problem = Slug::WrongState.problem("the command was sent");
        problem.instance = Some("0197".to_owned());

        let failure = Failure::from(problem);

        assert_eq!(failure.slug, "wrong-state");
        assert_eq!(failure.sentence, "Not possible in this state: the command was sent (request 0197)");
    }
}
