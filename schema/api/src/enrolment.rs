//! Enrolment over the air: requests with their one-time passwords, the log of attempts, and how devices leave.
//!
//! A password stands in the answer to the request that made it, once; nothing shows it again.

use postern_wire::terms::{AuthType, Dialect, EnrolmentId, RequestState};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{groups::GroupRef, schema, time::Time};

/// Requests that one import may make: each password takes some 10 ms to make.
pub const MOST_IMPORTED: usize = 1_000;

/// Ask for an enrolment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RequestEnrolment {
    /// What the device is to be called.
    pub name: String,
    /// Whose it is to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Groups that it joins, by id or name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// What kind of device is expected; for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// How the device will prove itself. Default: signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::AuthType>)]
    pub auth: Option<AuthType>,
    /// Which family of clients. Default: classic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::Dialect>)]
    pub dialect: Option<Dialect>,
    /// The domain that the e-mail address given at the device has to have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email_domain: Option<String>,
    /// The mark of the hardware that has to come; any when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hardware_id: Option<String>,
    /// The enrolled device that gets a new generation: its id, DevId or name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renews: Option<String>,
    /// Until when the password holds, a minute to 30 days from now; the setting `EnrolmentPasswordLife` says when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Time>,
    /// Why; stands in the audit log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A request for an enrolment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EnrolmentRequest {
    /// Its id.
    pub id: Uuid,
    /// The public part of its password.
    pub code: String,
    /// Where it stands.
    #[schema(value_type = schema::RequestState)]
    pub state: RequestState,
    /// What the device is to be called.
    pub name: String,
    /// Whose it is to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Groups that it joins.
    #[serde(default)]
    pub groups: Vec<GroupRef>,
    /// What kind of device is expected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// How the device will prove itself.
    #[schema(value_type = schema::AuthType)]
    pub auth: AuthType,
    /// The domain that the e-mail address has to have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email_domain: Option<String>,
    /// The mark of the hardware that has to come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hardware_id: Option<String>,
    /// The enrolment that gets a new generation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<uuid::Uuid>)]
    pub renews: Option<EnrolmentId>,
    /// Why it was made.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Who made it.
    pub created_by: String,
    /// When.
    pub created_at: Time,
    /// Until when its password holds.
    pub expires: Time,
    /// Wrong passwords that were tried with its code.
    pub failures: u64,
    /// When the last one was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_failure: Option<Time>,
    /// From which address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_failure_source: Option<String>,
    /// When it was used, cancelled, locked or expired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Time>,
    /// By whom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_by: Option<String>,
    /// Why it is where it is.
    pub cause: String,
    /// The enrolment that came of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<uuid::Uuid>)]
    pub enrolment: Option<EnrolmentId>,
    /// Its generation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u32>,
}

/// A request that was made, with its password.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RequestedEnrolment {
    /// The request.
    pub request: EnrolmentRequest,
    /// Its one-time password: `CCCCC-SSSS-SSSS-SSSS-SSSS`. Shown this once.
    #[schema(format = Password)]
    pub password: String,
    /// Where the device goes: `HOST[:PORT]`.
    pub server: String,
}

/// Ask for many enrolments.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ImportEnrolments {
    /// The requests, at most [`MOST_IMPORTED`].
    pub requests: Vec<RequestEnrolment>,
    /// Make all of them or none. Default: those that can be made.
    #[serde(default)]
    pub all_or_none: bool,
}

/// What became of one of many.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ImportedEnrolment {
    /// Its place in the import, from 0.
    pub index: usize,
    /// The request that was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made: Option<RequestedEnrolment>,
    /// Why none was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

/// What became of many.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ImportedEnrolments {
    /// How many were made.
    pub made: usize,
    /// How many were refused.
    pub refused: usize,
    /// Each, in the order of the import.
    pub items: Vec<ImportedEnrolment>,
}

/// Which requests a list shows: query parameters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnrolmentRequestQuery {
    /// In this state; all when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<RequestState>,
    /// For exactly this owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Most items wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// One attempt to enrol, or several equal ones.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EnrolmentAttempt {
    /// Its id.
    pub id: Uuid,
    /// When, the last time.
    pub at: Time,
    /// The request that it named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Uuid>,
    /// The door that it came by.
    pub door: String,
    /// How far it had come: `start`, `finish`, or `again` (the answer was given once more).
    pub step: String,
    /// `ok` or `refused`.
    pub outcome: String,
    /// The reason's slug.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// What there is to say of it. May hold text from outside: escape it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// From which address.
    pub source: String,
    /// Through which gateway.
    pub gateway: String,
    /// The enrolment that came of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<uuid::Uuid>)]
    pub enrolment: Option<EnrolmentId>,
    /// How often.
    pub count: u64,
}

/// Which attempts a list shows: query parameters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnrolmentLogQuery {
    /// Of this request: its id or code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
    /// Most items wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// Have a device leave.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UnenrolDevice {
    /// Retire it at once, told or not.
    #[serde(default)]
    pub now: bool,
    /// Why; stands in the audit log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Decide on a device in quarantine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DecideQuarantine {
    /// Why; stands in the audit log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Where an enrolment's life stands beside its state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeviceLife {
    /// The door that it came by: `hand`, `air`, `windows`.
    pub door: String,
    /// The request that it came with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Uuid>,
    /// `managed`, `quiet` (overdue) or `stale` (about to lose its enrolment by its silence).
    pub standing: String,
    /// Since when.
    pub standing_since: Time,
    /// Of one in quarantine: the enrolment that has the same DevId or hardware.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<uuid::Uuid>)]
    pub twin: Option<EnrolmentId>,
    /// On its way out: `ordered` (it is told), `refused` (it was told and did not), `asked` (it said that it leaves).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leaving: Option<String>,
    /// Why it leaves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leaving_because: Option<String>,
    /// Since when it is on its way out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leaving_since: Option<Time>,
    /// The renewal of its certificate: `none`, `due` (its model cannot be told), `asked`, `issued`, `taken`.
    pub renewal: String,
    /// Since when the renewal is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renewal_since: Option<Time>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renewal_because: Option<String>,
    /// How often it was begun.
    #[serde(default)]
    pub renewal_tries: u32,
}
