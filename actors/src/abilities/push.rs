//! Getting a push to a device that holds no connection: one trait, whatever the bearer.

use std::{fmt, time::Duration};

use futures_util::future::BoxFuture;
use postern_wire::{push::Push, terms::UtcMillis};
use tokio::sync::mpsc;
use uuid::Uuid;

/// Carries pushes to devices: a push proxy gateway, a short-message centre, the gateways' listening channel.
///
/// A bearer tries once and says how it went; when to try again is its caller's business. It bounds its own waits.
pub trait PushBearer: Send + Sync + 'static {
    /// The name that orders, logs and settings know it by: `pap`, `smpp` …
    fn name(&self) -> &str;

    /// Hands one push over. When this returns, the bearer's far end has taken it (which does not say that the
    /// device got it) or has not.
    fn push(&self, order: PushOrder) -> BoxFuture<'_, Result<PushReceipt, PushError>>;
}

/// One push to one device.
#[derive(Clone, PartialEq, Eq)]
pub struct PushOrder {
    /// Ours. The same push tried again keeps it, so that a far end can drop the second one.
    pub id: Uuid,
    /// The device's address on the bearer: its telephone number, in international form with or without `+`.
    pub to: String,
    /// What is pushed.
    pub content: Push,
    /// When it is worth nothing any more; the far end is told.
    pub valid_until: UtcMillis,
}

/// A telephone number belongs to a person: Debug shows its last three digits.
impl fmt::Debug for PushOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PushOrder")
            .field("id", &self.id)
            .field("to", &masked(&self.to))
            .field("content", &self.content)
            .field("valid_until", &self.valid_until)
            .finish()
    }
}

/// A telephone number as a log may hold it: its last three characters.
#[must_use]
pub fn masked(number: &str) -> String {
    let characters = number.chars().count();
    format!("…{}", number.chars().skip(characters.saturating_sub(3).max(1)).collect::<String>())
}

/// The far end took a push.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushReceipt {
    /// The far end's name of it: a [`PushReport`] bears the same.
    pub reference: String,
    /// Whether a [`PushReport`] is to be expected.
    pub reported: bool,
}

/// Why the far end did not take a push.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PushError {
    /// It may go later.
    #[error("{reason}")]
    Retry {
        /// Why, for people; holds no secret and no whole telephone number.
        reason: String,
        /// How long the far end asks to be left alone.
        after: Option<Duration>,
    },
    /// The same push will never go.
    #[error("{reason}")]
    Refused {
        /// Why, for people; holds no secret and no whole telephone number.
        reason: String,
    },
}

impl PushError {
    /// A failure that may pass.
    #[must_use]
    pub fn retry(reason: impl Into<String>) -> Self {
        Self::Retry { reason: reason.into(), after: None }
    }

    /// A failure that stays.
    #[must_use]
    pub fn refused(reason: impl Into<String>) -> Self {
        Self::Refused { reason: reason.into() }
    }
}

/// What became of a push that the far end had taken. It may be read before [`PushBearer::push`] has returned the
/// receipt, and may bear a reference that this process never gave: of an earlier one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushReport {
    /// The bearer that carried it.
    pub bearer: String,
    /// [`PushReceipt::reference`].
    pub reference: String,
    /// How it ended.
    pub outcome: PushOutcome,
}

/// How a push ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PushOutcome {
    /// The device has it.
    Delivered,
    /// It will never have it.
    Failed(String),
}

/// Where bearers send their reports to. It is bounded: a bearer waits when nobody reads.
pub type PushReports = mpsc::Sender<PushReport>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_telephone_number_is_never_shown_whole() {
        for (number, shown) in [("+15550100001", "…001"), ("12", "…2"), ("", "…"), ("1234", "…234")] {
            assert_eq!(masked(number), shown);
        }
        let order = PushOrder {
            id: Uuid::nil(),
            to: "+15550100001".to_owned(),
            content: Push::notification(vec![0; 30]),
            valid_until: UtcMillis(0),
        };
        assert!(!format!("{order:?}").contains("5550100"));
    }
}
