//! ./DMAcc/Postern, `urn:oma:mo:oma-dm-dmacc:1.0` (OMA-TS-DM_StdObj 5.3.1): whom the device obeys.
//!
//! Promise: it mirrors the enrolment and takes no change: whom a device obeys changes by a new enrolment only.
//! AAuthSecret and AAuthData are there without a value and without Get.

use postern_wire::terms::{AuthType, Verb};

use super::{Ground, Provider, path};
use crate::{
    codes::Code,
    enrolment::ServerProof,
    tree::{
        acl::Acl,
        node::{Format, Node},
        path::Path,
    },
};

pub(super) struct DmAcc;

impl Provider for DmAcc {
    fn root(&self) -> Path {
        path(&["DMAcc"])
    }

    fn plant(&self, ground: &mut Ground<'_>) -> Result<(), Code> {
        let account = ground.account;
        let acl = Acl::default().granting_any(&[Verb::Get]);
        ground.tree.insert(&self.root(), Node::interior().permanent(&[Verb::Get]).with_fixed_acl(acl))?;
        let own = self.root().child("Postern");
        ground.interior(&own, Some("urn:oma:mo:oma-dm-dmacc:1.0"))?;
        let client = match account.auth {
            AuthType::Basic => "BASIC",
            AuthType::Md5 => "DIGEST",
            AuthType::Hmac => "HMAC",
            AuthType::Certificate | AuthType::Signed => "TRANSPORT",
        };
        for (leaf, value) in
            [("AppID", "w7"), ("ServerID", &account.server_id), ("Name", "Postern"), ("AAuthPref", client)]
        {
            ground.fact(&own.child(leaf), value)?;
        }
        let address = own.child("AppAddr");
        ground.interior(&address, None)?;
        ground.interior(&address.child("1"), None)?;
        ground.fact(&address.child("1").child("Addr"), account.server.to_string())?;
        ground.fact(&address.child("1").child("AddrType"), "URI")?;

        let auth = own.child("AppAuth");
        ground.interior(&auth, None)?;
        app_auth(ground, &auth.child("Client"), "CLCRED", client, account.own_credentials().0)?;
        let server = match account.server_proof {
            ServerProof::Basic => "BASIC",
            ServerProof::Md5 => "DIGEST",
            ServerProof::Hmac => "HMAC",
            ServerProof::Tls | ServerProof::Signature => "TRANSPORT",
        };
        app_auth(ground, &auth.child("Server"), "SRVCRED", server, &account.server_id)
    }
}

fn app_auth(ground: &mut Ground<'_>, path: &Path, level: &str, kind: &str, name: &str) -> Result<(), Code> {
    ground.interior(path, None)?;
    for (leaf, value) in [("AAuthLevel", level), ("AAuthType", kind), ("AAuthName", name)] {
        ground.fact(&path.child(leaf), value)?;
    }
    for (leaf, format) in [("AAuthSecret", Format::Chr), ("AAuthData", Format::Bin)] {
        ground.tree.insert(&path.child(leaf), Node::leaf(format, "").permanent(&[]))?;
    }
    Ok(())
}
