//! Arbitrary messages, faults and restarts: no panic, no oversize, nothing executed twice, nothing lost.

use std::collections::BTreeMap;

use crate::common::{Say, World, account, device::Device, leaf};
use postern_engine::{
    effect::{Effect, Reply},
    queue::{Body, BodyItem},
    session::SessionConfig,
};
use postern_wire::{
    syncml::{self, Command, Group, Item, Location, Message, Meta, Request, Results, Style, Version},
    terms::{AuthType, CommandId, CommandState, Verb},
};
use proptest::prelude::*;

/// One thing that a peer may say in a message.
#[derive(Clone, Debug)]
enum Word {
    Alert(u32),
    Generic(Option<u8>, u8),
    DevInfo,
    Status(u32, u32, u8, u32),
    Results(u32, u32, u8),
    Chunk(u32, u32, u8, Option<u64>, bool),
    Request(u8),
    Group(u8, u8),
}

fn word() -> impl Strategy<Value = Word> {
    prop_oneof![
        prop::sample::select(vec![0, 1100, 1200, 1201, 1222, 1223, 1224, 1225, 1225, 1226, 9999])
            .prop_map(Word::Alert),
        (any::<Option<u8>>(), any::<u8>()).prop_map(|(t, d)| Word::Generic(t, d)),
        Just(Word::DevInfo),
        (
            0..4u32,
            0..12u32,
            any::<u8>(),
            prop::sample::select(vec![0, 200, 202, 212, 213, 216, 401, 404, 407, 418, 424, 500, 507])
        )
            .prop_map(|(m, c, v, s)| Word::Status(m, c, v, s)),
        (0..4u32, 0..12u32, any::<u8>()).prop_map(|(m, c, v)| Word::Results(m, c, v)),
        (0..4u32, 4..9u32, any::<u8>(), prop::option::of(0..20u64), any::<bool>())
            .prop_map(|(m, c, v, s, more)| Word::Chunk(m, c, v, s, more)),
        any::<u8>().prop_map(Word::Request),
        (any::<u8>(), any::<u8>()).prop_map(|(a, b)| Word::Group(a, b)),
    ]
}

#[derive(Clone, Debug)]
struct Sent {
    session: u8,
    msg_id: u32,
    proved: bool,
    finished: bool,
    max_msg: Option<u64>,
    max_obj: Option<u64>,
    words: Vec<Word>,
    wait: i64,
    repeat: bool,
    restart: bool,
}

fn sent() -> impl Strategy<Value = Sent> {
    let sizes = prop::option::of(prop::sample::select(vec![0u64, 1, 400, 700, 1000, 2000, 20_000]));
    (
        (0..2u8, 1..6u32, prop::bool::weighted(0.8), prop::bool::weighted(0.8)),
        (sizes, prop::option::of(0..300u64)),
        prop::collection::vec(word(), 0..8),
        prop::sample::select(vec![0i64, 1000, 61_000, 500_000]),
        (prop::bool::weighted(0.1), prop::bool::weighted(0.05)),
    )
        .prop_map(
            |((session, msg_id, proved, finished), (max_msg, max_obj), words, wait, (repeat, restart))| {
                Sent { session, msg_id, proved, finished, max_msg, max_obj, words, wait, repeat, restart }
            },
        )
}

fn verb(octet: u8) -> &'static str {
    ["Get", "Add", "Replace", "Delete", "Exec", "Copy", "Atomic", "Alert", "Status", "SyncHdr", ""]
        [usize::from(octet) % 11]
}

fn request(octet: u8) -> Command {
    let item = Item { target: Some(Location::uri("./X")), data: Some("x".into()), ..Item::default() };
    let request = Request { cmd_id: u32::from(octet), items: vec![item], ..Request::default() };
    match octet % 6 {
        0 => Command::Add(request),
        1 => Command::Get(request),
        2 => Command::Delete(request),
        3 => Command::Copy(request),
        4 => Command::Exec(request),
        _ => Command::Replace(request),
    }
}

fn message(sent: &Sent) -> Message {
    let mut say = Say::new(sent.msg_id).session(&sent.session.to_string());
    if sent.proved {
        say = say.basic();
    }
    for word in &sent.words {
        say = match *word {
            Word::Alert(code) => say.alert(code),
            Word::Generic(type_, data) => {
                let type_ = type_.map(|n| if n % 2 == 0 { "urn:oma:at:x" } else { "com.x" });
                say.generic("./E0", type_, &data.to_string(), None)
            }
            Word::DevInfo => say.dev_info(),
            Word::Status(msg, cmd, v, code) => say.status(msg, cmd, verb(v), code),
            Word::Chunk(msg, cmd, n, size, more) => {
                let item = Item {
                    source: Some(Location::uri(format!("./G{}", n % 2))),
                    meta: Meta { size, ..Meta::default() },
                    data: Some("chunk".into()),
                    more_data: more,
                    ..Item::default()
                };
                let (cmd_id, msg_ref) = (9, Some(msg));
                let items = vec![item];
                say.with(Command::Results(Results {
                    cmd_id,
                    msg_ref,
                    cmd_ref: cmd,
                    items,
                    ..Results::default()
                }))
            }
            Word::Results(msg, cmd, n) => say.results(msg, cmd, &[(&format!("./G{}", n % 4), "v")]),
            Word::Request(n) => say.with(request(n)),
            Word::Group(a, b) => {
                let group = Group { cmd_id: u32::from(a), commands: vec![request(b)], ..Group::default() };
                say.with(if a % 2 == 0 { Command::Atomic(group) } else { Command::Sequence(group) })
            }
        };
    }
    let mut message = say.0;
    message.header.meta.max_msg_size = sent.max_msg;
    message.header.meta.max_obj_size = sent.max_obj;
    message.is_final = sent.finished;
    message
}

fn filled(world: &mut World) -> Vec<CommandId> {
    let structured = [
        Body::Atomic(vec![Body::plain(Verb::Add, vec![leaf("./S", "s")]), ask()]),
        Body::Sequence(vec![
            Body::plain(Verb::Get, vec![BodyItem::node("./G0")]),
            Body::Atomic(vec![Body::plain(Verb::Delete, vec![BodyItem::node("./D9")])]),
            Body::plain(Verb::Exec, vec![BodyItem::node("./E9")]),
        ]),
        ask(),
    ];
    let mut ids: Vec<_> = structured
        .into_iter()
        .map(|body| {
            world.queue_as(Verb::Get, Vec::new(), |command| {
                command.redelivery = postern_engine::command::redelivery(&body);
                command.body = body;
            })
        })
        .collect();
    ids.push(world.replace("./Large", &"l".repeat(5000)));
    ids.extend(unstructured(world));
    ids
}

fn ask() -> Body {
    Body::UserAlert { code: 1102, options: String::new(), text: "?".into(), choices: Vec::new() }
}

fn unstructured(world: &mut World) -> Vec<CommandId> {
    (0..3)
        .flat_map(|n| {
            [
                world.get(&format!("./G{n}")),
                world.add(&format!("./A{n}"), &"a".repeat(50 * n)),
                world.replace(&format!("./R{n}"), &"r".repeat(400 * n)),
                world.exec(&format!("./E{n}")),
                world.queue(Verb::Delete, vec![BodyItem::node(format!("./D{n}")), BodyItem::node("./D")]),
            ]
        })
        .collect()
}

/// How often each command was sent and ended, by the effects alone.
fn tally(world: &World) -> BTreeMap<CommandId, (u32, u32)> {
    let mut tally: BTreeMap<CommandId, (u32, u32)> = BTreeMap::new();
    for effect in &world.effects {
        match effect {
            Effect::CommandSent { command, .. } => tally.entry(*command).or_default().0 += 1,
            Effect::CommandMoved { command, state, .. }
                if !matches!(state, CommandState::Queued | CommandState::Sent) =>
            {
                tally.entry(*command).or_default().1 += 1;
            }
            _ => {}
        }
    }
    tally
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_a_peer_says_no_message_is_too_large_and_every_command_is_in_one_place(
        talk in prop::collection::vec(sent(), 1..12),
        wbxml in any::<bool>(),
    ) {
        let mut world = World::new(AuthType::Basic);
        world.style = if wbxml { Style::wbxml(Version::V1_2) } else { Style::xml(Version::V1_2) };
        let ids = filled(&mut world);
        let mut announced: BTreeMap<u8, u64> = BTreeMap::new();
        for sent in &talk {
            world.after(sent.wait);
            if sent.restart {
                world.restart();
                announced.clear();
            }
            let message = message(sent);
            for _ in 0..=u8::from(sent.repeat) {
                let reply = world.post_any(&message);
                if let Reply::Message { body, .. } = reply {
                    let decoded = syncml::decode(&body, world.style.encoding, &Default::default()).unwrap().message;
                    prop_assert!(matches!(&decoded.body[0], Command::Status(s) if s.cmd == "SyncHdr"));
                    let mut numbers: Vec<_> = decoded.body.iter().map(crate::common::cmd_id).collect();
                    numbers.dedup();
                    prop_assert_eq!(numbers.len(), decoded.body.len());
                    if let Some(limit) = sent.max_msg.filter(|&octets| octets > 0) {
                        announced.insert(sent.session, limit);
                        prop_assert!(body.len() as u64 <= limit, "{} > {}", body.len(), limit);
                    }
                }
            }
        }
        let tally = tally(&world);
        for id in ids {
            let (_, ends) = tally.get(&id).copied().unwrap_or_default();
            prop_assert_eq!(u32::from(world.queue.get(id).is_some()) + ends, 1, "{:?}", world.moves(id));
        }
    }

    #[test]
    fn an_unproved_peer_changes_nothing(talk in prop::collection::vec(sent(), 1..12)) {
        let mut world = World::new(AuthType::Md5);
        let ids = filled(&mut world);
        for sent in &talk {
            world.after(sent.wait);
            world.post_any(&message(sent));
        }
        let untouched = world.effects.iter().all(|effect| matches!(effect, Effect::Refused { .. }));
        prop_assert!(untouched);
        prop_assert!(ids.iter().all(|id| world.queue.get(*id).is_some_and(|c| c.state == CommandState::Queued)));
        prop_assert_eq!(world.session.nonce_counter(), 0);
    }

    #[test]
    fn octets_of_any_kind_are_answered_or_refused(body in prop::collection::vec(any::<u8>(), 0..200), wbxml in any::<bool>()) {
        let mut world = World::new(AuthType::Basic);
        let media = if wbxml { "application/vnd.syncml.dm+wbxml" } else { "application/vnd.syncml.dm+xml" };
        world.post_octets(media, &body);
    }

    /// A working device, a line that loses requests and replies, and a core that dies: what happens on the device?
    #[test]
    fn nothing_that_may_happen_once_happens_twice_and_everything_ends(
        faults in prop::collection::vec(0..6u8, 0..40),
    ) {
        let mut world = World::limited(account(AuthType::Basic), SessionConfig { sends: 100, ..SessionConfig::default() });
        let mut device = Device::default();
        let mut ids = Vec::new();
        for n in 0..3 {
            device.tree.insert(format!("./R{n}"), "old".into());
            device.tree.insert(format!("./D{n}"), "old".into());
            ids.push(world.add(&format!("./A{n}"), "v"));
            ids.push(world.exec(&format!("./E{n}")));
            ids.push(world.replace(&format!("./R{n}"), "new"));
            ids.push(world.queue(Verb::Delete, vec![BodyItem::node(format!("./D{n}"))]));
            ids.push(world.queue(Verb::Copy, vec![BodyItem { source: Some(format!("./R{n}")), ..leaf(&format!("./C{n}"), "") }]));
        }
        let mut faults = faults.into_iter();
        for session in 0..60 {
            if world.queue.is_empty() {
                break;
            }
            let name = format!("s{session}");
            let mut say = Say::package1(1).basic().session(&name);
            let mut msg_id = 1;
            loop {
                world.after(100);
                let reply = match faults.next() {
                    Some(0) => break, // the request is lost
                    Some(1) => {
                        world.post_any(&say.0); // the reply is lost, the device asks again
                        world.post_any(&say.0)
                    }
                    Some(2) => {
                        world.post_any(&say.0); // the reply is lost, the device gives up
                        break;
                    }
                    Some(3) => {
                        world.post_any(&say.0); // the core dies after its commit, the device asks again
                        world.restart();
                        world.post_any(&say.0)
                    }
                    Some(4) => {
                        world.restart();
                        world.post_any(&say.0)
                    }
                    _ => world.post_any(&say.0),
                };
                let Reply::Message { body, close, .. } = reply else { break };
                let message = syncml::decode(&body, world.style.encoding, &Default::default()).unwrap().message;
                let answer = crate::common::Answer { octets: body.len(), close, message };
                if close {
                    break;
                }
                let said = device.execute(&answer);
                msg_id += 1;
                let start = Say::new(msg_id).basic().session(&name).hello(answer.message.header.msg_id);
                say = said.iter().fold(start, Say::said);
            }
        }
        prop_assert!(world.queue.is_empty(), "{:?}", world.queue);
        for n in 0..3 {
            for once in [format!("Exec ./E{n}"), format!("Add ./A{n}")] {
                prop_assert!(device.executed.get(&once).copied().unwrap_or(0) <= 1, "{once}");
            }
            prop_assert_eq!(device.tree[&format!("./R{n}")].as_str(), "new");
            let (gone, there) = (format!("./D{n}"), format!("./A{n}"));
            prop_assert!(!device.tree.contains_key(&gone) && device.tree.contains_key(&there));
        }
        for id in ids {
            let ends = tally(&world).get(&id).map_or(0, |(_, ends)| *ends);
            prop_assert_eq!(ends, 1);
        }
    }
}
