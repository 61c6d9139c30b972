//! What a gateway in other hands gets from what it kept: nothing twice, and no secret for long.

use postern_engine::{
    account::{Account, Credential, Signature},
    effect::{Effect, RefusedReason},
};
use postern_wire::{auth, terms::AuthType};
use secrecy::SecretString;

use crate::common::{PASSWORD, Say, USER, World, account};

#[test]
fn a_new_secret_counts_from_the_first_session_that_proves_it_and_the_old_one_until_then() {
    const NEW: &str = "newpw";
    let hash = |password| auth::user_password_hash(USER, password);
    let next = Credential { user: USER.into(), hash: SecretString::from(hash(NEW)) };
    let turned = |world: &World| {
        world.effects.iter().filter(|effect| matches!(effect, Effect::CredentialTurned { .. })).count()
    };
    let by_basic = |password| (auth::TYPE_BASIC, auth::basic(USER, password));
    let mut world = World::with(Account { next: Some(next.clone()), ..account(AuthType::Basic) });
    let say =
        |session: &str, (type_, data): (&str, String)| Say::package1(1).session(session).cred(type_, data).0;

    assert_eq!(world.post(&say("1", by_basic(PASSWORD))).codes()[0].2, 212, "the old one still counts");
    assert_eq!(turned(&world), 0);
    assert_eq!(world.post(&say("2", by_basic("guess"))).codes()[0].2, 401);
    assert_eq!(turned(&world), 0, "who proves nothing turns nothing");
    assert_eq!(world.post(&say("3", by_basic(NEW))).codes()[0].2, 212);
    assert_eq!(turned(&world), 1);
    assert_eq!(world.post(&say("4", by_basic(PASSWORD))).codes()[0].2, 401, "the old one is void");
    assert_eq!(world.post(&say("5", by_basic(NEW))).codes()[0].2, 212);
    assert_eq!(turned(&world), 1);

    let mut world = World::with(Account { next: Some(next), ..account(AuthType::Md5) });
    let nonce = world.post(&Say::package1(1).0).nonce();
    let digest = auth::md5_digest(&hash(NEW), &nonce);
    assert_eq!(world.post(&Say::package1(2).cred(auth::TYPE_MD5, digest).0).codes()[0].2, 212);
    assert_eq!(turned(&world), 1);
}

#[test]
fn a_repeated_signature_is_worth_the_stored_reply_and_opens_no_session() {
    let mut world = World::new(AuthType::Signed);
    world.get("./A");
    world.peer.signature = Signature::Valid;
    let first = world.post(&Say::package1(1).0);
    world.peer.signature = Signature::Repeated;
    assert_eq!(world.post(&Say::package1(1).0).commands().len(), first.commands().len(), "the stored reply");
    world.peer.signature = Signature::Valid;
    world.post(&Say::new(2).hello(1).status(1, 4, "Get", 404).0);
    world.effects.clear();

    world.peer.signature = Signature::Repeated;
    assert!(world.post(&Say::package1(1).0).commands().is_empty(), "the session is over");
    let refused =
        |effect: &Effect| matches!(effect, Effect::Refused { reason: RefusedReason::SignatureInvalid, .. });
    assert!(world.effects.iter().any(refused));
    assert!(!world.effects.iter().any(|effect| matches!(effect, Effect::SessionOpened { .. })));
}
