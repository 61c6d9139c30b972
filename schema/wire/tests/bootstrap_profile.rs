//! The DM profile of bootstrap, by its vector.

mod common;

use common::own_data;
use postern_wire::{
    bootstrap::{
        cp::{Account, Address, Credential, Level},
        mac::{BadSecret, NetworkSecret, Secrets, seal, verify},
        profile::{BadProfile, DMACC, accounts, message, read, tree},
    },
    push::{Mac, Push, PushMedia, SecurityMethod},
    syncml::{Command, Encoding, Limits, decode},
    tnds::{self, MgmtTree, Node},
};
use secrecy::{ExposeSecret as _, SecretString};

fn file(name: &str) -> Vec<u8> {
    let path = own_data().join("omadm/bootstrap").join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn credential(level: Level, name: &str, secret: &str, nonce: &str) -> Credential {
    Credential {
        level,
        kind: Some("DIGEST".to_owned()),
        name: Some(name.to_owned()),
        secret: Some(SecretString::from(secret)),
        data: Some(SecretString::from(nonce)),
    }
}

/// The account of the vector, in words.
fn account() -> Account {
    Account {
        server_id: "com.mgmtsrv.manage".to_owned(),
        name: Some("Example MDM".to_owned()),
        preferred: Some("DIGEST".to_owned()),
        access_points: vec!["./Inbox/Internet".to_owned()],
        addresses: vec![Address {
            address: "https://dm.example.test/omadm".to_owned(),
            kind: Some("URI".to_owned()),
            ports: vec![443],
        }],
        credentials: vec![
            credential(Level::ClientToServer, "Bruce2", "OhBehave", "AAECAwQFBgcICQoLDA0ODw=="),
            credential(Level::ServerToClient, "com.mgmtsrv.manage", "srvsecret", "Dw4NDAsKCQgHBgUEAwIBAA=="),
        ],
        ..Account::default()
    }
}

#[test]
fn boo_08_the_message_is_written_octet_for_octet_as_the_vector_has_it() {
    let tree = tree(&account(), "OperatorX").unwrap();
    assert_eq!(tnds::write(&tree, Encoding::Wbxml).unwrap(), file("dm_tnds.wbxml"));
    let message = message("IMEI:493005100592800", "com.mgmtsrv.manage", &tree).unwrap();
    assert_eq!(message, file("dm_profile.wbxml"));
}

#[test]
fn boo_08_it_is_wbxml_that_adds_a_tnds_tree_with_its_acl_to_the_inbox() {
    let tree = tree(&account(), "OperatorX").unwrap();
    let message = message("IMEI:493005100592800", "com.mgmtsrv.manage", &tree).unwrap();

    let decoded = decode(&message, Encoding::Wbxml, &Limits::default()).unwrap();
    let [Command::Add(add)] = &decoded.message.body[..] else { panic!("one Add") };
    assert_eq!(add.items[0].target.as_ref().unwrap().uri, "./Inbox");
    assert!(decoded.message.is_final);
    let trees = read(&message, Encoding::Wbxml).unwrap();
    assert_eq!(trees, std::slice::from_ref(&tree));
    let object = &tree.nodes[0];
    assert_eq!(object.properties.type_.as_ref().unwrap().as_str(), DMACC);
    assert_eq!(
        object.properties.acl.as_deref(),
        Some("Get=com.mgmtsrv.manage&Replace=com.mgmtsrv.manage&Delete=com.mgmtsrv.manage")
    );
}

#[test]
fn boo_08_the_account_that_a_device_finds_is_the_one_that_was_meant() {
    let trees = read(&file("dm_profile.wbxml"), Encoding::Wbxml).unwrap();

    let found = accounts(&trees[0]).unwrap();

    let ([found], meant) = (&found[..], account()) else { panic!("one account") };
    assert_eq!((&found.server_id, &found.name), (&meant.server_id, &meant.name));
    assert_eq!((&found.preferred, &found.access_points), (&meant.preferred, &meant.access_points));
    assert_eq!(found.addresses, meant.addresses);
    let plain = |one: &Credential| {
        let shown = |secret: &Option<SecretString>| secret.as_ref().map(|s| s.expose_secret().to_owned());
        (one.level, one.kind.clone(), one.name.clone(), shown(&one.secret), shown(&one.data))
    };
    assert_eq!(
        found.credentials.iter().map(plain).collect::<Vec<_>>(),
        meant.credentials.iter().map(plain).collect::<Vec<_>>()
    );
}

#[test]
fn boo_08_several_connections_stand_under_to_con_ref() {
    let access_points = vec!["./Inbox/a".to_owned(), "./Inbox/b".to_owned()];
    let several = Account { access_points: access_points.clone(), ..account() };
    let tree = tree(&several, "x").unwrap();
    assert!(tree.nodes[0].children.iter().any(|node| node.name == "ToConRef" && node.children.len() == 2));
    assert_eq!(accounts(&tree).unwrap()[0].access_points, access_points);
}

#[test]
fn boo_09_the_mac_under_a_user_pin_is_the_vectors() {
    let vectors: serde_json::Value = serde_json::from_slice(&file("vectors.json")).unwrap();
    let vector = &vectors["DM_PROFILE"];
    let secrets = Secrets { network: None, pin: Some(SecretString::from("1234")) };
    let push = Push::bootstrap(PushMedia::DmWbxml, None, file("dm_profile.wbxml"));

    let sealed = seal(push, SecurityMethod::UserPin, &secrets).unwrap();

    assert_eq!(sealed.content_type(), vector["content_type_example"].as_str().unwrap());
    assert_eq!(sealed.body.len(), vector["len"].as_u64().unwrap() as usize);
    assert_eq!(verify(&sealed, &secrets), Ok(()));
}

#[test]
fn boo_09_networkid_is_keyed_by_the_secret_and_the_pair_by_pin_colon_secret() {
    // Computed apart from this project, by openssl dgst -sha1 -hmac KEY over dm_profile.wbxml.
    let secrets = Secrets {
        network: Some(NetworkSecret::Octets(b"netsecret".to_vec().into())),
        pin: Some(SecretString::from("1234")),
    };
    for (method, name, mac) in [
        (SecurityMethod::NetworkPin, "NETWORKID", "F8F907C39D41599D62096E55CD9A4C9B7AC7F41B"),
        (SecurityMethod::UserNetworkPin, "USERPIN_NETWORKID", "CD4895320D4F1389960FE37D52E1AD4718E64D2E"),
    ] {
        let push = Push::bootstrap(PushMedia::DmWbxml, None, file("dm_profile.wbxml"));
        let sealed = seal(push, method, &secrets).unwrap();
        assert_eq!(sealed.security.as_ref().unwrap().mac, Mac::from_hex(mac), "{name}");
        assert!(sealed.content_type().contains(&format!("; SEC={name}; MAC={mac}")));
        assert_eq!(verify(&sealed, &secrets), Ok(()));
        let alone = Secrets { network: None, ..secrets.clone() };
        assert_eq!(verify(&sealed, &alone), Err(BadSecret::Missing("the network's secret").into()));
    }
}

#[test]
fn a_message_that_is_no_bootstrap_is_refused_with_its_reason() {
    let tree = tree(&account(), "x").unwrap();
    let message = message("IMEI:1", "s", &tree).unwrap();
    for length in 0..message.len() {
        assert!(read(&message[..length], Encoding::Wbxml).is_err(), "{length}");
    }
    let xml = |commands: &str| {
        format!(
            "<SyncML><SyncHdr><VerDTD>1.2</VerDTD><VerProto>DM/1.2</VerProto><SessionID>0</SessionID><MsgID>0</MsgID>\
             <Target><LocURI>a</LocURI></Target><Source><LocURI>b</LocURI></Source></SyncHdr>\
             <SyncBody>{commands}<Final/></SyncBody></SyncML>"
        )
    };
    let add = |target: &str, data: &str| {
        format!("<Add><CmdID>1</CmdID><Item><Target><LocURI>{target}</LocURI></Target>{data}</Item></Add>")
    };
    for (commands, refusal) in [
        (String::new(), BadProfile::Missing("a tree for ./Inbox")),
        ("<Get><CmdID>1</CmdID></Get>".to_owned(), BadProfile::Command),
        (add("./DevInfo", "<Data>x</Data>"), BadProfile::Target),
        (add("./Inboxes", "<Data>x</Data>"), BadProfile::Target),
        (add("./Inbox", ""), BadProfile::Missing("Data")),
    ] {
        assert_eq!(read(xml(&commands).as_bytes(), Encoding::Xml), Err(refusal), "{commands}");
    }
    let bad = read(xml(&add("./Inbox", "<Data>x</Data>")).as_bytes(), Encoding::Xml);
    assert!(matches!(bad, Err(BadProfile::Decode(_))));

    let without = |name: &str| {
        let mut object = tree.nodes[0].clone();
        fn drop_all(node: &mut Node, name: &str) {
            node.children.retain(|child| child.name != name);
            node.children.iter_mut().for_each(|child| drop_all(child, name));
        }
        drop_all(&mut object, name);
        accounts(&MgmtTree::new(vec![object])).unwrap_err()
    };
    for (name, refusal) in [
        ("ServerID", BadProfile::Missing("ServerID")),
        ("Addr", BadProfile::Missing("Addr")),
        ("AAuthLevel", BadProfile::Missing("AAuthLevel")),
        ("PortNbr", BadProfile::Port),
    ] {
        assert_eq!(without(name), refusal);
    }
    let nonce = Account { credentials: vec![credential(Level::Obex, "n", "s", "%")], ..account() };
    assert_eq!(postern_wire::bootstrap::profile::tree(&nonce, "x"), Err(BadProfile::Nonce));
}
