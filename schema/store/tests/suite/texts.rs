//! Text from devices is hostile.

use postern_store::facts::{self, Fact};

use super::{Ground, enrolment, now};

pub(crate) fn hostile_text_comes_back_the_same_on_both(ground: &Ground) {
    let store = ground.open();
    let device = enrolment("'; DROP TABLE enrolments; --");
    let id = device.id;
    let texts = [
        "",
        "'",
        "\"; --",
        "\u{202e}txt.exe",
        "\u{0}",
        "a\u{0}b",
        "\u{1b}[2J",
        "\u{10ffff}",
        "line\r\nline",
        "\\",
    ];
    let all: Vec<Fact> = texts
        .iter()
        .enumerate()
        .map(|(n, text)| Fact {
            enrolment: id,
            key: format!("key {n}"),
            value: (*text).to_owned(),
            source: "device".to_owned(),
            at: now(),
        })
        .collect();
    let rows = all.clone();
    store
        .write_blocking(move |tx| {
            postern_store::enrolments::insert(tx, device.clone())?;
            facts::set(tx, &rows)
        })
        .expect("a write");

    let found = store.read_blocking(move |r| facts::of(r, id)).expect("a read");

    let expected: Vec<String> = texts.iter().map(|text| text.replace('\0', "\u{FFFD}")).collect();
    assert_eq!(found.iter().map(|f| f.value.clone()).collect::<Vec<_>>(), expected);
    let again = all.clone();
    assert_eq!(
        store.write_blocking(move |tx| facts::set(tx, &again)),
        Ok(0),
        "the same values change nothing"
    );
    store.shutdown();
}
