//! The client's side of a session (CLI-nn of docs/CONFORMANCE.md), against a scripted server.

use crate::support::{Reply, Rig, add, alert, answer, chunk, get, nothing, results, send, statuses, turn};
use postern_device::{
    DeviceError,
    transport::TransportError,
    unit::{Cause, Ending, SessionError},
};
use postern_wire::{
    syncml::{Command, Encoding, Message},
    terms::AuthType,
};

#[test]
fn cli_01_the_first_message_holds_alert_devinfo_and_final() {
    for encoding in [Encoding::Xml, Encoding::Wbxml] {
        let mut rig = Rig::new(AuthType::Basic).unit(|unit| unit.encoding = encoding);
        let (outcome, _) = rig.session(vec![nothing()]);
        assert_eq!(outcome.unwrap().messages, 1);
        let first = &rig.seen.messages()[0];
        assert!(first.is_final && first.header.msg_id == 1);
        assert_eq!(first.header.source.uri, "IMEI:1");
        assert_eq!(first.header.target.uri, crate::support::URI);
        let [Command::Alert(alert), Command::Replace(replace)] = &first.body[..] else {
            panic!("{first:#?}")
        };
        assert_eq!(alert.code, 1201);
        let sources: Vec<_> = replace.items.iter().map(|item| item.source.clone().unwrap().uri).collect();
        assert_eq!(
            sources,
            ["./DevInfo/DevId", "./DevInfo/Man", "./DevInfo/Mod", "./DevInfo/DmV", "./DevInfo/Lang"]
        );
        assert_eq!(replace.items[0].data, Some("IMEI:1".into()));
    }
}

#[test]
fn cli_02_a_triggered_session_echoes_the_triggers_id() {
    let mut rig = Rig::new(AuthType::Basic);
    let (outcome, _) = rig.session_because(Cause::Server { session: 0x00FF }, vec![nothing()]);
    assert_eq!(outcome.unwrap().session_id, "FF");
    assert!(matches!(&rig.seen.messages()[0].body[0], Command::Alert(alert) if alert.code == 1200));
}

#[test]
fn a_get_is_answered_with_status_and_results_in_both_encodings() {
    for encoding in [Encoding::Xml, Encoding::Wbxml] {
        let mut rig = Rig::new(AuthType::Basic).unit(|unit| unit.encoding = encoding);
        let (outcome, _) = rig.session(vec![send(vec![get("./DevInfo/Man"), get("./None")]), nothing()]);
        let report = outcome.unwrap();
        assert_eq!((report.messages, report.commands, report.ending), (2, 2, Ending::Complete));
        let second = &rig.seen.messages()[1];
        assert_eq!(statuses(second), pairs(&[("SyncHdr", 212), ("Get", 200), ("Get", 404)]));
        assert_eq!(results(second), ["Postern"]);
        assert!(second.is_final && second.header.msg_id == 2);
        let ids: Vec<_> = (1..).take(second.body.len()).collect();
        assert_eq!(second.body.iter().map(cmd_id).collect::<Vec<_>>(), ids);
    }
}

#[test]
fn cli_15_a_large_object_is_taken_in_chunks() {
    let uri = "./Settings/large";
    let mut rig = Rig::new(AuthType::Basic);
    let (outcome, device) = rig.session(vec![
        part(vec![chunk(uri, "abc", Some(8), true)]),
        part(vec![chunk(uri, "def", None, true)]),
        send(vec![chunk(uri, "gh", None, false)]),
        nothing(),
    ]);
    outcome.unwrap();
    let seen = rig.seen.messages();
    for (message, code) in [(&seen[1], 213), (&seen[2], 213), (&seen[3], 200)] {
        assert_eq!(statuses(message), pairs(&[("SyncHdr", 212), ("Add", code)]));
    }
    assert!(asks_for_more(&seen[1]) && !seen[1].is_final && !asks_for_more(&seen[3]) && seen[3].is_final);
    assert_eq!(value(&device, uri), Some("abcdefgh".into()));
}

#[test]
fn cli_16_a_broken_off_object_is_told_and_dropped() {
    let uri = "./Settings/large";
    let mut rig = Rig::new(AuthType::Basic);
    let (outcome, device) = rig.session(vec![
        part(vec![chunk(uri, "abc", Some(8), true)]),
        send(vec![get("./DevInfo/Man")]),
        nothing(),
    ]);
    outcome.unwrap();
    let second = &rig.seen.messages()[2];
    let told = second.body.iter().find_map(|command| match command {
        Command::Alert(alert) if alert.code == 1225 => Some(alert.items[0].target.clone().unwrap().uri),
        _ => None,
    });
    assert_eq!((told.as_deref(), value(&device, uri)), (Some(uri), None));
    assert_eq!(results(second), ["Postern"]);
}

#[test]
fn cli_17_an_object_of_another_size_is_424_and_changes_nothing() {
    for (uri, first, second) in [("./Settings/short", 9, "de"), ("./Settings/long", 4, "de")] {
        let mut rig = Rig::new(AuthType::Basic);
        let (outcome, device) = rig.session(vec![
            part(vec![chunk(uri, "abc", Some(first), true)]),
            send(vec![chunk(uri, second, None, false)]),
            nothing(),
        ]);
        outcome.unwrap();
        assert_eq!(statuses(&rig.seen.messages()[2])[1], ("Add".into(), 424));
        assert_eq!(value(&device, uri), None);
    }
}

#[test]
fn a_first_chunk_without_size_is_411_and_one_beyond_maxobjsize_413() {
    for (size, code) in [(None, 411), (Some(u64::MAX), 413)] {
        let mut rig = Rig::new(AuthType::Basic);
        let (outcome, _) = rig.session(vec![part(vec![chunk("./Settings/x", "abc", size, true)]), nothing()]);
        outcome.unwrap();
        assert_eq!(statuses(&rig.seen.messages()[1])[1], ("Add".into(), code));
    }
}

#[test]
fn cli_18_a_large_result_goes_out_in_chunks_within_maxmsgsize() {
    for encoding in [Encoding::Xml, Encoding::Wbxml] {
        let value: String = (0..20_000).map(|i| char::from(b'a' + u8::try_from(i % 26).unwrap())).collect();
        let mut rig = Rig::new(AuthType::Basic).unit(|unit| unit.encoding = encoding);
        let (outcome, _) = rig.session(vec![
            send(vec![add("./Settings/big", &value)]),
            turn(|to| bounded(answer(to, 212, vec![get("./Settings/big"), get("./DevInfo/Man")], true))),
            more_until_final(),
        ]);
        outcome.unwrap();
        let (requests, seen) = (rig.seen.requests(), rig.seen.messages());
        assert!(seen.len() > 7, "{}", seen.len());
        let texts: Vec<String> = seen[2..].iter().flat_map(results).collect();
        assert_eq!(texts[..texts.len() - 1].concat(), value);
        assert_eq!(texts.last().map(String::as_str), Some("Postern"));
        for (request, message) in requests[2..].iter().zip(&seen[2..]) {
            assert!(request.body.len() <= 4_000, "{}", request.body.len());
            assert_eq!(message.is_final, message.header.msg_id == seen.last().unwrap().header.msg_id);
        }
        let sizes: Vec<_> = seen[2..].iter().flat_map(chunk_sizes).collect();
        assert_eq!(sizes[0], Some(20_000));
        assert!(sizes[1..].iter().all(Option::is_none));
    }
}

#[test]
fn cli_19_many_results_wait_for_the_next_message_and_final_comes_last() {
    let mut rig = Rig::new(AuthType::Basic);
    let gets: Vec<_> = (0..100).map(|_| get("./DevInfo")).collect();
    let (outcome, _) =
        rig.session(vec![turn(move |to| bounded(answer(to, 212, gets.clone(), true))), more_until_final()]);
    assert_eq!(outcome.unwrap().commands, 100 + u32::try_from(rig.seen.messages().len()).unwrap() - 2);
    let seen = rig.seen.messages();
    assert!(seen.len() > 3);
    assert_eq!(seen[1..].iter().map(|message| results(message).len()).sum::<usize>(), 100);
    let finals: Vec<_> = seen[1..].iter().map(|message| message.is_final).collect();
    assert!(finals[finals.len() - 1] && finals[..finals.len() - 1].iter().all(|last| !last));
    assert!(rig.seen.requests().iter().all(|request| request.body.len() <= 4_000));
}

#[test]
fn cli_20_final_is_withheld_until_the_servers_final() {
    let mut rig = Rig::new(AuthType::Basic);
    let (outcome, _) = rig.session(vec![
        part(vec![get("./DevInfo/Man")]),
        part(Vec::new()),
        send(vec![get("./DevInfo/Mod")]),
        nothing(),
    ]);
    outcome.unwrap();
    let seen = rig.seen.messages();
    assert_eq!(seen.iter().map(|message| message.is_final).collect::<Vec<_>>(), [true, false, false, true]);
    assert!(asks_for_more(&seen[1]) && asks_for_more(&seen[2]) && !asks_for_more(&seen[3]));
}

#[test]
fn cli_21_an_empty_server_package_ends_the_session_without_another_message() {
    let mut rig = Rig::new(AuthType::Basic);
    let (outcome, _) = rig.session(vec![nothing()]);
    assert_eq!((outcome.unwrap().ending, rig.seen.messages().len()), (Ending::Complete, 1));
}

#[test]
fn cli_22_an_abort_stops_at_once_and_is_not_answered() {
    let mut rig = Rig::new(AuthType::Basic);
    let (outcome, device) = rig.session(vec![send(vec![add("./Settings/a", "1"), alert(1223)])]);
    assert_eq!((outcome.unwrap().ending, rig.seen.messages().len()), (Ending::Aborted, 1));
    assert_eq!(value(&device, "./Settings/a"), None);
}

#[test]
fn cli_23_resp_uri_is_followed_within_the_origin_and_nowhere_else() {
    let leading = |uri: &'static str| {
        turn(move |to| {
            let mut message = answer(to, 212, vec![get("./DevInfo/Man")], true);
            message.header.resp_uri = Some(uri.into());
            message
        })
    };
    let mut rig = Rig::new(AuthType::Basic);
    rig.session(vec![leading("https://dm.test/dm/1/abc?t=9"), nothing()]).0.unwrap();
    let targets: Vec<_> = rig.seen.requests().into_iter().map(|request| request.uri.target).collect();
    assert_eq!(targets, ["/dm/1/abc", "/dm/1/abc?t=9"]);
    for uri in ["https://evil.test/dm/1/abc", "http://dm.test/dm/1/abc", "https://dm.test:444/"] {
        let mut rig = Rig::new(AuthType::Basic);
        let (outcome, _) = rig.session(vec![leading(uri)]);
        assert!(matches!(outcome, Err(DeviceError::Session(SessionError::RespUri(_)))), "{uri}");
        assert_eq!(rig.seen.messages().len(), 1);
    }
}

#[test]
fn items_with_one_outcome_share_a_status_and_others_have_their_own() {
    let many = |uris: &[&str]| {
        let Command::Get(mut request) = get(uris[0]) else { unreachable!() };
        request.items = uris
            .iter()
            .map(|uri| match get(uri) {
                Command::Get(request) => request.items[0].clone(),
                _ => unreachable!(),
            })
            .collect();
        Command::Get(request)
    };
    let mut rig = Rig::new(AuthType::Basic);
    let alike = many(&["./DevInfo/Man", "./DevInfo/Mod"]);
    let mixed = many(&["./DevInfo/Man", "./None"]);
    rig.session(vec![send(vec![alike, mixed]), nothing()]).0.unwrap();
    let second = &rig.seen.messages()[1];
    assert_eq!(statuses(second), pairs(&[("SyncHdr", 212), ("Get", 200), ("Get", 200), ("Get", 404)]));
    let refs: Vec<_> = second.body.iter().filter_map(target_refs).collect();
    assert_eq!(refs[1..], [vec!["./DevInfo/Man", "./DevInfo/Mod"], vec!["./DevInfo/Man"], vec!["./None"]]);
}

#[test]
fn a_message_that_got_lost_is_sent_again_and_its_commands_run_once() {
    let mut rig = Rig::new(AuthType::Basic);
    let (outcome, device) = rig.session(vec![
        send(vec![add("./Settings/a", "1")]),
        Box::new(|_| Reply::Broken),
        Box::new(|_| Reply::Http(503)),
        nothing(),
    ]);
    outcome.unwrap();
    let requests = rig.seen.requests();
    assert_eq!(requests.len(), 4);
    assert!(requests[1].body == requests[2].body && requests[2].body == requests[3].body);
    assert_eq!(value(&device, "./Settings/a"), Some("1".into()));
}

#[test]
fn a_first_message_without_an_answer_is_not_repeated() {
    let mut rig = Rig::new(AuthType::Basic);
    let (outcome, _) = rig.session(vec![Box::new(|_| Reply::Broken)]);
    assert!(matches!(outcome, Err(DeviceError::Transport(TransportError::Timeout { .. }))));
    assert_eq!(rig.seen.messages().len(), 1);
}

/// A server's message that is not the last of its package.
fn part(commands: Vec<Command>) -> crate::support::Turn {
    turn(move |to| answer(to, 212, commands.clone(), false))
}

/// Asks for the next message until the client's package is complete, then ends.
fn more_until_final() -> crate::support::Turn {
    turn(|to| {
        let more = if to.is_final { Vec::new() } else { vec![alert(1222)] };
        bounded(answer(to, 212, more, to.is_final))
    })
}

fn bounded(mut message: Message) -> Message {
    message.header.meta.max_msg_size = Some(4_000);
    message
}

fn asks_for_more(message: &Message) -> bool {
    message.body.iter().any(|command| matches!(command, Command::Alert(alert) if alert.code == 1222))
}

fn chunk_sizes(message: &Message) -> Vec<Option<u64>> {
    let of = |command: &Command| match command {
        Command::Results(results) => Some(results.items[0].meta.size),
        _ => None,
    };
    message.body.iter().filter_map(of).collect()
}

fn target_refs(command: &Command) -> Option<Vec<&str>> {
    match command {
        Command::Status(status) => Some(status.target_refs.iter().map(String::as_str).collect()),
        _ => None,
    }
}

fn cmd_id(command: &Command) -> u32 {
    match command {
        Command::Status(status) => status.cmd_id,
        Command::Results(results) => results.cmd_id,
        Command::Alert(alert) => alert.cmd_id,
        _ => 0,
    }
}

fn value(device: &postern_device::Device<crate::support::Scripted>, uri: &str) -> Option<String> {
    let (path, _) = postern_device::tree::path::Path::parse(uri).unwrap();
    device.state().tree.get(&path)?.text().map(ToOwned::to_owned)
}

fn pairs(codes: &[(&str, u32)]) -> Vec<(String, u32)> {
    codes.iter().map(|(name, code)| ((*name).to_owned(), *code)).collect()
}
