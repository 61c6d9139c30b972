//! The wipe supervisor: from an order to the evidence that it was carried out (docs/WIPE.md).
//!
//! Promise: the rules are [`postern_engine::wipe`]'s; here they meet rows, timers and the devices' actors. Each step is
//! one transaction: the wipe's row, its step, the audit, what is told of it, and what follows for the device. What a
//! device says of its wipe moves it in the transaction that the device's answer waits for. Everything that is still
//! to be done stands in the rows, so a core that starts again goes on where the last one stopped.
//!
//! - `ask`: a request, for one device or many. - `issue`: a try put into the device's queue. - `moves`: one step.
//! - `follow`: what a device's session means to its wipe. - `decide`: people who agree, take back, let off.
//! - `watch`: the timers. - `seal`: the mark that a destructive command's row bears.

mod ask;
mod decide;
pub(crate) mod follow;
mod issue;
pub(crate) mod moves;
pub(crate) mod seal;
mod tell;
mod watch;

use std::sync::{Arc, OnceLock};

use postern_engine::wipe::{Allowed, CancelRefused, Refused, Settings};
use postern_store::{Reader, StoreError, wipes};
use postern_wire::terms::{EnrolmentId, WipeKind, WipeState};
use tokio::sync::Notify;
use uuid::Uuid;

pub use ask::{Asked, NewWipe};
pub use decide::Disarmed;
pub use postern_engine::wipe as rules;
pub use postern_store::wipes::{Wipe, WipeStep};

use crate::{AuditActor, Devices, enrolment::OrderSigner, orders::Unwritten, shared::Shared};

/// What wipes need from outside.
pub struct WipeParts {
    /// Signs orders to devices.
    pub signer: Arc<dyn OrderSigner>,
    /// Says what is set.
    pub rules: Arc<dyn WipeRules>,
    /// Says which gateways have the newest blocked list.
    pub perimeter: Arc<dyn Perimeter>,
}

/// Says what is set for wipes; asked inside the transaction that acts on it.
pub trait WipeRules: Send + Sync + 'static {
    /// What holds for this device now.
    ///
    /// # Errors
    /// Where the rows cannot be read.
    fn of_device(&self, r: &mut Reader, device: EnrolmentId) -> Result<WipeSettings, StoreError>;
}

/// What is set for the wipes of one device.
#[derive(Clone, Copy, Debug)]
pub struct WipeSettings {
    /// What a request copies.
    pub settings: Settings,
    /// Which kinds may be asked for.
    pub allowed: Allowed,
}

/// Knows what the gateways hold.
pub trait Perimeter: Send + Sync + 'static {
    /// Every gateway, and whether it has acknowledged the blocked list as it is now.
    fn holders(&self) -> Vec<(String, bool)>;
}

/// The wipe supervisor: a handle, cheap to clone.
#[derive(Clone)]
pub struct Wipes {
    inner: Arc<Inner>,
}

struct Inner {
    devices: Devices,
    parts: WipeParts,
    /// Told when something may be due at once.
    look: Notify,
    /// The first look after a start tells what was found.
    began: OnceLock<()>,
}

/// Why a wipe was not asked for, or not changed as wanted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WipeError {
    /// A field is missing or wrong.
    #[error("{0}: {1}")]
    Invalid(&'static str, String),
    /// No such enrolment.
    #[error("there is no device {0}")]
    UnknownDevice(EnrolmentId),
    /// The enrolment is revoked: nothing reaches the device any more.
    #[error("device {0} is retired: its enrolment is revoked, and no wipe can reach it")]
    Retired(EnrolmentId),
    /// Nothing is sent to a device in quarantine.
    #[error("device {0} is in quarantine: nothing is sent to it; reject or release it first")]
    Quarantined(EnrolmentId),
    /// Its groups do not allow this kind.
    #[error("a {kind} wipe is not allowed for device {device} (settings of its groups)")]
    NotAllowed {
        /// The device.
        device: EnrolmentId,
        /// The kind.
        kind: WipeKind,
    },
    /// Its model has no such wipe.
    #[error("device {device}: {why}")]
    Cannot {
        /// The device.
        device: EnrolmentId,
        /// Why not.
        why: String,
    },
    /// It has one already.
    #[error("device {device} has the wipe {wipe}, which is {state}")]
    Outstanding {
        /// The device.
        device: EnrolmentId,
        /// Its wipe.
        wipe: Uuid,
        /// Where that stands.
        state: WipeState,
    },
    /// The limits of destructive operations do not let it through.
    #[error(transparent)]
    Held(#[from] crate::safety::Held),
    /// The decision on its approval does not count.
    #[error("{0}")]
    Approval(String),
    /// No such wipe.
    #[error("there is no wipe {0}")]
    UnknownWipe(Uuid),
    /// It does not stand where this is possible.
    #[error(transparent)]
    Machine(#[from] Refused),
    /// It cannot be taken back.
    #[error(transparent)]
    Cancel(#[from] CancelRefused),
    /// The same person cannot be both.
    #[error("{0} asked for this, or was the first of the two: another person has to agree")]
    SamePerson(String),
    /// The device's queue takes no order now.
    #[error("the device's queue takes no order: {0}")]
    Queue(String),
    /// Too much work at hand; try again after so many seconds.
    #[error("overloaded, try again in {0} s")]
    Overloaded(u32),
    /// The disk is full, the reserve too.
    #[error("the database's disk is full")]
    Full,
    /// The database cannot be reached, or this core is not the active one.
    #[error("unavailable: {0}")]
    Unavailable(String),
}

impl From<Unwritten> for WipeError {
    fn from(cause: Unwritten) -> Self {
        match cause {
            Unwritten::Overloaded(seconds) => Self::Overloaded(seconds),
            Unwritten::Full => Self::Full,
            Unwritten::Unavailable(cause) => Self::Unavailable(cause),
        }
    }
}

impl Wipes {
    /// The wipes of these devices.
    #[must_use]
    pub fn new(devices: Devices, parts: WipeParts) -> Self {
        Self { inner: Arc::new(Inner { devices, parts, look: Notify::new(), began: OnceLock::new() }) }
    }

    fn shared(&self) -> &Arc<Shared> {
        self.inner.devices.shared()
    }

    /// Asks for a wipe of each of these devices, all or none. Returns after everything is committed; the devices are told.
    ///
    /// # Errors
    /// [`WipeError`]; nothing is stored then.
    pub async fn request(&self, wanted: NewWipe) -> Result<Asked, WipeError> {
        ask::request(self, wanted).await
    }

    /// Agrees to a wipe that somebody else asked for.
    ///
    /// # Errors
    /// [`WipeError`].
    pub async fn approve(&self, id: Uuid, actor: AuditActor, reason: String) -> Result<Wipe, WipeError> {
        decide::approve(self, id, actor, reason).await
    }

    /// Takes a wipe back that no device got.
    ///
    /// # Errors
    /// [`WipeError`].
    pub async fn cancel(&self, id: Uuid, actor: AuditActor, reason: String) -> Result<Wipe, WipeError> {
        decide::cancel(self, id, actor, reason).await
    }

    /// Lets a device off whose wipe is armed: the second of two persons does it, neither being who asked for it alone.
    ///
    /// # Errors
    /// [`WipeError`].
    pub async fn disarm(&self, id: Uuid, actor: AuditActor, reason: String) -> Result<Disarmed, WipeError> {
        decide::disarm(self, id, actor, reason).await
    }

    /// After a restore: what the backup had as outstanding is in doubt, and nothing of it is sent. Gives how many were.
    ///
    /// # Errors
    /// [`WipeError`].
    pub async fn restored(&self, since: postern_wire::terms::UtcMillis) -> Result<usize, WipeError> {
        decide::restored(self, since).await
    }

    /// Something may be due at once.
    pub fn look(&self) {
        self.inner.look.notify_one();
    }

    /// Runs until it is dropped.
    pub async fn keep_watch(self) {
        watch::run(self).await;
    }
}

/// The wipe that suspends everything else of a device: one that was let pass and is not over.
pub(crate) fn suspends(r: &mut Reader, id: EnrolmentId) -> Result<Option<Wipe>, StoreError> {
    let outstanding = wipes::outstanding(r, id)?;
    Ok(outstanding.filter(|wipe| wipe.state != WipeState::AwaitingApproval))
}

/// What was set when a wipe was asked for.
pub(crate) fn settings_of(wipe: &Wipe) -> Settings {
    serde_json::from_str(&wipe.settings).unwrap_or_default()
}
