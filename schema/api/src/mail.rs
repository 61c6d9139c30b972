//! What people and other systems are told of, by mail, webhook, syslog and stream.

use postern_wire::terms::{Channel, DeliveryState, EventKind};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{schema, time::Time};

/// Characters of a reason at most.
pub const REASON: usize = 500;

/// One event on its way to one target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Delivery {
    /// Its id.
    pub id: Uuid,
    /// The event's id; also in the letter, the document and syslog.
    pub event: Uuid,
    /// What happened.
    #[schema(value_type = schema::EventKind)]
    pub kind: EventKind,
    /// What it is about: `wipe:ID`, `approval:ID` …
    pub subject: String,
    /// When it happened.
    pub at: Time,
    /// By what it goes out.
    #[schema(value_type = schema::Channel)]
    pub channel: Channel,
    /// To whom: an address, a webhook's name.
    pub target: String,
    /// The mail's Message-ID or the webhook's id: the same with each try.
    pub message_id: String,
    /// Where it stands.
    #[schema(value_type = schema::DeliveryState)]
    pub state: DeliveryState,
    /// How often it was tried.
    pub attempts: u64,
    /// What the other side said last, or why it waits. Text from outside.
    pub cause: String,
    /// Since when it waits, or waited.
    pub since: Time,
    /// When it is tried next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_at: Option<Time>,
    /// When it was tried last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_at: Option<Time>,
    /// When it was taken or parked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Time>,
    /// The event's facts.
    #[schema(value_type = Object)]
    pub data: Value,
}

/// Which deliveries: query parameters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutboxQuery {
    /// Only these: `waiting`, `held`, `delivered` or `parked`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<DeliveryState>,
    /// Only by this: `mail`, `webhook`, `syslog` or `stream`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<Channel>,
    /// Only events about exactly this: `wipe:ID` …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Most items wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// Have a delivery tried again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RetryDelivery {
    /// Why; stands in the audit log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Also one that another system took already: it goes again with the same id. A mail never does.
    #[serde(default)]
    pub replay: bool,
}

/// Which letter: query parameters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PreviewQuery {
    /// That of this event, in place of an example.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<Uuid>,
}

/// A letter as it would go out now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Preview {
    /// The subject.
    pub subject: String,
    /// Plain text.
    pub text: String,
    /// HTML.
    pub html: String,
    /// What is wrong with templates of your own; the built-in ones took their place.
    pub troubles: Vec<String>,
}

/// Send a test.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TestMail {
    /// To this address; every webhook and stream gets it as well.
    pub to: String,
}

/// What was put into the outbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Told {
    /// What the event is about: ask for the outbox with this `subject`.
    pub subject: String,
}

/// Where a person gets mail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Address {
    /// `admin:ID`, or `owner:NAME` with the name as enrolments have it.
    pub subject: String,
    /// The address.
    pub address: String,
    /// Another one, that is not read on the managed device itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second: Option<String>,
    /// Since when.
    pub at: Time,
    /// Who set it.
    pub set_by: String,
}

/// Set where a person gets mail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PutAddress {
    /// `admin:NAME`, `admin:ID`, or `owner:NAME` with the name as enrolments have it.
    pub subject: String,
    /// The address; none forgets what was set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Another one, that is not read on the managed device itself: it is not held back when the device is lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second: Option<String>,
}

/// Which addresses: query parameters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddressQuery {
    /// Most items wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}
