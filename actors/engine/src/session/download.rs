//! Large objects from the device: Results in chunks (OMA-TS-DM_Protocol 1.2.1, 7).
//!
//! Promise: one object at a time, in contiguous messages; each chunk but the last is answered 213, the last one is checked
//! against the Size of the first. What is held never exceeds MaxObjSize, nor all devices' together the spool.

use postern_wire::{
    auth,
    syncml::{Data, Item, Meta, Results},
    terms::CommandId,
};

use super::{SessionConfig, collect, flight::InFlight, serve::Open};
use crate::{command::Cause, effect::ResultItem, spool::Reservation};

/// An object of which the last chunk has not come.
#[derive(Clone, Debug)]
pub(super) struct Download {
    command: CommandId,
    slot: usize,
    /// Its node, format and type, from the first chunk.
    head: ResultItem,
    size: Option<u64>,
    octets: Vec<u8>,
    binary: bool,
    held: Reservation,
}

/// Takes Results that are chunked, or that come while an object is under way. `None` where they are neither; else the
/// code for their Status, `Some(None)` where they get none.
pub(super) fn take(
    open: &mut Open,
    results: &Results,
    flight_at: usize,
    slot: usize,
    config: &SessionConfig,
) -> Option<Option<u32>> {
    let chunked = results.items.iter().any(|item| item.more_data);
    if !chunked && open.download.is_none() {
        return None;
    }
    let source = results.source_ref.as_deref().or(results.target_ref.as_deref());
    let mut code = None;
    for item in &results.items {
        let head = collect::result(item, &results.meta, source, &open.in_flight[flight_at], slot);
        let command = open.in_flight[flight_at].command;
        let goes_on = open.download.as_ref().is_some_and(|object| {
            object.command == command
                && object.slot == slot
                && collect::same_node(&object.head.uri, &head.uri)
        });
        if !goes_on {
            break_off(open);
            if !item.more_data {
                open.in_flight[flight_at].results.push((slot, head));
                continue;
            }
            if let Err(refused) = begin(open, flight_at, slot, head, item, &results.meta, config) {
                code = Some(refused);
                continue;
            }
        }
        code = chunk(open, flight_at, item, config);
    }
    Some(code)
}

/// Opens the place for an object, where its Size allows.
fn begin(
    open: &mut Open,
    flight_at: usize,
    slot: usize,
    head: ResultItem,
    item: &Item,
    meta: &Meta,
    config: &SessionConfig,
) -> Result<(), u32> {
    let flight = &mut open.in_flight[flight_at];
    let size = item.meta.size.or(meta.size);
    match flight.broken {
        // It begins again after our Alert 1225.
        Some(Cause::ObjectBrokenOff | Cause::SizeMismatch) if size.is_some() => flight.broken = None,
        Some(cause) => return Err(code_of(cause)),
        None => {}
    }
    if size.is_some_and(|size| size > config.max_obj_size) {
        flight.broken = Some(Cause::ObjectTooLarge);
        return Err(413);
    }
    let head = ResultItem { data: Data::default(), ..head };
    let (command, held) = (flight.command, config.spool.reserve());
    let octets = Vec::new();
    open.download = Some(Download { command, slot, head, size, octets, binary: false, held });
    Ok(())
}

/// Adds a chunk to the object under way; the code for its Status.
fn chunk(open: &mut Open, flight_at: usize, item: &Item, config: &SessionConfig) -> Option<u32> {
    let mut object = open.download.take()?;
    let flight = &mut open.in_flight[flight_at];
    let part: &[u8] = match &item.data {
        None => &[],
        Some(Data::Text(text) | Data::Markup(text)) => text.as_bytes(),
        Some(Data::Binary(octets)) => {
            object.binary = true;
            octets
        }
    };
    let sum = object.octets.len() as u64 + part.len() as u64;
    let cause = if sum > config.max_obj_size {
        Some(Cause::ObjectTooLarge)
    } else if object.size.is_some_and(|size| sum > size || (!item.more_data && sum != size)) {
        Some(Cause::SizeMismatch)
    } else if !object.held.grow(part.len() as u64) {
        Some(Cause::SpoolFull)
    } else {
        None
    };
    if cause.is_some() {
        flight.broken = cause;
        return cause.map(code_of);
    }
    object.octets.extend_from_slice(part);
    open.progress |= !part.is_empty();
    if item.more_data {
        open.download = Some(object);
        return Some(213);
    }
    let Download { slot, head, octets, binary, .. } = object;
    flight.results.push((slot, ResultItem { data: value(&head, octets, binary), ..head }));
    None
}

/// The object's value: text where it is text and nothing says otherwise. A secret stays what `result` made of it.
fn value(head: &ResultItem, octets: Vec<u8>, binary: bool) -> Data {
    if crate::destructive::is_secret(&head.uri) {
        return collect::REDACTED.into();
    }
    if binary && matches!(head.format.as_str(), "bin" | "b64") {
        return Data::Binary(octets);
    }
    match String::from_utf8(octets) {
        // White space between the lines of base64 is none of the value.
        Ok(text) if head.format == "b64" => match auth::decode_base64(&text) {
            Some(_) => Data::Text(text.split_ascii_whitespace().collect()),
            None => Data::Text(text),
        },
        Ok(text) => Data::Text(text),
        Err(error) => Data::Binary(error.into_bytes()),
    }
}

/// Drops the object under way: something else came before its last chunk. The device is told by Alert 1225.
pub(super) fn break_off(open: &mut Open) {
    let Some(object) = open.download.take() else { return };
    let of = |flight: &&mut InFlight| flight.command == object.command;
    if let Some(flight) = open.in_flight.iter_mut().find(of) {
        flight.broken = Some(Cause::ObjectBrokenOff);
    }
    open.broken_off.push_back(object.head.uri);
}

const fn code_of(cause: Cause) -> u32 {
    match cause {
        Cause::SizeMismatch | Cause::ObjectBrokenOff => 424,
        Cause::SpoolFull => 420,
        _ => 413,
    }
}
