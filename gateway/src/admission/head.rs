//! The judgement of a request's head.

use actix_http::{
    RequestHead,
    header::{
        CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap, HeaderName, TRANSFER_ENCODING,
        UPGRADE,
    },
};
use actix_web::http::{Method, Version};
use postern_wire::{
    link::{Admission, BlockedSubject, RefusalReason, Settings},
    route::{LISTEN, PREFIX, RouteHash, RouteId},
    syncml::MediaType,
    terms::UtcMillis,
};

use super::{Refusal, certificate::PeerCertificate};
use crate::lists::ListSet;

/// A head that may go on.
#[derive(Debug)]
pub(crate) struct Passed {
    pub(crate) route: RouteId,
    pub(crate) hash: RouteHash,
    pub(crate) media: MediaType,
    /// `Admit` or `WipeOnly`.
    pub(crate) verdict: Admission,
    /// Why it is `WipeOnly`.
    pub(crate) reason: Option<RefusalReason>,
    /// The body's length, when the head says it.
    pub(crate) length: Option<usize>,
}

/// A head that is refused, and its route as far as it has one: refusals of a live route are told with it.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) refusal: Refusal,
    pub(crate) route: Option<RouteHash>,
}

/// Judges a head: form first, then who asks, then what is asked.
pub(crate) fn judge(
    head: &RequestHead,
    certificate: Option<&PeerCertificate>,
    settings: &Settings,
    lists: &ListSet,
    now: UtcMillis,
) -> Result<Passed, Refused> {
    let unrouted = |refusal| Refused { refusal, route: None };
    let length = judge_form(head, settings).map_err(unrouted)?;
    let route = RouteId::from_path(head.uri.path()).map_err(|_| {
        let known = head.uri.path().starts_with(PREFIX);
        unrouted(if known { RefusalReason::RouteUnknown } else { RefusalReason::Path }.into())
    })?;
    if head.method != Method::POST {
        return Err(unrouted(RefusalReason::Method.into()));
    }
    let hash = route.hash();
    let routed = |refusal| Refused { refusal, route: Some(hash) };
    let (verdict, reason) = judge_peer(certificate, &hash, settings, lists, now).map_err(routed)?;
    let media = judge_content(&head.headers).map_err(routed)?;
    Ok(Passed { route, hash, media, verdict, reason, length })
}

/// Judges the head of a device that listens, as strictly as that of a message: its route, and the verdict on it.
pub(crate) fn judge_listener(
    head: &RequestHead,
    certificate: Option<&PeerCertificate>,
    settings: &Settings,
    lists: &ListSet,
    now: UtcMillis,
) -> Result<RouteHash, Refused> {
    let unrouted = |refusal| Refused { refusal, route: None };
    let length = judge_form(head, settings).map_err(unrouted)?;
    let route = RouteId::from_listen_path(head.uri.path())
        .map_err(|_| unrouted(RefusalReason::RouteUnknown.into()))?;
    if head.method != Method::GET {
        return Err(unrouted(Refusal::with(RefusalReason::Method, LISTEN)));
    }
    if length.is_some_and(|length| length > 0) || head.headers.contains_key(TRANSFER_ENCODING) {
        return Err(unrouted(Refusal::with(RefusalReason::Framing, "a listener has no body")));
    }
    let hash = route.hash();
    judge_peer(certificate, &hash, settings, lists, now)
        .map_err(|refusal| Refused { refusal, route: Some(hash) })?;
    Ok(hash)
}

/// Size, Host and framing. actix-http has refused already: two Content-Lengths, one that is no number, one beside a
/// Transfer-Encoding, a Transfer-Encoding other than `chunked` or in HTTP/1.0 (gateway/tests hold it to that).
pub(super) fn judge_form(head: &RequestHead, settings: &Settings) -> Result<Option<usize>, Refusal> {
    let headers = &head.headers;
    // The name, ": ", the value and the line's end.
    let octets: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    if octets > settings.header_octets {
        return Err(RefusalReason::HeadersTooLarge.into());
    }
    if headers.contains_key(UPGRADE) {
        return Err(Refusal::with(RefusalReason::Framing, "an Upgrade is not served"));
    }
    let chunked = headers.contains_key(TRANSFER_ENCODING);
    let length = headers.get(CONTENT_LENGTH).map(|value| value.to_str().unwrap_or_default().trim().parse());
    if chunked && (length.is_some() || head.version != Version::HTTP_11) {
        return Err(Refusal::with(RefusalReason::Framing, "the body's length is said twice"));
    }
    if !settings.device_names.is_empty() {
        judge_host(headers, &settings.device_names)?;
    }
    match length {
        Some(Err(_)) => Err(Refusal::with(RefusalReason::Framing, "Content-Length is no length")),
        Some(Ok(length)) if length > settings.message_octets => {
            Err(Refusal::with(RefusalReason::BodyTooLarge, format!("{length} octets")))
        }
        Some(Ok(length)) => Ok(Some(length)),
        None if !chunked && head.method == Method::POST => Err(RefusalReason::LengthRequired.into()),
        None => Ok(None),
    }
}

fn judge_host(headers: &HeaderMap, names: &[String]) -> Result<(), Refusal> {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.chars().all(|c| c.is_ascii_digit()) => name,
        _ => host,
    };
    let ours = names.iter().any(|ours| ours.eq_ignore_ascii_case(name) || ours.eq_ignore_ascii_case(host));
    ours.then_some(()).ok_or_else(|| Refusal::with(RefusalReason::Host, host))
}

/// The verdict on certificate and route: the stricter of the two.
fn judge_peer(
    certificate: Option<&PeerCertificate>,
    hash: &RouteHash,
    settings: &Settings,
    lists: &ListSet,
    now: UtcMillis,
) -> Result<(Admission, Option<RefusalReason>), Refusal> {
    let (of_certificate, certificate_reason) = match certificate {
        Some(certificate) => certificate.judge(lists, now),
        None if settings.require_client_certificate => {
            return Err(RefusalReason::CertificateRequired.into());
        }
        None => (Admission::Admit, None),
    };
    if of_certificate == Admission::Refuse {
        return Err(certificate_reason.unwrap_or(RefusalReason::CertificateBlocked).into());
    }
    let of_route = lists.verdict(&BlockedSubject::Route(*hash));
    if of_route == Admission::Refuse {
        return Err(RefusalReason::RouteBlocked.into());
    }
    if !lists.knows(hash) {
        return Err(RefusalReason::RouteUnknown.into());
    }
    let route_reason = (of_route == Admission::WipeOnly).then_some(RefusalReason::RouteBlocked);
    Ok((of_certificate.stricter(of_route), certificate_reason.or(route_reason)))
}

fn judge_content(headers: &HeaderMap) -> Result<MediaType, Refusal> {
    judge_coding(headers)?;
    let found = one_content_type(headers)?;
    MediaType::parse(found).ok_or_else(|| Refusal::with(RefusalReason::MediaType, found))
}

/// No Content-Encoding, or identity.
pub(super) fn judge_coding(headers: &HeaderMap) -> Result<(), Refusal> {
    match one(headers, CONTENT_ENCODING) {
        (None, _) => Ok(()),
        (Some(coding), false) if coding.trim().eq_ignore_ascii_case("identity") => Ok(()),
        (Some(coding), _) => Err(Refusal::with(RefusalReason::ContentEncoding, coding)),
    }
}

/// The one Content-Type; empty where there is none.
pub(super) fn one_content_type(headers: &HeaderMap) -> Result<&str, Refusal> {
    let (found, twice) = one(headers, CONTENT_TYPE);
    let found = found.unwrap_or_default();
    if twice { Err(Refusal::with(RefusalReason::MediaType, found)) } else { Ok(found) }
}

/// The first value of a header, and whether there are more.
fn one(headers: &HeaderMap, name: HeaderName) -> (Option<&str>, bool) {
    let mut values = headers.get_all(name);
    let first = values.next().map(|value| value.to_str().unwrap_or("?"));
    (first, values.next().is_some())
}
