//! The safety of destructive operations: how many there may be, who has to agree, when everything stops.
//!
//! Promise: one lost device, one person, no delay; a stolen token is bounded, whatever way it takes. The rules are
//! functions over a few figures ([`limits::judge`], [`limits::judge_send`]) and over one request ([`approval::decide`]);
//! the figures are counted by whoever commits, in the transaction that commits.

pub mod approval;
pub mod limits;

use postern_wire::terms::{OperationKind, UtcMillis, Verb};

use crate::{destructive::Protected, enrolment::leaving, queue::Body};

/// Over how long is counted, in milliseconds.
pub const HOUR_MS: i64 = 3_600_000;

/// What a destructive operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Erases or resets a device.
    Wipe,
    /// Locks or unlocks it.
    Lock,
    /// Tells it to leave, or ends its enrolment for it.
    Unenrol,
    /// Takes its enrolment away.
    Retire,
    /// Changes its PIN or password.
    Pin,
    /// Changes who it is to us: a new generation by hand, its certificate revoked.
    Identity,
}

impl Class {
    /// Each of them.
    pub const ALL: [Self; 6] =
        [Self::Wipe, Self::Lock, Self::Unenrol, Self::Retire, Self::Pin, Self::Identity];

    /// The stable spelling.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Wipe => "wipe",
            Self::Lock => "lock",
            Self::Unenrol => "unenrol",
            Self::Retire => "retire",
            Self::Pin => "pin",
            Self::Identity => "identity",
        }
    }

    /// The class with this spelling.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.as_str() == text)
    }
}

impl std::fmt::Display for Class {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The class of a command that is about to be sent; none for one that destroys nothing. Judged by what it says, not
/// only by what it is for: what slipped past a planner is caught here.
#[must_use]
pub fn class_of(kind: OperationKind, body: &Body) -> Option<Class> {
    match kind {
        OperationKind::Wipe => return Some(Class::Wipe),
        OperationKind::Lock => return Some(Class::Lock),
        _ => {}
    }
    let of_item = |verb, target: &str| {
        if target == leaving::NODE {
            return Some(Class::Unenrol);
        }
        let uri = postern_wire::uri::TreeUri::parse(target).ok()?;
        match crate::destructive::protected(verb, &uri, false)? {
            Protected::Wipe => Some(Class::Wipe),
            Protected::Lock => Some(Class::Lock),
            Protected::Unenrol => Some(Class::Unenrol),
            // The renewal of a certificate, of an account and of an escrow are supervisors' own: they change nothing that
            // the device cannot go on without, and the one before holds until the next is proved. By any other kind
            // they are a change of who the device is to us, or of what lets its person in.
            Protected::Account | Protected::Secret
                if matches!(kind, OperationKind::Certificate | OperationKind::Account) =>
            {
                None
            }
            Protected::Escrow if kind == OperationKind::Recovery => None,
            // To read is not to change; that a secret is not read is the planners' rule.
            Protected::Secret if verb == Verb::Get => None,
            Protected::Account | Protected::Escrow | Protected::Secret => Some(Class::Identity),
        }
    };
    body.every_item().find_map(|(verb, item)| of_item(verb, &item.target))
}

/// Who may approve, and since when: somebody who holds the permission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approver {
    /// The admin's name.
    pub name: String,
    /// Not before this moment: 24 hours after the admin was made or was given the role.
    pub from: UtcMillis,
}

/// Whether there is somebody beside `requester` who may approve now.
#[must_use]
pub fn has_second(approvers: &[Approver], requester: &str, now: UtcMillis) -> bool {
    has_other(approvers, &[requester], now)
}

/// Whether there is somebody beside all of these who may approve now.
#[must_use]
pub fn has_other(approvers: &[Approver], beside: &[&str], now: UtcMillis) -> bool {
    approvers.iter().any(|one| !beside.contains(&one.name.as_str()) && one.from <= now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::BodyItem;

    #[test]
    fn a_command_is_classed_by_what_it_says() {
        let exec = |uri: &str| Body::plain(Verb::Exec, vec![BodyItem::node(uri)]);
        for (kind, body, class) in [
            (OperationKind::Certificate, exec(leaving::NODE), Some(Class::Unenrol)),
            (OperationKind::Certificate, exec("./Vendor/Postern/Certificate/Renew"), None),
            (OperationKind::Raw, exec("./LAWMO/Operations/Wipe"), Some(Class::Wipe)),
            (
                OperationKind::Policy,
                Body::Atomic(vec![exec("./Device/Vendor/MSFT/RemoteWipe/doWipe")]),
                Some(Class::Wipe),
            ),
            (OperationKind::Policy, exec("./Vendor/MSFT/RemoteLock/Lock"), Some(Class::Lock)),
            (
                OperationKind::Raw,
                Body::plain(Verb::Delete, vec![BodyItem::node("./LAWMO")]),
                Some(Class::Wipe),
            ),
            (OperationKind::Lock, exec("./LAWMO/Operations/UnLock"), Some(Class::Lock)),
            (OperationKind::Recovery, exec("./Vendor/Postern/Recovery/Renew"), None),
            (OperationKind::Raw, exec("./Vendor/Postern/Recovery/Renew"), Some(Class::Identity)),
            (OperationKind::Policy, exec("./Vendor/MSFT/LAPS/Actions/ResetPassword"), Some(Class::Identity)),
            (
                OperationKind::Policy,
                Body::plain(Verb::Delete, vec![BodyItem::node("./DMAcc")]),
                Some(Class::Identity),
            ),
            (OperationKind::Account, Body::plain(Verb::Replace, vec![BodyItem::node("./DMAcc/x")]), None),
            (OperationKind::Raw, exec("./Vendor/Example/Run"), None),
        ] {
            assert_eq!(class_of(kind, &body), class, "{kind} {body:?}");
        }
    }

    #[test]
    fn a_class_is_read_as_it_is_written() {
        for class in Class::ALL {
            assert_eq!(Class::parse(class.as_str()), Some(class));
        }
        assert_eq!(Class::parse("nothing"), None);
    }

    #[test]
    fn who_is_new_or_asks_is_no_second_person() {
        let now = UtcMillis(1_000);
        let one = |name: &str, from| Approver { name: name.to_owned(), from: UtcMillis(from) };
        assert!(!has_second(&[one("a", 0)], "a", now));
        assert!(!has_second(&[one("a", 0), one("b", 1_001)], "a", now));
        assert!(has_second(&[one("a", 0), one("b", 1_000)], "a", now));
    }
}
