//! Settings that a service of the core puts on a device, takes from it, or reads back: each safe to send again, because what an answer
//! that was lost would have said is found out by the next one.
//!
//! What it takes is checked like what a person types, so no service reaches a protected URI by this way.

use postern_wire::terms::{OperationKind, Redelivery, Verb};

use super::{Order, Plan, PlanError, PlannedCommand, Planner, Target, raw::Raw};

/// The planner of settings.
#[derive(Clone, Copy, Debug)]
pub struct Policy;

impl Planner for Policy {
    fn kind(&self) -> OperationKind {
        OperationKind::Policy
    }

    fn plan(&self, order: &Order, target: Target) -> Result<Plan, PlanError> {
        only(order, target, &[Verb::Get, Verb::Add, Verb::Replace, Verb::Delete])
    }
}

/// The order's commands where all are of `verbs`: checked as raw ones are, and repeatable.
pub(super) fn only(order: &Order, target: Target, verbs: &[Verb]) -> Result<Plan, PlanError> {
    if let Some(other) = order.commands.iter().find(|body| !verbs.contains(&body.verb())) {
        let uri = other.first_uri().unwrap_or_default().to_owned();
        return Err(PlanError::Shape { verb: other.verb(), uri, problem: "this kind has no such command" });
    }
    let Plan { commands, ordered } = Raw.plan(order, target)?;
    let repeated = |command: PlannedCommand| PlannedCommand { redelivery: Redelivery::Repeat, ..command };
    Ok(Plan { commands: commands.into_iter().map(repeated).collect(), ordered })
}
