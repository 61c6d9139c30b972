//! The words that every room uses: identities, states and classes, with their stable spellings.
//!
//! Promise: a spelling here is what the API shows, what a row stores and what a log line says. A variant is
//! added, never renamed.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A moment: 64-bit milliseconds since 1970-01-01T00:00:00Z, leap seconds not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UtcMillis(pub i64);

impl UtcMillis {
    /// This moment and `ms` milliseconds more; saturates.
    #[must_use]
    pub const fn plus(self, ms: i64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// Milliseconds since `earlier`; negative when `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// RFC 3339 in UTC with milliseconds: `2026-11-21T21:05:00.000Z`. A moment beyond year 9999 shows its number.
impl fmt::Display for UtcMillis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(stamp) => write!(f, "{stamp:.3}"),
            Err(_) => write!(f, "{}ms", self.0),
        }
    }
}

macro_rules! identity {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::try_parse(text).map(Self)
            }
        }
    };
}

identity! {
    /// One enrolment of a device (UUIDv7). DevId, serial, name, owner and certificate are its attributes.
    EnrolmentId
}
identity! {
    /// Something an admin or a supervisor wants of a device (UUIDv7).
    OperationId
}
identity! {
    /// One DM command of an operation, as it rests in the queue (UUIDv7).
    CommandId
}
identity! {
    /// One management session between a device and the core (UUIDv7).
    DmSessionId
}

/// An unknown spelling met where one of a fixed set was expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not one of: {expected}")]
pub struct UnknownTerm {
    /// What was read.
    pub text: String,
    /// The spellings that are known, with commas between.
    pub expected: &'static str,
}

macro_rules! terms {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name { $($(#[$vdoc])* #[serde(rename = $text)] $variant),+ }

        impl $name {
            /// Every variant, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The stable spelling.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = UnknownTerm;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $($text => Ok(Self::$variant),)+
                    _ => Err(UnknownTerm { text: text.to_owned(), expected: concat!($($text, ", "),+) }),
                }
            }
        }
    };
}

terms! {
    /// How an enrolment's device proves itself.
    AuthType {
        /// syncml:auth-basic in SyncHdr Cred.
        Basic = "basic",
        /// syncml:auth-md5 in SyncHdr Cred.
        Md5 = "md5",
        /// syncml:auth-MAC in the x-syncml-hmac header.
        Hmac = "hmac",
        /// The TLS client certificate alone.
        Certificate = "certificate",
        /// Our device's message signature (RFC 9421 over RFC 9530 digests), by its certificate's key.
        Signed = "signed",
    }
}

terms! {
    /// How strongly a session or a result was proved to the core; the order is the strength
    /// (docs/THREATS.md: what a captured gateway could do under each).
    ProofClass {
        /// Nothing proved.
        None = "none",
        /// A password crossed the gateway.
        Basic = "basic",
        /// A digest over a nonce; the body is not covered.
        Md5 = "md5",
        /// A client certificate ended at the gateway; the body is not covered.
        Certificate = "certificate",
        /// A MAC over body and nonce.
        Mac = "mac",
        /// A signature over body and request by a key the gateway does not have.
        Signed = "signed",
    }
}

terms! {
    /// Which family of clients a device belongs to: translators and quirks differ, sessions do not.
    Dialect {
        /// OMA DM 1.1.2 and 1.2 devices.
        Classic = "classic",
        /// The client built into Windows 10 and 11.
        Windows = "windows",
    }
}

terms! {
    /// Where an enrolment stands.
    EnrolmentState {
        /// Known, never seen.
        New = "new",
        /// Has had an authenticated session.
        Managed = "managed",
        /// Revoked; its route is a tombstone.
        Retired = "retired",
        /// Its hardware is enrolled already: its sessions are answered, nothing is sent to it, until a person decides.
        Quarantined = "quarantined",
    }
}

terms! {
    /// Where a request for an enrolment stands. Only an `Open` one lets a device in.
    RequestState {
        /// Waits for its device.
        Open = "open",
        /// A device enrolled with it.
        Used = "used",
        /// Taken back by a person.
        Cancelled = "cancelled",
        /// Its time passed.
        Expired = "expired",
        /// Too many wrong passwords were tried.
        Locked = "locked",
    }
}

terms! {
    /// The life of a command. Only `Queued` and `Sent` are pending.
    CommandState {
        /// Committed, not yet sent.
        Queued = "queued",
        /// Recorded as sent before its bytes left; no Status yet.
        Sent = "sent",
        /// The device answered with success.
        Succeeded = "succeeded",
        /// The device, or a rule of ours, refused it; the status says how.
        Failed = "failed",
        /// Sent, its fate unknown, and not safe to send again.
        InDoubt = "in-doubt",
        /// Its deadline passed before it could be sent.
        Expired = "expired",
        /// Taken back by a person before it was sent.
        Cancelled = "cancelled",
        /// A later operation made it pointless.
        Superseded = "superseded",
    }
}

terms! {
    /// The life of a notification job: package 0 to one device until a session answers it. Only `Wanted`, `Sent` and
    /// `Delivered` are open.
    NotificationState {
        /// To be sent, now or when its wait is over.
        Wanted = "wanted",
        /// A bearer has taken it; no session yet.
        Sent = "sent",
        /// The bearer reports that the device has it; no session yet.
        Delivered = "delivered",
        /// The session with its id came.
        Answered = "answered",
        /// The device came by itself, or nothing waits for it any more.
        Unneeded = "unneeded",
        /// No bearer could carry it.
        Failed = "failed",
        /// It was sent, and no session came in its time.
        Expired = "expired",
    }
}

impl NotificationState {
    /// Whether something may still become of it.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Wanted | Self::Sent | Self::Delivered)
    }
}

terms! {
    /// What may be done with a command whose fate is unknown.
    Redelivery {
        /// Safe to send again: Get, Replace, Delete, lock, a wipe within its generation.
        Repeat = "repeat",
        /// Read a URI first; its answer tells whether the command took effect.
        ProbeFirst = "probe-first",
        /// Never sent twice; in doubt until a person or a probe decides.
        AtMostOnce = "at-most-once",
    }
}

terms! {
    /// What an operation is for; the order is the coalescing order on one device (first goes first).
    OperationKind {
        /// Remote wipe: a pending one suspends the rest.
        Wipe = "wipe",
        /// Remote lock.
        Lock = "lock",
        /// Certificate issue or renewal.
        Certificate = "certificate",
        /// The device's account: a secret in place of another.
        Account = "account",
        /// Policy settings.
        Policy = "policy",
        /// Password recovery.
        Recovery = "recovery",
        /// Software distribution.
        Software = "software",
        /// Inventory reads.
        Inventory = "inventory",
        /// A DM command typed by an admin.
        Raw = "raw",
    }
}

terms! {
    /// How soon a command goes out among those of the same kind.
    Lane {
        /// Before all others; the device is alerted where it can be.
        Urgent = "urgent",
        /// The default.
        Normal = "normal",
        /// After all others.
        Background = "background",
    }
}

terms! {
    /// The verbs of DM commands that an admin or a planner may queue.
    Verb {
        /// Add a node.
        Add = "add",
        /// Replace a leaf's value or a property.
        Replace = "replace",
        /// Read a node.
        Get = "get",
        /// Delete a node and what is below it.
        Delete = "delete",
        /// Execute a node.
        Exec = "exec",
        /// Copy a leaf to a leaf.
        Copy = "copy",
        /// Several commands, all or none.
        Atomic = "atomic",
        /// Several commands in their order.
        Sequence = "sequence",
        /// A display or question to the person at the device (1100 to 1104).
        Alert = "alert",
    }
}

impl Verb {
    /// The verbs that address nodes of the tree.
    pub const TREE: &'static [Self] =
        &[Self::Add, Self::Replace, Self::Get, Self::Delete, Self::Exec, Self::Copy];

    /// Whether it addresses nodes of the tree.
    #[must_use]
    pub fn is_on_the_tree(self) -> bool {
        Self::TREE.contains(&self)
    }
}

terms! {
    /// The roles that an admin can hold.
    Role {
        /// Sees devices and locks them.
        Helpdesk = "helpdesk",
        /// Helpdesk, and may request a wipe.
        Support = "support",
        /// Enrols, commands, retires and wipes devices.
        DeviceAdmin = "device-admin",
        /// Gives roles and tokens, never to itself; reads audit.
        SecurityAdmin = "security-admin",
        /// Changes gateways and their settings.
        GatewayAdmin = "gateway-admin",
        /// Reads everything but secrets, changes nothing.
        Auditor = "auditor",
    }
}

terms! {
    /// What the certificates of a CA are for.
    CaRole {
        /// Devices prove themselves with them to the gateways and to the core.
        Device = "device",
        /// Cores and gateways prove themselves with them to each other.
        Link = "link",
        /// Devices and admins know the servers by them.
        Server = "server",
    }
}

terms! {
    /// Where one generation of a CA stands.
    CaState {
        /// Its key is made, its certificate is awaited from outside.
        Requested = "requested",
        /// New certificates come from it.
        Signing = "signing",
        /// It is trusted as before and signs nothing but its CRL: the one before in a roll-over, or one of others.
        Trusted = "trusted",
        /// Its device certificates get no more than a wipe; nobody trusts its link and server certificates.
        Retired = "retired",
    }
}

terms! {
    /// Why a certificate was revoked (RFC 5280 5.3.1).
    RevocationReason {
        /// Nothing was said.
        Unspecified = "unspecified",
        /// Somebody else may have its key.
        KeyCompromise = "key-compromise",
        /// Somebody else may have its CA's key.
        CaCompromise = "ca-compromise",
        /// Its subject is another one's now.
        AffiliationChanged = "affiliation-changed",
        /// Another certificate has taken its place.
        Superseded = "superseded",
        /// It is needed no more.
        CessationOfOperation = "cessation-of-operation",
        /// For the time being.
        CertificateHold = "certificate-hold",
        /// What it allowed was taken back.
        PrivilegeWithdrawn = "privilege-withdrawn",
    }
}

terms! {
    /// What people and other systems are told of, by mail, webhook, syslog and stream.
    EventKind {
        /// Somebody asked for a wipe.
        WipeRequested = "wipe-requested",
        /// A wipe waits for another person's approval.
        WipeApprovalNeeded = "wipe-approval-needed",
        /// The device took the order.
        WipeAccepted = "wipe-accepted",
        /// The wipe is complete, by the evidence that the event names.
        WipeSucceeded = "wipe-succeeded",
        /// The device refused or failed, and no try is left.
        WipeFailed = "wipe-failed",
        /// The device may have wiped itself or not, and nobody will be told.
        WipeInDoubt = "wipe-in-doubt",
        /// The order was not delivered in its time.
        WipeExpired = "wipe-expired",
        /// The device has no access but its wipe.
        WipeArmed = "wipe-armed",
        /// The wipe was taken back.
        WipeCancelled = "wipe-cancelled",
        /// Nothing destructive is accepted or sent any more.
        Frozen = "frozen",
        /// Destructive orders are accepted and sent again.
        Thawed = "thawed",
        /// Somebody went past limits or a freeze.
        BreakGlass = "break-glass",
        /// Something other than a wipe waits for another person's approval.
        ApprovalNeeded = "approval-needed",
        /// A recovery password was shown to a person.
        RecoveryShown = "recovery-shown",
        /// A device has a new recovery password.
        RecoveryRotated = "recovery-rotated",
        /// A device was locked.
        DeviceLocked = "device-locked",
        /// Somebody tries whether mail arrives.
        Test = "test",
    }
}

terms! {
    /// What a device escrows, so that its person can be let in again.
    RecoveryKind {
        /// The recovery password of our own device: 20 digits that it made.
        DevicePassword = "device-password",
        /// The recovery key of an encrypted Windows volume (BitLocker CSP); its place is here, nothing reads it yet.
        BitLocker = "bitlocker",
        /// The password of a Windows PC's local administrator (LAPS CSP); its place is here, nothing reads it yet.
        Laps = "laps",
    }
}

terms! {
    /// A way in which events go out.
    Channel {
        /// E-mail over SMTP.
        Mail = "mail",
        /// A signed HTTP POST.
        Webhook = "webhook",
        /// RFC 5424.
        Syslog = "syslog",
        /// A file of JSON lines.
        Stream = "stream",
    }
}

terms! {
    /// Where one delivery of an event stands.
    DeliveryState {
        /// It goes out when it is due.
        Waiting = "waiting",
        /// It goes out when something else is complete: the thief may have the mailbox.
        Held = "held",
        /// The other side took it.
        Delivered = "delivered",
        /// It is tried no more until a person says so.
        Parked = "parked",
    }
}

terms! {
    /// Why a device made a new recovery password.
    RecoveryCause {
        /// It had none yet.
        First = "first",
        /// The server wanted a new one.
        Ordered = "ordered",
        /// The one before was used at the device.
        Used = "used",
        /// The escrow key was replaced.
        Key = "key",
    }
}

terms! {
    /// The life of a wipe. `Requested` never rests: what takes a request decides in the same transaction.
    WipeState {
        /// Asked for, nothing decided.
        Requested = "requested",
        /// A second person has to agree.
        AwaitingApproval = "awaiting-approval",
        /// Stored, not delivered to the device.
        Pending = "pending",
        /// Recorded as sent before its bytes left; no answer yet.
        Sent = "sent",
        /// The device acknowledged it, and what counts as its evidence has not come.
        Accepted = "accepted",
        /// A try failed; it goes again after a wait.
        Retrying = "retrying",
        /// The evidence that counts for this kind has come.
        Succeeded = "succeeded",
        /// The device reported failure and no try is left.
        Failed = "failed",
        /// Not delivered in time.
        Expired = "expired",
        /// Not proved done: the device reaches nothing but this wipe, until it is done or two persons disarm it.
        Armed = "armed",
        /// Taken back.
        Cancelled = "cancelled",
        /// The device may have got it, and nobody will be told.
        InDoubt = "in-doubt",
    }
}

impl WipeState {
    /// Whether it stands in the way of another wipe for the same device.
    #[must_use]
    pub const fn is_outstanding(self) -> bool {
        matches!(
            self,
            Self::Requested
                | Self::AwaitingApproval
                | Self::Pending
                | Self::Sent
                | Self::Accepted
                | Self::Retrying
                | Self::Armed
        )
    }
}

terms! {
    /// What a wipe takes away.
    WipeKind {
        /// Everything: factory defaults.
        Full = "full",
        /// Everything but the user's data.
        KeepUserData = "keep-user-data",
        /// The data; what the device was provisioned with stays.
        KeepProvisioning = "keep-provisioning",
        /// Everything, resumed after each power cycle: for a device in a thief's hands.
        Protected = "protected",
        /// What the organisation put there: the device leaves its enrolment.
        Selective = "selective",
    }
}

terms! {
    /// What a wipe was counted as done on.
    WipeEvidence {
        /// The device's Status to the Exec said that it was done.
        Acknowledged = "acknowledged",
        /// The device's later alert said so.
        Result = "result",
        /// The device acknowledged it and was not seen for the set time after that. Nobody saw the erasure.
        Silent = "silent",
        /// The device said that it leaves its enrolment.
        Left = "left",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_shown_as_rfc_3339_in_utc() {
        assert_eq!(UtcMillis(0).to_string(), "1970-01-01T00:00:00.000Z");
    }

    #[test]
    fn every_term_is_read_back_from_its_own_spelling() {
        for state in CommandState::ALL {
            assert_eq!(state.as_str().parse::<CommandState>(), Ok(*state));
        }
        assert!("sleeping".parse::<CommandState>().is_err());
    }

    #[test]
    fn the_proof_classes_are_ordered_by_strength() {
        assert!(ProofClass::None < ProofClass::Basic && ProofClass::Mac < ProofClass::Signed);
    }
}
