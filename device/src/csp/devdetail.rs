//! ./DevDetail, `urn:oma:mo:oma-dm-devdetail:1.0` (OMA-TS-DM_StdObj 5.3.3): read on demand.

use super::{Ground, Provider, path};
use crate::{
    codes::Code,
    tree::path::{MAX_DEPTH, MAX_SEGMENT, MAX_TOTAL, Path},
};

pub(super) struct DevDetail;

impl Provider for DevDetail {
    fn root(&self) -> Path {
        path(&["DevDetail"])
    }

    fn plant(&self, ground: &mut Ground<'_>) -> Result<(), Code> {
        let root = self.root();
        ground.interior(&root, Some("urn:oma:mo:oma-dm-devdetail:1.0"))?;
        let hardware = ground.hardware;
        for (leaf, value) in [
            ("DevTyp", hardware.device_type.as_str()),
            ("OEM", &hardware.oem),
            ("FwV", &hardware.firmware),
            ("SwV", &hardware.software),
            ("HwV", &hardware.hardware),
            ("LrgObj", "true"),
        ] {
            ground.fact(&root.child(leaf), value)?;
        }
        let uri = root.child("URI");
        ground.interior(&uri, None)?;
        for (leaf, value) in [("MaxDepth", MAX_DEPTH), ("MaxTotLen", MAX_TOTAL), ("MaxSegLen", MAX_SEGMENT)] {
            ground.fact(&uri.child(leaf), value.to_string())?;
        }
        ground.interior(&root.child("Ext"), None)?;
        ground.interior(&root.child("Bearer"), None)
    }
}
