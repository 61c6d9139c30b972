//! `[notifications]`: how devices that hold no connection are asked to come. `[push]`: the bearers to telephone numbers.

use postern_actors::NotificationRules as Rules;
use postern_adapters::{pap::PapConfig, smpp::SmppConfig};
use serde::{Deserialize, Serialize};

/// `[notifications]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "each key is documented in KEYS, where the operator reads it")]
pub struct Notifications {
    pub automatic: bool,
    pub per_minute: u32,
    pub gather_s: u32,
    pub apart_s: u32,
    pub first_wait_s: u32,
    pub longest_wait_s: u32,
    pub listen_wait_s: u32,
    pub attempts: u32,
    pub valid_s: u32,
}

impl Default for Notifications {
    fn default() -> Self {
        let rules = Rules::default();
        let seconds = |ms: i64| u32::try_from(ms / 1_000).unwrap_or(u32::MAX);
        Self {
            automatic: true,
            per_minute: 600,
            gather_s: seconds(rules.gather_ms),
            apart_s: seconds(rules.apart_ms),
            first_wait_s: seconds(rules.first_wait_ms),
            longest_wait_s: seconds(rules.longest_wait_ms),
            listen_wait_s: seconds(rules.listen_wait_ms),
            attempts: u32::try_from(rules.attempts).unwrap_or(u32::MAX),
            valid_s: seconds(rules.valid_ms),
        }
    }
}

impl Notifications {
    /// What the rules make of it.
    #[must_use]
    pub fn rules(&self) -> Rules {
        let ms = |seconds: u32| i64::from(seconds) * 1_000;
        Rules {
            gather_ms: ms(self.gather_s),
            first_wait_ms: ms(self.first_wait_s.max(1)),
            longest_wait_ms: ms(self.longest_wait_s.max(self.first_wait_s).max(1)),
            listen_wait_ms: ms(self.listen_wait_s.max(1)),
            attempts: i64::from(self.attempts.max(1)),
            valid_ms: ms(self.valid_s.max(1)),
            apart_ms: ms(self.apart_s),
        }
    }
}

/// `[push]`: a bearer without a section of its own is not set up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Push {
    /// `[push.pap]`: a push proxy gateway.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pap: Option<PapConfig>,
    /// `[push.smpp]`: a short-message centre.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub smpp: Option<SmppConfig>,
}
