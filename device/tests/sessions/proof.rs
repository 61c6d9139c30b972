//! Who proves what to whom: Cred in both directions, signatures, orders, and hostile servers.

use crate::support::{
    Reply, Rig, Turn, add, alert, answer, challenge, exec, get, nothing, order, public_pem, results, send,
    statuses, turn, with_cred,
};
use postern_device::{
    DeviceError,
    keys::{SigningKey, VerifyingKey, new_request},
    state::Storage,
    unit::SessionError,
};
use postern_wire::{
    auth::{TYPE_BASIC, TYPE_MD5, basic, decode_nonce, md5_digest, user_password_hash},
    signature::SignatureError,
    syncml::{Command, Message},
    terms::AuthType,
};

const NONCE: &str = "AAECAwQFBgcICQoLDA0ODw==";

#[test]
fn basic_is_shown_at_once_and_left_out_after_212() {
    let mut rig = Rig::new(AuthType::Basic);
    rig.session(vec![send(vec![get("./DevInfo/Man")]), nothing()]).0.unwrap();
    let seen = rig.seen.messages();
    assert_eq!(cred(&seen[0]), Some((TYPE_BASIC.into(), basic("dev", "devpw"))));
    assert_eq!(seen[0].header.source.name.as_deref(), Some("dev"));
    assert_eq!(cred(&seen[1]), None);
}

#[test]
fn after_200_the_credentials_come_with_every_message() {
    let mut rig = Rig::new(AuthType::Basic);
    let accept = |commands: Vec<Command>| turn(move |to| answer(to, 200, commands.clone(), true));
    rig.session(vec![accept(vec![get("./DevInfo/Man")]), accept(Vec::new())]).0.unwrap();
    assert!(rig.seen.messages().iter().all(|message| cred(message).is_some()));
}

#[test]
fn md5_without_a_nonce_waits_for_the_challenge_and_repeats_package_1() {
    let mut rig = Rig::new(AuthType::Md5);
    let (outcome, device) = rig.session(vec![
        turn(|to| challenge(to, 407, TYPE_MD5, Some(NONCE))),
        turn(|to| challenge(to, 212, TYPE_MD5, Some("EBAQEBAQEBAQEBAQEBAQEA=="))),
    ]);
    outcome.unwrap();
    let seen = rig.seen.messages();
    assert_eq!(cred(&seen[0]), None);
    assert_eq!(cred(&seen[1]), Some((TYPE_MD5.into(), md5("dev", "devpw", NONCE))));
    assert_eq!((seen[1].header.msg_id, &seen[1].header.session_id), (2, &seen[0].header.session_id));
    assert_eq!(statuses(&seen[1]), [("SyncHdr".to_owned(), 212)]);
    assert!(seen[1].is_final && seen[1].body.len() == 3, "Status, Alert, Replace");
    let nonces = device.state().nonces("srv").unwrap();
    assert_eq!(nonces.client, Some(vec![0x10; 16]), "for the next session");
}

#[test]
fn the_kept_nonce_opens_the_next_session() {
    let folder = tempfile::tempdir().unwrap();
    let mut rig = Rig::new(AuthType::Md5);
    rig.storage = Storage::folder(folder.path()).unwrap();
    rig.session(vec![
        turn(|to| challenge(to, 407, TYPE_MD5, Some(NONCE))),
        turn(|to| challenge(to, 212, TYPE_MD5, Some(NONCE))),
    ])
    .0
    .unwrap();
    rig.session(vec![nothing()]).0.unwrap();
    assert_eq!(cred(&rig.seen.messages()[2]), Some((TYPE_MD5.into(), md5("dev", "devpw", NONCE))));
}

#[test]
fn an_endless_401_ends_after_three_messages() {
    let mut rig = Rig::new(AuthType::Md5);
    let (outcome, _) = rig.session(vec![turn(|to| challenge(to, 401, TYPE_MD5, Some(NONCE)))]);
    assert_eq!(session_error(outcome), "the server refused this device with 401");
    assert_eq!(rig.seen.messages().len(), 3);
}

#[test]
fn basic_that_was_refused_is_not_shown_again() {
    let mut rig = Rig::new(AuthType::Basic);
    let (outcome, _) = rig.session(vec![turn(|to| challenge(to, 401, TYPE_BASIC, None))]);
    assert_eq!(session_error(outcome), "the server refused this device with 401");
    assert_eq!(rig.seen.messages().len(), 1);
}

#[test]
fn a_challenge_of_another_type_ends_the_session() {
    for (auth, kind) in
        [(AuthType::Basic, TYPE_MD5), (AuthType::Md5, TYPE_BASIC), (AuthType::Md5, "syncml:auth-MAC")]
    {
        let mut rig = Rig::new(auth);
        let (outcome, _) = rig.session(vec![turn(move |to| challenge(to, 407, kind, Some(NONCE)))]);
        assert!(matches!(outcome, Err(DeviceError::Session(SessionError::OtherScheme(_)))), "{auth} {kind}");
        assert_eq!(rig.seen.messages().len(), 1);
    }
}

#[test]
fn a_refusal_without_chal_or_with_another_code_ends_the_session() {
    for code in [401, 407, 403, 503, 0] {
        let mut rig = Rig::new(AuthType::Md5);
        let (outcome, _) = rig.session(vec![turn(move |to| answer(to, code, Vec::new(), true))]);
        assert!(matches!(outcome, Err(DeviceError::Session(SessionError::Refused(_)))), "{code}");
    }
}

#[test]
fn a_server_that_must_prove_itself_is_challenged_and_its_commands_refused() {
    let mut rig = Rig::new(AuthType::Md5).server_password();
    let (outcome, device) = rig.session(vec![
        send(vec![add("./Settings/a", "1"), get("./DevInfo/Man")]),
        turn(|to| {
            let cred = md5("srv", "srvpw", &chal(to).expect("a challenge"));
            with_cred(answer(to, 212, vec![add("./Settings/a", "1")], true), TYPE_MD5, &cred)
        }),
        send(vec![get("./Settings/a")]),
        nothing(),
    ]);
    assert!(outcome.unwrap().server_proved);
    let seen = rig.seen.messages();
    assert_eq!(codes(&seen[1]), [407, 407, 407]);
    assert!(results(&seen[1]).is_empty());
    assert_eq!(codes(&seen[2]), [212, 200]);
    assert_eq!(results(&seen[3]), ["1"], "proved for the whole session");
    let next = decode_nonce(&chal(&seen[2]).expect("a nonce for the next session")).unwrap();
    assert_eq!(next.len(), 16);
    assert_eq!(device.state().nonces("srv").unwrap().server, Some(next));
    assert_ne!(chal(&seen[1]), chal(&seen[2]), "a fresh nonce each time");
}

#[test]
fn a_server_that_proves_itself_at_once_is_obeyed_at_once() {
    let mut rig = Rig::new(AuthType::Basic).server_password();
    rig.session(vec![
        turn(|to| {
            with_cred(answer(to, 212, vec![get("./DevInfo/Man")], true), TYPE_BASIC, &basic("srv", "srvpw"))
        }),
        nothing(),
    ])
    .0
    .unwrap();
    let second = &rig.seen.messages()[1];
    assert_eq!((codes(second), chal(second)), (vec![212, 200], None));
}

#[test]
fn a_server_with_wrong_credentials_is_obeyed_in_nothing_and_left_after_the_second_time() {
    for kind in [TYPE_BASIC, TYPE_MD5] {
        let auth = if kind == TYPE_BASIC { AuthType::Basic } else { AuthType::Md5 };
        let mut rig = Rig::new(auth).server_password();
        let (outcome, device) = rig.session(vec![turn(move |to| {
            with_cred(answer(to, 212, vec![add("./Settings/a", "1")], true), kind, "d3Jvbmc=")
        })]);
        assert!(matches!(outcome, Err(DeviceError::Session(SessionError::ServerNotProved))));
        let seen = rig.seen.messages();
        assert_eq!((seen.len(), codes(&seen[1])), (2, vec![401, 401]));
        let (path, _) = postern_device::tree::path::Path::parse("./Settings/a").unwrap();
        assert!(device.state().tree.get(&path).is_none());
    }
}

#[test]
fn sec_26_a_server_without_proof_cannot_set_the_nonce_of_the_next_session() {
    let mut rig = Rig::new(AuthType::Md5).server_password();
    let (outcome, device) = rig.session(vec![
        turn(|to| challenge(to, 407, TYPE_MD5, Some(NONCE))),
        turn(|to| challenge(to, 212, TYPE_MD5, Some(NONCE))),
    ]);
    assert!(!outcome.unwrap().server_proved);
    assert_eq!(device.state().nonces("srv"), None);
}

#[test]
fn a_signed_session_verifies_on_both_sides() {
    let mut rig = Rig::signed();
    let own = public_pem(secret(&rig));
    let (outcome, _) = rig.session(vec![send(vec![get("./DevInfo/Man")]), nothing()]);
    assert!(outcome.unwrap().server_proved);
    let key = VerifyingKey::from_pem(&own, "key").unwrap();
    let requests = rig.seen.requests();
    let nonces: Vec<_> = requests
        .iter()
        .map(|request| {
            let parameters =
                crate::support::verify(request, |base, signature| key.verifies(base, signature)).unwrap();
            assert_eq!(parameters.key_id, rig.enrolment.enrolment.to_string());
            assert_eq!(parameters.created * 1000, crate::support::NOW.0);
            parameters.nonce
        })
        .collect();
    assert_ne!(nonces[0], nonces[1]);
    assert!(rig.seen.messages().iter().all(|message| cred(message).is_none()));
}

#[test]
fn a_reply_that_is_not_the_cores_is_not_read() {
    type Tamper = Box<dyn FnMut(&mut postern_device::transport::Answered) + Send>;
    let stranger = SigningKey::from_pem(&new_request("x").unwrap().key_pem).unwrap();
    let cases: Vec<(&str, SignatureError, Tamper)> = vec![
        (
            "unsigned",
            SignatureError::Missing("content-digest"),
            Box::new(|reply| reply.fields = [None, None, None]),
        ),
        (
            "another body",
            SignatureError::DigestMismatch,
            Box::new(|reply| {
                let text = String::from_utf8(reply.body.to_vec()).unwrap();
                reply.body = text.replace("./Settings/a", "./Settings/b").into();
            }),
        ),
        (
            "another body and digest",
            SignatureError::Forged,
            Box::new(|reply| {
                reply.body = "<SyncML/>".into();
                reply.fields[0] = Some(postern_wire::signature::content_digest(&reply.body));
            }),
        ),
        (
            "another type",
            SignatureError::Forged,
            Box::new(|reply| reply.content_type = "application/vnd.syncml.dm+wbxml".into()),
        ),
        (
            "another nonce",
            SignatureError::WrongNonce,
            Box::new(move |reply| support_resign(reply, &stranger, [9; 16])),
        ),
    ];
    for (what, error, tamper) in cases {
        let mut rig = Rig::signed();
        rig.signer.as_mut().unwrap().tamper = tamper;
        let (outcome, device) = rig.session(vec![send(vec![add("./Settings/a", "1")])]);
        assert!(matches!(&outcome, Err(DeviceError::Signature(got)) if *got == error), "{what}: {outcome:?}");
        assert_eq!(rig.seen.messages().len(), 1, "{what}");
        let (path, _) = postern_device::tree::path::Path::parse("./Settings/a").unwrap();
        assert!(device.state().tree.get(&path).is_none());
    }
}

#[test]
fn a_reply_signed_by_another_key_is_not_read() {
    let mut rig = Rig::signed();
    rig.signer.as_mut().unwrap().key = SigningKey::from_pem(&new_request("x").unwrap().key_pem).unwrap();
    let (outcome, _) = rig.session(vec![nothing()]);
    assert!(matches!(outcome, Err(DeviceError::Signature(SignatureError::Forged))));
}

#[test]
fn an_earlier_reply_does_not_pass_for_the_next() {
    let mut rig = Rig::signed();
    let mut first = None;
    rig.signer.as_mut().unwrap().tamper = Box::new(move |reply| match &first {
        None => first = Some(reply.clone()),
        Some(earlier) => *reply = earlier.clone(),
    });
    let (outcome, _) = rig.session(vec![send(vec![add("./Settings/a", "1")])]);
    assert!(matches!(outcome, Err(DeviceError::Signature(SignatureError::WrongNonce))));
    assert_eq!(rig.seen.messages().len(), 2);
}

#[test]
fn a_wipe_is_durable_before_it_is_admitted_and_its_repeat_is_answered_and_not_done_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let key = new_request("order").unwrap();
    let mut rig = Rig::new(AuthType::Basic);
    rig.enrolment.order_key_pem = Some(public_pem(&key.key_pem));
    rig.storage = Storage::folder(folder.path()).unwrap();
    let text = order(&SigningKey::from_pem(&key.key_pem).unwrap(), 7);
    let uri = postern_device::csp::WIPE;

    rig.session(vec![send(vec![add("./Settings/a", "1")]), nothing()]).0.unwrap();
    // the answer that admits the wipe is lost, the device killed
    let wipe = || send(vec![exec(uri, &text)]);
    let file = folder.path().join("state.json");
    let lost: Turn = Box::new(move |_| {
        assert!(std::fs::read_to_string(&file).unwrap().contains("00000000-0000-0000-0000-000000000007"));
        Reply::Http(500)
    });
    rig.session(vec![wipe(), lost]).0.unwrap_err();
    let (outcome, device) = rig.session(vec![wipe(), send(vec![get("./Settings")]), nothing()]);
    outcome.unwrap();
    let seen = rig.seen.messages();
    assert_eq!(codes(&seen[seen.len() - 2]), [212, 200], "answered as the first time");
    assert_eq!(results(&seen[seen.len() - 1]), [""], "the settings are gone");
    assert_eq!(device.state().wipes().len(), 1);
}

#[test]
fn settings_outlive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let mut rig = Rig::new(AuthType::Basic);
    rig.storage = Storage::folder(folder.path()).unwrap();
    rig.session(vec![send(vec![add("./Settings/a", "1")]), nothing()]).0.unwrap();
    rig.session(vec![send(vec![get("./Settings/a")]), nothing()]).0.unwrap();
    assert_eq!(results(&rig.seen.messages()[3]), ["1"]);
}

#[test]
fn what_is_no_message_of_this_session_ends_it() {
    let cases: Vec<(&str, Turn)> = vec![
        ("message-empty", Box::new(|_| Reply::Octets(Vec::new()))),
        ("message-not-well-formed", Box::new(|_| Reply::Octets(b"<SyncML><a></b></SyncML>".to_vec()))),
        ("answer-too-large", Box::new(|_| Reply::Octets(vec![b' '; 65_537]))),
        ("http-404", Box::new(|_| Reply::Http(404))),
        ("misfit", edited(|message| message.header.session_id = "nope".into())),
        ("misfit", edited(|message| message.header.ver_proto = "DM/1.3".into())),
        ("misfit", edited(|message| message.body.clear())),
        ("misfit", edited(|message| answered_about(message, 9))),
        ("no-room", edited(|message| message.header.meta.max_msg_size = Some(10))),
    ];
    for (kind, turn) in cases {
        let mut rig = Rig::new(AuthType::Basic);
        let (outcome, _) = rig.session(vec![turn]);
        let got = outcome.unwrap_err().kind();
        assert!(
            got == kind || (kind.starts_with("message-") && got.starts_with("message-")),
            "{kind}: {got}"
        );
        assert_eq!(rig.seen.messages().len(), 1, "{kind}");
    }
}

#[test]
fn a_server_that_never_ends_is_left() {
    let endless: Vec<(Turn, &str, usize)> = vec![
        (send(vec![get("./DevInfo/Man")]), "endless", 20),
        (send(vec![alert(1222)]), "misfit", 8),
        (turn(|to| answer(to, 212, Vec::new(), false)), "misfit", 8),
    ];
    for (turn, kind, messages) in endless {
        let mut rig = Rig::new(AuthType::Basic).unit(|unit| unit.max_messages = 20);
        let (outcome, _) = rig.session(vec![turn]);
        assert_eq!(outcome.unwrap_err().kind(), kind);
        assert_eq!(rig.seen.messages().len(), messages);
    }
}

#[test]
fn a_challenge_between_the_messages_of_a_package_is_answered_and_the_package_goes_on() {
    let mut rig = Rig::new(AuthType::Basic);
    let gets: Vec<_> = (0..60).map(|_| get("./DevInfo")).collect();
    let bounded = |mut message: Message| {
        message.header.meta.max_msg_size = Some(4_000);
        message
    };
    let (outcome, _) = rig.session(vec![
        turn(move |to| bounded(answer(to, 212, gets.clone(), true))),
        turn(move |to| bounded(challenge(to, 407, TYPE_BASIC, None))),
        turn(move |to| {
            let more = if to.is_final { Vec::new() } else { vec![alert(1222)] };
            bounded(answer(to, 212, more, to.is_final))
        }),
    ]);
    outcome.unwrap();
    let seen = rig.seen.messages();
    assert!(results(&seen[1]).starts_with(&results(&seen[2])), "sent again; Cred takes some of the room");
    assert!(cred(&seen[1]).is_none() && cred(&seen[2]).is_some() && !seen[2].is_final);
    let of_package = seen[2..].iter().map(|message| results(message).len()).sum::<usize>();
    assert_eq!((of_package, seen.last().unwrap().is_final), (60, true));
}

fn support_resign(reply: &mut postern_device::transport::Answered, key: &SigningKey, nonce: [u8; 16]) {
    use postern_wire::signature::{CORE_KEY_ID, Parameters, ResponseParts, sign_response};
    let parts = ResponseParts { status: reply.status, content_type: &reply.content_type, body: &reply.body };
    let parameters = Parameters { created: 0, nonce, key_id: CORE_KEY_ID.into() };
    let fields = sign_response(&parts, &parameters, |base| key.sign(base)).unwrap();
    reply.fields = [Some(fields.content_digest), Some(fields.signature_input), Some(fields.signature)];
}

fn edited(mut edit: impl FnMut(&mut Message) + Send + 'static) -> Turn {
    turn(move |to| {
        let mut message = answer(to, 212, vec![get("./DevInfo/Man")], true);
        edit(&mut message);
        message
    })
}

fn answered_about(message: &mut Message, msg_ref: u32) {
    if let Command::Status(status) = &mut message.body[0] {
        status.msg_ref = Some(msg_ref);
    }
}

fn secret(rig: &Rig) -> &str {
    use secrecy::ExposeSecret as _;
    rig.enrolment.key_pem.as_ref().unwrap().expose_secret()
}

fn cred(message: &Message) -> Option<(String, String)> {
    let cred = message.header.cred.as_ref()?;
    Some((cred.meta.type_.clone()?, cred.data.as_text()?.to_owned()))
}

/// NextNonce of the Chal in the client's SyncHdr Status.
fn chal(message: &Message) -> Option<String> {
    message.body.iter().find_map(|command| match command {
        Command::Status(status) => status.chal.as_ref()?.next_nonce.clone(),
        _ => None,
    })
}

fn codes(message: &Message) -> Vec<u32> {
    statuses(message).into_iter().map(|(_, code)| code).collect()
}

fn md5(user: &str, password: &str, nonce: &str) -> String {
    md5_digest(&user_password_hash(user, password), &decode_nonce(nonce).unwrap())
}

fn session_error(outcome: Result<postern_device::SessionReport, DeviceError>) -> String {
    match outcome {
        Err(DeviceError::Session(error)) => error.to_string(),
        other => panic!("{other:?}"),
    }
}
