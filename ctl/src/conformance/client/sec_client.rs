//! SEC on the side of the client: how it proves itself, and whom it believes.

use postern_wire::{
    auth,
    syncml::{Command, Meta},
    terms::AuthType,
};

use super::{
    Bench, Session, Setup,
    bench::{PASSWORD, SERVER_PASSWORD, USER},
    xml,
};
use crate::conformance::verdict::{Miss, Outcome, hold, one_of, same, some};

/// A challenge for md5.
fn challenge(nonce: &[u8]) -> Meta {
    Meta {
        format: Some("b64".to_owned()),
        type_: Some(auth::TYPE_MD5.to_owned()),
        next_nonce: Some(auth::encode_nonce(nonce)),
        ..Meta::default()
    }
}

fn md5() -> Setup {
    Setup { auth: AuthType::Md5, ..Setup::default() }
}

/// The client's Cred is that of its password under this nonce.
fn proves(session: &Session<'_>, nonce: &[u8]) -> Outcome {
    let header = &session.message.header;
    let cred = some("Cred", header.cred.as_ref())?;
    same("LocName of Source", header.source.name.as_deref(), Some(USER))?;
    same("Cred's Format", cred.meta.format.as_deref(), Some("b64"))?;
    let wanted = auth::md5_digest(&auth::user_password_hash(USER, PASSWORD), nonce);
    same("Cred's Data", cred.data.as_text(), Some(wanted.as_str()))
}

const NONCE: &[u8] = b"\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0A\x0B\x0C\x0D\x0E\x0F";

/// Challenges the client's first message; its second one.
fn challenged<'b>(bench: &'b mut Bench<'_>, setup: &Setup) -> Outcome<Session<'b>> {
    let mut session = bench.session_with(setup)?;
    session.header_code = 407;
    session.chal = Some(challenge(NONCE));
    session.send("", true)?;
    session.receive()?;
    session.header_code = 212;
    session.chal = None;
    Ok(session)
}

pub(crate) fn answers_challenge(bench: &mut Bench<'_>) -> Outcome {
    let mut session = challenged(bench, &md5())?;
    same("MsgID", session.message.header.msg_id, 2)?;
    proves(&session, NONCE)?;
    let again = session
        .message
        .body
        .iter()
        .filter(|command| matches!(command, Command::Alert(_) | Command::Replace(_)));
    same("the commands that are sent again", again.count(), 2)?;
    session.chal = Some(challenge(b"the nonce for the next session.."));
    session.close()
}

pub(crate) fn basic(bench: &mut Bench<'_>) -> Outcome {
    let session = bench.session()?;
    let cred = some("Cred", session.message.header.cred.as_ref())?;
    same("Cred's Type", cred.meta.type_.as_deref(), Some(auth::TYPE_BASIC))?;
    same("Cred's Data", cred.data.as_text(), Some("QnJ1Y2UyOk9oQmVoYXZl"))?;
    session.close()
}

pub(crate) fn stored_nonce(bench: &mut Bench<'_>) -> Outcome {
    let mut session = challenged(bench, &md5())?;
    let next = b"a nonce of the server's choosing";
    session.chal = Some(challenge(next));
    session.close()?;
    let session = bench.session_with(&Setup { fresh: false, ..md5() })?;
    proves(&session, next)?;
    session.close()
}

pub(crate) fn other_type(bench: &mut Bench<'_>) -> Outcome {
    let mut session = bench.session_with(&md5())?;
    session.header_code = 407;
    session.chal = Some(Meta { type_: Some("syncml:auth-other".to_owned()), ..challenge(NONCE) });
    session.send("", true)?;
    session.ends()
}

fn proved_by_server() -> Setup {
    Setup { server_password: true, ..md5() }
}

/// The SyncHdr Status in the client's last message.
fn header_status<'s>(session: &'s Session<'_>) -> Outcome<&'s postern_wire::syncml::Status> {
    let status = session.message.body.iter().find_map(|command| match command {
        Command::Status(status) if status.cmd_ref == 0 => Some(status),
        _ => None,
    });
    some("the Status for SyncHdr", status)
}

/// The nonce that the client's challenge gives the server.
fn servers_nonce(session: &Session<'_>) -> Outcome<Vec<u8>> {
    let chal = header_status(session)?.chal.as_ref();
    some("NextNonce", chal.and_then(|chal| chal.next_nonce.as_deref()).and_then(auth::decode_nonce))
}

/// The client challenges a server that does not prove itself, refuses its commands, and takes it when it does.
pub(crate) fn challenges_server(bench: &mut Bench<'_>) -> Outcome {
    let mut session = challenged(bench, &proved_by_server())?;
    session.cred = Some(Session::server_md5("not the password", b""));
    let done = session.once(&xml::get(101, "./DevInfo/Man"), true)?;
    one_of("the Status for a command of a server without proof", &done.code(101)?, &[401, 407])?;
    same("the Status for the wrong Cred", header_status(&session)?.code, 401)?;
    let nonce = servers_nonce(&session)?;
    session.cred = Some(Session::server_md5(SERVER_PASSWORD, &nonce));
    let done = session.once(&xml::get(102, "./DevInfo/Man"), true)?;
    one_of("the Status for the good Cred", &header_status(&session)?.code, &[200, 212])?;
    same("the Status for the command", done.code(102)?, 200)?;
    session.close()
}

pub(crate) fn unproved_challenge(bench: &mut Bench<'_>) -> Outcome {
    let good = b"the nonce that the server chose.";
    let mut session = challenged(bench, &proved_by_server())?;
    session.cred = Some(Session::server_md5(SERVER_PASSWORD, &servers_nonce(&session)?));
    session.chal = Some(challenge(good));
    let done = session.once(&xml::get(101, "./DevInfo/Man"), true)?;
    one_of("the Status for the good Cred", &header_status(&session)?.code, &[200, 212])?;
    same("the Status for the command", done.code(101)?, 200)?;
    session.chal = None;
    session.cred = None;
    session.close()?;

    let mut attacked = bench.session_with(&Setup { fresh: false, ..proved_by_server() })?;
    proves(&attacked, good)?;
    attacked.cred = Some(Session::server_md5("not the password", b""));
    attacked.chal = Some(challenge(b"the nonce of an attacker........"));
    attacked.close()?;

    let session = bench.session_with(&Setup { fresh: false, ..proved_by_server() })?;
    let shown = proves(&session, b"the nonce of an attacker........");
    hold(shown.is_err(), || "the attacker's nonce is stored".to_owned())?;
    session.close()
}

pub(crate) fn secrets(bench: &mut Bench<'_>) -> Outcome {
    let mut session = bench.session()?;
    let done = session.run(&xml::get(101, "./DMAcc"))?;
    let Some(accounts) = done.value(101) else {
        session.close()?;
        return Err(Miss::not_applicable("the client has no ./DMAcc"));
    };
    let account = format!("./DMAcc/{}/AppAuth", accounts.split('/').next().unwrap_or_default());
    let done = session.run(&xml::get(102, &account))?;
    let levels = done.value(102).unwrap_or_default();
    let mut seen = 0;
    for level in levels.split('/').filter(|name| !name.is_empty()) {
        let leaves = ["AAuthSecret", "AAuthData"];
        let gets: String = (0..)
            .zip(leaves)
            .map(|(n, leaf)| xml::get(103 + n, &format!("{account}/{level}/{leaf}")))
            .collect();
        let done = session.run(&gets)?;
        for cmd_id in [103, 104] {
            one_of("the Status for Get of a secret", &done.code(cmd_id)?, &[404, 405, 425])?;
            same("the value of a secret", done.value(cmd_id), None)?;
            seen += 1;
        }
    }
    hold(seen > 0, || "no account has a secret".to_owned())?;
    session.close()
}

/// The node of the client's own secret: `./DMAcc/<X>/AppAuth/<X>/AAuthSecret` where AAuthLevel is CLCRED.
fn own_secret(session: &mut Session<'_>) -> Outcome<String> {
    let children = |session: &mut Session<'_>, uri: &str| -> Outcome<Vec<String>> {
        let names = session.run(&xml::get(101, uri))?.value(101).unwrap_or_default();
        Ok(names.split('/').filter(|name| !name.is_empty()).map(|name| format!("{uri}/{name}")).collect())
    };
    for account in children(session, "./DMAcc")? {
        for auth in children(session, &format!("{account}/AppAuth"))? {
            let level = session.run(&xml::get(102, &format!("{auth}/AAuthLevel")))?.value(102);
            if level.as_deref() == Some("CLCRED") {
                return Ok(format!("{auth}/AAuthSecret"));
            }
        }
    }
    Err(Miss::not_applicable("the client shows no account of its own"))
}

fn shows(session: &Session<'_>, password: &str) -> Outcome {
    let cred = some("Cred", session.message.header.cred.as_ref())?;
    same("Cred's Data", cred.data.as_text(), Some(auth::basic(USER, password).as_str()))
}

pub(crate) fn rotated(bench: &mut Bench<'_>) -> Outcome {
    let mut session = bench.session()?;
    session.header_code = 200; // so that each message bears credentials
    let secret = own_secret(&mut session)?;
    let done = session.run(&xml::replace(103, &secret, "the new one"))?;
    if matches!(done.code(103)?, 405 | 425) {
        session.close()?;
        return Err(Miss::not_applicable("the client lets no server change its secret"));
    }
    same("the Status for the new secret", done.code(103)?, 200)?;
    session.run(&xml::get(104, "./DevInfo/Man"))?;
    shows(&session, PASSWORD)?;
    session.close()?;
    let session = bench.session_with(&Setup { fresh: false, ..Setup::default() })?;
    shows(&session, "the new one")?;
    session.close()
}
