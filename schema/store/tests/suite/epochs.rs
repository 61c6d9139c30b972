//! The epoch: one active core for each database.

use std::{sync::mpsc, time::Duration};

use postern_store::{Activity, Options, Store, WriteError, meta};

use super::{Ground, brisk, open, together};

/// A core that holds the epoch and then does nothing: it does not renew.
fn silent(ground: &Ground) -> Options {
    Options { renew_every: Duration::from_secs(3600), ..brisk(ground.options()) }
}

fn activity(store: &Store) -> Activity {
    *store.activity().borrow()
}

fn wait_until_active(store: &Store) -> bool {
    together(vec![store.active()])[0]
}

pub(crate) fn a_second_core_takes_over_and_the_first_can_write_no_more(ground: &Ground) {
    let first = open(silent(ground));
    first.write_blocking(|tx| meta::set(tx, "by", "first")).expect("the first is active");
    let second = open(brisk(ground.options()));

    assert!(wait_until_active(&second));
    let late = first.write_blocking(|tx| meta::set(tx, "by", "first, late"));

    assert_eq!(late, Err(WriteError::NotActive));
    assert_eq!(activity(&first), Activity::Lost);
    assert_eq!(first.write_blocking(|tx| meta::set(tx, "by", "first, again")), Err(WriteError::NotActive));
    let by = second.read_blocking(|r| meta::get(r, "by")).expect("a read");
    assert_eq!(by.as_deref(), Some("first"), "nothing of the late writes is there");
    second.write_blocking(|tx| meta::set(tx, "by", "second")).expect("the second is active");
    first.shutdown();
    assert!(matches!(activity(&second), Activity::Active { epoch: 2 }));
    second.write_blocking(|tx| meta::set(tx, "by", "second")).expect("the first's end changes nothing");
    second.shutdown();
}

pub(crate) fn a_standby_writes_nothing(ground: &Ground) {
    let first = ground.open();
    let second = ground.open();

    let refused = second.write_blocking(|tx| meta::set(tx, "by", "standby"));

    assert_eq!(refused, Err(WriteError::NotActive));
    assert_eq!(activity(&second), Activity::Standby);
    assert_eq!(second.read_blocking(|r| meta::get(r, "by")), Ok(None), "reading is allowed");
    second.shutdown();
    first.shutdown();
}

pub(crate) fn a_core_that_stops_in_order_is_followed_at_once(ground: &Ground) {
    let patient = |options: Options| Options { patience: Duration::from_secs(3600), ..brisk(options) };
    let first = open(patient(ground.options()));
    let second = open(patient(ground.options()));
    assert_eq!(activity(&second), Activity::Standby);

    first.shutdown();

    assert!(wait_until_active(&second), "although its patience is an hour");
    second.shutdown();
}

pub(crate) fn a_holder_that_renews_is_not_taken_over_from(ground: &Ground) {
    let first = open(brisk(ground.options()));
    let second = open(Options { patience: Duration::from_secs(3), ..brisk(ground.options()) });

    std::thread::sleep(Duration::from_secs(4));

    assert_eq!(activity(&second), Activity::Standby);
    first.write_blocking(|tx| meta::set(tx, "by", "first")).expect("the first is still active");
    second.shutdown();
    first.shutdown();
}

/// The check at the start of a batch holds until its COMMIT: a take-over has to wait for it.
pub(crate) fn a_write_of_a_core_that_was_taken_over_from_is_rolled_back(ground: &Ground) {
    let first = open(silent(ground));
    let (started, running) = mpsc::channel();
    let (release, held) = mpsc::channel::<()>();
    let slow = first.write(move |tx| {
        let _ = started.send(());
        let _ = held.recv();
        meta::set(tx, "by", "first")
    });
    running.recv().expect("the write is under way");
    let second = open(brisk(ground.options()));
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(
        activity(&second),
        Activity::Standby,
        "it waits for the transaction, not only for its patience"
    );

    drop(release);
    let ended = together(vec![slow]);
    assert!(wait_until_active(&second));

    let by = second.read_blocking(|r| meta::get(r, "by")).expect("a read");
    assert_eq!(ended[0].is_ok(), by.is_some(), "acknowledged if and only if it is there: {ended:?}");
    assert_eq!(first.write_blocking(|tx| meta::set(tx, "by", "late")), Err(WriteError::NotActive));
    second.shutdown();
    first.shutdown();
}
