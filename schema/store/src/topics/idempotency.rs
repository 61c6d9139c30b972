//! Idempotency keys: the answer that a request got is given again when the request comes again.

use diesel::{OptionalExtension, prelude::*};
use postern_wire::terms::UtcMillis;

use crate::{
    column::row,
    conn::each,
    errors::StoreError,
    tables::idempotency::dsl as t,
    tx::{Reader, Tx},
};

row! {
    /// An answered request.
    pub struct Answered in idempotency {
        /// Who asked (the token's or admin's id).
        pub principal: String,
        /// The Idempotency-Key.
        pub key: String,
        /// SHA-256 over method, path and body: another request under the same key is refused.
        pub request: [u8; 32],
        /// The HTTP status of the answer.
        pub status: i64,
        /// The body of the answer.
        pub answer: String,
        /// When.
        pub at: UtcMillis,
    }
}

/// The answer that was given under this key.
pub fn find(r: &mut Reader, principal: &str, key: &str) -> Result<Option<Answered>, StoreError> {
    Ok(each!(r.conn, c => t::idempotency
        .filter(t::principal.eq(principal))
        .filter(t::key.eq(key))
        .select(Answered::as_select())
        .get_result(c)
        .optional())?)
}

/// Keeps an answer, in the transaction of the act itself. `Conflict` when the key was answered meanwhile.
pub fn keep(tx: &mut Tx, answered: Answered) -> Result<(), StoreError> {
    each!(tx.conn, c => diesel::insert_into(t::idempotency).values(answered).execute(c))?;
    Ok(())
}

/// Forgets answers given before `before`. Gives how many went.
pub fn purge(tx: &mut Tx, before: UtcMillis) -> Result<usize, StoreError> {
    Ok(each!(tx.conn, c => diesel::delete(t::idempotency.filter(t::at.lt(before.0))).execute(c))?)
}
