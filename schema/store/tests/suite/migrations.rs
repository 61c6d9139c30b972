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
