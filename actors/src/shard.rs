//! A shard: the single owner of the device actors of its share of the routes.
//!
//! Promise: only the shard makes and drops device actors, so a route has one at most; an idle device costs an
//! entry of 32 octets in the shard's index once it was seen, and nothing before (its row is found by one read of a
//! unique index); timers of all its devices turn on one wheel.
//!
//! A device actor leaves by a handshake: the shard stops handing it work and keeps what comes, tells it to
//! leave, and makes a new one only after the old one said that it left. One that died by a panic says so from
//! its destructor; what was still in its mailbox comes back once through [`crate::Devices`].

use std::{sync::Arc, time::Duration};

use actix::{Actor, Addr, AsyncContext, Context, Handler, Message};
use postern_wire::route::RouteId;
use rustc_hash::FxHashMap;
use tokio::sync::oneshot;

use crate::{
    device::{DeviceActor, Leave, Remembered},
    job::Job,
    shared::Shared,
    wheel::Wheel,
};

/// One shard.
pub(crate) struct Shard {
    shared: Arc<Shared>,
    slots: FxHashMap<RouteId, Slot>,
    /// The index of idle devices: what no row says. A device that was not seen since the start has no entry.
    idle: FxHashMap<RouteId, Remembered>,
    wheel: Wheel<(RouteId, u64)>,
    lives: u64,
    stopping: Option<oneshot::Sender<()>>,
}

/// A device that is active.
struct Slot {
    addr: Addr<DeviceActor>,
    /// Tells this actor from an earlier one of the same route.
    life: u64,
    /// Pieces of work handed over whose end was not told yet: a busy actor is never told to leave.
    busy: u32,
    /// When it may be told to leave; moves on with every piece of work.
    rest_at: Duration,
    /// What is to be remembered of it, should it die.
    remembered: Remembered,
    /// The earliest timer set for it.
    timer_at: Duration,
    /// It was told to leave: work that comes meanwhile waits here, bounded by the shard's permits.
    leaving: Option<Vec<Job>>,
}

/// From a device actor: its work is done for now, and from `at` on it may leave.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Rest {
    pub(crate) route: RouteId,
    pub(crate) life: u64,
    pub(crate) at: Duration,
    pub(crate) remembered: Remembered,
}

/// From a device actor's destructor: it is gone.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Gone {
    pub(crate) route: RouteId,
    pub(crate) life: u64,
    pub(crate) remembered: Remembered,
}

/// Lets every device actor leave; the sender inside is dropped when the last one has left.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Stop(pub(crate) oneshot::Sender<()>);

impl Shard {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let wheel = Wheel::new(shared.settings.tick, shared.clock.monotonic());
        Self {
            shared,
            slots: FxHashMap::default(),
            idle: FxHashMap::default(),
            wheel,
            lives: 0,
            stopping: None,
        }
    }

    fn hand(&mut self, job: Job, ctx: &mut Context<Self>) {
        let mut waiting = Vec::new();
        match self.slots.get_mut(&job.route) {
            None if job.work.wakes() => {}
            None => return,
            Some(slot) if slot.addr.connected() => {
                match &mut slot.leaving {
                    // Each piece of work holds a permit of this shard, so this unbounded send is bounded.
                    None => slot.take(job),
                    Some(held) => held.push(job),
                }
                return;
            }
            // It panicked; its Gone is on the way and will find another life here.
            Some(slot) => {
                waiting = slot.leaving.take().unwrap_or_default();
                let remembered = slot.remembered;
                self.idle.insert(job.route, remembered);
            }
        }
        let slot = self.activate(job.route, ctx);
        for job in waiting.into_iter().chain([job]) {
            slot.take(job);
        }
    }

    fn activate(&mut self, route: RouteId, ctx: &mut Context<Self>) -> &mut Slot {
        self.lives += 1;
        let remembered = self.idle.remove(&route).unwrap_or_default();
        let addr =
            DeviceActor::new(route, self.lives, remembered, self.shared.clone(), ctx.address()).start();
        let rest_at = self.shared.clock.monotonic() + self.shared.settings.linger;
        self.wheel.set((route, self.lives), rest_at);
        let slot =
            Slot { addr, life: self.lives, busy: 0, rest_at, remembered, timer_at: rest_at, leaving: None };
        self.slots.entry(route).insert_entry(slot).into_mut()
    }

    fn turn(&mut self) {
        let now = self.shared.clock.monotonic();
        for (route, life) in self.wheel.turn(now) {
            let Some(slot) = self.slots.get_mut(&route).filter(|slot| slot.life == life) else { continue };
            if slot.timer_at > now || slot.leaving.is_some() {
                continue; // a later timer stands, or it is leaving already
            }
            if slot.busy == 0 && slot.rest_at <= now {
                slot.leave();
            } else {
                slot.timer_at = slot.rest_at.max(now);
                self.wheel.set((route, life), slot.timer_at);
            }
        }
    }
}

impl Slot {
    fn take(&mut self, job: Job) {
        self.busy += u32::from(job.work.rests());
        self.addr.do_send(job);
    }

    fn leave(&mut self) {
        self.leaving = Some(Vec::new());
        self.addr.do_send(Leave);
    }
}

impl Actor for Shard {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.run_interval(self.shared.settings.tick, |shard, _| shard.turn());
    }
}

impl Handler<Job> for Shard {
    type Result = ();

    fn handle(&mut self, job: Job, ctx: &mut Self::Context) {
        self.hand(job, ctx);
    }
}

impl Handler<Rest> for Shard {
    type Result = ();

    fn handle(&mut self, rest: Rest, _: &mut Self::Context) {
        let now = self.shared.clock.monotonic();
        let Some(slot) = self.slots.get_mut(&rest.route).filter(|slot| slot.life == rest.life) else {
            return;
        };
        slot.rest_at = rest.at;
        slot.remembered = rest.remembered;
        slot.busy = slot.busy.saturating_sub(1);
        if slot.leaving.is_some() || slot.busy > 0 {
            return;
        }
        if rest.at <= now {
            slot.leave();
        } else if rest.at < slot.timer_at {
            slot.timer_at = rest.at;
            self.wheel.set((rest.route, rest.life), rest.at);
        }
    }
}

impl Handler<Gone> for Shard {
    type Result = ();

    fn handle(&mut self, gone: Gone, ctx: &mut Self::Context) {
        if self.slots.get(&gone.route).is_none_or(|slot| slot.life != gone.life) {
            return;
        }
        let slot = self.slots.remove(&gone.route).expect("it was there a line above");
        if gone.remembered != Remembered::default() {
            self.idle.insert(gone.route, gone.remembered);
        }
        for job in slot.leaving.into_iter().flatten() {
            self.hand(job, ctx);
        }
        if self.slots.is_empty() {
            self.stopping = None;
        }
    }
}

impl Handler<Stop> for Shard {
    type Result = ();

    fn handle(&mut self, stop: Stop, _: &mut Self::Context) {
        for slot in self.slots.values_mut().filter(|slot| slot.leaving.is_none()) {
            slot.leave();
        }
        self.stopping = Some(stop.0).filter(|_| !self.slots.is_empty());
    }
}
