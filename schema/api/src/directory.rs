//! The directory: how its reading stands, who devices and owners are in it, and signing in by it.

use std::fmt;

use postern_wire::terms::Role;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{schema, time::Time};

/// How it stands with the directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DirectoryState {
    /// `off` (not configured), `unread` (never read), `good`, or `stale`: what was read before is in force.
    pub state: String,
    /// The domain controllers that are configured.
    pub servers: Vec<String>,
    /// The server whose reading is in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// When the reading in force was last known to be what the directory holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub good_at: Option<Time>,
    /// When all of it was last read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whole_at: Option<Time>,
    /// The reading comes from before this core's start.
    pub restored: bool,
    /// Counts the readings that differed since the start.
    pub generation: u64,
    /// Entries of the reading.
    pub entries: u64,
    /// Containers with links.
    pub containers: u64,
    /// GPOs.
    pub gpos: u64,
    /// Computers.
    pub computers: u64,
    /// Users.
    pub users: u64,
    /// Groups.
    pub groups: u64,
    /// What is wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<DirectoryTrouble>,
    /// What was passed over in the reading, the first few.
    pub remarks: Vec<String>,
    /// Whether anything is written into the directory.
    pub writes: bool,
    /// What is still to be written there.
    pub waiting: u64,
    /// What cannot be written until a person puts something right; `directory refresh` tries it again.
    pub parked: u64,
    /// What that is, of the oldest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parked_because: Option<String>,
    /// What was to be written there and was given up.
    pub given_up: u64,
    /// Whether people sign in by it.
    pub sign_in: bool,
    /// How it stands with the folders of its GPOs; absent where no SYSVOL is configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sysvol: Option<SysvolView>,
}

/// How it stands with SYSVOL.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SysvolView {
    /// `unread` (never looked at), `good`, or `stale`: of some GPOs the last good folder is in force, or none.
    pub state: String,
    /// When it was last looked at; before the first look, when the oldest folder in force was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Time>,
    /// Something in force comes from before this core's start and was not looked at since.
    pub restored: bool,
    /// GPOs whose folders are looked at.
    pub gpos: u64,
    /// The GPOs whose folder is not what the directory says.
    pub troubles: Vec<SysvolFolder>,
}

/// A GPO whose folder is not what the directory says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SysvolFolder {
    /// Its distinguished name. Text from outside: escape it.
    pub gpo: String,
    /// What people call it. Text from outside: escape it.
    pub name: String,
    /// `older`, `newer`, `unknown`, `kept` (from before the start), or why it does not count: `down`, `slow`, `account`, `unprotected`, `no-name`,
    /// `no-folder`, `changing`, `hostile`, `damaged`, `too-large`.
    pub state: String,
    /// The same in a sentence. May hold text from outside: escape it.
    pub detail: String,
    /// Its version in the directory.
    pub directory: u32,
    /// Its version in SYSVOL as last read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sysvol: Option<u32>,
    /// The version that is in force; absent where none was ever good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_force: Option<u32>,
    /// Since when it stands so.
    pub since: Time,
}

/// What is wrong with the directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DirectoryTrouble {
    /// What the last look met.
    pub error: String,
    /// Since when looks fail.
    pub since: Time,
    /// How many failed in a row.
    pub looks: u32,
}

/// Have the directory read now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RefreshDirectory {
    /// Read everything, not only what changed.
    #[serde(default)]
    pub whole: bool,
}

/// What a reading gave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RefreshedDirectory {
    /// `whole`, `changed`, `same`, or `failed`: `directory.trouble` says why.
    pub look: String,
    /// How it stands now.
    pub directory: DirectoryState,
}

/// Who a device and its owner are in the directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeviceBinding {
    /// The device.
    pub device: Uuid,
    /// What people call it.
    pub name: String,
    /// Its owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Its computer.
    pub computer: BoundAccount,
    /// Its owner's user.
    pub user: BoundAccount,
    /// What was, or is to be, written into the directory for it, the newest first.
    pub tasks: Vec<DirectoryTask>,
}

/// An account of the directory, or why there is none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BoundAccount {
    /// Its distinguished name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dn: Option<String>,
    /// What led to it: `explicit`, `created`, `certificate`, `san`, `name`, `mail`, `principal-name` or `logon-name`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub how: Option<String>,
    /// Why there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What it could be, where it could be several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub candidates: Vec<String>,
}

/// Something that is written into the directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DirectoryTask {
    /// `create`, `disable`, `move` or `delete`.
    pub act: String,
    /// `waiting`, `parked` (until a person puts something right), `done` or `given-up`.
    pub state: String,
    /// The computer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub computer: Option<String>,
    /// What happened last.
    pub cause: String,
    /// How often it was tried.
    pub tries: u64,
    /// When it is tried next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_at: Option<Time>,
    /// Since when.
    pub made_at: Time,
}

/// Which bindings are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BindingQuery {
    /// Only devices without a computer, or with an owner who is no user.
    pub unbound: Option<bool>,
    /// Most items wanted, 1 to 500; 50 when absent.
    pub limit: Option<u32>,
    /// `next_cursor` of the page before.
    pub cursor: Option<String>,
}

/// Name the computer of a device, the user of its owner, or both; what is absent goes by the rules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BindDevice {
    /// The computer: its distinguished name, its name, or its `sAMAccountName`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub computer: Option<String>,
    /// The user: its distinguished name, principal name or logon name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Why; stands in the audit log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Sign in by the directory.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SignIn {
    /// `name`, `name@domain` or `DOMAIN\name`.
    pub user: String,
    /// The password; it goes to the directory and nowhere else.
    pub password: String,
}

impl fmt::Debug for SignIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignIn").field("user", &self.user).finish_non_exhaustive()
    }
}

/// Sign out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SignOut {}

/// A token for who signed in; its text is shown once.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SignedIn {
    /// The admin's name.
    pub admin: String,
    /// What the directory's groups give.
    #[schema(value_type = Vec<schema::Role>)]
    pub roles: Vec<Role>,
    /// The token's id.
    pub token: Uuid,
    /// Its text.
    pub secret: String,
    /// Until when it holds.
    pub expires_at: Time,
}

impl fmt::Debug for SignedIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedIn")
            .field("admin", &self.admin)
            .field("token", &self.token)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_not_shown_by_debug() {
        let body = SignIn { user: "alice".to_owned(), password: "hunter2".to_owned() };
        assert!(!format!("{body:?}").contains("hunter2"));
    }
}
