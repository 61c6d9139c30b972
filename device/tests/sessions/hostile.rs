//! Whatever a server sends, the session ends: with a report or a typed error, within its bounds, without a panic.

use postern_wire::{
    syncml::{Command, Encoding, Group, Message, Results, Style, Version, encode},
    terms::AuthType,
};
use proptest::{prelude::*, proptest};

use crate::support::{Reply, Rig, Turn, add, alert, answer, challenge, chunk, exec, get, status, with_cred};

const MESSAGES: u32 = 12;

/// One server message in the making.
#[derive(Clone, Debug)]
struct Plan {
    code: u32,
    commands: Vec<u8>,
    is_final: bool,
    challenged: bool,
    cred: bool,
    max_message: Option<u64>,
    max_object: Option<u64>,
}

fn a_plan() -> impl Strategy<Value = Plan> {
    let code = prop_oneof![8 => Just(212u32), 2 => Just(200), 1 => Just(401), 1 => Just(407), 1 => 0..600u32];
    let size = prop_oneof![3 => Just(None), 1 => (0..3_000u64).prop_map(Some)];
    (code, proptest::collection::vec(any::<u8>(), 0..6), any::<[bool; 3]>(), size.clone(), size).prop_map(
        |(code, commands, [is_final, challenged, cred], max_message, max_object)| Plan {
            code,
            commands,
            is_final,
            challenged: challenged && code >= 400,
            cred,
            max_message,
            max_object,
        },
    )
}

fn a_command(number: u8, to: &Message) -> Command {
    let uri = ["./Settings/a", "./Settings", ".", "./DevInfo/Man", "./DevInfo?list=StructData"]
        [usize::from(number) % 5];
    match number / 5 % 11 {
        0 => get(uri),
        1 => add(uri, "text"),
        2 => exec(uri, "x"),
        3 => alert(u32::from(number) + 1100),
        4 => chunk(uri, "abc", Some(6), true),
        5 => chunk(uri, "abc", None, number.is_multiple_of(2)),
        6 => {
            Command::Atomic(Group { cmd_id: 9, commands: vec![add(uri, "1"), get(uri)], ..Group::default() })
        }
        7 => {
            Command::Sequence(Group { cmd_id: 9, commands: vec![get(uri), alert(1222)], ..Group::default() })
        }
        8 => Command::Results(Results::default()),
        9 => status(to, u32::from(number), "Results", 500),
        _ => Command::Unknown { name: "Map".into(), cmd_id: None },
    }
}

fn carry_out(plan: &Plan, to: &Message) -> Message {
    let commands = plan.commands.iter().map(|number| a_command(*number, to)).collect();
    let mut message = if plan.challenged {
        challenge(to, plan.code, "syncml:auth-md5", Some("AAECAwQFBgcICQoLDA0ODw=="))
    } else {
        answer(to, plan.code, commands, plan.is_final)
    };
    message.header.meta.max_msg_size = plan.max_message.map(|size| size + 600);
    message.header.meta.max_obj_size = plan.max_object;
    if plan.cred { with_cred(message, "syncml:auth-md5", "eA==") } else { message }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_course_of_a_session_ends_within_its_bounds(
        plans in proptest::collection::vec(a_plan(), 1..8),
        auth in prop_oneof![Just(AuthType::Basic), Just(AuthType::Md5)],
        server_password in any::<bool>(),
    ) {
        let mut rig = Rig::new(auth).unit(|unit| unit.max_messages = MESSAGES);
        if server_password {
            rig = rig.server_password();
        }
        let script: Vec<Turn> = plans
            .iter()
            .cloned()
            .map(|plan| -> Turn { Box::new(move |to| Reply::Message(Box::new(carry_out(&plan, to)))) })
            .collect();
        let _ended = rig.session(script).0;
        let (seen, requests) = (rig.seen.messages(), rig.seen.requests());
        prop_assert!(seen.len() <= MESSAGES as usize);
        for (number, message) in (1..).zip(&seen) {
            prop_assert_eq!(message.header.msg_id, number);
        }
        // the limit that holds for a message is the one last said before it
        let mut limit = 65_536;
        for (at, request) in requests.iter().enumerate() {
            prop_assert!(request.body.len() <= limit, "message {} of {} octets, limit {limit}", at + 1, request.body.len());
            let plan = &plans[at.min(plans.len() - 1)];
            limit = plan.max_message.map_or(limit, |size| usize::try_from(size).unwrap() + 600);
        }
    }

    #[test]
    fn a_damaged_message_is_refused_or_read(
        at in any::<proptest::sample::Index>(), octet in any::<u8>(), wbxml in any::<bool>(), cut in any::<bool>(),
    ) {
        let encoding = if wbxml { Encoding::Wbxml } else { Encoding::Xml };
        let mut rig = Rig::new(AuthType::Basic).unit(|unit| {
            unit.encoding = encoding;
            unit.max_messages = 3;
        });
        let damaged: Turn = Box::new(move |to| {
            let style = if wbxml { Style::wbxml(Version::V1_2) } else { Style::xml(Version::V1_2) };
            let message = answer(to, 212, vec![get("./DevInfo/Man"), add("./Settings/a", "1")], true);
            let mut octets = encode(&message, &style).unwrap();
            let at = at.index(octets.len());
            octets[at] = octet;
            if cut {
                octets.truncate(at);
            }
            Reply::Octets(octets)
        });
        let _ended = rig.session(vec![damaged]).0;
        prop_assert!(rig.seen.messages().len() <= 3);
    }
}
