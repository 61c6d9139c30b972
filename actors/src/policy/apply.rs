//! A device's session: what it answered is taken down, and what is still to be done becomes its next order.
//!
//! Promise: one order of policy at most is under way for a device. The rows of its commands are the truth: what they say is
//! taken into the device's book in the transaction that closes the order, so a core that dies between a command and its answer,
//! or between the answer and the book, loses nothing and says nothing twice. A device that is as it is to be costs no write.
//! Nothing that is wrong with its policy keeps a device out: its session goes on without, and the alarm [`FAILED`] says why.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicI64, Ordering::Relaxed},
};

use postern_engine::{
    policy::desired::{
        Desired,
        book::Book,
        learn::{Answer, Read},
        status::{counts, standings},
        step, value,
    },
    profiles::Shelf,
    queue::{Body, BodyItem},
};
use postern_store::{
    StoreError, Tx, WriteError,
    alarms::{self, Severity},
    commands::{self, Command, Finish},
    enrolments,
    policies::{self, Device},
    results::{self, ResultItem},
};
use postern_wire::{
    syncml::Data,
    terms::{
        CommandId, CommandState, EnrolmentId, EnrolmentState, Lane, OperationId, OperationKind, UtcMillis,
        Verb,
    },
};

use super::SERVICE;
use crate::{AuditActor, Order, SubmitError, orders::submit, payload::Content, shared::Shared};

/// Commands of one order that are read back; one of more was never given.
const COMMANDS: i64 = 300;
/// The alarm while a device's policy cannot be compared.
pub const FAILED: &str = "policy-failed";
/// The type of a row that holds the status code of a part of a command.
const STATUS_TYPE: &str = "application/vnd.syncml.status";

/// What the sessions know of policy.
#[derive(Debug, Default)]
pub(crate) struct Standing {
    epoch: AtomicI64,
    verify_ms: AtomicI64,
}

impl Standing {
    /// Told by the supervisor; nothing is compared before.
    pub(crate) fn set(&self, epoch: i64, verify_ms: i64) {
        self.verify_ms.store(verify_ms, Relaxed);
        self.raise(epoch);
    }

    /// A newer epoch stands.
    pub(crate) fn raise(&self, epoch: i64) {
        self.epoch.fetch_max(epoch, Relaxed);
    }

    /// Whether a device whose row says `compared` has to be compared.
    pub(crate) fn is_news(&self, compared: i64) -> bool {
        compared == 0 && self.epoch.load(Relaxed) > 1
    }
}

/// Compares a device that has proved itself, and plans what is to be done. Whether there are new commands for it; none where its
/// policy cannot be compared now, which is logged, and an alarm where it does not pass by itself.
pub(crate) async fn compare(shared: &Shared, id: EnrolmentId) -> bool {
    let cause = match compared(shared, id).await {
        Ok(queued) => return queued,
        Err(cause) => cause,
    };
    tracing::warn!(device = %id, %cause, "its policy was not compared: the session goes on without");
    if let WriteError::Rejected(StoreError::Refused(why) | StoreError::Damaged(why)) = cause {
        let raised = shared.store.write(move |tx| {
            let text = format!("its policy cannot be compared, so it keeps what it has: {why}");
            alarms::raise(tx, Severity::Warning, FAILED, &subject(id), &text)
        });
        if let Err(cause) = raised.await {
            tracing::warn!(device = %id, %cause, "the alarm about its policy was not raised");
        }
    }
    false
}

fn subject(id: EnrolmentId) -> String {
    format!("device:{id}")
}

async fn compared(shared: &Shared, id: EnrolmentId) -> Result<bool, WriteError> {
    let room = Room {
        cap: shared.settings.pending_cap,
        shelf: shared.settings.session.profiles.clone(),
        verify_ms: shared.policy.verify_ms.load(Relaxed),
        spread: shared.random32().0,
    };
    shared.store.write(move |tx| decide(tx, id, &room)).await
}

struct Room {
    cap: usize,
    shelf: Shelf,
    verify_ms: i64,
    spread: [u8; 32],
}

fn decide(tx: &mut Tx, id: EnrolmentId, room: &Room) -> Result<bool, StoreError> {
    let enrolment = enrolments::get(tx, id)?;
    if !matches!(enrolment.state, EnrolmentState::New | EnrolmentState::Managed) {
        return Ok(false);
    }
    let epoch = policies::epoch(tx)?;
    let Some(mut row) = policies::find(tx, id)? else {
        enrolments::set_policy_epoch(tx, id, epoch)?;
        return Ok(false);
    };
    let Some(desired) = document(tx, row.desired)? else {
        return Err(StoreError::Damaged(format!("the desired state of {id} is not there")));
    };
    let mut book = book(&row)?;
    if row.generation != enrolment.generation {
        book.forget();
        row =
            Device { generation: enrolment.generation, operation: None, planned: None, settled: None, ..row };
    }
    if let Some(operation) = row.operation {
        match close(tx, &row, operation, &desired, &mut book)? {
            Closed::UnderWay => return Ok(false),
            Closed::Over => row.operation = None,
        }
    }
    let now = tx.now();
    if row.verify_at.is_some_and(|at| at <= now) {
        book.verify();
        row.verify_at = None;
    }
    if row.verify_at.is_none() {
        row.verify_at = Some(now.plus(spread(room)));
    }
    let commands = step::commands(&book.next(&desired), book.alone);
    let queued = match commands.is_empty() {
        true => {
            row.settled = Some(row.desired);
            row.settled_at = Some(now);
            row.planned = None;
            enrolments::set_policy_epoch(tx, id, epoch)?;
            false
        }
        false => match order(tx, id, commands, room)? {
            Some(operation) => {
                row.operation = Some(operation);
                row.planned = Some(row.desired);
                true
            }
            // Its queue is full: compared again at the next session, from the book as it was.
            None => return Ok(false),
        },
    };
    keep(tx, row, &desired, &book)?;
    alarms::clear(tx, FAILED, &subject(id), "it was compared")?;
    Ok(queued)
}

/// A desired state by its hash.
pub(super) fn document(r: &mut postern_store::Reader, hash: [u8; 32]) -> Result<Option<Desired>, StoreError> {
    let Some(document) = policies::document(r, hash)? else { return Ok(None) };
    let desired = serde_json::from_str(&document.body);
    desired.map(Some).map_err(|error| StoreError::Damaged(format!("a desired state: {error}")))
}

/// What is known of a device.
pub(super) fn book(row: &Device) -> Result<Book, StoreError> {
    serde_json::from_str(&row.book)
        .map_err(|error| StoreError::Damaged(format!("the policy book of {}: {error}", row.enrolment)))
}

/// Keeps a device's row with its book and figures.
pub(super) fn keep(tx: &mut Tx, row: Device, desired: &Desired, book: &Book) -> Result<(), StoreError> {
    let figures = counts(&standings(desired, book));
    let text = serde_json::to_string(book).map_err(|error| StoreError::Refused(error.to_string()))?;
    policies::put(
        tx,
        Device {
            book: text,
            compliant: figures.compliant.into(),
            pending: figures.pending.into(),
            failed: figures.error.into(),
            unsupported: figures.not_supported.into(),
            conflicts: figures.conflict.into(),
            drift: book.nodes.values().map(|entry| i64::from(entry.drift)).sum(),
            ..row
        },
    )
}

/// A tenth earlier or later, so that a fleet does not come at once.
fn spread(room: &Room) -> i64 {
    let tenth = room.verify_ms / 10;
    let [a, b, c, d, ..] = room.spread;
    let random = i64::from(u32::from_be_bytes([a, b, c, d]));
    room.verify_ms - tenth + (2 * tenth).saturating_mul(random) / i64::from(u32::MAX)
}

fn order(
    tx: &mut Tx,
    id: EnrolmentId,
    commands: Vec<Body>,
    room: &Room,
) -> Result<Option<OperationId>, StoreError> {
    let order = Order {
        targets: vec![id],
        kind: OperationKind::Policy,
        commands,
        ordered: false,
        lane: Lane::Background,
        deadline: None,
        actor: AuditActor::service(SERVICE),
        reason: "policy".to_owned(),
        idempotency: None,
    };
    match submit::within(tx, &order, room.cap, &room.shelf)? {
        Ok(operation) => Ok(Some(operation)),
        Err(SubmitError::TooMany { .. }) => Ok(None),
        Err(refused) => Err(StoreError::Refused(refused.to_string())),
    }
}

enum Closed {
    /// A command of it may be with the device.
    UnderWay,
    /// What the device said of it is taken down.
    Over,
}

/// Closes an order where all is said. What was never sent goes where another desired state came in between.
fn close(
    tx: &mut Tx,
    row: &Device,
    operation: OperationId,
    desired: &Desired,
    book: &mut Book,
) -> Result<Closed, StoreError> {
    let commands = commands::of_operation(tx, operation, None, COMMANDS)?;
    let sent = |one: &&Command| one.state == CommandState::Sent || (is_queued(one) && one.attempts > 0);
    let never_sent: Vec<CommandId> =
        commands.iter().filter(|one| is_queued(one) && one.attempts == 0).map(|one| one.id).collect();
    if commands.iter().any(|one| sent(&one)) || (!never_sent.is_empty() && row.planned == Some(row.desired)) {
        return Ok(Closed::UnderWay);
    }
    let ends: Vec<Finish> = never_sent
        .iter()
        .map(|id| Finish {
            id: *id,
            state: CommandState::Superseded,
            status: None,
            cause: "overtaken".to_owned(),
            proof: None,
            session: None,
        })
        .collect();
    if !ends.is_empty() {
        commands::finish(tx, &ends)?;
    }
    for command in commands.iter().filter(|one| !never_sent.contains(&one.id)) {
        let results = results::of(tx, command.id)?;
        take_down(book, desired, command, &results);
    }
    Ok(Closed::Over)
}

fn is_queued(command: &Command) -> bool {
    command.state == CommandState::Queued
}

/// What the device said of a command's items.
fn take_down(book: &mut Book, desired: &Desired, command: &Command, results: &[ResultItem]) {
    let Ok(content) = Content::from_payload(command.verb, &command.payload) else { return };
    if !matches!(command.state, CommandState::Succeeded | CommandState::Failed) {
        // Taken back, overtaken, expired: nothing is known, so it is tried again. What was sent may have been done.
        if command.attempts > 0 && command.verb != Verb::Get {
            for item in content.body.items() {
                book.was_sent(&item.target);
            }
        }
        return;
    }
    let at = command.finished_at.unwrap_or(command.created_at);
    let (codes, values) = said(results);
    let items = content.body.items();
    let of_all = command.status.and_then(|code| u32::try_from(code).ok());
    let well = command.state == CommandState::Succeeded;
    let one_code = codes.values().collect::<std::collections::BTreeSet<_>>().len() < 2;
    if items.len() > 1 && !well && one_code && !book.alone {
        // It may have said one code for several: which of them it means is found out one by one.
        book.alone = true;
        if command.verb != Verb::Get {
            for item in items {
                book.was_sent(&item.target);
            }
        }
        return;
    }
    for item in items {
        let code = codes.get(bare(&item.target)).copied().or(of_all).or(well.then_some(200));
        let read = values.get(bare(&item.target)).filter(|_| command.verb == Verb::Get);
        let read = read.map(|(format, data, binary)| Read { format, data, binary: *binary });
        learn(book, desired, command.verb, item, code, read, at);
    }
}

fn learn(
    book: &mut Book,
    desired: &Desired,
    verb: Verb,
    item: &BodyItem,
    code: Option<u32>,
    read: Option<Read<'_>>,
    at: UtcMillis,
) {
    let sent = item.data.as_ref().map(value::text);
    let answer =
        Answer { verb, uri: &item.target, format: item.format.as_deref(), sent: sent.as_deref(), code, read };
    book.learn(desired, &answer, at);
}

/// Node to code, and node to format, value and whether that is octets as base64.
type Said<'r> = (BTreeMap<&'r str, u32>, BTreeMap<&'r str, (String, String, bool)>);

fn said(results: &[ResultItem]) -> Said<'_> {
    let mut said = Said::default();
    for row in results {
        let uri = bare(row.source_uri.as_deref().unwrap_or_default());
        let (text, binary) = match std::str::from_utf8(&row.data) {
            Ok(text) => (text.to_owned(), false),
            Err(_) => (value::text(&Data::Binary(row.data.clone())), true),
        };
        if row.media_type.as_deref() == Some(STATUS_TYPE) {
            if let Ok(code) = text.parse() {
                said.0.insert(uri, code);
            }
        } else {
            said.1.insert(uri, (row.format.clone().unwrap_or_else(|| "chr".to_owned()), text, binary));
        }
    }
    said
}

/// Devices write the same node with and without the dot.
fn bare(uri: &str) -> &str {
    uri.strip_prefix("./").unwrap_or(uri)
}
