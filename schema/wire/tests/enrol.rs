//! The enrolment's handshake: what each side proves, and that nothing else passes for it.

use std::sync::LazyLock;

use postern_wire::{
    enrol::{
        Admitted, Application, Applied, BODY_LIMIT, BadContent, BadFrame, Bootstrap, Der, EnrolError, Finish,
        Greeted, Hello, Initiator, KeyType, OneTimePassword, Psk, RequestCode, Responder, Start, Waiting,
        Welcome,
    },
    terms::{AuthType, EnrolmentId, UtcMillis},
};
use proptest::prelude::*;
use secrecy::ExposeSecret as _;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;
use zeroize::Zeroizing;

/// A request: its code, and the key that core and device made of its password.
#[derive(Clone)]
struct Request {
    code: RequestCode,
    psk: Psk,
}

static ANN: LazyLock<Request> = LazyLock::new(|| request(1));
static BOB: LazyLock<Request> = LazyLock::new(|| request(2));

fn request(seed: u8) -> Request {
    let password = OneTimePassword::from_random(&[seed; OneTimePassword::RANDOM_OCTETS]);
    Request { code: password.code(), psk: password.psk() }
}

/// The device's and the core's randomness; each number is used once in a test.
fn key(seed: u8) -> Zeroizing<[u8; 32]> {
    Zeroizing::new([seed; 32])
}

fn hello() -> Hello {
    Hello { software: "postern-device/0.1.0".into(), platform: "linux".into() }
}

fn welcome() -> Welcome {
    Welcome {
        server_cas: vec![Der(vec![1; 400]), Der(vec![2; 400])],
        device_cas: vec![Der(vec![3; 400])],
        message_key: Der(vec![4; 91]),
        order_key: Der(vec![5; 91]),
        key_type: KeyType::EcdsaP256,
        escrow_key: None,
    }
}

fn application() -> Application {
    Application {
        csr: Der(vec![6; 300]),
        device_id: "IMEI:490154203237518".into(),
        hardware_id: "serial-1".into(),
        manufacturer: "Postern".into(),
        model: "Simulated".into(),
        platform: "linux".into(),
        email: Some("ann@example.org".into()),
    }
}

fn admitted() -> Admitted {
    Admitted {
        chain: vec![Der(vec![7; 500]), Der(vec![3; 400])],
        bootstrap: Bootstrap {
            server_uri: "https://dm.example.org/dm/1/aaaaaaaaaaaaaaaaaaaaaaaaaa".into(),
            enrolment: EnrolmentId(Uuid::from_u128(1)),
            generation: 1,
            device_id: "IMEI:490154203237518".into(),
            server_id: "postern".into(),
            auth: AuthType::Signed,
            user: None,
            password: None,
            server_password: Some("very secret".into()),
            renew_from: UtcMillis(1),
        },
    }
}

fn start(of: &Request, seed: u8) -> (Initiator, Vec<u8>) {
    Initiator::start(of.code, &of.psk, &hello(), key(seed)).expect("both know the password")
}

fn answer(of: &Request, body: &[u8], seed: u8) -> Result<(Waiting, Vec<u8>), EnrolError> {
    let (responder, _hello) = Responder::start(&Start::read(body)?, Some(&of.psk), key(seed))?;
    responder.welcome(&welcome())
}

/// A handshake up to the finish: the device's and the core's state, and the bodies so far.
struct Run {
    start: Vec<u8>,
    welcome: Vec<u8>,
    finish: Vec<u8>,
    device: Applied,
    core: Waiting,
}

fn run(of: &Request, device: u8, core: u8) -> Run {
    let (initiator, start) = start(of, device);
    let (waiting, welcome) = answer(of, &start, core).expect("both know the password");
    let (greeted, _welcome) = initiator.welcomed(&welcome).expect("both know the password");
    let (applied, finish) = greeted.apply(&application()).expect("both know the password");
    Run { start, welcome, finish, device: applied, core: waiting }
}

fn finish(core: &mut Waiting, body: &[u8]) -> Result<Application, EnrolError> {
    core.finish(&Finish::read(body)?)
}

fn greeted(of: &Request, device: u8, core: u8) -> (Greeted, Waiting) {
    let (initiator, start) = start(of, device);
    let (waiting, welcome) = answer(of, &start, core).expect("both know the password");
    (initiator.welcomed(&welcome).expect("both know the password").0, waiting)
}

#[test]
fn both_sides_prove_the_password_and_hear_each_other_out() {
    let (initiator, body) = start(&ANN, 10);
    let read = Start::read(&body).unwrap();
    assert_eq!(read.code, ANN.code);
    let (responder, said) = Responder::start(&read, Some(&ANN.psk), key(20)).unwrap();
    assert_eq!(said, hello());
    let (mut waiting, body) = responder.welcome(&welcome()).unwrap();
    let (greeted, said) = initiator.welcomed(&body).unwrap();
    assert_eq!(said, welcome());
    assert_eq!((greeted.handshake(), waiting.code()), (waiting.handshake(), ANN.code));
    let (applied, body) = greeted.apply(&application()).unwrap();
    assert_eq!(Finish::read(&body).unwrap().handshake, waiting.handshake());
    assert_eq!(finish(&mut waiting, &body), Ok(application()));
    let body = waiting.asked().unwrap().admit(&admitted()).unwrap();
    let got = applied.admitted(&body).unwrap();
    assert_eq!(got.chain, admitted().chain);
    assert_eq!(got.bootstrap.server_uri, admitted().bootstrap.server_uri);
    assert_eq!(got.bootstrap.server_password.unwrap().expose_secret(), "very secret");
}

#[test]
fn a_wrong_password_and_a_code_that_does_not_exist_are_refused_alike() {
    let (_, body) = start(&ANN, 10);
    let read = Start::read(&body).unwrap();
    let wrong = Responder::start(&read, Some(&BOB.psk), key(20)).unwrap_err();
    let none = Responder::start(&read, None, key(20)).unwrap_err();
    assert_eq!((wrong, none), (EnrolError::NotProved, EnrolError::NotProved));
}

#[test]
fn no_password_is_guessed_from_the_stand_in_for_a_code_that_does_not_exist() {
    // even a device that knew the stand-in would not be let in
    let known = Request { code: ANN.code, psk: Psk::from_bytes([20; 32]) };
    let (_, body) = start(&known, 10);
    let refused = Responder::start(&Start::read(&body).unwrap(), None, key(20)).unwrap_err();
    assert_eq!(refused, EnrolError::NotProved);
}

#[test]
fn a_core_that_does_not_know_the_password_is_not_believed() {
    // it cannot read the Hello either, so it answers one that it made itself
    let (initiator, _) = start(&ANN, 10);
    let wrong = Request { psk: BOB.psk.clone(), ..ANN.clone() };
    let (_, own) = start(&wrong, 11);
    let (_, forged) = answer(&wrong, &own, 20).unwrap();
    assert_eq!(initiator.welcomed(&forged).unwrap_err(), EnrolError::NotProved);
}

#[test]
fn a_repeated_hello_is_answered_and_leads_nowhere() {
    let first = run(&ANN, 10, 20);
    let (mut second, welcome) = answer(&ANN, &first.start, 21).unwrap();
    assert_ne!(second.handshake(), first.core.handshake());
    assert_ne!(welcome, first.welcome);
    // whoever recorded the first handshake has no other finish than its
    assert_eq!(finish(&mut second, &first.finish), Err(EnrolError::NotProved));
    let mut renamed = first.finish.clone();
    renamed[1..17].copy_from_slice(&second.handshake().0);
    assert_eq!(finish(&mut second, &renamed), Err(EnrolError::NotProved));
}

#[test]
fn an_answer_to_another_hello_of_the_same_password_is_not_believed() {
    let recorded = run(&ANN, 10, 20);
    let (initiator, _) = start(&ANN, 11);
    assert_eq!(initiator.welcomed(&recorded.welcome).unwrap_err(), EnrolError::NotProved);
    let (greeted, _) = greeted(&ANN, 12, 22);
    let (applied, _) = greeted.apply(&application()).unwrap();
    let mut recorded = recorded;
    finish(&mut recorded.core, &recorded.finish).unwrap();
    let answer = recorded.core.asked().unwrap().admit(&admitted()).unwrap();
    assert_eq!(applied.admitted(&answer).unwrap_err(), EnrolError::NotProved);
}

#[test]
fn what_is_sent_back_to_its_sender_is_not_believed() {
    let (initiator, body) = start(&ANN, 10);
    let reflected = [&body[..1], &body[6..]].concat();
    assert_eq!(initiator.welcomed(&reflected).unwrap_err(), EnrolError::NotProved);
    let run = run(&ANN, 11, 21);
    let reflected = [&run.finish[..1], &run.finish[17..]].concat();
    assert_eq!(run.device.admitted(&reflected).unwrap_err(), EnrolError::NotProved);
}

#[test]
fn a_hello_for_one_request_is_none_for_another() {
    // the same key under another code: only the prologue is left to tell them apart
    let (_, body) = start(&ANN, 10);
    let mut moved = body;
    moved[1..6].copy_from_slice(BOB.code.as_bytes());
    let read = Start::read(&moved).unwrap();
    assert_eq!(read.code, BOB.code);
    assert_eq!(Responder::start(&read, Some(&ANN.psk), key(20)).unwrap_err(), EnrolError::NotProved);
}

#[test]
fn a_change_of_any_octet_is_noticed() {
    let (_, body) = start(&ANN, 10);
    each_changed(&body, |body| answer(&ANN, body, 20).map(drop));
    let (waiting, welcome) = answer(&ANN, &body, 20).unwrap();
    each_changed(&welcome, |body| start(&ANN, 10).0.welcomed(body).map(drop));
    let (greeted, _) = start(&ANN, 10).0.welcomed(&welcome).unwrap();
    let (_, body) = greeted.apply(&application()).unwrap();
    let mut waiting = waiting;
    each_changed(&body, |body| finish(&mut waiting, body).map(drop));
    // and none of the attempts did the handshake any harm
    finish(&mut waiting, &body).unwrap();
    let answer = waiting.asked().unwrap().admit(&admitted()).unwrap();
    each_changed(&answer, |body| run(&ANN, 10, 20).device.admitted(body).map(drop));
    run(&ANN, 10, 20).device.admitted(&answer).unwrap();
}

fn each_changed(body: &[u8], mut take: impl FnMut(&[u8]) -> Result<(), EnrolError>) {
    for place in (0..body.len()).filter(|place| *place < 80 || place % 97 == 0) {
        for bit in [1, 0x80] {
            let mut changed = body.to_vec();
            changed[place] ^= bit;
            let why = take(&changed).expect_err("a change is noticed");
            assert!(matches!(why, EnrolError::NotProved | EnrolError::Frame(_)), "octet {place}: {why}");
        }
    }
}

#[test]
fn what_is_cut_off_or_too_long_is_refused_by_type() {
    let whole = run(&ANN, 10, 20);
    for length in 0..whole.start.len() {
        let why = answer(&ANN, &whole.start[..length], 20).map(drop).unwrap_err();
        assert!(matches!(why, EnrolError::NotProved | EnrolError::Frame(BadFrame::Truncated)), "{length}");
    }
    for length in 0..whole.welcome.len().min(200) {
        let why = start(&ANN, 10).0.welcomed(&whole.welcome[..length]).map(drop).unwrap_err();
        assert!(matches!(why, EnrolError::NotProved | EnrolError::Frame(BadFrame::Truncated)), "{length}");
    }
    let mut core = whole.core;
    for length in 0..whole.finish.len() {
        let why = finish(&mut core, &whole.finish[..length]).unwrap_err();
        assert!(matches!(why, EnrolError::NotProved | EnrolError::Frame(BadFrame::Truncated)), "{length}");
    }
    let mut long = whole.start.clone();
    long.resize(BODY_LIMIT, 0);
    assert_eq!(answer(&ANN, &long, 20).map(drop), Err(EnrolError::NotProved));
    long.push(0);
    assert_eq!(Start::read(&long), Err(BadFrame::TooLarge));
    assert_eq!(Finish::read(&long), Err(BadFrame::TooLarge));
    assert_eq!(Start::read(&[2, 0]), Err(BadFrame::Version(2)));
    assert_eq!(Start::read(&[&[1][..], b"abcde", &[0; 48]].concat()), Err(BadFrame::Code));
}

#[test]
fn a_handshake_is_finished_once() {
    let mut run = run(&ANN, 10, 20);
    assert_eq!(finish(&mut run.core, &run.finish), Ok(application()));
    assert_eq!(finish(&mut run.core, &run.finish), Err(EnrolError::Finished));
}

#[test]
fn an_answer_before_the_finish_cannot_be_made() {
    assert!(run(&ANN, 10, 20).core.asked().is_none());
}

#[test]
fn the_password_alone_does_not_open_what_was_recorded() {
    // forward secrecy: with the transcript and the key of the password, but neither side's ephemeral key
    let recorded = run(&ANN, 10, 20);
    let (thief, _) = start(&ANN, 11);
    assert_eq!(thief.welcomed(&recorded.welcome).unwrap_err(), EnrolError::NotProved);
    let (mut thief, _) = answer(&ANN, &recorded.start, 21).unwrap();
    let mut finish_of_thief = recorded.finish.clone();
    finish_of_thief[1..17].copy_from_slice(&thief.handshake().0);
    assert_eq!(finish(&mut thief, &finish_of_thief), Err(EnrolError::NotProved));
    // the Hello alone is open to who has the password: it names nobody
    let (_, said) =
        Responder::start(&Start::read(&recorded.start).unwrap(), Some(&ANN.psk), key(22)).unwrap();
    assert_eq!(said, hello());
}

#[test]
fn every_handshake_has_keys_of_its_own() {
    let bodies = [run(&ANN, 10, 20), run(&ANN, 11, 20), run(&ANN, 10, 21)].map(|run| run.finish);
    assert!(bodies[0][17..] != bodies[1][17..] && bodies[0][17..] != bodies[2][17..]);
}

#[test]
fn a_transcript_of_known_randomness_is_what_it_always_was() {
    // pins version 1: prologue, key derivation, frames and JSON
    let mut run = run(&ANN, 10, 20);
    finish(&mut run.core, &run.finish).unwrap();
    let answer = run.core.asked().unwrap().admit(&admitted()).unwrap();
    let all = [run.start, run.welcome, run.finish, answer].concat();
    let digest = data_encoding::HEXLOWER.encode(&Sha256::digest(&all));
    assert_eq!(digest, "5a9a1073a2961078987d573f5c49243a48916edab567c2c1caff6d6b2b0f3d52");
}

#[test]
fn content_beyond_its_limits_is_refused_by_its_field_on_both_sides() {
    let long = "x".repeat(257);
    let of = |field, why| BadContent::Field { field, why };
    let application_with = |change: fn(&mut Application, String)| {
        let mut changed = application();
        change(&mut changed, long.clone());
        changed
    };
    for (changed, why) in [
        (application_with(|a, text| a.device_id = text), of("device_id", "is longer than 256 octets")),
        (application_with(|a, _| a.hardware_id.clear()), of("hardware_id", "is empty")),
        (application_with(|a, _| a.model.push('\u{1b}')), of("model", "holds control characters")),
        (application_with(|a, text| a.email = Some(text)), of("email", "is longer than 256 octets")),
        (application_with(|a, _| a.csr = Der(vec![0; 8_193])), of("csr", "is longer than 8192 octets")),
        (application_with(|a, _| a.csr = Der(Vec::new())), of("csr", "is empty")),
    ] {
        let (greeted, _) = greeted(&ANN, 10, 20);
        assert_eq!(greeted.apply(&changed).unwrap_err(), EnrolError::Content(why.clone()));
        let json = serde_json::to_vec(&changed).unwrap();
        assert_eq!(Application::read(&json), Err(why));
    }
    let nine = Welcome { server_cas: vec![Der(vec![1]); 9], ..welcome() };
    let json = serde_json::to_vec(&nine).unwrap();
    assert_eq!(Welcome::read(&json), Err(of("server_cas", "holds more than 8 certificates")));
    let huge = Welcome {
        server_cas: vec![Der(vec![1; 8_192]); 5],
        device_cas: vec![Der(vec![1; 8_192]); 5],
        ..welcome()
    };
    assert_eq!(Welcome::read(&serde_json::to_vec(&huge).unwrap()), Err(BadContent::TooLarge));
}

#[test]
fn what_is_not_the_json_of_its_message_is_refused_and_not_quoted() {
    for json in [
        "",
        "{}",
        "[]",
        r#"{"software":"a","platform":"b","secret":"c"}"#,
        r#"{"software":"a","software":"a","platform":"b"}"#,
        r#"{"software":1,"platform":"b"}"#,
        r#"{"software":"a","platform":"b"} {}"#,
    ] {
        let why = Hello::read(json.as_bytes()).unwrap_err();
        assert!(matches!(why, BadContent::Json { .. }), "{json}");
        assert!(!why.to_string().contains("secret"));
    }
}

#[test]
fn no_secret_is_shown() {
    let shown = format!("{:?} {:?} {:?}", admitted(), ANN.psk, run(&ANN, 10, 20).core);
    assert!(!shown.contains("very secret") && shown.contains("Psk(…)"), "{shown}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_said_is_heard_and_whatever_is_changed_is_refused(
        texts in prop::collection::vec("[ -~]{1,80}", 5),
        csr in prop::collection::vec(any::<u8>(), 1..2_000),
        keys: ([u8; 32], [u8; 32]),
        place: prop::sample::Index,
        bit in 0..8_u8,
    ) {
        let said = Application {
            csr: Der(csr),
            device_id: texts[0].clone(),
            hardware_id: texts[1].clone(),
            manufacturer: texts[2].clone(),
            model: texts[3].clone(),
            platform: texts[4].clone(),
            email: None,
        };
        let (device, core) = (Zeroizing::new(keys.0), Zeroizing::new(keys.1));
        let (initiator, body) = Initiator::start(ANN.code, &ANN.psk, &hello(), device).unwrap();
        let (responder, _) = Responder::start(&Start::read(&body).unwrap(), Some(&ANN.psk), core).unwrap();
        let (mut waiting, body) = responder.welcome(&welcome()).unwrap();
        let (greeted, _) = initiator.welcomed(&body).unwrap();
        let (_, body) = greeted.apply(&said).unwrap();
        let mut changed = body.clone();
        changed[place.index(body.len())] ^= 1_u8 << bit;
        prop_assert!(finish(&mut waiting, &changed).is_err());
        prop_assert_eq!(finish(&mut waiting, &body), Ok(said));
    }

    #[test]
    fn no_octets_make_it_panic(octets in prop::collection::vec(any::<u8>(), 0..300)) {
        let versioned = [&[1][..], ANN.code.as_bytes(), &octets].concat();
        for body in [&octets, &versioned] {
            prop_assert!(answer(&ANN, body, 20).is_err());
            prop_assert!(start(&ANN, 10).0.welcomed(body).is_err());
        }
    }
}
