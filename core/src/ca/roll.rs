//! A roll-over: the next generation of a CA takes over while the one before is still trusted.
//!
//! Promise: nobody is cut off by its start, for the new CA's key is certified by the old one (the *bridge*, shown with
//! each new certificate): who knows only the old CA follows it to the new. New certificates come from the new one at
//! once; [`stragglers`] are those that still have one of the old. The end retires the old CA: gateways give its devices
//! no more than a wipe, links do not take its certificates at all. It is refused while there are stragglers unless it is
//! forced. Its abort goes the other way.

use postern_store::{
    Reader, StoreError, Tx,
    authorities::{self as rows, Authority},
    certificates,
};
use postern_wire::{
    link::CORE_URI_PREFIX,
    terms::{CaRole, CaState, UtcMillis},
};

use super::{Authorities, CaError};

/// So many stragglers are listed; the rest is counted as "more".
pub const LISTED: i64 = 200;

/// Who still has a certificate of another generation than the one that is to stay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Straggler {
    /// `device`, `gateway` or `core`.
    pub kind: &'static str,
    /// Its enrolment's id or its name.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// The generation that it is at; 0 where that is not known.
    pub generation: i64,
    /// Why it counts.
    pub why: String,
}

/// A roll-over that is under way.
#[derive(Clone, Debug, PartialEq)]
pub struct RollOver {
    /// The generation before, which is still trusted.
    pub old: Authority,
    /// The generation that signs.
    pub new: Authority,
}

/// Why a roll-over did not go on.
#[derive(Debug, thiserror::Error)]
pub enum RollError {
    /// There is none.
    #[error("no roll-over of the {0} CA is under way")]
    NotRolling(CaRole),
    /// There is one.
    #[error(
        "a roll-over of the {role} CA from generation {old} to {new} is under way: finish or abort it first"
    )]
    Rolling {
        /// Of which role.
        role: CaRole,
        /// From.
        old: i64,
        /// To.
        new: i64,
    },
    /// There is no CA to roll over from.
    #[error("no {0} CA signs on this core: there is nothing to roll over from")]
    NoCa(CaRole),
    /// Some still need the CA that is to go.
    #[error("{} still have a certificate of the {role} CA's generation {generation}", how_many(*.count, *.more))]
    Stragglers {
        /// Of which role.
        role: CaRole,
        /// Of which generation.
        generation: i64,
        /// How many were counted.
        count: usize,
        /// There are more.
        more: bool,
    },
    /// The new CA could not be made.
    #[error(transparent)]
    Ca(#[from] CaError),
    /// The rows.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn how_many(count: usize, more: bool) -> String {
    match (count, more) {
        (_, true) => format!("more than {count}"),
        (1, false) => "1".to_owned(),
        _ => count.to_string(),
    }
}

/// The roll-over of a role, if one is under way: an own CA that is still trusted beside the one that signs.
pub fn under_way(r: &mut Reader, role: CaRole) -> Result<Option<RollOver>, StoreError> {
    let all = rows::list(r)?;
    let of = |state| {
        all.iter().find(|row| row.role == role && row.state == state && !row.key_file.is_empty()).cloned()
    };
    Ok(of(CaState::Signing).zip(of(CaState::Trusted)).map(|(new, old)| RollOver { old, new }))
}

/// The number that the next generation of a role gets.
pub fn next_generation(r: &mut Reader, role: CaRole) -> Result<i64, StoreError> {
    let all = rows::list(r)?;
    Ok(all.iter().filter(|row| row.role == role).map(|row| row.generation).max().unwrap_or(0) + 1)
}

/// Makes the next generation ready: key file, certificate, bridge. Nothing counts before [`start`].
///
/// # Errors
/// [`CaError`].
pub fn prepare(
    authorities: &Authorities,
    role: CaRole,
    generation: i64,
    now: UtcMillis,
) -> Result<Authority, CaError> {
    authorities.make_next(role, generation, now)
}

/// Starts a roll-over to `next`.
///
/// # Errors
/// [`RollError`]; nothing has changed then.
pub fn start(tx: &mut Tx, next: &Authority) -> Result<RollOver, RollError> {
    let role = next.role;
    if let Some(RollOver { old, new }) = under_way(tx, role)? {
        return Err(RollError::Rolling { role, old: old.generation, new: new.generation });
    }
    let old = rows::signing(tx, role)?.ok_or(RollError::NoCa(role))?;
    rows::set_state(tx, role, old.generation, CaState::Trusted)?;
    let requested = rows::find(tx, role, next.generation)?;
    if requested.is_some_and(|row| row.state == CaState::Requested) {
        rows::certify(tx, next)?;
        rows::set_state(tx, role, next.generation, CaState::Signing)?;
    } else {
        rows::insert(tx, Authority { made_at: tx.now(), state: CaState::Signing, ..next.clone() })?;
    }
    under_way(tx, role)?.ok_or(RollError::NotRolling(role))
}

/// Ends a roll-over: the generation before is retired. `held_back` are stragglers that the rows do not show (gateways
/// and cores by the certificates that they use).
///
/// # Errors
/// [`RollError`]; nothing has changed then.
pub fn finish(
    tx: &mut Tx,
    role: CaRole,
    force: bool,
    held_back: &[Straggler],
) -> Result<RollOver, RollError> {
    let rolling = under_way(tx, role)?.ok_or(RollError::NotRolling(role))?;
    refuse_stragglers(tx, role, rolling.old.generation, rolling.new.generation, force, held_back)?;
    rows::set_state(tx, role, rolling.old.generation, CaState::Retired)?;
    Ok(rolling)
}

/// Ends a roll-over the other way: the generation before signs again, the new one is retired.
///
/// # Errors
/// [`RollError`]; nothing has changed then.
pub fn abort(tx: &mut Tx, role: CaRole, force: bool, held_back: &[Straggler]) -> Result<RollOver, RollError> {
    let rolling = under_way(tx, role)?.ok_or(RollError::NotRolling(role))?;
    refuse_stragglers(tx, role, rolling.new.generation, rolling.old.generation, force, held_back)?;
    rows::set_state(tx, role, rolling.new.generation, CaState::Retired)?;
    rows::set_state(tx, role, rolling.old.generation, CaState::Signing)?;
    Ok(rolling)
}

fn refuse_stragglers(
    tx: &mut Tx,
    role: CaRole,
    goes: i64,
    stays: i64,
    force: bool,
    held_back: &[Straggler],
) -> Result<(), RollError> {
    if force {
        return Ok(());
    }
    let now = tx.now();
    let (found, more) = stragglers(tx, role, stays, now)?;
    let count = found.len() + held_back.iter().filter(|one| one.generation != stays).count();
    if count == 0 && !more {
        return Ok(());
    }
    Err(RollError::Stragglers { role, generation: goes, count, more })
}

/// The stragglers that the rows show, and whether there are more than are listed: devices by the certificate of their
/// enrolment; other cores by what they were issued last.
pub fn stragglers(
    r: &mut Reader,
    role: CaRole,
    stays: i64,
    now: UtcMillis,
) -> Result<(Vec<Straggler>, bool), StoreError> {
    let mut found = Vec::new();
    if role == CaRole::Device {
        for (id, name, generation) in certificates::device_stragglers(r, stays, None, LISTED + 1)? {
            let why = format!("its certificate is of generation {generation}");
            found.push(Straggler { kind: "device", id: id.to_string(), name, generation, why });
        }
    } else {
        if role == CaRole::Server {
            for (id, name, generation) in certificates::server_stragglers(r, stays, LISTED + 1)? {
                let why = "it is not known to trust the new CA; it follows the bridge".to_owned();
                found.push(Straggler { kind: "device", id: id.to_string(), name, generation, why });
            }
        }
        for row in certificates::stragglers(r, role, stays, now, LISTED + 1)? {
            let Some(id) = row.subject.strip_prefix(CORE_URI_PREFIX) else { continue };
            let why = format!(
                "the certificate {} that it was given last is of generation {}",
                row.serial, row.authority
            );
            let (id, generation) = (id.to_owned(), row.authority);
            found.push(Straggler { kind: "core", name: id.clone(), id, generation, why });
        }
    }
    let listed = usize::try_from(LISTED).unwrap_or(usize::MAX);
    let more = found.len() > listed;
    found.truncate(listed);
    Ok((found, more))
}
