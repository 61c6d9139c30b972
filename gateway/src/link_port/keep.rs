//! Keeps a worker's idle links: closed ones go, idle ones are pinged, surplus ones are closed.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use bytes::Bytes;
use http::{Method, StatusCode};
use http_body_util::BodyExt;
use postern_wire::link::PING_PATH;
use tokio::time::timeout;

use super::link::request;
use crate::{relay::pool::Link, shared::Shared};

/// How often a worker looks at its idle links.
const LOOK: Duration = Duration::from_millis(200);
/// A link that nobody used for so long may be one too many.
const SURPLUS_AFTER_MS: u64 = 30_000;

/// Looks after the idle links of one worker.
pub(crate) async fn keep(shared: Arc<Shared>, worker: usize) {
    let (idle_ms, limit) = (shared.config.link.ping_idle_ms, shared.config.link.ping_limit_ms);
    let mut look = tokio::time::interval(LOOK.min(Duration::from_millis(idle_ms / 4)));
    loop {
        look.tick().await;
        let now = shared.uptime_ms();
        let mut surplus = 1;
        drop(shared.pool.withdraw(worker, |link| {
            let gone = link.sender.is_closed() || link.core.is_draining();
            gone || (surplus > 0 && is_surplus(&shared, link, now) && {
                surplus -= 1;
                true
            })
        }));
        for link in shared.pool.withdraw(worker, |link| now.saturating_sub(link.checked_ms) >= idle_ms) {
            let shared = Arc::clone(&shared);
            actix_rt::spawn(async move {
                match timeout(Duration::from_millis(limit), ping(link)).await {
                    Ok(Some(mut link)) => {
                        link.checked_ms = shared.uptime_ms();
                        shared.pool.put(link);
                    }
                    Ok(None) | Err(_) => tracing::warn!("a link did not answer its ping and is closed"),
                }
            });
        }
    }
}

fn is_surplus(shared: &Shared, link: &Link, now: u64) -> bool {
    let want = shared.pool.want().max(shared.settings.now().links.min) as usize;
    now.saturating_sub(link.used_ms) >= SURPLUS_AFTER_MS
        && link.core.request_links.load(Ordering::Relaxed) > want
}

/// Pings an idle link; it comes back when it answered.
async fn ping(mut link: Link) -> Option<Link> {
    link.sender.ready().await.ok()?;
    let response = link.sender.send_request(request(Method::GET, PING_PATH, Bytes::new())).await.ok()?;
    let good = response.status() == StatusCode::NO_CONTENT;
    response.into_body().collect().await.ok()?;
    good.then_some(link)
}
