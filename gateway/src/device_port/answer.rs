//! What a device gets when its message does not cross: an HTTP status and a problem document (RFC 9457).

use actix_http::{
    Response, StatusCode,
    body::BoxBody,
    header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER},
};
use bytes::Bytes;
use postern_wire::{
    link::{PACKAGE0_MEDIA_TYPE, RefusalReason},
    problem::{self, ProblemDetails},
    route::LISTEN,
};

use crate::admission::Refusal;

/// The answer to a refusal. It closes the connection unless `keep` says that the request was read whole.
pub(crate) fn refusal(refusal: &Refusal, retry_after_s: u64, keep: bool) -> Response<BoxBody> {
    let (status, title) = status_of(refusal.reason);
    let mut document = ProblemDetails::new(refusal.reason.as_str(), title, status.as_u16());
    // Only what the device itself sent is told back to it, and only where it helps to mend it.
    if refusal.reason == RefusalReason::Malformed
        && let Some(detail) = &refusal.detail
    {
        document = document.detail(detail);
    }
    let mut answer = Response::build(status);
    answer.insert_header((CONTENT_TYPE, problem::CONTENT_TYPE));
    if refusal.reason == RefusalReason::Method {
        let get = matches!(refusal.detail.as_deref(), Some(LISTEN | "GET"));
        answer.insert_header((ALLOW, if get { "GET" } else { "POST" }));
    }
    if matches!(status.as_u16(), 429 | 502 | 503) {
        answer.insert_header((RETRY_AFTER, retry_after_s.to_string()));
    }
    if !keep {
        answer.force_close();
    }
    answer.body(serde_json::to_vec(&document).unwrap_or_default()).map_into_boxed_body()
}

/// The answer to a device that listened: package 0, or nothing yet. `keep` as for [`refusal`].
pub(crate) fn listened(package0: Option<Bytes>, keep: bool) -> Response<BoxBody> {
    let mut answer = Response::build(match package0 {
        Some(_) => StatusCode::OK,
        None => StatusCode::NO_CONTENT,
    });
    answer.insert_header((CACHE_CONTROL, "no-store"));
    if !keep {
        answer.force_close();
    }
    match package0 {
        Some(octets) => {
            answer.insert_header((CONTENT_TYPE, PACKAGE0_MEDIA_TYPE));
            answer.body(octets).map_into_boxed_body()
        }
        None => answer.finish().map_into_boxed_body(),
    }
}

/// The status and the sentence of a reason.
pub(crate) fn status_of(reason: RefusalReason) -> (StatusCode, &'static str) {
    use RefusalReason as R;
    match reason {
        R::Framing => (StatusCode::BAD_REQUEST, "The request's length or form is not clear."),
        R::Incomplete => (StatusCode::BAD_REQUEST, "The body ended too early."),
        R::Malformed => (StatusCode::BAD_REQUEST, "The body is not a SyncML message."),
        R::LengthRequired => (StatusCode::LENGTH_REQUIRED, "The request does not say how long its body is."),
        R::HeadersTooLarge => (StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "The headers are too large."),
        R::BodyTooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "The message is too large."),
        R::TooSlow => (StatusCode::REQUEST_TIMEOUT, "The request came too slowly."),
        R::Host => (StatusCode::MISDIRECTED_REQUEST, "This server does not have that name."),
        R::Path | R::RouteUnknown | R::EnrolmentOff => (StatusCode::NOT_FOUND, "There is nothing here."),
        R::Method => (StatusCode::METHOD_NOT_ALLOWED, "That method is not served here."),
        R::MediaType => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "That content type is not served here."),
        R::ContentEncoding => {
            (StatusCode::UNSUPPORTED_MEDIA_TYPE, "A body is taken only as it is, not compressed.")
        }
        R::RouteBlocked | R::CertificateBlocked => (StatusCode::FORBIDDEN, "This device is blocked."),
        R::CertificateExpired | R::CertificateNotYetValid | R::CertificateAuthorityRetired => {
            (StatusCode::FORBIDDEN, "This certificate is not valid.")
        }
        R::CertificateRequired => (StatusCode::FORBIDDEN, "A client certificate is needed."),
        R::AddressRate | R::RouteRate => (StatusCode::TOO_MANY_REQUESTS, "Too many requests."),
        R::LinkBroken => (StatusCode::BAD_GATEWAY, "The server behind did not answer."),
        R::NoCore | R::LinksBusy | R::Draining | R::ListenersFull => {
            (StatusCode::SERVICE_UNAVAILABLE, "Come again later.")
        }
        R::TlsHandshake | R::ConnectionsFull | R::ProxyHeader | R::Other => {
            (StatusCode::SERVICE_UNAVAILABLE, "Not now.")
        }
    }
}
