//! The notification supervisor: asks devices that hold no connection to open a session, by package 0.
//!
//! Promise: the rules are `postern_engine::notification`'s, the truth is the rows; this moves messages and keeps the time.
//! A device has one job at most, joined by whatever comes meanwhile; the session that bears its id answers it. What a
//! core that died left behind is found by a sweep. Nothing here holds an order back: commands wait for a session
//! anyhow, a notification only brings it about sooner.
//!
//! - [`notices`]: what the devices' side tells the supervisor, bounded.
//! - [`jobs`]: the changes of rows, each one transaction.
//! - [`attempt`]: one try: package 0 made and handed to a bearer.

mod attempt;
mod jobs;
mod notices;

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use postern_engine::notification::{Due, Event, Pace, Rules};
use postern_store::notifications::{self, Notification};
use postern_wire::terms::EnrolmentId;
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::MissedTickBehavior,
};
use uuid::Uuid;

pub use jobs::{NotifyError, WantedNotification};
pub use notices::NotificationFigures;
pub(crate) use notices::{Notice, Notices};

use crate::{PushBearer, PushOutcome, PushReport, Wake, shared::Shared};

/// How often due jobs are looked for.
const LOOK: Duration = Duration::from_secs(1);
/// How often commands that no job took up are looked for.
const SWEEP: Duration = Duration::from_secs(60);
/// Attempts under way at a time.
const TOGETHER: usize = 64;
/// Devices that one sweep takes up.
const SWEPT: i64 = 1_000;
/// Notices that are worked on together.
const NOTICES: usize = 512;

/// What the supervisor needs to run.
pub struct Notifications {
    /// How often and how long a device is asked.
    pub rules: Rules,
    /// Pushes a minute in all.
    pub per_minute: u32,
    /// Whether queued commands bring notifications about; without it only people do.
    pub automatic: bool,
    /// The bearers to telephone numbers, in the order in which they are tried.
    pub bearers: Vec<Arc<dyn PushBearer>>,
    /// The gateways' listening channel.
    pub gateways: Arc<dyn Wake>,
    /// What bearers report of pushes that they took.
    pub reports: mpsc::Receiver<PushReport>,
}

/// What attempts and job changes share.
pub(crate) struct Desk {
    pub(crate) shared: Arc<Shared>,
    pub(crate) rules: Rules,
    pub(crate) bearers: Vec<Arc<dyn PushBearer>>,
    pub(crate) gateways: Arc<dyn Wake>,
    pace: Mutex<Pace>,
}

impl Desk {
    /// The names of the bearers to telephone numbers.
    pub(crate) fn bearer_names(&self) -> Vec<&str> {
        self.bearers.iter().map(|bearer| bearer.name()).collect()
    }

    fn may_push(&self) -> bool {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner).take(self.shared.now())
    }
}

/// Makes the desk, and the supervisor that works at it until the stop.
pub(crate) fn start(
    shared: &Arc<Shared>,
    parts: Notifications,
    notices: mpsc::Receiver<Notice>,
    stopping: watch::Receiver<bool>,
) -> (Arc<Desk>, impl Future<Output = ()> + use<>) {
    let Notifications { rules, per_minute, automatic, bearers, gateways, reports } = parts;
    let pace = Mutex::new(Pace::new(per_minute, shared.now()));
    let desk = Arc::new(Desk { shared: shared.clone(), rules, bearers, gateways, pace });
    let supervisor =
        Supervisor { desk: desk.clone(), automatic, under_way: HashSet::new(), attempts: JoinSet::new() };
    (desk, supervisor.run(notices, reports, stopping))
}

struct Supervisor {
    desk: Arc<Desk>,
    automatic: bool,
    /// Jobs with an attempt under way: none is tried twice at a time.
    under_way: HashSet<Uuid>,
    attempts: JoinSet<Uuid>,
}

impl Supervisor {
    async fn run(
        mut self,
        mut notices: mpsc::Receiver<Notice>,
        mut reports: mpsc::Receiver<PushReport>,
        mut stopping: watch::Receiver<bool>,
    ) {
        let (mut look, mut sweep) = (tokio::time::interval(LOOK), tokio::time::interval(SWEEP));
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        if let Err(cause) = self.desk.load_open().await {
            tracing::warn!(%cause, "open notifications could not be read; sessions may not end them");
        }
        let mut reported = true;
        let mut came = Vec::new();
        loop {
            tokio::select! {
                biased;
                _ = stopping.changed() => return,
                Some(done) = self.attempts.join_next() => {
                    if let Ok(id) = done {
                        self.under_way.remove(&id);
                    } else {
                        // It panicked, and does not say which it was: none is counted, all are looked at again.
                        self.under_way.clear();
                    }
                }
                report = reports.recv(), if reported => match report {
                    Some(report) => self.report(report).await,
                    None => reported = false,
                },
                count = notices.recv_many(&mut came, NOTICES) => {
                    if count == 0 {
                        return;
                    }
                    self.take(std::mem::take(&mut came)).await;
                    self.work().await;
                }
                _ = look.tick() => self.work().await,
                _ = sweep.tick() => self.sweep().await,
            }
        }
    }

    /// Takes what the devices' side told.
    async fn take(&mut self, notices: Vec<Notice>) {
        let mut queued: HashMap<EnrolmentId, bool> = HashMap::new();
        for notice in notices {
            match notice {
                Notice::Queued { devices, urgent } if self.automatic => {
                    for device in devices {
                        *queued.entry(device).or_default() |= urgent;
                    }
                }
                Notice::Policy { devices } if self.automatic => self.desk.want_for_policy(devices).await,
                Notice::Queued { .. } | Notice::Policy { .. } | Notice::Look => {}
                Notice::Opened { enrolment, session, session_id, server_initiated } => {
                    let event = Event::Opened { session_id, server_initiated };
                    self.desk.apply_open(enrolment, event, Some(session)).await;
                }
                Notice::Retired { enrolment } => {
                    self.desk.apply_open(enrolment, Event::Retired, None).await;
                }
            }
        }
        if !queued.is_empty() {
            self.desk.want(queued).await;
        }
    }

    async fn report(&self, report: PushReport) {
        let event = match &report.outcome {
            PushOutcome::Delivered => Event::Delivered,
            PushOutcome::Failed(cause) => {
                tracing::info!(bearer = report.bearer, cause = ?cause, "a push was not delivered");
                Event::NotDelivered
            }
        };
        self.desk.apply_reported(&report.bearer, &report.reference, event).await;
    }

    /// Starts attempts for what is due.
    async fn work(&mut self) {
        let desk = &self.desk;
        let now = desk.shared.now();
        if desk.shared.notices.nothing_open() {
            return;
        }
        let most = i64::try_from(TOGETHER * 2).unwrap_or(i64::MAX);
        let due = desk.shared.store.read(move |r| notifications::due(r, now, most)).await;
        let due = match due {
            Ok(due) => due,
            Err(cause) => return tracing::debug!(%cause, "due notifications could not be read"),
        };
        for row in due {
            if self.under_way.len() >= TOGETHER {
                return;
            }
            if !self.under_way.contains(&row.id) && !self.begin(row).await {
                return;
            }
        }
    }

    /// Begins one attempt; false when no more may be begun now.
    async fn begin(&mut self, row: Notification) -> bool {
        let (desk, shared) = (&self.desk, &self.desk.shared);
        let now = shared.now();
        match jobs::job(&row).due(&desk.rules, now) {
            None | Some(Due::Wait(_)) => {}
            Some(Due::GiveUp) => {
                if shared.steady.holds(now, shared.clock.monotonic()) {
                    desk.apply(row.id, Event::Expired, notifications::StepNote::default(), None).await;
                }
            }
            Some(Due::Send) => {
                if !desk.may_push() {
                    return false;
                }
                self.under_way.insert(row.id);
                let desk = desk.clone();
                self.attempts.spawn_local(async move {
                    let id = row.id;
                    attempt::attempt(&desk, row).await;
                    id
                });
            }
        }
        true
    }

    /// Takes up commands that no job took up.
    async fn sweep(&mut self) {
        if !self.automatic {
            return;
        }
        match self.desk.shared.store.read(|r| notifications::forgotten(r, SWEPT)).await {
            Ok(devices) if devices.is_empty() => {}
            Ok(devices) => {
                self.desk.want(devices.into_iter().map(|device| (device, false)).collect()).await;
            }
            Err(cause) => {
                tracing::debug!(%cause, "the search for commands without a notification did not end")
            }
        }
    }
}
