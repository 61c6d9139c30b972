//! What gateways are told (live routes, the blocked list, settings) and what they tell (acknowledgements, refusals,
//! heartbeats).
//!
//! Promise: what the rows say stands in [`Lists`] before the first gateway is dialed, and each change after its
//! commit; a report counts as taken only when what is to be stored of it is.

mod fleet;
mod join;
mod signer;

use std::{
    collections::HashMap,
    future::Future,
    pin::Pin,
    sync::{Arc, PoisonError, RwLock},
};

use postern_actors::{Announce, Wake, gcm::Gcm};
use postern_store::{
    ReadError, Store, StoreError, WriteError,
    lists::{self, List},
    refusals,
};
use postern_wire::{
    link::{Admission, BlockedEntry, BlockedSubject, CertificateName, Refusal, ReportBatch},
    route::RouteHash,
};

use crate::{
    device::Blocked,
    inside::Inside,
    links::{self, GatewayReports, Lists},
};

pub(crate) use fleet::{Holders, LinkFleet};
pub(crate) use join::keep_joining;
pub(crate) use signer::Signer;

/// Entries of a list that are read at once.
const PAGE: i64 = 4096;

/// The lists, kept in step with the rows; and the blocked list as the core itself judges by.
pub(crate) struct Told {
    lists: Arc<Lists>,
    blocked: RwLock<HashMap<BlockedSubject, Admission>>,
}

impl Told {
    /// Reads the rows into `lists`.
    pub(crate) async fn load(store: &Store, lists: Arc<Lists>) -> Result<Self, ReadError> {
        let damaged = |what: &str| ReadError::Failed(StoreError::Damaged(format!("a list entry: {what:?}")));
        let mut hashes = Vec::new();
        loop {
            let after = hashes.last().copied();
            let page = store.read(move |r| lists::routes(r, after, PAGE)).await?;
            hashes.extend_from_slice(&page);
            if i64::try_from(page.len()) != Ok(PAGE) {
                break;
            }
        }
        let mut entries = Vec::new();
        each_entry(store, List::Blocked, |entry, verdict| {
            let subject: BlockedSubject = serde_json::from_str(entry).map_err(|_| damaged(entry))?;
            // A verdict that this version does not know is the strictest.
            let verdict =
                if verdict == Admission::WipeOnly.as_str() { Admission::WipeOnly } else { Admission::Refuse };
            entries.push(BlockedEntry { subject, verdict });
            Ok(())
        })
        .await?;
        let held = entries.iter().map(|entry| (entry.subject.clone(), entry.verdict)).collect();
        lists.load_routes(hashes);
        lists.load_blocked(entries);
        Ok(Self { lists, blocked: RwLock::new(held) })
    }
}

/// Hands every entry of a list to `take`, page by page. No order is taken before the lists stand, so nothing changes between two pages.
async fn each_entry(
    store: &Store,
    list: List,
    mut take: impl FnMut(&str, &str) -> Result<(), ReadError>,
) -> Result<(), ReadError> {
    let mut after = String::new();
    loop {
        let from = after.clone();
        let page = store.read(move |r| lists::entries(r, list, &from, PAGE)).await?;
        for row in &page {
            take(&row.entry, &row.verdict)?;
        }
        match page.last() {
            Some(last) if i64::try_from(page.len()) == Ok(PAGE) => after.clone_from(&last.entry),
            _ => return Ok(()),
        }
    }
}

impl Wake for Told {
    fn wake(&self, route: RouteHash, certificate: Option<[u8; 32]>, package0: &[u8]) {
        let hex = |fingerprint: [u8; 32]| Arc::from(data_encoding::HEXLOWER.encode(&fingerprint));
        let package0 = Arc::from(data_encoding::BASE64.encode(package0));
        self.lists.wake(links::Wake { route, package0, certificate: certificate.map(hex) });
    }
}

impl Announce for Told {
    fn live(&self, route: RouteHash) {
        self.lists.change_routes(vec![route], Vec::new());
    }

    fn gone(&self, route: RouteHash) {
        let subject = BlockedSubject::Route(route);
        self.blocked
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(subject.clone(), Admission::Refuse);
        self.lists.change_blocked(vec![BlockedEntry { subject, verdict: Admission::Refuse }], Vec::new());
        self.lists.change_routes(Vec::new(), vec![route]);
    }

    fn blocked(&self, entry: BlockedEntry) {
        self.block(vec![entry], Vec::new());
    }

    fn freed(&self, subject: BlockedSubject) {
        self.block(Vec::new(), vec![subject]);
    }
}

impl Told {
    /// Whether a certificate is on the blocked list, whatever its verdict.
    pub(crate) fn is_blocked(&self, name: &CertificateName) -> bool {
        let blocked = self.blocked.read().unwrap_or_else(PoisonError::into_inner);
        blocked.contains_key(&BlockedSubject::Certificate(name.clone()))
    }

    /// Tells of what the rows of the blocked list say from now on.
    pub(crate) fn block(&self, add: Vec<BlockedEntry>, remove: Vec<BlockedSubject>) {
        let mut blocked = self.blocked.write().unwrap_or_else(PoisonError::into_inner);
        for subject in &remove {
            blocked.remove(subject);
        }
        blocked.extend(add.iter().map(|entry| (entry.subject.clone(), entry.verdict)));
        drop(blocked);
        self.lists.change_blocked(add, remove);
    }
}

impl Blocked for Told {
    fn verdict(&self, route: RouteHash, certificate: Option<&CertificateName>) -> Admission {
        let blocked = self.blocked.read().unwrap_or_else(PoisonError::into_inner);
        let by_certificate =
            certificate.and_then(|name| blocked.get(&BlockedSubject::Certificate(name.clone())));
        let by_route = blocked.get(&BlockedSubject::Route(route));
        [by_certificate, by_route].into_iter().flatten().fold(Admission::Admit, |a, b| a.stricter(*b))
    }
}

/// Takes reports.
pub(crate) struct Reports {
    pub(crate) inside: Arc<Inside>,
    pub(crate) gcm: Gcm,
}

impl GatewayReports for Reports {
    fn pushed(&self, gateway: &str, version: u64) {
        self.gcm.note_pushed(gateway, version);
    }

    fn take(&self, gateway: &str, batch: ReportBatch) -> Pin<Box<dyn Future<Output = bool> + Send>> {
        let (inside, gcm) = (Arc::clone(&self.inside), self.gcm.clone());
        let gateway = gateway.to_owned();
        Box::pin(async move {
            if let Some(heartbeat) = batch.heartbeat {
                gcm.take_heartbeat(&gateway, heartbeat);
            }
            if batch.retired {
                gcm.take_retired(&gateway);
            }
            let stored = async {
                gcm.take_acks(&gateway, batch.acks).await?;
                gcm.take_requests(&gateway, batch.requests).await?;
                if batch.refusals.is_empty() {
                    return Ok(());
                }
                let refused: Vec<refusals::Refusal> =
                    batch.refusals.into_iter().map(|refusal| row(&inside, &gateway, refusal)).collect();
                inside.store.write(move |tx| refusals::record(tx, refused.clone())).await
            };
            let stored: Result<(), WriteError> = stored.await;
            if let Err(error) = &stored {
                tracing::warn!(%error, "a gateway's report was not stored; it comes again");
            }
            stored.is_ok()
        })
    }
}

fn row(inside: &Inside, gateway: &str, refusal: Refusal) -> refusals::Refusal {
    let serial = refusal.certificate.map(|name| name.serial);
    let route = refusal.route.map(|route| route.to_string());
    refusals::Refusal {
        id: inside.random.id(inside.now()),
        enrolment: None,
        subject: route.clone().or_else(|| serial.clone()).unwrap_or_else(|| "-".to_owned()),
        gateway: gateway.to_owned(),
        reason: match refusal.detail {
            Some(detail) => format!("{}: {detail}", refusal.reason),
            None => refusal.reason.to_string(),
        },
        serial,
        route,
        source: refusal.source,
        count: i64::try_from(refusal.count).unwrap_or(i64::MAX),
        at: refusal.at,
    }
}
