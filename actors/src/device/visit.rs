//! One request of a device, from its rows to its answer.

use std::{collections::BTreeMap, sync::Arc};

use postern_engine::{
    command::is_pending,
    effect::{Decision, Effect, Outcome, Reply},
    queue::{PendingCommand, Queue},
    session::{Inbound, Session},
};
use postern_store::{StoreError, WriteError, lives, wipes};
use postern_wire::{
    route::RouteId,
    terms::{CommandId, DmSessionId, EnrolmentId, OperationKind, ProofClass, UtcMillis, WipeState},
};

use super::{
    commit::{Commit, defer},
    live::{Live, Remembered},
    proof,
};
use crate::{
    CheckIn, CheckedIn, Refusal, RefusalCause, Standing,
    inspector::Exchange,
    job::Visit,
    policy::apply,
    recordings::{self, Before},
    schedule::{self, Waiting},
    shared::Shared,
};

/// Rounds of policy in one session: enough for the most settings that one device may have. What is left, or comes again and again,
/// goes on at the next.
const POLICY_ROUNDS: u32 = 100;

/// Answers a request; gives back what is to be kept of the device.
pub(crate) async fn answer(
    shared: Arc<Shared>,
    route: RouteId,
    remembered: Remembered,
    live: Option<Box<Live>>,
    visit: Box<Visit>,
) -> Option<Box<Live>> {
    let Visit { request, answer, ticket } = *visit;
    #[cfg(test)]
    assert!(!request.body.starts_with(crate::tests::POISON), "on purpose");
    let (live, result) = work(&shared, route, remembered, live, &request).await;
    // Who asked may have gone; then the device asks again and gets the stored reply.
    let _ = answer.send(result);
    drop(ticket);
    live
}

async fn work(
    shared: &Arc<Shared>,
    route: RouteId,
    remembered: Remembered,
    live: Option<Box<Live>>,
    request: &CheckIn,
) -> (Option<Box<Live>>, Result<CheckedIn, Refusal>) {
    let mut live = match live {
        Some(live) => live,
        None => match Live::load(shared, route, remembered).await {
            Ok(live) => live,
            Err(refusal) => return (None, Err(refusal)),
        },
    };
    if live.stale
        && let Err(refusal) = live.refresh(shared, route).await
    {
        let refusal = Refusal { enrolment: Some(live.enrolment), ..refusal };
        live.abandon(shared);
        return (None, Err(refusal));
    }
    match receive(shared, &mut live, route, request).await {
        Ok(result) => (Some(live), result),
        Err(cause) if is_conflict(&cause) => again(shared, route, remembered, live, request).await,
        Err(cause) => held_back(shared, live, &cause),
    }
}

/// A row had changed under the session, such as by a cancel in the same moment: once more, from fresh rows.
async fn again(
    shared: &Arc<Shared>,
    route: RouteId,
    remembered: Remembered,
    mut lost: Box<Live>,
    request: &CheckIn,
) -> (Option<Box<Live>>, Result<CheckedIn, Refusal>) {
    lost.abandon(shared);
    let mut live = match Live::load(shared, route, remembered).await {
        Ok(live) => live,
        Err(refusal) => return (None, Err(refusal)),
    };
    std::mem::swap(&mut live.window, &mut lost.window);
    match receive(shared, &mut live, route, request).await {
        Ok(result) => (Some(live), result),
        Err(cause) => held_back(shared, live, &cause),
    }
}

/// The session has gone on, its rows have not: it is dropped, and loaded again with the next request.
fn held_back(
    shared: &Arc<Shared>,
    mut live: Box<Live>,
    cause: &WriteError,
) -> (Option<Box<Live>>, Result<CheckedIn, Refusal>) {
    tracing::warn!(device = %live.enrolment, %cause, "a reply was held back: what it rests on was not committed");
    live.abandon(shared);
    (None, Err(Refusal { enrolment: Some(live.enrolment), ..shared.unwritten(cause) }))
}

/// Runs the engine over one message and commits; the outer error means that the session is lost.
async fn receive(
    shared: &Arc<Shared>,
    live: &mut Live,
    route: RouteId,
    request: &CheckIn,
) -> Result<Result<CheckedIn, Refusal>, WriteError> {
    let now = shared.now();
    if request.peer.standing == Standing::WipeOnly
        && !live.queue.is_suspended_by_wipe()
        && !is_awaited(shared, live.enrolment).await
    {
        let refusal = Refusal::new(RefusalCause::WipeOnly, "only a wipe may pass, and none is pending");
        return Ok(Err(Refusal { enrolment: Some(live.enrolment), ..refusal }));
    }
    find_next(shared, live, request).await;
    let peer = proof::peer(live, shared, request, now);
    let inbound = Inbound { content_type: request.media.as_str(), body: &request.body, peer: &peer };
    let before = live.session.current();
    let seen = shared.inspector.sees(live.enrolment, shared.clock.monotonic());
    // At trace level the log tells what was decided, too.
    live.session.set_trace(seen || tracing::enabled!(tracing::Level::TRACE));
    let recorded = shared.recordings.wants(live.enrolment, now);
    let (mut settled, mut outcome) = take(shared, live, inbound, now, recorded);
    if (settled.settings || settled.policy)
        && opened(&outcome).is_some()
        && let Some(earlier) = settled.earlier.take()
    {
        // It proved itself, and its settings changed since it was compared: the same message once more, from where it
        // stood before, with what it is to be told in its queue.
        if settled.settings {
            schedule::compare(shared, live.enrolment, device_info(&outcome)).await?;
        }
        if settled.policy {
            apply::compare(shared, live.enrolment).await;
        }
        (live.session, live.queue) = *earlier;
        if let Err(refusal) = live.refresh(shared, route).await {
            return Ok(Err(Refusal { enrolment: Some(live.enrolment), ..refusal }));
        }
        live.session.set_trace(seen);
        (settled, outcome) = take(shared, live, inbound, now, recorded);
    }
    if opened(&outcome).is_some() {
        live.policy_rounds = 0;
    }
    let (mut sent_before, mut whole) = (0, None);
    if settled.closes_policy(&outcome) {
        live.policy_rounds += 1;
        if live.policy_rounds == POLICY_ROUNDS {
            tracing::warn!(device = %live.enrolment, "its policy goes on at its next session: this one had {POLICY_ROUNDS} rounds");
        }
    }
    if settled.closes_policy(&outcome) && live.policy_rounds < POLICY_ROUNDS {
        // All of an order of policy is answered: what it brought is committed first, then it is taken down, and where something
        // is still to be done the same message is taken once more, so that the session goes on with it.
        let session = live.session.current().or(before).map(|(session, _)| session);
        whole = settled.before.is_some().then(|| outcome.clone());
        let durable = std::mem::take(&mut outcome.durable);
        let goes_on = durable.iter().any(|effect| matches!(effect, Effect::CommandSent { .. }));
        let mut commit =
            Commit::gather(live.enrolment, session, durable, &settled.accepted, &settled.waiting);
        commit.guard(&live.guarded);
        sent_before = commit.sent();
        live.stale |= commit.write(shared).await?;
        let more = apply::compare(shared, live.enrolment).await;
        if more
            && !goes_on
            && let Some(earlier) = settled.earlier.take()
        {
            (live.session, live.queue) = *earlier;
            if let Err(refusal) = live.refresh(shared, route).await {
                return Ok(Err(Refusal { enrolment: Some(live.enrolment), ..refusal }));
            }
            live.session.set_trace(seen);
            (settled, outcome) = take(shared, live, inbound, now, recorded);
            whole = None;
            outcome.durable.retain(|effect| {
                matches!(
                    effect,
                    Effect::CommandSent { .. } | Effect::CommandMoved { .. } | Effect::ProbeSent { .. }
                )
            });
        } else {
            live.stale = true;
        }
    }
    let heard = settled.before.take().map(|before| (before, whole.unwrap_or_else(|| outcome.clone())));
    let opened = opened(&outcome);
    let Outcome { reply, durable, deferred, trace } = outcome;
    let current = live.session.current().or(before);
    let session = current.map(|(session, _)| session);

    let mut commit = Commit::gather(live.enrolment, session, durable, &settled.accepted, &settled.waiting);
    commit.guard(&live.guarded);
    if let Some(class) = opened.filter(|_| !live.managed) {
        commit.seen(class);
    }
    let shown = opened.is_some().then_some(live.next).flatten();
    if shown.is_some() && shows(request) == shown {
        commit.promote();
    }
    let proved = opened.is_some() || current.is_some();
    let managed = !live.managed && proved && Waiting::of(&live.queue).is_empty();
    if managed {
        commit.managed();
    }
    let sent = sent_before + commit.sent();
    if let Reply::Message { body, .. } = &reply {
        commit.heard(&request.body, body);
    }
    if !commit.is_empty() {
        // After a step of its wipe nothing that is held here may be right any more.
        live.stale |= commit.write(shared).await?;
    }
    if shown.is_some() && shows(request) == shown {
        live.fingerprint = live.next.take();
    }
    live.managed |= managed;
    if let Some((before, outcome)) = heard
        && let Some(transcript) = shared.recordings.hear(live.enrolment, &before, inbound, now, &outcome)
    {
        recordings::keep(shared, live.enrolment, transcript).await;
    }
    let ended = deferred.iter().any(|effect| matches!(effect, Effect::SessionClosed { .. }));
    for effect in deferred {
        defer(live, shared, effect, Some(request));
    }
    if let Some(record) = &mut live.record {
        record.sent(sent);
    }
    let answer = translate(live, reply);
    tell(live.enrolment, request, &answer, session, &trace);
    if seen {
        let exchange = exchange(request, &answer, session, trace, now);
        shared.inspector.keep(live.enrolment, exchange, ended);
    }
    Ok(answer)
}

/// Whether a device that may have nothing but its wipe has acknowledged one, so that its session is what says that it was
/// not done. Nothing else is sent in it.
async fn is_awaited(shared: &Shared, id: EnrolmentId) -> bool {
    let wipe = shared.store.look_up(move |r| wipes::outstanding(r, id)).await;
    match wipe {
        Ok(wipe) => wipe.is_some_and(|wipe| wipe.state == WipeState::Accepted),
        Err(cause) => {
            tracing::debug!(device = %id, %cause, "its wipe was not looked up");
            false
        }
    }
}

/// The certificate that a request shows.
fn shows(request: &CheckIn) -> Option<[u8; 32]> {
    request.peer.certificate.as_ref().map(|certificate| certificate.fingerprint)
}

/// A device that shows another certificate than the enrolled one may show the one that it was given for it. Only then is
/// there another read.
async fn find_next(shared: &Shared, live: &mut Live, request: &CheckIn) {
    let shown = shows(request);
    if shown.is_none() || live.fingerprint.is_none() || shown == live.fingerprint || shown == live.next {
        return;
    }
    let id = live.enrolment;
    match shared.store.look_up(move |r| lives::find(r, id)).await {
        Ok(life) => {
            live.next = life.and_then(|life| life.next_fingerprint).filter(|next| Some(*next) == shown)
        }
        Err(cause) => tracing::debug!(device = %id, %cause, "its next certificate was not looked up"),
    }
}

/// The log's lines of an exchange: sizes and decisions, never what was said.
fn tell(
    device: EnrolmentId,
    request: &CheckIn,
    answer: &Result<CheckedIn, Refusal>,
    session: Option<DmSessionId>,
    trace: &[Decision],
) {
    let (status, octets) = match answer {
        Ok(checked_in) => (200, checked_in.body.len()),
        Err(refusal) => (refusal.status(), 0),
    };
    tracing::debug!(
        %device,
        session = session.map(tracing::field::display),
        gateway = request.peer.gateway.as_deref(),
        request = %request.request_id,
        status,
        request_octets = request.body.len(),
        answer_octets = octets,
        "a message of a device was answered"
    );
    for decision in trace {
        tracing::trace!(%device, rule = decision.rule, decision = decision.text.as_str(), "decided");
    }
}

/// What a watcher is shown of this message.
fn exchange(
    request: &CheckIn,
    answer: &Result<CheckedIn, Refusal>,
    session: Option<DmSessionId>,
    trace: Vec<Decision>,
    at: UtcMillis,
) -> Exchange {
    let mut decisions: Vec<_> = trace.into_iter().map(|decision| (decision.rule, decision.text)).collect();
    let (status, answer) = match answer {
        Ok(checked_in) => (200, Some((checked_in.content_type, checked_in.body.clone()))),
        Err(refusal) => {
            decisions.push(("refuse", refusal.slug().to_owned()));
            (refusal.status(), None)
        }
    };
    Exchange {
        seq: 0,
        at,
        session,
        content_type: request.media.as_str(),
        request: request.body.clone(),
        status,
        answer,
        decisions,
    }
}

/// What stood in the queue before a message was taken, as far as what comes of it needs it.
struct Settled {
    accepted: Vec<CommandId>,
    waiting: Waiting,
    /// Its settings changed since it was compared.
    settings: bool,
    /// What is desired of it changed since it was compared.
    policy: bool,
    /// Commands of policy that it has not answered.
    asked: Vec<CommandId>,
    /// Session and queue as they were, where the device may have to be compared and the message taken again.
    earlier: Option<Box<(Session, Queue)>>,
    /// The same, with the message's random octets, where the session is taken down.
    before: Option<Box<Before>>,
}

impl Settled {
    /// Whether a message brought the last answer to the orders of policy that were under way.
    fn closes_policy(&self, outcome: &Outcome) -> bool {
        let ended = |id: &CommandId| {
            outcome.durable.iter().any(|effect| {
                matches!(effect, Effect::CommandMoved { command, state, .. } if command == id && !is_pending(*state))
            })
        };
        !self.asked.is_empty() && self.asked.iter().all(ended)
    }
}

fn take(
    shared: &Shared,
    live: &mut Live,
    inbound: Inbound<'_>,
    now: UtcMillis,
    recorded: bool,
) -> (Settled, Outcome) {
    let free = !live.queue.is_suspended_by_wipe();
    let settings = free && shared.standing.is_news(live.settings_epoch);
    let policy = free && shared.policy.is_news(live.policy_epoch);
    let of_policy = |command: &&PendingCommand| command.kind == OperationKind::Policy;
    let asked: Vec<CommandId> = match policy {
        true => live.queue.iter().filter(of_policy).map(|command| command.id).collect(),
        false => Vec::new(),
    };
    let accepted = live.queue.iter().filter(|command| command.accepted.is_some());
    let random = shared.random32();
    let before = || Box::new(Before { session: live.session.clone(), queue: live.queue.clone(), random });
    let settled = Settled {
        accepted: accepted.map(|command| command.id).collect(),
        waiting: Waiting::of(&live.queue),
        settings,
        policy,
        asked,
        earlier: (settings || policy).then(|| Box::new((live.session.clone(), live.queue.clone()))),
        before: recorded.then(before),
    };
    let outcome = live.session.receive(inbound, &mut live.queue, now, random);
    (settled, outcome)
}

/// How strongly the session was proved that this message opened.
fn opened(outcome: &Outcome) -> Option<ProofClass> {
    outcome.deferred.iter().find_map(|effect| match effect {
        Effect::SessionOpened { class, .. } => Some(*class),
        _ => None,
    })
}

fn device_info(outcome: &Outcome) -> Option<BTreeMap<String, String>> {
    outcome.deferred.iter().find_map(|effect| match effect {
        Effect::DeviceInfo(info) => Some(info.leaves.clone()),
        _ => None,
    })
}

fn translate(live: &Live, reply: Reply) -> Result<CheckedIn, Refusal> {
    match reply {
        Reply::Message { body, content_type, hmac, .. } => {
            let (enrolment, auth) = (live.enrolment, live.auth);
            Ok(CheckedIn { body: body.into(), content_type, hmac, enrolment, auth })
        }
        Reply::Refuse { status, reason } => {
            let refusal = Refusal::new(RefusalCause::Engine { status, reason }, reason.slug());
            Err(Refusal { enrolment: Some(live.enrolment), ..refusal })
        }
    }
}

/// Whether fresh rows may cure it.
const fn is_conflict(cause: &WriteError) -> bool {
    matches!(cause, WriteError::Rejected(StoreError::Conflict(_) | StoreError::NotFound(_)))
}
