//! Transcripts: a session as the engine was given it and what it decided, to be replayed as a test.
//!
//! Promise: a transcript holds no secret of the enrolment that it was taken from. Its passwords and its key of nonces are the
//! test ones of this file; credentials, MACs, nonces and the route are made anew over them while it is recorded, so that each
//! message proves as much as it did; values of nodes that may not be read are filled with `x` of the same length. What was
//! decided is what the engine decides on those messages, held against what it had decided on the true ones
//! ([`Transcript::unfaithful`]). [`Transcript::replay`] gives the first difference to what the engine decides today.

pub(crate) mod form;
mod record;
mod rekey;
mod replay;
mod tell;

use postern_wire::terms::{DmSessionId, UtcMillis};
use serde::{Deserialize, Serialize};

use crate::{profiles::Profile, queue::PendingCommand};
pub use form::{AccountForm, LimitsForm, Octets, PeerForm, ReplyForm, ServerForm};
pub use record::{Described, Heard, Recorder};
pub use replay::{Difference, What};

/// What the first field of each transcript says.
pub const FORMAT: &str = "postern transcript 1";
/// The password that a transcript's device proves itself with.
pub const PASSWORD: &str = "transcript-password";
/// The password that the server proves itself with in a transcript.
pub const SERVER_PASSWORD: &str = "transcript-server-password";
/// Messages of one transcript at most.
pub const STEPS: usize = 512;
/// Octets of the messages of one transcript at most.
pub const OCTETS: usize = 8 * 1024 * 1024;
/// Octets of a file that is read at most.
pub const FILE_OCTETS: usize = 64 * 1024 * 1024;

/// One session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transcript {
    /// [`FORMAT`].
    pub format: String,
    /// What it shows, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub about: String,
    /// The session, where one was opened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<DmSessionId>,
    /// The enrolment when it began, without its secrets.
    pub account: AccountForm,
    /// The limits in force.
    pub limits: LimitsForm,
    /// The quirk profiles that the client matched with its first message.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub profiles: Vec<Profile>,
    /// What was pending when it began, in order.
    pub queue: Vec<PendingCommand>,
    /// Its messages.
    pub steps: Vec<Step>,
    /// It was longer or larger than a transcript may be: the end is missing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cut: bool,
    /// Where the engine decided otherwise on the true messages than on these; such a transcript tests the engine as any
    /// other does, but does not show what had happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unfaithful: Option<String>,
}

/// One message of the device, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// When it came.
    pub at: UtcMillis,
    /// The random octets that the engine was given.
    pub random: Octets,
    /// What was known of the sender.
    pub peer: PeerForm,
    /// Content-Type.
    pub content_type: String,
    /// Its octets.
    pub request: Octets,
    /// The enrolment, where it had changed since the message before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountForm>,
    /// What was pending, where it had changed since the message before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<Vec<PendingCommand>>,
    /// The quirk profiles that the client has matched so far, where this message matches others than those before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profiles: Option<Vec<Profile>>,
    /// Whether the server was told to end the session before this message.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub abort: bool,
    /// What the device got.
    pub reply: ReplyForm,
    /// Everything that was to be committed, one line each.
    pub effects: Vec<String>,
}

/// A transcript that cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadTranscript {
    /// It is no transcript.
    #[error("this is no transcript: {0}")]
    Form(String),
    /// Of another format.
    #[error("it is of the format {0:?}; {FORMAT:?} is known")]
    Format(String),
    /// Larger than a transcript may be.
    #[error("it is larger than a transcript may be")]
    TooLarge,
}

impl Transcript {
    /// Reads a file.
    ///
    /// # Errors
    /// [`BadTranscript`].
    pub fn parse(octets: &[u8]) -> Result<Self, BadTranscript> {
        if octets.len() > FILE_OCTETS {
            return Err(BadTranscript::TooLarge);
        }
        #[derive(Deserialize)]
        struct Head {
            format: String,
        }
        let form = |error: serde_json::Error| BadTranscript::Form(error.to_string());
        let head: Head = serde_json::from_slice(octets).map_err(form)?;
        if head.format != FORMAT {
            return Err(BadTranscript::Format(head.format.chars().take(80).collect()));
        }
        let transcript: Self = serde_json::from_slice(octets).map_err(form)?;
        if transcript.steps.len() > STEPS {
            return Err(BadTranscript::TooLarge);
        }
        Ok(transcript)
    }

    /// The file's octets.
    ///
    /// # Errors
    /// [`BadTranscript::Form`] where it cannot be written, which no field of it brings about.
    pub fn to_json(&self) -> Result<Vec<u8>, BadTranscript> {
        let mut octets =
            serde_json::to_vec_pretty(self).map_err(|error| BadTranscript::Form(error.to_string()))?;
        octets.push(b'\n');
        Ok(octets)
    }
}
