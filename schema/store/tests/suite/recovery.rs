//! Recovery passwords and escrow keys.

use postern_store::{
    StoreError, WriteError, enrolments,
    recovery::{self, Device, KEPT, Key, Password, Resting},
};
use postern_wire::terms::{EnrolmentId, EnrolmentState, ProofClass, RecoveryCause, RecoveryKind, UtcMillis};

use super::{Ground, enrolment, now};

fn password(id: EnrolmentId, number: i64, key: &str) -> Password {
    Password {
        enrolment: id,
        kind: RecoveryKind::DevicePassword,
        generation: 1,
        number,
        key: key.to_owned(),
        sealed: format!("sealed {number} to {key}"),
        cause: RecoveryCause::First,
        proof: ProofClass::Signed,
        made_at: UtcMillis(number),
        received_at: UtcMillis(1_000 + number),
        shown: 0,
        shown_at: None,
        shown_by: None,
    }
}

fn device(id: EnrolmentId, state: &str, key: Option<&str>, due_at: Option<i64>) -> Device {
    Device {
        enrolment: id,
        generation: 1,
        state: state.to_owned(),
        cause: String::new(),
        since: UtcMillis(1),
        due_at: due_at.map(UtcMillis),
        operation: None,
        key: key.map(str::to_owned),
        tries: 0,
        revision: 1,
    }
}

fn key(number: i64, id: &str, replaces: Option<&str>) -> Key {
    Key {
        id: id.to_owned(),
        number,
        public: vec![1, 2],
        replaces: replaces.map(str::to_owned),
        change: replaces.map(|_| "signed".to_owned()),
        made_at: now(),
        made_by: "test".to_owned(),
    }
}

pub(crate) fn a_sealed_password_is_kept_once_and_the_last_few_stay(ground: &Ground) {
    let store = ground.open();
    let row = enrolment("IMEI:1");
    let id = row.id;
    store.write_blocking(move |tx| enrolments::insert_many(tx, vec![row.clone()])).expect("enrolled");
    let keep = |password: Password| {
        store.write_blocking(move |tx| recovery::keep(tx, password.clone())).expect("kept")
    };
    let all = || store.read_blocking(move |r| recovery::passwords(r, id)).expect("a read");
    for number in 1..=7 {
        assert!(keep(password(id, number, "k1")));
    }
    assert!(!keep(password(id, 7, "k1")), "it came before");
    let numbers = |all: Vec<Password>| all.into_iter().map(|one| one.number).collect::<Vec<_>>();
    assert_eq!(numbers(all()), [7, 6, 5, 4, 3]);
    assert_eq!(all().len(), KEPT);
    // a device that lost its count: what it says now is the newest
    assert!(keep(Password { received_at: UtcMillis(5_000), ..password(id, 3, "k2") }));
    assert_eq!(numbers(all()), [3, 7, 6, 5, 4]);
    let newest = all().remove(0);
    assert_eq!((newest.key.as_str(), newest.shown), ("k2", 0));
    store.write_blocking(move |tx| recovery::shown(tx, &newest, "ada")).expect("shown");
    let newest = all().remove(0);
    assert_eq!((newest.shown, newest.shown_by.as_deref()), (1, Some("ada")));
    let rests = store.read_blocking(|r| recovery::resting(r, "k1")).expect("a read");
    assert_eq!(rests, Resting { devices: 0, passwords: 4 });
}

pub(crate) fn an_escrow_key_follows_the_one_in_use_and_no_other(ground: &Ground) {
    let store = ground.open();
    let add = |key: Key| store.write_blocking(move |tx| recovery::add_key(tx, key.clone()));
    add(key(1, "k1", None)).expect("the first");
    for wrong in [key(1, "k2", None), key(2, "k2", None), key(2, "k2", Some("k0")), key(3, "k2", Some("k1"))]
    {
        assert!(matches!(add(wrong), Err(WriteError::Rejected(StoreError::Conflict(_)))));
    }
    add(key(2, "k2", Some("k1"))).expect("the second");
    let (all, current) = (
        store.read_blocking(recovery::keys).expect("a read"),
        store.read_blocking(recovery::current_key).expect("a read"),
    );
    assert_eq!(all.iter().map(|key| key.id.as_str()).collect::<Vec<_>>(), ["k1", "k2"]);
    assert_eq!(current.map(|key| key.id).as_deref(), Some("k2"));
}

pub(crate) fn devices_are_found_by_what_is_wanted_of_them(ground: &Ground) {
    let store = ground.open();
    let managed = |name| enrolments::Enrolment { state: EnrolmentState::Managed, ..enrolment(name) };
    let rows = [managed("IMEI:1"), managed("IMEI:2"), managed("IMEI:3"), enrolment("IMEI:4")];
    let [one, two, three, _] = [rows[0].id, rows[1].id, rows[2].id, rows[3].id];
    store.write_blocking(move |tx| enrolments::insert_many(tx, rows.to_vec())).expect("enrolled");
    store
        .write_blocking(move |tx| {
            recovery::put(tx, device(one, "held", Some("k1"), None))?;
            recovery::put(tx, device(two, "due", Some("k2"), Some(50)))
        })
        .expect("put");
    let due = |at| store.read_blocking(move |r| recovery::due(r, UtcMillis(at), None, 10)).expect("a read");
    assert_eq!((due(49), due(50)), (vec![], vec![two]));
    let unknown = store.read_blocking(|r| recovery::unknown(r, None, 10)).expect("a read");
    assert_eq!(unknown, [three], "managed and without a row");
    let elsewhere = store.read_blocking(|r| recovery::sealed_elsewhere(r, "k2", &["due"], 10));
    assert_eq!(elsewhere.expect("a read").iter().map(|d| d.enrolment).collect::<Vec<_>>(), [one]);
    let behind = || store.read_blocking(|r| recovery::not_renewed(r, &["held"], 10)).expect("a read").len();
    assert_eq!(behind(), 0);
    store.write_blocking(recovery::renew_all).expect("said");
    assert_eq!(behind(), 1);
    let counts = store.read_blocking(recovery::counts).expect("a read");
    assert_eq!(counts, [("due".to_owned(), 1), ("held".to_owned(), 1)]);
}
