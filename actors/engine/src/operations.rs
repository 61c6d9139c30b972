//! Operations put into DM commands: one trait for every planner, and how plans meet in one device's queue.
//!
//! Follows docs/ARCHITECTURE.md, "One command, and why it cannot be lost". An operation is what an admin or a supervisor wants of a device;
//! its planner knows the device's dialect and quirks and gives commands.

pub mod account;
pub mod identity;
pub mod inventory;
pub mod lock;
pub mod policy;
pub mod raw;
pub mod recovery;
pub mod wipe;

use postern_wire::{
    syncml::Data,
    terms::{
        CommandId, CommandState, Dialect, Lane, OperationId, OperationKind, Redelivery, UtcMillis, Verb,
    },
};

use crate::{
    account::Quirks,
    destructive::Protected,
    queue::{Body, PendingCommand, Queue},
};

/// An operation on one device, to be planned.
#[derive(Clone, Debug)]
pub struct Order {
    /// The operation.
    pub operation: OperationId,
    /// What it is for.
    pub kind: OperationKind,
    /// How soon among its kind.
    pub lane: Lane,
    /// When its commands are not sent any longer.
    pub deadline: Option<UtcMillis>,
    /// Whether each command waits for the answer to the one before (OMA DM leaves the order in a message open).
    pub ordered: bool,
    /// The commands as typed, for `raw`; empty for kinds whose planner makes them.
    pub commands: Vec<Body>,
}

/// The device that an order is planned for.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its dialect.
    pub dialect: Dialect,
    /// What its model cannot do.
    pub quirks: Quirks,
}

/// Puts operations of one kind into commands.
pub trait Planner {
    /// The kind that it plans.
    fn kind(&self) -> OperationKind;

    /// The commands for `order` on `target`.
    ///
    /// # Errors
    /// Why the order cannot be carried out on this device; nothing is queued then.
    fn plan(&self, order: &Order, target: Target) -> Result<Plan, PlanError>;
}

/// The planner of a kind, as far as there is one yet.
#[must_use]
pub fn planner(kind: OperationKind) -> Option<&'static dyn Planner> {
    match kind {
        OperationKind::Raw => Some(&raw::Raw),
        OperationKind::Policy => Some(&policy::Policy),
        OperationKind::Inventory => Some(&inventory::Inventory),
        OperationKind::Certificate => Some(&identity::Identity),
        OperationKind::Account => Some(&account::Account),
        OperationKind::Lock => Some(&lock::Lock),
        OperationKind::Recovery => Some(&recovery::Recovery),
        OperationKind::Wipe => Some(&wipe::Wipe),
        OperationKind::Software => None,
    }
}

/// An operation put into commands, in sending order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The commands, at least one.
    pub commands: Vec<PlannedCommand>,
    /// Whether each has to wait for the one before, whatever the order said.
    pub ordered: bool,
}

/// One command of a plan, not yet committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedCommand {
    /// What it says.
    pub body: Body,
    /// What may be done when its fate is unknown.
    pub redelivery: Redelivery,
}

impl PlannedCommand {
    /// The row to commit: queued, never sent.
    #[must_use]
    pub fn into_pending(self, id: CommandId, order: &Order, created: UtcMillis) -> PendingCommand {
        PendingCommand {
            id,
            operation: order.operation,
            kind: order.kind,
            lane: order.lane,
            ordered: order.ordered,
            created,
            deadline: order.deadline,
            body: self.body,
            redelivery: self.redelivery,
            state: CommandState::Queued,
            sent: None,
            sends: 0,
            accepted: None,
        }
    }
}

/// Why an order cannot be planned.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// There is no command in it.
    #[error("the order has no command")]
    Empty,
    /// No planner for its kind yet.
    #[error("operations of kind {kind} cannot be planned yet")]
    NoPlanner {
        /// The kind.
        kind: OperationKind,
    },
    /// A command has no item, or more than its verb allows.
    #[error("{verb} takes {expected}, this one has {got} items")]
    Items {
        /// The verb.
        verb: Verb,
        /// What it takes.
        expected: &'static str,
        /// How many there are.
        got: usize,
    },
    /// An item lacks, or has, a part that its verb does not allow.
    #[error("{verb} of {uri}: {problem}")]
    Shape {
        /// The verb.
        verb: Verb,
        /// The item's target.
        uri: String,
        /// What is wrong.
        problem: &'static str,
    },
    /// A container holds a command that may not stand in it.
    #[error("{inside} may not stand in {container}")]
    Composition {
        /// The container.
        container: Verb,
        /// What is in it.
        inside: Verb,
    },
    /// A URI is not one of the management tree.
    #[error("{uri:?} is not a management tree URI: {problem}")]
    Uri {
        /// As given.
        uri: String,
        /// What is wrong.
        problem: String,
    },
    /// A Format that OMA DM does not know, or Data that does not fit it.
    #[error("{uri}: {problem}")]
    Value {
        /// The item's target.
        uri: String,
        /// What is wrong.
        problem: String,
    },
    /// The URI belongs to an operation of its own.
    #[error("{uri} is {protected}: it goes through its own operation, not as a raw command")]
    Protected {
        /// The item's target or source.
        uri: String,
        /// What it would do.
        protected: Protected,
    },
    /// The device's model cannot do it.
    #[error("this model cannot do it: {problem}")]
    Model {
        /// What it cannot do.
        problem: &'static str,
    },
}

/// What a plan means for the commands that already wait.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coalesced {
    /// To be queued.
    pub insert: Vec<PlannedCommand>,
    /// Never sent and made pointless by the plan.
    pub supersede: Vec<CommandId>,
}

/// Puts a plan together with what waits: a newer setting, read or lock takes the place of the same one that was
/// never sent; what a person typed is left as it is.
#[must_use]
pub fn coalesce(queue: &Queue, kind: OperationKind, plan: Plan) -> Coalesced {
    let replaces = match kind {
        OperationKind::Raw | OperationKind::Wipe => false,
        OperationKind::Lock
        | OperationKind::Certificate
        | OperationKind::Account
        | OperationKind::Policy
        | OperationKind::Recovery
        | OperationKind::Software
        | OperationKind::Inventory => true,
    };
    let same = |waiting: &PendingCommand| {
        plan.commands
            .iter()
            .any(|new| new.body.verb() == waiting.body.verb() && same_nodes(&new.body, &waiting.body))
    };
    let supersede = queue
        .iter()
        .filter(|waiting| {
            replaces
                && waiting.kind == kind
                && waiting.state == CommandState::Queued
                && !waiting.may_be_executed()
        })
        .filter(|waiting| same(waiting))
        .map(|waiting| waiting.id)
        .collect();
    Coalesced { insert: plan.commands, supersede }
}

fn same_nodes(one: &Body, other: &Body) -> bool {
    let (ours, theirs) = (one.items(), other.items());
    !ours.is_empty()
        && ours.len() == theirs.len()
        && ours.iter().zip(theirs).all(|(a, b)| a.target == b.target && a.source == b.source)
}

/// Octets of a Data as XML carries them, near enough for a limit.
pub(crate) fn data_octets(data: &Data) -> usize {
    match data {
        Data::Text(text) | Data::Markup(text) => text.len(),
        Data::Binary(octets) => octets.len().div_ceil(3) * 4,
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::queue::BodyItem;

    fn order(kind: OperationKind) -> Order {
        let operation = OperationId(Uuid::from_u128(5));
        Order { operation, kind, lane: Lane::Normal, deadline: None, ordered: false, commands: Vec::new() }
    }

    fn planned(uri: &str, data: &str) -> PlannedCommand {
        let item = BodyItem { data: Some(data.into()), ..BodyItem::node(uri) };
        let body = Body::plain(Verb::Replace, vec![item]);
        PlannedCommand { body, redelivery: Redelivery::Repeat }
    }

    fn waiting(kind: OperationKind) -> Queue {
        let mut queue = Queue::default();
        for (number, uri) in [(1, "./A"), (2, "./B")] {
            let id = CommandId(Uuid::from_u128(number));
            queue.insert(planned(uri, "old").into_pending(id, &order(kind), UtcMillis(1)));
        }
        queue
    }

    #[test]
    fn a_newer_setting_takes_the_place_of_one_that_was_never_sent() {
        let plan = Plan { commands: vec![planned("./B", "new")], ..Plan::default() };
        let Coalesced { insert, supersede } =
            coalesce(&waiting(OperationKind::Policy), OperationKind::Policy, plan);
        assert_eq!((insert.len(), supersede), (1, vec![CommandId(Uuid::from_u128(2))]));
    }

    #[test]
    fn what_a_person_typed_and_what_another_kind_wants_is_left_alone() {
        for kind in [OperationKind::Raw, OperationKind::Inventory] {
            let plan = Plan { commands: vec![planned("./B", "new")], ..Plan::default() };
            assert!(coalesce(&waiting(kind), OperationKind::Raw, plan.clone()).supersede.is_empty());
            assert!(coalesce(&waiting(kind), OperationKind::Policy, plan).supersede.is_empty());
        }
    }

    #[test]
    fn what_may_have_been_executed_is_not_superseded() {
        let id = CommandId(Uuid::from_u128(1));
        let mut command = planned("./A", "old").into_pending(id, &order(OperationKind::Policy), UtcMillis(1));
        command.sends = 1;
        let queue = Queue::load(vec![command], 10);
        let plan = Plan { commands: vec![planned("./A", "new")], ..Plan::default() };
        assert!(coalesce(&queue, OperationKind::Policy, plan).supersede.is_empty());
    }

    #[test]
    fn kinds_without_a_planner_say_so() {
        for &kind in OperationKind::ALL {
            let planned = !matches!(kind, OperationKind::Software);
            assert_eq!(planner(kind).map(Planner::kind), planned.then_some(kind));
        }
    }

    #[test]
    fn a_device_has_so_many_pending_commands_and_a_reserve_for_wipes() {
        let queue = Queue::load(waiting(OperationKind::Raw).iter().cloned().collect(), 2);
        assert!(queue.admits(OperationKind::Raw, 1).is_err());
        assert!(queue.admits(OperationKind::Wipe, 1).is_ok());
        assert!(queue.admits(OperationKind::Lock, crate::queue::URGENT_RESERVE + 1).is_err());
    }
}
