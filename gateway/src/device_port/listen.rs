//! One device that listens: admitted like a message, then held until a notification, its poll time or the drain.
//!
//! Promise (docs/THREATS.md, "Notifications"): a listener takes no link and nothing of it reaches the core; its answer is
//! package 0 or 204, whatever waits for the device.

use std::{sync::Arc, time::Duration};

use actix_http::{Request, Response, body::BoxBody};
use postern_wire::link::{RefusalReason, Settings};
use tokio::time::timeout;

use super::{
    answer,
    handle::{Progress, take_of_route},
    serve::Connection,
};
use crate::{
    admission::{Refusal, head},
    listeners::Listening,
    shared::{Phase, Shared},
};

/// Answers `GET /dm/1/<route>/listen`.
pub(super) async fn listen(
    shared: &Arc<Shared>,
    request: &Request,
    connection: &Connection,
    settings: &Settings,
    progress: &mut Progress,
) -> Result<Response<BoxBody>, Refusal> {
    let mut phase = shared.phase();
    if *phase.borrow() != Phase::Serving {
        return Err(RefusalReason::Draining.into());
    }
    let certificate = connection.certificate.as_ref();
    let route = {
        let lists = shared.lists.load();
        let now = (shared.clock)();
        head::judge_listener(request.head(), certificate, settings, &lists, now).map_err(|refused| {
            progress.route = refused.route;
            refused.refusal
        })?
    };
    progress.route = Some(route);
    progress.read = true;
    take_of_route(shared, &route, settings)?;
    let fingerprint = certificate.map(|certificate| certificate.fingerprint);
    let listeners = &shared.listeners;
    let held = match listeners.listen(route, fingerprint, settings.listen.devices, shared.uptime_ms()) {
        Listening::Kept(package0) => {
            shared.counters.wakes_delivered.add(1);
            return Ok(answer::listened(Some(package0), true));
        }
        Listening::Full => return Err(RefusalReason::ListenersFull.into()),
        Listening::Held(held) => held,
    };
    let woken = async {
        tokio::select! {
            biased;
            package0 = held.package0() => package0,
            _ = phase.wait_for(|phase| *phase != Phase::Serving) => None,
        }
    };
    let package0 = timeout(Duration::from_secs(settings.listen.poll_s), woken).await.ok().flatten();
    let serving = *shared.phase().borrow() == Phase::Serving;
    Ok(answer::listened(package0, serving))
}
