//! Imported descriptions, readings of trees and their snapshots.

use postern_store::{
    Store, StoreError, WriteError, ddfs, enrolments,
    trees::{self, OPEN, READINGS, SNAPSHOT_OCTETS, SNAPSHOTS, StoredReading, StoredSnapshot},
};
use postern_wire::terms::{EnrolmentId, UtcMillis};
use uuid::Uuid;

use super::{Ground, enrolment, fresh, now};

fn device(store: &Store, name: &str) -> EnrolmentId {
    let row = enrolment(name);
    let id = row.id;
    store.write_blocking(move |tx| enrolments::insert(tx, row.clone())).expect("an enrolment");
    id
}

fn snapshot(enrolment: EnrolmentId, at: i64, octets: i64) -> StoredSnapshot {
    StoredSnapshot {
        id: fresh(),
        enrolment,
        uri: "./A".to_owned(),
        whole: true,
        nodes: 3,
        octets,
        mounts: "{}".to_owned(),
        document: b"{}".to_vec(),
        at: UtcMillis(at),
    }
}

fn keep(store: &Store, snapshot: &StoredSnapshot) {
    let snapshot = snapshot.clone();
    store.write_blocking(move |tx| trees::keep(tx, snapshot.clone())).expect("kept");
}

fn reading(enrolment: EnrolmentId) -> StoredReading {
    StoredReading {
        id: fresh(),
        enrolment,
        uri: ".".to_owned(),
        levels: 0,
        state: trees::STATE_OPEN.to_owned(),
        cause: "asked".to_owned(),
        step: 0,
        asked: 0,
        machine: b"{}".to_vec(),
        operation: None,
        snapshot: None,
        asked_by: "someone".to_owned(),
        reason: String::new(),
        created_at: now(),
        updated_at: now(),
    }
}

fn begin(store: &Store, reading: &StoredReading) -> Result<(), WriteError> {
    let reading = reading.clone();
    store.write_blocking(move |tx| trees::begin(tx, reading.clone()))
}

pub(crate) fn an_imported_description_takes_the_place_of_the_one_with_its_name(ground: &Ground) {
    let store = ground.open();
    let ddf = |name: &str, document: &[u8]| ddfs::StoredDdf {
        name: name.to_owned(),
        document: document.to_vec(),
        nodes: 1,
        skipped: 2,
        set_by: "someone".to_owned(),
        at: UtcMillis(0),
        revision: 0,
    };
    let put = |row: ddfs::StoredDdf| store.write_blocking(move |tx| ddfs::put(tx, row.clone())).expect("put");
    let version = || store.read_blocking(ddfs::version).expect("a read");
    assert_eq!(version(), 0);
    assert_eq!(put(ddf("b", b"\x00\xff")).revision, 1);
    assert_eq!(put(ddf("a", b"x")).revision, 1);
    assert_eq!(put(ddf("b", b"y")).revision, 2);
    assert_eq!(version(), 3);

    let all = store.read_blocking(ddfs::list).expect("a read");

    let seen: Vec<_> = all.iter().map(|row| (row.name.as_str(), row.document.as_slice())).collect();
    assert_eq!(seen, [("a", &b"x"[..]), ("b", b"y")]);
    assert!(store.write_blocking(|tx| ddfs::remove(tx, "a")).expect("removed"));
    assert!(!store.write_blocking(|tx| ddfs::remove(tx, "a")).expect("no error"));
    assert_eq!((version(), store.read_blocking(|r| ddfs::find(r, "a")).expect("a read")), (4, None));
    store.shutdown();
}

pub(crate) fn snapshots_of_a_device_are_bounded_by_number_and_by_octets(ground: &Ground) {
    let store = ground.open();
    let (one, other) = (device(&store, "one"), device(&store, "other"));
    keep(&store, &snapshot(other, 1, 10));
    let all: Vec<_> = (0..SNAPSHOTS + 3).map(|at| snapshot(one, at, 10)).collect();
    all.iter().for_each(|snapshot| keep(&store, snapshot));

    let kept = store.read_blocking(move |r| trees::snapshots(r, one)).expect("a read");

    assert_eq!(kept.len() as i64, SNAPSHOTS);
    assert_eq!((kept[0].at, kept.last().map(|head| head.at)), (UtcMillis(SNAPSHOTS + 2), Some(UtcMillis(3))));
    let large = snapshot(one, 1000, SNAPSHOT_OCTETS + 1);
    keep(&store, &large);
    let kept = store.read_blocking(move |r| trees::snapshots(r, one)).expect("a read");
    assert_eq!(kept.iter().map(|head| head.id).collect::<Vec<_>>(), [large.id], "the newest stays");
    let found = store.read_blocking(move |r| trees::snapshot(r, one, large.id)).expect("a read");
    assert_eq!(found, Some(large.clone()));
    let of_another = store.read_blocking(move |r| trees::snapshot(r, other, large.id)).expect("a read");
    assert_eq!(of_another, None);
    assert_eq!(store.read_blocking(move |r| trees::snapshots(r, other)).expect("a read").len(), 1);
    assert!(store.write_blocking(move |tx| trees::remove(tx, one, large.id)).expect("removed"));
    store.shutdown();
}

pub(crate) fn a_reading_takes_each_step_once(ground: &Ground) {
    let store = ground.open();
    let row = reading(device(&store, "d"));
    begin(&store, &row).expect("begun");
    let open = || store.read_blocking(|r| trees::open(r, 10)).expect("a read");
    assert_eq!(open(), [row.id]);
    let next = StoredReading { step: 1, asked: 2, ..row.clone() };
    let advance = |from: i64, row: &StoredReading| {
        let row = row.clone();
        store.write_blocking(move |tx| trees::advance(tx, from, row.clone()))
    };
    assert_eq!(advance(0, &next), Ok(()));

    let again = advance(0, &next);

    assert!(matches!(again, Err(WriteError::Rejected(StoreError::Conflict(_)))), "{again:?}");
    let done = StoredReading { step: 2, state: "done".to_owned(), snapshot: Some(fresh()), ..next };
    assert_eq!(advance(1, &done), Ok(()));
    assert_eq!(open(), Vec::<Uuid>::new());
    let found = store.read_blocking(move |r| trees::reading(r, row.id)).expect("a read");
    assert_eq!(found, Some(done.clone()));
    assert!(advance(2, &done).is_err(), "what has ended goes on no more");
    store.shutdown();
}

pub(crate) fn readings_of_a_device_are_bounded(ground: &Ground) {
    let store = ground.open();
    let id = device(&store, "d");
    for _ in 0..OPEN {
        begin(&store, &reading(id)).expect("begun");
    }

    let one_more = begin(&store, &reading(id));

    assert!(matches!(one_more, Err(WriteError::Rejected(StoreError::Refused(_)))), "{one_more:?}");
    for open in store.read_blocking(|r| trees::open(r, 100)).expect("a read") {
        let row = store.read_blocking(move |r| trees::reading(r, open)).expect("a read").expect("a row");
        let done = StoredReading { state: "done".to_owned(), step: 1, ..row };
        store.write_blocking(move |tx| trees::advance(tx, 0, done.clone())).expect("done");
    }
    let mut ids = Vec::new();
    for _ in 0..READINGS {
        let row = reading(id);
        ids.push(row.id);
        begin(&store, &row).expect("begun");
        let done = StoredReading { state: "failed".to_owned(), step: 1, ..row };
        store.write_blocking(move |tx| trees::advance(tx, 0, done.clone())).expect("done");
    }
    let left = ids.iter().filter(|id| {
        let id = **id;
        store.read_blocking(move |r| trees::reading(r, id)).expect("a read").is_some()
    });
    assert_eq!(left.count() as i64, READINGS - OPEN + 1);
    store.shutdown();
}
