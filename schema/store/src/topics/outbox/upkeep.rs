//! What people and age do to deliveries: tried again, put in doubt by a restore, purged.

use diesel::prelude::*;
use postern_wire::terms::{Channel, DeliveryState, EnrolmentId, UtcMillis};
use uuid::Uuid;

use super::{DOUBTED, Delivery, NO_ADDRESS, change, delivery};
use crate::{
    column::db,
    conn::each,
    errors::StoreError,
    tables::{deliveries::dsl as d, outbox::dsl as t},
    tx::Tx,
};

/// A person has it tried again now: what is parked or waits. With `replay` also what another system took already; a
/// mail that was taken is never sent again.
///
/// # Errors
/// [`StoreError::Refused`] with the reason.
pub fn again(tx: &mut Tx, id: Uuid, replay: bool) -> Result<Delivery, StoreError> {
    let Some((row, entry)) = delivery(tx, id)? else { return Err(StoreError::NotFound("delivery")) };
    let refused = |why: &str| Err(StoreError::Refused(why.to_owned()));
    match row.state {
        DeliveryState::Waiting | DeliveryState::Parked => {}
        DeliveryState::Held => {
            let hold = entry.hold.as_deref().unwrap_or_default();
            return refused(&format!(
                "it is held until {hold} is complete: who has the device may have the mailbox"
            ));
        }
        DeliveryState::Delivered if row.channel == Channel::Mail => {
            return refused("it was taken already; a mail goes once");
        }
        DeliveryState::Delivered if !replay => return refused("it was taken already; ask for a replay"),
        DeliveryState::Delivered => {}
    }
    let now = tx.now();
    let row = Delivery {
        state: DeliveryState::Waiting,
        cause: "a person has it tried again".to_owned(),
        created_at: now,
        next_at: Some(now),
        finished_at: None,
        revision: row.revision + 1,
        ..row
    };
    change(tx, &row)?;
    each!(tx.conn, c => diesel::update(d::deliveries.filter(d::id.eq(db(id))))
        .set(d::created_at.eq(now.0))
        .execute(c))?;
    Ok(row)
}

/// Parks what a backup had as waiting: it may have gone out since the backup was made. Gives how many.
pub(crate) fn doubt(tx: &mut Tx) -> Result<usize, StoreError> {
    let now = tx.now();
    Ok(each!(tx.conn, c => diesel::update(d::deliveries.filter(d::finished_at.is_null()))
        .set((
            d::state.eq(DeliveryState::Parked.as_str()),
            d::cause.eq(DOUBTED),
            d::next_at.eq(None::<i64>),
            d::finished_at.eq(Some(now.0)),
            d::revision.eq(d::revision + 1),
        ))
        .execute(c))?)
}

/// Removes up to `limit` events from before `before` of which nothing waits, is held or is parked, with their
/// deliveries.
pub fn purge(tx: &mut Tx, before: UtcMillis, limit: i64) -> Result<usize, StoreError> {
    let old: Vec<Vec<u8>> = each!(tx.conn, c => t::outbox
        .filter(t::at.lt(before.0))
        .filter(t::planned_at.is_not_null())
        .filter(diesel::dsl::not(diesel::dsl::exists(
            d::deliveries
                .filter(d::event.eq(t::id))
                .filter(d::state.ne(DeliveryState::Delivered.as_str()))
                .filter(d::attempts.gt(0).or(d::cause.not_like(format!("{NO_ADDRESS}%")))),
        )))
        .order(t::at)
        .limit(limit)
        .select(t::id)
        .load(c))?;
    remove(tx, old)
}

/// Forgets what was told about a device, but for what waits still.
pub(crate) fn forget(tx: &mut Tx, device: EnrolmentId) -> Result<(), StoreError> {
    let old: Vec<Vec<u8>> = each!(tx.conn, c => t::outbox
        .filter(t::device.eq(db(Some(device))))
        .filter(t::planned_at.is_not_null())
        .filter(diesel::dsl::not(diesel::dsl::exists(
            d::deliveries.filter(d::event.eq(t::id)).filter(d::finished_at.is_null()),
        )))
        .select(t::id)
        .load(c))?;
    remove(tx, old).map(drop)
}

fn remove(tx: &mut Tx, events: Vec<Vec<u8>>) -> Result<usize, StoreError> {
    if events.is_empty() {
        return Ok(0);
    }
    each!(tx.conn, c => diesel::delete(d::deliveries.filter(d::event.eq_any(events.clone()))).execute(c))?;
    Ok(each!(tx.conn, c => diesel::delete(t::outbox.filter(t::id.eq_any(events))).execute(c))?)
}
