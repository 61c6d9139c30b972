//! Who is let in, and what the others get: the rules SEC-nn of docs/CONFORMANCE.md and what belongs to them of real clients.

use crate::common::{Say, USER, World, account, certificate, server};
use postern_engine::{
    account::{Account, Peer, ServerScheme, Signature},
    effect::{CloseReason, Effect, RefusedReason, Reply},
    session::SessionConfig,
};
use postern_wire::{
    auth,
    syncml::{Command, Meta},
    terms::{AuthType, CommandState, ProofClass},
};

fn reasons(world: &World) -> Vec<RefusedReason> {
    let reason = |effect: &Effect| match effect {
        Effect::Refused { reason, .. } => Some(*reason),
        _ => None,
    };
    world.effects.iter().filter_map(reason).collect()
}

/// Nothing but refusals: the enrolment is as it was.
fn is_untouched(world: &World) -> bool {
    world.effects.iter().all(|effect| matches!(effect, Effect::Refused { .. }))
        && world.session.nonce_counter() == 0
        && world.session.current().is_none()
}

#[test]
fn sec_01_sec_11_no_credentials_are_challenged_with_407_for_everything() {
    for (scheme, type_) in [(AuthType::Md5, "syncml:auth-md5"), (AuthType::Basic, "syncml:auth-basic")] {
        let mut world = World::new(scheme);
        let get = world.get("./A");
        let answer = world.post(&Say::package1(1).0);
        assert_eq!(answer.codes(), [("SyncHdr", 0, 407), ("Alert", 1, 407), ("Replace", 2, 407)]);
        let chal = answer.chal().unwrap();
        assert_eq!((chal.format.as_deref(), chal.type_.as_deref()), (Some("b64"), Some(type_)));
        assert!(answer.commands().is_empty() && answer.message.is_final && !answer.close);
        assert!(answer.message.header.cred.is_none());
        assert!(is_untouched(&world) && world.moves(get).is_empty());
    }
}

#[test]
fn sec_02_a_wrong_password_is_challenged_with_401_and_dev_info_is_not_trusted() {
    let mut world = World::new(AuthType::Basic);
    let answer = world.post(&Say::package1(1).cred(auth::TYPE_BASIC, auth::basic(USER, "no")).0);
    assert_eq!(answer.codes(), [("SyncHdr", 0, 401), ("Alert", 1, 401), ("Replace", 2, 401)]);
    assert!(is_untouched(&world));
}

#[test]
fn ld_07_nonces_have_16_octets_and_24_characters() {
    let answer = World::new(AuthType::Md5).post(&Say::package1(1).0);
    let text = answer.chal().unwrap().next_nonce.clone().unwrap();
    assert_eq!((text.len(), text.ends_with("=="), answer.nonce().len()), (24, true, 16));
}

#[test]
fn sec_03_a_right_answer_gets_212_the_next_nonce_and_commands() {
    let mut world = World::new(AuthType::Md5);
    world.get("./A");
    let challenge = world.post(&Say::package1(1).0);
    let answer = world.post(&Say::package1(2).hello(1).md5(&challenge.nonce()).0);
    assert_eq!(answer.codes(), [("SyncHdr", 0, 212), ("Alert", 1, 200), ("Replace", 2, 200)]);
    assert_eq!(answer.message.header.msg_id, 2);
    assert!(answer.chal().is_some() && answer.commands().len() == 1);
    assert_eq!(world.session.current().unwrap().1, ProofClass::Md5);
    let next = world.post(&Say::new(3).hello(2).status(2, 4, "Get", 404).0);
    assert_eq!(next.codes(), [("SyncHdr", 0, 212)]);
}

#[test]
fn sec_06_the_stored_nonce_opens_the_next_session_without_challenge_once() {
    let mut world = World::new(AuthType::Md5);
    let challenge = world.post(&Say::package1(1).0);
    let next = world.post(&Say::package1(2).md5(&challenge.nonce()).0).nonce();
    let counter = world.session.nonce_counter();
    world.after(3_600_000);
    let answer = world.post(&Say::package1(1).session("2").md5(&next).0);
    assert_eq!(answer.codes()[0], ("SyncHdr", 0, 212));
    assert_eq!(world.session.nonce_counter(), counter + 1);
    world.after(3_600_000);
    assert_eq!(world.post(&Say::package1(1).session("3").md5(&next).0).codes()[0].2, 401);
}

#[test]
fn sec_07_a_stale_nonce_and_a_restarted_core_cost_one_challenge() {
    let mut world = World::new(AuthType::Md5);
    let challenge = world.post(&Say::package1(1).0);
    let next = world.post(&Say::package1(2).md5(&challenge.nonce()).0).nonce();
    world.restart();
    let challenge = world.post(&Say::package1(1).session("2").md5(&next).0);
    assert_eq!(challenge.codes()[0].2, 401);
    let answer = world.post(&Say::package1(2).session("2").md5(&challenge.nonce()).0);
    assert_eq!(answer.codes()[0].2, 212);
}

#[test]
fn sec_08_a_replayed_session_is_refused() {
    let mut world = World::new(AuthType::Md5);
    let challenge = world.post(&Say::package1(1).0);
    let second = Say::package1(2).md5(&challenge.nonce());
    world.post(&second.0);
    world.after(3_600_000);
    let first_again = world.post(&Say::package1(1).0);
    assert_ne!(first_again.nonce(), challenge.nonce());
    assert_eq!(world.post(&second.0).codes()[0].2, 401);
}

#[test]
fn sec_09_another_scheme_after_the_challenge_ends_it() {
    let mut world = World::new(AuthType::Md5);
    world.post(&Say::package1(1).0);
    let answer = world.post(&Say::package1(2).basic().0);
    assert_eq!((answer.codes()[0].2, answer.chal(), answer.close), (403, None, true));
    assert_eq!(world.refused(&Say::package1(3).basic().0), (403, RefusedReason::TooManyAttempts));
}

#[test]
fn ld_05_am_06_basic_sent_at_once_is_challenged_with_the_accounts_scheme() {
    let mut world = World::new(AuthType::Md5);
    let answer = world.post(&Say::package1(1).basic().0);
    assert_eq!(answer.codes()[0].2, 401);
    assert_eq!(answer.chal().unwrap().type_.as_deref(), Some("syncml:auth-md5"));
    assert_eq!(world.post(&Say::package1(2).md5(&answer.nonce()).0).codes()[0].2, 212);
}

#[test]
fn am_10_ld_06_a_digest_over_the_empty_nonce_is_reason_for_a_challenge_only() {
    let mut world = World::new(AuthType::Md5);
    let answer = world.post(&Say::package1(1).md5(b"").0);
    assert_eq!(answer.codes()[0].2, 401);
    assert!(is_untouched(&world));
}

#[test]
fn ld_08_three_failed_attempts_then_a_final_answer_then_http() {
    let mut world = World::new(AuthType::Basic);
    let wrong = |msg_id| Say::package1(msg_id).cred(auth::TYPE_BASIC, auth::basic(USER, "no")).0;
    assert_eq!(world.post(&wrong(1)).codes()[0].2, 401);
    assert_eq!(world.post(&wrong(2)).codes()[0].2, 401);
    let last = world.post(&wrong(3));
    assert_eq!((last.codes()[0].2, last.chal(), last.close), (403, None, true));
    for msg_id in 4..8 {
        assert_eq!(world.refused(&wrong(msg_id)), (403, RefusedReason::TooManyAttempts));
    }
    assert!(is_untouched(&world));
    assert_eq!(world.post(&Say::package1(1).basic().0).codes()[0].2, 212, "no lock-out of the enrolment");
}

#[test]
fn sec_27_attempts_of_one_source_do_not_count_for_another() {
    let mut world = World::new(AuthType::Md5);
    for msg_id in 1..=4 {
        world.post_any(&Say::package1(msg_id).md5(b"wrong").0);
    }
    world.peer.source = "198.51.100.7".into();
    let challenge = world.post(&Say::package1(1).0);
    assert_eq!(world.post(&Say::package1(2).md5(&challenge.nonce()).0).codes()[0].2, 212);
}

#[test]
fn an_unauthenticated_peer_neither_ends_nor_joins_the_open_session() {
    let mut world = World::new(AuthType::Md5);
    let get = world.get("./A");
    let challenge = world.post(&Say::package1(1).0);
    world.post(&Say::package1(2).md5(&challenge.nonce()).0);
    let (open, counter) = (world.session.current(), world.session.nonce_counter());
    world.effects.clear();
    world.peer.source = "203.0.113.9".into();
    world.post(&Say::package1(1).session("9").0);
    world.post(&Say::package1(2).session("9").md5(b"guess").0);
    world.post(&Say::package1(1).session("1").md5(b"guess").0);
    assert_eq!((world.session.current(), world.session.nonce_counter()), (open, counter));
    assert!(world.effects.iter().all(|effect| matches!(effect, Effect::Refused { .. })));
    world.peer.source = "192.0.2.1".into();
    world.post(&Say::new(3).hello(2).status(2, 4, "Get", 404).0);
    assert_eq!(world.end(get).0, CommandState::Failed);
}

#[test]
fn sec_12_am_10_server_credentials_are_in_every_message_to_a_proved_device() {
    for scheme in [ServerScheme::Basic, ServerScheme::Md5] {
        let mut world = World::with(Account { server: server(scheme), ..account(AuthType::Md5) });
        world.get("./A");
        let challenge = world.post(&Say::package1(1).0);
        assert!(challenge.message.header.cred.is_none(), "nothing of ours to a stranger");
        let answer = world.post(&Say::package1(2).md5(&challenge.nonce()).0);
        let next = world.post(&Say::new(3).hello(2).status(2, 4, "Get", 404).0);
        for message in [answer, next] {
            let header = message.message.header;
            assert_eq!(header.source.name.as_deref(), Some(crate::common::SERVER_ID));
            let (type_, data) = match scheme {
                ServerScheme::Mac => panic!("a MAC is no Cred: mac.rs"),
                ServerScheme::Basic => ("syncml:auth-basic", auth::basic("srv", "srvpw")),
                ServerScheme::Md5 => {
                    ("syncml:auth-md5", auth::md5_digest(&auth::user_password_hash("srv", "srvpw"), b""))
                }
            };
            let cred = header.cred.unwrap();
            assert_eq!((cred.meta.type_.as_deref(), cred.data.as_text()), (Some(type_), Some(data.as_str())));
        }
    }
}

fn refusing(code: u32, nonce: Option<&[u8]>, msg_ref: u32, msg_id: u32) -> Say {
    let next_nonce = nonce.map(auth::encode_nonce);
    let type_ = Some("syncml:auth-md5".into());
    Say::new(msg_id)
        .status_of(msg_ref, 0, "SyncHdr", code, |status| {
            status.chal = Some(Meta { type_, format: Some("b64".into()), next_nonce, ..Meta::default() });
        })
        .status(msg_ref, 4, "Exec", code)
}

#[test]
fn sec_13_am_08_ld_10_after_a_challenge_by_the_device_the_commands_go_again_with_its_nonce() {
    let mut world = World::with(Account { server: server(ServerScheme::Md5), ..account(AuthType::Basic) });
    let exec = world.exec("./E");
    world.post(&Say::package1(1).basic().0);
    let answer = world.post(&refusing(401, Some(b"0123456789abcdef"), 1, 2).0);
    assert!(matches!(answer.commands()[..], [Command::Exec(_)]));
    let wanted = auth::md5_digest(&auth::user_password_hash("srv", "srvpw"), b"0123456789abcdef");
    assert_eq!(answer.message.header.cred.unwrap().data.as_text(), Some(wanted.as_str()));
    let stored = Effect::ServerNonce { nonce: b"0123456789abcdef".to_vec() };
    assert!(world.last.as_ref().unwrap().deferred.contains(&stored));
    world.post(&Say::new(3).status(2, 0, "SyncHdr", 200).status(2, 2, "Exec", 200).0);
    assert_eq!(world.end(exec), (CommandState::Succeeded, "done"));
}

#[test]
fn a_device_that_never_takes_our_credentials_ends_the_session_and_keeps_the_queue() {
    let mut world = World::with(Account { server: server(ServerScheme::Md5), ..account(AuthType::Basic) });
    let exec = world.exec("./E");
    world.post(&Say::package1(1).basic().0);
    let mut say = refusing(401, Some(b"n1"), 1, 2);
    let mut closed = false;
    for turn in 2..6 {
        let answer = world.post(&say.0);
        closed = answer.close;
        if closed {
            assert!(answer.commands().is_empty());
            break;
        }
        say = refusing(401, Some(b"n2"), turn, turn + 1);
        if let Some(Command::Status(status)) = say.0.body.last_mut() {
            status.cmd_ref = 2;
        }
    }
    assert!(closed);
    assert_eq!(world.end(exec), (CommandState::Queued, "server-credentials"));
    let reason =
        |effect: &Effect| matches!(effect, Effect::SessionClosed { reason: CloseReason::ServerRefused, .. });
    assert!(world.effects.iter().any(reason));
}

#[test]
fn a_device_that_wants_server_credentials_of_an_account_without_any_is_told_so() {
    let mut world = World::new(AuthType::Basic);
    let exec = world.exec("./E");
    world.post(&Say::package1(1).basic().0);
    assert!(world.post(&refusing(407, Some(b"n1"), 1, 2).0).close);
    assert_eq!(world.end(exec), (CommandState::Queued, "server-credentials"));
}

#[test]
fn the_servers_password_is_never_given_in_the_clear_to_a_device_that_asks_for_basic() {
    let mut world = World::with(Account { server: server(ServerScheme::Md5), ..account(AuthType::Basic) });
    world.exec("./E");
    world.post(&Say::package1(1).basic().0);
    let mut say = refusing(401, None, 1, 2);
    if let Some(Command::Status(status)) = say.0.body.first_mut() {
        status.chal.as_mut().unwrap().type_ = Some("syncml:auth-basic".into());
    }
    assert!(world.post(&say.0).close);
}

#[test]
fn sec_26_an_unauthenticated_peers_challenge_does_not_change_the_stored_nonce() {
    let mut world = World::with(Account { server: server(ServerScheme::Md5), ..account(AuthType::Basic) });
    world.post(&refusing(401, Some(b"attackers nonce!"), 1, 2).0);
    assert!(is_untouched(&world));
    assert_eq!(world.session.account().server.as_ref().unwrap().nonce, b"");
}

#[test]
fn am_10_an_empty_nonce_of_the_device_is_taken() {
    let mut with_nonce = server(ServerScheme::Md5);
    with_nonce.as_mut().unwrap().nonce = b"old".to_vec();
    let mut world = World::with(Account { server: with_nonce, ..account(AuthType::Basic) });
    world.exec("./E");
    world.post(&Say::package1(1).basic().0);
    let mut say = refusing(200, Some(b""), 1, 2);
    if let Some(Command::Status(status)) = say.0.body.first_mut() {
        status.chal.as_mut().unwrap().next_nonce = Some(String::new());
    }
    world.post(&say.0);
    assert!(world.effects.contains(&Effect::ServerNonce { nonce: Vec::new() }));
}

#[test]
fn sec_19_where_each_message_must_prove_itself_the_status_is_200_and_a_bare_one_is_challenged() {
    let mut account = account(AuthType::Md5);
    account.quirks.credentials_each_message = true;
    let mut world = World::with(account);
    world.get("./A");
    let challenge = world.post(&Say::package1(1).0);
    let answer = world.post(&Say::package1(2).md5(&challenge.nonce()).0);
    assert_eq!(answer.codes()[0].2, 200);
    let bare = world.post(&Say::new(3).hello(2).0);
    assert_eq!(bare.codes()[0].2, 407);
    let answer = world.post(&Say::new(4).hello(2).md5(&bare.nonce()).status(2, 4, "Get", 404).0);
    assert_eq!(answer.codes()[0].2, 200);
    assert!(answer.close);
}

#[test]
fn sec_21_a_certificate_account_is_proved_by_tls_alone() {
    let mut world = World::new(AuthType::Certificate);
    world.peer = certificate(1, true);
    assert_eq!(world.post(&Say::package1(1).0).codes()[0].2, 212);
    assert!(world.effects.contains(&Effect::ProofClassRose { class: ProofClass::Certificate }));
    let mut world = World::new(AuthType::Certificate);
    let answer = world.post(&Say::package1(1).0);
    assert_eq!((answer.codes()[0].2, answer.close), (403, true));
    assert!(is_untouched(&world));
}

#[test]
fn a_signed_account_is_proved_by_each_messages_signature() {
    let mut world = World::new(AuthType::Signed);
    let get = world.get("./A");
    world.peer.signature = Signature::Valid;
    assert_eq!(world.post(&Say::package1(1).0).codes()[0].2, 212);
    world.peer.signature = Signature::Absent;
    world.post(&Say::new(2).hello(1).status(1, 4, "Get", 404).0);
    assert_eq!(world.moves(get).len(), 1);
    assert_eq!(reasons(&world), [RefusedReason::SignatureInvalid]);
    world.peer.signature = Signature::Valid;
    world.post(&Say::new(3).hello(1).status(1, 4, "Get", 404).0);
    assert_eq!(world.end(get).0, CommandState::Failed);
}

#[test]
fn an_unsigned_copy_of_a_signed_message_does_not_get_the_stored_reply() {
    let mut world = World::new(AuthType::Signed);
    world.get("./A");
    world.peer.signature = Signature::Valid;
    world.post(&Say::package1(1).0);
    world.peer.signature = Signature::Absent;
    assert!(world.post(&Say::package1(1).0).commands().is_empty());
}

#[test]
fn sec_23_pt_02_everything_that_names_an_enrolment_names_this_one() {
    let other = Peer { source: "192.0.2.1".into(), ..certificate(2, false) };
    let cases: [(Say, Peer, RefusedReason); 3] = [
        (
            Say::package1(1).basic().header(|header| header.source.uri = "IMEI:1".into()),
            Peer::default(),
            RefusedReason::DeviceIdMismatch,
        ),
        (
            Say::package1(1).basic().header(|header| header.source.name = Some("other".into())),
            Peer::default(),
            RefusedReason::UserMismatch,
        ),
        (Say::package1(1).basic(), other, RefusedReason::CertificateMismatch),
    ];
    for (say, peer, reason) in cases {
        let mut world = World::new(AuthType::Basic);
        world.get("./A");
        world.peer = peer;
        let answer = world.post(&say.0);
        assert_eq!((answer.codes()[0].2, answer.close, answer.commands().len()), (403, true, 0));
        assert_eq!(reasons(&world), [reason]);
        assert!(is_untouched(&world));
    }
}

#[test]
fn pt_02_a_changing_source_is_taken_where_the_model_does_so_and_the_certificate_holds() {
    let mut account = account(AuthType::Certificate);
    account.quirks.volatile_device_id = true;
    let mut world = World::with(account.clone());
    world.peer = certificate(1, true);
    let say = Say::package1(1).header(|header| header.source.uri = "imei:74bdb636".into());
    assert_eq!(world.post(&say.0).codes()[0].2, 212);
    let mut world = World::with(Account { auth: AuthType::Basic, ..account });
    assert_eq!(world.post(&say.basic().0).codes()[0].2, 403);
}

#[test]
fn sec_25_another_tls_client_cannot_go_on_with_a_session() {
    let mut world = World::new(AuthType::Md5);
    let get = world.get("./A");
    world.peer = certificate(1, true);
    let challenge = world.post(&Say::package1(1).0);
    world.post(&Say::package1(2).md5(&challenge.nonce()).0);
    world.peer = Peer { source: "203.0.113.9".into(), ..Peer::default() };
    let answer = world.post(&Say::new(3).hello(2).status(2, 4, "Get", 200).0);
    assert_eq!((answer.codes()[0].2, answer.commands().len()), (407, 0));
    assert_eq!(world.end(get).0, CommandState::Sent);
    assert_eq!(reasons(&world).last(), Some(&RefusedReason::NotTheSessionsPeer));
}

#[test]
fn the_proof_class_only_rises() {
    let mut world = World::new(AuthType::Basic);
    world.peer = certificate(1, true);
    world.post(&Say::package1(1).basic().0);
    assert_eq!(world.session.account().floor, ProofClass::Certificate);
    world.peer = Peer::default();
    let answer = world.post(&Say::package1(1).session("2").basic().0);
    assert_eq!(answer.codes()[0].2, 403);
    assert_eq!(reasons(&world), [RefusedReason::ClassBelowFloor]);
}

#[test]
fn a_results_proof_class_is_told() {
    let mut world = World::new(AuthType::Basic);
    world.peer = certificate(1, true);
    let get = world.get("./A");
    world.post(&Say::package1(1).basic().0);
    world.post(&Say::new(2).hello(1).status(1, 4, "Get", 404).0);
    assert!(matches!(world.moved(get), Effect::CommandMoved { class: ProofClass::Certificate, .. }));
}

#[test]
fn a_challenge_repeated_is_the_same_challenge_and_no_attempt() {
    let mut world = World::new(AuthType::Md5);
    let first = world.post(&Say::package1(1).0);
    for _ in 0..5 {
        assert_eq!(world.post(&Say::package1(1).0).nonce(), first.nonce());
    }
    assert_eq!(world.post(&Say::package1(2).md5(&first.nonce()).0).codes()[0].2, 212);
}

#[test]
fn md5_lost_reply_is_given_again_although_the_nonce_is_used_up() {
    let mut world = World::new(AuthType::Md5);
    let challenge = world.post(&Say::package1(1).0);
    let say = Say::package1(2).md5(&challenge.nonce());
    let first = world.post_any(&say.0);
    world.after(5_000);
    assert_eq!(format!("{:?}", world.post_any(&say.0)), format!("{first:?}"));
}

#[test]
fn credentials_of_windows_and_wbxml_peers_may_leave_out_the_type() {
    let mut world = World::new(AuthType::Basic);
    let mut say = Say::package1(1).basic();
    say.0.header.cred.as_mut().unwrap().meta = Meta::default();
    assert_eq!(world.post(&say.0).codes()[0].2, 212);
}

#[test]
fn the_number_of_strangers_that_are_remembered_is_bounded() {
    let mut world = World::limited(account(AuthType::Md5), SessionConfig::default());
    for n in 0..100 {
        world.post(&Say::package1(1).session(&format!("s{n}")).0);
    }
    let text = format!("{:?}", world.session);
    assert!(text.matches("Candidate {").count() <= 8);
    assert!(matches!(world.post_any(&Say::package1(1).md5(b"x").0), Reply::Message { .. }));
}
