//! Sessions, message ids, resends, ends (OMA-TS-DM_Protocol 1.2.1, 6 and 8).

use crate::common::{Say, World};
use postern_engine::{
    effect::{CloseReason, Effect, RefusedReason},
    session::SessionConfig,
};
use postern_wire::{
    syncml::{Style, Version},
    terms::{AuthType, CommandState},
};

fn open() -> World {
    World::new(AuthType::Basic)
}

#[test]
fn srv_01_srv_05_srv_07_an_idle_session_is_answered_and_over() {
    let mut world = open();
    let answer = world.post(&Say::package1(1).basic().0);
    assert_eq!(answer.codes(), [("SyncHdr", 0, 212), ("Alert", 1, 200), ("Replace", 2, 200)]);
    assert!(answer.message.is_final && answer.close && answer.commands().is_empty());
    assert!(world.last.as_ref().unwrap().durable.iter().all(|e| matches!(e, Effect::ProofClassRose { .. })));
    assert!(world.session.current().is_none());
}

#[test]
fn an_idle_check_in_of_a_known_device_needs_no_write_before_its_answer() {
    let mut world = open();
    world.post(&Say::package1(1).basic().0);
    world.after(3_600_000);
    world.post(&Say::package1(1).basic().session("2").0);
    let last = world.last.as_ref().unwrap();
    assert!(last.durable.is_empty(), "{:?}", last.durable);
    assert!(!last.deferred.iter().any(|effect| matches!(effect, Effect::DeviceInfo(_))));
}

#[test]
fn srv_02_alert_1200_opens_a_server_initiated_session() {
    let mut world = open();
    world.post(&Say::new(1).basic().session("FE51").alert(1200).dev_info().0);
    let opened = |effect: &Effect| matches!(effect, Effect::SessionOpened { server_initiated: true, .. });
    assert!(world.effects.iter().any(opened));
}

#[test]
fn srv_03_unknown_versions_are_refused_with_505_and_513() {
    for (dtd, proto, code) in [("9.9", "DM/1.2", 505), ("1.2", "DM/9.9", 513), ("1.1", "DM/1.2", 513)] {
        let mut world = open();
        world.get("./A");
        let say = Say::package1(1).basic().header(|header| {
            header.ver_dtd = dtd.into();
            header.ver_proto = proto.into();
        });
        let answer = world.post(&say.0);
        assert_eq!(answer.codes(), [("SyncHdr", 0, code)]);
        assert!(answer.commands().is_empty() && answer.close);
        assert!(!world.effects.iter().any(|effect| matches!(effect, Effect::Seen { .. })));
    }
}

#[test]
fn srv_04_the_reply_swaps_addresses_and_counts_its_own_messages() {
    let mut world = open();
    world.get("./A");
    let first = world.post(&Say::package1(1).basic().session("8A33").0);
    let header = &first.message.header;
    assert_eq!(
        (header.target.uri.as_str(), header.source.uri.as_str()),
        (crate::common::DEVICE, crate::common::SERVER)
    );
    assert_eq!((header.session_id.as_str(), header.msg_id), ("8A33", 1));
    let second = world.post(&Say::new(2).session("8A33").hello(1).status(1, 4, "Get", 404).0);
    assert_eq!(second.message.header.msg_id, 2);
    assert_eq!(second.statuses().next().unwrap().msg_ref, Some(2));
    let status = first.statuses().next().unwrap();
    assert_eq!(status.target_refs, [crate::common::SERVER]);
    assert_eq!(status.source_refs, [crate::common::DEVICE]);
}

#[test]
fn cod_02_cod_28_a_reply_is_in_the_encoding_version_and_family_of_its_request() {
    for style in [
        Style::xml(Version::V1_1),
        Style::wbxml(Version::V1_2),
        Style::wbxml(Version::V1_1),
        Style::xml(Version::V1_2).with_family(postern_wire::syncml::MimeFamily::Plain),
    ] {
        let mut world = open();
        world.style = style;
        let say = Say::package1(1).basic().header(|header| {
            header.ver_dtd = style.version.ver_dtd().into();
            header.ver_proto = style.version.ver_proto().into();
        });
        let answer = world.post(&say.0);
        assert_eq!(answer.message.version, style.version);
        assert_eq!(answer.message.header.ver_proto, style.version.ver_proto());
    }
}

#[test]
fn srv_15_srv_16_an_unfinished_package_gets_status_and_1222_only() {
    let mut world = open();
    let first = world.get("./A");
    world.post(&Say::package1(1).basic().0);
    world.get("./B");
    let unfinished = Say::new(2).hello(1).generic("./X", Some("urn:oma:at:x"), "1", None).unfinished();
    let answer = world.post(&unfinished.0);
    assert_eq!(answer.codes(), [("SyncHdr", 0, 212), ("Alert", 2, 200)]);
    assert_eq!(answer.alerts(), [1222]);
    assert!(!answer.message.is_final && !answer.close && answer.commands().is_empty());
    let answer = world.post(&Say::new(3).hello(2).status(1, 4, "Get", 404).0);
    assert_eq!(answer.commands().len(), 1);
    assert!(answer.message.is_final);
    assert_eq!(world.end(first), (CommandState::Failed, "not-found"));
}

#[test]
fn a_package_that_is_never_finished_ends_the_session() {
    let config = SessionConfig { unfinished: 3, ..SessionConfig::default() };
    let mut world = World::limited(crate::common::account(AuthType::Basic), config);
    for msg_id in 1..=3 {
        assert_eq!(world.post(&Say::new(msg_id).basic().unfinished().0).alerts(), [1222]);
    }
    let last = world.post(&Say::new(4).basic().unfinished().0);
    assert_eq!((last.alerts(), last.close), (vec![1223], true));
}

#[test]
fn srv_46_an_abort_by_the_device_is_answered_without_commands() {
    let mut world = open();
    let get = world.get("./A");
    world.post(&Say::package1(1).basic().0);
    world.get("./B");
    let answer = world.post(&Say::new(2).hello(1).alert(1223).0);
    assert_eq!(answer.codes(), [("SyncHdr", 0, 212), ("Alert", 2, 200)]);
    assert!(answer.commands().is_empty() && answer.close);
    let closed = |effect: &Effect| {
        matches!(effect, Effect::SessionClosed { reason: CloseReason::AbortedByDevice, .. })
    };
    assert!(world.effects.iter().any(closed));
    assert_eq!(world.end(get).0, CommandState::Queued);
}

#[test]
fn srv_47_an_abort_by_the_server_keeps_the_queue() {
    let mut world = open();
    world.get("./A");
    world.post(&Say::package1(1).basic().0);
    let kept = world.get("./B");
    world.session.abort();
    let answer = world.post(&Say::new(2).hello(1).status(1, 4, "Get", 404).0);
    assert_eq!((answer.alerts(), answer.close, answer.message.is_final), (vec![1223], true, true));
    assert!(world.queue.get(kept).is_some());
}

#[test]
fn srv_49_am_11_a_repeated_message_gets_the_stored_reply_without_effect() {
    let mut world = open();
    let exec = world.exec("./E");
    let first = world.post_any(&Say::package1(1).basic().0);
    for _ in 0..5 {
        world.after(1000);
        let again = world.post_any(&Say::package1(1).basic().0);
        assert_eq!(format!("{first:?}"), format!("{again:?}"));
        let last = world.last.as_ref().unwrap();
        assert!(last.durable.is_empty() && last.deferred.is_empty());
    }
    assert_eq!(world.moves(exec), [(CommandState::Sent, "sent")]);
    let done = Say::new(2).hello(1).status(1, 4, "Exec", 200).0;
    let end = world.post_any(&done);
    assert_eq!(format!("{:?}", world.post_any(&done)), format!("{end:?}"));
    assert_eq!(world.moves(exec).len(), 2);
}

#[test]
fn a_message_repeated_without_end_is_refused() {
    let mut world = open();
    world.exec("./E");
    world.post(&Say::package1(1).basic().0);
    for _ in 0..SessionConfig::default().repeats {
        world.post(&Say::package1(1).basic().0);
    }
    let refused = world.refused(&Say::package1(1).basic().0);
    assert_eq!(refused, (429, RefusedReason::TooManyRepeats));
}

#[test]
fn ld_04_the_same_first_message_later_is_a_new_session() {
    let mut world = open();
    let exec = world.exec("./E");
    world.post(&Say::package1(1).basic().0);
    world.after(61_000);
    let answer = world.post(&Say::package1(1).basic().0);
    assert!(answer.commands().is_empty(), "an AtMostOnce command does not go out twice");
    assert_eq!(world.end(exec), (CommandState::InDoubt, "session-lost"));
}

#[test]
fn srv_50_a_new_session_replaces_the_old_and_commands_are_queued_again_once() {
    let mut world = open();
    let get = world.get("./A");
    world.post(&Say::package1(1).basic().session("1").0);
    let answer = world.post(&Say::package1(1).basic().session("2").0);
    assert_eq!(answer.commands().len(), 1);
    let moves: Vec<_> = world.moves(get).into_iter().map(|(state, _)| state).collect();
    assert_eq!(moves, [CommandState::Sent, CommandState::Queued, CommandState::Sent]);
    let late = world.post(&Say::new(2).session("1").hello(1).status(1, 4, "Get", 200).0);
    assert_eq!(late.codes(), [("SyncHdr", 0, 407)]);
    assert_eq!(world.end(get).0, CommandState::Sent);
}

#[test]
fn srv_51_a_message_of_an_unknown_session_opens_one() {
    let mut world = open();
    world.get("./A");
    let answer = world.post(&Say::new(5).basic().session("77").hello(4).0);
    assert_eq!(answer.commands().len(), 1);
}

#[test]
fn ft_02_a_msg_id_that_jumps_is_accepted_and_one_that_falls_back_is_refused() {
    let mut world = open();
    world.get("./A");
    world.post(&Say::package1(1).basic().0);
    world.get("./B");
    world.post(&Say::new(7).hello(1).status(1, 4, "Get", 404).0);
    let refused = world.refused(&Say::new(3).hello(1).0);
    assert_eq!(refused, (409, RefusedReason::OutOfOrder));
    assert!(world.session.current().is_some());
}

#[test]
fn srv_48_an_idle_session_ends_after_eight_minutes() {
    let mut world = open();
    let exec = world.exec("./E");
    world.post(&Say::package1(1).basic().0);
    let due = world.session.idle_at().unwrap();
    assert_eq!(due, world.now.plus(480_000));
    assert!(world.session.idle(&mut world.queue, due).is_empty());
    let effects = world.session.idle(&mut world.queue, due.plus(1));
    assert!(
        matches!(effects[0], Effect::CommandMoved { command, state: CommandState::InDoubt, .. } if command == exec)
    );
    assert!(matches!(effects[1], Effect::SessionClosed { reason: CloseReason::Idle, .. }));
}

#[test]
fn srv_53_resp_uri_is_never_followed() {
    let mut world = open();
    let say = Say::package1(1).basic().header(|header| header.resp_uri = Some("http://evil.example/".into()));
    let answer = world.post(&say.0);
    assert!(answer.message.header.resp_uri.is_none());
    assert_eq!(answer.message.header.target.uri, crate::common::DEVICE);
}

#[test]
fn garbage_and_foreign_media_types_are_refused_with_a_reason() {
    let mut world = open();
    for (media, body, status) in [
        ("text/html", b"<SyncML/>".as_slice(), 415),
        ("application/vnd.syncml.dm+xml", b"<SyncML".as_slice(), 400),
        ("application/vnd.syncml.dm+wbxml", b"\x02".as_slice(), 400),
    ] {
        match world.post_octets(media, body) {
            postern_engine::session::Reply::Refuse { status: got, .. } => assert_eq!(got, status),
            other => panic!("{other:?}"),
        }
    }
    assert!(world.effects.iter().all(|effect| matches!(effect, Effect::Refused { .. })));
}

#[test]
fn a_retired_enrolment_gets_no_session() {
    let mut account = crate::common::account(AuthType::Basic);
    account.state = postern_wire::terms::EnrolmentState::Retired;
    let refused = World::with(account).refused(&Say::package1(1).basic().0);
    assert_eq!(refused, (410, RefusedReason::Retired));
}
