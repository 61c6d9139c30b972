//! One-time secrets of gateways that are to join.
//!
//! Promise: a gateway has one open join at most, a newer one takes its place; the secret rests sealed, and is gone from the
//! row when the join has ended, however it ended.

use diesel::{OptionalExtension, prelude::*};
use postern_wire::terms::UtcMillis;
use uuid::Uuid;

use crate::{
    column::row,
    conn::each,
    errors::StoreError,
    tables::gateway_joins::dsl as t,
    tx::{Reader, Tx},
};

/// The secret was not used yet.
pub const OPEN: &str = "open";
/// The gateway proved itself and its certificates were made; it is not known yet whether it has them.
pub const GRANTED: &str = "granted";
/// The gateway has its certificates.
pub const DONE: &str = "done";
/// Its time was over.
pub const EXPIRED: &str = "expired";
/// It was tried wrongly too often, or taken back.
pub const CLOSED: &str = "closed";

row! {
    /// One join.
    pub struct Join in gateway_joins {
        /// Whose.
        pub gateway: String,
        /// Which of that name; the bundle names it.
        pub id: Uuid,
        /// The sealed secret; none when the join has ended.
        pub secret: Option<Vec<u8>>,
        /// `open`, `granted`, `done`, `expired` or `closed`.
        pub state: String,
        /// SHA-256 of the key that was certified, lower-case hex.
        pub key_hash: Option<String>,
        /// Proofs that did not hold.
        pub failures: i64,
        /// Why the last try failed.
        pub last_error: Option<String>,
        /// When it was made.
        pub created_at: UtcMillis,
        /// By whom.
        pub created_by: String,
        /// When its secret is worth nothing any more.
        pub expires_at: UtcMillis,
        /// When it ended.
        pub ended_at: Option<UtcMillis>,
    }
}

/// Opens a join, in the place of any other of that gateway.
pub fn open(tx: &mut Tx, join: Join) -> Result<(), StoreError> {
    let gateway = join.gateway.clone();
    each!(tx.conn, c => diesel::delete(t::gateway_joins.filter(t::gateway.eq(gateway.as_str()))).execute(c))?;
    each!(tx.conn, c => diesel::insert_into(t::gateway_joins).values(join).execute(c))?;
    Ok(())
}

/// The join of a gateway.
pub fn find(r: &mut Reader, gateway: &str) -> Result<Option<Join>, StoreError> {
    Ok(each!(r.conn, c => t::gateway_joins
        .filter(t::gateway.eq(gateway))
        .select(Join::as_select())
        .first(c)
        .optional())?)
}

/// The joins that have not ended.
pub fn under_way(r: &mut Reader) -> Result<Vec<Join>, StoreError> {
    Ok(each!(r.conn, c => t::gateway_joins
        .filter(t::state.eq_any([OPEN, GRANTED]))
        .order(t::gateway)
        .select(Join::as_select())
        .load(c))?)
}

/// Certificates were made for the key.
pub fn grant(tx: &mut Tx, gateway: &str, key_hash: &str) -> Result<(), StoreError> {
    let changed = each!(tx.conn, c => diesel::update(
        t::gateway_joins.filter(t::gateway.eq(gateway)).filter(t::state.eq_any([OPEN, GRANTED])),
    )
    .set((t::state.eq(GRANTED), t::key_hash.eq(Some(key_hash)), t::last_error.eq(None::<String>)))
    .execute(c))?;
    if changed == 1 { Ok(()) } else { Err(StoreError::NotFound("join")) }
}

/// Notes why a try failed; `counts` when a proof did not hold. Gives how many did not.
pub fn failed(tx: &mut Tx, gateway: &str, error: &str, counts: bool) -> Result<i64, StoreError> {
    each!(tx.conn, c => diesel::update(t::gateway_joins.filter(t::gateway.eq(gateway)))
        .set((t::last_error.eq(Some(error)), t::failures.eq(t::failures + i64::from(counts))))
        .execute(c))?;
    Ok(find(tx, gateway)?.map_or(0, |join| join.failures))
}

/// Ends a join that was under way; its secret goes. Whether there was one.
pub fn end(tx: &mut Tx, gateway: &str, state: &str) -> Result<bool, StoreError> {
    let now = tx.now();
    let changed = each!(tx.conn, c => diesel::update(
        t::gateway_joins.filter(t::gateway.eq(gateway)).filter(t::state.eq_any([OPEN, GRANTED])),
    )
    .set((t::state.eq(state), t::secret.eq(None::<Vec<u8>>), t::ended_at.eq(Some(now.0))))
    .execute(c))?;
    Ok(changed == 1)
}
