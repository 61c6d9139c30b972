//! The gate before everything destructive: who wants it is counted, in the transaction that commits it, and again when
//! it is sent.
//!
//! Promise: [`admit`] is asked by every operation of a class of [`Class`] before it writes anything else, whatever way the
//! request came by; what was not admitted is not sent ([`send`]). What is refused here leaves its trace: a request for
//! approval, a freeze, an alarm; so a caller that was refused commits all the same. The rules are the engine's.

mod loud;
mod requests;
pub(crate) mod send;

use std::collections::BTreeSet;

use postern_engine::safety::{
    Approver, HOUR_MS,
    approval::NEWCOMER_MS,
    has_other,
    limits::{By, Figures, Verdict, judge},
};
pub use postern_engine::safety::{Class, approval::Content, limits::Limits};
use postern_store::{
    Reader, StoreError, Tx, admins,
    alarms::{self, Severity},
    approvals::Approval,
    destructive::{self, DestructiveAct, SetLimit, Whose},
    enrolments, freezes, roles,
};
use postern_wire::terms::{EnrolmentId, EventKind, OperationId, Role, UtcMillis};
use serde_json::json;
use uuid::Uuid;

pub(crate) use self::{
    loud::{loud, tell},
    requests::wait_for,
};
pub use self::{
    requests::{ask_consent, consent},
    send::may_send,
};
use crate::{AuditActor, AuditActorKind, orders::audit};

/// The kind of request that retires a device.
pub const RETIRE: &str = "retire";
/// The kind of request that un-enrols one.
pub const UNENROL: &str = "unenrol";
/// The kind of request that makes a new generation of one.
pub const RE_ENROL: &str = "re-enrol";
/// The kind of request that changes admins, their roles, and who may approve.
pub const ADMINS: &str = "admins";
/// The kind of request that revokes devices' certificates.
pub const CERTIFICATE: &str = "certificate";
/// The roles that may approve. `postern-core` holds them to the permission.
pub const APPROVING: [Role; 2] = [Role::DeviceAdmin, Role::SecurityAdmin];
/// The alarm that stands while everything destructive is frozen; its subject is [`FLEET`].
pub const FROZEN: &str = "frozen";
/// The subject of what concerns all devices.
pub const FLEET: &str = "fleet";
/// The alarm of a request that waits for approval.
pub const WAITING: &str = "approval-waiting";
/// The alarm of somebody who did alone what two should.
pub const ALONE: &str = "acting-alone";
/// The alarm of a use of break-glass.
pub const GLASS: &str = "break-glass";
/// The alarm of a service that did as much in an hour as it may.
pub const PACED: &str = "destructive-paced";
/// Requests that one person may have open.
const OPEN_REQUESTS: i64 = 100;
/// The reason that is shown of a freeze, in characters.
const REASON_SHOWN: usize = 200;

/// What somebody wants.
#[derive(Clone, Debug)]
pub struct Ask<'a> {
    /// What carries it out once it is approved: the kind of the request.
    pub kind: &'a str,
    /// What it does.
    pub class: Class,
    /// Who wants it.
    pub by: &'a AuditActor,
    /// The devices.
    pub targets: &'a [EnrolmentId],
    /// Why, in that person's words.
    pub reason: &'a str,
    /// All that says what exactly is done: an approval binds to it, and whoever carries it out reads it.
    pub settings: serde_json::Value,
}

/// What became of it. Also what is not let through has to be committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admitted {
    /// It may be done now; its operation is to be bound to the admission.
    Go(Admission),
    /// Somebody else has to agree first: this request waits.
    NeedsApproval(Uuid),
    /// It is refused.
    Held(Held),
}

/// What was let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admission(pub Uuid);

/// Why something destructive is not let through.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Held {
    /// A freeze stands, or this very request was too much and brought it about.
    #[error("destructive operations are frozen since {since}: {reason}")]
    Frozen {
        /// Since when.
        since: UtcMillis,
        /// Why.
        reason: String,
    },
    /// A service waits for the next hour.
    #[error("services did as much in this hour as they may")]
    Later,
    /// Break-glass was not opened by this person with this token, or its time is over.
    #[error("break-glass is not open for you: open it with a code from the safe")]
    NoGlass,
    /// Break-glass is good for fewer devices.
    #[error("break-glass is good for {left} more devices")]
    GlassSpent {
        /// How many it is good for.
        left: u64,
    },
    /// This person has too many requests open.
    #[error("you have {OPEN_REQUESTS} requests that wait for approval, which is the most")]
    TooManyOpen,
}

impl Admission {
    /// Names the operation that carries it out, for one device or for all of the admission.
    ///
    /// # Errors
    /// The database's.
    pub fn bind(
        self,
        tx: &mut Tx,
        device: Option<EnrolmentId>,
        operation: OperationId,
    ) -> Result<(), StoreError> {
        destructive::bind(tx, self.0, device, operation).map(|_| ())
    }
}

/// Judges something destructive inside the transaction that is to do it, and notes it where it is let through.
///
/// # Errors
/// The database's.
pub fn admit(tx: &mut Tx, ask: &Ask<'_>) -> Result<Admitted, StoreError> {
    let targets = with_generations(tx, ask.targets)?;
    let glass = match (ask.by.break_glass, person(ask.by), ask.by.token) {
        (false, ..) => None,
        (true, Some(name), Some(token)) => {
            let now = tx.now();
            match freezes::glass(tx, name, token, now)? {
                Some(open) => Some(open),
                None => return Ok(Admitted::Held(Held::NoGlass)),
            }
        }
        (true, ..) => return Ok(Admitted::Held(Held::NoGlass)),
    };
    let left = glass.as_ref().map(|open| u64::try_from(open.devices - open.spent).unwrap_or(0));
    let limits = limits(tx)?;
    let figures = figures(tx, ask.by, &targets, left)?;
    if let Some(granted) = requests::granted(tx, ask, &targets, &figures)? {
        return Ok(Admitted::Go(granted));
    }
    match judge(&limits, &figures) {
        Verdict::Go { alone } => {
            if alone {
                loud::loud_alone(tx, ask, &figures)?;
            }
            note(tx, ask.class, ask.by, &targets, None, false).map(Admitted::Go)
        }
        Verdict::Glass => {
            let admission = note(tx, ask.class, ask.by, &targets, None, true)?;
            if let Some(open) = glass {
                freezes::spend(tx, open.id, i64::try_from(targets.len()).unwrap_or(i64::MAX))?;
            }
            loud::loud_glass(tx, ask)?;
            Ok(Admitted::Go(admission))
        }
        Verdict::Approve { cooling_ms } => requests::request(tx, ask, targets, &limits, cooling_ms),
        Verdict::Freeze => {
            let most = limits.fleet(figures.fleet);
            let reason = format!(
                "{} asked for a {} of {} devices: with {} hit in the last hour that is more than {most}",
                ask.by.said(),
                ask.class,
                figures.targets,
                figures.all,
            );
            let frozen = freeze(tx, &AuditActor::service("safety"), &reason, true)?;
            Ok(Admitted::Held(Held::Frozen { since: frozen.since, reason: shown(&frozen.reason) }))
        }
        Verdict::Frozen => {
            let stands = freezes::current(tx)?;
            let (since, reason) =
                stands.map_or((tx.now(), String::new()), |freeze| (freeze.since, shown(&freeze.reason)));
            Ok(Admitted::Held(Held::Frozen { since, reason }))
        }
        Verdict::Later => {
            let text =
                format!("{} waits: services hit {} devices in the last hour", ask.by.said(), figures.mine);
            alarms::raise(tx, Severity::Warning, PACED, &format!("service:{}", ask.by.name), &text)?;
            Ok(Admitted::Held(Held::Later))
        }
        Verdict::GlassSpent => Ok(Admitted::Held(Held::GlassSpent { left: left.unwrap_or(0) })),
    }
}

/// Notes what an approval let through; the freeze counts all the same.
///
/// # Errors
/// The database's.
pub fn admit_approved(
    tx: &mut Tx,
    class: Class,
    approval: &Approval,
    targets: &[(EnrolmentId, i64)],
) -> Result<Admission, StoreError> {
    let by = AuditActor { token: approval.token, ..AuditActor::admin(&approval.requester, None) };
    note(tx, class, &by, targets, Some(approval.id), false)
}

/// What would become of a request now, and the figures that say so; nothing is written.
///
/// # Errors
/// The database's.
pub fn dry_run(
    r: &mut Reader,
    by: &AuditActor,
    targets: &[EnrolmentId],
    now: UtcMillis,
) -> Result<(Verdict, Figures), StoreError> {
    let targets = with_generations(r, targets)?;
    let limits = limits(r)?;
    let figures = figures_at(r, by, &targets, None, now)?;
    Ok((judge(&limits, &figures), figures))
}

/// The limits in force.
///
/// # Errors
/// The database's.
pub fn limits(r: &mut Reader) -> Result<Limits, StoreError> {
    let mut limits = Limits::default();
    for SetLimit { name, value, .. } in destructive::limits(r)? {
        // One that this release does not know, or not with this value, is as if it were not set.
        if let Ok(next) = limits.with(&name, u64::try_from(value).unwrap_or(0)) {
            limits = next;
        }
    }
    Ok(limits)
}

/// Who may approve, and since when.
///
/// # Errors
/// The database's.
pub fn approvers(r: &mut Reader) -> Result<Vec<Approver>, StoreError> {
    let grants = roles::list(r)?;
    let from = |admin: &admins::Admin| {
        let approving =
            grants.iter().filter(|grant| grant.admin == admin.id && APPROVING.contains(&grant.role));
        let since = approving.map(|grant| {
            // The first admin has its roles from the installation.
            if grant.granted_by == "service:init" { grant.at } else { grant.at.plus(NEWCOMER_MS) }
        });
        since.min().map(|since| since.max(admin.may_approve_from))
    };
    let known = admins::list(r)?;
    Ok(known
        .iter()
        .filter(|admin| admin.disabled_at.is_none())
        .filter_map(|admin| Some(Approver { name: admin.name.clone(), from: from(admin)? }))
        .collect())
}

/// Whether somebody other than this person may approve now.
///
/// # Errors
/// The database's.
pub fn second(r: &mut Reader, requester: &str, now: UtcMillis) -> Result<bool, StoreError> {
    second_beside(r, &[requester], now)
}

/// Whether somebody beside all of these may approve now.
///
/// # Errors
/// The database's.
pub fn second_beside(r: &mut Reader, beside: &[&str], now: UtcMillis) -> Result<bool, StoreError> {
    Ok(has_other(&approvers(r)?, beside, now))
}

/// Freezes everything destructive, with its row in the audit log and an alarm.
///
/// # Errors
/// The database's.
pub fn freeze(
    tx: &mut Tx,
    by: &AuditActor,
    reason: &str,
    automatic: bool,
) -> Result<freezes::Freeze, StoreError> {
    if let Some(stands) = freezes::current(tx)? {
        return Ok(stands);
    }
    let frozen = freezes::freeze(tx, &by.said(), reason, automatic)?;
    audit(tx, by, "safety.freeze", FLEET.to_owned(), &json!({ "reason": reason, "automatic": automatic }))?;
    let text = format!("nothing destructive is accepted or sent: {reason}");
    alarms::raise(tx, Severity::Critical, FROZEN, FLEET, &text)?;
    let data = json!({ "who": by.said(), "reason": reason, "automatic": automatic });
    tell(tx, EventKind::Frozen, format!("freeze:{}", frozen.id), by, data)?;
    Ok(frozen)
}

/// The person who asks; none for a service.
fn person(by: &AuditActor) -> Option<&str> {
    (by.kind == AuditActorKind::Admin).then_some(by.name.as_str())
}

fn with_generations(r: &mut Reader, targets: &[EnrolmentId]) -> Result<Vec<(EnrolmentId, i64)>, StoreError> {
    let wanted: BTreeSet<EnrolmentId> = targets.iter().copied().collect();
    let mut found = Vec::with_capacity(wanted.len());
    for id in wanted {
        found.push((id, enrolments::get(r, id)?.generation));
    }
    Ok(found)
}

fn figures(
    tx: &mut Tx,
    by: &AuditActor,
    targets: &[(EnrolmentId, i64)],
    glass: Option<u64>,
) -> Result<Figures, StoreError> {
    let now = tx.now();
    figures_at(tx, by, targets, glass, now)
}

fn figures_at(
    r: &mut Reader,
    by: &AuditActor,
    targets: &[(EnrolmentId, i64)],
    glass: Option<u64>,
    now: UtcMillis,
) -> Result<Figures, StoreError> {
    let hour = now.plus(-HOUR_MS);
    // Who lifted a freeze looked at what was before it.
    let reviewed = freezes::last_thaw(r)?.map_or(hour, |thaw| thaw.max(hour));
    let (whose, by) = match person(by) {
        Some(name) => (Whose::Person(name), By::Person { second: second(r, name, now)? }),
        None => (Whose::Services, By::Service),
    };
    let mine = destructive::hit(r, whose, hour)?;
    let all = destructive::hit(r, Whose::Persons, reviewed)?;
    let new = |among: &[EnrolmentId]| targets.iter().filter(|(id, _)| !among.contains(id)).count() as u64;
    Ok(Figures {
        by,
        frozen: freezes::current(r)?.is_some(),
        glass,
        fleet: destructive::fleet(r)?,
        mine: mine.len() as u64,
        all: all.len() as u64,
        new_mine: new(&mine),
        new_all: new(&all),
        targets: targets.len() as u64,
    })
}

fn note(
    tx: &mut Tx,
    class: Class,
    by: &AuditActor,
    targets: &[(EnrolmentId, i64)],
    approval: Option<Uuid>,
    glass: bool,
) -> Result<Admission, StoreError> {
    let (admission, at) = (tx.fresh_id(), tx.now());
    let acts = targets
        .iter()
        .map(|(enrolment, generation)| DestructiveAct {
            id: tx.fresh_id(),
            admission,
            enrolment: *enrolment,
            generation: *generation,
            class: class.as_str().to_owned(),
            person: person(by).map(str::to_owned),
            token: by.token,
            at,
            operation: None,
            approval,
            glass,
            sent_at: None,
        })
        .collect();
    destructive::insert(tx, acts)?;
    Ok(Admission(admission))
}

fn shown(reason: &str) -> String {
    reason.chars().take(REASON_SHOWN).collect()
}
