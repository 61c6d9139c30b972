//! The handle by which the core's HTTP side reaches the devices.

use std::{
    hash::{Hash, Hasher as _},
    sync::{
        Arc, OnceLock, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use actix::{Actor, Addr, Arbiter, ArbiterHandle};
use postern_engine::{nonce::NonceKey, profiles::Profiles, transcript::Described};
use postern_store::{Activity, Sealer, Store, WriteError, notifications::Notification};
use postern_wire::{
    route::RouteId,
    terms::{CommandId, EnrolmentId, UtcMillis},
};
use rustc_hash::FxHasher;
use tokio::sync::{Semaphore, oneshot, watch};

use crate::{
    Announce, AuditActor, CancelError, Cancelled, CheckIn, CheckedIn, Clock, CommandWatch, EnrolError,
    Enrolled, InForce, NewEnrolment, NotificationFigures, Notifications, NotifyError, Order, Randomness,
    Refusal, RefusalCause, RetireError, Retired, Rules, Settings, Stats, SubmitError, Submitted,
    WantedNotification, captures,
    counters::Counters,
    inspector::{Inspector, TooManyWatched, Watched},
    job::{Job, Ticket, Visit, Work},
    later::Later,
    notification::{self, Desk, Notices},
    orders,
    recordings::Recordings,
    schedule::Standing,
    shard::{Shard, Stop},
    shared::Shared,
    steady::Steady,
    upkeep,
    watch::Watches,
};

/// How long a stop waits for requests that are inside.
const DRAIN: Duration = Duration::from_secs(10);

/// What the devices need to start.
pub struct Parts {
    /// The store; may still stand by.
    pub store: Store,
    /// Opens and seals credentials.
    pub sealer: Arc<Sealer>,
    /// The actors' limits.
    pub settings: Settings,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The random source.
    pub random: Arc<dyn Randomness>,
    /// Is told of routes that go live or are buried.
    pub announce: Arc<dyn Announce>,
    /// Says what the settings mean to a device.
    pub rules: Arc<dyn Rules>,
}

/// The devices of this core: a handle, cheap to clone.
#[derive(Clone)]
pub struct Devices {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    shards: Vec<Door>,
    arbiters: Vec<Arbiter>,
    stopping: watch::Sender<bool>,
    activity: watch::Receiver<Activity>,
    desk: OnceLock<Arc<Desk>>,
}

/// The way into one shard. Its mailbox is bounded by the permits: an actix mailbox by itself bounds nothing.
struct Door {
    addr: RwLock<Addr<Shard>>,
    arbiter: ArbiterHandle,
    permits: Arc<Semaphore>,
}

impl Door {
    fn new(shared: &Arc<Shared>, arbiter: ArbiterHandle) -> Self {
        let permits = Arc::new(Semaphore::new(shared.settings.shard_permits));
        Self { addr: RwLock::new(Self::shard(shared, &arbiter)), arbiter, permits }
    }

    fn shard(shared: &Arc<Shared>, arbiter: &ArbiterHandle) -> Addr<Shard> {
        let shared = shared.clone();
        Shard::start_in_arbiter(arbiter, |_| Shard::new(shared))
    }

    /// Hands a message to the shard. One that died by a panic is replaced: its device actors end with their work,
    /// and what they leave is found in the rows.
    fn hand<M>(&self, shared: &Arc<Shared>, message: M)
    where
        M: actix::Message<Result = ()> + Send + 'static,
        Shard: actix::Handler<M>,
    {
        {
            let addr = self.addr.read().unwrap_or_else(PoisonError::into_inner);
            if addr.connected() {
                return addr.do_send(message);
            }
        }
        let mut addr = self.addr.write().unwrap_or_else(PoisonError::into_inner);
        if !addr.connected() {
            tracing::error!("a shard died and is replaced");
            *addr = Self::shard(shared, &self.arbiter);
        }
        addr.do_send(message);
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        for arbiter in &self.arbiters {
            arbiter.stop();
        }
    }
}

impl Devices {
    /// Starts the shards on threads of their own. Must be called inside an actix system.
    #[must_use]
    pub fn start(parts: Parts) -> Self {
        let Parts { store, sealer, settings, clock, random, announce, rules } = parts;
        let mut key = [0; 32];
        random.fill(&mut key);
        let started = clock.wall();
        let shared = Arc::new(Shared {
            steady: Steady::new(started, clock.monotonic()),
            nonce_key: NonceKey::new(key),
            started,
            counters: Counters::default(),
            watches: Watches::new(settings.watches),
            later: Later::new(settings.flush_at),
            notices: Notices::new(),
            held: AtomicBool::new(false),
            settings,
            clock,
            random,
            store,
            sealer,
            announce,
            rules,
            standing: Standing::default(),
            policy: crate::policy::apply::Standing::default(),
            inspector: Inspector::default(),
            recordings: Recordings::default(),
        });
        let settings = &shared.settings;
        let arbiters: Vec<_> = (0..settings.arbiters.max(1)).map(|_| Arbiter::new()).collect();
        let shards = (0..arbiters.len() * settings.shards_per_arbiter.max(1))
            .map(|index| Door::new(&shared, arbiters[index % arbiters.len()].handle()))
            .collect();
        let activity = shared.store.activity();
        let stopping = watch::Sender::new(false);
        let devices = Self {
            inner: Arc::new(Inner { shared, shards, arbiters, stopping, activity, desk: OnceLock::new() }),
        };
        devices.start_upkeep();
        devices
    }

    /// Answers one request of a device. What the answer rests on is durable when this returns.
    ///
    /// # Errors
    /// A [`Refusal`]; nothing acknowledged earlier is lost by it.
    pub async fn check_in(&self, request: CheckIn) -> Result<CheckedIn, Refusal> {
        let shared = &self.inner.shared;
        let began = shared.clock.monotonic();
        let result = self.pass(request).await;
        match &result {
            Ok(_) => shared.counters.answered(shared.clock.monotonic().saturating_sub(began)),
            Err(refusal) => shared.counters.refused(refusal.cause),
        }
        result
    }

    async fn pass(&self, request: CheckIn) -> Result<CheckedIn, Refusal> {
        let after = self.inner.shared.settings.retry_after_s;
        if !matches!(*self.inner.activity.borrow(), Activity::Active { .. }) {
            return Err(Refusal::retry(RefusalCause::Unavailable, after, "this core is not the active one"));
        }
        let door = self.door(&request.route);
        let Ok(permit) = door.permits.clone().try_acquire_owned() else {
            return Err(Refusal::retry(
                RefusalCause::Overloaded,
                after,
                "the device's shard has no permit left",
            ));
        };
        let ticket = Ticket::new(permit);
        let route = request.route;
        // The first answer may not come because the actor left, or died, before it began: once more then.
        for _ in 0..2 {
            let (answer, answered) = oneshot::channel();
            let visit = Visit { request: request.clone(), answer, ticket: ticket.clone() };
            door.hand(&self.inner.shared, Job { route, work: Work::Visit(Box::new(visit)) });
            match answered.await {
                Ok(result) => return result,
                Err(_) if ticket.started() => break,
                Err(_) => {}
            }
        }
        Err(Refusal::retry(RefusalCause::Failed, after, "the device's actor ended without an answer"))
    }

    /// Takes an order: returns after its operation, commands and audit entry were committed.
    ///
    /// # Errors
    /// [`SubmitError`]; nothing of a refused order is stored.
    pub async fn submit(&self, order: Order) -> Result<Submitted, SubmitError> {
        let urgent = orders::submit::is_urgent(&order);
        let taken = orders::submit::submit(&self.inner.shared, order).await?;
        for route in taken.routes {
            self.tell(route, Work::Changed);
        }
        let devices = taken.submitted.commands.iter().map(|(device, _)| *device).collect();
        self.inner.shared.notices.queued(devices, urgent);
        Ok(taken.submitted)
    }

    /// Takes back a command that was not sent yet.
    ///
    /// # Errors
    /// [`CancelError::Sent`] when the device may have it; others as named.
    pub async fn cancel(
        &self,
        command: CommandId,
        actor: AuditActor,
        reason: String,
    ) -> Result<Cancelled, CancelError> {
        let (cancelled, route) = orders::cancel::cancel(&self.inner.shared, command, actor, reason).await?;
        self.tell(route, Work::Changed);
        Ok(cancelled)
    }

    /// Revokes an enrolment: its route becomes a tombstone, its credentials are wiped, its pending commands
    /// are cancelled, and the lists that the gateways hold change, all in one transaction.
    ///
    /// # Errors
    /// [`RetireError`].
    pub async fn retire(
        &self,
        enrolment: EnrolmentId,
        actor: AuditActor,
        reason: String,
    ) -> Result<Retired, RetireError> {
        let ended = orders::retire::retire(&self.inner.shared, enrolment, actor, reason).await?;
        Ok(Retired { enrolment, cancelled: ended.tell(self) })
    }

    /// Goes once through what is still to be done for devices whose sessions a gateway in other hands carried; costs one
    /// read where there is nothing. Gives how many devices were given work.
    ///
    /// # Errors
    /// Where the database does not take it; what is open stays so.
    pub async fn pursue_captures(&self) -> Result<usize, WriteError> {
        let now = self.inner.shared.now();
        let due = self.inner.shared.store.read(move |r| captures::is_due(r, now)).await;
        if !due.unwrap_or(true) {
            return Ok(0);
        }
        let pursued = captures::pursue(&self.inner.shared).await?;
        for route in pursued.routes {
            self.tell(route, Work::Changed);
        }
        let count = pursued.devices.len();
        if count > 0 {
            self.inner.shared.notices.queued(pursued.devices, true);
        }
        Ok(count)
    }

    /// An id for an enrolment that is about to be made: its certificate names it.
    #[must_use]
    pub fn next_enrolment_id(&self) -> EnrolmentId {
        EnrolmentId(self.inner.shared.random.id(self.inner.shared.now()))
    }

    /// Registers a device.
    ///
    /// # Errors
    /// [`EnrolError`].
    pub async fn enrol(&self, device: NewEnrolment) -> Result<Enrolled, EnrolError> {
        let done = orders::enrol::enrol(&self.inner.shared, device).await?;
        if let Some(old) = done.buried {
            self.tell(old, Work::Retired);
        }
        Ok(done.enrolled)
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.inner.shared
    }

    /// Tells the actor of this route, if there is one, that its enrolment ended.
    pub(crate) fn tell_retired(&self, route: RouteId) {
        self.tell(route, Work::Retired);
    }

    /// Watches one command. `None` when too many are watched.
    #[must_use]
    pub fn watch(&self, command: CommandId) -> Option<CommandWatch> {
        self.inner.shared.watches.watch(command)
    }

    /// Tells the actor of this route, if there is one, that its rows were changed by somebody else.
    pub fn changed(&self, route: RouteId) {
        self.tell(route, Work::Changed);
    }

    /// The settings changed: devices compare at their next session; sessions that open from now on have the new
    /// time limit.
    pub fn settings_changed(&self, now: InForce) {
        self.inner.shared.standing.set(now);
    }

    /// Puts the built-in quirk profiles with an operator's in force, for the sessions that begin from now on.
    pub fn profiles_changed(&self, added: Profiles) {
        self.inner.shared.settings.session.profiles.set(Profiles::built_in().merge(added));
    }

    /// What a device and this core said after the place `after`, and a way to wait for more. Begins a watch, or keeps it
    /// up; it ends two minutes after it was last asked for.
    ///
    /// # Errors
    /// [`TooManyWatched`].
    pub fn watch_sessions(
        &self,
        device: EnrolmentId,
        after: u64,
    ) -> Result<(Watched, watch::Receiver<u64>), TooManyWatched> {
        let shared = &self.inner.shared;
        shared.inspector.watch(device, after, shared.clock.monotonic())
    }

    /// Keeps the next sessions of a device in view.
    ///
    /// # Errors
    /// [`TooManyWatched`].
    pub fn record_sessions(&self, device: EnrolmentId, sessions: u32) -> Result<(), TooManyWatched> {
        let shared = &self.inner.shared;
        shared.inspector.record(device, sessions, shared.clock.monotonic())
    }

    /// Takes down the next sessions of a device until `until`, as its order in the database says; 0 takes it back.
    /// `described` tells of nodes whose values must not stand in a transcript.
    pub fn record_transcripts(
        &self,
        device: EnrolmentId,
        sessions: i64,
        until: UtcMillis,
        described: Described,
    ) {
        self.inner.shared.recordings.want(device, sessions, until, described);
    }

    /// Ends the open session of this route with the next answer (Alert 1223, OMA-TS-DM_Protocol 8.1); its commands wait
    /// for the next session. Nothing happens where none is open.
    pub fn abort_session(&self, route: RouteId) {
        self.tell(route, Work::Abort);
    }

    /// Holds destructive orders back: they stay queued, and no session gets them ([`postern_store::held`]).
    pub fn hold(&self) {
        self.inner.shared.held.store(true, Ordering::Relaxed);
    }

    /// Lets them out again. These devices, whose orders waited, are asked to come.
    pub fn release(&self, waiting: Vec<(EnrolmentId, RouteId)>) {
        self.inner.shared.held.store(false, Ordering::Relaxed);
        for (_, route) in &waiting {
            self.tell(*route, Work::Changed);
        }
        self.inner.shared.notices.queued(waiting.into_iter().map(|(device, _)| device).collect(), true);
    }

    /// A freeze was lifted: these devices, whose orders waited, are asked to come.
    pub(crate) fn thawed(&self, waiting: Vec<(EnrolmentId, [u8; 16])>) {
        for (_, route) in &waiting {
            self.tell(RouteId::from_bytes(*route), Work::Changed);
        }
        self.inner.shared.notices.queued(waiting.into_iter().map(|(device, _)| device).collect(), true);
    }

    /// Whether the wall clock can be trusted: while it is in doubt, nobody is overdue.
    #[must_use]
    pub fn clock_is_steady(&self) -> bool {
        let shared = &self.inner.shared;
        shared.steady.holds(shared.clock.wall(), shared.clock.monotonic())
    }

    /// Starts asking devices to come. A second start is refused: false.
    pub fn start_notifications(&self, parts: Notifications) -> bool {
        let Inner { shared, arbiters, stopping, .. } = &*self.inner;
        let Some(notices) = shared.notices.receiver() else { return false };
        let (desk, supervisor) = notification::start(shared, parts, notices, stopping.subscribe());
        arbiters[0].spawn(supervisor);
        self.inner.desk.set(desk).is_ok()
    }

    /// Asks a device to come, because a person wants it to.
    ///
    /// # Errors
    /// [`NotifyError`].
    pub async fn notify(&self, wanted: WantedNotification) -> Result<Notification, NotifyError> {
        let Some(desk) = self.inner.desk.get() else {
            return Err(NotifyError::Unavailable("notifications are not started".to_owned()));
        };
        let (job, route) = desk.ask(wanted).await?;
        // An active device reads its row again: it may be let in over the default nonce.
        self.tell(route, Work::Changed);
        Ok(job)
    }

    /// Figures of the notifications.
    #[must_use]
    pub fn notification_figures(&self) -> NotificationFigures {
        self.inner.shared.notices.figures()
    }

    /// Figures of the moment.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let Inner { shared, shards, .. } = &*self.inner;
        let free: usize = shards.iter().map(|door| door.permits.available_permits()).sum();
        let in_flight = shards.len() * shared.settings.shard_permits - free;
        let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        shared.counters.stats(count(in_flight), count(shared.later.unflushed()))
    }

    /// Stops: requests inside are answered (for at most 10 seconds), open sessions are settled, what was to be
    /// written later is written, the threads end. New requests are refused from the first moment on.
    pub async fn stop(&self) {
        let Inner { shared, shards, arbiters, stopping, .. } = &*self.inner;
        stopping.send_replace(true);
        let drained = async {
            for door in shards {
                let all = u32::try_from(shared.settings.shard_permits).unwrap_or(u32::MAX);
                let permits = door.permits.acquire_many(all).await;
                door.permits.close();
                drop(permits);
            }
        };
        if tokio::time::timeout(DRAIN, drained).await.is_err() {
            tracing::warn!("some requests were not answered before the stop");
        }
        for door in shards {
            let (left, all_left) = oneshot::channel();
            door.hand(shared, Stop(left));
            // It ends with an error when the sender is dropped, which is the sign; a shard that is gone drops it too.
            let _ = tokio::time::timeout(DRAIN, all_left).await;
        }
        shared.later.flush(&shared.store).await;
        for arbiter in arbiters {
            arbiter.stop();
        }
    }

    fn start_upkeep(&self) {
        let Inner { shared, arbiters, stopping, .. } = &*self.inner;
        arbiters[0].spawn(upkeep::flush(shared.clone(), stopping.subscribe()));
        // The sweep must not keep the devices alive: it ends with them.
        arbiters[0].spawn(upkeep::sweep(shared.clone(), Arc::downgrade(&self.inner), stopping.subscribe()));
    }

    fn tell(&self, route: RouteId, work: Work) {
        self.inner.tell(route, work);
    }

    fn door(&self, route: &RouteId) -> &Door {
        self.inner.door(route)
    }
}

impl Inner {
    /// One message for each committed order and device, so as bounded as the writer's queue; a shard drops it where
    /// nothing is active.
    fn tell(&self, route: RouteId, work: Work) {
        self.door(&route).hand(&self.shared, Job { route, work });
    }

    /// The shard of a route, the same for the life of the process.
    fn door(&self, route: &RouteId) -> &Door {
        let mut hasher = FxHasher::default();
        Hash::hash(route, &mut hasher);
        let hash = usize::try_from(hasher.finish() >> 33).unwrap_or(0);
        &self.shards[hash % self.shards.len()]
    }
}

impl upkeep::Tell for Inner {
    fn changed(&self, route: RouteId) {
        self.tell(route, Work::Changed);
    }
}
