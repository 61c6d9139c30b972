//! Bootstrap intake: the first account, or a further one, from a document that proves where it comes from
//! (OMA-TS-DM_Bootstrap 1.2.1, OMA-TS-DM_Security 1.2.1, 5.7).
//!
//! Promise: nothing of a document that is not proved is applied; the user has [`PIN_TRIES`] tries at the PIN of one
//! document, also across restarts; an account of another server is never touched; the server of a new account gets Get,
//! Replace and Delete on its object and nothing else, unless the device had no account at all: then it is the one that
//! manages the device.

use aws_lc_rs::digest::{SHA256, digest};
use postern_wire::{
    bootstrap::{
        cp::{self, Document},
        mac::{self, NetworkSecret, Secrets, Unproven},
        profile::{self, BadProfile},
    },
    push::{Push, PushMedia, SecurityMethod},
    syncml::Encoding,
    terms::Verb,
};
use secrecy::SecretString;

use crate::{
    codes::Code,
    csp::hide_secret,
    enrolment::{ACCOUNTS, Account, BadAccount, Origin},
    interaction::{Echo, Input, Kind, Options, Prompt, Reaction, UserInterface},
    manager::nodes_of,
    state::State,
    tree::path::Path,
};

/// Tries that a user has at the PIN of one document.
pub const PIN_TRIES: u8 = 3;
/// Accounts beside the enrolled one.
const MOST_ACCOUNTS: usize = 16;

/// Why a bootstrap was not applied.
#[derive(Debug, thiserror::Error)]
pub enum BootstrapError {
    /// Not proved.
    #[error("the bootstrap is not proved: {0}")]
    Unproven(#[from] Unproven),
    /// The PIN was wrong too often.
    #[error("the PIN of this bootstrap was wrong {PIN_TRIES} times")]
    TooManyTries,
    /// Not of a type that bootstraps.
    #[error("{0} is no bootstrap")]
    Media(String),
    /// An OMA CP document that cannot be read.
    #[error("the provisioning document cannot be read: {0}")]
    Document(#[from] cp::BadDocument),
    /// Its account is none.
    #[error("the provisioning document: {0}")]
    CpAccount(#[from] cp::BadAccount),
    /// A DM-profile message that cannot be read.
    #[error("the bootstrap message: {0}")]
    Profile(#[from] BadProfile),
    /// An account that this device cannot use.
    #[error(transparent)]
    Account(#[from] BadAccount),
    /// No account in it.
    #[error("the bootstrap gives no account")]
    NoAccount,
    /// The enrolled server's, which only a new enrolment changes.
    #[error("the account of {0} is enrolled; only a new enrolment changes it")]
    Enrolled(String),
    /// The tree does not take it.
    #[error("the tree does not take the account (code {0})")]
    Tree(Code),
}

/// An account that was put in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installed {
    /// ServerID.
    pub server_id: String,
    /// Its object.
    pub object: Path,
    /// The document wants a session at once.
    pub init: bool,
}

/// How a document's proof is looked at.
pub enum Trust<'a> {
    /// By SEC and MAC, with the network's secret and the user's PIN, which `user` is asked for.
    Proof {
        /// The network's secret.
        network: Option<NetworkSecret>,
        /// Who knows the PIN.
        user: &'a mut dyn UserInterface,
    },
    /// Not at all: the device's owner hands it over.
    Owner,
}

/// Proves a bootstrap and puts its accounts into the tree; all of them or none.
pub fn apply(
    push: &Push,
    trust: Trust<'_>,
    owner: &Account,
    state: &mut State,
) -> Result<Vec<Installed>, BootstrapError> {
    if let Trust::Proof { network, user } = trust {
        prove(push, network, user, state)?;
    }
    let accounts = accounts_of(push)?;
    if accounts.is_empty() {
        return Err(BootstrapError::NoAccount);
    }
    let before = state.clone();
    let installed: Result<Vec<_>, _> = accounts.iter().map(|given| install(given, owner, state)).collect();
    if installed.is_err() {
        *state = before;
    }
    installed
}

/// A PIN that was told beforehand, on the command line for one: one try.
pub struct KnownPin(pub Option<SecretString>);

impl UserInterface for KnownPin {
    fn ask(&mut self, _: &Prompt) -> Reaction {
        use secrecy::ExposeSecret as _;
        match self.0.take() {
            Some(pin) => Reaction::Text(pin.expose_secret().to_owned()),
            None => Reaction::Nobody,
        }
    }
}

fn prove(
    push: &Push,
    network: Option<NetworkSecret>,
    user: &mut dyn UserInterface,
    state: &mut State,
) -> Result<(), BootstrapError> {
    let method = push.security.as_ref().map(|security| security.method);
    let asks = matches!(
        method,
        Some(SecurityMethod::UserPin | SecurityMethod::UserNetworkPin | SecurityMethod::UserPinMac)
    );
    let mut secrets = Secrets { network, pin: None };
    if !asks {
        return Ok(mac::verify(push, &secrets)?);
    }
    let document = hex(digest(&SHA256, &push.body).as_ref());
    loop {
        if state.pin_failures(&document) >= PIN_TRIES {
            return Err(BootstrapError::TooManyTries);
        }
        secrets.pin = match user.ask(&pin_prompt()) {
            Reaction::Text(pin) => Some(SecretString::from(pin)),
            _ => None,
        };
        let gave_up = secrets.pin.is_none();
        let Err(why) = mac::verify(push, &secrets) else {
            state.forget_pin_failures(&document);
            return Ok(());
        };
        if gave_up {
            return Err(why.into());
        }
        state.count_pin_failure(&document);
    }
}

fn pin_prompt() -> Prompt {
    Prompt {
        kind: Kind::Input,
        text: "A new account was sent to this device. Its PIN:".into(),
        choices: Vec::new(),
        options: Options {
            max_length: Some(32),
            input: Input::Numeric,
            echo: Echo::Password,
            ..Options::default()
        },
    }
}

fn accounts_of(push: &Push) -> Result<Vec<cp::Account>, BootstrapError> {
    let trees = match &push.media {
        PushMedia::ConnectivityWbxml => return Ok(cp::Account::all_of(&Document::from_wbxml(&push.body)?)?),
        PushMedia::ConnectivityXml => return Ok(cp::Account::all_of(&Document::from_xml(&push.body)?)?),
        PushMedia::DmWbxml => profile::read(&push.body, Encoding::Wbxml)?,
        PushMedia::DmXml => profile::read(&push.body, Encoding::Xml)?,
        other => return Err(BootstrapError::Media(other.name().to_owned())),
    };
    let mut accounts = Vec::new();
    for tree in &trees {
        // a device goes to a server that bootstrapped it by the DM profile at once (BOO 5.4.4)
        accounts
            .extend(profile::accounts(tree)?.into_iter().map(|given| cp::Account { init: true, ..given }));
    }
    Ok(accounts)
}

/// Puts one account in: a new object, or a new one in the place of that server's old one.
fn install(given: &cp::Account, owner: &Account, state: &mut State) -> Result<Installed, BootstrapError> {
    let (account, nonces) = Account::described(given, &owner.device_id)?;
    let server_id = account.server_id;
    if owner.origin == Origin::Enrolled && owner.server_id == server_id {
        return Err(BootstrapError::Enrolled(server_id));
    }
    let there = Account::in_tree(&state.tree, &owner.device_id);
    let first = owner.origin == Origin::Nobody && there.is_empty();
    let own = there.iter().find(|(_, known)| known.as_ref().is_ok_and(|known| known.server_id == server_id));
    let root = Path::root().child(ACCOUNTS);
    let object = match own {
        Some((path, _)) => {
            state.tree.remove(path).map_err(BootstrapError::Tree)?;
            path.clone()
        }
        None if there.len() >= MOST_ACCOUNTS => return Err(BootstrapError::Tree(Code::DEVICE_FULL)),
        None => {
            let free = |name: &String| state.tree.get(&root.child(name)).is_none();
            root.child(&(1u32..).map(|number| number.to_string()).find(free).unwrap_or_default())
        }
    };
    let tree = profile::tree(given, object.name().unwrap_or_default())?;
    for (path, node) in nodes_of(&tree, &object).map_err(BootstrapError::Tree)? {
        state.tree.insert(&path, node).map_err(BootstrapError::Tree)?;
        hide_secret(state, &path).map_err(BootstrapError::Tree)?;
    }
    let kept = state.nonces_mut(&server_id);
    (kept.client, kept.server, kept.server_before) = (nonces.client, nonces.server, None);
    if first {
        let verbs = [Verb::Delete, Verb::Exec, Verb::Replace];
        let grant =
            |node: &mut crate::tree::node::Node| node.acl = node.acl.clone().granting(&server_id, &verbs);
        state.tree.update(&Path::root(), grant).map_err(BootstrapError::Tree)?;
    }
    Ok(Installed { server_id, object, init: given.init })
}

fn hex(octets: &[u8]) -> String {
    octets.iter().fold(String::new(), |text, octet| text + &format!("{octet:02x}"))
}

#[cfg(test)]
mod tests;
