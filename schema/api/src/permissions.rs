//! Who may do what: permissions, and which role holds which.

use postern_wire::terms::Role;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

macro_rules! permissions {
    ($($(#[$doc:meta])* $name:ident = $text:literal),+ $(,)?) => {
        /// One thing that can be permitted. A route declares one; a role holds a set; a token may narrow it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
        pub enum Permission { $($(#[$doc])* #[serde(rename = $text)] $name),+ }

        impl Permission {
            /// Every permission.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The stable spelling.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text),+ }
            }

            /// The permission with this spelling.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|known| known.as_str() == text)
            }
        }
    };
}

permissions! {
    /// Nothing, not even a token: to sign in.
    Anyone = "anyone",
    /// Any valid token, whatever its roles.
    SignedIn = "signed-in",
    /// See devices, their commands, results and timelines.
    DevicesRead = "devices.read",
    /// Enrol a device.
    DevicesEnrol = "devices.enrol",
    /// Change a device's name or owner.
    DevicesUpdate = "devices.update",
    /// Ask a device to open a session.
    DevicesNotify = "devices.notify",
    /// Make a bootstrap document, which holds a device's credentials.
    DevicesBootstrap = "devices.bootstrap",
    /// Name a device's computer and its owner's user in the directory.
    DevicesBind = "devices.bind",
    /// Revoke a device.
    DevicesRetire = "devices.retire",
    /// Ask for a wipe, and take one back.
    WipeRequest = "wipe.request",
    /// Agree to a wipe that somebody else asked for.
    WipeApprove = "wipe.approve",
    /// Be one of the two persons who let a device off whose wipe is armed.
    WipeDisarm = "wipe.disarm",
    /// Queue and cancel raw Add, Replace, Get, Delete and Copy.
    CommandsQueue = "commands.queue",
    /// Queue raw Exec, beside `commands.queue`.
    CommandsExec = "commands.exec",
    /// Queue a raw command that the description of its node forbids, beside `commands.queue`.
    CommandsForce = "commands.force",
    /// Import and delete descriptions of management objects.
    ObjectsWrite = "objects.write",
    /// Add and delete quirk profiles.
    QuirksWrite = "quirks.write",
    /// See policy: documents, what holds for devices and why.
    PolicyRead = "policy.read",
    /// Apply policy documents, take them away, bring earlier versions back.
    PolicyWrite = "policy.write",
    /// Assign policy documents to groups, beside `policy.write`.
    PolicyAssign = "policy.assign",
    /// See groups.
    GroupsRead = "groups.read",
    /// Change groups and their members.
    GroupsWrite = "groups.write",
    /// Read the live dialogue of a device, without its secrets.
    SessionsWatch = "sessions.watch",
    /// Have a device's sessions recorded, and read and delete the transcripts.
    SessionsRecord = "sessions.record",
    /// See settings: intervals and limits, and where each value comes from.
    SettingsRead = "settings.read",
    /// Change settings for everything, a group or a device.
    SettingsWrite = "settings.write",
    /// See how the reading of the directory stands, and who devices are in it.
    DirectoryRead = "directory.read",
    /// Have the directory read now.
    DirectoryRefresh = "directory.refresh",
    /// See gateways and their settings.
    GatewaysRead = "gateways.read",
    /// Change gateways' settings.
    GatewaysWrite = "gateways.write",
    /// Declare that a gateway is in other hands: it is never dialed again, and its devices' secrets are renewed.
    GatewaysCompromise = "gateways.compromise",
    /// See admins, their roles and tokens (never a token's text).
    AdminsRead = "admins.read",
    /// Make and revoke tokens for any admin.
    TokensWrite = "tokens.write",
    /// Make admins and give roles, never to oneself.
    AdminsWrite = "admins.write",
    /// Read the audit log, its signed heads, and verify it.
    AuditRead = "audit.read",
    /// Lock and unlock devices.
    Lock = "lock",
    /// Reset a device's PIN, beside `lock`.
    PinReset = "lock.pin",
    /// Freeze everything destructive.
    Freeze = "freeze",
    /// End a freeze, with a second person.
    Thaw = "thaw",
    /// Open break-glass with a code from the safe.
    BreakGlass = "break-glass",
    /// See requests for approval.
    ApprovalsRead = "approvals.read",
    /// Agree to, and refuse, what others asked for. Whoever holds it is an approver.
    ApprovalsDecide = "approvals.decide",
    /// Change the limits of destructive operations.
    LimitsChange = "limits.change",
    /// See the system's state.
    StatusRead = "status.read",
    /// See CAs, the certificates that they issued, and CRLs.
    CaRead = "ca.read",
    /// Issue and renew link and server certificates.
    CaIssue = "ca.issue",
    /// Revoke certificates and import CRLs.
    CaRevoke = "ca.revoke",
    /// Roll a CA over, or have it certified from outside.
    CaRoll = "ca.roll",
    /// Finish or abort a roll-over although there are stragglers, beside `ca.roll`.
    CaForce = "ca.force",
    /// Read a device's recovery password.
    RecoveryShow = "recovery.show",
    /// Have devices make new recovery passwords.
    RecoveryRotate = "recovery.rotate",
    /// Roll the escrow key over.
    RecoveryRollKey = "recovery.roll_key",
    /// See alarms.
    AlarmsRead = "alarms.read",
    /// Acknowledge and close alarms.
    AlarmsWrite = "alarms.write",
    /// See what people and other systems are told of, and preview letters.
    MailRead = "mail.read",
    /// Have a delivery tried again, and send a test.
    MailRetry = "mail.retry",
    /// Set where people get mail.
    MailAddresses = "mail.addresses",
    /// See the system's parts and what doctor finds.
    ServerRead = "server.read",
    /// Change what is logged.
    ServerLog = "server.log",
    /// Make a support bundle.
    ServerSupport = "server.support",
    /// Let destructive orders out again after a restore.
    ServerRelease = "server.release",
}

/// What a role holds.
#[must_use]
pub const fn granted(role: Role) -> &'static [Permission] {
    use Permission as P;
    match role {
        Role::Helpdesk => &[
            P::SignedIn,
            P::DevicesRead,
            P::Lock,
            P::Freeze,
            P::ApprovalsRead,
            P::PolicyRead,
            P::GroupsRead,
            P::SettingsRead,
            P::DirectoryRead,
            P::StatusRead,
            P::AlarmsRead,
        ],
        Role::Support => &[
            P::SignedIn,
            P::DevicesRead,
            P::WipeRequest,
            P::Lock,
            P::Freeze,
            P::ApprovalsRead,
            P::PolicyRead,
            P::GroupsRead,
            P::SettingsRead,
            P::DirectoryRead,
            P::StatusRead,
            P::AlarmsRead,
            P::RecoveryShow,
            P::RecoveryRotate,
        ],
        Role::DeviceAdmin => &[
            P::SignedIn,
            P::DevicesRead,
            P::DevicesEnrol,
            P::DevicesUpdate,
            P::DevicesNotify,
            P::DevicesBootstrap,
            P::DevicesRetire,
            P::DevicesBind,
            P::DirectoryRead,
            P::DirectoryRefresh,
            P::WipeRequest,
            P::WipeApprove,
            P::WipeDisarm,
            P::CommandsQueue,
            P::CommandsExec,
            P::CommandsForce,
            P::ObjectsWrite,
            P::QuirksWrite,
            P::PolicyRead,
            P::PolicyWrite,
            P::PolicyAssign,
            P::GroupsRead,
            P::GroupsWrite,
            P::SessionsWatch,
            P::SessionsRecord,
            P::RecoveryShow,
            P::RecoveryRotate,
            P::SettingsRead,
            P::SettingsWrite,
            P::GatewaysRead,
            P::CaRead,
            P::Lock,
            P::PinReset,
            P::Freeze,
            P::Thaw,
            P::BreakGlass,
            P::ApprovalsRead,
            P::ApprovalsDecide,
            P::StatusRead,
            P::AlarmsRead,
            P::AlarmsWrite,
            P::MailRead,
            P::MailRetry,
            P::ServerRead,
            P::ServerLog,
            P::ServerSupport,
        ],
        Role::SecurityAdmin => &[
            P::SignedIn,
            P::WipeApprove,
            P::WipeDisarm,
            P::CaRead,
            P::CaIssue,
            P::CaRevoke,
            P::CaRoll,
            P::CaForce,
            P::AdminsRead,
            P::AdminsWrite,
            P::TokensWrite,
            P::RecoveryRollKey,
            P::AuditRead,
            P::Freeze,
            P::Thaw,
            P::BreakGlass,
            P::ApprovalsRead,
            P::ApprovalsDecide,
            P::LimitsChange,
            P::StatusRead,
            P::AlarmsRead,
            P::AlarmsWrite,
            P::MailRead,
            P::MailRetry,
            P::MailAddresses,
            P::ServerRead,
            P::ServerRelease,
        ],
        Role::GatewayAdmin => &[
            P::SignedIn,
            P::GatewaysRead,
            P::GatewaysWrite,
            P::GatewaysCompromise,
            P::CaRead,
            P::CaIssue,
            P::Freeze,
            P::StatusRead,
            P::AlarmsRead,
            P::AlarmsWrite,
            P::ServerRead,
        ],
        Role::Auditor => &[
            P::SignedIn,
            P::DevicesRead,
            P::PolicyRead,
            P::GroupsRead,
            P::SettingsRead,
            P::DirectoryRead,
            P::GatewaysRead,
            P::CaRead,
            P::AdminsRead,
            P::AuditRead,
            P::ApprovalsRead,
            P::StatusRead,
            P::AlarmsRead,
            P::MailRead,
            P::ServerRead,
        ],
    }
}

/// Whether any of `roles` holds `permission`, and `scope`, where there is one, leaves it.
#[must_use]
pub fn allows(roles: &[Role], scope: Option<&[Permission]>, permission: Permission) -> bool {
    let held =
        permission == Permission::SignedIn || roles.iter().any(|role| granted(*role).contains(&permission));
    held && scope.is_none_or(|scope| permission == Permission::SignedIn || scope.contains(&permission))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_narrows_and_never_widens() {
        let scope = [Permission::DevicesRead, Permission::AuditRead];
        assert!(allows(&[Role::Helpdesk], Some(&scope), Permission::DevicesRead));
        assert!(!allows(&[Role::Helpdesk], Some(&scope), Permission::GroupsRead));
        assert!(!allows(&[Role::Helpdesk], Some(&scope), Permission::AuditRead));
    }

    #[test]
    fn an_auditor_changes_nothing() {
        for permission in granted(Role::Auditor) {
            assert!(permission.as_str().ends_with(".read") || *permission == Permission::SignedIn);
        }
    }
}
