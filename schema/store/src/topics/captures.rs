//! Gateways that came into other hands: since when, which devices' sessions they carried, and what is done for each.
//!
//! Promise: a gateway is declared once; its devices are found in the same transaction, and again for a while, because
//! sessions are recorded in batches ([`find_devices`]): none is forgotten. What is done stands in the rows: a core that starts again goes on where the last one stopped. Two things are done for a device:
//! its secret is *rotated* where one crossed, and what it *reported* under a proof that does not cover the body is read
//! again; until then it is doubtful.

use std::collections::BTreeMap;

use diesel::{OptionalExtension, dsl::count_star, prelude::*};
use postern_wire::terms::{EnrolmentId, OperationId, ProofClass, UtcMillis};

use crate::{
    column::{Column, Db, db, readable, row},
    conn::{each, insert as insert_rows},
    errors::StoreError,
    tables::{
        capture_devices::dsl as d, captures::dsl as t, enrolments::dsl as e, results::dsl as res,
        sessions::dsl as s,
    },
    tx::{Reader, Tx},
};

/// How one of the two things stands for a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Progress {
    /// To be done.
    Wanted,
    /// An operation is on its way.
    Ordered,
    /// Done.
    Done,
    /// Nothing has to be done; why is said.
    NotNeeded,
    /// It cannot be done by the core; why is said.
    Impossible,
}

impl Progress {
    /// Each of them.
    pub const ALL: [Self; 5] = [Self::Wanted, Self::Ordered, Self::Done, Self::NotNeeded, Self::Impossible];

    /// The stable spelling.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Wanted => "wanted",
            Self::Ordered => "ordered",
            Self::Done => "done",
            Self::NotNeeded => "not-needed",
            Self::Impossible => "impossible",
        }
    }

    /// Whether something is still to come.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Wanted | Self::Ordered)
    }
}

impl Column for Progress {
    type Sql = diesel::sql_types::Text;
    type Repr = String;
    fn lower(self) -> String {
        self.as_str().to_owned()
    }
    fn raise(repr: String) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|progress| progress.as_str() == repr);
        known.ok_or_else(|| format!("{repr:?} is no progress"))
    }
}
readable!(Progress);

row! {
    /// A gateway that came into other hands.
    pub struct Capture in captures {
        /// Its name.
        pub gateway: String,
        /// Since when it is held to have been in other hands.
        pub since: UtcMillis,
        /// When that was declared.
        pub declared_at: UtcMillis,
        /// By whom.
        pub declared_by: String,
        /// Why.
        pub reason: String,
        /// Devices whose sessions it carried since then.
        pub devices: i64,
        /// Certificates of it that were revoked.
        pub certificates: i64,
    }
}

row! {
    /// One device whose sessions it carried.
    pub struct CaptureDevice in capture_devices {
        /// The gateway.
        pub gateway: String,
        /// The device.
        pub enrolment: EnrolmentId,
        /// Its generation then.
        pub generation: i64,
        /// The weakest proof among these sessions: what the gateway could do.
        pub proof: ProofClass,
        /// How many sessions are known.
        pub sessions: i64,
        /// The last of them.
        pub last_at: UtcMillis,
        /// Its secret.
        pub rotation: Progress,
        /// Why it stands so.
        pub rotation_because: String,
        /// The operation that tells it a new one.
        pub rotation_operation: Option<OperationId>,
        /// What it reported.
        pub reading: Progress,
        /// Why it stands so.
        pub reading_because: String,
        /// The operation that reads it again.
        pub reading_operation: Option<OperationId>,
    }
}

/// What a device carried through the gateway.
struct Carried {
    proof: ProofClass,
    sessions: i64,
    last_at: i64,
}

/// Declares a gateway to be in other hands since `since`, and finds its devices. `Conflict` where it was declared before.
pub fn declare(
    tx: &mut Tx,
    gateway: &str,
    since: UtcMillis,
    by: &str,
    reason: &str,
    certificates: i64,
) -> Result<Capture, StoreError> {
    if find(tx, gateway)?.is_some() {
        return Err(StoreError::Conflict(format!("the gateway {gateway} was declared before")));
    }
    let capture = Capture {
        gateway: gateway.to_owned(),
        since,
        declared_at: tx.now(),
        declared_by: by.to_owned(),
        reason: reason.to_owned(),
        devices: 0,
        certificates,
    };
    each!(tx.conn, c => diesel::insert_into(t::captures).values(capture).execute(c))?;
    find_devices(tx, gateway)?;
    find(tx, gateway)?.ok_or(StoreError::NotFound("capture"))
}

/// Adds the devices that are not listed yet: sessions are recorded in batches, a little after they were held. Gives how many
/// are new.
pub fn find_devices(tx: &mut Tx, gateway: &str) -> Result<usize, StoreError> {
    let Some(capture) = find(tx, gateway)? else { return Ok(0) };
    let mut carried = carried(tx, gateway, capture.since)?;
    let listed: Vec<Db<EnrolmentId>> = each!(tx.conn, c => d::capture_devices
        .filter(d::gateway.eq(gateway))
        .select(d::enrolment)
        .load(c))?;
    for id in listed {
        let id = EnrolmentId::try_from(id).map_err(|error| StoreError::Damaged(error.to_string()))?;
        carried.remove(&id);
    }
    let new = carried.len();
    if new == 0 {
        return Ok(0);
    }
    let mut rows = Vec::with_capacity(new);
    for (enrolment, Carried { proof, sessions, last_at }) in carried {
        let generation: Option<i64> = each!(tx.conn, c => e::enrolments
            .filter(e::id.eq(db(enrolment)))
            .select(e::generation)
            .first(c)
            .optional())?;
        rows.push(CaptureDevice {
            gateway: gateway.to_owned(),
            enrolment,
            generation: generation.unwrap_or(0),
            proof,
            sessions,
            last_at: UtcMillis(last_at),
            rotation: Progress::Wanted,
            rotation_because: String::new(),
            rotation_operation: None,
            reading: Progress::Wanted,
            reading_because: String::new(),
            reading_operation: None,
        });
    }
    insert_rows!(tx.conn, d::capture_devices, rows)?;
    let more = i64::try_from(new).unwrap_or(i64::MAX);
    each!(tx.conn, c => diesel::update(t::captures.filter(t::gateway.eq(gateway)))
        .set(t::devices.eq(t::devices + more))
        .execute(c))?;
    Ok(new)
}

/// The gateways that were declared after `since`: there may still be sessions of theirs that are not recorded.
pub fn declared_after(r: &mut Reader, since: UtcMillis) -> Result<Vec<String>, StoreError> {
    Ok(each!(r.conn, c => t::captures
        .filter(t::declared_at.gt(since.0))
        .order(t::gateway)
        .select(t::gateway)
        .load(c))?)
}

/// Devices by the sessions that are kept, and by whose last message it carried.
fn carried(
    tx: &mut Tx,
    gateway: &str,
    since: UtcMillis,
) -> Result<BTreeMap<EnrolmentId, Carried>, StoreError> {
    type Held = (Db<EnrolmentId>, Db<ProofClass>, i64, Option<i64>);

    let held: Vec<Held> = each!(tx.conn, c => s::sessions
        .filter(s::gateway.eq(gateway))
        .filter(s::opened_at.ge(since.0).or(s::closed_at.ge(since.0)).or(s::closed_at.is_null()))
        .group_by((s::enrolment, s::proof))
        .select((s::enrolment, s::proof, count_star(), diesel::dsl::max(s::opened_at)))
        .load(c))?;
    let seen: Vec<(Db<EnrolmentId>, Db<ProofClass>, Option<i64>)> = each!(tx.conn, c => e::enrolments
        .filter(e::last_gateway.eq(gateway))
        .filter(e::last_seen_at.ge(since.0))
        .select((e::id, e::proof_floor, e::last_seen_at))
        .load(c))?;
    let damaged = |error: &dyn std::fmt::Display| StoreError::Damaged(error.to_string());
    let mut all: BTreeMap<EnrolmentId, Carried> = BTreeMap::new();
    let mut add = |id: Db<EnrolmentId>, proof: Db<ProofClass>, sessions: i64, at: Option<i64>| {
        let id = EnrolmentId::try_from(id).map_err(|error| damaged(&error))?;
        let proof = ProofClass::try_from(proof).map_err(|error| damaged(&error))?;
        let entry = all.entry(id).or_insert(Carried { proof, sessions: 0, last_at: 0 });
        entry.proof = entry.proof.min(proof);
        entry.sessions += sessions;
        entry.last_at = entry.last_at.max(at.unwrap_or(0));
        Ok::<_, StoreError>(())
    };
    for (id, proof, sessions, at) in held {
        add(id, proof, sessions, at)?;
    }
    for (id, proof, at) in seen {
        add(id, proof, 0, at)?;
    }
    Ok(all)
}

/// What was declared of a gateway.
pub fn find(r: &mut Reader, gateway: &str) -> Result<Option<Capture>, StoreError> {
    Ok(each!(r.conn, c => t::captures
        .filter(t::gateway.eq(gateway))
        .select(Capture::as_select())
        .first(c)
        .optional())?)
}

/// The gateways that are never dialed again, in order of name.
pub fn names(r: &mut Reader) -> Result<Vec<String>, StoreError> {
    Ok(each!(r.conn, c => t::captures.order(t::gateway).select(t::gateway).load(c))?)
}

/// How many devices of a gateway stand at each pair of progresses: rotation, reading.
pub fn counts(r: &mut Reader, gateway: &str) -> Result<Vec<(Progress, Progress, i64)>, StoreError> {
    let rows: Vec<(String, String, i64)> = each!(r.conn, c => d::capture_devices
        .filter(d::gateway.eq(gateway))
        .group_by((d::rotation, d::reading))
        .select((d::rotation, d::reading, count_star()))
        .load(c))?;
    let progress = |text| Progress::raise(text).map_err(StoreError::Damaged);
    rows.into_iter().map(|(one, other, count)| Ok((progress(one)?, progress(other)?, count))).collect()
}

/// A page of a gateway's devices in order of id, those after `after`.
pub fn devices(
    r: &mut Reader,
    gateway: &str,
    after: Option<EnrolmentId>,
    limit: i64,
) -> Result<Vec<CaptureDevice>, StoreError> {
    let after = after.unwrap_or(EnrolmentId(uuid::Uuid::nil()));
    Ok(each!(r.conn, c => d::capture_devices
        .filter(d::gateway.eq(gateway))
        .filter(d::enrolment.gt(db(after)))
        .order(d::enrolment)
        .limit(limit)
        .select(CaptureDevice::as_select())
        .load(c))?)
}

/// Devices for which something is still to come, after a gateway and device.
pub fn open(
    r: &mut Reader,
    after: Option<(String, EnrolmentId)>,
    limit: i64,
) -> Result<Vec<CaptureDevice>, StoreError> {
    const OPEN: [&str; 2] = ["wanted", "ordered"];
    let (gateway, id) = after.unwrap_or_else(|| (String::new(), EnrolmentId(uuid::Uuid::nil())));
    Ok(each!(r.conn, c => d::capture_devices
        .filter(d::rotation.eq_any(OPEN).or(d::reading.eq_any(OPEN)))
        .filter(d::gateway.gt(&gateway).or(d::gateway.eq(&gateway).and(d::enrolment.gt(db(id)))))
        .order((d::gateway, d::enrolment))
        .limit(limit)
        .select(CaptureDevice::as_select())
        .load(c))?)
}

/// The gateway whose hand may be in what a device reported under this proof at this moment, as long as it was not read
/// again.
pub fn doubt(
    r: &mut Reader,
    id: EnrolmentId,
    proof: ProofClass,
    at: UtcMillis,
) -> Result<Option<String>, StoreError> {
    if proof >= ProofClass::Mac {
        return Ok(None);
    }
    Ok(each!(r.conn, c => d::capture_devices
        .inner_join(t::captures.on(t::gateway.eq(d::gateway)))
        .filter(d::enrolment.eq(db(id)))
        .filter(d::reading.ne(Progress::Done.as_str()))
        .filter(t::since.le(at.0))
        .filter(t::declared_at.ge(at.0))
        .select(d::gateway)
        .first(c)
        .optional())?)
}

/// The nodes that a device reported between two moments under a proof that does not cover the body; at most `limit`.
pub fn reported(
    r: &mut Reader,
    id: EnrolmentId,
    from: UtcMillis,
    until: UtcMillis,
    limit: i64,
) -> Result<Vec<String>, StoreError> {
    let weak = [ProofClass::None, ProofClass::Basic, ProofClass::Md5, ProofClass::Certificate];
    let uris: Vec<Option<String>> = each!(r.conn, c => res::results
        .filter(res::enrolment.eq(db(id)))
        .filter(res::at.ge(from.0))
        .filter(res::at.le(until.0))
        .filter(res::proof.eq_any(weak.map(ProofClass::as_str)))
        .filter(res::source_uri.is_not_null())
        .order(res::source_uri)
        .select(res::source_uri)
        .distinct()
        .limit(limit)
        .load(c))?;
    Ok(uris.into_iter().flatten().collect())
}

/// Keeps how a device's secret stands.
pub fn set_rotation(
    tx: &mut Tx,
    device: &CaptureDevice,
    progress: Progress,
    because: &str,
    operation: Option<OperationId>,
) -> Result<(), StoreError> {
    each!(tx.conn, c => diesel::update(
        d::capture_devices.filter(d::gateway.eq(&device.gateway)).filter(d::enrolment.eq(db(device.enrolment))),
    )
    .set((
        d::rotation.eq(progress.as_str()),
        d::rotation_because.eq(because),
        d::rotation_operation.eq(db(operation)),
    ))
    .execute(c))?;
    Ok(())
}

/// Keeps how what a device reported stands.
pub fn set_reading(
    tx: &mut Tx,
    device: &CaptureDevice,
    progress: Progress,
    because: &str,
    operation: Option<OperationId>,
) -> Result<(), StoreError> {
    each!(tx.conn, c => diesel::update(
        d::capture_devices.filter(d::gateway.eq(&device.gateway)).filter(d::enrolment.eq(db(device.enrolment))),
    )
    .set((
        d::reading.eq(progress.as_str()),
        d::reading_because.eq(because),
        d::reading_operation.eq(db(operation)),
    ))
    .execute(c))?;
    Ok(())
}

/// A device has proved its new secret.
pub(crate) fn rotated(tx: &mut Tx, id: EnrolmentId) -> Result<(), StoreError> {
    each!(tx.conn, c => diesel::update(
        d::capture_devices
            .filter(d::enrolment.eq(db(id)))
            .filter(d::rotation.eq(Progress::Ordered.as_str())),
    )
    .set((
        d::rotation.eq(Progress::Done.as_str()),
        d::rotation_because.eq("the device has proved its new secret"),
    ))
    .execute(c))?;
    Ok(())
}
