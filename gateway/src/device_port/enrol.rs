//! One request of enrolment: admitted by its form and its address, then relayed octet for octet.
//!
//! Promise: each request takes a token of its address and has it back only when the core accepted a handshake's message, so
//! that guessing, and asking for nothing, is slow; the connection's own token comes back with the first one, which proves that
//! the password is known. No list is looked at, nothing is kept.

use std::sync::Arc;

use actix_http::{HttpMessage as _, Request};
use postern_wire::link::{self, Admission, RefusalReason, Settings};

use super::{handle::Progress, serve::Connection};
use crate::{
    admission::{
        Refusal, body,
        enrolment::{self, Asked},
        rates::address_key,
    },
    relay::{self, Message, Reply},
    shared::{Phase, Shared},
};

/// Passes the request on.
pub(super) async fn pass_on(
    shared: &Arc<Shared>,
    worker: usize,
    asked: Asked,
    mut request: Request,
    connection: &Connection,
    settings: &Settings,
    progress: &mut Progress,
) -> Result<Reply, Refusal> {
    if *shared.phase().borrow() != Phase::Serving {
        return Err(RefusalReason::Draining.into());
    }
    let length = enrolment::judge(asked, request.head(), settings)?;
    let key = address_key(connection.source);
    if !shared.address_rates.take(key, shared.address_rate(), shared.uptime_ms()) {
        return Err(Refusal::with(RefusalReason::AddressRate, "enrolments"));
    }
    if shared.cores.active().is_none() {
        return Err(RefusalReason::NoCore.into());
    }
    let limits = Settings {
        message_octets: settings.message_octets.min(postern_wire::enrol::BODY_LIMIT),
        ..settings.clone()
    };
    let octets = body::read(request.take_payload(), length, &limits).await?;
    progress.read = true;
    shared.counters.octets_in.add(octets.len() as u64);
    let path = asked.path().to_owned();
    let method = if asked == Asked::Discover { http::Method::GET } else { http::Method::POST };
    let mut message = Message::with_method(method, shared.request_id(), path, octets);
    for name in ["content-type", "accept", "user-agent"] {
        for value in request.headers().get_all(name) {
            message.header(name, value.as_bytes());
        }
    }
    message.header(link::SOURCE, connection.source.to_string().as_bytes());
    message.header(link::TLS, connection.tls.as_bytes());
    message.header(link::ADMISSION, Admission::Admit.as_str().as_bytes());
    let reply = relay::relay(shared, worker, message, settings).await?;
    shared.counters.enrolment_messages.add(1);
    if !reply.status.is_success() {
        shared.counters.enrolments_refused.add(1);
    }
    if asked != Asked::Discover && reply.status.is_success() {
        shared.address_rates.give(key, shared.address_rate(), shared.uptime_ms());
        if !connection.proven.replace(true) {
            shared.address_rates.give(key, shared.address_rate(), shared.uptime_ms());
        }
    }
    Ok(reply)
}
