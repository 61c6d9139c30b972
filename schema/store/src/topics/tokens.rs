//! Tokens of admins: 256 random bits, of which only the SHA-256 rests here.

use diesel::{OptionalExtension, prelude::*};
use postern_wire::terms::UtcMillis;
use uuid::Uuid;

use crate::{
    column::{db, row},
    conn::each,
    errors::StoreError,
    tables::tokens::dsl as t,
    tx::{Reader, Tx},
};

row! {
    /// One token.
    pub struct Token in tokens {
        /// Its id, which may be shown.
        pub id: Uuid,
        /// Whose.
        pub admin: Uuid,
        /// What it is for, in its maker's words.
        pub label: String,
        /// SHA-256 of the token's octets.
        pub hash: [u8; 32],
        /// What it may do, of what its admin may do; `*` for all of it, else permissions with commas between.
        pub scope: String,
        /// Networks that it may come from (CIDR, commas between); empty: any.
        pub networks: String,
        /// Since when.
        pub created_at: UtcMillis,
        /// Until when.
        pub expires_at: Option<UtcMillis>,
        /// Since when it is revoked.
        pub revoked_at: Option<UtcMillis>,
        /// When it was used last; written in batches, so a little behind.
        pub last_used_at: Option<UtcMillis>,
        /// From where.
        pub last_used_from: Option<String>,
        /// It cannot approve before this moment: 24 hours after another admin made it; at once for one's own.
        pub may_approve_from: UtcMillis,
    }
}

/// A token was used: what the flush of last uses writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    /// Which token.
    pub id: Uuid,
    /// When.
    pub at: UtcMillis,
    /// From which address.
    pub from: String,
}

/// The SHA-256 under which a token rests.
#[must_use]
pub fn hash(token: &[u8]) -> [u8; 32] {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, token);
    let mut out = [0; 32];
    out.copy_from_slice(digest.as_ref());
    out
}

/// The token with this hash, revoked and expired ones too: the caller judges.
pub fn by_hash(r: &mut Reader, hash: &[u8; 32]) -> Result<Option<Token>, StoreError> {
    Ok(
        each!(r.conn, c => t::tokens.filter(t::hash.eq(db(*hash))).select(Token::as_select()).get_result(c).optional())?,
    )
}

/// The tokens of an admin, or all, newest first.
pub fn list(r: &mut Reader, admin: Option<Uuid>) -> Result<Vec<Token>, StoreError> {
    Ok(each!(r.conn, c => {
        let mut query = t::tokens.into_boxed().order(t::id.desc()).select(Token::as_select());
        if let Some(admin) = admin {
            query = query.filter(t::admin.eq(db(admin)));
        }
        query.load(c)
    })?)
}

/// Adds a token.
pub fn insert(tx: &mut Tx, token: Token) -> Result<(), StoreError> {
    each!(tx.conn, c => diesel::insert_into(t::tokens).values(token).execute(c))?;
    Ok(())
}

/// Revokes a token. False when it was not there or was revoked before.
pub fn revoke(tx: &mut Tx, id: Uuid) -> Result<bool, StoreError> {
    let now = tx.now();
    let changed = each!(tx.conn, c => diesel::update(t::tokens.filter(t::id.eq(db(id))).filter(t::revoked_at.is_null()))
        .set(t::revoked_at.eq(Some(now.0)))
        .execute(c))?;
    Ok(changed == 1)
}

/// Writes a batch of last uses.
pub fn used(tx: &mut Tx, uses: &[Use]) -> Result<(), StoreError> {
    for one in uses {
        each!(tx.conn, c => diesel::update(t::tokens.filter(t::id.eq(db(one.id))))
            .set((t::last_used_at.eq(Some(one.at.0)), t::last_used_from.eq(Some(one.from.as_str()))))
            .execute(c))?;
    }
    Ok(())
}
