//! MaxMsgSize, MaxObjSize and what a model bears (OMA-TS-DM_Protocol 1.2.1, 6).

use crate::common::{Say, World};
use postern_engine::effect::RefusedReason;
use postern_wire::{
    syncml::{Style, Version},
    terms::{AuthType, CommandState},
};

fn open() -> World {
    World::new(AuthType::Basic)
}

#[test]
fn srv_19_no_message_is_larger_than_max_msg_size() {
    for style in [Style::xml(Version::V1_2), Style::wbxml(Version::V1_2)] {
        let mut world = open();
        world.style = style;
        let ids: Vec<_> = (0..20).map(|n| world.replace(&format!("./R/{n}"), &"v".repeat(200))).collect();
        let mut device = crate::common::device::Device::default();
        for n in 0..20 {
            device.tree.insert(format!("./R/{n}"), String::new());
        }
        let mut answer = world.post(&Say::package1(1).basic().max_msg(2000).0);
        let mut messages = 1;
        while !answer.close {
            assert!(answer.octets <= 2000, "{}", answer.octets);
            messages += 1;
            let say = device.execute(&answer).iter().fold(Say::new(messages).hello(messages - 1), Say::said);
            answer = world.post(&say.0);
        }
        assert!(messages > 3);
        for id in ids {
            assert_eq!(world.end(id), (CommandState::Succeeded, "done"));
        }
    }
}

/// A model that puts no value together from chunks.
fn without_large_objects() -> World {
    let mut account = crate::common::account(AuthType::Basic);
    account.quirks.no_large_objects = true;
    World::with(account)
}

#[test]
fn srv_20_a_command_that_can_never_fit_fails_and_the_others_go_on() {
    let mut world = without_large_objects();
    let large = world.replace("./L", &"v".repeat(3000));
    let small = world.get("./A");
    let answer = world.post(&Say::package1(1).basic().max_msg(2000).0);
    assert!(answer.octets <= 2000);
    assert_eq!(answer.commands().len(), 1);
    assert_eq!(world.end(large), (CommandState::Failed, "too-large-for-message"));
    assert_eq!(world.end(small), (CommandState::Sent, "sent"));
}

#[test]
fn a_max_msg_size_too_small_for_any_answer_is_refused() {
    let mut world = open();
    let get = world.get("./A");
    let refused = world.refused(&Say::package1(1).basic().max_msg(300).0);
    assert_eq!(refused, (400, RefusedReason::MessageSizeTooSmall));
    assert!(world.moves(get).is_empty());
}

#[test]
fn status_that_does_not_fit_comes_with_the_next_message_before_any_command() {
    let mut world = open();
    world.get("./A");
    let many = (0..12).fold(Say::package1(1).basic().max_msg(1500), |say, _| say.alert(1222));
    let mut answer = world.post(&many.0);
    let mut told = answer.codes().len() - 1;
    let mut msg_id = 1;
    while answer.commands().is_empty() {
        assert_eq!((answer.alerts(), answer.message.is_final), (vec![1222], false));
        assert!(answer.octets <= 1500);
        msg_id += 1;
        answer = world.post(&Say::new(msg_id).hello(msg_id - 1).alert(1222).unfinished().0);
        told += answer.codes().len() - 1;
    }
    assert!(msg_id > 1 && answer.message.is_final);
    assert_eq!(told, 14 + usize::try_from(msg_id).unwrap() - 1);
}

#[test]
fn srv_21_a_value_above_max_obj_size_is_not_sent() {
    let mut world = open();
    let large = world.replace("./L", &"v".repeat(5000));
    let small = world.get("./A");
    let answer = world.post(&Say::package1(1).basic().max_obj(1000).0);
    assert_eq!(answer.commands().len(), 1);
    assert_eq!(world.end(large), (CommandState::Failed, "too-large-for-device"));
    assert_eq!(world.end(small), (CommandState::Sent, "sent"));
}

#[test]
fn am_18_max_obj_size_is_announced_always() {
    let answer = open().post(&Say::package1(1).basic().0);
    assert!(answer.message.header.meta.max_obj_size.is_some());
}

#[test]
fn am_20_no_more_commands_in_a_message_than_the_model_bears() {
    let mut account = crate::common::account(AuthType::Basic);
    account.quirks.max_commands_per_message = Some(1);
    let mut world = World::with(account);
    world.get("./A");
    world.get("./B");
    assert_eq!(world.post(&Say::package1(1).basic().0).commands().len(), 1);
    assert_eq!(world.post(&Say::new(2).hello(1).status(1, 4, "Get", 404).0).commands().len(), 1);
}

#[test]
fn ld_21_no_larger_reply_than_the_model_bears() {
    let mut account = crate::common::account(AuthType::Basic);
    account.quirks.max_message_octets = Some(1200);
    let mut world = World::with(account);
    for n in 0..9 {
        world.replace(&format!("./R{n}"), &"v".repeat(100));
    }
    assert!(world.post(&Say::package1(1).basic().max_msg(100_000).0).octets <= 1200);
}

#[test]
fn a_device_that_announces_no_max_msg_size_gets_modest_replies() {
    let mut world = open();
    for n in 0..60 {
        world.replace(&format!("./R{n}"), &"v".repeat(1000));
    }
    let answer = world.post(&Say::package1(1).basic().0);
    assert!(answer.octets <= 32 * 1024 && answer.octets > 16 * 1024);
}

#[test]
fn what_the_encoding_cannot_carry_fails_and_the_others_go_on() {
    let mut world = open();
    let bad = world.replace("./L\u{1}", "v");
    let good = world.get("./A");
    let answer = world.post(&Say::package1(1).basic().0);
    assert_eq!(answer.commands().len(), 1);
    assert_eq!(world.end(bad), (CommandState::Failed, "bad-format"));
    assert_eq!(world.end(good), (CommandState::Sent, "sent"));
}

/// Sizes around the largest value that fits beside the Status for SyncHdr alone.
#[test]
fn a_command_gets_a_message_to_itself_once_and_fails_when_even_that_is_too_small() {
    let (mut sent, mut failed) = (0, 0);
    for octets in (0..900).step_by(10) {
        let mut world = without_large_objects();
        let large = world.replace("./L", &"v".repeat(octets));
        let small = world.get("./A");
        let mut answer = world.post(&Say::package1(1).basic().max_msg(1500).0);
        let mut device = crate::common::device::Device::default();
        device.tree.insert("./L".into(), String::new());
        for msg_id in 2..9 {
            assert!(answer.octets <= 1500);
            if answer.close {
                break;
            }
            let say = Say::new(msg_id).hello(msg_id - 1);
            let say = match answer.alerts()[..] {
                [1222] => say.status(msg_id - 1, 4, "Alert", 200).alert(1222).unfinished(),
                _ => device.execute(&answer).iter().fold(say, Say::said),
            };
            answer = world.post(&say.0);
        }
        assert!(answer.close, "{octets}");
        assert_eq!(world.end(small), (CommandState::Failed, "not-found"));
        match world.end(large) {
            (CommandState::Succeeded, "done") => sent += 1,
            (CommandState::Failed, "too-large-for-message") => failed += 1,
            other => panic!("{octets}: {other:?}"),
        }
    }
    assert!(sent > 30 && failed > 10, "{sent} {failed}");
}
