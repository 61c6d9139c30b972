//! Objects larger than a message, both ways, at the size that the issue names: 5 MB in messages of 3,000 octets.

use std::sync::{Arc, Mutex};

use postern_device::{Device, tree::path::Path, unit::Cause};
use postern_wire::{
    auth::TYPE_BASIC,
    syncml::{Command, Data, Encoding, Message, Results, Style, Version, encode},
    terms::AuthType,
};

use crate::support::{
    NOW, Reply, Rig, Scripted, Turn, add, alert, answer, challenge, chunk, get, nothing, run, send, statuses,
    turn,
};

const URI: &str = "./Settings/large";
const MESSAGE: usize = 3_000;
const OBJECT: usize = 5_000_000;

#[test]
fn cli_15_a_5_mb_object_comes_in_by_messages_of_3_000_octets() {
    for (encoding, octets) in [(Encoding::Xml, OBJECT), (Encoding::Wbxml, OBJECT / 10)] {
        let value = text(octets);
        let mut rig = large_rig(encoding);
        let (sent, expected) = (value.clone(), value.clone());
        let mut at = 0;
        let down: Turn = Box::new(move |to| {
            if at == sent.len() {
                return Reply::Message(Box::new(answer(to, 212, Vec::new(), true)));
            }
            let end = (at + 2_000).min(sent.len());
            let size = (at == 0).then_some(sent.len() as u64);
            let message =
                answer(to, 212, vec![chunk(URI, &sent[at..end], size, end < sent.len())], end == sent.len());
            at = end;
            assert!(
                encode(&message, &style(encoding)).unwrap().len() <= MESSAGE,
                "the test keeps to the size"
            );
            Reply::Message(Box::new(message))
        });
        let (outcome, device) = rig.session(vec![down]);
        let chunks = octets / 2_000;
        assert_eq!(outcome.unwrap().messages as usize, chunks + 1);
        let seen = rig.seen.messages();
        let codes: Vec<_> = seen[1..].iter().map(|message| statuses(message)[1].1).collect();
        assert_eq!((codes[..chunks - 1].iter().all(|code| *code == 213), codes[chunks - 1]), (true, 200));
        assert_eq!(value_of(&device).as_deref(), Some(expected.as_str()));
    }
}

#[test]
fn cli_18_a_5_mb_object_goes_out_by_messages_of_3_000_octets_and_survives_lost_answers() {
    for (encoding, octets) in [(Encoding::Xml, OBJECT), (Encoding::Wbxml, OBJECT / 10)] {
        let value = text(octets);
        let mut rig = large_rig(encoding);
        let gathered = Arc::new(Mutex::new((String::new(), None)));
        let store = Arc::clone(&gathered);
        let (mut asked, mut count) = (false, 0);
        let up: Turn = Box::new(move |to| {
            count += 1;
            // every hundredth answer is lost: the device sends the same octets again
            if count % 100 == 0 {
                return Reply::Broken;
            }
            for results in chunks(to) {
                let item = &results.items[0];
                let mut store = store.lock().unwrap();
                store.0.push_str(item.data.as_ref().and_then(Data::as_text).unwrap_or_default());
                store.1 = store.1.or(item.meta.size);
            }
            let commands = if asked { Vec::new() } else { vec![get(URI)] };
            let more = if to.is_final { commands } else { vec![alert(1222)] };
            asked = true;
            Reply::Message(Box::new(bounded(answer(to, 212, more, to.is_final))))
        });
        let mut device = rig.device(vec![send(vec![add(URI, &value)]), nothing(), up]);
        let mut random = |octets: &mut [u8]| octets.fill(7);
        run(device.check_in_because(Cause::Client, NOW, &mut random)).unwrap();
        run(device.check_in_because(Cause::Client, NOW, &mut random)).unwrap();
        let (requests, seen) = (rig.seen.requests(), rig.seen.messages());
        let full = requests[3..].iter().filter(|request| request.body.len() > MESSAGE - 12).count();
        assert!(requests[3..].iter().all(|request| request.body.len() <= MESSAGE));
        assert!(full + 50 > seen.len(), "messages are filled: {full} of {}", seen.len());
        let gathered = gathered.lock().unwrap();
        assert_eq!(gathered.1, Some(octets as u64));
        assert!(gathered.0 == value, "{} octets", gathered.0.len());
        assert!(
            seen[3..]
                .iter()
                .all(|message| message.is_final == (chunk_is_last(message) || chunks(message).is_empty()))
        );
    }
}

#[test]
fn cli_17_the_old_value_stands_after_424_and_after_1225() {
    let replace = |data: &str, size, more| match chunk(URI, data, size, more) {
        Command::Add(request) => Command::Replace(request),
        other => other,
    };
    for (last, code) in [(replace("de", None, false), 424), (get("./DevInfo/Man"), 200)] {
        let mut rig = Rig::new(AuthType::Basic);
        let first = replace("abc", Some(9), true);
        let (outcome, device) = rig.session(vec![
            send(vec![add(URI, "old")]),
            turn(move |to| answer(to, 212, vec![first.clone()], false)),
            send(vec![last]),
            nothing(),
        ]);
        outcome.unwrap();
        assert_eq!(statuses(&rig.seen.messages()[3])[1].1, code);
        assert_eq!(value_of(&device).as_deref(), Some("old"));
    }
}

#[test]
fn cli_16_an_object_that_its_package_leaves_unfinished_is_told_with_1225() {
    let mut rig = Rig::new(AuthType::Basic);
    let (outcome, device) = rig.session(vec![
        turn(|to| answer(to, 212, vec![chunk(URI, "abc", Some(9), true)], false)),
        nothing(),
        nothing(),
    ]);
    outcome.unwrap();
    let told = rig.seen.messages().iter().any(|message| {
        message.body.iter().any(|command| matches!(command, Command::Alert(alert) if alert.code == 1225))
    });
    assert!(told && value_of(&device).is_none());
}

#[test]
fn an_alert_1222_between_chunks_breaks_nothing() {
    let mut rig = Rig::new(AuthType::Basic);
    let (outcome, device) = rig.session(vec![
        turn(|to| answer(to, 212, vec![chunk(URI, "abc", Some(6), true)], false)),
        turn(|to| answer(to, 212, vec![alert(1222), chunk(URI, "def", None, false)], true)),
        nothing(),
    ]);
    outcome.unwrap();
    assert_eq!(value_of(&device).as_deref(), Some("abcdef"));
}

#[test]
fn what_is_larger_than_maxobjsize_or_the_tree_is_refused_at_its_first_chunk() {
    for (max_object, size, code) in [(100, 101, 413), (u64::MAX, 9 << 20, 420), (100, 100, 213)] {
        let mut rig = Rig::new(AuthType::Basic).unit(|unit| unit.max_object = max_object);
        let part = turn(move |to| answer(to, 212, vec![chunk(URI, "abc", Some(size), true)], false));
        rig.session(vec![part, nothing()]).0.unwrap();
        assert_eq!(statuses(&rig.seen.messages()[1])[1].1, code, "{size}");
    }
    let mut rig = Rig::new(AuthType::Basic).unit(|unit| unit.max_object = 100);
    rig.session(vec![
        send(vec![add(URI, &"x".repeat(101)), add("./Settings/b", &"x".repeat(100))]),
        nothing(),
    ])
    .0
    .unwrap();
    let codes: Vec<_> = statuses(&rig.seen.messages()[1]).into_iter().map(|(_, code)| code).collect();
    assert_eq!(codes, [212, 413, 200], "whole in one message too");
}

#[test]
fn a_result_larger_than_the_servers_maxobjsize_is_413_and_not_sent() {
    let mut rig = Rig::new(AuthType::Basic);
    let (outcome, _) = rig.session(vec![
        send(vec![add(URI, &text(1_001))]),
        turn(|to| {
            let mut message = answer(to, 212, vec![get(URI), get("./DevInfo/Man")], true);
            message.header.meta.max_obj_size = Some(1_000);
            message
        }),
        nothing(),
    ]);
    outcome.unwrap();
    let third = &rig.seen.messages()[2];
    assert_eq!(statuses(third)[1..], [("Get".to_owned(), 413), ("Get".to_owned(), 200)]);
    assert_eq!(crate::support::results(third), ["Postern"]);
}

#[test]
fn a_server_that_asks_for_the_object_anew_gets_it_once_more() {
    let value = text(10_000);
    let mut rig = large_rig(Encoding::Xml);
    let mut messages = 0;
    let (outcome, _) = rig.session(vec![
        send(vec![add(URI, &value)]),
        turn(|to| bounded(answer(to, 212, vec![get(URI)], true))),
        turn(move |to| {
            messages += 1;
            let more = match messages {
                2 => vec![alert(1225)],
                _ if to.is_final => Vec::new(),
                _ => vec![alert(1222)],
            };
            bounded(answer(to, 212, more, to.is_final))
        }),
    ]);
    outcome.unwrap();
    let seen = rig.seen.messages();
    let sizes: Vec<_> = seen.iter().flat_map(chunks).map(|results| results.items[0].meta.size).collect();
    assert_eq!(sizes.iter().flatten().count(), 2, "begun twice: {sizes:?}");
    let texts: Vec<_> = seen.iter().flat_map(crate::support::results).collect();
    assert!(texts.concat().ends_with(&value));
}

#[test]
fn an_object_that_the_server_refuses_is_not_continued() {
    let mut rig = large_rig(Encoding::Xml);
    let (outcome, _) = rig.session(vec![
        send(vec![add(URI, &text(10_000))]),
        turn(|to| bounded(answer(to, 212, vec![get(URI), get("./DevInfo/Man")], true))),
        turn(|to| {
            let mut message = answer(to, 212, Vec::new(), to.is_final);
            for command in &mut message.body {
                if let Command::Status(status) = command
                    && status.cmd == "Results"
                {
                    status.code = 413;
                }
            }
            bounded(message)
        }),
    ]);
    outcome.unwrap();
    let seen = rig.seen.messages();
    assert_eq!(
        seen.iter().map(|message| chunks(message).len()).sum::<usize>(),
        2,
        "a chunk, then DevInfo/Man"
    );
    assert!(seen.last().unwrap().is_final);
}

#[test]
fn a_challenge_between_chunks_repeats_the_chunk_and_no_more() {
    let value = text(10_000);
    let mut rig = large_rig(Encoding::Xml);
    let (outcome, _) = rig.session(vec![
        send(vec![add(URI, &value)]),
        turn(|to| bounded(answer(to, 212, vec![get(URI)], true))),
        turn(|to| bounded(answer(to, 212, vec![alert(1222)], false))),
        turn(|to| bounded(challenge(to, 407, TYPE_BASIC, None))),
        turn(|to| {
            let more = if to.is_final { Vec::new() } else { vec![alert(1222)] };
            bounded(answer(to, 212, more, to.is_final))
        }),
    ]);
    outcome.unwrap();
    let seen = rig.seen.messages();
    let mut texts: Vec<_> = seen.iter().flat_map(crate::support::results).collect();
    let refused = texts.remove(1);
    assert!(refused.starts_with(&texts[1]), "Cred takes some of the room");
    assert_eq!(texts.concat(), value);
}

#[test]
fn binary_goes_as_base64_in_xml_and_as_octets_in_wbxml() {
    for encoding in [Encoding::Xml, Encoding::Wbxml] {
        let octets: Vec<u8> = (0..20_000u32).map(|n| u8::try_from(n * 7 % 256).unwrap()).collect();
        let mut rig = large_rig(encoding);
        let base64 = postern_wire::auth::encode_base64(&octets);
        let Command::Add(mut request) = add(URI, &base64) else { unreachable!() };
        request.items[0].meta.format = Some("b64".into());
        let (outcome, device) = rig.session(vec![
            send(vec![Command::Add(request)]),
            turn(|to| bounded(answer(to, 212, vec![get(URI), get(&format!("{URI}?prop=Format"))], true))),
            turn(|to| {
                let more = if to.is_final { Vec::new() } else { vec![alert(1222)] };
                bounded(answer(to, 212, more, to.is_final))
            }),
        ]);
        outcome.unwrap();
        assert_eq!(device.state().tree.get(&Path::parse(URI).unwrap().0).unwrap().value, octets);
        let results: Vec<Results> = rig.seen.messages().iter().flat_map(chunks).collect();
        let (of_value, of_property) = results.split_at(results.len() - 1);
        assert_eq!(of_property[0].items[0].data, Some("bin".into()));
        let (format, size) = match encoding {
            Encoding::Xml => ("b64", base64.len()),
            Encoding::Wbxml => ("bin", octets.len()),
        };
        let first = &of_value[0].items[0].meta;
        assert_eq!((first.format.as_deref(), first.size), (Some(format), Some(size as u64)));
        let mut carried = Vec::new();
        for results in of_value {
            match results.items[0].data.as_ref().unwrap() {
                Data::Text(text) | Data::Markup(text) => carried.extend_from_slice(text.as_bytes()),
                Data::Binary(octets) => carried.extend_from_slice(octets),
            }
        }
        let expected = if encoding == Encoding::Xml { base64.into_bytes() } else { octets };
        assert!(carried == expected);
    }
}

fn large_rig(encoding: Encoding) -> Rig {
    Rig::new(AuthType::Basic).unit(|unit| {
        unit.encoding = encoding;
        unit.max_object = 6 << 20;
        unit.max_message = 6 << 20;
    })
}

fn style(encoding: Encoding) -> Style {
    match encoding {
        Encoding::Xml => Style::xml(Version::V1_2),
        Encoding::Wbxml => Style::wbxml(Version::V1_2),
    }
}

fn text(length: usize) -> String {
    (0..length).map(|n| char::from(b'a' + u8::try_from(n * 31 % 26).unwrap())).collect()
}

fn bounded(mut message: Message) -> Message {
    message.header.meta.max_msg_size = Some(MESSAGE as u64);
    message
}

fn chunks(message: &Message) -> Vec<Results> {
    let of = |command: &Command| match command {
        Command::Results(results) => Some(results.clone()),
        _ => None,
    };
    message.body.iter().filter_map(of).collect()
}

fn chunk_is_last(message: &Message) -> bool {
    chunks(message).iter().any(|results| !results.items[0].more_data)
}

fn value_of(device: &Device<Scripted>) -> Option<String> {
    device.state().tree.get(&Path::parse(URI).unwrap().0)?.text().map(ToOwned::to_owned)
}
