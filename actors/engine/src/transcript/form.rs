//! How a transcript writes what the engine is given: octets as text where they are text, else as base64.

use postern_wire::{
    auth::{self, HmacHeader},
    syncml::Data,
    terms::{AuthType, Dialect, EnrolmentId, EnrolmentState, ProofClass, UtcMillis},
};
use secrecy::SecretString;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use super::{PASSWORD, SERVER_PASSWORD, rekey};
use crate::{
    account::{Account, Credential, Peer, PeerCertificate, Quirks, ServerAccount, ServerScheme, Signature},
    effect::Reply,
    nonce::NonceKey,
    session::{Session, SessionConfig},
    spool::Spool,
};

/// What stands before base64.
const BASE64: &str = "base64:";
/// The key of a transcript's nonces.
const NONCE_KEY: [u8; 32] = *b"a transcript's own key of nonces";

/// Octets: text as it is, anything else as `base64:…`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Octets(pub Vec<u8>);

impl Serialize for Octets {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(&self.0) {
            Ok(text) if !text.starts_with(BASE64) && !text.chars().any(is_odd) => {
                serializer.serialize_str(text)
            }
            _ => serializer.serialize_str(&format!("{BASE64}{}", auth::encode_base64(&self.0))),
        }
    }
}

fn is_odd(character: char) -> bool {
    character.is_control() && !matches!(character, '\n' | '\r' | '\t')
}

impl<'de> Deserialize<'de> for Octets {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.strip_prefix(BASE64) {
            None => Ok(Self(text.into_bytes())),
            Some(packed) => {
                auth::decode_base64(packed).map(Self).ok_or_else(|| D::Error::custom("this is not base64"))
            }
        }
    }
}

/// Octets of a fixed number.
pub(crate) mod array {
    use super::{Deserialize, Deserializer, Octets, Serialize, Serializer, auth};
    use serde::de::Error as _;

    pub(crate) fn serialize<S: Serializer>(octets: &[u8; 32], serializer: S) -> Result<S::Ok, S::Error> {
        format!("{}{}", super::BASE64, auth::encode_base64(octets)).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[u8; 32], D::Error> {
        let Octets(octets) = Octets::deserialize(deserializer)?;
        octets.try_into().map_err(|_| D::Error::custom("these are not 32 octets"))
    }
}

/// The content of a Data element.
pub(crate) mod data {
    use super::{Data, Deserialize, Deserializer, Octets, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "kebab-case")]
    enum Form {
        Text(String),
        Binary(Octets),
        Markup(String),
    }

    #[expect(clippy::ref_option, reason = "serde calls it with the field")]
    pub(crate) fn serialize<S: Serializer>(data: &Option<Data>, serializer: S) -> Result<S::Ok, S::Error> {
        let form = data.clone().map(|data| match data {
            Data::Text(text) => Form::Text(text),
            Data::Binary(octets) => Form::Binary(Octets(octets)),
            Data::Markup(markup) => Form::Markup(markup),
        });
        form.serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Data>, D::Error> {
        Ok(Option::<Form>::deserialize(deserializer)?.map(|form| match form {
            Form::Text(text) => Data::Text(text),
            Form::Binary(Octets(octets)) => Data::Binary(octets),
            Form::Markup(markup) => Data::Markup(markup),
        }))
    }
}

/// An enrolment without its secrets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields of Account, which documents them")]
pub struct AccountForm {
    pub enrolment: EnrolmentId,
    pub state: EnrolmentState,
    pub device_id: String,
    pub auth: AuthType,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<ServerForm>,
    pub floor: ProofClass,
    pub dialect: Dialect,
    #[serde(default)]
    pub quirks: Quirks,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resync_until: Option<UtcMillis>,
    pub nonce_counter: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_info: Option<Octets>,
}

/// What the server proves itself with, without its password.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields of ServerAccount, which documents them")]
pub struct ServerForm {
    pub server_id: String,
    pub scheme: ServerScheme,
    pub nonce: Octets,
}

impl AccountForm {
    /// The enrolment of a session. `foreign` is whether it is a true one, whose nonces are to be put in others.
    pub(super) fn of(session: &Session, foreign: bool) -> Self {
        let account = session.account();
        let nonce = |nonce: &[u8]| if foreign { rekey::nonce(nonce) } else { nonce.to_vec() };
        let server = account.server.as_ref().map(|server| ServerForm {
            server_id: server.server_id.clone(),
            scheme: server.scheme,
            nonce: Octets(nonce(&server.nonce)),
        });
        Self {
            enrolment: account.enrolment,
            state: account.state,
            device_id: account.device_id.clone(),
            auth: account.auth,
            user: account.credential.as_ref().map(|credential| credential.user.clone()),
            server,
            floor: account.floor,
            dialect: account.dialect,
            quirks: session.base_quirks(),
            resync_until: account.resync_until,
            nonce_counter: account.nonce_counter,
            device_info: account.device_info.map(|digest| Octets(digest.to_vec())),
        }
    }

    /// The enrolment with the secrets of transcripts.
    #[must_use]
    pub fn account(&self) -> Account {
        let credential = self.user.as_ref().map(|user| Credential {
            user: user.clone(),
            hash: SecretString::from(auth::user_password_hash(user, PASSWORD)),
        });
        let server = self.server.as_ref().map(|server| ServerAccount {
            server_id: server.server_id.clone(),
            password: SecretString::from(SERVER_PASSWORD),
            scheme: server.scheme,
            nonce: server.nonce.0.clone(),
        });
        Account {
            enrolment: self.enrolment,
            state: self.state,
            device_id: self.device_id.clone(),
            auth: self.auth,
            credential,
            // A transcript knows one secret: a session in which a device turned to its next one shows that difference.
            next: None,
            server,
            floor: self.floor,
            dialect: self.dialect,
            quirks: self.quirks,
            resync_until: self.resync_until,
            nonce_key: NonceKey::new(NONCE_KEY),
            nonce_counter: self.nonce_counter,
            device_info: self.device_info.as_ref().and_then(|digest| digest.0.clone().try_into().ok()),
        }
    }
}

/// The limits of sessions, those of the decoder apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields of SessionConfig, which documents them")]
pub struct LimitsForm {
    pub idle_ms: i64,
    pub repeat_ms: i64,
    pub repeats: u32,
    pub attempts: u32,
    pub server_attempts: u32,
    pub sends: u32,
    pub unfinished: u32,
    pub reply_octets: u64,
    pub largest_reply_octets: u64,
    pub max_msg_size: u64,
    pub max_obj_size: u64,
    pub completion_ms: i64,
}

impl LimitsForm {
    pub(super) const fn of(config: &SessionConfig) -> Self {
        Self {
            idle_ms: config.idle_ms,
            repeat_ms: config.repeat_ms,
            repeats: config.repeats,
            attempts: config.attempts,
            server_attempts: config.server_attempts,
            sends: config.sends,
            unfinished: config.unfinished,
            reply_octets: config.reply_octets,
            largest_reply_octets: config.largest_reply_octets,
            max_msg_size: config.max_msg_size,
            max_obj_size: config.max_obj_size,
            completion_ms: config.completion_ms,
        }
    }

    /// A configuration with these limits, and room of its own for unfinished objects.
    #[must_use]
    pub fn config(&self) -> SessionConfig {
        SessionConfig {
            idle_ms: self.idle_ms,
            repeat_ms: self.repeat_ms,
            repeats: self.repeats,
            attempts: self.attempts,
            server_attempts: self.server_attempts,
            sends: self.sends,
            unfinished: self.unfinished,
            reply_octets: self.reply_octets,
            largest_reply_octets: self.largest_reply_octets,
            max_msg_size: self.max_msg_size,
            max_obj_size: self.max_obj_size,
            completion_ms: self.completion_ms,
            spool: Spool::new(self.max_obj_size),
            ..SessionConfig::default()
        }
    }
}

/// What was known of a sender.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields of Peer, which documents them")]
pub struct PeerForm {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<PeerCertificate>,
    #[serde(default)]
    pub signature: Signature,
    /// User name and MAC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hmac: Option<(String, String)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    pub source: String,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub wipe_only: bool,
}

impl PeerForm {
    pub(super) fn of(peer: &Peer) -> Self {
        Self {
            certificate: peer.certificate.clone(),
            signature: peer.signature.clone(),
            hmac: peer.hmac.as_ref().map(|hmac| (hmac.username.clone(), hmac.mac.clone())),
            user_agent: peer.user_agent.clone(),
            source: peer.source.clone(),
            wipe_only: peer.wipe_only,
        }
    }

    pub(super) fn peer(&self) -> Peer {
        Peer {
            certificate: self.certificate.clone(),
            signature: self.signature.clone(),
            hmac: self.hmac.clone().map(|(username, mac)| HmacHeader { username, mac }),
            user_agent: self.user_agent.clone(),
            source: self.source.clone(),
            wipe_only: self.wipe_only,
        }
    }
}

/// What a device got.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum ReplyForm {
    /// A message.
    Message {
        /// Its octets.
        body: Octets,
        /// Content-Type.
        content_type: String,
        /// x-syncml-hmac.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        hmac: Option<String>,
        /// Whether the session is over with it.
        close: bool,
    },
    /// A refusal below SyncML.
    Refuse {
        /// HTTP status.
        status: u16,
        /// The slug of its reason.
        reason: String,
    },
}

impl ReplyForm {
    pub(super) fn of(reply: &Reply) -> Self {
        match reply {
            Reply::Message { body, content_type, hmac, close } => Self::Message {
                body: Octets(body.clone()),
                content_type: (*content_type).to_owned(),
                hmac: hmac.clone(),
                close: *close,
            },
            Reply::Refuse { status, reason } => {
                Self::Refuse { status: *status, reason: reason.slug().to_owned() }
            }
        }
    }

    pub(super) fn octets(&self) -> usize {
        match self {
            Self::Message { body, .. } => body.0.len(),
            Self::Refuse { .. } => 0,
        }
    }
}
