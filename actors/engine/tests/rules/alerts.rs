//! What the device says of itself: alerts, DevInfo, and what a client may not send (OMA-TS-DM_RepPro 1.2.1, 6.6; OMA-TS-DM_Protocol 1.2.1, 8.7 and 10).

use crate::common::{Say, World};
use postern_engine::{
    effect::Effect,
    queue::{Body, BodyItem},
};
use postern_wire::{
    syncml::{Command, Group, Item, Location, Request},
    terms::{AuthType, CommandId, CommandState, Verb},
};

fn open() -> World {
    World::new(AuthType::Basic)
}

#[test]
fn srv_08_am_05_dev_info_is_stored_whatever_its_order_and_leaves() {
    let mut world = open();
    world.post(&Say::package1(1).basic().0);
    let stored = world.effects.iter().find_map(|effect| match effect {
        Effect::DeviceInfo(info) => Some(info.clone()),
        _ => None,
    });
    let info = stored.unwrap();
    assert_eq!(info.leaves["./DevInfo/DevId"], crate::common::DEVICE);
    assert_eq!(info.leaves.len(), 5);
}

#[test]
fn srv_09_package_1_without_dev_info_goes_on() {
    let mut world = open();
    world.get("./A");
    let answer = world.post(&Say::new(1).basic().alert(1201).0);
    assert_eq!(answer.commands().len(), 1);
}

#[test]
fn pt_03_am_12_package_1_without_alert_or_with_alert_0_goes_on() {
    let mut world = open();
    world.get("./A");
    let answer = world.post(&Say::new(1).basic().dev_info().0);
    assert_eq!(answer.commands().len(), 1);
    let mut world = open();
    world.get("./A");
    let answer = world.post(&Say::new(1).basic().alert(0).dev_info().0);
    assert_eq!(answer.codes()[1], ("Alert", 1, 406));
    assert_eq!(answer.commands().len(), 1);
}

#[test]
fn srv_37_a_client_sent_ui_alert_is_refused_without_effect() {
    let answer = open().post(&Say::package1(1).basic().alert(1100).0);
    assert_eq!(answer.codes()[3], ("Alert", 3, 406));
}

#[test]
fn srv_38_to_srv_43_alerts_get_the_code_that_their_shape_earns() {
    let known = Some("urn:oma:at:scomo:1.0:OperationComplete");
    for (type_, code) in [
        (known, 200),
        (Some("com.x/unknown"), 415),
        (None, 412),
        (Some("  Reversed-Domain-Name: org.wi-fi.hotspot2dot0.SubscriptionCreation"), 200),
    ] {
        let mut world = open();
        world.get("./A");
        let answer = world.post(&Say::package1(1).basic().generic("./X", type_, "1200", None).0);
        assert_eq!(answer.codes()[3], ("Alert", 3, code), "{type_:?}");
        assert_eq!(answer.commands().len(), 1);
        let kept = world.effects.iter().any(|effect| matches!(effect, Effect::AlertReceived { .. }));
        assert_eq!(kept, code == 200);
    }
    assert_eq!(open().post(&Say::package1(1).basic().alert(1226).0).codes()[3].2, 412);
    assert_eq!(open().post(&Say::package1(1).basic().alert(1224).0).codes()[3].2, 412);
}

#[test]
fn srv_41_several_items_of_one_alert_are_one_status_and_several_events() {
    let mut world = open();
    let mut say = Say::package1(1).basic().generic("./X", Some("urn:oma:at:x"), "1", None);
    if let Some(Command::Alert(alert)) = say.0.body.last_mut() {
        alert.items = vec![alert.items[0].clone(); 3];
    }
    assert_eq!(world.post(&say.0).codes().len(), 4);
    let items = world.effects.iter().find_map(|effect| match effect {
        Effect::AlertReceived { items, .. } => Some(items.len()),
        _ => None,
    });
    assert_eq!(items, Some(3));
}

#[test]
fn srv_45_an_exec_accepted_with_202_waits_for_its_alert_across_sessions() {
    for (data, end) in
        [("1200", (CommandState::Succeeded, "done")), ("1405", (CommandState::Failed, "failed-later"))]
    {
        let mut world = open();
        let exec = world.queue_as(Verb::Exec, vec![BodyItem::node("./S/Operations/Install")], |command| {
            command.body = Body::Plain {
                verb: Verb::Exec,
                items: command.body.items().to_vec(),
                correlator: Some("c-1".into()),
            };
        });
        world.post(&Say::package1(1).basic().0);
        world.post(&Say::new(2).hello(1).status(1, 4, "Exec", 202).0);
        assert_eq!(world.end(exec), (CommandState::Sent, "accepted"));
        world.restart();
        let alert = Say::package1(1).basic().session("2");
        let answer = world.post(&alert.generic("./other", Some("com.x/any"), data, Some("c-1")).0);
        assert_eq!(answer.codes()[3].2, 200);
        assert!(answer.commands().is_empty());
        assert_eq!(world.end(exec), end);
    }
}

#[test]
fn srv_45_an_exec_accepted_with_202_is_in_doubt_after_its_time() {
    let mut world = open();
    let exec = world.exec("./E");
    world.post(&Say::package1(1).basic().0);
    world.post(&Say::new(2).hello(1).status(1, 4, "Exec", 202).0);
    assert!(world.queue.expire(world.now.plus(1000), 1000).is_empty());
    let effects = world.queue.expire(world.now.plus(1001), 1000);
    assert_eq!(effects.len(), 1);
    assert!(world.queue.get(exec).is_none());
}

#[test]
fn ld_13_an_alert_before_the_status_of_its_exec_is_taken() {
    for (code, end) in [(200, "done"), (202, "done")] {
        let mut world = open();
        let exec = world.exec("./test/execute");
        world.post(&Say::package1(1).basic().0);
        let say = Say::new(2).hello(1).generic("./test/execute", Some("urn:test"), "200", None);
        let answer = world.post(&say.status(1, 4, "Exec", code).0);
        assert_eq!(answer.codes()[1], ("Alert", 2, 200));
        assert_eq!(world.end(exec), (CommandState::Succeeded, end));
    }
}

#[test]
fn commands_that_a_client_may_not_send_are_refused_each_with_one_status() {
    let request = |cmd_id| Request { cmd_id, items: vec![Item::default()], ..Request::default() };
    let group = Group { cmd_id: 5, commands: vec![Command::Add(request(6))], ..Group::default() };
    let say = Say::package1(1)
        .basic()
        .with(Command::Get(request(3)))
        .with(Command::Exec(request(4)))
        .with(Command::Atomic(group));
    let answer = open().post(&say.0);
    let refused = [("Get", 3, 405), ("Exec", 4, 405), ("Atomic", 5, 406), ("Add", 6, 406)];
    assert_eq!(answer.codes()[3..], refused);
}

#[test]
fn a_replace_of_anything_but_dev_info_is_refused() {
    let item = Item { source: Some(Location::uri("./DMAcc/x")), data: Some("y".into()), ..Item::default() };
    let request = Request { cmd_id: 3, items: vec![item], ..Request::default() };
    let answer = open().post(&Say::package1(1).basic().with(Command::Replace(request)).0);
    assert_eq!(answer.codes()[3], ("Replace", 3, 405));
}

#[test]
fn cod_12_an_unknown_element_gets_501_and_the_session_goes_on() {
    let mut world = open();
    world.get("./A");
    let body =
        String::from_utf8(postern_wire::syncml::encode(&Say::package1(1).basic().0, &world.style).unwrap());
    let body = body.unwrap().replace("<Final", "<Frobnicate><CmdID>9</CmdID></Frobnicate><Final");
    let postern_engine::session::Reply::Message { body, .. } =
        world.post_octets("application/vnd.syncml.dm+xml", body.as_bytes())
    else {
        panic!("refused")
    };
    let text = String::from_utf8(body).unwrap();
    assert!(
        text.contains("<CmdRef>9</CmdRef>") && text.contains("<Data>501</Data>") && text.contains("<Get>")
    );
}

/// An Exec that the device has accepted with 202.
fn accepted(uri: &str) -> (World, CommandId) {
    let mut world = open();
    let exec = world.exec(uri);
    world.post(&Say::package1(1).basic().0);
    world.post(&Say::new(2).hello(1).status(1, 4, "Exec", 202).0);
    (world, exec)
}

#[test]
fn srv_44_an_alert_beside_1201_is_taken_before_the_commands_are_chosen() {
    let (mut world, exec) = accepted("./S/Install");
    let operation = world.queue.get(exec).unwrap().operation;
    let after = world.queue_as(Verb::Get, vec![BodyItem::node("./S/State")], |command| {
        (command.ordered, command.operation) = (true, operation);
    });
    let say = Say::package1(1).basic().session("2");
    let answer = world.post(&say.generic("./S/Install", Some("urn:oma:at:x"), "1200", None).0);
    assert_eq!(answer.codes().iter().map(|(.., code)| *code).collect::<Vec<_>>(), [212, 200, 200, 200]);
    assert_eq!(world.end(exec), (CommandState::Succeeded, "done"));
    assert_eq!(world.end(after), (CommandState::Sent, "sent"), "it waited for the Exec and goes at once");
}

#[test]
fn srv_60_srv_62_srv_63_result_codes_of_lawmo_scomo_and_fumo_tell_the_end() {
    use CommandState::{Failed, Succeeded};
    let lawmo = "urn:oma:at:lawmo:1.0:OperationComplete";
    let scomo = "urn:oma:at:scomo:1.0:OperationComplete";
    let fumo = "org.openmobilealliance.dm.firmwareupdate.update";
    for (type_, data, state) in [
        (lawmo, "1200", Succeeded),
        (lawmo, "1202", Succeeded),
        (lawmo, "1405", Failed),
        (scomo, "<ResultCode>1200</ResultCode><Identifier>id</Identifier>", Succeeded),
        (scomo, "<ResultCode>1407</ResultCode><Identifier>id</Identifier>", Failed),
        (scomo, "1200", Succeeded),
        (fumo, "200", Succeeded),
        (fumo, "255", Succeeded),
        (fumo, "402", Failed),
        (fumo, "410", Failed),
        (fumo, "455", Failed),
        (fumo, "503", Failed),
    ] {
        let (mut world, exec) = accepted("./M/Operation");
        let say = Say::package1(1).basic().session("2").generic("./M/Operation", Some(type_), data, None);
        assert_eq!(world.post(&say.0).codes()[3].2, 200);
        assert_eq!(world.end(exec).0, state, "{type_} {data}");
    }
}

#[test]
fn srv_61_a_reset_that_no_alert_follows_is_not_left_open_for_ever() {
    let (mut world, exec) = accepted("./LAWMO/Operations/FactoryReset");
    let later = world.now.plus(8 * 24 * 3_600_000);
    let ends = world.queue.expire(later, world.session.config().completion_ms);
    assert_eq!(ends.len(), 1);
    assert!(
        matches!(ends[0], Effect::CommandMoved { command, state: CommandState::InDoubt, .. } if command == exec)
    );
}

#[test]
fn srv_64_a_request_of_the_device_for_an_update_is_taken() {
    let mut world = open();
    let type_ = Some("org.openmobilealliance.dm.firmwareupdate.devicerequest");
    let answer = world.post(&Say::package1(1).basic().generic("./FUMO", type_, "", None).0);
    assert_eq!(answer.codes()[3].2, 200);
}

#[test]
fn a_sealed_recovery_password_that_cannot_be_read_is_refused_so_that_the_device_keeps_the_one_before() {
    for data in ["", "no sealed text", "a.b.c.d.e"] {
        let mut world = open();
        let generic = Say::package1(1).basic().generic(
            "./Vendor/Postern/Recovery",
            Some("com.postern:recovery-password"),
            data,
            None,
        );
        assert_eq!(world.post(&generic.0).codes()[3].2, 415, "{data}");
        assert!(!world.effects.iter().any(|effect| matches!(effect, Effect::AlertReceived { .. })));
    }
}
