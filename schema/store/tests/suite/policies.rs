//! Desired states, devices and changes that wait.

use std::collections::BTreeMap;

use postern_store::{
    enrolments,
    policies::{self, Device, Figures, Hold},
};
use postern_wire::terms::{EnrolmentId, UtcMillis};
use uuid::Uuid;

use super::{Ground, enrolment, now};

fn device(id: EnrolmentId, desired: u8, waiting: Option<u8>, settled: Option<u8>) -> Device {
    Device {
        enrolment: id,
        generation: 1,
        desired: [desired; 32],
        waiting: waiting.map(|octet| [octet; 32]),
        settled: settled.map(|octet| [octet; 32]),
        planned: None,
        epoch: 2,
        book: "{}".to_owned(),
        operation: None,
        verify_at: None,
        stale: None,
        compliant: 1,
        pending: 0,
        failed: 0,
        unsupported: 0,
        conflicts: 0,
        drift: 0,
        changed_at: now(),
        settled_at: None,
        revision: 0,
    }
}

pub(crate) fn a_desired_state_rests_once_and_as_long_as_it_is_named(ground: &Ground) {
    let store = ground.open();
    let rows = [enrolment("IMEI:1"), enrolment("IMEI:2"), enrolment("IMEI:3")];
    let ids: Vec<EnrolmentId> = rows.iter().map(|row| row.id).collect();
    let (one, two, three) = (ids[0], ids[1], ids[2]);
    let inserted = rows.to_vec();
    store.write_blocking(move |tx| enrolments::insert_many(tx, inserted.clone())).expect("enrolled");

    let texts: BTreeMap<[u8; 32], String> = (1..=3).map(|n| ([n; 32], format!("text {n}"))).collect();
    for _ in 0..2 {
        let texts = texts.clone();
        store.write_blocking(move |tx| policies::keep(tx, &texts)).expect("kept, and kept again");
    }
    store
        .write_blocking(move |tx| {
            policies::put(tx, device(one, 1, Some(2), Some(1)))?;
            policies::put(tx, device(two, 1, None, Some(3)))
        })
        .expect("put");

    let swept = store.write_blocking(|tx| policies::sweep(tx, UtcMillis(i64::MAX))).expect("swept");
    assert_eq!(swept, 1, "the third: a state that a device was once brought to may go");
    let text = |n: u8| store.read_blocking(move |r| policies::document(r, [n; 32])).expect("a read");
    assert_eq!(text(1).map(|document| document.body).as_deref(), Some("text 1"));
    assert!(text(2).is_some() && text(3).is_none());

    let found = store.read_blocking(move |r| policies::find(r, one)).expect("a read").expect("a row");
    assert_eq!((found.revision, found.waiting), (1, Some([2; 32])));
    let all = store.read_blocking(|r| policies::subjects(r, None, 10)).expect("a read");
    assert_eq!(all.len(), 2, "the third is new, and nothing was ever desired of it");
    store.write_blocking(move |tx| enrolments::managed(tx, three)).expect("managed");
    let all = store.read_blocking(|r| policies::subjects(r, None, 10)).expect("a read");
    assert_eq!((all.len(), store.read_blocking(policies::count_subjects).expect("a read")), (3, 3));
    let some = store.read_blocking(move |r| policies::subjects_of(r, &[three])).expect("a read");
    assert_eq!(some, [three]);
    assert_eq!(store.read_blocking(|r| policies::unknown(r, 10)).expect("a read"), [three]);
    let held = store.read_blocking(|r| policies::held(r, None, 10)).expect("a read");
    assert_eq!(held.iter().map(|row| row.enrolment).collect::<Vec<_>>(), [one]);
    let figures = store.read_blocking(policies::figures).expect("a read");
    assert_eq!(figures, Figures { devices: 2, settled: 1, held: 1, stale: 0 });
}

pub(crate) fn an_epoch_rises_and_one_change_waits(ground: &Ground) {
    let store = ground.open();
    assert_eq!(store.read_blocking(policies::epoch).expect("a read"), 1);
    assert_eq!(store.write_blocking(policies::raise_epoch).expect("raised"), 2);
    let made_at = now();
    let hold = |state: &str| Hold {
        id: Uuid::from_u128(7),
        digest: [9; 32],
        state: state.to_owned(),
        approval: None,
        devices: 30,
        managed: 100,
        settings: 60,
        made_at,
        ended_at: None,
    };
    let put = |state: &str| {
        let row = hold(state);
        store.write_blocking(move |tx| policies::put_hold(tx, row.clone())).expect("put");
    };
    put("waiting");
    assert_eq!(store.read_blocking(policies::hold).expect("a read"), Some(hold("waiting")));
    assert!(!store.read_blocking(|r| policies::was_refused(r, [9; 32])).expect("a read"));
    put("refused");
    assert_eq!(store.read_blocking(policies::hold).expect("a read"), None);
    assert!(store.read_blocking(|r| policies::was_refused(r, [9; 32])).expect("a read"));
    assert!(store.read_blocking(|r| policies::find_hold(r, Uuid::from_u128(7))).expect("a read").is_some());
}
