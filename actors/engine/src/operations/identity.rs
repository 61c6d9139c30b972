//! What changes a device's identity, as the enrolment supervisor wants it: the renewal of its certificate, and its
//! un-enrolment, on our own device.
//!
//! Promise: no other node is reached by this kind, and these nodes by no other. Each command may be sent again: a second
//! Renew makes another key, a second Chain is the same, and the device obeys a signed order once.

use postern_wire::terms::{Dialect, OperationKind, Redelivery, Verb};

use super::{Order, Plan, PlanError, PlannedCommand, Planner, Target};
use crate::enrolment::{leaving, renewal};

/// The planner of identity changes.
#[derive(Clone, Copy, Debug)]
pub struct Identity;

impl Planner for Identity {
    fn kind(&self) -> OperationKind {
        OperationKind::Certificate
    }

    fn plan(&self, order: &Order, target: Target) -> Result<Plan, PlanError> {
        if order.commands.is_empty() {
            return Err(PlanError::Empty);
        }
        if target.dialect != Dialect::Classic {
            return Err(PlanError::Model { problem: "its certificate and enrolment are not ours to change" });
        }
        let known = |verb, uri: &str| {
            let below = |leaf: &str| uri.strip_prefix(renewal::NODE) == Some(leaf);
            match verb {
                Verb::Exec => below("/Renew") || uri == leaving::NODE,
                Verb::Get => below("/Csr"),
                Verb::Replace => below("/Chain"),
                _ => false,
            }
        };
        for body in &order.commands {
            let uri = body.first_uri().unwrap_or_default();
            if body.items().len() != 1 || !known(body.verb(), uri) {
                let uri = uri.to_owned();
                return Err(PlanError::Shape {
                    verb: body.verb(),
                    uri,
                    problem: "this kind has no such command",
                });
            }
        }
        let repeated = |body| PlannedCommand { body, redelivery: Redelivery::Repeat };
        Ok(Plan { commands: order.commands.iter().cloned().map(repeated).collect(), ordered: true })
    }
}

#[cfg(test)]
mod tests {
    use postern_wire::terms::{Lane, OperationId};
    use uuid::Uuid;

    use super::*;
    use crate::{
        account::Quirks,
        queue::{Body, BodyItem},
    };

    fn plan(dialect: Dialect, commands: Vec<Body>) -> Result<Plan, PlanError> {
        let order = Order {
            operation: OperationId(Uuid::from_u128(1)),
            kind: OperationKind::Certificate,
            lane: Lane::Normal,
            deadline: None,
            ordered: false,
            commands,
        };
        Identity.plan(&order, Target { dialect, quirks: Quirks::default() })
    }

    #[test]
    fn a_renewal_is_planned_in_order_and_may_be_repeated() {
        let asked = plan(Dialect::Classic, renewal::ask()).unwrap();
        assert!(asked.ordered && asked.commands.len() == 2);
        assert!(asked.commands.iter().all(|command| command.redelivery == Redelivery::Repeat));
        assert!(plan(Dialect::Classic, renewal::deliver("pem")).is_ok());
        assert!(plan(Dialect::Windows, renewal::ask()).is_err());
    }

    #[test]
    fn no_other_node_is_reached() {
        let one = |verb, uri: &str| Body::plain(verb, vec![BodyItem::node(uri)]);
        for body in [
            one(Verb::Exec, "./Vendor/Postern/Wipe/Run"),
            one(Verb::Exec, "./Vendor/Postern/Certificate/Chain"),
            one(Verb::Replace, "./Vendor/Postern/Certificate"),
            one(Verb::Get, "./Vendor/Postern/Unenrol"),
            one(Verb::Delete, "./Vendor/Postern/Unenrol"),
        ] {
            assert!(plan(Dialect::Classic, vec![body]).is_err());
        }
        assert_eq!(plan(Dialect::Classic, Vec::new()), Err(PlanError::Empty));
    }
}
