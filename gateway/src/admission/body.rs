//! The body: whole, in time, within its size, and a SyncML message.

use std::time::Duration;

use actix_http::{Payload, error::PayloadError};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use postern_wire::{
    link::{RefusalReason, Settings},
    syncml::{self, Limits, MediaType},
};
use tokio::time::{Instant, timeout_at};

use super::Refusal;

/// Before this the minimum rate is not asked: a radio link takes a while to come up.
const GRACE: Duration = Duration::from_secs(5);

/// Reads a body within its limits. `length` is what the head says of it.
pub(crate) async fn read(
    mut payload: Payload,
    length: Option<usize>,
    settings: &Settings,
) -> Result<Bytes, Refusal> {
    let started = Instant::now();
    let last = started + Duration::from_secs(settings.body_timeout_s);
    let mut body = BytesMut::with_capacity(length.unwrap_or(0).min(64 * 1024));
    loop {
        let deadline = last.min(deadline_of_rate(started, body.len(), settings.body_octets_a_second));
        let chunk = timeout_at(deadline, payload.next()).await.map_err(|_| {
            let detail = format!("{} octets in {} ms", body.len(), started.elapsed().as_millis());
            Refusal::with(RefusalReason::TooSlow, detail)
        })?;
        match chunk {
            Some(Ok(chunk)) if body.len() + chunk.len() > settings.message_octets => {
                return Err(RefusalReason::BodyTooLarge.into());
            }
            Some(Ok(chunk)) => body.extend_from_slice(&chunk),
            Some(Err(PayloadError::EncodingCorrupted)) => {
                return Err(Refusal::with(RefusalReason::Framing, "the chunks are broken"));
            }
            Some(Err(error)) => return Err(Refusal::with(RefusalReason::Incomplete, error.to_string())),
            None => break,
        }
    }
    if length.is_some_and(|length| length != body.len()) {
        return Err(RefusalReason::Incomplete.into());
    }
    Ok(body.freeze())
}

/// When more than `received` octets must have come.
fn deadline_of_rate(started: Instant, received: usize, octets_a_second: u64) -> Instant {
    if octets_a_second == 0 {
        return started + Duration::from_secs(86_400);
    }
    let due_after = Duration::from_secs_f64(received as f64 / octets_a_second as f64);
    started + GRACE + due_after
}

/// Reads the body as a SyncML message; the octets stay as they are.
pub(crate) fn decode(body: &[u8], media: MediaType, settings: &Settings) -> Result<(), Refusal> {
    let octets = settings.message_octets;
    let limits = Limits { message_octets: octets, text_octets: octets, ..Limits::default() };
    match syncml::decode(body, media.encoding(), &limits) {
        Ok(_) => Ok(()),
        Err(error) => Err(Refusal::with(RefusalReason::Malformed, error.to_string())),
    }
}
