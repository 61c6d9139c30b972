//! A wipe put into commands, as the wipe supervisor wants it.
//!
//! Promise: only the nodes of [`Way`] are reached, and LAWMO's marks before its wipe; each command goes again when its fate
//! is unknown, for within a generation a wipe may be repeated.

use postern_wire::terms::{Dialect, OperationKind, Verb};

use super::{Order, Plan, PlanError, PlannedCommand, Planner, Target};
use crate::{
    queue::Body,
    wipe::{ListedItem, Way},
};

/// The planner of wipes.
#[derive(Clone, Copy, Debug)]
pub struct Wipe;

impl Planner for Wipe {
    fn kind(&self) -> OperationKind {
        OperationKind::Wipe
    }

    fn plan(&self, order: &Order, target: Target) -> Result<Plan, PlanError> {
        let Some((wipes, marks)) = order.commands.split_last() else { return Err(PlanError::Empty) };
        let way = Way::ALL.into_iter().find(|way| is(wipes, Verb::Exec, way.uri()));
        let way = way.ok_or_else(|| shape(wipes, "this kind has no such command"))?;
        if is_windows(way) != (target.dialect == Dialect::Windows) {
            return Err(PlanError::Model { problem: "this is another dialect's wipe" });
        }
        for mark in marks {
            let uri = mark.first_uri().unwrap_or_default();
            let listed = uri.ends_with("/ToBeWiped") && ListedItem::of_uri(uri).is_some();
            if way != Way::WipeListed || !listed || !is(mark, Verb::Replace, uri) {
                return Err(shape(mark, "this kind has no such command"));
            }
        }
        let redelivery = way.redelivery();
        let planned = |body: &Body| PlannedCommand { body: body.clone(), redelivery };
        Ok(Plan { commands: order.commands.iter().map(planned).collect(), ordered: true })
    }
}

fn is(body: &Body, verb: Verb, uri: &str) -> bool {
    body.verb() == verb && body.items().len() == 1 && body.first_uri() == Some(uri)
}

const fn is_windows(way: Way) -> bool {
    !matches!(way, Way::Run | Way::WipeListed | Way::FactoryReset | Way::Leave)
}

fn shape(body: &Body, problem: &'static str) -> PlanError {
    PlanError::Shape { verb: body.verb(), uri: body.first_uri().unwrap_or_default().to_owned(), problem }
}

#[cfg(test)]
mod tests {
    use postern_wire::terms::{Lane, OperationId, Redelivery};
    use uuid::Uuid;

    use super::*;
    use crate::{account::Quirks, queue::BodyItem};

    fn plan(dialect: Dialect, commands: Vec<Body>) -> Result<Plan, PlanError> {
        let order = Order {
            operation: OperationId(Uuid::from_u128(1)),
            kind: OperationKind::Wipe,
            lane: Lane::Urgent,
            deadline: None,
            ordered: true,
            commands,
        };
        Wipe.plan(&order, Target { dialect, quirks: Quirks::default() })
    }

    #[test]
    fn each_way_is_planned_for_its_own_dialect_and_for_no_other() {
        for way in Way::ALL {
            let (own, other) = match is_windows(way) {
                true => (Dialect::Windows, Dialect::Classic),
                false => (Dialect::Classic, Dialect::Windows),
            };
            let planned = plan(own, way.commands(&[], Some("order"))).unwrap();
            assert!(planned.ordered);
            assert!(planned.commands.iter().all(|one| one.redelivery == Redelivery::Repeat));
            assert!(plan(other, way.commands(&[], None)).is_err(), "{}", way.as_str());
        }
    }

    #[test]
    fn no_other_node_is_reached() {
        let one = |verb, uri: &str| Body::plain(verb, vec![BodyItem::node(uri)]);
        let run = one(Verb::Exec, crate::wipe::RUN);
        for commands in [
            vec![one(Verb::Exec, "./Vendor/Postern/Lock")],
            vec![one(Verb::Delete, crate::wipe::RUN)],
            vec![one(Verb::Replace, "./LAWMO/AvailableWipeList/X/ToBeWiped"), run.clone()],
            vec![one(Verb::Replace, "./DMAcc/x"), one(Verb::Exec, "./LAWMO/Operations/Wipe")],
            vec![Body::Atomic(vec![run.clone()])],
            vec![Body::plain(Verb::Exec, vec![run.items()[0].clone(), run.items()[0].clone()])],
        ] {
            assert!(plan(Dialect::Classic, commands).is_err());
        }
        assert_eq!(plan(Dialect::Classic, Vec::new()), Err(PlanError::Empty));
    }
}
