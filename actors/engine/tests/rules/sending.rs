//! What goes out, and in which order.

use crate::common::{Say, World, cmd_id, leaf};
use postern_engine::queue::BodyItem;
use postern_wire::{
    syncml::{Command, Data, Location},
    terms::{AuthType, OperationId, OperationKind, Verb},
};
use uuid::Uuid;

fn open() -> World {
    World::new(AuthType::Basic)
}

#[test]
fn srv_10_ld_15_each_verb_is_sent_with_unique_ids_and_data_where_it_belongs() {
    let mut world = open();
    world.get("./G");
    world.queue(Verb::Add, vec![BodyItem { format: Some("node".into()), ..BodyItem::node("./N") }]);
    world.replace("./R", "r");
    world.queue(Verb::Delete, vec![BodyItem::node("./D")]);
    world.exec("./E");
    world.queue(Verb::Copy, vec![BodyItem { source: Some("./S".into()), ..BodyItem::node("./C") }]);
    let answer = world.post(&Say::package1(1).basic().0);
    let mut ids: Vec<u32> = answer.message.body.iter().map(cmd_id).collect();
    assert_eq!(ids, (1..=9).collect::<Vec<_>>());
    ids.dedup();
    for command in answer.commands() {
        match command {
            Command::Add(add) => {
                assert_eq!(add.items[0].data, Some(Data::default()));
                assert_eq!(add.items[0].meta.format.as_deref(), Some("node"));
            }
            Command::Replace(replace) => assert_eq!(replace.items[0].data, Some("r".into())),
            Command::Copy(copy) => assert_eq!(copy.items[0].source, Some(Location::uri("./S"))),
            Command::Get(request) | Command::Delete(request) | Command::Exec(request) => {
                assert_eq!(request.items[0].data, None);
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn srv_18_hs_06_every_message_with_commands_has_final() {
    let mut world = open();
    world.get("./A");
    assert!(world.post(&Say::package1(1).basic().0).message.is_final);
}

#[test]
fn a_pending_wipe_suspends_every_other_command() {
    let mut world = open();
    world.get("./A");
    world.queue_as(Verb::Exec, vec![BodyItem::node("./Vendor/Postern/Wipe/Run")], |command| {
        command.kind = OperationKind::Wipe;
        command.redelivery = postern_wire::terms::Redelivery::Repeat;
    });
    let answer = world.post(&Say::package1(1).basic().0);
    assert!(matches!(answer.commands()[..], [Command::Exec(_)]));
    // A device that was wiped a moment ago is not sent the rest either: that is for whoever comes back.
    let answer = world.post(&Say::new(2).hello(1).status(1, 4, "Exec", 200).0);
    assert!(answer.commands().is_empty());
}

#[test]
fn commands_go_out_by_kind_then_lane_then_age() {
    let mut world = open();
    let mut put = |uri: &str, kind, lane| {
        world.queue_as(Verb::Replace, vec![leaf(uri, "v")], |command| {
            command.kind = kind;
            command.lane = lane;
        });
    };
    use postern_wire::terms::Lane;
    put("./raw-background", OperationKind::Raw, Lane::Background);
    put("./raw", OperationKind::Raw, Lane::Normal);
    put("./raw-urgent", OperationKind::Raw, Lane::Urgent);
    put("./inventory", OperationKind::Inventory, Lane::Normal);
    put("./lock", OperationKind::Lock, Lane::Background);
    put("./policy", OperationKind::Policy, Lane::Normal);
    let answer = world.post(&Say::package1(1).basic().0);
    let uris: Vec<_> = answer
        .commands()
        .iter()
        .map(|command| match command {
            Command::Replace(request) => request.items[0].target.as_ref().unwrap().uri.as_str(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(uris, ["./lock", "./policy", "./inventory", "./raw-urgent", "./raw", "./raw-background"]);
}

#[test]
fn srv_65_ordered_commands_of_an_operation_go_out_one_package_after_the_other() {
    let mut world = open();
    let operation = OperationId(Uuid::from_u128(77));
    for uri in ["./N", "./N/a"] {
        world.queue_as(Verb::Add, vec![leaf(uri, "v")], |command| {
            command.operation = operation;
            command.ordered = true;
        });
    }
    assert_eq!(world.post(&Say::package1(1).basic().0).commands().len(), 1);
    assert_eq!(world.post(&Say::new(2).hello(1).status(1, 4, "Add", 200).0).commands().len(), 1);
}

#[test]
fn a_peer_that_may_only_be_wiped_gets_nothing_but_its_wipe() {
    let mut world = open();
    let get = world.get("./A");
    world.queue_as(Verb::Exec, vec![BodyItem::node("./Vendor/Postern/Wipe/Run")], |command| {
        command.kind = OperationKind::Wipe;
    });
    world.peer.wipe_only = true;
    assert!(matches!(world.post(&Say::package1(1).basic().0).commands()[..], [Command::Exec(_)]));
    let answer = world.post(&Say::new(2).hello(1).status(1, 4, "Exec", 200).0);
    assert!(answer.close && answer.commands().is_empty());
    assert!(world.moves(get).is_empty());
}
