//! The last good reading in the store: written in pieces, sealed, so that a restart with the directory down keeps
//! policy in force.
//!
//! Promise: what is read back is what was kept, whole, or nothing: a piece is sealed for its reading and names its
//! place, and the row that makes it count is written last. Who writes into the database cannot change policy by it.

use std::collections::BTreeMap;

use postern_engine::policy::{dn::Dn, ldif::Entry};
use postern_store::{ReadError, Sealer, Store, WriteError, directory as table};
use postern_wire::terms::{EnrolmentId, UtcMillis};
use uuid::Uuid;

use crate::abilities::{DirectoryMark, DirectorySnapshot};

/// Octets of a piece, before its last entry.
const PIECE: usize = 512 * 1024;
/// What begins each piece: the form.
const FORM: u32 = 1;

/// A reading that was kept.
pub(super) struct Kept {
    pub(super) snapshot: DirectorySnapshot,
    pub(super) pass: Uuid,
    pub(super) at: UtcMillis,
    pub(super) whole_at: UtcMillis,
}

/// Why nothing was read back.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unkept {
    /// The database does not answer.
    #[error(transparent)]
    Store(#[from] ReadError),
    /// What lies there is not what was kept.
    #[error("the reading that was kept is damaged")]
    Damaged,
}

/// Keeps a reading. Gives its pass.
pub(super) async fn keep(
    store: &Store,
    sealer: &Sealer,
    pass: Uuid,
    snapshot: &DirectorySnapshot,
    at: UtcMillis,
    whole_at: UtcMillis,
) -> Result<(), WriteError> {
    let mut number = 0_i64;
    let mut entries = snapshot.entries.values().peekable();
    while entries.peek().is_some() {
        let mut plain = Vec::with_capacity(PIECE + 64 * 1024);
        plain.extend(FORM.to_be_bytes());
        plain.extend(number.to_be_bytes());
        while plain.len() < PIECE
            && let Some(entry) = entries.next()
        {
            put_entry(&mut plain, entry);
        }
        let sealed = sealer.seal(EnrolmentId(pass), &plain).map_err(WriteError::Rejected)?;
        let octets = sealed.as_octets().to_vec();
        store.write(move |tx| table::put_piece(tx, pass, number, &octets)).await?;
        number += 1;
    }
    let mark = snapshot.mark.clone();
    let count = i64::try_from(snapshot.entries.len()).unwrap_or(i64::MAX);
    let row = table::Reading {
        id: 1,
        pass,
        server: mark.server,
        life: mark.database,
        usn: i64::try_from(mark.usn).unwrap_or(i64::MAX),
        entries: count,
        pieces: number,
        good_at: at,
        whole_at,
    };
    store.write(move |tx| table::keep_reading(tx, row.clone())).await
}

/// The reading that was kept, if there is one.
pub(super) async fn load(store: &Store, sealer: &Sealer) -> Result<Option<Kept>, Unkept> {
    let Some(row) = store.look_up(table::reading).await? else { return Ok(None) };
    let mut entries = BTreeMap::new();
    let pass = row.pass;
    for number in 0..row.pieces {
        let piece = store.look_up(move |r| table::piece(r, pass, number)).await?;
        let plain =
            piece.and_then(|piece| sealer.open(EnrolmentId(pass), &piece).ok()).ok_or(Unkept::Damaged)?;
        take_piece(&plain, number, &mut entries).ok_or(Unkept::Damaged)?;
    }
    if i64::try_from(entries.len()) != Ok(row.entries) {
        return Err(Unkept::Damaged);
    }
    let usn = u64::try_from(row.usn).map_err(|_| Unkept::Damaged)?;
    let mark = DirectoryMark { server: row.server, database: row.life, usn };
    let snapshot = DirectorySnapshot { mark, entries };
    Ok(Some(Kept { snapshot, pass, at: row.good_at, whole_at: row.whole_at }))
}

fn put_entry(into: &mut Vec<u8>, entry: &Entry) {
    put(into, entry.dn.as_bytes());
    put_count(into, entry.attributes.len());
    for (name, values) in &entry.attributes {
        put(into, name.as_bytes());
        put_count(into, values.len());
        for value in values {
            put(into, value);
        }
    }
}

fn put(into: &mut Vec<u8>, octets: &[u8]) {
    put_count(into, octets.len());
    into.extend_from_slice(octets);
}

/// What a directory gives is far below 4 GiB: the reader's limits see to it.
fn put_count(into: &mut Vec<u8>, count: usize) {
    into.extend(u32::try_from(count).unwrap_or(u32::MAX).to_be_bytes());
}

fn take_piece(mut plain: &[u8], number: i64, into: &mut BTreeMap<Dn, Entry>) -> Option<()> {
    if take_count(&mut plain)? != FORM as usize {
        return None;
    }
    let (place, rest) = plain.split_first_chunk::<8>()?;
    if i64::from_be_bytes(*place) != number {
        return None;
    }
    plain = rest;
    while !plain.is_empty() {
        let mut entry = Entry { dn: take_text(&mut plain)?, ..Entry::default() };
        for _ in 0..take_count(&mut plain)? {
            let name = take_text(&mut plain)?;
            let mut values = Vec::new();
            for _ in 0..take_count(&mut plain)? {
                values.push(take(&mut plain)?.to_vec());
            }
            entry.attributes.insert(name, values);
        }
        into.insert(Dn::new(&entry.dn).ok()?, entry);
    }
    Some(())
}

fn take<'p>(plain: &mut &'p [u8]) -> Option<&'p [u8]> {
    let length = take_count(plain)?;
    let (octets, rest) = plain.split_at_checked(length)?;
    *plain = rest;
    Some(octets)
}

fn take_text(plain: &mut &[u8]) -> Option<String> {
    String::from_utf8(take(plain)?.to_vec()).ok()
}

fn take_count(plain: &mut &[u8]) -> Option<usize> {
    let (count, rest) = plain.split_first_chunk::<4>()?;
    *plain = rest;
    usize::try_from(u32::from_be_bytes(*count)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_read_back_as_it_was_and_nothing_else_is_an_entry() {
        let mut entry = Entry { dn: "CN=Ä\\,b,DC=x".to_owned(), ..Entry::default() };
        entry.attributes.insert("objectsid".to_owned(), vec![vec![0, 255, 1], Vec::new()]);
        entry.attributes.insert("empty".to_owned(), Vec::new());
        let mut plain = FORM.to_be_bytes().to_vec();
        plain.extend(3_i64.to_be_bytes());
        put_entry(&mut plain, &entry);

        let mut entries = BTreeMap::new();
        take_piece(&plain, 3, &mut entries).unwrap();
        assert_eq!(entries.into_values().collect::<Vec<_>>(), [entry]);
        assert!(take_piece(&plain, 4, &mut BTreeMap::new()).is_none(), "another place");
        for length in 0..plain.len() {
            if length != 12 {
                assert!(take_piece(&plain[..length], 3, &mut BTreeMap::new()).is_none(), "{length}");
            }
        }
    }
}
