//! Atomic, Sequence and questions to the person at the device (OMA-TS-DM_RepPro 1.2.1, 6.6.3, 6.6.14; OMA-TS-DM_Protocol 1.2.1, 10).

use crate::common::{Answer, Say, World, leaf};
use postern_engine::{
    effect::Effect,
    queue::{Body, BodyItem},
};
use postern_wire::{
    syncml::{Command, Data, Item, Style, Version},
    terms::{AuthType, CommandId, CommandState, Redelivery, Verb},
};

fn open() -> World {
    World::new(AuthType::Basic)
}

fn queue(world: &mut World, body: Body) -> CommandId {
    world.queue_as(Verb::Get, vec![BodyItem::node("./x")], |command| {
        command.redelivery = postern_engine::command::redelivery(&body);
        command.body = body;
    })
}

fn node(verb: Verb, uri: &str) -> Body {
    match verb {
        Verb::Add | Verb::Replace => Body::plain(verb, vec![leaf(uri, "v")]),
        _ => Body::plain(verb, vec![BodyItem::node(uri)]),
    }
}

fn atomic() -> Body {
    Body::Atomic(vec![node(Verb::Add, "./A"), node(Verb::Delete, "./B"), node(Verb::Replace, "./C")])
}

fn ask(code: u32, choices: &[&str]) -> Body {
    let choices = choices.iter().map(ToString::to_string).collect();
    Body::UserAlert { code, options: "MINDT=10&DR=1".into(), text: "Now?".into(), choices }
}

/// Package 1, and the answer with the command in it.
fn begin(world: &mut World) -> Answer {
    world.post(&Say::package1(1).basic().0)
}

/// Package 3 with a Status for each of these names, from CmdID 4 on.
fn say(codes: &[(&str, u32)]) -> Say {
    (4..)
        .zip(codes)
        .fold(Say::new(2).hello(1), |say, (cmd_ref, (cmd, code))| say.status(1, cmd_ref, cmd, *code))
}

#[test]
fn srv_10_containers_and_alerts_go_out_whole_with_ids_of_their_own() {
    for style in [Style::xml(Version::V1_2), Style::wbxml(Version::V1_2)] {
        let mut world = open();
        world.style = style;
        let exec = Body::Plain {
            verb: Verb::Exec,
            items: vec![BodyItem::node("./E")],
            correlator: Some("c".into()),
        };
        queue(&mut world, Body::Sequence(vec![ask(1103, &["one", "two"]), atomic(), exec]));
        world.get("./G");
        let answer = begin(&mut world);
        let [Command::Sequence(sequence), Command::Get(get)] = answer.commands()[..] else {
            panic!("{:?}", answer.commands())
        };
        let [Command::Alert(alert), Command::Atomic(inner), Command::Exec(exec)] = &sequence.commands[..]
        else {
            panic!("{sequence:?}")
        };
        let inside: Vec<_> = inner.commands.iter().map(crate::common::cmd_id).collect();
        let ids = [sequence.cmd_id, alert.cmd_id, inner.cmd_id, inside[0], inside[1], inside[2], exec.cmd_id];
        assert_eq!(ids, [4, 5, 6, 7, 8, 9, 10]);
        assert_eq!(get.cmd_id, 11);
        assert_eq!((alert.code, exec.correlator.as_deref()), (1103, Some("c")));
        let texts: Vec<_> =
            alert.items.iter().map(|item| item.data.as_ref().and_then(Data::as_text).unwrap()).collect();
        assert_eq!(texts, ["MINDT=10&DR=1", "Now?", "one", "two"]);
        assert!(answer.message.is_final);
    }
}

#[test]
fn srv_30_srv_31_how_an_atomic_ended_is_told_apart_and_the_codes_inside_are_kept() {
    use CommandState::{Failed, Succeeded};
    type Case = (&'static [(&'static str, u32)], CommandState, &'static str, u32);
    let cases: [Case; 8] = [
        (&[("Atomic", 200), ("Add", 200), ("Delete", 200), ("Replace", 200)], Succeeded, "done", 200),
        (&[("Atomic", 507), ("Add", 216), ("Delete", 404), ("Replace", 215)], Failed, "rolled-back", 507),
        (&[("Atomic", 507), ("Add", 516), ("Delete", 404), ("Replace", 215)], Failed, "rollback-failed", 507),
        (&[("Atomic", 516), ("Add", 516), ("Delete", 404), ("Replace", 215)], Failed, "rollback-failed", 516),
        (&[("Atomic", 517)], Failed, "atomic-too-large", 517),
        (&[("Atomic", 406)], Failed, "not-supported", 406),
        (&[("Atomic", 200), ("Add", 200), ("Delete", 404), ("Replace", 200)], Failed, "not-rolled-back", 404),
        (&[("Atomic", 200)], Succeeded, "done", 200),
    ];
    for (codes, state, cause, code) in cases {
        let mut world = open();
        let id = queue(&mut world, atomic());
        begin(&mut world);
        world.post(&say(codes).0);
        assert_eq!(world.end(id), (state, cause), "{codes:?}");
        let Effect::CommandMoved { code: told, items, .. } = world.moved(id) else { panic!() };
        assert_eq!(told, Some(code), "{codes:?}");
        let kept: Vec<_> = items.iter().filter_map(|item| item.code).collect();
        assert_eq!(kept, codes.iter().map(|(_, code)| *code).collect::<Vec<_>>());
        assert_eq!((items[0].verb, items[1].uri.as_str()), (Verb::Atomic, "./A"));
    }
}

#[test]
fn ld_17_children_answered_without_their_atomic_say_whether_it_held_together() {
    for (codes, end) in [
        ([("Add", 200), ("Delete", 200), ("Replace", 200)], (CommandState::Succeeded, "done")),
        ([("Add", 200), ("Delete", 404), ("Replace", 200)], (CommandState::Failed, "not-rolled-back")),
    ] {
        let mut world = open();
        let id = queue(&mut world, atomic());
        begin(&mut world);
        let statuses = (5..).zip(codes);
        let say = statuses.fold(Say::new(2).hello(1), |say, (id, (cmd, code))| say.status(1, id, cmd, code));
        world.post(&say.0);
        assert_eq!(world.end(id), end);
    }
}

#[test]
fn an_atomic_of_unknown_fate_is_probed_by_one_of_its_adds() {
    for (code, value, end) in [
        (404, None, (CommandState::Sent, "sent")),
        (200, Some("v"), (CommandState::Succeeded, "found-by-probe")),
        (200, Some("other"), (CommandState::InDoubt, "probe-unclear")),
    ] {
        let mut world = open();
        let id = queue(&mut world, atomic());
        assert_eq!(world.queue.get(id).unwrap().redelivery, Redelivery::ProbeFirst);
        begin(&mut world);
        let answer = world.post(&Say::package1(1).basic().session("2").0);
        assert!(matches!(answer.commands()[..], [Command::Get(_)]));
        let mut say = Say::new(2).session("2").hello(1).status(1, 4, "Get", code);
        if let Some(value) = value {
            say = say.results(1, 4, &[("./A", value)]);
        }
        world.post(&say.0);
        assert_eq!(world.end(id), end);
    }
}

#[test]
fn srv_33_each_outcome_of_a_sequence_counts() {
    let body = || Body::Sequence(vec![node(Verb::Delete, "./A"), node(Verb::Get, "./B")]);
    use CommandState::{Failed, Queued, Succeeded};
    for (codes, value, end) in [
        (vec![("Sequence", 200), ("Delete", 200), ("Get", 200)], true, (Succeeded, "done")),
        (vec![("Sequence", 200), ("Delete", 404), ("Get", 200)], true, (Failed, "partly-done")),
        (vec![("Sequence", 200), ("Delete", 404), ("Get", 404)], false, (Failed, "not-found")),
        (vec![("Sequence", 501)], false, (Failed, "not-supported")),
        (vec![("Sequence", 200), ("Delete", 200)], false, (Queued, "not-answered")),
        (vec![], false, (Queued, "not-answered")),
    ] {
        let mut world = open();
        let id = queue(&mut world, body());
        begin(&mut world);
        let mut say = say(&codes);
        if value {
            say = say.results(1, 6, &[("./B", "x")]);
        }
        world.post(&say.0);
        assert_eq!(world.end(id), end, "{codes:?}");
        let Effect::CommandMoved { results, .. } = world.moved(id) else { panic!() };
        assert_eq!(
            results.iter().filter_map(|result| result.data.as_text()).collect::<String>() == "x",
            value
        );
    }
}

#[test]
fn srv_34_a_question_refused_in_a_sequence_ends_it_as_refused_by_the_user() {
    for code in [304, 214, 408] {
        let mut world = open();
        let id = queue(&mut world, Body::Sequence(vec![ask(1101, &[]), node(Verb::Delete, "./A")]));
        begin(&mut world);
        world.post(&say(&[("Sequence", 200), ("Alert", code), ("Delete", 215)]).0);
        assert_eq!(world.end(id), (CommandState::Failed, "refused-by-user"), "{code}");
        let Effect::CommandMoved { code: told, .. } = world.moved(id) else { panic!() };
        assert_eq!(told, Some(code));
    }
}

#[test]
fn srv_35_srv_36_answers_of_the_person_are_read_and_refusals_told_apart() {
    type Texts = &'static [&'static str];
    type Case = (u32, Texts, u32, Texts, (CommandState, &'static str));
    let cases: [Case; 9] = [
        (1100, &[], 200, &[], (CommandState::Succeeded, "done")),
        (1101, &[], 200, &[], (CommandState::Succeeded, "done")),
        (1101, &[], 304, &[], (CommandState::Failed, "refused-by-user")),
        (1102, &[], 200, &["some text"], (CommandState::Succeeded, "done")),
        (1103, &["a", "b"], 200, &["2"], (CommandState::Succeeded, "done")),
        (1104, &["a", "b", "c"], 200, &["1", "3"], (CommandState::Succeeded, "done")),
        (1104, &["a", "b"], 214, &[], (CommandState::Failed, "refused-by-user")),
        (1102, &[], 408, &[], (CommandState::Failed, "refused-by-user")),
        (1100, &[], 406, &[], (CommandState::Failed, "not-supported")),
    ];
    for (code, choices, status, answers, end) in cases {
        for joined in [false, true] {
            let mut world = open();
            let id = queue(&mut world, ask(code, choices));
            let get = world.get("./A");
            begin(&mut world);
            let texts = if joined {
                vec![answers.join("-")]
            } else {
                answers.iter().map(ToString::to_string).collect()
            };
            let reply = Say::new(2).hello(1).status_of(1, 4, "Alert", status, |of| {
                let item = |text: String| Item { data: Some(Data::Text(text)), ..Item::default() };
                of.items = texts.into_iter().filter(|text| !text.is_empty()).map(item).collect();
            });
            world.post(&reply.status(1, 5, "Get", 404).0);
            assert_eq!(world.end(id), end, "{code} {status}");
            let Effect::CommandMoved { results, .. } = world.moved(id) else { panic!() };
            let told: Vec<_> = results.iter().filter_map(|result| result.data.as_text()).collect();
            assert_eq!(told, answers);
            assert_eq!(world.end(get), (CommandState::Failed, "not-found"), "the others go on");
        }
    }
}

#[test]
fn srv_45_an_exec_inside_a_sequence_is_ended_by_its_alert() {
    let mut world = open();
    let exec = |correlator: &str| Body::Plain {
        verb: Verb::Exec,
        items: vec![BodyItem::node("./S/Install")],
        correlator: Some(correlator.into()),
    };
    let id = queue(&mut world, Body::Sequence(vec![node(Verb::Delete, "./A"), exec("c-9")]));
    begin(&mut world);
    world.post(&say(&[("Sequence", 200), ("Delete", 200), ("Exec", 202)]).0);
    assert_eq!(world.end(id), (CommandState::Sent, "accepted"));
    world.restart();
    let alert = Say::package1(1).basic().session("2").generic("./S", Some("com.x/y"), "1200", Some("c-9"));
    world.post(&alert.0);
    assert_eq!(world.end(id), (CommandState::Succeeded, "done"));
}

#[test]
fn a_container_that_does_not_fit_one_message_is_not_cut() {
    let mut world = open();
    let large = Body::plain(Verb::Replace, vec![leaf("./L", &"v".repeat(3000))]);
    let id = queue(&mut world, Body::Atomic(vec![large]));
    let answer = world.post(&Say::package1(1).basic().max_msg(2000).0);
    assert!(answer.close);
    assert_eq!(world.end(id), (CommandState::Failed, "too-large-for-message"));
}

#[test]
fn am_20_what_a_container_holds_counts_where_the_model_bears_few_commands() {
    let mut account = crate::common::account(AuthType::Basic);
    account.quirks.max_commands_per_message = Some(3);
    let mut world = World::with(account);
    let id = queue(&mut world, atomic());
    begin(&mut world);
    assert_eq!(world.end(id), (CommandState::Failed, "too-large-for-message"));
}

#[test]
fn sec_13_a_container_that_met_407_goes_again_whole() {
    let mut account = crate::common::account(AuthType::Basic);
    account.server = crate::common::server(postern_engine::account::ServerScheme::Md5);
    let mut world = World::with(account);
    let id = queue(&mut world, atomic());
    begin(&mut world);
    let refused = Say::new(2).status(1, 0, "SyncHdr", 407);
    let names = [(4, "Atomic"), (5, "Add"), (6, "Delete"), (7, "Replace")];
    let say = names.into_iter().fold(refused, |say, (id, cmd)| say.status(1, id, cmd, 407));
    assert!(matches!(world.post(&say.0).commands()[..], [Command::Atomic(_)]));
    assert_eq!(world.end(id), (CommandState::Sent, "sent"));
}

#[test]
fn srv_54_srv_55_srv_56_lists_trees_and_properties_come_through_as_they_are() {
    for (uri, items) in [
        ("./A?list=Struct", vec![("./A", ""), ("./A/B", "")]),
        ("./A?list=StructData", vec![("./A", ""), ("./A/B", "x")]),
        ("./A?list=TNDS", vec![("./A?list=TNDS", "<MgmtTree><VerDTD>1.2</VerDTD></MgmtTree>")]),
        ("./A?prop=ACL", vec![("./A?prop=ACL", "Get=*&Replace=a+b")]),
        ("./A?prop=Title", vec![("./A?prop=Title", "a title")]),
    ] {
        let mut world = open();
        let get = world.get(uri);
        let answer = begin(&mut world);
        let [Command::Get(request)] = answer.commands()[..] else { panic!() };
        assert_eq!(request.items[0].target.as_ref().unwrap().uri, uri);
        world.post(&Say::new(2).hello(1).status(1, 4, "Get", 200).results(1, 4, &items).0);
        let Effect::CommandMoved { results, state, .. } = world.moved(get) else { panic!() };
        let told: Vec<_> =
            results.iter().map(|item| (item.uri.as_str(), item.data.as_text().unwrap())).collect();
        assert_eq!((state, told), (CommandState::Succeeded, items));
    }
}
