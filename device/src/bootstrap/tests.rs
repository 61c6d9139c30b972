//! The rules BOO-nn of docs/CONFORMANCE.md that concern the device.

use postern_wire::{
    auth::encode_nonce,
    bootstrap::{
        cp::{Account as Given, Address, AuthTypes, Credential, Level},
        mac::seal,
    },
    terms::AuthType,
};

use super::*;
use crate::{
    csp::{Hardware, Providers},
    enrolment::ServerProof,
    interaction::{NoUser, Scripted},
    tree::acl::Acl,
};

const PIN: &str = "1234";
const IMSI: &str = "244121234567890";

#[test]
fn boo_11_a_proved_document_gives_an_account_that_its_server_may_read_replace_and_delete() {
    for media in [PushMedia::ConnectivityWbxml, PushMedia::ConnectivityXml, PushMedia::DmWbxml] {
        for method in [SecurityMethod::UserPin, SecurityMethod::NetworkPin, SecurityMethod::UserNetworkPin] {
            let (owner, mut state) = device(enrolled());
            let push = sealed(&given("com.mgmt"), &media, method);
            let installed = apply(&push, proof(&mut pin(PIN)), &owner, &mut state).unwrap();
            let what = format!("{media:?} {method:?}");
            assert_eq!(installed[0].server_id, "com.mgmt", "{what}");
            assert_eq!(installed[0].object.to_string(), "./DMAcc/1");
            let node = state.tree.get(&installed[0].object).unwrap();
            let own = Acl::default().granting("com.mgmt", &[Verb::Get, Verb::Replace, Verb::Delete]);
            assert_eq!(node.acl, own, "{what}");
            let (_, account) = Account::in_tree(&state.tree, "IMEI:1").remove(0);
            let account = account.unwrap();
            assert_eq!(account.server.to_string(), "https://dm.test:8443/dm/1/abc", "{what}");
            assert_eq!((account.auth, account.server_proof), (AuthType::Md5, ServerProof::Hmac), "{what}");
            assert_eq!(account.own_credentials(), ("Bruce2", "OhBehave"), "{what}: APPSRV is the device's");
            assert_eq!(account.server_credentials(), ("com.mgmt", "srvsecret"), "{what}");
            let nonces = state.nonces("com.mgmt").unwrap();
            assert_eq!(
                (nonces.client.clone(), nonces.server.clone()),
                (Some(vec![1; 16]), Some(vec![2; 16]))
            );
        }
    }
}

#[test]
fn an_account_and_its_secrets_outlive_a_restart_and_are_never_read() {
    let folder = tempfile::tempdir().unwrap();
    let storage = crate::state::Storage::folder(folder.path()).unwrap();
    let (owner, mut state) = device(enrolled());
    let push = sealed(&given("com.mgmt"), &PushMedia::ConnectivityWbxml, SecurityMethod::UserPin);
    apply(&push, proof(&mut pin(PIN)), &owner, &mut state).unwrap();
    storage.save(&state).unwrap();
    let planted = Providers::default().plant(&owner, &Hardware::default()).unwrap();
    let restored = storage.load(planted).unwrap();
    assert_eq!(restored, state);
    let secret = path("./DMAcc/1/AppAuth/1/AAuthSecret");
    let node = restored.tree.get(&secret).unwrap();
    assert_eq!((node.text(), node.access.allows(Verb::Get)), (Some("OhBehave"), false));
    assert!(!format!("{restored:?}").contains("OhBehave"));
}

#[test]
fn boo_12_a_document_that_is_not_proved_gives_no_account() {
    let good = sealed(&given("com.mgmt"), &PushMedia::ConnectivityWbxml, SecurityMethod::UserPin);
    let network = sealed(&given("com.mgmt"), &PushMedia::ConnectivityWbxml, SecurityMethod::NetworkPin);
    let mut changed = good.clone();
    changed.body.extend_from_slice(b"\x01");
    let mut unsigned = good.clone();
    unsigned.security = None;
    let mut without_mac = good.clone();
    without_mac.security.as_mut().unwrap().mac = None;
    let cases: [(&str, &Push, &mut dyn UserInterface, bool); 5] = [
        ("another document", &changed, &mut pin(PIN), true),
        ("no SEC", &unsigned, &mut pin(PIN), true),
        ("no MAC", &without_mac, &mut pin(PIN), true),
        ("nobody to ask", &good, &mut NoUser, true),
        ("no network secret", &network, &mut pin(PIN), false),
    ];
    for (what, push, user, network) in cases {
        let (owner, mut state) = device(enrolled());
        let before = state.tree.clone();
        let network = network.then(secret_of_network);
        let done = apply(push, Trust::Proof { network, user }, &owner, &mut state);
        assert!(matches!(done, Err(BootstrapError::Unproven(_))), "{what}: {done:?}");
        assert_eq!(state.tree, before, "{what}");
    }
}

#[test]
fn boo_12_three_wrong_pins_are_the_end_of_a_document_also_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let storage = crate::state::Storage::folder(folder.path()).unwrap();
    let (owner, mut state) = device(enrolled());
    let push = sealed(&given("com.mgmt"), &PushMedia::ConnectivityWbxml, SecurityMethod::UserPin);
    let wrong = || Reaction::Text("9999".into());

    let mut twice = Scripted::new([wrong(), wrong(), Reaction::Cancelled]);
    let done = apply(&push, proof(&mut twice), &owner, &mut state);
    assert!(matches!(done, Err(BootstrapError::Unproven(_))), "{done:?}");
    assert_eq!(twice.asked().len(), 3);
    storage.save(&state).unwrap();
    let mut state = storage.load(Providers::default().plant(&owner, &Hardware::default()).unwrap()).unwrap();

    let mut third = Scripted::new([wrong(), Reaction::Text(PIN.into())]);
    let done = apply(&push, proof(&mut third), &owner, &mut state);
    assert!(matches!(done, Err(BootstrapError::TooManyTries)), "{done:?}");
    assert_eq!(third.asked().len(), 1);
    let done = apply(&push, proof(&mut pin(PIN)), &owner, &mut state);
    assert!(matches!(done, Err(BootstrapError::TooManyTries)), "the right one comes too late");
    assert!(Account::in_tree(&state.tree, "IMEI:1").is_empty());

    let another = sealed(&given("com.other"), &PushMedia::ConnectivityWbxml, SecurityMethod::UserPin);
    assert!(
        apply(&another, proof(&mut pin(PIN)), &owner, &mut state).is_ok(),
        "another document is another matter"
    );
}

#[test]
fn boo_12_the_second_try_may_be_the_right_one() {
    let (owner, mut state) = device(enrolled());
    let push = sealed(&given("com.mgmt"), &PushMedia::DmWbxml, SecurityMethod::UserPin);
    let mut user = Scripted::new([Reaction::Text("9".into()), Reaction::Text(PIN.into())]);
    apply(&push, proof(&mut user), &owner, &mut state).unwrap();
    let asked = user.asked().remove(0);
    assert_eq!((asked.options.echo, asked.options.input), (Echo::Password, Input::Numeric));
}

#[test]
fn boo_14_a_second_bootstrap_leaves_other_accounts_alone_and_renews_its_own() {
    let (owner, mut state) = device(enrolled());
    let install = |given: &Given, state: &mut State| {
        let push = sealed(given, &PushMedia::ConnectivityWbxml, SecurityMethod::UserPin);
        apply(&push, proof(&mut pin(PIN)), &owner, state).map(|installed| installed[0].object.to_string())
    };
    assert_eq!(install(&given("a"), &mut state).unwrap(), "./DMAcc/1");
    let a = state.tree.get(&path("./DMAcc/1")).unwrap().clone();
    let enrolled = state.tree.get(&path("./DMAcc/Postern")).unwrap().clone();
    assert_eq!(install(&given("b"), &mut state).unwrap(), "./DMAcc/2");
    assert_eq!(state.tree.get(&path("./DMAcc/1")), Some(&a));
    assert_eq!(state.tree.get(&path("./DMAcc/Postern")), Some(&enrolled));
    let mut renewed = given("b");
    renewed.credentials[0].secret = Some("new".to_owned().into());
    assert_eq!(install(&renewed, &mut state).unwrap(), "./DMAcc/2");
    let accounts = Account::in_tree(&state.tree, "IMEI:1");
    let secrets: Vec<_> =
        accounts.iter().map(|(_, account)| account.as_ref().unwrap().own_credentials().1).collect();
    assert_eq!(secrets, ["OhBehave", "new"]);
    assert!(matches!(install(&given("srv"), &mut state), Err(BootstrapError::Enrolled(_))));
}

#[test]
fn the_first_server_of_a_device_without_accounts_manages_it_and_later_ones_do_not() {
    let (owner, mut state) = device(Account::nobody("IMEI:1"));
    for id in ["first", "second"] {
        let push = sealed(&given(id), &PushMedia::ConnectivityWbxml, SecurityMethod::UserPin);
        apply(&push, proof(&mut pin(PIN)), &owner, &mut state).unwrap();
    }
    let root = state.tree.effective_acl(&path("./Settings"));
    assert!(root.allows(Verb::Replace, "first") && root.allows(Verb::Exec, "first"));
    assert!(!root.allows(Verb::Replace, "second") && root.allows(Verb::Add, "second"));
}

#[test]
fn an_account_that_cannot_be_used_is_refused_with_the_reason() {
    type Change = fn(&mut Given);
    let cases: [(Change, BadAccount); 5] = [
        (
            |given| given.addresses[0].address = "http://dm.test/".into(),
            BadAccount::Address(crate::origin::BadServerUri::Scheme),
        ),
        (|given| given.addresses[0].kind = Some("IPv4".into()), BadAccount::AddressType("IPv4".into())),
        (|given| given.credentials[0].kind = Some("SECURID".into()), BadAccount::AuthType("SECURID".into())),
        (|given| _ = given.credentials.remove(0), BadAccount::Missing("client credentials")),
        (|given| given.server_id = "a+b".into(), BadAccount::ServerId),
    ];
    for (change, why) in cases {
        let mut given = given("com.mgmt");
        change(&mut given);
        let (owner, mut state) = device(enrolled());
        let push = sealed(&given, &PushMedia::ConnectivityWbxml, SecurityMethod::UserPin);
        let done = apply(&push, proof(&mut pin(PIN)), &owner, &mut state);
        assert!(matches!(&done, Err(BootstrapError::Account(got)) if *got == why), "{why}: {done:?}");
    }
}

#[test]
fn a_file_of_the_owner_needs_no_proof_and_still_has_to_be_a_bootstrap() {
    let (owner, mut state) = device(enrolled());
    let mut push = sealed(&given("com.mgmt"), &PushMedia::ConnectivityXml, SecurityMethod::UserPin);
    push.security = None;
    assert!(apply(&push, Trust::Owner, &owner, &mut state).is_ok());
    push.media = PushMedia::Notification;
    assert!(matches!(apply(&push, Trust::Owner, &owner, &mut state), Err(BootstrapError::Media(_))));
}

fn enrolled() -> Account {
    let json = r#"{"server_uri":"https://dm.test/dm/1/abc","enrolment":"00000000-0000-0000-0000-000000000005",
        "generation":1,"device_id":"IMEI:1","server_id":"srv","auth":"basic","password":"pw","ca_pem":""}"#;
    Account::new(&crate::enrolment::Enrolment::from_json(json).unwrap(), None).unwrap()
}

fn device(owner: Account) -> (Account, State) {
    let state = State::new(Providers::default().plant(&owner, &Hardware::default()).unwrap());
    (owner, state)
}

fn given(server_id: &str) -> Given {
    let credential = |level, kind: &str, name: &str, secret: &str, nonce: u8| Credential {
        level,
        kind: Some(kind.into()),
        name: Some(name.into()),
        secret: Some(secret.to_owned().into()),
        data: Some(encode_nonce(&[nonce; 16]).into()),
    };
    Given {
        server_id: server_id.into(),
        name: Some("Test".into()),
        addresses: vec![Address {
            address: "https://dm.test/dm/1/abc".into(),
            kind: None,
            ports: vec![8443],
        }],
        credentials: vec![
            credential(Level::ClientToServer, "DIGEST", "Bruce2", "OhBehave", 1),
            credential(Level::ServerToClient, "HMAC", server_id, "srvsecret", 2),
        ],
        ..Given::default()
    }
}

fn sealed(given: &Given, media: &PushMedia, method: SecurityMethod) -> Push {
    let body = match media {
        PushMedia::ConnectivityXml => given.document(&[]).to_xml().unwrap().into_bytes(),
        PushMedia::DmWbxml => {
            let tree = profile::tree(given, "x").unwrap();
            profile::message("IMEI:1", &given.server_id, &tree).unwrap()
        }
        _ => given.document(&[]).to_wbxml(AuthTypes::default()).unwrap(),
    };
    let secrets = Secrets { network: Some(secret_of_network()), pin: Some(PIN.to_owned().into()) };
    seal(Push::bootstrap(media.clone(), None, body), method, &secrets).unwrap()
}

fn secret_of_network() -> NetworkSecret {
    NetworkSecret::Imsi(IMSI.to_owned().into())
}

fn pin(pin: &str) -> KnownPin {
    KnownPin(Some(pin.to_owned().into()))
}

fn proof(user: &mut dyn UserInterface) -> Trust<'_> {
    Trust::Proof { network: Some(secret_of_network()), user }
}

fn path(uri: &str) -> Path {
    Path::parse(uri).unwrap().0
}
