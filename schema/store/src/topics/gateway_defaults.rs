//! What is set for all gateways, by version, and how far the roll-out of each version has come.

use diesel::{OptionalExtension, prelude::*};
use postern_wire::terms::UtcMillis;

use crate::{
    column::row,
    conn::each,
    errors::StoreError,
    tables::{gateway_defaults::dsl as t, gateway_rollout::dsl as s},
    tx::{Reader, Tx},
};

/// A version that is being rolled out.
pub const RUNNING: &str = "rolling-out";
/// A version that every gateway has or will have.
pub const IN_FORCE: &str = "in-force";
/// A version whose roll-out was stopped: the one before it counts.
pub const STOPPED: &str = "stopped";

row! {
    /// One version.
    pub struct Defaults in gateway_defaults {
        /// Counts from 1.
        pub version: i64,
        /// What is set (JSON object); the rest is default.
        pub document: String,
        /// Who set it.
        pub actor: String,
        /// Why.
        pub reason: Option<String>,
        /// When.
        pub at: UtcMillis,
        /// `rolling-out`, `in-force` or `stopped`.
        pub state: String,
        /// When its roll-out ended.
        pub ended_at: Option<UtcMillis>,
        /// Why it was stopped.
        pub because: Option<String>,
    }
}

row! {
    /// One gateway's place in a roll-out.
    pub struct Step in gateway_rollout {
        /// Of which version.
        pub defaults: i64,
        /// Which gateway.
        pub gateway: String,
        /// Its place; the first one is tried alone.
        pub position: i64,
        /// `waiting`, `given`, `done`, `failed` or `put-off`.
        pub state: String,
        /// The version of the gateway's settings that was made for it; 0: none yet.
        pub version: i64,
        /// Why it failed or was put off.
        pub because: Option<String>,
        /// Since when.
        pub at: UtcMillis,
    }
}

/// The version that counts: the newest one in force.
pub fn in_force(r: &mut Reader) -> Result<Option<Defaults>, StoreError> {
    Ok(each!(r.conn, c => t::gateway_defaults
        .filter(t::state.eq(IN_FORCE))
        .order(t::version.desc())
        .select(Defaults::as_select())
        .first(c)
        .optional())?)
}

/// The newest version, in force or not.
pub fn newest(r: &mut Reader) -> Result<Option<Defaults>, StoreError> {
    Ok(each!(r.conn, c => t::gateway_defaults
        .order(t::version.desc())
        .select(Defaults::as_select())
        .first(c)
        .optional())?)
}

/// One version.
pub fn find(r: &mut Reader, version: i64) -> Result<Option<Defaults>, StoreError> {
    Ok(each!(r.conn, c => t::gateway_defaults
        .filter(t::version.eq(version))
        .select(Defaults::as_select())
        .first(c)
        .optional())?)
}

/// Adds the next version, rolling out to these gateways in their order. Gives its number.
pub fn add(
    tx: &mut Tx,
    document: &str,
    actor: &str,
    reason: Option<&str>,
    gateways: &[String],
) -> Result<i64, StoreError> {
    let version = newest(tx)?.map_or(0, |newest| newest.version) + 1;
    let at = tx.now();
    let row = Defaults {
        version,
        document: document.to_owned(),
        actor: actor.to_owned(),
        reason: reason.map(str::to_owned),
        at,
        state: RUNNING.to_owned(),
        ended_at: None,
        because: None,
    };
    each!(tx.conn, c => diesel::insert_into(t::gateway_defaults).values(row).execute(c))?;
    for (position, gateway) in (0_i64..).zip(gateways) {
        let step = Step {
            defaults: version,
            gateway: gateway.clone(),
            position,
            state: "waiting".to_owned(),
            version: 0,
            because: None,
            at,
        };
        each!(tx.conn, c => diesel::insert_into(s::gateway_rollout).values(step).execute(c))?;
    }
    Ok(version)
}

/// The steps of a version's roll-out, in their order.
pub fn steps(r: &mut Reader, version: i64) -> Result<Vec<Step>, StoreError> {
    Ok(each!(r.conn, c => s::gateway_rollout
        .filter(s::defaults.eq(version))
        .order(s::position)
        .select(Step::as_select())
        .load(c))?)
}

/// Sets a step's state.
pub fn step(
    tx: &mut Tx,
    defaults: i64,
    gateway: &str,
    state: &str,
    version: i64,
    because: Option<&str>,
) -> Result<(), StoreError> {
    let now = tx.now();
    each!(tx.conn, c => diesel::update(
        s::gateway_rollout.filter(s::defaults.eq(defaults)).filter(s::gateway.eq(gateway)),
    )
    .set((s::state.eq(state), s::version.eq(version), s::because.eq(because), s::at.eq(now.0)))
    .execute(c))?;
    Ok(())
}

/// Ends a roll-out.
pub fn end(tx: &mut Tx, version: i64, state: &str, because: Option<&str>) -> Result<(), StoreError> {
    let now = tx.now();
    each!(tx.conn, c => diesel::update(t::gateway_defaults.filter(t::version.eq(version)))
        .set((t::state.eq(state), t::ended_at.eq(Some(now.0)), t::because.eq(because)))
        .execute(c))?;
    Ok(())
}
