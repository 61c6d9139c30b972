//! Devices' management trees: the readings that are under way, and the snapshots that they left.
//!
//! Promise: so many snapshots and so many octets of them for each device, and so many readings; the oldest go first.
//! What the documents say is the business of `postern_wire::tree`.

use diesel::{OptionalExtension, prelude::*};
use postern_wire::terms::{EnrolmentId, OperationId, UtcMillis};
use uuid::Uuid;

use crate::{
    column::{db, row},
    conn::each,
    errors::StoreError,
    tables::{tree_readings::dsl as d, tree_snapshots::dsl as t},
    tx::{Reader, Tx},
};

/// Snapshots of one device.
pub const SNAPSHOTS: i64 = 32;
/// Octets of all snapshots of one device.
pub const SNAPSHOT_OCTETS: i64 = 32 << 20;
/// Readings of one device that may be under way.
pub const OPEN: i64 = 4;
/// Readings of one device that are kept, ended ones included.
pub const READINGS: i64 = 32;
/// The state of a reading under way.
pub const STATE_OPEN: &str = "open";

row! {
    /// A part of a device's tree as it was told.
    pub struct StoredSnapshot in tree_snapshots {
        /// Its id.
        pub id: Uuid,
        /// The device.
        pub enrolment: EnrolmentId,
        /// The node that was asked about.
        pub uri: String,
        /// Whether everything below it was asked for.
        pub whole: bool,
        /// How many nodes it has.
        pub nodes: i64,
        /// Octets of the document.
        pub octets: i64,
        /// Where management objects stand in it, as JSON.
        pub mounts: String,
        /// The snapshot as JSON.
        pub document: Vec<u8>,
        /// When it was finished.
        pub at: UtcMillis,
    }
}

row! {
    /// A reading.
    pub struct StoredReading in tree_readings {
        /// Its id.
        pub id: Uuid,
        /// The device.
        pub enrolment: EnrolmentId,
        /// The node that is asked about.
        pub uri: String,
        /// Levels that are wanted; 0 is all.
        pub levels: i64,
        /// `open`, `done` or `failed`.
        pub state: String,
        /// Why it stands there, in words.
        pub cause: String,
        /// How many orders it has given.
        pub step: i64,
        /// How many commands it has taken.
        pub asked: i64,
        /// The reading as JSON.
        pub machine: Vec<u8>,
        /// The operation whose commands are out.
        pub operation: Option<OperationId>,
        /// The snapshot that it left.
        pub snapshot: Option<Uuid>,
        /// Who asked.
        pub asked_by: String,
        /// Why.
        pub reason: String,
        /// Since when.
        pub created_at: UtcMillis,
        /// When something last happened.
        pub updated_at: UtcMillis,
    }
}

/// A snapshot without its document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotHead {
    /// Its id.
    pub id: Uuid,
    /// The node that was asked about.
    pub uri: String,
    /// Whether everything below it was asked for.
    pub whole: bool,
    /// How many nodes it has.
    pub nodes: i64,
    /// Octets of the document.
    pub octets: i64,
    /// Where management objects stand in it, as JSON.
    pub mounts: String,
    /// When it was finished.
    pub at: UtcMillis,
}

/// The snapshots of a device, the newest first.
pub fn snapshots(r: &mut Reader, id: EnrolmentId) -> Result<Vec<SnapshotHead>, StoreError> {
    type Columns = (Vec<u8>, String, bool, i64, i64, String, i64);
    let rows: Vec<Columns> = each!(r.conn, c => t::tree_snapshots
        .filter(t::enrolment.eq(db(id)))
        .order((t::at.desc(), t::id.desc()))
        .limit(SNAPSHOTS)
        .select((t::id, t::uri, t::whole, t::nodes, t::octets, t::mounts, t::at))
        .load(c))?;
    rows.into_iter()
        .map(|(id, uri, whole, nodes, octets, mounts, at)| {
            let id = Uuid::from_slice(&id).map_err(|error| StoreError::Database(error.to_string()))?;
            Ok(SnapshotHead { id, uri, whole, nodes, octets, mounts, at: UtcMillis(at) })
        })
        .collect()
}

/// One snapshot of a device.
pub fn snapshot(
    r: &mut Reader,
    id: EnrolmentId,
    snapshot: Uuid,
) -> Result<Option<StoredSnapshot>, StoreError> {
    Ok(each!(r.conn, c => t::tree_snapshots
        .filter(t::id.eq(db(snapshot)))
        .filter(t::enrolment.eq(db(id)))
        .select(StoredSnapshot::as_select())
        .get_result(c)
        .optional())?)
}

/// Keeps a snapshot; what is then too many or too much goes, the oldest first. The new one stays whatever its size.
pub fn keep(tx: &mut Tx, snapshot: StoredSnapshot) -> Result<(), StoreError> {
    let id = snapshot.enrolment;
    each!(tx.conn, c => diesel::insert_into(t::tree_snapshots).values(snapshot).execute(c))?;
    let all: Vec<(Vec<u8>, i64)> = each!(tx.conn, c => t::tree_snapshots
        .filter(t::enrolment.eq(db(id)))
        .order((t::at.desc(), t::id.desc()))
        .select((t::id, t::octets))
        .load(c))?;
    let (mut octets, mut surplus) = (0_i64, Vec::new());
    for (place, (id, size)) in (0_i64..).zip(all) {
        octets = octets.saturating_add(size);
        if place > 0 && (place >= SNAPSHOTS || octets > SNAPSHOT_OCTETS) {
            surplus.push(id);
        }
    }
    if !surplus.is_empty() {
        each!(tx.conn, c => diesel::delete(t::tree_snapshots.filter(t::id.eq_any(surplus))).execute(c))?;
    }
    Ok(())
}

/// Removes a snapshot.
pub fn remove(tx: &mut Tx, id: EnrolmentId, snapshot: Uuid) -> Result<bool, StoreError> {
    let gone = each!(tx.conn, c => diesel::delete(
        t::tree_snapshots.filter(t::id.eq(db(snapshot))).filter(t::enrolment.eq(db(id))),
    )
    .execute(c))?;
    Ok(gone > 0)
}

/// One reading of a device.
pub fn reading(r: &mut Reader, reading: Uuid) -> Result<Option<StoredReading>, StoreError> {
    Ok(each!(r.conn, c => d::tree_readings
        .filter(d::id.eq(db(reading)))
        .select(StoredReading::as_select())
        .get_result(c)
        .optional())?)
}

/// The newest reading of a device that left a snapshot.
pub fn newest_done(r: &mut Reader, id: EnrolmentId) -> Result<Option<StoredReading>, StoreError> {
    Ok(each!(r.conn, c => d::tree_readings
        .filter(d::enrolment.eq(db(id)))
        .filter(d::snapshot.is_not_null())
        .order((d::updated_at.desc(), d::id.desc()))
        .select(StoredReading::as_select())
        .first(c)
        .optional())?)
}

/// The ids of readings that are under way, those first that nothing happened to for the longest time.
pub fn open(r: &mut Reader, limit: i64) -> Result<Vec<Uuid>, StoreError> {
    let ids: Vec<Vec<u8>> = each!(r.conn, c => d::tree_readings
        .filter(d::state.eq(STATE_OPEN))
        .order((d::updated_at, d::id))
        .limit(limit)
        .select(d::id)
        .load(c))?;
    ids.iter()
        .map(|id| Uuid::from_slice(id).map_err(|error| StoreError::Database(error.to_string())))
        .collect()
}

/// Begins a reading; the oldest that ended go when there are too many. `Refused` when [`OPEN`] are under way.
pub fn begin(tx: &mut Tx, reading: StoredReading) -> Result<(), StoreError> {
    let id = reading.enrolment;
    let open: i64 = each!(tx.conn, c => d::tree_readings
        .filter(d::enrolment.eq(db(id)))
        .filter(d::state.eq(STATE_OPEN))
        .count()
        .get_result(c))?;
    if open >= OPEN {
        return Err(StoreError::Refused(format!("{open} readings of this device are under way")));
    }
    each!(tx.conn, c => diesel::insert_into(d::tree_readings).values(reading).execute(c))?;
    let surplus: Vec<Vec<u8>> = each!(tx.conn, c => d::tree_readings
        .filter(d::enrolment.eq(db(id)))
        .filter(d::state.ne(STATE_OPEN))
        .order((d::created_at.desc(), d::id.desc()))
        .offset(READINGS - OPEN)
        .limit(READINGS)
        .select(d::id)
        .load(c))?;
    if !surplus.is_empty() {
        each!(tx.conn, c => diesel::delete(d::tree_readings.filter(d::id.eq_any(surplus))).execute(c))?;
    }
    Ok(())
}

/// Puts a reading in the place of what it was one step before. `Conflict` when another took that step already.
pub fn advance(tx: &mut Tx, from_step: i64, reading: StoredReading) -> Result<(), StoreError> {
    let id = reading.id;
    let gone = each!(tx.conn, c => diesel::delete(
        d::tree_readings.filter(d::id.eq(db(id))).filter(d::step.eq(from_step)).filter(d::state.eq(STATE_OPEN)),
    )
    .execute(c))?;
    if gone == 0 {
        return Err(StoreError::Conflict(format!("the reading {id} has gone on")));
    }
    each!(tx.conn, c => diesel::insert_into(d::tree_readings).values(reading).execute(c))?;
    Ok(())
}
