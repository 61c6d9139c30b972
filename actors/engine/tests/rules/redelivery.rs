//! Commands in unknown fate: lost sessions, a core that starts again, probes (docs/ARCHITECTURE.md, "One command, and why it cannot be lost").

use crate::common::{Say, World, device::Device, leaf};
use postern_engine::queue::BodyItem;
use postern_wire::terms::{AuthType, CommandState, Redelivery, Verb};

fn open() -> World {
    World::new(AuthType::Basic)
}

fn next_session(world: &mut World, name: &str) -> crate::common::Answer {
    world.after(600_000);
    world.post(&Say::package1(1).basic().session(name).0)
}

#[test]
fn repeat_commands_of_a_lost_session_go_out_again() {
    let mut world = open();
    let ids =
        [world.get("./A"), world.replace("./B", "v"), world.queue(Verb::Delete, vec![BodyItem::node("./C")])];
    world.post(&Say::package1(1).basic().0);
    assert_eq!(next_session(&mut world, "2").commands().len(), 3);
    for id in ids {
        let states: Vec<_> = world.moves(id).into_iter().map(|(state, _)| state).collect();
        assert_eq!(states, [CommandState::Sent, CommandState::Queued, CommandState::Sent]);
    }
}

#[test]
fn an_at_most_once_command_of_a_lost_session_is_in_doubt_and_never_sent_again() {
    let mut world = open();
    let exec = world.exec("./E");
    world.post(&Say::package1(1).basic().0);
    assert!(next_session(&mut world, "2").commands().is_empty());
    assert_eq!(world.end(exec), (CommandState::InDoubt, "session-lost"));
}

#[test]
fn a_probe_goes_first_and_its_answer_decides() {
    let found = |value: Option<&str>| value.map(str::to_owned);
    for (on_device, moves) in [
        (
            found(Some("v")),
            vec![
                (CommandState::Sent, "sent"),
                (CommandState::Sent, "probe"),
                (CommandState::Succeeded, "found-by-probe"),
            ],
        ),
        (
            found(None),
            vec![
                (CommandState::Sent, "sent"),
                (CommandState::Sent, "probe"),
                (CommandState::Queued, "not-found-by-probe"),
                (CommandState::Sent, "sent"),
            ],
        ),
        (
            found(Some("other")),
            vec![
                (CommandState::Sent, "sent"),
                (CommandState::Sent, "probe"),
                (CommandState::InDoubt, "probe-unclear"),
            ],
        ),
    ] {
        let mut world = open();
        let add = world.add("./A", "v");
        world.post(&Say::package1(1).basic().0);
        world.get("./B");
        let mut device = Device::default();
        device.tree.extend(on_device.map(|value| ("./A".to_owned(), value)));
        let answer = next_session(&mut world, "2");
        let said = device.execute(&answer);
        assert_eq!((said[0].cmd, said[0].items[0].0.as_str()), ("Get", "./A"));
        let say = said.iter().fold(Say::new(2).session("2").hello(1), Say::said);
        world.post(&say.0);
        assert_eq!(world.moves(add), moves);
    }
}

#[test]
fn the_probe_of_a_copy_compares_target_and_source() {
    for (target, end) in
        [(Some("s"), CommandState::Succeeded), (Some("t"), CommandState::Sent), (None, CommandState::Sent)]
    {
        let mut world = open();
        let copy = BodyItem { source: Some("./S".into()), ..BodyItem::node("./T") };
        let copy = world.queue(Verb::Copy, vec![copy]);
        world.post(&Say::package1(1).basic().0);
        let mut device = Device::default();
        device.tree.insert("./S".into(), "s".into());
        device.tree.extend(target.map(|value| ("./T".to_owned(), value.to_owned())));
        let answer = next_session(&mut world, "2");
        let say = device.execute(&answer).iter().fold(Say::new(2).session("2").hello(1), Say::said);
        world.post(&say.0);
        assert_eq!(world.end(copy).0, end, "{target:?}");
    }
}

#[test]
fn an_unanswered_probe_is_sent_again_in_the_next_session() {
    let mut world = open();
    let add = world.add("./A", "v");
    world.post(&Say::package1(1).basic().0);
    for session in ["2", "3"] {
        assert_eq!(next_session(&mut world, session).commands().len(), 1);
        assert!(world.post(&Say::new(2).session(session).hello(1).0).close);
    }
    assert_eq!(world.moves(add).iter().filter(|(_, what)| *what == "probe").count(), 2);
    assert!(world.queue.get(add).is_some());
}

#[test]
fn what_cannot_be_probed_is_in_doubt() {
    let mut world = open();
    let exec = world.queue_as(Verb::Exec, vec![BodyItem::node("./E")], |command| {
        command.redelivery = Redelivery::ProbeFirst;
    });
    world.post(&Say::package1(1).basic().0);
    next_session(&mut world, "2");
    assert_eq!(world.end(exec).0, CommandState::InDoubt);
}

#[test]
fn a_resent_add_that_meets_its_node_and_a_resent_delete_that_misses_it_are_done() {
    let mut world = open();
    let add =
        world.queue_as(Verb::Add, vec![leaf("./A", "v")], |command| command.redelivery = Redelivery::Repeat);
    let delete = world.queue(Verb::Delete, vec![BodyItem::node("./D")]);
    world.post(&Say::package1(1).basic().0);
    next_session(&mut world, "2");
    world.post(&Say::new(2).session("2").hello(1).status(1, 4, "Add", 418).status(1, 5, "Delete", 404).0);
    assert_eq!(world.end(add), (CommandState::Succeeded, "already-there"));
    assert_eq!(world.end(delete), (CommandState::Succeeded, "already-gone"));
}

#[test]
fn a_core_that_starts_again_mid_session_takes_the_session_up_and_matches_its_status() {
    let mut world = open();
    let (exec, get) = (world.exec("./E"), world.get("./A"));
    world.post(&Say::package1(1).basic().session("7").0);
    world.restart();
    let say = Say::new(2).basic().session("7").hello(1).status(1, 4, "Exec", 200);
    let answer = world.post(&say.status(1, 5, "Get", 404).0);
    assert_eq!(answer.codes()[0].2, 212);
    assert_eq!(answer.message.header.msg_id, 2);
    assert_eq!(world.end(exec), (CommandState::Succeeded, "done"));
    assert_eq!(world.end(get), (CommandState::Failed, "not-found"));
}

#[test]
fn after_a_restart_an_md5_session_is_taken_up_with_one_challenge() {
    let mut world = World::new(AuthType::Md5);
    let challenge = world.post(&Say::package1(1).0);
    let exec = world.exec("./E");
    world.post(&Say::package1(2).md5(&challenge.nonce()).0);
    world.restart();
    let say = |msg_id| Say::new(msg_id).hello(2).status(2, 4, "Exec", 200);
    let challenge = world.post(&say(3).0);
    assert_eq!(challenge.codes(), [("SyncHdr", 0, 407)]);
    world.post(&say(4).md5(&challenge.nonce()).0);
    assert_eq!(world.end(exec), (CommandState::Succeeded, "done"));
}

#[test]
fn ld_04_a_new_session_of_the_same_name_after_a_restart_is_not_taken_for_the_old_one() {
    let mut world = open();
    let exec = world.exec("./E");
    world.post(&Say::package1(1).basic().0);
    world.restart();
    world.post(&Say::package1(1).basic().0);
    assert_eq!(world.end(exec), (CommandState::InDoubt, "session-lost"));
}

#[test]
fn a_command_that_may_have_been_executed_is_in_doubt_when_taken_back_or_past_its_deadline() {
    let mut world = open();
    let (taken, late) = (world.get("./A"), world.get("./B"));
    world.post(&Say::package1(1).basic().0);
    world.post(&Say::new(2).hello(1).0);
    for (id, effect) in [
        (taken, world.queue.cancel(taken, world.now).unwrap()),
        (late, world.queue.supersede(late, world.now).unwrap()),
    ] {
        world.effects.push(effect);
        assert_eq!(world.end(id).0, CommandState::InDoubt);
    }
}

#[test]
fn a_command_that_was_never_sent_can_be_taken_back_overtaken_or_expire() {
    let mut world = open();
    let (taken, overtaken) = (world.get("./A"), world.get("./B"));
    let deadline = world.now.plus(10);
    let late =
        world.queue_as(Verb::Get, vec![BodyItem::node("./C")], |command| command.deadline = Some(deadline));
    let effects = [
        world.queue.cancel(taken, world.now).unwrap(),
        world.queue.supersede(overtaken, world.now).unwrap(),
        world.queue.expire(deadline, 0).remove(0),
    ];
    world.effects.extend(effects);
    assert_eq!(world.end(taken), (CommandState::Cancelled, "taken-back"));
    assert_eq!(world.end(overtaken), (CommandState::Superseded, "overtaken"));
    assert_eq!(world.end(late), (CommandState::Expired, "deadline-passed"));
    assert!(world.queue.is_empty());
}

#[test]
fn a_command_past_its_deadline_is_not_sent() {
    let mut world = open();
    let deadline = world.now;
    world.queue_as(Verb::Get, vec![BodyItem::node("./C")], |command| command.deadline = Some(deadline));
    assert!(world.post(&Say::package1(1).basic().0).commands().is_empty());
}

#[test]
fn a_command_on_its_way_cannot_be_taken_back() {
    let mut world = open();
    let get = world.get("./A");
    world.post(&Say::package1(1).basic().0);
    assert!(world.queue.cancel(get, world.now).is_err_and(|refused| refused.is_some()));
}

#[test]
fn ninety_nine_of_a_hundred_probed_commands_are_resolved_within_two_sessions() {
    let (mut resolved, total) = (0, 200);
    for n in 0..total {
        let mut world = open();
        let mut device = Device::default();
        let uri = format!("./A{n}");
        let add = world.add(&uri, "v");
        let answer = world.post(&Say::package1(1).basic().0);
        if n % 2 == 0 {
            device.execute(&answer); // executed, but the answer is lost
        }
        world.restart();
        for session in ["2", "3"] {
            let mut msg_id = 1;
            let mut answer = next_session(&mut world, session);
            while !answer.close {
                msg_id += 1;
                let start = Say::new(msg_id).session(session).hello(msg_id - 1);
                answer = world.post(&device.execute(&answer).iter().fold(start, Say::said).0);
            }
        }
        resolved += u32::from(world.end(add).0 == CommandState::Succeeded);
        assert!(device.executed[&format!("Add {uri}")] == 1);
    }
    assert!(resolved * 100 >= total * 99, "{resolved} of {total}");
}
