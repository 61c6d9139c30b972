//! Settings, schedules, recorded sessions, operators' quirk profiles.

use postern_store::{
    Store, StoreError, WriteError, enrolments, groups, quirks, recordings,
    schedules::{self, Overdue, ScheduleRow},
    settings::{self, Scope},
};
use postern_wire::terms::{DmSessionId, EnrolmentId, EnrolmentState, OperationId, UtcMillis};

use super::{Ground, enrolment, fresh, now};

fn device(store: &Store, name: &str) -> EnrolmentId {
    let row = enrolment(name);
    let id = row.id;
    store.write_blocking(move |tx| enrolments::insert(tx, row.clone())).expect("an enrolment");
    id
}

fn group(store: &Store, name: &str) -> uuid::Uuid {
    let row = groups::Group {
        id: fresh(),
        name: name.to_owned(),
        description: String::new(),
        created_at: now(),
        revision: 1,
    };
    let id = row.id;
    store.write_blocking(move |tx| groups::insert(tx, row.clone())).expect("a group");
    id
}

fn set(store: &Store, scope: Scope, at: i64, name: &str, value: Option<&str>) -> Result<i64, WriteError> {
    let values = vec![(name.to_owned(), value.map(str::to_owned))];
    store.write_blocking(move |tx| settings::change(tx, scope, at, &values, "someone"))
}

fn epoch(store: &Store) -> i64 {
    store.read_blocking(settings::epoch).expect("a read")
}

pub(crate) fn a_setting_is_changed_at_the_revision_that_was_read(ground: &Ground) {
    let store = ground.open();
    assert_eq!(set(&store, Scope::Global, 0, "ConnectInterval", Some("1h")), Ok(1));

    let late = set(&store, Scope::Global, 0, "ConnectInterval", Some("2h"));

    assert!(matches!(late, Err(WriteError::Rejected(StoreError::Conflict(_)))), "{late:?}");
    assert_eq!(set(&store, Scope::Global, 1, "ConnectInterval", Some("3h")), Ok(2));
    let rows = store.read_blocking(|r| settings::of(r, Scope::Global)).expect("a read");
    assert_eq!(rows.iter().map(|row| row.value.as_str()).collect::<Vec<_>>(), ["3h"]);
    assert_eq!(set(&store, Scope::Global, 2, "ConnectInterval", None), Ok(3));
    assert_eq!(store.read_blocking(|r| settings::of(r, Scope::Global)).expect("a read"), []);
    store.shutdown();
}

pub(crate) fn a_device_has_the_settings_of_all_its_groups_with_their_depth(ground: &Ground) {
    let store = ground.open();
    let id = device(&store, "d");
    let (outer, inner, other) = (group(&store, "outer"), group(&store, "inner"), group(&store, "other"));
    store
        .write_blocking(move |tx| {
            groups::add_group(tx, outer, inner)?;
            groups::add_device(tx, inner, id)
        })
        .expect("members");
    for scope in [Scope::Group(outer), Scope::Group(inner), Scope::Group(other), Scope::Device(id)] {
        set(&store, scope, 0, "ConnectInterval", Some("1h")).expect("set");
    }

    let layers = store.read_blocking(move |r| settings::layers(r, id)).expect("a read");

    let groups: Vec<_> = layers.groups.iter().map(|group| (group.name.as_str(), group.depth)).collect();
    assert_eq!(groups, [("inner", 1), ("outer", 0)]);
    assert_eq!((layers.device.len(), layers.global.len()), (1, 0));
    store.shutdown();
}

pub(crate) fn the_settings_epoch_rises_with_what_may_mean_something_to_a_device(ground: &Ground) {
    let store = ground.open();
    let id = device(&store, "d");
    let one = group(&store, "one");
    let first = epoch(&store);
    store.write_blocking(move |tx| groups::add_device(tx, one, id)).expect("a member");
    assert_eq!(epoch(&store), first, "a group without settings means nothing");

    set(&store, Scope::Group(one), 0, "ConnectInterval", Some("1h")).expect("set");
    assert_eq!(epoch(&store), first + 1);
    store.write_blocking(move |tx| groups::remove_device(tx, one, id).map(drop)).expect("out");
    assert_eq!(epoch(&store), first + 2);
    store.write_blocking(move |tx| groups::remove(tx, one).map(drop)).expect("gone");
    assert_eq!(epoch(&store), first + 3);
    assert_eq!(store.read_blocking(move |r| settings::revision(r, Scope::Group(one))), Ok(0));
    store.shutdown();
}

pub(crate) fn a_new_device_is_managed_once_and_new_again_after_it_is_enrolled_anew(ground: &Ground) {
    let store = ground.open();
    let id = device(&store, "d");
    let managed = || store.write_blocking(move |tx| enrolments::managed(tx, id)).expect("a write");
    assert!(managed());
    assert!(!managed());
    store.write_blocking(move |tx| enrolments::set_settings_epoch(tx, id, 7)).expect("a write");

    let auth = postern_wire::terms::AuthType::Md5;
    let route = *fresh().as_bytes();
    let next = move |tx: &mut postern_store::Tx| enrolments::next_generation(tx, id, route, auth, None);
    let row = store.write_blocking(next).expect("the next generation");

    assert_eq!((row.state, row.settings_epoch), (EnrolmentState::New, 0));
    store.shutdown();
}

fn schedule(id: EnrolmentId, interval_s: i64, operation: OperationId) -> ScheduleRow {
    ScheduleRow {
        enrolment: id,
        generation: 1,
        interval_s,
        jitter_s: 0,
        wanted_s: 60,
        wanted_jitter_s: 6,
        told: "ordered".to_owned(),
        operation: Some(operation),
        status: None,
        at: now(),
        acknowledged_at: None,
    }
}

pub(crate) fn a_device_is_held_to_a_new_interval_when_it_acknowledged_it(ground: &Ground) {
    let store = ground.open();
    let id = device(&store, "d");
    let (old, newest) = (OperationId(fresh()), OperationId(fresh()));
    let answer = |operation, success| {
        store
            .write_blocking(move |tx| schedules::answered(tx, id, operation, success, Some(200)))
            .expect("a write")
    };
    let found = || store.read_blocking(move |r| schedules::find(r, id)).expect("a read").expect("a row");
    for operation in [old, newest] {
        store.write_blocking(move |tx| schedules::put(tx, schedule(id, 3600, operation))).expect("a write");
    }

    assert!(!answer(old, true), "an answer to an older operation changes nothing");
    assert_eq!(found().interval_s, 3600);
    assert!(answer(newest, false));
    assert_eq!((found().told.as_str(), found().interval_s), ("refused", 3600));
    assert!(answer(newest, true));
    assert_eq!((found().told.as_str(), found().interval_s, found().jitter_s), ("acknowledged", 60, 6));
    store.shutdown();
}

pub(crate) fn who_was_not_seen_within_interval_jitter_and_grace_is_overdue(ground: &Ground) {
    let store = ground.open();
    let (own, bare, gone) = (device(&store, "own"), device(&store, "bare"), device(&store, "gone"));
    let row = ScheduleRow { jitter_s: 10, ..schedule(own, 100, OperationId(fresh())) };
    store
        .write_blocking(move |tx| {
            schedules::put(tx, row.clone())?;
            enrolments::retire(tx, gone, "lost").map(drop)
        })
        .expect("a write");
    let seen = now();
    let batch: Vec<_> = [own, gone]
        .map(|id| enrolments::Seen { id, at: seen, source: None, gateway: None })
        .into_iter()
        .collect();
    store.write_blocking(move |tx| enrolments::seen(tx, &batch)).expect("seen");
    let enrolled = store.read_blocking(move |r| enrolments::get(r, bare)).expect("a row").created_at;
    let at = |now: UtcMillis| {
        let rule = Overdue { now, grace_ms: 5_000, default_s: 1_000 };
        let ids = store.read_blocking(move |r| schedules::overdue(r, rule, None, 10)).expect("a read");
        let count = store.read_blocking(move |r| schedules::count_overdue(r, rule)).expect("a read");
        assert_eq!(ids.len(), usize::try_from(count).expect("a count"));
        ids
    };

    assert_eq!(at(seen.plus(115_000)), []);
    assert_eq!(at(seen.plus(115_001)), [own]);
    assert_eq!(
        at(enrolled.plus(1_005_001)),
        [own, bare],
        "one that was never seen counts from its enrolment"
    );
    store.shutdown();
}

pub(crate) fn recorded_sessions_are_bounded_for_each_device_and_by_age(ground: &Ground) {
    let store = ground.open();
    let id = device(&store, "d");
    let most = recordings::PER_DEVICE;
    let keep = move |n: i64| recordings::Recording {
        session: DmSessionId(fresh()),
        enrolment: id,
        at: UtcMillis(n),
        octets: 1,
        messages: 1,
        content: vec![1],
    };
    let rows: Vec<_> = (0..most + 3).map(keep).collect();
    store
        .write_blocking(move |tx| rows.iter().try_for_each(|row| recordings::keep(tx, row.clone())))
        .expect("kept");

    let kept = store.read_blocking(move |r| recordings::heads(r, id)).expect("a read");
    assert_eq!(kept.len(), usize::try_from(most).expect("few"));
    assert_eq!(kept.last().expect("one").at, UtcMillis(3), "the oldest went");
    let purged = store.write_blocking(|tx| recordings::purge(tx, UtcMillis(5), 100)).expect("a purge");
    assert_eq!(purged, 2);
    store.shutdown();
}

pub(crate) fn an_order_to_record_counts_down_outlives_a_restart_and_ends_by_itself(ground: &Ground) {
    let store = ground.open();
    let id = device(&store, "d");
    let order = move |sessions, until| recordings::RecordingOrder {
        enrolment: id,
        sessions,
        asked_by: "someone".into(),
        at: UtcMillis(1),
        until: UtcMillis(until),
    };
    let late = i64::MAX;
    store.write_blocking(move |tx| recordings::order(tx, order(2, late))).expect("taken");
    store.shutdown();
    let store = ground.open();
    let standing = |store: &Store| {
        let orders = store.read_blocking(|r| recordings::orders(r, UtcMillis(5))).expect("a read");
        orders.iter().map(|order| order.sessions).collect::<Vec<_>>()
    };
    assert_eq!(standing(&store), [2]);
    assert_eq!(store.write_blocking(move |tx| recordings::recorded(tx, id)), Ok(1));
    assert_eq!(standing(&store), [1]);
    assert_eq!(store.write_blocking(move |tx| recordings::recorded(tx, id)), Ok(0));
    assert_eq!(standing(&store), [0_i64; 0]);
    store.write_blocking(move |tx| recordings::order(tx, order(3, 4))).expect("taken");
    assert_eq!(standing(&store), [0_i64; 0], "nobody waits for them any longer");
    store.shutdown();
}

pub(crate) fn a_quirk_profile_takes_the_place_of_the_one_with_its_name(ground: &Ground) {
    let store = ground.open();
    let put = |name: &'static str, text: &'static str| {
        store.write_blocking(move |tx| quirks::put(tx, name, text, "someone"))
    };
    assert_eq!(put("a", "one"), Ok(1));
    assert_eq!(put("a", "two"), Ok(2));
    assert_eq!(put("b", "three"), Ok(1));
    let all = store.read_blocking(quirks::list).expect("a read");
    assert_eq!(all.iter().map(|row| row.document.as_str()).collect::<Vec<_>>(), ["two", "three"]);
    assert!(store.write_blocking(|tx| quirks::remove(tx, "a")).expect("a write"));
    assert!(!store.write_blocking(|tx| quirks::remove(tx, "a")).expect("a write"));
    store.shutdown();
}
