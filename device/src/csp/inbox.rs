//! ./Inbox, `urn:oma:mo:oma-dm-inbox:1.0` (OMA-TS-DM_StdObj 5.3.4): where a management object is sent whose place the
//! device knows better.
//!
//! Promise: it takes Add only, of the enrolled server: who adds an account says whom the device obeys. What is put in
//! never stands here: the configuration manager moves it by its identifier.

use postern_wire::terms::Verb;

use super::{Ground, Provider, path};
use crate::{
    codes::Code,
    tree::{acl::Acl, node::Node, path::Path},
};

pub(super) struct Inbox;

impl Provider for Inbox {
    fn root(&self) -> Path {
        path(&["Inbox"])
    }

    fn plant(&self, ground: &mut Ground<'_>) -> Result<(), Code> {
        let acl = Acl::default().granting_any(&[Verb::Get]).granting(&ground.account.server_id, &[Verb::Add]);
        let node = Node::interior().permanent(&[Verb::Add]).with_fixed_acl(acl);
        ground.tree.insert(&self.root(), node.of_type(Some("urn:oma:mo:oma-dm-inbox:1.0".to_owned())))
    }
}
