//! Reading a device: Get of nodes, as a service of the core wants them.

use postern_wire::terms::{OperationKind, Verb};

use super::{Order, Plan, PlanError, Planner, Target, policy::only};

/// The planner of readings.
#[derive(Clone, Copy, Debug)]
pub struct Inventory;

impl Planner for Inventory {
    fn kind(&self) -> OperationKind {
        OperationKind::Inventory
    }

    fn plan(&self, order: &Order, target: Target) -> Result<Plan, PlanError> {
        only(order, target, &[Verb::Get])
    }
}

#[cfg(test)]
mod tests {
    use postern_wire::terms::{Dialect, Lane, OperationId, Redelivery};
    use uuid::Uuid;

    use super::*;
    use crate::{
        account::Quirks,
        operations::planner,
        queue::{Body, BodyItem},
        schedule::{self, Interval},
    };

    fn plan(kind: OperationKind, commands: Vec<Body>) -> Result<Plan, PlanError> {
        let order = Order {
            operation: OperationId(Uuid::from_u128(1)),
            kind,
            lane: Lane::Normal,
            deadline: None,
            ordered: false,
            commands,
        };
        let target = Target { dialect: Dialect::Classic, quirks: Quirks::default() };
        planner(kind).unwrap().plan(&order, target)
    }

    #[test]
    fn the_schedule_and_the_configuration_are_planned_as_repeatable_commands() {
        let interval = Interval { every_s: 60, jitter_s: 6 };
        let told = plan(OperationKind::Policy, schedule::commands(interval)).unwrap();
        let read = plan(OperationKind::Inventory, schedule::configuration()).unwrap();
        assert_eq!((told.commands.len(), read.commands.len()), (2, schedule::CONFIGURATION.len()));
        let all = told.commands.iter().chain(&read.commands);
        assert!(all.map(|command| command.redelivery).all(|class| class == Redelivery::Repeat));
    }

    #[test]
    fn a_kind_takes_only_its_own_verb_and_no_protected_node() {
        let exec = Body::plain(Verb::Exec, vec![BodyItem::node("./A")]);
        let secret = Body::plain(Verb::Get, vec![BodyItem::node("./DMAcc/x/AppAuth/1/AAuthSecret")]);
        assert!(plan(OperationKind::Policy, vec![exec.clone()]).is_err());
        assert!(plan(OperationKind::Inventory, vec![exec]).is_err());
        assert!(plan(OperationKind::Inventory, vec![secret]).is_err());
        assert!(plan(OperationKind::Inventory, vec![]).is_err());
    }
}
