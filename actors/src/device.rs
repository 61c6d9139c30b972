//! A device actor: the one place where a device's session and queue are worked on.
//!
//! Promise: one piece of work at a time, in the order received; the actor holds nothing that its rows and the
//! shard's index could not give again, so it may leave, or die, between any two pieces.

mod commit;
mod live;
mod proof;
mod record;
mod visit;

use std::sync::Arc;

use actix::{
    Actor, ActorContext, ActorFutureExt as _, Addr, AsyncContext, Context, Handler, Message, WrapFuture as _,
};
use postern_wire::route::RouteId;

use crate::{
    job::{Job, Work},
    shard::{Gone, Rest, Shard},
    shared::Shared,
};

pub(crate) use commit::PROFILES;
use live::Live;
pub(crate) use live::{Remembered, pending};

/// The actor of one route.
pub(crate) struct DeviceActor {
    route: RouteId,
    life: u64,
    shared: Arc<Shared>,
    shard: Addr<Shard>,
    /// What was loaded; away while a piece of work has it.
    live: Option<Box<Live>>,
    remembered: Remembered,
}

/// From the shard: leave.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Leave;

impl DeviceActor {
    pub(crate) fn new(
        route: RouteId,
        life: u64,
        remembered: Remembered,
        shared: Arc<Shared>,
        shard: Addr<Shard>,
    ) -> Self {
        shared.counters.actor_started();
        Self { route, life, shared, shard, live: None, remembered }
    }

    /// Tells the shard until when this actor is wanted. One message a piece of work, so bounded as the work is.
    fn rest(&mut self) {
        let now = self.shared.clock.monotonic();
        let at = match &self.live {
            None => now,
            Some(live) => now + live.wanted_for(&self.shared),
        };
        if let Some(live) = &self.live {
            self.remembered = live.remember();
        }
        self.shard.do_send(Rest { route: self.route, life: self.life, at, remembered: self.remembered });
    }
}

impl Actor for DeviceActor {
    type Context = Context<Self>;
}

impl Handler<Job> for DeviceActor {
    type Result = ();

    fn handle(&mut self, job: Job, ctx: &mut Self::Context) {
        match job.work {
            Work::Visit(visit) => {
                visit.ticket.start();
                let work =
                    visit::answer(self.shared.clone(), self.route, self.remembered, self.live.take(), visit);
                // The mailbox stands still until the work is done; other actors of the thread go on.
                ctx.wait(work.into_actor(self).map(|live, actor, _| {
                    actor.live = live;
                    actor.rest();
                }));
            }
            Work::Changed => {
                if let Some(live) = &mut self.live {
                    live.stale = true;
                }
            }
            Work::Abort => {
                if let Some(live) = &mut self.live {
                    live.session.abort();
                }
            }
            Work::Retired => {
                if let Some(mut live) = self.live.take() {
                    live.abandon(&self.shared);
                }
                self.rest();
            }
        }
    }
}

impl Handler<Leave> for DeviceActor {
    type Result = ();

    fn handle(&mut self, _: Leave, ctx: &mut Self::Context) {
        let Some(mut live) = self.live.take() else { return ctx.stop() };
        self.remembered = live.remember();
        let shared = self.shared.clone();
        let work = async move { live.end(&shared).await };
        ctx.wait(work.into_actor(self).map(|(), _, ctx| ctx.stop()));
    }
}

impl Drop for DeviceActor {
    fn drop(&mut self) {
        let panicked = std::thread::panicking();
        if panicked {
            tracing::error!(route_hash = %self.route.hash(), "a device actor panicked");
        }
        self.shared.counters.actor_ended(panicked);
        self.shard.do_send(Gone { route: self.route, life: self.life, remembered: self.remembered });
    }
}
