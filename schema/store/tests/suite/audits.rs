//! The audit chain.

use postern_store::{
    Store, StoreError, WriteError,
    audit::{self, Act, Verdict},
    meta,
};
use postern_wire::terms::UtcMillis;

use super::{Ground, now};

fn act(n: usize) -> Act {
    Act {
        actor: "admin:ada".to_owned(),
        action: "device.enrol".to_owned(),
        object: format!("device:{n}"),
        outcome: "ok".to_owned(),
        detail: "{\"umlaut\":\"ü\"}".to_owned(),
        source: "192.0.2.1".to_owned(),
        request: "r".to_owned(),
    }
}

fn with_rows(ground: &Ground, count: usize) -> Store {
    let store = ground.open();
    for n in 0..count {
        store.write_blocking(move |tx| audit::append(tx, act(n))).expect("a row");
    }
    store
}

fn verdict(store: &Store) -> Verdict {
    store.read_blocking(|r| audit::verify(r, 0, None, 1000)).expect("a read")
}

/// Changes the database behind the store's back, as somebody with its password could.
fn tamper(ground: &Ground, sql: &str) {
    let store = ground.open();
    let sql = sql.to_owned();
    store.write_blocking(move |tx| postern_store::testkit::run(tx, &sql)).expect("tampered");
    store.shutdown();
}

pub(crate) fn the_chain_is_whole(ground: &Ground) {
    let store = with_rows(ground, 5);

    let last = store.read_blocking(audit::last).expect("a read").expect("five rows");
    assert_eq!(verdict(&store), Verdict::Whole { first: 1, last: 5, hash: last.1 });
    let part = store.read_blocking(|r| audit::verify(r, 0, None, 2)).expect("a read");
    let Verdict::Whole { last: 2, hash, .. } = part else { panic!("{part:?}") };
    let rest = store.read_blocking(move |r| audit::verify(r, 2, Some(hash), 100)).expect("a read");
    assert_eq!(rest, Verdict::Whole { first: 3, last: 5, hash: last.1 });
    let of_one = store.read_blocking(|r| audit::list(r, Some("device:3"), None, 10)).expect("a read");
    assert_eq!(of_one.len(), 1);
    store.shutdown();
}

pub(crate) fn a_changed_row_breaks_the_chain(ground: &Ground) {
    with_rows(ground, 5).shutdown();
    tamper(ground, "UPDATE audit SET actor = 'admin:bob' WHERE seq = 3");
    let store = ground.open();

    assert!(matches!(verdict(&store), Verdict::Broken { seq: 3, .. }));
    store.shutdown();
}

pub(crate) fn a_removed_row_breaks_the_chain(ground: &Ground) {
    with_rows(ground, 5).shutdown();
    tamper(ground, "DELETE FROM audit WHERE seq = 1");
    let store = ground.open();

    assert!(matches!(verdict(&store), Verdict::Broken { seq: 1, .. }));
    store.shutdown();
}

pub(crate) fn a_failed_action_leaves_no_audit_row(ground: &Ground) {
    let store = with_rows(ground, 1);

    let failed = store.write_blocking(|tx| {
        audit::append(tx, act(9))?;
        meta::set(tx, "a", "b")?;
        Err::<(), _>(StoreError::Refused("by a rule".to_owned()))
    });

    assert!(matches!(failed, Err(WriteError::Rejected(_))));
    assert_eq!(store.read_blocking(audit::last).expect("a read").map(|(seq, _)| seq), Some(1));
    store.shutdown();
}

pub(crate) fn only_whole_signed_segments_are_purged(ground: &Ground) {
    let store = with_rows(ground, 6);
    let rows = store.read_blocking(|r| audit::list(r, None, None, 10)).expect("a read");
    let third = rows.iter().find(|row| row.seq == 3).expect("row 3").clone();
    let head =
        audit::Head { seq: 3, hash: third.hash, at: now(), key_id: "k1".to_owned(), signature: vec![1, 2] };
    store.write_blocking(move |tx| audit::add_head(tx, head.clone())).expect("a head");
    let later = now().plus(60_000);

    let unsigned = store.write_blocking(move |tx| audit::purge(tx, 4, later));
    let too_young = store.write_blocking(|tx| audit::purge(tx, 3, UtcMillis(0)));
    let purged = store.write_blocking(move |tx| audit::purge(tx, 3, later));

    assert!(matches!(unsigned, Err(WriteError::Rejected(StoreError::Refused(_)))));
    assert!(matches!(too_young, Err(WriteError::Rejected(StoreError::Refused(_)))));
    assert_eq!(purged, Ok(3));
    assert!(matches!(verdict(&store), Verdict::Whole { first: 4, last: 6, .. }), "{:?}", verdict(&store));
    store.shutdown();
}
