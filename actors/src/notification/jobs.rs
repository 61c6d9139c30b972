//! The changes of notification rows: each asks the engine's rules and is one transaction.

use std::collections::HashMap;

use postern_engine::notification::{Event, Job, LISTEN, Ways, next_session_id};
use postern_store::{
    StoreError, Tx, WriteError, enrolments,
    notifications::{self, Notification, StepNote},
};
use postern_wire::{
    route::RouteId,
    terms::{DmSessionId, EnrolmentId, EnrolmentState, NotificationState},
};
use serde_json::json;
use uuid::Uuid;

use super::Desk;
use crate::{
    AuditActor,
    orders::{Unwritten, audit},
};

/// Who asks for a device because of its policy: nothing needs to be queued for it.
const POLICY: &str = "policy";

/// A notification that a person asks for.
#[derive(Clone, Debug)]
pub struct WantedNotification {
    /// Whom.
    pub device: EnrolmentId,
    /// The only bearer that it may take.
    pub bearer: Option<String>,
    /// Its digest bears the default nonce, so that both sides agree on new nonces (OMA-TS-DM_Notification 5.1).
    pub resync: bool,
    /// Who asks.
    pub actor: AuditActor,
    /// Why.
    pub reason: String,
}

/// Why a notification was not taken on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotifyError {
    /// No such enrolment.
    #[error("no device {0}")]
    Unknown(EnrolmentId),
    /// The enrolment is retired.
    #[error("device {0} is retired")]
    Retired(EnrolmentId),
    /// This core has no such bearer.
    #[error("no bearer {0:?} is set up; there are: {1}")]
    NoBearer(String, String),
    /// The bearer needs a telephone number.
    #[error("the device has no push address: set one with `device address set`")]
    NoAddress,
    /// The device has no credentials of ours that a notification could be signed with.
    #[error("the device knows no password of the server, so that it could not check a notification")]
    NoCredentials,
    /// Too much work at hand; try again after so many seconds.
    #[error("overloaded, try again in {0} s")]
    Overloaded(u32),
    /// The database cannot be reached, or this core is not the active one.
    #[error("unavailable: {0}")]
    Unavailable(String),
}

/// A row as the rules see it.
pub(super) fn job(row: &Notification) -> Job {
    Job {
        state: row.state,
        session_id: u16::try_from(row.session_id).unwrap_or(u16::MAX),
        asked: row.asked_by.is_some(),
        urgent: row.urgent,
        attempts: row.attempts,
        handed: row.handed,
        next_at: row.next_at,
        last_at: row.last_at,
        expires_at: row.expires_at,
    }
}

/// Puts what the rules decided into the row, as its next revision.
fn put(row: &mut Notification, job: Job, cause: &str, note: &StepNote, now: postern_wire::terms::UtcMillis) {
    row.state = job.state;
    row.urgent = job.urgent;
    row.attempts = job.attempts;
    row.handed = job.handed;
    row.next_at = job.next_at;
    row.last_at = job.last_at;
    row.cause = cause.to_owned();
    if note.bearer.is_some() {
        row.bearer.clone_from(&note.bearer);
    }
    if !job.state.is_open() {
        row.finished_at = Some(now);
    }
    row.revision += 1;
}

impl Desk {
    /// Which devices have an open job, as a core before left them.
    pub(super) async fn load_open(&self) -> Result<(), String> {
        let open =
            self.shared.store.read(notifications::open_ids).await.map_err(|cause| cause.to_string())?;
        open.into_iter().for_each(|device| self.shared.notices.set_open(device, true));
        Ok(())
    }

    /// Makes or joins a job for each of these devices that has an address and something queued; what is urgent needs no
    /// address, for the device may be listening at a gateway.
    pub(super) async fn want(&self, devices: HashMap<EnrolmentId, bool>) {
        let wanted: Vec<_> = devices.into_iter().collect();
        let known = self
            .shared
            .store
            .read(move |r| {
                let mut known = Vec::new();
                for (device, urgent) in &wanted {
                    if *urgent || notifications::address(r, *device)?.is_some() {
                        known.push((*device, *urgent));
                    }
                }
                Ok(known)
            })
            .await;
        let known = match known {
            Ok(known) if known.is_empty() => return,
            Ok(known) => known,
            Err(cause) => {
                return tracing::debug!(%cause, "push addresses could not be read; the sweep comes back");
            }
        };
        for (device, _) in &known {
            self.shared.notices.set_open(*device, true);
        }
        let rules = self.rules;
        let devices = known.clone();
        let written = self
            .shared
            .store
            .write(move |tx| {
                let mut idle = Vec::new();
                for (device, urgent) in &devices {
                    if !want(tx, *device, *urgent, &rules)? {
                        idle.push(*device);
                    }
                }
                Ok(idle)
            })
            .await;
        match written {
            Ok(idle) => idle.into_iter().for_each(|device| self.shared.notices.set_open(device, false)),
            Err(cause) => tracing::debug!(%cause, "notifications could not be written; the sweep comes back"),
        }
    }

    /// Makes a job for each of these devices that still has to compare its policy and has none open. The caller paces them; what fails is
    /// found again by it.
    pub(super) async fn want_for_policy(&self, devices: Vec<EnrolmentId>) {
        for device in &devices {
            self.shared.notices.set_open(*device, true);
        }
        let (rules, asked) = (self.rules, devices.clone());
        let written = self
            .shared
            .store
            .write(move |tx| {
                let mut idle = Vec::new();
                for device in &asked {
                    if !want_for_policy(tx, *device, &rules)? {
                        idle.push(*device);
                    }
                }
                Ok(idle)
            })
            .await;
        match written {
            Ok(idle) => idle.into_iter().for_each(|device| self.shared.notices.set_open(device, false)),
            Err(cause) => tracing::debug!(%cause, "notifications could not be written; policy asks again"),
        }
    }

    /// Applies an event to one job. An event that the job does not take changes nothing.
    pub(super) async fn apply(
        &self,
        id: Uuid,
        event: Event,
        note: StepNote,
        session: Option<DmSessionId>,
    ) -> Option<Notification> {
        let rules = self.rules;
        let written = self.shared.store.write(move |tx| {
            let found = notifications::find(tx, id)?;
            step(tx, found, &event, &rules, &note, session)
        });
        self.done(written.await)
    }

    /// Applies an event to the open job of a device.
    pub(super) async fn apply_open(&self, device: EnrolmentId, event: Event, session: Option<DmSessionId>) {
        let rules = self.rules;
        let written = self.shared.store.write(move |tx| {
            let found = notifications::open_of(tx, device)?;
            step(tx, found, &event, &rules, &StepNote::default(), session)
        });
        self.done(written.await);
    }

    /// Applies an event to the job that a bearer knows by this reference.
    pub(super) async fn apply_reported(&self, bearer: &str, reference: &str, event: Event) {
        let rules = self.rules;
        let (bearer, reference) = (bearer.to_owned(), reference.to_owned());
        let written = self.shared.store.write(move |tx| {
            let found = notifications::by_reference(tx, &bearer, &reference)?;
            let note = StepNote { bearer: Some(bearer.clone()), reference: None };
            step(tx, found, &event, &rules, &note, None)
        });
        self.done(written.await);
    }

    fn done(&self, written: Result<Option<Notification>, WriteError>) -> Option<Notification> {
        match written {
            Ok(Some(row)) => {
                tracing::info!(
                    device = %row.enrolment,
                    notification = %row.id,
                    state = row.state.as_str(),
                    cause = row.cause,
                    bearer = row.bearer,
                    "notification"
                );
                if !row.state.is_open() {
                    self.shared.notices.set_open(row.enrolment, false);
                    self.shared.notices.count_end(row.state);
                }
                Some(row)
            }
            Ok(None) => None,
            Err(cause) => {
                tracing::debug!(%cause, "a notification could not be written; it is looked at again");
                None
            }
        }
    }

    /// Takes on what a person asks for: at once, joining the open job if there is one.
    pub(crate) async fn ask(
        &self,
        wanted: WantedNotification,
    ) -> Result<(Notification, RouteId), NotifyError> {
        let bearers: Vec<String> = self.bearer_names().into_iter().map(str::to_owned).collect();
        if let Some(name) = wanted.bearer.as_deref().filter(|name| *name != LISTEN)
            && !bearers.iter().any(|bearer| bearer == name)
        {
            let known = std::iter::once(LISTEN).chain(bearers.iter().map(String::as_str));
            return Err(NotifyError::NoBearer(name.to_owned(), known.collect::<Vec<_>>().join(", ")));
        }
        let (rules, device) = (self.rules, wanted.device);
        let sealer = self.shared.sealer.clone();
        self.shared.notices.set_open(device, true);
        let written = self.shared.store.write(move |tx| ask(tx, &wanted, &bearers, &rules, &sealer)).await;
        let asked = match written.map_err(Unwritten::from) {
            Ok(asked) => asked,
            Err(Unwritten::Overloaded(seconds)) => Err(NotifyError::Overloaded(seconds)),
            Err(Unwritten::Full) => Err(NotifyError::Unavailable("the database's disk is full".into())),
            Err(Unwritten::Unavailable(cause)) => Err(NotifyError::Unavailable(cause)),
        };
        if asked.is_ok() {
            self.shared.notices.look();
        }
        asked
    }
}

/// Whether the device has an open job afterwards.
fn want(
    tx: &mut Tx,
    device: EnrolmentId,
    urgent: bool,
    rules: &postern_engine::notification::Rules,
) -> Result<bool, StoreError> {
    if let Some(row) = notifications::open_of(tx, device)? {
        // One that nobody hurries joins without a word.
        if urgent && !row.urgent {
            step(tx, Some(row), &Event::Joined { urgent }, rules, &StepNote::default(), None)?;
        }
        return Ok(true);
    }
    let Some(enrolment) = enrolments::find(tx, device)? else { return Ok(false) };
    // One in quarantine is sent nothing, so there is nothing to come for.
    let held = matches!(enrolment.state, EnrolmentState::Retired | EnrolmentState::Quarantined);
    if held || enrolment.pending == 0 {
        return Ok(false);
    }
    let row = fresh(tx, device, None, urgent, rules)?;
    notifications::insert(tx, row)?;
    Ok(true)
}

/// Whether the device has an open job afterwards.
fn want_for_policy(
    tx: &mut Tx,
    device: EnrolmentId,
    rules: &postern_engine::notification::Rules,
) -> Result<bool, StoreError> {
    if notifications::open_of(tx, device)?.is_some() {
        return Ok(true);
    }
    let Some(enrolment) = enrolments::find(tx, device)? else { return Ok(false) };
    let held = matches!(enrolment.state, EnrolmentState::Retired | EnrolmentState::Quarantined);
    if held || enrolment.policy_epoch != 0 {
        return Ok(false);
    }
    let row = fresh(tx, device, Some(POLICY.to_owned()), false, rules)?;
    notifications::insert(tx, row)?;
    Ok(true)
}

fn fresh(
    tx: &mut Tx,
    device: EnrolmentId,
    asked_by: Option<String>,
    urgent: bool,
    rules: &postern_engine::notification::Rules,
) -> Result<Notification, StoreError> {
    let (id, now) = (tx.fresh_id(), tx.now());
    let last = notifications::of(tx, device, 1)?.pop();
    let random = u16::from_be_bytes([id.as_bytes()[14], id.as_bytes()[15]]);
    let last_id = last.as_ref().and_then(|row| u16::try_from(row.session_id).ok());
    let session_id = next_session_id(last_id, random);
    let pushed_at = last.and_then(|row| row.last_at);
    let job = Job::new(rules, session_id, asked_by.is_some(), urgent, pushed_at, now);
    Ok(Notification {
        id,
        enrolment: device,
        session_id: i64::from(session_id),
        state: job.state,
        asked_by,
        forced: None,
        urgent,
        resync: false,
        bearer: None,
        attempts: 0,
        handed: 0,
        cause: "wanted".to_owned(),
        created_at: now,
        next_at: job.next_at,
        last_at: None,
        expires_at: job.expires_at,
        finished_at: None,
        session: None,
        revision: 1,
    })
}

/// One event for one row: written when the rules take it.
fn step(
    tx: &mut Tx,
    found: Option<Notification>,
    event: &Event,
    rules: &postern_engine::notification::Rules,
    note: &StepNote,
    session: Option<DmSessionId>,
) -> Result<Option<Notification>, StoreError> {
    let Some(mut row) = found else { return Ok(None) };
    let (mut job, now) = (job(&row), tx.now());
    let Ok(cause) = job.apply(event, rules, now) else { return Ok(None) };
    put(&mut row, job, cause.as_str(), note, now);
    if row.state == NotificationState::Answered {
        row.session = session;
    }
    notifications::change(tx, &row, note.clone())?;
    Ok(Some(row))
}

fn ask(
    tx: &mut Tx,
    wanted: &WantedNotification,
    bearers: &[String],
    rules: &postern_engine::notification::Rules,
    sealer: &postern_store::Sealer,
) -> Result<Result<(Notification, RouteId), NotifyError>, StoreError> {
    let device = wanted.device;
    let Some(enrolment) = enrolments::find(tx, device)? else {
        return Ok(Err(NotifyError::Unknown(device)));
    };
    if enrolment.state == EnrolmentState::Retired {
        return Ok(Err(NotifyError::Retired(device)));
    }
    if super::attempt::server(sealer, &enrolment)?.is_none() {
        return Ok(Err(NotifyError::NoCredentials));
    }
    let address = notifications::address(tx, device)?;
    let names: Vec<&str> = bearers.iter().map(String::as_str).collect();
    let ways = Ways {
        number: address.is_some_and(|address| address.address.is_some()),
        preferred: None,
        forced: wanted.bearer.as_deref(),
        bearers: &names,
    };
    if ways.order().is_empty() {
        return Ok(Err(NotifyError::NoAddress));
    }
    let by = Some(wanted.actor.name.clone());
    let row = match notifications::open_of(tx, device)? {
        Some(open) => {
            let row = Notification {
                asked_by: by,
                forced: wanted.bearer.clone().or(open.forced.clone()),
                resync: wanted.resync || open.resync,
                ..open
            };
            let joined = Event::Joined { urgent: true };
            step(tx, Some(row), &joined, rules, &StepNote::default(), None)?
        }
        None => {
            let row = fresh(tx, device, by, true, rules)?;
            let row = Notification { forced: wanted.bearer.clone(), resync: wanted.resync, ..row };
            notifications::insert(tx, row.clone())?;
            Some(row)
        }
    };
    let Some(row) = row else {
        return Err(StoreError::Conflict("the notification ended meanwhile".to_owned()));
    };
    let detail = json!({
        "notification": row.id,
        "bearer": wanted.bearer,
        "resync": wanted.resync,
        "reason": wanted.reason,
    });
    if row.resync {
        // One session may prove itself over the default nonce, as long as this can still bring it about.
        enrolments::expect_resync(tx, device, Some(row.expires_at))?;
    }
    audit(tx, &wanted.actor, "device.notify", format!("device:{device}"), &detail)?;
    Ok(Ok((row, RouteId::from_bytes(enrolment.route))))
}
