//! Getting an event out of the house: one trait, whether by mail, webhook, syslog or stream.

use std::time::Duration;

use futures_util::future::BoxFuture;
use postern_engine::mail::letter::{Letter, Templates};
use postern_wire::terms::{Channel, EventKind, UtcMillis};
use serde_json::Value;
use uuid::Uuid;

/// Carries events to one far end: a mail server, another system's webhook, a syslog server, a file.
///
/// A carrier tries once and says how it went; when to try again is its caller's business. It bounds its own waits.
pub trait Carrier: Send + Sync + 'static {
    /// By what it carries.
    fn channel(&self) -> Channel;

    /// Its name where there may be several of its channel; none for the mail server, which takes mail to anybody.
    fn name(&self) -> Option<&str>;

    /// Carries one event. When this returns what the far end said, the far end has taken it for good.
    fn carry(&self, parcel: Parcel) -> BoxFuture<'_, Result<String, CarryError>>;

    /// Goes as far as it can without sending anything, and says how far that was.
    fn probe(&self) -> BoxFuture<'_, Result<String, CarryError>>;
}

/// One event to one target.
#[derive(Clone, Debug, PartialEq)]
pub struct Parcel {
    /// The event.
    pub event: Uuid,
    /// What happened.
    pub kind: EventKind,
    /// What it is about.
    pub subject: String,
    /// To whom: an e-mail address, or the carrier's own name.
    pub target: String,
    /// The same with each try, so that a far end can drop the second one.
    pub message_id: String,
    /// When it happened.
    pub at: UtcMillis,
    /// When this try begins.
    pub now: UtcMillis,
    /// The event as other systems read it: a JSON object, the same with each try.
    pub document: Value,
    /// The event as people read it; only for mail.
    pub letter: Option<Letter>,
}

/// Why the far end did not take an event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CarryError {
    /// This one may go later.
    #[error("{reason}")]
    Later {
        /// Why, for people; holds no secret.
        reason: String,
        /// How long the far end asks to be left alone.
        after: Option<Duration>,
    },
    /// None can go now: the far end is not reached, or does not let us in.
    #[error("{0}")]
    Closed(String),
    /// This one never goes.
    #[error("{0}")]
    Never(String),
}

/// The templates of letters, as an operator has them now.
pub trait LetterTemplates: Send + Sync + 'static {
    /// Those for a kind of event; what is not there is built in.
    fn of(&self, kind: EventKind) -> Templates;
}

/// Only the built-in ones.
#[derive(Clone, Copy, Debug, Default)]
pub struct BuiltInTemplates;

impl LetterTemplates for BuiltInTemplates {
    fn of(&self, _: EventKind) -> Templates {
        Templates::default()
    }
}
