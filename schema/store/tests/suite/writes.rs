//! The writer.

use std::sync::mpsc::{self, Receiver, Sender};

use postern_store::{Options, Store, StoreError, WriteError, enrolments, meta};
use tokio::sync::oneshot::{self, error::TryRecvError};

use super::{Ground, enrolment, open, together};

/// Holds the writer inside a transaction until the sender goes, so that what is submitted meanwhile shares the
/// next one.
fn plug(store: &Store) -> Sender<()> {
    let (release, held) = mpsc::channel::<()>();
    let (started, running) = mpsc::channel::<()>();
    drop(store.write(move |_| {
        let _ = started.send(());
        let _ = held.recv();
        Ok(())
    }));
    running.recv().expect("the writer runs the plug");
    release
}

fn set(store: &Store, key: &'static str) -> impl Future<Output = Result<(), WriteError>> + use<> {
    store.write(move |tx| meta::set(tx, key, "set"))
}

fn is_set(store: &Store, key: &'static str) -> bool {
    store.read_blocking(move |r| meta::get(r, key)).expect("a read").is_some()
}

pub(crate) fn a_write_is_acknowledged_only_after_commit(ground: &Ground) {
    let store = ground.open();
    let release = plug(&store);
    let (told, mut answer) = oneshot::channel();
    let first = set(&store, "first");
    std::thread::spawn(move || told.send(together(vec![first])));
    let (second_started, second_runs): (Sender<()>, Receiver<()>) = mpsc::channel();
    let (second_release, second_held) = mpsc::channel::<()>();
    let second = store.write(move |_| {
        let _ = second_started.send(());
        let _ = second_held.recv();
        Ok(())
    });

    drop(release);
    second_runs.recv().expect("the second job runs, so the first has run in the same transaction");

    assert_eq!(answer.try_recv(), Err(TryRecvError::Empty), "not acknowledged before COMMIT");
    assert!(!is_set(&store, "first"), "not visible before COMMIT");
    drop(second_release);
    assert_eq!(together(vec![second]), vec![Ok(())]);
    assert_eq!(answer.blocking_recv(), Ok(vec![Ok(())]));
    assert!(is_set(&store, "first"));
    store.shutdown();
}

pub(crate) fn a_failed_job_does_not_take_its_batch_with_it(ground: &Ground) {
    let store = ground.open();
    let device = enrolment("IMEI:1");
    let twin = device.clone();
    let release = plug(&store);
    let before = set(&store, "before");
    let good = store.write(move |tx| enrolments::insert(tx, device.clone()));
    let bad = store.write(move |tx| {
        meta::set(tx, "half", "done")?;
        enrolments::insert(tx, twin.clone())
    });
    let after = set(&store, "after");

    drop(release);
    let answers = together(vec![
        Box::pin(before) as std::pin::Pin<Box<dyn Future<Output = _>>>,
        Box::pin(good),
        Box::pin(bad),
        Box::pin(after),
    ]);

    assert!(matches!(&answers[2], Err(WriteError::Rejected(StoreError::Conflict(_)))), "{answers:?}");
    assert_eq!([&answers[0], &answers[1], &answers[3]], [&Ok(()), &Ok(()), &Ok(())]);
    assert!(is_set(&store, "before") && is_set(&store, "after"));
    assert!(!is_set(&store, "half"), "what the failed job did before it failed is rolled back");
    store.shutdown();
}

pub(crate) fn a_job_that_panics_fails_alone(ground: &Ground) {
    let store = ground.open();
    let release = plug(&store);
    let good = set(&store, "good");
    let bad = store.write::<(), _>(|tx| {
        meta::set(tx, "bad", "half done")?;
        panic!("a bug in a caller")
    });

    drop(release);
    let answers = together(vec![Box::pin(good) as std::pin::Pin<Box<dyn Future<Output = _>>>, Box::pin(bad)]);

    assert_eq!(answers[0], Ok(()));
    assert!(
        matches!(&answers[1], Err(WriteError::Rejected(StoreError::Database(why))) if why.contains("a bug in a caller"))
    );
    assert!(is_set(&store, "good") && !is_set(&store, "bad"));
    store.shutdown();
}

/// PostgreSQL answers COMMIT with success, and rolls back, when a statement failed before it.
pub(crate) fn a_swallowed_error_does_not_lose_the_batch(ground: &Ground) {
    let store = ground.open();
    let device = enrolment("IMEI:1");
    let twin = device.clone();
    store.write_blocking(move |tx| enrolments::insert(tx, device.clone())).expect("a write");
    let release = plug(&store);
    let good = set(&store, "good");
    let careless = store.write(move |tx| {
        let _ = enrolments::insert(tx, twin.clone());
        Ok(())
    });

    drop(release);
    let answers =
        together(vec![Box::pin(good) as std::pin::Pin<Box<dyn Future<Output = _>>>, Box::pin(careless)]);

    assert_eq!(answers[0], Ok(()));
    assert!(is_set(&store, "good"), "an acknowledged write is there");
    store.shutdown();
}

pub(crate) fn a_full_queue_refuses_but_lets_a_wipe_through(ground: &Ground) {
    let store = open(Options { queue_limit: 2, urgent_reserve: 1, ..ground.options() });
    let release = plug(&store);
    let waiting = vec![set(&store, "one"), set(&store, "two")];

    let refused = together(vec![set(&store, "three")]);
    let wipe = store.write_urgent(|tx| meta::set(tx, "wipe", "set"));
    let second_wipe = together(vec![store.write_urgent(|tx| meta::set(tx, "wipe 2", "set"))]);

    assert_eq!(refused, vec![Err(WriteError::Overloaded)]);
    assert_eq!(second_wipe, vec![Err(WriteError::Overloaded)], "the reserve is bounded too");
    drop(release);
    assert_eq!(together(vec![wipe]), vec![Ok(())]);
    assert_eq!(together(waiting), vec![Ok(()), Ok(())]);
    assert!(is_set(&store, "wipe") && !is_set(&store, "three"));
    store.shutdown();
}

pub(crate) fn writes_after_a_shutdown_are_refused(ground: &Ground) {
    let store = ground.open();
    let before = set(&store, "before");
    store.shutdown();

    assert_eq!(together(vec![before]), vec![Ok(())], "what waited is committed first");
    assert_eq!(together(vec![set(&store, "after")]), vec![Err(WriteError::Stopped)]);
    assert_eq!(store.read_blocking(|r| meta::get(r, "before")), Err(postern_store::ReadError::Stopped));
}

pub(crate) fn many_callers_share_few_transactions(ground: &Ground) {
    let store = ground.open();
    let release = plug(&store);
    let jobs: Vec<_> =
        (0..300).map(|n| store.write(move |tx| meta::set(tx, &format!("key {n}"), "set"))).collect();

    drop(release);
    let answers = together(jobs);

    assert!(answers.iter().all(Result::is_ok));
    let batches = store.read_blocking(postern_store::meta::batches).expect("a read");
    assert!(batches <= 6, "300 writes in {batches} transactions of at most 256");
    store.shutdown();
}

pub(crate) fn each_batch_leaves_its_id(ground: &Ground) {
    let store = ground.open();
    let before = store.read_blocking(postern_store::meta::batches).expect("a read");

    store.write_blocking(|tx| meta::set(tx, "a", "b")).expect("a write");

    let after = store.read_blocking(postern_store::meta::batches).expect("a read");
    assert!(after > before);
    store.shutdown();
}
