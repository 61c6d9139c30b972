//! SRV-46 to SRV-53: sessions that are aborted, broken off, repeated, or led elsewhere.

use std::net::TcpListener;

use postern_wire::syncml::{Alert, Command};
use serde_json::json;

use super::{
    Bench,
    reply::{agree, target_of},
    srv_session::{get, replace, unfinished},
};
use crate::conformance::{
    http::HttpsUrl,
    verdict::{Miss, Outcome, hold, same},
};

pub(crate) fn client_aborts(bench: &mut Bench<'_>) -> Outcome {
    let device = bench.device()?;
    let queued = bench.queue_one(&device, &get("./A"));
    if let Err(Miss::Broken(what)) = queued {
        return Err(Miss::Broken(what));
    }
    let (mut session, answer) = unfinished(bench, &device)?;
    let abort = Command::Alert(Alert { code: 1223, ..Alert::default() });
    let answer = session.send(vec![Command::Status(session.header_answer(&answer)), abort], true)?;
    same("the Status for Alert", answer.status_of("Alert")?.code, 200)?;
    answer.header_status()?;
    hold(answer.commands().is_empty(), || format!("there are commands: {:?}", answer.commands()))
}

pub(crate) fn server_aborts(bench: &mut Bench<'_>) -> Outcome {
    let device = bench.device()?;
    let id = bench.queue_one(&device, &get("./A"))?;
    let (mut session, answer) = unfinished(bench, &device)?;
    bench.ask("abort", &json!({"device_id": device.account.device_id}))?;
    let answer = session.send(vec![Command::Status(session.header_answer(&answer))], true)?;
    same("the alerts", answer.alerts(), [1223])?;
    same("Final", answer.message.is_final, true)?;
    same("the command's state", bench.command(&id)?["state"].as_str(), Some("queued"))
}

pub(crate) fn client_is_lost(bench: &mut Bench<'_>) -> Outcome {
    let device = bench.device()?;
    let id = bench.queue_one(&device, &replace("./Vendor/A", "1"))?;
    let (mut session, answer) = bench.signed_in(&device)?;
    hold(!answer.commands().is_empty(), || "the command was not sent".to_owned())?;
    session.disconnect();
    let state = bench.command(&id)?["state"].clone();
    hold(state != "succeeded" && state != "failed", || format!("the command is {state} without an answer"))?;

    let (mut session, answer) = bench.signed_in(&device)?;
    let asked = session.finish(answer, agree)?;
    let looked_after = asked.iter().filter_map(target_of).any(|uri| uri == "./Vendor/A");
    hold(looked_after, || format!("the next session asks only for {asked:?}"))?;
    same("the command's state", bench.ended(&id)?["state"].as_str(), Some("succeeded"))
}

pub(crate) fn repeated(bench: &mut Bench<'_>) -> Outcome {
    let device = bench.device()?;
    let (mut session, answer) = unfinished(bench, &device)?;
    let message = session.message(vec![Command::Status(session.header_answer(&answer))], false);
    let octets = session.encode(&message)?;
    let first = session.send_octets(octets.clone())?;
    let second = session.send_octets(octets)?;
    hold(first.octets == second.octets, || "the reply to the repeated message is another".to_owned())?;
    let answer = session.send(vec![Command::Status(session.header_answer(&second))], true)?;
    same("MsgID of the reply after it", answer.message.header.msg_id, first.message.header.msg_id + 1)
}

pub(crate) fn parallel(bench: &mut Bench<'_>) -> Outcome {
    let mut device = bench.device()?;
    bench.queue_one(&device, &get("./A"))?;
    let asks =
        |answer: &super::Answer| answer.commands().into_iter().filter_map(target_of).collect::<Vec<_>>();
    let (mut old, in_old) = bench.signed_in(&device)?;
    same("the commands of the old session", asks(&in_old), ["./A"])?;
    device.keep(&old);
    let (mut new, in_new) = bench.signed_in(&device)?;
    same("the commands of the new session", asks(&in_new), ["./A"])?;
    let body = old.answers(&in_old, agree);
    let message = old.message(body, true);
    let octets = old.encode(&message)?;
    let answered = old.post(octets)?;
    let goes_on = answered.status == 200
        && old
            .take(answered)
            .is_ok_and(|answer| answer.header_status().is_ok_and(|status| status.code < 300));
    hold(!goes_on, || "the old session goes on".to_owned())?;
    let rest = new.finish(in_new, agree)?;
    same("how often the command was sent in the new session", rest.len(), 1)
}

pub(crate) fn wrong_session(bench: &mut Bench<'_>) -> Outcome {
    let mut device = bench.device()?;
    let mut session = bench.open(&device)?;
    session.msg_id = 5;
    let message = session.message(session.package_1(), true);
    let octets = session.encode(&message)?;
    let answered = session.post(octets)?;
    hold(answered.status < 500, || format!("the answer is {}", answered.summary()))?;
    if answered.status == 200 {
        session.take(answered)?;
        device.keep(&session);
    }
    bench.signed_in(&device).map(drop)
}

pub(crate) fn resp_uri_out(bench: &mut Bench<'_>) -> Outcome {
    let device = bench.device()?;
    let (mut session, answer) = unfinished(bench, &device)?;
    let Some(uri) = answer.message.header.resp_uri.clone() else {
        return Err(Miss::not_applicable("the server sends no RespURI"));
    };
    let base = session.url.clone();
    let next =
        HttpsUrl::parse(&uri).ok_or_else(|| Miss::broken(format!("RespURI {uri:?} is no https URL")))?;
    if (&next.host, next.port) != (&base.host, base.port) {
        session.disconnect();
    }
    session.url = next;
    let answer = session.send(vec![Command::Status(session.header_answer(&answer))], false)?;
    session.url = base;
    session.disconnect();
    session.send(vec![Command::Status(session.header_answer(&answer))], true).map(drop)
}

pub(crate) fn resp_uri_in(bench: &mut Bench<'_>) -> Outcome {
    let device = bench.device()?;
    let trap = TcpListener::bind(("127.0.0.1", 0))?;
    trap.set_nonblocking(true)?;
    let mut session = bench.open(&device)?;
    session.resp_uri = Some(format!("https://127.0.0.1:{}/elsewhere", trap.local_addr()?.port()));
    let answer = session.sign_in(Vec::new())?;
    session.finish(answer, agree)?;
    hold(trap.accept().is_err(), || "the server connects to a client's RespURI".to_owned())
}
