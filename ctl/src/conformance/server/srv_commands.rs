//! SRV-10 to SRV-14, SRV-30 to SRV-36, SRV-54 to SRV-59, SRV-65: what is asked of a client, and what comes back.

use std::collections::BTreeSet;

use postern_wire::{
    auth,
    syncml::{Command, Data, Encoding, Group, Item, Location, Meta, Request, Results},
};
use serde_json::Value;

use super::{
    Answer, Bench, Session,
    reply::{Reply, agree, answers, flat, name_and_id, request_of, target_of},
    srv_session::{get, replace},
};
use crate::conformance::verdict::{Miss, Outcome, hold, same, some};

/// A container as the operator queues it.
fn group(name: &str, inside: &[&str]) -> String {
    format!("<{name}><CmdID>1</CmdID>{}</{name}>", inside.concat())
}

/// A command on one node as the operator queues it.
pub(super) fn on_node(name: &str, uri: &str, more: &str) -> String {
    format!("<{name}><CmdID>1</CmdID><Item><Target><LocURI>{uri}</LocURI></Target>{more}</Item></{name}>")
}

/// Queues one command, lets the client answer it and everything else, and tells what became of it.
pub(super) fn answered(
    bench: &mut Bench<'_>,
    syncml: &str,
    reply: impl FnMut(&Command) -> Reply,
) -> Outcome<(Value, Vec<Command>)> {
    let device = bench.device()?;
    let id = bench.queue_one(&device, syncml)?;
    let (mut session, answer) = bench.signed_in(&device)?;
    let asked = session.finish(answer, reply)?;
    Ok((bench.ended(&id)?, asked))
}

fn state(command: &Value) -> Option<&str> {
    command["state"].as_str()
}

/// Data of the results whose type is none of a status.
fn values(command: &Value) -> Vec<&str> {
    let results = command["results"].as_array().into_iter().flatten();
    results.filter_map(|result| result["data"].as_str()).collect()
}

pub(crate) fn each_kind(bench: &mut Bench<'_>) -> Outcome {
    let device = bench.device()?;
    let add = on_node("Add", "./Vendor/a", "<Data>1</Data>");
    let set = replace("./Vendor/a", "2");
    let delete = on_node("Delete", "./Vendor/b", "");
    let exec = on_node("Exec", "./Vendor/run", "<Data>1</Data>");
    let copy = on_node("Copy", "./Vendor/c", "<Source><LocURI>./Vendor/a</LocURI></Source>");
    for syncml in [
        add.clone(),
        set.clone(),
        get("./Vendor/a"),
        delete.clone(),
        exec,
        copy,
        group("Atomic", &[&add, &set]),
        group("Sequence", &[&get("./Vendor/a"), &delete]),
    ] {
        bench.queue_one(&device, &syncml)?;
    }
    let (mut session, mut answer) = bench.signed_in(&device)?;
    let mut kinds = BTreeSet::new();
    loop {
        well_formed(&answer)?;
        let commands = answer.commands();
        if commands.is_empty() {
            break;
        }
        kinds.extend(flat(&answer.message.body).into_iter().filter_map(name_and_id).map(|(name, _)| name));
        let body = session.answers(&answer, agree);
        answer = session.send(body, true)?;
    }
    for kind in ["Add", "Replace", "Get", "Delete", "Exec", "Copy", "Atomic", "Sequence"] {
        hold(kinds.contains(kind), || format!("no {kind} was sent"))?;
    }
    Ok(())
}

/// CmdIDs are unique, every command on a node has an Item with a Target, and Cred stands in SyncHdr alone.
fn well_formed(answer: &Answer) -> Outcome {
    let commands = flat(&answer.message.body);
    let mut ids: Vec<_> = commands.iter().copied().filter_map(name_and_id).map(|(_, id)| id).collect();
    ids.extend(answer.statuses().map(|status| status.cmd_id));
    let unique: BTreeSet<_> = ids.iter().collect();
    hold(unique.len() == ids.len() && !ids.contains(&0), || format!("the CmdIDs are {ids:?}"))?;
    for (name, request) in commands.iter().copied().filter_map(request_of) {
        let complete = !request.items.is_empty() && request.items.iter().all(|item| item.target.is_some());
        hold(complete, || format!("a {name} has no Item with a Target"))?;
    }
    let creds = answer.octets.windows(6).filter(|window| *window == b"<Cred>").count();
    hold(creds <= 1, || format!("there are {creds} Cred elements"))
}

pub(crate) fn leaf(bench: &mut Bench<'_>) -> Outcome {
    let typed =
        Meta { format: Some("int".to_owned()), type_: Some("text/plain".to_owned()), ..Meta::default() };
    for (meta, format) in [(typed, "int"), (Meta::default(), "chr")] {
        let reply = |command: &Command| Reply::value(command, meta.clone(), Data::from("42"));
        let (command, _) = answered(bench, &get("./Vendor/a"), reply)?;
        same("the command's state", state(&command), Some("succeeded"))?;
        let result = some("the result", command["results"].get(0))?;
        same("its data", result["data"].as_str(), Some("42"))?;
        same("its Format", result["format"].as_str().unwrap_or("chr"), format)?;
        same("its Type", result["type"].as_str().unwrap_or("text/plain"), "text/plain")?;
    }
    Ok(())
}

pub(crate) fn interior(bench: &mut Bench<'_>) -> Outcome {
    for names in ["a/b/c", ""] {
        let node = Meta { format: Some("node".to_owned()), ..Meta::default() };
        let reply = |command: &Command| Reply::value(command, node.clone(), Data::from(names));
        let (command, _) = answered(bench, &get("./Vendor"), reply)?;
        same("the command's state", state(&command), Some("succeeded"))?;
        let result = some("the result", command["results"].get(0))?;
        same("the children's names", result["data"].as_str().unwrap_or_default(), names)?;
        same("its Format", result["format"].as_str(), Some("node"))?;
    }
    Ok(())
}

/// One Get, with Status and Results as the test wants them.
fn one_get(
    bench: &mut Bench<'_>,
    shape: impl FnOnce(&mut Session, &Answer, &Command) -> Vec<Command>,
) -> Outcome<Value> {
    let device = bench.device()?;
    let id = bench.queue_one(&device, &get("./Vendor/a"))?;
    let (mut session, answer) = bench.signed_in(&device)?;
    let asked = some("the Get", answer.commands().first().copied().cloned())?;
    let mut body = vec![Command::Status(session.header_answer(&answer))];
    body.extend(shape(&mut session, &answer, &asked));
    let answer = session.send(body, true)?;
    session.finish(answer, agree)?;
    bench.ended(&id)
}

pub(crate) fn results_without_ref(bench: &mut Bench<'_>) -> Outcome {
    let command = one_get(bench, |_, answer, asked| {
        let mut parts = answers(asked, answer.message.header.msg_id, Reply::text(asked, "7"));
        if let Some(Command::Results(results)) = parts.last_mut() {
            results.msg_ref = None;
            results.meta.format = Some("int".to_owned());
        }
        parts
    })?;
    same("the command's state", state(&command), Some("succeeded"))?;
    let result = some("the result", command["results"].get(0))?;
    same(
        "its data and Format",
        (result["data"].as_str(), result["format"].as_str()),
        (Some("7"), Some("int")),
    )
}

pub(crate) fn results_first(bench: &mut Bench<'_>) -> Outcome {
    let command = one_get(bench, |_, answer, asked| {
        let mut parts = answers(asked, answer.message.header.msg_id, Reply::text(asked, "7"));
        parts.reverse();
        parts
    })?;
    same("the command's state", state(&command), Some("succeeded"))?;
    same("the results", values(&command), ["7"])?;
    let command =
        one_get(bench, |_, answer, asked| answers(asked, answer.message.header.msg_id, Reply::code(200)))?;
    same("the state without Results", state(&command), Some("succeeded"))
}

fn atomic() -> String {
    let add = on_node("Add", "./Vendor/a", "<Data>1</Data>");
    let delete = on_node("Delete", "./Vendor/b", "");
    group("Atomic", &[&add, &delete, &replace("./Vendor/c", "2")])
}

/// Answers by the command's name.
fn by_name(codes: &'static [(&'static str, u32)]) -> impl FnMut(&Command) -> Reply {
    move |command| {
        let name = name_and_id(command).map_or("", |(name, _)| name);
        let code = codes.iter().find(|(known, _)| *known == name).map(|(_, code)| *code);
        code.map_or_else(|| agree(command), Reply::code)
    }
}

pub(crate) fn atomic_failed(bench: &mut Bench<'_>) -> Outcome {
    let codes = by_name(&[("Atomic", 507), ("Add", 216), ("Delete", 404), ("Replace", 215)]);
    let (command, _) = answered(bench, &atomic(), codes)?;
    same("the command's state", state(&command), Some("failed"))?;
    let kept = values(&command);
    for code in ["216", "404", "215"] {
        hold(kept.contains(&code), || format!("the code {code} is not kept: {kept:?}"))?;
    }
    Ok(())
}

pub(crate) fn atomic_codes(bench: &mut Bench<'_>) -> Outcome {
    let mut seen = BTreeSet::new();
    for codes in [
        &[("Atomic", 507), ("Add", 216), ("Delete", 404), ("Replace", 215)][..],
        &[("Atomic", 516), ("Add", 516), ("Delete", 404), ("Replace", 215)],
        &[("Atomic", 517), ("Add", 215), ("Delete", 215), ("Replace", 215)],
    ] {
        let (command, _) = answered(bench, &atomic(), by_name(codes))?;
        same("the command's state", state(&command), Some("failed"))?;
        seen.insert(command["cause"].to_string());
    }
    hold(seen.len() == 3, || format!("507, 516 and 517 are told as {seen:?}"))
}

pub(crate) fn atomic_contents(bench: &mut Bench<'_>) -> Outcome {
    let device = bench.device()?;
    bench.queue_one(&device, &atomic())?;
    let exec = on_node("Exec", "./Vendor/run", "");
    for inside in [get("./Vendor/a"), exec, atomic()] {
        // The operator may refuse it, or send it otherwise: what counts is what goes out.
        if let Err(not @ Miss::NotApplicable(_)) = bench.queue(&device, &group("Atomic", &[&inside])) {
            return Err(not);
        }
    }
    let (mut session, answer) = bench.signed_in(&device)?;
    let asked = session.finish(answer, agree)?;
    let atomics = asked.iter().filter_map(|command| match command {
        Command::Atomic(group) => Some(group),
        _ => None,
    });
    let bad = |command: &&Command| matches!(command, Command::Get(_) | Command::Exec(_) | Command::Atomic(_));
    let groups: Vec<_> = atomics.collect();
    hold(!groups.is_empty(), || "no Atomic was sent".to_owned())?;
    let found: Vec<_> = groups.iter().flat_map(|group| &group.commands).filter(bad).collect();
    hold(found.is_empty(), || format!("an Atomic holds {found:?}"))
}

/// An Atomic with a Get inside, for mutants.
pub(crate) fn bad_atomic() -> Command {
    let commands = vec![crate::conformance::tamper::a_get()];
    Command::Atomic(Group { cmd_id: 78, commands, ..Group::default() })
}

fn ask(code: u32, texts: &[&str]) -> String {
    let items: String = texts.iter().map(|text| format!("<Item><Data>{text}</Data></Item>")).collect();
    format!("<Alert><CmdID>1</CmdID><Data>{code}</Data>{items}</Alert>")
}

pub(crate) fn sequence(bench: &mut Bench<'_>) -> Outcome {
    let delete = on_node("Delete", "./Vendor/a", "");
    let syncml = group("Sequence", &[&delete, &replace("./Vendor/b", "1")]);
    let (command, _) = answered(bench, &syncml, by_name(&[("Delete", 404), ("Replace", 200)]))?;
    let kept = values(&command);
    hold(kept.contains(&"404") && kept.contains(&"200"), || format!("the outcomes are {kept:?}"))
}

pub(crate) fn refused_by_user(bench: &mut Bench<'_>) -> Outcome {
    let add = on_node("Add", "./Vendor/a", "<Data>1</Data>");
    let syncml = group("Sequence", &[&ask(1101, &["", "Go on?"]), &add]);
    let (command, _) = answered(bench, &syncml, by_name(&[("Alert", 304), ("Add", 215)]))?;
    same("the command's state", state(&command), Some("failed"))?;
    let cause = command["cause"].as_str().unwrap_or_default();
    hold(cause.contains("user"), || format!("its cause is {cause:?}"))
}

pub(crate) fn user_answers(bench: &mut Bench<'_>) -> Outcome {
    for (syncml, said) in [
        (ask(1102, &["", "Where?"]), &["some text"][..]),
        (ask(1103, &["", "Which?", "a", "b"]), &["2"]),
        (ask(1104, &["", "Which ones?", "a", "b", "c"]), &["1", "3"]),
    ] {
        let (command, _) = answered(bench, &syncml, |_| Reply::said(200, said))?;
        same("the command's state", state(&command), Some("succeeded"))?;
        same("the answer", values(&command), said)?;
    }
    Ok(())
}

pub(crate) fn no_user(bench: &mut Bench<'_>) -> Outcome {
    let device = bench.device()?;
    let question = bench.queue_one(&device, &ask(1100, &["", "Hello"]))?;
    let read = bench.queue_one(&device, &get("./Vendor/a"))?;
    let (mut session, answer) = bench.signed_in(&device)?;
    session.finish(answer, by_name(&[("Alert", 406)]))?;
    same("the question's state", state(&bench.ended(&question)?), Some("failed"))?;
    same("the Get's state", state(&bench.ended(&read)?), Some("succeeded"))
}

/// A leaf of a list.
fn listed(uri: &str, data: Option<&str>) -> Item {
    Item { source: Some(Location::uri(uri)), data: data.map(Data::from), ..Item::default() }
}

pub(crate) fn lists(bench: &mut Bench<'_>) -> Outcome {
    for (list, data) in [("Struct", None), ("StructData", Some("1"))] {
        let uri = format!("./Settings/t?list={list}");
        for separate in [false, true] {
            let items = vec![listed("./Settings/t/a", data), listed("./Settings/t/b", data)];
            let device = bench.device()?;
            let id = bench.queue_one(&device, &get(&uri))?;
            let (mut session, answer) = bench.signed_in(&device)?;
            let sent = answer.commands().into_iter().filter_map(target_of).collect::<Vec<_>>();
            same("what is sent", sent, [uri.clone()])?;
            let mut body = session.answers(&answer, |_| Reply::results(items.clone()));
            if separate && let Some(Command::Results(results)) = body.pop() {
                body.extend(
                    items.iter().map(|item| {
                        Command::Results(Results { items: vec![item.clone()], ..results.clone() })
                    }),
                );
            }
            let answer = session.send(body, true)?;
            session.finish(answer, agree)?;
            let command = bench.ended(&id)?;
            same("the command's state", state(&command), Some("succeeded"))?;
            let results = command["results"].as_array().into_iter().flatten();
            let nodes: Vec<_> = results.filter_map(|result| result["uri"].as_str()).collect();
            same("the nodes", nodes, ["./Settings/t/a", "./Settings/t/b"])?;
        }
    }
    Ok(())
}

/// A small tree.
const TREE: &str = "<MgmtTree><VerDTD>1.2</VerDTD><Node><NodeName>t</NodeName><RTProperties><Format><node/></Format>\
    <Type><DDFName></DDFName></Type></RTProperties><Node><NodeName>a</NodeName><RTProperties><Type><MIME>text/plain</MIME>\
    </Type></RTProperties><Value>1</Value></Node></Node></MgmtTree>";

pub(crate) fn tnds(bench: &mut Bench<'_>) -> Outcome {
    let xml = |data: Data| (data, "application/vnd.syncml.dmtnds+xml", "xml");
    let mut forms = vec![xml(Data::from(TREE)), xml(Data::Markup(TREE.to_owned()))];
    if bench.variant.encoding == Encoding::Wbxml {
        let tree = postern_wire::tnds::read(TREE.as_bytes(), Encoding::Xml, &Default::default());
        let tree = tree.map_err(|error| Miss::broken(format!("the script's tree: {error}")))?;
        let octets = postern_wire::tnds::write(&tree, Encoding::Wbxml);
        let octets = octets.map_err(|error| Miss::broken(format!("the script's tree: {error}")))?;
        forms.push((Data::Binary(octets), "application/vnd.syncml.dmtnds+wbxml", "bin"));
    }
    for (data, type_, format) in forms {
        let meta = Meta { type_: Some(type_.to_owned()), format: Some(format.to_owned()), ..Meta::default() };
        let device = bench.device()?;
        let id = bench.queue_one(&device, &get("./Settings/t?list=TNDS"))?;
        let (mut session, answer) = bench.signed_in(&device)?;
        session.finish(answer, |command| Reply::value(command, meta.clone(), data.clone()))?;
        let command = bench.ended(&id)?;
        same("the command's state", state(&command), Some("succeeded"))?;
        let result = some("the tree", command["results"].get(0))?;
        same("its Type", result["type"].as_str(), Some(type_))?;
        let encoding = if format == "bin" { Encoding::Wbxml } else { Encoding::Xml };
        let octets = match (result["data"].as_str(), result["data_base64"].as_str()) {
            (Some(text), _) => text.as_bytes().to_vec(),
            (None, encoded) => encoded.and_then(auth::decode_base64).unwrap_or_default(),
        };
        let tree = postern_wire::tnds::read(&octets, encoding, &Default::default());
        let tree =
            tree.map_err(|error| Miss::broken(format!("the tree that is kept: {error} in {result}")))?;
        same("the tree's leaf", tree.nodes[0].children[0].name.as_str(), "a")?;
    }
    let (refused, _) = answered(bench, &get("./Settings/t?list=TNDS"), |_| Reply::code(406))?;
    same("the state after 406", state(&refused), Some("failed"))
}

pub(crate) fn properties(bench: &mut Bench<'_>) -> Outcome {
    for name in ["ACL", "Format", "Name", "Size", "Title", "TStamp", "Type", "VerNo"] {
        let uri = format!("./Vendor/a?prop={name}");
        let (command, asked) = answered(bench, &get(&uri), |command| Reply::text(command, "x"))?;
        same("what is sent", asked.iter().filter_map(target_of).collect::<Vec<_>>(), [uri])?;
        same(&format!("the state of {name}"), state(&command), Some("succeeded"))?;
        same(&format!("the value of {name}"), values(&command), ["x"])?;
    }
    for name in ["Name", "Title"] {
        let uri = format!("./Vendor/a?prop={name}");
        let (command, asked) = answered(bench, &replace(&uri, "y"), agree)?;
        same("what is sent", asked.iter().filter_map(target_of).collect::<Vec<_>>(), [uri])?;
        same(&format!("the state of {name}"), state(&command), Some("succeeded"))?;
    }
    Ok(())
}

pub(crate) fn acl(bench: &mut Bench<'_>) -> Outcome {
    let list = "Get=*&Replace=one.example+two.example&Delete=one.example";
    let syncml = replace("./Vendor/a?prop=ACL", &list.replace('&', "&amp;"));
    let (command, asked) = answered(bench, &syncml, agree)?;
    same("the command's state", state(&command), Some("succeeded"))?;
    let data =
        asked.iter().filter_map(request_of).find_map(|(_, request)| request.items.first()?.data.clone());
    same("the ACL that is sent", data.as_ref().and_then(Data::as_text), Some(list))
}

fn failure(bench: &mut Bench<'_>, code: u32) -> Outcome<Value> {
    let (command, _) = answered(bench, &replace("./Vendor/a", "1"), |_| Reply::code(code))?;
    same(&format!("the state after {code}"), state(&command), Some("failed"))?;
    same("the status that is told", command["status"].as_u64(), Some(u64::from(code)))?;
    Ok(command["cause"].clone())
}

pub(crate) fn failures(bench: &mut Bench<'_>) -> Outcome {
    let mut causes = BTreeSet::new();
    for code in [404, 405, 418, 420, 425] {
        causes.insert(failure(bench, code)?.to_string());
    }
    hold(causes.len() == 5, || format!("the five codes are told as {causes:?}"))
}

pub(crate) fn unknown_failures(bench: &mut Bench<'_>) -> Outcome {
    failure(bench, 450)?;
    failure(bench, 499).map(drop)
}

pub(crate) fn dependent(bench: &mut Bench<'_>) -> Outcome {
    let node = on_node("Add", "./Vendor/n", "<Meta><Format xmlns='syncml:metinf'>node</Format></Meta>");
    let leaf = on_node("Add", "./Vendor/n/a", "<Data>1</Data>");
    let (_, asked) = answered(bench, &group("Sequence", &[&node, &leaf]), agree)?;
    let order: Vec<_> = flat(&asked).into_iter().filter_map(target_of).collect();
    same("the order", order, ["./Vendor/n", "./Vendor/n/a"])?;
    let in_one = asked.iter().any(|command| matches!(command, Command::Sequence(_)));
    let plain = asked.iter().filter(|command| matches!(command, Command::Add(_))).count();
    hold(in_one || plain == 2, || "they are neither in a Sequence nor one after the other".to_owned())
}

/// A Replace of 5,000 octets that no rule wants, for mutants.
pub(crate) fn a_large() -> Command {
    let item = Item {
        target: Some(Location::uri("./Vendor/a")),
        data: Some("x".repeat(5_000).into()),
        ..Item::default()
    };
    Command::Replace(Request { cmd_id: 79, items: vec![item], ..Request::default() })
}
