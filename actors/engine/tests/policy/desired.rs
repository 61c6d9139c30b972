//! From a resultant set and documents to what a device is to be, and the way there.

use std::collections::BTreeMap;

use postern_engine::policy::{
    desired::{
        Desired, DesiredSetting, Removal, Source,
        book::{Before, Book},
        change::{Change, FLOOR, is_held},
        fold::{Planned, fold, planned},
        layer::{Layer, LayerSetting},
        learn::{Answer, Read},
        status::{State, counts, standings},
        step::{Step, commands},
    },
    mapping::table::Table,
    registry_pol::Record,
};
use postern_wire::terms::{UtcMillis, Verb};
use proptest::prelude::*;

use crate::common::Hand;

const LOCKDOWN: &str = r"Software\Policies\Postern\Lockdown";
const CAMERA: &str = "./Settings/Policy/Lockdown/Camera";
pub(crate) const AT: UtcMillis = UtcMillis(1_000);

pub(crate) fn layer(
    document: &str,
    group: &str,
    depth: usize,
    order: i64,
    enforced: bool,
    value: &str,
) -> Layer {
    let (document, group) = (document.to_owned(), group.to_owned());
    let setting = LayerSetting {
        uri: CAMERA.to_owned(),
        format: "bool".to_owned(),
        data: Some(value.to_owned()),
        removal: Removal::Restore,
    };
    Layer { document, version: 1, group, depth, order, enforced, settings: vec![setting] }
}

/// What two GPOs, one of the domain and one of the OU, come to on our own device; `enforced` is the domain's.
fn of_gpos(enforced: bool) -> Planned {
    let mut hand = Hand::new(&["U"]);
    let outer = hand.gpo("Domain", "DC=t", if enforced { 2 } else { 0 });
    let inner = hand.gpo("Unit", "OU=U,DC=t", 0);
    hand.records(&outer, &[Record::dword(LOCKDOWN, "Camera", 1), Record::dword(LOCKDOWN, "Nowhere", 1)]);
    hand.records(&inner, &[Record::dword(LOCKDOWN, "Camera", 0)]);
    planned(&hand.resultant(), &[&Table::classic("postern")], None)
}

fn names(setting: &DesiredSetting) -> Vec<&str> {
    std::iter::once(&setting.source).chain(&setting.losers).map(Source::name).collect()
}

#[test]
fn documents_stand_behind_the_directory_and_an_enforced_link_before_everything() {
    let documents = [
        layer("inner", "Field", 1, 1, false, "true"),
        layer("outer", "All", 0, 1, false, "false"),
        layer("must", "Field", 1, 1, true, "false"),
        layer("outer-must", "All", 0, 1, true, "true"),
    ];
    for (enforced, documents, order) in [
        (false, &documents[..0], vec!["Unit", "Domain"]),
        (false, &documents[..2], vec!["inner", "outer", "Unit", "Domain"]),
        (false, &documents[..3], vec!["must", "inner", "outer", "Unit", "Domain"]),
        (false, &documents[..], vec!["outer-must", "must", "inner", "outer", "Unit", "Domain"]),
        (true, &documents[..], vec!["Domain", "Unit", "outer-must", "must", "inner", "outer"]),
    ] {
        let mut desired = fold(of_gpos(enforced), documents);
        assert_eq!(names(&desired.settings.remove(0)), order);
        assert_eq!(desired.unmapped.len(), 1, "and what goes nowhere is told");
    }
}

#[test]
fn of_one_group_order_1_wins_and_between_equals_the_name_and_it_is_told() {
    let of_order = fold(
        Planned::default(),
        &[layer("a", "G", 0, 2, false, "true"), layer("b", "G", 0, 1, false, "false")],
    );
    assert_eq!((names(&of_order.settings[0]), of_order.settings[0].tied), (vec!["b", "a"], false));

    let of_name = fold(
        Planned::default(),
        &[layer("b", "G", 0, 1, false, "true"), layer("a", "G", 0, 1, false, "false")],
    );
    assert_eq!((names(&of_name.settings[0]), of_name.settings[0].tied), (vec!["a", "b"], true));
    let standing = &standings(&of_name, &Book::default())[0];
    assert_eq!(standing.state, State::Conflict, "{standing:?}");

    let agreed = fold(
        Planned::default(),
        &[layer("b", "G", 0, 1, false, "true"), layer("a", "G", 0, 1, false, "true")],
    );
    assert!(!agreed.settings[0].tied);
}

#[test]
fn who_says_it_is_no_part_of_what_the_device_is_to_be() {
    let one = fold(Planned::default(), &[layer("a", "G", 0, 1, false, "true")]);
    let other = fold(Planned::default(), &[layer("b", "H", 3, 7, true, "true")]);
    assert_eq!(one.hash, other.hash);
    assert_ne!(one.document_hash(), other.document_hash());
    let text = serde_json::to_string(&one).unwrap();
    assert_eq!(serde_json::from_str::<Desired>(&text).unwrap(), one);
}

#[test]
fn a_protected_node_is_never_sent_and_says_so() {
    let mut wipe = layer("bad", "G", 0, 1, false, "x");
    wipe.settings[0].uri = "./Vendor/MSFT/RemoteWipe/doWipe".to_owned();
    let desired = fold(Planned::default(), &[wipe, layer("good", "G", 0, 1, false, "true")]);
    let steps = Book::default().next(&desired);
    assert!(steps.iter().all(|step| step.uri() == CAMERA), "{steps:?}");
    let bad = standings(&desired, &Book::default());
    assert_eq!(bad.iter().filter(|one| one.state == State::NotSupported).count(), 1);
}

// --- a device that can be asked

/// A tree of leaves; interior nodes are those above them, or made ones.
#[derive(Clone, Debug, Default)]
pub(crate) struct Device {
    pub(crate) leaves: BTreeMap<String, String>,
    pub(crate) interiors: std::collections::BTreeSet<String>,
    /// It makes missing interior nodes by itself.
    pub(crate) implicit: bool,
    /// It gives this code to every change of these nodes.
    pub(crate) refuses: BTreeMap<String, u32>,
    pub(crate) commands: usize,
}

impl Device {
    fn has_parent(&self, uri: &str) -> bool {
        let parent = uri.rsplit_once('/').unwrap().0;
        let below = format!("{parent}/");
        self.implicit
            || parent == "."
            || self.interiors.contains(parent)
            || self.leaves.keys().any(|leaf| leaf.starts_with(&below))
    }

    pub(crate) fn execute(&mut self, step: &Step) -> (u32, Option<String>) {
        self.commands += 1;
        let refused = self.refuses.get(step.uri()).copied();
        match step {
            Step::Get { uri } => match self.leaves.get(uri) {
                Some(value) => (200, Some(value.clone())),
                None => (404, None),
            },
            _ if refused.is_some() => (refused.unwrap(), None),
            Step::Interior { uri } => {
                let parent = uri.rsplit_once('/').unwrap().0;
                let code = if self.interiors.contains(uri) {
                    418
                } else if parent != "." && !self.has_parent(uri) {
                    404
                } else {
                    self.interiors.insert(uri.clone());
                    200
                };
                (code, None)
            }
            Step::Add { uri, .. } if self.leaves.contains_key(uri) => (418, None),
            Step::Add { uri, .. } if !self.has_parent(uri) => (404, None),
            Step::Replace { uri, .. } if !self.leaves.contains_key(uri) => (404, None),
            Step::Add { uri, data, .. } | Step::Replace { uri, data, .. } => {
                self.leaves.insert(uri.clone(), data.clone());
                (200, None)
            }
            Step::Delete { uri } => (if self.leaves.remove(uri).is_some() { 200 } else { 404 }, None),
        }
    }

    /// Rounds until there is nothing left to do.
    pub(crate) fn bring(&mut self, book: &mut Book, desired: &Desired) -> usize {
        for round in 0..8 {
            let steps = book.next(desired);
            if steps.is_empty() {
                return round;
            }
            for step in &steps {
                let (code, read) = self.execute(step);
                learn(book, desired, step, Some(code), read.as_deref());
            }
        }
        panic!("eight rounds were not enough: {book:?}");
    }
}

pub(crate) fn learn(book: &mut Book, desired: &Desired, step: &Step, code: Option<u32>, read: Option<&str>) {
    let (format, sent) = match step {
        Step::Interior { .. } => (Some("node"), None),
        Step::Add { format, data, .. } | Step::Replace { format, data, .. } => {
            (Some(&**format), Some(&**data))
        }
        Step::Get { .. } | Step::Delete { .. } => (None, None),
    };
    let read = read.map(|data| Read { format: "chr", data, binary: false });
    let answer = Answer { verb: step.verb(), uri: step.uri(), format, sent, code, read };
    book.learn(desired, &answer, AT);
}

pub(crate) fn desired(wanted: &[(&str, Option<&str>, Removal)]) -> Desired {
    let settings = wanted.iter().map(|(uri, data, removal)| LayerSetting {
        uri: (*uri).to_owned(),
        format: "chr".to_owned(),
        data: data.map(str::to_owned),
        removal: *removal,
    });
    let document = Layer { settings: settings.collect(), ..layer("d", "G", 0, 1, false, "") };
    fold(Planned::default(), &[document])
}

#[test]
fn what_stood_before_is_put_back_and_what_did_not_stand_is_deleted() {
    let mut device = Device { implicit: true, ..Device::default() };
    device.leaves.insert("./A/Old".to_owned(), "mine".to_owned());
    let mut book = Book::default();
    let two = [("./A/Old", Some("ours"), Removal::Restore), ("./A/New", Some("ours"), Removal::Restore)];

    device.bring(&mut book, &desired(&two));
    assert_eq!(
        device.leaves,
        [("./A/New", "ours"), ("./A/Old", "ours")].map(|(a, b)| (a.into(), b.into())).into()
    );
    assert_eq!(book.nodes["./A/New"].before, Some(Before::Absent));
    device.bring(&mut book, &desired(&[]));

    assert_eq!(device.leaves, [("./A/Old".to_owned(), "mine".to_owned())].into());
    assert!(book.nodes.is_empty(), "nothing is left of it: {book:?}");
}

#[test]
fn a_tattoo_stays_and_costs_no_reading() {
    let mut device = Device { implicit: true, ..Device::default() };
    let mut book = Book::default();
    device.bring(&mut book, &desired(&[("./A", Some("1"), Removal::Leave)]));
    assert_eq!(device.commands, 2, "a Replace that met 404, and an Add");
    device.bring(&mut book, &desired(&[]));
    assert_eq!((device.leaves.len(), device.commands, book.nodes.len()), (1, 2, 0));
}

#[test]
fn a_value_that_stands_already_is_not_sent() {
    let mut device = Device::default();
    device.leaves.insert("./A".to_owned(), "1".to_owned());
    let mut book = Book::default();
    device.bring(&mut book, &desired(&[("./A", Some("1"), Removal::Restore)]));
    assert_eq!(device.commands, 1, "it was read, and that was all");
}

#[test]
fn interior_nodes_are_made_where_they_are_missing_once_each() {
    let mut device = Device::default();
    let mut book = Book::default();
    let wanted = [("./A/B/X", Some("1"), Removal::Delete), ("./A/B/Y", Some("2"), Removal::Delete)];
    device.bring(&mut book, &desired(&wanted));
    assert_eq!(device.leaves.len(), 2);
    assert_eq!(device.interiors.len(), 2, "./A and ./A/B");
    assert_eq!(device.commands, 2 + 2 + 2 + 2, "Replace, Add, the interior nodes, Add");
}

#[test]
fn codes_become_words_and_what_is_refused_for_good_is_not_tried_again() {
    for (code, state) in
        [(405, State::NotSupported), (406, State::NotSupported), (420, State::Error), (500, State::Error)]
    {
        let mut device = Device { implicit: true, ..Device::default() };
        device.leaves.insert("./A".to_owned(), "0".to_owned());
        device.refuses.insert("./A".to_owned(), code);
        let mut book = Book::default();
        let wanted = desired(&[("./A", Some("1"), Removal::Leave)]);
        device.bring(&mut book, &wanted);
        let standing = standings(&wanted, &book).remove(0);
        assert_eq!((standing.state, standing.code), (state, Some(code)));
        assert!(!standing.why.is_empty());
        assert!(book.next(&wanted).is_empty(), "until the next look");
        book.verify();
        assert_eq!(book.next(&wanted).len(), usize::from(state == State::Error));
        let other = desired(&[("./A", Some("2"), Removal::Leave)]);
        assert_eq!(book.next(&other).len(), 1, "another value is tried");
    }
}

#[test]
fn drift_is_found_by_reading_put_right_counted_and_in_the_end_called_a_conflict() {
    let mut device = Device { implicit: true, ..Device::default() };
    let mut book = Book::default();
    let wanted = desired(&[("./A", Some("1"), Removal::Delete)]);
    device.bring(&mut book, &wanted);
    for turn in 1..=3 {
        device.leaves.insert("./A".to_owned(), "hacked".to_owned());
        book.verify();
        device.bring(&mut book, &wanted);
        assert_eq!(device.leaves["./A"], "1");
        let standing = standings(&wanted, &book).remove(0);
        assert_eq!(standing.drift, turn);
        assert_eq!(standing.state, if turn < 3 { State::Compliant } else { State::Conflict });
    }
    device.leaves.clear();
    book.verify();
    device.bring(&mut book, &wanted);
    assert_eq!(device.leaves["./A"], "1", "a node that is gone is drift, too");
}

#[test]
fn a_device_that_contradicts_itself_is_not_asked_for_ever() {
    let mut book = Book::default();
    let wanted = desired(&[("./A", Some("1"), Removal::Leave)]);
    for _ in 0..20 {
        let Some(step) = book.next(&wanted).pop() else { break };
        let code = if step.verb() == Verb::Add { 418 } else { 404 };
        learn(&mut book, &wanted, &step, Some(code), None);
    }
    assert!(book.next(&wanted).is_empty());
    assert_eq!(counts(&standings(&wanted, &book)).compliant, 0);
}

#[test]
fn neighbours_share_a_command_and_adds_do_not() {
    let set = |uri: &str| Step::Replace {
        uri: uri.to_owned(),
        format: "chr".to_owned(),
        data: "1".to_owned(),
        binary: false,
    };
    let add = |uri: &str| Step::Add {
        uri: uri.to_owned(),
        format: "chr".to_owned(),
        data: "1".to_owned(),
        binary: false,
    };
    let steps = [add("./A"), add("./B"), set("./C"), set("./D")];
    let verbs = |alone| {
        commands(&steps, alone).iter().map(|body| (body.verb(), body.items().len())).collect::<Vec<_>>()
    };
    assert_eq!(verbs(false), [(Verb::Add, 1), (Verb::Add, 1), (Verb::Replace, 2)]);
    assert_eq!(verbs(true), [(Verb::Add, 1), (Verb::Add, 1), (Verb::Replace, 1), (Verb::Replace, 1)]);
}

#[test]
fn only_what_takes_something_away_counts_and_a_handful_never_does() {
    let before = desired(&[("./A", Some("1"), Removal::Leave), ("./B", Some("1"), Removal::Leave)]);
    let after = desired(&[("./A", Some("2"), Removal::Leave), ("./C", Some("1"), Removal::Leave)]);
    let change = Change::between(&before, &after);
    assert_eq!((change.altered, change.removed, change.added), (1, 1, 1));
    assert!(!Change::between(&Desired::default(), &after).takes(), "what comes on top takes nothing");
    for first in [("./C", None), ("./Vendor/Postern/Schedule/Interval", Some("600"))] {
        let after = desired(&[(first.0, first.1, Removal::Leave)]);
        let change = Change::between(&Desired::default(), &after);
        assert_eq!((change.grave, change.added, change.takes()), (1, 0, true), "{first:?}");
        assert!(!Change::between(&after, &after).takes());
    }
    for (taken, managed, share, held) in [
        (FLOOR, 10, 20, false),
        (11, 10_000, 20, false),
        (11, 54, 20, true),
        (2_000, 10_000, 20, false),
        (2_001, 10_000, 20, true),
        (11, 11, 100, false),
        (11, 10_000, 0, true),
    ] {
        assert_eq!(is_held(taken, managed, share), held, "{taken} of {managed} at {share} %");
    }
}

// --- arbitrary devices and wishes

const URIS: [&str; 6] = ["./A/X", "./A/Y", "./A/B/X", "./C", "./D/E/F/G", "./H"];

fn wishes() -> impl Strategy<Value = BTreeMap<usize, (Option<u8>, u8)>> {
    proptest::collection::btree_map(0..URIS.len(), (proptest::option::of(0..3_u8), 0..3_u8), 0..URIS.len())
}

/// Each node keeps its kind of removal for the whole test: what it means must not depend on when it was said.
fn of_wishes(wishes: &BTreeMap<usize, (Option<u8>, u8)>) -> Desired {
    let texts = ["0", "1", "2"];
    let one = |(at, (value, _)): (&usize, &(Option<u8>, u8))| {
        let removal = [Removal::Leave, Removal::Delete, Removal::Restore][at % 3];
        (URIS[*at], value.map(|value| texts[usize::from(value)]), removal)
    };
    desired(&wishes.iter().map(one).collect::<Vec<_>>())
}

proptest! {
    #[test]
    fn the_steps_lead_to_what_is_desired_and_back(
        first in proptest::collection::btree_map(0..URIS.len(), 0..3_u8, 0..URIS.len()),
        rounds in proptest::collection::vec(wishes(), 1..5),
        implicit: bool,
    ) {
        let leaves: BTreeMap<String, String> =
            first.iter().map(|(at, value)| (URIS[*at].to_owned(), value.to_string())).collect();
        let mut device = Device { leaves: leaves.clone(), implicit, ..Device::default() };
        let mut book = Book::default();
        for wishes in &rounds {
            let wanted = of_wishes(wishes);
            device.bring(&mut book, &wanted);
            for setting in &wanted.settings {
                prop_assert_eq!(device.leaves.get(&setting.uri), setting.data.as_ref());
            }
            prop_assert!(book.next(&wanted).is_empty(), "nothing is left between equals");
            prop_assert_eq!(counts(&standings(&wanted, &book)).pending, 0);
            let text = serde_json::to_string(&book).unwrap();
            prop_assert_eq!(&serde_json::from_str::<Book>(&text).unwrap(), &book);
        }
        device.bring(&mut book, &Desired::default());
        for (at, uri) in URIS.iter().enumerate() {
            let touched = rounds.iter().any(|round| round.contains_key(&at));
            match at % 3 {
                _ if !touched => prop_assert_eq!(device.leaves.get(*uri), leaves.get(*uri)),
                2 => prop_assert_eq!(device.leaves.get(*uri), leaves.get(*uri), "{} is put back", uri),
                1 => prop_assert_eq!(device.leaves.get(*uri), None, "{} is deleted", uri),
                _ => {}
            }
        }
        prop_assert!(book.nodes.is_empty());
    }

    #[test]
    fn the_order_of_the_input_does_not_matter(
        mut layers in proptest::collection::vec((0..3_usize, 1..3_i64, any::<bool>(), 0..3_u8, 0..4_u8), 0..6),
        turn in 0..6_usize,
    ) {
        let make = |layers: &[(usize, i64, bool, u8, u8)]| -> Vec<Layer> {
            layers.iter().map(|(depth, order, enforced, value, name)| {
                layer(&format!("d{name}"), &format!("g{depth}"), *depth, *order, *enforced, &value.to_string())
            }).collect()
        };
        let one = fold(of_gpos(true), &make(&layers));
        if !layers.is_empty() {
            let turn = turn % layers.len();
            layers.rotate_left(turn);
        }
        layers.reverse();
        let other = fold(of_gpos(true), &make(&layers));
        prop_assert_eq!(one.hash, other.hash);
        prop_assert_eq!(&one.settings[0].source, &other.settings[0].source);
        prop_assert_eq!(names(&one.settings[0])[0], "Domain", "an enforced link is never beaten");
    }
}
