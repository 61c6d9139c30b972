//! SRV: what a server does.

use postern_wire::syncml::Command;
use serde_json::json;

use super::{
    Obligation::{M, M3, M4, O, Q},
    Row, rule,
};
use crate::conformance::{
    server::{srv_alerts, srv_breaks, srv_commands, srv_large, srv_session},
    tamper::{a_get, call_back, each_item, each_status, header},
    variant::Variants::{All, Encodings, Once},
};

pub(super) const ROWS: &[Row] = &[
    rule(
        "SRV-01",
        M,
        "PRO 8.4",
        "A client-initiated session is opened: Status for SyncHdr, Alert and Replace, and Final.",
    )
        .server(All, srv_session::opens, |p| p.answer(|m| m.is_final = false)),
    rule(
        "SRV-02",
        M3,
        "PRO 8.3",
        "A session that a notification asked for is opened with 1200 and the notification's id.",
    )
        .server(Once, srv_session::answers_a_notification, |p| p.operator("notification", |v| v["state"] = "sent".into())),
    rule("SRV-03", M, "REP 10", "An unknown VerDTD gets 505, an unknown VerProto 513, and no commands.")
        .server(Encodings, srv_session::version_refused, |p| p.answer(header(|s| s.code = 200))),
    rule(
        "SRV-04",
        M,
        "PRO 8.4",
        "A reply has Target and Source swapped, the same SessionID, and MsgIDs from 1 up.",
    )
        .server(All, srv_session::header_fields, |p| p.answer(|m| m.header.msg_id = 1)),
    rule(
        "SRV-05",
        M,
        "PRO 8.4",
        "Every command gets one Status with its MsgRef, CmdRef and Cmd, SyncHdr's first.",
    )
        .server(All, srv_session::a_status_each, |p| p.answer(|m| each_status(m, |s| s.cmd_ref += s.cmd_ref.min(1)))),
    rule(
        "SRV-06",
        M,
        "REP 6.5.1",
        "A Status is never answered, and Results only where the answer is not 200.",
    )
        .server(Encodings, srv_session::no_status_for_status, |p| p.answer(|m| m.body.push(srv_session::stray_status()))),
    rule(
        "SRV-07",
        M,
        "PRO 8.4",
        "With nothing queued, the reply is Status and Final, and the session is over.",
    )
        .server(Once, srv_session::nothing_queued, |p| p.answer(|m| m.is_final = false)),
    rule("SRV-08", M, "STD 5.3.2", "DevInfo is kept, whatever the order of its items.")
        .server(Encodings, srv_session::dev_info, |p| p.operator("device", |v| v["facts"] = json!([]))),
    rule("SRV-09", Q, "PRO 8.3", "A first package without DevInfo is served, or refused with 412.")
        .server(Once, srv_session::without_dev_info, |p| p.http(|answer| answer.status = 500)),
    rule(
        "SRV-10",
        M,
        "REP 6.6",
        "Each kind of command is sent in its right form: own CmdIDs, no Cred, an Item with a Target.",
    )
        .server(Encodings, srv_commands::each_kind, |p| p.answer(|m| each_status(m, |s| s.cmd_id = 1))),
    rule(
        "SRV-11",
        M,
        "PRO 8.5",
        "The value of a leaf is kept with its Format and Type, and with the defaults where they are absent.",
    )
        .server(Encodings, srv_commands::leaf, |p| p.operator("command", |v| v["results"][0]["format"] = json!("bool"))),
    rule(
        "SRV-12",
        M,
        "TND 6.2.2",
        "The names of an interior node's children are read, and that there are none.",
    )
        .server(Encodings, srv_commands::interior, |p| p.operator("command", |v| v["results"][0]["data"] = json!("a"))),
    rule(
        "SRV-13",
        Q,
        "REP 6.6.12",
        "Results without MsgRef, or with Meta at the command, belong to their Get all the same.",
    )
        .server(Encodings, srv_commands::results_without_ref, |p| p.operator("command", |v| v["results"] = json!([]))),
    rule(
        "SRV-14",
        Q,
        "REP 6.6.12",
        "Results before their Status, or none at all, do no harm: the Status decides.",
    )
        .server(Once, srv_commands::results_first, |p| p.operator("command", |v| v["results"] = json!([]))),
    rule(
        "SRV-15",
        M,
        "PRO 6.2",
        "While the client's package goes on, the reply is Status and Alert 1222, without Final and commands.",
    )
        .server(All, srv_session::multi_message_package, |p| p.answer(|m| m.is_final = true)),
    rule("SRV-16", M, "PRO 8.6", "An alert inside an unfinished package gets its Status at once.")
        .server(Encodings, srv_session::alert_inside_package, |p| p.answer(|m| m.body.retain(|c| !matches!(c, Command::Status(s) if s.cmd == "Alert")))),
    rule(
        "SRV-17",
        M,
        "PRO 6.1",
        "No new command goes out before the client's package is complete; one without Status is not taken for done.",
    )
        .server(Once, srv_session::waits_for_status, |p| p.answer(|m| if !m.is_final { m.body.push(a_get()) })),
    rule(
        "SRV-18",
        M,
        "PRO 6.2",
        "Every message of the server has Final, but for large objects and Alert 1222.",
    )
        .server(Once, srv_session::always_final, |p| p.answer(|m| m.is_final = false)),
    rule("SRV-19", M, "PRO 5", "No message is longer than the client's MaxMsgSize.")
        .server(All, srv_large::max_msg_size, |p| p.http(|answer| answer.body.extend([b' '; 2_000]))),
    rule(
        "SRV-20",
        Q,
        "PRO 5",
        "A command that does not fit the MaxMsgSize is sent in chunks or fails; no message is too long.",
    )
        .server(Encodings, srv_large::tiny_messages, |p| p.http(|answer| answer.body.extend([b' '; 2_000]))),
    rule("SRV-21", M, "PRO 7", "An object above the client's MaxObjSize is not sent, and its command fails.")
        .server(Encodings, srv_large::max_obj_size, |p| p.answer(|m| if m.header.msg_id == 2 { m.body.push(srv_commands::a_large()) })),
    rule(
        "SRV-22",
        M,
        "PRO 7",
        "A large object goes out in chunks: Size in the first, MoreData in all but the last, Final with the last.",
    )
        .server(All, srv_large::sent, |p| p.answer(|m| each_item(m, |item| item.meta.size = item.meta.size.map(|size| size + 1)))),
    rule("SRV-23", M, "TND 7.7.4", "The Size of binary in base64 is the length of its text.")
        .server(Once, srv_large::sent_binary, |p| p.answer(|m| each_item(m, |item| item.meta.size = item.meta.size.map(|_| 50_000)))),
    rule(
        "SRV-24",
        O,
        "PRO 7",
        "A large object whose last chunk gets 424 is sent anew at most a few times and then fails.",
    )
        .server(Once, srv_large::refused_at_last, |p| p.operator("command", |v| v["state"] = json!("succeeded"))),
    rule("SRV-25", O, "PRO 7", "After Alert 1225 the object is sent anew or fails, and the session goes on.")
        .server(Once, srv_large::broken_off, |p| if p.nth > 2 { p.http(|answer| answer.status = 500) }),
    rule("SRV-26", M, "PRO 7", "Results in chunks get 213 and Alert 1222, and are put together.")
        .server(Encodings, srv_large::received, |p| p.answer(|m| each_status(m, |s| if s.cmd == "Results" { s.code = 200 }))),
    rule("SRV-27", M, "PRO 7", "Results whose chunks are not the announced Size get 424 and are dropped.")
        .server(Encodings, srv_large::received_short, |p| p.answer(|m| each_status(m, |s| if s.cmd == "Results" { s.code = 213 }))),
    rule("SRV-28", M, "PRO 7", "A command between chunks gets Alert 1225.")
        .server(Encodings, srv_large::interrupted, |p| p.answer(|m| m.body.retain(|c| !matches!(c, Command::Alert(_))))),
    rule("SRV-29", Q, "PRO 7", "Results above the server's MaxObjSize get 413 or 416 and are dropped.")
        .server(Encodings, srv_large::received_too_large, |p| p.answer(|m| each_status(m, |s| if s.cmd == "Results" { s.code = 213 }))),
    rule(
        "SRV-30",
        M,
        "REP 6.6.3",
        "A failed Atomic is a failed job that keeps the code of each of its commands.",
    )
        .server(Encodings, srv_commands::atomic_failed, |p| p.operator("command", |v| v["state"] = json!("succeeded"))),
    rule(
        "SRV-31",
        M,
        "REP 6.6.3",
        "Atomic's 516 (roll-back failed) and 517 (reply too large) are told apart from 507.",
    )
        .server(Once, srv_commands::atomic_codes, |p| p.operator("command", |v| v["cause"] = json!("failed"))),
    rule("SRV-32", M, "REP 6.6.3", "An Atomic holds neither Get nor Exec nor another Atomic.")
        .server(Once, srv_commands::atomic_contents, |p| p.answer(|m| if m.header.msg_id == 2 { m.body.push(srv_commands::bad_atomic()) })),
    rule("SRV-33", M, "REP 6.6.14", "Each command of a Sequence keeps its own outcome.")
        .server(Encodings, srv_commands::sequence, |p| p.operator("command", |v| v["results"] = json!([]))),
    rule("SRV-34", M, "PRO 10.2.2", "A Sequence whose user said no is a job refused by the user.")
        .server(Once, srv_commands::refused_by_user, |p| p.operator("command", |v| v["cause"] = json!("failed"))),
    rule("SRV-35", O, "PRO 10", "The answers to user alerts are read: text, one choice, several.")
        .server(Encodings, srv_commands::user_answers, |p| p.operator("command", |v| v["results"] = json!([]))),
    rule("SRV-36", O, "PRO 10.2", "A client without user interaction (406) is managed on.")
        .server(Once, srv_commands::no_user, |p| p.operator("command", |v| v["state"] = json!("succeeded"))),
    rule("SRV-37", M, "PRO 10.2", "A user alert from a client has no effect.")
        .server(Once, srv_alerts::user_alert, |p| if p.nth > 1 { p.http(|answer| answer.status = 500) }),
    rule(
        "SRV-38",
        M,
        "PRO 8.7",
        "A generic alert gets 200 or 202, and ends the Exec whose Correlator it has.",
    )
        .server(Encodings, srv_alerts::generic, |p| p.operator("command", |v| if v["state"] == "succeeded" { v["state"] = json!("failed") })),
    rule("SRV-39", M, "PRO 8.7", "A generic alert of an unknown type gets 415, and the session goes on.")
        .server(Encodings, srv_alerts::unknown_type, |p| p.answer(|m| each_status(m, |s| if s.cmd == "Alert" { s.code = 200 }))),
    rule("SRV-40", M, "PRO 8.7", "A generic alert without Type gets 412.")
        .server(Once, srv_alerts::without_type, |p| p.answer(|m| each_status(m, |s| if s.cmd == "Alert" { s.code = 200 }))),
    rule("SRV-41", M, "PRO 8.7", "Several items of one generic alert get one Status.")
        .server(Encodings, srv_alerts::several_items, |p| p.answer(|m| if let Some(last) = m.body.iter().rfind(|c| matches!(c, Command::Status(_))).cloned() { m.body.push(last) })),
    rule(
        "SRV-42",
        Q,
        "PRO 8.7.1.6",
        "A generic alert's type is known with its prefix and with spaces around it.",
    )
        .server(Once, srv_alerts::prefixed, |p| p.answer(|m| each_status(m, |s| if s.cmd == "Alert" { s.code = 415 }))),
    rule("SRV-43", M, "REP 6.6.2", "A client event (1224) gets 200 or 406.")
        .server(Encodings, srv_alerts::client_event, |p| p.answer(|m| each_status(m, |s| if s.cmd == "Alert" { s.code = 500 }))),
    rule("SRV-44", M, "PRO 8.3", "A generic alert beside 1201 in the first package is answered with it.")
        .server(Encodings, srv_alerts::beside_1201, |p| p.answer(|m| if let Some(at) = m.body.iter().rposition(|c| matches!(c, Command::Status(s) if s.cmd == "Alert")) { m.body.remove(at); })),
    rule(
        "SRV-45",
        M,
        "REP 6.6.6",
        "An Exec answered 202 stays open until its alert comes, in a later session too.",
    )
        .server(Encodings, srv_alerts::later_session, |p| p.operator("command", |v| if v["state"] == "sent" { v["state"] = json!("failed") })),
    rule("SRV-46", O, "PRO 8.1", "An Alert 1223 gets its Status and no command, and ends the session.")
        .server(Encodings, srv_breaks::client_aborts, |p| p.answer(|m| m.body.push(a_get()))),
    rule(
        "SRV-47",
        O,
        "PRO 8.1",
        "A session that the operator ends is ended with 1223 and Final; its commands wait for the next.",
    )
        .server(Once, srv_breaks::server_aborts, |p| p.answer(|m| m.is_final = false)),
    rule(
        "SRV-48",
        Q,
        "PRO 8.1",
        "Commands of a session that broke off are not taken for done; they are looked after in the next.",
    )
        .server(Once, srv_breaks::client_is_lost, |p| p.operator("command", |v| v["state"] = json!("succeeded"))),
    rule(
        "SRV-49",
        Q,
        "REP 5.5",
        "A message that is sent again gets the same reply, and nothing is done twice.",
    )
        .server(Encodings, srv_breaks::repeated, |p| if p.nth % 2 == 0 { p.answer(|m| m.header.msg_id += 1) }),
    rule("SRV-50", Q, "PRO 8", "A new session takes the place of the old one; its commands go out again.")
        .server(Once, srv_breaks::parallel, |p| p.answer(|m| each_status(m, |s| if s.msg_ref > Some(2) { s.code = 200 }))),
    rule(
        "SRV-51",
        Q,
        "PRO 8",
        "A message of no open session is served as a new one or refused; no harm is done.",
    )
        .server(Once, srv_breaks::wrong_session, |p| p.http(|answer| answer.status = 500)),
    rule(
        "SRV-52",
        O,
        "REP 6.1.15",
        "A RespURI of the server can be followed, and the first address still serves.",
    )
        .server(Once, srv_breaks::resp_uri_out, |p| p.answer(|m| m.header.resp_uri = Some("https://127.0.0.1:9/nowhere".to_owned()))),
    rule("SRV-53", M, "REP 6.1.15", "A client's RespURI never makes the server call there.")
        .server(Encodings, srv_breaks::resp_uri_in, call_back),
    rule(
        "SRV-54",
        O,
        "TND 8",
        "?list=Struct and StructData are sent as asked, and both shapes of Results are read.",
    )
        .server(Encodings, srv_commands::lists, |p| p.operator("command", |v| v["results"] = json!([]))),
    rule(
        "SRV-55",
        M4,
        "TND 8",
        "?list=TNDS is sent as asked, and the tree is read inline, escaped and opaque.",
    )
        .server(Encodings, srv_commands::tnds, |p| p.operator("command", |v| v["results"] = json!([]))),
    rule("SRV-56", M, "TND 7.2", "All eight properties of a node can be read, and ACL, Name and Title set.")
        .server(Once, srv_commands::properties, |p| p.operator("command", |v| v["results"] = json!([]))),
    rule("SRV-57", M, "TND 7.7.1.3", "An ACL is sent as given: other servers' entries are kept.")
        .server(Encodings, srv_commands::acl, |p| p.answer(|m| each_item(m, |item| item.data = item.data.as_ref().map(|_| "Get=*".into())))),
    rule("SRV-58", M, "REP 10", "404, 405, 418, 420 and 425 are told apart as failures.")
        .server(Once, srv_commands::failures, |p| p.operator("command", |v| v["cause"] = json!("failed"))),
    rule("SRV-59", Q, "REP 10", "An unknown 4xx is a failure.")
        .server(Once, srv_commands::unknown_failures, |p| p.operator("command", |v| v["state"] = json!("succeeded"))),
    rule("SRV-60", O, "LAWMO 1.0", "A wipe is an Exec that ends with the alert of its result code.")
        .server(Once, srv_alerts::wipe, |p| p.operator("command", |v| v["state"] = json!("failed"))),
    rule(
        "SRV-61",
        Q,
        "LAWMO 1.0",
        "A factory reset whose alert never comes stays open, and is not sent again.",
    )
        .server(Once, srv_alerts::reset, |p| p.operator("command", |v| v["state"] = json!("failed"))),
    rule(
        "SRV-62",
        O,
        "SCOMO 1.0",
        "An installation ends with its alert, whose result code is read out of its markup.",
    )
        .server(Encodings, srv_alerts::installation, |p| p.operator("command", |v| if v["state"] == "failed" { v["state"] = json!("succeeded") })),
    rule(
        "SRV-63",
        O,
        "FUMO 1.0",
        "An update's result codes are told apart by their ranges, the vendors' too.",
    )
        .server(Once, srv_alerts::update, |p| p.operator("command", |v| if v["state"] == "failed" { v["state"] = json!("succeeded") })),
    rule("SRV-64", O, "FUMO 10.3", "A device's request for an update gets 200 or 202.")
        .server(Once, srv_alerts::device_request, |p| p.answer(|m| each_status(m, |s| if s.cmd == "Alert" { s.code = 415 }))),
    rule(
        "SRV-65",
        Q,
        "PRO 8",
        "Commands that depend on each other go out in a Sequence or one package after the other.",
    )
        .server(Once, srv_commands::dependent, |p| p.answer(|m| for c in &mut m.body { if let Command::Sequence(group) = c { group.commands.reverse() } })),
    rule("SRV-66", M, "HTTP 1.2.1", "POST is served, chunked too and over one connection; GET gets 405.")
        .server(Encodings, srv_session::http, |p| p.http(|answer| answer.status = 200)),
];
