//! What the policy supervisor computes of, as this core is set up.

use std::sync::Arc;

use postern_actors::policy::inputs::{PolicyInputs, PolicyRules, PolicySettings};
use postern_store::{Reader, StoreError};

use crate::{
    config::Config,
    inside::Inside,
    settings::{global, resolve, row},
};

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
pub(crate) fn inputs(inside: &Inside) -> PolicyInputs {
    PolicyInputs { rules: Arc::new(CorePolicyRules(inside.config.clone())), ..PolicyInputs::default() }
}
