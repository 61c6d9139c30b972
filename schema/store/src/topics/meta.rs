//! Small facts about the database itself, and the routes of past generations.

use diesel::{OptionalExtension, prelude::*};

use crate::{
    conn::each,
    errors::StoreError,
    tables::meta::dsl as t,
    tx::{Reader, Tx},
};

/// The value under `key`.
pub fn get(r: &mut Reader, key: &str) -> Result<Option<String>, StoreError> {
    Ok(each!(r.conn, c => t::meta.filter(t::key.eq(key)).select(t::value).get_result(c).optional())?)
}

/// Sets the value under `key`.
pub fn set(tx: &mut Tx, key: &str, value: &str) -> Result<(), StoreError> {
    each!(tx.conn, c => diesel::insert_into(t::meta)
        .values((t::key.eq(key), t::value.eq(value)))
        .on_conflict(t::key)
        .do_update()
        .set(t::value.eq(value))
        .execute(c))?;
    Ok(())
}

/// How many batches of the writer are remembered.
pub fn batches(r: &mut Reader) -> Result<i64, StoreError> {
    Ok(each!(r.conn, c => crate::tables::batches::table.count().get_result(c))?)
}

/// Whether a route belonged to a past generation of an enrolment.
pub fn is_buried(r: &mut Reader, route: &[u8; 16]) -> Result<bool, StoreError> {
    Ok(get(r, &grave(route))?.is_some())
}

pub(crate) fn bury_route(tx: &mut Tx, route: &[u8; 16]) -> Result<(), StoreError> {
    let now = tx.now().to_string();
    set(tx, &grave(route), &now)
}

fn grave(route: &[u8; 16]) -> String {
    format!("route/{}", uuid::Uuid::from_bytes(*route).simple())
}
