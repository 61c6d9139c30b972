//! One piece of work on its way to a device actor, and the ticket that bounds how many there are.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use actix::Message;
use postern_wire::route::RouteId;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::{CheckIn, CheckedIn, Refusal};

/// The right to have one piece of work inside a shard: it is given back when caller and actor have both let go.
pub(crate) struct Ticket {
    started: AtomicBool,
    _permit: OwnedSemaphorePermit,
}

impl Ticket {
    pub(crate) fn new(permit: OwnedSemaphorePermit) -> Arc<Self> {
        Arc::new(Self { started: AtomicBool::new(false), _permit: permit })
    }

    /// An actor has begun to work on it: from here on it is not safe to run it again.
    pub(crate) fn start(&self) {
        self.started.store(true, Ordering::Release);
    }

    /// Whether an actor began to work on it.
    pub(crate) fn started(&self) -> bool {
        self.started.load(Ordering::Acquire)
    }
}

/// A check-in, with the way back to who waits for it.
pub(crate) struct Visit {
    pub(crate) request: CheckIn,
    pub(crate) answer: oneshot::Sender<Result<CheckedIn, Refusal>>,
    pub(crate) ticket: Arc<Ticket>,
}

/// What a shard takes, and hands to the actor of the route.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Job {
    pub(crate) route: RouteId,
    pub(crate) work: Work,
}

pub(crate) enum Work {
    /// Answer a request. Wakes the actor.
    Visit(Box<Visit>),
    /// The stored rows changed: read them again before they are used. An idle device needs no telling.
    Changed,
    /// Let the next answer end the open session (Alert 1223). An idle device has none.
    Abort,
    /// The enrolment was retired: forget everything.
    Retired,
}

impl Work {
    /// Whether it needs an actor even where none is active.
    pub(crate) const fn wakes(&self) -> bool {
        !matches!(self, Self::Changed | Self::Abort | Self::Retired)
    }

    /// Whether the actor tells the shard when it is done with it.
    pub(crate) const fn rests(&self) -> bool {
        matches!(self, Self::Visit(_) | Self::Retired)
    }
}
