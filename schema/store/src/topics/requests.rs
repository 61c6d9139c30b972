//! Requests for enrolments: who may come, with which one-time password, and what became of it.
//!
//! Promise: a code is never given out twice; a request that was changed by somebody else in between is a conflict.
//! The password itself does not rest here, only the key that is derived from it, sealed; when no device can come with
//! it any more the key is wiped.

use diesel::prelude::*;
use postern_wire::terms::{AuthType, Dialect, EnrolmentId, EnrolmentState, RequestState, UtcMillis};
use uuid::Uuid;

use crate::{
    column::{db, row},
    conn::each,
    errors::StoreError,
    tables::{enrolment_requests::dsl as t, enrolments::dsl as e},
    tx::{Reader, Tx},
};

row! {
    /// One request.
    pub struct Request in enrolment_requests {
        /// Its id.
        pub id: Uuid,
        /// The public part of the password, by which it is found.
        pub code: String,
        /// The key derived from the password, sealed for this id; none when no device can come with it any more.
        pub psk: Option<Vec<u8>>,
        /// Where it stands.
        pub state: RequestState,
        /// What the device is to be called.
        pub name: String,
        /// Whose it is to be.
        pub owner: Option<String>,
        /// What kind of device is expected.
        pub platform: Option<String>,
        /// The domain that the person's e-mail address has to have.
        pub email_domain: Option<String>,
        /// The mark of the hardware that has to come.
        pub hardware_id: Option<String>,
        /// How the device will prove itself.
        pub auth: AuthType,
        /// Which family of clients.
        pub dialect: Dialect,
        /// The groups that it joins: a JSON array of ids.
        pub member_of: String,
        /// The enrolment that gets a new generation.
        pub renews: Option<EnrolmentId>,
        /// Why.
        pub reason: String,
        /// Who made it.
        pub created_by: String,
        /// When.
        pub created_at: UtcMillis,
        /// No device may come with it from then on.
        pub expires_at: UtcMillis,
        /// Wrong passwords that were tried with its code.
        pub failures: i64,
        /// When the last one was.
        pub last_failure_at: Option<UtcMillis>,
        /// From which address.
        pub last_failure_source: Option<String>,
        /// When it was used, cancelled, locked or expired.
        pub finished_at: Option<UtcMillis>,
        /// By whom.
        pub finished_by: Option<String>,
        /// Why it is where it is.
        pub cause: String,
        /// The enrolment that came of it.
        pub enrolment: Option<EnrolmentId>,
        /// Its generation.
        pub generation: Option<i64>,
        /// SHA-256 over what the device that used it came with: only this one gets the answer again.
        pub csr_key: Option<[u8; 32]>,
        /// The answer that it got, sealed for this id; wiped with the key.
        pub result: Option<Vec<u8>>,
        /// Counts its changes, from 1.
        pub revision: i64,
    }
}

/// What a list of requests is narrowed by; all given parts must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// State.
    pub state: Option<RequestState>,
    /// Owner, exactly.
    pub owner: Option<String>,
}

/// One request.
pub fn find(r: &mut Reader, id: Uuid) -> Result<Option<Request>, StoreError> {
    Ok(each!(r.conn, c => t::enrolment_requests
        .filter(t::id.eq(db(id)))
        .select(Request::as_select())
        .first(c)
        .optional())?)
}

/// The request with this code.
pub fn by_code(r: &mut Reader, code: &str) -> Result<Option<Request>, StoreError> {
    Ok(each!(r.conn, c => t::enrolment_requests
        .filter(t::code.eq(code))
        .select(Request::as_select())
        .first(c)
        .optional())?)
}

/// A page of requests, the newest first, those before `before`.
pub fn list(
    r: &mut Reader,
    filter: &Filter,
    before: Option<Uuid>,
    limit: i64,
) -> Result<Vec<Request>, StoreError> {
    Ok(each!(r.conn, c => {
        let mut query = t::enrolment_requests
            .into_boxed()
            .order(t::id.desc())
            .limit(limit)
            .select(Request::as_select());
        if let Some(before) = before {
            query = query.filter(t::id.lt(db(before)));
        }
        if let Some(state) = filter.state {
            query = query.filter(t::state.eq(db(state)));
        }
        if let Some(owner) = filter.owner.clone() {
            query = query.filter(t::owner.eq(owner));
        }
        query.load(c)
    })?)
}

/// How many open requests this owner has.
pub fn open_of(r: &mut Reader, owner: &str) -> Result<i64, StoreError> {
    Ok(each!(r.conn, c => t::enrolment_requests
        .filter(t::owner.eq(Some(owner)))
        .filter(t::state.eq(db(RequestState::Open)))
        .count()
        .get_result(c))?)
}

/// How many devices of this owner are enrolled.
pub fn devices_of(r: &mut Reader, owner: &str) -> Result<i64, StoreError> {
    Ok(each!(r.conn, c => e::enrolments
        .filter(e::owner.eq(Some(owner)))
        .filter(e::state.ne(db(EnrolmentState::Retired)))
        .count()
        .get_result(c))?)
}

/// The open request that gives this enrolment a new generation.
pub fn open_renewal(r: &mut Reader, id: EnrolmentId) -> Result<Option<Request>, StoreError> {
    Ok(each!(r.conn, c => t::enrolment_requests
        .filter(t::state.eq(db(RequestState::Open)))
        .filter(t::renews.eq(db(Some(id))))
        .select(Request::as_select())
        .first(c)
        .optional())?)
}

/// Requests whose time has passed and which still hold a key: open ones, and used ones with their answers.
pub fn past(r: &mut Reader, now: UtcMillis, limit: i64) -> Result<Vec<Request>, StoreError> {
    Ok(each!(r.conn, c => t::enrolment_requests
        .filter(t::state.eq_any([RequestState::Open.as_str(), RequestState::Used.as_str()]))
        .filter(t::expires_at.le(now.0))
        .filter(t::psk.is_not_null())
        .order(t::expires_at)
        .limit(limit)
        .select(Request::as_select())
        .load(c))?)
}

/// Adds a request. `Conflict` when its code was ever used.
pub fn insert(tx: &mut Tx, request: Request) -> Result<(), StoreError> {
    if by_code(tx, &request.code)?.is_some() {
        return Err(StoreError::Conflict("this code was given out before".to_owned()));
    }
    each!(tx.conn, c => diesel::insert_into(t::enrolment_requests).values(request).execute(c))?;
    Ok(())
}

/// Writes what has become of a request that was read as `request`. `Conflict` when it changed since. Gives its new
/// revision.
pub fn update(tx: &mut Tx, request: &Request) -> Result<i64, StoreError> {
    let row = request;
    let changed = each!(tx.conn, c => diesel::update(
        t::enrolment_requests.filter(t::id.eq(db(row.id))).filter(t::revision.eq(row.revision)),
    )
    .set((
        t::psk.eq(row.psk.clone()),
        t::state.eq(db(row.state)),
        t::failures.eq(row.failures),
        t::last_failure_at.eq(db(row.last_failure_at)),
        t::last_failure_source.eq(row.last_failure_source.clone()),
        t::finished_at.eq(db(row.finished_at)),
        t::finished_by.eq(row.finished_by.clone()),
        t::cause.eq(row.cause.clone()),
        t::enrolment.eq(db(row.enrolment)),
        t::generation.eq(row.generation),
        t::csr_key.eq(db(row.csr_key)),
        t::result.eq(row.result.clone()),
        t::revision.eq(t::revision + 1),
    ))
    .execute(c))?;
    if changed == 1 {
        return Ok(row.revision + 1);
    }
    Err(StoreError::Conflict(format!("request {} is not at revision {}", row.id, row.revision)))
}
