//! Migrations.

use super::Ground;

pub(crate) fn a_fresh_database_is_migrated_once(ground: &Ground) {
    let first = ground.open();
    first.write_blocking(|tx| postern_store::meta::set(tx, "colour", "green")).expect("a write");
    first.shutdown();

    let second = ground.open();
    let value = second.read_blocking(|r| postern_store::meta::get(r, "colour")).expect("a read");

    assert_eq!(value.as_deref(), Some("green"));
    second.shutdown();
}

pub(crate) fn cores_that_start_together_migrate_once_and_one_is_active(ground: &Ground) {
    use postern_store::Activity;
    let stores: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| ground.open())).collect();
        threads.into_iter().map(|thread| thread.join().expect("it opens")).collect()
    });

    let active = stores.iter().filter(|s| matches!(*s.activity().borrow(), Activity::Active { .. })).count();

    assert_eq!(active, 1);
    for store in stores {
        store.shutdown();
    }
}

/// The two files differ in the octet type only, so what is true of one is true of the other.
pub(crate) fn both_backends_have_the_same_tables(_ground: &Ground) {
    let folder = |backend| std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(backend);
    let names = |backend| {
        let entries = std::fs::read_dir(folder(backend)).expect("the migrations");
        let mut names: Vec<_> = entries.map(|entry| entry.expect("an entry").file_name()).collect();
        names.sort();
        names
    };
    assert_eq!(names("sqlite"), names("postgres"));
    for name in names("sqlite") {
        let text =
            |backend| std::fs::read_to_string(folder(backend).join(&name).join("up.sql")).expect("a file");
        assert_eq!(text("sqlite").replace("BLOB", "BYTEA"), text("postgres"), "{name:?}");
    }
}

/// SQLite parses a statement again at each binding while its table has such an index (measured: half of a read).
pub(crate) fn the_tables_of_a_check_in_have_no_partial_index(_ground: &Ground) {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations/sqlite");
    let mut names: Vec<_> = std::fs::read_dir(folder)
        .expect("the migrations")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    names.sort();
    let mut partial = std::collections::BTreeMap::new();
    for name in names {
        let text = std::fs::read_to_string(name.join("up.sql")).expect("a file");
        for statement in text.split(';') {
            let words: Vec<&str> = statement
                .lines()
                .filter(|line| !line.trim_start().starts_with("--"))
                .flat_map(str::split_whitespace)
                .collect();
            match words.as_slice() {
                ["DROP", "INDEX", index] => drop(partial.remove(*index)),
                ["CREATE", "INDEX", index, "ON", table, rest @ ..]
                | ["CREATE", "UNIQUE", "INDEX", index, "ON", table, rest @ ..]
                    if rest.contains(&"WHERE") =>
                {
                    partial.insert((*index).to_owned(), (*table).to_owned());
                }
                _ => {}
            }
        }
    }
    for table in ["enrolments", "commands_pending", "commands_done", "timeline", "results", "sessions"] {
        assert!(!partial.values().any(|other| other == table), "{table}: {partial:?}");
    }
}
