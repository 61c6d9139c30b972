//! What the devices' side tells the supervisor, and which devices it needs to be told about.
//!
//! Promise: telling never waits and is bounded; what is lost is made up for by the sweep, or by the job's time. A session
//! of a device without an open job costs one look into a set.

use std::{
    collections::HashSet,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use postern_wire::{
    notification::SessionId,
    terms::{DmSessionId, EnrolmentId, NotificationState},
};
use tokio::sync::mpsc;

/// Notices that may wait.
const WAITING: usize = 4_096;

/// One thing that the supervisor is told.
#[derive(Debug)]
pub(crate) enum Notice {
    /// Commands were queued for these devices.
    Queued { devices: Vec<EnrolmentId>, urgent: bool },
    /// A change of policy waits for these devices.
    Policy { devices: Vec<EnrolmentId> },
    /// A session of a device with an open job began.
    Opened { enrolment: EnrolmentId, session: DmSessionId, session_id: Option<u16>, server_initiated: bool },
    /// A device with an open job was retired.
    Retired { enrolment: EnrolmentId },
    /// Something is due now.
    Look,
}

/// The way to the supervisor.
pub(crate) struct Notices {
    sender: mpsc::Sender<Notice>,
    receiver: Mutex<Option<mpsc::Receiver<Notice>>>,
    /// Devices with an open job.
    open: Mutex<HashSet<EnrolmentId>>,
    figures: Figures,
}

#[derive(Default)]
struct Figures {
    handed: AtomicU64,
    not_handed: AtomicU64,
    answered: AtomicU64,
    failed: AtomicU64,
    expired: AtomicU64,
    lost: AtomicU64,
}

/// Figures of the notifications since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NotificationFigures {
    /// Devices with an open job now.
    pub open: u64,
    /// Attempts that a bearer took.
    pub handed: u64,
    /// Attempts that no bearer took.
    pub not_handed: u64,
    /// Jobs that a session answered.
    pub answered: u64,
    /// Jobs that no bearer could carry.
    pub failed: u64,
    /// Jobs that no session answered in time.
    pub expired: u64,
    /// Notices dropped because the supervisor was behind.
    pub lost: u64,
}

impl Notices {
    pub(crate) fn new() -> Self {
        let (sender, receiver) = mpsc::channel(WAITING);
        Self {
            sender,
            receiver: Mutex::new(Some(receiver)),
            open: Mutex::default(),
            figures: Figures::default(),
        }
    }

    /// The supervisor's end; once.
    pub(crate) fn receiver(&self) -> Option<mpsc::Receiver<Notice>> {
        self.receiver.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Commands were queued.
    pub(crate) fn queued(&self, devices: Vec<EnrolmentId>, urgent: bool) {
        if !devices.is_empty() && self.is_running() {
            self.tell(Notice::Queued { devices, urgent });
        }
    }

    /// A change of policy waits for devices.
    pub(crate) fn policy(&self, devices: Vec<EnrolmentId>) {
        if !devices.is_empty() && self.is_running() {
            self.tell(Notice::Policy { devices });
        }
    }

    /// A session began.
    pub(crate) fn opened(&self, enrolment: EnrolmentId, session: DmSessionId, named: &str, initiated: bool) {
        if self.is_open(enrolment) {
            let session_id = SessionId::from_hex(named).map(SessionId::number);
            self.tell(Notice::Opened { enrolment, session, session_id, server_initiated: initiated });
        }
    }

    /// A device was retired.
    pub(crate) fn retired(&self, enrolment: EnrolmentId) {
        if self.is_open(enrolment) {
            self.tell(Notice::Retired { enrolment });
        }
    }

    /// Something is due.
    pub(crate) fn look(&self) {
        self.tell(Notice::Look);
    }

    /// Whether the supervisor runs.
    pub(crate) fn is_running(&self) -> bool {
        self.receiver.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    pub(crate) fn set_open(&self, enrolment: EnrolmentId, open: bool) {
        let mut all = self.open();
        if open {
            all.insert(enrolment);
        } else {
            all.remove(&enrolment);
        }
    }

    pub(crate) fn nothing_open(&self) -> bool {
        self.open().is_empty()
    }

    fn is_open(&self, enrolment: EnrolmentId) -> bool {
        self.open().contains(&enrolment)
    }

    fn open(&self) -> MutexGuard<'_, HashSet<EnrolmentId>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, notice: Notice) {
        if self.sender.try_send(notice).is_err() {
            self.figures.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn count_attempt(&self, handed: bool) {
        let count = if handed { &self.figures.handed } else { &self.figures.not_handed };
        count.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_end(&self, state: NotificationState) {
        let count = match state {
            NotificationState::Answered => &self.figures.answered,
            NotificationState::Failed => &self.figures.failed,
            NotificationState::Expired => &self.figures.expired,
            _ => return,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn figures(&self) -> NotificationFigures {
        let get = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let Figures { handed, not_handed, answered, failed, expired, lost } = &self.figures;
        NotificationFigures {
            open: u64::try_from(self.open().len()).unwrap_or(u64::MAX),
            handed: get(handed),
            not_handed: get(not_handed),
            answered: get(answered),
            failed: get(failed),
            expired: get(expired),
            lost: get(lost),
        }
    }
}
