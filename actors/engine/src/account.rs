//! What the engine is told about one enrolment and about the peer that speaks for it.
//!
//! Promise: everything that a session decides on stands here; nothing is looked up while it runs.

use postern_wire::{
    auth::HmacHeader,
    terms::{AuthType, Dialect, EnrolmentId, EnrolmentState, ProofClass, UtcMillis},
};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::nonce::NonceKey;

/// One enrolment, as the actor read it from the store.
#[derive(Clone, Debug)]
pub struct Account {
    /// The enrolment.
    pub enrolment: EnrolmentId,
    /// Where it stands; a retired one gets no session.
    pub state: EnrolmentState,
    /// DevId that SyncHdr's Source names.
    pub device_id: String,
    /// How the device proves itself. Only this scheme is ever asked for (the AOSP/Motorola client ends a session that asks for another), but where a password account
    /// proved itself by MAC once: then its floor is `mac`, and MAC is asked for.
    pub auth: AuthType,
    /// User and password hash, for `basic`, `md5` and `hmac`.
    pub credential: Option<Credential>,
    /// The credential that the device is being told in place of that one: it takes its place with the first session
    /// that proves it ([`crate::effect::Effect::CredentialTurned`]); until then both count.
    pub next: Option<Credential>,
    /// Our own credentials towards the device, if it wants any.
    pub server: Option<ServerAccount>,
    /// The weakest proof that is still accepted; it only rises.
    pub floor: ProofClass,
    /// Which family of clients it belongs to.
    pub dialect: Dialect,
    /// What its model cannot do, as far as it is known beside the profiles; a session adds what they say.
    pub quirks: Quirks,
    /// A trigger with the default nonce was sent to it (OMA-TS-DM_Notification 1.2.1, 5.1): until then one session that answers it (Alert 1200)
    /// may prove itself over that nonce. The account gives it up with [`crate::effect::Effect::Resynchronised`].
    pub resync_until: Option<UtcMillis>,
    /// Key of the client nonces, made when the core started.
    pub nonce_key: NonceKey,
    /// How many client nonces of this key the device has used up; kept by the actor's index while the device is
    /// idle (`Session::nonce_counter`), 0 after a start of the core.
    pub nonce_counter: u32,
    /// Digest of the DevInfo last stored (`effect::DeviceInfo::digest`): an unchanged one costs no write.
    pub device_info: Option<[u8; 32]>,
}

/// What a device proves itself with under `basic`, `md5` and `hmac`.
#[derive(Clone, Debug)]
pub struct Credential {
    /// User name (AAuthName).
    pub user: String,
    /// `B64(H(user:password))`: enough to check all three schemes, and as secret as the password.
    pub hash: SecretString,
}

/// What the server proves itself with towards a device (SRVCRED).
#[derive(Clone, Debug)]
pub struct ServerAccount {
    /// Server id: LocName of our Source, and the user of the credentials.
    pub server_id: String,
    /// The password, its own for each device (DM_Security 5.1).
    pub password: SecretString,
    /// Basic, md5 or MAC.
    pub scheme: ServerScheme,
    /// The newest nonce that the device gave, decoded; empty at first.
    pub nonce: Vec<u8>,
}

/// Schemes of the server's credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ServerScheme {
    /// syncml:auth-basic.
    Basic,
    /// syncml:auth-md5.
    Md5,
    /// syncml:auth-MAC: no Cred, but a header over each reply.
    Mac,
}

/// Switches for what a device's model cannot do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Quirks {
    /// Sequence crashes it (LD-16).
    pub no_sequence: bool,
    /// Atomic is not rolled back (LD-17).
    pub no_atomic: bool,
    /// A Get may have one Item only (PT-06).
    pub one_item_per_get: bool,
    /// Most commands in one message (AM-20).
    pub max_commands_per_message: Option<u32>,
    /// Largest message in octets, also where the device announces more or nothing (LD-21).
    pub max_message_octets: Option<u32>,
    /// It cannot put a value together from chunks (LD-19).
    pub no_large_objects: bool,
    /// Its Source LocURI changes at each check-in (PT-02): identity is the certificate or signature alone.
    pub volatile_device_id: bool,
    /// Credentials are demanded in each message (status 200) instead of once a session (212).
    pub credentials_each_message: bool,
}

/// What the core found out about the sender of one message before the engine sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peer {
    /// The TLS client certificate, when one was shown and its chain, validity and revocation passed.
    pub certificate: Option<PeerCertificate>,
    /// The verdict on the message signature, when there was one.
    pub signature: Signature,
    /// The x-syncml-hmac header. One that could not be read is given with an empty mac, which verifies for nobody.
    pub hmac: Option<HmacHeader>,
    /// Its User-Agent: it picks a quirk profile and proves nothing.
    pub user_agent: Option<String>,
    /// Where it came from: an address, for counting attempts apart. Never trusted for identity.
    pub source: String,
    /// Expired, revoked or blocked, but its wipe may still reach it: nothing else is sent to it.
    pub wipe_only: bool,
}

/// A TLS client certificate that passed every check but that of identity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerCertificate {
    /// SHA-256 over the certificate.
    #[serde(with = "crate::transcript::form::array")]
    pub fingerprint: [u8; 32],
    /// Whether it names the enrolment that the route names.
    pub names_enrolment: bool,
}

/// The verdict on a message signature (RFC 9421 profile, or MDM-Signature).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Signature {
    /// There was none.
    #[default]
    Absent,
    /// By the enrolment's key, over these octets, fresh, and not seen before.
    Valid,
    /// The very signature and octets that came a moment ago: worth the stored reply to them, and nothing new.
    Repeated,
    /// There was one and it did not hold.
    Invalid,
}
