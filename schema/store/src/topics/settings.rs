//! Settings by scope: what somebody set for all devices, for a group, or for one device.
//!
//! Promise: a change is made at the revision that its author read; every change that may mean something to a
//! device raises the epoch, and nothing else does. What a value means is the API's table's business.

use diesel::{OptionalExtension, prelude::*};
use postern_wire::terms::{EnrolmentId, UtcMillis};
use uuid::Uuid;

use crate::{
    column::row,
    conn::each,
    errors::StoreError,
    meta,
    tables::{setting_revisions::dsl as v, settings::dsl as t},
    tx::{Reader, Tx},
};

/// Where the epoch stands.
const EPOCH: &str = "settings/epoch";

/// For whom a value is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// For everything.
    Global,
    /// For a group's members, those of nested groups included.
    Group(Uuid),
    /// For one device.
    Device(EnrolmentId),
}

impl Scope {
    const fn word(self) -> &'static str {
        match self {
            Self::Global => "global",
            Self::Group(_) => "group",
            Self::Device(_) => "device",
        }
    }

    fn subject(self) -> Vec<u8> {
        match self {
            Self::Global => Vec::new(),
            Self::Group(id) => id.as_bytes().to_vec(),
            Self::Device(id) => id.0.as_bytes().to_vec(),
        }
    }
}

row! {
    /// One value that somebody set.
    pub struct SettingRow in settings {
        /// `global`, `group` or `device`.
        pub scope: String,
        /// The group's or the enrolment's id; empty for the global scope.
        pub subject: Vec<u8>,
        /// The setting's name.
        pub name: String,
        /// The value, as the API's table writes it.
        pub value: String,
        /// Who set it.
        pub set_by: String,
        /// When.
        pub at: UtcMillis,
    }
}

/// What is set for a device through one of its groups.
#[derive(Clone, Debug, PartialEq)]
pub struct OfGroup {
    /// The group.
    pub group: Uuid,
    /// Its name.
    pub name: String,
    /// How deep it is nested.
    pub depth: usize,
    /// What is set for it.
    pub values: Vec<SettingRow>,
}

/// Everything that is set for one device, by scope.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Layers {
    /// For the device itself.
    pub device: Vec<SettingRow>,
    /// For its groups, those that have any.
    pub groups: Vec<OfGroup>,
    /// For everything.
    pub global: Vec<SettingRow>,
}

// --- reading

/// What is set for one scope, in order of name.
pub fn of(r: &mut Reader, scope: Scope) -> Result<Vec<SettingRow>, StoreError> {
    Ok(each!(r.conn, c => t::settings
        .filter(t::scope.eq(scope.word()))
        .filter(t::subject.eq(scope.subject()))
        .order(t::name)
        .select(SettingRow::as_select())
        .load(c))?)
}

/// Everything that is set for a device. Groups are only looked up where any group has settings.
pub fn layers(r: &mut Reader, device: EnrolmentId) -> Result<Layers, StoreError> {
    let mut groups = Vec::new();
    if any_group(r)? {
        for group in crate::groups::of_device(r, device)? {
            let values = of(r, Scope::Group(group.id))?;
            if !values.is_empty() {
                let depth = crate::groups::depth(r, group.id)?;
                groups.push(OfGroup { group: group.id, name: group.name, depth, values });
            }
        }
    }
    Ok(Layers { device: of(r, Scope::Device(device))?, groups, global: of(r, Scope::Global)? })
}

/// The revision of what is set for one scope: 0 before the first change.
pub fn revision(r: &mut Reader, scope: Scope) -> Result<i64, StoreError> {
    let found: Option<i64> = each!(r.conn, c => v::setting_revisions
        .filter(v::scope.eq(scope.word()))
        .filter(v::subject.eq(scope.subject()))
        .select(v::revision)
        .get_result(c)
        .optional())?;
    Ok(found.unwrap_or(0))
}

/// Which state of all settings stands: from 1, higher with each change that may mean something to a device.
pub fn epoch(r: &mut Reader) -> Result<i64, StoreError> {
    match meta::get(r, EPOCH)? {
        None => Ok(1),
        Some(text) => text.parse().map_err(|_| StoreError::Damaged(format!("{EPOCH} is {text:?}"))),
    }
}

/// Whether a setting is set anywhere, for whomever.
pub fn is_anywhere(r: &mut Reader, name: &str) -> Result<bool, StoreError> {
    let of_name = t::settings.filter(t::name.eq(name));
    Ok(each!(r.conn, c => diesel::select(diesel::dsl::exists(of_name)).get_result(c))?)
}

fn any_group(r: &mut Reader) -> Result<bool, StoreError> {
    let of_groups = t::settings.filter(t::scope.eq("group"));
    Ok(each!(r.conn, c => diesel::select(diesel::dsl::exists(of_groups)).get_result(c))?)
}

// --- writing

/// Sets (`Some`) and clears (`None`) values of one scope that is at `revision`. Gives the new revision. `Conflict`
/// when it is at another.
pub fn change(
    tx: &mut Tx,
    scope: Scope,
    revision: i64,
    values: &[(String, Option<String>)],
    by: &str,
) -> Result<i64, StoreError> {
    let found = self::revision(tx, scope)?;
    if found != revision {
        return Err(StoreError::Conflict(format!("these settings are at revision {found}, not {revision}")));
    }
    let now = tx.now();
    for (name, value) in values {
        let Some(value) = value else {
            each!(tx.conn, c => diesel::delete(
                t::settings
                    .filter(t::scope.eq(scope.word()))
                    .filter(t::subject.eq(scope.subject()))
                    .filter(t::name.eq(name)),
            )
            .execute(c))?;
            continue;
        };
        let row = SettingRow {
            scope: scope.word().to_owned(),
            subject: scope.subject(),
            name: name.clone(),
            value: value.clone(),
            set_by: by.to_owned(),
            at: now,
        };
        each!(tx.conn, c => diesel::insert_into(t::settings)
            .values(row)
            .on_conflict((t::scope, t::subject, t::name))
            .do_update()
            .set((t::value.eq(value), t::set_by.eq(by), t::at.eq(now.0)))
            .execute(c))?;
    }
    let next = revision + 1;
    each!(tx.conn, c => diesel::insert_into(v::setting_revisions)
        .values((v::scope.eq(scope.word()), v::subject.eq(scope.subject()), v::revision.eq(next)))
        .on_conflict((v::scope, v::subject))
        .do_update()
        .set(v::revision.eq(next))
        .execute(c))?;
    raise_epoch(tx)?;
    Ok(next)
}

/// Forgets what was set for a group or a device that goes.
pub fn forget(tx: &mut Tx, scope: Scope) -> Result<(), StoreError> {
    let gone = each!(tx.conn, c => diesel::delete(
        t::settings.filter(t::scope.eq(scope.word())).filter(t::subject.eq(scope.subject())),
    )
    .execute(c))?;
    each!(tx.conn, c => diesel::delete(
        v::setting_revisions.filter(v::scope.eq(scope.word())).filter(v::subject.eq(scope.subject())),
    )
    .execute(c))?;
    if gone > 0 { raise_epoch(tx) } else { Ok(()) }
}

/// A device or group came into a group or left one: where groups have settings, devices have to compare anew.
pub(crate) fn members_changed(tx: &mut Tx) -> Result<(), StoreError> {
    if any_group(tx)? { raise_epoch(tx) } else { Ok(()) }
}

fn raise_epoch(tx: &mut Tx) -> Result<(), StoreError> {
    let next = epoch(tx)? + 1;
    meta::set(tx, EPOCH, &next.to_string())
}
