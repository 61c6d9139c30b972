//! Destructive and identity-changing URIs, a table for each dialect.
//!
//! Promise: what stands here is refused as a raw command, also by way of an ancestor (an interior Delete, a
//! subtree in one Add or Replace) or of a change of ACL or name; it goes through its own operation. Secrets are
//! not read either (some clients answer a Get of them in clear). Names are compared without ASCII case and with escapes resolved,
//! because whether they matter is the device's choice. Atomic and Sequence hold the same commands, so their
//! planners ask here for each child.

use postern_wire::{
    terms::{Dialect, Verb},
    uri::{Query, TreeUri},
};

/// What a protected URI does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protected {
    /// Erases or resets the device.
    Wipe,
    /// Locks it or changes its PIN.
    Lock,
    /// Ends its enrolment.
    Unenrol,
    /// Changes whom it obeys, or how either side proves itself.
    Account,
    /// Holds or rotates an escrowed key or password.
    Escrow,
    /// A password or nonce that no Get may bring out.
    Secret,
}

impl std::fmt::Display for Protected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Wipe => "a wipe",
            Self::Lock => "a lock or PIN change",
            Self::Unenrol => "the end of the enrolment",
            Self::Account => "the device's DM account or identity",
            Self::Escrow => "an escrowed secret",
            Self::Secret => "a secret of the DM account",
        })
    }
}

/// A node with all below it. `*` is any one name, a leading `**` any number of names; lower case.
type Rule = (&'static str, Protected);

/// OMA objects and the CSPs of Windows Mobile: they hold on every device (OMA-TS-DM_StdObj 1.2.1, DMAcc; LAWMO 1.0; the CSPs of Windows Mobile 6).
const CLASSIC: &[Rule] = &[
    ("**/dmacc/**/aauthsecret", Protected::Secret),
    ("**/dmacc/**/aauthdata", Protected::Secret),
    ("**/aauthsecret", Protected::Secret),
    ("**/aauthdata", Protected::Secret),
    ("**/dmacc/*/clientpw", Protected::Secret),
    ("**/dmacc/*/serverpw", Protected::Secret),
    ("**/dmacc/*/clientnonce", Protected::Secret),
    ("**/dmacc/*/servernonce", Protected::Secret),
    ("**/dmacc", Protected::Account),
    ("syncml/con", Protected::Account),
    ("**/inbox", Protected::Account), // a DM account placed by its object identifier comes this way
    ("devinfo/devid", Protected::Account),
    ("**/lawmo/operations", Protected::Wipe),
    ("**/operations/factoryreset", Protected::Wipe),
    ("**/operations/wipe", Protected::Wipe),
    ("**/operations/ext/wipeall", Protected::Wipe),
    ("**/availablewipelist", Protected::Wipe),
    ("**/operations/fullylock", Protected::Lock),
    ("**/operations/partiallylock", Protected::Lock),
    ("**/operations/unlock", Protected::Lock),
    ("vendor/msft/remotewipe", Protected::Wipe),
    ("vendor/msft/remotelock", Protected::Lock),
    ("vendor/postern/trust", Protected::Account),
    ("vendor/postern/wipe", Protected::Wipe),
    ("vendor/postern/lock", Protected::Lock),
    ("vendor/postern/unenrol", Protected::Unenrol),
    ("vendor/postern/certificate", Protected::Account),
    ("vendor/postern/recovery", Protected::Escrow),
];

/// The CSPs of Windows 10 and 11 (Microsoft's DDF files), under ./Device, ./User or neither.
const WINDOWS: &[Rule] = &[
    ("vendor/msft/cleanpc", Protected::Wipe),
    ("vendor/msft/remotelock/newpinvalue", Protected::Secret),
    ("vendor/msft/passportforwork", Protected::Lock),
    ("vendor/msft/dmclient/unenroll", Protected::Unenrol),
    ("vendor/msft/dmclient/provider/*/unenroll", Protected::Unenrol),
    ("vendor/msft/dmclient/provider/*/numberofdaysafterlostcontacttounenroll", Protected::Unenrol),
    ("vendor/msft/dmclient/provider/*/managementserviceaddress", Protected::Account),
    ("vendor/msft/dmclient/provider/*/managementserveraddresslist", Protected::Account),
    ("vendor/msft/dmclient/provider/*/managementservertoupgradeto", Protected::Account),
    ("vendor/msft/dmclient/provider/*/requiremessagesigning", Protected::Account),
    ("vendor/msft/dmclient/provider/*/enhancedapplayersecurity", Protected::Account),
    ("vendor/msft/dmclient/hwdevid", Protected::Account),
    ("vendor/msft/certificatestore/my", Protected::Account),
    ("vendor/msft/laps", Protected::Escrow),
    ("vendor/msft/bitlocker/rotaterecoverypasswords", Protected::Escrow),
];

/// What `verb` on `uri` would touch, if that is protected on a device of any dialect: the dialect that an enrolment
/// names may be wrong, and a PC that was enrolled as a classic device must not be wiped by a raw command.
/// `subtree` says that the data is a whole subtree (TNDS). Copy asks twice: as Copy for its target, as Get for its source.
#[must_use]
pub fn protected(verb: Verb, uri: &TreeUri, subtree: bool) -> Option<Protected> {
    Dialect::ALL.iter().find_map(|dialect| protected_on(*dialect, verb, uri, subtree))
}

/// What of the nodes that are protected at a fixed place would be reached, deleted or changed by a node below, if somebody chose the segment
/// `hole` of this address. Nodes that are protected wherever they lie are left to [`protected`], which judges each address that comes of it.
#[must_use]
pub fn protected_by_a_name(uri: &str, hole: &str) -> Option<Protected> {
    let name = |name: &str| if name == hole { "*".to_owned() } else { unescape(name).to_ascii_lowercase() };
    let names: Vec<String> = uri.trim_start_matches("./").split('/').map(name).collect();
    let scoped = names.first().is_some_and(|first| ["device", "user", "*"].contains(&first.as_str()));
    let meets = |pattern: &str, names: &[String]| {
        pattern.split('/').zip(names).all(|(rule, name)| rule == "*" || name == "*" || rule == name)
    };
    let fixed = CLASSIC.iter().chain(WINDOWS).filter(|(pattern, _)| !pattern.starts_with("**"));
    let mut met =
        fixed.filter(|(pattern, _)| meets(pattern, &names) || scoped && meets(pattern, &names[1..]));
    met.next().map(|(_, what)| *what)
}

fn protected_on(dialect: Dialect, verb: Verb, uri: &TreeUri, subtree: bool) -> Option<Protected> {
    let names = names(dialect, uri);
    let (reach, secrets_only) = reach(verb, uri, subtree);
    let windows = matches!(dialect, Dialect::Windows).then_some(WINDOWS);
    CLASSIC.iter().chain(windows.into_iter().flatten()).find_map(|(pattern, what)| {
        let pattern: Vec<&str> = pattern.split('/').collect();
        let counts = !secrets_only || *what == Protected::Secret;
        (counts && touches(&pattern, &names, reach)).then_some(*what)
    })
}

/// Whether a node holds a secret on a device of any dialect: its value is not kept, should one come (AM-15).
#[must_use]
pub fn is_secret(uri: &str) -> bool {
    TreeUri::parse(uri).is_ok_and(|uri| protected(Verb::Get, &uri, false).is_some())
}

/// Whether the value of a node is not to be shown to people who look on: a secret, or what a wipe, a lock, the end of an
/// enrolment or an escrow carries (a signed order, which stays good for a while, or a PIN).
#[must_use]
pub fn is_hidden(uri: &str) -> bool {
    let carries = |uri: TreeUri| {
        matches!(
            protected(Verb::Exec, &uri, false),
            Some(
                Protected::Wipe
                    | Protected::Lock
                    | Protected::Unenrol
                    | Protected::Escrow
                    | Protected::Secret
            )
        )
    };
    is_secret(uri) || TreeUri::parse(uri).is_ok_and(carries)
}

/// How far a command reaches from its node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    /// The node itself; protected nodes above it count.
    Node,
    /// Also all below it.
    Subtree,
}

fn reach(verb: Verb, uri: &TreeUri, subtree: bool) -> (Reach, bool) {
    match (verb, uri.query()) {
        (Verb::Get, Some(Query::List(what))) => {
            let values = !what.eq_ignore_ascii_case("struct");
            (if values { Reach::Subtree } else { Reach::Node }, true)
        }
        (Verb::Get, _) => (Reach::Node, true),
        (Verb::Delete, _) | (Verb::Replace, Some(Query::Prop(_))) => (Reach::Subtree, false),
        (Verb::Add | Verb::Replace, _) if subtree => (Reach::Subtree, false),
        // Containers and alerts address no node; what a container holds is asked for one by one.
        (
            Verb::Add | Verb::Replace | Verb::Copy | Verb::Exec | Verb::Atomic | Verb::Sequence | Verb::Alert,
            _,
        ) => (Reach::Node, false),
    }
}

/// Names from the root down: escapes resolved, lower case, without the scope that Windows puts before Vendor.
pub(crate) fn names(dialect: Dialect, uri: &TreeUri) -> Vec<String> {
    let mut names: Vec<String> = uri.segments().map(|name| unescape(name).to_ascii_lowercase()).collect();
    let scoped = names.first().is_some_and(|name| name == "device" || name == "user");
    if dialect == Dialect::Windows && scoped {
        names.remove(0);
    }
    names
}

fn unescape(name: &str) -> String {
    let mut octets = Vec::with_capacity(name.len());
    let mut rest = name.as_bytes();
    while let Some((&octet, after)) = rest.split_first() {
        let escaped = (octet == b'%')
            .then(|| after.get(..2))
            .flatten()
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match escaped {
            Some(value) => {
                octets.push(value);
                rest = &after[2..];
            }
            None => {
                octets.push(octet);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&octets).into_owned()
}

/// Whether the node is the protected one, below it, or with [`Reach::Subtree`] above it.
fn touches(pattern: &[&str], names: &[String], reach: Reach) -> bool {
    match pattern.split_first() {
        None => true,
        Some((&"**", rest)) => (0..=names.len()).any(|at| {
            // Of a node that may lie anywhere, only an ancestor that carries part of its name counts, or the root.
            let tail = &names[at..];
            (!tail.is_empty() || names.is_empty()) && touches(rest, tail, reach)
        }),
        Some((name, rest)) => match names.split_first() {
            None => reach == Reach::Subtree,
            Some((first, tail)) => (*name == "*" || first == name) && touches(rest, tail, reach),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(dialect: Dialect, verb: Verb, uri: &str) -> Option<Protected> {
        protected_on(dialect, verb, &TreeUri::parse(uri).unwrap(), false)
    }

    #[test]
    fn a_pc_that_was_enrolled_as_a_classic_device_is_protected_too() {
        for uri in
            ["./Device/Vendor/MSFT/RemoteWipe/doWipe", "./Vendor/MSFT/CleanPC/CleanPCRetainingUserData"]
        {
            assert_eq!(
                protected(Verb::Exec, &TreeUri::parse(uri).unwrap(), false),
                Some(Protected::Wipe),
                "{uri}"
            );
        }
    }

    #[test]
    fn protected_nodes_are_refused_whatever_their_spelling() {
        for (dialect, verb, uri, what) in [
            (Dialect::Classic, Verb::Exec, "./LAWMO/Operations/FactoryReset", Protected::Wipe),
            (Dialect::Classic, Verb::Exec, "Com1/lawmo/operations/WIPE", Protected::Wipe),
            (Dialect::Classic, Verb::Exec, "./Vendor/MSFT/RemoteWipe/doWipe", Protected::Wipe),
            (Dialect::Classic, Verb::Exec, "./Vendor/Postern/Wipe/Run", Protected::Wipe),
            (Dialect::Classic, Verb::Replace, "./%44MAcc/x/AppAddr/1/Addr", Protected::Account),
            (Dialect::Classic, Verb::Add, "./SyncML/DMAcc/y", Protected::Account),
            (Dialect::Classic, Verb::Add, "./Inbox", Protected::Account),
            (
                Dialect::Windows,
                Verb::Exec,
                "./Device/Vendor/MSFT/RemoteWipe/doWipeProtected",
                Protected::Wipe,
            ),
            (
                Dialect::Windows,
                Verb::Exec,
                "./Vendor/MSFT/DMClient/Provider/Postern/Unenroll",
                Protected::Unenrol,
            ),
            (
                Dialect::Windows,
                Verb::Exec,
                "./Device/Vendor/MSFT/LAPS/Actions/ResetPassword",
                Protected::Escrow,
            ),
            (Dialect::Windows, Verb::Exec, "./User/Vendor/MSFT/RemoteLock/LockAndResetPIN", Protected::Lock),
        ] {
            assert_eq!(judge(dialect, verb, uri), Some(what), "{verb} {uri}");
        }
    }

    #[test]
    fn an_interior_delete_above_a_protected_node_is_refused() {
        for uri in [".", "./Vendor", "./Vendor/MSFT", "./DMAcc", "./SyncML", "./LAWMO/Operations"] {
            assert!(judge(Dialect::Classic, Verb::Delete, uri).is_some(), "{uri}");
        }
        assert!(judge(Dialect::Windows, Verb::Delete, "./Device/Vendor/MSFT/DMClient/Provider/X").is_some());
        assert_eq!(judge(Dialect::Classic, Verb::Delete, "./Vendor/Example"), None);
    }

    #[test]
    fn an_acl_change_at_or_above_a_protected_node_is_refused() {
        for uri in ["./DMAcc/x?prop=ACL", "./Vendor/MSFT?prop=ACL", ".?prop=ACL", "./Vendor?prop=Name"] {
            assert!(judge(Dialect::Classic, Verb::Replace, uri).is_some(), "{uri}");
        }
        assert_eq!(judge(Dialect::Classic, Verb::Replace, "./Vendor/Example?prop=ACL"), None);
    }

    #[test]
    fn a_subtree_in_one_add_above_a_protected_node_is_refused() {
        let vendor = TreeUri::parse("./Vendor/MSFT").unwrap();
        assert!(protected(Verb::Add, &vendor, true).is_some());
        assert_eq!(protected(Verb::Add, &vendor, false), None);
    }

    #[test]
    fn am_15_sec_28_secrets_are_not_read_but_their_surroundings_are() {
        for uri in
            ["./DMAcc/x/AppAuth/1/AAuthSecret", "./DMAcc/x/AppAuth/1/AAuthData", "./SyncML/DMAcc/y/ClientPW"]
        {
            assert_eq!(judge(Dialect::Classic, Verb::Get, uri), Some(Protected::Secret), "{uri}");
        }
        assert!(judge(Dialect::Classic, Verb::Get, "./DMAcc?list=StructData").is_some());
        assert!(judge(Dialect::Classic, Verb::Get, ".?list=TNDS").is_some());
        for uri in
            ["./DMAcc", "./DMAcc/x/ServerID", "./DMAcc?list=Struct", "./LAWMO/State", "./DMAcc/x?prop=ACL"]
        {
            assert_eq!(judge(Dialect::Classic, Verb::Get, uri), None, "{uri}");
        }
    }

    #[test]
    fn orders_and_pins_are_hidden_from_who_looks_on() {
        for uri in [
            "./Vendor/Postern/Wipe/Run",
            "./LAWMO/Operations/FullyLock",
            "./Vendor/MSFT/RemoteLock/NewPINValue",
        ] {
            assert!(is_hidden(uri), "{uri}");
        }
        for uri in ["./DMAcc/x/ServerID", "./LAWMO/State", "./DevInfo/Man"] {
            assert!(!is_hidden(uri), "{uri}");
        }
    }

    #[test]
    fn ordinary_nodes_are_free() {
        for (verb, uri) in [
            (Verb::Replace, "./Vendor/MSFT/Policy/Config/Camera/AllowCamera"),
            (Verb::Add, "./Vendor/Example"),
            (Verb::Exec, "./SCOMO/Download/p/Operations/DownloadInstall"),
            (Verb::Delete, "./Settings/A"),
        ] {
            assert_eq!(judge(Dialect::Windows, verb, uri), None, "{verb} {uri}");
        }
    }
}
