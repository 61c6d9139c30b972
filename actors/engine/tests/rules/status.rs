//! Status and Results back to their commands (OMA-TS-DM_RepPro 1.2.1, 6.5).

use crate::common::{Say, World};
use postern_engine::{effect::Effect, queue::BodyItem, session::SessionConfig};
use postern_wire::{
    syncml::{Command, Meta},
    terms::{AuthType, CommandState, Verb},
};

fn open() -> World {
    World::new(AuthType::Basic)
}

#[test]
fn srv_06_results_and_status_get_no_status() {
    let mut world = open();
    world.get("./A");
    world.post(&Say::package1(1).basic().0);
    let answer = world.post(&Say::new(2).hello(1).status(1, 4, "Get", 200).results(1, 4, &[("./A", "x")]).0);
    assert_eq!(answer.codes(), [("SyncHdr", 0, 212)]);
}

#[test]
fn srv_11_a_leafs_value_is_stored_with_its_defaults() {
    let mut world = open();
    let get = world.get("./A");
    world.post(&Say::package1(1).basic().0);
    world.post(&Say::new(2).hello(1).status(1, 4, "Get", 200).results(1, 4, &[("./A", "x")]).0);
    let Effect::CommandMoved { results, items, code, .. } = world.moved(get) else { panic!() };
    assert_eq!((results[0].format.as_str(), results[0].type_.as_str()), ("chr", "text/plain"));
    assert_eq!((results[0].data.as_text(), items[0].code, code), (Some("x"), Some(200), Some(200)));
    assert_eq!(world.end(get), (CommandState::Succeeded, "done"));
}

#[test]
fn srv_12_an_interior_nodes_children_are_told() {
    for (data, children) in [("a/b/c", vec!["a", "b", "c"]), ("", vec![])] {
        let mut world = open();
        let get = world.get("./I");
        world.post(&Say::package1(1).basic().0);
        let mut say = Say::new(2).hello(1).status(1, 4, "Get", 200).results(1, 4, &[("./I", data)]);
        if let Some(Command::Results(results)) = say.0.body.last_mut() {
            results.items[0].meta = Meta { format: Some("node".into()), ..Meta::default() };
        }
        world.post(&say.0);
        let Effect::CommandMoved { results, .. } = world.moved(get) else { panic!() };
        assert_eq!(results[0].children(), Some(children));
    }
}

#[test]
fn srv_13_results_without_msg_ref_and_with_meta_at_command_level_are_taken() {
    let mut world = open();
    let get = world.get("./A");
    world.post(&Say::package1(1).basic().0);
    let mut say = Say::new(2).hello(1).status(1, 4, "Get", 200).results(1, 4, &[("", "7")]);
    if let Some(Command::Results(results)) = say.0.body.last_mut() {
        results.msg_ref = None;
        results.meta = Meta { format: Some("int".into()), ..Meta::default() };
        results.items[0].source = None;
    }
    world.post(&say.0);
    let Effect::CommandMoved { results, .. } = world.moved(get) else { panic!() };
    assert_eq!((results[0].uri.as_str(), results[0].format.as_str()), ("./A", "int"));
}

#[test]
fn srv_14_results_before_or_without_status_are_tolerated() {
    let mut world = open();
    let (before, without) = (world.get("./A"), world.get("./B"));
    world.post(&Say::package1(1).basic().0);
    let say = Say::new(2).hello(1).results(1, 4, &[("./A", "x")]).results(1, 5, &[("./B", "y")]);
    world.post(&say.status(1, 4, "Get", 200).0);
    assert_eq!(world.end(before), (CommandState::Succeeded, "done"));
    assert_eq!(world.end(without), (CommandState::Succeeded, "done"));
}

#[test]
fn hs_03_a_status_without_msg_ref_is_about_the_last_message() {
    let mut world = open();
    let get = world.get("./A");
    world.post(&Say::package1(1).basic().0);
    let say = Say::new(2).status_of(9, 0, "SyncHdr", 212, |status| status.msg_ref = None);
    world.post(&say.status_of(9, 4, "Get", 404, |status| status.msg_ref = None).0);
    assert_eq!(world.end(get), (CommandState::Failed, "not-found"));
}

#[test]
fn srv_17_what_is_not_answered_is_not_sent_again_in_the_session() {
    let mut world = open();
    let get = world.get("./A");
    let exec = world.exec("./E");
    world.post(&Say::package1(1).basic().0);
    let answer = world.post(&Say::new(2).hello(1).0);
    assert!(answer.commands().is_empty() && answer.close);
    assert_eq!(world.end(get), (CommandState::Queued, "not-answered"));
    assert_eq!(world.end(exec), (CommandState::InDoubt, "not-answered"));
    let answer = world.post(&Say::package1(1).basic().session("2").0);
    assert_eq!(answer.commands().len(), 1);
}

#[test]
fn a_command_that_is_never_answered_is_given_up() {
    let config = SessionConfig { sends: 2, ..SessionConfig::default() };
    let mut world = World::limited(crate::common::account(AuthType::Basic), config);
    let get = world.get("./A");
    for session in ["1", "2", "3"] {
        world.post(&Say::package1(1).basic().session(session).0);
        if world.session.current().is_some() {
            world.post(&Say::new(2).session(session).hello(1).0);
        }
    }
    assert_eq!(world.end(get), (CommandState::InDoubt, "sent-too-often"));
}

#[test]
fn srv_58_srv_59_ld_09_each_status_has_its_own_cause() {
    for (code, cause) in [
        (425, "permission-denied"),
        (404, "not-found"),
        (405, "not-allowed"),
        (406, "not-supported"),
        (501, "not-supported"),
        (418, "already-exists"),
        (420, "device-full"),
        (414, "uri-too-long"),
        (415, "bad-format"),
        (500, "device-error"),
        (213, "unexpected-chunk"),
        (304, "refused-by-user"),
        (450, "unknown-status"),
        (499, "unknown-status"),
        (0, "unknown-status"),
        (299, "unknown-status"),
        (999, "unknown-status"),
    ] {
        let mut world = open();
        let add = world.add("./A", "x");
        world.post(&Say::package1(1).basic().0);
        world.post(&Say::new(2).hello(1).status(1, 4, "Add", code).0);
        assert_eq!(world.end(add), (CommandState::Failed, cause), "{code}");
    }
}

#[test]
fn ld_12_several_status_for_one_command_count_per_item() {
    let mut world = open();
    let get = world.queue(Verb::Get, vec![BodyItem::node("./A"), BodyItem::node("./B")]);
    world.post(&Say::package1(1).basic().0);
    let named = |uri: &'static str| {
        move |status: &mut postern_wire::syncml::Status| status.target_refs = vec![uri.into()]
    };
    let say = Say::new(2).hello(1).status_of(1, 4, "Get", 404, named("./B"));
    world.post(&say.status_of(1, 4, "Get", 200, named("A")).results(1, 4, &[("./A", "x")]).0);
    let Effect::CommandMoved { items, cause, state, .. } = world.moved(get) else { panic!() };
    assert_eq!(items.iter().map(|item| item.code).collect::<Vec<_>>(), [Some(200), Some(404)]);
    assert_eq!((state, cause.as_str()), (CommandState::Failed, "partly-done"));
}

#[test]
fn pt_05_a_status_about_our_status_is_ignored() {
    let mut world = open();
    let get = world.get("./A");
    world.post(&Say::package1(1).basic().0);
    let say = Say::new(2).hello(1).status(1, 4, "Status", 404).status(1, 1, "Status", 200);
    world.post(&say.status(1, 4, "Get", 200).results(1, 4, &[("./A", "x")]).0);
    assert_eq!(world.end(get), (CommandState::Succeeded, "done"));
}

#[test]
fn pt_06_one_item_per_get_where_the_model_takes_no_more() {
    let mut account = crate::common::account(AuthType::Basic);
    account.quirks.one_item_per_get = true;
    let mut world = World::with(account);
    let get = world.queue(Verb::Get, vec![BodyItem::node("./A"), BodyItem::node("./B")]);
    let answer = world.post(&Say::package1(1).basic().0);
    assert_eq!(answer.commands().len(), 2);
    let say = Say::new(2).hello(1).status(1, 4, "Get", 200).results(1, 4, &[("./A", "x")]);
    world.post(&say.status(1, 5, "Get", 200).results(1, 5, &[("./B", "y")]).0);
    let Effect::CommandMoved { results, .. } = world.moved(get) else { panic!() };
    assert_eq!(results.len(), 2);
    assert_eq!(world.end(get), (CommandState::Succeeded, "done"));
}

#[test]
fn am_15_sec_28_a_secret_that_a_device_gives_away_is_not_kept() {
    let mut world = open();
    let get = world.get("./DMAcc?list=StructData");
    world.post(&Say::package1(1).basic().0);
    let items = [
        ("./DMAcc/x/ServerID", "srv"),
        ("./DMAcc/x/AppAuth/1/AAuthSecret", "pw"),
        ("DMAcc/x/AppAuth/1/AAuthData", "n"),
    ];
    world.post(&Say::new(2).hello(1).status(1, 4, "Get", 200).results(1, 4, &items).0);
    let Effect::CommandMoved { results, .. } = world.moved(get) else { panic!() };
    let values: Vec<_> = results.iter().map(|result| result.data.as_text().unwrap()).collect();
    assert_eq!(values, ["srv", "(redacted)", "(redacted)"]);
}
