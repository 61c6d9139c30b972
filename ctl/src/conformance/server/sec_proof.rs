//! SEC-01 to SEC-13, SEC-19: how the device proves itself to the server, and the server to the device.

use std::collections::BTreeSet;

use postern_wire::{
    auth,
    syncml::{Alert, Command, Meta, Status},
    terms::AuthType,
};
use secrecy::ExposeSecret as _;

use super::{
    Answer, Bench, Session,
    bench::Device,
    reply::{Reply, agree, target_of},
    session::Show,
    srv_session::{get, unfinished},
};
use crate::conformance::{
    http::Response,
    verdict::{Miss, Outcome, hold, one_of, same, some},
};

/// A challenge: Status `code` for the header and every command, with a Chal.
fn challenges(answer: &Answer, code: u32) -> Outcome<Meta> {
    let status = answer.header_status()?;
    same("the Status for SyncHdr", status.code, code)?;
    for other in answer.statuses() {
        same(&format!("the Status for {}", other.cmd), other.code, code)?;
    }
    same("the number of Status elements", answer.statuses().count(), 3)?;
    let chal = some("Chal", status.chal.clone())?;
    same("the challenge's Format", chal.format.as_deref(), Some("b64"))?;
    let type_ = some("the challenge's Type", chal.type_.as_deref())?;
    if type_.eq_ignore_ascii_case(auth::TYPE_MD5) || type_.eq_ignore_ascii_case(auth::TYPE_MAC) {
        let nonce = chal.next_nonce.as_deref().and_then(auth::decode_nonce);
        hold(nonce.is_some_and(|nonce| nonce.len() >= 16), || "NextNonce has less than 128 bits".to_owned())?;
    }
    Ok(chal)
}

/// Package 1 as it is now shown.
fn package_1(session: &mut Session) -> Outcome<Answer> {
    session.send(session.package_1(), true)
}

pub(crate) fn missing(bench: &mut Bench<'_>) -> Outcome {
    let device = bench.device()?;
    let mut session = bench.open(&device)?;
    session.show = Show::Nothing;
    let answer = package_1(&mut session)?;
    challenges(&answer, 407)?;
    hold(answer.commands().is_empty(), || format!("there are commands: {:?}", answer.commands()))?;
    nothing_known(bench, &device)
}

/// What an unproved device said of itself is not kept, where an operator can tell.
fn nothing_known(bench: &mut Bench<'_>, device: &Device) -> Outcome {
    match bench.known(device) {
        Ok(known) => {
            let kept = super::srv_session::fact(&known, "./DevInfo/Man").is_some();
            hold(!kept, || "DevInfo of an unproved device is kept".to_owned())
        }
        Err(Miss::NotApplicable(_)) => Ok(()),
        Err(broken) => Err(broken),
    }
}

pub(crate) fn wrong(bench: &mut Bench<'_>) -> Outcome {
    let device = bench.device()?;
    let mut session = bench.open(&device)?;
    session.show = Show::Wrong;
    package_1(&mut session)?;
    let before = session.nonce.clone();
    let answer = package_1(&mut session)?;
    challenges(&answer, 401)?;
    hold(session.nonce != before, || "the challenge's nonce is the same again".to_owned())?;
    nothing_known(bench, &device)
}

pub(crate) fn retried(bench: &mut Bench<'_>) -> Outcome {
    let device = bench.device()?;
    let mut session = bench.open(&device)?;
    session.show = Show::Nothing;
    package_1(&mut session)?;
    session.show = Show::Good;
    let answer = package_1(&mut session)?;
    let status = answer.header_status()?;
    one_of("the Status for SyncHdr", &status.code, &[200, 212])?;
    same("MsgID", answer.message.header.msg_id, 2)?;
    if device.account.auth == AuthType::Md5 {
        some("NextNonce", status.chal.as_ref().and_then(|chal| chal.next_nonce.as_deref()))?;
    }
    same("the Status for Alert", answer.status_of("Alert")?.code, 200)?;
    same("the Status for Replace", answer.status_of("Replace")?.code, 200)
}

pub(crate) fn basic(bench: &mut Bench<'_>) -> Outcome {
    let device = bench.enrol(AuthType::Basic)?;
    let mut session = bench.open(&device)?;
    let answer = package_1(&mut session)?;
    let status = answer.header_status()?;
    match status.code {
        200 | 212 => Ok(()),
        401 => {
            let chal = some("Chal", status.chal.as_ref())?;
            hold(chal.type_.as_deref() != Some(auth::TYPE_BASIC), || "basic is asked for again".to_owned())
        }
        other => Err(Miss::broken(format!("the Status for good basic credentials is {other}"))),
    }
}

pub(crate) fn stored_nonce(bench: &mut Bench<'_>) -> Outcome {
    let mut device = md5(bench)?;
    let (session, _) = bench.signed_in(&device)?;
    device.keep(&session);
    let old = device.clone();
    let mut session = bench.open(&device)?;
    let answer = package_1(&mut session)?;
    one_of("the Status for the stored nonce's proof", &answer.header_status()?.code, &[200, 212])?;
    let mut again = bench.open(&old)?;
    let answer = package_1(&mut again)?;
    same("the Status when the nonce is used again", answer.header_status()?.code, 401)
}

/// A device that proves itself by md5.
fn md5(bench: &mut Bench<'_>) -> Outcome<Device> {
    let device = bench.device()?;
    match device.account.auth {
        AuthType::Md5 => Ok(device),
        _ => bench.enrol(AuthType::Md5),
    }
}

pub(crate) fn stale_nonce(bench: &mut Bench<'_>) -> Outcome {
    let mut device = md5(bench)?;
    device.nonce = Some(b"a nonce of 2012".to_vec());
    let mut session = bench.open(&device)?;
    let answer = package_1(&mut session)?;
    challenges(&answer, 401)?;
    let answer = package_1(&mut session)?;
    one_of("the Status for the challenge's answer", &answer.header_status()?.code, &[200, 212])
}

pub(crate) fn replayed(bench: &mut Bench<'_>) -> Outcome {
    let mut device = md5(bench)?;
    let mut session = bench.open(&device)?;
    let mut recorded = Vec::new();
    for _ in 0..2 {
        let message = session.message(session.package_1(), true);
        let octets = session.encode(&message)?;
        session.send_octets(octets.clone())?;
        recorded.push(octets);
    }
    some("212 or 200", session.accepted)?;
    device.keep(&session);
    let (next, _) = bench.signed_in(&device)?; // the device lives on; then somebody plays the first session again
    device.keep(&next);
    let mut thief = bench.open(&device)?;
    for octets in recorded {
        let response = thief.post(octets)?;
        refused(&mut thief, response, "the replayed message")?;
    }
    bench.signed_in(&device).map(drop)
}

/// A message that was not accepted: refused by HTTP, or by its Status.
pub(super) fn refused(session: &mut Session, response: Response, what: &str) -> Outcome {
    if response.status != 200 {
        return hold((400..500).contains(&response.status), || format!("{what} gets {}", response.summary()));
    }
    let answer = session.take(response)?;
    let code = answer.header_status()?.code;
    hold(code >= 400 || answer.alerts().contains(&1223), || format!("{what} gets {code}"))?;
    let rest = answer.commands().into_iter().filter_map(target_of).collect::<Vec<_>>();
    hold(rest.is_empty(), || format!("{what} gets commands: {rest:?}"))
}

pub(crate) fn other_type(bench: &mut Bench<'_>) -> Outcome {
    let device = md5(bench)?;
    let mut session = bench.open(&device)?;
    session.show = Show::Nothing;
    challenges(&package_1(&mut session)?, 407)?;
    session.show = Show::As(AuthType::Basic);
    let message = session.message(session.package_1(), true);
    let octets = session.encode(&message)?;
    let response = session.post(octets)?;
    if response.status == 200 {
        let answer = session.take(response)?;
        let status = answer.header_status()?;
        hold(status.code >= 400, || {
            format!("basic is accepted with {} where md5 was asked for", status.code)
        })?;
        hold(status.chal.is_none() || answer.alerts().contains(&1223), || "the session goes on".to_owned())?;
    }
    Ok(())
}

/// So many nonces are looked at.
const NONCES: usize = 48;

pub(crate) fn nonces(bench: &mut Bench<'_>) -> Outcome {
    let mut device = md5(bench)?;
    let mut seen = BTreeSet::new();
    for _ in 0..NONCES {
        let (session, _) = bench.signed_in(&device)?;
        device.keep(&session);
        let nonce = some("NextNonce", device.nonce.clone())?;
        hold(nonce.len() >= 16, || format!("a nonce has {} octets", nonce.len()))?;
        let low_bits = nonce.iter().all(|octet| *octet == nonce[0]);
        hold(!low_bits, || "a nonce is one octet over and over".to_owned())?;
        hold(seen.insert(nonce), || "a nonce came twice".to_owned())?;
    }
    Ok(())
}

pub(crate) fn only_status(bench: &mut Bench<'_>) -> Outcome {
    let device = bench.device()?;
    if let Err(Miss::Broken(what)) = bench.queue(&device, &get("./A")) {
        return Err(Miss::Broken(what));
    }
    for show in [Show::Nothing, Show::Wrong] {
        let mut session = bench.open(&device)?;
        session.show = show;
        for _ in 0..2 {
            let answer = package_1(&mut session)?;
            let others: Vec<_> =
                answer.message.body.iter().filter(|command| !matches!(command, Command::Status(_))).collect();
            hold(others.is_empty(), || format!("beside Status there is {others:?}"))?;
        }
    }
    Ok(())
}

/// The server's Cred is good under `nonce`.
fn servers_proof(session: &Session, answer: &Answer, nonces: &[&[u8]]) -> Outcome {
    let account = &session.account;
    let password = some("the account's server password", account.server_password.as_ref())?.expose_secret();
    let cred = some("Cred in the server's SyncHdr", answer.message.header.cred.as_ref())?;
    let name = answer.message.header.source.name.as_deref();
    same("LocName of the server's Source", name, Some(account.server_id.as_str()))?;
    let shown = cred.data.as_text().unwrap_or_default();
    let hash = auth::user_password_hash(&account.server_id, password);
    let basic = auth::basic(&account.server_id, password);
    let good = shown == basic || nonces.iter().any(|nonce| shown == auth::md5_digest(&hash, nonce));
    hold(good, || "the server's Cred is not that of its password and nonce".to_owned())
}

fn with_server_password(bench: &mut Bench<'_>) -> Outcome<Device> {
    let device = bench.device()?;
    match device.account.server_password {
        Some(_) => Ok(device),
        None => Err(Miss::not_applicable("the account has no password of the server")),
    }
}

pub(crate) fn server_cred(bench: &mut Bench<'_>) -> Outcome {
    let device = with_server_password(bench)?;
    let (session, answer) = bench.signed_in(&device)?;
    servers_proof(&session, &answer, &[b"", &[0; 4]])?;
    if let Ok(other) = bench.enrol(AuthType::Md5) {
        let secret = |device: &Device| {
            device.account.server_password.as_ref().map(|password| password.expose_secret().to_owned())
        };
        let own = device.account.device_id != other.account.device_id;
        hold(!own || secret(&device) != secret(&other), || "two devices have the same secret".to_owned())?;
    }
    Ok(())
}

pub(crate) fn server_challenged(bench: &mut Bench<'_>) -> Outcome {
    let device = with_server_password(bench)?;
    let id = bench.queue_one(&device, &get("./A"))?;
    let (mut session, answer) = bench.signed_in(&device)?;
    let nonce: &[u8] = b"0123456789abcdef";
    let chal = Meta {
        format: Some("b64".to_owned()),
        type_: Some(auth::TYPE_MD5.to_owned()),
        next_nonce: Some(auth::encode_nonce(nonce)),
        ..Meta::default()
    };
    let mut body = session.answers(&answer, |_| Reply::code(401));
    if let Some(Command::Status(status)) = body.first_mut() {
        *status = Status { code: 401, chal: Some(chal), ..status.clone() };
    }
    let answer = session.send(body, true)?;
    servers_proof(&session, &answer, &[nonce])?;
    let asked = answer.commands().into_iter().filter_map(target_of).collect::<Vec<_>>();
    same("the commands that are sent again", asked, ["./A"])?;
    session.finish(answer, agree)?;
    same("the command's state", bench.ended(&id)?["state"].as_str(), Some("succeeded"))
}

pub(crate) fn once_or_each(bench: &mut Bench<'_>) -> Outcome {
    let device = bench.device()?;
    let (mut session, answer) = unfinished(bench, &device)?;
    let accepted = some("the code", session.accepted)?;
    session.show = Show::Nothing;
    let more = Command::Alert(Alert { code: 1222, ..Alert::default() });
    let answer = session.send(vec![Command::Status(session.header_answer(&answer)), more], false)?;
    let code = answer.header_status()?.code;
    match accepted {
        212 => one_of("the Status of a message without credentials after 212", &code, &[200, 212]),
        _ => one_of("the Status of a message without credentials after 200", &code, &[401, 407]),
    }
}
