//! The report link: acknowledgements at once, refusals as they gather, the state each heartbeat.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use postern_wire::link::{Heartbeat, LinkCounts, REPORT_PATH, ReportAnswer, ReportBatch};
use tokio::time::{Instant, timeout};

use super::{
    cores::{Core, reconsider},
    link::{LinkError, Sender, post},
};
use crate::{
    observe,
    shared::{Retirement, Shared},
};

/// Refusals gather for so long.
const GATHER: Duration = Duration::from_millis(500);
/// So many entries of refusals go into one report; with their longest details it stays under the contract's limit.
const REFUSALS: usize = 512;
/// A report must be answered in this time.
const LIMIT: Duration = Duration::from_secs(10);

/// Reports until the link closes.
pub(crate) async fn run(shared: &Shared, core: &Arc<Core>, mut sender: Sender) -> Result<(), LinkError> {
    let heartbeat = Duration::from_millis(core.heartbeat_ms());
    let mut beat_due = Instant::now();
    let mut told_want = 0;
    loop {
        if sender.is_closed() {
            return Ok(());
        }
        let is_used = shared.cores.active().is_some_and(|active| Arc::ptr_eq(&active, core));
        let acks = core.take_acks();
        let refusals = if is_used { shared.refusals.take(REFUSALS) } else { Vec::new() };
        let requests = shared.identity.as_ref().map(|identity| identity.requests(shared.uptime_ms()));
        let requests = requests.unwrap_or_default();
        let retired = *shared.retirement.borrow();
        let beats = Instant::now() >= beat_due;
        let want_links = if is_used { shared.pool.want() } else { shared.settings.now().links.min };
        let news = !acks.is_empty() || !refusals.is_empty() || !requests.is_empty();
        if beats || news || want_links != told_want || retired == Retirement::PutAway {
            let batch = ReportBatch {
                acks,
                refusals: refusals.iter().map(|(_, refusal)| refusal.clone()).collect(),
                heartbeat: beats.then(|| state(shared, core)),
                requests,
                retired: retired != Retirement::None,
                want_links,
            };
            let answer = timeout(LIMIT, post::<ReportAnswer>(&mut sender, REPORT_PATH, &batch)).await;
            match answer.unwrap_or(Err(LinkError::TooSlow)) {
                Ok(ReportAnswer { ok: true, .. }) => {
                    core.acks_taken(&batch.acks);
                    if batch.retired {
                        shared.retirement.send_replace(Retirement::Told);
                    }
                    reconsider(shared);
                }
                other => {
                    core.give_back_acks(batch.acks);
                    shared.refusals.give_back(refusals);
                    if let Some(identity) = &shared.identity {
                        identity.untold();
                    }
                    return Err(other.err().unwrap_or(LinkError::NotTaken));
                }
            }
            told_want = want_links;
            if beats {
                beat_due = Instant::now() + heartbeat;
            }
        }
        tokio::select! {
            () = core.to_report.notified() => {}
            () = shared.pool.want_changed.notified() => {}
            () = tokio::time::sleep(GATHER.min(heartbeat)) => {}
        }
    }
}

fn state(shared: &Shared, core: &Core) -> Heartbeat {
    let (blocked, routes) = shared.lists.load().versions();
    let count = |links: usize| u32::try_from(links).unwrap_or(u32::MAX);
    Heartbeat {
        clock: (shared.clock)(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        connections: shared.counters.connections() as u64,
        sessions: shared.counters.handshakes.get(),
        listeners: shared.listeners.count() as u64,
        in_flight: shared.counters.messages_in_flight() as u64,
        relayed: shared.counters.messages_relayed(),
        refusals: shared.counters.refusals(),
        refusals_untold: shared.refusals.untold(),
        links: LinkCounts {
            request: count(core.request_links.load(Ordering::Relaxed)),
            busy: core.busy.load(Ordering::Relaxed),
        },
        device_certificate_not_after: shared.device_tls.load().facts.not_after,
        link_certificate_not_after: shared.link_tls.load().facts.not_after,
        device_certificate_issuer: shared.device_tls.load().facts.issuer.clone(),
        link_certificate_issuer: shared.link_tls.load().facts.issuer.clone(),
        settings: shared.settings.now().version,
        settings_good: shared.settings.good().version,
        blocked,
        routes,
        trust: shared.trust.version(),
        uptime_s: shared.uptime_ms() / 1_000,
        beat: core.last_beat(shared.uptime_ms()),
        certificates: shared.certificates(),
        listening: shared.ports.addresses().iter().map(ToString::to_string).collect(),
        rss: observe::resident_octets(),
        troubles: shared.troubles(),
    }
}
