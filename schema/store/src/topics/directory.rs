//! The directory: its last good reading, who is who in it, what is still to be written there, and the admins that it
//! let in.
//!
//! Promise: a reading counts when all its pieces are there ([`keep_reading`] is the last step), so an interrupted one
//! changes nothing. A task stands here until it is done or given up.

use diesel::{OptionalExtension, prelude::*};
use postern_wire::terms::{EnrolmentId, EnrolmentState, UtcMillis, WipeState};
use uuid::Uuid;

use crate::{
    column::{db, row},
    conn::each,
    errors::StoreError,
    tables::{
        directory_admins::dsl as a, directory_bindings::dsl as b, directory_pieces::dsl as p,
        directory_readings::dsl as r_, directory_tasks::dsl as t, enrolments::dsl as e, wipes::dsl as w,
    },
    topics::{enrolments::Enrolment, wipes::Wipe},
    tx::{Reader, Tx},
};

/// The one reading's id.
const ONE: i64 = 1;

row! {
    /// The last good reading; its entries lie in pieces.
    pub struct Reading in directory_readings {
        /// 1.
        pub id: i64,
        /// Which writing of it: the pieces bear the same.
        pub pass: Uuid,
        /// The server that gave it.
        pub server: String,
        /// Which life of that server's database.
        pub life: String,
        /// Up to which change.
        pub usn: i64,
        /// How many entries.
        pub entries: i64,
        /// How many pieces.
        pub pieces: i64,
        /// When it was last known to be what the directory holds.
        pub good_at: UtcMillis,
        /// When all of it was last read.
        pub whole_at: UtcMillis,
    }
}

row! {
    /// Which accounts somebody named for a device, by their SIDs; the names are for people.
    pub struct Binding in directory_bindings {
        /// The device.
        pub enrolment: EnrolmentId,
        /// The SID of its computer.
        pub computer: Option<String>,
        /// That computer's name when it was named.
        pub computer_dn: Option<String>,
        /// The computer was made for it when it was enrolled.
        pub created: bool,
        /// The SID of its owner's user.
        pub person: Option<String>,
        /// That user's name when it was named.
        pub person_dn: Option<String>,
        /// Who said so.
        pub set_by: String,
        /// When.
        pub at: UtcMillis,
    }
}

row! {
    /// Something that is to be written into the directory.
    pub struct Task in directory_tasks {
        /// Its id.
        pub id: Uuid,
        /// What: `create`, `disable`, `move` or `delete`.
        pub act: String,
        /// For which device.
        pub enrolment: EnrolmentId,
        /// After which wipe.
        pub wipe: Option<Uuid>,
        /// The computer's SID.
        pub computer: Option<String>,
        /// Its name when the task was made.
        pub computer_dn: Option<String>,
        /// `waiting`, `parked` (until a person puts something right), `done` or `given-up`.
        pub state: String,
        /// How often it was tried.
        pub tries: i64,
        /// When it is tried next; none when it is over.
        pub due_at: Option<UtcMillis>,
        /// What happened last.
        pub cause: String,
        /// Since when it stands here.
        pub made_at: UtcMillis,
        /// When it was over.
        pub done_at: Option<UtcMillis>,
    }
}

row! {
    /// An admin that the directory lets in.
    pub struct DirectoryAdmin in directory_admins {
        /// The admin.
        pub admin: Uuid,
        /// Its user's SID.
        pub sid: String,
        /// The roles of the last sign-in, commas between.
        pub roles: String,
        /// Since when it has no role that it had not before.
        pub roles_since: UtcMillis,
        /// Its last sign-in.
        pub signed_in_at: UtcMillis,
    }
}

// --- the reading

/// The last good reading.
pub fn reading(r: &mut Reader) -> Result<Option<Reading>, StoreError> {
    Ok(each!(r.conn, c => r_::directory_readings
        .filter(r_::id.eq(ONE))
        .select(Reading::as_select())
        .get_result(c)
        .optional())?)
}

/// A piece of a reading.
pub fn piece(r: &mut Reader, pass: Uuid, number: i64) -> Result<Option<Vec<u8>>, StoreError> {
    Ok(each!(r.conn, c => p::directory_pieces
        .filter(p::pass.eq(db(pass)))
        .filter(p::number.eq(number))
        .select(p::octets)
        .get_result::<Vec<u8>>(c)
        .optional())?)
}

/// Puts a piece down; it counts for nothing until [`keep_reading`].
pub fn put_piece(tx: &mut Tx, pass: Uuid, number: i64, octets: &[u8]) -> Result<(), StoreError> {
    each!(tx.conn, c => diesel::insert_into(p::directory_pieces)
        .values((p::pass.eq(db(pass)), p::number.eq(number), p::octets.eq(octets.to_vec())))
        .execute(c))?;
    Ok(())
}

/// From now on this is the last good reading; the pieces of all others go.
pub fn keep_reading(tx: &mut Tx, reading: Reading) -> Result<(), StoreError> {
    let pass = reading.pass;
    each!(tx.conn, c => {
        diesel::delete(r_::directory_readings).execute(c)?;
        diesel::delete(p::directory_pieces.filter(p::pass.ne(db(pass)))).execute(c)?;
        diesel::insert_into(r_::directory_readings).values(reading).execute(c)
    })?;
    Ok(())
}

/// The reading is still what the directory holds.
pub fn still_good(tx: &mut Tx, pass: Uuid, usn: i64, good_at: UtcMillis) -> Result<(), StoreError> {
    each!(tx.conn, c => diesel::update(r_::directory_readings.filter(r_::pass.eq(db(pass))))
        .set((r_::usn.eq(usn), r_::good_at.eq(good_at.0)))
        .execute(c))?;
    Ok(())
}

// --- who is who

/// What was named for a device.
pub fn binding(r: &mut Reader, id: EnrolmentId) -> Result<Option<Binding>, StoreError> {
    Ok(each!(r.conn, c => b::directory_bindings
        .filter(b::enrolment.eq(db(id)))
        .select(Binding::as_select())
        .get_result(c)
        .optional())?)
}

/// The device that a computer was named or made for, other than `except` and not retired.
pub fn bound_to(
    r: &mut Reader,
    computer: &str,
    except: EnrolmentId,
) -> Result<Option<EnrolmentId>, StoreError> {
    let found = each!(r.conn, c => b::directory_bindings
        .inner_join(e::enrolments.on(e::id.eq(b::enrolment)))
        .filter(b::computer.eq(Some(computer)))
        .filter(b::enrolment.ne(db(except)))
        .filter(e::state.ne(EnrolmentState::Retired.as_str()))
        .select(Binding::as_select())
        .first(c)
        .optional())?;
    Ok(found.map(|binding: Binding| binding.enrolment))
}

/// Names accounts for a device, in place of what was named before.
pub fn bind(tx: &mut Tx, binding: Binding) -> Result<(), StoreError> {
    let enrolment = binding.enrolment;
    each!(tx.conn, c => {
        diesel::delete(b::directory_bindings.filter(b::enrolment.eq(db(enrolment)))).execute(c)?;
        diesel::insert_into(b::directory_bindings).values(binding).execute(c)
    })?;
    Ok(())
}

/// Forgets what was named for a device. Whether there was anything.
pub fn unbind(tx: &mut Tx, id: EnrolmentId) -> Result<bool, StoreError> {
    let gone = each!(tx.conn, c => diesel::delete(
        b::directory_bindings.filter(b::enrolment.eq(db(id))),
    )
    .execute(c))?;
    Ok(gone > 0)
}

// --- tasks

/// Puts a task down, in place of what was there of the same id.
pub fn put_task(tx: &mut Tx, task: Task) -> Result<(), StoreError> {
    let id = task.id;
    each!(tx.conn, c => {
        diesel::delete(t::directory_tasks.filter(t::id.eq(db(id)))).execute(c)?;
        diesel::insert_into(t::directory_tasks).values(task).execute(c)
    })?;
    Ok(())
}

/// Tasks that are due by `now`, those that wait longest first.
pub fn due_tasks(r: &mut Reader, now: UtcMillis, limit: i64) -> Result<Vec<Task>, StoreError> {
    Ok(each!(r.conn, c => t::directory_tasks
        .filter(t::due_at.le(Some(now.0)))
        .order(t::due_at)
        .limit(limit)
        .select(Task::as_select())
        .load(c))?)
}

/// What waits, and what was parked for a person, is due now. How many that are.
pub fn unpark(tx: &mut Tx) -> Result<usize, StoreError> {
    let now = tx.now();
    Ok(each!(tx.conn, c => diesel::update(t::directory_tasks.filter(t::state.eq_any(["waiting", "parked"])))
        .set((t::state.eq("waiting"), t::due_at.eq(Some(now.0))))
        .execute(c))?)
}

/// Why the oldest task that is parked is.
pub fn parked_because(r: &mut Reader) -> Result<Option<String>, StoreError> {
    Ok(each!(r.conn, c => t::directory_tasks
        .filter(t::state.eq("parked"))
        .order((t::made_at, t::id))
        .select(t::cause)
        .first(c)
        .optional())?)
}

/// The tasks of a device, the newest first.
pub fn tasks_of(r: &mut Reader, id: EnrolmentId) -> Result<Vec<Task>, StoreError> {
    Ok(each!(r.conn, c => t::directory_tasks
        .filter(t::enrolment.eq(db(id)))
        .order((t::made_at.desc(), t::id.desc()))
        .select(Task::as_select())
        .load(c))?)
}

/// How many tasks stand at each state.
pub fn task_counts(r: &mut Reader) -> Result<Vec<(String, i64)>, StoreError> {
    use diesel::dsl::count_star;
    Ok(each!(r.conn, c => t::directory_tasks
        .group_by(t::state)
        .order(t::state)
        .select((t::state, count_star()))
        .load(c))?)
}

/// Wipes that succeeded at or after `since` and have no task yet, the oldest first.
pub fn wiped_without_task(r: &mut Reader, since: UtcMillis, limit: i64) -> Result<Vec<Wipe>, StoreError> {
    Ok(each!(r.conn, c => w::wipes
        .left_join(t::directory_tasks.on(t::wipe.eq(w::id.nullable())))
        .filter(t::id.is_null())
        .filter(w::state.eq(WipeState::Succeeded.as_str()))
        .filter(w::finished_at.ge(Some(since.0)))
        .order((w::finished_at, w::id))
        .limit(limit)
        .select(Wipe::as_select())
        .load(c))?)
}

/// Managed devices that were enrolled at or after `since` and have no task that makes a computer, the oldest first.
pub fn new_without_task(r: &mut Reader, since: UtcMillis, limit: i64) -> Result<Vec<Enrolment>, StoreError> {
    Ok(each!(r.conn, c => e::enrolments
        .left_join(t::directory_tasks.on(t::enrolment.eq(e::id).and(t::act.eq("create"))))
        .filter(t::id.is_null())
        .filter(e::state.eq(EnrolmentState::Managed.as_str()))
        .filter(e::created_at.ge(since.0))
        .order((e::created_at, e::id))
        .limit(limit)
        .select(Enrolment::as_select())
        .load(c))?)
}

// --- admins

/// The admin of a user of the directory.
pub fn admin_by_sid(r: &mut Reader, sid: &str) -> Result<Option<DirectoryAdmin>, StoreError> {
    Ok(each!(r.conn, c => a::directory_admins
        .filter(a::sid.eq(sid))
        .select(DirectoryAdmin::as_select())
        .get_result(c)
        .optional())?)
}

/// Every admin of the directory's.
pub fn admins(r: &mut Reader) -> Result<Vec<DirectoryAdmin>, StoreError> {
    Ok(each!(r.conn, c => a::directory_admins
        .order(a::sid)
        .select(DirectoryAdmin::as_select())
        .load(c))?)
}

/// Keeps what a sign-in gave, in place of what was there.
pub fn put_admin(tx: &mut Tx, admin: DirectoryAdmin) -> Result<(), StoreError> {
    let id = admin.admin;
    each!(tx.conn, c => {
        diesel::delete(a::directory_admins.filter(a::admin.eq(db(id)))).execute(c)?;
        diesel::insert_into(a::directory_admins).values(admin).execute(c)
    })?;
    Ok(())
}
