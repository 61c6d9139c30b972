//! Dialogues with the user, and what they do to the commands around them (OMA-TS-DM_Protocol 10).

use postern_device::interaction::{Kind, MOST_CHOICES, MOST_OCTETS, Reaction, Scripted};
use postern_wire::{
    syncml::{Alert, Command, Data, Group, Item, Message},
    terms::AuthType,
};

use crate::support::{Rig, add, alert, answer, get, nothing, results, send, statuses, turn};

#[test]
fn cli_29_each_dialogue_is_answered_with_what_the_user_did() {
    let text = |text: &str| Reaction::Text(text.into());
    let cases: Vec<(u32, &str, Reaction, u32, Vec<&str>)> = vec![
        (1100, "MINDT=10&MAXDT=30", Reaction::Shown, 200, vec![]),
        (1101, "", Reaction::Yes, 200, vec![]),
        (1101, "DR=1", Reaction::No, 304, vec![]),
        (1101, "MAXDT=20", Reaction::TimedOut, 408, vec![]),
        (1101, "", Reaction::Cancelled, 214, vec![]),
        (1101, "", Reaction::Nobody, 406, vec![]),
        (1102, "MAXLEN=5&IT=N&ET=P", text("12345"), 200, vec!["12345"]),
        (1102, "", text(""), 200, vec![""]),
        (1103, "DR=2", Reaction::Chosen(vec![2]), 200, vec!["2"]),
        (1104, "DR=1-3", Reaction::Chosen(vec![1, 3]), 200, vec!["1", "3"]),
        (1104, "", Reaction::Chosen(vec![]), 200, vec![]),
    ];
    for (code, options, reaction, status, items) in cases {
        let user = Scripted::new([reaction.clone()]);
        let mut rig = asking(&user);
        rig.session(vec![send(vec![dialogue(code, options)]), nothing()]).0.unwrap();
        let second = &rig.seen.messages()[1];
        assert_eq!(statuses(second)[1], ("Alert".into(), status), "{code} {reaction:?}");
        assert_eq!(status_items(second, 1), items, "{code} {reaction:?}");
        let asked = &user.asked()[0];
        assert_eq!((asked.kind, asked.text.as_str()), (Kind::of(code).unwrap(), "Question?"));
        let choices = if code >= 1103 { vec!["one", "two", "three"] } else { vec![] };
        assert_eq!(asked.choices, choices);
    }
}

#[test]
fn cli_29_the_options_reach_the_user() {
    let user = Scripted::new([Reaction::Text("1".into())]);
    let mut rig = asking(&user);
    let options = "MINDT=10&MAXDT=60&DR=a+b&MAXLEN=8&IT=N&ET=P";
    rig.session(vec![send(vec![dialogue(1102, options)]), nothing()]).0.unwrap();
    let asked = user.asked().remove(0).options;
    assert_eq!((asked.min_display_s, asked.max_display_s, asked.max_length), (Some(10), Some(60), Some(8)));
    assert_eq!(asked.default_response.as_deref(), Some("a b"));
    assert_eq!(
        (asked.input, asked.echo),
        (postern_device::interaction::Input::Numeric, postern_device::interaction::Echo::Password)
    );
}

#[test]
fn cli_29_what_is_too_long_is_416_and_what_lacks_a_part_412_and_neither_is_shown() {
    let long = "x".repeat(MOST_OCTETS + 1);
    let items = |texts: &[&str]| texts.iter().map(|text| item(text)).collect::<Vec<_>>();
    let many = vec!["x"; MOST_CHOICES + 3];
    for (code, items, status) in [
        (1100, items(&["", &long]), 416),
        (1103, items(&["", "?", &long]), 416),
        (1104, items(&many), 416),
        (1100, items(&[""]), 412),
        (1101, items(&[]), 412),
        (1103, items(&["", "?"]), 412),
    ] {
        let user = Scripted::new([Reaction::Shown]);
        let mut rig = asking(&user);
        let alert = Command::Alert(Alert { code, items, ..Alert::default() });
        rig.session(vec![send(vec![alert]), nothing()]).0.unwrap();
        assert_eq!(statuses(&rig.seen.messages()[1])[1], ("Alert".into(), status), "{code}");
        assert!(user.asked().is_empty());
    }
}

#[test]
fn cli_29_without_a_user_and_for_an_unknown_alert_it_is_406() {
    let mut rig = Rig::new(AuthType::Basic);
    rig.session(vec![send(vec![dialogue(1100, ""), alert(1199), alert(1999)]), nothing()]).0.unwrap();
    let codes: Vec<_> = statuses(&rig.seen.messages()[1]).into_iter().map(|(_, code)| code).collect();
    assert_eq!(codes, [212, 406, 406, 406]);
}

#[test]
fn an_answer_that_does_not_fit_never_reaches_the_server() {
    let wrong = Reaction::Text("not digits".into());
    let user = Scripted::new([wrong.clone(), Reaction::Yes, wrong]);
    let mut rig = asking(&user);
    rig.session(vec![send(vec![dialogue(1102, "IT=N")]), nothing()]).0.unwrap();
    let second = &rig.seen.messages()[1];
    assert_eq!((statuses(second)[1].1, user.asked().len()), (214, 3));
    assert!(status_items(second, 1).is_empty());
}

#[test]
fn cli_14_a_refusal_bypasses_the_rest_of_its_sequence_and_nothing_else() {
    for (reaction, code) in [(Reaction::No, 304), (Reaction::TimedOut, 408)] {
        let user = Scripted::new([reaction]);
        let mut rig = asking(&user);
        let sequence = sequence(vec![add("./Settings/a", "1"), dialogue(1101, ""), add("./Settings/b", "1")]);
        let commands = vec![sequence, add("./Settings/c", "1"), get("./Settings")];
        rig.session(vec![send(commands), nothing()]).0.unwrap();
        let second = &rig.seen.messages()[1];
        assert_eq!(
            statuses(second)[1..],
            pairs(&[
                ("Sequence", 200),
                ("Add", 200),
                ("Alert", code),
                ("Add", 215),
                ("Add", 200),
                ("Get", 200)
            ])
        );
        assert_eq!(results(second), ["a/c"]);
    }
}

#[test]
fn cli_14_giving_up_stops_the_whole_message() {
    let user = Scripted::new([Reaction::Cancelled]);
    let mut rig = asking(&user);
    let inner = sequence(vec![dialogue(1101, ""), add("./Settings/a", "1")]);
    let commands = vec![
        add("./Settings/before", "1"),
        inner,
        add("./Settings/b", "1"),
        atomic(vec![add("./Settings/c", "1")]),
        get("./Settings"),
    ];
    rig.session(vec![send(commands), send(vec![get("./Settings")]), nothing()]).0.unwrap();
    let seen = rig.seen.messages();
    assert_eq!(
        statuses(&seen[1])[1..],
        pairs(&[
            ("Add", 200),
            ("Sequence", 200),
            ("Alert", 214),
            ("Add", 215),
            ("Add", 215),
            ("Atomic", 215),
            ("Add", 215),
            ("Get", 215)
        ])
    );
    assert_eq!(results(&seen[2]), ["before"], "the next message is another matter");
}

#[test]
fn a_no_outside_of_containers_changes_nothing_for_other_commands() {
    let user = Scripted::new([Reaction::No]);
    let mut rig = asking(&user);
    rig.session(vec![send(vec![dialogue(1101, ""), add("./Settings/a", "1")]), nothing()]).0.unwrap();
    assert_eq!(statuses(&rig.seen.messages()[1])[1..], pairs(&[("Alert", 304), ("Add", 200)]));
}

#[test]
fn cli_12_an_atomic_fails_over_a_refusal_and_is_undone() {
    for (reaction, code) in [(Reaction::No, 304), (Reaction::TimedOut, 408), (Reaction::Nobody, 406)] {
        let user = Scripted::new([reaction]);
        let mut rig = asking(&user);
        let all = atomic(vec![add("./Settings/a", "1"), dialogue(1101, ""), add("./Settings/b", "1")]);
        rig.session(vec![send(vec![all, get("./Settings")]), nothing()]).0.unwrap();
        let second = &rig.seen.messages()[1];
        assert_eq!(
            statuses(second)[1..],
            pairs(&[("Atomic", 507), ("Add", 216), ("Alert", code), ("Add", 215), ("Get", 200)])
        );
        assert_eq!(results(second), [""]);
    }
}

#[test]
fn cli_12_an_atomic_whose_answers_do_not_fit_one_message_is_517_and_undone() {
    let adds = |count: usize| (0..count).map(|n| add(&format!("./Settings/{n}"), "1")).collect::<Vec<_>>();
    for (count, code) in [(8, 200), (40, 517)] {
        let mut rig = Rig::new(AuthType::Basic);
        let all = atomic(adds(count));
        let small = move |commands: Vec<Command>| {
            turn(move |to| {
                let mut message = answer(to, 212, commands.clone(), to.is_final);
                message.header.meta.max_msg_size = Some(4_000);
                message
            })
        };
        let (outcome, device) = rig.session(vec![small(vec![all]), small(Vec::new())]);
        outcome.unwrap();
        let codes: Vec<_> = rig.seen.messages()[1..].iter().flat_map(statuses).collect();
        assert_eq!(codes[1], ("Atomic".into(), code));
        let child = if code == 200 { 200 } else { 216 };
        assert_eq!(codes.iter().filter(|told| **told == ("Add".to_owned(), child)).count(), count);
        let (path, _) = postern_device::tree::path::Path::parse("./Settings/0").unwrap();
        assert_eq!(device.state().tree.get(&path).is_some(), code == 200);
    }
}

fn asking(user: &Scripted) -> Rig {
    let mut rig = Rig::new(AuthType::Basic);
    rig.user = Some(user.clone());
    rig
}

/// A dialogue with these options; 1103 and 1104 offer three choices.
fn dialogue(code: u32, options: &str) -> Command {
    let mut items = vec![item(options), item("Question?")];
    if code >= 1103 {
        items.extend(["one", "two", "three"].map(item));
    }
    Command::Alert(Alert { code, items, ..Alert::default() })
}

fn item(text: &str) -> Item {
    Item { data: Some(text.into()), ..Item::default() }
}

fn sequence(commands: Vec<Command>) -> Command {
    Command::Sequence(Group { commands, ..Group::default() })
}

fn atomic(commands: Vec<Command>) -> Command {
    Command::Atomic(Group { commands, ..Group::default() })
}

/// Data of the Items of the Status at this place.
fn status_items(message: &Message, at: usize) -> Vec<String> {
    let Some(Command::Status(status)) = message.body.get(at) else { return Vec::new() };
    let text = |item: &Item| item.data.as_ref().and_then(Data::as_text).unwrap_or_default().to_owned();
    status.items.iter().map(text).collect()
}

fn pairs(codes: &[(&str, u32)]) -> Vec<(String, u32)> {
    codes.iter().map(|(name, code)| ((*name).to_owned(), *code)).collect()
}
