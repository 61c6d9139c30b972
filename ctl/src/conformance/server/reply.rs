//! How a scripted client answers a command: a Status code, Items of the Status, Results.

use postern_wire::syncml::{Command, Data, Item, Location, Meta, Request, Results, Status};

/// The answer to one command.
#[derive(Clone, Debug, Default)]
pub struct Reply {
    /// The Status code; `None` is no Status at all.
    pub code: Option<u32>,
    /// Items of the Status.
    pub status_items: Vec<Item>,
    /// Items of a Results behind it.
    pub results: Vec<Item>,
}

impl Reply {
    /// A Status.
    #[must_use]
    pub const fn code(code: u32) -> Self {
        Self { code: Some(code), status_items: Vec::new(), results: Vec::new() }
    }

    /// Nothing, as if it had never come.
    #[must_use]
    pub const fn silent() -> Self {
        Self { code: None, status_items: Vec::new(), results: Vec::new() }
    }

    /// 200 and a value at the URI that was asked for.
    #[must_use]
    pub fn value(command: &Command, meta: Meta, data: Data) -> Self {
        let source = target_of(command).map(Location::uri);
        let item = Item { source, meta, data: Some(data), ..Item::default() };
        Self { results: vec![item], ..Self::code(200) }
    }

    /// 200 and a text.
    #[must_use]
    pub fn text(command: &Command, text: &str) -> Self {
        Self::value(command, Meta::default(), Data::from(text))
    }

    /// 200 and these Results.
    #[must_use]
    pub const fn results(items: Vec<Item>) -> Self {
        Self { code: Some(200), status_items: Vec::new(), results: items }
    }

    /// A Status with texts in its Items: the answer to a user alert.
    #[must_use]
    pub fn said(code: u32, texts: &[&str]) -> Self {
        let item = |text: &&str| Item { data: Some(Data::from(*text)), ..Item::default() };
        Self { status_items: texts.iter().map(item).collect(), ..Self::code(code) }
    }
}

/// 200 to everything, and a text where something is read.
#[must_use]
pub fn agree(command: &Command) -> Reply {
    match command {
        Command::Get(_) => Reply::text(command, "script"),
        _ => Reply::code(200),
    }
}

/// The Status and Results that answer one command of message `msg_ref`.
#[must_use]
pub fn answers(command: &Command, msg_ref: u32, reply: Reply) -> Vec<Command> {
    let Some((name, cmd_ref)) = name_and_id(command) else { return Vec::new() };
    let mut commands = Vec::new();
    if let Some(code) = reply.code {
        commands.push(Command::Status(Status {
            msg_ref: Some(msg_ref),
            cmd_ref,
            cmd: name.to_owned(),
            target_refs: target_of(command).into_iter().collect(),
            code,
            items: reply.status_items,
            ..Status::default()
        }));
    }
    if !reply.results.is_empty() {
        let items = reply.results;
        commands.push(Command::Results(Results {
            msg_ref: Some(msg_ref),
            cmd_ref,
            items,
            ..Results::default()
        }));
    }
    commands
}

/// Commands with those inside Atomic and Sequence behind their container.
#[must_use]
pub fn flat(commands: &[Command]) -> Vec<&Command> {
    let inside = |command| match command {
        &Command::Atomic(ref group) | &Command::Sequence(ref group) => flat(&group.commands),
        _ => Vec::new(),
    };
    commands.iter().flat_map(|command| std::iter::once(command).chain(inside(command))).collect()
}

/// The name and CmdID of a command that is due a Status.
#[must_use]
pub fn name_and_id(command: &Command) -> Option<(&'static str, u32)> {
    Some(match command {
        Command::Alert(alert) => ("Alert", alert.cmd_id),
        Command::Atomic(group) => ("Atomic", group.cmd_id),
        Command::Sequence(group) => ("Sequence", group.cmd_id),
        Command::Unknown { .. } | Command::Status(_) | Command::Results(_) => return None,
        other => {
            let (name, request) = request_of(other)?;
            (name, request.cmd_id)
        }
    })
}

/// The name and content of a command on nodes.
#[must_use]
pub const fn request_of(command: &Command) -> Option<(&'static str, &Request)> {
    Some(match command {
        Command::Add(request) => ("Add", request),
        Command::Replace(request) => ("Replace", request),
        Command::Get(request) => ("Get", request),
        Command::Delete(request) => ("Delete", request),
        Command::Copy(request) => ("Copy", request),
        Command::Exec(request) => ("Exec", request),
        _ => return None,
    })
}

/// The LocURI that a command is about.
#[must_use]
pub fn target_of(command: &Command) -> Option<String> {
    let (_, request) = request_of(command)?;
    Some(request.items.first()?.target.as_ref()?.uri.clone())
}
