//! Queued commands as they stand in a message. CmdIDs run on through containers, each before its children.

use postern_wire::{
    syncml::{Alert, Command, Data, Group, Item, Location, Meta, Request},
    terms::Verb,
};

use crate::{
    account::Quirks,
    queue::{Body, BodyItem, PendingCommand},
};

/// The command, or its probe; its first CmdID is `first`. Several, where the model takes one item per Get.
pub(super) fn build(
    command: &PendingCommand,
    probe: Option<&[String]>,
    first: u32,
    quirks: Quirks,
) -> Vec<Command> {
    let mut next = first;
    let reads: Vec<BodyItem>;
    let (verb, items, correlator) = match (probe, &command.body) {
        (Some(uris), _) => {
            reads = uris.iter().map(BodyItem::node).collect();
            (Verb::Get, reads.as_slice(), None)
        }
        (None, Body::Plain { verb, items, correlator }) => (*verb, items.as_slice(), correlator.as_deref()),
        (None, body) => return vec![one(body, &mut next)],
    };
    let each = if verb == Verb::Get && quirks.one_item_per_get { 1 } else { items.len().max(1) };
    items.chunks(each).map(|items| plain(verb, items, correlator, &mut next)).collect()
}

/// How many CmdIDs a command takes.
pub(super) fn ids(command: &Command) -> u32 {
    match command {
        Command::Atomic(group) | Command::Sequence(group) => 1 + group.commands.iter().map(ids).sum::<u32>(),
        _ => 1,
    }
}

fn one(body: &Body, next: &mut u32) -> Command {
    match body {
        Body::Plain { verb, items, correlator } => plain(*verb, items, correlator.as_deref(), next),
        Body::Atomic(children) => Command::Atomic(group(children, next)),
        Body::Sequence(children) => Command::Sequence(group(children, next)),
        Body::UserAlert { code, options, text, choices } => {
            let texts = [options, text].into_iter().chain(choices);
            let item = |text: &String| Item { data: Some(Data::Text(text.clone())), ..Item::default() };
            let items = texts.map(item).collect();
            Command::Alert(Alert { cmd_id: take(next), code: *code, items, ..Alert::default() })
        }
    }
}

fn group(children: &[Body], next: &mut u32) -> Group {
    let cmd_id = take(next);
    let commands = children.iter().map(|child| one(child, next)).collect();
    Group { cmd_id, commands, ..Group::default() }
}

fn take(next: &mut u32) -> u32 {
    let id = *next;
    *next = next.saturating_add(1);
    id
}

fn plain(verb: Verb, items: &[BodyItem], correlator: Option<&str>, next: &mut u32) -> Command {
    let request = Request {
        cmd_id: take(next),
        correlator: correlator.filter(|_| verb == Verb::Exec).map(ToOwned::to_owned),
        items: items.iter().map(|item| self::item(verb, item)).collect(),
        ..Request::default()
    };
    match verb {
        Verb::Add => Command::Add(request),
        Verb::Replace => Command::Replace(request),
        Verb::Delete => Command::Delete(request),
        Verb::Exec => Command::Exec(request),
        Verb::Copy => Command::Copy(request),
        // The planner makes no plain command of the last three.
        Verb::Get | Verb::Atomic | Verb::Sequence | Verb::Alert => Command::Get(request),
    }
}

/// One Item; Add and Replace always carry Data, for a client that crashes without it (LD-15).
fn item(verb: Verb, item: &BodyItem) -> Item {
    let data = match verb {
        Verb::Add | Verb::Replace => Some(item.data.clone().unwrap_or_default()),
        Verb::Exec => item.data.clone(),
        _ => None,
    };
    let meta = match verb {
        Verb::Add | Verb::Replace | Verb::Exec => {
            Meta { format: item.format.clone(), type_: item.type_.clone(), ..Meta::default() }
        }
        _ => Meta::default(),
    };
    Item {
        target: Some(Location::uri(item.target.clone())),
        source: item.source.as_ref().map(|uri| Location::uri(uri.clone())),
        meta,
        data,
        more_data: false,
    }
}
