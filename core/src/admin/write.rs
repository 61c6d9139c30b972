//! The transaction of a change: what it does, its row in the audit log, and its answer under the Idempotency-Key,
//! all or nothing.

use std::sync::{Arc, Mutex, PoisonError};

use postern_api::problem::Slug;
use postern_store::{StoreError, Tx, WriteError, audit, idempotency, movers};
use postern_wire::terms::EnrolmentId;
use serde::Serialize;
use serde_json::Value;

use super::{
    auth::Caller,
    problem::{Refused, internal},
};
use crate::inside::Inside;

/// What stands before an answer that is kept sealed, because it holds a secret.
pub(crate) const SEALED: &str = "sealed:";

/// The operations that change what policy is made of: who did one has a part in what the hold of a wide change asks for.
const MOVES_POLICY: [&str; 13] = [
    "policy.apply",
    "policy.roll_back",
    "groups.delete",
    "groups.add_device",
    "groups.remove_device",
    "groups.add_group",
    "groups.remove_group",
    "devices.update",
    "devices.bind",
    "devices.unbind",
    "settings.update",
    "settings.update_group",
    "settings.update_device",
];

/// Why a change stops.
pub(crate) enum Stop {
    /// The database said so.
    Store(StoreError),
    /// A rule of ours.
    Refused(Refused),
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Refused> for Stop {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

/// What a change did.
pub(crate) struct Done<T> {
    /// On what: `device:ID`, `group:ID` …
    pub(crate) object: String,
    /// What exactly; never a secret.
    pub(crate) detail: Value,
    /// What the handler goes on with.
    pub(crate) value: T,
}

/// How an answer is kept for a repeated request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    /// As it is.
    Plain(u16),
    /// Sealed: it holds a secret.
    Sealed(u16),
}

impl Inside {
    /// Makes a change and its audit row. `work` may run more than once; nothing of it stays when it stops.
    pub(crate) async fn change<T, F>(&self, caller: &Caller, work: F) -> Result<T, Refused>
    where
        T: Send + 'static,
        F: FnMut(&mut Tx) -> Result<Done<T>, Stop> + Send + 'static,
    {
        self.transact(caller, work, |_, _| Ok(())).await
    }

    /// Like [`Inside::change`]; the value, as JSON, is the answer that a repeated request gets.
    pub(crate) async fn change_once<T, F>(&self, caller: &Caller, keep: Keep, work: F) -> Result<T, Refused>
    where
        T: Serialize + Send + 'static,
        F: FnMut(&mut Tx) -> Result<Done<T>, Stop> + Send + 'static,
    {
        let caller_ = caller.clone();
        let sealer = Arc::clone(&self.sealer);
        self.transact(caller, work, move |tx, value| {
            let Some(once) = &caller_.once else { return Ok(()) };
            let text = serde_json::to_string(value).map_err(|error| internal(&error))?;
            let (status, answer) = match keep {
                Keep::Plain(status) => (status, text),
                Keep::Sealed(status) => {
                    // The sealer binds a value to an id; here that is the admin's.
                    let sealed = sealer.seal(EnrolmentId(caller_.admin.id), text.as_bytes())?;
                    (status, format!("{SEALED}{}", data_encoding::BASE64.encode(sealed.as_octets())))
                }
            };
            let answered = idempotency::Answered {
                principal: caller_.admin.id.to_string(),
                key: once.key.clone(),
                request: once.request,
                status: i64::from(status),
                answer,
                at: tx.now(),
            };
            match idempotency::keep(tx, answered) {
                Err(StoreError::Conflict(_)) => Err(Stop::Refused(Refused::new(
                    Slug::IdempotencyInProgress,
                    "a request with this Idempotency-Key was being done at the same time; send it again",
                ))),
                other => Ok(other?),
            }
        })
        .await
    }

    /// Keeps the answer to something that the actors committed (they keep the key in their own transaction, so that
    /// nothing is done twice); without it a repeated request is answered anew.
    pub(crate) async fn keep_answer(&self, caller: &Caller, status: u16, value: &impl Serialize) {
        let (Some(once), Ok(answer)) = (&caller.once, serde_json::to_string(value)) else { return };
        let answered = idempotency::Answered {
            principal: caller.admin.id.to_string(),
            key: once.key.clone(),
            request: once.request,
            status: i64::from(status),
            answer,
            at: self.now(),
        };
        if let Err(error) = self.store.write(move |tx| idempotency::keep(tx, answered.clone())).await {
            tracing::warn!(%error, request = %caller.request, "an answer was not kept under its Idempotency-Key");
        }
    }

    /// Like [`Inside::keep_answer`], for one that holds a secret: it is kept sealed.
    pub(crate) async fn keep_sealed_answer(
        &self,
        caller: &Caller,
        status: u16,
        value: &impl Serialize,
    ) -> Result<(), Refused> {
        let Some(once) = &caller.once else { return Ok(()) };
        let text = serde_json::to_string(value).map_err(|error| internal(&error))?;
        let sealed = self.sealer.seal(EnrolmentId(caller.admin.id), text.as_bytes())?;
        let answered = idempotency::Answered {
            principal: caller.admin.id.to_string(),
            key: once.key.clone(),
            request: once.request,
            status: i64::from(status),
            answer: format!("{SEALED}{}", data_encoding::BASE64.encode(sealed.as_octets())),
            at: self.now(),
        };
        Ok(self.store.write(move |tx| idempotency::keep(tx, answered.clone())).await?)
    }

    async fn transact<T, F, K>(&self, caller: &Caller, mut work: F, keep: K) -> Result<T, Refused>
    where
        T: Send + 'static,
        F: FnMut(&mut Tx) -> Result<Done<T>, Stop> + Send + 'static,
        K: Fn(&mut Tx, &T) -> Result<(), Stop> + Send + 'static,
    {
        let caller = caller.clone();
        // A refusal has to undo what was written before it, which only a store error does: it waits here meanwhile.
        let refusal: Arc<Mutex<Option<Refused>>> = Arc::default();
        let slot = Arc::clone(&refusal);
        let committed = self
            .store
            .write(move |tx| {
                let outcome = work(tx).and_then(|done| {
                    keep(tx, &done.value)?;
                    audit::append(tx, act(&caller, &done.object, &done.detail))?;
                    if MOVES_POLICY.contains(&caller.operation) {
                        movers::note(tx, &caller.admin.name, Some(caller.token), caller.operation)?;
                    }
                    Ok(done.value)
                });
                outcome.map_err(|stop| match stop {
                    Stop::Store(error) => error,
                    Stop::Refused(refused) => {
                        let reason = refused.to_string();
                        *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(refused);
                        StoreError::Refused(reason)
                    }
                })
            })
            .await;
        match committed {
            Ok(value) => Ok(value),
            Err(WriteError::Rejected(error)) => {
                let refused = refusal.lock().unwrap_or_else(PoisonError::into_inner).take();
                Err(refused.unwrap_or_else(|| error.into()))
            }
            Err(error) => Err(error.into()),
        }
    }
}

fn act(caller: &Caller, object: &str, detail: &Value) -> audit::Act {
    audit::Act {
        actor: caller.name(),
        action: caller.operation.to_owned(),
        object: object.to_owned(),
        outcome: "ok".to_owned(),
        detail: if detail.is_null() { String::new() } else { detail.to_string() },
        source: caller.source.to_string(),
        request: caller.request.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use postern_api::{
        permissions::Permission,
        routes::{self, Method},
    };

    use super::*;

    #[test]
    fn every_route_that_changes_what_policy_is_made_of_makes_its_caller_one_who_has_a_part_in_it() {
        for operation in MOVES_POLICY {
            assert!(routes::find(operation).is_some(), "{operation} is no route");
        }
        let moves = [Permission::SettingsWrite, Permission::PolicyWrite, Permission::PolicyAssign];
        let changing = routes::ALL.iter().filter(|route| route.method != Method::Get);
        for route in changing.filter(|route| moves.contains(&route.permission)) {
            assert!(MOVES_POLICY.contains(&route.operation), "{} leaves no trace", route.operation);
        }
    }
}
