//! The schedule: a device whose settings changed is compared at its next session, and told what is new.
//!
//! Promise: a change of settings costs nothing for devices that do not come; one that comes costs one transaction, and
//! nothing after that until the next change. Only a session that has proved itself brings it about. The rules are
//! [`postern_engine::schedule`]'s.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering::Relaxed},
    },
    time::Duration,
};

use postern_engine::{
    profiles::Shelf,
    queue::{Body, PendingCommand, Queue},
    schedule::{self, Interval, Known, Step, Told},
    session::SessionConfig,
};
use postern_store::{
    StoreError, Tx, WriteError, enrolments,
    facts::{self, Fact},
    operations,
    schedules::{self, ScheduleRow},
    settings,
};
use postern_wire::terms::{
    CommandId, CommandState, EnrolmentId, EnrolmentState, Lane, OperationId, OperationKind,
};

use crate::{AuditActor, Order, Rules, SubmitError, orders::submit, shared::Shared};

/// What the schedule's orders stand under in the audit.
const SERVICE: &str = "schedule";
/// Where the manufacturer stands among what a device says of itself.
const MANUFACTURER: &str = "./DevInfo/Man";

/// What the settings say for everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InForce {
    /// Which state of all settings stands; at least 1.
    pub epoch: i64,
    /// How long a session stays open without a message.
    pub session_idle: Duration,
}

/// The settings as the actors know them; nothing is compared before they were told once.
#[derive(Debug, Default)]
pub(crate) struct Standing {
    epoch: AtomicI64,
    idle_ms: AtomicI64,
}

impl Standing {
    pub(crate) fn set(&self, now: InForce) {
        self.idle_ms.store(i64::try_from(now.session_idle.as_millis()).unwrap_or(i64::MAX), Relaxed);
        self.epoch.fetch_max(now.epoch, Relaxed);
    }

    /// Whether a device that was compared at this epoch has to compare anew.
    pub(crate) fn is_news(&self, compared: i64) -> bool {
        compared < self.epoch.load(Relaxed)
    }

    /// The limits of a session that opens now.
    pub(crate) fn session(&self, limits: &SessionConfig) -> SessionConfig {
        let idle_ms = match self.idle_ms.load(Relaxed) {
            0 => limits.idle_ms,
            told => told,
        };
        SessionConfig { idle_ms, ..limits.clone() }
    }
}

/// What waits of the first session's work, and of telling an interval.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    intervals: Vec<(CommandId, OperationId)>,
    readings: Vec<CommandId>,
    wipes: Vec<(CommandId, OperationId)>,
    locks: Vec<(CommandId, OperationId)>,
}

impl Waiting {
    pub(crate) fn of(queue: &Queue) -> Self {
        let of_kind = |kind| queue.iter().filter(move |command: &&PendingCommand| command.kind == kind);
        Self {
            intervals: of_kind(OperationKind::Policy)
                .filter(|command| schedule::tells_interval(&command.body))
                .map(|command| (command.id, command.operation))
                .collect(),
            readings: of_kind(OperationKind::Inventory).map(|command| command.id).collect(),
            wipes: of_kind(OperationKind::Wipe).map(|command| (command.id, command.operation)).collect(),
            locks: of_kind(OperationKind::Lock).map(|command| (command.id, command.operation)).collect(),
        }
    }

    /// The commands of a wipe.
    pub(crate) fn wipes(&self) -> &[(CommandId, OperationId)] {
        &self.wipes
    }

    /// The lock or unlock that this command is part of.
    pub(crate) fn lock(&self, command: CommandId) -> Option<OperationId> {
        self.locks.iter().find(|(id, _)| *id == command).map(|(_, operation)| *operation)
    }

    /// Whether a first session has nothing more to do.
    pub(crate) const fn is_empty(&self) -> bool {
        self.intervals.is_empty() && self.readings.is_empty()
    }

    /// The operation that this command tells an interval for.
    pub(crate) fn interval(&self, command: CommandId) -> Option<OperationId> {
        self.intervals.iter().find(|(id, _)| *id == command).map(|(_, operation)| *operation)
    }

    /// Whether this command reads what is to stand among the facts.
    pub(crate) fn is_reading(&self, command: CommandId) -> bool {
        self.readings.contains(&command)
    }
}

/// Compares a device that has just proved itself. `said` is the DevInfo that it sent with it.
pub(crate) async fn compare(
    shared: &Arc<Shared>,
    id: EnrolmentId,
    said: Option<BTreeMap<String, String>>,
) -> Result<(), WriteError> {
    let rules = shared.rules.clone();
    let room = Room { cap: shared.settings.pending_cap, shelf: shared.settings.session.profiles.clone() };
    shared.store.write(move |tx| decide(tx, rules.as_ref(), id, said.as_ref(), &room)).await
}

/// What an order of the schedule's own is planned with.
struct Room {
    /// Pending commands that one device may have.
    cap: usize,
    /// What models cannot do.
    shelf: Shelf,
}

fn decide(
    tx: &mut Tx,
    rules: &dyn Rules,
    id: EnrolmentId,
    said: Option<&BTreeMap<String, String>>,
    room: &Room,
) -> Result<(), StoreError> {
    let device = enrolments::get(tx, id)?;
    if device.state == EnrolmentState::Retired {
        return Ok(());
    }
    let epoch = settings::epoch(tx)?;
    let wanted = rules.of_device(tx, id)?;
    let row = schedules::find(tx, id)?;
    let open = match &row {
        Some(row) => is_open(tx, row)?,
        None => false,
    };
    let can = schedule::can(device.dialect, manufacturer(tx, id, said)?.as_deref());
    let known = row.as_ref().and_then(|row| known(row, open));
    let now = tx.now();
    let put = |told: Told, held: Interval, operation| ScheduleRow {
        enrolment: id,
        generation: device.generation,
        interval_s: held.every_s,
        jitter_s: held.jitter_s,
        wanted_s: wanted.interval.every_s,
        wanted_jitter_s: wanted.interval.jitter_s,
        told: told.as_str().to_owned(),
        operation,
        status: None,
        at: now,
        acknowledged_at: None,
    };
    match schedule::step(known, device.generation, wanted.interval, can) {
        Step::Keep => {}
        Step::Expect => {
            schedules::put(tx, put(Told::Expected, wanted.interval, None))?;
        }
        Step::Order { held } => {
            let told = schedule::commands(wanted.interval);
            let Some(operation) = order(tx, id, OperationKind::Policy, told, "connection interval", room)?
            else {
                return Ok(());
            };
            schedules::put(tx, put(Told::Ordered, held, Some(operation)))?;
        }
    }
    let first = device.state == EnrolmentState::New && device.settings_epoch == 0;
    if first && wanted.read_configuration {
        let read = schedule::configuration();
        if order(tx, id, OperationKind::Inventory, read, "first session", room)?.is_none() {
            return Ok(());
        }
    }
    enrolments::set_settings_epoch(tx, id, epoch)
}

/// Puts an order of the schedule's own among the device's commands; `None` when its queue is full: it is compared
/// again at the next session then.
fn order(
    tx: &mut Tx,
    id: EnrolmentId,
    kind: OperationKind,
    commands: Vec<Body>,
    reason: &str,
    room: &Room,
) -> Result<Option<OperationId>, StoreError> {
    let order = Order {
        targets: vec![id],
        kind,
        commands,
        ordered: false,
        lane: Lane::Normal,
        deadline: None,
        actor: AuditActor::service(SERVICE),
        reason: reason.to_owned(),
        idempotency: None,
    };
    match submit::within(tx, &order, room.cap, &room.shelf)? {
        Ok(operation) => Ok(Some(operation)),
        Err(SubmitError::TooMany { .. }) => Ok(None),
        Err(refused) => Err(StoreError::Refused(refused.to_string())),
    }
}

/// Whether what told the device its interval is still on its way.
fn is_open(tx: &mut Tx, row: &ScheduleRow) -> Result<bool, StoreError> {
    let Some(operation) = row.operation else { return Ok(false) };
    let rollup = operations::rollup(tx, operation)?;
    Ok([CommandState::Queued, CommandState::Sent].into_iter().any(|state| rollup.of(state) > 0))
}

/// What a row says to the rules. An order that ended without an answer counts as never given.
fn known(row: &ScheduleRow, open: bool) -> Option<Known> {
    let told = Told::parse(&row.told)?;
    let wanted = Interval { every_s: row.wanted_s, jitter_s: row.wanted_jitter_s };
    let lost = told == Told::Ordered && !open;
    Some(Known {
        generation: row.generation,
        held: Interval { every_s: row.interval_s, jitter_s: row.jitter_s },
        wanted: if lost { Interval { every_s: 0, jitter_s: 0 } } else { wanted },
        told,
    })
}

fn manufacturer(
    tx: &mut Tx,
    id: EnrolmentId,
    said: Option<&BTreeMap<String, String>>,
) -> Result<Option<String>, StoreError> {
    if let Some(leaves) = said.filter(|leaves| leaves.contains_key(MANUFACTURER)) {
        // Kept now, not with the next batch: the next decision may come before it.
        let at = tx.now();
        let fact = |(key, value): (&String, &String)| Fact {
            enrolment: id,
            key: key.clone(),
            value: value.clone(),
            source: "device".to_owned(),
            at,
        };
        let facts: Vec<_> = leaves.iter().map(fact).collect();
        facts::set(tx, &facts)?;
        return Ok(leaves.get(MANUFACTURER).cloned());
    }
    Ok(facts::of(tx, id)?.into_iter().find(|fact| fact.key == MANUFACTURER).map(|fact| fact.value))
}
