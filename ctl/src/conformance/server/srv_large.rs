//! SRV-19 to SRV-29: sizes and large objects.

use postern_wire::{
    auth,
    syncml::{Alert, Command, Data, Item, Location, Meta, Results},
};
use serde_json::Value;

use super::{
    Answer, Bench, Session,
    reply::{Reply, agree, request_of},
    srv_commands::on_node,
    srv_session::{get, replace},
};
use crate::conformance::verdict::{Miss, Outcome, hold, one_of, same, some};

/// Messages that one object may need here.
const MOST: usize = 200;

fn within(answer: &Answer, most: usize) -> Outcome {
    hold(answer.octets.len() <= most, || format!("a message has {} octets", answer.octets.len()))
}

pub(crate) fn max_msg_size(bench: &mut Bench<'_>) -> Outcome {
    let device = bench.device()?;
    let mut ids = Vec::new();
    for n in 0..20 {
        ids.push(bench.queue_one(&device, &replace(&format!("./Vendor/v{n}"), &"x".repeat(200)))?);
    }
    let mut session = bench.open(&device)?;
    session.max_msg_size = 2_000;
    let mut answer = session.sign_in(Vec::new())?;
    for _ in 0..MOST {
        within(&answer, 2_000)?;
        if answer.commands().is_empty() {
            break;
        }
        let body = session.answers(&answer, agree);
        answer = session.send(body, true)?;
    }
    for id in ids {
        same("a command's state", bench.ended(&id)?["state"].as_str(), Some("succeeded"))?;
    }
    Ok(())
}

pub(crate) fn tiny_messages(bench: &mut Bench<'_>) -> Outcome {
    let device = bench.device()?;
    let id = bench.queue_one(&device, &replace("./Vendor/a", &"x".repeat(4_000)))?;
    let mut session = bench.open(&device)?;
    session.max_msg_size = 300;
    let message = session.message(session.package_1(), true);
    let octets = session.encode(&message)?;
    let response = session.post(octets)?;
    let refused = (400..500).contains(&response.status);
    hold(refused || response.body.len() <= 300, || {
        format!("a client that takes 300 octets gets {} of {}", response.body.len(), response.summary())
    })?;
    let mut session = bench.open(&device)?;
    session.max_msg_size = 1_500;
    let mut answer = session.sign_in(Vec::new())?;
    for _ in 0..MOST {
        within(&answer, 1_500)?;
        if answer.commands().is_empty() {
            let state = bench.ended(&id)?["state"].clone();
            return hold(state == "succeeded" || state == "failed", || format!("the command is {state}"));
        }
        answer = go_on(&mut session, &answer)?;
    }
    Err(Miss::broken("the session does not end"))
}

/// The answer to a chunk (213, and the next message is asked for) or to anything else (200).
fn go_on(session: &mut Session, answer: &Answer) -> Outcome<Answer> {
    go_on_with(session, answer, 200, Vec::new())
}

fn go_on_with(session: &mut Session, answer: &Answer, last: u32, more: Vec<Command>) -> Outcome<Answer> {
    let mut chunked = false;
    let mut body = session.answers(answer, |command| {
        let more =
            request_of(command).is_some_and(|(_, request)| request.items.iter().any(|item| item.more_data));
        chunked |= more;
        match (more, command) {
            (true, _) => Reply::code(213),
            (false, Command::Replace(_) | Command::Add(_)) => Reply::code(last),
            (false, other) => agree(other),
        }
    });
    body.extend(more);
    if chunked {
        body.push(Command::Alert(Alert { code: 1222, ..Alert::default() }));
    }
    session.send(body, !chunked)
}

pub(crate) fn max_obj_size(bench: &mut Bench<'_>) -> Outcome {
    let device = bench.device()?;
    let id = bench.queue_one(&device, &replace("./Vendor/a", &"x".repeat(5_000)))?;
    let mut session = bench.open(&device)?;
    session.max_obj_size = Some(1_000);
    let answer = session.sign_in(Vec::new())?;
    let sent = session.finish(answer, agree)?;
    let large = sent.iter().filter_map(request_of).flat_map(|(_, request)| &request.items);
    let large = large.filter(|item| item.meta.size > Some(1_000) || length(item) > 1_000).count();
    same("the number of objects above 1,000 octets", large, 0)?;
    same("the command's state", bench.ended(&id)?["state"].as_str(), Some("failed"))
}

fn length(item: &Item) -> usize {
    match &item.data {
        Some(Data::Text(text) | Data::Markup(text)) => text.len(),
        Some(Data::Binary(octets)) => octets.len(),
        None => 0,
    }
}

/// What a client got of an object.
#[derive(Default)]
struct Received {
    octets: Vec<u8>,
    sizes: Vec<Option<u64>>,
    more: Vec<bool>,
    finals: Vec<bool>,
    longest: usize,
}

/// Takes the object that is sent to `./Vendor/big`; `last` is the code for its last chunk.
fn receive(session: &mut Session, mut answer: Answer, last: u32) -> Outcome<(Received, Answer)> {
    let mut got = Received::default();
    for _ in 0..MOST {
        let Some(item) = object_in(&answer) else { return Ok((got, answer)) };
        match &item.data {
            Some(Data::Text(text) | Data::Markup(text)) => got.octets.extend(text.as_bytes()),
            Some(Data::Binary(octets)) => got.octets.extend(octets),
            None => {}
        }
        got.sizes.push(item.meta.size);
        got.more.push(item.more_data);
        got.finals.push(answer.message.is_final);
        got.longest = got.longest.max(answer.octets.len());
        let ends = !item.more_data;
        answer = go_on_with(session, &answer, last, Vec::new())?;
        if ends {
            return Ok((got, answer));
        }
    }
    Err(Miss::broken("the object does not end"))
}

fn object_in(answer: &Answer) -> Option<Item> {
    let requests = answer.commands().into_iter().filter_map(request_of);
    let items = requests.flat_map(|(_, request)| {
        request.items.clone().into_iter().map(move |mut item| {
            item.meta.size = item.meta.size.or(request.meta.size);
            item
        })
    });
    let mut items = items;
    items.find(|item| item.target.as_ref().is_some_and(|target| target.uri.ends_with("/big")))
}

/// A session whose client takes messages of 4,096 octets, with one object queued.
fn with_object(bench: &mut Bench<'_>, syncml: &str) -> Outcome<(String, Session, Answer)> {
    let device = bench.device()?;
    let id = bench.queue_one(&device, syncml)?;
    let mut session = bench.open(&device)?;
    session.max_msg_size = 4_096;
    let answer = session.sign_in(Vec::new())?;
    Ok((id, session, answer))
}

fn text(octets: usize) -> String {
    ('a'..='z').cycle().take(octets).collect()
}

fn in_chunks(got: &Received, size: u64) -> Outcome {
    hold(got.longest <= 4_096, || format!("a message has {} octets", got.longest))?;
    hold(got.more.len() > 1, || "the object came in one piece".to_owned())?;
    same("Size of the first chunk", got.sizes.first().copied().flatten(), Some(size))?;
    hold(got.sizes[1..].iter().all(Option::is_none), || "a later chunk has a Size".to_owned())?;
    let last = got.more.len() - 1;
    let right = |flags: &[bool], at_end: bool| {
        flags.iter().enumerate().all(|(at, flag)| *flag == (at_end == (at == last)))
    };
    hold(right(&got.more, false), || format!("MoreData is {:?}", got.more))?;
    hold(right(&got.finals, true), || format!("Final is {:?}", got.finals))
}

pub(crate) fn sent(bench: &mut Bench<'_>) -> Outcome {
    let value = text(60_000);
    let (id, mut session, answer) = with_object(bench, &replace("./Vendor/big", &value))?;
    let (got, answer) = receive(&mut session, answer, 200)?;
    in_chunks(&got, 60_000)?;
    hold(got.octets == value.as_bytes(), || "the chunks are not the value".to_owned())?;
    session.finish(answer, agree)?;
    same("the command's state", bench.ended(&id)?["state"].as_str(), Some("succeeded"))
}

pub(crate) fn sent_binary(bench: &mut Bench<'_>) -> Outcome {
    let octets: Vec<u8> = (0..=255).cycle().take(50_000).collect();
    let encoded = auth::encode_base64(&octets);
    let more = format!("<Meta><Format xmlns='syncml:metinf'>b64</Format></Meta><Data>{encoded}</Data>");
    let (_, mut session, answer) = with_object(bench, &on_node("Replace", "./Vendor/big", &more))?;
    let (got, _) = receive(&mut session, answer, 200)?;
    in_chunks(&got, encoded.len() as u64)?;
    hold(got.octets == encoded.as_bytes(), || "the chunks are not the base64 text".to_owned())
}

pub(crate) fn refused_at_last(bench: &mut Bench<'_>) -> Outcome {
    let (id, mut session, mut answer) = with_object(bench, &replace("./Vendor/big", &text(10_000)))?;
    let mut starts = 0;
    while object_in(&answer).is_some() {
        starts += 1;
        hold(starts <= 4, || "the object is sent again and again".to_owned())?;
        answer = receive(&mut session, answer, 424)?.1;
    }
    hold(starts > 0, || "the object was not sent".to_owned())?;
    same("the command's state", bench.ended(&id)?["state"].as_str(), Some("failed"))
}

pub(crate) fn broken_off(bench: &mut Bench<'_>) -> Outcome {
    let (id, mut session, answer) = with_object(bench, &replace("./Vendor/big", &text(20_000)))?;
    let answer = go_on(&mut session, &answer)?;
    let item = Item { target: Some(Location::uri("./Vendor/big")), ..Item::default() };
    let alert = Command::Alert(Alert { code: 1225, items: vec![item], ..Alert::default() });
    let mut body = session.answers(&answer, |_| Reply::silent());
    body.push(alert);
    let answer = session.send(body, true)?;
    let (got, answer) = receive(&mut session, answer, 200)?;
    if let Some(first) = got.sizes.first() {
        same("Size when it begins anew", *first, Some(20_000))?;
        hold(got.octets.len() == 20_000, || format!("it is {} octets", got.octets.len()))?;
    }
    session.finish(answer, agree)?;
    let state = bench.ended(&id)?["state"].clone();
    hold(state == "succeeded" || state == "failed", || format!("the command is {state}"))
}

/// Results for the first command of `answer`, as one chunk.
fn chunk(answer: &Answer, data: &str, size: Option<u64>, more_data: bool) -> Outcome<Command> {
    let asked = some("the Get", answer.commands().into_iter().find_map(request_of))?.1;
    let item = Item {
        source: some("its Item", asked.items.first())?.target.clone(),
        meta: Meta { size, ..Meta::default() },
        data: Some(Data::from(data)),
        more_data,
        ..Item::default()
    };
    Ok(Command::Results(Results {
        msg_ref: Some(answer.message.header.msg_id),
        cmd_ref: asked.cmd_id,
        items: vec![item],
        ..Results::default()
    }))
}

/// A session that has sent the first of the client's chunks: the command's id, the message with the Get, the answer.
fn uploading(bench: &mut Bench<'_>, data: &str, size: u64) -> Outcome<(String, Session, Answer, Answer)> {
    let device = bench.device()?;
    let id = bench.queue_one(&device, &get("./Vendor/a"))?;
    let (mut session, asked) = bench.signed_in(&device)?;
    let mut body = session.answers(&asked, |_| Reply::code(200));
    body.push(chunk(&asked, data, Some(size), true)?);
    let answer = session.send(body, false)?;
    Ok((id, session, asked, answer))
}

fn next_chunk(
    session: &mut Session,
    asked: &Answer,
    answer: &Answer,
    data: &str,
    more: bool,
) -> Outcome<Answer> {
    let body = vec![Command::Status(session.header_answer(answer)), chunk(asked, data, None, more)?];
    session.send(body, !more)
}

fn takes_chunk(answer: &Answer) -> Outcome {
    same("the Status for the chunk", answer.status_of("Results")?.code, 213)?;
    same("the alerts", answer.alerts(), [1222])?;
    same("Final", answer.message.is_final, false)
}

fn data_of(command: &Value) -> Option<&str> {
    command["results"][0]["data"].as_str()
}

pub(crate) fn received(bench: &mut Bench<'_>) -> Outcome {
    let (id, mut session, asked, answer) = uploading(bench, "one-", 12)?;
    takes_chunk(&answer)?;
    let answer = next_chunk(&mut session, &asked, &answer, "two-", true)?;
    takes_chunk(&answer)?;
    let answer = next_chunk(&mut session, &asked, &answer, "tree", false)?;
    session.finish(answer, agree)?;
    let command = bench.ended(&id)?;
    same("the command's state", command["state"].as_str(), Some("succeeded"))?;
    same("the value", data_of(&command), Some("one-two-tree"))
}

pub(crate) fn received_short(bench: &mut Bench<'_>) -> Outcome {
    let (id, mut session, asked, answer) = uploading(bench, &text(45), 100)?;
    let answer = next_chunk(&mut session, &asked, &answer, &text(45), false)?;
    same("the Status for the last chunk", answer.status_of("Results")?.code, 424)?;
    session.finish(answer, agree)?;
    let command = bench.ended(&id)?;
    hold(command["state"] != "succeeded", || "the command is taken for done".to_owned())?;
    hold(data_of(&command).is_none_or(|data| data.len() < 90), || "the value is kept".to_owned())
}

pub(crate) fn interrupted(bench: &mut Bench<'_>) -> Outcome {
    let (_, mut session, _, answer) = uploading(bench, "half", 8)?;
    let body = vec![Command::Status(session.header_answer(&answer)), super::srv_session::generic_alert()];
    let answer = session.send(body, true)?;
    hold(answer.alerts().contains(&1225), || format!("the alerts are {:?}", answer.alerts()))
}

pub(crate) fn received_too_large(bench: &mut Bench<'_>) -> Outcome {
    let (_, _, _, answer) = uploading(bench, "begin", 1 << 40)?;
    one_of("the Status for the first chunk", &answer.status_of("Results")?.code, &[413, 416])
}
