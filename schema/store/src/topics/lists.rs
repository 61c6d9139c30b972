//! The two lists that gateways hold: live routes (their hashes) and the blocked list. Each has a version; what
//! changed since a version is told as a delta as long as it is remembered, else the list is told in full.

use std::collections::BTreeMap;

use diesel::{OptionalExtension, prelude::*};

use crate::{
    column::row,
    conn::each,
    errors::StoreError,
    tables::{list_deltas::dsl as d, list_entries::dsl as e, lists::dsl as t},
    tx::{Reader, Tx},
};
use postern_wire::{route::RouteHash, terms::UtcMillis};

/// Which list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum List {
    /// Hashes of the routes of live enrolments, 32 lower-case hex digits.
    Routes,
    /// Certificates and routes that are wipe-only or refused.
    Blocked,
}

impl List {
    /// The spelling in rows and on the link.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Routes => "routes",
            Self::Blocked => "blocked",
        }
    }
}

row! {
    /// What stands in a list now.
    pub struct Entry in list_entries {
        /// `routes` or `blocked`.
        pub list: String,
        /// The entry, as the link contract spells it.
        pub entry: String,
        /// For the blocked list `wipe-only` or `refuse`; empty for routes.
        pub verdict: String,
        /// The version that brought it.
        pub since: i64,
        /// When.
        pub at: UtcMillis,
    }
}

row! {
    /// One remembered change.
    pub struct DeltaRow in list_deltas {
        /// `routes` or `blocked`.
        pub list: String,
        /// The version that it made.
        pub version: i64,
        /// The entry.
        pub entry: String,
        /// Its verdict.
        pub verdict: String,
        /// Added (or its verdict changed), or removed.
        pub added: bool,
        /// When.
        pub at: UtcMillis,
    }
}

/// A change to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Add an entry, or change its verdict.
    Add {
        /// The entry.
        entry: String,
        /// Its verdict; empty for routes.
        verdict: String,
    },
    /// Remove an entry; one that is not there is left alone.
    Remove {
        /// The entry.
        entry: String,
    },
}

/// What a holder of some version needs to come up to date.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delta {
    /// The version it is at afterwards.
    pub version: i64,
    /// True: forget what you have, this is all of it.
    pub full: bool,
    /// Entries with their verdicts.
    pub add: Vec<(String, String)>,
    /// Entries to remove.
    pub remove: Vec<String>,
}

/// A list's version.
pub fn version(r: &mut Reader, list: List) -> Result<i64, StoreError> {
    Ok(each!(r.conn, c => t::lists.filter(t::name.eq(list.as_str())).select(t::version).get_result(c))?)
}

/// What stands in a list under this entry.
pub fn find(r: &mut Reader, list: List, entry: &str) -> Result<Option<Entry>, StoreError> {
    Ok(each!(r.conn, c => e::list_entries
        .filter(e::list.eq(list.as_str()))
        .filter(e::entry.eq(entry))
        .select(Entry::as_select())
        .get_result(c)
        .optional())?)
}

/// A page of a list in order of entry.
pub fn entries(r: &mut Reader, list: List, after: &str, limit: i64) -> Result<Vec<Entry>, StoreError> {
    Ok(each!(r.conn, c => e::list_entries
        .filter(e::list.eq(list.as_str()))
        .filter(e::entry.gt(after))
        .order(e::entry)
        .limit(limit)
        .select(Entry::as_select())
        .load(c))?)
}

/// A page of the live routes in order of hash. They are read here, on the reader's thread, so that a fleet's routes
/// never stand in memory as text.
pub fn routes(r: &mut Reader, after: Option<RouteHash>, limit: i64) -> Result<Vec<RouteHash>, StoreError> {
    let after = after.map_or_else(String::new, |after| after.to_string());
    let page: Vec<String> = each!(r.conn, c => e::list_entries
        .filter(e::list.eq(List::Routes.as_str()))
        .filter(e::entry.gt(after))
        .order(e::entry)
        .limit(limit)
        .select(e::entry)
        .load(c))?;
    let damaged = |entry: &str| StoreError::Damaged(format!("a list entry: {entry:?}"));
    page.iter().map(|entry| entry.parse().map_err(|_| damaged(entry))).collect()
}

/// Makes changes, all under one new version. Gives the version; nothing to change keeps the old one.
pub fn change(tx: &mut Tx, list: List, changes: &[Change]) -> Result<i64, StoreError> {
    /// Rows in one statement; 6 columns each.
    const CHUNK: usize = 2000;
    let old = version(tx, list)?;
    if changes.is_empty() {
        return Ok(old);
    }
    let (version, at) = (old + 1, tx.now());
    let name = list.as_str();
    let last: BTreeMap<&str, Option<&str>> = changes
        .iter()
        .map(|change| match change {
            Change::Add { entry, verdict } => (entry.as_str(), Some(verdict.as_str())),
            Change::Remove { entry } => (entry.as_str(), None),
        })
        .collect();
    let all: Vec<(&str, Option<&str>)> = last.into_iter().collect();
    for part in all.chunks(CHUNK) {
        let touched: Vec<&str> = part.iter().map(|(entry, _)| *entry).collect();
        each!(tx.conn, c => diesel::delete(
            e::list_entries.filter(e::list.eq(name)).filter(e::entry.eq_any(touched)),
        )
        .execute(c))?;
        let rows: Vec<Entry> = part
            .iter()
            .filter_map(|(entry, verdict)| verdict.map(|v| (*entry, v)))
            .map(|(entry, verdict)| Entry {
                list: name.to_owned(),
                entry: entry.to_owned(),
                verdict: verdict.to_owned(),
                since: version,
                at,
            })
            .collect();
        if !rows.is_empty() {
            each!(tx.conn, c => diesel::insert_into(e::list_entries).values(rows).execute(c))?;
        }
        let deltas: Vec<DeltaRow> = part
            .iter()
            .map(|(entry, verdict)| DeltaRow {
                list: name.to_owned(),
                version,
                entry: (*entry).to_owned(),
                verdict: verdict.unwrap_or_default().to_owned(),
                added: verdict.is_some(),
                at,
            })
            .collect();
        each!(tx.conn, c => diesel::insert_into(d::list_deltas).values(deltas).execute(c))?;
    }
    each!(tx.conn, c => diesel::update(t::lists.filter(t::name.eq(name))).set(t::version.eq(version)).execute(c))?;
    Ok(version)
}

/// What brings a holder of version `since` up to date: a delta of at most `limit` changes, or the full list when
/// more happened, when it is forgotten, or when the holder claims a version from the future.
pub fn since(r: &mut Reader, list: List, since: i64, limit: i64) -> Result<Delta, StoreError> {
    let name = list.as_str();
    let (now, floor): (i64, i64) =
        each!(r.conn, c => t::lists.filter(t::name.eq(name)).select((t::version, t::floor)).get_result(c))?;
    if since == now {
        return Ok(Delta { version: now, ..Delta::default() });
    }
    if since >= floor && since < now && since > 0 {
        let rows: Vec<DeltaRow> = each!(r.conn, c => d::list_deltas
            .filter(d::list.eq(name))
            .filter(d::version.gt(since))
            .order((d::version, d::entry))
            .limit(limit.saturating_add(1))
            .select(DeltaRow::as_select())
            .load(c))?;
        if i64::try_from(rows.len()).is_ok_and(|n| n <= limit) {
            return Ok(fold(now, rows));
        }
    }
    let rows: Vec<(String, String)> = each!(r.conn, c => e::list_entries
        .filter(e::list.eq(name))
        .order(e::entry)
        .select((e::entry, e::verdict))
        .load(c))?;
    Ok(Delta { version: now, full: true, add: rows, remove: Vec::new() })
}

/// Forgets the changes up to version `floor`; holders of an older version get the full list from then on.
pub fn forget(tx: &mut Tx, list: List, floor: i64) -> Result<usize, StoreError> {
    let name = list.as_str();
    let now = version(tx, list)?;
    let floor = floor.min(now);
    each!(tx.conn, c => diesel::update(t::lists.filter(t::name.eq(name)).filter(t::floor.lt(floor)))
        .set(t::floor.eq(floor))
        .execute(c))?;
    Ok(
        each!(tx.conn, c => diesel::delete(d::list_deltas.filter(d::list.eq(name)).filter(d::version.le(floor)))
        .execute(c))?,
    )
}

/// The last word on each entry.
fn fold(version: i64, rows: Vec<DeltaRow>) -> Delta {
    let last: BTreeMap<String, Option<String>> =
        rows.into_iter().map(|row| (row.entry, row.added.then_some(row.verdict))).collect();
    let mut delta = Delta { version, ..Delta::default() };
    for (entry, verdict) in last {
        match verdict {
            Some(verdict) => delta.add.push((entry, verdict)),
            None => delta.remove.push(entry),
        }
    }
    delta
}
