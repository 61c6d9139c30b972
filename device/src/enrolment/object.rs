//! Accounts that stand in the management tree: what a bootstrap or a server put under ./DMAcc, and what a server
//! changed there of the enrolled one (OMA-TS-DM_StdObj 5.3.1, OMA-TS-DM_Bootstrap 5.3).
//!
//! Promise: a secret or a nonce that was replaced in the tree takes effect with the next session (SEC 5.4.3); an account
//! that this device could not use is refused with the reason.

use postern_wire::{
    auth::decode_nonce,
    bootstrap::cp::{self, Credential, Level},
    terms::{AuthType, EnrolmentId},
};
use secrecy::{ExposeSecret as _, SecretString};

use super::{Account, Origin, ServerProof};
use crate::{
    origin::{BadServerUri, ServerUri},
    state::State,
    tree::{Tree, path::Path},
};

/// Where accounts stand.
pub const ROOT: &str = "DMAcc";
/// The identifier of an account's object.
pub const DMACC: &str = "urn:oma:mo:oma-dm-dmacc:1.0";

/// An account that this device cannot use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadAccount {
    /// A part that it needs is missing.
    #[error("the account has no {0}")]
    Missing(&'static str),
    /// Its address is not an https URI.
    #[error("the account's address: {0}")]
    Address(#[from] BadServerUri),
    /// AddrType is not URI.
    #[error("the account's address is of type {0:?}, only URI is spoken")]
    AddressType(String),
    /// AAuthType is not BASIC, DIGEST or HMAC.
    #[error("the account's authentication type {0:?} is not known here")]
    AuthType(String),
    /// The ServerID cannot stand in an access control list.
    #[error("the account's ServerID cannot stand in an access control list")]
    ServerId,
}

/// The first nonces of an account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FirstNonces {
    /// For the device's first proof.
    pub client: Option<Vec<u8>>,
    /// For the server's.
    pub server: Option<Vec<u8>>,
}

impl Account {
    /// The account of a device that has none: it can be bootstrapped, and checks in nowhere.
    #[must_use]
    pub fn nobody(device_id: &str) -> Self {
        let server = ServerUri { host: "localhost".into(), port: 443, target: "/".into() };
        Self::plain(Origin::Nobody, server, device_id, "")
    }

    /// The account that a bootstrap document or an object in the tree describes.
    pub fn described(given: &cp::Account, device_id: &str) -> Result<(Self, FirstNonces), BadAccount> {
        let id = &given.server_id;
        if id.is_empty() || !id.chars().all(|c| c.is_ascii_graphic() && !"=&*+".contains(c)) {
            return Err(BadAccount::ServerId);
        }
        let address = given.addresses.first().ok_or(BadAccount::Missing("address"))?;
        match address.kind.as_deref() {
            None | Some("URI" | "") => {}
            Some(other) => return Err(BadAccount::AddressType(other.to_owned())),
        }
        let mut server = ServerUri::parse(&address.address)?;
        if let (Some(port), 443) = (address.ports.first(), server.port) {
            server.port = *port;
        }
        let mut account = Self::plain(Origin::Object, server, device_id, id);
        let mut nonces = FirstNonces::default();
        let client = chosen(given, Level::ClientToServer).ok_or(BadAccount::Missing("client credentials"))?;
        account.auth = auth_type(client)?;
        account.user = client.name.clone().unwrap_or_else(|| device_id.to_owned());
        account.password = client.secret.clone().ok_or(BadAccount::Missing("client secret"))?;
        nonces.client = nonce(client);
        if let Some(of_server) = chosen(given, Level::ServerToClient) {
            account.server_proof = match auth_type(of_server)? {
                AuthType::Basic => ServerProof::Basic,
                AuthType::Hmac => ServerProof::Hmac,
                _ => ServerProof::Md5,
            };
            account.server_name = of_server.name.clone().unwrap_or_else(|| id.clone());
            account.server_password = of_server.secret.clone().ok_or(BadAccount::Missing("server secret"))?;
            nonces.server = nonce(of_server);
        }
        Ok((account, nonces))
    }

    fn plain(origin: Origin, server: ServerUri, device_id: &str, server_id: &str) -> Self {
        Self {
            origin,
            server,
            enrolment: NO_ENROLMENT.parse::<EnrolmentId>().expect("it is the nil UUID"),
            generation: 0,
            device_id: device_id.to_owned(),
            server_id: server_id.to_owned(),
            auth: AuthType::Md5,
            server_proof: ServerProof::Tls,
            order_key: None,
            message_key: None,
            signing_key: None,
            device_cas: Vec::new(),
            user: device_id.to_owned(),
            password: SecretString::default(),
            server_name: server_id.to_owned(),
            server_password: SecretString::default(),
        }
    }

    /// Every account that stands in the tree and is not the enrolled one, with its node.
    #[must_use]
    pub fn in_tree(tree: &Tree, device_id: &str) -> Vec<(Path, Result<Self, BadAccount>)> {
        let root = Path::root().child(ROOT);
        let names: Vec<_> = tree
            .get(&root)
            .map(|node| node.child_names().map(|name| root.child(name)).collect())
            .unwrap_or_default();
        let dynamic = |path: &Path| tree.get(path).is_some_and(|node| !node.permanent);
        let accounts = names.into_iter().filter(dynamic).map(|path| {
            let account = Self::described(&read(tree, &path), device_id).map(|(account, _)| account);
            (path, account)
        });
        accounts.collect()
    }

    /// The account as the tree has it now: with replaced secrets, and nonces that were written taken over.
    pub(crate) fn refreshed(&self, state: &mut State) -> Result<Self, BadAccount> {
        match self.origin {
            Origin::Nobody => Ok(self.clone()),
            Origin::Enrolled => {
                let object = Path::root().child(ROOT).child("Postern").child("AppAuth");
                let mut fresh = self.clone();
                for (name, secret) in
                    [("Client", &mut fresh.password), ("Server", &mut fresh.server_password)]
                {
                    if let Some(text) = text(&state.tree, &object.child(name).child("AAuthSecret")) {
                        *secret = SecretString::from(text);
                    }
                }
                take_nonces(state, &self.server_id, &object);
                Ok(fresh)
            }
            Origin::Object => {
                let found = Self::in_tree(&state.tree, &self.device_id).into_iter().find(|(_, account)| {
                    account.as_ref().is_ok_and(|account| account.server_id == self.server_id)
                });
                let (path, account) = found.ok_or(BadAccount::Missing("object in the tree any more"))?;
                take_nonces(state, &self.server_id, &path.child("AppAuth"));
                account
            }
        }
    }
}

const NO_ENROLMENT: &str = "00000000-0000-0000-0000-000000000000";

/// The preferred credential of a level, else the strongest that is known here.
fn chosen(given: &cp::Account, level: Level) -> Option<&Credential> {
    let of_level = || given.credentials.iter().filter(|credential| credential.level == level);
    let preferred = given.preferred.as_deref();
    let strength = |credential: &&Credential| match auth_type(credential) {
        Ok(AuthType::Hmac) => 3,
        Ok(AuthType::Md5) => 2,
        Ok(_) => 1,
        Err(_) => 0,
    };
    of_level()
        .find(|credential| {
            preferred.is_some() && credential.kind.as_deref() == preferred && auth_type(credential).is_ok()
        })
        .or_else(|| of_level().max_by_key(strength))
}

fn auth_type(credential: &Credential) -> Result<AuthType, BadAccount> {
    match credential.kind.as_deref().map(str::trim) {
        Some("BASIC") => Ok(AuthType::Basic),
        None | Some("DIGEST" | "") => Ok(AuthType::Md5),
        Some("HMAC") => Ok(AuthType::Hmac),
        Some(other) => Err(BadAccount::AuthType(other.to_owned())),
    }
}

fn nonce(credential: &Credential) -> Option<Vec<u8>> {
    let text = credential.data.as_ref()?.expose_secret();
    decode_nonce(text).filter(|nonce| !nonce.is_empty())
}

/// An object as a bootstrap would describe it.
fn read(tree: &Tree, object: &Path) -> cp::Account {
    let below = |path: &Path| -> Vec<Path> {
        tree.get(path)
            .map(|node| node.child_names().map(|name| path.child(name)).collect())
            .unwrap_or_default()
    };
    let addresses = below(&object.child("AppAddr")).into_iter().map(|address| cp::Address {
        address: text(tree, &address.child("Addr")).unwrap_or_default(),
        kind: text(tree, &address.child("AddrType")),
        ports: below(&address.child("Port"))
            .iter()
            .filter_map(|port| text(tree, &port.child("PortNbr"))?.trim().parse().ok())
            .collect(),
    });
    let credentials = below(&object.child("AppAuth")).into_iter().filter_map(|auth| {
        let level = text(tree, &auth.child("AAuthLevel"))?;
        Some(Credential {
            level: Level::ALL.into_iter().find(|known| known.in_dmacc() == level.trim())?,
            kind: text(tree, &auth.child("AAuthType")),
            name: text(tree, &auth.child("AAuthName")),
            secret: text(tree, &auth.child("AAuthSecret")).map(SecretString::from),
            data: None,
        })
    });
    cp::Account {
        server_id: text(tree, &object.child("ServerID")).unwrap_or_default(),
        name: text(tree, &object.child("Name")),
        preferred: text(tree, &object.child("AAuthPref")),
        addresses: addresses.collect(),
        credentials: credentials.collect(),
        ..cp::Account::default()
    }
}

/// Moves what was written to AAuthData into the account's nonces.
fn take_nonces(state: &mut State, server_id: &str, app_auth: &Path) {
    let entries: Vec<_> = match state.tree.get(app_auth) {
        Some(node) => node.child_names().map(|name| app_auth.child(name)).collect(),
        None => return,
    };
    for entry in entries {
        let level = text(&state.tree, &entry.child("AAuthLevel")).unwrap_or_default();
        let data = entry.child("AAuthData");
        let written = state.tree.get(&data).map(|node| node.value.clone()).filter(|value| !value.is_empty());
        let Some(nonce) = written else { continue };
        match level.as_str() {
            "CLCRED" => state.nonces_mut(server_id).client = Some(nonce),
            "SRVCRED" => state.nonces_mut(server_id).server = Some(nonce),
            _ => continue,
        }
        // it was there a line ago, and an empty value always fits
        let _stays_readable = state.tree.update(&data, |node| node.value = Vec::new());
    }
}

/// A leaf's text, unless it is empty.
fn text(tree: &Tree, path: &Path) -> Option<String> {
    let node = tree.get(path).filter(|node| !node.is_interior())?;
    node.text().filter(|text| !text.is_empty()).map(ToOwned::to_owned)
}
