//! Gateways in other hands: since when, whose sessions they carried, and how far what is done about it has come.

use postern_wire::terms::{EnrolmentId, ProofClass};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{schema, time::Time};

/// Declare that a gateway is in other hands. It is never dialed again, its certificates are revoked, and the secrets and
/// readings of the devices whose sessions it carried since then are renewed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DeclareCompromised {
    /// Since when it may have been; not in the future.
    pub since: Time,
    /// Why, 1 to 1,000 characters.
    pub reason: String,
}

/// A gateway in other hands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Compromised {
    /// Its name.
    pub gateway: String,
    /// Since when it is held to have been.
    pub since: Time,
    /// When that was declared.
    pub declared_at: Time,
    /// By whom.
    pub declared_by: String,
    /// Why.
    pub reason: String,
    /// Certificates of it that were revoked: of its link port and its device port.
    pub certificates_revoked: u64,
    /// Devices whose sessions it carried since then.
    pub devices: u64,
    /// Their secrets.
    pub rotation: CaptureProgress,
    /// What they reported.
    pub reading: CaptureProgress,
    /// Whether all that the core can do is done.
    pub finished: bool,
}

/// How many devices stand where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CaptureProgress {
    /// To be done.
    pub wanted: u64,
    /// On its way to the device.
    pub ordered: u64,
    /// Done.
    pub done: u64,
    /// Nothing has to be done.
    pub not_needed: u64,
    /// The core cannot do it; each device says why.
    pub impossible: u64,
}

/// One device whose sessions a gateway in other hands carried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CompromisedDevice {
    /// Its enrolment.
    #[schema(value_type = Uuid)]
    pub id: EnrolmentId,
    /// Its name, as long as it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The weakest proof among these sessions: what the gateway could do with them.
    #[schema(value_type = schema::ProofClass)]
    pub proof_class: ProofClass,
    /// Sessions that are known.
    pub sessions: u64,
    /// The last of them.
    pub last_session_at: Time,
    /// Its secret: `wanted`, `ordered`, `done`, `not-needed` or `impossible`.
    pub rotation: String,
    /// Why it stands so.
    pub rotation_because: String,
    /// The operation that tells it a new one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotation_operation: Option<Uuid>,
    /// What it reported: as `rotation`.
    pub reading: String,
    /// Why it stands so.
    pub reading_because: String,
    /// The operation that reads it again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reading_operation: Option<Uuid>,
}
