//! Policy: what is desired of each device, with who says so; what the device confirmed; and changes that wait for somebody.
//!
//! Promise: a desired state rests once, however many devices share it, under its own hash, and stays as long as a row names it.
//! A device's row is one row, read once in a session and written only where something moved. `book` and `body` are the engine's
//! texts (`postern_engine::policy::desired`). The epoch rises with every change that a device has to learn.

use std::collections::{BTreeMap, BTreeSet};

use diesel::{OptionalExtension, dsl::count_star, prelude::*};
use postern_wire::terms::{EnrolmentId, EnrolmentState, OperationId, UtcMillis};
use uuid::Uuid;

use super::meta;
use crate::{
    column::{Db, db, row},
    conn::each,
    errors::StoreError,
    tables::{
        enrolments::dsl as e, notifications::dsl as n, policy_desired::dsl as t, policy_devices::dsl as d,
        policy_holds::dsl as h, push_addresses::dsl as a,
    },
    tx::{Reader, Tx},
};

/// Where the epoch stands.
const EPOCH: &str = "policy/epoch";
/// Hashes that one query asks for.
const TOGETHER: usize = 200;

row! {
    /// A desired state with its provenance.
    pub struct Document in policy_desired {
        /// SHA-256 of the text.
        pub hash: [u8; 32],
        /// The text.
        pub body: String,
        /// When it was first computed.
        pub made_at: UtcMillis,
    }
}

row! {
    /// How a device stands.
    pub struct Device in policy_devices {
        /// Whose.
        pub enrolment: EnrolmentId,
        /// The generation that the book is of.
        pub generation: i64,
        /// The desired state in force.
        pub desired: [u8; 32],
        /// The one that waits until somebody agrees.
        pub waiting: Option<[u8; 32]>,
        /// The one that it was brought to, as far as it lets itself be.
        pub settled: Option<[u8; 32]>,
        /// The one that the order under way is for.
        pub planned: Option<[u8; 32]>,
        /// The epoch of its last change.
        pub epoch: i64,
        /// What is known of the device.
        pub book: String,
        /// The order that is under way.
        pub operation: Option<OperationId>,
        /// When its settings are read back next.
        pub verify_at: Option<UtcMillis>,
        /// Why the last good desired state stays in force although another should be computed.
        pub stale: Option<String>,
        /// Settings that it confirmed.
        pub compliant: i64,
        /// Settings on their way.
        pub pending: i64,
        /// Settings that it did not take.
        pub failed: i64,
        /// Settings that it does not have.
        pub unsupported: i64,
        /// Settings about which two disagree.
        pub conflicts: i64,
        /// How often any was found with another value than it had confirmed.
        pub drift: i64,
        /// When what is desired last changed.
        pub changed_at: UtcMillis,
        /// When it was last brought to it.
        pub settled_at: Option<UtcMillis>,
        /// Counts its changes, from 1.
        pub revision: i64,
        /// When it last lost something by a change that nobody had to agree to.
        pub lost_at: Option<UtcMillis>,
    }
}

row! {
    /// A change that waits for somebody to agree, or did.
    pub struct Hold in policy_holds {
        /// Its own id.
        pub id: Uuid,
        /// SHA-256 over the devices and what is to be desired of each.
        pub digest: [u8; 32],
        /// `waiting`, `agreed`, `going` while it comes into force, `refused`, or `gone` where another change took its place.
        pub state: String,
        /// The request for approval.
        pub approval: Option<Uuid>,
        /// Devices that would lose something.
        pub devices: i64,
        /// Devices that there were.
        pub managed: i64,
        /// Settings that would be altered or removed, over all devices.
        pub settings: i64,
        /// Since when it waits.
        pub made_at: UtcMillis,
        /// When it ended.
        pub ended_at: Option<UtcMillis>,
    }
}

/// How the fleet stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Devices with a desired state.
    pub devices: i64,
    /// Of them, those that were brought to it.
    pub settled: i64,
    /// Devices of which something waits for somebody to agree.
    pub held: i64,
    /// Devices that keep their last good state because another cannot be computed.
    pub stale: i64,
}

// --- reading

/// Which state of policy stands: from 1, higher with each change that a device has to learn.
pub fn epoch(r: &mut Reader) -> Result<i64, StoreError> {
    match meta::get(r, EPOCH)? {
        None => Ok(1),
        Some(text) => text.parse().map_err(|_| StoreError::Damaged(format!("{EPOCH} is {text:?}"))),
    }
}

/// A desired state by its hash.
pub fn document(r: &mut Reader, hash: [u8; 32]) -> Result<Option<Document>, StoreError> {
    Ok(each!(r.conn, c => t::policy_desired
        .filter(t::hash.eq(hash.as_slice()))
        .select(Document::as_select())
        .get_result(c)
        .optional())?)
}

/// How a device stands.
pub fn find(r: &mut Reader, id: EnrolmentId) -> Result<Option<Device>, StoreError> {
    Ok(each!(r.conn, c => d::policy_devices
        .filter(d::enrolment.eq(db(id)))
        .select(Device::as_select())
        .get_result(c)
        .optional())?)
}

/// Devices that policy is for, in order of id, after a device: managed ones, and those of which something was desired before.
/// Their rows, whose books are large, are read where they are needed.
pub fn subjects(
    r: &mut Reader,
    after: Option<EnrolmentId>,
    limit: i64,
) -> Result<Vec<EnrolmentId>, StoreError> {
    let after = after.unwrap_or(EnrolmentId(Uuid::nil()));
    let ids: Vec<Db<EnrolmentId>> = each!(r.conn, c => e::enrolments
        .left_join(d::policy_devices.on(d::enrolment.eq(e::id)))
        .filter(e::state.eq(EnrolmentState::Managed.as_str()).or(d::enrolment.is_not_null()))
        .filter(e::state.ne(EnrolmentState::Retired.as_str()))
        .filter(e::id.gt(db(after)))
        .order(e::id)
        .limit(limit)
        .select(e::id)
        .load(c))?;
    ids.into_iter().map(raise).collect()
}

/// Those of these devices that policy is for, in order of id.
pub fn subjects_of(r: &mut Reader, devices: &[EnrolmentId]) -> Result<Vec<EnrolmentId>, StoreError> {
    let mut all = Vec::with_capacity(devices.len());
    for some in devices.chunks(TOGETHER) {
        let asked: Vec<Db<EnrolmentId>> = some.iter().map(|id| db(*id)).collect();
        let ids: Vec<Db<EnrolmentId>> = each!(r.conn, c => e::enrolments
            .left_join(d::policy_devices.on(d::enrolment.eq(e::id)))
            .filter(e::id.eq_any(asked))
            .filter(e::state.eq(EnrolmentState::Managed.as_str()).or(d::enrolment.is_not_null()))
            .filter(e::state.ne(EnrolmentState::Retired.as_str()))
            .order(e::id)
            .select(e::id)
            .load(c))?;
        for id in ids {
            all.push(raise(id)?);
        }
    }
    Ok(all)
}

/// How many devices policy is for.
pub fn count_subjects(r: &mut Reader) -> Result<i64, StoreError> {
    Ok(each!(r.conn, c => e::enrolments
        .left_join(d::policy_devices.on(d::enrolment.eq(e::id)))
        .filter(e::state.eq(EnrolmentState::Managed.as_str()).or(d::enrolment.is_not_null()))
        .filter(e::state.ne(EnrolmentState::Retired.as_str()))
        .select(count_star())
        .get_result(c))?)
}

/// Managed devices that have no row.
pub fn unknown(r: &mut Reader, limit: i64) -> Result<Vec<EnrolmentId>, StoreError> {
    let ids: Vec<Db<EnrolmentId>> = each!(r.conn, c => e::enrolments
        .left_join(d::policy_devices.on(d::enrolment.eq(e::id)))
        .filter(d::enrolment.is_null())
        .filter(e::state.eq(EnrolmentState::Managed.as_str()))
        .order(e::id)
        .limit(limit)
        .select(e::id)
        .load(c))?;
    ids.into_iter().map(raise).collect()
}

/// Devices that a change waits for and that are not retired, in order of id.
pub fn held(r: &mut Reader, after: Option<EnrolmentId>, limit: i64) -> Result<Vec<Device>, StoreError> {
    let after = after.unwrap_or(EnrolmentId(Uuid::nil()));
    Ok(each!(r.conn, c => d::policy_devices
        .inner_join(e::enrolments.on(e::id.eq(d::enrolment)))
        .filter(e::state.ne(EnrolmentState::Retired.as_str()))
        .filter(d::waiting.is_not_null())
        .filter(d::enrolment.gt(db(after)))
        .order(d::enrolment)
        .limit(limit)
        .select(Device::as_select())
        .load(c))?)
}

/// Devices that lost something after a moment by a change that nobody had to agree to.
pub fn lost_since(r: &mut Reader, moment: UtcMillis) -> Result<BTreeSet<EnrolmentId>, StoreError> {
    let ids: Vec<Db<EnrolmentId>> = each!(r.conn, c => d::policy_devices
        .filter(d::lost_at.gt(moment.0))
        .select(d::enrolment)
        .load(c))?;
    ids.into_iter().map(raise).collect()
}

/// Live devices whose settings are to be read back by `now`, and that have not been told so yet.
pub fn due(r: &mut Reader, now: UtcMillis, limit: i64) -> Result<Vec<EnrolmentId>, StoreError> {
    let ids: Vec<Db<EnrolmentId>> = each!(r.conn, c => d::policy_devices
        .inner_join(e::enrolments.on(e::id.eq(d::enrolment)))
        .filter(d::verify_at.le(now.0))
        .filter(e::policy_epoch.gt(0))
        .filter(e::state.ne(EnrolmentState::Retired.as_str()))
        .order(d::verify_at)
        .limit(limit)
        .select(d::enrolment)
        .load(c))?;
    ids.into_iter().map(raise).collect()
}

/// Devices that a change of policy waits for, that can be reached by a push, and that were not asked to come since: those that wait longest
/// first.
pub fn to_wake(r: &mut Reader, limit: i64) -> Result<Vec<EnrolmentId>, StoreError> {
    let out = [EnrolmentState::Retired.as_str(), EnrolmentState::Quarantined.as_str()];
    let ids: Vec<Db<EnrolmentId>> = each!(r.conn, c => d::policy_devices
        .inner_join(e::enrolments.on(e::id.eq(d::enrolment)))
        .inner_join(a::push_addresses.on(a::enrolment.eq(d::enrolment)))
        .filter(e::policy_epoch.eq(0))
        .filter(e::state.ne_all(out))
        .filter(d::settled.is_null().or(d::settled.ne(d::desired.nullable())))
        .filter(diesel::dsl::not(diesel::dsl::exists(
            n::notifications
                .filter(n::enrolment.eq(d::enrolment))
                .filter(n::finished_at.is_null().or(n::created_at.ge(d::changed_at))),
        )))
        .order((d::changed_at, d::enrolment))
        .limit(limit)
        .select(d::enrolment)
        .load(c))?;
    ids.into_iter().map(raise).collect()
}

/// The change that waits, if one does.
pub fn hold(r: &mut Reader) -> Result<Option<Hold>, StoreError> {
    Ok(each!(r.conn, c => h::policy_holds
        .filter(h::state.eq("waiting"))
        .order(h::made_at.desc())
        .select(Hold::as_select())
        .first(c)
        .optional())?)
}

/// The change that was agreed to and is not wholly in force yet.
pub fn agreed(r: &mut Reader) -> Result<Option<Hold>, StoreError> {
    Ok(each!(r.conn, c => h::policy_holds
        .filter(h::state.eq_any(["agreed", "going"]))
        .filter(h::ended_at.is_null())
        .select(Hold::as_select())
        .first(c)
        .optional())?)
}

/// A change that waited, by its id.
pub fn find_hold(r: &mut Reader, id: Uuid) -> Result<Option<Hold>, StoreError> {
    Ok(each!(r.conn, c => h::policy_holds
        .filter(h::id.eq(db(id)))
        .select(Hold::as_select())
        .get_result(c)
        .optional())?)
}

/// Whether somebody already said no to just this.
pub fn was_refused(r: &mut Reader, digest: [u8; 32]) -> Result<bool, StoreError> {
    let found: i64 = each!(r.conn, c => h::policy_holds
        .filter(h::digest.eq(digest.as_slice()))
        .filter(h::state.eq("refused"))
        .select(count_star())
        .get_result(c))?;
    Ok(found > 0)
}

/// How the fleet stands.
pub fn figures(r: &mut Reader) -> Result<Figures, StoreError> {
    let devices = each!(r.conn, c => d::policy_devices.select(count_star()).get_result(c))?;
    let settled = each!(r.conn, c => d::policy_devices
        .filter(d::settled.is_not_null().and(d::settled.eq(d::desired.nullable())))
        .select(count_star())
        .get_result(c))?;
    let held = each!(r.conn, c => d::policy_devices
        .filter(d::waiting.is_not_null())
        .select(count_star())
        .get_result(c))?;
    let stale = each!(r.conn, c => d::policy_devices
        .filter(d::stale.is_not_null())
        .select(count_star())
        .get_result(c))?;
    Ok(Figures { devices, settled, held, stale })
}

// --- writing

/// The next epoch.
pub fn raise_epoch(tx: &mut Tx) -> Result<i64, StoreError> {
    let next = epoch(tx)? + 1;
    meta::set(tx, EPOCH, &next.to_string())?;
    Ok(next)
}

/// Keeps desired states; one that is there already stays.
pub fn keep(tx: &mut Tx, documents: &BTreeMap<[u8; 32], String>) -> Result<(), StoreError> {
    let made_at = tx.now();
    let hashes: Vec<[u8; 32]> = documents.keys().copied().collect();
    for some in hashes.chunks(TOGETHER) {
        let asked: Vec<&[u8]> = some.iter().map(<[u8; 32]>::as_slice).collect();
        let known: Vec<Vec<u8>> = each!(tx.conn, c => t::policy_desired
            .filter(t::hash.eq_any(asked))
            .select(t::hash)
            .load(c))?;
        let known: BTreeSet<Vec<u8>> = known.into_iter().collect();
        let new = some.iter().filter(|hash| !known.contains(hash.as_slice()));
        let rows: Vec<Document> = new
            .filter_map(|hash| Some(Document { hash: *hash, body: documents.get(hash)?.clone(), made_at }))
            .collect();
        if !rows.is_empty() {
            each!(tx.conn, c => diesel::insert_into(t::policy_desired).values(rows).execute(c))?;
        }
    }
    Ok(())
}

/// Puts how a device stands in the place of what was there.
pub fn put(tx: &mut Tx, device: Device) -> Result<(), StoreError> {
    each!(tx.conn, c => {
        diesel::delete(d::policy_devices.filter(d::enrolment.eq(db(device.enrolment)))).execute(c)?;
        let row = Device { revision: device.revision + 1, ..device };
        diesel::insert_into(d::policy_devices).values(row).execute(c)
    })?;
    Ok(())
}

/// Lets desired states go that no device names any longer; gives how many.
pub fn sweep(tx: &mut Tx, before: UtcMillis) -> Result<usize, StoreError> {
    Ok(each!(tx.conn, c => diesel::delete(
        t::policy_desired
            .filter(t::made_at.lt(before.0))
            .filter(t::hash.ne_all(d::policy_devices.select(d::desired)))
            .filter(diesel::dsl::not(diesel::dsl::exists(
                d::policy_devices.filter(d::waiting.eq(t::hash.nullable())),
            ))),
    )
    .execute(c))?)
}

/// Puts a change that waits, or waited, in the place of what was there.
pub fn put_hold(tx: &mut Tx, hold: Hold) -> Result<(), StoreError> {
    each!(tx.conn, c => {
        diesel::delete(h::policy_holds.filter(h::id.eq(db(hold.id)))).execute(c)?;
        diesel::insert_into(h::policy_holds).values(hold).execute(c)
    })?;
    Ok(())
}

fn raise(id: Db<EnrolmentId>) -> Result<EnrolmentId, StoreError> {
    EnrolmentId::try_from(id).map_err(|error| StoreError::Damaged(error.to_string()))
}
