//! The outbox: in the transaction of the change, once for each key, held for the owner, purged by age.

use postern_store::{
    Store, StoreError, WriteError, enrolments, held,
    mail_addresses::{self, MailAddress},
    meta,
    outbox::{self, Delivery, Due, Entry, Event, Filter, Put, Recipients, Way},
};
use postern_wire::terms::{Channel, DeliveryState, EnrolmentId, EventKind, UtcMillis};
use serde_json::json;
use uuid::Uuid;

use super::{Ground, enrolment, fresh, now};

fn event(dedupe: &str) -> Event {
    Event {
        kind: EventKind::WipeRequested,
        subject: "wipe:1".to_owned(),
        device: None,
        dedupe: dedupe.to_owned(),
        data: json!({"reason": "lost", "devices": 1}),
        recipients: Recipients { security_list: true, ..Recipients::default() },
        owner_held_until: None,
        at: now(),
    }
}

fn put(store: &Store, event: &Event) -> Put {
    let event = event.clone();
    store.write_blocking(move |tx| outbox::put(tx, &event)).expect("an answer")
}

fn way(channel: Channel, target: &str, held: bool) -> Way {
    Way { channel, target: target.to_owned(), message_id: format!("<{target}@x>"), held, parked: None }
}

fn entry(store: &Store, dedupe: &str) -> Entry {
    let dedupe = dedupe.to_owned();
    store.read_blocking(move |r| outbox::by_dedupe(r, &dedupe)).expect("read").expect("an event")
}

fn plan(store: &Store, dedupe: &str, ways: Vec<Way>) -> bool {
    let id = entry(store, dedupe).id;
    store.write_blocking(move |tx| outbox::plan(tx, id, ways.clone())).expect("planned")
}

fn all(store: &Store) -> Vec<Delivery> {
    let rows = store.read_blocking(|r| outbox::list(r, &Filter::default(), None, 100)).expect("read");
    rows.into_iter().map(|(delivery, _)| delivery).collect()
}

fn due(store: &Store, at: UtcMillis) -> Vec<String> {
    let due = Due { channel: None, by: at, beyond: UtcMillis(i64::MAX) };
    let rows = store.read_blocking(move |r| outbox::due(r, &due, 100)).expect("read");
    rows.into_iter().map(|(delivery, _)| delivery.target).collect()
}

fn change(store: &Store, row: &Delivery) -> Result<(), WriteError> {
    let row = row.clone();
    store.write_blocking(move |tx| outbox::change(tx, &row))
}

fn delivered(row: Delivery) -> Delivery {
    Delivery {
        state: DeliveryState::Delivered,
        next_at: None,
        finished_at: Some(now()),
        revision: row.revision + 1,
        ..row
    }
}

pub(crate) fn an_event_goes_out_only_with_the_change_that_it_tells_of(ground: &Ground) {
    let store = ground.open();
    let told = event("a");
    let failed: Result<(), _> = store.write_blocking(move |tx| {
        outbox::put(tx, &told)?;
        Err(StoreError::Refused("the change is not made".to_owned()))
    });
    assert!(failed.is_err());
    assert_eq!(store.read_blocking(|r| outbox::by_dedupe(r, "a")).expect("read"), None);
    assert_eq!(put(&store, &event("a")), Put::New);
    let kept = entry(&store, "a");
    assert_eq!((kept.kind, kept.subject.as_str()), (EventKind::WipeRequested, "wipe:1"));
    assert_eq!(kept.data, json!({"reason": "lost", "devices": 1}).to_string());
    let big = Event { data: json!({"text": "x".repeat(20_000)}), ..event("big\0") };
    assert_eq!(put(&store, &big), Put::New);
    assert_eq!(entry(&store, "big\u{FFFD}").data, r#"{"cut":true}"#);
    store.shutdown();
}

pub(crate) fn an_event_is_put_once_for_each_dedupe_key(ground: &Ground) {
    let store = ground.open();
    assert_eq!((put(&store, &event("a")), put(&store, &event("a"))), (Put::New, Put::Known));
    assert_eq!(put(&store, &event("b")), Put::New);
    let about = store.read_blocking(|r| outbox::about(r, "wipe:1", 10)).expect("read");
    assert_eq!(about.len(), 2);
    store.shutdown();
}

pub(crate) fn an_event_is_planned_once_and_goes_to_a_target_once(ground: &Ground) {
    let store = ground.open();
    put(&store, &event("a"));
    let unplanned = || store.read_blocking(|r| outbox::unplanned(r, 10)).expect("read").len();
    assert_eq!(unplanned(), 1);
    let ways = || {
        let mail = || way(Channel::Mail, "x@example.test", false);
        vec![mail(), mail(), way(Channel::Webhook, "siem", false)]
    };
    assert_eq!((plan(&store, "a", ways()), plan(&store, "a", ways())), (true, false));
    assert_eq!((unplanned(), all(&store).len()), (0, 2));
    let counts = store.read_blocking(outbox::counts).expect("read");
    assert_eq!(counts, [(DeliveryState::Waiting, 2)]);
    assert!(store.read_blocking(outbox::oldest_waiting).expect("read").is_some());
    store.shutdown();
}

pub(crate) fn an_owners_mail_waits_for_what_holds_it(ground: &Ground) {
    let store = ground.open();
    let mut device = enrolment("one");
    device.owner = Some("ada@example.test".to_owned());
    let id = device.id;
    store.write_blocking(move |tx| enrolments::insert(tx, device.clone())).expect("a device");
    let held = |dedupe: &str| Event {
        device: Some(id),
        recipients: Recipients { owner: Some(id), requester: Some(fresh()), security_list: true },
        owner_held_until: Some("wipe:1".to_owned()),
        ..event(dedupe)
    };
    put(&store, &held("a"));
    assert_eq!(entry(&store, "a").owner.as_deref(), Some("ada@example.test"));
    let ways = || vec![way(Channel::Mail, "ada", true), way(Channel::Mail, "security", false)];
    plan(&store, "a", ways());
    assert_eq!(due(&store, now().plus(1_000)), ["security"]);
    let release = || store.write_blocking(|tx| outbox::release(tx, "wipe:1")).expect("released");
    put(&store, &held("b"));
    assert_eq!((release(), release()), (1, 0));
    plan(&store, "b", ways());
    assert_eq!(due(&store, now().plus(1_000)).len(), 4, "the hold was over before it was planned");
    store.shutdown();
}

pub(crate) fn due_deliveries_come_the_longest_due_first(ground: &Ground) {
    let store = ground.open();
    put(&store, &event("a"));
    plan(&store, "a", ["one", "two", "three"].map(|to| way(Channel::Mail, to, false)).to_vec());
    for row in all(&store) {
        let next = match row.target.as_str() {
            "one" => 300,
            "two" => 100,
            _ => 200,
        };
        let later = Delivery { next_at: Some(UtcMillis(next)), attempts: 1, revision: 2, ..row };
        change(&store, &later).expect("kept");
    }
    assert_eq!(due(&store, UtcMillis(250)), ["two", "three"]);
    assert!(due(&store, UtcMillis(99)).is_empty());
    let of = |channel, beyond| {
        let due = Due { channel, by: UtcMillis(99), beyond: UtcMillis(beyond) };
        store.read_blocking(move |r| outbox::due(r, &due, 100)).expect("read").len()
    };
    assert_eq!(of(None, 250), 1, "what the clock left behind is due");
    let mail = |target: &str| Some((Channel::Mail, Some(target.to_owned())));
    assert_eq!((of(mail("one"), 0), of(Some((Channel::Mail, None)), 0), of(mail("x"), 0)), (1, 3, 0));
    store.shutdown();
}

pub(crate) fn a_delivery_changed_in_between_is_a_conflict(ground: &Ground) {
    let store = ground.open();
    put(&store, &event("a"));
    plan(&store, "a", vec![way(Channel::Mail, "one", false)]);
    let row = all(&store).remove(0);
    change(&store, &delivered(row.clone())).expect("kept");
    let again = change(&store, &delivered(row.clone()));
    assert!(matches!(again, Err(WriteError::Rejected(StoreError::Conflict(_)))), "{again:?}");
    let (kept, of) = store.read_blocking(move |r| outbox::delivery(r, row.id)).expect("read").expect("one");
    assert_eq!(
        (kept.state, kept.message_id.as_str(), of.dedupe.as_str()),
        (DeliveryState::Delivered, "<one@x>", "a")
    );
    store.shutdown();
}

pub(crate) fn a_person_has_a_delivery_tried_again_and_no_mail_twice(ground: &Ground) {
    let store = ground.open();
    put(&store, &event("a"));
    plan(&store, "a", vec![way(Channel::Mail, "one", false), way(Channel::Webhook, "siem", false)]);
    let again = |id, replay| store.write_blocking(move |tx| outbox::again(tx, id, replay));
    for row in all(&store) {
        let id = row.id;
        let parked = Delivery { state: DeliveryState::Parked, ..delivered(row.clone()) };
        change(&store, &parked).expect("parked");
        let (channel, target) = (row.channel, row.target.clone());
        assert_eq!(store.read_blocking(move |r| outbox::parked(r, channel, &target)).expect("read"), 1);
        let waiting = again(id, false).expect("tried again");
        assert_eq!((waiting.state, waiting.finished_at), (DeliveryState::Waiting, None));
        change(&store, &delivered(waiting)).expect("delivered");
        assert!(matches!(again(id, false), Err(WriteError::Rejected(StoreError::Refused(_)))));
        assert_eq!(again(id, true).is_ok(), row.channel == Channel::Webhook, "{:?}", row.channel);
    }
    assert!(matches!(again(fresh(), false), Err(WriteError::Rejected(StoreError::NotFound(_)))));
    store.shutdown();
}

pub(crate) fn what_a_backup_had_waiting_is_parked(ground: &Ground) {
    let store = ground.open();
    for dedupe in ["planned", "unplanned"] {
        put(&store, &event(dedupe));
    }
    plan(&store, "planned", vec![way(Channel::Mail, "one", false)]);
    let backup_at = now().plus(10).0;
    let held =
        json!(held::Held { since: backup_at, reason: "a test".to_owned(), backup_at, ..Default::default() });
    store.write_blocking(move |tx| meta::set(tx, held::KEY, &held.to_string())).expect("held");
    let settled = (0..100).any(|_| store.write_blocking(held::settle).expect("settled"));
    assert!(settled, "a hundred steps did not settle three events");
    plan(&store, "unplanned", vec![way(Channel::Mail, "two", false)]);
    put(&store, &Event { at: UtcMillis(backup_at + 1), ..event("later") });
    plan(&store, "later", vec![way(Channel::Mail, "three", false)]);
    assert_eq!(due(&store, now().plus(60_000)), ["three"], "what is new goes out");
    let parked = Filter { state: Some(DeliveryState::Parked), ..Filter::default() };
    let parked = store.read_blocking(move |r| outbox::list(r, &parked, None, 10)).expect("read");
    assert!(parked.iter().all(|(row, _)| row.cause.contains("backup")), "{parked:?}");
    assert_eq!(parked.len(), 2);
    store.shutdown();
}

pub(crate) fn told_events_are_purged_by_age_and_parked_ones_stay(ground: &Ground) {
    let store = ground.open();
    let device = EnrolmentId(fresh());
    for dedupe in ["told", "parked", "waiting", "unplanned"] {
        put(&store, &Event { device: Some(device), ..event(dedupe) });
    }
    for dedupe in ["told", "parked", "waiting"] {
        plan(&store, dedupe, vec![way(Channel::Mail, dedupe, false)]);
    }
    for row in all(&store) {
        let state = match row.target.as_str() {
            "told" => DeliveryState::Delivered,
            "parked" => DeliveryState::Parked,
            _ => continue,
        };
        change(&store, &Delivery { state, ..delivered(row) }).expect("kept");
    }
    let purge =
        |before: UtcMillis| store.write_blocking(move |tx| outbox::purge(tx, before, 10)).expect("purged");
    assert_eq!((purge(UtcMillis(0)), purge(now().plus(1_000))), (0, 1));
    let left: Vec<String> = all(&store).into_iter().map(|row| row.target).collect();
    assert_eq!(left.len(), 2);
    assert!(!left.contains(&"told".to_owned()), "{left:?}");
    store.shutdown();
}

pub(crate) fn what_has_no_address_is_parked_until_it_has_one_and_goes_by_age(ground: &Ground) {
    let store = ground.open();
    put(&store, &event("a"));
    let why = format!("{}admin:anna is known", outbox::NO_ADDRESS);
    let nobody = || Way { parked: Some(why.clone()), ..way(Channel::Mail, "admin:anna", false) };
    plan(&store, "a", vec![nobody(), way(Channel::Mail, "list@x", false)]);
    assert_eq!(due(&store, now().plus(60_000)), ["list@x"]);
    let find = |target: &str| all(&store).into_iter().find(|row| row.target == target);
    let parked = find("admin:anna").expect("parked");
    assert_eq!((parked.state, parked.cause.as_str()), (DeliveryState::Parked, why.as_str()));
    let again = |ways: Vec<Way>| {
        let id = parked.id;
        store.write_blocking(move |tx| outbox::readdress(tx, id, ways.clone())).expect("readdressed")
    };
    assert!(!again(vec![nobody()]), "there still is none");
    assert!(again(vec![way(Channel::Mail, "anna@x", false), way(Channel::Mail, "list@x", false)]));
    assert_eq!(find("admin:anna"), None);
    assert_eq!(due(&store, now().plus(60_000)).len(), 2, "each address once");

    put(&store, &event("old"));
    plan(&store, "old", vec![nobody()]);
    for row in all(&store).into_iter().filter(|row| row.state == DeliveryState::Waiting) {
        change(&store, &delivered(row)).expect("delivered");
    }
    let purged = store.write_blocking(move |tx| outbox::purge(tx, now().plus(1_000), 10)).expect("purged");
    assert_eq!(purged, 2);
    store.shutdown();
}

pub(crate) fn deliveries_come_in_pages_the_newest_first(ground: &Ground) {
    let store = ground.open();
    put(&store, &event("a"));
    let targets: Vec<String> = (0..7).map(|n| format!("t{n}")).collect();
    plan(&store, "a", targets.iter().map(|to| way(Channel::Syslog, to, false)).collect());
    let (mut seen, mut before): (Vec<Uuid>, Option<Uuid>) = (Vec::new(), None);
    loop {
        let page =
            store.read_blocking(move |r| outbox::list(r, &Filter::default(), before, 3)).expect("read");
        let Some((last, _)) = page.last() else { break };
        before = Some(last.id);
        seen.extend(page.iter().map(|(row, _)| row.id));
    }
    let mut once = seen.clone();
    once.sort();
    once.dedup();
    assert_eq!((seen.len(), once.len()), (7, 7));
    let none = Filter { channel: Some(Channel::Mail), ..Filter::default() };
    assert!(store.read_blocking(move |r| outbox::list(r, &none, None, 9)).expect("read").is_empty());
    store.shutdown();
}

pub(crate) fn an_address_of_a_person_is_set_and_forgotten(ground: &Ground) {
    let store = ground.open();
    let subject = mail_addresses::of_owner("Ada");
    let set = |address: &str, second: Option<&str>| {
        let row = MailAddress {
            subject: subject.clone(),
            address: address.to_owned(),
            second: second.map(str::to_owned),
            at: now(),
            set_by: "a test".to_owned(),
        };
        store.write_blocking(move |tx| mail_addresses::set(tx, row.clone())).expect("set");
    };
    set("ada@example.test", Some("home@example.test"));
    set("ada@other.test", None);
    let find = || {
        let subject = subject.clone();
        store.read_blocking(move |r| mail_addresses::find(r, &subject)).expect("read")
    };
    assert_eq!(find().map(|row| (row.address, row.second)), Some(("ada@other.test".to_owned(), None)));
    assert_eq!(store.read_blocking(|r| mail_addresses::list(r, None, 10)).expect("read").len(), 1);
    let gone = subject.clone();
    let remove = move || {
        let gone = gone.clone();
        store.write_blocking(move |tx| mail_addresses::remove(tx, &gone)).expect("removed")
    };
    assert_eq!((remove(), remove()), (true, false));
}
