//! Desired states, devices and changes that wait.

use std::collections::BTreeMap;

use postern_store::{
    enrolments, movers,
    notifications::{self, PushAddress},
    policies::{self, Device, Figures, Hold},
    sysvol,
};
use postern_wire::terms::{EnrolmentId, UtcMillis};
use uuid::Uuid;

use super::{Ground, enrolment, notifications::job, now};

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
        lost_at: None,
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
    for state in ["agreed", "going"] {
        put(state);
        assert_eq!(store.read_blocking(policies::agreed).expect("a read"), Some(hold(state)));
    }
}

pub(crate) fn who_changed_policy_stands_once_until_it_is_in_force(ground: &Ground) {
    let store = ground.open();
    let token = Uuid::from_u128(3);
    let list = || store.read_blocking(|r| movers::list(r, 10)).expect("a read");
    for (person, token, operation) in [
        ("anna", Some(token), "policy.apply"),
        ("anna", None, "policy.apply"),
        ("bert", Some(token), "groups.delete"),
        ("anna", Some(token), "devices.bind"),
    ] {
        store.write_blocking(move |tx| movers::note(tx, person, token, operation)).expect("noted");
    }
    let all = list();
    let said = |mover: &movers::Mover| (mover.person.clone(), mover.token, mover.operation.clone());
    let mut told: Vec<_> = all.iter().map(said).collect();
    told.sort();
    let one = |person: &str, token, operation: &str| (person.to_owned(), token, operation.to_owned());
    assert_eq!(
        told,
        [
            one("anna", None, "policy.apply"),
            one("anna", Some(token), "devices.bind"),
            one("bert", Some(token), "groups.delete"),
        ]
    );
    // What changed again since it was read is not forgotten.
    store.write_blocking(move |tx| movers::note(tx, "bert", Some(token), "policy.apply")).expect("noted");
    let ids: Vec<Uuid> = all.iter().map(|mover| mover.id).collect();
    store.write_blocking(move |tx| movers::forget(tx, &ids)).expect("forgotten");
    assert_eq!(list().iter().map(said).collect::<Vec<_>>(), [one("bert", Some(token), "policy.apply")]);
}

pub(crate) fn who_lost_something_is_found_by_when(ground: &Ground) {
    let store = ground.open();
    let rows = [enrolment("IMEI:1"), enrolment("IMEI:2")];
    let (one, two) = (rows[0].id, rows[1].id);
    let inserted = rows.to_vec();
    store.write_blocking(move |tx| enrolments::insert_many(tx, inserted.clone())).expect("enrolled");
    store
        .write_blocking(move |tx| {
            policies::put(tx, Device { lost_at: Some(UtcMillis(10)), ..device(one, 1, None, None) })?;
            policies::put(tx, device(two, 1, None, None))
        })
        .expect("put");
    for (since, found) in [(9, vec![one]), (10, Vec::new())] {
        let lost = store.read_blocking(move |r| policies::lost_since(r, UtcMillis(since))).expect("a read");
        assert_eq!(lost.into_iter().collect::<Vec<_>>(), found);
    }
}

pub(crate) fn devices_that_a_change_waits_for_are_asked_once(ground: &Ground) {
    let store = ground.open();
    let rows: Vec<_> = (1..=5).map(|number| enrolment(&format!("IMEI:{number}"))).collect();
    let ids: Vec<EnrolmentId> = rows.iter().map(|row| row.id).collect();
    let (all, texts) = (ids.clone(), [([1; 32], "one".to_owned()), ([2; 32], "two".to_owned())]);
    store
        .write_blocking(move |tx| {
            enrolments::insert_many(tx, rows.clone())?;
            policies::keep(tx, &texts.clone().into())?;
            // The first two have something to learn, the third has it, the fourth compared, the fifth has no address.
            for (at, id) in all.iter().enumerate() {
                let settled = match at {
                    0 => None,
                    2 => Some(2),
                    _ => Some(1),
                };
                let changed_at = UtcMillis(now().0 - 1_000 * i64::try_from(at).unwrap_or(0));
                policies::put(tx, Device { changed_at, ..device(*id, 2, None, settled) })?;
                enrolments::set_policy_epoch(tx, *id, i64::from(at == 3))?;
                if at != 4 {
                    let address = Some("+1".to_owned());
                    notifications::set_address(
                        tx,
                        PushAddress { enrolment: *id, address, bearer: None, at: now() },
                    )?;
                }
            }
            Ok(())
        })
        .expect("put");
    let wake = |limit| store.read_blocking(move |r| policies::to_wake(r, limit)).expect("a read");
    assert_eq!(wake(10), [ids[1], ids[0]], "who waits longest first");
    assert_eq!(wake(1), [ids[1]]);

    let second = ids[1];
    let asked = notifications::Notification { created_at: now(), ..job(second) };
    store.write_blocking(move |tx| notifications::insert(tx, asked.clone())).expect("asked for");
    assert_eq!(wake(10), [ids[0]]);
}

pub(crate) fn a_folder_of_sysvol_is_of_one_writing(ground: &Ground) {
    let store = ground.open();
    let keep = |gpo: &str, pass: u128, pieces: &[&str]| {
        let (gpo, pieces) =
            (gpo.to_owned(), pieces.iter().map(|piece| piece.as_bytes().to_vec()).collect::<Vec<_>>());
        let kept =
            move |tx: &mut postern_store::Tx| sysvol::keep(tx, &gpo, Uuid::from_u128(pass), now(), &pieces);
        store.write_blocking(kept).expect("kept");
    };
    keep("CN=b", 1, &["x", "y", "z"]);
    keep("CN=a", 2, &["a"]);
    keep("CN=b", 3, &["1", "2"]);
    assert_eq!(store.read_blocking(sysvol::gpos).expect("a read"), ["CN=a", "CN=b"]);
    let pieces = store.read_blocking(|r| sysvol::folder(r, "CN=b")).expect("a read");
    let of_one: Vec<_> = pieces
        .iter()
        .map(|piece| (piece.number, piece.pieces, piece.pass.as_u128(), &piece.octets[..]))
        .collect();
    assert_eq!(of_one, [(0, 2, 3, &b"1"[..]), (1, 2, 3, b"2")]);
    store.write_blocking(|tx| sysvol::forget(tx, "CN=b")).expect("forgotten");
    assert_eq!(store.read_blocking(sysvol::gpos).expect("a read"), ["CN=a"]);
}
