//! syncml:auth-MAC in both directions (OMA-TS-DM_Security 1.2.1, 5.4).

use std::sync::{Arc, Mutex};

use postern_device::{
    DeviceError,
    state::Storage,
    unit::{Cause, SessionError},
};
use postern_wire::{
    auth::{HmacHeader, TYPE_MAC, TYPE_MD5, decode_nonce, mac, user_password_hash},
    syncml::{Command, Encoding, Message},
    terms::AuthType,
};

use crate::support::{
    MacOf, Reply, Rig, Turn, add, answer, challenge, get, header_status, nothing, results, send, statuses,
    turn,
};

const FIRST: &str = "AAECAwQFBgcICQoLDA0ODw==";
const SECOND: &str = "EBAQEBAQEBAQEBAQEBAQEA==";
const THIRD: &str = "ICAgICAgICAgICAgICAgIA==";

#[test]
fn sec_14_a_device_of_type_hmac_is_challenged_once_and_then_covers_every_message() {
    for encoding in [Encoding::Xml, Encoding::Wbxml] {
        let mut rig = Rig::new(AuthType::Hmac).unit(|unit| unit.encoding = encoding);
        let (outcome, device) = rig.session(vec![
            turn(|to| challenge(to, 407, TYPE_MAC, Some(FIRST))),
            accept(SECOND, vec![get("./DevInfo/Man")]),
            accept(THIRD, Vec::new()),
        ]);
        outcome.unwrap();
        let requests = rig.seen.requests();
        assert_eq!(requests[0].hmac, None, "no nonce, no MAC");
        for (request, nonce) in requests[1..].iter().zip([FIRST, SECOND]) {
            let shown = HmacHeader::parse(request.hmac.as_deref().unwrap()).unwrap();
            assert_eq!((shown.username.as_str(), shown.mac), ("dev", own_mac(nonce, &request.body)));
        }
        assert!(rig.seen.messages().iter().all(|message| message.header.cred.is_none()));
        let kept = device.state().nonces("srv").unwrap().client.clone();
        assert_eq!(kept, decode_nonce(THIRD), "for the next session");
    }
}

#[test]
fn sec_06_the_kept_nonce_covers_the_first_message_of_the_next_session() {
    let folder = tempfile::tempdir().unwrap();
    let mut rig = Rig::new(AuthType::Hmac);
    rig.storage = Storage::folder(folder.path()).unwrap();
    rig.session(vec![turn(|to| challenge(to, 407, TYPE_MAC, Some(FIRST))), accept(SECOND, Vec::new())])
        .0
        .unwrap();
    rig.session(vec![accept(THIRD, Vec::new())]).0.unwrap();
    let last = rig.seen.requests().pop().unwrap();
    let shown = HmacHeader::parse(last.hmac.as_deref().unwrap()).unwrap();
    assert_eq!(shown.mac, own_mac(SECOND, &last.body));
}

#[test]
fn sec_07_a_stale_nonce_costs_one_more_challenge() {
    let mut rig = Rig::new(AuthType::Hmac);
    let (outcome, _) = rig.session(vec![
        turn(|to| challenge(to, 407, TYPE_MAC, Some(FIRST))),
        turn(|to| challenge(to, 401, TYPE_MAC, Some(SECOND))),
        accept(THIRD, Vec::new()),
    ]);
    outcome.unwrap();
    let last = rig.seen.requests().pop().unwrap();
    assert!(last.hmac.unwrap().ends_with(&own_mac(SECOND, &last.body)));
}

#[test]
fn sec_16_no_message_goes_out_uncovered_once_a_mac_was_accepted() {
    let mut rig = Rig::new(AuthType::Hmac);
    let (outcome, _) = rig.session(vec![
        turn(|to| challenge(to, 407, TYPE_MAC, Some(FIRST))),
        send(vec![get("./DevInfo/Man")]), // accepted, and no NextNonce for the answer
    ]);
    assert!(matches!(outcome, Err(DeviceError::Session(SessionError::Misfit(_)))));
    assert_eq!(rig.seen.requests().len(), 2);
}

#[test]
fn sec_09_a_challenge_of_another_type_than_the_accounts_ends_the_session() {
    for (auth, kind) in [(AuthType::Hmac, TYPE_MD5), (AuthType::Md5, TYPE_MAC)] {
        let mut rig = Rig::new(auth);
        let (outcome, _) = rig.session(vec![turn(move |to| challenge(to, 407, kind, Some(FIRST)))]);
        assert!(matches!(outcome, Err(DeviceError::Session(SessionError::OtherScheme(_)))), "{auth}");
    }
}

#[test]
fn sec_17_a_server_of_type_hmac_is_obeyed_when_its_header_covers_the_exact_octets() {
    for encoding in [Encoding::Xml, Encoding::Wbxml] {
        let mut rig = server_hmac().unit(|unit| unit.encoding = encoding);
        rig.mac = Some(servers(|_| {}));
        let (outcome, device) = rig.session(vec![
            send(vec![add("./Settings/a", "1")]),
            send(vec![add("./Settings/a", "1")]),
            send(vec![get("./Settings/a")]),
            nothing(),
        ]);
        assert!(outcome.unwrap().server_proved);
        let seen = rig.seen.messages();
        assert_eq!(codes(&seen[1]), [401, 401], "no nonce was agreed on before");
        assert_eq!(codes(&seen[2]), [200, 200], "accepted for this message only");
        assert_eq!(results(&seen[3]), ["1"]);
        let nonces: Vec<_> = seen[1..].iter().map(|message| next_nonce(message).unwrap()).collect();
        assert!(nonces[0] != nonces[1] && nonces[1] != nonces[2], "one nonce, one message");
        let kept = device.state().nonces("srv").unwrap().server.clone();
        assert_eq!(kept, decode_nonce(&nonces[2]), "for the next session");
    }
}

#[test]
fn sec_14_a_servers_wrong_header_is_401_and_changes_nothing() {
    type Tamper = fn(&mut Option<HmacHeader>);
    let cases: [(&str, Tamper, u32); 3] = [
        ("none", |header| *header = None, 407),
        ("another mac", |header| header.as_mut().unwrap().mac.replace_range(..2, "!!"), 401),
        ("another name", |header| header.as_mut().unwrap().username.push('x'), 401),
    ];
    for (what, tamper, code) in cases {
        let mut rig = server_hmac();
        rig.mac = Some(servers(tamper));
        let (outcome, device) = rig.session(vec![
            turn(|to| answer(to, 212, vec![get("./DevInfo/Man")], true)),
            send(vec![add("./Settings/a", "1")]),
        ]);
        assert!(matches!(outcome, Err(DeviceError::Session(SessionError::ServerNotProved))), "{what}");
        let seen = rig.seen.messages();
        assert_eq!(codes(&seen[1]), [code, code], "{what}");
        assert_eq!(device.state().nonces("srv").and_then(|nonces| nonces.server.clone()), None, "{what}");
    }
}

#[test]
fn sec_16_a_server_that_leaves_its_header_out_after_the_first_proof_is_left() {
    let mut rig = server_hmac();
    let mut proofs = 0;
    rig.mac = Some(servers(move |header| {
        proofs += 1;
        if proofs > 2 {
            *header = None;
        }
    }));
    let (outcome, _) = rig.session(vec![
        send(vec![get("./DevInfo/Man")]),
        send(vec![get("./DevInfo/Man")]),
        send(vec![add("./Settings/a", "1")]),
    ]);
    assert!(matches!(outcome, Err(DeviceError::Session(SessionError::ServerNotProved))));
    assert_eq!(rig.seen.messages().len(), 3);
}

#[test]
fn sec_08_a_servers_earlier_proof_does_not_pass_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut rig = server_hmac();
    rig.storage = Storage::folder(folder.path()).unwrap();
    rig.mac = Some(servers(|_| {}));
    rig.session(vec![send(vec![get("./DevInfo/Man")]), send(vec![get("./DevInfo/Man")]), nothing()])
        .0
        .unwrap();

    // the nonce that was agreed on covers the first reply of the next session, which is recorded
    let nonce = rig.device(vec![nothing()]).state().nonces("srv").unwrap().server.clone().unwrap();
    let recorded = Arc::new(Mutex::new(None));
    let store = Arc::clone(&recorded);
    rig.mac = Some(Box::new(move |_, body| {
        let mac = mac(&user_password_hash("srv", "srvpw"), &nonce, body);
        let header = HmacHeader { username: "srv".into(), mac }.to_string();
        store.lock().unwrap().get_or_insert((header.clone(), body.to_vec()));
        Some(header)
    }));
    let triggered = Cause::Server { session: 7 };
    let (outcome, _) = rig.session_because(triggered, vec![send(vec![add("./Settings/a", "1")])]);
    assert!(outcome.is_err(), "its second reply has no fresh MAC");
    assert_eq!(codes(&rig.seen.messages()[4]), [200, 200], "the first one was good");

    let (header, body) = recorded.lock().unwrap().clone().unwrap();
    rig.mac = Some(Box::new(move |_, _| Some(header.clone())));
    let replay: Turn = Box::new(move |_| Reply::Octets(body.clone()));
    let (outcome, _) = rig.session_because(triggered, vec![replay, nothing()]);
    assert!(!outcome.unwrap().server_proved);
    assert_eq!(codes(rig.seen.messages().last().unwrap()), [401, 401]);
}

#[test]
fn the_ways_of_proof_of_both_directions_are_independent() {
    for (auth, server) in
        [(AuthType::Basic, AuthType::Hmac), (AuthType::Md5, AuthType::Hmac), (AuthType::Md5, AuthType::Basic)]
    {
        let mut rig = Rig::new(auth).server_password();
        rig.enrolment.server_auth = Some(server);
        rig.mac = (server == AuthType::Hmac).then(|| servers(|_| {}));
        let proves = move |message: Message| match server {
            AuthType::Basic => {
                let data = postern_wire::auth::basic("srv", "srvpw");
                crate::support::with_cred(message, postern_wire::auth::TYPE_BASIC, &data)
            }
            _ => message,
        };
        let mut accepted = 0;
        let (outcome, _) = rig.session(vec![turn(move |to| {
            accepted += 1;
            let own = match auth {
                AuthType::Md5 if accepted == 1 => return challenge(to, 407, TYPE_MD5, Some(FIRST)),
                AuthType::Md5 => challenge(to, 212, TYPE_MD5, Some(SECOND)),
                _ => answer(to, 212, Vec::new(), true),
            };
            let mut message = own;
            if accepted < 4 {
                message.body.push(get("./DevInfo/Man"));
                let Some(Command::Get(get)) = message.body.last_mut() else { unreachable!() };
                get.cmd_id = 99;
            }
            proves(message)
        })]);
        assert!(outcome.unwrap().server_proved, "{auth} {server}");
    }
}

/// Accepts with 200 and gives the nonce of the next message.
fn accept(nonce: &'static str, commands: Vec<Command>) -> Turn {
    turn(move |to| {
        let mut message = answer(to, 200, commands.clone(), true);
        let chal = match challenge(to, 200, TYPE_MAC, Some(nonce)).body.swap_remove(0) {
            Command::Status(status) => status.chal,
            _ => None,
        };
        message.body[0] = header_status(to, 200, chal);
        message
    })
}

/// A device of type basic whose server has to show a MAC.
fn server_hmac() -> Rig {
    let mut rig = Rig::new(AuthType::Basic).server_password();
    rig.enrolment.server_auth = Some(AuthType::Hmac);
    rig
}

/// The server's side: its header is made with the nonce of the device's last Chal; `tamper` sees it.
fn servers(mut tamper: impl FnMut(&mut Option<HmacHeader>) + Send + 'static) -> MacOf {
    Box::new(move |request, body| {
        let limits = postern_wire::syncml::Limits::default();
        let encoding = request.media.encoding();
        let message = postern_wire::syncml::decode(&request.body, encoding, &limits).unwrap().message;
        let nonce = decode_nonce(&next_nonce(&message).unwrap_or_default()).unwrap();
        let hash = user_password_hash("srv", "srvpw");
        let mut header = Some(HmacHeader { username: "srv".into(), mac: mac(&hash, &nonce, body) });
        tamper(&mut header);
        header.map(|header| header.to_string())
    })
}

fn own_mac(nonce: &str, body: &[u8]) -> String {
    mac(&user_password_hash("dev", "devpw"), &decode_nonce(nonce).unwrap(), body)
}

fn next_nonce(message: &Message) -> Option<String> {
    message.body.iter().find_map(|command| match command {
        Command::Status(status) => status.chal.as_ref()?.next_nonce.clone(),
        _ => None,
    })
}

fn codes(message: &Message) -> Vec<u32> {
    statuses(message).into_iter().map(|(_, code)| code).collect()
}
