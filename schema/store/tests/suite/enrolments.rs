//! Enrolments.

use postern_store::{
    StoreError, WriteError,
    enrolments::{self, Filter, Seen},
};
use postern_wire::terms::{AuthType, EnrolmentId, EnrolmentState, ProofClass, UtcMillis};

use super::{Ground, enrolment, fresh};

pub(crate) fn a_check_in_finds_everything_in_one_row(ground: &Ground) {
    let store = ground.open();
    let mut device = enrolment("IMEI:490154203237518");
    device.owner = Some("ada".to_owned());
    device.credentials = Some(vec![0, 1, 254, 255]);
    device.server_nonce = Some(vec![7; 16]);
    device.certificate_fingerprint = Some([9; 32]);
    let (row, route) = (device.clone(), device.route);
    store.write_blocking(move |tx| enrolments::insert(tx, row.clone())).expect("a write");

    let found = store.read_blocking(move |r| enrolments::by_route(r, &route)).expect("a read");

    assert_eq!(found, Some(device));
    assert_eq!(store.read_blocking(|r| enrolments::by_route(r, &[0; 16])), Ok(None));
    store.shutdown();
}

pub(crate) fn a_name_is_found_in_any_case(ground: &Ground) {
    let store = ground.open();
    let named = |name: &str| {
        let mut row = enrolment(name);
        row.name = name.to_owned();
        row
    };
    let rows = ["Phone_1", "PHONE_1", "phoneX1", "Änne%", "änne%", "onne%"].map(named);
    let (all, first) = (rows.to_vec(), rows[0].id);
    store.write_blocking(move |tx| enrolments::insert_many(tx, all.clone())).expect("a write");
    store.write_blocking(move |tx| enrolments::retire(tx, first, "gone")).expect("a write");

    let called = |name: &'static str| {
        let nobody = EnrolmentId(uuid::Uuid::nil());
        let found = store.read_blocking(move |r| enrolments::called(r, name, nobody)).expect("a read");
        found.into_iter().map(|row| row.name).collect::<Vec<_>>()
    };
    assert_eq!(called("phone_1"), ["PHONE_1"], "the other one is retired");
    let mut found = called("ÄNNE%");
    found.retain(|name| name.to_uppercase() == "ÄNNE%");
    assert_eq!(found.len(), 2, "{found:?}");
    assert_eq!(called("nobody"), Vec::<String>::new());
    let only = rows[1].id;
    let others = store.read_blocking(move |r| enrolments::called(r, "phone_1", only)).expect("a read");
    assert_eq!(others, Vec::new());
    store.shutdown();
}

pub(crate) fn a_route_is_never_used_twice(ground: &Ground) {
    let store = ground.open();
    let first = enrolment("one");
    let mut second = enrolment("two");
    let (old, id) = (first.route, first.id);
    store.write_blocking(move |tx| enrolments::insert(tx, first.clone())).expect("a write");
    let new = *fresh().as_bytes();
    let moved = store
        .write_blocking(move |tx| enrolments::next_generation(tx, id, new, AuthType::Basic, None))
        .expect("a second generation");

    second.route = old;
    let taken = second.clone();
    let reused = store.write_blocking(move |tx| enrolments::insert(tx, taken.clone()));
    second.route = new;
    let in_use = store.write_blocking(move |tx| enrolments::insert(tx, second.clone()));

    assert_eq!((moved.generation, moved.route, moved.auth), (2, new, AuthType::Basic));
    assert!(matches!(reused, Err(WriteError::Rejected(StoreError::Conflict(_)))), "{reused:?}");
    assert!(matches!(in_use, Err(WriteError::Rejected(StoreError::Conflict(_)))), "{in_use:?}");
    assert_eq!(store.read_blocking(move |r| enrolments::by_route(r, &old)), Ok(None));
    store.shutdown();
}

pub(crate) fn a_retired_enrolment_stays_as_a_tombstone(ground: &Ground) {
    let store = ground.open();
    let mut device = enrolment("one");
    device.credentials = Some(vec![1]);
    let (row, id, route) = (device.clone(), device.id, device.route);
    store.write_blocking(move |tx| enrolments::insert(tx, row.clone())).expect("a write");

    store.write_blocking(move |tx| enrolments::retire(tx, id, "lost")).expect("retired");
    store.write_blocking(move |tx| enrolments::retire(tx, id, "again")).expect("twice is once");

    let grave =
        store.read_blocking(move |r| enrolments::by_route(r, &route)).expect("a read").expect("a tombstone");
    assert_eq!(grave.state, EnrolmentState::Retired);
    assert_eq!((grave.credentials, grave.retired_because.as_deref()), (None, Some("lost")));
    let again = store.write_blocking(move |tx| {
        enrolments::next_generation(tx, id, *fresh().as_bytes(), AuthType::Basic, None)
    });
    assert!(matches!(again, Err(WriteError::Rejected(StoreError::Refused(_)))));
    store.shutdown();
}

pub(crate) fn a_change_of_a_row_that_changed_is_a_conflict(ground: &Ground) {
    let store = ground.open();
    let device = enrolment("one");
    let id = device.id;
    store.write_blocking(move |tx| enrolments::insert(tx, device.clone())).expect("a write");

    let first = store.write_blocking(move |tx| enrolments::describe(tx, id, 1, "Ada's", Some("ada"), None));
    let second = store.write_blocking(move |tx| enrolments::describe(tx, id, 1, "Bob's", Some("bob"), None));
    let nobody = store.write_blocking(move |tx| {
        enrolments::describe(tx, postern_wire::terms::EnrolmentId(fresh()), 1, "x", None, None)
    });

    assert_eq!(first, Ok(2));
    assert!(matches!(second, Err(WriteError::Rejected(StoreError::Conflict(_)))));
    assert!(matches!(nobody, Err(WriteError::Rejected(StoreError::NotFound(_)))));
    store.shutdown();
}

pub(crate) fn the_class_of_proof_only_rises(ground: &Ground) {
    let store = ground.open();
    let device = enrolment("one");
    let id = device.id;
    store.write_blocking(move |tx| enrolments::insert(tx, device.clone())).expect("a write");

    for proof in [ProofClass::Md5, ProofClass::Signed, ProofClass::Basic] {
        store.write_blocking(move |tx| enrolments::authenticated(tx, id, proof)).expect("a write");
    }

    let row = store.read_blocking(move |r| enrolments::get(r, id)).expect("a read");
    assert_eq!((row.proof_floor, row.state), (ProofClass::Signed, EnrolmentState::New));
    assert!(row.first_seen_at.is_some() && row.first_seen_at <= row.last_seen_at);
    store.shutdown();
}

pub(crate) fn the_index_comes_in_pages_and_misses_nobody(ground: &Ground) {
    let store = ground.open();
    let all: Vec<_> = (0..25).map(|n| enrolment(&format!("device {n}"))).collect();
    let mut expected: Vec<_> = all.iter().map(|d| (d.id, d.route)).collect();
    expected.sort();
    store.write_blocking(move |tx| enrolments::insert_many(tx, all.clone())).expect("a write");

    let mut found = Vec::new();
    loop {
        let after = found.last().map(|(id, _)| *id);
        let page = store.read_blocking(move |r| enrolments::index(r, after, 7)).expect("a page");
        if page.is_empty() {
            break;
        }
        found.extend(page.into_iter().map(|entry| (entry.id, entry.route)));
    }

    assert_eq!(found, expected);
    let few = store
        .read_blocking(|r| {
            enrolments::list(r, &Filter { text: Some("vice 2".into()), ..Filter::default() }, None, 100)
        })
        .expect("a list");
    assert_eq!(few.len(), 6, "device 2 and 20 to 24");
    let none = store
        .read_blocking(|r| {
            enrolments::list(r, &Filter { text: Some("%".into()), ..Filter::default() }, None, 100)
        })
        .expect("a list");
    assert_eq!(none.len(), 0, "a percent sign is itself");
    store.shutdown();
}

pub(crate) fn a_hundred_thousand_enrolments_are_loaded_in_one_write(ground: &Ground) {
    let store = ground.open();
    let count: usize = if ground.is_sqlite() { 100_000 } else { 10_000 };
    let all: Vec<_> = (0..count).map(|n| enrolment(&format!("device {n}"))).collect();

    store.write_blocking(move |tx| enrolments::insert_many(tx, all.clone())).expect("a write");

    let found = store.read_blocking(|r| enrolments::count(r, EnrolmentState::New)).expect("a count");
    assert_eq!(usize::try_from(found), Ok(count));
    store.shutdown();
}

pub(crate) fn a_name_may_mean_several_devices(ground: &Ground) {
    let store = ground.open();
    let mut first = enrolment("one");
    let mut second = enrolment("two");
    first.hardware_id = Some("SN-1".to_owned());
    second.name = "SN-1".to_owned();
    second.certificate_serial = Some("0a1b".to_owned());
    let ids = [first.id, second.id];
    store
        .write_blocking(move |tx| enrolments::insert_many(tx, vec![first.clone(), second.clone()]))
        .expect("a write");
    let named = |text: String| {
        let rows = store.read_blocking(move |r| enrolments::named(r, &text)).expect("a read");
        rows.into_iter().map(|row| row.id).collect::<Vec<_>>()
    };

    assert_eq!(named("SN-1".into()).len(), 2, "ambiguous");
    assert_eq!(named("one".into()), vec![ids[0]]);
    assert_eq!(named("0A1B".into()), vec![ids[1]]);
    assert_eq!(named(ids[1].to_string()), vec![ids[1]]);
    assert_eq!(named("nobody".into()), vec![]);
    store.shutdown();
}

pub(crate) fn an_older_moment_does_not_replace_last_seen(ground: &Ground) {
    let store = ground.open();
    let device = enrolment("one");
    let id = device.id;
    store.write_blocking(move |tx| enrolments::insert(tx, device.clone())).expect("a write");
    let seen =
        move |at: i64| Seen { id, at: UtcMillis(at), source: Some(format!("192.0.2.{at}")), gateway: None };

    store.write_blocking(move |tx| enrolments::seen(tx, &[seen(5), seen(9), seen(7)])).expect("a write");

    let row = store.read_blocking(move |r| enrolments::get(r, id)).expect("a read");
    assert_eq!((row.last_seen_at, row.last_source.as_deref()), (Some(UtcMillis(9)), Some("192.0.2.9")));
    store.shutdown();
}

pub(crate) fn a_purged_enrolment_leaves_only_its_used_route(ground: &Ground) {
    use postern_store::commands::{self, Finish};
    use postern_wire::terms::{CommandState, OperationKind};
    let store = ground.open();
    let device = enrolment("one");
    let (id, route) = (device.id, device.route);
    let command = super::command(id, OperationKind::Raw);
    let (row, queued, command_id) = (device.clone(), command.clone(), command.id);
    let end = Finish {
        id: command_id,
        state: CommandState::Cancelled,
        status: None,
        cause: "retired".to_owned(),
        proof: None,
        session: None,
    };
    store
        .write_blocking(move |tx| {
            enrolments::insert(tx, row.clone())?;
            commands::insert(tx, vec![queued.clone()])
        })
        .expect("a device with a command");
    let early = store.write_blocking(move |tx| enrolments::purge(tx, id));
    store
        .write_blocking(move |tx| {
            commands::finish(tx, std::slice::from_ref(&end))?;
            enrolments::retire(tx, id, "lost")
        })
        .expect("retired");

    let purged = store.write_blocking(move |tx| enrolments::purge(tx, id));
    let mut thief = enrolment("two");
    thief.route = route;
    let reused = store.write_blocking(move |tx| enrolments::insert(tx, thief.clone()));

    assert!(matches!(early, Err(WriteError::Rejected(StoreError::Refused(_)))));
    assert_eq!(purged, Ok(()));
    assert_eq!(store.read_blocking(move |r| enrolments::find(r, id)), Ok(None));
    assert_eq!(store.read_blocking(move |r| commands::find(r, command_id)), Ok(None));
    assert_eq!(store.read_blocking(move |r| postern_store::timeline::of(r, command_id)), Ok(vec![]));
    assert!(matches!(reused, Err(WriteError::Rejected(StoreError::Conflict(_)))));
    store.shutdown();
}
