//! ./Vendor/Postern/Certificate: the renewal of the device's certificate, and ./Vendor/Postern/Trust: its anchors.
//!
//! Promise: `Renew` makes a key that never leaves the device and a request over it, which `Csr` shows. `Chain` takes a certificate
//! only if it is of that key, from a device CA that is believed, and for this enrolment; the identity stays as it is. The anchors
//! of servers and of devices are replaced by an order of the core that names their digest. What is new is used from the next
//! session on, and takes the old one's place when it proved itself there.

use postern_wire::{
    order::uri_with_content,
    terms::{UtcMillis, Verb},
};
use serde::{Deserialize, Serialize};

use super::{Change, Exec, Executed, Ground, Provider, authority, path};
use crate::{
    codes::Code,
    enrolment::{Account, NextIdentity, identity},
    event::Event,
    keys::NewRequest,
    state::State,
    tree::{
        node::{Format, Node},
        path::Path,
    },
};

const NAME: &str = "certificate";
/// A new identity that the server refused so often is forgotten.
const MOST_REFUSALS: u32 = 3;

/// What is remembered between the steps of a renewal.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct Renewal {
    /// The key of the request that `Csr` shows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    requested_key: Option<String>,
    /// What is tried in the next session.
    #[serde(default)]
    next: NextIdentity,
    /// How often the server refused it.
    #[serde(default)]
    refused: u32,
}

impl Renewal {
    /// What is to be tried in the next session.
    pub(crate) fn next(state: &State) -> Option<NextIdentity> {
        Some(state.memory::<Self>(NAME).next).filter(|next| !next.is_empty())
    }

    /// It proved itself: nothing is left to be tried. What came meanwhile stays.
    pub(crate) fn proved(state: &mut State, tried: &NextIdentity) {
        let mut memory = state.memory::<Self>(NAME);
        if memory.next == *tried {
            memory.next = NextIdentity::default();
        }
        memory.refused = 0;
        state.remember(NAME, &memory);
    }

    /// The server refused it. True when it is forgotten.
    pub(crate) fn refused(state: &mut State) -> bool {
        let mut memory = state.memory::<Self>(NAME);
        memory.refused += 1;
        let enough = memory.refused >= MOST_REFUSALS;
        if enough {
            memory = Self { requested_key: memory.requested_key, ..Self::default() };
        }
        state.remember(NAME, &memory);
        enough
    }
}

pub(super) struct CertificateProvider;

impl Provider for CertificateProvider {
    fn root(&self) -> Path {
        path(&["Vendor", "Postern", "Certificate"])
    }

    fn plant(&self, ground: &mut Ground<'_>) -> Result<(), Code> {
        let root = self.root();
        ground.interior(&root, Some("urn:postern:mo:certificate:1.0"))?;
        ground.tree.insert(&root.child("Renew"), Node::leaf(Format::Null, "").permanent(&[Verb::Exec]))?;
        ground.fact(&root.child("Csr"), "")?;
        ground.fact(&root.child("State"), "none")?;
        ground.tree.insert(&root.child("Chain"), Node::leaf(Format::Chr, "").permanent(&[Verb::Replace]))
    }

    fn exec(&self, state: &mut State, exec: &Exec<'_>, _events: &mut Vec<Event>) -> Result<Executed, Code> {
        let request = NewRequest::make(&exec.account.device_id).map_err(|_| Code::FAILED)?;
        let memory: Renewal = state.memory(NAME);
        state.remember(NAME, &Renewal { requested_key: Some(request.key_pem.clone()), ..memory });
        state
            .tree
            .update(&self.root().child("Csr"), |node| node.value = request.csr_pem.clone().into_bytes())?;
        Ok(Executed::Done(Code::OK))
    }

    fn changed(&self, state: &mut State, change: &Change<'_>) -> Result<(), Code> {
        let given = taken(state, change.path)?;
        let chain = identity::certificates(&given).map_err(|_| Code::BAD_FORMAT)?;
        let mut memory: Renewal = state.memory(NAME);
        let known = &memory.next;
        let key = match (&memory.requested_key, &known.key_pem) {
            // the answer to it was lost, and it comes again
            (_, Some(key)) if known.certificate_pem.as_deref() == Some(&*given) => key,
            (Some(key), _) => key,
            (None, _) => return Err(Code::INCOMPLETE),
        };
        let anchors = anchors(change.account, known);
        let judged = identity::fits(&chain, &anchors, key, change.account.enrolment, change.now);
        judged.map_err(|why| {
            tracing::warn!(%why, "a renewed certificate is refused");
            Code::FORBIDDEN
        })?;
        let certificate = NextIdentity {
            key_pem: Some(key.clone()),
            certificate_pem: Some(given),
            ..NextIdentity::default()
        };
        memory = Renewal { requested_key: None, next: memory.next.clone().and(certificate), refused: 0 };
        state.remember(NAME, &memory);
        state.tree.update(&self.root().child("Csr"), |node| node.value.clear())
    }

    fn refresh(&self, state: &mut State, _scope: &Path, _now: UtcMillis) -> Result<(), Code> {
        let memory: Renewal = state.memory(NAME);
        let stands = match (&memory.requested_key, &memory.next.certificate_pem) {
            (_, Some(_)) => "taken",
            (Some(_), None) => "requested",
            (None, None) => "none",
        };
        state.tree.update(&self.root().child("State"), |node| node.value = stands.into())
    }
}

pub(super) struct TrustProvider;

impl Provider for TrustProvider {
    fn root(&self) -> Path {
        path(&["Vendor", "Postern", "Trust"])
    }

    fn plant(&self, ground: &mut Ground<'_>) -> Result<(), Code> {
        let root = self.root();
        ground.interior(&root, Some("urn:postern:mo:trust:1.0"))?;
        for name in ["ServerCas", "DeviceCas"] {
            let node = Node::leaf(Format::Chr, "").permanent(&[Verb::Get, Verb::Replace]);
            ground.tree.insert(&root.child(name), node)?;
        }
        Ok(())
    }

    /// Data is the order on a line of its own, then the certificates in PEM.
    fn changed(&self, state: &mut State, change: &Change<'_>) -> Result<(), Code> {
        let given = taken(state, change.path)?;
        let (order, pem) = given.split_once('\n').ok_or(Code::BAD_FORMAT)?;
        let uri = uri_with_content(&change.path.to_string(), pem.as_bytes());
        authority::obey_change(state, change, &uri, order).map_err(|why| {
            tracing::warn!(%why, "anchors are refused");
            Code::FORBIDDEN
        })?;
        let certificates = identity::certificates(pem).map_err(|_| Code::BAD_FORMAT)?;
        let mut roots = rustls::RootCertStore::empty();
        for certificate in certificates {
            roots.add(certificate).map_err(|_| Code::BAD_FORMAT)?;
        }
        let mut new = NextIdentity::default();
        match change.path.name() {
            Some("ServerCas") => new.ca_pem = Some(pem.to_owned()),
            _ => new.device_ca_pem = Some(pem.to_owned()),
        }
        let memory: Renewal = state.memory(NAME);
        let next = memory.next.clone().and(new);
        state.remember(NAME, &Renewal { next, refused: 0, ..memory });
        // what is read there are the certificates
        state.tree.update(change.path, |node| node.value = pem.as_bytes().to_vec())
    }
}

/// The text that was written to a leaf; it does not stay there.
fn taken(state: &mut State, leaf: &Path) -> Result<String, Code> {
    let text = state.tree.get(leaf).and_then(|node| node.text()).map(ToOwned::to_owned);
    state.tree.update(leaf, |node| node.value.clear())?;
    text.ok_or(Code::BAD_FORMAT)
}

/// The device CAs that are believed: those of the account, and those that an order brought since.
fn anchors(account: &Account, next: &NextIdentity) -> Vec<rustls_pki_types::CertificateDer<'static>> {
    let ordered = next.device_ca_pem.as_deref().and_then(|pem| identity::certificates(pem).ok());
    account.device_cas.iter().cloned().chain(ordered.unwrap_or_default()).collect()
}

#[cfg(test)]
mod tests;
