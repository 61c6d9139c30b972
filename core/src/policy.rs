//! What the policy supervisor computes of, as this core is set up.

mod world;

use std::sync::Arc;

use postern_actors::{
    DirectorySupervisor,
    documents::StoredDocuments,
    policy::{
        inputs::{PolicyBindings, PolicyInputs, PolicyRules, PolicySettings},
        live::DirectoryWho,
    },
    sysvol::SysvolSupervisor,
};
use postern_store::{Reader, StoreError};

use crate::{
    config::Config,
    inside::Inside,
    settings::{global, resolve, row},
};

pub(crate) use world::keep_telling;

/// The settings as the policy supervisor asks for them.
struct CorePolicyRules(Config);

impl PolicyRules for CorePolicyRules {
    fn read(&self, r: &mut Reader) -> Result<PolicySettings, StoreError> {
        let layers = global(r)?;
        let value = |name| resolve(row(name), &layers, &self.0).value;
        Ok(PolicySettings {
            hold_share: u32::try_from(value("PolicyHoldShare")).unwrap_or(100),
            verify_ms: value("PolicyVerifyInterval").saturating_mul(1_000),
        })
    }
}

/// What there is to compute of.
pub(crate) fn inputs(
    inside: &Inside,
    directory: Option<&DirectorySupervisor>,
    sysvol: Option<&SysvolSupervisor>,
) -> PolicyInputs {
    let who = |directory: &DirectorySupervisor| {
        Arc::new(DirectoryWho::new(directory.bindings(), None)) as Arc<dyn PolicyBindings>
    };
    PolicyInputs {
        world: world::world(inside, directory, sysvol),
        bindings: directory.map(who),
        rules: Arc::new(CorePolicyRules(inside.config.clone())),
        documents: Some(Arc::new(StoredDocuments::default())),
        ..PolicyInputs::default()
    }
}
