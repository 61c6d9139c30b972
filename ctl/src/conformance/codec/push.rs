//! NOT-01 to NOT-08, NOT-13, NOT-14, BOO-01 to BOO-09: notifications, bootstraps and how they are pushed.

use postern_wire::{
    auth,
    bootstrap::{
        cp::{Account, AuthTypes, Document},
        mac::{NetworkSecret, Secrets, seal, user_pin_mac},
        profile,
    },
    notification::{Initiator, Package0, SessionId, Trigger, UiMode},
    push::{
        Push, PushMedia, SecurityMethod,
        pap::{self, PushMessage, Submission, Verdict},
        sms::{self, Ports},
        wsp,
    },
    syncml::{Command, Encoding, Limits, decode},
    tnds,
};
use secrecy::{ExposeSecret as _, SecretString};

use super::{Bench, messages::vector};
use crate::conformance::verdict::{Miss, Outcome, hold, same, some};

const SERVER: &str = "com.mgmtsrv.manage";
const N2: &[u8] = vector!("notify/n2_background_server.pkg0.hex");
const N2_WSP: &[u8] = vector!("notify/n2_background_server.wsp.hex");
const DOCUMENT: &[u8] = vector!("bootstrap/cp_w7_v13.wbxml");
const PROFILE: &[u8] = vector!("bootstrap/dm_profile.wbxml");

fn failed<T, E: std::fmt::Display>(what: &str, result: Result<T, E>) -> Outcome<T> {
    result.map_err(|error| Miss::broken(format!("{what}: {error}")))
}

/// The octets of a vector in hex.
fn unhex(text: &[u8]) -> Vec<u8> {
    let digits: Vec<_> = text.iter().filter_map(|octet| char::from(*octet).to_digit(16)).collect();
    digits.chunks_exact(2).filter_map(|pair| u8::try_from(pair[0] * 16 + pair[1]).ok()).collect()
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02X}")).collect()
}

fn trigger(session: u16) -> Outcome<Trigger> {
    Ok(Trigger::new(some("the session id", SessionId::new(session))?, SERVER))
}

fn encoded(bench: &mut Bench, trigger: &Trigger) -> Outcome<Vec<u8>> {
    let octets = failed("the trigger", trigger.encode())?;
    Ok(bench.written(octets))
}

pub(crate) fn layout(bench: &mut Bench) -> Outcome {
    let octets = encoded(bench, &Trigger { initiator: Initiator::Client, ..trigger(0x1234)? })?;
    same("the header", hex(&octets[..8]), "02D0000000123412".to_owned())?;
    same("the server id", &octets[8..], SERVER.as_bytes())?;
    same("the length", octets.len(), 26)
}

fn sealed(bench: &mut Bench, trigger: Trigger, nonce: &[u8]) -> Outcome<Vec<u8>> {
    let hash = auth::user_password_hash(SERVER, "srvsecret");
    let octets = failed("the package", Package0::seal(trigger, &hash, nonce))?.encode();
    Ok(bench.written(octets))
}

pub(crate) fn digest(bench: &mut Bench) -> Outcome {
    let nonce: Vec<u8> = (0..16).collect();
    let n2 = sealed(bench, trigger(1)?, &nonce)?;
    same("package 0", hex(&n2), hex(&unhex(N2)))?;
    let vector = unhex(vector!("notify/n4_resync_zero4.pkg0.hex"));
    let n4 = failed("the vector", Package0::decode(&vector))?;
    let again = sealed(bench, n4.trigger, &[0; 4])?;
    same("package 0 under the zero nonce", hex(&again), hex(&vector))
}

pub(crate) fn vendor(bench: &mut Bench) -> Outcome {
    let with = |vendor: &[u8]| Ok::<_, Miss>(Trigger { vendor: vendor.to_vec(), ..trigger(1)? });
    let (one, other) = (sealed(bench, with(b"one")?, b"n")?, sealed(bench, with(b"two")?, b"n")?);
    hold(one[..16] != other[..16], || "the digest is the same whatever the vendor octets".to_owned())?;
    let hash = auth::user_password_hash(SERVER, "srvsecret");
    same("the digest", &one[..16], &auth::trigger_digest(&hash, b"n", &one[16..])[..])
}

pub(crate) fn modes(bench: &mut Bench) -> Outcome {
    for (mode, bits) in UiMode::ALL.into_iter().zip([0x00, 0x10, 0x20, 0x30]) {
        for (initiator, bit) in [(Initiator::Client, 0), (Initiator::Server, 0x08)] {
            let octets = encoded(bench, &Trigger { ui_mode: mode, initiator, ..trigger(1)? })?;
            same(&format!("octets 0 and 1 of {mode}"), (octets[0], octets[1]), (0x02, 0xC0 | bits | bit))?;
        }
    }
    Ok(())
}

pub(crate) fn session_ids(bench: &mut Bench) -> Outcome {
    let zero = bench.judged(SessionId::new(0).is_none());
    hold(zero, || "0 is a session id".to_owned())?;
    for (number, text) in [(1, "1"), (0x00FF, "FF"), (0xFFFF, "FFFF")] {
        let id = some("a session id", SessionId::new(number))?;
        same("SessionID", bench.text(Ok(id.to_string())).unwrap_or_default().as_str(), text)?;
    }
    Ok(())
}

pub(crate) fn wsp_push(bench: &mut Bench) -> Outcome {
    let pdu = failed("the push", wsp::encode(&Push::notification(unhex(N2)), 1))?;
    let pdu = bench.written(pdu);
    same("the push's start", hex(&pdu[..6]), "010603C4AF87".to_owned())?;
    same("the push", hex(&pdu), hex(&unhex(N2_WSP)))
}

fn segments(bench: &mut Bench, datagram: &[u8]) -> Outcome<Vec<Vec<u8>>> {
    let segments = failed("the segments", sms::split(datagram, Ports::PUSH, 0xA5))?;
    Ok(segments.into_iter().map(|segment| bench.written(segment)).collect())
}

pub(crate) fn short_message(bench: &mut Bench) -> Outcome {
    let user_data = segments(bench, &unhex(N2_WSP))?;
    same("the number of short messages", user_data.len(), 1)?;
    same("the user data header", hex(&user_data[0][..5]), "0605040B84".to_owned())?;
    hold(user_data[0].len() <= 140, || format!("the user data has {} octets", user_data[0].len()))?;
    let tpdu = failed("the TPDU", sms::submit_tpdu("+358401234567", &user_data[0], 0))?;
    let coding = [0xF5, 0x04].iter().any(|coding| tpdu.windows(2).any(|pair| pair == [0x00, *coding]));
    hold(coding, || "the data coding is not 8-bit".to_owned())
}

pub(crate) fn concatenated(bench: &mut Bench) -> Outcome {
    let datagram = [unhex(N2_WSP), vec![0x5A; 100]].concat();
    let parts = segments(bench, &datagram)?;
    same("the number of short messages", parts.len(), 2)?;
    for (part, number) in parts.iter().zip(1..) {
        let wanted = format!("0B05040B8423F00003A502{number:02X}");
        same("the user data header", hex(&part[..12]), wanted)?;
        hold(part.len() <= 140, || format!("a part has {} octets", part.len()))?;
    }
    same("what the parts hold", [&parts[0][12..], &parts[1][12..]].concat(), datagram)
}

pub(crate) fn server_id_length(bench: &mut Bench) -> Outcome {
    let of = |length: usize| Ok::<_, Miss>(Trigger { server_id: "s".repeat(length), ..trigger(1)? });
    let refused = bench.judged(of(256)?.encode().is_err());
    hold(refused, || "a server id of 256 octets is written".to_owned())?;
    let fits = bench
        .judged(of(255)?.encode().is_ok() && of(24)?.server_id_is_long() && !of(23)?.server_id_is_long());
    hold(fits, || "255 octets are refused, or 24 not warned of".to_owned())
}

pub(crate) fn pap_push(bench: &mut Bench) -> Outcome {
    let address = failed("the address", pap::plmn_address("+15550100001", "ppg.example"))?;
    let message = PushMessage {
        push_id: "1@example".to_owned(),
        address,
        deliver_before: None,
        notify_to: None,
        sms_required: false,
    };
    let submission = failed(
        "the submission",
        Submission::write(&message, &Push::notification(b"pkg0".to_vec()), pap::Version::V2_0),
    )?;
    hold(submission.content_type.starts_with("multipart/related;"), || submission.content_type.clone())?;
    let body = bench.written(submission.body);
    let body = String::from_utf8_lossy(&body);
    for part in [
        "WAPPUSH=+15550100001/TYPE=PLMN@ppg.example",
        "delivery-method=\"unconfirmed\"",
        "Content-Type: application/vnd.syncml.notification",
        "X-Wap-Application-Id: x-wap-application:syncml.dm",
    ] {
        hold(body.contains(part), || format!("{part} is missing in {body}"))?;
    }
    let accepted = bench.judged(pap::Code::ACCEPTED.verdict() == Verdict::Accepted);
    hold(accepted, || "1001 is no success".to_owned())?;
    let again = bench.judged(pap::Code(5_000).verdict() == Verdict::Retry);
    hold(again, || "5000 is not tried again".to_owned())
}

/// The account of the vectors.
fn account() -> Outcome<Account> {
    let document = failed("the vector", Document::from_xml(vector!("bootstrap/cp_w7.xml")))?;
    let accounts = failed("the vector's account", Account::all_of(&document))?;
    some("the vector's account", accounts.into_iter().next())
}

pub(crate) fn w7(bench: &mut Bench) -> Outcome {
    let account = account()?;
    let written = failed("the document", account.document(&[]).to_xml())?;
    let written = bench.text(Ok(written)).unwrap_or_default();
    let document = failed("what was written", Document::from_xml(written.as_bytes()))?;
    let application = document.characteristics.iter().find(|part| part.kind == "APPLICATION");
    let application = some("APPLICATION", application)?;
    for (name, value) in
        [("APPID", "w7"), ("PROVIDER-ID", SERVER), ("NAME", "Example MDM"), ("TO-NAPID", "NAP1")]
    {
        same(name, application.value(name), Some(value))?;
    }
    let address = some("APPADDR", application.inner("APPADDR").next())?;
    same("ADDR", address.value("ADDR"), Some("https://dm.example.test/omadm"))?;
    let port = some("PORT", address.inner("PORT").next())?;
    same("PORTNBR", port.value("PORTNBR"), Some("443"))?;
    let proofs: Vec<_> = application
        .inner("APPAUTH")
        .map(|auth| (auth.value("AAUTHLEVEL"), auth.value("AAUTHNAME")))
        .collect();
    same("the proofs", proofs, [(Some("APPSRV"), Some("Bruce2")), (Some("CLIENT"), Some(SERVER))])
}

pub(crate) fn prov_wbxml(bench: &mut Bench) -> Outcome {
    let document = failed("the vector", Document::from_xml(vector!("bootstrap/cp_w7.xml")))?;
    let octets = failed("the document", document.to_wbxml(AuthTypes::default()))?;
    let octets = bench.written(octets);
    let inline = octets.windows(8).filter(|window| *window == b"\x03DIGEST\0").count();
    same("the number of inline AAUTHTYPE", inline, 2)?;
    let read = failed("what was written", Document::from_wbxml(&octets))?;
    hold(read == document, || "the document in WBXML says something else".to_owned())?;
    let vector = failed("the vector in WBXML", Document::from_wbxml(DOCUMENT))?;
    hold(vector == document, || "the vector in WBXML says something else".to_owned())
}

const IMSI: &str = "244121234567890";

fn secrets(network: Option<NetworkSecret>, pin: Option<&str>) -> Secrets {
    Secrets { network, pin: pin.map(SecretString::from) }
}

fn mac_of(
    bench: &mut Bench,
    media: PushMedia,
    document: &[u8],
    method: SecurityMethod,
    by: &Secrets,
) -> Outcome<String> {
    let push = Push::bootstrap(media, None, document.to_vec());
    let sealed = failed("the bootstrap", seal(push, method, by))?;
    let mac = sealed.security.and_then(|security| security.mac).map(|mac| mac.to_string());
    Ok(bench.text(mac.ok_or_else(String::new)).unwrap_or_default())
}

pub(crate) fn cp_macs(bench: &mut Bench) -> Outcome {
    let by = secrets(Some(NetworkSecret::Imsi(SecretString::from(IMSI))), Some("1234"));
    for (method, wanted) in [
        (SecurityMethod::UserPin, "4E7CF1DD96E76BCB80AB09F67867C2D31DF3842F"),
        (SecurityMethod::NetworkPin, "203744FF9E0F289EEF86033EB15615143185C6BF"),
        (SecurityMethod::UserNetworkPin, "03DDCE2B0828837D152C7CBDA63B26B0E50A47C3"),
    ] {
        let mac = mac_of(bench, PushMedia::ConnectivityWbxml, DOCUMENT, method, &by)?;
        same(&format!("the MAC under {method:?}"), mac.as_str(), wanted)?;
    }
    Ok(())
}

pub(crate) fn imsi_key(bench: &mut Bench) -> Outcome {
    for (imsi, key) in [(IMSI, "2944212143658709"), ("24412123456789", "21442121436587F9")] {
        let by = |network| secrets(Some(network), None);
        let of_key = by(NetworkSecret::Octets(unhex(key.as_bytes()).into()));
        let push = |by: &Secrets| {
            seal(
                Push::bootstrap(PushMedia::ConnectivityWbxml, None, DOCUMENT.to_vec()),
                SecurityMethod::NetworkPin,
                by,
            )
        };
        let wanted = failed("the bootstrap", push(&of_key))?.security.and_then(|security| security.mac);
        let of_imsi = by(NetworkSecret::Imsi(SecretString::from(imsi)));
        let mac =
            mac_of(bench, PushMedia::ConnectivityWbxml, DOCUMENT, SecurityMethod::NetworkPin, &of_imsi)?;
        same(&format!("the MAC under IMSI {imsi}"), Some(mac), wanted.map(|mac| mac.to_string()))?;
    }
    Ok(())
}

pub(crate) fn user_pin_digits(bench: &mut Bench) -> Outcome {
    let typed = failed("the PIN", user_pin_mac(&SecretString::from("1234"), DOCUMENT))?;
    let typed = bench.text(Ok(typed.expose_secret().to_owned())).unwrap_or_default();
    same("what the user types", typed.as_str(), "12348411")
}

pub(crate) fn bootstrap_push(bench: &mut Bench) -> Outcome {
    let by = secrets(None, Some("1234"));
    let push = Push::bootstrap(PushMedia::ConnectivityWbxml, None, DOCUMENT.to_vec());
    let sealed = failed("the bootstrap", seal(push, SecurityMethod::UserPin, &by))?;
    let pdu = failed("the push", wsp::encode(&sealed, 1))?;
    let pdu = bench.written(pdu);
    same("the push's start", hex(&pdu[..9]), "01062F1F2DB6918192".to_owned())?;
    same("the push", hex(&pdu), hex(&unhex(vector!("bootstrap/cp_w7_USERPIN.wsp.hex"))))
}

pub(crate) fn bootstrap_segments(bench: &mut Bench) -> Outcome {
    let datagram = unhex(vector!("bootstrap/cp_w7_USERPIN.wsp.hex"));
    let parts = segments(bench, &datagram)?;
    same("the number of short messages", parts.len(), 4)?;
    let references: Vec<_> = parts.iter().map(|part| part[9]).collect();
    same("the references", references, [0xA5; 4])?;
    same(
        "what the parts hold",
        parts.iter().flat_map(|part| part[12..].to_vec()).collect::<Vec<_>>(),
        datagram,
    )
}

pub(crate) fn dm_profile(bench: &mut Bench) -> Outcome {
    let trees = failed("the vector", profile::read(PROFILE, Encoding::Wbxml))?;
    let accounts = failed("its account", profile::accounts(some("the tree", trees.first())?))?;
    let tree = failed("the tree", profile::tree(some("the account", accounts.first())?, "OperatorX"))?;
    let octets = failed("the message", profile::message("IMEI:493005100592800", SERVER, &tree))?;
    let octets = bench.written(octets);
    let message = failed("what was written", decode(&octets, Encoding::Wbxml, &Limits::default()))?.message;
    match &message.body[..] {
        [Command::Add(add)] => {
            let target = add.items.first().and_then(|item| item.target.as_ref());
            same("the Add's Target", target.map(|target| target.uri.as_str()), Some("./Inbox"))?;
        }
        other => return Err(Miss::broken(format!("the body is {other:?}"))),
    }
    let again = failed("the tree in it", profile::read(&octets, Encoding::Wbxml))?;
    let list = again.first().and_then(|tree| tree.nodes.first()).and_then(|node| node.properties.acl.clone());
    same("the ACL", list, Some(format!("Get={SERVER}&Replace={SERVER}&Delete={SERVER}")))?;
    let xml = failed("the tree in XML", tnds::write(&tree, Encoding::Xml))?;
    hold(String::from_utf8_lossy(&xml).contains("urn:oma:mo:oma-dm-dmacc:1.0"), || {
        "the tree has no identifier".to_owned()
    })
}

pub(crate) fn profile_macs(bench: &mut Bench) -> Outcome {
    let network = Some(NetworkSecret::Octets(b"netsecret".to_vec().into()));
    let by = secrets(network, Some("1234"));
    for (method, wanted) in [
        (SecurityMethod::NetworkPin, "F8F907C39D41599D62096E55CD9A4C9B7AC7F41B"),
        (SecurityMethod::UserNetworkPin, "CD4895320D4F1389960FE37D52E1AD4718E64D2E"),
    ] {
        let mac = mac_of(bench, PushMedia::DmWbxml, PROFILE, method, &by)?;
        same(&format!("the MAC under {method:?}"), mac.as_str(), wanted)?;
    }
    let vectors: serde_json::Value =
        failed("the vectors", serde_json::from_slice(vector!("bootstrap/vectors.json")))?;
    let example = vectors["DM_PROFILE"]["content_type_example"].as_str().unwrap_or_default().to_owned();
    let mac = mac_of(bench, PushMedia::DmWbxml, PROFILE, SecurityMethod::UserPin, &by)?;
    hold(!mac.is_empty() && example.contains(&mac), || {
        format!("the MAC under USERPIN is {mac}, not that of {example}")
    })
}
