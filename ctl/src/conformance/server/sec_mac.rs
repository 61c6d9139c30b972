//! SEC-14 to SEC-17, NOT-09, NOT-10, BOO-10, BOO-13: auth-MAC, the zero nonce, the first session.

use postern_wire::{
    auth::{self, HmacHeader},
    syncml::Command,
    terms::AuthType,
};
use secrecy::ExposeSecret as _;
use serde_json::json;

use super::{
    Answer, Bench, Session,
    bench::Device,
    reply::agree,
    sec_proof::refused,
    session::Show,
    srv_session::{generic_alert, unfinished},
};
use crate::conformance::{
    http::{Request, field},
    verdict::{Miss, Outcome, hold, one_of, same, some},
};

/// A session that auth-MAC has opened, its package 1 going on.
fn opened(bench: &mut Bench<'_>) -> Outcome<(Session, Answer)> {
    let device = bench.enrol(AuthType::Hmac)?;
    unfinished(bench, &device)
}

fn next_body(session: &Session, answer: &Answer) -> Vec<Command> {
    vec![Command::Status(session.header_answer(answer)), generic_alert()]
}

/// Posts a message with this header instead of the good one.
fn post_with(
    session: &mut Session,
    body: Vec<Command>,
    header: Option<String>,
    chunked: bool,
) -> Outcome<crate::conformance::http::Response> {
    let message = session.message(body, false);
    let octets = session.encode(&message)?;
    let media = session.variant.style().media_type().header_value().to_owned();
    let mut headers = vec![("Content-Type".to_owned(), media)];
    headers.extend(header.map(|value| (auth::HMAC_HEADER.to_owned(), value)));
    let path = session.url.path.clone();
    session.exchange(Request { method: "POST".to_owned(), path, headers, body: octets, chunked })
}

pub(crate) fn mac_in(bench: &mut Bench<'_>) -> Outcome {
    let (session, answer) = opened(bench)?;
    let status = answer.header_status()?;
    same("the Status for the good MAC", status.code, 200)?;
    some("NextNonce", status.chal.as_ref().and_then(|chal| chal.next_nonce.as_deref()))?;
    drop(session);
    let bad = |user: &str| -> [String; 3] {
        [
            HmacHeader { username: user.to_owned(), mac: auth::encode_base64(&[0; 16]) }.to_string(),
            format!("algorithm=MD5, mac={}", auth::encode_base64(&[0; 16])),
            HmacHeader { username: user.to_owned(), mac: "AAAA".to_owned() }.to_string(),
        ]
    };
    for at in 0..3 {
        let device = bench.enrol(AuthType::Hmac)?;
        let user = device.account.user.clone().unwrap_or_default();
        let mut session = bench.open(&device)?;
        let header = bad(&user)[at].clone();
        let body = session.package_1();
        let response = post_with(&mut session, body, Some(header.clone()), false)?;
        let answer = session.take(response)?;
        one_of(&format!("the Status for {header:?}"), &answer.header_status()?.code, &[401, 407])?;
    }
    Ok(())
}

pub(crate) fn mac_of_octets(bench: &mut Bench<'_>) -> Outcome {
    let (mut session, answer) = opened(bench)?;
    let user = session.account.user.clone().unwrap_or_default();
    let password = some("the password", session.account.password.clone())?;
    let hash = auth::user_password_hash(&user, password.expose_secret());
    let nonce = some("the nonce", session.nonce.clone())?;
    let body = next_body(&session, &answer);
    let msg_id = session.msg_id;
    let message = session.message(body.clone(), false);
    let mac = auth::mac(&hash, &nonce, &session.encode(&message)?);
    session.msg_id = msg_id;
    let response = post_with(&mut session, body, Some(HmacHeader { username: user, mac }.to_string()), true)?;
    let answer = session.take(response)?;
    same("the Status for a message in chunks", answer.header_status()?.code, 200)
}

pub(crate) fn mac_sticky(bench: &mut Bench<'_>) -> Outcome {
    let (mut session, answer) = opened(bench)?;
    let body = next_body(&session, &answer);
    let response = post_with(&mut session, body, None, false)?;
    refused(&mut session, response, "a message without its MAC")
}

pub(crate) fn mac_out(bench: &mut Bench<'_>) -> Outcome {
    let (session, answer) = opened(bench)?;
    let account = &session.account;
    let password = account.server_password.as_ref();
    let password = password
        .ok_or_else(|| Miss::not_applicable("the account has no password of the server"))?
        .expose_secret();
    let header = some("x-syncml-hmac", field(&answer.headers, auth::HMAC_HEADER))?;
    let header = HmacHeader::parse(header).map_err(|error| Miss::broken(error.to_string()))?;
    same("its username", header.username.as_str(), account.server_id.as_str())?;
    let hash = auth::user_password_hash(&account.server_id, password);
    let good = [&b""[..], &[0; 4]].iter().any(|nonce| auth::mac(&hash, nonce, &answer.octets) == header.mac);
    hold(good, || "its mac is not that of the message".to_owned())
}

pub(crate) fn zero_nonce(bench: &mut Bench<'_>) -> Outcome {
    for nonce in [&[0; 4][..], b"0x00000000", b"AAAAAA=="] {
        let mut device = bench.enrol(AuthType::Md5)?;
        device.nonce = Some(nonce.to_vec());
        let mut session = bench.open(&device)?;
        session.show = Show::Always;
        let answer = session.send(session.package_1(), true)?;
        same("the Status for the zero nonce's proof", answer.header_status()?.code, 401)?;
    }
    Ok(())
}

pub(crate) fn resynchronised(bench: &mut Bench<'_>) -> Outcome {
    let zero = vec![0; 4];
    let device = Device { nonce: Some(zero.clone()), ..bench.enrol(AuthType::Md5)? };
    let asked = bench.ask("notify", &json!({"device_id": device.account.device_id, "resync": true}))?;
    let session_id = some("the SessionID of the notification", asked["session_id"].as_str())?.to_owned();
    for (at, codes) in [&[200, 212][..], &[401]].into_iter().enumerate() {
        let mut session = bench.open(&device)?;
        if at == 0 {
            session.session_id.clone_from(&session_id);
        }
        session.show = Show::Always;
        let mut body = session.package_1();
        if let Some(Command::Alert(alert)) = body.first_mut() {
            alert.code = 1200;
        }
        let answer = session.send(body, true)?;
        one_of("the Status for the zero nonce's proof", &answer.header_status()?.code, codes)?;
        hold(session.nonce.as_ref().is_some_and(|nonce| *nonce != zero), || {
            "no new nonce is given".to_owned()
        })?;
    }
    Ok(())
}

pub(crate) fn after_bootstrap(bench: &mut Bench<'_>) -> Outcome {
    let device = bench.enrol(AuthType::Md5)?;
    let known = bench.known(&device)?;
    let state = known["state"].as_str().unwrap_or_default().to_owned();
    hold(!matches!(state.as_str(), "failed" | "error" | "retired"), || {
        format!("before its session it is {state}")
    })?;
    let (mut session, answer) = bench.signed_in(&device)?;
    session.finish(answer, agree).map(drop)
}

pub(crate) fn first_session(bench: &mut Bench<'_>) -> Outcome {
    let device = bench.enrol(AuthType::Md5)?;
    let (session, answer) = bench.signed_in(&device)?;
    one_of("the Status for SyncHdr", &answer.header_status()?.code, &[200, 212])?;
    hold(session.msg_id <= 3, || format!("it took {} messages", session.msg_id - 1))
}
