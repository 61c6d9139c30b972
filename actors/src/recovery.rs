//! The recovery supervisor: devices' recovery passwords come in sealed, are kept so, and are renewed (docs/RECOVERY.md).
//!
//! Promise: the rules are [`postern_engine::recovery`]'s; here they meet rows, timers and orders. What a device brings is committed before
//! it has its answer, so that the password before it works until then. No password is ever open here: what opens one is the core's,
//! inside the request that shows it.

mod rows;
mod watch;

use std::sync::Arc;

use postern_engine::recovery as rules;
use postern_store::{Reader, StoreError, Tx, enrolments, outbox, recovery as table};
use postern_wire::{
    recovery::EscrowKey,
    terms::{EnrolmentId, EventKind, UtcMillis},
};
use serde_json::json;

pub use postern_engine::recovery::{Refused, State};
pub(crate) use rows::{Arrived, arrived, await_first};

use crate::{Devices, enrolment::OrderSigner, shared::Shared};

/// The recovery supervisor: a handle, cheap to clone.
#[derive(Clone)]
pub struct Recovery {
    inner: Arc<Inner>,
}

struct Inner {
    devices: Devices,
    signer: Arc<dyn OrderSigner>,
}

impl Recovery {
    /// The recovery passwords of these devices; `signer` signs orders to them.
    #[must_use]
    pub fn new(devices: Devices, signer: Arc<dyn OrderSigner>) -> Self {
        Self { inner: Arc::new(Inner { devices, signer }) }
    }

    fn shared(&self) -> &Arc<Shared> {
        self.inner.devices.shared()
    }

    /// Runs until it is dropped.
    pub async fn keep_watch(self) {
        watch::run(self).await;
    }

    /// One look at everything, now.
    ///
    /// # Errors
    /// Where the database did not answer.
    pub async fn look_now(&self) -> Result<(), postern_store::WriteError> {
        watch::look(self, true).await
    }
}

/// Somebody wants a new one of this device. In a transaction of the caller's.
///
/// # Errors
/// Where the rows cannot be read or written; [`Refused`] where the device cannot.
pub fn want(tx: &mut Tx, id: EnrolmentId, cause: &str) -> Result<Result<(), Refused>, StoreError> {
    let now = tx.now();
    rows::happen(tx, id, rules::Event::Wanted, cause, Some(now))
}

/// The stored one is shown to somebody: the device makes a new one when `renew_after_ms` have passed. In the transaction that tells
/// of it.
///
/// # Errors
/// Where the rows cannot be read or written; [`Refused`] where none has come.
pub fn show(
    tx: &mut Tx,
    id: EnrolmentId,
    password: &table::Password,
    by: &str,
    reason: &str,
    renew_after_ms: i64,
) -> Result<Result<(), Refused>, StoreError> {
    let now = tx.now();
    let happened = rows::happen(tx, id, rules::Event::Shown, "it was shown", Some(now.plus(renew_after_ms)))?;
    if let Err(refused) = happened {
        return Ok(Err(refused));
    }
    table::shown(tx, password, by)?;
    let (name, fresh) = (enrolments::get(tx, id)?.name, tx.fresh_id());
    outbox::put(
        tx,
        &outbox::Event {
            kind: EventKind::RecoveryShown,
            subject: format!("device:{id}"),
            device: Some(id),
            dedupe: format!("recovery:{id}/shown/{}/{}", password.number, fresh),
            data: json!({ "device": name, "number": password.number, "by": by, "reason": reason }),
            recipients: outbox::Recipients { owner: Some(id), security_list: true, requester: None },
            owner_held_until: None,
            at: now,
        },
    )?;
    Ok(Ok(()))
}

/// Puts an escrow key in use. `change` is what the key before it signed of it; none is for the first one.
///
/// # Errors
/// `Conflict` where another one came in between.
pub fn use_key(tx: &mut Tx, key: &EscrowKey, change: Option<String>, by: &str) -> Result<(), StoreError> {
    let before = table::current_key(tx)?;
    let made_at = tx.now();
    table::add_key(
        tx,
        table::Key {
            id: key.id().to_string(),
            number: before.as_ref().map_or(1, |before| before.number + 1),
            public: key.der().to_vec(),
            replaces: before.map(|before| before.id),
            change,
            made_at,
            made_by: by.to_owned(),
        },
    )
}

/// When a device is looked at next, as the API shows it.
///
/// # Errors
/// Where the rows cannot be read.
pub fn standing(r: &mut Reader, id: EnrolmentId) -> Result<Option<Standing>, StoreError> {
    let Some(row) = table::find(r, id)? else { return Ok(None) };
    let state = State::parse(&row.state).ok_or_else(|| StoreError::Damaged(format!("{:?}", row.state)))?;
    Ok(Some(Standing { state, cause: row.cause, since: row.since, due: row.due_at, key: row.key }))
}

/// How a device's recovery password stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Where.
    pub state: State,
    /// Why.
    pub cause: String,
    /// Since when.
    pub since: UtcMillis,
    /// When the next step is due.
    pub due: Option<UtcMillis>,
    /// The escrow key that the device last sealed to.
    pub key: Option<String>,
}
