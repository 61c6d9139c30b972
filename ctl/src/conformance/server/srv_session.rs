//! SRV-01 to SRV-09, SRV-15 to SRV-18, SRV-66: how a session is opened, carried on and closed.

use postern_wire::syncml::{Alert, Command, Item, Meta, Status};
use serde_json::{Value, json};

use super::{
    Answer, Bench, Session,
    bench::Device,
    reply::{Reply, agree, name_and_id, target_of},
};
use crate::conformance::{
    http::Request,
    verdict::{Miss, Outcome, hold, one_of, same, some},
};

/// A generic alert whose type every server of LAWMO knows.
pub(crate) fn generic_alert() -> Command {
    let meta = Meta {
        format: Some("chr".to_owned()),
        type_: Some("urn:oma:at:lawmo:1.0:OperationComplete".to_owned()),
        ..Meta::default()
    };
    let item = Item { meta, data: Some("1200".into()), ..Item::default() };
    Command::Alert(Alert { code: 1226, items: vec![item], ..Alert::default() })
}

fn next_message() -> Command {
    Command::Alert(Alert { code: 1222, ..Alert::default() })
}

/// A session whose package 1 goes on: signed in with a message without Final.
pub(crate) fn unfinished(bench: &mut Bench<'_>, device: &Device) -> Outcome<(Session, Answer)> {
    let mut session = bench.open(device)?;
    for _ in 0..3 {
        let answer = session.send(session.package_1(), false)?;
        if session.accepted.is_some() {
            return Ok((session, answer));
        }
    }
    Err(Miss::broken("the server does not take good credentials"))
}

pub(crate) fn opens(bench: &mut Bench<'_>) -> Outcome {
    let device = bench.device()?;
    let (_, answer) = bench.signed_in(&device)?;
    one_of("the Status for SyncHdr", &answer.header_status()?.code, &[200, 212])?;
    same("the Status for Alert", answer.status_of("Alert")?.code, 200)?;
    same("the Status for Replace", answer.status_of("Replace")?.code, 200)?;
    same("Final", answer.message.is_final, true)
}

pub(crate) fn answers_a_notification(bench: &mut Bench<'_>) -> Outcome {
    let device = bench.device()?;
    let asked = bench.ask("notify", &json!({"device_id": device.account.device_id}))?;
    let session_id = some("the SessionID of the notification", asked["session_id"].as_str())?.to_owned();
    let mut session = bench.open(&device)?;
    session.session_id.clone_from(&session_id);
    let answer = (0..3).find_map(|_| {
        let mut body = session.package_1();
        if let Some(Command::Alert(alert)) = body.first_mut() {
            alert.code = 1200;
        }
        let answer = session.send(body, true);
        (answer.is_err() || session.accepted.is_some()).then_some(answer)
    });
    let answer = answer.ok_or_else(|| Miss::broken("the server does not take good credentials"))??;
    same("SessionID", &answer.message.header.session_id, &session_id)?;
    same("the Status for Alert 1200", answer.status_of("Alert")?.code, 200)?;
    let input = json!({"device_id": device.account.device_id, "session_id": session_id});
    let state = bench.told_when("notification", &input, |told| told["state"] == "answered")?;
    same("the state of the notification", state["state"].as_str(), Some("answered"))
}

pub(crate) fn version_refused(bench: &mut Bench<'_>) -> Outcome {
    let device = bench.device()?;
    for (dtd, protocol, code) in [("9.9", "DM/1.2", 505), ("1.2", "DM/9.9", 513)] {
        let mut session = bench.open(&device)?;
        let mut message = session.message(session.package_1(), true);
        message.header.ver_dtd = dtd.to_owned();
        message.header.ver_proto = protocol.to_owned();
        let answer = session.send_message(&message)?;
        same(&format!("the Status for {dtd} and {protocol}"), answer.header_status()?.code, code)?;
        hold(answer.commands().is_empty(), || format!("there are commands: {:?}", answer.commands()))?;
    }
    Ok(())
}

pub(crate) fn header_fields(bench: &mut Bench<'_>) -> Outcome {
    let device = bench.device()?;
    let mut session = bench.open(&device)?;
    for number in 1..=4 {
        let body = if number < 4 { session.package_1() } else { vec![next_message()] };
        let answer = session.send(body, number == 4)?;
        let header = &answer.message.header;
        same("MsgID", header.msg_id, number)?;
        same("SessionID", &header.session_id, &session.session_id)?;
        same("Target", header.target.uri.as_str(), device.account.device_id.as_str())?;
        same("Source", header.source.uri.as_str(), device.account.server_uri.as_str())?;
        same("VerProto", header.ver_proto.as_str(), bench.variant.version.ver_proto())?;
    }
    Ok(())
}

/// One Status for each of `sent` and the header, the header's first, all about message `msg_ref`.
fn answered_each(answer: &Answer, sent: &[Command], msg_ref: u32) -> Outcome {
    let wanted = sent.iter().filter_map(name_and_id).map(|(name, id)| (name.to_owned(), id));
    let wanted: Vec<_> = std::iter::once(("SyncHdr".to_owned(), 0)).chain(wanted).collect();
    let got: Vec<_> = answer.statuses().map(|status| (status.cmd.clone(), status.cmd_ref)).collect();
    same("the Status elements", got, wanted)?;
    let refs = answer.statuses().map(|status| status.msg_ref);
    same("MsgRef", refs.collect::<Vec<_>>(), vec![Some(msg_ref); sent.len() + 1])
}

pub(crate) fn a_status_each(bench: &mut Bench<'_>) -> Outcome {
    let device = bench.device()?;
    let (mut session, _) = unfinished(bench, &device)?;
    let msg_id = session.msg_id;
    let body = vec![next_message(), generic_alert(), generic_alert()];
    let message = session.message(body, true);
    let answer = session.send_message(&message)?;
    answered_each(&answer, &message.body, msg_id)?;
    let mut ids: Vec<_> = answer.statuses().map(|status| status.cmd_id).collect();
    ids.extend(answer.commands().into_iter().filter_map(name_and_id).map(|(_, id)| id));
    let many = ids.len();
    ids.sort_unstable();
    ids.dedup();
    hold(ids.len() == many && !ids.contains(&0), || format!("the CmdIDs are not unique: {ids:?}"))
}

pub(crate) fn no_status_for_status(bench: &mut Bench<'_>) -> Outcome {
    let device = bench.device()?;
    let id = bench.queue_one(&device, &get("./DevDetail/SwV"))?;
    let (mut session, answer) = bench.signed_in(&device)?;
    let body = session.answers(&answer, agree);
    let results = body.iter().any(|command| matches!(command, Command::Results(_)));
    hold(results, || "the queued Get was not sent".to_owned())?;
    let answer = session.send(body, true)?;
    let names: Vec<_> = answer.statuses().map(|status| status.cmd.as_str()).collect();
    same("what has a Status", names, ["SyncHdr"])?;
    same("the command's state", bench.ended(&id)?["state"].as_str(), Some("succeeded"))
}

pub(crate) fn nothing_queued(bench: &mut Bench<'_>) -> Outcome {
    let device = bench.device()?;
    let (_, answer) = bench.signed_in(&device)?;
    hold(answer.commands().is_empty(), || format!("there are commands: {:?}", answer.commands()))?;
    same("Final", answer.message.is_final, true)
}

pub(crate) fn dev_info(bench: &mut Bench<'_>) -> Outcome {
    let device = bench.enrol(postern_wire::terms::AuthType::Md5)?;
    let mut session = bench.open(&device)?;
    for _ in 0..2 {
        let mut body = session.package_1();
        if let Some(Command::Replace(replace)) = body.last_mut() {
            replace.items.reverse();
        }
        session.send(body, true)?;
    }
    let known = bench.known_when(&device, |known| fact(known, "./DevInfo/Man").is_some())?;
    for (leaf, value) in
        [("./DevInfo/Man", "Conformance"), ("./DevInfo/Mod", "script"), ("./DevInfo/Lang", "en")]
    {
        same(leaf, fact(&known, leaf), Some(value))?;
    }
    Ok(())
}

/// What is known of a device under this key.
pub(super) fn fact<'v>(known: &'v Value, key: &str) -> Option<&'v str> {
    let facts = known["facts"].as_array().into_iter().flatten();
    facts.filter(|fact| fact["key"] == key).find_map(|fact| fact["value"].as_str())
}

pub(crate) fn without_dev_info(bench: &mut Bench<'_>) -> Outcome {
    let device = bench.device()?;
    let mut session = bench.open(&device)?;
    for _ in 0..3 {
        let alert = Command::Alert(Alert { code: 1201, ..Alert::default() });
        let answer = session.send(vec![alert], true)?;
        if session.accepted.is_some() {
            return one_of("the Status for Alert", &answer.status_of("Alert")?.code, &[200, 412]);
        }
    }
    Err(Miss::broken("the server does not take good credentials"))
}

/// A Get as the operator queues it.
pub(crate) fn get(uri: &str) -> String {
    format!("<Get><CmdID>1</CmdID><Item><Target><LocURI>{uri}</LocURI></Target></Item></Get>")
}

/// A Replace as the operator queues it.
pub(crate) fn replace(uri: &str, data: &str) -> String {
    format!(
        "<Replace><CmdID>1</CmdID><Item><Target><LocURI>{uri}</LocURI></Target><Data>{data}</Data></Item></Replace>"
    )
}

/// An answer to an unfinished package: Status, Alert 1222, no Final, no commands.
fn asks_for_more(answer: &Answer) -> Outcome {
    same("the alerts", answer.alerts(), [1222])?;
    same("the number of commands", answer.commands().len(), 1)?;
    same("Final", answer.message.is_final, false)
}

pub(crate) fn multi_message_package(bench: &mut Bench<'_>) -> Outcome {
    let device = bench.device()?;
    let queued = bench.queue_one(&device, &get("./DevDetail/SwV"));
    if let Err(Miss::Broken(what)) = queued {
        return Err(Miss::Broken(what));
    }
    let (mut session, answer) = unfinished(bench, &device)?;
    asks_for_more(&answer)?;
    let body = vec![Command::Status(session.header_answer(&answer)), generic_alert()];
    let answer = session.send(body, false)?;
    asks_for_more(&answer)?;
    let body = vec![Command::Status(session.header_answer(&answer)), generic_alert()];
    let answer = session.send(body, true)?;
    same("Final in the answer to Final", answer.message.is_final, true)?;
    if queued.is_ok() {
        let asked: Vec<_> = answer.commands().into_iter().filter_map(target_of).collect();
        same("the commands after Final", asked, ["./DevDetail/SwV"])?;
    }
    Ok(())
}

pub(crate) fn alert_inside_package(bench: &mut Bench<'_>) -> Outcome {
    let device = bench.device()?;
    let (mut session, answer) = unfinished(bench, &device)?;
    let body = vec![Command::Status(session.header_answer(&answer)), generic_alert()];
    let answer = session.send(body, false)?;
    one_of("the Status for the alert", &answer.status_of("Alert")?.code, &[200, 202])?;
    asks_for_more(&answer)
}

pub(crate) fn waits_for_status(bench: &mut Bench<'_>) -> Outcome {
    let device = bench.device()?;
    let first = bench.queue_one(&device, &get("./A"))?;
    let (mut session, answer) = bench.signed_in(&device)?;
    same(
        "the first command",
        answer.commands().into_iter().filter_map(target_of).collect::<Vec<_>>(),
        ["./A"],
    )?;
    bench.queue_one(&device, &get("./B"))?;
    let status = Command::Status(session.header_answer(&answer));
    let answer = session.send(vec![status], false)?;
    let sent: Vec<_> = answer.commands().into_iter().filter_map(target_of).collect();
    hold(sent.is_empty(), || format!("{sent:?} was sent before the package was complete"))?;
    let status = Command::Status(session.header_answer(&answer));
    let answer = session.send(vec![status], true)?;
    session.finish(answer, |_| Reply::silent())?;
    let state = bench.command(&first)?["state"].clone();
    hold(state != "succeeded", || "a command without a Status is taken for done".to_owned())
}

pub(crate) fn always_final(bench: &mut Bench<'_>) -> Outcome {
    let device = bench.device()?;
    for uri in ["./A", "./B", "./C"] {
        bench.queue_one(&device, &get(uri))?;
    }
    let (mut session, mut answer) = bench.signed_in(&device)?;
    loop {
        same("Final", answer.message.is_final, true)?;
        if answer.commands().is_empty() {
            return Ok(());
        }
        let body = session.answers(&answer, agree);
        answer = session.send(body, true)?;
    }
}

pub(crate) fn http(bench: &mut Bench<'_>) -> Outcome {
    let device = bench.device()?;
    let mut session = bench.open(&device)?;
    let path = session.url.path.clone();
    let answer =
        session.exchange(Request { method: "GET".to_owned(), path: path.clone(), ..Request::default() })?;
    same("the answer to GET", answer.status, 405)?;
    for chunked in [true, false] {
        let message = session.message(session.package_1(), true);
        let body = session.encode(&message)?;
        let media = bench.variant.style().media_type().header_value().to_owned();
        let no_store = ("Cache-Control".to_owned(), "no-store".to_owned());
        let headers = vec![("Content-Type".to_owned(), media), no_store];
        let answer = session.exchange(Request {
            method: "POST".to_owned(),
            path: path.clone(),
            headers,
            body,
            chunked,
        })?;
        session.take(answer)?;
    }
    Ok(())
}

/// A Status that no rule wants, for mutants.
pub(crate) fn stray_status() -> Command {
    Command::Status(Status {
        cmd_id: 99,
        msg_ref: Some(1),
        cmd_ref: 1,
        cmd: "Status".to_owned(),
        code: 200,
        ..Status::default()
    })
}
