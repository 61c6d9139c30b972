//! Policy: from a directory and documents to confirmed settings on each device.
//!
//! Promise: after a change only the devices that it can concern get another desired state; a device learns it at its next session,
//! and gets one order with the smallest set of commands against what it last confirmed. What cannot be computed, because directory or
//! SYSVOL cannot be read, takes nothing away; what takes something from many waits until somebody agrees. The rules are
//! [`postern_engine::policy::desired`]'s.
//!
//! - [`Policies`] is the handle: `changed`, `status`, `explain`.
//! - `apply` is a session's part; `supervise`, `hold` and `wake` are the supervisor's; [`PolicyInputs`] is what it computes of.

pub(crate) mod apply;
pub mod compute;
mod hold;
pub mod inputs;
pub mod live;
pub mod share;
mod supervise;
mod wake;

use std::sync::{Arc, Mutex, PoisonError, atomic::AtomicBool};

use postern_engine::policy::{
    desired::{
        Desired,
        book::Book,
        status::{Standing, standings},
    },
    rsop::{self, Rsop, fleet::Fleet},
};
use postern_store::{ReadError, Reader, StoreError, policies::Device};
use postern_wire::terms::EnrolmentId;
use tokio::sync::Notify;

use crate::{Devices, approvals::KindHandler, shared::Shared};
pub use apply::FAILED;
use compute::{Gathered, Stale};
pub use hold::{CHANGE, HELD, HeldChange, HeldSetting};
use inputs::{Change, PolicyInputs, WorldNow};
pub use postern_engine::policy::ldif;
pub use supervise::{LookError, Looked};

/// What policy's orders stand under in the audit.
const SERVICE: &str = "policy";

/// The policy supervisor: a handle, cheap to clone.
#[derive(Clone)]
pub struct Policies {
    inner: Arc<Inner>,
}

struct Inner {
    devices: Devices,
    inputs: PolicyInputs,
    fleet: Arc<Mutex<Fleet<EnrolmentId>>>,
    pending: Mutex<supervise::Pending>,
    wakes: Mutex<wake::Wakes>,
    /// Whether directory and SYSVOL were from before the start at the last look.
    old: AtomicBool,
    poke: Notify,
}

/// How a device stands.
#[derive(Clone, Debug)]
pub struct Status {
    /// Its row.
    pub row: Device,
    /// What is desired.
    pub desired: Desired,
    /// What waits until somebody agrees.
    pub waiting: Option<Desired>,
    /// What is known of the device.
    pub book: Book,
    /// How each setting stands, in the order of what is desired, then what still has to go.
    pub standings: Vec<Standing>,
}

impl Status {
    /// Reads how a device stands; none where nothing was ever desired of it.
    ///
    /// # Errors
    /// Where the rows cannot be read.
    pub fn read(r: &mut Reader, id: EnrolmentId) -> Result<Option<Self>, StoreError> {
        let Some(row) = postern_store::policies::find(r, id)? else { return Ok(None) };
        let desired = apply::document(r, row.desired)?.unwrap_or_default();
        let waiting = match row.waiting {
            Some(hash) => apply::document(r, hash)?,
            None => None,
        };
        let book = apply::book(&row)?;
        let standings = standings(&desired, &book);
        Ok(Some(Self { row, desired, waiting, book, standings }))
    }
}

/// Everything about a device's policy.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// What it is computed of.
    pub gathered: Gathered,
    /// The directory's part; none where no GPO is for it.
    pub rsop: Option<Result<Arc<Rsop>, rsop::Error>>,
    /// What comes out now, or why nothing does.
    pub computed: Result<Desired, Stale>,
    /// How it stands.
    pub status: Option<Status>,
}

impl Policies {
    /// With what policy is computed of.
    #[must_use]
    pub fn new(devices: Devices, inputs: PolicyInputs) -> Self {
        let pending = supervise::Pending { all: true, ..supervise::Pending::default() };
        let inner = Inner {
            devices,
            inputs,
            fleet: Arc::new(Mutex::new(Fleet::new(
                rsop::World::default(),
                std::collections::BTreeMap::new(),
            ))),
            pending: Mutex::new(pending),
            wakes: Mutex::default(),
            old: AtomicBool::new(false),
            poke: Notify::new(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// The handlers of what somebody has to agree to.
    #[must_use]
    pub fn handlers(&self) -> Vec<Arc<dyn KindHandler>> {
        vec![Arc::new(hold::Handler(self.clone())), Arc::new(share::Handler(self.clone()))]
    }

    fn shared(&self) -> &Arc<Shared> {
        self.inner.devices.shared()
    }

    /// What policy is computed of.
    #[must_use]
    pub fn inputs(&self) -> &PolicyInputs {
        &self.inner.inputs
    }

    /// Something changed: it is computed soon.
    pub fn changed(&self, change: Change) {
        self.inner.pending.lock().unwrap_or_else(PoisonError::into_inner).add(change);
        self.inner.poke.notify_one();
    }

    /// Runs until it is dropped.
    pub async fn keep_watch(self) {
        supervise::run(self).await;
    }

    /// One look at everything, now.
    ///
    /// # Errors
    /// [`LookError`].
    pub async fn look_now(&self) -> Result<Looked, LookError> {
        supervise::look(self, true).await
    }

    /// How a device stands; none where nothing was ever desired of it.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub async fn status(&self, id: EnrolmentId) -> Result<Option<Status>, ReadError> {
        self.shared().store.read(move |r| Status::read(r, id)).await
    }

    /// Everything about a device's policy, computed now, which changes nothing.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub async fn explain(&self, id: EnrolmentId) -> Result<Explanation, ReadError> {
        let inputs = self.inner.inputs.clone();
        let read = self.shared().store.read(move |r| {
            inputs.settings(r)?;
            Ok((Gathered::read(r, &inputs, id)?, Status::read(r, id)?))
        });
        let (gathered, status) = read.await?;
        let world = self.inner.inputs.world();
        let mut explanation = explain(&world, gathered, status);
        if let Some(why) = self.inner.inputs.is_old().filter(|_| explanation.status.is_some()) {
            explanation.computed = Err(why);
        }
        Ok(explanation)
    }
}

/// What a device's policy comes to in this world.
#[must_use]
pub fn explain(world: &WorldNow, gathered: Gathered, status: Option<Status>) -> Explanation {
    let rsop = match (world, gathered.target()) {
        (WorldNow::Good(world), Some(target)) => Some(rsop::resultant(world, &target).map(Arc::new)),
        _ => None,
    };
    let computed = match world {
        WorldNow::Unread(why) => Err(why.clone()),
        WorldNow::Absent | WorldNow::Good(_) => gathered.desired(rsop.as_ref()),
    };
    Explanation { gathered, rsop, computed, status }
}
