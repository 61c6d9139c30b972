//! Devices: enrol, list, show, rename, retire.
//!
//! `{device}` in a path is an enrolment's id, or its DevId, name, hardware id or certificate serial; one that fits several
//! is refused with the list (`ambiguous-device`).

use postern_wire::terms::{AuthType, Dialect, EnrolmentId, EnrolmentState, ProofClass};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{enrolment::DeviceLife, groups::GroupRef, quirks::AppliedProfile, schema, time::Time};

/// Enrol a device by hand.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EnrolDevice {
    /// The DevId that the device gives in DevInfo and in its Source (`urn:uuid:…`, `IMEI:…`).
    pub device_id: String,
    /// How the device will prove itself. Default: md5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::AuthType>)]
    pub auth: Option<AuthType>,
    /// Which family of clients. Default: classic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::Dialect>)]
    pub dialect: Option<Dialect>,
    /// What people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Whose it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// The device's user name; made when absent. Only with basic, md5 and hmac.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The device's password; made when absent. Only with basic, md5 and hmac.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(format = Password)]
    pub password: Option<String>,
    /// Serial number, IMEI or another mark of the hardware; unique among the devices that are not retired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hardware_id: Option<String>,
    /// Why; stands in the audit log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The ServerID that the device knows this server by; the core's configured one when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_id: Option<String>,
    /// The password by which the server proves itself to the device; made when absent. Only with basic, md5 and hmac.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(format = Password)]
    pub server_password: Option<String>,
    /// A PKCS#10 request in PEM: needed with certificate and signed. Only its public key is taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub csr_pem: Option<String>,
    /// A DNS name that its certificate bears beside the enrolment: that of its computer in the directory. Only with a request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dns_name: Option<String>,
    /// Groups that it joins, by id or name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
}

/// The answer to an enrolment. Its secrets are shown this once and never again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Enrolled {
    /// The device as it now stands.
    pub device: Device,
    /// What the device needs; write it to a file that only the device reads.
    pub enrolment: EnrolmentFile,
}

/// What a device needs to reach its server: the file that `postern-device` reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EnrolmentFile {
    /// Where the device connects: `https://HOST[:PORT]/dm/1/<route>`.
    pub server_uri: String,
    /// The enrolment's id.
    #[schema(value_type = uuid::Uuid)]
    pub enrolment: EnrolmentId,
    /// The enrolment's generation, from 1.
    pub generation: u32,
    /// The DevId.
    pub device_id: String,
    /// The ServerID.
    pub server_id: String,
    /// How the device proves itself.
    #[schema(value_type = schema::AuthType)]
    pub auth: AuthType,
    /// The device's user name, with basic, md5 and hmac.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The device's password, with basic, md5 and hmac.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// The server's password, with basic, md5 and hmac.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_password: Option<String>,
    /// The device's certificate and its issuer, when a CSR was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_pem: Option<String>,
    /// The CA of the gateway's certificate.
    pub ca_pem: String,
    /// The key that signs the core's messages to `signed` devices.
    pub message_key_pem: String,
    /// The key that signs destructive orders.
    pub order_key_pem: String,
    /// The key that recovery passwords are sealed to: SubjectPublicKeyInfo in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub escrow_key: Option<String>,
}

/// A device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Device {
    /// The enrolment's id.
    #[schema(value_type = uuid::Uuid)]
    pub id: EnrolmentId,
    /// The enrolment's generation, from 1.
    pub generation: u32,
    /// The DevId. Text from outside: escape it for where you show it.
    pub device_id: String,
    /// What people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Whose it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// A mark of its hardware, where one is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hardware_id: Option<String>,
    /// Where the enrolment stands.
    #[schema(value_type = schema::EnrolmentState)]
    pub state: EnrolmentState,
    /// How the device is to prove itself.
    #[schema(value_type = schema::AuthType)]
    pub auth: AuthType,
    /// How strongly it has proved itself; only rises.
    #[schema(value_type = schema::ProofClass)]
    pub proof_class: ProofClass,
    /// Which family of clients.
    #[schema(value_type = schema::Dialect)]
    pub dialect: Dialect,
    /// When it was enrolled.
    pub created_at: Time,
    /// When it first had an authenticated session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_seen: Option<Time>,
    /// When it last had one; written in batches, so up to some seconds late.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_seen: Option<Time>,
    /// From which address it came then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_source: Option<String>,
    /// Through which gateway it came then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_gateway: Option<String>,
    /// Commands queued or sent and not finished.
    pub pending: u64,
    /// The groups that it is in, directly or by nesting.
    #[serde(default)]
    pub groups: Vec<GroupRef>,
    /// Its certificate, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<DeviceCertificate>,
    /// When it was retired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retired_at: Option<Time>,
    /// Why it was retired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retired_because: Option<String>,
    /// Where its life stands: `enrolled` (never seen), `first-session` (its schedule is being set and its configuration
    /// read), `managed`, `retired`, `quarantined` (its hardware is enrolled already: a person has to decide).
    #[serde(default)]
    pub stage: String,
    /// When it is to connect, and what it was told of it; not of a retired one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<DeviceSchedule>,
    /// By which door it came, its silence, its way out and the renewal of its certificate; only when one device is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub life: Option<DeviceLife>,
    /// The quirk profiles that its client matched when it last told DevInfo, and why; only when one device is shown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub profiles: Vec<AppliedProfile>,
    /// What it said of itself (DevInfo and reads); only when one device is shown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub facts: Vec<Fact>,
    /// Changes with every update of the row; the ETag.
    pub revision: u64,
}

/// When a device is to connect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeviceSchedule {
    /// The interval that it is held to.
    pub interval: String,
    /// How much later than that it may come on purpose.
    pub jitter: String,
    /// The interval that the settings want, where it is another one: sent, or to be sent at its next session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wanted: Option<String>,
    /// What it was told: `acknowledged`, `ordered`, `refused`, `expected` (its model knows no node for it: it is held to
    /// the interval and was not told), or `not-yet`.
    pub told: String,
    /// The status that it answered with, when it refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// When it acknowledged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledged_at: Option<Time>,
    /// When it is next expected, at the earliest.
    pub next_expected: Time,
    /// When it is next expected, at the latest; overdue after the grace that follows.
    pub next_expected_until: Time,
    /// Since when it is overdue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overdue_since: Option<Time>,
}

/// A state that a list of devices can be narrowed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StateFilter {
    /// New.
    New,
    /// Managed.
    Managed,
    /// Retired.
    Retired,
    /// In quarantine: its hardware is enrolled already.
    Quarantined,
    /// New or managed, and silent for longer than interval, jitter and grace allow.
    Overdue,
}

impl StateFilter {
    /// Every state.
    pub const ALL: &'static [Self] =
        &[Self::New, Self::Managed, Self::Retired, Self::Quarantined, Self::Overdue];

    /// The stable spelling.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Managed => "managed",
            Self::Retired => "retired",
            Self::Quarantined => "quarantined",
            Self::Overdue => "overdue",
        }
    }

    /// The enrolment's state that it demands; `None` for overdue.
    #[must_use]
    pub const fn state(self) -> Option<EnrolmentState> {
        match self {
            Self::New => Some(EnrolmentState::New),
            Self::Managed => Some(EnrolmentState::Managed),
            Self::Retired => Some(EnrolmentState::Retired),
            Self::Quarantined => Some(EnrolmentState::Quarantined),
            Self::Overdue => None,
        }
    }
}

impl std::str::FromStr for StateFilter {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .iter()
            .copied()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| format!("{text:?} is none of new, managed, retired, quarantined, overdue"))
    }
}

/// A device's certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeviceCertificate {
    /// Serial number in lower-case hex.
    pub serial: String,
    /// SHA-256 of the certificate in lower-case hex.
    pub fingerprint: String,
    /// When it expires, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_after: Option<Time>,
}

/// One thing that a device said of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Fact {
    /// Its name or URI.
    pub key: String,
    /// Its value. Text from a device: escape it for where you show it.
    pub value: String,
    /// When it was read.
    pub at: Time,
}

/// Change a device. A field that is absent stays; `""` clears it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateDevice {
    /// What people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Whose it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// A mark of its hardware.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hardware_id: Option<String>,
}

/// Why something is done; goes into the audit log. A query parameter of DELETE.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReasonQuery {
    /// The reason, in the admin's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Which devices a list shows: query parameters, beside [`crate::page::PageQuery`]'s.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeviceQuery {
    /// In this state; without it, all but the retired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<StateFilter>,
    /// A member of this group, directly or through nested groups; id or name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Owned by exactly this owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// DevId or name contains this text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub q: Option<String>,
    /// Not seen since this time (or never).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen_before: Option<Time>,
    /// With (true) or without (false) pending commands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<bool>,
    /// Most items wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}
