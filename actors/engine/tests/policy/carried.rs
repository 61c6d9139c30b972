//! What cannot be sent, what is too much for a device, and how what devices answer is taken: nothing of it keeps the rest back.

use postern_engine::policy::{
    desired::{
        Desired, NODES, Removal,
        book::{Before, Book, ROUND},
        fold::{Planned, fold, planned},
        layer::{Layer, LayerSetting},
        learn::{Answer, Read},
        status::{State, standings},
        step::{Step, commands},
        value::text,
    },
    mapping::table::Table,
    registry_pol::Record,
};
use postern_wire::{syncml::Data, terms::Verb};

use crate::{
    common::Hand,
    desired::{AT, Device, desired, layer, learn},
};

fn of_format(uri: &str, format: &str, data: Option<&str>, removal: Removal) -> Desired {
    let (uri, format, data) = (uri.to_owned(), format.to_owned(), data.map(str::to_owned));
    let setting = LayerSetting { uri, format, data, removal };
    fold(Planned::default(), &[Layer { settings: vec![setting], ..layer("d", "G", 0, 1, false, "") }])
}

fn both(mut one: Desired, other: Desired) -> Desired {
    one.settings.extend(other.settings);
    Desired::new(one.settings, Vec::new())
}

/// Answers a reading with a value of the device's own.
fn gave(book: &mut Book, desired: &Desired, uri: &str, read: Option<Read<'_>>) {
    let answer = Answer { verb: Verb::Get, uri, format: None, sent: None, code: Some(200), read };
    book.learn(desired, &answer, AT);
}

#[test]
fn a_value_that_cannot_be_sent_is_an_error_with_its_cause_and_keeps_nothing_else_back() {
    for (format, data) in [("int", "4294967295"), ("bool", "1"), ("chr", "a\u{1}b"), ("integer", "1")] {
        for removal in [Removal::Leave, Removal::Restore] {
            let good = of_format("./A/Good", "chr", Some("1"), Removal::Leave);
            let wanted = both(of_format("./A/Bad", format, Some(data), removal), good);
            let bad = standings(&wanted, &Book::default()).remove(0);
            assert_eq!(bad.state, State::Error, "before the device comes: {bad:?}");
            let mut device = Device { implicit: true, ..Device::default() };
            let mut book = Book::default();
            device.bring(&mut book, &wanted);
            assert_eq!(device.leaves.keys().collect::<Vec<_>>(), ["./A/Good"], "{format}");
            let stands = standings(&wanted, &book);
            assert_eq!((stands[0].state, stands[1].state), (State::Error, State::Compliant), "{stands:?}");
            assert!(stands[0].why.contains("it cannot be sent: "), "{}", stands[0].why);
        }
    }
}

#[test]
fn a_round_is_no_longer_than_an_order_with_the_interior_nodes_among_it() {
    let wanted: Vec<String> = (0..150).map(|place| format!("./A/B{place}/Leaf")).collect();
    let wanted: Vec<_> = wanted.iter().map(|uri| (uri.as_str(), Some("1"), Removal::Delete)).collect();
    let (wanted, mut device, mut book) = (desired(&wanted), Device::default(), Book::default());
    let mut rounds = 0;
    loop {
        let steps = book.next(&wanted);
        if steps.is_empty() {
            break;
        }
        rounds += 1;
        assert!(steps.len() <= ROUND && rounds < 10, "{} in round {rounds}", steps.len());
        for step in &steps {
            let (code, read) = device.execute(step);
            learn(&mut book, &wanted, step, Some(code), read.as_deref());
        }
    }
    assert_eq!(device.leaves.len(), 150);
}

#[test]
fn what_a_device_gave_is_put_back_once_whatever_its_format_and_spelling() {
    let ours = of_format("./A", "bool", Some("true"), Removal::Restore);
    let octets = Read { format: "bin", data: "AP8B", binary: true };
    for (found, back) in [
        (Read { format: "int", data: "0", binary: false }, Some(("int", "0", false))),
        (Read { format: "chr", data: "free text", binary: false }, Some(("chr", "free text", false))),
        (Read { format: "bool", data: "False", binary: false }, Some(("bool", "false", false))),
        (octets, Some(("bin", "AP8B", true))),
        (Read { format: "int", data: "4294967295", binary: false }, None),
        (Read { format: "secret", data: "x", binary: false }, None),
        (Read { format: "node", data: "B/C", binary: false }, None),
    ] {
        let mut book = Book::default();
        assert_eq!(book.next(&ours), [Step::Get { uri: "./A".to_owned() }]);
        gave(&mut book, &ours, "./A", Some(found));
        let changes = book.next(&ours);
        let [change] = &changes[..] else { panic!("{found:?}: {changes:?} {book:?}") };
        learn(&mut book, &ours, change, Some(200), None);
        assert!(book.next(&ours).is_empty());
        let nothing = Desired::default();
        let steps = book.next(&nothing);
        let Some((format, data, binary)) = back else {
            assert!(steps.is_empty(), "{found:?}: {steps:?}");
            let left = standings(&nothing, &book).remove(0);
            assert_eq!((left.state, left.leaving), (State::Error, true), "{left:?}");
            continue;
        };
        let (format, data) = (format.to_owned(), data.to_owned());
        assert_eq!(steps, [Step::Replace { uri: "./A".to_owned(), format, data, binary }]);
        let item = commands(&steps, false)[0].items()[0].clone();
        if binary {
            assert_eq!(item.data, Some(Data::Binary(vec![0, 255, 1])));
        }
        let sent = item.data.as_ref().map(text);
        let answer = Answer {
            verb: Verb::Replace,
            uri: "./A",
            format: item.format.as_deref(),
            sent: sent.as_deref(),
            code: Some(200),
            read: None,
        };
        book.learn(&nothing, &answer, AT);
        assert!(book.next(&nothing).is_empty() && book.nodes.is_empty(), "{found:?} is asked for again");
    }
}

#[test]
fn an_empty_interior_node_that_was_not_to_be_there_is_made_again_once() {
    for code in [200, 418] {
        let (gone, nothing) = (of_format("./A/B", "chr", None, Removal::Restore), Desired::default());
        let mut book = Book::default();
        book.next(&gone);
        gave(&mut book, &gone, "./A/B", Some(Read { format: "node", data: "", binary: false }));
        let steps = book.next(&gone);
        assert_eq!(steps, [Step::Delete { uri: "./A/B".to_owned() }]);
        learn(&mut book, &gone, &steps[0], Some(200), None);
        let steps = book.next(&nothing);
        assert!(matches!(&steps[..], [Step::Add { format, .. }] if format == "node"), "{steps:?}");
        learn(&mut book, &nothing, &steps[0], Some(code), None);
        assert!(book.next(&nothing).is_empty() && book.nodes.is_empty(), "{code}: {book:?}");
    }
}

#[test]
fn a_reading_that_brought_no_value_is_not_put_back_as_an_empty_one() {
    let ours = of_format("./A", "chr", Some("ours"), Removal::Restore);
    let mut book = Book::default();
    book.next(&ours);
    gave(&mut book, &ours, "./A", None);
    assert_eq!(book.nodes["./A"].before, Some(Before::Unreadable(200)));
    let change = book.next(&ours).remove(0);
    learn(&mut book, &ours, &change, Some(200), None);
    assert!(book.next(&Desired::default()).is_empty(), "it stays as it is");
}

#[test]
fn a_node_that_no_command_reached_is_not_deleted() {
    let ours = desired(&[("./A", Some("1"), Removal::Delete)]);
    for (code, deleted) in [(None, false), (Some(405), false), (Some(200), true), (Some(500), true)] {
        let mut book = Book::default();
        let change = book.next(&ours).remove(0);
        // Without a code the order was overtaken before it was sent.
        if code.is_some() {
            learn(&mut book, &ours, &change, code, None);
        }
        let steps = book.next(&Desired::default());
        assert_eq!(!steps.is_empty(), deleted, "{code:?}: {steps:?}");
    }
    let mut book = Book::default();
    book.next(&ours);
    book.was_sent("./A");
    assert_eq!(book.next(&Desired::default()).len(), 1, "it may have been done");
}

// --- too much, and what goes nowhere

#[test]
fn a_gpo_of_very_many_values_is_planned_in_time_and_is_too_much_for_one_device() {
    let of = |count: usize, key: &str| {
        let mut hand = Hand::new(&["U"]);
        let gpo = hand.gpo("Huge", "OU=U,DC=t", 0);
        let values: Vec<_> = (0..count).map(|at| Record::sz(key, &format!("{at:06}"), "x.exe")).collect();
        hand.records(&gpo, &values);
        let planned = planned(&hand.resultant(), &[&Table::classic("postern")], None);
        fold(planned, &[layer("d", "G", 0, 1, false, "true")])
    };
    let list = r"Software\Policies\Postern\Applications\Blocked";
    // Settings times nodes would be 4 * 10^8.
    let huge = of(20_000, list);
    assert_eq!(huge.settings.len(), 20_001);
    let why = huge.bounded().unwrap_err();
    assert!(why.contains("20001 nodes") && why.contains("Huge"), "{why}");
    assert_eq!(of(NODES - 1, list).bounded().map(|desired| desired.settings.len()), Ok(NODES));
    // What goes nowhere is named, up to a number, and counted.
    let nowhere = of(2_000, r"Software\Nowhere");
    assert_eq!((nowhere.unmapped.len(), nowhere.unnamed), (500, 1_500));
}

#[test]
fn text_that_no_message_carries_goes_nowhere_and_says_why() {
    let mut hand = Hand::new(&["U"]);
    let gpo = hand.gpo("Bad", "OU=U,DC=t", 0);
    hand.records(&gpo, &[Record::sz(r"Software\Policies\Postern\Applications\Blocked", "1", "a\u{1}.exe")]);
    let desired = fold(planned(&hand.resultant(), &[&Table::classic("postern")], None), &[]);
    assert_eq!(desired.settings, []);
    assert_eq!(desired.unmapped[0].reason, "value-not-allowed");
    assert!(desired.unmapped[0].detail.contains("U+0001"), "{:?}", desired.unmapped);
}
