//! Notifications, their steps, and where devices are reached.

use postern_store::{
    Store, StoreError, WriteError, commands, enrolments,
    notifications::{self, Notification, PushAddress, StepNote},
};
use postern_wire::terms::{DmSessionId, EnrolmentId, NotificationState, OperationKind, UtcMillis};

use super::{Ground, command, enrolment, fresh, now};

fn with_device(ground: &Ground) -> (Store, EnrolmentId) {
    let store = ground.open();
    let id = add_device(&store, "one");
    (store, id)
}

fn add_device(store: &Store, name: &str) -> EnrolmentId {
    let device = enrolment(name);
    let id = device.id;
    store.write_blocking(move |tx| enrolments::insert(tx, device.clone())).expect("a device");
    id
}

pub(crate) fn job(enrolment: EnrolmentId) -> Notification {
    Notification {
        id: fresh(),
        enrolment,
        session_id: 0x1234,
        state: NotificationState::Wanted,
        asked_by: None,
        forced: None,
        urgent: false,
        resync: false,
        bearer: None,
        attempts: 0,
        handed: 0,
        cause: "queued".to_owned(),
        created_at: now(),
        next_at: Some(now()),
        last_at: None,
        expires_at: now().plus(60_000),
        finished_at: None,
        session: None,
        revision: 1,
    }
}

fn keep(store: &Store, job: &Notification) -> Result<(), WriteError> {
    let job = job.clone();
    store.write_blocking(move |tx| notifications::insert(tx, job.clone()))
}

fn change(store: &Store, job: &Notification, note: StepNote) -> Result<(), WriteError> {
    let job = job.clone();
    store.write_blocking(move |tx| notifications::change(tx, &job, note.clone()))
}

fn ended(job: Notification) -> Notification {
    Notification {
        state: NotificationState::Answered,
        cause: "session-came".to_owned(),
        next_at: None,
        finished_at: Some(now()),
        session: Some(DmSessionId(fresh())),
        revision: job.revision + 1,
        ..job
    }
}

pub(crate) fn a_device_has_one_open_notification_at_most(ground: &Ground) {
    let (store, device) = with_device(ground);
    let first = job(device);
    keep(&store, &first).expect("kept");
    let second = keep(&store, &job(device));
    assert!(matches!(second, Err(WriteError::Rejected(StoreError::Conflict(_)))), "{second:?}");
    let first = ended(first);
    change(&store, &first, StepNote::default()).expect("ended");
    let third = job(device);
    keep(&store, &third).expect("the first is over");
    let (open, all) = store
        .read_blocking(move |r| Ok((notifications::open_of(r, device)?, notifications::of(r, device, 10)?)))
        .expect("read");
    assert_eq!(open.as_ref(), Some(&third));
    assert_eq!(all.len(), 2);
    assert!(all.contains(&first));
    store.shutdown();
}

pub(crate) fn a_notification_changed_in_between_is_a_conflict(ground: &Ground) {
    let (store, device) = with_device(ground);
    let first = job(device);
    keep(&store, &first).expect("kept");
    change(&store, &ended(first.clone()), StepNote::default()).expect("changed");
    let again = change(&store, &ended(first.clone()), StepNote::default());
    assert!(matches!(again, Err(WriteError::Rejected(StoreError::Conflict(_)))), "{again:?}");
    let steps = store.read_blocking(move |r| notifications::steps(r, first.id)).expect("read");
    assert_eq!(steps.iter().map(|step| step.position).collect::<Vec<_>>(), [1, 2]);
    store.shutdown();
}

pub(crate) fn a_report_finds_its_notification_by_the_bearers_reference(ground: &Ground) {
    let (store, device) = with_device(ground);
    let first = job(device);
    keep(&store, &first).expect("kept");
    let sent = Notification {
        state: NotificationState::Sent,
        bearer: Some("pap".to_owned()),
        attempts: 1,
        handed: 1,
        revision: 2,
        ..first.clone()
    };
    let note = StepNote { bearer: Some("pap".to_owned()), reference: Some("p-1".to_owned()) };
    change(&store, &sent, note).expect("kept");
    let by = |bearer: &'static str, reference: &'static str| {
        let found = store.read_blocking(move |r| notifications::by_reference(r, bearer, reference));
        found.expect("read").map(|job| job.id)
    };
    assert_eq!(by("pap", "p-1"), Some(first.id));
    assert_eq!((by("smpp", "p-1"), by("pap", "p-2")), (None, None));
    let (from, to) = (first.created_at, now().plus(1));
    let steps =
        store.read_blocking(move |r| notifications::steps_between(r, device, from, to, 10)).expect("read");
    assert_eq!(steps.len(), 2);
    assert_eq!(steps[1].reference.as_deref(), Some("p-1"));
    store.shutdown();
}

pub(crate) fn due_notifications_come_the_longest_due_first(ground: &Ground) {
    let (store, one) = with_device(ground);
    let (two, three) = (add_device(&store, "two"), add_device(&store, "three"));
    let at = |device, next: i64| Notification { next_at: Some(UtcMillis(next)), ..job(device) };
    for job in [at(one, 300), at(two, 100), at(three, 200)] {
        keep(&store, &job).expect("kept");
    }
    let due = |now: i64| {
        let rows = store.read_blocking(move |r| notifications::due(r, UtcMillis(now), 10)).expect("read");
        rows.into_iter().map(|job| job.enrolment).collect::<Vec<_>>()
    };
    assert_eq!(due(250), [two, three]);
    assert!(due(99).is_empty());
    let open = store.read_blocking(notifications::open_ids).expect("read");
    assert_eq!(open.len(), 3);
    store.shutdown();
}

pub(crate) fn a_queued_command_that_no_notification_took_up_is_found_once(ground: &Ground) {
    let (store, device) = with_device(ground);
    let silent = add_device(&store, "no address");
    for id in [device, silent] {
        let command = command(id, OperationKind::Raw);
        store.write_blocking(move |tx| commands::insert(tx, vec![command.clone()])).expect("queued");
    }
    let forgotten = || store.read_blocking(|r| notifications::forgotten(r, 10)).expect("read");
    assert!(forgotten().is_empty(), "nobody says how to reach them");
    let address = PushAddress { enrolment: device, address: None, bearer: None, at: now() };
    store.write_blocking(move |tx| notifications::set_address(tx, address.clone())).expect("set");
    assert_eq!(forgotten(), [device]);
    let first = job(device);
    keep(&store, &first).expect("kept");
    assert!(forgotten().is_empty(), "the open one has it");
    let over = Notification { finished_at: Some(now().plus(1)), ..ended(first) };
    change(&store, &over, StepNote::default()).expect("ended");
    assert!(forgotten().is_empty(), "a command is notified of once");
    let queued = store.read_blocking(move |r| notifications::queued_since(r, device, UtcMillis(0)));
    assert_eq!(queued.expect("read"), 1);
    store.shutdown();
}

pub(crate) fn an_address_is_set_and_forgotten(ground: &Ground) {
    let (store, device) = with_device(ground);
    let set = |address: Option<&str>, bearer: Option<&str>| {
        let row = PushAddress {
            enrolment: device,
            address: address.map(str::to_owned),
            bearer: bearer.map(str::to_owned),
            at: now(),
        };
        store.write_blocking(move |tx| notifications::set_address(tx, row.clone())).expect("set");
        store.read_blocking(move |r| notifications::address(r, device)).expect("read").expect("an address")
    };
    assert_eq!(set(Some("+15550100001"), None).address.as_deref(), Some("+15550100001"));
    let second = set(None, Some("listen"));
    assert_eq!((second.address, second.bearer.as_deref()), (None, Some("listen")));
    let clear = || store.write_blocking(move |tx| notifications::clear_address(tx, device)).expect("cleared");
    assert_eq!((clear(), clear()), (true, false));
    store.shutdown();
}

pub(crate) fn old_notifications_are_purged_with_their_steps(ground: &Ground) {
    let (store, device) = with_device(ground);
    let first = job(device);
    keep(&store, &first).expect("kept");
    let over = Notification { finished_at: Some(UtcMillis(1_000)), ..ended(first.clone()) };
    change(&store, &over, StepNote::default()).expect("ended");
    let open = job(device);
    keep(&store, &open).expect("kept");
    let purge = |before: i64| {
        store.write_blocking(move |tx| notifications::purge(tx, UtcMillis(before), 10)).expect("purged")
    };
    assert_eq!((purge(1_000), purge(1_001), purge(i64::MAX)), (0, 1, 0));
    let left = store
        .read_blocking(move |r| Ok((notifications::of(r, device, 10)?, notifications::steps(r, first.id)?)))
        .expect("read");
    assert_eq!((left.0, left.1.len()), (vec![open], 0));
    store.shutdown();
}
