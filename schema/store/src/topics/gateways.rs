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
        /// `active`, `drained` or `removed`.
        pub state: String,
        /// Since when it is known.
        pub added_at: UtcMillis,
        /// The newest version of its settings; 0 when there is none.
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
    }
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
    };
    each!(tx.conn, c => diesel::insert_into(t::gateways)
        .values(fresh)
        .on_conflict(t::name)
        .do_update()
        .set((t::address.eq(address), t::state.eq("active"), t::revision.eq(t::revision + 1)))
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

/// Adds the next version of a gateway's settings. Gives its number.
pub fn add_settings(
    tx: &mut Tx,
    name: &str,
    document: &str,
    sha256: [u8; 32],
    actor: &str,
) -> Result<i64, StoreError> {
    let gateway = find(tx, name)?.ok_or(StoreError::NotFound("gateway"))?;
    let version = gateway.settings_wanted + 1;
    let row = Settings {
        gateway: name.to_owned(),
        version,
        document: document.to_owned(),
        sha256,
        actor: actor.to_owned(),
        at: tx.now(),
    };
    each!(tx.conn, c => diesel::insert_into(s::gateway_settings).values(row).execute(c))?;
    each!(tx.conn, c => diesel::update(t::gateways.filter(t::name.eq(name)))
        .set((t::settings_wanted.eq(version), t::revision.eq(t::revision + 1)))
        .execute(c))?;
    Ok(version)
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
