//! What people decide of a wipe that was asked for: agree, take back, let off; and what a restore decides.

use postern_engine::{
    safety::approval::{self, State},
    wipe::{self as rules, Event, may_cancel, may_disarm},
};
use postern_store::{
    StoreError, Tx,
    approvals::{self, Approval},
    wipes::{self, Filter, Wipe},
};
use postern_wire::terms::{UtcMillis, WipeState};
use uuid::Uuid;

use super::{
    WipeError, Wipes,
    moves::{After, Said, apply, note},
    settings_of,
    tell::SERVICE,
};
use crate::{AuditActor, approvals as gate, orders::Unwritten, safety};

/// Outstanding wipes that one transaction of a restore takes.
const SOME: i64 = 200;

/// What became of a wish to disarm.
#[derive(Clone, Debug)]
pub enum Disarmed {
    /// One person has said so; another one has to.
    First(Wipe),
    /// The device is let off.
    Done(Wipe),
}

type Outcome<T> = Result<Result<(T, After), WipeError>, StoreError>;

pub(super) async fn cancel(
    all: &Wipes,
    id: Uuid,
    actor: AuditActor,
    reason: String,
) -> Result<Wipe, WipeError> {
    write(all, move |tx| {
        let Some(wipe) = wipes::find(tx, id)? else { return Ok(Err(WipeError::UnknownWipe(id))) };
        if let Err(refused) = may_cancel(wipe.state, settings_of(&wipe).unsuccessful) {
            return Ok(Err(refused.into()));
        }
        taken(apply(tx, &wipe, Event::Cancel, &actor, Said::because(reason.clone()))?)
    })
    .await
}

pub(super) async fn approve(
    all: &Wipes,
    id: Uuid,
    actor: AuditActor,
    reason: String,
) -> Result<Wipe, WipeError> {
    write(all, move |tx| {
        let Some(wipe) = wipes::find(tx, id)? else { return Ok(Err(WipeError::UnknownWipe(id))) };
        let found = match wipe.approval {
            Some(approval) if wipe.state == WipeState::AwaitingApproval => approvals::find(tx, approval)?,
            _ => None,
        };
        let Some(found) = found else {
            return Ok(Err(rules::Refused { state: wipe.state, event: Event::Approve }.into()));
        };
        let decided = match judge(tx, &found, &actor)? {
            Ok(decided) => decided,
            Err(refused) => return Ok(Err(refused)),
        };
        let now = tx.now();
        let over = decided == State::Approved;
        let moved = Approval {
            state: decided.as_str().to_owned(),
            agreed_at: Some(now),
            agreed_by: Some(actor.name.clone()),
            decided_at: over.then_some(now),
            decided_by: over.then(|| actor.name.clone()),
            because: reason.clone(),
            ..found
        };
        approvals::set(tx, &moved)?;
        if !over {
            // It cools off first; the supervisor sees the end of that.
            return Ok(Ok((wipe, After::default())));
        }
        let mut after = After::default();
        let mut own = None;
        for other in wipes::of_approval(tx, moved.id)? {
            if let Ok((row, more)) = apply(tx, &other, Event::Approve, &actor, Said::because(reason.clone()))?
            {
                after.extend(more);
                own = own.or(Some(row).filter(|row| row.id == id));
            }
        }
        match own {
            Some(row) => Ok(Ok((row, after))),
            None => Err(StoreError::Refused("the wipe does not take its approval".to_owned())),
        }
    })
    .await
}

/// The engine's rule over an approval, by whoever may approve.
fn judge(tx: &mut Tx, found: &Approval, actor: &AuditActor) -> Result<Result<State, WipeError>, StoreError> {
    let now = tx.now();
    let second = safety::second(tx, &found.requester, now)?;
    if let Some(held) = gate::frozen(tx)? {
        return Ok(Err(held.into()));
    }
    // By admin, role and token: one that another made in this admin's name would be both persons.
    let Some(from) = gate::decides_from(tx, found, actor)? else {
        return Ok(Err(no_role(actor)));
    };
    let by = approval::Decider { name: &actor.name, from, second, hash: found.hash };
    Ok(match approval::approve(&as_request(found), &by, now) {
        Ok(state) => Ok(state),
        Err(approval::Refused::OwnRequest) => Err(WipeError::SamePerson(actor.said())),
        Err(refused) => Err(WipeError::Approval(refused.to_string())),
    })
}

fn no_role(actor: &AuditActor) -> WipeError {
    WipeError::Approval(format!("{} holds no role that approves", actor.said()))
}

/// Whether this admin, with this role and this token, counts as one of the two who let a device off. What another made
/// within a day does not, be it the admin, the role or the token: one stolen token would be both persons. That holds for
/// the first as for the second, because the stolen one may be either.
fn one_of_two(tx: &mut Tx, actor: &AuditActor) -> Result<Result<(), WipeError>, StoreError> {
    let now = tx.now();
    Ok(match gate::approves_from(tx, actor)? {
        None => Err(no_role(actor)),
        Some(from) if from > now => {
            let why = format!("a new admin, role or token lets no device off before {from}");
            Err(WipeError::Approval(why))
        }
        Some(_) => Ok(()),
    })
}

/// An approval's row as the rules see it.
pub(super) fn as_request(found: &Approval) -> approval::Request<'_> {
    approval::Request {
        askers: &approval::NOBODY,
        state: State::parse(&found.state).unwrap_or(State::Stale),
        requester: &found.requester,
        hash: found.hash,
        expires: found.expires_at,
        cooling_ms: found.cooling_ms,
        agreed: found.agreed_at,
        alone_from: found.alone_from,
    }
}

pub(super) async fn disarm(
    all: &Wipes,
    id: Uuid,
    actor: AuditActor,
    reason: String,
) -> Result<Disarmed, WipeError> {
    write(all, move |tx| {
        let Some(wipe) = wipes::find(tx, id)? else { return Ok(Err(WipeError::UnknownWipe(id))) };
        if !may_disarm(wipe.state) {
            let refused = rules::Refused { state: wipe.state, event: Event::Disarm };
            return Ok(Err(refused.into()));
        }
        if let Err(refused) = one_of_two(tx, &actor)? {
            return Ok(Err(refused));
        }
        let who = actor.said();
        match &wipe.disarm_by {
            None => {
                let row = Wipe { disarm_by: Some(who), ..wipe };
                let row = note(tx, row, "disarm-asked", &actor, &Said::because(reason.clone()))?;
                Ok(Ok((Disarmed::First(row), After::default())))
            }
            Some(first) if *first == who => Ok(Err(WipeError::SamePerson(who))),
            Some(_) => {
                let said = Said::because(reason.clone());
                let done = taken(apply(tx, &wipe, Event::Disarm, &actor, said)?)?;
                Ok(done.map(|(row, after)| (Disarmed::Done(row), after)))
            }
        }
    })
    .await
}

pub(super) async fn restored(all: &Wipes, since: UtcMillis) -> Result<usize, WipeError> {
    let mut count = 0;
    let mut before = None;
    loop {
        let from = before;
        let (rows, last) = write(all, move |tx| {
            let filter = Filter { outstanding: Some(true), ..Filter::default() };
            let rows = wipes::list(tx, &filter, from, SOME)?;
            let last = rows.last().map(|row| row.id);
            let actor = AuditActor::service(SERVICE);
            let mut after = After::default();
            let mut done = 0_usize;
            for row in rows.iter().filter(|row| row.requested_at <= since) {
                let said =
                    Said::because("restored from a backup: what became of it since is not known; ask anew");
                if let Ok((_, more)) = apply(tx, row, Event::Restore, &actor, said)? {
                    after.extend(more);
                    done += 1;
                }
            }
            Ok(Ok(((done, last), after)))
        })
        .await?;
        count += rows;
        match last {
            Some(last) => before = Some(last),
            None => return Ok(count),
        }
    }
}

fn taken(applied: Result<(Wipe, After), rules::Refused>) -> Outcome<Wipe> {
    Ok(applied.map_err(WipeError::from))
}

/// One transaction, and after its commit whoever has to be told.
pub(super) async fn write<T: Send + 'static>(
    all: &Wipes,
    work: impl FnMut(&mut Tx) -> Outcome<T> + Send + 'static,
) -> Result<T, WipeError> {
    let shared = all.shared();
    let written = shared.store.write_urgent(work).await;
    let (value, mut after) = written.map_err(Unwritten::from)??;
    for ended in &after.ended {
        all.inner.devices.tell_retired(ended.route);
    }
    for route in std::mem::take(&mut after.routes) {
        all.inner.devices.changed(route);
    }
    after.tell(shared);
    all.look();
    Ok(value)
}
