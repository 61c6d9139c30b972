//! The outbox: what people and other systems are told of, and each way in which it goes out.
//!
//! Promise: an event that was [`put`] goes out if, and only if, the transaction that tells of it commits; one with a
//! dedupe key that was put before is not put again. An event is planned into deliveries once, and goes to a target by
//! a channel once; a delivery that was changed by somebody else in between is a conflict. Delivery itself is at least
//! once: each try is written down before the first octet leaves, and every try bears the same [`Delivery::message_id`].

mod upkeep;

use diesel::{OptionalExtension, dsl::count_star, prelude::*};
use postern_wire::terms::{Channel, DeliveryState, EnrolmentId, EventKind, UtcMillis};
use serde_json::Value;
use uuid::Uuid;

use super::{enrolments, held};
use crate::{
    column::{Column, Db, db, row},
    conn::each,
    errors::StoreError,
    tables::{deliveries::dsl as d, outbox::dsl as t},
    tx::{Reader, Tx},
};

pub use upkeep::{again, purge};
pub(crate) use upkeep::{doubt, forget};

/// Octets of an event's data at most; more is kept as nothing but the note that it was too much.
const DATA: usize = 16 * 1024;
/// Characters of a subject, a dedupe key, a hold or a target that are kept.
const NAME: usize = 300;
/// Characters of a cause that are kept.
const CAUSE: usize = 500;
/// How the reason begins why a delivery to somebody without an address is parked. Such a one goes by age like a delivered
/// one: nobody can have it tried again for ever.
pub const NO_ADDRESS: &str = "no address of ";
/// Why what a backup had as waiting does not go out by itself.
const DOUBTED: &str = "restored from a backup: it may have gone out since; retry it to send it";

/// What is put into the outbox.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// What happened.
    pub kind: EventKind,
    /// What it is about: `wipe:ID`, `approval:ID`, `device:ID` …
    pub subject: String,
    /// The device that it is about, if one.
    pub device: Option<EnrolmentId>,
    /// Put once, ever: usually the subject, a slash and the kind (`wipe:ID/wipe-failed/2` for what may come again).
    pub dedupe: String,
    /// Facts for the texts: an object of texts, numbers and truths. No secret: it is mailed.
    pub data: Value,
    /// Who is told, beside every webhook and stream.
    pub recipients: Recipients,
    /// What must be complete before the owner is told ([`release`]), such as `wipe:ID`: who has the device may have the
    /// mailbox. None tells the owner at once.
    pub owner_held_until: Option<String>,
    /// When it happened.
    pub at: UtcMillis,
}

/// Who is told of an event by mail.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recipients {
    /// The admin who asked for it, by id.
    pub requester: Option<Uuid>,
    /// The owner of this device, as the enrolment names it now.
    pub owner: Option<EnrolmentId>,
    /// The security list of the configuration.
    pub security_list: bool,
}

/// What putting an event did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// It goes out when the transaction commits.
    New,
    /// Its dedupe key was put before: nothing was done.
    Known,
}

row! {
    /// One event as it rests.
    pub struct Entry in outbox {
        /// Its id.
        pub id: Uuid,
        /// What happened.
        pub kind: EventKind,
        /// What it is about.
        pub subject: String,
        /// The device that it is about.
        pub device: Option<EnrolmentId>,
        /// What makes it the only one.
        pub dedupe: String,
        /// Facts for the texts, a JSON object.
        pub data: String,
        /// The admin who asked.
        pub requester: Option<Uuid>,
        /// The owner of the device, as it was named then. Text from outside.
        pub owner: Option<String>,
        /// Whether the security list is told.
        pub security: bool,
        /// What must be complete before the owner is told.
        pub hold: Option<String>,
        /// When it happened.
        pub at: UtcMillis,
        /// When its deliveries were made.
        pub planned_at: Option<UtcMillis>,
        /// When its hold ended.
        pub released_at: Option<UtcMillis>,
    }
}

row! {
    /// One way of one event to one target.
    pub struct Delivery in deliveries {
        /// Its id.
        pub id: Uuid,
        /// The event.
        pub event: Uuid,
        /// By what.
        pub channel: Channel,
        /// To whom: an address, a webhook's name, nothing where there is one only.
        pub target: String,
        /// The mail's Message-ID or the webhook's id: the same with each try.
        pub message_id: String,
        /// Where it stands.
        pub state: DeliveryState,
        /// How often it was tried.
        pub attempts: i64,
        /// What the other side said last, or why it waits. Text from outside.
        pub cause: String,
        /// Since when it waits, or waited: since it was made or a person had it tried again.
        pub created_at: UtcMillis,
        /// When it is tried next.
        pub next_at: Option<UtcMillis>,
        /// When it was tried last.
        pub last_at: Option<UtcMillis>,
        /// When it was delivered or parked.
        pub finished_at: Option<UtcMillis>,
        /// Grows with each change.
        pub revision: i64,
    }
}

/// One delivery to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    /// By what.
    pub channel: Channel,
    /// To whom.
    pub target: String,
    /// What each try bears.
    pub message_id: String,
    /// Whether it waits for the event's hold, if that stands still.
    pub held: bool,
    /// Why it cannot go out, where that is known beforehand: it is parked at once, so that people see it.
    pub parked: Option<String>,
}

/// Which deliveries are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only these states.
    pub state: Option<DeliveryState>,
    /// Only this channel.
    pub channel: Option<Channel>,
    /// Only events about this.
    pub subject: Option<String>,
}

// --- putting

/// Puts an event into the outbox, as part of the change that it tells of.
pub fn put(tx: &mut Tx, event: &Event) -> Result<Put, StoreError> {
    let owner = match event.recipients.owner {
        Some(device) => enrolments::find(tx, device)?.and_then(|enrolment| enrolment.owner),
        None => None,
    };
    let mut data = event.data.to_string();
    if data.len() > DATA || !event.data.is_object() {
        data = r#"{"cut":true}"#.to_owned();
    }
    let row = Entry {
        id: tx.fresh_id(),
        kind: event.kind,
        subject: cut(&event.subject, NAME),
        device: event.device,
        dedupe: cut(&event.dedupe, NAME),
        data,
        requester: event.recipients.requester,
        owner,
        security: event.recipients.security_list,
        hold: event.owner_held_until.as_deref().map(|hold| cut(hold, NAME)),
        at: event.at,
        planned_at: None,
        released_at: None,
    };
    let rows = each!(tx.conn, c => diesel::insert_into(t::outbox)
        .values(row)
        .on_conflict(t::dedupe)
        .do_nothing()
        .execute(c))?;
    Ok(if rows == 1 { Put::New } else { Put::Known })
}

/// Ends a hold: what waited for it may go to the owners from now on. Gives how many deliveries that freed.
pub fn release(tx: &mut Tx, hold: &str) -> Result<usize, StoreError> {
    let (now, hold) = (tx.now(), cut(hold, NAME));
    let events: Vec<Vec<u8>> = each!(tx.conn, c => t::outbox
        .filter(t::hold.eq(hold.clone()))
        .filter(t::released_at.is_null())
        .select(t::id)
        .load(c))?;
    if events.is_empty() {
        return Ok(0);
    }
    each!(tx.conn, c => diesel::update(t::outbox.filter(t::id.eq_any(events.clone())))
        .set(t::released_at.eq(Some(now.0)))
        .execute(c))?;
    Ok(each!(tx.conn, c => diesel::update(
        d::deliveries.filter(d::event.eq_any(events)).filter(d::state.eq(DeliveryState::Held.as_str())),
    )
    .set((
        d::state.eq(DeliveryState::Waiting.as_str()),
        d::cause.eq("released"),
        d::next_at.eq(Some(now.0)),
        d::revision.eq(d::revision + 1),
    ))
    .execute(c))?)
}

// --- planning

/// Events that have no deliveries yet, the oldest first.
pub fn unplanned(r: &mut Reader, limit: i64) -> Result<Vec<Entry>, StoreError> {
    Ok(each!(r.conn, c => t::outbox
        .filter(t::planned_at.is_null())
        .order((t::at, t::id))
        .limit(limit)
        .select(Entry::as_select())
        .load(c))?)
}

/// Makes an event's deliveries, once. False when it was planned before. What a restored backup had unplanned is parked:
/// it may have gone out since.
pub fn plan(tx: &mut Tx, event: Uuid, ways: Vec<Way>) -> Result<bool, StoreError> {
    let now = tx.now();
    let Some(entry) = find(tx, event)? else { return Err(StoreError::NotFound("event")) };
    if entry.planned_at.is_some() {
        return Ok(false);
    }
    each!(tx.conn, c => diesel::update(t::outbox.filter(t::id.eq(db(event))))
        .set(t::planned_at.eq(Some(now.0)))
        .execute(c))?;
    let doubted = held::of(tx)?.is_some_and(|held| entry.at.0 <= held.backup_at);
    make(tx, &entry, ways, doubted)?;
    Ok(true)
}

/// Plans an event once more, for a delivery that had no address: where it has one now, the delivery that goes to it takes
/// the place of the one that was `nobody`'s. False where it still has none; then nothing has changed.
pub fn readdress(tx: &mut Tx, nobody: Uuid, ways: Vec<Way>) -> Result<bool, StoreError> {
    let Some((row, entry)) = delivery(tx, nobody)? else { return Err(StoreError::NotFound("delivery")) };
    if ways.iter().any(|way| way.channel == row.channel && way.target == row.target) {
        return Ok(false);
    }
    make(tx, &entry, ways, false)?;
    each!(tx.conn, c => diesel::delete(d::deliveries.filter(d::id.eq(db(nobody)))).execute(c))?;
    Ok(true)
}

/// Makes the deliveries that an event has not yet.
fn make(tx: &mut Tx, entry: &Entry, ways: Vec<Way>, doubted: bool) -> Result<(), StoreError> {
    let (now, event) = (tx.now(), entry.id);
    for way in ways {
        let held = way.held && entry.hold.is_some() && entry.released_at.is_none();
        let (state, cause) = match (way.parked, doubted, held) {
            (Some(why), _, _) => (DeliveryState::Parked, why),
            (_, true, _) => (DeliveryState::Parked, DOUBTED.to_owned()),
            (_, _, true) => {
                (DeliveryState::Held, format!("until {}", entry.hold.as_deref().unwrap_or_default()))
            }
            _ => (DeliveryState::Waiting, "new".to_owned()),
        };
        let row = Delivery {
            id: tx.fresh_id(),
            event,
            channel: way.channel,
            target: cut(&way.target, NAME),
            message_id: way.message_id,
            state,
            attempts: 0,
            cause: cut(&cause, CAUSE),
            created_at: now,
            next_at: (state == DeliveryState::Waiting).then_some(now),
            last_at: None,
            finished_at: (state == DeliveryState::Parked).then_some(now),
            revision: 1,
        };
        each!(tx.conn, c => diesel::insert_into(d::deliveries)
            .values(row)
            .on_conflict((d::event, d::channel, d::target))
            .do_nothing()
            .execute(c))?;
    }
    Ok(())
}

// --- reading

/// The event with this id.
pub fn find(r: &mut Reader, id: Uuid) -> Result<Option<Entry>, StoreError> {
    Ok(
        each!(r.conn, c => t::outbox.filter(t::id.eq(db(id))).select(Entry::as_select()).get_result(c).optional())?,
    )
}

/// The event with this dedupe key.
pub fn by_dedupe(r: &mut Reader, dedupe: &str) -> Result<Option<Entry>, StoreError> {
    Ok(each!(r.conn, c => t::outbox
        .filter(t::dedupe.eq(cut(dedupe, NAME)))
        .select(Entry::as_select())
        .get_result(c)
        .optional())?)
}

/// What was put about a subject, in order of time.
pub fn about(r: &mut Reader, subject: &str, limit: i64) -> Result<Vec<Entry>, StoreError> {
    Ok(each!(r.conn, c => t::outbox
        .filter(t::subject.eq(cut(subject, NAME)))
        .order((t::at, t::id))
        .limit(limit)
        .select(Entry::as_select())
        .load(c))?)
}

/// One delivery, with its event.
pub fn delivery(r: &mut Reader, id: Uuid) -> Result<Option<(Delivery, Entry)>, StoreError> {
    Ok(each!(r.conn, c => d::deliveries
        .inner_join(t::outbox.on(t::id.eq(d::event)))
        .filter(d::id.eq(db(id)))
        .select((Delivery::as_select(), Entry::as_select()))
        .get_result(c)
        .optional())?)
}

/// Whose deliveries are wanted, and when they are due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// Only this channel's, and with a name only this target's.
    pub channel: Option<(Channel, Option<String>)>,
    /// What is to be tried by then.
    pub by: UtcMillis,
    /// What is to be tried after this is due as well: the clock has gone back since that was written.
    pub beyond: UtcMillis,
}

/// Deliveries that are due, the longest due first, with their events.
pub fn due(r: &mut Reader, due: &Due, limit: i64) -> Result<Vec<(Delivery, Entry)>, StoreError> {
    Ok(each!(r.conn, c => {
        let mut query = d::deliveries
            .inner_join(t::outbox.on(t::id.eq(d::event)))
            .filter(d::next_at.le(due.by.0).or(d::next_at.gt(due.beyond.0)))
            .into_boxed();
        if let Some((channel, target)) = &due.channel {
            query = query.filter(d::channel.eq(channel.as_str()));
            if let Some(target) = target {
                query = query.filter(d::target.eq(target.clone()));
            }
        }
        query
            .order((d::next_at, d::id))
            .limit(limit)
            .select((Delivery::as_select(), Entry::as_select()))
            .load(c)
    })?)
}

/// How many deliveries to this target are parked.
pub fn parked(r: &mut Reader, channel: Channel, target: &str) -> Result<i64, StoreError> {
    Ok(each!(r.conn, c => d::deliveries
        .filter(d::state.eq(DeliveryState::Parked.as_str()))
        .filter(d::channel.eq(channel.as_str()))
        .filter(d::target.eq(target))
        .count()
        .get_result(c))?)
}

/// Deliveries, the newest first, with their events; `before` is the id of the last one seen.
pub fn list(
    r: &mut Reader,
    filter: &Filter,
    before: Option<Uuid>,
    limit: i64,
) -> Result<Vec<(Delivery, Entry)>, StoreError> {
    let before = match before {
        Some(id) => delivery(r, id)?.map(|(row, _)| (row.created_at, id)),
        None => None,
    };
    Ok(each!(r.conn, c => {
        let mut query = d::deliveries.inner_join(t::outbox.on(t::id.eq(d::event))).into_boxed();
        if let Some(state) = filter.state {
            query = query.filter(d::state.eq(state.as_str()));
        }
        if let Some(channel) = filter.channel {
            query = query.filter(d::channel.eq(channel.as_str()));
        }
        if let Some(subject) = &filter.subject {
            query = query.filter(t::subject.eq(subject.clone()));
        }
        if let Some((at, id)) = before {
            query = query.filter(d::created_at.lt(at.0).or(d::created_at.eq(at.0).and(d::id.lt(db(id)))));
        }
        query
            .order((d::created_at.desc(), d::id.desc()))
            .limit(limit)
            .select((Delivery::as_select(), Entry::as_select()))
            .load(c)
    })?)
}

/// How many deliveries are in each state.
pub fn counts(r: &mut Reader) -> Result<Vec<(DeliveryState, i64)>, StoreError> {
    let rows: Vec<(Db<DeliveryState>, i64)> = each!(r.conn, c => d::deliveries
        .group_by(d::state)
        .select((d::state, count_star()))
        .load(c))?;
    rows.into_iter()
        .map(|(state, n)| DeliveryState::raise(state.0).map(|state| (state, n)).map_err(StoreError::Damaged))
        .collect()
}

/// Since when the delivery waits that has waited longest; none when none waits.
pub fn oldest_waiting(r: &mut Reader) -> Result<Option<UtcMillis>, StoreError> {
    let first: Option<Option<i64>> = each!(r.conn, c => d::deliveries
        .filter(d::state.eq(DeliveryState::Waiting.as_str()))
        .select(diesel::dsl::min(d::created_at))
        .get_result(c)
        .optional())?;
    Ok(first.flatten().map(UtcMillis))
}

// --- delivering

/// Keeps a changed delivery, whose revision is one more than the stored one's.
///
/// # Errors
/// [`StoreError::Conflict`] when it was changed in between.
pub fn change(tx: &mut Tx, row: &Delivery) -> Result<(), StoreError> {
    let changed = each!(tx.conn, c => diesel::update(
        d::deliveries.filter(d::id.eq(db(row.id))).filter(d::revision.eq(row.revision - 1)),
    )
    .set((
        d::state.eq(row.state.as_str()),
        d::attempts.eq(row.attempts),
        d::cause.eq(cut(&row.cause, CAUSE)),
        d::next_at.eq(row.next_at.map(|at| at.0)),
        d::last_at.eq(row.last_at.map(|at| at.0)),
        d::finished_at.eq(row.finished_at.map(|at| at.0)),
        d::revision.eq(row.revision),
    ))
    .execute(c))?;
    enrolments::one(changed)
        .map_err(|_| StoreError::Conflict("the delivery was changed in between".to_owned()))
}

/// The first characters of a text, without U+0000 (which PostgreSQL does not hold).
fn cut(text: &str, most: usize) -> String {
    text.chars().take(most).map(|c| if c == '\0' { '\u{FFFD}' } else { c }).collect()
}
