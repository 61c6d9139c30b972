//! The supervisor's timers: everything that is due is in the rows.

use std::time::Duration;

use postern_engine::{
    safety::approval::{State, look},
    wipe::{Clocked, Event, Way},
};
use postern_store::{
    StoreError, Tx,
    approvals::{self, Approval},
    commands, sessions,
    wipes::{self, Wipe},
};
use postern_wire::terms::{CommandState, UtcMillis, WipeEvidence, WipeState};
use uuid::Uuid;

use super::{
    WipeError, Wipes,
    decide::{as_request, write},
    issue::{Tools, issue, wakes_at},
    moves::{After, Said, apply, note},
    settings_of,
    tell::SERVICE,
};
use crate::AuditActor;

/// How often what is due is looked for.
const LOOK: Duration = Duration::from_secs(1);
/// Wipes that are looked at in one round; the next one follows at once.
const PAGE: i64 = 200;
/// How soon an accepted wipe, and one whose gateways have not all answered, is looked at again, in milliseconds.
const AGAIN_MS: i64 = 5_000;
/// How soon one that waits for a second person is, in milliseconds.
const APPROVAL_MS: i64 = 1_000;
/// How soon one in flight is, in milliseconds.
const IN_FLIGHT_MS: i64 = 60_000;
/// Sessions among which one after the acknowledgement is looked for.
const SESSIONS: i64 = 5;

/// Runs until it is dropped.
pub(super) async fn run(wipes: Wipes) {
    let mut look = tokio::time::interval(LOOK);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = look.tick() => {}
            () = wipes.inner.look.notified() => {}
        }
        if let Err(error) = look_at_all(&wipes).await {
            tracing::warn!(%error, "the wipe supervisor put something off");
        }
        let _first = wipes.inner.began.set(());
    }
}

/// Looks at everything that is due now.
pub(super) async fn look_at_all(wipes: &Wipes) -> Result<(), WipeError> {
    let shared = wipes.shared();
    loop {
        let now = shared.now();
        let due = shared.store.look_up(move |r| wipes::due(r, now, PAGE)).await;
        let due = due.map_err(|error| WipeError::Unavailable(error.to_string()))?;
        let steady = wipes.inner.devices.clock_is_steady();
        for row in &due {
            let (all, id) = (wipes.clone(), row.id);
            write(wipes, move |tx| Ok(Ok(((), look_at(tx, &all, id, steady)?)))).await?;
        }
        if i64::try_from(due.len()) != Ok(PAGE) {
            return Ok(());
        }
    }
}

fn look_at(tx: &mut Tx, all: &Wipes, id: Uuid, steady: bool) -> Result<After, StoreError> {
    let now = tx.now();
    let Some(wipe) = wipes::find(tx, id)?.filter(|wipe| wipe.next_at.is_some_and(|at| at <= now)) else {
        return Ok(After::default());
    };
    if let Some(event) = due(tx, &wipe, now, steady)? {
        let actor = AuditActor::service(SERVICE);
        let (evidence, cause) = match event {
            Event::Silence => (Some(WipeEvidence::Silent), "the device was not seen since it acknowledged"),
            Event::ComeBack => (None, "the device acknowledged its wipe and came back"),
            Event::Overrun => (None, "the device accepted its wipe and never told the end"),
            _ => (None, "its time passed"),
        };
        let said = Said { evidence, ..Said::because(cause) };
        return match apply(tx, &wipe, event, &actor, said)? {
            Ok((_, after)) => Ok(after),
            Err(refused) => Err(StoreError::Refused(refused.to_string())),
        };
    }
    match wipe.state {
        WipeState::Pending | WipeState::Retrying | WipeState::Armed => waiting(tx, all, wipe, steady),
        WipeState::Sent => put_off(tx, &wipe, IN_FLIGHT_MS),
        WipeState::Accepted => put_off(tx, &wipe, AGAIN_MS),
        WipeState::AwaitingApproval | WipeState::Requested => decided(tx, &wipe, steady),
        WipeState::Succeeded
        | WipeState::Failed
        | WipeState::Expired
        | WipeState::Cancelled
        | WipeState::InDoubt => perimeter(tx, all, wipe),
    }
}

/// What the clock, or the device by coming back, makes due.
fn due(tx: &mut Tx, wipe: &Wipe, now: UtcMillis, steady: bool) -> Result<Option<Event>, StoreError> {
    let Some(way) = Way::parse(&wipe.way) else { return Ok(None) };
    let came_back = match wipe.accepted_at.filter(|_| wipe.state == WipeState::Accepted) {
        Some(accepted) => sessions::of(tx, wipe.enrolment, SESSIONS)?
            .iter()
            .any(|session| session.opened_at > accepted && session.closed_at.is_some()),
        None => false,
    };
    let clocked = Clocked {
        state: wipe.state,
        way,
        armed: wipe.armed_at.is_some(),
        expires_at: wipe.expires_at,
        accepted_at: wipe.accepted_at,
        came_back,
    };
    Ok(clocked.due(&settings_of(wipe), now, steady))
}

/// One that waits for its device: a try is issued, or the device is asked again.
fn waiting(tx: &mut Tx, all: &Wipes, wipe: Wipe, steady: bool) -> Result<After, StoreError> {
    let now = tx.now();
    let queued = match wipe.command {
        Some(command) => commands::find(tx, command)?
            .is_some_and(|row| matches!(row.state, CommandState::Queued | CommandState::Sent)),
        None => false,
    };
    if queued {
        let after = perimeter_while_open(tx, all, &wipe)?;
        wipes::defer(tx, wipe.id, after.1, Some(wakes_at(&wipe, now)))?;
        return Ok(After { wakes: vec![wipe.enrolment], ..after.0 });
    }
    // A person's order goes out whatever the clock says; another try starts because of a time.
    if !steady && wipe.tries > 0 {
        return put_off(tx, &wipe, AGAIN_MS);
    }
    let shared = all.shared();
    let tools =
        Tools { signer: all.inner.parts.signer.as_ref(), sealer: &shared.sealer, settings: &shared.settings };
    let (_, after) = issue(tx, &tools, wipe, None)?;
    Ok(after)
}

/// One that waits for a second person: what became of its approval.
fn decided(tx: &mut Tx, wipe: &Wipe, steady: bool) -> Result<After, StoreError> {
    let found = match wipe.approval {
        Some(id) => approvals::find(tx, id)?,
        None => None,
    };
    let now = tx.now();
    // Its own cooling-off may be over, and its time may have passed, before anybody else looks; but because of a time alone
    // nothing begins and nothing ends while the time is in doubt.
    let stands = |approval: &Approval| {
        let request = as_request(approval);
        look(&request, now).filter(|_| steady).unwrap_or(request.state)
    };
    let state = found.as_ref().map(stands);
    let event = match state {
        Some(State::Waiting | State::Cooling) => return put_off(tx, wipe, APPROVAL_MS),
        Some(State::Granted | State::Approved) => Event::Approve,
        Some(State::Rejected | State::Expired | State::Stale) | None => Event::Reject,
    };
    let by = found.as_ref().and_then(|approval| approval.agreed_by.clone().or(approval.decided_by.clone()));
    let actor = by.map_or_else(|| AuditActor::service(SERVICE), |name| AuditActor::admin(&name, None));
    let cause = state.map_or("it is not there any more", State::as_str);
    let applied = apply(tx, wipe, event, &actor, Said::because(format!("its approval: {cause}")))?;
    let agreed = |approval: &Approval| {
        [State::Granted, State::Cooling].iter().any(|state| state.as_str() == approval.state)
    };
    if let Some(granted) = found.filter(|approval| event == Event::Approve && agreed(approval)) {
        let carried_out = Approval {
            state: State::Approved.as_str().to_owned(),
            decided_at: Some(tx.now()),
            because: "carried out by the wipe supervisor".to_owned(),
            ..granted
        };
        approvals::set(tx, &carried_out)?;
    }
    match applied {
        Ok((_, after)) => Ok(after),
        Err(refused) => Err(StoreError::Refused(refused.to_string())),
    }
}

fn put_off(tx: &mut Tx, wipe: &Wipe, ms: i64) -> Result<After, StoreError> {
    let at = tx.now().plus(ms);
    let expires = wipe.expires_at.filter(|expires| wipe.armed_at.is_none() && *expires > tx.now());
    wipes::defer(tx, wipe.id, wipe.revision, Some(expires.map_or(at, |expires| expires.min(at))))?;
    Ok(After::default())
}

/// Which gateways have the device on their list: each stands as a stamp, and when all have, none is waited for.
fn perimeter(tx: &mut Tx, all: &Wipes, wipe: Wipe) -> Result<After, StoreError> {
    let row = stamp_gateways(tx, all, wipe)?;
    let next = row.perimeter.as_ref().map(|_| tx.now().plus(AGAIN_MS));
    wipes::defer(tx, row.id, row.revision, next)?;
    Ok(After::default())
}

/// The same for one that is armed; gives the revision that it stands at then.
fn perimeter_while_open(tx: &mut Tx, all: &Wipes, wipe: &Wipe) -> Result<(After, i64), StoreError> {
    if wipe.perimeter.is_none() {
        return Ok((After::default(), wipe.revision));
    }
    let row = stamp_gateways(tx, all, wipe.clone())?;
    Ok((After::default(), row.revision))
}

fn stamp_gateways(tx: &mut Tx, all: &Wipes, wipe: Wipe) -> Result<Wipe, StoreError> {
    let holders = all.inner.parts.perimeter.holders();
    let event = format!("gateway-{}", if wipe.state == WipeState::Succeeded { "blocked" } else { "armed" });
    let known: Vec<String> = wipes::steps(tx, wipe.id)?
        .into_iter()
        .filter(|step| step.event == event)
        .map(|step| step.cause)
        .collect();
    let actor = AuditActor::service(SERVICE);
    let complete = holders.iter().all(|(_, has)| *has);
    let mut row = wipe;
    for (gateway, _) in holders.iter().filter(|(name, has)| *has && !known.contains(name)) {
        row = note(tx, row, &event, &actor, &Said::because(gateway.clone()))?;
    }
    if complete {
        row = note(
            tx,
            Wipe { perimeter: None, ..row },
            &format!("{event}-everywhere"),
            &actor,
            &Said::because(format!("{} gateways have it on their list", holders.len())),
        )?;
    }
    Ok(row)
}

#[cfg(test)]
impl Wipes {
    /// One look at everything, now.
    pub(crate) async fn look_now(&self) -> Result<(), WipeError> {
        look_at_all(self).await
    }
}
