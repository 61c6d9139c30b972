//! Groups: static, nested, without cycles.

use postern_wire::terms::EnrolmentId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// A group, by id and name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GroupRef {
    /// Its id.
    pub id: Uuid,
    /// Its name.
    pub name: String,
}

/// A member device, by id and names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeviceRef {
    /// The enrolment's id.
    #[schema(value_type = Uuid)]
    pub id: EnrolmentId,
    /// The DevId.
    pub device_id: String,
    /// What people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// A group in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Group {
    /// Its id.
    pub id: Uuid,
    /// Its name; unique.
    pub name: String,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Member devices, those of nested groups included, each counted once.
    pub device_count: u64,
    /// Direct member groups.
    pub group_count: u64,
    /// Changes with every update; the ETag.
    pub revision: u64,
}

/// A group with its members.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GroupDetail {
    /// What a list shows.
    #[serde(flatten)]
    pub group: Group,
    /// Member devices, those of nested groups included, the first [`MEMBERS_SHOWN`]; all of them by
    /// `GET /api/1/devices?group=`.
    pub devices: Vec<DeviceRef>,
    /// Direct member groups.
    pub groups: Vec<GroupRef>,
    /// Groups that it is a direct member of.
    pub member_of: Vec<GroupRef>,
}

/// How many member devices a [`GroupDetail`] lists.
pub const MEMBERS_SHOWN: u32 = 500;

/// Make a group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateGroup {
    /// Its name.
    pub name: String,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// Change a group. A field that is absent stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateGroup {
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it is for; `""` clears it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}
