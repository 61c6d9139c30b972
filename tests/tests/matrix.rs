//! The matrix of docs/THREATS.md and the suite of the captured gateway say the same: every cell has its test, every
//! test its cell, and every test that the document names is there.
#![forbid(unsafe_code)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

const CLASSES: [&str; 5] = ["basic", "md5", "certificate", "mac", "signed"];
const ATTACKS: [&str; 7] = ["forge up", "forge down", "read", "replay up", "replay down", "mix up", "hide"];

#[test]
fn every_cell_of_the_matrix_has_a_test_of_the_captured_gateway_and_every_such_test_a_cell() {
    let (named, suite) = (named_by_cell(), tests_of(&root().join("tests/tests/captured")));
    for class in CLASSES {
        for attack in ATTACKS {
            let cell = format!("{class} × {attack}");
            let tests = named.get(&cell).unwrap_or_else(|| panic!("docs/THREATS.md has no row {cell:?}"));
            assert!(tests.iter().any(|test| suite.contains(test)), "{cell}: no test of tests/tests/captured");
        }
    }
    let all: BTreeSet<&String> = named.values().flatten().collect();
    for test in &suite {
        assert!(all.contains(test), "{test} stands in no row of docs/THREATS.md");
    }
}

#[test]
fn a_cell_says_yes_or_no_and_its_tests_are_named_so() {
    let text = threats();
    let header = text.lines().find(|line| line.starts_with("| class |")).expect("the matrix");
    let attacks: Vec<&str> = cells(header).skip(1).collect();
    for (number, attack) in ATTACKS.iter().enumerate() {
        assert!(
            attacks[number].starts_with(attack),
            "column {number} is {:?}, not {attack}",
            attacks[number]
        );
    }
    let named = named_by_cell();
    for class in CLASSES {
        let row = text.lines().find(|line| line.starts_with(&format!("| {class} |"))).expect("a class's row");
        for (verdict, attack) in cells(row).skip(1).zip(ATTACKS) {
            let refused = verdict.starts_with("no");
            assert!(
                refused || verdict.starts_with("yes") || verdict.starts_with("while"),
                "{class} × {attack}: {verdict:?}"
            );
            let says_no = |test: &String| {
                ["cannot", "refuse", "keeps_the_gateway", "not_wiped"].iter().any(|word| test.contains(word))
            };
            let tests = &named[&format!("{class} × {attack}")];
            if refused {
                assert!(tests.iter().any(says_no), "{class} × {attack} says no, and no test does: {tests:?}");
            } else {
                assert!(
                    !tests.iter().all(says_no),
                    "{class} × {attack} says yes, and every test says no: {tests:?}"
                );
            }
        }
    }
}

#[test]
fn every_test_that_the_document_names_is_there() {
    let mut all = BTreeSet::new();
    for room in ["actors", "core", "ctl", "device", "gateway", "schema", "tests"] {
        all.extend(tests_of(&root().join(room)));
    }
    let text = threats();
    for name in text.split('`').skip(1).step_by(2) {
        let is_a_test = name.matches('_').count() >= 3
            && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        if is_a_test {
            assert!(all.contains(name), "docs/THREATS.md names {name}, which is no test");
        }
    }
}

fn threats() -> String {
    fs::read_to_string(root().join("docs/THREATS.md")).expect("the document is part of the checkout")
}

fn cells(row: &str) -> impl Iterator<Item = &str> {
    row.trim_matches('|').split('|').map(str::trim)
}

/// The rows of the table of tests: cell, tests.
fn named_by_cell() -> BTreeMap<String, BTreeSet<String>> {
    let text = threats();
    let after = text.split_once("| cell | test |").expect("the table of tests").1;
    after
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(|row| {
            let mut cells = cells(row);
            let cell = cells.next().unwrap_or_default().to_owned();
            let tests = cells.next().unwrap_or_default();
            (cell, tests.split('`').skip(1).step_by(2).map(str::to_owned).collect())
        })
        .collect()
}

/// The functions that stand right under `#[test]` or a runtime's own test attribute, in all files of a folder.
fn tests_of(folder: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of the checkout").flatten() {
            let path: PathBuf = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                collect(&fs::read_to_string(&path).expect("source text"), &mut found);
            }
        }
    }
    found
}

fn collect(source: &str, found: &mut BTreeSet<String>) {
    let mut due = false;
    for line in source.lines().map(str::trim) {
        if line == "#[test]" || line.ends_with("::test]") || line.contains("::test(") {
            due = true;
        } else if due && let Some(rest) = line.split_once("fn ").map(|(_, rest)| rest) {
            found.insert(rest.split(['(', '<']).next().unwrap_or_default().to_owned());
            due = false;
        }
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the checkout")
}
