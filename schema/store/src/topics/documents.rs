//! Policy documents: versions that never change, and the groups that a document is assigned to.
//!
//! Promise: a version is kept as it was given, with its hash, by whom and when; what says the same as the version in force makes
//! no new one; taking a document away is a version, too. Every change raises the number of the whole set ([`revision`]),
//! so that who decided on what was read is told when it changed meanwhile. What a document means is the engine's
//! business.

use std::collections::BTreeMap;

use diesel::{OptionalExtension, prelude::*};
use postern_wire::terms::UtcMillis;
use uuid::Uuid;

use crate::{
    column::{Db, db, row},
    conn::each,
    errors::StoreError,
    meta,
    tables::{
        groups::dsl as g, policy_assignments::dsl as a, policy_documents::dsl as t, policy_versions::dsl as v,
    },
    tx::{Reader, Tx},
};

/// Documents that there may be, removed ones included.
pub const MOST: i64 = 5000;
/// Versions of one document that are kept: the oldest go first.
pub const KEPT: i64 = 1000;
/// Counts the changes of all documents.
const REVISION: &str = "documents/revision";

row! {
    /// A document's place in the set.
    pub struct DocumentRow in policy_documents {
        /// Its name, unique.
        pub name: String,
        /// The newest of its versions.
        pub version: i64,
        /// Whether that one took it away.
        pub removed: bool,
        /// When it was first applied.
        pub created_at: UtcMillis,
        /// When its newest version came.
        pub changed_at: UtcMillis,
    }
}

row! {
    /// One version of a document.
    pub struct VersionRow in policy_versions {
        /// The document's name.
        pub name: String,
        /// From 1.
        pub version: i64,
        /// SHA-256 of the document.
        pub hash: Vec<u8>,
        /// The canonical JSON; empty where this version took it away.
        pub document: String,
        /// The version that this one brought back.
        pub of_version: Option<i64>,
        /// Why, where somebody said.
        pub reason: String,
        /// Who.
        pub set_by: String,
        /// When.
        pub at: UtcMillis,
    }
}

row! {
    /// A document's assignment to a group.
    pub struct AssignmentRow in policy_assignments {
        /// The document's name.
        pub name: String,
        /// The group.
        pub group_id: Uuid,
        /// Its place among the documents of that depth: 1 wins.
        pub place: i64,
        /// Whether it is enforced.
        pub enforced: bool,
    }
}

/// A document in force, with everything that counts.
#[derive(Clone, Debug, PartialEq)]
pub struct InForce {
    /// The version in force.
    pub version: VersionRow,
    /// Where it is assigned: the group's name of today, and the assignment.
    pub assignments: Vec<(String, AssignmentRow)>,
}

/// What a document is to be from now on.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// Its name.
    pub name: String,
    /// The canonical JSON; empty to take it away.
    pub document: String,
    /// SHA-256 of it.
    pub hash: [u8; 32],
    /// The version that it brings back.
    pub of_version: Option<i64>,
    /// Why.
    pub reason: String,
    /// Who.
    pub by: String,
    /// The groups, with place and whether it is enforced.
    pub assignments: Vec<(Uuid, i64, bool)>,
}

/// The number of the whole set: it rises with each change of any document or assignment.
pub fn revision(r: &mut Reader) -> Result<i64, StoreError> {
    match meta::get(r, REVISION)? {
        None => Ok(0),
        Some(text) => text.parse().map_err(|_| StoreError::Damaged(format!("{REVISION} is {text:?}"))),
    }
}

/// The documents after `after` in order of name, those that were taken away included.
pub fn list(r: &mut Reader, after: Option<&str>, limit: i64) -> Result<Vec<DocumentRow>, StoreError> {
    Ok(each!(r.conn, c => t::policy_documents
        .filter(t::name.gt(after.unwrap_or("")))
        .order(t::name)
        .limit(limit)
        .select(DocumentRow::as_select())
        .load(c))?)
}

/// The document of a name.
pub fn find(r: &mut Reader, name: &str) -> Result<Option<DocumentRow>, StoreError> {
    Ok(each!(r.conn, c => t::policy_documents
        .filter(t::name.eq(name))
        .select(DocumentRow::as_select())
        .get_result(c)
        .optional())?)
}

/// Everything in force, in order of name.
pub fn in_force(r: &mut Reader) -> Result<Vec<InForce>, StoreError> {
    let versions: Vec<VersionRow> = each!(r.conn, c => v::policy_versions
        .inner_join(t::policy_documents.on(t::name.eq(v::name).and(t::version.eq(v::version))))
        .filter(t::removed.eq(false))
        .order(v::name)
        .select(VersionRow::as_select())
        .load(c))?;
    let mut of: BTreeMap<String, Vec<(String, AssignmentRow)>> = BTreeMap::new();
    for (group, row) in all_assignments(r)? {
        of.entry(row.name.clone()).or_default().push((group, row));
    }
    let one =
        |version: VersionRow| InForce { assignments: of.remove(&version.name).unwrap_or_default(), version };
    Ok(versions.into_iter().map(one).collect())
}

/// A document's versions before `before`, the newest first.
pub fn versions(
    r: &mut Reader,
    name: &str,
    before: Option<i64>,
    limit: i64,
) -> Result<Vec<VersionRow>, StoreError> {
    Ok(each!(r.conn, c => v::policy_versions
        .filter(v::name.eq(name))
        .filter(v::version.lt(before.unwrap_or(i64::MAX)))
        .order(v::version.desc())
        .limit(limit)
        .select(VersionRow::as_select())
        .load(c))?)
}

/// One version of a document.
pub fn version(r: &mut Reader, name: &str, version: i64) -> Result<Option<VersionRow>, StoreError> {
    Ok(each!(r.conn, c => v::policy_versions
        .filter(v::name.eq(name))
        .filter(v::version.eq(version))
        .select(VersionRow::as_select())
        .get_result(c)
        .optional())?)
}

/// A document's assignments: the group's name of today, and the assignment.
pub fn assignments(r: &mut Reader, name: &str) -> Result<Vec<(String, AssignmentRow)>, StoreError> {
    let found: Vec<(AssignmentRow, String)> = each!(r.conn, c => a::policy_assignments
        .inner_join(g::groups.on(g::id.eq(a::group_id)))
        .filter(a::name.eq(name))
        .order(g::name)
        .select((AssignmentRow::as_select(), g::name))
        .load(c))?;
    Ok(found.into_iter().map(|(row, group)| (group, row)).collect())
}

/// All assignments: the group's name of today, and the assignment.
pub fn all_assignments(r: &mut Reader) -> Result<Vec<(String, AssignmentRow)>, StoreError> {
    let found: Vec<(AssignmentRow, String)> = each!(r.conn, c => a::policy_assignments
        .inner_join(g::groups.on(g::id.eq(a::group_id)))
        .order((a::name, g::name))
        .select((AssignmentRow::as_select(), g::name))
        .load(c))?;
    Ok(found.into_iter().map(|(row, group)| (group, row)).collect())
}

/// The documents that are assigned to a group.
pub fn of_group(r: &mut Reader, group: Uuid) -> Result<Vec<String>, StoreError> {
    Ok(each!(r.conn, c => a::policy_assignments
        .filter(a::group_id.eq(db(group)))
        .order(a::name)
        .select(a::name)
        .load(c))?)
}

/// Makes a document what it is to be, and gives its version with whether it is a new one: what says the same as before, with the
/// same assignments, makes none. `Refused` when there are [`MOST`] already.
pub fn put(tx: &mut Tx, change: &Change) -> Result<(i64, bool), StoreError> {
    let removed = change.document.is_empty();
    let old = find(tx, &change.name)?;
    if let Some(old) = &old {
        let stood = version(tx, &change.name, old.version)?;
        let same_text =
            stood.is_some_and(|stood| stood.hash == change.hash && stood.document == change.document);
        if same_text && same_assignments(tx, change)? {
            return Ok((old.version, false));
        }
    } else if removed {
        return Err(StoreError::NotFound("policy document"));
    }
    let count: i64 = each!(tx.conn, c => t::policy_documents.count().get_result(c))?;
    if old.is_none() && count >= MOST {
        return Err(StoreError::Refused(format!("there are {count} policy documents, {MOST} is the limit")));
    }
    let now = tx.now();
    let next = old.as_ref().map_or(1, |old| old.version + 1);
    match old {
        None => {
            let row = DocumentRow {
                name: change.name.clone(),
                version: next,
                removed,
                created_at: now,
                changed_at: now,
            };
            each!(tx.conn, c => diesel::insert_into(t::policy_documents).values(row).execute(c))?;
        }
        Some(_) => {
            each!(tx.conn, c => diesel::update(t::policy_documents.filter(t::name.eq(&change.name)))
                .set((t::version.eq(next), t::removed.eq(removed), t::changed_at.eq(now.0)))
                .execute(c))?;
        }
    }
    let row = VersionRow {
        name: change.name.clone(),
        version: next,
        hash: change.hash.to_vec(),
        document: change.document.clone(),
        of_version: change.of_version,
        reason: change.reason.clone(),
        set_by: change.by.clone(),
        at: now,
    };
    each!(tx.conn, c => diesel::insert_into(v::policy_versions).values(row).execute(c))?;
    each!(tx.conn, c => diesel::delete(v::policy_versions.filter(v::name.eq(&change.name)).filter(v::version.le(next - KEPT))).execute(c))?;
    each!(tx.conn, c => diesel::delete(a::policy_assignments.filter(a::name.eq(&change.name))).execute(c))?;
    for (group, place, enforced) in &change.assignments {
        let row =
            AssignmentRow { name: change.name.clone(), group_id: *group, place: *place, enforced: *enforced };
        each!(tx.conn, c => diesel::insert_into(a::policy_assignments).values(row).execute(c))?;
    }
    raise(tx)?;
    Ok((next, true))
}

fn same_assignments(r: &mut Reader, change: &Change) -> Result<bool, StoreError> {
    let rows: Vec<(Db<Uuid>, i64, bool)> = each!(r.conn, c => a::policy_assignments
        .filter(a::name.eq(&change.name))
        .select((a::group_id, a::place, a::enforced))
        .load(c))?;
    let mut stand = Vec::with_capacity(rows.len());
    for (group, place, enforced) in rows {
        let group = Uuid::try_from(group).map_err(|error| StoreError::Damaged(error.to_string()))?;
        stand.push((group, place, enforced));
    }
    let mut wanted = change.assignments.clone();
    stand.sort_unstable();
    wanted.sort_unstable();
    Ok(stand == wanted)
}

fn raise(tx: &mut Tx) -> Result<(), StoreError> {
    let next = revision(tx)? + 1;
    meta::set(tx, REVISION, &next.to_string())
}
