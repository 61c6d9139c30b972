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
    let sqlite = include_str!("../../migrations/sqlite/0001_first/up.sql");
    let postgres = include_str!("../../migrations/postgres/0001_first/up.sql");

    assert_eq!(sqlite.replace("BLOB", "BYTEA"), postgres);
}
