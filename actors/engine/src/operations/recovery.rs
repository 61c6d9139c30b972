//! What the recovery supervisor wants of a device: a new recovery password, or another escrow key, on our own device.
//!
//! Promise: no other node is reached by this kind, and these nodes by no other. Both may be sent again: another password more does no
//! harm, and an order for a key is obeyed once.

use postern_wire::{
    recovery::{ESCROW_KEY, RENEW},
    terms::{Dialect, OperationKind, Redelivery, Verb},
};

use super::{Order, Plan, PlanError, PlannedCommand, Planner, Target};

/// The planner of recovery passwords.
#[derive(Clone, Copy, Debug)]
pub struct Recovery;

impl Planner for Recovery {
    fn kind(&self) -> OperationKind {
        OperationKind::Recovery
    }

    fn plan(&self, order: &Order, target: Target) -> Result<Plan, PlanError> {
        let [body] = order.commands.as_slice() else { return Err(PlanError::Empty) };
        if target.dialect != Dialect::Classic {
            return Err(PlanError::Model { problem: "it escrows no recovery password yet" });
        }
        let uri = body.first_uri().unwrap_or_default();
        let known = matches!((body.verb(), uri), (Verb::Exec, RENEW) | (Verb::Replace, ESCROW_KEY));
        if body.items().len() != 1 || !known {
            let uri = uri.to_owned();
            return Err(PlanError::Shape {
                verb: body.verb(),
                uri,
                problem: "this kind has no such command",
            });
        }
        let planned = PlannedCommand { body: body.clone(), redelivery: Redelivery::Repeat };
        Ok(Plan { commands: vec![planned], ordered: false })
    }
}

#[cfg(test)]
mod tests {
    use postern_wire::{
        terms::{Lane, OperationId},
        uri::TreeUri,
    };
    use uuid::Uuid;

    use super::*;
    use crate::{
        account::Quirks,
        destructive::{Protected, protected},
        queue::{Body, BodyItem},
        recovery::{ask_new, tell_key},
    };

    fn plan(dialect: Dialect, commands: Vec<Body>) -> Result<Plan, PlanError> {
        let order = Order {
            operation: OperationId(Uuid::from_u128(1)),
            kind: OperationKind::Recovery,
            lane: Lane::Normal,
            deadline: None,
            ordered: false,
            commands,
        };
        Recovery.plan(&order, Target { dialect, quirks: Quirks::default() })
    }

    #[test]
    fn a_new_password_and_another_key_are_planned_and_may_be_repeated() {
        for commands in [ask_new(), tell_key("order\nkey")] {
            let plan = plan(Dialect::Classic, commands.clone()).unwrap();
            assert_eq!(plan.commands.len(), 1);
            assert_eq!(plan.commands[0].redelivery, Redelivery::Repeat);
            assert!(self::plan(Dialect::Windows, commands).is_err());
        }
    }

    #[test]
    fn no_other_node_is_reached_and_these_by_no_raw_command() {
        let one = |verb, uri: &str| Body::plain(verb, vec![BodyItem::node(uri)]);
        for body in [
            one(Verb::Exec, "./Vendor/Postern/Wipe/Run"),
            one(Verb::Get, ESCROW_KEY),
            one(Verb::Replace, RENEW),
            one(Verb::Delete, "./Vendor/Postern/Recovery"),
        ] {
            assert!(plan(Dialect::Classic, vec![body]).is_err());
        }
        assert_eq!(plan(Dialect::Classic, Vec::new()), Err(PlanError::Empty));
        for (verb, uri) in
            [(Verb::Exec, RENEW), (Verb::Replace, ESCROW_KEY), (Verb::Delete, "./Vendor/Postern")]
        {
            assert!(protected(verb, &TreeUri::parse(uri).unwrap(), false).is_some(), "{uri}");
        }
        let renew = protected(Verb::Exec, &TreeUri::parse(RENEW).unwrap(), false);
        assert_eq!(renew, Some(Protected::Escrow));
    }
}
