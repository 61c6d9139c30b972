//! Commands typed by an admin: checked, split where a fate has to be found out item by item, never rewritten.

use postern_wire::terms::OperationKind;

use super::{Order, Plan, PlanError, Planner, Target};

/// The planner of raw commands.
#[derive(Clone, Copy, Debug)]
pub struct Raw;

impl Planner for Raw {
    fn kind(&self) -> OperationKind {
        OperationKind::Raw
    }

    fn plan(&self, order: &Order, _target: Target) -> Result<Plan, PlanError> {
        if order.commands.is_empty() {
            return Err(PlanError::Empty);
        }
        Err(PlanError::NoPlanner { kind: OperationKind::Raw })
    }
}
