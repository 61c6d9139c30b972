//! Configuration service providers: each owns a part of the tree.
//!
//! Promise: one file a provider. The configuration manager checks ACL and AccessType before it asks one; a URI
//! that no other provider covers belongs to the settings. What a provider remembers beyond its nodes lies in the
//! state's memories and is kept with it; what it still has to do after an Exec it does between sessions, a step at a
//! time, the state kept after each.

mod authority;
mod certificate;
mod completion;
mod devdetail;
mod devinfo;
mod dmacc;
mod dmacc11;
mod inbox;
mod lawmo;
#[cfg(target_os = "linux")]
mod linux;
mod process;
mod recovery;
mod schedule;
mod scomo;
mod settings;
mod syncacc;
mod unenrol;
mod wipe;

use std::{fmt, pin::Pin};

use postern_wire::{
    syncml::Version,
    terms::{UtcMillis, Verb},
};

use crate::{
    codes::Code,
    enrolment::Account,
    event::Event,
    state::State,
    tree::{Tree, acl::Acl, node::Format, node::Node, path::Path},
};

use authority::obey;
pub(crate) use certificate::Renewal;
pub use completion::{Asker, Completion, KEPT as COMPLETIONS_KEPT, Mark};
pub use devinfo::{LEAVES as DEVINFO_LEAVES, ROOT as DEVINFO};
pub(crate) use dmacc::hide_secret;
pub use lawmo::{Lawmo, LockState, Operation as LawmoOperation, WipeItem};
#[cfg(target_os = "linux")]
pub use linux::{Allow, Linux};
pub use recovery::RecoveryProvider;
pub use schedule::Schedule;
pub use scomo::{Fetch, FetchError, Fetching, Scomo, Wanted, Web};
pub use syncacc::{Database, SyncAccount};
pub use unenrol::{Leaving, UNENROL, UNENROL_ALERT};
pub use wipe::RUN as WIPE;

/// What the simulated hardware is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hardware {
    /// DevInfo/Man.
    pub manufacturer: String,
    /// DevInfo/Mod.
    pub model: String,
    /// DevInfo/DmV.
    pub version: Version,
    /// DevDetail/DevTyp.
    pub device_type: String,
    /// DevDetail/OEM.
    pub oem: String,
    /// DevInfo/Lang (RFC 5646).
    pub language: String,
    /// DevDetail/FwV.
    pub firmware: String,
    /// DevDetail/SwV.
    pub software: String,
    /// DevDetail/HwV.
    pub hardware: String,
}

impl Default for Hardware {
    fn default() -> Self {
        Self {
            manufacturer: "Postern".into(),
            model: "Simulated".into(),
            version: Version::V1_2,
            device_type: "simulated".into(),
            oem: "Postern".into(),
            language: "en".into(),
            firmware: "1.0".into(),
            software: env!("CARGO_PKG_VERSION").into(),
            hardware: "1".into(),
        }
    }
}

/// An Exec that passed the configuration manager.
pub struct Exec<'a> {
    /// The node.
    pub path: &'a Path,
    /// Data, as octets.
    pub data: &'a [u8],
    /// What a later completion has to bear, if the server gave one.
    pub correlator: Option<&'a str>,
    /// Whose device this is.
    pub account: &'a Account,
    /// The device's time.
    pub now: UtcMillis,
}

/// How an Exec was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Executed {
    /// Over and done; the Status says how it went.
    Done(Code),
    /// Status 202: it goes on, and a [`Completion`] in the state says later how it ended (OMA-TS-DM_RepPro 6.6.6).
    Accepted,
}

/// A change of the tree that passed the configuration manager.
pub struct Change<'a> {
    /// Add, Replace or Delete; a rename is the Delete of the old name and the Add of the new.
    pub verb: Verb,
    /// The node, as it is now; gone after a Delete.
    pub path: &'a Path,
    /// Whose device this is.
    pub account: &'a Account,
    /// The device's time.
    pub now: UtcMillis,
}

/// A step of work under way.
pub type Working<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// One provider.
pub trait Provider: Send + Sync {
    /// The top of what it owns.
    fn root(&self) -> Path;

    /// Puts its permanent nodes into a fresh tree.
    fn plant(&self, ground: &mut Ground<'_>) -> Result<(), Code>;

    /// Executes a node. Events that belong to it are pushed to `events`.
    fn exec(&self, _state: &mut State, _exec: &Exec<'_>, _events: &mut Vec<Event>) -> Result<Executed, Code> {
        Err(Code::UNSUPPORTED)
    }

    /// Judges a change that the tree has just taken, and completes it: plants what belongs to a new node. On `Err`
    /// the manager takes tree and memories back to where they were. It reaches nothing outside the state, because an Atomic
    /// may undo it later.
    fn changed(&self, _state: &mut State, _change: &Change<'_>) -> Result<(), Code> {
        Ok(())
    }

    /// Brings its nodes that mirror something up to date before a Get of `scope`: the node, one above it or one below
    /// it. So a provider may own values that live outside the tree.
    fn refresh(&self, _state: &mut State, _scope: &Path, _now: UtcMillis) -> Result<(), Code> {
        Ok(())
    }

    /// The next step of what was accepted; `None` when there is nothing to do. Between sessions it is asked again and
    /// again until then, and the state is kept after each step: a step that `kill -9` cuts off is asked for again.
    /// To make a step changes nothing yet; to await it does.
    fn work<'a>(&'a self, _state: &'a mut State, _now: UtcMillis) -> Option<Working<'a>> {
        None
    }

    /// Hands over what ended since it was last asked, before a session and after its work; what ends in a step of work
    /// may as well go straight to [`State::complete`].
    fn completions(&self, _state: &mut State, _now: UtcMillis) -> Vec<Completion> {
        Vec::new()
    }
}

/// Where providers plant.
pub struct Ground<'a> {
    /// The tree.
    pub tree: &'a mut Tree,
    /// Whose device this is.
    pub account: &'a Account,
    /// What the device is.
    pub hardware: &'a Hardware,
}

impl Ground<'_> {
    /// Plants an interior node that only takes Get, of the given Type if any.
    fn interior(&mut self, path: &Path, media_type: Option<&str>) -> Result<(), Code> {
        let node = Node::interior().permanent(&[Verb::Get]).of_type(media_type.map(ToOwned::to_owned));
        self.tree.insert(path, node)
    }

    /// Plants a text leaf that only takes Get.
    fn fact(&mut self, path: &Path, value: impl Into<Vec<u8>>) -> Result<(), Code> {
        self.tree.insert(path, Node::leaf(Format::Chr, value).permanent(&[Verb::Get]))
    }
}

/// The providers of one device.
pub struct Providers(Vec<Box<dyn Provider>>);

impl Default for Providers {
    /// Those of every device, the simulated one too.
    fn default() -> Self {
        Self(Vec::new())
            .with(devinfo::DevInfo)
            .with(devdetail::DevDetail)
            .with(dmacc::DmAcc)
            .with(dmacc11::DmAcc11)
            .with(inbox::Inbox)
            .with(wipe::WipeProvider)
            .with(certificate::CertificateProvider)
            .with(certificate::TrustProvider)
            .with(unenrol::UnenrolProvider)
            .with(Lawmo::default().with_item(WipeItem {
                name: "Accounts".to_owned(),
                subtree: path(&["SyncAcc"]),
                memory: None,
                folder: None,
            }))
            .with(Schedule::default())
            .with(syncacc::SyncAcc)
            .with(settings::Settings)
    }
}

impl fmt::Debug for Providers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|provider| provider.root().to_string())).finish()
    }
}

impl Providers {
    /// These and one more. One that stands deeper in the tree is asked before one above it.
    #[must_use]
    pub fn with(mut self, provider: impl Provider + 'static) -> Self {
        self.0.push(Box::new(provider));
        self.0.sort_by_key(|provider| std::cmp::Reverse(provider.root().names().len()));
        self
    }

    /// These with this one instead of the one that stood there.
    #[must_use]
    pub fn replacing(mut self, provider: impl Provider + 'static) -> Self {
        self.0.retain(|other| other.root() != provider.root());
        self.with(provider)
    }

    /// The provider of a URI.
    #[must_use]
    pub fn of(&self, path: &Path) -> &dyn Provider {
        self.0.iter().find(|provider| provider.root().covers(path)).map_or(&settings::Settings, |own| &**own)
    }

    /// The tree of a device that no server has touched. The enrolled server may do everything that AccessType
    /// lets it, by the root's list; any other may Add and Get, as the standard has it.
    pub fn plant(&self, account: &Account, hardware: &Hardware) -> Result<Tree, Code> {
        let acl = Acl::of_root().granting(&account.server_id, &[Verb::Delete, Verb::Exec, Verb::Replace]);
        let mut tree = Tree::new(acl);
        let mut ground = Ground { tree: &mut tree, account, hardware };
        for provider in self.0.iter().rev() {
            provider.plant(&mut ground)?; // what stands above comes first
        }
        Ok(tree)
    }

    /// Brings what a Get of `scope` may show up to date.
    pub fn refresh(&self, state: &mut State, scope: &Path, now: UtcMillis) -> Result<(), Code> {
        let concerned = self.0.iter().filter(|provider| {
            let root = provider.root();
            root.covers(scope) || scope.covers(&root)
        });
        concerned.into_iter().try_for_each(|provider| provider.refresh(state, scope, now))
    }

    /// The next step of work of any provider.
    pub fn work<'a>(&'a self, state: &'a mut State, now: UtcMillis) -> Option<Working<'a>> {
        // two looks, because a step borrows the state for as long as it lives
        let busy = self.0.iter().position(|provider| provider.work(state, now).is_some())?;
        self.0[busy].work(state, now)
    }

    /// Moves what ended into the state's completions, to be sent.
    pub fn collect(&self, state: &mut State, now: UtcMillis) {
        for provider in &self.0 {
            for ended in provider.completions(state, now) {
                state.complete(ended);
            }
        }
    }
}

/// The path of these names.
fn path(names: &[&str]) -> Path {
    names.iter().fold(Path::root(), |path, name| path.child(name))
}

#[cfg(test)]
mod bench;
#[cfg(test)]
mod tests;
