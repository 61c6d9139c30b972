//! A CRL for whoever asks: `GET /crl/1/<issuer>.crl`, relayed to the core.
//!
//! Promise: the form is judged here, each request takes a token of its address and has it back with an answer, and no
//! list, certificate or route is looked at: what is asked for is public.

use std::sync::Arc;

use actix_http::{Request, header};
use actix_web::http::Method;
use bytes::Bytes;
use postern_wire::link::{self, Admission, CRL_PREFIX, RefusalReason, Settings};

use super::serve::Connection;
use crate::{
    admission::{Refusal, rates::address_key},
    relay::{self, Message, Reply},
    shared::{Phase, Shared},
};

/// Octets of an issuer's name, in hex digits.
const ISSUER_DIGITS: usize = 32;

/// Whether a path is one of these.
pub(super) fn is_asked(path: &str) -> bool {
    path.starts_with(CRL_PREFIX)
}

fn is_good(path: &str) -> bool {
    let issuer = path.strip_prefix(CRL_PREFIX).and_then(|file| file.strip_suffix(".crl"));
    issuer.is_some_and(|issuer| {
        issuer.len() == ISSUER_DIGITS
            && issuer.bytes().all(|octet| matches!(octet, b'0'..=b'9' | b'a'..=b'f'))
    })
}

/// Passes the request on.
pub(super) async fn pass_on(
    shared: &Arc<Shared>,
    worker: usize,
    request: &Request,
    connection: &Connection,
    settings: &Settings,
) -> Result<Reply, Refusal> {
    if *shared.phase().borrow() != Phase::Serving {
        return Err(RefusalReason::Draining.into());
    }
    if !is_good(request.path()) {
        return Err(RefusalReason::Path.into());
    }
    if request.method() != Method::GET {
        return Err(Refusal::with(RefusalReason::Method, "GET"));
    }
    let headers = &request.head().headers;
    let length = headers.get(header::CONTENT_LENGTH).is_some_and(|length| length.as_bytes() != b"0");
    if length || headers.contains_key(header::TRANSFER_ENCODING) {
        return Err(Refusal::with(RefusalReason::Framing, "a request for a CRL has no body"));
    }
    let key = address_key(connection.source);
    if !shared.address_rates.take(key, shared.address_rate(), shared.uptime_ms()) {
        return Err(Refusal::with(RefusalReason::AddressRate, "CRLs"));
    }
    if shared.cores.active().is_none() {
        return Err(RefusalReason::NoCore.into());
    }
    let path = request.path().to_owned();
    let mut message = Message::with_method(http::Method::GET, shared.request_id(), path, Bytes::new());
    message.header(link::SOURCE, connection.source.to_string().as_bytes());
    message.header(link::TLS, connection.tls.as_bytes());
    message.header(link::ADMISSION, Admission::Admit.as_str().as_bytes());
    let reply = relay::relay(shared, worker, message, settings).await?;
    if reply.status.is_success() {
        shared.address_rates.give(key, shared.address_rate(), shared.uptime_ms());
    }
    Ok(reply)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_name_of_an_issuer_is_passed_on() {
        let good = format!("/crl/1/{}.crl", "0a".repeat(16));
        assert!(is_good(&good));
        for bad in [
            "/crl/1/.crl".to_owned(),
            format!("/crl/1/{}.crl", "0A".repeat(16)),
            format!("/crl/1/{}.crl", "0a".repeat(17)),
            format!("/crl/1/../{}.crl", "0a".repeat(16)),
            good.replace(".crl", ""),
        ] {
            assert!(is_asked(&bad) && !is_good(&bad), "{bad}");
        }
    }
}
