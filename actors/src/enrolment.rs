//! The enrolment supervisor: how devices come in, stay enrolled, and go out (docs/ENROLMENT.md).
//!
//! Promise: the rules are [`postern_engine::enrolment`]'s; here they meet rows, timers and the devices' actors. A device is
//! admitted by one transaction: the request used up, the enrolment with its route and credentials, its certificate,
//! its groups, the gateways' list, the log and the audit, and the sealed answer, so that an answer that was
//! lost can be given again. What a stranger sends changes no row before it has proved a password; wrong ones are
//! counted after the answer, together.
//!
//! - `requests`: made, imported, cancelled, expired. - `knock`: the key of a code, and wrong passwords.
//! - `admit`: a [`Proposal`] becomes an enrolment, by whichever [`Door`] it came.
//! - `quarantine`, `leave`, `silence`, `renew`: a life after that. - `watch`: the timers.

mod admit;
mod knock;
pub(crate) mod leave;
mod quarantine;
pub(crate) mod renew;
mod requests;
pub(crate) mod rows;
mod silent;
mod watch;

use std::sync::Arc;

use postern_engine::enrolment::{proposal, quarantine as decision, request};
use postern_store::{Reader, StoreError, schedules::Overdue};
use postern_wire::terms::{AuthType, Dialect, EnrolmentId, OperationId, UtcMillis};
use uuid::Uuid;

pub use admit::{AdmitError, Came};
pub use knock::Knock;
pub use postern_engine::enrolment::{Door, leaving, proposal::Proposal, quarantine::Decision, silence};
pub use requests::{Made, NewRequest};

use crate::{AuditActor, Authority, Devices, orders::Unwritten, shared::Shared};

/// What enrolment needs from outside.
pub struct EnrolmentParts {
    /// Issues device certificates.
    pub authority: Arc<dyn Authority>,
    /// Signs orders to devices.
    pub signer: Arc<dyn OrderSigner>,
    /// Says what is set.
    pub rules: Arc<dyn EnrolmentRules>,
    /// What a device is told of this server.
    pub site: Site,
}

/// Signs orders to devices with a key that the perimeter never sees.
pub trait OrderSigner: Send + Sync + 'static {
    /// r‖s of ECDSA P-256 with SHA-256 over these octets.
    ///
    /// # Errors
    /// Why it cannot sign.
    fn sign(&self, octets: &[u8]) -> Result<[u8; 64], String>;
}

/// Says what is set for enrolments; asked inside the transaction that acts on it.
pub trait EnrolmentRules: Send + Sync + 'static {
    /// What holds now.
    ///
    /// # Errors
    /// Where the rows cannot be read.
    fn read(&self, r: &mut Reader) -> Result<EnrolmentSettings, StoreError>;
}

/// What is set for enrolments.
#[derive(Clone, Copy, Debug)]
pub struct EnrolmentSettings {
    /// How long a one-time password holds when the request does not say, in milliseconds.
    pub request_life_ms: i64,
    /// Wrong passwords that lock a request; 0 is never.
    pub wrong_passwords: i64,
    /// Open requests that an owner may have; 0 is any number.
    pub requests_an_owner: i64,
    /// Devices that an owner may have; 0 is any number.
    pub devices_an_owner: i64,
    /// What silence does.
    pub silence: silence::Rules,
    /// Who is overdue; its moment is put in by who asks.
    pub overdue: Overdue,
    /// How long a new device certificate holds, in milliseconds.
    pub certificate_ms: i64,
}

/// What a device is told of this server.
#[derive(Clone, Debug)]
pub struct Site {
    /// `https://HOST[:PORT]` of the device port.
    pub url: String,
    /// The ServerID.
    pub server_id: String,
}

/// The enrolment supervisor: a handle, cheap to clone.
#[derive(Clone)]
pub struct Enrolments {
    inner: Arc<Inner>,
}

struct Inner {
    devices: Devices,
    parts: EnrolmentParts,
    knocks: knock::Knocks,
}

/// Why an enrolment's life was not changed as wanted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnrolmentError {
    /// A field is missing or wrong.
    #[error("{0}: {1}")]
    Invalid(&'static str, String),
    /// No such group.
    #[error("there is no group {0:?}")]
    UnknownGroup(String),
    /// No such request.
    #[error("there is no enrolment request {0}")]
    UnknownRequest(Uuid),
    /// No such enrolment, or it is retired.
    #[error("there is no live enrolment {0}")]
    UnknownDevice(EnrolmentId),
    /// It was all or none, and another one was refused.
    #[error("it was not made: another one was refused")]
    NotMade,
    /// The owner has as many as an owner may have.
    #[error("{owner} has {has} {what}, and may have {most}")]
    Quota {
        /// Whose.
        owner: String,
        /// Of what.
        what: &'static str,
        /// How many there are.
        has: i64,
        /// How many there may be.
        most: i64,
    },
    /// There is an open request that renews it.
    #[error("the open request {0} renews this device; cancel it first")]
    RenewalOpen(Uuid),
    /// The request does not stand where this is possible.
    #[error(transparent)]
    Request(#[from] request::Refused),
    /// The enrolment is not in quarantine.
    #[error(transparent)]
    Quarantine(#[from] decision::NotQuarantined),
    /// It cannot leave so.
    #[error(transparent)]
    Leaving(#[from] leaving::Refused),
    /// The device takes no order now.
    #[error("the device's queue takes no order: {0}")]
    Queue(String),
    /// Somebody else has to approve it first: this request waits.
    #[error("somebody else has to approve it first: request {0}")]
    NeedsApproval(Uuid),
    /// The limits of destructive operations do not let it through.
    #[error(transparent)]
    Held(#[from] crate::safety::Held),
    /// Too much work at hand; try again after so many seconds.
    #[error("overloaded, try again in {0} s")]
    Overloaded(u32),
    /// The database cannot be reached, or this core is not the active one.
    #[error("unavailable: {0}")]
    Unavailable(String),
}

impl From<Unwritten> for EnrolmentError {
    fn from(cause: Unwritten) -> Self {
        match cause {
            Unwritten::Overloaded(seconds) => Self::Overloaded(seconds),
            Unwritten::Full => Self::Unavailable("the database's disk is full".to_owned()),
            Unwritten::Unavailable(cause) => Self::Unavailable(cause),
        }
    }
}

/// What became of an un-enrolment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// The device is told, by this operation.
    Told(OperationId),
    /// It is retired.
    Retired,
}

/// Carries an approved un-enrolment out.
pub(crate) struct Unenrol(pub(crate) Enrolments);

/// Whether a device of ours obeys signed orders.
pub(crate) fn can_obey(
    tx: &mut postern_store::Tx,
    row: &postern_store::enrolments::Enrolment,
) -> Result<bool, postern_store::StoreError> {
    leave::can(tx, row)
}

impl Enrolments {
    /// What signs orders to devices.
    pub(crate) fn signer(&self) -> Arc<dyn OrderSigner> {
        Arc::clone(&self.inner.parts.signer)
    }

    /// Enrolments of these devices.
    #[must_use]
    pub fn new(devices: Devices, parts: EnrolmentParts) -> Self {
        Self { inner: Arc::new(Inner { devices, parts, knocks: knock::Knocks::default() }) }
    }

    fn shared(&self) -> &Arc<Shared> {
        self.inner.devices.shared()
    }

    /// Makes a request; its one-time password is in the answer and nowhere else.
    ///
    /// # Errors
    /// [`EnrolmentError`].
    pub async fn request(&self, wanted: NewRequest, actor: AuditActor) -> Result<Made, EnrolmentError> {
        let mut made = self.request_all(vec![wanted], actor).await?;
        match made.pop() {
            Some(one) => one,
            None => Err(EnrolmentError::Unavailable("nothing was made".to_owned())),
        }
    }

    /// Makes requests, each by itself: what is refused keeps nobody else back.
    ///
    /// # Errors
    /// [`EnrolmentError`], where nothing was made.
    pub async fn request_all(
        &self,
        wanted: Vec<NewRequest>,
        actor: AuditActor,
    ) -> Result<Vec<Result<Made, EnrolmentError>>, EnrolmentError> {
        requests::make(self, wanted, actor, false).await
    }

    /// Makes all of the requests, or none: where one is refused, the answer says which, and the others are not made.
    ///
    /// # Errors
    /// [`EnrolmentError`], where nothing was made.
    pub async fn request_all_or_none(
        &self,
        wanted: Vec<NewRequest>,
        actor: AuditActor,
    ) -> Result<Vec<Result<Made, EnrolmentError>>, EnrolmentError> {
        requests::make(self, wanted, actor, true).await
    }

    /// Takes a request back.
    ///
    /// # Errors
    /// [`EnrolmentError`].
    pub async fn cancel(&self, id: Uuid, actor: AuditActor, reason: String) -> Result<(), EnrolmentError> {
        requests::cancel(self, id, actor, reason).await
    }

    /// Lets a quarantined enrolment begin its life, or retires it.
    ///
    /// # Errors
    /// [`EnrolmentError`].
    pub async fn decide(
        &self,
        id: EnrolmentId,
        decision: Decision,
        actor: AuditActor,
        reason: String,
    ) -> Result<(), EnrolmentError> {
        quarantine::decide(self, id, decision, actor, reason).await
    }

    /// Has a device leave: it is told and retired when it has acknowledged that, or it is retired at once.
    ///
    /// # Errors
    /// [`EnrolmentError`].
    pub async fn unenrol(
        &self,
        id: EnrolmentId,
        at_once: bool,
        actor: AuditActor,
        reason: String,
    ) -> Result<Left, EnrolmentError> {
        leave::unenrol(self, id, at_once, actor, reason).await
    }

    /// Runs until it is dropped.
    pub async fn keep_watch(self) {
        watch::run(self).await;
    }
}

/// How a device is to prove itself, and to whom it belongs: what a request says of the enrolment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// What the device is to be called.
    pub name: String,
    /// Whose it is.
    pub owner: Option<String>,
    /// How it will prove itself.
    pub auth: AuthType,
    /// Which family of clients.
    pub dialect: Dialect,
    /// Until when the password holds; the setting says when absent.
    pub expires: Option<UtcMillis>,
}

/// Whether a name fits.
fn name_fits(text: &str) -> bool {
    !text.trim().is_empty() && text.len() <= proposal::NAME_OCTETS && !text.chars().any(char::is_control)
}
