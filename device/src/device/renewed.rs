//! A device with a new certificate or new anchors: tried in a session, beside the old ones.
//!
//! Promise: the new identity is tried first and takes the old one's place, durably, when a session with it was carried to its end.
//! When the server refuses it, the same check-in goes on with the old one; when no server is reached, both are kept.

use std::sync::Arc;

use postern_wire::terms::UtcMillis;

use super::{Device, DeviceError, SessionReport};
use crate::{
    csp::Renewal,
    enrolment::{Account, NextIdentity, Origin},
    event::Event,
    state::StateError,
    transport::{Transport, TransportError},
    unit::{Cause, Random, SessionError},
};

/// Makes accounts and ways of new identities, and keeps those that proved themselves.
pub trait Identities<T>: Send {
    /// The account and the way to its server with what is new. `Err` says why that cannot be.
    fn with(&self, next: &NextIdentity) -> Result<(Account, T), String>;

    /// Keeps what is new for good; on return it will be found again after a crash.
    fn keep(&mut self, next: &NextIdentity) -> Result<(), String>;
}

impl<T: Transport> Device<T> {
    /// Lets the device take new identities that its server gives it.
    #[must_use]
    pub fn renewed_by(mut self, identities: impl Identities<T> + 'static) -> Self {
        self.identities = Some(Box::new(identities));
        self
    }

    /// A session with what is new, if there is anything; `None` when the old identity has to do.
    pub(super) async fn try_renewed(
        &mut self,
        cause: Cause,
        now: UtcMillis,
        random: Random<'_>,
    ) -> Result<Option<SessionReport>, DeviceError> {
        if self.account.origin != Origin::Enrolled {
            return Ok(None);
        }
        let (Some(identities), Some(next)) = (&self.identities, Renewal::next(&self.state)) else {
            return Ok(None);
        };
        let (account, transport) = match identities.with(&next) {
            Ok(made) => made,
            Err(why) => {
                self.refuse_renewed(&why)?;
                return Ok(None);
            }
        };
        let old = (
            std::mem::replace(&mut self.account, Arc::new(account)),
            std::mem::replace(&mut self.transport, transport),
        );
        let outcome = self.session(cause, now, random).await;
        self.transport.close();
        match outcome {
            Ok(report) => {
                if let Some(identities) = &mut self.identities {
                    identities.keep(&next).map_err(DeviceError::Identity)?;
                }
                Renewal::proved(&mut self.state, &next);
                self.storage_keeps()?;
                self.tell(&Event::Renewed);
                Ok(Some(report))
            }
            Err(error) => {
                (self.account, self.transport) = old;
                if !is_refusal(&error) {
                    return Err(error);
                }
                self.refuse_renewed(&error.to_string())?;
                Ok(None)
            }
        }
    }

    fn refuse_renewed(&mut self, why: &str) -> Result<(), StateError> {
        let forgotten = Renewal::refused(&mut self.state);
        self.tell(&Event::RenewalRefused { why: why.to_owned(), forgotten });
        self.storage_keeps()
    }
}

/// Whether the failure is about who the two sides are.
fn is_refusal(error: &DeviceError) -> bool {
    matches!(
        error,
        DeviceError::Http { status: 400..=499, .. }
            | DeviceError::Transport(TransportError::Tls(_))
            | DeviceError::Session(SessionError::Refused(_))
            | DeviceError::Signature(_)
            | DeviceError::Key(_)
    )
}
