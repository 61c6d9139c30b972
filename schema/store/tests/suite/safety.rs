//! What the limits of destructive operations are counted by: acts, requests, freezes, break-glass.

use postern_store::{
    Store, StoreError,
    approvals::{self, Approval},
    destructive::{self, DestructiveAct, SetLimit, Whose},
    freezes::{self, BreakGlass},
};
use postern_wire::terms::{EnrolmentId, OperationId, UtcMillis};
use uuid::Uuid;

use super::{Ground, fresh, now};

fn act(device: EnrolmentId, person: Option<&str>, at: UtcMillis) -> DestructiveAct {
    DestructiveAct {
        id: fresh(),
        admission: fresh(),
        enrolment: device,
        generation: 1,
        class: "lock".to_owned(),
        person: person.map(str::to_owned),
        token: Some(fresh()),
        at,
        operation: None,
        approval: None,
        glass: false,
        sent_at: None,
    }
}

fn insert(store: &Store, acts: Vec<DestructiveAct>) {
    store.write_blocking(move |tx| destructive::insert(tx, acts.clone())).expect("acts");
}

fn hit(store: &Store, whose: Whose<'static>, since: UtcMillis) -> usize {
    store.read_blocking(move |r| destructive::hit(r, whose, since)).expect("devices").len()
}

fn device() -> EnrolmentId {
    EnrolmentId(fresh())
}

pub(crate) fn devices_that_were_hit_are_counted_once_over_all_tokens(ground: &Ground) {
    let store = ground.open();
    let at = now();
    let (one, two, three) = (device(), device(), device());
    insert(
        &store,
        vec![
            act(one, Some("a"), at),
            act(one, Some("a"), at),
            act(two, Some("a"), at),
            act(two, Some("b"), at),
            act(three, Some("b"), at.plus(-10)),
            act(device(), None, at),
            DestructiveAct { approval: Some(fresh()), ..act(device(), Some("a"), at) },
            DestructiveAct { glass: true, ..act(device(), Some("a"), at) },
        ],
    );
    for (whose, since, count) in [
        (Whose::Person("a"), at.plus(-1), 2),
        (Whose::Person("b"), at.plus(-1), 1),
        (Whose::Person("b"), at.plus(-11), 2),
        (Whose::Persons, at.plus(-11), 3),
        (Whose::Persons, at.plus(-1), 2),
        (Whose::Services, at.plus(-1), 1),
        (Whose::Persons, at, 0),
    ] {
        assert_eq!(hit(&store, whose, since), count, "{whose:?}");
    }
    assert_eq!(store.write_blocking(move |tx| destructive::purge(tx, at)).expect("a purge"), 1);
}

pub(crate) fn what_was_sent_is_counted_apart_and_noted_once(ground: &Ground) {
    let store = ground.open();
    let (mine, other) = (device(), device());
    let (row, admission) = (act(mine, Some("a"), now()), fresh());
    let row = DestructiveAct { admission, ..row };
    insert(&store, vec![row.clone(), act(other, Some("b"), now())]);
    let operation = OperationId(fresh());
    let bound = store
        .write_blocking(move |tx| destructive::bind(tx, admission, Some(mine), operation))
        .expect("a binding");
    assert_eq!(bound, 1);
    let found = move |store: &Store| {
        store.read_blocking(move |r| destructive::of_operation(r, operation, mine)).expect("an act")
    };
    assert_eq!(found(&store).map(|act| (act.id, act.sent_at)), Some((row.id, None)));
    assert_eq!(
        store.read_blocking(move |r| destructive::of_operation(r, operation, other)).expect("none"),
        None
    );
    let since = now().plus(-1000);
    let sent_to = move |store: &Store, but| {
        store.read_blocking(move |r| destructive::sent_to(r, since, but)).expect("a count")
    };
    assert_eq!(sent_to(&store, other), 0);
    store.write_blocking(move |tx| destructive::sent(tx, row.id)).expect("it is noted");
    let first = found(&store).and_then(|act| act.sent_at);
    assert!(first.is_some());
    store.write_blocking(move |tx| destructive::sent(tx, row.id)).expect("it is noted once");
    assert_eq!(found(&store).and_then(|act| act.sent_at), first);
    assert_eq!((sent_to(&store, other), sent_to(&store, mine)), (1, 0));
}

fn approval(requester: &str, hash: [u8; 32]) -> Approval {
    Approval {
        id: fresh(),
        kind: "wipe".to_owned(),
        state: approvals::WAITING.to_owned(),
        requester: requester.to_owned(),
        token: None,
        reason: "lost\0".to_owned(),
        content: "{}".to_owned(),
        hash,
        targets: 1,
        created_at: now(),
        expires_at: now().plus(1000),
        cooling_ms: 0,
        alone_from: None,
        agreed_at: None,
        agreed_by: None,
        decided_at: None,
        decided_by: None,
        because: String::new(),
        revision: 1,
    }
}

pub(crate) fn a_request_is_found_by_its_hash_and_moved_on_once(ground: &Ground) {
    let store = ground.open();
    let (row, hash) = (approval("a", [7; 32]), [7; 32]);
    let id = row.id;
    let asked = row.clone();
    store.write_blocking(move |tx| approvals::insert(tx, asked.clone())).expect("a request");
    let same = |who: &'static str, hash| {
        store.read_blocking(move |r| approvals::same(r, who, hash)).expect("an answer").map(|row| row.id)
    };
    assert_eq!((same("a", hash), same("b", hash), same("a", [8; 32])), (Some(id), None, None));
    assert_eq!(store.read_blocking(|r| approvals::open_of(r, "a")).expect("a count"), 1);
    let granted =
        Approval { state: approvals::GRANTED.to_owned(), agreed_by: Some("b".into()), ..row.clone() };
    let moved = granted.clone();
    store.write_blocking(move |tx| approvals::set(tx, &moved)).expect("it moves");
    let again = store.write_blocking(move |tx| approvals::set(tx, &granted));
    assert!(again.is_err(), "only from where it was read");
    assert_eq!(same("a", hash), None);
    let ticket = store.read_blocking(move |r| approvals::granted(r, "a", hash)).expect("an answer");
    assert_eq!(ticket.map(|row| (row.id, row.revision)), Some((id, 2)));
    let listed = store.read_blocking(|r| approvals::list(r, Some("granted"), None, 10)).expect("a list");
    assert_eq!((listed.len(), listed[0].reason.as_str()), (1, "lost\u{FFFD}"));
    assert_eq!(store.read_blocking(|r| approvals::open(r, 10)).expect("a list").len(), 1);
}

pub(crate) fn at_most_one_freeze_stands(ground: &Ground) {
    let store = ground.open();
    let freeze = |by: &'static str| {
        store.write_blocking(move |tx| freezes::freeze(tx, by, "too much", false)).expect("a freeze")
    };
    let first = freeze("admin:a");
    assert_eq!(freeze("admin:b").id, first.id);
    assert_eq!(store.read_blocking(freezes::last_thaw).expect("none"), None);
    let thaw = || store.write_blocking(|tx| freezes::thaw(tx, "admin:a, admin:b", "looked")).expect("a thaw");
    assert!(thaw() && !thaw());
    assert_eq!(store.read_blocking(freezes::current).expect("none"), None);
    assert!(store.read_blocking(freezes::last_thaw).expect("a moment").is_some());
    assert_ne!(freeze("admin:c").id, first.id);
    assert_eq!(store.read_blocking(|r| freezes::list(r, 10)).expect("a list").len(), 2);
}

pub(crate) fn break_glass_opens_once_for_one_person_and_token(ground: &Ground) {
    let store = ground.open();
    let (token, at) = (fresh(), now());
    let row = BreakGlass {
        id: fresh(),
        person: "a".to_owned(),
        token,
        opened_at: at,
        until: at.plus(1000),
        devices: 2,
        spent: 0,
        code_hash: [9; 32],
        reason: "the directory is down".to_owned(),
    };
    let id = row.id;
    let open = |row: BreakGlass| store.write_blocking(move |tx| freezes::open_glass(tx, row.clone()));
    open(row.clone()).expect("it opens");
    let again = open(BreakGlass { id: fresh(), ..row });
    assert!(matches!(again, Err(postern_store::WriteError::Rejected(StoreError::Conflict(_)))));
    assert!(store.read_blocking(|r| freezes::is_used(r, [9; 32])).expect("an answer"));
    let glass = |who: &'static str, token: Uuid, now| {
        store.read_blocking(move |r| freezes::glass(r, who, token, now)).expect("an answer")
    };
    assert_eq!(glass("a", token, at).map(|open| open.spent), Some(0));
    assert!(glass("b", token, at).is_none() && glass("a", fresh(), at).is_none());
    assert!(glass("a", token, at.plus(1000)).is_none());
    store.write_blocking(move |tx| freezes::spend(tx, id, 2)).expect("it is spent");
    assert_eq!(glass("a", token, at).map(|open| open.spent), Some(2));
}

pub(crate) fn a_limit_takes_the_place_of_the_one_with_its_name(ground: &Ground) {
    let store = ground.open();
    for value in [3, 4] {
        let limit =
            SetLimit { name: "per-person".to_owned(), value, set_by: "admin:a".to_owned(), at: now() };
        store.write_blocking(move |tx| destructive::set_limits(tx, vec![limit.clone()])).expect("it is set");
    }
    let set = store.read_blocking(destructive::limits).expect("the limits");
    assert_eq!(set.iter().map(|limit| limit.value).collect::<Vec<_>>(), [4]);
}
