//! Static groups of devices; groups may hold groups, never in a circle.

use std::collections::BTreeSet;

use diesel::{OptionalExtension, prelude::*};
use postern_wire::terms::{EnrolmentId, UtcMillis};
use uuid::Uuid;

use crate::{
    column::{Db, db, row},
    conn::each,
    errors::StoreError,
    tables::{group_devices::dsl as d, group_groups::dsl as n, groups::dsl as t},
    tx::{Reader, Tx},
};

/// Groups within groups, at most.
pub const MAX_DEPTH: usize = 16;

row! {
    /// One group.
    pub struct Group in groups {
        /// Its id.
        pub id: Uuid,
        /// Its name, unique.
        pub name: String,
        /// What it is for.
        pub description: String,
        /// Since when.
        pub created_at: UtcMillis,
        /// Grows with each change of name or description.
        pub revision: i64,
    }
}

/// All groups after `after` in order of name.
pub fn list(r: &mut Reader, after: Option<&str>, limit: i64) -> Result<Vec<Group>, StoreError> {
    let after = after.unwrap_or("");
    Ok(each!(r.conn, c => t::groups
        .filter(t::name.gt(after))
        .order(t::name)
        .limit(limit)
        .select(Group::as_select())
        .load(c))?)
}

/// The group with this id or name.
pub fn find(r: &mut Reader, id_or_name: &str) -> Result<Option<Group>, StoreError> {
    if let Ok(id) = Uuid::try_parse(id_or_name) {
        return Ok(
            each!(r.conn, c => t::groups.filter(t::id.eq(db(id))).select(Group::as_select()).get_result(c).optional())?,
        );
    }
    Ok(each!(r.conn, c => t::groups
        .filter(t::name.eq(id_or_name))
        .select(Group::as_select())
        .get_result(c)
        .optional())?)
}

/// Adds a group. `Conflict` when the name is taken.
pub fn insert(tx: &mut Tx, group: Group) -> Result<(), StoreError> {
    each!(tx.conn, c => diesel::insert_into(t::groups).values(group).execute(c))?;
    Ok(())
}

/// Renames or describes a group that is at `revision`. Gives the new revision.
pub fn update(
    tx: &mut Tx,
    id: Uuid,
    revision: i64,
    name: &str,
    description: &str,
) -> Result<i64, StoreError> {
    let changed = each!(tx.conn, c => diesel::update(t::groups.filter(t::id.eq(db(id))).filter(t::revision.eq(revision)))
        .set((t::name.eq(name), t::description.eq(description), t::revision.eq(t::revision + 1)))
        .execute(c))?;
    if changed == 1 { Ok(revision + 1) } else { Err(StoreError::Conflict(format!("group {id} changed"))) }
}

/// Removes a group and its settings; its members stay.
pub fn remove(tx: &mut Tx, id: Uuid) -> Result<bool, StoreError> {
    super::settings::forget(tx, super::settings::Scope::Group(id))?;
    each!(tx.conn, c => diesel::delete(d::group_devices.filter(d::group_id.eq(db(id)))).execute(c))?;
    each!(tx.conn, c => diesel::delete(n::group_groups.filter(n::group_id.eq(db(id)).or(n::child.eq(db(id))))).execute(c))?;
    Ok(each!(tx.conn, c => diesel::delete(t::groups.filter(t::id.eq(db(id)))).execute(c))? > 0)
}

/// Puts a device into a group; twice is once.
pub fn add_device(tx: &mut Tx, group: Uuid, device: EnrolmentId) -> Result<(), StoreError> {
    let now = tx.now();
    each!(tx.conn, c => diesel::insert_into(d::group_devices)
        .values((d::group_id.eq(db(group)), d::enrolment.eq(db(device)), d::added_at.eq(now.0)))
        .on_conflict((d::group_id, d::enrolment))
        .do_nothing()
        .execute(c))?;
    super::settings::members_changed(tx)
}

/// Takes a device out of a group.
pub fn remove_device(tx: &mut Tx, group: Uuid, device: EnrolmentId) -> Result<bool, StoreError> {
    let gone = each!(tx.conn, c => diesel::delete(
        d::group_devices.filter(d::group_id.eq(db(group))).filter(d::enrolment.eq(db(device))),
    )
    .execute(c))?;
    super::settings::members_changed(tx)?;
    Ok(gone > 0)
}

/// Puts a group into a group. `Refused` when that closes a circle or goes deeper than [`MAX_DEPTH`].
pub fn add_group(tx: &mut Tx, group: Uuid, child: Uuid) -> Result<(), StoreError> {
    if below(tx, child)?.contains(&group) {
        return Err(StoreError::Refused("a group cannot hold itself".to_owned()));
    }
    let now = tx.now();
    each!(tx.conn, c => diesel::insert_into(n::group_groups)
        .values((n::group_id.eq(db(group)), n::child.eq(db(child)), n::added_at.eq(now.0)))
        .on_conflict((n::group_id, n::child))
        .do_nothing()
        .execute(c))?;
    let depth = levels(tx, group, Way::Up)?.len() + levels(tx, group, Way::Down)?.len() - 1;
    if depth > MAX_DEPTH {
        return Err(StoreError::Refused(format!("groups would nest {depth} deep, {MAX_DEPTH} is the limit")));
    }
    super::settings::members_changed(tx)
}

/// Takes a group out of a group.
pub fn remove_group(tx: &mut Tx, group: Uuid, child: Uuid) -> Result<bool, StoreError> {
    let gone = each!(tx.conn, c => diesel::delete(
        n::group_groups.filter(n::group_id.eq(db(group))).filter(n::child.eq(db(child))),
    )
    .execute(c))?;
    super::settings::members_changed(tx)?;
    Ok(gone > 0)
}

/// The groups directly inside a group.
pub fn children(r: &mut Reader, group: Uuid) -> Result<Vec<Uuid>, StoreError> {
    next(r, &[group], Way::Down)
}

/// The groups that hold a group directly.
pub fn parents(r: &mut Reader, group: Uuid) -> Result<Vec<Uuid>, StoreError> {
    next(r, &[group], Way::Up)
}

/// How many devices a group has, those of nested groups included, each counted once.
pub fn count_members(r: &mut Reader, group: Uuid) -> Result<i64, StoreError> {
    let keys: Vec<Vec<u8>> = below(r, group)?.iter().map(|g| g.as_bytes().to_vec()).collect();
    Ok(each!(r.conn, c => d::group_devices
        .filter(d::group_id.eq_any(keys))
        .select(diesel::dsl::count(d::enrolment).aggregate_distinct())
        .get_result(c))?)
}

/// A page of a group's devices in order of id, those of nested groups included, each once.
pub fn members(
    r: &mut Reader,
    group: Uuid,
    after: Option<EnrolmentId>,
    limit: i64,
) -> Result<Vec<EnrolmentId>, StoreError> {
    let keys: Vec<Vec<u8>> = below(r, group)?.iter().map(|g| g.as_bytes().to_vec()).collect();
    let after = after.unwrap_or(EnrolmentId(Uuid::nil()));
    let rows: Vec<Db<EnrolmentId>> = each!(r.conn, c => d::group_devices
        .filter(d::group_id.eq_any(keys))
        .filter(d::enrolment.gt(db(after)))
        .select(d::enrolment)
        .distinct()
        .order(d::enrolment)
        .limit(limit)
        .load(c))?;
    rows.into_iter()
        .map(|id| EnrolmentId::try_from(id).map_err(|e| StoreError::Damaged(e.to_string())))
        .collect()
}

/// The groups that a device is in, directly or by nesting.
pub fn of_device(r: &mut Reader, device: EnrolmentId) -> Result<Vec<Group>, StoreError> {
    let direct: Vec<Db<Uuid>> = each!(r.conn, c => d::group_devices
        .filter(d::enrolment.eq(db(device)))
        .select(d::group_id)
        .load(c))?;
    let mut all = BTreeSet::new();
    for group in uuids(direct)? {
        all.extend(levels(r, group, Way::Up)?.concat());
    }
    let keys: Vec<Vec<u8>> = all.iter().map(|g| g.as_bytes().to_vec()).collect();
    Ok(each!(r.conn, c => t::groups
        .filter(t::id.eq_any(keys))
        .order(t::name)
        .select(Group::as_select())
        .load(c))?)
}

/// A group and all groups that hold it, directly or by nesting, each once.
pub fn holders(r: &mut Reader, group: Uuid) -> Result<Vec<Uuid>, StoreError> {
    let all: BTreeSet<_> = levels(r, group, Way::Up)?.concat().into_iter().collect();
    Ok(all.into_iter().collect())
}

/// How deep a group is nested: 0 where no group holds it, else the longest way up.
pub fn depth(r: &mut Reader, group: Uuid) -> Result<usize, StoreError> {
    Ok(levels(r, group, Way::Up)?.len() - 1)
}

// --- nesting

#[derive(Clone, Copy)]
enum Way {
    Up,
    Down,
}

/// The group itself and all groups inside it.
fn below(r: &mut Reader, group: Uuid) -> Result<BTreeSet<Uuid>, StoreError> {
    Ok(levels(r, group, Way::Down)?.concat().into_iter().collect())
}

/// The group, then its neighbours one way, then theirs; each level holds a group once.
fn levels(r: &mut Reader, group: Uuid, way: Way) -> Result<Vec<Vec<Uuid>>, StoreError> {
    let mut levels = vec![vec![group]];
    while levels.len() <= MAX_DEPTH {
        let last = levels.last().map_or(&[][..], Vec::as_slice);
        let more = next(r, last, way)?;
        if more.is_empty() {
            break;
        }
        levels.push(more);
    }
    Ok(levels)
}

fn next(r: &mut Reader, from: &[Uuid], way: Way) -> Result<Vec<Uuid>, StoreError> {
    let keys: Vec<Vec<u8>> = from.iter().map(|g| g.as_bytes().to_vec()).collect();
    let rows: Vec<Db<Uuid>> = match way {
        Way::Down => each!(r.conn, c => n::group_groups
            .filter(n::group_id.eq_any(keys))
            .select(n::child)
            .distinct()
            .order(n::child)
            .load(c))?,
        Way::Up => each!(r.conn, c => n::group_groups
            .filter(n::child.eq_any(keys))
            .select(n::group_id)
            .distinct()
            .order(n::group_id)
            .load(c))?,
    };
    uuids(rows)
}

fn uuids(rows: Vec<Db<Uuid>>) -> Result<Vec<Uuid>, StoreError> {
    rows.into_iter().map(|id| Uuid::try_from(id).map_err(|e| StoreError::Damaged(e.to_string()))).collect()
}
