//! CRLs of other CAs that were imported, and what they block.
//!
//! Promise: what an imported CRL lists is on the blocked list in the same transaction, and what a later CRL of the same
//! CA no longer lists is off it again, unless we revoked it ourselves.

use std::collections::BTreeMap;

use diesel::{OptionalExtension, prelude::*};
use postern_wire::{
    link::{BlockedEntry, BlockedSubject, CertificateName},
    terms::{RevocationReason, UtcMillis},
};

use crate::{
    certificates::{self, as_change, verdict},
    column::row,
    conn::each,
    errors::StoreError,
    lists::{self, Change, List},
    tables::{imported_crl_entries::dsl as e, imported_crls::dsl as t},
    tx::{Reader, Tx},
};

row! {
    /// A CRL that was imported.
    pub struct Imported in imported_crls {
        /// Whose, as the blocked list names it.
        pub issuer: String,
        /// Whose, for people.
        pub name: String,
        /// Its number, lower-case hex; empty when it has none.
        pub number: String,
        /// Its thisUpdate.
        pub this_update: UtcMillis,
        /// Its nextUpdate.
        pub next_update: Option<UtcMillis>,
        /// How many certificates it lists.
        pub entries: i64,
        /// When it was imported.
        pub imported_at: UtcMillis,
        /// By whom.
        pub imported_by: String,
    }
}

row! {
    /// One certificate of it.
    pub struct Entry in imported_crl_entries {
        /// Whose list.
        pub issuer: String,
        /// The certificate's serial number, lower-case hex without leading zero octets.
        pub serial: String,
        /// Why.
        pub reason: RevocationReason,
        /// Since when.
        pub revoked_at: UtcMillis,
    }
}

/// What an import changes on the blocked list: to be told to the gateways after the commit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Blocking {
    /// New on it.
    pub add: Vec<BlockedEntry>,
    /// Off it.
    pub remove: Vec<BlockedSubject>,
}

/// The imported CRLs.
pub fn list(r: &mut Reader) -> Result<Vec<Imported>, StoreError> {
    Ok(each!(r.conn, c => t::imported_crls.order(t::issuer).select(Imported::as_select()).load(c))?)
}

/// The imported CRL of this CA.
pub fn find(r: &mut Reader, issuer: &str) -> Result<Option<Imported>, StoreError> {
    Ok(each!(r.conn, c => t::imported_crls
        .filter(t::issuer.eq(issuer))
        .select(Imported::as_select())
        .first(c)
        .optional())?)
}

/// Puts a CRL in the place of the one that this CA had before.
///
/// # Errors
/// [`StoreError::Refused`] when the one that is here is newer.
pub fn import(tx: &mut Tx, crl: Imported, entries: Vec<Entry>) -> Result<Blocking, StoreError> {
    /// Rows in one statement; 4 columns each.
    const CHUNK: usize = 4_000;
    if let Some(before) = find(tx, &crl.issuer)?
        && before.this_update > crl.this_update
    {
        return Err(StoreError::Refused(format!(
            "a newer CRL of this CA, of {}, is here",
            before.this_update
        )));
    }
    let issuer = crl.issuer.clone();
    let old: Vec<Entry> = each!(tx.conn, c => e::imported_crl_entries
        .filter(e::issuer.eq(&issuer))
        .select(Entry::as_select())
        .load(c))?;
    let mut gone: BTreeMap<String, RevocationReason> =
        old.into_iter().map(|entry| (entry.serial, entry.reason)).collect();
    let mut blocking = Blocking::default();
    for entry in &entries {
        let name = CertificateName { serial: entry.serial.clone(), issuer: issuer.clone() };
        if gone.remove(&entry.serial) != Some(entry.reason) {
            let subject = BlockedSubject::Certificate(name);
            blocking.add.push(BlockedEntry { subject, verdict: verdict(entry.reason) });
        }
    }
    for (serial, _) in gone {
        let name = CertificateName { serial, issuer: issuer.clone() };
        let ours = certificates::find(tx, &name)?;
        if ours.is_none_or(|row| row.revoked_at.is_none()) {
            blocking.remove.push(BlockedSubject::Certificate(name));
        }
    }
    let mut changes: Vec<Change> = blocking.add.iter().map(as_change).collect::<Result<_, _>>()?;
    for subject in &blocking.remove {
        let entry = serde_json::to_string(subject).map_err(|error| StoreError::Damaged(error.to_string()))?;
        changes.push(Change::Remove { entry });
    }
    lists::change(tx, List::Blocked, &changes)?;
    each!(tx.conn, c => diesel::delete(e::imported_crl_entries.filter(e::issuer.eq(&issuer))).execute(c))?;
    each!(tx.conn, c => diesel::delete(t::imported_crls.filter(t::issuer.eq(&issuer))).execute(c))?;
    each!(tx.conn, c => diesel::insert_into(t::imported_crls).values(crl).execute(c))?;
    let mut rest = entries;
    while !rest.is_empty() {
        let after = rest.split_off(rest.len().min(CHUNK));
        each!(tx.conn, c => diesel::insert_into(e::imported_crl_entries).values(rest).execute(c))?;
        rest = after;
    }
    Ok(blocking)
}
