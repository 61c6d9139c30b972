//! ./DevInfo, `urn:oma:mo:oma-dm-devinfo:1.0` (OMA-TS-DM_StdObj 5.3.2): sent at the start of each session.

use postern_wire::syncml::Version;

use super::{Ground, Provider, path};
use crate::{codes::Code, tree::path::Path};

/// The leaves, in the order they are sent.
pub const LEAVES: [&str; 5] = ["DevId", "Man", "Mod", "DmV", "Lang"];
/// The node.
pub const ROOT: &str = "DevInfo";

pub(super) struct DevInfo;

impl Provider for DevInfo {
    fn root(&self) -> Path {
        path(&[ROOT])
    }

    fn plant(&self, ground: &mut Ground<'_>) -> Result<(), Code> {
        ground.interior(&self.root(), Some("urn:oma:mo:oma-dm-devinfo:1.0"))?;
        let hardware = ground.hardware;
        let version = match hardware.version {
            Version::V1_1 => "1.1",
            Version::V1_2 => "1.2",
        };
        let values = [
            ground.account.device_id.as_str(),
            &hardware.manufacturer,
            &hardware.model,
            version,
            &hardware.language,
        ];
        for (leaf, value) in LEAVES.into_iter().zip(values) {
            ground.fact(&self.root().child(leaf), value)?;
        }
        ground.interior(&self.root().child("Ext"), None)?;
        ground.interior(&self.root().child("Bearer"), None)
    }
}
