//! Gateways: where they are, the versions of their settings, what they acknowledged and how they are.

use diesel::{OptionalExtension, prelude::*};
use postern_wire::terms::UtcMillis;
use uuid::Uuid;

use crate::{
    column::{db, row},
    conn::each,
    errors::StoreError,
    tables::{gateway_acks::dsl as a, gateway_settings::dsl as s, gateways::dsl as t},
    tx::{Reader, Tx},
};

row! {
    /// One gateway.
    pub struct Gateway in gateways {
        /// Its name; its link certificate says `postern:gateway:NAME`.
        pub name: String,
        /// Where its link port is: `host:port`.
        pub address: String,
        /// `joining`, `active` or `retired`.
        pub state: String,
        /// Since when it is known.
        pub added_at: UtcMillis,
        /// The version of its settings that it is to have; 0: none, its defaults.
        pub settings_wanted: i64,
        /// The version that it acknowledged last.
        pub settings_in_force: i64,
        /// Why it rejected a version newer than the one in force.
        pub settings_rejected: Option<String>,
        /// The version of the blocked list that it acknowledged.
        pub blocked_in_force: i64,
        /// The version of the route list that it acknowledged.
        pub routes_in_force: i64,
        /// The id of its process; changes with each start.
        pub boot: Option<Uuid>,
        /// Its last heartbeat, as JSON.
        pub heartbeat: Option<String>,
        /// When that came.
        pub heartbeat_at: Option<UtcMillis>,
        /// Grows with each change by a person.
        pub revision: i64,
        /// `configuration`: it stands in the core's file; `joined`: it came with a bundle.
        pub origin: String,
        /// The names in its device port's certificate, one a line; empty: those of the devices' URL.
        pub names: String,
        /// The newest version of its settings, wanted or not; 0 when there is none.
        pub settings_newest: i64,
        /// The version that proved good last.
        pub settings_good: i64,
        /// When it was retired.
        pub ended_at: Option<UtcMillis>,
        /// Why.
        pub ended_because: Option<String>,
    }
}

row! {
    /// One version of a gateway's settings.
    pub struct Settings in gateway_settings {
        /// Whose.
        pub gateway: String,
        /// Counts from 1.
        pub version: i64,
        /// The document (JSON of the link contract).
        pub document: String,
        /// SHA-256 of the document's octets.
        pub sha256: [u8; 32],
        /// Who made it.
        pub actor: String,
        /// When.
        pub at: UtcMillis,
        /// What is set for this gateway alone (JSON object); the rest is of all gateways, or default.
        pub own: String,
        /// The version of what is set for all gateways that it was made with.
        pub defaults: i64,
        /// Why it was made.
        pub reason: Option<String>,
        /// `wanted`, `pushed`, `applied`, `good`, `rejected` or `replaced`.
        pub state: String,
        /// When it was sent first.
        pub pushed_at: Option<UtcMillis>,
        /// When the gateway answered.
        pub answered_at: Option<UtcMillis>,
        /// When it had proved good.
        pub good_at: Option<UtcMillis>,
        /// Why it was rejected.
        pub answer: Option<String>,
    }
}

/// What the next version of a gateway's settings is made of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewSettings {
    /// The whole document (JSON of the link contract).
    pub document: String,
    /// SHA-256 of it as the contract makes it.
    pub sha256: [u8; 32],
    /// What is set for this gateway alone.
    pub own: String,
    /// The version of what is set for all.
    pub defaults: i64,
    /// Why.
    pub reason: Option<String>,
}

row! {
    /// A gateway's word on a version.
    pub struct Ack in gateway_acks {
        /// Whose.
        pub gateway: String,
        /// Of what: `settings`, `blocked` or `routes`.
        pub kind: String,
        /// Of which version.
        pub version: i64,
        /// Taken, or rejected.
        pub ok: bool,
        /// Why it was rejected.
        pub reason: Option<String>,
        /// When.
        pub at: UtcMillis,
    }
}

/// A gateway that stands in the core's configuration.
pub const CONFIGURATION: &str = "configuration";
/// A gateway that came with a bundle.
pub const JOINED: &str = "joined";
/// The state of a gateway whose bundle was not used yet.
pub const JOINING: &str = "joining";
/// The state of a gateway that is dialed.
pub const ACTIVE: &str = "active";
/// The state of a gateway that is dialed no more.
pub const RETIRED: &str = "retired";

/// All gateways, in order of name.
pub fn list(r: &mut Reader) -> Result<Vec<Gateway>, StoreError> {
    Ok(each!(r.conn, c => t::gateways.order(t::name).select(Gateway::as_select()).load(c))?)
}

/// The gateway of this name.
pub fn find(r: &mut Reader, name: &str) -> Result<Option<Gateway>, StoreError> {
    Ok(
        each!(r.conn, c => t::gateways.filter(t::name.eq(name)).select(Gateway::as_select()).get_result(c).optional())?,
    )
}

/// Adds a gateway, or changes where a known one is; what it acknowledged stays.
pub fn put(tx: &mut Tx, name: &str, address: &str) -> Result<Gateway, StoreError> {
    let fresh = Gateway {
        name: name.to_owned(),
        address: address.to_owned(),
        state: "active".to_owned(),
        added_at: tx.now(),
        settings_wanted: 0,
        settings_in_force: 0,
        settings_rejected: None,
        blocked_in_force: 0,
        routes_in_force: 0,
        boot: None,
        heartbeat: None,
        heartbeat_at: None,
        revision: 1,
        origin: CONFIGURATION.to_owned(),
        names: String::new(),
        settings_newest: 0,
        settings_good: 0,
        ended_at: None,
        ended_because: None,
    };
    each!(tx.conn, c => diesel::insert_into(t::gateways)
        .values(fresh)
        .on_conflict(t::name)
        .do_update()
        .set((t::address.eq(address), t::revision.eq(t::revision + 1)))
        .execute(c))?;
    find(tx, name)?.ok_or(StoreError::NotFound("gateway"))
}

/// Makes a gateway one that is to join: under a new name, or in the place of one that was lost or retired. What it is to
/// hold stays; what the one before acknowledged does not.
pub fn expect(tx: &mut Tx, name: &str, address: &str, names: &str) -> Result<Gateway, StoreError> {
    let known = find(tx, name)?;
    if known.is_none() {
        put(tx, name, address)?;
    }
    let this = t::gateways.filter(t::name.eq(name));
    each!(tx.conn, c => diesel::update(this)
        .set((
            t::address.eq(address),
            t::state.eq(JOINING),
            t::origin.eq(JOINED),
            t::names.eq(names),
            t::settings_in_force.eq(0_i64),
            t::settings_rejected.eq(None::<String>),
            t::blocked_in_force.eq(0_i64),
            t::routes_in_force.eq(0_i64),
            t::ended_at.eq(None::<i64>),
            t::ended_because.eq(None::<String>),
            t::revision.eq(t::revision + 1),
        ))
        .execute(c))?;
    find(tx, name)?.ok_or(StoreError::NotFound("gateway"))
}

/// Sets a gateway's state.
pub fn set_state(tx: &mut Tx, name: &str, state: &str) -> Result<(), StoreError> {
    let changed = each!(tx.conn, c => diesel::update(t::gateways.filter(t::name.eq(name)))
        .set((t::state.eq(state), t::revision.eq(t::revision + 1)))
        .execute(c))?;
    known(changed)
}

/// Retires a gateway: it is dialed no more.
pub fn retire(tx: &mut Tx, name: &str, because: &str) -> Result<(), StoreError> {
    let now = tx.now();
    let changed = each!(tx.conn, c => diesel::update(t::gateways.filter(t::name.eq(name)))
        .set((
            t::state.eq(RETIRED),
            t::ended_at.eq(Some(now.0)),
            t::ended_because.eq(Some(because)),
            t::revision.eq(t::revision + 1),
        ))
        .execute(c))?;
    known(changed)
}

/// Adds the next version of a gateway's settings, which it is to have from now on. Gives its number.
pub fn add_settings(tx: &mut Tx, name: &str, new: &NewSettings, actor: &str) -> Result<i64, StoreError> {
    let gateway = find(tx, name)?.ok_or(StoreError::NotFound("gateway"))?;
    let version = gateway.settings_newest + 1;
    each!(tx.conn, c => diesel::update(
        s::gateway_settings
            .filter(s::gateway.eq(name))
            .filter(s::state.eq_any(["wanted", "pushed", "applied"])),
    )
    .set(s::state.eq("replaced"))
    .execute(c))?;
    let row = Settings {
        gateway: name.to_owned(),
        version,
        document: new.document.clone(),
        sha256: new.sha256,
        actor: actor.to_owned(),
        at: tx.now(),
        own: new.own.clone(),
        defaults: new.defaults,
        reason: new.reason.clone(),
        state: "wanted".to_owned(),
        pushed_at: None,
        answered_at: None,
        good_at: None,
        answer: None,
    };
    each!(tx.conn, c => diesel::insert_into(s::gateway_settings).values(row).execute(c))?;
    each!(tx.conn, c => diesel::update(t::gateways.filter(t::name.eq(name)))
        .set((
            t::settings_wanted.eq(version),
            t::settings_newest.eq(version),
            t::settings_rejected.eq(None::<String>),
            t::revision.eq(t::revision + 1),
        ))
        .execute(c))?;
    Ok(version)
}

/// A gateway holds settings of this version, which this database does not know (it was restored): the next document
/// gets a higher number. True when that was news.
pub fn adopt_version(tx: &mut Tx, name: &str, version: i64) -> Result<bool, StoreError> {
    let changed = each!(tx.conn, c => diesel::update(
        t::gateways.filter(t::name.eq(name)).filter(t::settings_newest.lt(version)),
    )
    .set((
        t::settings_newest.eq(version),
        t::settings_in_force.eq(version),
        t::revision.eq(t::revision + 1),
    ))
    .execute(c))?;
    Ok(changed > 0)
}

/// The newest version of each gateway's settings that there is a document of.
pub fn newest_documents(r: &mut Reader) -> Result<Vec<(String, i64)>, StoreError> {
    let mut all = Vec::new();
    for gateway in list(r)? {
        if let Some(newest) = settings(r, &gateway.name, None)? {
            all.push((gateway.name, newest.version));
        }
    }
    Ok(all)
}

/// Makes a version that there was the one that the gateway is to have; 0: none.
pub fn want_settings(tx: &mut Tx, name: &str, version: i64) -> Result<(), StoreError> {
    let changed = each!(tx.conn, c => diesel::update(t::gateways.filter(t::name.eq(name)))
        .set(t::settings_wanted.eq(version))
        .execute(c))?;
    known(changed)
}

/// Sets what the gateway holds, after it fell back.
pub fn settings_in_force(tx: &mut Tx, name: &str, version: i64) -> Result<(), StoreError> {
    let changed = each!(tx.conn, c => diesel::update(t::gateways.filter(t::name.eq(name)))
        .set(t::settings_in_force.eq(version))
        .execute(c))?;
    known(changed)
}

/// Notes that a version was sent; only the first time counts.
pub fn settings_pushed(tx: &mut Tx, name: &str, version: i64) -> Result<(), StoreError> {
    let now = tx.now();
    each!(tx.conn, c => diesel::update(
        s::gateway_settings
            .filter(s::gateway.eq(name))
            .filter(s::version.eq(version))
            .filter(s::pushed_at.is_null()),
    )
    .set(s::pushed_at.eq(Some(now.0)))
    .execute(c))?;
    each!(tx.conn, c => diesel::update(
        s::gateway_settings
            .filter(s::gateway.eq(name))
            .filter(s::version.eq(version))
            .filter(s::state.eq("wanted")),
    )
    .set(s::state.eq("pushed"))
    .execute(c))?;
    Ok(())
}

/// Notes that a version has proved good at the gateway.
pub fn settings_good(tx: &mut Tx, name: &str, version: i64) -> Result<(), StoreError> {
    let now = tx.now();
    each!(tx.conn, c => diesel::update(
        s::gateway_settings
            .filter(s::gateway.eq(name))
            .filter(s::version.eq(version))
            // One that was replaced holds again when what replaced it was rejected.
            .filter(s::state.eq_any(["wanted", "pushed", "applied", "replaced"])),
    )
    .set((s::state.eq("good"), s::good_at.eq(Some(now.0))))
    .execute(c))?;
    each!(tx.conn, c => diesel::update(t::gateways.filter(t::name.eq(name)))
        .set(t::settings_good.eq(version))
        .execute(c))?;
    Ok(())
}

/// One version of a gateway's settings; `None` as version: the newest.
pub fn settings(r: &mut Reader, name: &str, version: Option<i64>) -> Result<Option<Settings>, StoreError> {
    Ok(each!(r.conn, c => {
        let mut query = s::gateway_settings
            .into_boxed()
            .filter(s::gateway.eq(name))
            .order(s::version.desc())
            .limit(1)
            .select(Settings::as_select());
        if let Some(version) = version {
            query = query.filter(s::version.eq(version));
        }
        query.first(c).optional()
    })?)
}

/// The versions of a gateway's settings, newest first.
pub fn settings_history(r: &mut Reader, name: &str, limit: i64) -> Result<Vec<Settings>, StoreError> {
    Ok(each!(r.conn, c => s::gateway_settings
        .filter(s::gateway.eq(name))
        .order(s::version.desc())
        .limit(limit)
        .select(Settings::as_select())
        .load(c))?)
}

/// Keeps what a gateway said of a version. A rejected version leaves the one in force as it is.
pub fn acknowledge(tx: &mut Tx, ack: Ack) -> Result<(), StoreError> {
    let (name, kind, version) = (ack.gateway.clone(), ack.kind.clone(), ack.version);
    let (ok, reason) = (ack.ok, ack.reason.clone());
    let at = ack.at;
    each!(tx.conn, c => diesel::insert_into(a::gateway_acks)
        .values(ack)
        .on_conflict((a::gateway, a::kind, a::version))
        .do_update()
        .set((a::ok.eq(ok), a::reason.eq(reason.as_deref()), a::at.eq(at.0)))
        .execute(c))?;
    if kind == "settings" {
        let state = if ok { "applied" } else { "rejected" };
        let answer = reason.clone();
        // What was good before stays good when it is acknowledged again; a version can fall after it was applied.
        let from: &[&str] = if ok { &["wanted", "pushed"] } else { &["wanted", "pushed", "applied"] };
        each!(tx.conn, c => diesel::update(
            s::gateway_settings
                .filter(s::gateway.eq(name.as_str()))
                .filter(s::version.eq(version))
                .filter(s::state.eq_any(from)),
        )
        .set((s::state.eq(state), s::answered_at.eq(Some(at.0)), s::answer.eq(answer)))
        .execute(c))?;
    }
    let this = t::gateways.filter(t::name.eq(name.as_str()));
    let changed = match (kind.as_str(), ok) {
        ("settings", true) => each!(tx.conn, c => diesel::update(this)
            .set((t::settings_in_force.eq(version), t::settings_rejected.eq(None::<String>)))
            .execute(c))?,
        ("settings", false) => each!(tx.conn, c => diesel::update(this)
            .set(t::settings_rejected.eq(Some(format!("{version}: {}", reason.unwrap_or_default()))))
            .execute(c))?,
        ("blocked", true) => {
            each!(tx.conn, c => diesel::update(this).set(t::blocked_in_force.eq(version)).execute(c))?
        }
        ("routes", true) => {
            each!(tx.conn, c => diesel::update(this).set(t::routes_in_force.eq(version)).execute(c))?
        }
        _ => 1,
    };
    known(changed)?;
    trim_acks(tx, &name, &kind, version)
}

/// The acknowledgements of a gateway, newest first.
pub fn acks(r: &mut Reader, name: &str, limit: i64) -> Result<Vec<Ack>, StoreError> {
    Ok(each!(r.conn, c => a::gateway_acks
        .filter(a::gateway.eq(name))
        .order((a::at.desc(), a::version.desc()))
        .limit(limit)
        .select(Ack::as_select())
        .load(c))?)
}

/// Keeps a gateway's heartbeat (JSON of the link contract).
pub fn heartbeat(tx: &mut Tx, name: &str, boot: Uuid, heartbeat: &str) -> Result<(), StoreError> {
    let now = tx.now();
    let changed = each!(tx.conn, c => diesel::update(t::gateways.filter(t::name.eq(name)))
        .set((t::boot.eq(db(Some(boot))), t::heartbeat.eq(Some(heartbeat)), t::heartbeat_at.eq(Some(now.0))))
        .execute(c))?;
    known(changed)
}

/// Old acknowledgements of lists go; those of settings stay with their versions.
fn trim_acks(tx: &mut Tx, name: &str, kind: &str, version: i64) -> Result<(), StoreError> {
    /// Acknowledged list versions that are kept for each gateway.
    const KEEP: i64 = 20;
    if kind != "settings" {
        each!(tx.conn, c => diesel::delete(
            a::gateway_acks
                .filter(a::gateway.eq(name))
                .filter(a::kind.eq(kind))
                .filter(a::version.lt(version - KEEP)),
        )
        .execute(c))?;
    }
    Ok(())
}

fn known(changed: usize) -> Result<(), StoreError> {
    if changed == 1 { Ok(()) } else { Err(StoreError::NotFound("gateway")) }
}
