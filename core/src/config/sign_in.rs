//! `[sign_in]`: admins who sign in by the directory, and which groups give which roles.

use postern_wire::terms::Role;
use serde::{Deserialize, Serialize};

use super::ConfigError;

/// `[sign_in]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "each key is documented in KEYS, where the operator reads it")]
pub struct SignIn {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    pub minutes: u32,
    pub failures: u32,
    pub window_minutes: u32,
    pub roles: SignInRoles,
}

impl SignIn {
    /// Checks what the types alone do not.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        for (key, value, range) in [
            ("sign_in.minutes", i64::from(self.minutes), 5..=1440),
            ("sign_in.failures", i64::from(self.failures), 1..=20),
            ("sign_in.window_minutes", i64::from(self.window_minutes), 1..=1440),
        ] {
            if !range.contains(&value) {
                let reason = format!("{value} is not {} to {}", range.start(), range.end());
                return Err(ConfigError::Value { key, reason });
            }
        }
        Ok(())
    }
}

impl Default for SignIn {
    fn default() -> Self {
        Self { domain: None, minutes: 60, failures: 3, window_minutes: 30, roles: SignInRoles::default() }
    }
}

/// `[sign_in.roles]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "each key is documented in KEYS, where the operator reads it")]
pub struct SignInRoles {
    pub helpdesk: Vec<String>,
    pub support: Vec<String>,
    pub device_admin: Vec<String>,
    pub security_admin: Vec<String>,
    pub gateway_admin: Vec<String>,
    pub auditor: Vec<String>,
}

impl SignInRoles {
    /// The groups that give a role.
    #[must_use]
    pub fn groups(&self, role: Role) -> &[String] {
        match role {
            Role::Helpdesk => &self.helpdesk,
            Role::Support => &self.support,
            Role::DeviceAdmin => &self.device_admin,
            Role::SecurityAdmin => &self.security_admin,
            Role::GatewayAdmin => &self.gateway_admin,
            Role::Auditor => &self.auditor,
        }
    }
}
