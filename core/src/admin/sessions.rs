//! Sessions of a device: those that were held, and the live dialogue with its secrets masked.

use std::time::Duration;

use actix_web::web;
use postern_actors::{Exchange, Watched};
use postern_api::{
    Page, Time,
    page::PageQuery,
    problem::Slug,
    sessions::{
        SessionDecision, SessionExchange, SessionMessage, SessionWatchQuery, WAIT_S, WatchedSessions,
    },
};
use postern_engine::mask;
use postern_store::sessions;
use postern_wire::{
    route::RouteId,
    syncml::{self, Encoding, Limits, MediaType, Style},
};
use serde_json::json;

use super::{
    answer::{self, Answer, Window},
    auth::Caller,
    devices::resolve,
    problem::Refused,
    recordings::described,
    why::session,
    write::{Done, Stop},
};
use crate::inside::Inside;

const LIST: &str = "sessions";

pub(super) async fn list(
    inside: web::Data<Inside>,
    path: web::Path<String>,
    query: web::Query<PageQuery>,
    _: Caller,
) -> Answer {
    let window = Window::read(LIST, query.limit, query.cursor.as_deref())?;
    let (name, most) = (path.into_inner(), window.fetch());
    let read = inside.store.read(move |r| {
        let device = match resolve(r, &name) {
            Ok(device) => device,
            Err(refused) => return Ok(Err(refused)),
        };
        Ok(Ok(sessions::of(r, device.id, most)?))
    });
    let mut rows = read.await??;
    rows.truncate(window.limit);
    answer::ok(&Page { items: rows.into_iter().map(session).collect::<Vec<_>>(), next_cursor: None })
}

pub(super) async fn watch(
    inside: web::Data<Inside>,
    path: web::Path<String>,
    query: web::Query<SessionWatchQuery>,
    caller: Caller,
) -> Answer {
    let wait = query.wait.unwrap_or(0);
    if wait > WAIT_S {
        return Err(Refused::invalid("wait", format!("wait is at most {WAIT_S} seconds")));
    }
    let active = inside.active()?;
    let name = path.into_inner();
    let known = inside.objects.clone();
    let read = inside.store.read(move |r| {
        let device = match resolve(r, &name) {
            Ok(device) => device.id,
            Err(refused) => return Ok(Err(refused)),
        };
        Ok(Ok((device, described(r, &known, device)?)))
    });
    let (device, secret) = read.await??;
    if query.after.is_none() {
        // Who reads what a device says stands in the audit before anything is shown.
        inside
            .change(&caller, move |_| {
                Ok::<_, Stop>(Done { object: format!("device:{device}"), detail: json!(null), value: () })
            })
            .await?;
    }
    let after = query.after.unwrap_or(0);
    let until = tokio::time::Instant::now() + Duration::from_secs(u64::from(wait));
    loop {
        let (watched, mut news) = active.devices.watch_sessions(device, after).map_err(too_many)?;
        let empty = watched.exchanges.is_empty();
        if !empty || wait == 0 || tokio::time::timeout_at(until, news.changed()).await.is_err() {
            return answer::ok(&shown(watched, &*secret));
        }
    }
}

pub(super) async fn abort(inside: web::Data<Inside>, path: web::Path<String>, caller: Caller) -> Answer {
    let active = inside.active()?;
    let name = path.into_inner();
    let route = inside
        .change(&caller, move |tx| {
            let device = resolve(tx, &name)?;
            let object = format!("device:{}", device.id);
            Ok::<_, Stop>(Done { object, detail: json!({}), value: RouteId::from_bytes(device.route) })
        })
        .await?;
    active.devices.abort_session(route);
    answer::nothing()
}

pub(super) fn too_many(error: postern_actors::TooManyWatched) -> Refused {
    Refused::new(Slug::Unavailable, error.to_string())
}

fn shown(watched: Watched, secret: mask::Described<'_>) -> WatchedSessions {
    WatchedSessions {
        exchanges: watched.exchanges.into_iter().map(|one| exchange(one, secret)).collect(),
        missed: watched.missed,
        next: watched.next,
        recording: watched.recording,
    }
}

fn exchange(exchange: Exchange, secret: mask::Described<'_>) -> SessionExchange {
    SessionExchange {
        seq: exchange.seq,
        at: Time(exchange.at),
        session: exchange.session.map(|session| session.0),
        request: message(exchange.content_type, &exchange.request, secret),
        status: exchange.status,
        answer: exchange.answer.map(|(content_type, body)| message(content_type, &body, secret)),
        decisions: exchange
            .decisions
            .into_iter()
            .map(|(rule, text)| SessionDecision { rule: rule.to_owned(), text })
            .collect(),
    }
}

/// A message decoded, masked, and written as XML; one that does not decode is not shown, because its secrets
/// cannot be found.
fn message(content_type: &str, octets: &[u8], secret: mask::Described<'_>) -> SessionMessage {
    let encoding = MediaType::parse(content_type).map_or(Encoding::Xml, MediaType::encoding);
    let text = syncml::decode(octets, encoding, &Limits::default())
        .map_err(|error| error.to_string())
        .and_then(|decoded| {
            let mut message = decoded.message;
            mask::mask(&mut message, secret);
            let style = Style::xml(message.version);
            syncml::encode(&message, &style).map_err(|error| error.to_string())
        })
        .map(|octets| String::from_utf8_lossy(&octets).into_owned());
    SessionMessage {
        content_type: content_type.to_owned(),
        octets: octets.len() as u64,
        syncml: text.as_ref().ok().cloned(),
        error: text.err(),
    }
}
