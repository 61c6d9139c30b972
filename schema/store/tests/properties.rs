//! Properties of sealed values and of the audit chain.

use std::os::unix::fs::PermissionsExt;

use postern_store::{
    MasterKey, Sealer, StoreError,
    audit::{self, Entry, Verdict},
};
use postern_wire::terms::{EnrolmentId, UtcMillis};
use proptest::prelude::*;
use uuid::Uuid;

fn sealer() -> Sealer {
    Sealer::new(&MasterKey::from_octets([7; 32]), &[]).expect("a sealer")
}

proptest! {
    #[test]
    fn what_is_sealed_opens_for_its_enrolment(plain: Vec<u8>, id: u128) {
        let enrolment = EnrolmentId(Uuid::from_u128(id));
        let sealed = sealer().seal(enrolment, &plain).expect("sealed");
        let opened = sealer().open(enrolment, sealed.as_octets()).expect("it opens");
        prop_assert_eq!(opened.as_slice(), plain.as_slice());
    }

    #[test]
    fn a_sealed_value_opens_for_no_other_enrolment(plain: Vec<u8>, id: u128, other: u128) {
        prop_assume!(id != other);
        let sealed = sealer().seal(EnrolmentId(Uuid::from_u128(id)), &plain).expect("sealed");
        prop_assert!(sealer().open(EnrolmentId(Uuid::from_u128(other)), sealed.as_octets()).is_err());
    }

    #[test]
    fn a_changed_sealed_value_does_not_open(plain: Vec<u8>, at: prop::sample::Index, bit in 0..8_u8) {
        let enrolment = EnrolmentId(Uuid::from_u128(1));
        let mut octets = sealer().seal(enrolment, &plain).expect("sealed").into_octets();
        let at = at.index(octets.len());
        octets[at] ^= 1 << bit;
        prop_assert!(sealer().open(enrolment, &octets).is_err());
    }

    #[test]
    fn no_octets_make_opening_panic(octets: Vec<u8>) {
        prop_assert!(sealer().open(EnrolmentId(Uuid::nil()), &octets).is_err());
    }

    #[test]
    fn any_change_of_a_chained_row_is_found(texts in prop::collection::vec("[^\\x00]{0,12}", 1..8), at: prop::sample::Index, field in 0..9_usize) {
        let mut rows = chain(&texts);
        prop_assert!(matches!(audit::check(&rows, 1, Some([0; 32])), Verdict::Whole { .. }), "whole as it was");
        let at = at.index(rows.len());
        let row = &mut rows[at];
        match field {
            0 => row.actor.push('x'),
            1 => row.action.push('x'),
            2 => row.object.push('x'),
            3 => row.outcome.push('x'),
            4 => row.detail.push('x'),
            5 => row.source.push('x'),
            6 => row.request.push('x'),
            7 => row.at = row.at.plus(1),
            _ => row.previous[0] ^= 1,
        }
        let found = matches!(audit::check(&rows, 1, Some([0; 32])), Verdict::Broken { .. });
        prop_assert!(found);
    }

    #[test]
    fn text_cannot_move_from_one_field_to_the_next(actor in "[a-z]{2,6}", action in "[a-z]{0,6}") {
        let mut row = chain(&[String::new()]).remove(0);
        (row.actor, row.action) = (actor.clone(), action.clone());
        let hash = audit::hash(&row);
        let (left, moved) = actor.split_at(actor.len() - 1);
        (row.actor, row.action) = (left.to_owned(), format!("{moved}{action}"));
        prop_assert_ne!(audit::hash(&row), hash);
    }
}

fn chain(texts: &[String]) -> Vec<Entry> {
    let mut previous = [0; 32];
    let mut rows = Vec::new();
    for (n, text) in (1..).zip(texts) {
        let mut row = Entry {
            seq: n,
            at: UtcMillis(n * 1000),
            actor: text.clone(),
            action: "a".to_owned(),
            object: text.clone(),
            outcome: "ok".to_owned(),
            detail: "{}".to_owned(),
            source: text.clone(),
            request: String::new(),
            previous,
            hash: [0; 32],
        };
        row.hash = audit::hash(&row);
        previous = row.hash;
        rows.push(row);
    }
    rows
}

#[test]
fn a_removed_last_row_is_found_by_a_head_only() {
    let mut rows = chain(&["a".to_owned(), "b".to_owned()]);
    let head = rows[1].hash;
    rows.pop();

    let verdict = audit::check(&rows, 1, Some([0; 32]));

    assert!(matches!(verdict, Verdict::Whole { last: 1, hash, .. } if hash != head));
}

#[test]
fn a_master_key_file_that_others_can_read_is_refused() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("master.key");
    let made = MasterKey::create(&path).expect("a key file");
    let mode = std::fs::metadata(&path).expect("there").permissions().mode() & 0o777;

    assert_eq!(mode, 0o600);
    assert_eq!(MasterKey::load(&path).expect("it loads").id(), made.id());
    assert!(MasterKey::create(&path).is_err(), "never written over");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).expect("mode");
    assert!(matches!(MasterKey::load(&path), Err(StoreError::Configuration(why)) if why.contains("0600")));
    let short = dir.path().join("short.key");
    std::fs::write(&short, [1; 31]).expect("a file");
    std::fs::set_permissions(&short, std::fs::Permissions::from_mode(0o600)).expect("mode");
    assert!(MasterKey::load(&short).is_err());
}
