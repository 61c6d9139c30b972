//! Refusals of the admin API: RFC 9457 problems, one log line each.

use std::fmt;

use actix_web::{HttpResponse, ResponseError, http::StatusCode};
use postern_actors::{
    CancelError, EnrolError, NotifyError, RetireError, SubmitError, approvals::DecideError,
    enrolment::EnrolmentError, locks::LockError, safety::Held,
};
use postern_api::problem::{CONTENT_TYPE, Problem, ProblemItem, Slug};
use postern_store::{ReadError, StoreError, WriteError};
use uuid::Uuid;

/// How long a caller is to wait before it tries again, in seconds, when nothing better is known.
const RETRY_AFTER_S: u32 = 5;

/// A refusal on its way to the caller.
#[derive(Debug)]
pub struct Refused {
    slug: Slug,
    detail: String,
    errors: Vec<ProblemItem>,
    retry_after_s: Option<u32>,
}

impl Refused {
    /// A refusal of this kind.
    pub fn new(slug: Slug, detail: impl Into<String>) -> Self {
        let retry_after_s = matches!(slug, Slug::Unavailable | Slug::Standby).then_some(RETRY_AFTER_S);
        Self { slug, detail: detail.into(), errors: Vec::new(), retry_after_s }
    }

    /// A request that does not parse, or a value out of its range, at `at`.
    pub fn invalid(at: &str, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self::new(Slug::InvalidRequest, detail.clone()).item(at, detail)
    }

    /// With one of the things that were wrong.
    #[must_use]
    pub fn item(mut self, at: impl Into<String>, detail: impl Into<String>) -> Self {
        self.errors.push(ProblemItem { at: at.into(), detail: detail.into() });
        self
    }

    /// Names one more of the things that were wrong.
    pub fn add(&mut self, at: impl Into<String>, detail: impl Into<String>) {
        self.errors.push(ProblemItem { at: at.into(), detail: detail.into() });
    }

    /// With the time to wait before another try.
    #[must_use]
    pub const fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    /// Nothing has this name, or nothing that the caller may see.
    pub fn not_found(what: &str, name: impl fmt::Display) -> Self {
        Self::new(Slug::NotFound, format!("there is no {what} {:?}", name.to_string()))
    }

    /// Which kind.
    #[must_use]
    pub const fn slug(&self) -> Slug {
        self.slug
    }

    /// The problem, with the request's id.
    #[must_use]
    pub fn problem(&self, request: Option<String>) -> Problem {
        Problem { instance: request, errors: self.errors.clone(), ..self.slug.problem(self.detail.clone()) }
    }

    /// The answer.
    #[must_use]
    pub fn respond(&self, request: Option<String>) -> HttpResponse {
        let status = StatusCode::from_u16(self.slug.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = HttpResponse::build(status);
        response.content_type(CONTENT_TYPE).insert_header(("Cache-Control", "no-store"));
        if let Some(seconds) = self.retry_after_s {
            response.insert_header(("Retry-After", seconds.to_string()));
        }
        if self.slug == Slug::Unauthenticated {
            response.insert_header(("WWW-Authenticate", "Bearer realm=\"postern\""));
        }
        response.body(
            serde_json::to_string(&self.problem(request)).expect("a problem holds text and numbers only"),
        )
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.slug.as_str(), self.detail)
    }
}

impl std::error::Error for Refused {}

impl ResponseError for Refused {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.slug.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse {
        self.respond(None)
    }
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound(what) => Self::new(Slug::NotFound, format!("there is no such {what}")),
            StoreError::Conflict(detail) => Self::new(Slug::AlreadyExists, detail),
            StoreError::Refused(detail) => Self::new(Slug::WrongState, detail),
            StoreError::Full(_) => Self::new(Slug::OutOfSpace, "the database's disk is full"),
            StoreError::Lost(_) | StoreError::Busy(_) => {
                tracing::warn!(error = %error, "database is away");
                Self::new(Slug::Unavailable, "the database cannot be reached now")
            }
            StoreError::Damaged(_) | StoreError::Configuration(_) | StoreError::Database(_) => {
                internal(&error)
            }
        }
    }
}

impl From<WriteError> for Refused {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Rejected(error) => error.into(),
            WriteError::Overloaded => Self::new(Slug::Unavailable, "too many writes wait for the database"),
            WriteError::Unavailable { since, .. } => {
                Self::new(Slug::Unavailable, format!("the database has been away since {since}"))
            }
            WriteError::NotActive => standby(),
            WriteError::Stopped => Self::new(Slug::Unavailable, "this core is stopping"),
        }
    }
}

impl From<ReadError> for Refused {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Failed(error) => error.into(),
            ReadError::Overloaded => Self::new(Slug::Unavailable, "too many reads wait for the database"),
            ReadError::Stopped => Self::new(Slug::Unavailable, "this core is stopping"),
        }
    }
}

impl From<Held> for Refused {
    fn from(held: Held) -> Self {
        let detail = held.to_string();
        match held {
            Held::Frozen { .. } => Self::new(Slug::Frozen, detail),
            Held::NoGlass => Self::new(Slug::BreakGlassClosed, detail),
            Held::Later | Held::GlassSpent { .. } | Held::TooManyOpen => {
                Self::new(Slug::DestructiveLimit, detail)
            }
        }
    }
}

/// Somebody else has to approve it: which request waits.
pub fn needs_approval(request: Uuid) -> Refused {
    Refused::new(
        Slug::NeedsApproval,
        format!("somebody else has to approve this first: `posternctl approval show {request}`"),
    )
    .item(request.to_string(), "waits for approval")
}

impl From<DecideError> for Refused {
    fn from(error: DecideError) -> Self {
        let detail = error.to_string();
        match error {
            DecideError::Unknown(id) => Self::not_found("request", id),
            DecideError::Refused(_)
            | DecideError::NoApprover
            | DecideError::Stale(_)
            | DecideError::NoThaw(_) => Self::new(Slug::ApprovalRefused, detail),
            DecideError::Held(held) => held.into(),
            DecideError::Overloaded(seconds) => Self::new(Slug::Unavailable, detail).retry_after(seconds),
            DecideError::Unavailable(_) => Self::new(Slug::Unavailable, detail),
        }
    }
}

impl From<LockError> for Refused {
    fn from(error: LockError) -> Self {
        let detail = error.to_string();
        match error {
            LockError::UnknownDevice(id) => Self::not_found("device", id),
            LockError::Cannot(id, _) => {
                Self::new(Slug::WrongState, detail.clone()).item(id.to_string(), detail)
            }
            LockError::NeedsApproval(request) => needs_approval(request),
            LockError::Held(held) => held.into(),
            LockError::Overloaded(seconds) => Self::new(Slug::Unavailable, detail).retry_after(seconds),
            LockError::Unavailable(_) => Self::new(Slug::Unavailable, detail),
        }
    }
}

impl From<SubmitError> for Refused {
    fn from(error: SubmitError) -> Self {
        let detail = error.to_string();
        match error {
            SubmitError::Invalid(_) => Self::new(Slug::InvalidRequest, detail),
            SubmitError::NotServed(_) => Self::new(Slug::NotYet, detail),
            SubmitError::UnknownDevice(id) => Self::not_found("device", id),
            SubmitError::Retired(_) | SubmitError::Suspended { .. } => Self::new(Slug::WrongState, detail),
            SubmitError::Destructive { uri, reason } => {
                Self::new(Slug::ReservedUri, detail).item(uri, reason)
            }
            SubmitError::TooMany { .. } => Self::new(Slug::QueueFull, detail),
            SubmitError::KeyReused => Self::new(Slug::IdempotencyMismatch, detail),
            SubmitError::Overloaded(seconds) => Self::new(Slug::Unavailable, detail).retry_after(seconds),
            SubmitError::Full => Self::new(Slug::OutOfSpace, detail),
            SubmitError::Unavailable(_) => Self::new(Slug::Unavailable, detail),
        }
    }
}

impl From<NotifyError> for Refused {
    fn from(error: NotifyError) -> Self {
        let detail = error.to_string();
        match error {
            NotifyError::Unknown(id) => Self::not_found("device", id),
            NotifyError::NoBearer(..) => {
                Self::new(Slug::InvalidRequest, detail.clone()).item("/bearer", detail)
            }
            NotifyError::Retired(_) | NotifyError::NoAddress | NotifyError::NoCredentials => {
                Self::new(Slug::WrongState, detail)
            }
            NotifyError::Overloaded(seconds) => Self::new(Slug::Unavailable, detail).retry_after(seconds),
            NotifyError::Unavailable(_) => Self::new(Slug::Unavailable, detail),
        }
    }
}

impl From<CancelError> for Refused {
    fn from(error: CancelError) -> Self {
        let detail = error.to_string();
        match error {
            CancelError::Unknown(id) => Self::not_found("command", id),
            CancelError::Sent | CancelError::Ended(_) | CancelError::Wipe => {
                Self::new(Slug::WrongState, detail)
            }
            CancelError::Overloaded(seconds) => Self::new(Slug::Unavailable, detail).retry_after(seconds),
            CancelError::Unavailable(_) => Self::new(Slug::Unavailable, detail),
        }
    }
}

impl From<RetireError> for Refused {
    fn from(error: RetireError) -> Self {
        let detail = error.to_string();
        match error {
            RetireError::Unknown(id) => Self::not_found("device", id),
            RetireError::Already(_) | RetireError::Wiping(_) => Self::new(Slug::WrongState, detail),
            RetireError::NeedsApproval(request) => needs_approval(request),
            RetireError::Held(held) => held.into(),
            RetireError::Overloaded(seconds) => Self::new(Slug::Unavailable, detail).retry_after(seconds),
            RetireError::Unavailable(_) => Self::new(Slug::Unavailable, detail),
        }
    }
}

impl From<EnrolError> for Refused {
    fn from(error: EnrolError) -> Self {
        let detail = error.to_string();
        match error {
            EnrolError::Invalid(_) => Self::new(Slug::InvalidRequest, detail),
            EnrolError::Unknown(id) => Self::not_found("device", id),
            EnrolError::Duplicate(id) => {
                Self::new(Slug::AlreadyExists, detail).item(id.to_string(), "enrolled")
            }
            EnrolError::NeedsApproval(request) => needs_approval(request),
            EnrolError::Held(held) => held.into(),
            EnrolError::Overloaded(seconds) => Self::new(Slug::Unavailable, detail).retry_after(seconds),
            EnrolError::Unavailable(_) => Self::new(Slug::Unavailable, detail),
        }
    }
}

impl From<EnrolmentError> for Refused {
    fn from(error: EnrolmentError) -> Self {
        let detail = error.to_string();
        match error {
            EnrolmentError::Invalid(field, _) => {
                Self::new(Slug::InvalidRequest, detail.clone()).item(format!("/{field}"), detail)
            }
            EnrolmentError::UnknownGroup(name) => Self::not_found("group", name),
            EnrolmentError::UnknownRequest(id) => Self::not_found("enrolment request", id),
            EnrolmentError::UnknownDevice(id) => Self::not_found("device", id),
            EnrolmentError::Quota { .. } => Self::new(Slug::EnrolmentQuota, detail),
            EnrolmentError::RenewalOpen(id) => {
                Self::new(Slug::AlreadyExists, detail).item(id.to_string(), "open")
            }
            EnrolmentError::NotMade
            | EnrolmentError::Request(_)
            | EnrolmentError::Quarantine(_)
            | EnrolmentError::Leaving(_) => Self::new(Slug::WrongState, detail),
            EnrolmentError::NeedsApproval(request) => needs_approval(request),
            EnrolmentError::Held(held) => held.into(),
            EnrolmentError::Queue(_) => Self::new(Slug::QueueFull, detail),
            EnrolmentError::Overloaded(seconds) => Self::new(Slug::Unavailable, detail).retry_after(seconds),
            EnrolmentError::Unavailable(_) => Self::new(Slug::Unavailable, detail),
        }
    }
}

/// This core is not the active one.
pub fn standby() -> Refused {
    Refused::new(Slug::Standby, "this core stands by; ask the active one")
}

/// A fault of ours: the log gets what the caller does not.
pub fn internal(error: &dyn fmt::Display) -> Refused {
    tracing::error!(error = %error, "internal error");
    Refused::new(Slug::Internal, "the core's log has the cause, under this request's id")
}
