//! CLI-02, NOT-09, NOT-11, NOT-12, BOO-11, BOO-12, BOO-14: notifications and bootstraps that reach a client.

use postern_wire::{
    auth,
    bootstrap::{
        cp::{Account, Address, AuthTypes, Credential, Level},
        mac::{Secrets, seal},
    },
    notification::{Package0, SessionId, Trigger},
    push::{Push, PushMedia, SecurityMethod, wsp},
    syncml::{Command, Meta},
    terms::AuthType,
};
use secrecy::SecretString;

use super::{
    Bench, Session, Setup,
    bench::{PASSWORD, PATH, SERVER_ID, SERVER_PASSWORD, USER},
    xml::{add, get},
};
use crate::conformance::verdict::{Miss, Outcome, hold, one_of, same, some};

/// The server of the second account.
const OTHER: &str = "other.example";
/// What the user is told beside the bootstrap.
const PIN: &str = "1234";

fn failed<T, E: std::fmt::Display>(what: &str, result: Result<T, E>) -> Outcome<T> {
    result.map_err(|error| Miss::broken(format!("{what}: {error}")))
}

/// Package 0 for a session, under the default nonce: that of a client that was given none yet.
fn package_0(session: u16, password: &str) -> Outcome<Vec<u8>> {
    let trigger = Trigger::new(some("a session id", SessionId::new(session))?, SERVER_ID);
    let hash = auth::user_password_hash(SERVER_ID, password);
    Ok(failed("package 0", Package0::seal(trigger, &hash, &[0; 4]))?.encode())
}

/// A good package 0 for session 1, for mutants.
pub(crate) fn good_package_0() -> Vec<u8> {
    package_0(1, SERVER_PASSWORD).unwrap_or_default()
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

fn basic(fresh: bool) -> Setup {
    Setup { auth: AuthType::Basic, server_password: true, fresh, user: Vec::new() }
}

/// Hands the client a notification; the session that it opens.
fn notify<'b>(bench: &'b mut Bench<'_>, setup: &Setup, package: Vec<u8>) -> Outcome<Option<Session<'b>>> {
    let package = bench.written(package);
    let mut input = bench.input(setup);
    input["package0"] = hex(&package).into();
    bench.begin("notify", &input)?;
    bench.opened()
}

fn alerts(session: &Session<'_>) -> Vec<u32> {
    let code = |command: &Command| match command {
        Command::Alert(alert) => Some(alert.code),
        _ => None,
    };
    session.message.body.iter().filter_map(code).collect()
}

pub(crate) fn notified(bench: &mut Bench<'_>) -> Outcome {
    let session = notify(bench, &basic(true), package_0(0x00FF, SERVER_PASSWORD)?)?;
    let session = some("the session that was asked for", session)?;
    same("SessionID", session.message.header.session_id.as_str(), "FF")?;
    same("the alerts", alerts(&session), [1200])?;
    session.close()
}

pub(crate) fn forged(bench: &mut Bench<'_>) -> Outcome {
    let session = notify(bench, &basic(true), package_0(1, "not the password")?)?;
    hold(session.is_none(), || "a forged notification opens a session".to_owned())
}

pub(crate) fn told_again(bench: &mut Bench<'_>) -> Outcome {
    let first = notify(bench, &basic(true), package_0(7, SERVER_PASSWORD)?)?;
    some("the session that was asked for", first)?.close()?;
    let second = notify(bench, &basic(false), package_0(7, SERVER_PASSWORD)?)?;
    hold(second.is_none(), || "the notification opens a second session".to_owned())
}

pub(crate) fn resynchronised(bench: &mut Bench<'_>) -> Outcome {
    let setup = Setup { auth: AuthType::Md5, ..basic(true) };
    let zero = [0; 4];
    let session = notify(bench, &setup, package_0(9, SERVER_PASSWORD)?)?;
    let mut session = some("the session that was asked for", session)?;
    let cred = some("Cred", session.message.header.cred.as_ref())?;
    let wanted = auth::md5_digest(&auth::user_password_hash(USER, PASSWORD), &zero);
    same("the proof under the zero nonce", cred.data.as_text(), Some(wanted.as_str()))?;
    let next = b"the nonce after the resynchroni.";
    session.chal = Some(Meta {
        format: Some("b64".to_owned()),
        type_: Some(auth::TYPE_MD5.to_owned()),
        next_nonce: Some(auth::encode_nonce(next)),
        ..Meta::default()
    });
    session.cred = Some(Session::server_md5(SERVER_PASSWORD, &zero));
    let done = session.once(&get(101, "./DevInfo/Man"), true)?;
    same("the Status for a command of the server so proved", done.code(101)?, 200)?;
    let header = done.statuses.iter().find(|status| status.cmd_ref == 0);
    let header = some("the Status for SyncHdr", header)?;
    one_of("it", &header.code, &[200, 212])?;
    some("the new nonce for the server", header.chal.as_ref().and_then(|chal| chal.next_nonce.as_ref()))?;
    session.chal = None;
    session.cred = None;
    session.close()?;
    let session = bench.session_with(&Setup { fresh: false, ..setup })?;
    let cred = some("Cred", session.message.header.cred.as_ref())?;
    let wanted = auth::md5_digest(&auth::user_password_hash(USER, PASSWORD), next);
    same("the proof in the next session", cred.data.as_text(), Some(wanted.as_str()))?;
    session.close()
}

/// The bootstrap of a second account with this listener, as a WSP push.
fn document(bench: &Bench<'_>) -> Outcome<Vec<u8>> {
    let account = Account {
        server_id: OTHER.to_owned(),
        name: Some("Other".to_owned()),
        init: true,
        addresses: vec![Address {
            address: format!("{}{PATH}", bench.target.listener.origin),
            kind: Some("URI".to_owned()),
            ports: Vec::new(),
        }],
        credentials: vec![Credential {
            level: Level::ClientToServer,
            kind: Some("BASIC".to_owned()),
            name: Some(USER.to_owned()),
            secret: Some(SecretString::from(PASSWORD)),
            data: None,
        }],
        ..Account::default()
    };
    let document = failed("the document", account.document(&[]).to_wbxml(AuthTypes::default()))?;
    let secrets = Secrets { network: None, pin: Some(SecretString::from(PIN)) };
    let push = Push::bootstrap(PushMedia::ConnectivityWbxml, None, document);
    let sealed = failed("the bootstrap", seal(push, SecurityMethod::UserPin, &secrets))?;
    failed("the push", wsp::encode(&sealed, 1))
}

/// Hands the client a bootstrap and the PIN that its user types; the session of the new account.
fn bootstrap<'b>(
    bench: &'b mut Bench<'_>,
    fresh: bool,
    push: &[u8],
    pin: &str,
) -> Outcome<Option<Session<'b>>> {
    let mut input = bench.input(&Setup { fresh, ..Setup::default() });
    input["push"] = hex(push).into();
    input["pin"] = pin.into();
    input["server_id"] = OTHER.into();
    bench.begin("bootstrap", &input)?;
    bench.opened()
}

/// The node of the second account.
fn object(session: &mut Session<'_>) -> Outcome<String> {
    let names = session.run(&get(101, "./DMAcc"))?.value(101).unwrap_or_default();
    for name in names.split('/') {
        let uri = format!("./DMAcc/{name}");
        if session.run(&get(102, &format!("{uri}/ServerID")))?.value(102).as_deref() == Some(OTHER) {
            return Ok(uri);
        }
    }
    Err(Miss::broken(format!("none of {names:?} under ./DMAcc is the new account")))
}

pub(crate) fn applied(bench: &mut Bench<'_>) -> Outcome {
    let push = document(bench)?;
    let session = bootstrap(bench, true, &push, PIN)?;
    let mut session = some("the new account's session", session)?;
    let uri = object(&mut session)?;
    let list = session.run(&get(103, &format!("{uri}?prop=ACL")))?.value(103).unwrap_or_default();
    for right in ["Get", "Replace", "Delete"] {
        let granted = list.split('&').any(|entry| entry == format!("{right}={OTHER}"));
        hold(granted, || format!("the account's ACL is {list:?}"))?;
    }
    session.close()
}

pub(crate) fn rejected(bench: &mut Bench<'_>) -> Outcome {
    let good = document(bench)?;
    let mut bad = good.clone();
    bad.push(0); // the MAC is over what it was
    let bad = bench.written(bad);
    let session = bootstrap(bench, true, &bad, PIN)?;
    hold(session.is_none(), || "a bootstrap with a wrong MAC is applied".to_owned())?;
    for pin in ["1111", "2222", "3333", PIN] {
        let session = bootstrap(bench, false, &good, pin)?;
        hold(session.is_none(), || format!("after wrong PINs, {pin} is taken"))?;
    }
    Ok(())
}

pub(crate) fn second_server(bench: &mut Bench<'_>) -> Outcome {
    let push = document(bench)?;
    let own = bench.uri("own");
    let first = bench.session()?;
    let mut session = first;
    session.run(&add(101, &own, "mine"))?;
    let names = session.run(&get(102, "./DMAcc"))?.value(102).unwrap_or_default();
    session.close()?;
    let session = bootstrap(bench, false, &push, PIN)?;
    some("the new account's session", session)?.close()?;

    let mut session = bench.session_with(&Setup { fresh: false, ..Setup::default() })?;
    let done = session.run(&[get(103, &own), get(104, "./DMAcc")].concat())?;
    session.close()?;
    same("the first server's value", done.value(103).as_deref(), Some("mine"))?;
    let after = done.value(104).unwrap_or_default();
    let kept = names.split('/').all(|name| after.split('/').any(|now| now == name));
    hold(kept, || format!("of the accounts {names:?} there are {after:?}"))?;
    same("the number of accounts", after.split('/').count(), names.split('/').count() + 1)
}
