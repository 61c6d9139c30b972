//! CAs, the certificates that they issued, and CRLs.

use postern_store::{
    StoreError, WriteError,
    authorities::{self, Authority},
    certificates::{self, Issued},
    crls::{self, Entry, Imported},
    enrolments,
    lists::{self, List},
};
use postern_wire::{
    link::{Admission, BlockedSubject, CertificateName},
    terms::{CaRole, CaState, RevocationReason, UtcMillis},
};

use super::{Ground, enrolment, now};

fn authority(role: CaRole, generation: i64, state: CaState) -> Authority {
    Authority {
        role,
        generation,
        state,
        name: format!("CN=Postern {role} CA {generation}"),
        issuer: format!("{role}{generation}"),
        chain: vec![1, 2, 3],
        bridge: None,
        key_file: format!("ca/{role}-ca-{generation}.key"),
        not_before: UtcMillis(0),
        not_after: UtcMillis(1 << 50),
        made_at: now(),
        made_by: "admin:ada".to_owned(),
        retired_at: None,
        crl_number: 0,
        crl: None,
        crl_at: None,
        crl_next: None,
        crl_stale: true,
    }
}

fn issued(role: CaRole, generation: i64, serial: &str, subject: &str) -> Issued {
    Issued {
        name: CertificateName { serial: serial.to_owned(), issuer: format!("{role}{generation}") },
        role,
        subject: subject.to_owned(),
        subject_generation: 1,
        fingerprint: [7; 32],
        not_before: now(),
        not_after: now().plus(86_400_000),
    }
}

pub(crate) fn of_a_role_one_generation_signs_and_each_change_raises_the_trusts_version(ground: &Ground) {
    let store = ground.open();
    let insert = |row: Authority| store.write_blocking(move |tx| authorities::insert(tx, row.clone()));
    let state = |generation, state| {
        store.write_blocking(move |tx| authorities::set_state(tx, CaRole::Device, generation, state))
    };
    let version = || store.read_blocking(authorities::trust_version).expect("a read");

    insert(authority(CaRole::Device, 1, CaState::Signing)).expect("the first");
    insert(authority(CaRole::Link, 1, CaState::Signing)).expect("of another role");
    assert_eq!(version(), 2);
    let second = insert(authority(CaRole::Device, 2, CaState::Signing));
    assert!(matches!(second, Err(WriteError::Rejected(StoreError::Refused(_)))), "{second:?}");
    let same_name =
        Authority { issuer: "device1".into(), ..authority(CaRole::Device, 2, CaState::Requested) };
    assert!(matches!(insert(same_name), Err(WriteError::Rejected(StoreError::Conflict(_)))));
    assert_eq!(version(), 2, "what was refused changed nothing");

    insert(authority(CaRole::Device, 2, CaState::Trusted)).expect("a second that does not sign");
    assert!(state(2, CaState::Signing).is_err());
    state(1, CaState::Trusted).expect("the first signs no more");
    state(2, CaState::Signing).expect("the second does");
    let signing = store.read_blocking(|r| authorities::signing(r, CaRole::Device)).expect("a read");
    assert_eq!((signing.expect("one").generation, version()), (2, 5));
    state(1, CaState::Retired).expect("retired");
    let first = store.read_blocking(|r| authorities::find(r, CaRole::Device, 1)).expect("a read").expect("1");
    assert!(first.retired_at.is_some() && first.state == CaState::Retired);
    store.shutdown();
}

pub(crate) fn to_revoke_blocks_and_asks_for_a_crl_in_one_act(ground: &Ground) {
    let store = ground.open();
    store
        .write_blocking(|tx| {
            for role in [CaRole::Device, CaRole::Link, CaRole::Server] {
                authorities::insert(tx, authority(role, 1, CaState::Signing))?;
                authorities::set_crl(tx, &format!("{role}1"), 1, b"crl", UtcMillis(9))?;
            }
            certificates::insert(tx, &issued(CaRole::Device, 1, "4a", "postern:device:a"))?;
            certificates::insert(tx, &issued(CaRole::Device, 1, "4b", "postern:device:b"))?;
            certificates::insert(tx, &issued(CaRole::Link, 1, "4c", "postern:gateway:g"))?;
            certificates::insert(tx, &issued(CaRole::Server, 1, "4d", "postern:gateway:g"))
        })
        .expect("issued");
    let revoke = |serial: &'static str, reason| {
        store.write_blocking(move |tx| certificates::revoke(tx, serial, reason))
    };
    let verdict_of = |serial: &str, issuer: &str| {
        let name = CertificateName { serial: serial.to_owned(), issuer: issuer.to_owned() };
        let entry = serde_json::to_string(&BlockedSubject::Certificate(name)).expect("JSON");
        let found = store.read_blocking(move |r| lists::find(r, List::Blocked, &entry)).expect("a read");
        found.map(|entry| entry.verdict)
    };

    let lost = revoke("00:4A", RevocationReason::Unspecified).expect("revoked, however it is spelt");
    assert_eq!(lost.blocked.expect("blocked").verdict, Admission::WipeOnly);
    assert_eq!(verdict_of("4a", "device1").as_deref(), Some("wipe-only"));
    let again = revoke("4a", RevocationReason::Superseded);
    assert!(matches!(again, Err(WriteError::Rejected(StoreError::Refused(_)))));
    let graver = revoke("4a", RevocationReason::KeyCompromise).expect("a graver reason is taken");
    assert_eq!(graver.certificate.revoked_at, lost.certificate.revoked_at, "it was revoked then");
    assert_eq!(verdict_of("4a", "device1").as_deref(), Some("refuse"));
    revoke("4c", RevocationReason::Superseded).expect("revoked");
    assert_eq!(verdict_of("4c", "link1").as_deref(), Some("refuse"), "a link's is never half good");
    assert_eq!(revoke("4d", RevocationReason::Superseded).expect("revoked").blocked, None);
    assert!(matches!(
        revoke("ff", RevocationReason::Unspecified),
        Err(WriteError::Rejected(StoreError::NotFound(_)))
    ));

    let rows = store.read_blocking(authorities::list).expect("a read");
    assert!(rows.iter().all(|row| row.crl_stale), "each CRL is to be made anew");
    let listed = store.read_blocking(|r| certificates::revoked(r, "device1", now())).expect("a read");
    assert_eq!(listed.iter().map(|row| row.serial.as_str()).collect::<Vec<_>>(), ["4a"]);
    store.shutdown();
}

pub(crate) fn the_number_of_a_crl_rises_by_one(ground: &Ground) {
    let store = ground.open();
    store
        .write_blocking(|tx| authorities::insert(tx, authority(CaRole::Device, 1, CaState::Signing)))
        .expect("a CA");
    let set = |number| {
        store.write_blocking(move |tx| authorities::set_crl(tx, "device1", number, b"crl", UtcMillis(9)))
    };
    set(1).expect("the first");
    assert!(matches!(set(1), Err(WriteError::Rejected(StoreError::Conflict(_)))), "made twice");
    assert!(matches!(set(3), Err(WriteError::Rejected(StoreError::Conflict(_)))), "one left out");
    set(2).expect("the second");
    let row = store.read_blocking(|r| authorities::by_issuer(r, "device1")).expect("a read").expect("it");
    assert_eq!((row.crl_number, row.crl_stale), (2, false));
    store.shutdown();
}

pub(crate) fn who_still_has_a_certificate_of_the_ca_before_is_a_straggler(ground: &Ground) {
    let store = ground.open();
    let (old, new, gone) = (enrolment("old"), enrolment("new"), enrolment("gone"));
    let ids = [old.id, new.id, gone.id];
    store
        .write_blocking(move |tx| {
            authorities::insert(tx, authority(CaRole::Device, 1, CaState::Trusted))?;
            authorities::insert(tx, authority(CaRole::Device, 2, CaState::Signing))?;
            let rows = [(&old, 1, "4a"), (&new, 1, "4b"), (&new, 2, "4c"), (&gone, 1, "4d")];
            for (row, generation, serial) in rows {
                if enrolments::find(tx, row.id)?.is_none() {
                    enrolments::insert(tx, row.clone())?;
                }
                let subject = certificates::device(row.id);
                certificates::insert(tx, &issued(CaRole::Device, generation, serial, &subject))?;
                enrolments::set_certificate(tx, row.id, serial, [7; 32], now())?;
            }
            enrolments::retire(tx, gone.id, "lost").map(drop)
        })
        .expect("enrolled");

    let found = store.read_blocking(|r| certificates::device_stragglers(r, 2, None, 10)).expect("a read");
    assert_eq!(found.into_iter().map(|(id, ..)| id).collect::<Vec<_>>(), [ids[0]]);
    let rows = store.read_blocking(|r| certificates::stragglers(r, CaRole::Device, 2, now(), 10));
    let serials: Vec<String> = rows.expect("a read").into_iter().map(|row| row.serial).collect();
    assert_eq!(serials.len(), 2, "the replaced one is none: {serials:?}");
    let before = store.read_blocking(|r| certificates::by_serial(r, "4b")).expect("a read").pop();
    assert_eq!(before.expect("it").replaced_by.as_deref(), Some("4c"));
    store.shutdown();
}

pub(crate) fn an_imported_crl_blocks_what_it_lists_and_frees_what_it_no_longer_lists(ground: &Ground) {
    let store = ground.open();
    let import = |at: i64, serials: &'static [&'static str]| {
        store.write_blocking(move |tx| {
            let crl = Imported {
                issuer: "other".into(),
                name: "CN=Other".into(),
                number: "01".into(),
                this_update: UtcMillis(at),
                next_update: None,
                entries: i64::try_from(serials.len()).unwrap_or(0),
                imported_at: now(),
                imported_by: "admin:ada".into(),
            };
            let entries = serials.iter().map(|serial| Entry {
                issuer: "other".into(),
                serial: (*serial).to_owned(),
                reason: RevocationReason::KeyCompromise,
                revoked_at: UtcMillis(1),
            });
            crls::import(tx, crl, entries.collect())
        })
    };
    let blocked = || {
        let page = store.read_blocking(|r| lists::entries(r, List::Blocked, "", 10)).expect("a read");
        page.len()
    };
    assert_eq!(import(10, &["4a", "4b"]).expect("imported").add.len(), 2);
    assert_eq!(blocked(), 2);
    let next = import(20, &["4b", "4c"]).expect("imported");
    assert_eq!((next.add.len(), next.remove.len(), blocked()), (1, 1, 2));
    let older = import(15, &[]);
    assert!(matches!(older, Err(WriteError::Rejected(StoreError::Refused(_)))), "{older:?}");
    assert_eq!(store.read_blocking(crls::list).expect("a read").len(), 1);
    store.shutdown();
}
