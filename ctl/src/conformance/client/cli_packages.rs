//! CLI-01, CLI-19 to CLI-23, CLI-31: packages, Final, the end of a session.

use postern_wire::syncml::{Command, Encoding};

use super::{Bench, xml};
use crate::conformance::verdict::{Miss, Outcome, hold, one_of, same};

pub(crate) fn first_message(bench: &mut Bench<'_>) -> Outcome {
    let version = bench.variant.version;
    let session = bench.session()?;
    let message = &session.message;
    same("VerProto", message.header.ver_proto.as_str(), version.ver_proto())?;
    same("MsgID", message.header.msg_id, 1)?;
    same("Final", message.is_final, true)?;
    let alerts = message.body.iter().filter_map(|command| match command {
        Command::Alert(alert) => Some(alert.code),
        _ => None,
    });
    same("the alerts", alerts.collect::<Vec<_>>(), [1201])?;
    let leaves: Vec<_> = message
        .body
        .iter()
        .filter_map(|command| match command {
            Command::Replace(request) => Some(&request.items),
            _ => None,
        })
        .flatten()
        .filter_map(|item| item.source.as_ref().map(|source| source.uri.trim_start_matches("./").to_owned()))
        .collect();
    for leaf in ["DevInfo/DevId", "DevInfo/Man", "DevInfo/Mod", "DevInfo/DmV", "DevInfo/Lang"] {
        hold(leaves.iter().any(|got| got == leaf), || format!("{leaf} is missing in {leaves:?}"))?;
    }
    session.close()
}

pub(crate) fn many_results(bench: &mut Bench<'_>) -> Outcome {
    let root = bench.uri("");
    let mut session = bench.session()?;
    let value = "v".repeat(400);
    let adds: String = (0..30).map(|n| xml::add(101 + n, &format!("{root}m{n}"), &value)).collect();
    session.run(&adds)?;
    session.max_msg_size = Some(4_000);
    let gets: String = (0..30).map(|n| xml::get(101 + n, &format!("{root}m{n}"))).collect();
    let done = session.run(&gets)?;
    for n in 0..30 {
        same(&format!("the value of m{n}"), done.value(101 + n), Some(value.clone()))?;
    }
    hold(done.octets.iter().all(|octets| *octets <= 4_000), || {
        format!("messages have {:?} octets", done.octets)
    })?;
    hold(done.octets.len() > 1, || "everything came in one message".to_owned())?;
    session.close()
}

pub(crate) fn final_waits(bench: &mut Bench<'_>) -> Outcome {
    let mut session = bench.session()?;
    let done = session.once(&xml::get(101, "./DevInfo/Man"), false)?;
    same("Final in the answer to a message without Final", done.finals, [false])?;
    let done = session.once(&xml::get(102, "./DevInfo/Mod"), true)?;
    same("Final in the answer to Final", done.finals, [true])?;
    session.close()
}

pub(crate) fn empty_package(bench: &mut Bench<'_>) -> Outcome {
    bench.session()?.close()
}

pub(crate) fn server_aborts(bench: &mut Bench<'_>) -> Outcome {
    let mut session = bench.session()?;
    session.send("<Alert><CmdID>101</CmdID><Data>1223</Data></Alert>", true)?;
    session.ends()
}

pub(crate) fn resp_uri(bench: &mut Bench<'_>) -> Outcome {
    let mut session = bench.session()?;
    let base = session.message.header.target.uri.clone();
    let there = format!("{base}?session=7");
    session.resp_uri = Some(there.clone());
    session.run(&xml::get(101, "./DevInfo/Man"))?;
    let path = session.request.path.clone();
    hold(there.ends_with(&path) && path.ends_with("?session=7"), || {
        format!("the next message goes to {path}")
    })?;
    session.close()
}

/// A message in XML with an element that nobody knows, between two commands.
pub(crate) fn unknown_command(bench: &mut Bench<'_>) -> Outcome {
    if bench.variant.encoding != Encoding::Xml {
        return Err(Miss::not_applicable("WBXML has no token for an unknown command"));
    }
    let mut session = bench.session()?;
    let mut body = session.statuses();
    body.extend(super::session::commands_of(
        &[xml::get(101, "./DevInfo/Man"), xml::get(103, "./DevInfo/Mod")].concat(),
    )?);
    crate::conformance::server::session::number(&mut body, &mut 0);
    let message = session.reply(body, true);
    let text = String::from_utf8_lossy(&session.encode(&message)?).into_owned();
    let unknown = "<Frobnicate><CmdID>102</CmdID></Frobnicate><Get><CmdID>103<";
    session.send_octets(text.replace("<Get><CmdID>103<", unknown).into_bytes())?;
    session.receive()?;
    let mut codes = [0; 3];
    for command in &session.message.body {
        if let Command::Status(status) = command
            && let Some(code) = status.cmd_ref.checked_sub(101).and_then(|at| codes.get_mut(at as usize))
        {
            *code = status.code;
        }
    }
    one_of("the Status for the unknown command", &codes[1], &[400, 406, 501])?;
    same("the Status for those around it", (codes[0], codes[2]), (200, 200))?;
    session.close()
}
