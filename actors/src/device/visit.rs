//! One request of a device, from its rows to its answer.

use std::sync::Arc;

use postern_engine::{
    effect::{Effect, Outcome, Reply},
    session::Inbound,
};
use postern_store::{StoreError, WriteError};
use postern_wire::route::RouteId;

use super::{
    commit::{Commit, defer},
    live::{Live, Remembered},
    proof,
};
use crate::{CheckIn, CheckedIn, Refusal, RefusalCause, Standing, job::Visit, shared::Shared};

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
    match receive(shared, &mut live, request).await {
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
    match receive(shared, &mut live, request).await {
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
    request: &CheckIn,
) -> Result<Result<CheckedIn, Refusal>, WriteError> {
    let now = shared.now();
    if request.peer.standing == Standing::WipeOnly && !live.queue.is_suspended_by_wipe() {
        let refusal = Refusal::new(RefusalCause::WipeOnly, "only a wipe may pass, and none is pending");
        return Ok(Err(Refusal { enrolment: Some(live.enrolment), ..refusal }));
    }
    let peer = proof::peer(live, shared, request, now);
    let accepted: Vec<_> =
        live.queue.iter().filter(|command| command.accepted.is_some()).map(|command| command.id).collect();

    let inbound = Inbound { content_type: request.media.as_str(), body: &request.body, peer: &peer };
    let before = live.session.current();
    let Outcome { reply, durable, deferred, trace: _ } =
        live.session.receive(inbound, &mut live.queue, now, shared.random32());
    let session = live.session.current().or(before).map(|(session, _)| session);

    let mut commit = Commit::gather(live.enrolment, session, durable, &accepted);
    let opened = deferred.iter().find_map(|effect| match effect {
        Effect::SessionOpened { class, .. } => Some(*class),
        _ => None,
    });
    let managed = opened.filter(|_| !live.managed);
    if let Some(class) = managed {
        commit.managed(class);
    }
    let sent = commit.sent();
    if !commit.is_empty() {
        commit.write(shared).await?;
    }
    live.managed |= managed.is_some();
    for effect in deferred {
        defer(live, shared, effect, Some(request));
    }
    if let Some(record) = &mut live.record {
        record.sent(sent);
    }
    Ok(translate(live, reply))
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
