//! Everything else: the settings that servers put into the tree, under ./Settings or wherever they like.
//!
//! Promise: plain storage. What the device would do with a setting is no concern of the simulated device.

use postern_wire::terms::Verb;

use super::{Ground, Provider, path};
use crate::{
    codes::Code,
    tree::{node::Node, path::Path},
};

pub(super) struct Settings;

impl Provider for Settings {
    fn root(&self) -> Path {
        Path::root()
    }

    fn plant(&self, ground: &mut Ground<'_>) -> Result<(), Code> {
        for open in [path(&["Settings"]), path(&["Vendor"]), path(&["Vendor", "Postern"])] {
            let node = Node::interior().permanent(&[Verb::Add, Verb::Get, Verb::Replace]);
            ground.tree.insert(&open, node)?;
        }
        Ok(())
    }
}
