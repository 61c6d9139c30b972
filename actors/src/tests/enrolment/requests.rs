//! Requests: made, locked, expired, cancelled; quotas and imports.

use postern_store::attempts;
use postern_wire::{
    enrol::{OneTimePassword, Refusal},
    terms::RequestState,
};
use secrecy::ExposeSecret as _;

use super::*;
use crate::enrolment::{AdmitError, EnrolmentError, Knock};

#[actix::test]
async fn a_password_is_shown_once_and_only_its_sealed_key_rests() {
    let ground = Ground::start().await;
    let made = ground.requested(wanted("a")).await;
    let password = OneTimePassword::parse(made.password.expose_secret()).unwrap();
    let row = ground.request(&made).await;
    assert_eq!((row.state, row.code), (RequestState::Open, password.code().to_string()));
    let sealed = row.psk.unwrap();
    let key = password.psk();
    assert!(!sealed.windows(32).any(|octets| octets == key.as_bytes()), "the key rests unsealed");
    let found = ground.enrolments.key(password.code()).await.unwrap();
    assert_eq!(found, Some(key));
    assert_eq!(ground.audited().await, ["enrolment.request"]);
    ground.core.stop().await;
}

#[actix::test]
async fn too_many_wrong_passwords_lock_a_request_and_are_counted_by_source() {
    let ground = Ground::start().await;
    let made = ground.requested(wanted("a")).await;
    let knock = |source: &str| Knock {
        code: Some(code(&made)),
        step: "start",
        reason: "enrolment-not-proved",
        source: source.to_owned(),
        gateway: "edge".to_owned(),
    };
    ground.enrolments.knocked(knock("192.0.2.1"));
    ground.enrolments.knocked(knock("192.0.2.1"));
    ground.look().await;
    let row = ground.request(&made).await;
    assert_eq!((row.state, row.failures), (RequestState::Open, 2), "a failed try uses nothing up");

    ground.enrolments.knocked(knock("192.0.2.2"));
    ground.look().await;
    let row = ground.request(&made).await;
    assert_eq!((row.state, row.failures, row.psk), (RequestState::Locked, 3, None));
    assert_eq!(row.last_failure_source.as_deref(), Some("192.0.2.2"));
    assert_eq!(ground.enrolments.key(code(&made)).await.unwrap(), None);
    let log =
        ground.core.store.read(move |r| attempts::list(r, Some(made.request.id), None, 10)).await.unwrap();
    let counted: Vec<_> = log.iter().map(|row| (row.source.as_str(), row.count)).collect();
    assert_eq!(counted, [("192.0.2.2", 1), ("192.0.2.1", 2)]);
    assert_eq!(ground.audited().await, ["enrolment.request", "enrolment.lock"]);
    ground.core.stop().await;
}

#[actix::test]
async fn a_request_expires_after_its_time_and_its_key_is_wiped() {
    let ground = Ground::start().await;
    let made = ground.requested(wanted("a")).await;
    ground.core.clock.advance(Duration::from_secs(8 * 3600 + 1));
    let refused = ground.admit(&made, proposal("a", KEY_ONE)).await.unwrap_err();
    assert!(matches!(refused, AdmitError::Refused { refusal: Refusal::Expired, .. }), "{refused:?}");
    ground.look().await;
    let row = ground.request(&made).await;
    assert_eq!((row.state, row.psk), (RequestState::Expired, None));
    let refused = ground.enrolments.cancel(made.request.id, admin(), String::new()).await;
    assert!(matches!(refused, Err(EnrolmentError::Request(_))), "{refused:?}");
    ground.core.stop().await;
}

#[actix::test]
async fn a_cancelled_request_lets_nobody_in() {
    let ground = Ground::start().await;
    let made = ground.requested(wanted("a")).await;
    ground.enrolments.cancel(made.request.id, admin(), "a mistake".to_owned()).await.unwrap();
    assert_eq!(ground.enrolments.key(code(&made)).await.unwrap(), None);
    let refused = ground.admit(&made, proposal("a", KEY_ONE)).await.unwrap_err();
    assert!(matches!(refused, AdmitError::Refused { refusal: Refusal::Cancelled, .. }), "{refused:?}");
    let again = ground.enrolments.cancel(made.request.id, admin(), String::new()).await;
    assert!(matches!(again, Err(EnrolmentError::Request(_))), "{again:?}");
    ground.core.stop().await;
}

#[actix::test]
async fn an_owner_has_so_many_open_requests_also_within_one_import() {
    let ground = Ground::start().await;
    ground.set(|set| set.requests_an_owner = 2);
    let of = |name: &str, owner: &str| {
        let mut new = wanted(name);
        new.terms.owner = Some(owner.to_owned());
        new
    };
    ground.requested(of("a", "ann")).await;
    let import = vec![of("b", "ann"), of("c", "ann"), of("d", "bob")];
    let made = ground.enrolments.request_all(import.clone(), admin()).await.unwrap();
    let refused: Vec<_> = made.iter().map(|one| one.as_ref().err().cloned()).collect();
    assert!(refused[0].is_none() && refused[2].is_none(), "{refused:?}");
    assert!(matches!(refused[1], Some(EnrolmentError::Quota { has: 2, most: 2, .. })), "{refused:?}");

    ground.set(|set| set.requests_an_owner = 3);
    let none = ground.enrolments.request_all_or_none(import, admin()).await.unwrap();
    assert!(none.iter().all(Result::is_err), "all or none");
    assert!(matches!(none[2], Err(EnrolmentError::NotMade)), "{none:?}");
    let bobs = ground.core.store.read(|r| rows::open_of(r, "bob")).await.unwrap();
    assert_eq!(bobs, 1);
    ground.core.stop().await;
}

#[actix::test]
async fn what_cannot_be_right_is_refused_before_a_password_is_given() {
    let ground = Ground::start().await;
    let mut control = wanted("a");
    control.terms.name = "a\u{1b}[2J".to_owned();
    let mut long = wanted("a");
    long.terms.expires = Some(UtcMillis(i64::MAX));
    let group = NewRequest { groups: vec!["nobody".to_owned()], ..wanted("a") };
    let renews = NewRequest { renews: Some(EnrolmentId(uuid::Uuid::from_u128(9))), ..wanted("a") };
    for (new, what) in [(control, "name"), (long, "expires"), (group, "group"), (renews, "device")] {
        assert!(ground.enrolments.request(new, admin()).await.is_err(), "{what}");
    }
    assert!(ground.audited().await.is_empty());
    ground.core.stop().await;
}
