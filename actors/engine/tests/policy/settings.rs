//! What the records of several GPOs come to.

use postern_engine::policy::{
    registry_pol::{
        Record,
        value::{self, Value},
    },
    rsop::{
        Loopback, Pass,
        settings::{KeyOperation, losers, winner},
    },
};

use crate::common::{Hand, KEY};

/// GPOs that apply one after the other, each with its records.
fn pass(gpos: &[&[Record]]) -> Pass {
    let mut hand = Hand::new(&["U"]);
    for (number, records) in (1..).zip(gpos) {
        let gpo = hand.gpo(&format!("G{number}"), "OU=U,DC=t", 0);
        hand.records(&gpo, records);
    }
    hand.computer()
}

fn number(pass: &Pass, key: &str, name: &str) -> Option<u64> {
    let data = pass.settings.value(key, name)?;
    match value::typed(data.kind, &data.octets) {
        Ok(Value::Number(number)) => Some(number),
        _ => None,
    }
}

fn directive(key: &str, name: &str, content: &str) -> Record {
    Record::sz(key, name, content)
}

/// The GPO that wins, whether it deletes, and the ones that lose.
fn chain(pass: &Pass, name: &str) -> (String, bool, Vec<String>) {
    let says = pass.settings.says(KEY, name);
    let winner = winner(says).unwrap();
    let name = |link: usize| pass.links[link].gpo_name();
    (name(winner.link), winner.data.is_none(), losers(says).map(|say| name(say.link)).collect())
}

#[test]
fn the_last_gpo_wins_and_the_others_stand_in_their_order() {
    let one = [Record::dword(KEY, "X", 1)];
    let two = [Record::dword(KEY, "X", 2), Record::dword(&KEY.to_uppercase(), "x", 3)];
    let three = [Record::dword(KEY, "X", 4)];

    let pass = pass(&[&one, &two, &three]);

    assert_eq!(number(&pass, KEY, "x"), Some(4));
    assert_eq!(chain(&pass, "X"), ("G3".to_owned(), false, vec!["G2".to_owned(), "G1".to_owned()]));
    assert_eq!(pass.settings.says(KEY, "X").len(), 3, "one say for each GPO");
}

#[test]
fn a_deletion_is_a_state_of_its_own() {
    let pass = pass(&[
        &[Record::dword(KEY, "X", 1), Record::dword(KEY, "Y", 1), Record::dword(KEY, "Z", 1)],
        &[
            directive(KEY, "**del.X", " "),
            directive(KEY, "**DeleteValues", "y; nothing"),
            directive(KEY, "**del.New", " "),
        ],
    ]);

    assert_eq!(chain(&pass, "X"), ("G2".to_owned(), true, vec!["G1".to_owned()]));
    assert_eq!(chain(&pass, "Y"), ("G2".to_owned(), true, vec!["G1".to_owned()]));
    assert_eq!(chain(&pass, "New"), ("G2".to_owned(), true, vec![]));
    assert_eq!(number(&pass, KEY, "Z"), Some(1));
    assert!(pass.settings.says(KEY, "Never").is_empty());
}

#[test]
fn all_values_of_a_key_are_deleted_before_a_list_is_set_anew() {
    let below = format!("{KEY}\\Below");
    let pass = pass(&[
        &[Record::dword(KEY, "1", 1), Record::dword(KEY, "2", 2), Record::dword(&below, "1", 3)],
        &[directive(KEY, "**delvals.", " "), Record::dword(KEY, "1", 9)],
    ]);

    assert_eq!(number(&pass, KEY, "1"), Some(9));
    assert_eq!(chain(&pass, "2"), ("G2".to_owned(), true, vec!["G1".to_owned()]));
    assert_eq!(number(&pass, &below, "1"), Some(3), "a key below is another key");
    assert_eq!(pass.settings.keys[0].2, KeyOperation::DeleteValues);
}

#[test]
fn a_deleted_key_takes_all_below_with_it() {
    let key = |rest: &str| format!("{KEY}{rest}");
    let pass = pass(&[
        &[
            Record::dword(&key("\\A"), "x", 1),
            Record::dword(&key("\\A\\Deep"), "x", 1),
            Record::dword(&key("\\A!"), "x", 1),
            Record::dword(&key("\\AB"), "x", 1),
            Record::dword(KEY, "A", 1),
        ],
        &[directive(KEY, "**DeleteKeys", "a;none")],
    ]);

    assert_eq!(number(&pass, &key("\\A"), "x"), None);
    assert_eq!(number(&pass, &key("\\A\\Deep"), "x"), None);
    for kept in [key("\\A!"), key("\\AB")] {
        assert_eq!(number(&pass, &kept, "x"), Some(1), "{kept}");
    }
    assert_eq!(number(&pass, KEY, "A"), Some(1));
}

#[test]
fn a_soft_value_is_set_only_where_none_is() {
    let soft = |number| Record::dword(KEY, "**soft.X", number);
    let set = |number| Record::dword(KEY, "X", number);

    assert_eq!(number(&pass(&[&[soft(1)]]), KEY, "X"), Some(1));
    let kept = pass(&[&[set(1)], &[soft(2)]]);
    assert_eq!(number(&kept, KEY, "X"), Some(1));
    assert_eq!(chain(&kept, "X"), ("G1".to_owned(), false, vec!["G2".to_owned()]));
    assert_eq!(number(&pass(&[&[soft(1)], &[set(2)]]), KEY, "X"), Some(2));
    assert_eq!(number(&pass(&[&[set(1)], &[directive(KEY, "**del.X", " "), soft(2)]]), KEY, "X"), Some(2));
    assert_eq!(number(&pass(&[&[set(1), soft(2)]]), KEY, "X"), Some(1));
}

#[test]
fn what_concerns_a_key_alone_is_kept_beside_the_settings() {
    let create = Record { key: KEY.to_owned(), value: String::new(), kind: 0, data: Vec::new() };
    let pass = pass(&[&[
        create,
        Record::dword(KEY, "**SecureKey", 1),
        Record::dword(KEY, "**odd", 1),
        Record::dword(KEY, "", 5),
    ]]);

    let words: Vec<_> = pass.settings.keys.iter().map(|(_, _, operation)| operation.word()).collect();
    assert_eq!(words, ["create-key", "lock-key", "unknown-directive"]);
    assert_eq!(number(&pass, KEY, ""), Some(5), "the key's default value");
    assert_eq!(pass.settings.len(), 1);
}

#[test]
fn only_a_known_number_asks_for_loopback() {
    let mode = |record: Record| {
        let mut hand = Hand::new(&["U"]);
        let gpo = hand.gpo("G", "OU=U,DC=t", 0);
        hand.records(&gpo, &[record]);
        hand.resultant().loopback
    };
    let key = "Software\\Policies\\Microsoft\\Windows\\System";

    assert_eq!(mode(Record::dword(key, "UserPolicyMode", 1)), Loopback::Merge);
    assert_eq!(mode(Record::dword(key, "userpolicymode", 2)), Loopback::Replace);
    assert_eq!(mode(Record::dword(key, "UserPolicyMode", 3)), Loopback::Normal);
    assert_eq!(mode(Record::sz(key, "UserPolicyMode", "1")), Loopback::Normal);
}
