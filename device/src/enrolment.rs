//! The enrolment file: everything a device is told when it is enrolled, as JSON.
//!
//! Promise: secrets never show in Debug; an unknown field is ignored (a newer core may say more); what is missing
//! or contradictory for the enrolment's way of authentication is refused with the field's name.

pub mod air;
mod folder;
pub(crate) mod identity;
mod kept;
mod object;

use std::{fmt, fs, path::Path, sync::Arc};

use postern_wire::{
    auth::user_password_hash,
    enrol::RequestCode,
    recovery::EscrowKey,
    terms::{AuthType, EnrolmentId, UtcMillis},
};
use rustls_pki_types::CertificateDer;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize, Serializer};
use zeroize::Zeroizing;

pub use folder::{EnrolmentFolder, FolderError, key_made_by_hand};
pub use identity::{BadIdentity, NextIdentity};
pub use kept::KeptIdentity;
pub use object::{BadAccount, DMACC, FirstNonces, ROOT as ACCOUNTS};

use crate::{
    keys::{KeyError, SigningKey, VerifyingKey},
    origin::{BadServerUri, ServerUri},
};

/// An enrolment file as written by the core.
#[derive(Clone, Deserialize, Serialize)]
pub struct Enrolment {
    /// `https://host[:port]/dm/1/<route>`.
    pub server_uri: String,
    /// The enrolment's id.
    pub enrolment: EnrolmentId,
    /// Its generation.
    pub generation: u32,
    /// DevId: the Source of every message.
    pub device_id: String,
    /// ServerID: whom the ACLs mean.
    pub server_id: String,
    /// How the device proves itself.
    pub auth: AuthType,
    /// AAuthName of the device; the device id where there is none.
    #[serde(default)]
    pub user: Option<String>,
    /// AAuthSecret of the device (basic, md5).
    #[serde(default, serialize_with = "reveal")]
    pub password: Option<SecretString>,
    /// AAuthSecret of the server, which has to show it when there is one.
    #[serde(default, serialize_with = "reveal")]
    pub server_password: Option<SecretString>,
    /// How the server proves itself with it: `basic`, `md5` or `hmac`; where it is not said, as the device does.
    #[serde(default)]
    pub server_auth: Option<AuthType>,
    /// The device's certificate and its chain (certificate, signed).
    #[serde(default)]
    pub certificate_pem: Option<String>,
    /// The device's private key, where it is not kept in the state folder (simulated fleets).
    #[serde(default, serialize_with = "reveal")]
    pub key_pem: Option<SecretString>,
    /// The CA that the server's certificate must be issued by.
    pub ca_pem: String,
    /// The core's public key for replies (signed).
    #[serde(default)]
    pub message_key_pem: Option<String>,
    /// The core's public key for orders; without it no order is obeyed.
    #[serde(default)]
    pub order_key_pem: Option<String>,
    /// The CAs that a renewed certificate may come from; without them, the issuers in `certificate_pem`.
    #[serde(default)]
    pub device_ca_pem: Option<String>,
    /// The key that recovery passwords are sealed to; without it the device makes none until an order brings one.
    #[serde(default)]
    pub escrow_key: Option<EscrowKey>,
    /// Which one-time password brought it, where one did.
    #[serde(default)]
    pub request: Option<RequestCode>,
    /// From when on the server has the certificate renewed.
    #[serde(default)]
    pub renew_from: Option<UtcMillis>,
}

/// An enrolment that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum EnrolmentError {
    /// The file cannot be read.
    #[error("{file} cannot be read")]
    Unreadable {
        /// Its path.
        file: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Not the JSON of an enrolment.
    #[error("this is not an enrolment file")]
    NotAnEnrolment(#[source] serde_json::Error),
    /// server_uri is not an https URI.
    #[error("server_uri: {0}")]
    ServerUri(#[from] BadServerUri),
    /// A field that this way of authentication needs is missing.
    #[error("auth {auth} needs {field}")]
    Missing {
        /// The way of authentication.
        auth: AuthType,
        /// The field.
        field: &'static str,
    },
    /// A server proves itself by basic, md5 or hmac.
    #[error("server_auth {0} is no way for a server to prove itself")]
    ServerAuth(AuthType),
    /// A key in it cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
}

impl Enrolment {
    /// Reads an enrolment from JSON text.
    pub fn from_json(json: &str) -> Result<Self, EnrolmentError> {
        serde_json::from_str(json).map_err(EnrolmentError::NotAnEnrolment)
    }

    /// The enrolment as JSON, with its secrets: for a file that only the device reads.
    #[must_use]
    pub fn to_json(&self) -> Zeroizing<String> {
        Zeroizing::new(serde_json::to_string(self).expect("an enrolment holds only text and numbers"))
    }

    /// This enrolment with what is new.
    #[must_use]
    pub fn with(mut self, next: &NextIdentity) -> Self {
        if let Some(key) = &next.key_pem {
            self.key_pem = Some(SecretString::from(key.as_str()));
        }
        self.certificate_pem = next.certificate_pem.clone().or(self.certificate_pem);
        self.ca_pem = next.ca_pem.clone().unwrap_or(self.ca_pem);
        self.device_ca_pem = next.device_ca_pem.clone().or(self.device_ca_pem);
        self
    }

    /// The CAs that a renewed certificate may come from.
    fn device_cas(&self) -> Vec<CertificateDer<'static>> {
        let read = |pem: &str| identity::certificates(pem).unwrap_or_default();
        match (&self.device_ca_pem, &self.certificate_pem) {
            (Some(pem), _) => read(pem),
            (None, Some(chain)) => read(chain).into_iter().skip(1).collect(),
            (None, None) => Vec::new(),
        }
    }

    /// Reads an enrolment file.
    pub fn read(file: &Path) -> Result<Self, EnrolmentError> {
        let json = fs::read_to_string(file)
            .map_err(|source| EnrolmentError::Unreadable { file: file.display().to_string(), source })?;
        Self::from_json(&json)
    }
}

impl fmt::Debug for Enrolment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Enrolment")
            .field("enrolment", &self.enrolment)
            .field("generation", &self.generation)
            .field("device_id", &self.device_id)
            .field("auth", &self.auth)
            .finish_non_exhaustive()
    }
}

fn reveal<S: Serializer>(secret: &Option<SecretString>, serializer: S) -> Result<S::Ok, S::Error> {
    secret.as_ref().map(SecretString::expose_secret).serialize(serializer)
}

/// How the server has to prove itself, beyond its TLS certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerProof {
    /// The TLS certificate is enough.
    Tls,
    /// syncml:auth-basic in each package until accepted.
    Basic,
    /// syncml:auth-md5 likewise.
    Md5,
    /// syncml:auth-MAC over each message.
    Hmac,
    /// Each reply is signed by the core's message key.
    Signature,
}

/// Where an account comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// An enrolment file.
    Enrolled,
    /// An object under ./DMAcc.
    Object,
    /// Nowhere: a device that waits for its bootstrap.
    Nobody,
}

/// An enrolment made ready: keys parsed, contradictions refused.
#[derive(Clone, Debug)]
pub struct Account {
    /// Where it comes from.
    pub origin: Origin,
    /// Where to check in.
    pub server: ServerUri,
    /// The enrolment's id.
    pub enrolment: EnrolmentId,
    /// Its generation.
    pub generation: u32,
    /// DevId.
    pub device_id: String,
    /// ServerID.
    pub server_id: String,
    /// How the device proves itself.
    pub auth: AuthType,
    /// How the server proves itself.
    pub server_proof: ServerProof,
    /// The core's key for orders.
    pub order_key: Option<VerifyingKey>,
    /// The core's key for replies.
    pub message_key: Option<VerifyingKey>,
    /// The device's own key.
    pub signing_key: Option<Arc<SigningKey>>,
    /// The CAs that a renewed certificate may come from.
    pub device_cas: Vec<CertificateDer<'static>>,
    user: String,
    password: SecretString,
    server_name: String,
    server_password: SecretString,
}

impl Account {
    /// Makes an enrolment ready. `key_pem` is the device's private key from its state folder, if it has one.
    pub fn new(enrolment: &Enrolment, key_pem: Option<&SecretString>) -> Result<Self, EnrolmentError> {
        let auth = enrolment.auth;
        let missing = |field| EnrolmentError::Missing { auth, field };
        let server_proof = match (auth, &enrolment.server_password) {
            (AuthType::Signed, _) => ServerProof::Signature,
            (_, None) => ServerProof::Tls,
            (_, Some(_)) => match enrolment.server_auth.unwrap_or(auth) {
                AuthType::Basic => ServerProof::Basic,
                AuthType::Md5 | AuthType::Certificate => ServerProof::Md5,
                AuthType::Hmac => ServerProof::Hmac,
                AuthType::Signed => return Err(EnrolmentError::ServerAuth(AuthType::Signed)),
            },
        };
        if matches!(auth, AuthType::Basic | AuthType::Md5 | AuthType::Hmac) && enrolment.password.is_none() {
            return Err(missing("password"));
        }
        let key_pem = key_pem.or(enrolment.key_pem.as_ref());
        if matches!(auth, AuthType::Certificate | AuthType::Signed) {
            enrolment.certificate_pem.as_ref().ok_or_else(|| missing("certificate_pem"))?;
            key_pem.ok_or_else(|| missing("the private key of its certificate (postern-device new-csr)"))?;
        }
        let signing_key = match (auth, key_pem) {
            (AuthType::Signed, Some(pem)) => Some(Arc::new(SigningKey::from_pem(pem.expose_secret())?)),
            _ => None,
        };
        let key = |pem: &Option<String>, what| -> Result<Option<VerifyingKey>, KeyError> {
            pem.as_deref().map(|pem| VerifyingKey::from_pem(pem, what)).transpose()
        };
        let message_key = key(&enrolment.message_key_pem, "message key")?;
        if auth == AuthType::Signed && message_key.is_none() {
            return Err(missing("message_key_pem"));
        }
        Ok(Self {
            origin: Origin::Enrolled,
            server: ServerUri::parse(&enrolment.server_uri)?,
            enrolment: enrolment.enrolment,
            generation: enrolment.generation,
            device_id: enrolment.device_id.clone(),
            server_id: enrolment.server_id.clone(),
            auth,
            server_proof,
            order_key: key(&enrolment.order_key_pem, "order key")?,
            message_key,
            signing_key,
            device_cas: enrolment.device_cas(),
            user: enrolment.user.clone().unwrap_or_else(|| enrolment.device_id.clone()),
            password: enrolment.password.clone().unwrap_or_default(),
            server_name: enrolment.server_id.clone(),
            server_password: enrolment.server_password.clone().unwrap_or_default(),
        })
    }

    /// AAuthName and AAuthSecret of the device.
    pub(crate) fn own_credentials(&self) -> (&str, &str) {
        (&self.user, self.password.expose_secret())
    }

    /// AAuthName and AAuthSecret of the server.
    pub(crate) fn server_credentials(&self) -> (&str, &str) {
        (&self.server_name, self.server_password.expose_secret())
    }

    /// B64(H(server-id:password)), which a notification is made with; `None` without a server's secret.
    pub(crate) fn notification_hash(&self) -> Option<String> {
        let password = self.server_password.expose_secret();
        (!password.is_empty()).then(|| user_password_hash(&self.server_id, password))
    }

    /// Whether either side proves itself by a nonce.
    pub(crate) const fn uses_nonces(&self) -> bool {
        matches!(self.auth, AuthType::Md5 | AuthType::Hmac)
            || matches!(self.server_proof, ServerProof::Md5 | ServerProof::Hmac)
    }

    /// Whether the device proves itself by a secret.
    pub(crate) const fn has_client_secret(&self) -> bool {
        matches!(self.auth, AuthType::Basic | AuthType::Md5 | AuthType::Hmac)
    }

    /// Whether the server does.
    pub(crate) const fn has_server_secret(&self) -> bool {
        matches!(self.server_proof, ServerProof::Basic | ServerProof::Md5 | ServerProof::Hmac)
    }
}
