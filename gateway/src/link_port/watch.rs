//! The watch: settings, lists, wake-ups and drain from a core, line by line.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::{Buf, Bytes, BytesMut};
use http::{Method, StatusCode};
use http_body_util::BodyExt;
use postern_wire::{
    link::{
        Ack, AckVerdict, Admission, BlockedDelta, BlockedSubject, LINE_OCTETS, ListKind, PACKAGE0_OCTETS,
        RoutesDelta, WATCH_PATH, WatchLine, WatchQuery,
    },
    route::RouteHash,
};
use tokio::time::timeout;

use super::{
    cores::{Core, Document, Target, reconsider, write_blocked},
    link::{LinkError, Sender, request},
};
use crate::{
    identity,
    listeners::{Fingerprint, Wake},
    shared::{Phase, Retirement, Shared},
};

/// So many parts of one version of a list may come: with the most entries a line, 64 million.
const PARTS: usize = 8_192;

/// Watches until the link closes.
pub(crate) async fn run(shared: &Shared, core: &Core, mut sender: Sender) -> Result<(), LinkError> {
    core.watch_begins(shared.uptime_ms());
    let ended = watch(shared, core, &mut sender).await;
    core.watch_ends();
    reconsider(shared);
    ended
}

async fn watch(shared: &Shared, core: &Core, sender: &mut Sender) -> Result<(), LinkError> {
    let lists = core.lists();
    let (blocked, routes) = lists.versions();
    let settings = shared.settings.now().version;
    let has = WatchQuery { settings, blocked, routes, lineage: lists.lineage };
    let path = format!("{WATCH_PATH}?{}", has.to_query());
    sender.ready().await?;
    let response = sender.send_request(request(Method::GET, &path, Bytes::new())).await?;
    if response.status() != StatusCode::OK {
        return Err(LinkError::Status(response.status()));
    }
    let mut incoming = response.into_body();
    let mut staged = Staged::default();
    let mut received = BytesMut::new();
    let mut searched = 0;
    loop {
        let frame = timeout(Duration::from_millis(core.sick_after_ms()), incoming.frame());
        let Some(frame) = frame.await.map_err(|_| LinkError::Sick)? else { return Ok(()) };
        let Ok(data) = frame?.into_data() else { continue };
        received.extend_from_slice(&data);
        core.line_came(shared.uptime_ms());
        while let Some(end) = received[searched..].iter().position(|octet| *octet == b'\n') {
            let line = received.split_to(searched + end);
            received.advance(1);
            searched = 0;
            take_line(shared, core, serde_json::from_slice(&line)?, &mut staged)?;
        }
        searched = received.len();
        if searched > LINE_OCTETS {
            return Err(LinkError::TooLong);
        }
    }
}

/// Parts of a version whose last part has not come.
#[derive(Default)]
struct Staged {
    blocked: Vec<BlockedDelta>,
    routes: Vec<RoutesDelta>,
}

fn take_line(shared: &Shared, core: &Core, line: WatchLine, staged: &mut Staged) -> Result<(), LinkError> {
    match line {
        WatchLine::Versions { settings, blocked, routes, lineage, epoch, trust } => {
            core.set_epoch(epoch);
            core.set_target(Target { settings, blocked, routes, trust }, lineage);
        }
        WatchLine::Settings { version, document, sha256 } => {
            core.announce_settings(Document { version, document, sha256 });
        }
        WatchLine::Trust(trust) => core.announce_trust(trust),
        WatchLine::Blocked(part) => {
            let (version, more) = (part.version, part.more);
            stage(&mut staged.blocked, part)?;
            if !more {
                let lists = core.lists();
                lists.apply_blocked(std::mem::take(&mut staged.blocked));
                core.raise_target(ListKind::Blocked, version);
                if Arc::ptr_eq(&shared.lists.load(), &lists) {
                    write_blocked(shared);
                }
                core.acknowledge(Ack { kind: ListKind::Blocked, version, verdict: AckVerdict::Applied });
            }
        }
        WatchLine::Routes(part) => {
            let (version, more) = (part.version, part.more);
            stage(&mut staged.routes, part)?;
            if !more {
                core.lists().apply_routes(std::mem::take(&mut staged.routes));
                core.raise_target(ListKind::Routes, version);
                shared.routes_to_write.store(true, Ordering::Relaxed);
                core.acknowledge(Ack { kind: ListKind::Routes, version, verdict: AckVerdict::Applied });
            }
        }
        WatchLine::Wake { route, package0, certificate } => {
            wake(shared, route, &package0, certificate.as_deref());
        }
        WatchLine::Drain => {
            tracing::info!(core = %core.id, "core drains");
            core.drain();
        }
        WatchLine::Beat { epoch, now } => {
            core.set_epoch(epoch);
            core.beat_came(now, shared.uptime_ms());
        }
        WatchLine::Certificate { role, chain } => identity::take(shared, role, &chain),
        WatchLine::Renew { role } => match &shared.identity {
            Some(identity) => {
                identity.want(role);
                core.to_report.notify_one();
            }
            None => {
                tracing::warn!(port = role.as_str(), "this gateway's certificates are its operator's files")
            }
        },
        WatchLine::Retired => retire(shared, core),
        WatchLine::Unknown => tracing::debug!("a line of a newer core"),
    }
    reconsider(shared);
    Ok(())
}

/// The core wants this gateway no more.
fn retire(shared: &Shared, core: &Core) {
    tracing::warn!("retired by the core: nobody is served from now on");
    shared.advance(Phase::Draining);
    if let Err(error) = identity::put_away(&shared.config) {
        tracing::error!(%error, "not everything could be put away");
    }
    shared.retirement.send_if_modified(|now| {
        let first = *now == Retirement::None;
        *now = (*now).max(Retirement::PutAway);
        first
    });
    core.to_report.notify_one();
}

/// Passes a package 0 on to the device that listens; one that cannot be read, or whose route is not to be heard, is
/// dropped.
fn wake(shared: &Shared, route: RouteHash, package0: &str, certificate: Option<&str>) {
    let certificate = certificate.map(Fingerprint::from_hex);
    let octets = STANDARD.decode(package0).ok().filter(|octets| octets.len() <= PACKAGE0_OCTETS);
    let (Some(octets), false) = (octets, certificate == Some(None)) else {
        return tracing::warn!(%route, "a wake-up cannot be read");
    };
    let lists = shared.lists.load();
    if !lists.knows(&route) || lists.verdict(&BlockedSubject::Route(route)) == Admission::Refuse {
        return tracing::info!(%route, "a wake-up for a route that is not served");
    }
    let keep_ms = shared.settings.now().listen.keep_s * 1_000;
    let wake = Wake { package0: Bytes::from(octets), certificate: certificate.flatten() };
    let woken = shared.listeners.wake(route, wake, shared.uptime_ms(), keep_ms);
    let counters = &shared.counters;
    if woken { counters.wakes_delivered.add(1) } else { counters.wakes_without_listener.add(1) }
}

fn stage<T>(parts: &mut Vec<T>, part: T) -> Result<(), LinkError> {
    if parts.len() >= PARTS {
        return Err(LinkError::TooLong);
    }
    parts.push(part);
    Ok(())
}
