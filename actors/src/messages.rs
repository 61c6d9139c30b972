//! What the core's HTTP side and the actors say to each other.
//!
//! Promise: these are plain values; nothing in them holds a connection, a lock or a handle into an actor.

use std::{net::IpAddr, sync::Arc};

use bytes::Bytes;
use postern_engine::{effect::RefusedReason, queue::Body};
use postern_wire::{
    route::RouteId,
    syncml::MediaType,
    terms::{
        AuthType, CommandId, CommandState, Dialect, EnrolmentId, Lane, OperationId, OperationKind,
        ProofClass, UtcMillis,
    },
};
use secrecy::SecretString;
use uuid::Uuid;

// === a check-in ===

/// One HTTP request of a device, as it came over a link.
#[derive(Clone, Debug)]
pub struct CheckIn {
    /// The route that the request was sent to.
    pub route: RouteId,
    /// Its Content-Type.
    pub media: MediaType,
    /// Its body, byte for byte.
    pub body: Bytes,
    /// What is known of the peer beside the body.
    pub peer: PeerFacts,
    /// The gateway's id for the request.
    pub request_id: Uuid,
}

/// Octets of a User-Agent that are read.
pub const USER_AGENT_OCTETS: usize = 128;

/// What transport and gateway told about the peer.
#[derive(Clone, Debug, Default)]
pub struct PeerFacts {
    /// The TLS client certificate, already judged for its time.
    pub certificate: Option<CertificateFacts>,
    /// What its message signature is worth.
    pub signature: SignatureVerdict,
    /// The x-syncml-hmac header, verbatim.
    pub hmac: Option<String>,
    /// The User-Agent header, where it is no longer than [`USER_AGENT_OCTETS`].
    pub user_agent: Option<String>,
    /// The device's address as the gateway saw it.
    pub source: Option<IpAddr>,
    /// The gateway's name.
    pub gateway: Option<Arc<str>>,
    /// The TLS version that the gateway named.
    pub tls: Option<Arc<str>>,
    /// What may pass: everything, or only a wipe.
    pub standing: Standing,
}

/// The verdict over a peer that was not refused outright (docs/CERTIFICATES.md, "Revocation").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Standing {
    /// Everything passes.
    #[default]
    Admit,
    /// Only a pending wipe is served.
    WipeOnly,
}

/// The parts of a client certificate that the core's rules read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFacts {
    /// The enrolment that its SAN URI `postern:device:<id>` names, when it has one.
    pub enrolment: Option<EnrolmentId>,
    /// The one DNS name of its SAN, when it has one.
    pub dns_name: Option<String>,
    /// Serial number, lower-case hex without leading zero octets.
    pub serial: String,
    /// The issuer, as the blocked list names it (wire::link::issuer_hash).
    pub issuer: String,
    /// SHA-256 of the DER.
    pub fingerprint: [u8; 32],
    /// Not before.
    pub not_before: UtcMillis,
    /// Not after.
    pub not_after: UtcMillis,
}

/// What a message signature is worth before the device's actor judges its freshness and identity.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum SignatureVerdict {
    /// There is none.
    #[default]
    Absent,
    /// It verified with the key of the certificate that was shown.
    Verified(SignatureFacts),
    /// There is one and it does not hold; the text says why.
    Invalid(String),
}

/// A verified message signature (wire::signature), not yet judged for freshness and identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureFacts {
    /// Its keyid: the enrolment that it claims.
    pub key_id: EnrolmentId,
    /// Its `created`, as UTC milliseconds.
    pub created: UtcMillis,
    /// Its nonce.
    pub nonce: [u8; 16],
    /// SHA-256 of the certificate whose key it verified with.
    pub fingerprint: [u8; 32],
}

/// The answer to a check-in. It is given only after what it rests on is durable.
#[derive(Clone, Debug)]
pub struct CheckedIn {
    /// The reply's octets.
    pub body: Bytes,
    /// The reply's Content-Type, as it is to be sent.
    pub content_type: &'static str,
    /// The value of x-syncml-hmac that goes with it, where the server proves itself by MAC.
    pub hmac: Option<String>,
    /// Whose it is.
    pub enrolment: EnrolmentId,
    /// How the enrolment proves itself: a reply to a `signed` one is to be signed.
    pub auth: AuthType,
}

/// Why a check-in is not answered with a SyncML message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RefusalCause {
    /// No enrolment has this route.
    UnknownRoute,
    /// The enrolment of this route is retired.
    Retired,
    /// The body is not a SyncML message.
    Malformed,
    /// The body breaks a limit.
    TooLarge,
    /// Certificate and route name different enrolments, or the certificate is not the enrolled one.
    WrongCertificate,
    /// The certificate is not valid now, or blocked.
    CertificateRefused,
    /// Only a wipe may pass and none is pending.
    WipeOnly,
    /// Too much work at hand.
    Overloaded,
    /// The database cannot be reached, or this core is not the active one.
    Unavailable,
    /// The device's actor failed; the message may be sent again.
    Failed,
    /// The session engine refused it.
    Engine {
        /// The HTTP status.
        status: u16,
        /// Why.
        reason: RefusedReason,
    },
}

impl RefusalCause {
    /// The HTTP status.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::UnknownRoute => 404,
            Self::Retired => 410,
            Self::Malformed => 400,
            Self::TooLarge => 413,
            Self::WrongCertificate | Self::CertificateRefused | Self::WipeOnly => 403,
            Self::Overloaded | Self::Unavailable | Self::Failed => 503,
            Self::Engine { status, .. } => status,
        }
    }

    /// The slug of `urn:postern:problem:<slug>`, also the metric label and the log field.
    #[must_use]
    pub const fn slug(self) -> &'static str {
        match self {
            Self::UnknownRoute => "unknown-route",
            Self::Retired => "retired",
            Self::Malformed => "malformed-message",
            Self::TooLarge => "message-too-large",
            Self::WrongCertificate => "wrong-certificate",
            Self::CertificateRefused => "certificate-refused",
            Self::WipeOnly => "wipe-only",
            Self::Overloaded => "overloaded",
            Self::Unavailable => "unavailable",
            Self::Failed => "device-actor-failed",
            Self::Engine { reason, .. } => reason.slug(),
        }
    }
}

/// A refused check-in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {detail}", cause.slug())]
pub struct Refusal {
    /// Why.
    pub cause: RefusalCause,
    /// Retry-After in seconds, when trying again helps.
    pub retry_after_s: Option<u32>,
    /// One sentence for the log; never sent to the device.
    pub detail: String,
    /// Whose, where that is known.
    pub enrolment: Option<EnrolmentId>,
}

impl Refusal {
    /// A refusal that trying again does not cure.
    pub fn new(cause: RefusalCause, detail: impl Into<String>) -> Self {
        Self { cause, retry_after_s: None, detail: detail.into(), enrolment: None }
    }

    /// A refusal that time cures.
    pub fn retry(cause: RefusalCause, after_s: u32, detail: impl Into<String>) -> Self {
        Self { cause, retry_after_s: Some(after_s), detail: detail.into(), enrolment: None }
    }

    /// The HTTP status.
    #[must_use]
    pub const fn status(&self) -> u16 {
        self.cause.status()
    }

    /// The slug of the problem.
    #[must_use]
    pub const fn slug(&self) -> &'static str {
        self.cause.slug()
    }
}

// === orders ===

/// On whose behalf something is done; it stands in the audit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditActor {
    /// The kind of actor.
    pub kind: AuditActorKind,
    /// Its stable id or name (an admin's name, a service's name).
    pub name: String,
    /// Where the request came from, when it came over a network.
    pub source: Option<String>,
    /// The request's id, when there is one.
    pub request: Option<String>,
    /// The token's id, when it came with one. What is destructive is counted by person; a token only tells which to revoke.
    pub token: Option<uuid::Uuid>,
    /// Whether it is asked to go by break-glass, which has to be open for this person and token.
    pub break_glass: bool,
}

/// The kinds of actors that the audit tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuditActorKind {
    /// A person with a token.
    Admin,
    /// A service of the core itself.
    Service,
}

impl AuditActor {
    /// A service of the core.
    #[must_use]
    pub fn service(name: &str) -> Self {
        Self {
            kind: AuditActorKind::Service,
            name: name.to_owned(),
            source: None,
            request: None,
            token: None,
            break_glass: false,
        }
    }

    /// A person.
    #[must_use]
    pub fn admin(name: &str, source: Option<String>) -> Self {
        Self { kind: AuditActorKind::Admin, source, ..Self::service(name) }
    }

    /// As the audit log names it: `admin:NAME`, `service:NAME`.
    #[must_use]
    pub fn said(&self) -> String {
        match self.kind {
            AuditActorKind::Admin => format!("admin:{}", self.name),
            AuditActorKind::Service => format!("service:{}", self.name),
        }
    }
}

/// Something that an admin or a supervisor wants of devices.
#[derive(Clone, Debug)]
pub struct Order {
    /// The devices; none twice.
    pub targets: Vec<EnrolmentId>,
    /// What it is for.
    pub kind: OperationKind,
    /// The commands as typed, in sending order, for `raw`; empty for kinds whose planner makes them.
    pub commands: Vec<Body>,
    /// Whether each command waits for the answer to the one before.
    pub ordered: bool,
    /// How soon.
    pub lane: Lane,
    /// When it stops making sense to send it.
    pub deadline: Option<UtcMillis>,
    /// Who wants it.
    pub actor: AuditActor,
    /// Why, in that person's words.
    pub reason: String,
    /// The caller's Idempotency-Key: a second order with the same key and content gets the first one's answer.
    pub idempotency: Option<String>,
}

/// An order that was committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submitted {
    /// The operation.
    pub operation: OperationId,
    /// The commands made, in sending order for each device.
    pub commands: Vec<(EnrolmentId, CommandId)>,
    /// Whether this is the answer to an earlier order with the same idempotency key.
    pub repeated: bool,
}

/// Why an order was not taken. Nothing of it is stored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// An order without devices or commands, or with a bad one.
    #[error("invalid order: {0}")]
    Invalid(String),
    /// No planner serves this kind of operation yet.
    #[error("operations of kind {0} are not served yet")]
    NotServed(OperationKind),
    /// No such enrolment.
    #[error("no device {0}")]
    UnknownDevice(EnrolmentId),
    /// The enrolment is retired.
    #[error("device {0} is retired")]
    Retired(EnrolmentId),
    /// A destructive or identity-changing URI as a raw command.
    #[error("{uri} goes through its own operation: {reason}")]
    Destructive {
        /// The URI.
        uri: String,
        /// What it would do.
        reason: String,
    },
    /// A pending wipe, or another rule of coalescing, is in the way.
    #[error("device {device}: {reason}")]
    Suspended {
        /// The device.
        device: EnrolmentId,
        /// Which rule.
        reason: String,
    },
    /// The device has as many pending commands as it may have.
    #[error("device {device} already has {cap} pending commands")]
    TooMany {
        /// The device.
        device: EnrolmentId,
        /// The cap.
        cap: usize,
    },
    /// The idempotency key was used for another order.
    #[error("the idempotency key was used for another order")]
    KeyReused,
    /// Too much work at hand; try again after so many seconds.
    #[error("overloaded, try again in {0} s")]
    Overloaded(u32),
    /// The disk is full (507).
    #[error("no space left for new orders")]
    Full,
    /// The database cannot be reached, or this core is not the active one.
    #[error("unavailable: {0}")]
    Unavailable(String),
}

/// A cancelled command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cancelled {
    /// The command.
    pub command: CommandId,
    /// Its device.
    pub enrolment: EnrolmentId,
    /// `Cancelled`; or `InDoubt` for one that waits to be sent again and may have been executed.
    pub state: CommandState,
}

/// Why a command was not cancelled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CancelError {
    /// No such command.
    #[error("no command {0}")]
    Unknown(CommandId),
    /// It was sent: the device may have executed it.
    #[error("the command was sent to the device and can no longer be taken back")]
    Sent,
    /// It has ended already.
    #[error("the command has ended: {0}")]
    Ended(CommandState),
    /// It is part of a wipe, which is taken back as a whole.
    #[error("it is part of a wipe: take that back (`wipe cancel`)")]
    Wipe,
    /// Too much work at hand; try again after so many seconds.
    #[error("overloaded, try again in {0} s")]
    Overloaded(u32),
    /// The database cannot be reached, or this core is not the active one.
    #[error("unavailable: {0}")]
    Unavailable(String),
}

/// What the core registers of a new device.
#[derive(Debug)]
pub struct NewEnrolment {
    /// Its id, since a certificate names it: from [`crate::Devices::next_enrolment_id`], or with `replace` the
    /// existing one.
    pub id: EnrolmentId,
    /// DevId, as DevInfo will say it.
    pub device_id: String,
    /// A name for people.
    pub name: Option<String>,
    /// Its owner.
    pub owner: Option<String>,
    /// Serial number, IMEI or the like, when known: unique among the enrolments that are not retired.
    pub hardware_id: Option<String>,
    /// How it proves itself.
    pub auth: AuthType,
    /// The least proof that is accepted from the start.
    pub floor: ProofClass,
    /// Its dialect.
    pub dialect: Dialect,
    /// User name (SyncHdr Source LocName), for basic and md5.
    pub user: Option<String>,
    /// Password, for basic and md5.
    pub password: Option<SecretString>,
    /// Our name as the device knows it.
    pub server_id: String,
    /// The password by which we prove ourselves to the device.
    pub server_password: Option<SecretString>,
    /// The certificate issued to it.
    pub certificate: Option<CertificateFacts>,
    /// Whether `id` is an existing enrolment that gets a new generation: new route, new credentials, and what was
    /// pending for the old one cancelled.
    pub replace: bool,
    /// Who enrols it.
    pub actor: AuditActor,
    /// Why.
    pub reason: String,
}

/// A registered device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Enrolled {
    /// The enrolment.
    pub enrolment: EnrolmentId,
    /// Its generation: 1 for the first of a device.
    pub generation: i64,
    /// Its route: secret until the device has it.
    pub route: RouteId,
}

/// Why a device was not registered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnrolError {
    /// A field is missing or wrong.
    #[error("invalid enrolment: {0}")]
    Invalid(String),
    /// The enrolment to be replaced does not exist or is retired.
    #[error("there is no live enrolment {0}")]
    Unknown(EnrolmentId),
    /// The device is enrolled.
    #[error("the device is enrolled as {0}; enrol it again with a new generation, or retire it")]
    Duplicate(EnrolmentId),
    /// Somebody else has to approve it first: this request waits.
    #[error("somebody else has to approve it first: request {0}")]
    NeedsApproval(uuid::Uuid),
    /// The limits of destructive operations do not let it through.
    #[error(transparent)]
    Held(#[from] crate::safety::Held),
    /// Too much work at hand; try again after so many seconds.
    #[error("overloaded, try again in {0} s")]
    Overloaded(u32),
    /// The database cannot be reached, or this core is not the active one.
    #[error("unavailable: {0}")]
    Unavailable(String),
}

/// A retired device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retired {
    /// The enrolment.
    pub enrolment: EnrolmentId,
    /// How many pending commands were cancelled.
    pub cancelled: u32,
}

/// Why a device was not retired.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RetireError {
    /// No such enrolment.
    #[error("no device {0}")]
    Unknown(EnrolmentId),
    /// It is retired.
    #[error("device {0} is retired already")]
    Already(EnrolmentId),
    /// Somebody else has to approve it first: this request waits.
    #[error("somebody else has to approve it first: request {0}")]
    NeedsApproval(uuid::Uuid),
    /// The limits of destructive operations do not let it through.
    #[error(transparent)]
    Held(#[from] crate::safety::Held),
    /// It has a wipe that is not over: without its enrolment nothing could reach it.
    #[error("the device's wipe {0} is not over: take it back or disarm it first")]
    Wiping(uuid::Uuid),
    /// Too much work at hand; try again after so many seconds.
    #[error("overloaded, try again in {0} s")]
    Overloaded(u32),
    /// The database cannot be reached, or this core is not the active one.
    #[error("unavailable: {0}")]
    Unavailable(String),
}

/// Figures of the moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Device actors alive.
    pub active: u64,
    /// Sessions open.
    pub sessions: u64,
    /// Check-ins answered since the start.
    pub answered: u64,
    /// Check-ins refused since the start.
    pub refused: u64,
    /// Requests inside the shards now.
    pub in_flight: u64,
    /// Device actors that panicked since the start.
    pub panics: u64,
    /// Last-seen times that wait to be written.
    pub unflushed: u64,
}
