//! OMA CP documents and the MACs of bootstraps, by their vectors.

mod common;

use std::process::Command;

use common::own_data;
use data_encoding::HEXLOWER;
use postern_wire::{
    bootstrap::{
        cp::{
            AccessPoint, Account, Address, AuthTypes, BadAccount, BadDocument, BadWbxml, BadXml,
            Characteristic, Credential, Document, Level, Part,
        },
        mac::{BadSecret, NetworkSecret, Secrets, Unproven, seal, user_pin_mac, verify},
    },
    push::{Mac, Push, PushMedia, SecurityMethod},
};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;

fn file(name: &str) -> Vec<u8> {
    std::fs::read(own_data().join("omadm/bootstrap").join(name)).expect("a vector of the project")
}

fn vectors() -> Value {
    serde_json::from_slice(&file("vectors.json")).expect("a vector of the project")
}

fn text<'v>(vector: &'v Value, key: &str) -> &'v str {
    vector[key].as_str().unwrap_or_else(|| panic!("{key}"))
}

fn secret(text: &str) -> SecretString {
    SecretString::from(text)
}

fn credential(level: Level, name: &str, password: &str, nonce: &str) -> Credential {
    Credential {
        level,
        kind: Some("DIGEST".to_owned()),
        name: Some(name.to_owned()),
        secret: Some(secret(password)),
        data: Some(secret(nonce)),
    }
}

/// The account of the vectors, in words.
fn account() -> (Account, AccessPoint) {
    let access_point = AccessPoint {
        id: "NAP1".to_owned(),
        name: Some("Example GPRS".to_owned()),
        bearer: Some("GSM-GPRS".to_owned()),
        address: "internet".to_owned(),
        kind: Some("APN".to_owned()),
    };
    let account = Account {
        server_id: "com.mgmtsrv.manage".to_owned(),
        name: Some("Example MDM".to_owned()),
        access_points: vec!["NAP1".to_owned()],
        init: true,
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
    };
    (account, access_point)
}

fn document() -> Document {
    let (account, access_point) = account();
    account.document(&[access_point])
}

#[test]
fn boo_01_fields_become_the_w7_document_octet_for_octet() {
    assert_eq!(document().to_xml().unwrap().into_bytes(), file("cp_w7.xml"));
}

#[test]
fn boo_01_appsrv_is_the_clients_credential_and_client_the_servers() {
    let document = Document::from_xml(&file("cp_w7.xml")).unwrap();

    let accounts = Account::all_of(&document).unwrap();

    let [account] = &accounts[..] else { panic!("one account") };
    assert_eq!((account.server_id.as_str(), account.init), ("com.mgmtsrv.manage", true));
    assert_eq!(account.name.as_deref(), Some("Example MDM"));
    assert_eq!(account.access_points, ["NAP1"]);
    let address = Address {
        address: "https://dm.example.test/omadm".to_owned(),
        kind: Some("URI".to_owned()),
        ports: vec![443],
    };
    assert_eq!(account.addresses, [address]);
    let found: Vec<_> = account
        .credentials
        .iter()
        .map(|one| {
            let secret = one.secret.as_ref().unwrap().expose_secret();
            (
                one.level.in_dmacc(),
                one.name.as_deref().unwrap(),
                secret,
                one.data.as_ref().unwrap().expose_secret(),
            )
        })
        .collect();
    assert_eq!(
        found,
        [
            ("CLCRED", "Bruce2", "OhBehave", "AAECAwQFBgcICQoLDA0ODw=="),
            ("SRVCRED", "com.mgmtsrv.manage", "srvsecret", "Dw4NDAsKCQgHBgUEAwIBAA=="),
        ]
    );
}

#[test]
fn boo_02_the_document_is_written_as_libwbxml_writes_it_and_read_back() {
    let vector = file("cp_w7_v13.wbxml");
    assert_eq!(vector.len(), 418);
    assert_eq!(document().to_wbxml(AuthTypes::Edition2005).unwrap(), vector);
    assert_eq!(Document::from_wbxml(&vector).unwrap(), document());
    assert_eq!(Document::read(&vector).unwrap(), Document::read(&file("cp_w7.xml")).unwrap());
}

#[test]
fn boo_02_aauthtype_goes_inline_because_its_tokens_differ_between_the_editions() {
    let written = document().to_wbxml(AuthTypes::default()).unwrap();

    assert!(!written.contains(&0x93), "the token of DIGEST in the 2005 edition");
    let inline = written.windows(8).filter(|window| *window == b"\x03DIGEST\0").count();
    assert_eq!(inline, 2);
    assert_eq!(Document::from_wbxml(&written).unwrap(), document());
}

#[test]
fn boo_02_libwbxml_reads_what_we_write_as_the_same_document() {
    let folder = tempfile::tempdir().unwrap();
    let odd = Document {
        version: Some("1.0".to_owned()),
        characteristics: vec![
            Characteristic::new("PXLOGICAL").with("PROXY-ID", "é&<\"").with("NAME", "").with("X-OWN", "APN"),
            Characteristic::new("X-OWN").with_flag("INIT").containing(Characteristic::new("PORT")),
            Characteristic::new("APPLICATION")
                .with("APPID", "w7")
                .with("URI", "HTTP-BASIC")
                .with("RULE", "APPSRV"),
        ],
    };
    for (at, document) in [document(), odd].into_iter().enumerate() {
        let path = folder.path().join(format!("{at}.wbxml"));
        std::fs::write(&path, document.to_wbxml(AuthTypes::Inline).unwrap()).unwrap();
        let output = Command::new("wbxml2xml").args(["-k", "-o", "-"]).arg(&path).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(Document::from_xml(&output.stdout).unwrap(), document);
        assert_eq!(Document::from_xml(document.to_xml().unwrap().as_bytes()).unwrap(), document);
        assert_eq!(Document::from_wbxml(&std::fs::read(&path).unwrap()).unwrap(), document);
    }
}

#[test]
fn boo_02_every_form_of_text_in_an_attribute_is_read() {
    // Public id by name; a string table; name= as STR_T, a value as token, STR_T, ENTITY and STR_I in one.
    let table = b"-//WAPFORUM//DTD PROV 1.0//EN\0X-NAME\0b";
    let head = [b"\x01\x00\x00\x6A", &[table.len() as u8][..], table].concat();
    let body = b"\x45\xC6\x50\x03X\0\x01\x87\x05\x83\x1E\x06\x89\x83\x25\x02\x81\x69\x03c\0\x01\x01\x01";
    let read = Document::from_wbxml(&[&head[..], body].concat()).unwrap();
    let expected = Characteristic::new("X").with("X-NAME", "APNb\u{e9}c");
    assert_eq!(read, Document { version: None, characteristics: vec![expected] });
}

#[test]
fn boo_03_the_macs_are_the_vectors() {
    let (vectors, document) = (vectors(), file("cp_w7_v13.wbxml"));
    let secrets = Secrets {
        network: Some(NetworkSecret::Imsi(secret(text(&vectors, "imsi")))),
        pin: Some(secret(text(&vectors, "pin"))),
    };
    for (method, name) in [(SecurityMethod::NetworkPin, "NETWPIN"), (SecurityMethod::UserPin, "USERPIN")] {
        let push = Push::bootstrap(PushMedia::ConnectivityWbxml, None, document.clone());
        let sealed = seal(push, method, &secrets).unwrap();
        let mac = sealed.security.as_ref().unwrap().mac.unwrap();
        assert_eq!(mac.to_string(), text(&vectors[name], "mac_hex"), "{name}");
        assert_eq!(verify(&sealed, &secrets), Ok(()), "{name}");
    }
}

#[test]
fn boo_03_usernetwpin_is_keyed_by_the_imsi_and_then_the_pin() {
    let (vectors, document) = (vectors(), file("cp_w7_v13.wbxml"));
    let secrets = Secrets {
        network: Some(NetworkSecret::Imsi(secret(text(&vectors, "imsi")))),
        pin: Some(secret(text(&vectors, "pin"))),
    };
    let push = Push::bootstrap(PushMedia::ConnectivityWbxml, None, document);
    let sealed = seal(push.clone(), SecurityMethod::UserNetworkPin, &secrets).unwrap();

    // The same key, put together by hand, as one opaque secret.
    let key = [text(&vectors, "imsi_key_hex"), text(&vectors["USERPIN"], "key_hex")].concat();
    let by_hand = Secrets {
        network: Some(NetworkSecret::Octets(HEXLOWER.decode(key.as_bytes()).unwrap().into())),
        pin: None,
    };
    let expected = seal(push, SecurityMethod::NetworkPin, &by_hand).unwrap();
    assert_eq!(sealed.security.as_ref().unwrap().mac, expected.security.unwrap().mac);
    // Computed apart from this project: openssl dgst -sha1 -mac HMAC -macopt hexkey:294421214365870931323334.
    assert_eq!(
        sealed.security.as_ref().unwrap().mac,
        Mac::from_hex("03DDCE2B0828837D152C7CBDA63B26B0E50A47C3")
    );
    assert_eq!(verify(&sealed, &secrets), Ok(()));
}

#[test]
fn boo_04_an_imsi_of_odd_and_of_even_length_has_its_own_first_half_octet() {
    for (imsi, key) in [
        ("244121234567890", "2944212143658709"),
        ("24412123456789", "21442121436587f9"),
        ("123456", "113254f6"),
        ("1234567", "19325476"),
    ] {
        let push = Push::bootstrap(PushMedia::ConnectivityWbxml, None, b"document".to_vec());
        let by = |network| Secrets { network: Some(network), pin: None };
        let octets = HEXLOWER.decode(key.as_bytes()).unwrap();
        let of_imsi = seal(push.clone(), SecurityMethod::NetworkPin, &by(NetworkSecret::Imsi(secret(imsi))));
        let of_key = seal(push, SecurityMethod::NetworkPin, &by(NetworkSecret::Octets(octets.into())));
        assert_eq!(of_imsi.unwrap(), of_key.unwrap(), "{imsi}");
    }
    for bad in ["12345", "1234567890123456", "12345a", ""] {
        let secrets = Secrets { network: Some(NetworkSecret::Imsi(secret(bad))), pin: None };
        let push = Push::bootstrap(PushMedia::ConnectivityWbxml, None, vec![]);
        assert_eq!(seal(push, SecurityMethod::NetworkPin, &secrets), Err(BadSecret::Imsi), "{bad}");
    }
}

#[test]
fn boo_05_the_check_digits_of_userpinmac_are_the_macs_octets_modulo_ten() {
    let (vectors, document) = (vectors(), file("cp_w7_v13.wbxml"));
    let vector = &vectors["USERPINMAC"];
    let typed = user_pin_mac(&secret(text(vector, "K")), &document).unwrap();
    assert_eq!(typed.expose_secret(), text(vector, "pin_typed_by_user"));
    assert!(typed.expose_secret().ends_with(text(vector, "m_first_4")));

    let push = Push::bootstrap(PushMedia::ConnectivityWbxml, None, document);
    let sealed = seal(push, SecurityMethod::UserPinMac, &Secrets::default()).unwrap();
    assert_eq!(sealed.security.as_ref().unwrap().mac, None, "nothing is sent");
    for (pin, verdict) in [
        ("12348411", Ok(())),
        ("12348412", Err(Unproven::Wrong)),
        ("22348411", Err(Unproven::Wrong)),
        ("1234841", Err(Unproven::Wrong)),
    ] {
        let secrets = Secrets { network: None, pin: Some(secret(pin)) };
        assert_eq!(verify(&sealed, &secrets), verdict, "{pin}");
    }
    assert_eq!(verify(&sealed, &Secrets::default()), Err(BadSecret::Missing("the user's PIN").into()));
    let dm = Push { media: PushMedia::DmWbxml, ..sealed };
    assert_eq!(seal(dm, SecurityMethod::UserPinMac, &Secrets::default()), Err(BadSecret::Method));
}

#[test]
fn boo_12_a_bootstrap_with_a_wrong_or_no_mac_proves_nothing() {
    let with = |pin: &str| Secrets { network: None, pin: Some(secret(pin)) };
    let push = Push::bootstrap(PushMedia::ConnectivityWbxml, None, b"document".to_vec());
    assert_eq!(verify(&push, &with("1234")), Err(Unproven::NoSecurity));
    let sealed = seal(push, SecurityMethod::UserPin, &with("1234")).unwrap();
    assert_eq!(verify(&sealed, &with("1234")), Ok(()));
    assert_eq!(verify(&sealed, &with("1235")), Err(Unproven::Wrong));
    let changed = Push { body: b"Document".to_vec(), ..sealed.clone() };
    assert_eq!(verify(&changed, &with("1234")), Err(Unproven::Wrong));
    let mut stripped = sealed.clone();
    stripped.security.as_mut().unwrap().mac = None;
    assert_eq!(verify(&stripped, &with("1234")), Err(Unproven::NoMac));
    for bad in ["", "12a4", "١٢٣٤", &"1".repeat(33)] {
        assert_eq!(verify(&sealed, &with(bad)), Err(BadSecret::Pin.into()), "{bad}");
    }
}

#[test]
fn an_account_that_no_device_could_use_is_refused_with_its_reason() {
    let address = || Characteristic::new("APPADDR").with("ADDR", "https://s");
    let application = || Characteristic::new("APPLICATION").with("APPID", "w7").with("PROVIDER-ID", "s");
    let auth = |level: &str| Characteristic::new("APPAUTH").with("AAUTHLEVEL", level);
    let port = |number: &str| Characteristic::new("PORT").with("PORTNBR", number);
    for (application, refusal) in [
        (Characteristic::new("APPLICATION").with("APPID", "w7"), BadAccount::Missing("PROVIDER-ID")),
        (
            Characteristic::new("APPLICATION").with("APPID", "w7").with("PROVIDER-ID", ""),
            BadAccount::Missing("PROVIDER-ID"),
        ),
        (application(), BadAccount::Missing("ADDR")),
        (application().containing(Characteristic::new("APPADDR")), BadAccount::Missing("ADDR")),
        (application().containing(address().containing(port("65536"))), BadAccount::Port),
        (application().containing(address().containing(Characteristic::new("PORT"))), BadAccount::Port),
        (application().containing(address()).containing(auth("SERVER")), BadAccount::Level),
        (
            application().containing(address()).containing(Characteristic::new("APPAUTH")),
            BadAccount::Missing("AAUTHLEVEL"),
        ),
        (application().with("ADDR", &"x".repeat(2_049)), BadAccount::TooLong),
    ] {
        let document = Document { version: None, characteristics: vec![application] };
        assert_eq!(Account::all_of(&document).unwrap_err(), refusal);
    }
    let short = application().with("ADDR", "https://s");
    let others = Document { version: None, characteristics: vec![short, Characteristic::new("APPLICATION")] };
    let accounts = Account::all_of(&others).unwrap();
    assert_eq!((accounts.len(), accounts[0].addresses[0].address.as_str()), (1, "https://s"));
    let many = Document { version: None, characteristics: vec![application().with("ADDR", "a"); 17] };
    assert_eq!(Account::all_of(&many).unwrap_err(), BadAccount::TooMany);
}

#[test]
fn a_malformed_document_is_refused_with_its_reason() {
    for (document, refusal) in [
        ("<a/>", BadDocument::Root("a".to_owned())),
        ("<wap-provisioningdoc><parm name='a'/></wap-provisioningdoc>", BadDocument::Misplaced("parm")),
        (
            "<wap-provisioningdoc><characteristic/></wap-provisioningdoc>",
            BadDocument::Missing("the type of a characteristic"),
        ),
        (
            "<wap-provisioningdoc><characteristic type='a'><parm/></characteristic></wap-provisioningdoc>",
            BadDocument::Missing("the name of a parm"),
        ),
        ("<wap-provisioningdoc", BadDocument::Xml(BadXml::NotWellFormed(String::new()))),
    ] {
        match (Document::read(document.as_bytes()).unwrap_err(), refusal) {
            (BadDocument::Xml(BadXml::NotWellFormed(_)), BadDocument::Xml(_)) => {}
            (found, expected) => assert_eq!(found, expected, "{document}"),
        }
    }
    let head = b"\x03\x0B\x6A\x00";
    let deep = [&head[..], &[0x45], &[0x46; 16]].concat();
    for (wbxml, refusal) in [
        (b"\x04\x0B\x6A\x00\x05".to_vec(), BadWbxml::Version(4)),
        (b"\x03\x0B\x04\x00\x05".to_vec(), BadWbxml::Charset(4)),
        (b"\x03\x0C\x6A\x00\x05".to_vec(), BadWbxml::PublicId(0x0C)),
        (b"\x03\x0B\x6A\x05ab".to_vec(), BadWbxml::Truncated),
        (b"\x03\x00\x05\x6A\x00\x05".to_vec(), BadWbxml::Table(5)),
        (b"\x03\xFF\xFF\xFF\xFF\xFF\x7F".to_vec(), BadWbxml::MultiOctet),
        ([&head[..], b"\x08"].concat(), BadWbxml::Token(8)),
        ([&head[..], b"\x01"].concat(), BadWbxml::Token(1)),
        ([&head[..], b"\x00\x02"].concat(), BadWbxml::Page(2)),
        ([&head[..], b"\x05\x05"].concat(), BadWbxml::Trailing),
        ([&head[..], b"\x85\x40\x01"].concat(), BadWbxml::Token(0x40)),
        ([&head[..], b"\x85\x03a\0\x01"].concat(), BadWbxml::Token(3)),
        ([&head[..], b"\x85\x45\x46\x01"].concat(), BadWbxml::Twice("version")),
        ([&head[..], b"\x85\x45\x84\x01"].concat(), BadWbxml::Token(0x84)),
        ([&head[..], b"\x85\x45\xFE\x01"].concat(), BadWbxml::Token(0xFE)),
        ([&head[..], b"\x85\x45\x02\x00\x01"].concat(), BadWbxml::Text),
        ([&head[..], b"\x85\x45\xC3\x01\x00\x01"].concat(), BadWbxml::Text),
        (deep, BadWbxml::Limit { what: "open elements", limit: 16 }),
        (vec![3; 65_537], BadWbxml::Limit { what: "octets", limit: 65_536 }),
    ] {
        assert_eq!(Document::from_wbxml(&wbxml), Err(BadDocument::Wbxml(refusal)), "{:02X?}", &wbxml[..6]);
    }
}

#[test]
fn a_document_cut_short_is_refused_at_every_length() {
    let document = file("cp_w7_v13.wbxml");
    for length in 0..document.len() {
        assert!(Document::from_wbxml(&document[..length]).is_err(), "{length}");
    }
}

#[test]
fn debug_shows_no_secret_of_a_document_or_account() {
    let (account, _) = account();
    let shown = format!("{account:?} {:?}", document());
    assert!(shown.contains("Bruce2"));
    for secret in ["OhBehave", "srvsecret", "AAECAwQ", "Dw4NDA"] {
        assert!(!shown.contains(secret), "{secret}");
    }
    let Some(Part::Parm(parm)) = document().characteristics[0].parts.first().cloned() else { panic!() };
    assert!(!parm.is_secret());
}
