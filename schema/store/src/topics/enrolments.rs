//! Enrolments: who a device is to us. A retired one stays as a tombstone, its route is never given out again.

use std::collections::BTreeMap;

use diesel::{OptionalExtension, prelude::*};
use postern_wire::terms::{AuthType, Dialect, EnrolmentId, EnrolmentState, ProofClass, UtcMillis};

use crate::{
    column::{db, row},
    conn::{
        Conn, each,
        kept::{Kept, Value, text},
    },
    errors::StoreError,
    tables::enrolments::dsl as t,
    tx::{Reader, Tx},
};

row! {
    /// An enrolment: everything that a check-in needs, in one row.
    pub struct Enrolment in enrolments {
        /// Stays the same for the device's life with us.
        pub id: EnrolmentId,
        /// Grows by one with every re-enrolment; a wipe is valid within one generation only.
        pub generation: i64,
        /// The 16 octets of the device's URL; unique over all generations ever.
        pub route: [u8; 16],
        /// DevInfo/DevId, as the device says it.
        pub device_id: String,
        /// What people call it.
        pub name: String,
        /// Whose it is.
        pub owner: Option<String>,
        /// Serial number or another mark of the hardware.
        pub hardware_id: Option<String>,
        /// How the device proves itself.
        pub auth: AuthType,
        /// The strongest proof seen; only an approved act lowers it.
        pub proof_floor: ProofClass,
        /// Which family of clients.
        pub dialect: Dialect,
        /// Where it stands.
        pub state: EnrolmentState,
        /// The sealed [`crate::credentials::Credentials`].
        pub credentials: Option<Vec<u8>>,
        /// The nonce that the device gave for our next digest to it (16 octets usually).
        pub server_nonce: Option<Vec<u8>>,
        /// Serial number of the device's certificate, lower-case hex.
        pub certificate_serial: Option<String>,
        /// SHA-256 of the device's certificate (DER).
        pub certificate_fingerprint: Option<[u8; 32]>,
        /// When the device's certificate expires.
        pub certificate_not_after: Option<UtcMillis>,
        /// How many commands are pending; kept by [`crate::commands`] in the same transaction.
        pub pending: i64,
        /// The policy epoch that the device last confirmed.
        pub policy_epoch: i64,
        /// When it was enrolled.
        pub created_at: UtcMillis,
        /// Its first authenticated session.
        pub first_seen_at: Option<UtcMillis>,
        /// Its latest authenticated message; written in batches, so a little behind.
        pub last_seen_at: Option<UtcMillis>,
        /// The address that it came from then.
        pub last_source: Option<String>,
        /// The gateway that it came through then.
        pub last_gateway: Option<String>,
        /// When it was retired.
        pub retired_at: Option<UtcMillis>,
        /// Why.
        pub retired_because: Option<String>,
        /// Grows with each change by a person (the API's ETag); not with last-seen or pending.
        pub revision: i64,
        /// The settings epoch that its schedule was last compared at; 0 is never ([`crate::settings::epoch`]).
        pub settings_epoch: i64,
        /// Until when one session may prove itself over the default nonce ([`expect_resync`]).
        pub resync_until: Option<UtcMillis>,
        /// The sealed credentials that the device is being told in place of [`Self::credentials`].
        pub next_credentials: Option<Vec<u8>>,
    }
}

impl Enrolment {
    /// A fresh enrolment of generation 1, never seen, nothing pending.
    #[must_use]
    pub fn new(id: EnrolmentId, route: [u8; 16], device_id: &str, auth: AuthType, now: UtcMillis) -> Self {
        Self {
            id,
            generation: 1,
            route,
            device_id: device_id.to_owned(),
            name: device_id.to_owned(),
            owner: None,
            hardware_id: None,
            auth,
            proof_floor: ProofClass::None,
            dialect: Dialect::Classic,
            state: EnrolmentState::New,
            credentials: None,
            server_nonce: None,
            certificate_serial: None,
            certificate_fingerprint: None,
            certificate_not_after: None,
            pending: 0,
            policy_epoch: 0,
            created_at: now,
            first_seen_at: None,
            last_seen_at: None,
            last_source: None,
            last_gateway: None,
            retired_at: None,
            retired_because: None,
            revision: 1,
            settings_epoch: 0,
            resync_until: None,
            next_credentials: None,
        }
    }
}

row! {
    /// What the index in memory keeps of an enrolment.
    pub struct IndexEntry in enrolments {
        /// The enrolment.
        pub id: EnrolmentId,
        /// Its route.
        pub route: [u8; 16],
        /// Its generation.
        pub generation: i64,
        /// Where it stands.
        pub state: EnrolmentState,
        /// How many commands are pending.
        pub pending: i64,
    }
}

/// A device was seen: what the flush of last-seen writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Which enrolment.
    pub id: EnrolmentId,
    /// When.
    pub at: UtcMillis,
    /// From which address.
    pub source: Option<String>,
    /// Through which gateway.
    pub gateway: Option<String>,
}

/// What a list of enrolments is narrowed by; all given parts must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// State.
    pub state: Option<EnrolmentState>,
    /// Owner, exactly.
    pub owner: Option<String>,
    /// A part of name or DevId (as it stands; `%` and `_` are themselves).
    pub text: Option<String>,
    /// Last seen before this moment, or never.
    pub not_seen_since: Option<UtcMillis>,
    /// Member of this group, directly (resolve nested ones with [`crate::groups::members`]).
    pub group: Option<uuid::Uuid>,
}

// --- reading

/// The enrolment with this id.
pub fn get(r: &mut Reader, id: EnrolmentId) -> Result<Enrolment, StoreError> {
    find(r, id)?.ok_or(StoreError::NotFound("enrolment"))
}

/// The enrolment with this id, if there is one.
pub fn find(r: &mut Reader, id: EnrolmentId) -> Result<Option<Enrolment>, StoreError> {
    Ok(
        each!(r.conn, c => t::enrolments.filter(t::id.eq(db(id))).select(Enrolment::as_select()).get_result(c).optional())?,
    )
}

/// The enrolment of a device URL: the one read of an idle check-in (one look-up in a unique index).
/// Tombstones are found too: look at `state`.
pub fn by_route(r: &mut Reader, route: &[u8; 16]) -> Result<Option<Enrolment>, StoreError> {
    Ok(each!(r.conn, c => t::enrolments
        .filter(t::route.eq(db(*route)))
        .select(Enrolment::as_select())
        .get_result(c)
        .optional())?)
}

/// Every enrolment that `text` may mean: its id, DevId, name, hardware id or certificate serial, exactly.
/// An ambiguous one has several; at most 20 come.
pub fn named(r: &mut Reader, text: &str) -> Result<Vec<Enrolment>, StoreError> {
    // A certificate's serial of 16 octets reads as an id too.
    if let Ok(id) = text.parse::<EnrolmentId>()
        && let Some(row) = find(r, id)?
    {
        return Ok(vec![row]);
    }
    let serial = text.to_ascii_lowercase();
    Ok(each!(r.conn, c => t::enrolments
        .filter(
            t::device_id.eq(text)
                .or(t::name.eq(text))
                .or(t::hardware_id.eq(Some(text)).assume_not_null())
                .or(t::certificate_serial.eq(Some(serial.as_str())).assume_not_null()),
        )
        .order(t::id)
        .limit(20)
        .select(Enrolment::as_select())
        .load(c))?)
}

/// The same, and those whose owner this is: by any identity that a person may know. Retired ones come last.
pub fn identified(r: &mut Reader, text: &str) -> Result<Vec<Enrolment>, StoreError> {
    let mut all = named(r, text)?;
    if all.is_empty() {
        all = each!(r.conn, c => t::enrolments
            .filter(t::owner.eq(Some(text)).assume_not_null())
            .order(t::id)
            .limit(20)
            .select(Enrolment::as_select())
            .load(c))?;
    }
    all.sort_by_key(|row: &Enrolment| row.state == EnrolmentState::Retired);
    Ok(all)
}

/// An enrolment that is not retired and has this DevId or this mark of the hardware: who enrols it anew has to
/// know.
pub fn live_twin(
    r: &mut Reader,
    device_id: &str,
    hardware_id: Option<&str>,
) -> Result<Option<Enrolment>, StoreError> {
    let retired = EnrolmentState::Retired;
    let twin = each!(r.conn, c => t::enrolments
        .filter(t::device_id.eq(device_id))
        .filter(t::state.ne(db(retired)))
        .first(c)
        .optional())?;
    if twin.is_some() || hardware_id.is_none() {
        return Ok(twin);
    }
    Ok(each!(r.conn, c => t::enrolments
        .filter(t::hardware_id.eq(hardware_id).assume_not_null())
        .filter(t::state.ne(db(retired)))
        .first(c)
        .optional())?)
}

/// An enrolment other than `except` that is not retired and has this DevId or this mark of the hardware.
pub fn twin(
    r: &mut Reader,
    device_id: &str,
    hardware_id: Option<&str>,
    except: Option<EnrolmentId>,
) -> Result<Option<EnrolmentId>, StoreError> {
    let except = except.unwrap_or(EnrolmentId(uuid::Uuid::nil()));
    let by_device: Vec<crate::column::Db<EnrolmentId>> = each!(r.conn, c => t::enrolments
        .filter(t::device_id.eq(device_id))
        .filter(t::state.ne(db(EnrolmentState::Retired)))
        .filter(t::id.ne(db(except)))
        .order(t::id)
        .limit(1)
        .select(t::id)
        .load(c))?;
    let by_hardware: Vec<crate::column::Db<EnrolmentId>> = match hardware_id {
        Some(mark) => each!(r.conn, c => t::enrolments
            .filter(t::hardware_id.eq(Some(mark)).assume_not_null())
            .filter(t::state.ne(db(EnrolmentState::Retired)))
            .filter(t::id.ne(db(except)))
            .order(t::id)
            .limit(1)
            .select(t::id)
            .load(c))?,
        None => Vec::new(),
    };
    let first = by_device.into_iter().chain(by_hardware).next();
    first
        .map(|id| EnrolmentId::try_from(id).map_err(|error| StoreError::Damaged(error.to_string())))
        .transpose()
}

diesel::define_sql_function! {
    /// Letters in capitals: SQLite knows those of ASCII only.
    fn upper(text: diesel::sql_types::Text) -> diesel::sql_types::Text;
}

/// Enrolments other than `except`, not retired, that may have this name in other letter case. Where the name has letters outside ASCII,
/// others of the same length come with them: the caller compares. At most 20 of a name in ASCII.
pub fn called(r: &mut Reader, name: &str, except: EnrolmentId) -> Result<Vec<Enrolment>, StoreError> {
    let live = t::state.ne(db(EnrolmentState::Retired)).and(t::id.ne(db(except)));
    if name.is_ascii() {
        let name = name.to_ascii_uppercase();
        return Ok(each!(r.conn, c => t::enrolments
            .filter(live)
            .filter(upper(t::name).eq(&name))
            .order(t::id)
            .limit(20)
            .select(Enrolment::as_select())
            .load(c))?);
    }
    let mut pattern = String::with_capacity(name.len());
    for c in name.chars() {
        match c {
            '%' | '_' | '\\' => pattern.extend(['\\', c]),
            c if c.is_ascii() => pattern.push(c.to_ascii_uppercase()),
            _ => pattern.push('_'),
        }
    }
    Ok(each!(r.conn, c => t::enrolments
        .filter(live)
        .filter(upper(t::name).like(&pattern).escape('\\'))
        .order(t::id)
        .select(Enrolment::as_select())
        .load(c))?)
}

/// A page of enrolments in order of id, those after `after`.
pub fn list(
    r: &mut Reader,
    filter: &Filter,
    after: Option<EnrolmentId>,
    limit: i64,
) -> Result<Vec<Enrolment>, StoreError> {
    use crate::tables::group_devices::dsl as g;
    Ok(each!(r.conn, c => {
        let mut query = t::enrolments.into_boxed().order(t::id).limit(limit).select(Enrolment::as_select());
        if let Some(after) = after {
            query = query.filter(t::id.gt(db(after)));
        }
        if let Some(state) = filter.state {
            query = query.filter(t::state.eq(db(state)));
        }
        if let Some(owner) = filter.owner.clone() {
            query = query.filter(t::owner.eq(owner));
        }
        if let Some(text) = &filter.text {
            let pattern = format!("%{}%", text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_"));
            query = query.filter(
                t::name.like(pattern.clone()).escape('\\').or(t::device_id.like(pattern).escape('\\')),
            );
        }
        if let Some(since) = filter.not_seen_since {
            query = query.filter(t::last_seen_at.is_null().or(t::last_seen_at.lt(since.0).assume_not_null()));
        }
        if let Some(group) = filter.group {
            query = query.filter(
                t::id.eq_any(g::group_devices.filter(g::group_id.eq(db(group))).select(g::enrolment)),
            );
        }
        query.load(c)
    })?)
}

/// A page of the index that the core keeps in memory, in order of id, tombstones included.
pub fn index(r: &mut Reader, after: Option<EnrolmentId>, limit: i64) -> Result<Vec<IndexEntry>, StoreError> {
    Ok(each!(r.conn, c => {
        let mut query = t::enrolments.into_boxed().order(t::id).limit(limit).select(IndexEntry::as_select());
        if let Some(after) = after {
            query = query.filter(t::id.gt(db(after)));
        }
        query.load(c)
    })?)
}

/// How many enrolments there are in a state.
pub fn count(r: &mut Reader, state: EnrolmentState) -> Result<i64, StoreError> {
    Ok(each!(r.conn, c => t::enrolments.filter(t::state.eq(db(state))).count().get_result(c))?)
}

// --- writing

/// Adds an enrolment. `Conflict` when its id or route was ever used.
pub fn insert(tx: &mut Tx, enrolment: Enrolment) -> Result<(), StoreError> {
    never_used(tx, &enrolment.route)?;
    each!(tx.conn, c => diesel::insert_into(t::enrolments).values(enrolment).execute(c))?;
    Ok(())
}

/// Adds many enrolments with as few statements as the backends allow: for benchmarks and imports, whose routes
/// are fresh (past generations' routes are not looked up).
pub fn insert_many(tx: &mut Tx, mut enrolments: Vec<Enrolment>) -> Result<(), StoreError> {
    /// 27 columns each: stays under SQLite's 32,766 and PostgreSQL's 65,535 bound values.
    const CHUNK: usize = 1000;
    while !enrolments.is_empty() {
        let rest = enrolments.split_off(enrolments.len().min(CHUNK));
        each!(tx.conn, c => diesel::insert_into(t::enrolments).values(enrolments).execute(c))?;
        enrolments = rest;
    }
    Ok(())
}

/// Changes what a person may change. `Conflict` when the row is no longer at `revision`. Gives the new revision.
pub fn describe(
    tx: &mut Tx,
    id: EnrolmentId,
    revision: i64,
    name: &str,
    owner: Option<&str>,
    hardware_id: Option<&str>,
) -> Result<i64, StoreError> {
    let changed = each!(tx.conn, c => diesel::update(t::enrolments.filter(t::id.eq(db(id))).filter(t::revision.eq(revision)))
        .set((
            t::name.eq(name),
            t::owner.eq(owner),
            t::hardware_id.eq(hardware_id),
            t::revision.eq(t::revision + 1),
        ))
        .execute(c))?;
    if changed == 1 {
        return Ok(revision + 1);
    }
    get(tx, id)?;
    Err(StoreError::Conflict(format!("enrolment {id} is not at revision {revision}")))
}

/// Gives an enrolment its next generation: a new route and way of proof; the old route stays a tombstone row
/// in the route list's history and is refused by [`by_route`].
pub fn next_generation(
    tx: &mut Tx,
    id: EnrolmentId,
    route: [u8; 16],
    auth: AuthType,
    credentials: Option<Vec<u8>>,
) -> Result<Enrolment, StoreError> {
    let old = get(tx, id)?;
    if old.state == EnrolmentState::Retired {
        return Err(StoreError::Refused(format!("enrolment {id} is retired")));
    }
    crate::meta::bury_route(tx, &old.route)?;
    never_used(tx, &route)?;
    each!(tx.conn, c => diesel::update(t::enrolments.filter(t::id.eq(db(id))))
        .set((
            t::generation.eq(t::generation + 1),
            t::route.eq(db(route)),
            t::auth.eq(db(auth)),
            t::credentials.eq(credentials),
            t::next_credentials.eq(None::<Vec<u8>>),
            t::server_nonce.eq(None::<Vec<u8>>),
            t::proof_floor.eq(db(ProofClass::None)),
            t::state.eq(db(EnrolmentState::New)),
            t::settings_epoch.eq(0),
            t::policy_epoch.eq(0),
            t::revision.eq(t::revision + 1),
        ))
        .execute(c))?;
    get(tx, id)
}

/// Keeps what a device said of itself when it came with a new generation, and the least proof that is accepted.
pub fn came_anew(
    tx: &mut Tx,
    id: EnrolmentId,
    device_id: &str,
    hardware_id: Option<&str>,
    floor: ProofClass,
) -> Result<(), StoreError> {
    let changed = each!(tx.conn, c => diesel::update(t::enrolments.filter(t::id.eq(db(id))))
        .set((
            t::device_id.eq(device_id),
            t::hardware_id.eq(hardware_id),
            t::proof_floor.eq(db(floor)),
            t::first_seen_at.eq(None::<i64>),
        ))
        .execute(c))?;
    one(changed)
}

/// Sets the certificate that the device proves itself with.
pub fn set_certificate(
    tx: &mut Tx,
    id: EnrolmentId,
    serial: &str,
    fingerprint: [u8; 32],
    not_after: UtcMillis,
) -> Result<(), StoreError> {
    let serial = serial.to_ascii_lowercase();
    let changed = each!(tx.conn, c => diesel::update(t::enrolments.filter(t::id.eq(db(id))))
        .set((
            t::certificate_serial.eq(Some(serial.as_str())),
            t::certificate_fingerprint.eq(db(Some(fingerprint))),
            t::certificate_not_after.eq(Some(not_after.0)),
        ))
        .execute(c))?;
    one(changed)
}

/// The device proved itself: its floor rises to `proof` (never falls).
pub fn authenticated(tx: &mut Tx, id: EnrolmentId, proof: ProofClass) -> Result<(), StoreError> {
    let now = tx.now();
    let row = get(tx, id)?;
    let floor = row.proof_floor.max(proof);
    let first = row.first_seen_at.unwrap_or(now);
    each!(tx.conn, c => diesel::update(t::enrolments.filter(t::id.eq(db(id))))
        .set((
            t::proof_floor.eq(db(floor)),
            t::first_seen_at.eq(Some(first.0)),
            t::last_seen_at.eq(Some(now.0)),
        ))
        .execute(c))?;
    Ok(())
}

/// The first session's work is done: a new device is managed from now on. Gives whether it was new.
pub fn managed(tx: &mut Tx, id: EnrolmentId) -> Result<bool, StoreError> {
    let changed = each!(tx.conn, c => diesel::update(
        t::enrolments.filter(t::id.eq(db(id))).filter(t::state.eq(db(EnrolmentState::New))),
    )
    .set(t::state.eq(db(EnrolmentState::Managed)))
    .execute(c))?;
    Ok(changed > 0)
}

/// A person decided that a quarantined enrolment is the one that stays: it is a new one from now on. Whether it was
/// in quarantine.
pub fn release(tx: &mut Tx, id: EnrolmentId) -> Result<bool, StoreError> {
    let changed = each!(tx.conn, c => diesel::update(
        t::enrolments.filter(t::id.eq(db(id))).filter(t::state.eq(db(EnrolmentState::Quarantined))),
    )
    .set((t::state.eq(db(EnrolmentState::New)), t::settings_epoch.eq(0), t::revision.eq(t::revision + 1)))
    .execute(c))?;
    Ok(changed > 0)
}

/// Keeps the settings epoch that the device's schedule was compared at.
pub fn set_settings_epoch(tx: &mut Tx, id: EnrolmentId, epoch: i64) -> Result<(), StoreError> {
    let changed = each!(tx.conn, c => diesel::update(t::enrolments.filter(t::id.eq(db(id))))
        .set(t::settings_epoch.eq(epoch))
        .execute(c))?;
    one(changed)
}

/// Lets one session prove itself over the default nonce until `until`, because a trigger with it goes out; with `None` that
/// leave is used up.
pub fn expect_resync(tx: &mut Tx, id: EnrolmentId, until: Option<UtcMillis>) -> Result<(), StoreError> {
    let until = until.map(|until| until.0);
    let changed = each!(tx.conn, c => diesel::update(t::enrolments.filter(t::id.eq(db(id))))
        .set(t::resync_until.eq(until))
        .execute(c))?;
    one(changed)
}

/// Keeps the nonce that the device gave for our next digest to it.
pub fn set_server_nonce(tx: &mut Tx, id: EnrolmentId, nonce: Option<&[u8]>) -> Result<(), StoreError> {
    let changed = each!(tx.conn, c => diesel::update(t::enrolments.filter(t::id.eq(db(id))))
        .set(t::server_nonce.eq(nonce))
        .execute(c))?;
    one(changed)
}

const SEEN: &str = "UPDATE enrolments SET last_seen_at = ?, last_source = ?, last_gateway = ? \
    WHERE id = ? AND (last_seen_at IS NULL OR last_seen_at < ?)";

const SEEN_ALL: &str = "UPDATE enrolments n SET last_seen_at = s.at, last_source = s.source, last_gateway = s.gateway \
    FROM unnest(?, ?, ?, ?) AS s (id, at, source, gateway) \
    WHERE n.id = s.id AND (n.last_seen_at IS NULL OR n.last_seen_at < s.at)";

/// Writes a batch of last-seen moments, of one device the latest; an older moment than the row's changes nothing.
pub fn seen<'a>(tx: &mut Tx, batch: impl IntoIterator<Item = &'a Seen>) -> Result<(), StoreError> {
    let mut latest: BTreeMap<EnrolmentId, &Seen> = BTreeMap::new();
    for one in batch {
        let known = latest.entry(one.id).or_insert(one);
        if known.at < one.at {
            *known = one;
        }
    }
    match &mut tx.conn {
        Conn::Sqlite(c) => {
            for one in latest.values() {
                let values = vec![
                    Value::integer(one.at.0),
                    Value::maybe_text(one.source.as_deref()),
                    Value::maybe_text(one.gateway.as_deref()),
                    Value::octets(one.id.0.as_bytes()),
                    Value::integer(one.at.0),
                ];
                Kept::<()>::new(SEEN, values).execute(c)?;
            }
        }
        Conn::Postgres(_) if latest.is_empty() => {}
        Conn::Postgres(c) => {
            let words = |of: fn(&Seen) -> Option<&str>| {
                Value::TextColumn(latest.values().map(|one| of(one).map(text)).collect())
            };
            let values = vec![
                Value::OctetsColumn(latest.keys().map(|id| Some(id.0.as_bytes().as_slice())).collect()),
                Value::IntegerColumn(latest.values().map(|one| Some(one.at.0)).collect()),
                words(|one| one.source.as_deref()),
                words(|one| one.gateway.as_deref()),
            ];
            Kept::<()>::new(SEEN_ALL, values).execute(c)?;
        }
    }
    Ok(())
}

/// Keeps the policy epoch that the device was brought to; 0: it is to be compared at its next session.
pub fn set_policy_epoch(tx: &mut Tx, id: EnrolmentId, epoch: i64) -> Result<(), StoreError> {
    let changed = each!(tx.conn, c => diesel::update(t::enrolments.filter(t::id.eq(db(id))))
        .set(t::policy_epoch.eq(epoch))
        .execute(c))?;
    one(changed)
}

/// Revokes an enrolment: it stays as a tombstone, its credentials are destroyed. Its pending commands are the
/// caller's to finish first: `Refused` while there are any.
pub fn retire(tx: &mut Tx, id: EnrolmentId, because: &str) -> Result<Enrolment, StoreError> {
    let now = tx.now();
    let row = get(tx, id)?;
    if row.state == EnrolmentState::Retired {
        return Ok(row);
    }
    if row.pending > 0 {
        return Err(StoreError::Refused(format!("{} commands are pending", row.pending)));
    }
    each!(tx.conn, c => diesel::update(t::enrolments.filter(t::id.eq(db(id))))
        .set((
            t::state.eq(db(EnrolmentState::Retired)),
            t::retired_at.eq(Some(now.0)),
            t::retired_because.eq(Some(because)),
            t::credentials.eq(None::<Vec<u8>>),
            t::next_credentials.eq(None::<Vec<u8>>),
            t::server_nonce.eq(None::<Vec<u8>>),
            t::revision.eq(t::revision + 1),
        ))
        .execute(c))?;
    get(tx, id)
}

fn never_used(r: &mut Reader, route: &[u8; 16]) -> Result<(), StoreError> {
    if crate::meta::is_buried(r, route)? {
        return Err(StoreError::Conflict("this route was used before".to_owned()));
    }
    Ok(())
}

/// Removes a retired enrolment and what is known of it: facts, memberships, finished commands with their results
/// and timelines, sessions, refusals. Its route stays known as used. `Refused` while it is not retired or has
/// pending commands (an open wipe is one).
pub fn purge(tx: &mut Tx, id: EnrolmentId) -> Result<(), StoreError> {
    use crate::tables::{
        commands_done, facts, group_devices, recordings, results, schedules, sessions, timeline,
    };
    let row = get(tx, id)?;
    if row.state != EnrolmentState::Retired || row.pending > 0 {
        return Err(StoreError::Refused(format!("enrolment {id} is {}, {} pending", row.state, row.pending)));
    }
    crate::meta::bury_route(tx, &row.route)?;
    super::refusals::forget(tx, id)?;
    super::settings::forget(tx, super::settings::Scope::Device(id))?;
    super::notifications::forget(tx, id)?;
    super::outbox::forget(tx, id)?;
    super::lives::forget(tx, id)?;
    each!(tx.conn, c => {
        let commands = commands_done::table.filter(commands_done::enrolment.eq(db(id))).select(commands_done::id);
        diesel::delete(timeline::table.filter(timeline::command.eq_any(commands))).execute(c)?;
        diesel::delete(results::table.filter(results::enrolment.eq(db(id)))).execute(c)?;
        diesel::delete(commands_done::table.filter(commands_done::enrolment.eq(db(id)))).execute(c)?;
        diesel::delete(sessions::table.filter(sessions::enrolment.eq(db(id)))).execute(c)?;
        diesel::delete(facts::table.filter(facts::enrolment.eq(db(id)))).execute(c)?;
        diesel::delete(schedules::table.filter(schedules::enrolment.eq(db(id)))).execute(c)?;
        diesel::delete(recordings::table.filter(recordings::enrolment.eq(db(id)))).execute(c)?;
        diesel::delete(group_devices::table.filter(group_devices::enrolment.eq(db(id)))).execute(c)?;
        diesel::delete(t::enrolments.filter(t::id.eq(db(id)))).execute(c)
    })?;
    Ok(())
}

/// Adds to the count of pending commands.
pub(crate) fn add_pending(tx: &mut Tx, id: EnrolmentId, more: i64) -> Result<(), StoreError> {
    const ADD: &str = "UPDATE enrolments SET pending = pending + ? WHERE id = ?";
    let statement = Kept::<()>::new(ADD, vec![Value::integer(more), Value::octets(id.0.as_bytes())]);
    one(each!(tx.conn, c => statement.execute(c))?)
}

pub(crate) fn one(changed: usize) -> Result<(), StoreError> {
    if changed == 1 { Ok(()) } else { Err(StoreError::NotFound("enrolment")) }
}
