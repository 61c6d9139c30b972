//! Configuration service providers: each owns a part of the tree.
//!
//! Promise: one file a provider. The configuration manager checks ACL and AccessType before it asks one; a URI
//! that no other provider covers belongs to [`settings`].

mod devdetail;
mod devinfo;
mod dmacc;
mod settings;
mod wipe;

use postern_wire::terms::{UtcMillis, Verb};

use crate::{
    codes::Code,
    enrolment::Account,
    event::Event,
    state::State,
    tree::{Tree, acl::Acl, node::Format, node::Node, path::Path},
};

pub use devinfo::{LEAVES as DEVINFO_LEAVES, ROOT as DEVINFO};
pub use wipe::RUN as WIPE;

/// What the simulated hardware is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hardware {
    /// DevInfo/Man.
    pub manufacturer: String,
    /// DevInfo/Mod.
    pub model: String,
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
    /// Whose device this is.
    pub account: &'a Account,
    /// The device's time.
    pub now: UtcMillis,
}

/// One provider.
pub trait Provider: Send + Sync {
    /// The top of what it owns.
    fn root(&self) -> Path;

    /// Puts its permanent nodes into a fresh tree.
    fn plant(&self, ground: &mut Ground<'_>) -> Result<(), Code>;

    /// Executes a node. Events that belong to it are pushed to `events`.
    fn exec(&self, _state: &mut State, _exec: &Exec<'_>, _events: &mut Vec<Event>) -> Result<Code, Code> {
        Err(Code::UNSUPPORTED)
    }

    /// Brings values that mirror the device's memory up to date, after it was loaded.
    fn refresh(&self, _state: &mut State) -> Result<(), Code> {
        Ok(())
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

const PROVIDERS: [&dyn Provider; 5] =
    [&devinfo::DevInfo, &devdetail::DevDetail, &dmacc::DmAcc, &wipe::WipeProvider, &settings::Settings];

/// The provider of a URI.
#[must_use]
pub fn provider_of(path: &Path) -> &'static dyn Provider {
    PROVIDERS.into_iter().find(|provider| provider.root().covers(path)).unwrap_or(&settings::Settings)
}

/// The tree of a device that no server has touched. The enrolled server may do everything that AccessType
/// lets it, by the root's list; any other may Add and Get, as the standard has it.
pub fn plant(account: &Account, hardware: &Hardware) -> Result<Tree, Code> {
    let acl = Acl::of_root().granting(&account.server_id, &[Verb::Delete, Verb::Exec, Verb::Replace]);
    let mut tree = Tree::new(acl);
    let mut ground = Ground { tree: &mut tree, account, hardware };
    for provider in PROVIDERS {
        provider.plant(&mut ground)?;
    }
    Ok(tree)
}

/// Brings every provider's mirrored values up to date.
pub fn refresh(state: &mut State) -> Result<(), Code> {
    PROVIDERS.into_iter().try_for_each(|provider| provider.refresh(state))
}

/// The path of these names.
fn path(names: &[&str]) -> Path {
    names.iter().fold(Path::root(), |path, name| path.child(name))
}
