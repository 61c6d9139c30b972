//! One step of a wipe: its row, its step, the audit, what is told of it, and what follows for the device; one transaction.

use postern_engine::{
    command::Cause,
    wipe::{Event, Ground, Refused, Unsuccessful, Way, retry_wait_ms, transition},
};
use postern_store::{
    StoreError, Tx,
    alarms::{self, Severity},
    audit as log, commands, enrolments,
    lists::{self, Change, List},
    wipes::{self, Wipe, WipeStep},
};
use postern_wire::{
    link::{Admission, BlockedEntry, BlockedSubject},
    route::RouteId,
    terms::{
        CommandState, DmSessionId, EnrolmentState, OperationId, ProofClass, UtcMillis, WipeEvidence,
        WipeState,
    },
};
use serde_json::json;

use super::{settings_of, tell};
use crate::{
    AuditActor,
    enrolment::rows::{self, Ended},
    orders::audit,
    shared::Shared,
};

/// The alarm of a device whose wipe is armed.
pub(crate) const ARMED: &str = "wipe-armed";
/// The alarm of a device that may have been wiped, or not.
pub(crate) const IN_DOUBT: &str = "wipe-in-doubt";
/// The alarm of a wipe whose device said that it failed.
pub(crate) const FAILED: &str = "wipe-failed";
/// How often an accepted wipe is looked at, in milliseconds: whether its device came back.
const ACCEPTED_LOOK_MS: i64 = 5_000;
/// How soon it is looked whether the gateways have the blocked list, in milliseconds.
const PERIMETER_LOOK_MS: i64 = 1_000;
/// Commands of one try that are ended together.
const COMMANDS: i64 = 128;

/// What is known of an event beside its name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Said {
    pub(crate) cause: String,
    pub(crate) status: Option<i64>,
    pub(crate) proof: Option<ProofClass>,
    pub(crate) session: Option<DmSessionId>,
    pub(crate) exchange: Option<[u8; 32]>,
    pub(crate) evidence: Option<WipeEvidence>,
}

impl Said {
    pub(crate) fn because(cause: impl Into<String>) -> Self {
        Self { cause: cause.into(), ..Self::default() }
    }
}

/// What a step means to others, to be told after the commit.
#[derive(Debug, Default)]
pub(crate) struct After {
    /// The enrolment ended.
    pub(crate) ended: Vec<Ended>,
    /// What joined the blocked list, or changed there.
    pub(crate) blocked: Vec<BlockedEntry>,
    /// What left it.
    pub(crate) freed: Vec<BlockedSubject>,
    /// Devices whose rows changed.
    pub(crate) routes: Vec<RouteId>,
    /// Devices that are to be asked to come.
    pub(crate) wakes: Vec<postern_wire::terms::EnrolmentId>,
}

impl After {
    pub(crate) fn extend(&mut self, more: Self) {
        self.ended.extend(more.ended);
        self.blocked.extend(more.blocked);
        self.freed.extend(more.freed);
        self.routes.extend(more.routes);
        self.wakes.extend(more.wakes);
    }

    /// Tells the gateways and whoever waits; the devices' actors are told by who has them.
    pub(crate) fn tell(self, shared: &Shared) {
        rows::announce(shared, self.blocked);
        for subject in self.freed {
            shared.announce.freed(subject);
        }
        for ended in self.ended {
            ended.tell_shared(shared);
        }
        if !self.wakes.is_empty() {
            shared.notices.queued(self.wakes, true);
        }
    }
}

/// Takes an event; a refused one changes nothing.
pub(crate) fn apply(
    tx: &mut Tx,
    wipe: &Wipe,
    event: Event,
    actor: &AuditActor,
    said: Said,
) -> Result<Result<(Wipe, After), Refused>, StoreError> {
    step(tx, wipe, event, actor, said, true)
}

/// The same for an enrolment that ends in this transaction: nothing more follows for it.
pub(crate) fn apply_ended(
    tx: &mut Tx,
    wipe: &Wipe,
    event: Event,
    actor: &AuditActor,
    said: Said,
) -> Result<Result<(Wipe, After), Refused>, StoreError> {
    step(tx, wipe, event, actor, said, false)
}

fn step(
    tx: &mut Tx,
    wipe: &Wipe,
    event: Event,
    actor: &AuditActor,
    said: Said,
    lives: bool,
) -> Result<Result<(Wipe, After), Refused>, StoreError> {
    let next = match transition(wipe.state, event, &ground(wipe)) {
        Ok(next) => next,
        Err(refused) => return Ok(Err(refused)),
    };
    let moved = changed(wipe, event, next, &said, tx.now());
    if ends_try(event) {
        end_commands(tx, wipe.operation, next, event)?;
    }
    let mut row = keep(tx, moved, event, actor, &said)?;
    tell::step(tx, &row, event)?;
    let mut after = After { routes: vec![RouteId::from_bytes(row.route)], ..After::default() };
    raise(tx, wipe, &row)?;
    match next {
        WipeState::Succeeded if lives => after.extend(succeeded(tx, &row)?),
        WipeState::Armed if wipe.armed_at.is_none() => after.extend(arm(tx, &row)?),
        WipeState::Cancelled if wipe.armed_at.is_some() => after.extend(free(tx, &row)?),
        WipeState::Failed | WipeState::Expired | WipeState::InDoubt if lives => {
            let (last, more) = unsuccessful(tx, wipe, row, event)?;
            row = last;
            after.extend(more);
        }
        _ => {}
    }
    Ok(Ok((row, after)))
}

/// What the guards look at.
pub(crate) fn ground(wipe: &Wipe) -> Ground {
    let settings = settings_of(wipe);
    let counts = Way::parse(&wipe.way).map(Way::evidence);
    Ground {
        status_counts: counts.is_some_and(|counts| counts.status),
        silence_counts: counts.is_some_and(|counts| counts.silence),
        leaving_counts: counts.is_some_and(|counts| counts.leaving),
        armed: wipe.armed_at.is_some(),
        tries_left: wipe.tries <= i64::from(settings.retries),
        arms: settings.unsuccessful == Unsuccessful::Arm,
        keeps: settings.unsuccessful == Unsuccessful::Keep,
    }
}

/// The row after an event.
fn changed(wipe: &Wipe, event: Event, next: WipeState, said: &Said, now: UtcMillis) -> Wipe {
    use WipeState as S;
    let settings = settings_of(wipe);
    let mut row = Wipe { state: next, cause: said.cause.clone(), ..wipe.clone() };
    row.status = said.status.or(row.status);
    row.proof = said.proof.or(row.proof);
    row.evidence = said.evidence.filter(|_| next == S::Succeeded);
    let tries = u32::try_from(wipe.tries).unwrap_or(u32::MAX);
    match next {
        S::Requested | S::AwaitingApproval => row.next_at = Some(now),
        // A lost command stands in the queue again; else there is none yet.
        S::Pending => row.next_at = Some(now),
        S::Sent => row.next_at = row.expires_at.filter(|_| row.armed_at.is_none()),
        S::Accepted => {
            row.accepted_at = Some(now);
            row.next_at = Some(now.plus(ACCEPTED_LOOK_MS));
        }
        S::Retrying => row.next_at = Some(now.plus(retry_wait_ms(&settings, tries))),
        S::Armed => {
            let wait = match (wipe.armed_at, event) {
                (None, _) | (_, Event::Lose) => 0,
                _ => retry_wait_ms(&settings, tries),
            };
            row.armed_at = wipe.armed_at.or(Some(now));
            row.next_at = Some(now.plus(wait));
            row.finished_at = None;
        }
        S::Succeeded | S::Failed | S::Expired | S::Cancelled | S::InDoubt => {
            row.finished_at = Some(now);
            row.next_at = None;
        }
    }
    if next == S::Succeeded {
        row.perimeter = Some("wait".to_owned());
        row.next_at = Some(now.plus(PERIMETER_LOOK_MS));
    }
    if next == S::Armed && wipe.armed_at.is_none() {
        row.perimeter = Some("wait".to_owned());
    }
    let another = matches!(next, S::Retrying | S::Armed);
    if another && (ends_try(event) || event == Event::Arm) {
        // The operation stays: what let it pass lets the next try pass.
        row.command = None;
    }
    row
}

/// Whether the try is over with this event: what is left of it in the device's queue ends too.
const fn ends_try(event: Event) -> bool {
    matches!(
        event,
        Event::Refuse
            | Event::Unsendable
            | Event::GiveUp
            | Event::Silence
            | Event::ComeBack
            | Event::Overrun
            | Event::Expire
            | Event::Cancel
            | Event::Disarm
            | Event::Reject
            | Event::Supersede
            | Event::Restore
            | Event::Leave
    )
}

/// Ends what is left of a try in the device's queue.
fn end_commands(
    tx: &mut Tx,
    operation: Option<OperationId>,
    next: WipeState,
    event: Event,
) -> Result<(), StoreError> {
    let Some(operation) = operation else { return Ok(()) };
    let rows = commands::of_operation(tx, operation, None, COMMANDS)?;
    let ends: Vec<_> = rows
        .iter()
        .filter(|row| matches!(row.state, CommandState::Queued | CommandState::Sent))
        .map(|row| {
            let unsent = row.state == CommandState::Queued && row.attempts == 0;
            let state = match (next, event) {
                (WipeState::Succeeded, _) => CommandState::Succeeded,
                (_, Event::ComeBack | Event::Overrun) => CommandState::Failed,
                (WipeState::Expired, _) if unsent => CommandState::Expired,
                _ if unsent => CommandState::Cancelled,
                _ => CommandState::InDoubt,
            };
            let cause = match event {
                Event::Cancel | Event::Disarm | Event::Reject => Cause::TakenBack.as_str(),
                Event::Expire => Cause::DeadlinePassed.as_str(),
                Event::Overrun => Cause::NoCompletion.as_str(),
                Event::Supersede | Event::Leave => Cause::Retired.as_str(),
                other => other.as_str(),
            };
            commands::Finish {
                id: row.id,
                state,
                status: None,
                cause: cause.to_owned(),
                proof: None,
                session: None,
            }
        })
        .collect();
    if !ends.is_empty() {
        commands::finish(tx, &ends)?;
    }
    Ok(())
}

/// Writes the row, its audit entry and its step.
pub(crate) fn keep(
    tx: &mut Tx,
    row: Wipe,
    event: Event,
    actor: &AuditActor,
    said: &Said,
) -> Result<Wipe, StoreError> {
    note(tx, row, event.as_str(), actor, said)
}

/// The same for a stamp that is no transition.
pub(crate) fn note(
    tx: &mut Tx,
    row: Wipe,
    event: &str,
    actor: &AuditActor,
    said: &Said,
) -> Result<Wipe, StoreError> {
    let step = entry(tx, &row, event, actor, said)?;
    let revision = wipes::update(tx, row.clone(), step)?;
    Ok(Wipe { revision, ..row })
}

/// The audit entry of a step, and the step that names it.
pub(crate) fn entry(
    tx: &mut Tx,
    row: &Wipe,
    event: &str,
    actor: &AuditActor,
    said: &Said,
) -> Result<WipeStep, StoreError> {
    let detail = json!({
        "wipe": row.id,
        "generation": row.generation,
        "kind": row.kind,
        "state": row.state,
        "cause": said.cause,
        "status": said.status,
        "evidence": row.evidence,
        "operation": row.operation,
    });
    audit(tx, actor, &format!("wipe.{event}"), format!("device:{}", row.enrolment), &detail)?;
    let (seq, _) = log::last(tx)?.ok_or_else(|| StoreError::Damaged("the audit log is empty".to_owned()))?;
    Ok(WipeStep {
        wipe: row.id,
        revision: row.revision,
        state: row.state,
        event: event.to_owned(),
        cause: said.cause.clone(),
        actor: actor.said(),
        status: said.status,
        session: said.session,
        exchange: said.exchange,
        audit: seq,
        at: tx.now(),
    })
}

/// The alarms that go with a state.
fn raise(tx: &mut Tx, was: &Wipe, row: &Wipe) -> Result<(), StoreError> {
    let subject = format!("device:{}", row.enrolment);
    let name = &row.device_id;
    match row.state {
        WipeState::Armed => {
            let text = format!(
                "the wipe {} of {name} is not proved done: the device reaches nothing but it; two persons can disarm it",
                row.id
            );
            alarms::raise(tx, Severity::Warning, ARMED, &subject, &text)?;
        }
        WipeState::InDoubt => {
            let text = format!("the device {name} may have been wiped or not ({}): {}", row.id, row.cause);
            alarms::raise(tx, Severity::Warning, IN_DOUBT, &subject, &text)?;
        }
        WipeState::Failed | WipeState::Retrying => {
            let status = row.status.map(|status| format!(" with {status}")).unwrap_or_default();
            let text = format!("the device {name} answered its wipe {}{status}: {}", row.id, row.cause);
            alarms::raise(tx, Severity::Warning, FAILED, &subject, &text)?;
        }
        WipeState::Succeeded | WipeState::Cancelled => {
            for kind in [ARMED, IN_DOUBT, FAILED] {
                alarms::clear(tx, kind, &subject, "the wipe is over")?;
            }
        }
        _ => {}
    }
    if was.state == WipeState::Armed && row.state != WipeState::Armed && row.state != WipeState::Sent {
        alarms::clear(tx, ARMED, &subject, "it is not armed any more")?;
    }
    Ok(())
}

/// After success: enrolment and certificate revoked, everything pending superseded, the owner kept.
fn succeeded(tx: &mut Tx, row: &Wipe) -> Result<After, StoreError> {
    let actor = AuditActor::service(tell::SERVICE);
    let because = match row.evidence {
        Some(evidence) => format!("wiped ({evidence}), wipe {}", row.id),
        None => format!("wiped, wipe {}", row.id),
    };
    end_enrolment(tx, row, &actor, "device.wiped", &because)
}

fn end_enrolment(
    tx: &mut Tx,
    row: &Wipe,
    actor: &AuditActor,
    action: &str,
    because: &str,
) -> Result<After, StoreError> {
    let found = enrolments::find(tx, row.enrolment)?;
    let live =
        found.filter(|found| found.generation == row.generation && found.state != EnrolmentState::Retired);
    let Some(device) = live else { return Ok(After::default()) };
    let ended = rows::end(tx, &device, actor, action, because)?;
    Ok(After { ended: vec![ended], ..After::default() })
}

/// Not proved done: armed, revoked or left, as it was set.
fn unsuccessful(tx: &mut Tx, was: &Wipe, row: Wipe, event: Event) -> Result<(Wipe, After), StoreError> {
    let never_let_pass = was.state == WipeState::AwaitingApproval;
    if never_let_pass || event == Event::Restore {
        return Ok((row, After::default()));
    }
    let actor = AuditActor::service(tell::SERVICE);
    match settings_of(&row).unsuccessful {
        Unsuccessful::Arm => {
            let said = Said::because(format!("not proved done: {}", row.cause));
            match step(tx, &row, Event::Arm, &actor, said, true)? {
                Ok(armed) => Ok(armed),
                Err(refused) => Err(StoreError::Refused(refused.to_string())),
            }
        }
        Unsuccessful::Disenroll => {
            let because = format!("its wipe {} is {} (DisenrollUnsuccessful)", row.id, row.state);
            let after = end_enrolment(tx, &row, &actor, "device.disenrolled", &because)?;
            Ok((row, after))
        }
        Unsuccessful::Keep => Ok((row, After::default())),
    }
}

/// From now on the device reaches nothing but its wipe.
fn arm(tx: &mut Tx, row: &Wipe) -> Result<After, StoreError> {
    let entry = BlockedEntry { subject: subject(row), verdict: Admission::WipeOnly };
    let change = Change::Add {
        entry: crate::orders::blocked_route(RouteId::from_bytes(row.route).hash()),
        verdict: entry.verdict.as_str().to_owned(),
    };
    lists::change(tx, List::Blocked, &[change])?;
    Ok(After { blocked: vec![entry], ..After::default() })
}

/// The device is let off.
fn free(tx: &mut Tx, row: &Wipe) -> Result<After, StoreError> {
    let entry = crate::orders::blocked_route(RouteId::from_bytes(row.route).hash());
    let ours = lists::find(tx, List::Blocked, &entry)?;
    if ours.is_none_or(|found| found.verdict != Admission::WipeOnly.as_str()) {
        return Ok(After::default());
    }
    lists::change(tx, List::Blocked, &[Change::Remove { entry }])?;
    Ok(After { freed: vec![subject(row)], ..After::default() })
}

fn subject(row: &Wipe) -> BlockedSubject {
    BlockedSubject::Route(RouteId::from_bytes(row.route).hash())
}
