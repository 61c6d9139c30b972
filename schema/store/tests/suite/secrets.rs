//! Sealed columns.

use postern_store::{
    MasterKey, Sealer, StoreError,
    credentials::{self, Credentials},
    enrolments,
};
use secrecy::{ExposeSecret, SecretString};

use super::{Ground, enrolment};

fn sample() -> Credentials {
    Credentials {
        user: "device".to_owned(),
        password: Some(SecretString::from("pä55")),
        server_id: "postern".to_owned(),
        server_password: None,
    }
}

pub(crate) fn credentials_come_back_for_their_own_enrolment_only(ground: &Ground) {
    let store = ground.open();
    let sealer = Sealer::new(&MasterKey::from_octets([1; 32]), &[]).expect("a sealer");
    let (mut one, two) = (enrolment("one"), enrolment("two"));
    one.credentials = Some(sample().seal(&sealer, one.id).expect("sealed"));
    let (id, other, rows) = (one.id, two.id, vec![one.clone(), two]);
    store.write_blocking(move |tx| enrolments::insert_many(tx, rows.clone())).expect("a write");

    let sealed =
        store.read_blocking(move |r| credentials::sealed(r, id)).expect("a read").expect("credentials");
    let opened = Credentials::open(&sealer, id, &sealed).expect("it opens");

    assert_eq!(opened.user, "device");
    assert_eq!(opened.password.as_ref().map(ExposeSecret::expose_secret), Some("pä55"));
    assert!(matches!(Credentials::open(&sealer, other, &sealed), Err(StoreError::Damaged(_))));
    let text = String::from_utf8_lossy(&sealed).into_owned();
    assert!(!text.contains("pä55") && !text.contains("device"), "nothing shows through");
    store.shutdown();
}

pub(crate) fn credentials_are_sealed_anew_under_the_newest_key(ground: &Ground) {
    let store = ground.open();
    let (old_key, new_key) = (MasterKey::from_octets([1; 32]), MasterKey::from_octets([2; 32]));
    let old = Sealer::new(&old_key, &[]).expect("a sealer");
    let both = std::sync::Arc::new(Sealer::new(&new_key, &[old_key]).expect("a sealer"));
    let mut rows = vec![enrolment("one"), enrolment("two"), enrolment("none")];
    for row in &mut rows[..2] {
        row.credentials = Some(sample().seal(&old, row.id).expect("sealed"));
    }
    let id = rows[0].id;
    store.write_blocking(move |tx| enrolments::insert_many(tx, rows.clone())).expect("a write");

    let sealer = both.clone();
    let first = store.write_blocking(move |tx| credentials::rotate(tx, &sealer, None, 100)).expect("rotated");
    let sealer = both.clone();
    let again = store.write_blocking(move |tx| credentials::rotate(tx, &sealer, None, 100)).expect("rotated");

    assert_eq!((first.1, again.1), (2, 0));
    let sealed =
        store.read_blocking(move |r| credentials::sealed(r, id)).expect("a read").expect("credentials");
    let only_new = Sealer::new(&new_key, &[]).expect("a sealer");
    assert!(Credentials::open(&only_new, id, &sealed).is_ok());
    assert!(matches!(Credentials::open(&old, id, &sealed), Err(StoreError::Configuration(_))));
    store.shutdown();
}
