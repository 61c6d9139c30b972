//! Recovery passwords: the escrow keys that there were, what each device escrowed, and what is still wanted of it.
//!
//! Promise: a password rests only as the device sealed it; which escrow key opens it stands beside it. The last few of each device
//! stay, so that a key that is rolled over, or a device that was set back, loses none. The words of `state` are those of the engine's
//! recovery rules.

use diesel::{OptionalExtension, dsl::count_star, prelude::*};
use postern_wire::{
    recovery::{BadEscrowKey, EscrowKey},
    terms::{EnrolmentId, EnrolmentState, OperationId, ProofClass, RecoveryCause, RecoveryKind, UtcMillis},
};

use super::meta;
use crate::{
    column::{Db, db, row},
    conn::each,
    errors::StoreError,
    tables::{
        enrolments::dsl as e, recovery_devices::dsl as d, recovery_keys::dsl as k,
        recovery_passwords::dsl as p,
    },
    tx::{Reader, Tx},
};

/// Passwords of one device and kind that are kept.
pub const KEPT: usize = 5;
/// The key in `meta`: since when every device is to renew, UTC milliseconds.
const RENEW_ALL: &str = "recovery.renew_all";

row! {
    /// An escrow key; its private half lies in a file.
    pub struct Key in recovery_keys {
        /// Its name.
        pub id: String,
        /// 1, 2, 3 …; the highest is the one in use.
        pub number: i64,
        /// SubjectPublicKeyInfo, DER.
        pub public: Vec<u8>,
        /// The key before it.
        pub replaces: Option<String>,
        /// What the key before it signed of this one.
        pub change: Option<String>,
        /// When it was made.
        pub made_at: UtcMillis,
        /// By whom.
        pub made_by: String,
    }
}

row! {
    /// How a device's recovery password stands.
    pub struct Device in recovery_devices {
        /// Whose.
        pub enrolment: EnrolmentId,
        /// The generation that this is about.
        pub generation: i64,
        /// Where it stands.
        pub state: String,
        /// Why.
        pub cause: String,
        /// Since when.
        pub since: UtcMillis,
        /// When it is looked at next.
        pub due_at: Option<UtcMillis>,
        /// The order to the device.
        pub operation: Option<OperationId>,
        /// The escrow key that the device last sealed to.
        pub key: Option<String>,
        /// Orders in a row that came to nothing.
        pub tries: i64,
        /// Counts its changes, from 1.
        pub revision: i64,
    }
}

row! {
    /// One sealed password.
    pub struct Password in recovery_passwords {
        /// Whose.
        pub enrolment: EnrolmentId,
        /// What is sealed.
        pub kind: RecoveryKind,
        /// The enrolment's generation.
        pub generation: i64,
        /// Which one, by the device's count.
        pub number: i64,
        /// The escrow key that it is sealed to.
        pub key: String,
        /// The text as the device sealed it.
        pub sealed: String,
        /// Why the device made it.
        pub cause: RecoveryCause,
        /// How the message that brought it was proved.
        pub proof: ProofClass,
        /// When it was made, by the device's clock.
        pub made_at: UtcMillis,
        /// When it came.
        pub received_at: UtcMillis,
        /// How often it was shown.
        pub shown: i64,
        /// When last.
        pub shown_at: Option<UtcMillis>,
        /// To whom.
        pub shown_by: Option<String>,
    }
}

impl Key {
    /// The key itself.
    ///
    /// # Errors
    /// [`BadEscrowKey`] where the row was damaged.
    pub fn key(&self) -> Result<EscrowKey, BadEscrowKey> {
        EscrowKey::from_der(self.public.clone())
    }
}

/// Every escrow key, the oldest first.
pub fn keys(r: &mut Reader) -> Result<Vec<Key>, StoreError> {
    Ok(each!(r.conn, c => k::recovery_keys.order(k::number).select(Key::as_select()).load(c))?)
}

/// The escrow key in use.
pub fn current_key(r: &mut Reader) -> Result<Option<Key>, StoreError> {
    Ok(each!(r.conn, c => k::recovery_keys
        .order(k::number.desc())
        .limit(1)
        .select(Key::as_select())
        .get_result(c)
        .optional())?)
}

/// Adds an escrow key, which is the one in use from now on. `Conflict` where another one came in between.
pub fn add_key(tx: &mut Tx, key: Key) -> Result<(), StoreError> {
    let newest = current_key(tx)?;
    if newest.as_ref().map(|newest| newest.id.as_str()) != key.replaces.as_deref()
        || newest.map_or(0, |newest| newest.number) + 1 != key.number
    {
        return Err(StoreError::Conflict("the escrow key was rolled over meanwhile".to_owned()));
    }
    each!(tx.conn, c => diesel::insert_into(k::recovery_keys).values(key).execute(c))?;
    Ok(())
}

/// How many of the newest passwords are sealed to a key, and how many of all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resting {
    /// Devices that sealed last to it.
    pub devices: i64,
    /// Passwords that it opens, those of earlier times too.
    pub passwords: i64,
}

/// What rests on a key.
pub fn resting(r: &mut Reader, key: &str) -> Result<Resting, StoreError> {
    let devices =
        each!(r.conn, c => d::recovery_devices.filter(d::key.eq(key)).select(count_star()).get_result(c))?;
    let passwords =
        each!(r.conn, c => p::recovery_passwords.filter(p::key.eq(key)).select(count_star()).get_result(c))?;
    Ok(Resting { devices, passwords })
}

/// How many devices stand at each state.
pub fn counts(r: &mut Reader) -> Result<Vec<(String, i64)>, StoreError> {
    Ok(each!(r.conn, c => d::recovery_devices
        .group_by(d::state)
        .order(d::state)
        .select((d::state, count_star()))
        .load(c))?)
}

/// How a device stands.
pub fn find(r: &mut Reader, id: EnrolmentId) -> Result<Option<Device>, StoreError> {
    Ok(each!(r.conn, c => d::recovery_devices
        .filter(d::enrolment.eq(db(id)))
        .select(Device::as_select())
        .get_result(c)
        .optional())?)
}

/// Puts how a device stands in the place of what was there.
pub fn put(tx: &mut Tx, device: Device) -> Result<(), StoreError> {
    each!(tx.conn, c => {
        diesel::delete(d::recovery_devices.filter(d::enrolment.eq(db(device.enrolment)))).execute(c)?;
        let row = Device { revision: device.revision + 1, ..device };
        diesel::insert_into(d::recovery_devices).values(row).execute(c)
    })?;
    Ok(())
}

/// Live devices that are to be looked at by `now`, after a device, in order of id.
pub fn due(
    r: &mut Reader,
    now: UtcMillis,
    after: Option<EnrolmentId>,
    limit: i64,
) -> Result<Vec<EnrolmentId>, StoreError> {
    let after = after.unwrap_or(EnrolmentId(uuid::Uuid::nil()));
    let ids: Vec<Db<EnrolmentId>> = each!(r.conn, c => d::recovery_devices
        .inner_join(e::enrolments.on(e::id.eq(d::enrolment)))
        .filter(d::due_at.le(now.0))
        .filter(d::enrolment.gt(db(after)))
        .filter(e::state.ne(EnrolmentState::Retired.as_str()))
        .order(d::enrolment)
        .limit(limit)
        .select(d::enrolment)
        .load(c))?;
    raise(ids)
}

/// Devices whose order is under way, after a device, in order of id.
pub fn ordered(
    r: &mut Reader,
    after: Option<EnrolmentId>,
    limit: i64,
) -> Result<Vec<EnrolmentId>, StoreError> {
    let after = after.unwrap_or(EnrolmentId(uuid::Uuid::nil()));
    let ids: Vec<Db<EnrolmentId>> = each!(r.conn, c => d::recovery_devices
        .filter(d::operation.is_not_null())
        .filter(d::enrolment.gt(db(after)))
        .order(d::enrolment)
        .limit(limit)
        .select(d::enrolment)
        .load(c))?;
    raise(ids)
}

/// Live, managed devices without a row, or with one of an earlier generation, after a device, in order of id.
pub fn unknown(
    r: &mut Reader,
    after: Option<EnrolmentId>,
    limit: i64,
) -> Result<Vec<EnrolmentId>, StoreError> {
    let after = after.unwrap_or(EnrolmentId(uuid::Uuid::nil()));
    let ids: Vec<Db<EnrolmentId>> = each!(r.conn, c => e::enrolments
        .left_join(d::recovery_devices.on(d::enrolment.eq(e::id).and(d::generation.eq(e::generation))))
        .filter(d::enrolment.is_null())
        .filter(e::state.eq(EnrolmentState::Managed.as_str()))
        .filter(e::id.gt(db(after)))
        .order(e::id)
        .limit(limit)
        .select(e::id)
        .load(c))?;
    raise(ids)
}

/// Devices that last sealed to another key than `key`, and are not at one of `states`; at most `limit`.
pub fn sealed_elsewhere(
    r: &mut Reader,
    key: &str,
    states: &[&str],
    limit: i64,
) -> Result<Vec<Device>, StoreError> {
    Ok(each!(r.conn, c => d::recovery_devices
        .filter(d::key.ne(key))
        .filter(d::state.ne_all(states))
        .order(d::enrolment)
        .limit(limit)
        .select(Device::as_select())
        .load(c))?)
}

/// From now on every device that stands where it did before is to renew.
pub fn renew_all(tx: &mut Tx) -> Result<(), StoreError> {
    let now = tx.now();
    meta::set(tx, RENEW_ALL, &now.0.to_string())
}

/// Devices at one of `states` since before every device was to renew; at most `limit`.
pub fn not_renewed(r: &mut Reader, states: &[&str], limit: i64) -> Result<Vec<Device>, StoreError> {
    let since = meta::get(r, RENEW_ALL)?.and_then(|text| text.parse::<i64>().ok());
    let Some(since) = since else { return Ok(Vec::new()) };
    Ok(each!(r.conn, c => d::recovery_devices
        .filter(d::since.lt(since))
        .filter(d::state.eq_any(states))
        .order(d::enrolment)
        .limit(limit)
        .select(Device::as_select())
        .load(c))?)
}

/// The passwords of a device, the newest first.
pub fn passwords(r: &mut Reader, id: EnrolmentId) -> Result<Vec<Password>, StoreError> {
    Ok(each!(r.conn, c => p::recovery_passwords
        .filter(p::enrolment.eq(db(id)))
        .order((p::received_at.desc(), p::generation.desc(), p::number.desc()))
        .select(Password::as_select())
        .load(c))?)
}

/// Keeps a password that came, and lets go of those that are more than [`KEPT`]. The same text again changes nothing. Gives whether
/// it is new.
pub fn keep(tx: &mut Tx, password: Password) -> Result<bool, StoreError> {
    let mut known = passwords(tx, password.enrolment)?;
    known.retain(|other| other.kind == password.kind);
    if known.iter().any(|other| other.sealed == password.sealed) {
        return Ok(false);
    }
    // A device that lost its count begins anew: what it says now is what holds.
    let same = |other: &Password| (other.generation, other.number) == (password.generation, password.number);
    let places = known.iter().filter(|other| !same(other)).skip(KEPT - 1);
    let gone: Vec<_> =
        places.chain(known.iter().filter(|other| same(other))).map(|o| (o.generation, o.number)).collect();
    each!(tx.conn, c => {
        for (generation, number) in gone {
            diesel::delete(
                p::recovery_passwords
                    .filter(p::enrolment.eq(db(password.enrolment)))
                    .filter(p::kind.eq(password.kind.as_str()))
                    .filter(p::generation.eq(generation))
                    .filter(p::number.eq(number)),
            )
            .execute(c)?;
        }
        diesel::insert_into(p::recovery_passwords).values(password).execute(c)
    })?;
    Ok(true)
}

/// A password is shown to somebody.
pub fn shown(tx: &mut Tx, password: &Password, by: &str) -> Result<(), StoreError> {
    let now = tx.now();
    each!(tx.conn, c => diesel::update(
        p::recovery_passwords
            .filter(p::enrolment.eq(db(password.enrolment)))
            .filter(p::kind.eq(password.kind.as_str()))
            .filter(p::generation.eq(password.generation))
            .filter(p::number.eq(password.number)),
    )
    .set((p::shown.eq(p::shown + 1), p::shown_at.eq(Some(now.0)), p::shown_by.eq(Some(by))))
    .execute(c))?;
    Ok(())
}

fn raise(ids: Vec<Db<EnrolmentId>>) -> Result<Vec<EnrolmentId>, StoreError> {
    let raised = ids.into_iter().map(EnrolmentId::try_from).collect::<Result<_, _>>();
    raised.map_err(|error| StoreError::Damaged(error.to_string()))
}
