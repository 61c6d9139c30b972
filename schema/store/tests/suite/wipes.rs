//! Wipes and their steps.

use postern_store::{
    Store, StoreError, WriteError,
    wipes::{self, Filter, Wipe, WipeStep},
};
use postern_wire::terms::{EnrolmentId, UtcMillis, WipeKind, WipeState};
use uuid::Uuid;

use super::{Ground, fresh, now};

fn wipe(enrolment: EnrolmentId, state: WipeState) -> Wipe {
    Wipe {
        id: fresh(),
        enrolment,
        generation: 1,
        device_id: "IMEI:1".to_owned(),
        route: [7; 16],
        state,
        kind: WipeKind::Full,
        way: "postern-wipe".to_owned(),
        asked_for: "IMEI:1".to_owned(),
        reason: "lost".to_owned(),
        lost: true,
        requested_by: "admin:a".to_owned(),
        requester: Some(fresh()),
        requested_at: now(),
        settings: "{}".to_owned(),
        approval: None,
        armed_at: None,
        expires_at: None,
        next_at: Some(now()),
        operation: None,
        command: None,
        tries: 0,
        accepted_at: None,
        finished_at: None,
        status: None,
        evidence: None,
        proof: None,
        cause: "requested".to_owned(),
        perimeter: None,
        disarm_by: None,
        mark: vec![1, 2],
        revision: 1,
    }
}

fn step(wipe: &Wipe, event: &str) -> WipeStep {
    WipeStep {
        wipe: wipe.id,
        revision: wipe.revision,
        state: wipe.state,
        event: event.to_owned(),
        cause: String::new(),
        actor: "admin:a".to_owned(),
        status: None,
        session: None,
        exchange: Some([9; 32]),
        audit: 1,
        at: now(),
    }
}

fn add(store: &Store, row: &Wipe) -> Result<(), WriteError> {
    let (row, first) = (row.clone(), step(row, "admit"));
    store.write_blocking(move |tx| wipes::insert(tx, row.clone(), first.clone()))
}

fn change(store: &Store, row: &Wipe) -> Result<i64, WriteError> {
    let (row, next) = (row.clone(), step(row, "cancel"));
    store.write_blocking(move |tx| wipes::update(tx, row.clone(), next.clone()))
}

fn conflicts<T: std::fmt::Debug>(outcome: Result<T, WriteError>) {
    assert!(matches!(outcome, Err(WriteError::Rejected(StoreError::Conflict(_)))), "{outcome:?}");
}

pub(crate) fn a_device_has_one_outstanding_wipe_at_most(ground: &Ground) {
    let store = ground.open();
    let device = EnrolmentId(fresh());
    let first = wipe(device, WipeState::Pending);
    add(&store, &first).expect("the first");

    conflicts(add(&store, &wipe(device, WipeState::AwaitingApproval)));
    add(&store, &wipe(EnrolmentId(fresh()), WipeState::Pending)).expect("another device's");
    add(&store, &wipe(device, WipeState::Cancelled)).expect("one that is over");
    change(&store, &Wipe { state: WipeState::Succeeded, ..first.clone() }).expect("over");
    let next = wipe(device, WipeState::Armed);
    add(&store, &next).expect("the next");
    conflicts(change(&store, &Wipe { state: WipeState::Armed, revision: 2, ..first }));

    let found = store.read_blocking(move |r| wipes::outstanding(r, device)).expect("a read");
    assert_eq!(found.map(|found| found.id), Some(next.id));
    store.shutdown();
}

pub(crate) fn a_wipe_changed_in_between_is_a_conflict_and_its_steps_tell_its_life(ground: &Ground) {
    let store = ground.open();
    let row = wipe(EnrolmentId(fresh()), WipeState::Pending);
    add(&store, &row).expect("a wipe");

    assert_eq!(change(&store, &Wipe { state: WipeState::Cancelled, ..row.clone() }), Ok(2));
    conflicts(change(&store, &Wipe { state: WipeState::Sent, ..row.clone() }));

    let id = row.id;
    let steps = store.read_blocking(move |r| wipes::steps(r, id)).expect("a read");
    let told: Vec<_> = steps.iter().map(|step| (step.revision, step.event.as_str(), step.state)).collect();
    assert_eq!(told, [(1, "admit", WipeState::Pending), (2, "cancel", WipeState::Cancelled)]);
    let found = store.read_blocking(move |r| wipes::find(r, id)).expect("a read").expect("the row");
    assert_eq!(found, Wipe { state: WipeState::Cancelled, revision: 2, ..row });
    store.shutdown();
}

pub(crate) fn wipes_that_are_due_come_the_longest_due_first(ground: &Ground) {
    let store = ground.open();
    let at = |ms: Option<i64>| Wipe {
        next_at: ms.map(UtcMillis),
        ..wipe(EnrolmentId(fresh()), WipeState::Pending)
    };
    let rows = [at(Some(30)), at(Some(10)), at(None), at(Some(20))];
    for row in &rows {
        add(&store, row).expect("a wipe");
    }

    let due = |until| {
        let found = store.read_blocking(move |r| wipes::due(r, UtcMillis(until), 10)).expect("a read");
        found.iter().map(|row| row.id).collect::<Vec<Uuid>>()
    };
    assert_eq!(due(20), [rows[1].id, rows[3].id]);
    let (id, revision) = (rows[1].id, rows[1].revision);
    store.write_blocking(move |tx| wipes::defer(tx, id, revision, None)).expect("put off");
    assert_eq!(due(30), [rows[3].id, rows[0].id]);

    let list = |filter: Filter| {
        store.read_blocking(move |r| wipes::list(r, &filter, None, 10)).expect("a read").len()
    };
    assert_eq!(list(Filter { outstanding: Some(true), ..Filter::default() }), 4);
    assert_eq!(list(Filter { outstanding: Some(false), ..Filter::default() }), 0);
    assert_eq!(list(Filter { state: Some(WipeState::Armed), ..Filter::default() }), 0);
    store.shutdown();
}
