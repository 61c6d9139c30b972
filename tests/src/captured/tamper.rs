//! What a captured gateway changes in messages that it can read: all of them.

use postern_wire::syncml::{
    self, Command, Data, Item, Limits, Location, MediaType, Message, Request, Style, decode, encode,
};

use super::{Down, Evil, Hide, OtherReply, Planted, Up, held::Held};

/// The fields that hold a body's proof.
const PROOFS: &[&str] = &["x-syncml-hmac", "content-digest", "signature", "signature-input"];

/// A device's message as the core gets it; nothing: it is hidden.
pub(super) fn up(evil: &Evil, mut up: Up) -> Option<Up> {
    let message = read(&up.headers, &up.body);
    let has_results = message.as_ref().is_some_and(|(message, _)| {
        message.body.iter().any(|command| matches!(command, Command::Results(_)))
    });
    match &evil.hide {
        Hide::All => return None,
        Hide::Path(path) if *path == up.path => return None,
        Hide::Results if has_results => return None,
        _ => {}
    }
    if let (true, Some((mut message, style))) = (evil.results.is_some() || evil.status.is_some(), message) {
        for command in &mut message.body {
            match (command, &evil.results, evil.status) {
                (Command::Results(results), Some(value), _) => {
                    results.items.iter_mut().for_each(|item| item.data = Some(Data::from(value.as_str())));
                }
                (Command::Status(status), _, Some(code)) if status.cmd != "SyncHdr" => status.code = code,
                _ => {}
            }
        }
        up.body = encode(&message, &style).ok()?;
    }
    if let Some(path) = &evil.path {
        up.path.clone_from(path);
    }
    Some(up)
}

/// The core's reply as the device gets it.
pub(super) fn down(evil: &Evil, held: &Held, down: Down) -> Down {
    if let Some(other) = evil.reply {
        return another(held, other, &down).unwrap_or(down);
    }
    if evil.planted.is_none() && !matches!(evil.hide, Hide::Command(_)) {
        return down;
    }
    let Some((mut message, style)) = read(&down.headers, &down.body) else { return down };
    if let Hide::Command(uri) = &evil.hide {
        message.body.retain(|command| target(command) != Some(uri));
    }
    if let Some(planted) = &evil.planted
        && message.body.iter().any(|command| target(command).is_some())
    {
        message.body.push(command(planted, free_id(&message)));
    }
    let body = encode(&message, &style).unwrap_or_else(|_| down.body.clone());
    Down { body, ..down }
}

/// The reply of another exchange, or its commands under this reply's header.
fn another(held: &Held, OtherReply { of, adapted }: OtherReply, down: &Down) -> Option<Down> {
    let other = held.seen().get(of)?.down.clone()?;
    if !adapted {
        return Some(other);
    }
    let (mut message, style) = read(&down.headers, &down.body)?;
    if !message.body.iter().any(|command| target(command).is_some()) {
        return None; // only where the device is told something
    }
    let (theirs, _) = read(&other.headers, &other.body)?;
    message.body.retain(|command| target(command).is_none());
    for mut command in theirs.body.into_iter().filter(|command| target(command).is_some()) {
        let id = free_id(&message);
        if let Some(request) = request_mut(&mut command) {
            request.cmd_id = id;
        }
        message.body.push(command);
    }
    let mut headers = down.headers.clone();
    headers.retain(|(name, _)| !PROOFS.contains(&name.as_str()));
    headers.extend(other.headers.iter().filter(|(name, _)| PROOFS.contains(&name.as_str())).cloned());
    Some(Down { status: down.status, headers, body: encode(&message, &style).ok()? })
}

/// A body that is SyncML, and the style to write it in.
fn read(headers: &[(String, String)], body: &[u8]) -> Option<(Message, Style)> {
    let (_, content_type) = headers.iter().find(|(name, _)| name == "content-type")?;
    let encoding = MediaType::parse(content_type)?.encoding();
    let message = decode(body, encoding, &Limits::default()).ok()?.message;
    let style = match encoding {
        syncml::Encoding::Xml => Style::xml(message.version),
        syncml::Encoding::Wbxml => Style::wbxml(message.version),
    };
    Some((message, style))
}

fn command(planted: &Planted, cmd_id: u32) -> Command {
    let item = Item {
        target: Some(Location::uri(&planted.uri)),
        data: planted.data.as_deref().map(Data::from),
        ..Item::default()
    };
    let request = Request { cmd_id, items: vec![item], ..Request::default() };
    match planted.verb.as_str() {
        "add" => Command::Add(request),
        "get" => Command::Get(request),
        "exec" => Command::Exec(request),
        _ => Command::Replace(request),
    }
}

fn free_id(message: &Message) -> u32 {
    let id = |command: &Command| match command {
        Command::Status(status) => status.cmd_id,
        Command::Alert(alert) => alert.cmd_id,
        Command::Results(results) => results.cmd_id,
        Command::Atomic(group) | Command::Sequence(group) => group.cmd_id + 50,
        Command::Unknown { cmd_id, .. } => cmd_id.unwrap_or(0),
        other => request(other).map_or(0, |request| request.cmd_id),
    };
    message.body.iter().map(id).max().unwrap_or(0) + 1
}

/// What a command is about, where it is one with a target.
fn target(command: &Command) -> Option<&String> {
    Some(&request(command)?.items.first()?.target.as_ref()?.uri)
}

fn request(command: &Command) -> Option<&Request> {
    match command {
        Command::Add(request)
        | Command::Replace(request)
        | Command::Get(request)
        | Command::Delete(request)
        | Command::Copy(request)
        | Command::Exec(request) => Some(request),
        _ => None,
    }
}

fn request_mut(command: &mut Command) -> Option<&mut Request> {
    match command {
        Command::Add(request)
        | Command::Replace(request)
        | Command::Get(request)
        | Command::Delete(request)
        | Command::Copy(request)
        | Command::Exec(request) => Some(request),
        _ => None,
    }
}
