//! SRV-37 to SRV-45, SRV-60 to SRV-64: alerts from the client, and what they end.

use postern_wire::syncml::{Alert, Command, Data, Item, Location, Meta};
use serde_json::Value;

use super::{
    Answer, Bench, Session,
    bench::Device,
    reply::{Reply, agree},
    srv_session::{generic_alert, unfinished},
};
use crate::conformance::verdict::{Outcome, hold, one_of, same};

/// A generic alert.
fn alert(type_: Option<&str>, source: Option<&str>, data: &str, correlator: Option<&str>) -> Command {
    let meta = Meta { format: Some("chr".to_owned()), type_: type_.map(str::to_owned), ..Meta::default() };
    let item =
        Item { source: source.map(Location::uri), meta, data: Some(Data::from(data)), ..Item::default() };
    Command::Alert(Alert {
        code: 1226,
        correlator: correlator.map(str::to_owned),
        items: vec![item],
        ..Alert::default()
    })
}

/// What a server answers to a command that a client sends in its package; and that the session goes on.
fn sent(bench: &mut Bench<'_>, command: Command) -> Outcome<u32> {
    let device = bench.device()?;
    let (mut session, answer) = unfinished(bench, &device)?;
    let answer = session.send(vec![Command::Status(session.header_answer(&answer)), command], false)?;
    let code = answer.status_of("Alert")?.code;
    same("the number of Status elements", answer.statuses().count(), 2)?;
    let answer = session.send(vec![Command::Status(session.header_answer(&answer))], true)?;
    one_of("the Status for the message after it", &answer.header_status()?.code, &[200, 212])?;
    Ok(code)
}

pub(crate) fn user_alert(bench: &mut Bench<'_>) -> Outcome {
    let code = sent(bench, Command::Alert(Alert { code: 1100, ..Alert::default() }))?;
    one_of("the Status for Alert 1100", &code, &[200, 405, 406])
}

pub(crate) fn unknown_type(bench: &mut Bench<'_>) -> Outcome {
    same("the Status", sent(bench, alert(Some("com.x/unknown"), None, "1", None))?, 415)
}

pub(crate) fn without_type(bench: &mut Bench<'_>) -> Outcome {
    same("the Status", sent(bench, alert(None, None, "1", None))?, 412)
}

pub(crate) fn several_items(bench: &mut Bench<'_>) -> Outcome {
    let Command::Alert(mut three) = generic_alert() else { return Ok(()) };
    three.items = vec![three.items[0].clone(); 3];
    let code = sent(bench, Command::Alert(three))?;
    one_of("the Status", &code, &[200, 202])
}

pub(crate) fn prefixed(bench: &mut Bench<'_>) -> Outcome {
    for type_ in [
        "Reversed-Domain-Name: org.openmobilealliance.dm.firmwareupdate.download",
        "  urn:oma:at:lawmo:1.0:OperationComplete ",
    ] {
        let code = sent(bench, alert(Some(type_), None, "200", None))?;
        one_of(&format!("the Status for {type_:?}"), &code, &[200, 202])?;
    }
    Ok(())
}

pub(crate) fn client_event(bench: &mut Bench<'_>) -> Outcome {
    let Command::Alert(event) = alert(Some("com.example.event"), None, "1", None) else { return Ok(()) };
    let code = sent(bench, Command::Alert(Alert { code: 1224, ..event }))?;
    one_of("the Status", &code, &[200, 406])
}

pub(crate) fn beside_1201(bench: &mut Bench<'_>) -> Outcome {
    let device = bench.device()?;
    let mut session = bench.open(&device)?;
    let answer = session.sign_in(vec![generic_alert()])?;
    let codes: Vec<_> =
        answer.statuses().filter(|status| status.cmd == "Alert").map(|status| status.code).collect();
    same("the number of Status for Alert", codes.len(), 2)?;
    hold(codes.iter().all(|code| matches!(code, 200 | 202)), || format!("they are {codes:?}"))
}

/// An Exec as the operator queues it.
fn exec(uri: &str, correlator: &str) -> String {
    format!(
        "<Exec><CmdID>1</CmdID><Correlator>{correlator}</Correlator><Item><Target><LocURI>{uri}</LocURI></Target>\
         <Data>1</Data></Item></Exec>"
    )
}

/// Queues an Exec that the client accepts with 202: its id, and the session behind it.
fn accepted(
    bench: &mut Bench<'_>,
    device: &Device,
    uri: &str,
    correlator: &str,
) -> Outcome<(String, Session, Answer)> {
    let id = bench.queue_one(device, &exec(uri, correlator))?;
    let (mut session, answer) = bench.signed_in(device)?;
    let body = session.answers(&answer, |command| match command {
        Command::Exec(_) => Reply::code(202),
        other => agree(other),
    });
    hold(body.len() > 1, || "the Exec was not sent".to_owned())?;
    let answer = session.send(body, false)?;
    let state = bench.command(&id)?["state"].clone();
    hold(state == "sent" || state == "queued", || format!("after 202 the command is {state}"))?;
    Ok((id, session, answer))
}

/// The alert that ends it, in the same session: what became of the Exec.
fn completed(bench: &mut Bench<'_>, uri: &str, type_: &str, data: &str) -> Outcome<Value> {
    let device = bench.device()?;
    let (id, mut session, answer) = accepted(bench, &device, uri, "c1")?;
    let done = alert(Some(type_), Some(uri), data, Some("c1"));
    let answer = session.send(vec![Command::Status(session.header_answer(&answer)), done], true)?;
    one_of("the Status for the alert", &answer.status_of("Alert")?.code, &[200, 202])?;
    session.finish(answer, agree)?;
    bench.ended(&id)
}

fn ends(bench: &mut Bench<'_>, uri: &str, type_: &str, data: &str, state: &str) -> Outcome {
    let command = completed(bench, uri, type_, data)?;
    same(&format!("the state after {data}"), command["state"].as_str(), Some(state))
}

const SCOMO: &str = "urn:oma:at:scomo:1.0:OperationComplete";
const FUMO: &str = "org.openmobilealliance.dm.firmwareupdate.downloadandupdate";

pub(crate) fn generic(bench: &mut Bench<'_>) -> Outcome {
    let device = bench.device()?;
    let (first, mut session, answer) = accepted(bench, &device, "./Vendor/x/Operations/Run", "c1")?;
    let done = alert(Some(SCOMO), Some("./Vendor/x/Operations/Run"), "1200", Some("c1"));
    let answer = session.send(vec![Command::Status(session.header_answer(&answer)), done], true)?;
    one_of("the Status for the alert", &answer.status_of("Alert")?.code, &[200, 202])?;
    session.finish(answer, agree)?;
    let command = bench.ended(&first)?;
    same("the command's state", command["state"].as_str(), Some("succeeded"))?;
    same("the result code that is kept", command["results"][0]["data"].as_str(), Some("1200"))
}

pub(crate) fn later_session(bench: &mut Bench<'_>) -> Outcome {
    let mut device = bench.device()?;
    let uri = "./Vendor/x/Operations/Run";
    let (id, mut session, answer) = accepted(bench, &device, uri, "c1")?;
    let answer = session.send(vec![Command::Status(session.header_answer(&answer))], true)?;
    session.finish(answer, agree)?;
    device.keep(&session);
    let state = bench.command(&id)?["state"].clone();
    hold(state == "sent", || format!("between the sessions the command is {state}"))?;
    let mut session = bench.open(&device)?;
    let answer = session.sign_in(vec![alert(Some(SCOMO), Some(uri), "1200", Some("c1"))])?;
    session.finish(answer, agree)?;
    same("the command's state", bench.ended(&id)?["state"].as_str(), Some("succeeded"))
}

pub(crate) fn wipe(bench: &mut Bench<'_>) -> Outcome {
    ends(bench, "./LAWMO/Operations/Wipe", "urn:oma:at:lawmo:1.0:OperationComplete", "1201", "succeeded")
}

pub(crate) fn reset(bench: &mut Bench<'_>) -> Outcome {
    let mut device = bench.device()?;
    let (id, mut session, answer) = accepted(bench, &device, "./LAWMO/Operations/FactoryReset", "c1")?;
    let answer = session.send(vec![Command::Status(session.header_answer(&answer))], true)?;
    session.finish(answer, agree)?;
    device.keep(&session);
    let (mut session, answer) = bench.signed_in(&device)?;
    let again = session.finish(answer, agree)?;
    hold(again.is_empty(), || format!("the reset is sent again: {again:?}"))?;
    same("the command's state", bench.command(&id)?["state"].as_str(), Some("sent"))
}

pub(crate) fn installation(bench: &mut Bench<'_>) -> Outcome {
    let uri = "./SCOMO/Download/p1/Operations/DownloadInstall";
    let result = |code: u32| format!("<ResultCode>{code}</ResultCode><Identifier>p1</Identifier>");
    ends(bench, uri, SCOMO, &result(1200), "succeeded")?;
    ends(bench, uri, SCOMO, &result(1405), "failed")
}

pub(crate) fn update(bench: &mut Bench<'_>) -> Outcome {
    for (code, state) in
        [("200", "succeeded"), ("255", "succeeded"), ("402", "failed"), ("410", "failed"), ("455", "failed")]
    {
        ends(bench, "./FUMO/DownloadAndUpdate", FUMO, code, state)?;
    }
    Ok(())
}

pub(crate) fn device_request(bench: &mut Bench<'_>) -> Outcome {
    let type_ = "org.openmobilealliance.dm.firmwareupdate.devicerequest";
    let code = sent(bench, alert(Some(type_), Some("./FUMO"), "", None))?;
    one_of("the Status", &code, &[200, 202])
}
