//! Refusals: RFC 9457 problem details, and the slugs that name each kind.
//!
//! The same slug stands in the core's log and in posternctl's message.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The media type of a refusal.
pub const CONTENT_TYPE: &str = "application/problem+json";
/// What every problem's `type` starts with.
pub const PREFIX: &str = "urn:postern:problem:";

/// A refusal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// `urn:postern:problem:<slug>`.
    #[serde(rename = "type")]
    pub type_: String,
    /// What kind of refusal this is, the same for every one of its kind.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What was wrong this time, and what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The request's id, as it stands in the core's log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// The single things that were wrong, or the devices that an ambiguous name could mean.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<ProblemItem>,
}

/// One of the things that were wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProblemItem {
    /// Where: a JSON pointer into the request, a query parameter, or an id.
    pub at: String,
    /// What was wrong there.
    pub detail: String,
}

impl Problem {
    /// The slug of `type`, or all of it when it is not one of ours.
    #[must_use]
    pub fn slug(&self) -> &str {
        self.type_.strip_prefix(PREFIX).unwrap_or(&self.type_)
    }
}

macro_rules! slugs {
    ($($(#[$doc:meta])* $name:ident = $slug:literal, $status:literal, $title:literal;)+) => {
        /// The kinds of refusal.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Slug { $($(#[$doc])* $name),+ }

        impl Slug {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The stable spelling.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $slug),+ }
            }

            /// The HTTP status that goes with it.
            #[must_use]
            pub const fn status(self) -> u16 {
                match self { $(Self::$name => $status),+ }
            }

            /// The title that goes with it.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$name => $title),+ }
            }

            /// The kind with this spelling.
            #[must_use]
            pub fn parse(slug: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|known| known.as_str() == slug)
            }
        }
    };
}

slugs! {
    /// No token, or one that does not hold (unknown, expired, revoked, wrong network).
    Unauthenticated = "unauthenticated", 401, "No valid token";
    /// The token's admin lacks the route's permission.
    Forbidden = "forbidden", 403, "Not permitted";
    /// An admin tried to change its own roles.
    OwnRoles = "own-roles", 403, "Nobody changes their own roles";
    /// The caller's own password is asked for once more, and was not given, is wrong or was never set.
    Reauthenticate = "reauthenticate", 403, "Your own password is needed";
    /// The escrow key that opens it is not at hand; the detail says what is wrong with its file.
    EscrowKey = "escrow-key", 503, "The escrow key cannot be used";
    /// A destructive or identity-changing URI in a raw command.
    ReservedUri = "reserved-uri", 403, "This URI goes through its own operation";
    /// No such thing, or none that the caller may see.
    NotFound = "not-found", 404, "Not found";
    /// The path exists, the method does not.
    MethodNotAllowed = "method-not-allowed", 405, "Method not allowed";
    /// The name fits more than one device.
    AmbiguousDevice = "ambiguous-device", 409, "More than one device fits";
    /// A thing of that name exists.
    AlreadyExists = "already-exists", 409, "Already exists";
    /// The state of the thing does not allow it.
    WrongState = "wrong-state", 409, "Not possible in this state";
    /// The owner has as many open requests, or devices, as an owner may have.
    EnrolmentQuota = "enrolment-quota", 409, "The owner has as many as an owner may have";
    /// Somebody else has to approve it first; `errors` names the request that waits.
    NeedsApproval = "needs-approval", 409, "Somebody else has to approve this first";
    /// A freeze stands: nothing destructive is accepted or sent.
    Frozen = "frozen", 409, "Destructive operations are frozen";
    /// The limits of destructive operations do not let it through; the detail says which.
    DestructiveLimit = "destructive-limit", 409, "The limits of destructive operations do not allow this";
    /// Break-glass is asked for and not open for this person and token.
    BreakGlassClosed = "break-glass-closed", 403, "Break-glass is not open";
    /// A decision does not count; the detail says why.
    ApprovalRefused = "approval-refused", 409, "This decision does not count";
    /// The device has a wipe that is not over.
    WipeOutstanding = "wipe-outstanding", 409, "The device has a wipe already";
    /// The device's model, or the settings of its groups, do not allow this wipe.
    WipeImpossible = "wipe-impossible", 422, "This wipe is not possible for the device";
    /// The one who asked cannot be the one who agrees.
    SamePerson = "same-person", 403, "Another person has to agree";
    /// A group would contain itself.
    GroupCycle = "group-cycle", 409, "A group cannot contain itself";
    /// Idempotency-Key was used before with another request.
    IdempotencyMismatch = "idempotency-mismatch", 422, "Idempotency-Key was used for another request";
    /// Idempotency-Key's first request has not finished.
    IdempotencyInProgress = "idempotency-in-progress", 409, "The first request with this Idempotency-Key is still running";
    /// If-Match names an older version.
    PreconditionFailed = "precondition-failed", 412, "It changed since it was read";
    /// If-Match is demanded here.
    PreconditionRequired = "precondition-required", 428, "If-Match is required";
    /// The body is larger than the limit.
    TooLarge = "too-large", 413, "The request is too large";
    /// The body is not JSON, or says so in no known way.
    UnsupportedMediaType = "unsupported-media-type", 415, "Unsupported media type";
    /// The request does not parse or a value is out of its range.
    InvalidRequest = "invalid-request", 400, "Invalid request";
    /// The SyncML document does not decode; `at` says where.
    InvalidSyncMl = "invalid-syncml", 422, "Invalid SyncML";
    /// The description of the node forbids the command; `errors` says which rule. `force` is a permission of its own.
    DdfForbids = "ddf-forbids", 422, "The description of the node forbids this";
    /// The DDF document does not decode, or describes nothing that has an address.
    InvalidDdf = "invalid-ddf", 422, "Invalid DDF";
    /// The quirk profiles cannot be taken; `errors` says which and why.
    InvalidQuirks = "invalid-quirks", 422, "Invalid quirk profiles";
    /// A policy document does not read, or says what no device may be told; `errors` says where and why.
    InvalidPolicy = "invalid-policy", 422, "Invalid policy document";
    /// The certificate signing request does not hold.
    InvalidCsr = "invalid-csr", 422, "Invalid certificate signing request";
    /// A chain of certificates that an external CA gave does not do; the detail says why.
    InvalidChain = "invalid-chain", 422, "Invalid certificate chain";
    /// A CRL of another CA does not do; the detail says why.
    InvalidCrl = "invalid-crl", 422, "Invalid CRL";
    /// Somebody still has a certificate of the CA that is to go.
    Stragglers = "stragglers", 409, "Not everybody has followed the roll-over";
    /// This comes with a later version.
    NotYet = "not-yet", 422, "Not in this version";
    /// The device's queue is at its cap.
    QueueFull = "queue-full", 409, "The device's queue is full";
    /// Too many failures from this address.
    RateLimited = "rate-limited", 429, "Too many failures";
    /// The writer's queue is full or the database is away.
    Unavailable = "unavailable", 503, "Temporarily unavailable";
    /// This core is a standby.
    Standby = "standby", 503, "This core is a standby";
    /// The disk is full: new orders are refused, wipes have a reserve.
    OutOfSpace = "out-of-space", 507, "Out of space";
    /// A fault of ours; the log has the request's id.
    Internal = "internal", 500, "Internal error";
}

impl Slug {
    /// A problem of this kind.
    #[must_use]
    pub fn problem(self, detail: impl Into<String>) -> Problem {
        Problem {
            type_: format!("{PREFIX}{}", self.as_str()),
            title: self.title().to_owned(),
            status: self.status(),
            detail: Some(detail.into()),
            instance: None,
            errors: Vec::new(),
        }
    }
}
