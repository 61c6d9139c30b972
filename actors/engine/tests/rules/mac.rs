//! syncml:auth-MAC in both directions (OMA-TS-DM_Security 1.2.1, 5.4; AM-07, AM-09).

use crate::common::{
    PASSWORD, SERVER_ID, SERVER_PASSWORD, Say, USER, World, account, certificate, leaf, server,
};
use postern_engine::{
    account::{Account, Peer, ServerScheme},
    effect::{Effect, RefusedReason, Reply},
};
use postern_wire::{
    auth::{self, HmacHeader},
    syncml::{self, Meta, Status, Style, Version},
    terms::{AuthType, CommandState, ProofClass, Verb},
};

fn open() -> World {
    World::with(Account { server: server(ServerScheme::Mac), ..account(AuthType::Hmac) })
}

/// The header over a message as it is sent.
fn header(world: &World, say: &Say, user: &str, password: &str, nonce: &[u8]) -> HmacHeader {
    let body = syncml::encode(&say.0, &world.style).unwrap();
    let mac = auth::mac(&auth::user_password_hash(user, password), nonce, &body);
    HmacHeader { username: user.into(), mac }
}

/// Posts a message with its MAC; the nonce that the answer brings, and the answer.
fn post(world: &mut World, say: &Say, nonce: &[u8]) -> (crate::common::Answer, Vec<u8>) {
    world.peer.hmac = Some(header(world, say, USER, PASSWORD, nonce));
    let answer = world.post(&say.0);
    let next = answer.nonce();
    (answer, next)
}

/// A session that has got past its challenge: the next nonce, and what the challenge was.
fn proved(world: &mut World) -> Vec<u8> {
    let challenge = world.post(&Say::package1(1).0);
    post(world, &Say::package1(2), &challenge.nonce()).1
}

fn reasons(world: &World) -> Vec<RefusedReason> {
    let reason = |effect: &Effect| match effect {
        Effect::Refused { reason, .. } => Some(*reason),
        _ => None,
    };
    world.effects.iter().filter_map(reason).collect()
}

#[test]
fn sec_14_a_valid_header_gets_200_and_a_next_nonce_and_any_other_is_challenged() {
    let good = |world: &World, say: &Say, nonce: &[u8]| header(world, say, USER, PASSWORD, nonce);
    type Make = fn(HmacHeader) -> Option<HmacHeader>;
    let cases: [(&str, Make, u32); 6] = [
        ("valid", Some, 200),
        ("none", |_| None, 407),
        ("another mac", |h| Some(HmacHeader { mac: auth::encode_base64(&[0; 16]), ..h }), 401),
        ("no mac", |h| Some(HmacHeader { mac: String::new(), ..h }), 401),
        ("a short mac", |h| Some(HmacHeader { mac: auth::encode_base64(&[0; 8]), ..h }), 401),
        ("another user", |h| Some(HmacHeader { username: "other".into(), ..h }), 401),
    ];
    for (what, change, code) in cases {
        let mut world = open();
        let get = world.get("./A");
        let nonce = world.post(&Say::package1(1).0).nonce();
        let say = Say::package1(2);
        world.peer.hmac = change(good(&world, &say, &nonce));
        let answer = world.post(&say.0);
        assert_eq!(answer.codes()[0].2, code, "{what}");
        let chal = answer.chal().unwrap();
        assert_eq!(chal.type_.as_deref(), Some(auth::TYPE_MAC), "{what}");
        assert_eq!(answer.nonce().len(), 16, "{what}");
        assert_ne!(answer.nonce(), nonce, "{what}");
        assert_eq!(answer.commands().is_empty(), code != 200, "{what}");
        assert_eq!(world.moves(get).is_empty(), code != 200, "{what}");
    }
}

#[test]
fn sec_14_a_session_by_mac_is_recorded_as_such_and_so_are_its_results() {
    let mut world = open();
    let get = world.get("./A");
    let nonce = proved(&mut world);
    let say = Say::new(3).hello(2).status(2, 4, "Get", 200).results(2, 4, &[("./A", "x")]);
    post(&mut world, &say, &nonce);
    assert!(world.effects.contains(&Effect::ProofClassRose { class: ProofClass::Mac }));
    let Effect::CommandMoved { state, class, .. } = world.moved(get) else { panic!() };
    assert_eq!((state, class), (CommandState::Succeeded, ProofClass::Mac));
}

#[test]
fn sec_15_the_mac_is_over_the_octets_as_sent_in_either_encoding() {
    for style in [Style::xml(Version::V1_2), Style::wbxml(Version::V1_2)] {
        let mut world = open();
        world.style = style;
        let nonce = world.post(&Say::package1(1).0).nonce();
        let say = Say::package1(2);
        world.peer.hmac = Some(header(&world, &say, USER, PASSWORD, &nonce));
        let mut other = syncml::encode(&say.0, &style).unwrap();
        let at = other.windows(3).rposition(|octets| octets == b"IME").unwrap();
        other[at + 2] = b'e';
        let media = style.media_type().header_value();
        let Reply::Message { body, .. } = world.post_octets(media, &other) else { panic!() };
        let refused = syncml::decode(&body, style.encoding, &Default::default()).unwrap().message;
        assert!(matches!(&refused.body[0], syncml::Command::Status(Status { code: 401, .. })));
        let say = Say::package1(3);
        let challenge = match &refused.body[0] {
            syncml::Command::Status(status) => status.chal.clone().unwrap(),
            other => panic!("{other:?}"),
        };
        let nonce = auth::decode_nonce(challenge.next_nonce.as_deref().unwrap()).unwrap();
        assert_eq!(post(&mut world, &say, &nonce).0.codes()[0].2, 200);
    }
}

#[test]
fn sec_16_a_later_message_without_mac_ends_it_for_its_sender_and_changes_nothing() {
    let mut world = open();
    let get = world.get("./A");
    let nonce = proved(&mut world);
    world.peer.hmac = None;
    let bare = Say::new(3).hello(2).status(2, 4, "Get", 404);
    let answer = world.post(&bare.0);
    assert_eq!(answer.codes()[0].2, 403);
    assert!(answer.close && answer.chal().is_none() && answer.commands().is_empty());
    assert_eq!(world.end(get), (CommandState::Sent, "sent"));
    let (status, reason) = world.refused(&Say::new(4).hello(2).0);
    assert_eq!((status, reason), (403, RefusedReason::TooManyAttempts));
    // Whoever holds the secret was not disturbed by it.
    let say = Say::new(3).hello(2).status(2, 4, "Get", 200).results(2, 4, &[("./A", "x")]);
    assert_eq!(post(&mut world, &say, &nonce).0.codes()[0].2, 200);
    assert_eq!(world.end(get).0, CommandState::Succeeded);
}

#[test]
fn sec_08_sec_14_a_nonce_is_used_once_and_a_replayed_message_is_refused() {
    let mut world = open();
    let nonce = proved(&mut world);
    let say = Say::new(3).hello(2);
    let (_, next) = post(&mut world, &say, &nonce);
    let again = Say::package1(1).session("2");
    world.peer.hmac = Some(header(&world, &again, USER, PASSWORD, &nonce));
    assert_eq!(world.post(&again.0).codes()[0].2, 401);
    let fresh = Say::package1(1).session("3");
    assert_eq!(post(&mut world, &fresh, &next).0.codes()[0].2, 200, "SEC-06: no challenge is needed");
}

#[test]
fn a_copy_of_the_octets_without_the_mac_does_not_get_the_stored_reply() {
    let mut world = open();
    world.get("./A");
    let nonce = world.post(&Say::package1(1).0).nonce();
    let say = Say::package1(2);
    assert!(!post(&mut world, &say, &nonce).0.commands().is_empty());
    let proof = world.peer.hmac.take();
    assert!(matches!(world.post_any(&say.0), Reply::Refuse { .. }));
    world.peer.hmac = proof;
    assert!(!world.post(&say.0).commands().is_empty(), "AM-11: the resend itself gets it");
}

#[test]
fn sec_09_an_account_by_mac_takes_no_cred() {
    for say in [Say::package1(1).basic(), Say::package1(1).md5(b"")] {
        let mut world = open();
        let answer = world.post(&say.0);
        assert_eq!(answer.codes()[0].2, 401);
        assert_eq!(answer.chal().unwrap().type_.as_deref(), Some(auth::TYPE_MAC));
        assert_eq!(reasons(&world), [RefusedReason::WrongScheme]);
    }
}

#[test]
fn sec_17_am_09_each_reply_to_a_proved_device_is_signed_with_the_servers_own_credentials() {
    let mut world = open();
    let challenge = world.post(&Say::package1(1).0);
    let unsigned = |world: &World| match &world.last.as_ref().unwrap().reply {
        Reply::Message { hmac, .. } => hmac.clone(),
        Reply::Refuse { .. } => None,
    };
    assert_eq!(unsigned(&world), None, "nothing of the server's secret goes to a stranger");
    let nonce = challenge.nonce();
    let say = Say::package1(2);
    let (answer, nonce) = post(&mut world, &say, &nonce);
    assert!(answer.message.header.cred.is_none());
    let signed = |world: &World, nonce: &[u8]| {
        let Reply::Message { body, hmac: Some(hmac), .. } = &world.last.as_ref().unwrap().reply else {
            panic!("unsigned")
        };
        let hash = auth::user_password_hash(SERVER_ID, SERVER_PASSWORD);
        let mac = auth::mac(&hash, nonce, body);
        assert_eq!(*hmac, format!("algorithm=MD5, username=\"{SERVER_ID}\", mac={mac}"));
    };
    signed(&world, b"");
    // The device takes it and gives the nonce of the next one.
    world.get("./A");
    let chal = Meta {
        format: Some("b64".into()),
        type_: Some(auth::TYPE_MAC.into()),
        next_nonce: Some(auth::encode_nonce(&[7; 16])),
        ..Meta::default()
    };
    let hello = Say::new(3).status_of(2, 0, "SyncHdr", 200, |status| status.chal = Some(chal));
    post(&mut world, &hello, &nonce);
    signed(&world, &[7; 16]);
    assert!(world.effects.contains(&Effect::ServerNonce { nonce: vec![7; 16] }));
}

#[test]
fn am_08_commands_that_met_407_go_again_under_the_mac_that_the_device_asked_for() {
    let mut world = open();
    let get = world.get("./A");
    let nonce = proved(&mut world);
    let chal = Meta {
        format: Some("b64".into()),
        type_: Some(auth::TYPE_MAC.into()),
        next_nonce: Some(auth::encode_nonce(&[5; 16])),
        ..Meta::default()
    };
    let refuse = Say::new(3)
        .status_of(2, 0, "SyncHdr", 407, |status| status.chal = Some(chal))
        .status(2, 4, "Get", 407);
    let (answer, _) = post(&mut world, &refuse, &nonce);
    assert_eq!(answer.commands().len(), 1);
    assert_eq!(
        world.moves(get).iter().map(|(_, cause)| *cause).collect::<Vec<_>>(),
        ["sent", "server-credentials", "sent"]
    );
}

#[test]
fn a_device_by_mac_is_never_given_the_servers_password_in_the_clear() {
    let mut world = open();
    world.queue(Verb::Replace, vec![leaf("./A", "x")]);
    let nonce = proved(&mut world);
    let chal = Meta { type_: Some(auth::TYPE_BASIC.into()), ..Meta::default() };
    let refuse = Say::new(3).status_of(2, 0, "SyncHdr", 401, |status| status.chal = Some(chal));
    let (answer, _) = post(&mut world, &refuse, &nonce);
    assert!(answer.message.header.cred.is_none() && answer.close && answer.commands().is_empty());
}

#[test]
fn an_md5_account_whose_client_can_do_mac_is_raised_to_it_and_held_to_it() {
    let mut world = World::new(AuthType::Md5);
    let nonce = world.post(&Say::package1(1).0).nonce();
    let (answer, nonce) = post(&mut world, &Say::package1(2), &nonce);
    assert_eq!((answer.codes()[0].2, answer.chal().unwrap().type_.as_deref()), (200, Some(auth::TYPE_MAC)));
    assert!(world.effects.contains(&Effect::ProofClassRose { class: ProofClass::Mac }));
    world.peer.hmac = None;
    let answer = world.post(&Say::package1(1).session("2").md5(&nonce).0);
    assert_eq!(answer.codes()[0].2, 401, "md5 does not bring it down again");
    assert_eq!(answer.chal().unwrap().type_.as_deref(), Some(auth::TYPE_MAC));
}

#[test]
fn a_core_that_starts_again_costs_a_mac_session_one_challenge() {
    let mut world = open();
    let nonce = proved(&mut world);
    world.restart();
    let say = Say::new(3).hello(2);
    world.peer.hmac = Some(header(&world, &say, USER, PASSWORD, &nonce));
    let challenge = world.post(&say.0);
    assert_eq!(challenge.codes()[0].2, 401);
    let (answer, _) = post(&mut world, &Say::new(4).hello(2), &challenge.nonce());
    assert_eq!(answer.codes()[0].2, 200);
}

#[test]
fn sec_25_a_mac_over_another_tls_session_does_not_join_it() {
    let mut world = open();
    world.peer = certificate(1, true);
    let nonce = proved(&mut world);
    let say = Say::new(3).hello(2);
    let hmac = Some(header(&world, &say, USER, PASSWORD, &nonce));
    world.peer = Peer { hmac, ..certificate(2, false) };
    assert_eq!(world.post(&say.0).codes()[0].2, 403);
    assert_eq!(reasons(&world).last(), Some(&RefusedReason::CertificateMismatch));
}
