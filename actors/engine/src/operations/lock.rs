//! Lock, unlock and the reset of a PIN, as far as a device's dialect has them (LAWMO 1.0; RemoteLock CSP).
//!
//! Promise: no other node is reached by this kind, and these nodes by no other but a wipe's. A lock may be sent again: it
//! ends in the same state; a new PIN is made once, because the second reading of it is empty. What a device is after a
//! lock is read from it (./LAWMO/State), never taken from its Status.
//!
//! Our own devices lock by LAWMO and only obey a signed order as the Exec's data; others get none.

use postern_wire::{
    syncml::Data,
    terms::{Dialect, OperationKind, Redelivery, Verb},
};

use super::{Order, Plan, PlanError, PlannedCommand, Planner, Target};
use crate::queue::{Body, BodyItem};

/// Where LAWMO stands on our own devices, and on those that have it at its usual place.
pub const LAWMO: &str = "./LAWMO";
/// The state of a LAWMO device: 10 fully locked, 20 partially locked, 30 unlocked.
pub const STATE: &str = "./LAWMO/State";
/// The new PIN: it can be read once.
pub const NEW_PIN: &str = "./Device/Vendor/MSFT/RemoteLock/NewPINValue";

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// Nothing of the device can be used but an emergency call.
    FullyLock,
    /// Some of it can be used: what, the device decides.
    PartiallyLock,
    /// It is usable again.
    Unlock,
    /// It is locked and gets a new PIN, which is read back.
    ResetPin,
    /// The same, where the device can bring its old PIN's secrets over to the new one.
    RecoverPin,
}

impl Action {
    /// Each of them.
    pub const ALL: [Self; 5] =
        [Self::FullyLock, Self::PartiallyLock, Self::Unlock, Self::ResetPin, Self::RecoverPin];

    /// The stable spelling.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FullyLock => "full",
            Self::PartiallyLock => "partial",
            Self::Unlock => "unlock",
            Self::ResetPin => "reset-pin",
            Self::RecoverPin => "recover-pin",
        }
    }

    /// The action with this spelling.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.as_str() == text)
    }

    /// The action that a node stands for, on a device of any dialect.
    #[must_use]
    pub fn of_node(uri: &str) -> Option<Self> {
        let is = |action: &Self| Dialect::ALL.iter().any(|dialect| node(*dialect, *action) == Ok(uri));
        Self::ALL.into_iter().find(is)
    }

    /// Whether the device is locked by it.
    #[must_use]
    pub const fn locks(self) -> bool {
        !matches!(self, Self::Unlock)
    }

    /// Whether it changes the PIN.
    #[must_use]
    pub const fn is_pin(self) -> bool {
        matches!(self, Self::ResetPin | Self::RecoverPin)
    }
}

/// The node that is executed for an action.
///
/// # Errors
/// [`PlanError::Model`] where the dialect has none.
pub const fn node(dialect: Dialect, action: Action) -> Result<&'static str, PlanError> {
    Ok(match (dialect, action) {
        (Dialect::Classic, Action::FullyLock) => "./LAWMO/Operations/FullyLock",
        (Dialect::Classic, Action::PartiallyLock) => "./LAWMO/Operations/PartiallyLock",
        (Dialect::Classic, Action::Unlock) => "./LAWMO/Operations/UnLock",
        (Dialect::Classic, Action::ResetPin | Action::RecoverPin) => {
            return Err(PlanError::Model { problem: "LAWMO knows no PIN" });
        }
        (Dialect::Windows, Action::FullyLock) => "./Device/Vendor/MSFT/RemoteLock/Lock",
        (Dialect::Windows, Action::ResetPin) => "./Device/Vendor/MSFT/RemoteLock/LockAndResetPIN",
        (Dialect::Windows, Action::RecoverPin) => "./Device/Vendor/MSFT/RemoteLock/LockAndRecoverPIN",
        (Dialect::Windows, Action::PartiallyLock | Action::Unlock) => {
            return Err(PlanError::Model { problem: "RemoteLock locks and resets; it unlocks nothing" });
        }
    })
}

/// The commands of an action. `order` is the signed text that our own devices obey; others get none.
///
/// # Errors
/// As [`node`].
pub fn commands(dialect: Dialect, action: Action, order: Option<String>) -> Result<Vec<Body>, PlanError> {
    let node = node(dialect, action)?;
    let exec = match (dialect, order) {
        (_, Some(order)) => {
            let data = Some(Data::Text(order));
            BodyItem { format: Some("chr".to_owned()), data, ..BodyItem::node(node) }
        }
        (Dialect::Classic, None) => BodyItem::node(node),
        (Dialect::Windows, None) => BodyItem { format: Some("null".to_owned()), ..BodyItem::node(node) },
    };
    let mut commands = vec![Body::plain(Verb::Exec, vec![exec])];
    if dialect == Dialect::Classic {
        commands.push(Body::plain(Verb::Get, vec![BodyItem::node(STATE)]));
    }
    if action.is_pin() {
        commands.push(Body::plain(Verb::Get, vec![BodyItem::node(NEW_PIN)]));
    }
    Ok(commands)
}

/// What a LAWMO state says.
#[must_use]
pub fn said(state: &str) -> Option<&'static str> {
    match state.trim() {
        "10" => Some("fully-locked"),
        "20" => Some("partially-locked"),
        "30" => Some("unlocked"),
        _ => None,
    }
}

/// The planner of locks.
#[derive(Clone, Copy, Debug)]
pub struct Lock;

impl Planner for Lock {
    fn kind(&self) -> OperationKind {
        OperationKind::Lock
    }

    fn plan(&self, order: &Order, target: Target) -> Result<Plan, PlanError> {
        let [exec, readings @ ..] = order.commands.as_slice() else { return Err(PlanError::Empty) };
        let refused = |body: &Body| PlanError::Shape {
            verb: body.verb(),
            uri: body.first_uri().unwrap_or_default().to_owned(),
            problem: "this kind has no such command",
        };
        let uri = exec.first_uri().unwrap_or_default();
        let action = Action::ALL.into_iter().find(|action| node(target.dialect, *action) == Ok(uri));
        let Some(action) = action.filter(|_| exec.verb() == Verb::Exec && exec.items().len() == 1) else {
            return Err(refused(exec));
        };
        let mut commands = vec![PlannedCommand { body: exec.clone(), redelivery: redelivery(action) }];
        for reading in readings {
            let uri = reading.first_uri().unwrap_or_default();
            let known = match target.dialect {
                Dialect::Classic => uri == STATE,
                Dialect::Windows => uri == NEW_PIN && action.is_pin(),
            };
            if !known || reading.verb() != Verb::Get || reading.items().len() != 1 {
                return Err(refused(reading));
            }
            // The PIN is given once: a second reading would bring an empty one and lose the first.
            let redelivery = if uri == NEW_PIN { Redelivery::AtMostOnce } else { Redelivery::Repeat };
            commands.push(PlannedCommand { body: reading.clone(), redelivery });
        }
        Ok(Plan { commands, ordered: true })
    }
}

/// A lock ends in the same state however often it comes; each reset of a PIN makes another one.
const fn redelivery(action: Action) -> Redelivery {
    if action.is_pin() { Redelivery::AtMostOnce } else { Redelivery::Repeat }
}

#[cfg(test)]
mod tests {
    use postern_wire::terms::{Lane, OperationId};
    use uuid::Uuid;

    use super::*;
    use crate::account::Quirks;

    fn plan(dialect: Dialect, commands: Vec<Body>) -> Result<Plan, PlanError> {
        let order = Order {
            operation: OperationId(Uuid::from_u128(1)),
            kind: OperationKind::Lock,
            lane: Lane::Urgent,
            deadline: None,
            ordered: true,
            commands,
        };
        Lock.plan(&order, Target { dialect, quirks: Quirks::default() })
    }

    #[test]
    fn each_dialect_has_its_own_nodes_and_says_what_it_lacks() {
        use Action::{FullyLock, PartiallyLock, RecoverPin, ResetPin, Unlock};
        let remote = "./Device/Vendor/MSFT/RemoteLock/";
        for (dialect, action, uri) in [
            (Dialect::Classic, FullyLock, Some("./LAWMO/Operations/FullyLock".to_owned())),
            (Dialect::Classic, PartiallyLock, Some("./LAWMO/Operations/PartiallyLock".to_owned())),
            (Dialect::Classic, Unlock, Some("./LAWMO/Operations/UnLock".to_owned())),
            (Dialect::Classic, ResetPin, None),
            (Dialect::Classic, RecoverPin, None),
            (Dialect::Windows, FullyLock, Some(format!("{remote}Lock"))),
            (Dialect::Windows, ResetPin, Some(format!("{remote}LockAndResetPIN"))),
            (Dialect::Windows, RecoverPin, Some(format!("{remote}LockAndRecoverPIN"))),
            (Dialect::Windows, PartiallyLock, None),
            (Dialect::Windows, Unlock, None),
        ] {
            assert_eq!(node(dialect, action).ok().map(str::to_owned), uri, "{dialect} {}", action.as_str());
            assert_eq!(commands(dialect, action, None).is_ok(), uri.is_some());
            assert_eq!(Action::parse(action.as_str()), Some(action));
        }
    }

    #[test]
    fn a_lock_of_our_own_device_carries_its_order_and_is_followed_by_a_look_at_the_state() {
        let made = commands(Dialect::Classic, Action::FullyLock, Some("order".to_owned())).unwrap();
        let planned = plan(Dialect::Classic, made).unwrap();
        assert!(planned.ordered);
        let [exec, state] = planned.commands.as_slice() else { panic!("{planned:?}") };
        assert_eq!(exec.body.items()[0].data.as_ref().and_then(Data::as_text), Some("order"));
        assert_eq!((state.body.verb(), state.body.first_uri()), (Verb::Get, Some(STATE)));
        assert!(planned.commands.iter().all(|command| command.redelivery == Redelivery::Repeat));
        assert_eq!(said("  30 "), Some("unlocked"));
    }

    #[test]
    fn a_new_pin_is_made_once_and_read_once() {
        let made = commands(Dialect::Windows, Action::ResetPin, None).unwrap();
        let planned = plan(Dialect::Windows, made).unwrap();
        let uris: Vec<_> = planned.commands.iter().map(|one| one.body.first_uri().unwrap()).collect();
        assert_eq!(uris, ["./Device/Vendor/MSFT/RemoteLock/LockAndResetPIN", NEW_PIN]);
        assert!(planned.commands.iter().all(|one| one.redelivery == Redelivery::AtMostOnce));
        assert_eq!(planned.commands[0].body.items()[0].format.as_deref(), Some("null"));
        let lock = plan(Dialect::Windows, commands(Dialect::Windows, Action::FullyLock, None).unwrap());
        assert_eq!(lock.unwrap().commands[0].redelivery, Redelivery::Repeat);
    }

    #[test]
    fn no_other_node_is_reached() {
        let one = |verb, uri: &str| Body::plain(verb, vec![BodyItem::node(uri)]);
        let lock = || one(Verb::Exec, "./LAWMO/Operations/FullyLock");
        for commands in [
            vec![],
            vec![one(Verb::Exec, "./LAWMO/Operations/Wipe")],
            vec![one(Verb::Exec, "./LAWMO/Operations/FactoryReset")],
            vec![one(Verb::Exec, "./Device/Vendor/MSFT/RemoteLock/Lock")],
            vec![one(Verb::Delete, "./LAWMO/Operations/FullyLock")],
            vec![lock(), one(Verb::Get, "./Vendor/Postern/Escrow")],
            vec![lock(), one(Verb::Exec, "./LAWMO/Operations/Wipe")],
            vec![lock(), one(Verb::Replace, STATE)],
        ] {
            assert!(plan(Dialect::Classic, commands).is_err());
        }
    }
}
