//! The epoch: one active core for each database.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
        mpsc,
    },
    time::Duration,
};

use postern_store::{Activity, Ambient, Options, Store, WriteError, meta};

use super::{Ground, brisk, open, together};

/// A core that holds the epoch and then does nothing: it does not renew.
fn silent(ground: &Ground) -> Options {
    Options { renew_every: Duration::from_secs(3600), ..brisk(ground.options()) }
}

/// A stop-watch that a test moves on, and how often its core asked for the time of day: once for each look of a standby
/// and for each batch or renewal of the active one.
#[derive(Clone, Default)]
struct Watch {
    added_ms: Arc<AtomicU64>,
    asked: Arc<AtomicU64>,
}

impl Watch {
    fn open(&self, options: Options) -> Store {
        let (machine, of) = (Ambient::system(), self.clone());
        let (now, elapsed) = (machine.now.clone(), machine.elapsed.clone());
        let counted = move || {
            of.asked.fetch_add(1, SeqCst);
            now()
        };
        let added_ms = self.added_ms.clone();
        let moved_on = move || elapsed() + Duration::from_millis(added_ms.load(SeqCst));
        let ambient = Ambient { now: Arc::new(counted), elapsed: Arc::new(moved_on), ..machine };
        Store::open(options, ambient).expect("the store opens")
    }

    fn advance(&self, by: Duration) {
        self.added_ms.fetch_add(u64::try_from(by.as_millis()).expect("some hours"), SeqCst);
    }

    /// Waits until its core began this again so often. When it began twice, it did it once from begin to end.
    fn begins(&self, times: u64) {
        let from = self.asked.load(SeqCst);
        for _ in 0..3000 {
            if self.asked.load(SeqCst) >= from + times {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("waited in vain: asked {from} times, and now {}", self.asked.load(SeqCst));
    }
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
    let (at_first, at_second) = (Watch::default(), Watch::default());
    let first = at_first.open(brisk(ground.options()));
    let patience = Duration::from_secs(3600);
    let second = at_second.open(Options { patience, ..brisk(ground.options()) });

    // Three hours pass for the standby, and between any two of its steps the first renewed and the standby saw it.
    for _ in 0..4 {
        at_first.begins(3);
        at_second.begins(2);
        at_second.advance(patience * 3 / 4);
        at_second.begins(2);
        assert_eq!(activity(&second), Activity::Standby);
    }
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
    let watch = Watch::default();
    let second = watch.open(brisk(ground.options()));
    watch.advance(Duration::from_secs(3600));
    watch.begins(1);
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
