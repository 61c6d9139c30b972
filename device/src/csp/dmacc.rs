//! ./DMAcc, `urn:oma:mo:oma-dm-dmacc:1.0` (OMA-TS-DM_StdObj 5.3.1): whom the device obeys.
//!
//! Promise: ./DMAcc/Postern mirrors the enrolment; of it only AAuthSecret and AAuthData take a Replace, of that server, where
//! the enrolment has secrets at all. Other accounts come by bootstrap or through ./Inbox. AAuthSecret and AAuthData
//! are never read, whoever put them there.

use postern_wire::terms::{AuthType, Verb};

use super::{Change, Ground, Provider, path};
use crate::{
    codes::Code,
    enrolment::{ACCOUNTS, DMACC, Origin, ServerProof},
    state::State,
    tree::{
        acl::Acl,
        node::{Access, Format, Node},
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
        if account.origin == Origin::Nobody {
            return Ok(());
        }
        let own = self.root().child("Postern");
        let acl = Acl::default().granting_any(&[Verb::Get]).granting(&account.server_id, &[Verb::Replace]);
        let object = Node::interior().permanent(&[Verb::Get]).with_fixed_acl(acl);
        ground.tree.insert(&own, object.of_type(Some(DMACC.to_owned())))?;
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
        let secret = account.has_client_secret();
        app_auth(ground, &auth.child("Client"), ["CLCRED", client, account.own_credentials().0], secret)?;
        let server = match account.server_proof {
            ServerProof::Basic => "BASIC",
            ServerProof::Md5 => "DIGEST",
            ServerProof::Hmac => "HMAC",
            ServerProof::Tls | ServerProof::Signature => "TRANSPORT",
        };
        let names = ["SRVCRED", server, account.server_credentials().0];
        app_auth(ground, &auth.child("Server"), names, account.has_server_secret())
    }

    /// What an account's secrets are is nobody's to read.
    fn changed(&self, state: &mut State, change: &Change<'_>) -> Result<(), Code> {
        hide_secret(state, change.path)
    }
}

/// Takes Get from a node that is an account's AAuthSecret or AAuthData.
pub(crate) fn hide_secret(state: &mut State, path: &Path) -> Result<(), Code> {
    let secret = matches!(path.names(), [root, _, auth, _, leaf]
        if root == ACCOUNTS && auth == "AppAuth" && SECRETS.contains(&leaf.as_str()));
    match state.tree.get(path) {
        Some(node) if secret && node.access.allows(Verb::Get) => {
            state.tree.update(path, |node| node.access = Access::of(&[Verb::Replace, Verb::Delete]))
        }
        _ => Ok(()),
    }
}

const SECRETS: [&str; 2] = ["AAuthSecret", "AAuthData"];

fn app_auth(ground: &mut Ground<'_>, path: &Path, names: [&str; 3], secret: bool) -> Result<(), Code> {
    ground.interior(path, None)?;
    for (leaf, value) in ["AAuthLevel", "AAuthType", "AAuthName"].into_iter().zip(names) {
        ground.fact(&path.child(leaf), value)?;
    }
    let verbs: &[Verb] = if secret { &[Verb::Replace] } else { &[] };
    for (leaf, format) in SECRETS.into_iter().zip([Format::Chr, Format::Bin]) {
        ground.tree.insert(&path.child(leaf), Node::leaf(format, "").permanent(verbs))?;
    }
    Ok(())
}
