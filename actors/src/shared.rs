//! What every actor of one core shares.

use std::sync::{Arc, atomic::AtomicBool};

use postern_engine::{nonce::NonceKey, session::Random};
use postern_store::{ReadError, Sealer, Store, StoreError, WriteError};
use postern_wire::{route::RouteId, terms::UtcMillis};

use crate::{
    Announce, Clock, Randomness, Refusal, RefusalCause, Rules, Settings, counters::Counters,
    inspector::Inspector, later::Later, notification::Notices, policy, recordings::Recordings,
    schedule::Standing, steady::Steady, watch::Watches,
};

pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Randomness>,
    pub(crate) announce: Arc<dyn Announce>,
    pub(crate) rules: Arc<dyn Rules>,
    pub(crate) standing: Standing,
    pub(crate) policy: policy::apply::Standing,
    pub(crate) inspector: Inspector,
    pub(crate) recordings: Recordings,
    pub(crate) store: Store,
    pub(crate) sealer: Arc<Sealer>,
    /// Made at the start; nonces of an earlier start are void.
    pub(crate) nonce_key: NonceKey,
    /// When this core started: a message signed before could be a replay of one that an earlier core answered.
    pub(crate) started: UtcMillis,
    pub(crate) steady: Steady,
    pub(crate) counters: Counters,
    pub(crate) watches: Watches,
    pub(crate) later: Later,
    pub(crate) notices: Notices,
    /// The database was restored and nobody has released it: see [`postern_store::held`].
    pub(crate) held: AtomicBool,
}

impl Shared {
    pub(crate) fn now(&self) -> UtcMillis {
        self.clock.wall()
    }

    pub(crate) fn random32(&self) -> Random {
        let mut octets = [0; 32];
        self.random.fill(&mut octets);
        Random(octets)
    }

    pub(crate) fn random_route(&self) -> RouteId {
        let mut octets = [0; 16];
        self.random.fill(&mut octets);
        RouteId::from_bytes(octets)
    }

    /// What a device is told when the store did not give an answer.
    pub(crate) fn unread(&self, cause: &ReadError) -> Refusal {
        let after = self.settings.retry_after_s;
        match cause {
            ReadError::Overloaded => Refusal::retry(RefusalCause::Overloaded, after, cause.to_string()),
            ReadError::Failed(_) | ReadError::Stopped => {
                Refusal::retry(RefusalCause::Unavailable, after, cause.to_string())
            }
        }
    }

    /// What a device is told when what its reply rests on could not be committed.
    pub(crate) fn unwritten(&self, cause: &WriteError) -> Refusal {
        let after = self.settings.retry_after_s;
        match cause {
            WriteError::Overloaded => Refusal::retry(RefusalCause::Overloaded, after, cause.to_string()),
            WriteError::Rejected(
                StoreError::Conflict(_) | StoreError::NotFound(_) | StoreError::Refused(_),
            ) => Refusal::retry(RefusalCause::Unavailable, 1, cause.to_string()),
            WriteError::Rejected(_)
            | WriteError::Unavailable { .. }
            | WriteError::NotActive
            | WriteError::Stopped => Refusal::retry(RefusalCause::Unavailable, after, cause.to_string()),
        }
    }
}
