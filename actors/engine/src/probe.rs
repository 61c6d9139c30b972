//! Probes: reading a node to find out whether a command in unknown fate took effect.
//!
//! Promise: a probe changes nothing on the device, and what it cannot tell is said to be unclear, never guessed.

use postern_wire::{auth, syncml::Data, terms::Verb};

use crate::{
    command::{Cause, Event},
    effect::ResultItem,
    queue::{Body, BodyItem},
};

/// The nodes to read for a command; `None` where reading cannot tell.
#[must_use]
pub fn uris(body: &Body) -> Option<Vec<String>> {
    let body = subject(body)?;
    let [item] = body.items() else { return None };
    match body.verb() {
        Verb::Add | Verb::Replace | Verb::Delete => Some(vec![item.target.clone()]),
        Verb::Copy => Some(vec![item.target.clone(), item.source.clone()?]),
        Verb::Get | Verb::Exec | Verb::Atomic | Verb::Sequence | Verb::Alert => None,
    }
}

/// What is probed of a command. Of an Atomic one Add tells for all, because it is all or nothing.
fn subject(body: &Body) -> Option<&Body> {
    match body {
        Body::Plain { .. } => Some(body),
        Body::Atomic(children) => {
            children.iter().find(|child| child.verb() == Verb::Add && child.items().len() == 1)
        }
        Body::Sequence(_) | Body::UserAlert { .. } => None,
    }
}

/// What the answers to a probe say of the command.
#[must_use]
pub fn decide(body: &Body, codes: &[Option<u32>], found: &[&ResultItem]) -> (Event, Cause) {
    const DONE: (Event, Cause) = (Event::ProbedDone, Cause::FoundByProbe);
    const UNDONE: (Event, Cause) = (Event::ProbedUndone, Cause::NotFoundByProbe);
    const UNCLEAR: (Event, Cause) = (Event::ProbedUnclear, Cause::ProbeUnclear);
    let Some((body, item)) = subject(body).and_then(|body| Some((body, body.items().first()?))) else {
        return UNCLEAR;
    };
    match (body.verb(), codes) {
        (Verb::Delete, [Some(404)]) => DONE,
        (Verb::Delete, [Some(200)]) => UNDONE,
        (Verb::Add | Verb::Replace, [Some(404)]) | (Verb::Copy, [Some(404), _]) => UNDONE,
        (Verb::Add, [Some(200)]) if holds(item, found.first().copied()) => DONE,
        (Verb::Replace, [Some(200)]) => match found.first().copied() {
            Some(found) if holds(item, Some(found)) => DONE,
            Some(_) => UNDONE,
            None => UNCLEAR,
        },
        (Verb::Copy, [Some(200), Some(200)]) => match found {
            [target, source] if same_value(&target.data, &source.data, &target.format) => DONE,
            [_, _] => UNDONE,
            _ => UNCLEAR,
        },
        _ => UNCLEAR,
    }
}

/// Whether the node is there as the item would have made it. Of an interior node and of a subtree only that it
/// is there can be told.
fn holds(item: &BodyItem, found: Option<&ResultItem>) -> bool {
    let format = item.format.as_deref().unwrap_or("chr");
    let subtree =
        item.type_.as_deref().is_some_and(|type_| type_.starts_with("application/vnd.syncml.dmtnds"));
    if subtree || format.eq_ignore_ascii_case("node") {
        return true;
    }
    let wanted = item.data.clone().unwrap_or_default();
    match found {
        Some(found) => same_value(&wanted, &found.data, format),
        None => octets(&wanted, format).is_empty(),
    }
}

fn same_value(one: &Data, other: &Data, format: &str) -> bool {
    octets(one, format) == octets(other, format)
}

/// A value's octets, whether it came as base64 or raw.
fn octets(data: &Data, format: &str) -> Vec<u8> {
    let binary = format.eq_ignore_ascii_case("b64") || format.eq_ignore_ascii_case("bin");
    match data {
        Data::Binary(octets) => octets.clone(),
        Data::Text(text) | Data::Markup(text) if binary => {
            auth::decode_base64(text).unwrap_or_else(|| text.as_bytes().to_vec())
        }
        Data::Text(text) | Data::Markup(text) => text.trim().as_bytes().to_vec(),
    }
}
