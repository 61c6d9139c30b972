//! Admins and their roles.

use postern_wire::terms::Role;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{permissions::Permission, schema, time::Time};

/// Someone, or something, that may sign in to the API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Admin {
    /// Its id.
    pub id: Uuid,
    /// Its name; unique.
    pub name: String,
    /// Its roles.
    #[schema(value_type = Vec<schema::Role>)]
    pub roles: Vec<Role>,
    /// When it was made.
    pub created_at: Time,
    /// A disabled admin's tokens do not hold.
    pub disabled: bool,
    /// Changes with every update; the ETag.
    pub revision: u64,
}

/// Make an admin.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateAdmin {
    /// Its name.
    pub name: String,
    /// Its roles.
    #[serde(default)]
    #[schema(value_type = Vec<schema::Role>)]
    pub roles: Vec<Role>,
}

/// Change an admin other than oneself. A field that is absent stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateAdmin {
    /// All its roles from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<schema::Role>>)]
    pub roles: Option<Vec<Role>>,
    /// Whether its tokens hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled: Option<bool>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A role and what it holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RoleInfo {
    /// Its name.
    #[schema(value_type = schema::Role)]
    pub role: Role,
    /// What it may do.
    pub permissions: Vec<Permission>,
}

/// Who the caller is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Me {
    /// The admin.
    pub admin: Admin,
    /// The token in use.
    pub token: Uuid,
    /// What it may do with this token.
    pub permissions: Vec<Permission>,
}
