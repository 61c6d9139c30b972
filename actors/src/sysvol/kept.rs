//! The last good folders in the store: sealed, in pieces, so that a restart with SYSVOL down keeps policy in force.
//!
//! Promise: what is read back of a GPO is what was kept of it, whole, or nothing: pieces are sealed for their writing and name GPO and
//! place. Who writes into the database cannot change policy by it.

use std::sync::Arc;

use postern_engine::policy::{
    dn::Dn,
    gpo::Half,
    sysvol::{Contents, Other, Refused},
};
use postern_store::{ReadError, Sealer, Store, WriteError, sysvol as table};
use postern_wire::terms::{EnrolmentId, UtcMillis};
use uuid::Uuid;

/// Octets of a piece.
const PIECE: usize = 512 * 1024;
/// What begins what is kept: the form.
const FORM: u32 = 1;

/// A folder that was kept.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) gpo: Dn,
    pub(super) contents: Contents,
    pub(super) at: UtcMillis,
}

/// Keeps a GPO's folder.
pub(super) async fn keep(
    store: &Store,
    sealer: &Sealer,
    pass: Uuid,
    gpo: &Dn,
    contents: &Contents,
    at: UtcMillis,
) -> Result<(), WriteError> {
    let plain = written(gpo, contents);
    let mut pieces = Vec::new();
    for (number, piece) in (0_i64..).zip(plain.chunks(PIECE)) {
        let plain = [&number.to_be_bytes()[..], piece].concat();
        let sealed = sealer.seal(EnrolmentId(pass), &plain).map_err(WriteError::Rejected)?;
        pieces.push(sealed.as_octets().to_vec());
    }
    let (gpo, pieces) = (gpo.as_str().to_owned(), Arc::new(pieces));
    store.write(move |tx| table::keep(tx, &gpo, pass, at, &pieces)).await
}

/// Every folder that was kept; one that is damaged is said and left.
pub(super) async fn load(store: &Store, sealer: &Sealer) -> Result<Vec<Kept>, ReadError> {
    let mut all = Vec::new();
    for name in store.look_up(table::gpos).await? {
        let wanted = name.clone();
        let pieces = store.look_up(move |r| table::folder(r, &wanted)).await?;
        match opened(sealer, &name, &pieces) {
            Some(kept) => all.push(kept),
            None => {
                tracing::error!(gpo = %name, "the folder that was kept of this GPO is damaged; it is read again")
            }
        }
    }
    Ok(all)
}

fn opened(sealer: &Sealer, name: &str, pieces: &[table::Piece]) -> Option<Kept> {
    let first = pieces.first()?;
    if i64::try_from(pieces.len()) != Ok(first.pieces) {
        return None;
    }
    let mut plain = Vec::new();
    for (number, piece) in (0_i64..).zip(pieces) {
        let opened = sealer.open(EnrolmentId(first.pass), &piece.octets).ok()?;
        let (place, rest) = opened.split_first_chunk::<8>()?;
        if i64::from_be_bytes(*place) != number {
            return None;
        }
        plain.extend_from_slice(rest);
    }
    let (gpo, contents) = read(&plain)?;
    (gpo.as_str() == name).then_some(Kept { gpo, contents, at: first.at })
}

/// A folder as it is kept.
fn written(gpo: &Dn, contents: &Contents) -> Vec<u8> {
    let mut into = FORM.to_be_bytes().to_vec();
    put(&mut into, gpo.as_str().as_bytes());
    for file in [&contents.gpt_ini, &contents.computer, &contents.user] {
        match file {
            Ok(octets) => {
                into.push(1);
                put(&mut into, octets);
            }
            Err(_) => into.push(0),
        }
    }
    put_count(&mut into, contents.others.len());
    for other in &contents.others {
        into.push(u8::from(other.half == Half::User));
        put(&mut into, other.path.as_bytes());
        put_count(&mut into, other.items.len());
        other.items.iter().for_each(|item| put(&mut into, item.as_bytes()));
    }
    into
}

fn read(mut plain: &[u8]) -> Option<(Dn, Contents)> {
    let plain = &mut plain;
    if take_count(plain)? != FORM as usize {
        return None;
    }
    let gpo = Dn::new(&take_text(plain)?).ok()?;
    let mut file = |name: String| -> Option<Result<Vec<u8>, Refused>> {
        Some(match take_octet(plain)? {
            1 => Ok(take(plain)?.to_vec()),
            _ => Err(Refused::Missing(name)),
        })
    };
    let gpt_ini = file("GPT.INI".to_owned())?;
    let computer = file(Half::Computer.registry_pol())?;
    let user = file(Half::User.registry_pol())?;
    let mut others = Vec::new();
    for _ in 0..take_count(plain)? {
        let half = if take_octet(plain)? == 1 { Half::User } else { Half::Computer };
        let path = take_text(plain)?;
        let mut items = Vec::new();
        for _ in 0..take_count(plain)? {
            items.push(take_text(plain)?);
        }
        let below = path.strip_prefix(half.folder())?.strip_prefix('\\')?;
        // What a file is follows from its path.
        others.push(Other { items, path: path.clone(), ..Other::of(half, below, &Vec::new)? });
    }
    plain.is_empty().then_some((gpo, Contents { gpt_ini, computer, user, others }))
}

fn put(into: &mut Vec<u8>, octets: &[u8]) {
    put_count(into, octets.len());
    into.extend_from_slice(octets);
}

/// The limits of a folder are far below 4 GiB.
fn put_count(into: &mut Vec<u8>, count: usize) {
    into.extend(u32::try_from(count).unwrap_or(u32::MAX).to_be_bytes());
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

fn take_octet(plain: &mut &[u8]) -> Option<u8> {
    let (octet, rest) = plain.split_first()?;
    *plain = rest;
    Some(*octet)
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
    fn a_folder_is_read_back_as_it_was_and_nothing_else_is_one() {
        let gpo = Dn::new("CN={00000000-0000-0000-0000-000000000001},CN=Policies,CN=System,DC=t").unwrap();
        let other =
            Other::of(Half::User, "Preferences\\Drives\\Drives.xml", &|| b"<Drive name=\"S:\"/>".to_vec());
        let contents = Contents {
            gpt_ini: Ok(b"[General]\r\nVersion=1\r\n".to_vec()),
            computer: Ok(vec![0, 255, 1]),
            user: Err(Refused::Missing(Half::User.registry_pol())),
            others: vec![other.unwrap()],
        };
        let plain = written(&gpo, &contents);
        assert_eq!(read(&plain), Some((gpo, contents)));
        for length in 0..plain.len() {
            assert!(read(&plain[..length]).is_none(), "{length}");
        }
        assert!(read(&[&plain[..], &[0]].concat()).is_none());
    }
}
