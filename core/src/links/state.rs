//! What is shared between link threads: the gateways, how many links each has and wants, and the phase of it all.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, AtomicUsize, Ordering},
    },
};

use arc_swap::ArcSwap;
use postern_wire::{link::Hello, terms::UtcMillis};
use tokio::sync::{mpsc, watch};

use super::{Clock, GatewayReports, GatewayTarget, LinksConfig, Lists};

/// How a gateway's links stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayStatus {
    /// Its name.
    pub name: String,
    /// Where it is dialed.
    pub address: String,
    /// It watches: it gets settings and lists.
    pub watching: bool,
    /// Request links that are open.
    pub request_links: u32,
    /// Messages that are being answered over them.
    pub busy: u32,
    /// What the last failed dial or link said, until a link is good again.
    pub last_error: Option<String>,
    /// When it last said hello.
    pub last_hello: Option<UtcMillis>,
    /// Its program version, from its hello.
    pub version: Option<String>,
}

/// From start to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Running,
    Draining,
    Stopped,
}

/// Work for a link thread.
pub(super) enum Job {
    /// Look after a gateway's links.
    Gateway(Arc<Gateway>),
    /// Keep one link.
    Slot(Slot),
}

/// One link that is to be kept.
pub(super) struct Slot {
    pub(super) gateway: Arc<Gateway>,
    pub(super) role: postern_wire::link::LinkRole,
}

pub(super) struct Hub {
    pub(super) config: LinksConfig,
    pub(super) lists: Arc<Lists>,
    pub(super) reports: Arc<dyn GatewayReports>,
    pub(super) epoch: watch::Receiver<u64>,
    pub(super) clock: Clock,
    /// Serial numbers of link certificates that are accepted no more.
    pub(super) refused: ArcSwap<HashSet<String>>,
    phase: watch::Sender<Phase>,
    gateways: Mutex<BTreeMap<String, Arc<Gateway>>>,
    threads: Mutex<Vec<mpsc::UnboundedSender<Job>>>,
    next_thread: AtomicUsize,
}

/// A gateway that is dialed.
pub(super) struct Gateway {
    pub(super) target: GatewayTarget,
    pub(super) wanted: watch::Sender<u32>,
    pub(super) watching: watch::Sender<bool>,
    pub(super) removed: watch::Sender<bool>,
    pub(super) request_links: watch::Sender<u32>,
    pub(super) busy: AtomicU32,
    kept: Mutex<u32>,
    told: Mutex<Told>,
}

#[derive(Default)]
struct Told {
    last_error: Option<String>,
    last_hello: Option<UtcMillis>,
    version: Option<String>,
}

/// So many request links are dialed before the gateway has said how many it wants.
const FIRST_LINKS: u32 = 2;

impl Hub {
    pub(super) fn new(
        config: LinksConfig,
        lists: Arc<Lists>,
        reports: Arc<dyn GatewayReports>,
        epoch: watch::Receiver<u64>,
        clock: Clock,
    ) -> Self {
        Self {
            config,
            lists,
            reports,
            epoch,
            clock,
            refused: ArcSwap::default(),
            phase: watch::Sender::new(Phase::Running),
            gateways: Mutex::default(),
            threads: Mutex::default(),
            next_thread: AtomicUsize::new(0),
        }
    }

    pub(super) fn add_thread(&self, jobs: mpsc::UnboundedSender<Job>) {
        lock(&self.threads).push(jobs);
    }

    /// Gives a job to the threads in turn.
    pub(super) fn dispatch(&self, job: Job) {
        let threads = lock(&self.threads);
        let turn = self.next_thread.fetch_add(1, Ordering::Relaxed);
        if let Some(thread) = threads.get(turn % threads.len().max(1)) {
            // A thread that is gone belongs to a System that has stopped: nothing is to be kept any more.
            let _ = thread.send(job);
        }
    }

    pub(super) fn set_gateways(&self, targets: &[GatewayTarget]) {
        let mut gateways = lock(&self.gateways);
        gateways.retain(|_, gateway| {
            let stays = targets.contains(&gateway.target);
            if !stays {
                gateway.removed.send_replace(true);
            }
            stays
        });
        for target in targets {
            if !gateways.contains_key(&target.name) {
                let gateway = Arc::new(Gateway::new(target.clone()));
                gateways.insert(target.name.clone(), Arc::clone(&gateway));
                self.dispatch(Job::Gateway(gateway));
            }
        }
    }

    pub(super) fn phase(&self) -> watch::Receiver<Phase> {
        self.phase.subscribe()
    }

    pub(super) fn set_phase(&self, phase: Phase) {
        self.phase.send_replace(phase);
    }

    pub(super) async fn wait_for_request_links_gone(&self) {
        let gateways: Vec<_> = lock(&self.gateways).values().cloned().collect();
        for gateway in gateways {
            // The sender lives in `gateway`: waiting cannot fail.
            let _ = gateway.request_links.subscribe().wait_for(|links| *links == 0).await;
        }
    }

    pub(super) fn status(&self) -> Vec<GatewayStatus> {
        lock(&self.gateways).values().map(|gateway| gateway.status()).collect()
    }
}

impl Gateway {
    fn new(target: GatewayTarget) -> Self {
        Self {
            target,
            wanted: watch::Sender::new(FIRST_LINKS),
            watching: watch::Sender::new(false),
            removed: watch::Sender::new(false),
            request_links: watch::Sender::new(0),
            busy: AtomicU32::new(0),
            kept: Mutex::default(),
            told: Mutex::default(),
        }
    }

    /// Counts one more request link to be kept, unless there are as many as wanted.
    pub(super) fn claim(&self) -> bool {
        let mut kept = lock(&self.kept);
        let lacking = *kept < *self.wanted.borrow();
        *kept += u32::from(lacking);
        lacking
    }

    /// Counts one less when there are more than wanted. Under the same lock as [`Gateway::claim`], so that a rise of
    /// `wanted` either finds the place free or is seen here.
    pub(super) fn release_if_unwanted(&self) -> bool {
        let mut kept = lock(&self.kept);
        let unwanted = *kept > *self.wanted.borrow();
        *kept -= u32::from(unwanted);
        unwanted
    }

    pub(super) fn failed(&self, error: String) {
        lock(&self.told).last_error = Some(error);
    }

    pub(super) fn greeted(&self, hello: &Hello, now: UtcMillis) {
        let mut told = lock(&self.told);
        told.last_error = None;
        told.last_hello = Some(now);
        told.version = Some(hello.version.clone());
    }

    fn status(&self) -> GatewayStatus {
        let told = lock(&self.told);
        GatewayStatus {
            name: self.target.name.clone(),
            address: self.target.address.clone(),
            watching: *self.watching.borrow(),
            request_links: *self.request_links.borrow(),
            busy: self.busy.load(Ordering::Relaxed),
            last_error: told.last_error.clone(),
            last_hello: told.last_hello,
            version: told.version.clone(),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
