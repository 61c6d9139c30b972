//! The folders of GPOs as they were last read well: sealed, in pieces, so that a restart with SYSVOL down keeps policy in force.
//!
//! Promise: a folder's pieces are all of one writing.

use diesel::prelude::*;
use postern_wire::terms::UtcMillis;
use uuid::Uuid;

use crate::{
    column::{db, row},
    conn::each,
    errors::StoreError,
    tables::sysvol_pieces::dsl as p,
    tx::{Reader, Tx},
};

row! {
    /// A piece of a GPO's folder.
    pub struct Piece in sysvol_pieces {
        /// The GPO's distinguished name.
        pub gpo: String,
        /// Which piece, from 0.
        pub number: i64,
        /// How many the folder has.
        pub pieces: i64,
        /// Which writing of it: sealed for that.
        pub pass: Uuid,
        /// When it was read.
        pub at: UtcMillis,
        /// What it holds, sealed.
        pub octets: Vec<u8>,
    }
}

/// The GPOs that folders are kept of.
pub fn gpos(r: &mut Reader) -> Result<Vec<String>, StoreError> {
    Ok(each!(r.conn, c => p::sysvol_pieces
        .filter(p::number.eq(0))
        .order(p::gpo)
        .select(p::gpo)
        .load(c))?)
}

/// The pieces of a GPO's folder, in their order.
pub fn folder(r: &mut Reader, gpo: &str) -> Result<Vec<Piece>, StoreError> {
    Ok(each!(r.conn, c => p::sysvol_pieces
        .filter(p::gpo.eq(gpo))
        .order(p::number)
        .select(Piece::as_select())
        .load(c))?)
}

/// Keeps a GPO's folder, in place of the one before.
pub fn keep(tx: &mut Tx, gpo: &str, pass: Uuid, at: UtcMillis, octets: &[Vec<u8>]) -> Result<(), StoreError> {
    forget(tx, gpo)?;
    let pieces = i64::try_from(octets.len()).unwrap_or(i64::MAX);
    for (number, octets) in (0_i64..).zip(octets) {
        each!(tx.conn, c => diesel::insert_into(p::sysvol_pieces)
            .values((
                p::gpo.eq(gpo),
                p::number.eq(number),
                p::pieces.eq(pieces),
                p::pass.eq(db(pass)),
                p::at.eq(at.0),
                p::octets.eq(octets.clone()),
            ))
            .execute(c))?;
    }
    Ok(())
}

/// Forgets a GPO's folder.
pub fn forget(tx: &mut Tx, gpo: &str) -> Result<(), StoreError> {
    each!(tx.conn, c => diesel::delete(p::sysvol_pieces.filter(p::gpo.eq(gpo))).execute(c))?;
    Ok(())
}
