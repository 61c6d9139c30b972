//! Admins, roles, tokens, idempotency keys.

use postern_store::{Store, StoreError, WriteError, admins, idempotency, roles, tokens};
use postern_wire::terms::Role;
use uuid::Uuid;

use super::{Ground, fresh, now};

fn with_admin(ground: &Ground) -> (Store, Uuid) {
    let store = ground.open();
    let admin = admins::Admin {
        id: fresh(),
        name: "ada".to_owned(),
        password: None,
        created_at: now(),
        created_by: "init".to_owned(),
        may_approve_from: now(),
        disabled_at: None,
        revision: 1,
    };
    let id = admin.id;
    store.write_blocking(move |tx| admins::insert(tx, admin.clone())).expect("an admin");
    (store, id)
}

fn token(admin: Uuid, secret: &[u8]) -> tokens::Token {
    tokens::Token {
        id: fresh(),
        admin,
        label: "first".to_owned(),
        hash: tokens::hash(secret),
        scope: "*".to_owned(),
        networks: String::new(),
        created_at: now(),
        expires_at: Some(now().plus(1000)),
        revoked_at: None,
        last_used_at: None,
        last_used_from: None,
        may_approve_from: now(),
    }
}

pub(crate) fn a_token_is_found_by_its_hash_only(ground: &Ground) {
    let (store, admin) = with_admin(ground);
    let row = token(admin, b"secret");
    let put = row.clone();
    store.write_blocking(move |tx| tokens::insert(tx, put.clone())).expect("a token");

    let found = store.read_blocking(|r| tokens::by_hash(r, &tokens::hash(b"secret")));
    let other = store.read_blocking(|r| tokens::by_hash(r, &tokens::hash(b"Secret")));

    assert_eq!((found, other), (Ok(Some(row)), Ok(None)));
    store.shutdown();
}

pub(crate) fn a_revoked_token_says_so(ground: &Ground) {
    let (store, admin) = with_admin(ground);
    let row = token(admin, b"secret");
    let (put, id) = (row.clone(), row.id);
    store.write_blocking(move |tx| tokens::insert(tx, put.clone())).expect("a token");
    let used = tokens::Use { id, at: now(), from: "192.0.2.1".to_owned() };

    store.write_blocking(move |tx| tokens::used(tx, std::slice::from_ref(&used))).expect("used");
    let first = store.write_blocking(move |tx| tokens::revoke(tx, id));
    let second = store.write_blocking(move |tx| tokens::revoke(tx, id));

    assert_eq!((first, second), (Ok(true), Ok(false)));
    let found =
        store.read_blocking(|r| tokens::by_hash(r, &tokens::hash(b"secret"))).expect("a read").expect("kept");
    assert!(found.revoked_at.is_some());
    assert_eq!(found.last_used_from.as_deref(), Some("192.0.2.1"));
    store.shutdown();
}

pub(crate) fn roles_are_given_and_taken(ground: &Ground) {
    let (store, admin) = with_admin(ground);
    let grant = |role, scope: Option<&str>| roles::Grant {
        admin,
        role,
        scope: scope.map(str::to_owned),
        granted_by: "bob".to_owned(),
        at: now(),
    };
    for one in
        [grant(Role::Helpdesk, None), grant(Role::Auditor, None), grant(Role::Helpdesk, Some("group 1"))]
    {
        store.write_blocking(move |tx| roles::grant(tx, one.clone())).expect("given");
    }

    let taken = store.write_blocking(move |tx| roles::revoke(tx, admin, Role::Auditor));
    let again = store.write_blocking(move |tx| roles::revoke(tx, admin, Role::Auditor));

    assert_eq!((taken, again), (Ok(true), Ok(false)));
    let left = store.read_blocking(move |r| roles::of(r, admin)).expect("a read");
    assert_eq!(left.len(), 1);
    assert_eq!((left[0].role, left[0].scope.as_deref()), (Role::Helpdesk, Some("group 1")));
    store.shutdown();
}

pub(crate) fn an_answer_is_kept_once_for_each_key(ground: &Ground) {
    let store = ground.open();
    let answered = |status| idempotency::Answered {
        principal: "token 1".to_owned(),
        key: "k".to_owned(),
        request: [3; 32],
        status,
        answer: "{}".to_owned(),
        at: now(),
    };
    let (first, second) = (answered(202), answered(500));

    store.write_blocking(move |tx| idempotency::keep(tx, first.clone())).expect("kept");
    let twice = store.write_blocking(move |tx| idempotency::keep(tx, second.clone()));

    assert!(matches!(twice, Err(WriteError::Rejected(StoreError::Conflict(_)))));
    let found = store.read_blocking(|r| idempotency::find(r, "token 1", "k")).expect("a read");
    assert_eq!(found.map(|a| a.status), Some(202));
    assert_eq!(store.read_blocking(|r| idempotency::find(r, "token 2", "k")), Ok(None));
    let later = now().plus(1);
    assert_eq!(store.write_blocking(move |tx| idempotency::purge(tx, later)), Ok(1));
    store.shutdown();
}
