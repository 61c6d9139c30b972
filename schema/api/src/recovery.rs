//! Recovery passwords: how they stand, and one of them, once, to somebody who may see it.

use postern_wire::terms::{ProofClass, RecoveryCause, RecoveryKind};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{schema, time::Time};

/// Characters of a reason at most.
pub const REASON: usize = 1_000;

/// How a device's recovery password stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeviceRecovery {
    /// The enrolment's id.
    #[schema(value_type = uuid::Uuid)]
    pub device: Uuid,
    /// `awaited`, `held`, `due`, `ordered`, `unable`, or `none` where nothing is known of it.
    pub state: String,
    /// Why it stands there. May hold text from outside: escape it.
    pub because: String,
    /// Since when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
    /// When the next step is due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<Time>,
    /// The passwords that are kept, the newest first.
    pub passwords: Vec<StoredPassword>,
}

/// A sealed password; nothing of what it holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StoredPassword {
    /// Which one, by the device's count.
    pub number: u64,
    /// What is sealed.
    #[schema(value_type = schema::RecoveryKind)]
    pub kind: RecoveryKind,
    /// The enrolment's generation.
    pub generation: u32,
    /// The escrow key that opens it.
    pub key: String,
    /// Why the device made it.
    #[schema(value_type = schema::RecoveryCause)]
    pub cause: RecoveryCause,
    /// How the message that brought it was proved: below `mac` a gateway in other hands could have put its own there.
    #[schema(value_type = schema::ProofClass)]
    pub proof: ProofClass,
    /// When the device made it, by its own clock.
    pub made_at: Time,
    /// When it came.
    pub received_at: Time,
    /// How often it was shown.
    pub shown: u64,
    /// When last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shown_at: Option<Time>,
    /// To whom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shown_by: Option<String>,
}

/// Show a device's recovery password.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ShowRecovery {
    /// Why; the owner is told.
    pub reason: String,
    /// The caller's own password, which is asked for once more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// An earlier one that is kept, by its number; the newest without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<u64>,
}

impl std::fmt::Debug for ShowRecovery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ShowRecovery").field("reason", &self.reason).finish_non_exhaustive()
    }
}

/// A recovery password, open.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ShownRecovery {
    /// The enrolment's id.
    #[schema(value_type = uuid::Uuid)]
    pub device: Uuid,
    /// Which one.
    pub number: u64,
    /// The 20 digits, in groups of five.
    pub password: String,
    /// How the message that brought it was proved.
    #[schema(value_type = schema::ProofClass)]
    pub proof: ProofClass,
    /// When it came.
    pub received_at: Time,
    /// When the device is asked for a new one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renewed_from: Option<Time>,
}

impl std::fmt::Debug for ShownRecovery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ShownRecovery").field("device", &self.device).finish_non_exhaustive()
    }
}

/// Why something is done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RecoveryReason {
    /// In the caller's words.
    pub reason: String,
}

/// How recovery passwords stand altogether.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RecoverySummary {
    /// The escrow keys, the oldest first; the last is in use.
    pub keys: Vec<RecoveryKey>,
    /// How many devices stand at each state.
    pub devices: Vec<RecoveryCount>,
}

/// An escrow key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RecoveryKey {
    /// Its name.
    pub id: String,
    /// 1, 2, 3 …
    pub number: u64,
    /// Whether devices are to seal to it.
    pub current: bool,
    /// When it was made.
    pub made_at: Time,
    /// By whom.
    pub made_by: String,
    /// Devices that last sealed to it.
    pub devices: u64,
    /// Passwords that only it opens.
    pub passwords: u64,
    /// What is wrong with its file, if anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}

/// A state and how many devices stand there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RecoveryCount {
    /// The state.
    pub state: String,
    /// How many.
    pub devices: u64,
}

/// Set one's own password.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetPassword {
    /// The new one: 12 to 256 characters.
    pub password: String,
    /// The one that is set, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<String>,
}

impl std::fmt::Debug for SetPassword {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SetPassword(…)")
    }
}
