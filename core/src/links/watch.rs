//! The watch stream: versions first, then what the gateway lacks, then each change as it comes, beats between.

use std::{convert::Infallible, sync::Arc};

use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use postern_wire::link::{WatchLine, WatchQuery};
use tokio::sync::{broadcast::error::RecvError, mpsc};
use tokio_stream::{StreamExt, wrappers::ReceiverStream};

use super::{dial::Link, lists::Told, state::Phase};

/// So many lines may wait for a slow gateway; then the stream waits for it.
const LINES: usize = 4;

/// Answers the watch request of a gateway.
pub(super) async fn watch(request: HttpRequest, has: web::Query<WatchQuery>) -> HttpResponse {
    let Some(link) = request.conn_data::<Arc<Link>>() else { return HttpResponse::NotFound().finish() };
    let (lines, body) = mpsc::channel(LINES);
    actix_rt::spawn(feed(Arc::clone(link), has.into_inner(), lines));
    HttpResponse::Ok()
        .content_type("application/x-ndjson")
        .streaming(ReceiverStream::new(body).map(Ok::<Bytes, Infallible>))
}

/// Feeds one watch until its link closes.
async fn feed(link: Arc<Link>, has: WatchQuery, lines: mpsc::Sender<Bytes>) {
    link.gateway.watching.send_replace(true);
    let name = &link.gateway.target.name;
    tracing::info!(gateway = %name, "gateway watches");
    let ended = feed_until_closed(&link, has, &lines).await;
    link.gateway.watching.send_replace(false);
    tracing::info!(gateway = %name, reason = ended.0, "gateway no longer watches");
}

/// Why a watch ended.
struct Ended(&'static str);

async fn feed_until_closed(link: &Link, has: WatchQuery, lines: &mpsc::Sender<Bytes>) -> Ended {
    let (hub, name) = (&link.hub, &link.gateway.target.name);
    let (mut changed, mut wakes, mut addressed) = hub.lists.subscribe();
    let (mut phase, mut epoch) = (hub.phase(), hub.epoch.clone());
    let mut beat = tokio::time::interval(hub.config.heartbeat);
    let mut epoch_known = true;
    let mut drain_sent = false;
    changed.mark_unchanged();
    hub.lists.began_with(name, &has);
    let mut told = Told::new(has);
    let first = hub.lists.versions_line(name, *epoch.borrow_and_update());
    if send(lines, &first).await.is_err() {
        return Ended("closed");
    }
    loop {
        while let Some(line) = hub.lists.next_line(name, &mut told) {
            if send(lines, &line).await.is_err() {
                return Ended("closed");
            }
            if let WatchLine::Settings { version, .. } = line {
                hub.reports.pushed(name, version);
            }
        }
        let line = tokio::select! {
            _ = changed.changed() => None,
            wake = wakes.recv() => match wake {
                Ok(wake) => Some(WatchLine::Wake {
                    route: wake.route,
                    package0: wake.package0.to_string(),
                    certificate: wake.certificate.as_deref().map(str::to_owned),
                }),
                Err(RecvError::Lagged(lost)) => {
                    tracing::warn!(gateway = %name, lost, "wake-ups lost: the gateway reads too slowly");
                    None
                }
                Err(RecvError::Closed) => return Ended("stopped"),
            },
            addressed = addressed.recv() => match addressed {
                Ok(line) => (*line.gateway == **name).then_some(line.line),
                Err(RecvError::Lagged(_)) => None,
                Err(RecvError::Closed) => return Ended("stopped"),
            },
            _ = beat.tick() => Some(WatchLine::Beat { now: (hub.clock)(), epoch: *epoch.borrow() }),
            result = epoch.changed(), if epoch_known => {
                epoch_known = result.is_ok();
                Some(WatchLine::Beat { now: (hub.clock)(), epoch: *epoch.borrow_and_update() })
            }
            _ = phase.wait_for(|phase| *phase != Phase::Running), if !drain_sent => {
                drain_sent = true;
                Some(WatchLine::Drain)
            }
            () = lines.closed() => return Ended("closed"),
        };
        if let Some(line) = line
            && send(lines, &line).await.is_err()
        {
            return Ended("closed");
        }
    }
}

/// Sends one line; an error when the link has closed.
async fn send(lines: &mpsc::Sender<Bytes>, line: &WatchLine) -> Result<(), ()> {
    let mut text = match serde_json::to_vec(line) {
        Ok(text) => text,
        Err(error) => {
            tracing::error!(%error, "a watch line cannot be written");
            return Err(());
        }
    };
    text.push(b'\n');
    lines.send(Bytes::from(text)).await.map_err(|_| ())?;
    // A long list is many lines: each leaves before the next is made.
    tokio::task::yield_now().await;
    Ok(())
}
