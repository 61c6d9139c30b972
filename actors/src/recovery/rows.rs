//! What happens to a device's recovery password, in transactions.

use postern_engine::recovery::{self as rules, Event, Refused, State, Step};
use postern_store::{
    StoreError, Tx,
    alarms::{self, Severity},
    enrolments, outbox,
    recovery::{self as table, Device, Password},
};
use postern_wire::{
    recovery::Sealed,
    terms::{EnrolmentId, EventKind, ProofClass, RecoveryCause, UtcMillis},
};
use serde_json::json;

use crate::{AuditActor, orders::audit};

/// What these acts stand under in the audit.
pub(super) const SERVICE: &str = "recovery";
/// The kind of the alarm of what came and is not believed.
const ALARM: &str = "recovery-refused";

/// A sealed password that a message brought.
#[derive(Clone, Debug)]
pub(crate) struct Arrived {
    pub(crate) text: String,
    pub(crate) proof: ProofClass,
    pub(crate) at: UtcMillis,
}

/// Keeps what came, in the transaction that the device's answer waits for.
pub(crate) fn arrived(tx: &mut Tx, id: EnrolmentId, came: &Arrived) -> Result<(), StoreError> {
    let row = enrolments::get(tx, id)?;
    let subject = format!("device:{id}");
    let Ok(sealed) = Sealed::parse(&came.text) else { return Ok(()) };
    let header = sealed.header();
    if header.enrolment != id || i64::from(header.generation) != row.generation {
        let text = format!(
            "{} sent a recovery password of another enrolment or generation; it is not kept",
            row.name
        );
        alarms::raise(tx, Severity::Warning, ALARM, &subject, &text)?;
        return Ok(());
    }
    let key = header.key.to_string();
    let number = i64::try_from(header.number).unwrap_or(i64::MAX);
    let password = Password {
        enrolment: id,
        kind: header.kind,
        generation: row.generation,
        number,
        key: key.clone(),
        sealed: sealed.text(),
        cause: header.cause,
        proof: came.proof,
        made_at: header.made,
        received_at: came.at,
        shown: 0,
        shown_at: None,
        shown_by: None,
    };
    if !table::keep(tx, password)? {
        return Ok(());
    }
    let detail = json!({
        "kind": header.kind, "number": number, "key": key, "cause": header.cause, "proof": came.proof,
    });
    audit(tx, &AuditActor::service(SERVICE), "recovery.received", subject, &detail)?;
    outbox::put(
        tx,
        &outbox::Event {
            kind: EventKind::RecoveryRotated,
            subject: format!("device:{id}"),
            device: Some(id),
            dedupe: format!("recovery:{id}/{}/{number}/{}", row.generation, came.at.0),
            data: json!({ "device": row.name, "number": number, "cause": header.cause }),
            recipients: outbox::Recipients { owner: told_of(header.cause, id), ..Default::default() },
            owner_held_until: None,
            at: came.at,
        },
    )?;
    let newest = table::current_key(tx)?.map(|key| key.id);
    let before = known(tx, id, row.generation)?;
    let newest_key = newest.as_deref() == Some(key.as_str());
    let state = parse(&before)?;
    let device = Device { key: Some(key), ..before };
    let now = tx.now();
    match rules::step(state, Event::Arrived { newest_key }) {
        Ok(Step::Become(State::Held)) => {
            let held = Device { operation: None, due_at: None, tries: 0, ..device };
            put(tx, held, State::Held, &format!("number {number} came: {}", header.cause))
        }
        Ok(Step::Become(next)) => {
            let due = Device { operation: None, due_at: Some(now), ..device };
            put(tx, due, next, "it is sealed to an escrow key that was replaced")
        }
        // Its order is over, and told a key that was replaced since.
        Ok(Step::Keep) if state == State::Ordered && !newest_key && device.operation.is_none() => {
            let due = Device { due_at: Some(now), ..device };
            put(tx, due, State::Due, "it is sealed to an escrow key that was replaced")
        }
        Ok(Step::Keep | Step::AskNew | Step::TellKey) | Err(_) => table::put(tx, device),
    }
}

/// The owner hears of a use at the device, which may not have been theirs; routine renewals are no mail.
fn told_of(cause: RecoveryCause, id: EnrolmentId) -> Option<EnrolmentId> {
    (cause == RecoveryCause::Used).then_some(id)
}

/// A device has become managed: it is expected to bring its first password by itself.
pub(crate) fn await_first(tx: &mut Tx, id: EnrolmentId) -> Result<(), StoreError> {
    let Some(row) = enrolments::find(tx, id)? else { return Ok(()) };
    if table::find(tx, id)?.is_some_and(|device| device.generation == row.generation)
        || !crate::enrolment::leave::can(tx, &row)?
    {
        return Ok(());
    }
    let device = known(tx, id, row.generation)?;
    let due_at = Some(tx.now().plus(rules::AWAITED_MS));
    put(tx, Device { due_at, ..device }, State::Awaited, "the device brings its first by itself")
}

/// Lets an event happen to a device that has a row; `due` is when its next step is due, where there is one.
pub(super) fn happen(
    tx: &mut Tx,
    id: EnrolmentId,
    event: Event,
    cause: &str,
    due: Option<UtcMillis>,
) -> Result<Result<(), Refused>, StoreError> {
    let Some(device) = table::find(tx, id)? else { return Ok(Err(Refused::None)) };
    match rules::step(parse(&device)?, event) {
        Ok(Step::Become(next)) => {
            let device = Device { operation: None, due_at: due, ..device };
            put(tx, device, next, cause).map(Ok)
        }
        Ok(Step::Keep | Step::AskNew | Step::TellKey) => Ok(Ok(())),
        Err(refused) => Ok(Err(refused)),
    }
}

/// The row of a device, or one that knows nothing.
fn known(tx: &mut Tx, id: EnrolmentId, generation: i64) -> Result<Device, StoreError> {
    let now = tx.now();
    let found = table::find(tx, id)?.filter(|device| device.generation == generation);
    Ok(found.unwrap_or_else(|| Device {
        enrolment: id,
        generation,
        state: State::Awaited.as_str().to_owned(),
        cause: String::new(),
        since: now,
        due_at: None,
        operation: None,
        key: None,
        tries: 0,
        revision: 0,
    }))
}

pub(super) fn put(tx: &mut Tx, device: Device, state: State, cause: &str) -> Result<(), StoreError> {
    let since = tx.now();
    table::put(tx, Device { state: state.as_str().to_owned(), cause: cause.to_owned(), since, ..device })
}

pub(super) fn parse(device: &Device) -> Result<State, StoreError> {
    State::parse(&device.state)
        .ok_or_else(|| StoreError::Damaged(format!("{:?} is no state of a recovery password", device.state)))
}
