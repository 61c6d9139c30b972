//! Notifications: what the push router follows and what it ignores (OMA-TS-DM_Notification 1.2.1; NOT-nn of docs/CONFORMANCE.md), and accounts beside
//! the enrolled one.

use postern_device::{
    Device, DeviceError,
    interaction::{Kind, Reaction, Scripted as User},
    router::Ignored,
    state::Storage,
    unit::Cause,
};
use postern_wire::{
    auth::{TYPE_MD5, md5_digest, user_password_hash},
    bootstrap::{
        cp::{Account as Given, Address, AuthTypes, Credential, Level},
        mac::{NetworkSecret, Secrets, seal},
    },
    notification::{NonceReading, Package0, SessionId, Trigger as Triggered, UiMode},
    push::{Push, PushMedia, SecurityMethod},
    syncml::{Command, Message},
    terms::AuthType,
};

use crate::support::{
    NOW, Reply, Rig, Scripted, add, answer, challenge, get, nothing, run, send, statuses, turn, with_cred,
};

const NONCE: [u8; 16] = [9; 16];

#[test]
fn cli_02_and_not_12_a_good_notification_opens_its_session_and_a_forged_one_none() {
    let mut rig = rig();
    let mut device = primed(&mut rig);
    let before = rig.seen.messages().len();
    for (what, octets) in [
        ("another secret", sealed(trigger(0xAB, "srv"), "wrong", &NONCE)),
        ("another nonce", sealed(trigger(0xAB, "srv"), "srvpw", &[1; 16])),
        ("vendor data added", [sealed(trigger(0xAB, "srv"), "srvpw", &NONCE), vec![0]].concat()),
    ] {
        assert_eq!(ignored(notify(&mut device, &octets)), Ignored::Forged, "{what}");
    }
    assert_eq!(
        ignored(notify(&mut device, &sealed(trigger(1, "none"), "srvpw", &NONCE))),
        Ignored::NoAccount
    );
    assert!(matches!(ignored(notify(&mut device, &[0; 30])), Ignored::Malformed(_)));
    assert_eq!(rig.seen.messages().len(), before, "nothing was sent");

    let report = notify(&mut device, &sealed(trigger(0xAB, "srv"), "srvpw", &NONCE)).unwrap();
    assert_eq!(report.session_id, "AB");
    assert!(matches!(&rig.seen.messages()[before].body[0], Command::Alert(alert) if alert.code == 1200));
}

#[test]
fn every_reading_of_the_stored_nonce_is_followed() {
    for reading in NonceReading::STORED {
        let mut rig = rig();
        let mut device = primed(&mut rig);
        let text = postern_wire::auth::encode_nonce(&NONCE);
        let octets = sealed(trigger(3, "srv"), "srvpw", &reading.octets(&text).unwrap());
        assert!(notify(&mut device, &octets).is_ok(), "{reading:?}");
    }
}

#[test]
fn not_11_a_repeated_notification_opens_one_session_also_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let mut rig = rig();
    rig.storage = Storage::folder(folder.path()).unwrap();
    let octets = sealed(trigger(7, "srv"), "srvpw", &NonceReading::ZeroOctets.octets("").unwrap());
    rig.enrolment.auth = AuthType::Basic; // neither side has nonces: the default one is the usual one
    rig.enrolment.server_auth = Some(AuthType::Basic);
    let mut device = rig.device(vec![nothing()]);
    assert!(notify(&mut device, &octets).is_ok());
    assert_eq!(ignored(notify(&mut device, &octets)), Ignored::Seen);
    let again = sealed(Triggered { vendor: vec![1], ..trigger(7, "srv") }, "srvpw", &[0; 4]);
    assert_eq!(ignored(notify(&mut device, &again)), Ignored::Seen, "the same job, told again");
    let mut device = rig.device(vec![nothing()]);
    assert_eq!(ignored(notify(&mut device, &octets)), Ignored::Seen);
    assert!(notify(&mut device, &sealed(trigger(8, "srv"), "srvpw", &[0; 4])).is_ok(), "a new job");
}

#[test]
fn a_notification_whose_session_failed_may_come_again() {
    let mut rig = rig();
    let mut device = primed(&mut rig);
    let octets = sealed(trigger(5, "srv"), "srvpw", &NONCE);
    rig.script(vec![Box::new(|_| Reply::Broken)]);
    assert!(matches!(notify(&mut device, &octets), Err(DeviceError::Transport(_))));
    rig.script(vec![nothing()]);
    assert!(notify(&mut device, &octets).is_ok());
}

#[test]
fn not_09_a_notification_with_the_default_nonce_lets_both_sides_find_back() {
    for reading in [NonceReading::ZeroOctets, NonceReading::ZeroText, NonceReading::ZeroUndecoded] {
        let mut rig = rig();
        let mut device = primed(&mut rig);
        let default = reading.octets("").unwrap();
        let octets = sealed(trigger(0x77, "srv"), "srvpw", &default);
        let before = rig.seen.messages().len();
        let proof = md5_digest(&user_password_hash("srv", "srvpw"), &default);
        rig.script(vec![turn(move |to| {
            let new = challenge(to, 212, TYPE_MD5, Some("EBAQEBAQEBAQEBAQEBAQEA=="));
            with_cred(new, TYPE_MD5, &proof)
        })]);
        notify(&mut device, &octets).unwrap();
        let first = &rig.seen.messages()[before];
        let shown = first.header.cred.as_ref().unwrap().data.as_text().unwrap().to_owned();
        assert_eq!(shown, md5_digest(&user_password_hash("dev", "devpw"), &default), "{reading:?}");
        let nonces = device.state().nonces("srv").unwrap();
        assert_eq!(nonces.client, Some(vec![0x10; 16]), "the new one is kept");
        assert_eq!(ignored(notify(&mut device, &octets)), Ignored::Seen, "once");
    }
}

#[test]
fn a_server_that_does_not_prove_itself_with_the_default_nonce_changes_no_nonce() {
    let mut rig = rig();
    let mut device = primed(&mut rig);
    let kept = device.state().nonces("srv").cloned();
    rig.script(vec![turn(|to| {
        let message = challenge(to, 212, TYPE_MD5, Some("EBAQEBAQEBAQEBAQEBAQEA=="));
        with_cred(message, TYPE_MD5, "d3Jvbmc=")
    })]);
    let octets = sealed(trigger(0x77, "srv"), "srvpw", &[0; 4]);
    let _left = notify(&mut device, &octets);
    assert_eq!(device.state().nonces("srv").cloned(), kept);
}

#[test]
fn an_account_without_a_servers_secret_follows_no_notification() {
    let mut rig = Rig::new(AuthType::Basic);
    let mut device = rig.device(vec![nothing()]);
    let octets = sealed(trigger(1, "srv"), "", &[0; 4]);
    assert_eq!(ignored(notify(&mut device, &octets)), Ignored::NoSecret);
}

#[test]
fn the_user_is_asked_where_the_notification_says_so() {
    for (mode, reaction, followed) in [
        (UiMode::UserInteraction, Reaction::Yes, true),
        (UiMode::UserInteraction, Reaction::No, false),
        (UiMode::Informative, Reaction::Shown, true),
        (UiMode::Background, Reaction::No, true),
    ] {
        let mut rig = rig();
        let user = User::new([reaction]);
        rig.user = Some(user.clone());
        let mut device = primed(&mut rig);
        let octets = sealed(Triggered { ui_mode: mode, ..trigger(2, "srv") }, "srvpw", &NONCE);
        assert_eq!(notify(&mut device, &octets).is_ok(), followed, "{mode:?}");
        let kinds: Vec<_> = user.asked().iter().map(|prompt| prompt.kind).collect();
        let expected = match mode {
            UiMode::UserInteraction => vec![Kind::Confirm],
            UiMode::Informative => vec![Kind::Display],
            _ => vec![],
        };
        assert_eq!(kinds, expected);
    }
}

#[test]
fn several_accounts_have_sessions_and_rights_of_their_own() {
    let mut rig = Rig::new(AuthType::Basic);
    let mut device = rig.device(vec![send(vec![add("./Settings/of-srv", "1")]), nothing()]);
    let (push, network) = stranger();
    assert_eq!(device.bootstrap(&push, Some(network)).unwrap()[0].server_id, "two");
    let (_, account) = device.accounts_in_tree().remove(0);
    device.connect(
        account.unwrap(),
        rig.transport(vec![
            turn(|to| challenge(to, 407, TYPE_MD5, Some("AAECAwQFBgcICQoLDA0ODw=="))),
            send(vec![
                add("./Settings/of-two", "2"),
                replace("./Settings/of-srv", "taken"),
                replace("./DMAcc/Postern/AppAuth/Client/AAuthSecret", "taken"),
                get("./Settings/of-srv"),
            ]),
            nothing(),
        ]),
    );
    let mut random = |octets: &mut [u8]| octets.fill(3);
    run(device.check_in(NOW, &mut random)).unwrap();
    let before = rig.seen.messages().len();
    run(device.check_in_as("two", Cause::Client, NOW, &mut random)).unwrap();
    let seen = rig.seen.messages();
    assert_eq!(seen[before].header.target.uri, "https://two.test/dm");
    assert_eq!(seen[before + 1].header.source.name.as_deref(), Some("dev-two"));
    let codes: Vec<_> = statuses(&seen[before + 2]).into_iter().map(|(_, code)| code).collect();
    assert_eq!(codes, [212, 200, 425, 425, 200]);
    assert!(matches!(
        run(device.check_in_as("three", Cause::Client, NOW, &mut random)),
        Err(DeviceError::NoAccount)
    ));
    assert_eq!(device.account().server_id, "srv");
}

#[test]
fn sec_20_a_secret_that_the_server_replaces_counts_from_the_next_session_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut rig = Rig::new(AuthType::Basic);
    rig.storage = Storage::folder(folder.path()).unwrap();
    let accept = |commands: Vec<Command>| turn(move |to| answer(to, 200, commands.clone(), true));
    let secret = "./DMAcc/Postern/AppAuth/Client/AAuthSecret";
    rig.session(vec![accept(vec![replace(secret, "rotated")]), accept(Vec::new())]).0.unwrap();
    rig.session(vec![accept(Vec::new())]).0.unwrap();
    let shown: Vec<_> = rig.seen.messages().iter().map(shown).collect();
    let (old, new) = (postern_wire::auth::basic("dev", "devpw"), postern_wire::auth::basic("dev", "rotated"));
    assert_eq!(shown, [old.clone(), old, new], "also after a restart");
}

#[test]
fn sec_20_the_servers_secret_rotates_the_same_way() {
    let mut rig = Rig::new(AuthType::Basic).server_password();
    rig.enrolment.server_auth = Some(AuthType::Basic);
    let cred = |password: &'static str, commands: Vec<Command>| {
        turn(move |to| {
            let data = postern_wire::auth::basic("srv", password);
            with_cred(answer(to, 212, commands.clone(), true), postern_wire::auth::TYPE_BASIC, &data)
        })
    };
    let secret = "./DMAcc/Postern/AppAuth/Server/AAuthSecret";
    let mut device = rig.device(vec![
        cred("srvpw", vec![replace(secret, "rotated")]),
        cred("srvpw", Vec::new()),
        cred("rotated", vec![get("./DevInfo/Man")]),
        cred("rotated", Vec::new()),
    ]);
    let mut random = |octets: &mut [u8]| octets.fill(3);
    assert!(run(device.check_in(NOW, &mut random)).unwrap().server_proved);
    assert!(run(device.check_in(NOW, &mut random)).unwrap().server_proved);
    let octets = sealed(trigger(1, "srv"), "srvpw", &[0; 4]);
    assert_eq!(ignored(notify(&mut device, &octets)), Ignored::Forged, "and notifications are made with it");
}

/// A device and a server that prove themselves by md5.
fn rig() -> Rig {
    Rig::new(AuthType::Md5).server_password()
}

/// A device that has agreed on nonces with its server; what comes next accepts and has nothing to do.
fn primed(rig: &mut Rig) -> Device<Scripted> {
    let mut device = rig.device(vec![
        turn(|to| challenge(to, 407, TYPE_MD5, Some("AAECAwQFBgcICQoLDA0ODw=="))),
        turn(|to| {
            let mut message = challenge(to, 212, TYPE_MD5, Some("BAQEBAQEBAQEBAQEBAQEBA=="));
            message.body.push(numbered(get("./DevInfo/Man")));
            let proof = md5_digest(&user_password_hash("srv", "srvpw"), &NONCE);
            with_cred(message, TYPE_MD5, &proof)
        }),
        nothing(),
    ]);
    let mut random = |octets: &mut [u8]| octets.fill(NONCE[0]);
    assert!(run(device.check_in(NOW, &mut random)).unwrap().server_proved);
    assert_eq!(device.state().nonces("srv").unwrap().server, Some(NONCE.to_vec()));
    device
}

/// A command behind what the challenge says.
fn numbered(mut command: Command) -> Command {
    if let Command::Get(request) = &mut command {
        request.cmd_id = 99;
    }
    command
}

fn notify(
    device: &mut Device<Scripted>,
    octets: &[u8],
) -> Result<postern_device::SessionReport, DeviceError> {
    let mut random = |octets: &mut [u8]| octets.fill(6);
    run(device.notified(octets, NOW, &mut random))
}

fn ignored(outcome: Result<postern_device::SessionReport, DeviceError>) -> Ignored {
    match outcome {
        Err(DeviceError::Ignored(why)) => why,
        other => panic!("{other:?}"),
    }
}

fn trigger(session: u16, server_id: &str) -> Triggered {
    Triggered::new(SessionId::new(session).unwrap(), server_id)
}

fn sealed(trigger: Triggered, password: &str, nonce: &[u8]) -> Vec<u8> {
    let hash = user_password_hash(&trigger.server_id, password);
    Package0::seal(trigger, &hash, nonce).unwrap().encode()
}

/// The bootstrap of another server, and the network's secret that proves it.
fn stranger() -> (Push, NetworkSecret) {
    let credential = Credential {
        level: Level::ClientToServer,
        kind: Some("DIGEST".into()),
        name: Some("dev-two".into()),
        secret: Some("two-pw".to_owned().into()),
        data: None,
    };
    let address = Address { address: "https://two.test/dm".into(), kind: None, ports: vec![] };
    let given = Given {
        server_id: "two".into(),
        addresses: vec![address],
        credentials: vec![credential],
        ..Given::default()
    };
    let document = given.document(&[]).to_wbxml(AuthTypes::default()).unwrap();
    let network = NetworkSecret::Imsi("244121234567890".to_owned().into());
    let secrets = Secrets { network: Some(network.clone()), pin: None };
    let push = Push::bootstrap(PushMedia::ConnectivityWbxml, None, document);
    (seal(push, SecurityMethod::NetworkPin, &secrets).unwrap(), network)
}

fn replace(uri: &str, data: &str) -> Command {
    match add(uri, data) {
        Command::Add(request) => Command::Replace(request),
        other => other,
    }
}

fn shown(message: &Message) -> String {
    message.header.cred.as_ref().unwrap().data.as_text().unwrap().to_owned()
}
