//! Notifications (package 0), where devices are reached, and bootstrap documents.

use postern_wire::terms::NotificationState;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{schema, time::Time};

/// Where a device is reached when it holds no connection.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PushAddress {
    /// Its telephone number in international form (`+15550100001`); none for a device that only listens at a gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<String>,
    /// The bearer that is tried first: `listen`, `pap` or `smpp`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bearer: Option<String>,
}

/// Ask a device to open a session.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NotifyDevice {
    /// The only bearer that is taken: `listen`, `pap` or `smpp`. Without it: each in turn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bearer: Option<String>,
    /// The digest bears the default nonce, for a device whose nonces have been lost.
    #[serde(default)]
    pub resync: bool,
    /// Why; stands in the audit log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A notification: one job, sent again until a session answers it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Notification {
    /// Its id.
    pub id: Uuid,
    /// The SessionID that it asks for, in hexadecimal digits as the device repeats it.
    pub session_id: String,
    /// Where it stands.
    #[schema(value_type = schema::NotificationState)]
    pub state: NotificationState,
    /// Why, in a word.
    pub cause: String,
    /// The admin that asked for it; none when queued commands did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked_by: Option<String>,
    /// The bearer of the last attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bearer: Option<String>,
    /// Attempts so far.
    pub attempts: u32,
    /// When it was made.
    pub created_at: Time,
    /// When it is tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_at: Option<Time>,
    /// When it is worth nothing any more.
    pub expires_at: Time,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Time>,
    /// The session that answered it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<Uuid>,
    /// What happened to it, in order.
    pub steps: Vec<NotificationStep>,
}

/// One step in the life of a notification.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct NotificationStep {
    /// When.
    pub at: Time,
    /// The state after it.
    #[schema(value_type = schema::NotificationState)]
    pub state: NotificationState,
    /// What happened.
    pub cause: String,
    /// The bearer that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bearer: Option<String>,
    /// The bearer's name of the push.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
}

/// Where a device is reached, and its last notifications.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DeviceNotifications {
    /// Where it is reached; none when nobody said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<PushAddress>,
    /// The newest first, at most 20.
    pub notifications: Vec<Notification>,
}

/// Which bootstrap document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum BootstrapProfile {
    /// OMA CP: a provisioning document with a w7 application.
    Cp,
    /// The DM profile: a DM message with the account as a tree.
    Dm,
}

/// How a bootstrap proves where it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum BootstrapSecurity {
    /// By a PIN that the user knows.
    UserPin,
    /// By the subscriber's identity.
    NetwPin,
    /// By both.
    UserNetwPin,
    /// Not at all: only for a document that is not pushed.
    None,
}

/// What becomes of a bootstrap document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum BootstrapTo {
    /// It is in the answer.
    File,
    /// It goes by short message (SMPP).
    Sms,
    /// It goes through the push proxy gateway (PAP).
    Pap,
}

/// Make a bootstrap document.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MakeBootstrap {
    /// Which document.
    pub profile: BootstrapProfile,
    /// How it proves where it comes from.
    pub security: BootstrapSecurity,
    /// The PIN, with userpin and usernetwpin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(format = Password)]
    pub pin: Option<String>,
    /// The IMSI, with netwpin and usernetwpin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub imsi: Option<String>,
    /// What becomes of it.
    pub to: BootstrapTo,
    /// What the user sees as the account's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Why; stands in the audit log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A PIN and an IMSI are secrets: Debug shows that they are there, no more.
impl std::fmt::Debug for MakeBootstrap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MakeBootstrap")
            .field("profile", &self.profile)
            .field("security", &self.security)
            .field("pin", &self.pin.is_some())
            .field("imsi", &self.imsi.is_some())
            .field("to", &self.to)
            .finish_non_exhaustive()
    }
}

/// A bootstrap that was made.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Bootstrap {
    /// The document's Content-Type, with SEC and MAC.
    pub content_type: String,
    /// The document, base64; only when it was not pushed. It holds the device's credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document_base64: Option<String>,
    /// The bearer that it was given to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bearer: Option<String>,
    /// The bearer's name of the push.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
}

/// The document holds secrets.
impl std::fmt::Debug for Bootstrap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bootstrap")
            .field("bearer", &self.bearer)
            .field("reference", &self.reference)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_and_a_document_never_stand_in_a_debug_output() {
        let asked = MakeBootstrap {
            profile: BootstrapProfile::Cp,
            security: BootstrapSecurity::UserPin,
            pin: Some("73519".to_owned()),
            imsi: Some("244121234567890".to_owned()),
            to: BootstrapTo::File,
            name: None,
            reason: None,
        };
        let made = Bootstrap {
            content_type: "a/b; SEC=USERPIN; MAC=FF73519".to_owned(),
            document_base64: Some("NzM1MTk=".to_owned()),
            bearer: None,
            reference: None,
        };
        let shown = format!("{asked:?} {made:?}");
        for secret in ["73519", "24412", "NzM1"] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
}
