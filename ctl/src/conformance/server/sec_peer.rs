//! SEC-20 to SEC-28: certificates, TLS, and peers that are not who they say.

use std::io::{Read as _, Write as _};

use postern_wire::{syncml::Command, terms::AuthType};
use rcgen::{CertificateParams, KeyPair};
use rustls::version::{TLS12, TLS13};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use super::{
    Bench, Session,
    bench::Device,
    sec_proof::refused,
    session::Show,
    srv_session::{get, unfinished},
};
use crate::conformance::{
    account::{Account, AccountFile},
    http::{self, Connection, HttpsUrl},
    verdict::{Miss, Outcome, hold, one_of, same},
};

pub(crate) fn rotated(bench: &mut Bench<'_>) -> Outcome {
    let device = bench.device()?;
    let (mut session, answer) = unfinished(bench, &device)?;
    let rotated = bench.ask("rotate", &json!({"device_id": device.account.device_id}))?;
    let file: AccountFile =
        serde_json::from_value(rotated).map_err(|error| Miss::broken(format!("the new account: {error}")))?;
    let answer = session.send(vec![Command::Status(session.header_answer(&answer))], true)?;
    one_of("the Status in the open session", &answer.header_status()?.code, &[200, 212])?;
    let mut next = device.clone();
    next.account = Account::new(file, None);
    next.nonce = session.nonce.clone();
    bench.signed_in(&next).map(drop)
}

/// A device with a certificate of its own.
fn with_certificate(bench: &mut Bench<'_>) -> Outcome<Device> {
    let made = || -> Result<_, rcgen::Error> {
        let key = KeyPair::generate()?;
        let csr = CertificateParams::default().serialize_request(&key)?.pem()?;
        Ok((csr, SecretString::from(key.serialize_pem())))
    };
    let (csr, key) = made().map_err(|error| Miss::broken(format!("no certificate request: {error}")))?;
    bench.enrol_with(AuthType::Certificate, Some(&csr), Some(&key))
}

pub(crate) fn client_certificate(bench: &mut Bench<'_>) -> Outcome {
    let device = with_certificate(bench)?;
    let mut session = bench.open(&device)?;
    let answer = session.send(session.package_1(), true)?;
    one_of("the Status with the certificate", &answer.header_status()?.code, &[200, 212])?;

    let mut without = device;
    without.account.identity = None;
    let mut session = bench.open(&without)?;
    let message = session.message(session.package_1(), true);
    let octets = session.encode(&message)?;
    let response = session.post(octets)?;
    refused(&mut session, response, "a message without the certificate")
}

/// A ClientHello of an old version: SSL 3.0 or TLS 1.0, with the suites of its time.
fn old_hello(minor: u8) -> Vec<u8> {
    let suites: &[u8] = &[0x00, 0x2F, 0x00, 0x0A, 0x00, 0x05]; // RSA with AES128-SHA, 3DES-SHA, RC4-SHA
    let mut hello = vec![0x03, minor];
    hello.extend([0x42; 32]);
    hello.push(0);
    hello.extend((suites.len() as u16).to_be_bytes());
    hello.extend(suites);
    hello.extend([1, 0]);
    let length = hello.len() as u16;
    let mut record = vec![0x16, 0x03, minor];
    record.extend((length + 4).to_be_bytes());
    record.extend([0x01, 0]);
    record.extend(length.to_be_bytes());
    record.extend(hello);
    record
}

pub(crate) fn tls_versions(bench: &mut Bench<'_>) -> Outcome {
    let device = bench.device()?;
    let url = HttpsUrl::parse(&device.account.server_uri).ok_or_else(|| Miss::broken("no https URL"))?;
    for (name, version) in [("TLS 1.2", &TLS12), ("TLS 1.3", &TLS13)] {
        let config = http::client_config(&device.account.ca_pem, None, &[version])?;
        let spoken = Connection::open(&url, config).is_ok();
        hold(bench.judged(spoken), || format!("{name} is not spoken"))?;
    }
    for (name, minor) in [("SSL 3.0", 0), ("TLS 1.0", 1)] {
        let mut tcp = http::connect(&url)?;
        tcp.write_all(&old_hello(minor))?;
        let mut answer = [0; 1];
        let answered = tcp.read(&mut answer).unwrap_or(0) == 1 && answer[0] == 0x16;
        let answered = !bench.judged(!answered);
        hold(!answered, || format!("{name} is answered with a handshake"))?;
    }
    Ok(())
}

pub(crate) fn other_source(bench: &mut Bench<'_>) -> Outcome {
    let (mine, other) = (bench.enrol(AuthType::Md5)?, bench.enrol(AuthType::Md5)?);
    for (account, source) in [(&mine, &other), (&other, &mine)] {
        // The route and the credentials of one, the Source of the other.
        let mut session = bench.open(account)?;
        for _ in 0..2 {
            let mut message = session.message(session.package_1(), true);
            message.header.source.uri.clone_from(&source.account.device_id);
            let octets = session.encode(&message)?;
            let response = session.post(octets)?;
            if response.status == 200 {
                let answer = session.take(response.clone());
                let chal = answer
                    .is_ok_and(|answer| answer.header_status().is_ok_and(|status| status.chal.is_some()));
                if chal {
                    continue;
                }
            }
            refused(&mut session, response, "a message with another's Source")?;
        }
        hold(session.accepted.is_none(), || "another's Source is accepted".to_owned())?;
    }
    Ok(())
}

pub(crate) fn user_enumeration(bench: &mut Bench<'_>) -> Outcome {
    let device = bench.device()?;
    let mut seen = Vec::new();
    for user in [device.account.user.clone(), Some("nobody".to_owned())] {
        let mut known = device.clone();
        known.account.user = user;
        let mut session = bench.open(&known)?;
        session.show = Show::Wrong;
        let mut codes = Vec::new();
        for _ in 0..2 {
            let answer = session.send(session.package_1(), true)?;
            let status = answer.header_status()?;
            codes.push((status.code, status.chal.as_ref().map(|chal| chal.type_.clone()), answer.alerts()));
        }
        seen.push(codes);
    }
    same("the answer to an unknown user", &seen[1], &seen[0])
}

pub(crate) fn hijacked(bench: &mut Bench<'_>) -> Outcome {
    let device = with_certificate(bench)?;
    let (session, _) = unfinished(bench, &device)?;
    let mut thief: Session = bench.open(&device)?;
    thief.account.identity = None;
    thief.session_id.clone_from(&session.session_id);
    thief.msg_id = session.msg_id;
    let message = thief.message(thief.package_1(), true);
    let octets = thief.encode(&message)?;
    let response = thief.post(octets)?;
    refused(&mut thief, response, "another connection with the session's ids")
}

pub(crate) fn brute_force(bench: &mut Bench<'_>) -> Outcome {
    let device = bench.device()?;
    let mut session = bench.open(&device)?;
    session.show = Show::Wrong;
    let mut slowed = false;
    for _ in 0..10 {
        let message = session.message(session.package_1(), true);
        let octets = session.encode(&message)?;
        let response = session.post(octets)?;
        slowed |= match response.status {
            200 => {
                let answer = session.take(response)?;
                answer.header_status()?.chal.is_none() || answer.alerts().contains(&1223)
            }
            status => (400..500).contains(&status) || status == 503,
        };
        hold(session.accepted.is_none(), || "a wrong password is accepted".to_owned())?;
    }
    hold(slowed, || "ten failures get ten challenges".to_owned())?;
    bench.signed_in(&device).map(drop).map_err(|miss| match miss {
        Miss::Broken(what) => Miss::Broken(format!("the device is locked out: {what}")),
        other => other,
    })
}

pub(crate) fn secrets(bench: &mut Bench<'_>) -> Outcome {
    let device = bench.device()?;
    let id = bench.queue_one(&device, &get("./A"))?;
    let shown = [bench.known(&device)?, bench.command(&id)?];
    let account = &device.account;
    let secrets = [&account.password, &account.server_password];
    for secret in secrets.into_iter().flatten() {
        let text = shown.iter().map(Value::to_string).collect::<String>();
        hold(!text.contains(secret.expose_secret()), || {
            "an answer to the operator holds a secret".to_owned()
        })?;
    }
    let names = |value: &Value| -> Vec<String> {
        value.as_object().into_iter().flatten().map(|(name, _)| name.to_ascii_lowercase()).collect()
    };
    let bad = shown.iter().flat_map(names).find(|name| name.contains("password") || name.contains("secret"));
    hold(bad.is_none(), || format!("an answer to the operator has the member {bad:?}"))
}
