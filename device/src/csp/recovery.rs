//! ./Vendor/Postern/Recovery: the recovery password of this device (docs/RECOVERY.md). An object of our own.
//!
//! Promise: `Renew` has a new one made; `EscrowKey` takes another key only from an order that names its digest, and only where the
//! pinned key signed it or signed what leads to it. Whatever is new goes to the server sealed, as a generic alert of type
//! [`ALERT`], in each session until the server has answered; no node shows it. What a tree may take back (an Atomic) is done after
//! the session's message, from what this provider remembers.

use postern_wire::{
    order::uri_with_content,
    recovery::{ALERT, EscrowKey, KeyChain, NODE},
    terms::{UtcMillis, Verb},
};
use serde::{Deserialize, Serialize};

use super::{Change, Completion, Exec, Executed, Ground, Mark, Provider, authority, path};
use crate::{
    codes::Code,
    edge,
    event::Event,
    recovery::{Of, Recovery, RecoveryError, can_seal},
    state::State,
    tree::{
        acl::Acl,
        node::{Format, Node},
        path::Path,
    },
};

const NAME: &str = "recovery";

/// The provider of one enrolment.
#[derive(Debug)]
pub struct RecoveryProvider {
    recovery: Recovery,
    of: Of,
    server_id: String,
    enrolled_key: Option<EscrowKey>,
}

/// What is still to be done, and what was told.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Memory {
    /// The server wants a new one.
    #[serde(default)]
    renew: bool,
    /// A key that was believed and is not pinned yet.
    #[serde(default)]
    pin: Option<EscrowKey>,
    /// The highest number that an alert was made for.
    #[serde(default)]
    told: u64,
}

impl RecoveryProvider {
    /// The recovery password that rests in `recovery`, of an enrolment that a server with this id manages.
    #[must_use]
    pub fn new(recovery: Recovery, of: Of, server_id: &str, enrolled_key: Option<EscrowKey>) -> Self {
        Self { recovery, of, server_id: server_id.to_owned(), enrolled_key }
    }

    /// The server answered the alert about this object.
    pub(crate) fn answered(state: &mut State, code: Code) {
        // The newest one told is the one answered, unless one is still on its way.
        if state.completions.iter().any(|waiting| waiting.source == NODE) {
            return;
        }
        let memory: Memory = state.memory(NAME);
        let answer = Answer { number: memory.told, taken: code.is_success() };
        state.remember(ANSWER, &answer);
    }

    /// Does what messages asked for, and makes the alert of what the server does not have.
    fn catch_up(&self, state: &mut State, now: UtcMillis) -> Result<Option<Completion>, RecoveryError> {
        let mut random = |octets: &mut [u8]| edge::random(octets);
        let mut memory: Memory = state.memory(NAME);
        let answer: Answer = state.memory(ANSWER);
        if answer.taken {
            self.recovery.delivered(self.of, answer.number)?;
        }
        state.forget(ANSWER);
        self.recovery.ensure(self.of, self.enrolled_key.as_ref(), now, &mut random)?;
        if let Some(key) = memory.pin.take() {
            self.recovery.pin(self.of, key, now, &mut random)?;
            memory.renew = false;
        }
        if std::mem::take(&mut memory.renew) {
            match self.recovery.renew(self.of, now, &mut random) {
                Ok(()) | Err(RecoveryError::NoKey) => {}
                Err(error) => return Err(error),
            }
        }
        let due = self.recovery.undelivered(self.of)?.filter(|(number, _)| *number > memory.told);
        let due = due.map(|(number, sealed)| {
            memory.told = number;
            Completion {
                server_id: self.server_id.clone(),
                source: NODE.to_owned(),
                target: None,
                correlator: None,
                alert_type: ALERT.to_owned(),
                format: "chr".to_owned(),
                data: sealed,
                mark: Mark::Informational,
            }
        });
        state.remember(NAME, &memory);
        Ok(due)
    }
}

/// The server's answer to the newest alert, until the provider has seen it.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Answer {
    number: u64,
    taken: bool,
}

const ANSWER: &str = "recovery answer";

impl Provider for RecoveryProvider {
    fn root(&self) -> Path {
        path(&["Vendor", "Postern", "Recovery"])
    }

    fn plant(&self, ground: &mut Ground<'_>) -> Result<(), Code> {
        let root = self.root();
        ground.interior(&root, Some("urn:postern:mo:recovery:1.0"))?;
        // no change of a list keeps the enrolled server from them, and none lets another in
        let acl = |verbs: &[Verb]| Acl::default().granting(&ground.account.server_id, verbs);
        let (renew, key) = (acl(&[Verb::Exec]), acl(&[Verb::Get, Verb::Replace]));
        let node = Node::leaf(Format::Null, "").permanent(&[Verb::Exec]).with_fixed_acl(renew);
        ground.tree.insert(&root.child("Renew"), node)?;
        let node = Node::leaf(Format::Chr, "").permanent(&[Verb::Get, Verb::Replace]).with_fixed_acl(key);
        ground.tree.insert(&root.child("EscrowKey"), node)?;
        for name in ["Number", "Delivered", "Wrong"] {
            let node = Node::leaf(Format::Int, "0").permanent(&[Verb::Get]);
            ground.tree.insert(&root.child(name), node)?;
        }
        Ok(())
    }

    fn exec(&self, state: &mut State, _exec: &Exec<'_>, _events: &mut Vec<Event>) -> Result<Executed, Code> {
        let memory: Memory = state.memory(NAME);
        let standing = self.recovery.standing(self.of).map_err(|error| unusable(&error))?;
        if standing.key.or(self.enrolled_key.clone()).or(memory.pin.clone()).is_none() {
            return Err(Code::INCOMPLETE);
        }
        state.remember(NAME, &Memory { renew: true, ..memory });
        Ok(Executed::Done(Code::OK))
    }

    /// Data is the order on a line of its own, then the chain of keys.
    fn changed(&self, state: &mut State, change: &Change<'_>) -> Result<(), Code> {
        let given = state.tree.get(change.path).and_then(|node| node.text()).map(ToOwned::to_owned);
        state.tree.update(change.path, |node| node.value.clear())?;
        let given = given.ok_or(Code::BAD_FORMAT)?;
        let (order, text) = given.split_once('\n').ok_or(Code::BAD_FORMAT)?;
        let uri = uri_with_content(&change.path.to_string(), text.as_bytes());
        let refused = |why: &dyn std::fmt::Display| {
            tracing::warn!(%why, "an escrow key is refused");
            Code::FORBIDDEN
        };
        authority::obey_change(state, change, &uri, order).map_err(|why| refused(&why))?;
        let chain = KeyChain::parse(text).map_err(|why| {
            tracing::warn!(%why, "an escrow key cannot be read");
            Code::BAD_FORMAT
        })?;
        let memory: Memory = state.memory(NAME);
        let followed = match &memory.pin {
            Some(pinned) => chain.follow(pinned, crate::recovery::signed_by),
            None => {
                let mut random = |octets: &mut [u8]| edge::random(octets);
                let key = self.enrolled_key.as_ref();
                self.recovery
                    .ensure(self.of, key, change.now, &mut random)
                    .and_then(|()| self.recovery.follow(self.of, &chain))
                    .map_err(|error| unusable(&error))?
            }
        };
        let key = followed.map_err(|why| refused(&why))?;
        if !can_seal(&key) {
            return Err(refused(&"it is no RSA key of 2048 to 4096 bits"));
        }
        state.remember(NAME, &Memory { pin: Some(key), ..memory });
        Ok(())
    }

    fn refresh(&self, state: &mut State, _scope: &Path, _now: UtcMillis) -> Result<(), Code> {
        let standing = self.recovery.standing(self.of).map_err(|error| unusable(&error))?;
        let memory: Memory = state.memory(NAME);
        let key = memory.pin.or(standing.key).or(self.enrolled_key.clone());
        let values = [
            ("Number", standing.number.to_string()),
            ("Delivered", standing.delivered.to_string()),
            ("Wrong", standing.wrong.to_string()),
            ("EscrowKey", key.map(|key| key.to_base64()).unwrap_or_default()),
        ];
        for (name, value) in values {
            state.tree.update(&self.root().child(name), |node| node.value = value.into_bytes())?;
        }
        Ok(())
    }

    fn completions(&self, state: &mut State, now: UtcMillis) -> Vec<Completion> {
        match self.catch_up(state, now) {
            Ok(due) => due.into_iter().collect(),
            Err(error) => {
                tracing::error!(%error, "the recovery password is left as it is");
                Vec::new()
            }
        }
    }
}

fn unusable(error: &RecoveryError) -> Code {
    tracing::error!(%error, "the recovery password cannot be used");
    Code::FAILED
}

#[cfg(test)]
mod tests;
