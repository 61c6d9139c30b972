//! API tokens: 256 random bits, shown once, stored as SHA-256.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{permissions::Permission, time::Time};

/// What every token's text starts with, so that scanners can find a leaked one.
pub const PREFIX: &str = "pst_";

/// A token, without its text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Token {
    /// Its id.
    pub id: Uuid,
    /// What it is for.
    pub name: String,
    /// Whose it is: the admin's id.
    pub admin: Uuid,
    /// Whose it is: the admin's name.
    pub admin_name: String,
    /// When it was made.
    pub created_at: Time,
    /// When it stops holding.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Time>,
    /// When it was last used; written in batches, so up to a minute late.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<Time>,
    /// When it was revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<Time>,
    /// What it is narrowed to; absent when it may all that its admin may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<Vec<Permission>>,
    /// Networks that it may be used from, in CIDR form; none means anywhere.
    #[serde(default)]
    pub networks: Vec<String>,
}

/// Make a token.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateToken {
    /// What it is for.
    pub name: String,
    /// For which admin, by id or name; the caller when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admin: Option<String>,
    /// When it stops holding. Default: 90 days on; the most is 366.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Time>,
    /// Narrow it to these permissions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<Vec<Permission>>,
    /// Networks that it may be used from, in CIDR form.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub networks: Vec<String>,
}

/// A new token. Its text is shown this once and never again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CreatedToken {
    /// The token.
    pub token: Token,
    /// Its text: the value of `Authorization: Bearer`.
    pub secret: String,
}
