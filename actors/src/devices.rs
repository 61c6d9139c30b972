//! The handle by which the core's HTTP side reaches the devices.

use std::sync::Arc;

use postern_wire::terms::{CommandId, EnrolmentId};

use crate::{
    AuditActor, CancelError, Cancelled, CheckIn, CheckedIn, Clock, CommandWatch, EnrolError, Enrolled,
    NewEnrolment, Order, Randomness, Refusal, RefusalCause, RetireError, Retired, Settings, Stats,
    SubmitError, Submitted, watch::Watches,
};

/// What the devices need to start.
pub struct Parts {
    /// The actors' limits.
    pub settings: Settings,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The random source.
    pub random: Arc<dyn Randomness>,
}

/// The devices of this core: a handle, cheap to clone.
#[derive(Clone)]
pub struct Devices {
    inner: Arc<Inner>,
}

struct Inner {
    watches: Watches,
    parts: Parts,
}

impl Devices {
    /// Starts the shards on threads of their own. Must be called inside an actix system.
    #[must_use]
    pub fn start(parts: Parts) -> Self {
        Self { inner: Arc::new(Inner { watches: Watches::new(parts.settings.watches), parts }) }
    }

    /// Answers one request of a device. What the answer rests on is durable when this returns.
    ///
    /// # Errors
    /// A [`Refusal`]; nothing acknowledged earlier is lost by it.
    pub async fn check_in(&self, request: CheckIn) -> Result<CheckedIn, Refusal> {
        let _ = request;
        Err(Refusal::retry(RefusalCause::Unavailable, self.inner.parts.settings.retry_after_s, "not started"))
    }

    /// Takes an order: returns after its operation, commands and audit entry were committed.
    ///
    /// # Errors
    /// [`SubmitError`]; nothing of a refused order is stored.
    pub async fn submit(&self, order: Order) -> Result<Submitted, SubmitError> {
        let _ = order;
        Err(SubmitError::Unavailable("not started".into()))
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
        let _ = (command, actor, reason);
        Err(CancelError::Unavailable("not started".into()))
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
        let _ = (enrolment, actor, reason);
        Err(RetireError::Unavailable("not started".into()))
    }

    /// An id for an enrolment that is about to be made: its certificate names it.
    #[must_use]
    pub fn next_enrolment_id(&self) -> EnrolmentId {
        EnrolmentId(self.inner.parts.random.id(self.inner.parts.clock.wall()))
    }

    /// Registers a device.
    ///
    /// # Errors
    /// [`EnrolError`].
    pub async fn enrol(&self, device: NewEnrolment) -> Result<Enrolled, EnrolError> {
        let _ = device;
        Err(EnrolError::Unavailable("not started".into()))
    }

    /// Watches one command. `None` when too many are watched.
    #[must_use]
    pub fn watch(&self, command: CommandId) -> Option<CommandWatch> {
        self.inner.watches.watch(command)
    }

    /// Figures of the moment.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats::default()
    }

    /// Stops: requests inside are answered, last-seen times are written, the threads end.
    pub async fn stop(&self) {}
}
