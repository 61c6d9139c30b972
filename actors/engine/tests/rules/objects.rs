//! Large objects both ways (OMA-TS-DM_Protocol 1.2.1, 7; AM-17, LD-19).

use crate::common::{Answer, Say, World, account, cmd_id};
use postern_engine::{
    effect::Effect,
    queue::BodyItem,
    session::{Session, SessionConfig},
    spool::Spool,
};
use postern_wire::{
    auth,
    syncml::{Command, Data, Item, Location, Meta, Results, Style, Version},
    terms::{AuthType, CommandId, CommandState, OperationKind, Verb},
};

fn open() -> World {
    World::new(AuthType::Basic)
}

fn first(max_msg: u64) -> Say {
    Say::package1(1).basic().max_msg(max_msg)
}

/// The one Add or Replace of a message.
fn chunk(answer: &Answer) -> (&'static str, u32, &Item) {
    match answer.commands()[..] {
        [command @ Command::Add(request)] => ("Add", cmd_id(command), &request.items[0]),
        [command @ Command::Replace(request)] => ("Replace", cmd_id(command), &request.items[0]),
        ref other => panic!("{other:?}"),
    }
}

fn octets(item: &Item) -> &[u8] {
    match item.data.as_ref().unwrap() {
        Data::Text(text) | Data::Markup(text) => text.as_bytes(),
        Data::Binary(octets) => octets,
    }
}

/// The answer to a chunk: 213 and 1222 without Final, as AM-17 has it.
fn buffered(msg_id: u32, answer: &Answer) -> Say {
    let (verb, cmd_ref, _) = chunk(answer);
    Say::new(msg_id).hello(msg_id - 1).status(msg_id - 1, cmd_ref, verb, 213).alert(1222).unfinished()
}

/// Takes an object to its end; what came, the Size of the first chunk, and how many chunks there were.
fn receive(world: &mut World, mut answer: Answer, max_msg: usize) -> (Vec<u8>, u64, u32) {
    let (mut value, mut msg_id, mut size) = (Vec::new(), 1, None);
    loop {
        assert!(answer.octets <= max_msg, "{}", answer.octets);
        assert!(answer.alerts().is_empty(), "the next chunk comes at once");
        let (verb, cmd_ref, item) = chunk(&answer);
        assert_eq!(item.meta.size.is_some(), msg_id == 1, "Size stands in the first chunk only");
        size = size.or(item.meta.size);
        value.extend_from_slice(octets(item));
        assert_eq!(answer.message.is_final, !item.more_data);
        msg_id += 1;
        let say = match item.more_data {
            true => buffered(msg_id, &answer),
            false => Say::new(msg_id).hello(msg_id - 1).status(msg_id - 1, cmd_ref, verb, 200),
        };
        let more = item.more_data;
        answer = world.post(&say.0);
        if !more {
            assert!(answer.close);
            return (value, size.unwrap(), msg_id - 1);
        }
    }
}

fn binary(world: &mut World, octets: Vec<u8>) -> CommandId {
    let item =
        BodyItem { format: Some("bin".into()), data: Some(Data::Binary(octets)), ..BodyItem::node("./Big") };
    world.queue(Verb::Replace, vec![item])
}

#[test]
fn srv_22_a_large_value_goes_out_in_chunks_that_fill_the_devices_message() {
    for (style, text) in [
        (Style::xml(Version::V1_2), "v".repeat(60_000)),
        (Style::wbxml(Version::V1_2), "v".repeat(60_000)),
        (Style::xml(Version::V1_2), "&<ä€>".repeat(6_000)),
    ] {
        let mut world = open();
        world.style = style;
        let id = world.add("./Big", &text);
        let answer = world.post(&first(4096).0);
        let (value, size, chunks) = receive(&mut world, answer, 4096);
        assert_eq!((value, size), (text.clone().into_bytes(), text.len() as u64));
        assert!(chunks >= 15 && (chunks as usize) < text.len() / 1000 + 40, "{chunks}");
        assert_eq!(world.end(id), (CommandState::Succeeded, "done"));
        assert_eq!(world.moves(id).len(), 2, "recorded as sent once");
    }
}

#[test]
fn srv_23_base64_is_cut_as_text_and_its_size_is_that_of_the_text() {
    let value: Vec<u8> = (0..50_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    let mut world = open();
    let id = binary(&mut world, value.clone());
    let answer = world.post(&first(4096).0);
    assert_eq!(chunk(&answer).2.meta.format.as_deref(), Some("b64"));
    let (text, size, _) = receive(&mut world, answer, 4096);
    assert_eq!(size, auth::encode_base64(&value).len() as u64);
    assert_eq!(auth::decode_base64(std::str::from_utf8(&text).unwrap()).unwrap(), value);
    assert_eq!(world.end(id).0, CommandState::Succeeded);
    // WBXML carries the octets as they are.
    let mut world = open();
    world.style = Style::wbxml(Version::V1_2);
    binary(&mut world, value.clone());
    let answer = world.post(&first(4096).0);
    assert_eq!(receive(&mut world, answer, 4096).1, value.len() as u64);
}

#[test]
fn srv_22_an_object_of_five_megabytes_reaches_a_device_that_takes_3000_octets() {
    let text = "0123456789abcdef".repeat(5 * 1024 * 1024 / 16);
    let mut world = open();
    world.recorder = None;
    let id = world.replace("./Big", &text);
    let answer = world.post(&first(3000).0);
    let (value, size, chunks) = receive(&mut world, answer, 3000);
    assert_eq!((value.len() as u64, size), (text.len() as u64, text.len() as u64));
    assert!(value == text.as_bytes());
    assert!(chunks > 1700, "{chunks}");
    assert_eq!(world.end(id), (CommandState::Succeeded, "done"));
}

#[test]
fn srv_21_an_object_above_the_devices_max_obj_size_is_not_begun() {
    let mut world = open();
    let id = world.replace("./Big", &"v".repeat(10_000));
    let answer = world.post(&first(3000).max_obj(9_999).0);
    assert!(answer.close && answer.commands().is_empty());
    assert_eq!(world.end(id), (CommandState::Failed, "too-large-for-device"));
}

/// What the device says to the chunk number `at`; then the causes that the command went through.
fn interrupted(at: u32, code: u32, alert: Option<u32>) -> (World, CommandId, Answer) {
    let mut world = open();
    let id = world.replace("./Big", &"v".repeat(5_000));
    let mut answer = world.post(&first(3000).0);
    for msg_id in 2..=at {
        answer = world.post(&buffered(msg_id, &answer).0);
    }
    let (verb, cmd_ref, item) = chunk(&answer);
    let is_final = !item.more_data;
    let say = Say::new(at + 1).hello(at).status(at, cmd_ref, verb, code);
    let say = alert.into_iter().fold(say, Say::alert);
    let answer = world.post(&if is_final { say } else { say.unfinished() }.0);
    (world, id, answer)
}

#[test]
fn srv_24_a_424_on_the_last_chunk_costs_one_start_from_the_beginning_and_then_the_command() {
    let chunks = 3;
    let (mut world, id, mut answer) = interrupted(chunks, 424, None);
    assert_eq!(chunk(&answer).2.meta.size, Some(5_000), "it begins anew");
    for msg_id in chunks + 2..chunks * 2 + 1 {
        answer = world.post(&buffered(msg_id, &answer).0);
    }
    let (verb, cmd_ref, item) = chunk(&answer);
    assert!(!item.more_data);
    let last = chunks * 2;
    let answer = world.post(&Say::new(last + 1).hello(last).status(last, cmd_ref, verb, 424).0);
    assert!(answer.close);
    assert_eq!(world.end(id), (CommandState::Failed, "size-mismatch"));
    assert_eq!(world.moves(id).len(), 2);
}

#[test]
fn srv_25_a_1225_begins_the_object_anew_once_and_the_session_lives() {
    let (mut world, id, answer) = interrupted(2, 213, Some(1225));
    assert_eq!(chunk(&answer).2.meta.size, Some(5_000));
    world.get("./A");
    let (verb, cmd_ref, _) = chunk(&answer);
    let say = Say::new(4).hello(3).status(3, cmd_ref, verb, 213).alert(1225).unfinished();
    let answer = world.post(&say.0);
    assert_eq!(world.end(id), (CommandState::Failed, "object-broken-off"));
    assert!(matches!(answer.commands()[..], [Command::Get(_)]), "the session goes on");
}

#[test]
fn srv_22_a_device_that_refuses_a_chunk_ends_the_command_and_not_the_session() {
    for (code, cause) in [
        (413, "too-large-for-device"),
        (420, "device-full"),
        (404, "not-found"),
        (200, "no-large-objects"), // LD-19
    ] {
        let (world, id, answer) = interrupted(1, code, None);
        assert_eq!(world.end(id), (CommandState::Failed, cause), "{code}");
        assert!(answer.close && answer.message.is_final);
    }
}

#[test]
fn sec_13_an_object_that_met_407_goes_again_from_its_first_chunk() {
    let mut account = account(AuthType::Basic);
    account.server = crate::common::server(postern_engine::account::ServerScheme::Md5);
    let mut world = World::with(account);
    let id = world.replace("./Big", &"v".repeat(5_000));
    let answer = world.post(&first(3000).0);
    let (verb, cmd_ref, _) = chunk(&answer);
    let chal = Meta {
        type_: Some(auth::TYPE_MD5.into()),
        next_nonce: Some(auth::encode_nonce(b"n")),
        ..Meta::default()
    };
    let say = Say::new(2).status_of(1, 0, "SyncHdr", 407, |status| status.chal = Some(chal));
    let answer = world.post(&say.status(1, cmd_ref, verb, 407).unfinished().0);
    assert_eq!(chunk(&answer).2.meta.size, Some(5_000));
    assert_eq!(world.end(id), (CommandState::Sent, "sent"));
}

#[test]
fn a_chunk_whose_answer_was_lost_is_given_again_octet_for_octet() {
    let mut world = open();
    world.replace("./Big", &"v".repeat(9_000));
    let answer = world.post(&first(3000).0);
    let say = buffered(2, &answer);
    let second = world.post(&say.0);
    let again = world.post(&say.0);
    assert_eq!(second.message, again.message);
    let third = world.post(&buffered(3, &again).0);
    assert_ne!(octets(chunk(&third).2).as_ptr(), octets(chunk(&again).2).as_ptr());
    assert_eq!(third.message.header.msg_id, 3);
}

#[test]
fn an_object_of_a_lost_session_begins_anew_in_the_next_and_is_not_taken_for_done() {
    for restart in [false, true] {
        let mut world = open();
        let id = world.replace("./Big", &"v".repeat(9_000));
        let answer = world.post(&first(3000).0);
        let second = buffered(2, &answer);
        world.post(&second.0);
        if restart {
            world.restart();
            let answer = world.post(&buffered(3, &answer).basic().0);
            assert!(answer.close, "the rest of it is gone, and no 1222 meets a 1222");
            assert!(answer.message.header.msg_id > 2);
        }
        let answer = world.post(&first(3000).session("2").0);
        assert_eq!(chunk(&answer).2.meta.size, Some(9_000));
        assert_eq!(world.end(id), (CommandState::Sent, "sent"));
    }
}

#[test]
fn a_wipe_does_not_wait_for_the_end_of_an_object() {
    let mut world = open();
    let id = world.replace("./Big", &"v".repeat(9_000));
    let answer = world.post(&first(3000).0);
    let wipe = world.queue_as(Verb::Exec, vec![BodyItem::node("./W")], |command| {
        command.kind = OperationKind::Wipe;
    });
    let answer = world.post(&buffered(2, &answer).0);
    assert!(matches!(answer.commands()[..], [Command::Exec(_)]));
    assert_eq!(world.end(wipe), (CommandState::Sent, "sent"));
    assert_eq!(world.end(id), (CommandState::Queued, "object-broken-off"));
}

/// Results in one chunk.
fn part(say: Say, uri: &str, data: &str, size: Option<u64>, more_data: bool) -> Say {
    let meta = Meta { format: Some("chr".into()), size, ..Meta::default() };
    let source = Some(Location::uri(uri));
    let item = Item { source, meta, data: Some(data.into()), more_data, ..Item::default() };
    let cmd_id = u32::try_from(say.0.body.len()).unwrap() + 1;
    let results = Results { cmd_id, msg_ref: Some(1), cmd_ref: 4, items: vec![item], ..Results::default() };
    say.with(Command::Results(results))
}

fn asked(world: &mut World) -> CommandId {
    let get = world.get("./Big");
    world.post(&first(3000).0);
    get
}

/// The first chunk: the Status of the Get, its Results, and no Final.
fn upload(size: u64, data: &str) -> Say {
    part(Say::new(2).hello(1).status(1, 4, "Get", 200), "./Big", data, Some(size), true).unfinished()
}

fn next(msg_id: u32, data: &str, more: bool) -> Say {
    let say = Say::new(msg_id).hello(msg_id - 1).status(msg_id - 1, 0, "Alert", 200);
    let say = part(say, "./Big", data, None, more);
    if more { say.unfinished() } else { say }
}

#[test]
fn srv_26_results_in_chunks_are_answered_213_and_put_together() {
    for style in [Style::xml(Version::V1_2), Style::wbxml(Version::V1_2)] {
        let mut world = open();
        world.style = style;
        let get = asked(&mut world);
        let answer = world.post(&upload(9, "abc").0);
        assert!(answer.codes().contains(&("Results", 3, 213)));
        assert_eq!((answer.alerts(), answer.message.is_final), (vec![1222], false));
        let answer = world.post(&next(3, "def", true).0);
        assert!(answer.codes().contains(&("Results", 3, 213)));
        let answer = world.post(&next(4, "ghi", false).0);
        assert!(!answer.codes().iter().any(|(cmd, ..)| *cmd == "Results"), "SRV-06");
        let Effect::CommandMoved { state, results, .. } = world.moved(get) else { panic!() };
        assert_eq!((state, results.len()), (CommandState::Succeeded, 1));
        assert_eq!(results[0].data.as_text(), Some("abcdefghi"));
    }
}

#[test]
fn srv_26_an_object_of_five_megabytes_comes_back_in_chunks_of_3000_octets() {
    let mut world = open();
    world.recorder = None;
    let get = asked(&mut world);
    let part = "0123456789".repeat(290);
    let count = 5 * 1024 * 1024 / 2900 + 1;
    world.post(&upload(2900 * count, &part).0);
    for at in 1..count {
        let msg_id = u32::try_from(at).unwrap() + 2;
        let answer = world.post(&next(msg_id, &part, at + 1 < count).0);
        assert_eq!(answer.close, at + 1 == count);
    }
    let Effect::CommandMoved { state, results, .. } = world.moved(get) else { panic!() };
    assert_eq!(state, CommandState::Succeeded);
    assert_eq!(results[0].data.as_text().map(str::len), Some(2900 * usize::try_from(count).unwrap()));
}

#[test]
fn srv_27_an_object_of_another_size_than_told_is_answered_424_and_dropped() {
    for (size, last) in [(100, "90 octets less"), (4, "too many")] {
        let mut world = open();
        let get = asked(&mut world);
        world.post(&upload(size, "abc").0);
        let answer = world.post(&next(3, last, false).0);
        assert!(answer.codes().contains(&("Results", 3, 424)));
        let Effect::CommandMoved { state, cause, results, .. } = world.moved(get) else { panic!() };
        assert_eq!((state, cause.as_str()), (CommandState::Failed, "size-mismatch"));
        assert!(results.is_empty());
    }
}

#[test]
fn srv_28_what_comes_between_the_chunks_is_answered_by_1225() {
    let mut world = open();
    let get = asked(&mut world);
    world.post(&upload(9, "abc").0);
    let answer = world.post(&Say::new(3).hello(2).dev_info().unfinished().0);
    assert!(answer.alerts().contains(&1225));
    let alert = answer.message.body.iter().find_map(|command| match command {
        Command::Alert(alert) if alert.code == 1225 => Some(alert),
        _ => None,
    });
    assert_eq!(alert.unwrap().items[0].source.as_ref().unwrap().uri, "./Big");
    // It may begin anew.
    let again = part(Say::new(4).hello(3), "./Big", "abc", Some(6), true).unfinished();
    assert!(world.post(&again.0).codes().contains(&("Results", 2, 213)));
    world.post(&next(5, "def", false).0);
    let Effect::CommandMoved { state, results, .. } = world.moved(get) else { panic!() };
    assert_eq!((state, results[0].data.as_text()), (CommandState::Succeeded, Some("abcdef")));
}

#[test]
fn srv_28_a_package_that_ends_before_its_object_fails_the_command() {
    let mut world = open();
    let get = asked(&mut world);
    world.post(&upload(9, "abc").0);
    let answer = world.post(&Say::new(3).hello(2).0);
    assert!(answer.alerts().contains(&1225));
    assert_eq!(world.end(get), (CommandState::Failed, "object-broken-off"));
}

#[test]
fn srv_29_an_object_above_our_max_obj_size_is_refused_and_never_held() {
    let config = SessionConfig { max_obj_size: 10, ..SessionConfig::default() };
    for (size, data) in [(Some(11), "abc"), (None, "abcdefghijk")] {
        let mut world = World::limited(account(AuthType::Basic), config.clone());
        let get = asked(&mut world);
        let say = Say::new(2).hello(1).status(1, 4, "Get", 200);
        let answer = world.post(&part(say, "./Big", data, size, true).unfinished().0);
        assert!(answer.codes().contains(&("Results", 3, 413)), "{:?}", answer.codes());
        assert_eq!(config.spool.used(), 0);
        let answer = world.post(&next(3, "more", true).0);
        assert!(answer.codes().contains(&("Results", 3, 413)));
        world.post(&Say::new(4).hello(3).0);
        assert_eq!(world.end(get), (CommandState::Failed, "object-too-large"));
    }
}

#[test]
fn srv_29_unfinished_objects_of_all_devices_together_are_bounded() {
    let spool = Spool::new(5);
    let config = SessionConfig { spool: spool.clone(), ..SessionConfig::default() };
    let mut one = World::limited(account(AuthType::Basic), config.clone());
    let mut two = World::limited(account(AuthType::Basic), config);
    asked(&mut one);
    let refused = asked(&mut two);
    assert!(one.post(&upload(9, "abc").0).codes().contains(&("Results", 3, 213)));
    assert!(two.post(&upload(9, "abc").0).codes().contains(&("Results", 3, 420)));
    two.post(&Say::new(3).hello(2).0);
    assert_eq!(two.end(refused), (CommandState::Failed, "spool-full"));
    assert_eq!(spool.used(), 3);
    one.session = Session::open(account(AuthType::Basic), SessionConfig::default());
    assert_eq!(spool.used(), 0, "a session that goes takes its object along");
}

#[test]
fn a_chunk_of_nothing_that_was_asked_for_is_refused() {
    let mut world = open();
    let say = part(first(3000), "./Other", "abc", Some(9), true).unfinished();
    assert!(world.post(&say.0).codes().contains(&("Results", 3, 413)));
}

#[test]
fn srv_15_an_object_may_end_and_the_package_go_on_with_other_results() {
    let mut world = open();
    let (big, small) = (world.get("./Big"), world.get("./A"));
    world.post(&first(3000).0);
    world.post(&upload(6, "abc").0);
    let answer = world.post(&next(3, "def", false).unfinished().0);
    assert_eq!(answer.alerts(), [1222]);
    assert_eq!(world.end(big), (CommandState::Succeeded, "done"));
    world.post(&Say::new(4).hello(3).status(1, 5, "Get", 200).results(1, 5, &[("./A", "x")]).0);
    assert_eq!(world.end(small), (CommandState::Succeeded, "done"));
}
