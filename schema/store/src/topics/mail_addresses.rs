//! Where people get mail: admins by their id, owners of devices by the name that their enrolments bear.

use diesel::{OptionalExtension, prelude::*};
use postern_wire::terms::UtcMillis;
use uuid::Uuid;

use crate::{
    column::{db, row},
    conn::each,
    errors::StoreError,
    tables::mail_addresses::dsl as t,
    tx::{Reader, Tx},
};

row! {
    /// One person's addresses.
    pub struct MailAddress in mail_addresses {
        /// [`of_admin`] or [`of_owner`].
        pub subject: String,
        /// The address.
        pub address: String,
        /// Another one, that is not read on the device itself.
        pub second: Option<String>,
        /// Since when.
        pub at: UtcMillis,
        /// Who set it.
        pub set_by: String,
    }
}

/// The subject of an admin.
#[must_use]
pub fn of_admin(id: Uuid) -> String {
    format!("admin:{id}")
}

/// The subject of an owner of devices.
#[must_use]
pub fn of_owner(name: &str) -> String {
    format!("owner:{}", name.replace('\0', "\u{FFFD}"))
}

/// A subject's addresses.
pub fn find(r: &mut Reader, subject: &str) -> Result<Option<MailAddress>, StoreError> {
    Ok(each!(r.conn, c => t::mail_addresses
        .filter(t::subject.eq(subject))
        .select(MailAddress::as_select())
        .get_result(c)
        .optional())?)
}

/// All addresses after `after`, in order of subject.
pub fn list(r: &mut Reader, after: Option<&str>, limit: i64) -> Result<Vec<MailAddress>, StoreError> {
    let after = after.unwrap_or_default().to_owned();
    Ok(each!(r.conn, c => t::mail_addresses
        .filter(t::subject.gt(after))
        .order(t::subject)
        .limit(limit)
        .select(MailAddress::as_select())
        .load(c))?)
}

/// Sets a subject's addresses.
pub fn set(tx: &mut Tx, row: MailAddress) -> Result<(), StoreError> {
    each!(tx.conn, c => diesel::insert_into(t::mail_addresses)
        .values(row.clone())
        .on_conflict(t::subject)
        .do_update()
        .set((
            t::address.eq(db(row.address.clone())),
            t::second.eq(row.second.clone()),
            t::at.eq(row.at.0),
            t::set_by.eq(db(row.set_by.clone())),
        ))
        .execute(c))?;
    Ok(())
}

/// Forgets a subject's addresses. Whether there were any.
pub fn remove(tx: &mut Tx, subject: &str) -> Result<bool, StoreError> {
    let gone =
        each!(tx.conn, c => diesel::delete(t::mail_addresses.filter(t::subject.eq(subject))).execute(c))?;
    Ok(gone > 0)
}
