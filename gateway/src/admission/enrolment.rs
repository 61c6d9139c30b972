//! The judgement of a request of enrolment: `/enrol/1/start`, `/enrol/1/finish` and `/enrol/1/discover`.
//!
//! Promise: such a request has neither route nor certificate, so only its form and its address are judged; what it says is for
//! the core alone. The lists of blocked certificates and of routes do not apply to it.

use actix_http::{RequestHead, header::TRANSFER_ENCODING};
use actix_web::http::Method;
use postern_wire::{
    enrol::{BODY_LIMIT, CONTENT_TYPE, DISCOVER_PATH, FINISH_PATH, START_PATH},
    link::{RefusalReason, Settings},
};

use super::{Refusal, head};

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// Which server to go to.
    Discover,
    /// The first message of a handshake.
    Start,
    /// The last one.
    Finish,
}

impl Asked {
    /// What a path asks, if it is one of enrolment.
    pub(crate) fn of(path: &str) -> Option<Self> {
        [Self::Discover, Self::Start, Self::Finish].into_iter().find(|asked| asked.path() == path)
    }

    /// Its path.
    pub(crate) const fn path(self) -> &'static str {
        match self {
            Self::Discover => DISCOVER_PATH,
            Self::Start => START_PATH,
            Self::Finish => FINISH_PATH,
        }
    }

    /// Its method.
    pub(crate) const fn method(self) -> Method {
        match self {
            Self::Discover => Method::GET,
            Self::Start | Self::Finish => Method::POST,
        }
    }
}

/// Judges a head; the body's length, when the head says it.
pub(crate) fn judge(
    asked: Asked,
    request: &RequestHead,
    settings: &Settings,
) -> Result<Option<usize>, Refusal> {
    if !settings.enrolment {
        return Err(RefusalReason::EnrolmentOff.into());
    }
    let length = head::judge_form(request, settings)?;
    if request.method != asked.method() {
        return Err(Refusal::with(RefusalReason::Method, asked.method().as_str()));
    }
    let headers = &request.headers;
    if asked == Asked::Discover {
        let body = length.is_some_and(|length| length > 0) || headers.contains_key(TRANSFER_ENCODING);
        return if body {
            Err(Refusal::with(RefusalReason::Framing, "a discovery has no body"))
        } else {
            Ok(None)
        };
    }
    if let Some(length) = length.filter(|length| *length > BODY_LIMIT) {
        return Err(Refusal::with(RefusalReason::BodyTooLarge, format!("{length} octets")));
    }
    head::judge_coding(headers)?;
    let found = head::one_content_type(headers)?;
    let media = found.split(';').next().unwrap_or_default().trim();
    if media.eq_ignore_ascii_case(CONTENT_TYPE) {
        Ok(length)
    } else {
        Err(Refusal::with(RefusalReason::MediaType, found))
    }
}
