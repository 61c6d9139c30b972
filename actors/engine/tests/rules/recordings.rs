//! Transcripts: what they hold, that they replay, and those that stand under `tests/transcripts`.
//!
//! Those files were made by `POSTERN_WRITE_TRANSCRIPTS=1` from recorded clients (see wire's vectors) and by `session save` from
//! our own device; a change of the engine that they do not bear is either a mistake or has its reason in their next version.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use postern_engine::{
    account::{Account, ServerScheme},
    transcript::{BadTranscript, Octets, Recorder, ReplyForm, STEPS, Transcript, What},
};
use postern_wire::{
    auth::{self, HmacHeader},
    syncml::{self, Style, Version},
    terms::AuthType,
    uri::TreeUri,
};

use crate::{
    common::{PASSWORD, SERVER_PASSWORD, Say, USER, World, account, certificate, server},
    transcripts::{Replay, four},
};

/// What holds for every transcript that any rule test brings about.
pub(crate) fn check(transcript: &Transcript) {
    let file = transcript.to_json().unwrap();
    let read = Transcript::parse(&file).unwrap();
    assert_eq!(&read, transcript);
    if let Err(difference) = read.replay() {
        panic!("{difference}");
    }
    let text = String::from_utf8(file).unwrap();
    for secret in [
        PASSWORD.to_owned(),
        SERVER_PASSWORD.to_owned(),
        auth::basic(USER, PASSWORD),
        auth::user_password_hash(USER, PASSWORD),
    ] {
        assert!(!text.contains(&secret), "{secret} stands in a transcript");
    }
}

fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/transcripts"))
}

/// Sessions of recorded clients whose messages may be copied.
fn clients() -> BTreeMap<&'static str, Transcript> {
    let mut all = BTreeMap::new();
    let mut keep = |name: &'static str, about: &str, mut replay: Replay| {
        replay.world.transcripts.extend(replay.world.recorder.as_mut().unwrap().end());
        let longest = replay.world.transcripts.into_iter().max_by_key(|transcript| transcript.steps.len());
        let mut transcript = longest.unwrap();
        assert!(transcript.steps.len() > 1, "{name}");
        assert_eq!(transcript.unfaithful, None, "{name}");
        transcript.about = about.to_owned();
        all.insert(name, transcript);
    };
    let with = |auth, scheme: Option<ServerScheme>| {
        let mut world = World::with(Account { server: scheme.and_then(server), ..account(auth) });
        four(&mut world);
        world
    };
    for (name, auth, scheme) in [
        ("libdmclient-xml-basic", AuthType::Basic, None),
        ("libdmclient-xml-md5", AuthType::Md5, None),
        ("libdmclient-wbxml-md5", AuthType::Md5, None),
        ("libdmclient-xml-basic-chal-md5", AuthType::Md5, None),
        ("libdmclient-xml-srvbasic", AuthType::Basic, Some(ServerScheme::Basic)),
        ("libdmclient-https-clientcert", AuthType::Basic, None),
    ] {
        let about =
            "libdmclient (intel/libdmclient, Apache-2.0): what it sent to a stand-in server, re-keyed";
        keep(name, about, Replay::of(name, with(auth, scheme)));
    }
    for name in ["pytune-windows", "pytune-android"] {
        let mut of = account(AuthType::Certificate);
        of.quirks.volatile_device_id = true;
        let mut world = World::with(of);
        world.peer = certificate(1, true);
        for n in 0..5 {
            world.get(&format!("./{n}"));
        }
        let about = "pytune (secureworks/pytune, Apache-2.0): what it sent to a stand-in server";
        keep(name, about, Replay::of(name, world));
    }
    all
}

#[test]
fn each_transcript_that_is_kept_replays() {
    if std::env::var_os("POSTERN_WRITE_TRANSCRIPTS").is_some() {
        std::fs::create_dir_all(folder()).unwrap();
        for (name, transcript) in clients() {
            std::fs::write(folder().join(format!("{name}.json")), transcript.to_json().unwrap()).unwrap();
        }
        panic!("written; now run it without POSTERN_WRITE_TRANSCRIPTS");
    }
    let mut replayed = 0;
    for entry in std::fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        let transcript = Transcript::parse(&std::fs::read(&path).unwrap()).unwrap();
        if let Err(difference) = transcript.replay() {
            panic!("{}: {difference}", path.display());
        }
        assert_eq!(transcript.unfaithful, None, "{}", path.display());
        check(&transcript);
        replayed += 1;
    }
    assert!(replayed >= clients().len(), "{replayed}");
}

#[test]
fn a_session_by_mac_is_taken_down_with_macs_of_the_transcripts_own() {
    let mut world = World::with(Account { server: server(ServerScheme::Mac), ..account(AuthType::Hmac) });
    world.style = Style::wbxml(Version::V1_2);
    let get = world.get("./DevInfo/Man");
    let post = |world: &mut World, say: &Say, nonce: &[u8]| {
        let body = syncml::encode(&say.0, &world.style).unwrap();
        let mac = auth::mac(&auth::user_password_hash(USER, PASSWORD), nonce, &body);
        world.peer.hmac = Some(HmacHeader { username: USER.into(), mac });
        world.post(&say.0)
    };
    let challenge = world.post(&Say::package1(1).0);
    let answer = post(&mut world, &Say::package1(2), &challenge.nonce());
    let say = Say::new(3).hello(2).status(2, 4, "Get", 200).results(2, 4, &[("./DevInfo/Man", "x")]);
    post(&mut world, &say, &answer.nonce());
    assert_eq!(world.end(get).1, "done");

    let transcript = world.transcripts.pop().unwrap();

    assert_eq!(transcript.unfaithful, None);
    assert_eq!(transcript.steps.len(), 3);
    let macs: Vec<_> = transcript.steps.iter().filter_map(|step| step.peer.hmac.clone()).collect();
    assert_eq!(macs.len(), 2);
    assert_ne!(macs[0].1, world.peer.hmac.unwrap().mac);
    assert!(transcript.steps[2].effects.iter().any(|line| line.starts_with("moved")));
    let signed = |step: &postern_engine::transcript::Step| {
        matches!(&step.reply, ReplyForm::Message { hmac: Some(_), .. })
    };
    assert!(signed(&transcript.steps[1]));
}

#[test]
fn values_of_secret_nodes_and_the_route_do_not_stand_in_a_transcript() {
    let route = "aaaaaaaaaaaaaaaaaaaaaaaaaa";
    let mut world = World::new(AuthType::Basic);
    world.recorder = Some(Recorder::new(Arc::new(|uri: &TreeUri| uri.name() == Some("Psk"))));
    world.replace("./Wifi/home/Psk", "hunter2-of-the-server");
    world.get("./Wifi/work/Psk");
    let uri = format!("https://dm.example/dm/1/{route}");
    let to = |say: Say| say.header(|header| header.target.uri.clone_from(&uri));
    world.post(&to(Say::package1(1).basic()).0);
    let said = Say::new(2).hello(1).status(1, 4, "Replace", 200).status(1, 5, "Get", 200).results(
        1,
        5,
        &[("./Wifi/work/Psk", "hunter2-of-the-device")],
    );
    world.post(&to(said).0);

    let transcript = world.transcripts.pop().unwrap();

    assert_eq!(transcript.unfaithful, None);
    let text = String::from_utf8(transcript.to_json().unwrap()).unwrap();
    for gone in ["hunter2", route] {
        assert!(!text.contains(gone), "{gone} stands in {text}");
    }
    assert!(text.contains(&"x".repeat("hunter2-of-the-server".len())), "it is as long as it was");
}

#[test]
fn a_wrong_proof_stays_wrong_and_a_repeat_stays_a_repeat() {
    let mut world = World::new(AuthType::Md5);
    world.get("./A");
    let first = world.post(&Say::package1(1).md5(b"old").0);
    assert_eq!(first.codes()[0].2, 401);
    let proved = Say::package1(2).md5(&first.nonce());
    assert_eq!(world.post(&proved.0).codes()[0].2, 212);
    assert_eq!(world.post(&proved.0).codes()[0].2, 212, "the stored reply");
    world.post(&Say::new(3).hello(2).status(2, 4, "Get", 404).0);

    let transcript = world.transcripts.pop().unwrap();

    assert_eq!(transcript.unfaithful, None);
    assert_eq!(transcript.steps.len(), 4);
    assert!(transcript.steps[2].effects.is_empty(), "{:?}", transcript.steps[2].effects);
    assert_eq!(transcript.steps[1].request, transcript.steps[2].request);
}

#[test]
fn a_session_that_another_takes_the_place_of_ends_its_transcript_and_the_other_has_its_own() {
    let mut world = World::new(AuthType::Basic);
    world.add("./A", "1");
    world.post(&Say::package1(1).basic().0);
    world.post(&Say::package1(1).session("2").basic().0);
    assert_eq!(world.transcripts.len(), 1);
    let first = world.transcripts.pop().unwrap();
    let second = world.recorder.as_mut().unwrap().end().unwrap();
    check(&second);
    assert_ne!(first.session, second.session);
    assert_eq!((first.unfaithful, second.unfaithful), (None, None));
}

#[test]
fn what_comes_into_the_queue_in_between_stands_beside_its_message() {
    let mut world = World::new(AuthType::Basic);
    world.get("./A");
    world.post(&Say::package1(1).basic().0);
    world.get("./B");
    world.post(&Say::new(2).hello(1).status(1, 4, "Get", 404).0);
    world.post(&Say::new(3).hello(2).status(2, 2, "Get", 404).0);
    let transcript = world.transcripts.pop().unwrap();
    let changed: Vec<_> = transcript.steps.iter().map(|step| step.queue.as_ref().map(Vec::len)).collect();
    assert_eq!((changed, transcript.unfaithful), (vec![None, Some(2), None], None));
}

#[test]
fn the_first_difference_is_shown() {
    let mut world = World::new(AuthType::Basic);
    world.get("./A");
    world.post(&Say::package1(1).basic().0);
    world.post(&Say::new(2).hello(1).status(1, 4, "Get", 404).0);
    let transcript = world.transcripts.pop().unwrap();
    assert_eq!(transcript.replay(), Ok(2));

    let mut other = transcript.clone();
    other.steps[1].effects[0].push_str(" and more");
    let difference = other.replay().unwrap_err();
    assert_eq!((difference.message, difference.what), (2, What::Effects));

    let mut other = transcript.clone();
    let ReplyForm::Message { body, .. } = &mut other.steps[0].reply else { panic!() };
    *body = Octets(String::from_utf8(body.0.clone()).unwrap().replace("./A", "./B").into_bytes());
    let difference = other.replay().unwrap_err();
    assert_eq!((difference.message, difference.what), (1, What::Reply));
    assert!(difference.recorded.contains("./B") && difference.replayed.contains("./A"), "{difference}");

    let mut other = transcript;
    other.queue.clear();
    assert_eq!(other.replay().unwrap_err().message, 1);
}

#[test]
fn a_transcript_is_bounded_and_says_that_its_end_is_missing() {
    let mut world = World::new(AuthType::Basic);
    world.get("./A");
    world.post(&Say::package1(1).basic().0);
    let say = Say::new(2).hello(1).unfinished();
    while world.transcripts.is_empty() {
        world.post_any(&say.0);
    }
    let transcript = world.transcripts.pop().unwrap();
    assert!(transcript.cut, "{} messages, {:?}", transcript.steps.len(), transcript.steps.last());
    assert_eq!(transcript.steps.len(), STEPS);
}

#[test]
fn a_file_of_another_format_or_none_is_refused() {
    assert!(matches!(Transcript::parse(b"{"), Err(BadTranscript::Form(_))));
    assert!(matches!(Transcript::parse(br#"{"format": "other"}"#), Err(BadTranscript::Format(_))));
    assert!(matches!(
        Transcript::parse(br#"{"format": "postern transcript 1"}"#),
        Err(BadTranscript::Form(_))
    ));
}
