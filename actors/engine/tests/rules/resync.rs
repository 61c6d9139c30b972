//! Nonce resynchronisation (OMA-TS-DM_Notification 1.2.1, 5.1), and secrets that change while a session is open.

use crate::common::{Answer, PASSWORD, SERVER_ID, SERVER_PASSWORD, Say, USER, World, account, server};
use postern_engine::{
    account::{Account, Credential, ServerScheme},
    effect::Effect,
};
use postern_wire::{
    auth::{self, HmacHeader},
    syncml::{self, Meta},
    terms::{AuthType, UtcMillis},
};
use secrecy::SecretString;

const ZERO: &[u8] = &[0; 4];
const ZERO_AS_TEXT: &[u8] = b"0x00000000";

fn world(auth: AuthType, scheme: ServerScheme, until: Option<i64>) -> World {
    let resync_until = until.map(|ms| crate::common::START.plus(ms));
    World::with(Account { server: server(scheme), resync_until, ..account(auth) })
}

/// The first message of a session that answers a trigger.
fn answering(msg_id: u32) -> Say {
    Say::new(msg_id).alert(1200).dev_info()
}

fn by_mac(world: &mut World, say: &Say, nonce: &[u8]) -> Answer {
    let body = syncml::encode(&say.0, &world.style).unwrap();
    let mac = auth::mac(&auth::user_password_hash(USER, PASSWORD), nonce, &body);
    world.peer.hmac = Some(HmacHeader { username: USER.into(), mac });
    world.post(&say.0)
}

fn used_up(world: &World) -> usize {
    world.effects.iter().filter(|effect| matches!(effect, Effect::Resynchronised { .. })).count()
}

#[test]
fn not_09_the_default_nonce_opens_one_session_that_a_trigger_asked_for_and_both_sides_get_new_nonces() {
    for nonce in [ZERO, ZERO_AS_TEXT] {
        let mut world = world(AuthType::Md5, ServerScheme::Md5, Some(60_000));
        world.get("./A");
        let answer = world.post(&answering(1).md5(nonce).0);
        assert_eq!(answer.codes()[0].2, 212);
        assert_eq!(answer.nonce().len(), 16);
        assert_eq!(used_up(&world), 1);
        // Our credentials are over the same nonce, for the device has lost ours too.
        let cred = answer.message.header.cred.clone().unwrap();
        let hash = auth::user_password_hash(SERVER_ID, SERVER_PASSWORD);
        assert_eq!(cred.data.as_text(), Some(auth::md5_digest(&hash, nonce).as_str()));
        let chal = Meta {
            type_: Some(auth::TYPE_MD5.into()),
            next_nonce: Some(auth::encode_nonce(b"fresh")),
            ..Meta::default()
        };
        let hello = Say::new(2).status_of(1, 0, "SyncHdr", 212, |status| status.chal = Some(chal));
        world.post(&hello.status(1, 4, "Get", 404).0);
        assert!(world.effects.contains(&Effect::ServerNonce { nonce: b"fresh".to_vec() }));
        // Once: the same again is a replay.
        let again = world.post(&answering(1).session("2").md5(nonce).0);
        assert_eq!(again.codes()[0].2, 401);
        let next = world.post(&answering(2).session("2").md5(&again.nonce()).0);
        assert_eq!(next.codes()[0].2, 212);
        assert_eq!(used_up(&world), 1);
    }
}

#[test]
fn not_09_a_mac_over_the_default_nonce_is_taken_once_too() {
    let mut world = world(AuthType::Hmac, ServerScheme::Mac, Some(60_000));
    assert_eq!(by_mac(&mut world, &answering(1), ZERO).codes()[0].2, 200);
    assert_eq!(used_up(&world), 1);
    assert_eq!(by_mac(&mut world, &answering(1).session("2"), ZERO).codes()[0].2, 401);
}

#[test]
fn not_10_the_default_nonce_without_a_trigger_of_ours_is_refused() {
    for (until, say) in [
        (None, answering(1)),             // no trigger was sent
        (Some(-1), answering(1)),         // its time is over
        (Some(60_000), Say::package1(1)), // the device opened the session itself
    ] {
        for nonce in [ZERO, ZERO_AS_TEXT] {
            let mut world = world(AuthType::Md5, ServerScheme::Md5, until);
            let answer = world.post(&say.clone().md5(nonce).0);
            assert_eq!(answer.codes()[0].2, 401, "{until:?}");
            assert!(answer.commands().is_empty());
            assert_eq!(used_up(&world), 0);
        }
    }
}

#[test]
fn not_09_a_wrong_password_does_not_use_up_the_leave() {
    let mut world = world(AuthType::Md5, ServerScheme::Md5, Some(60_000));
    let wrong = auth::md5_digest(&auth::user_password_hash(USER, "other"), ZERO);
    assert_eq!(world.post(&answering(1).cred(auth::TYPE_MD5, wrong).0).codes()[0].2, 401);
    assert_eq!(world.post(&answering(1).session("2").md5(ZERO).0).codes()[0].2, 212);
}

#[test]
fn not_09_the_right_nonce_is_still_taken_while_a_trigger_is_out() {
    let mut world = world(AuthType::Md5, ServerScheme::Md5, Some(60_000));
    let nonce = world.post(&answering(1).0).nonce();
    assert_eq!(world.post(&answering(2).md5(&nonce).0).codes()[0].2, 212);
    assert_eq!(used_up(&world), 0, "the leave stays until its time");
}

/// The account with another password on both sides.
fn rotated(world: &World) -> Account {
    let hash = SecretString::from(auth::user_password_hash(USER, "new"));
    let mut account = world.session.account().clone();
    account.credential = Some(Credential { user: USER.into(), hash });
    account.server.as_mut().unwrap().password = SecretString::from("new server");
    account
}

#[test]
fn sec_20_secrets_that_change_in_a_session_hold_from_the_next_one_on() {
    let mut world = world(AuthType::Hmac, ServerScheme::Mac, None);
    world.get("./A");
    let nonce = world.post(&Say::package1(1).0).nonce();
    let nonce = by_mac(&mut world, &Say::package1(2), &nonce).nonce();
    let account = rotated(&world);
    world.session.set_account(account);
    let say = Say::new(3).hello(2).status(2, 4, "Get", 404);
    // The session that is open goes on with what it began with.
    let answer = by_mac(&mut world, &say, &nonce);
    assert_eq!(answer.codes()[0].2, 200);
    let next = answer.nonce();
    let (again, new_hash) = (Say::package1(1).session("2"), auth::user_password_hash(USER, "new"));
    assert_eq!(by_mac(&mut world, &again, &next).codes()[0].2, 401, "the old one opens no session");
    let challenge = by_mac(&mut world, &Say::package1(1).session("3"), &next).nonce();
    let say = Say::package1(2).session("3");
    let body = syncml::encode(&say.0, &world.style).unwrap();
    let mac = auth::mac(&new_hash, &challenge, &body);
    world.peer.hmac = Some(HmacHeader { username: USER.into(), mac });
    assert_eq!(world.post(&say.0).codes()[0].2, 200);
}

#[test]
fn sec_20_our_own_credentials_of_a_session_are_those_that_it_began_with() {
    let mut world = world(AuthType::Basic, ServerScheme::Md5, None);
    world.get("./A");
    world.post(&Say::package1(1).basic().0);
    let account = rotated(&world);
    world.session.set_account(account);
    world.get("./B");
    let digest = |password: &str| {
        let hash = auth::user_password_hash(SERVER_ID, password);
        auth::md5_digest(&hash, b"")
    };
    let cred = |answer: &Answer| {
        let cred = answer.message.header.cred.clone().unwrap();
        cred.data.as_text().unwrap().to_owned()
    };
    let answer = world.post(&Say::new(2).hello(1).status(1, 4, "Get", 404).0);
    assert_eq!(cred(&answer), digest(SERVER_PASSWORD));
    world.after(1);
    let basic = auth::basic(USER, "new");
    let answer = world.post(&Say::package1(1).session("2").cred(auth::TYPE_BASIC, basic).0);
    assert_eq!(cred(&answer), digest("new server"));
}

#[test]
fn sec_24_an_unknown_user_and_a_wrong_password_get_the_same_answer() {
    let answers = |user: &str, password: &str| {
        let mut world = World::new(AuthType::Basic);
        let answer = world.post(&Say::package1(1).cred(auth::TYPE_BASIC, auth::basic(user, password)).0);
        answer.message
    };
    assert_eq!(answers(USER, "wrong"), answers("nobody", PASSWORD));
    assert_eq!(answers(USER, "wrong"), answers("nobody", "wrong"));
}

#[test]
fn sec_04_basic_is_taken_where_the_account_is_of_it_and_challenged_where_not() {
    let mut world = World::new(AuthType::Basic);
    assert_eq!(world.post(&Say::package1(1).basic().0).codes()[0].2, 212);
    let mut world = World::new(AuthType::Md5);
    let answer = world.post(&Say::package1(1).basic().0);
    assert_eq!((answer.codes()[0].2, answer.chal().unwrap().type_.as_deref()), (401, Some(auth::TYPE_MD5)));
}

#[test]
fn a_time_in_the_past_is_no_leave() {
    let past = UtcMillis(0);
    let mut world = World::with(Account { resync_until: Some(past), ..account(AuthType::Md5) });
    assert_eq!(world.post(&answering(1).md5(ZERO).0).codes()[0].2, 401);
}
