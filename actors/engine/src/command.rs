//! The life of one DM command: one table of transitions, and what a status code means.
//!
//! Follows docs/ARCHITECTURE.md, "One command, and why it cannot be lost" and OMA-TS-DM_RepPro 1.2.1 (status codes). A command is pending while
//! `Queued` or `Sent`; every other state is an end, but `InDoubt`, which a person may still resolve.

use postern_wire::terms::{CommandState, Redelivery, Verb};

use crate::queue::Body;

use CommandState::{Cancelled, Expired, Failed, InDoubt, Queued, Sent, Succeeded, Superseded};

/// What can happen to a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// It is in a reply, and recorded so before the bytes leave.
    Send,
    /// The device answered with success.
    Succeed,
    /// The device refused it.
    Fail,
    /// The device took it and will tell the end in an alert (202).
    Accept,
    /// The device says that it did not execute it (it did not take our credentials).
    NotExecuted,
    /// The session ended, or the package did, without a Status; what follows is for its redelivery class.
    Lost(Redelivery),
    /// A probe found its effect on the device.
    ProbedDone,
    /// A probe found that it did not take effect.
    ProbedUndone,
    /// A probe could not tell.
    ProbedUnclear,
    /// It is not sent or awaited any longer although it may have been executed.
    GiveUp,
    /// A rule of ours keeps it from being sent at all.
    Reject,
    /// Its deadline passed and it was never sent.
    Expire,
    /// A person took it back and it was never sent.
    Cancel,
    /// A later operation made it pointless and it was never sent.
    Supersede,
    /// A person found out that it was executed.
    ResolveDone,
    /// A person found out that it was not.
    ResolveUndone,
}

/// The state after `event`, or why there is none.
///
/// # Errors
/// [`Refused`] for every pair that the table does not name.
pub const fn transition(state: CommandState, event: Event) -> Result<CommandState, Refused> {
    Ok(match (state, event) {
        (Queued, Event::Send) => Sent,
        (Queued, Event::Reject) => Failed,
        (Queued, Event::Expire) => Expired,
        (Queued, Event::Cancel) => Cancelled,
        (Queued, Event::Supersede) => Superseded,
        (Queued | Sent, Event::GiveUp) => InDoubt,
        (Sent, Event::Succeed | Event::ProbedDone) => Succeeded,
        (Sent, Event::Fail) => Failed,
        (Sent, Event::Accept | Event::Lost(Redelivery::ProbeFirst)) => Sent,
        (Sent, Event::NotExecuted | Event::ProbedUndone | Event::Lost(Redelivery::Repeat)) => Queued,
        (Sent, Event::ProbedUnclear | Event::Lost(Redelivery::AtMostOnce)) => InDoubt,
        (InDoubt, Event::ResolveDone) => Succeeded,
        (InDoubt, Event::ResolveUndone) => Failed,
        (state, event) => return Err(Refused { state, event }),
    })
}

/// A transition that the table does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a command that is {state} cannot {event:?}")]
pub struct Refused {
    /// Where the command stands.
    pub state: CommandState,
    /// What was asked.
    pub event: Event,
}

/// Whether a command in this state still waits in the queue.
#[must_use]
pub const fn is_pending(state: CommandState) -> bool {
    matches!(state, Queued | Sent)
}

/// The redelivery class of a command: of a container, the most careful one of what is inside it.
#[must_use]
pub fn redelivery(body: &Body) -> Redelivery {
    let inside = body.children().iter().map(redelivery).max();
    inside.unwrap_or_else(|| default_redelivery(body.verb()))
}

/// The redelivery class of a command of this verb, unless its planner knows better.
#[must_use]
pub const fn default_redelivery(verb: Verb) -> Redelivery {
    match verb {
        // A question that was lost is asked again.
        Verb::Get | Verb::Replace | Verb::Delete | Verb::Alert => Redelivery::Repeat,
        Verb::Add | Verb::Copy => Redelivery::ProbeFirst,
        Verb::Exec | Verb::Atomic | Verb::Sequence => Redelivery::AtMostOnce,
    }
}

macro_rules! causes {
    ($($(#[$doc:meta])* $variant:ident = $text:literal),+ $(,)?) => {
        /// Why a command is in its state.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Cause { $($(#[$doc])* $variant),+ }

        impl Cause {
            /// Every cause.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The stable spelling: what a row stores and the API shows.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }
    };
}

causes! {
    /// The device answered with success.
    Done = "done",
    /// Accepted with 202; an alert will tell.
    Accepted = "accepted",
    /// An Add that was sent again and found its node there (418).
    AlreadyThere = "already-there",
    /// A Delete that was sent again and found its node gone (404).
    AlreadyGone = "already-gone",
    /// A probe found its effect.
    FoundByProbe = "found-by-probe",
    /// A probe did not find its effect: it goes out again.
    NotFoundByProbe = "not-found-by-probe",
    /// A probe could not tell.
    ProbeUnclear = "probe-unclear",
    /// Some items succeeded and some did not.
    PartlyDone = "partly-done",
    /// The alert of a 202 command told a failure.
    FailedLater = "failed-later",
    /// No alert came for a 202 command in time.
    NoCompletion = "no-completion",
    /// The session ended without its Status.
    SessionLost = "session-lost",
    /// The device completed its package without its Status.
    NotAnswered = "not-answered",
    /// Sent too often without an answer.
    SentTooOften = "sent-too-often",
    /// The device does not take our credentials and executed nothing.
    ServerCredentials = "server-credentials",
    /// Larger than any message that the device takes.
    TooLargeForMessage = "too-large-for-message",
    /// Larger than the device's MaxObjSize.
    TooLargeForDevice = "too-large-for-device",
    /// The value that the device holds is larger than what this server takes (413, or a chunked object).
    ObjectTooLarge = "object-too-large",
    /// Fewer or more octets came than Size had said (424).
    SizeMismatch = "size-mismatch",
    /// Something else came before the last chunk (1225).
    ObjectBrokenOff = "object-broken-off",
    /// All unfinished objects together are larger than this server holds.
    SpoolFull = "spool-full",
    /// The device took the first chunk for the whole value: a part of it stands at the node (LD-19).
    NoLargeObjects = "no-large-objects",
    /// The Atomic failed and the device took back what it had done (507, 216).
    RolledBack = "rolled-back",
    /// The Atomic failed and the device could not take back what it had done (516).
    RollbackFailed = "rollback-failed",
    /// Some of an Atomic failed and the device did not take the rest back (LD-17).
    NotRolledBack = "not-rolled-back",
    /// The answer to the Atomic does not fit a message of the device (517).
    AtomicTooLarge = "atomic-too-large",
    /// No such node (404).
    NotFound = "not-found",
    /// The node does not allow the command (405).
    NotAllowed = "not-allowed",
    /// The device does not have the feature (406, 501).
    NotSupported = "not-supported",
    /// Access control denies it (425).
    PermissionDenied = "permission-denied",
    /// The node cannot be modified (403).
    Forbidden = "forbidden",
    /// The node is there already (418).
    AlreadyExists = "already-exists",
    /// The device is full (420).
    DeviceFull = "device-full",
    /// The URI is too long or too deep (414).
    UriTooLong = "uri-too-long",
    /// Type or format is not supported (415).
    BadFormat = "bad-format",
    /// The command is incomplete or malformed in the device's eyes (400, 412).
    BadRequest = "bad-request",
    /// The device's metadata do not have it, or it failed inside (500 and other 5xx).
    DeviceError = "device-error",
    /// The user said no (304), cancelled (214) or did not answer (408).
    RefusedByUser = "refused-by-user",
    /// Not executed because something before it was cancelled (215), or rolled back (216).
    NotExecuted = "not-executed",
    /// The device buffered a chunk (213) although none was sent.
    UnexpectedChunk = "unexpected-chunk",
    /// A status that means nothing: 0, or a code that no document names.
    UnknownStatus = "unknown-status",
    /// Its deadline passed.
    DeadlinePassed = "deadline-passed",
    /// A person took it back.
    TakenBack = "taken-back",
    /// A later operation made it pointless.
    Overtaken = "overtaken",
    /// The enrolment was retired.
    Retired = "retired",
    /// The device was enrolled anew: a new generation receives nothing of the old queue.
    Superseded = "superseded",
    /// A person resolved it.
    ResolvedByPerson = "resolved-by-person",
}

/// What a status code says of one item of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is done.
    Success(Cause),
    /// It failed.
    Failure(Cause),
    /// An alert will tell.
    Later,
    /// The device refused our credentials (401, 407): it was not executed.
    Credentials,
}

/// What `code` means for a command of `verb` that was sent `sends` times.
#[must_use]
pub const fn judge(verb: Verb, code: u32, sends: u32) -> Verdict {
    let again = sends > 1;
    match (code, verb) {
        (202, Verb::Exec) => Verdict::Later,
        (213, _) => Verdict::Failure(Cause::UnexpectedChunk),
        (200..=212, _) => Verdict::Success(Cause::Done),
        (418, Verb::Add) if again => Verdict::Success(Cause::AlreadyThere),
        (404, Verb::Delete) if again => Verdict::Success(Cause::AlreadyGone),
        (401 | 407, _) => Verdict::Credentials,
        (413, Verb::Get) => Verdict::Failure(Cause::ObjectTooLarge),
        (code, _) => Verdict::Failure(match code {
            214 | 304 | 408 => Cause::RefusedByUser,
            215 | 216 => Cause::NotExecuted,
            400 | 412 => Cause::BadRequest,
            403 => Cause::Forbidden,
            404 | 410 => Cause::NotFound,
            405 => Cause::NotAllowed,
            406 | 501 => Cause::NotSupported,
            411 | 413 | 416 => Cause::TooLargeForDevice,
            424 => Cause::SizeMismatch,
            414 => Cause::UriTooLong,
            415 => Cause::BadFormat,
            418 => Cause::AlreadyExists,
            420 => Cause::DeviceFull,
            425 => Cause::PermissionDenied,
            500 | 502..=517 => Cause::DeviceError,
            _ => Cause::UnknownStatus,
        }),
    }
}
