//! Readings of devices' trees: what was asked is answered some time, and then the next is asked.
//!
//! Promise: a step is one order under an idempotency key of its own, so that a core that dies between the order and
//! the row that notes it repeats the step and not the order. What a reading learned is kept as a snapshot, with its
//! end, in one transaction. The rules are those of `postern_wire::tree`; secrets are neither asked for nor kept.

use std::{sync::Arc, time::Duration};

use postern_engine::{
    destructive,
    queue::{Body, BodyItem},
};
use postern_store::{
    ReadError, Reader, Sealer, Store, StoreError, WriteError, commands, results,
    trees::{self, StoredReading, StoredSnapshot},
};
use postern_wire::{
    mo::{Mounts, Registry},
    terms::{CommandState, EnrolmentId, Lane, OperationKind, UtcMillis, Verb},
    tree::{Answer, Bounds, How, Mask, Reading, Rules, Told},
    uri::TreeUri,
};
use uuid::Uuid;

use crate::{
    AuditActor, Devices, Order, SubmitError,
    objects::{self, Objects},
};

/// Commands of one step.
const TOGETHER: usize = 100;
/// How long a step's commands are worth sending.
const WITHIN_MS: i64 = 7 * 24 * 3_600_000;
/// How often readings that are under way are looked at.
const LOOK: Duration = Duration::from_secs(1);
/// Readings that one look goes through.
const AT_ONCE: i64 = 200;
/// The state of a reading that ended with a snapshot.
pub const STATE_DONE: &str = "done";
/// The state of a reading that ended without one.
pub const STATE_FAILED: &str = "failed";

/// Readings of trees: a handle.
#[derive(Clone)]
pub struct Trees {
    store: Store,
    sealer: Arc<Sealer>,
    devices: Devices,
    objects: Objects,
}

/// Why a step was not taken; the next look tries again.
#[derive(Debug, thiserror::Error)]
pub enum Stuck {
    /// The database.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The database.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The devices take no order now.
    #[error(transparent)]
    Submit(#[from] SubmitError),
    /// A row that cannot be read.
    #[error("the reading {0} is damaged: {1}")]
    Damaged(Uuid, String),
}

/// What a reading needs to know of its device and of the objects there.
struct Around {
    registry: Registry,
    mounts: Mounts,
}

/// A reading with what came of its last step.
struct Found {
    row: StoredReading,
    around: Around,
    /// `None` while something is still out.
    answers: Option<Vec<Answer>>,
}

impl Trees {
    /// Readings over this store and these devices.
    #[must_use]
    pub const fn new(store: Store, sealer: Arc<Sealer>, devices: Devices, objects: Objects) -> Self {
        Self { store, sealer, devices, objects }
    }

    /// Runs until it is dropped.
    pub async fn keep_reading(self) {
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            look.tick().await;
            let open = match self.store.look_up(|r| trees::open(r, AT_ONCE)).await {
                Ok(open) => open,
                Err(error) => {
                    tracing::warn!(%error, "the readings under way cannot be looked at");
                    continue;
                }
            };
            for id in open {
                self.go_on(id).await;
            }
        }
    }

    /// Takes the next step of a reading if it can be taken.
    pub async fn go_on(&self, id: Uuid) {
        if let Err(error) = self.step(id).await {
            tracing::warn!(reading = %id, %error, "a reading of a tree is put off");
        }
    }

    async fn step(&self, id: Uuid) -> Result<(), Stuck> {
        let (sealer, objects) = (Arc::clone(&self.sealer), self.objects.clone());
        let found = self.store.read(move |r| look(r, &sealer, &objects, id)).await?;
        let Some(Found { row, around, answers: Some(answers) }) = found else { return Ok(()) };
        let mut reading: Reading =
            serde_json::from_slice(&row.machine).map_err(|error| Stuck::Damaged(id, error.to_string()))?;
        around.with_rules(|rules| reading.answer(answers, rules));
        let asks: Vec<_> = reading.next(TOGETHER).iter().map(postern_wire::tree::Ask::target).collect();
        if asks.is_empty() {
            return self.end(row, &reading).await;
        }
        let order = Order {
            targets: vec![row.enrolment],
            kind: OperationKind::Raw,
            commands: asks.into_iter().map(|at| Body::plain(Verb::Get, vec![BodyItem::node(at)])).collect(),
            ordered: false,
            lane: Lane::Normal,
            deadline: Some(row.created_at.plus(WITHIN_MS)),
            actor: AuditActor::service("trees"),
            reason: format!("reading {} for {}", row.uri, row.asked_by),
            idempotency: Some(format!("tree/{id}/{}", row.step)),
        };
        let submitted = match self.devices.submit(order).await {
            Ok(submitted) => submitted,
            Err(refused) if passes(&refused) => return Err(refused.into()),
            Err(refused) => return self.fail(row, &reading, refused.to_string()).await,
        };
        let next = StoredReading {
            step: row.step + 1,
            asked: i64::from(reading.asked()),
            machine: written(&reading),
            operation: Some(submitted.operation),
            cause: format!("asked the device {} times", reading.asked()),
            ..row.clone()
        };
        self.advance(row.step, next, None).await
    }

    async fn end(&self, row: StoredReading, reading: &Reading) -> Result<(), Stuck> {
        let known = reading.snapshot.nodes.len();
        if let (Some(status), true) = (reading.refused(), known <= 1) {
            return self.fail(row, reading, format!("the device answered {status}")).await;
        }
        if known == 0 {
            return self.fail(row, reading, "the device gave no answer".to_owned()).await;
        }
        let mut cause = if known == 1 { "1 node".to_owned() } else { format!("{known} nodes") };
        for (count, what) in [
            (reading.lost(), "questions were not answered"),
            (reading.snapshot.left_out, "nodes were left out"),
        ] {
            if count > 0 {
                cause = format!("{cause}, {count} {what}");
            }
        }
        let document = serde_json::to_vec(&reading.snapshot).expect("a snapshot has text keys only");
        let snapshot = StoredSnapshot {
            id: Uuid::nil(),
            enrolment: row.enrolment,
            uri: row.uri.clone(),
            whole: reading.how() == How::Whole,
            nodes: i64::try_from(known).unwrap_or(i64::MAX),
            octets: i64::try_from(document.len()).unwrap_or(i64::MAX),
            mounts: serde_json::to_string(&reading.snapshot.mounts())
                .expect("identifiers and addresses are text"),
            document,
            at: row.created_at,
        };
        let (from, asked) = (row.step, i64::from(reading.asked()));
        let ended = StoredReading {
            step: from + 1,
            asked,
            state: STATE_DONE.to_owned(),
            cause,
            machine: written(&reading.spent()),
            ..row
        };
        self.advance(from, ended, Some(snapshot)).await
    }

    async fn fail(&self, row: StoredReading, reading: &Reading, cause: String) -> Result<(), Stuck> {
        let from = row.step;
        let state = STATE_FAILED.to_owned();
        let ended = StoredReading { step: from + 1, state, cause, machine: written(&reading.spent()), ..row };
        self.advance(from, ended, None).await
    }

    /// Notes a step. One that another look has noted already is left alone.
    async fn advance(
        &self,
        from: i64,
        row: StoredReading,
        snapshot: Option<StoredSnapshot>,
    ) -> Result<(), Stuck> {
        let done = self
            .store
            .write(move |tx| {
                let now = tx.now();
                let kept = snapshot.clone().map(|kept| StoredSnapshot { id: tx.fresh_id(), at: now, ..kept });
                let snapshot = kept.as_ref().map(|kept| kept.id);
                trees::advance(tx, from, StoredReading { snapshot, updated_at: now, ..row.clone() })?;
                kept.map_or(Ok(()), |kept| trees::keep(tx, kept))
            })
            .await;
        match done {
            Err(WriteError::Rejected(StoreError::Conflict(_))) => Ok(()),
            other => Ok(other?),
        }
    }
}

/// The row with which a reading begins.
///
/// # Errors
/// As the store's reads.
pub fn begin(
    r: &mut Reader,
    objects: &Objects,
    device: EnrolmentId,
    root: &TreeUri,
    how: How,
) -> Result<StoredReading, StoreError> {
    let around = around(r, objects, device)?;
    let earlier =
        trees::newest_done(r, device)?.and_then(|row| serde_json::from_slice::<Reading>(&row.machine).ok());
    let reading = around.with_rules(|rules| {
        let fresh = Reading::new(root, how, rules);
        match &earlier {
            Some(earlier) => fresh.knowing(earlier, rules),
            None => fresh,
        }
    });
    Ok(StoredReading {
        id: Uuid::nil(),
        enrolment: device,
        uri: root.path().to_owned(),
        levels: match how {
            How::Whole => 0,
            How::Levels(levels) => i64::from(levels),
        },
        state: trees::STATE_OPEN.to_owned(),
        cause: "begun".to_owned(),
        step: 0,
        asked: 0,
        machine: written(&reading),
        operation: None,
        snapshot: None,
        asked_by: String::new(),
        reason: String::new(),
        created_at: UtcMillis(0),
        updated_at: UtcMillis(0),
    })
}

fn around(r: &mut Reader, objects: &Objects, device: EnrolmentId) -> Result<Around, StoreError> {
    Ok(Around { registry: objects.registry(r)?, mounts: objects::mounts(r, device)? })
}

impl Around {
    fn with_rules<T>(&self, work: impl FnOnce(&Rules<'_>) -> T) -> T {
        let is_protected = |uri: &TreeUri| destructive::protected(Verb::Get, uri, false).is_some();
        let is_secret =
            |uri: &TreeUri| is_protected(&uri.node()) || self.registry.is_secret(uri, &self.mounts);
        let mask = Mask { is_secret: &is_secret, bounds: Bounds::default() };
        work(&Rules { is_protected: &is_protected, mask })
    }
}

fn look(r: &mut Reader, sealer: &Sealer, objects: &Objects, id: Uuid) -> Result<Option<Found>, StoreError> {
    let Some(row) = trees::reading(r, id)?.filter(|row| row.state == trees::STATE_OPEN) else {
        return Ok(None);
    };
    let around = around(r, objects, row.enrolment)?;
    let Some(operation) = row.operation else {
        return Ok(Some(Found { row, around, answers: Some(Vec::new()) }));
    };
    let mut rows = commands::of_operation(r, operation, None, TOGETHER as i64)?;
    rows.sort_by_key(|row| row.position);
    let out = |state| matches!(state, CommandState::Queued | CommandState::Sent);
    if rows.iter().any(|row| out(row.state)) {
        return Ok(Some(Found { row, around, answers: None }));
    }
    let mut answers = Vec::with_capacity(rows.len());
    for command in rows {
        answers.push(match (command.state, command.status) {
            (CommandState::Succeeded, _) => {
                let items = results::of(r, command.id)?;
                let told = items.into_iter().map(|item| told(sealer, item)).collect::<Result<_, _>>()?;
                Answer::Told(told)
            }
            (CommandState::Failed, status) => {
                Answer::Refused(status.and_then(|status| u32::try_from(status).ok()).unwrap_or(500))
            }
            _ => Answer::Lost,
        });
    }
    Ok(Some(Found { row, around, answers: Some(answers) }))
}

fn told(sealer: &Sealer, item: results::ResultItem) -> Result<Told, StoreError> {
    let data = if item.sealed { sealer.open(item.enrolment, &item.data)?.to_vec() } else { item.data };
    Ok(Told { uri: item.source_uri, format: item.format, type_: item.media_type, data })
}

fn written(reading: &Reading) -> Vec<u8> {
    serde_json::to_vec(reading).expect("a reading has text keys only")
}

/// Whether an order that was refused may be taken later.
fn passes(refused: &SubmitError) -> bool {
    matches!(
        refused,
        SubmitError::Overloaded(_)
            | SubmitError::Full
            | SubmitError::Unavailable(_)
            | SubmitError::TooMany { .. }
            | SubmitError::Suspended { .. }
    )
}
