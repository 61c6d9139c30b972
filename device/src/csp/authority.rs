//! What destroys, locks or changes the identity is done for a signed order only.
//!
//! Promise: it fails closed. An order is obeyed when the core's order key signed it and it names this enrolment, its generation,
//! the node that is executed and a moment not yet passed; and once.

use postern_wire::{
    order::{Expected, Order},
    terms::{OperationId, UtcMillis},
};

use super::{Change, Exec};
use crate::{codes::Code, enrolment::Account, event::Event, state::State};

/// The order in an Exec's Data, remembered as obeyed. 403, and an event that says why, for anything else.
pub(super) fn obey(state: &mut State, exec: &Exec<'_>, events: &mut Vec<Event>) -> Result<Order, Code> {
    obey_or_repeat(state, exec, events, None)
}

/// The same; `again` is an order whose answer may have been lost: it may come once more.
pub(super) fn obey_or_repeat(
    state: &mut State,
    exec: &Exec<'_>,
    events: &mut Vec<Event>,
    again: Option<OperationId>,
) -> Result<Order, Code> {
    let uri = exec.path.to_string();
    let text = std::str::from_utf8(exec.data).map_err(|_| "the order is not text".to_owned());
    let order = text.and_then(|text| authorised(exec.account, &uri, text, exec.now));
    let order = order.and_then(|order| once(state, order, again)).map_err(|why| {
        events.push(Event::OrderRefused { uri, why });
        Code::FORBIDDEN
    })?;
    if again != Some(order.order) {
        state.obey(order.order, order.expires, exec.now);
    }
    Ok(order)
}

/// An order that came with a change, for `uri`; remembered as obeyed.
pub(super) fn obey_change(
    state: &mut State,
    change: &Change<'_>,
    uri: &str,
    text: &str,
) -> Result<Order, String> {
    let order = authorised(change.account, uri, text, change.now)?;
    let order = once(state, order, None)?;
    state.obey(order.order, order.expires, change.now);
    Ok(order)
}

fn authorised(account: &Account, uri: &str, text: &str, now: UtcMillis) -> Result<Order, String> {
    let key = account.order_key.as_ref().ok_or("this device has no order key")?;
    let order = Order::open(text, |octets, signature| key.verifies(octets, signature))
        .map_err(|error| error.to_string())?;
    let (enrolment, generation) = (account.enrolment, account.generation);
    order.check(&Expected { enrolment, generation, uri, now }).map_err(|error| error.to_string())?;
    Ok(order)
}

fn once(state: &State, order: Order, again: Option<OperationId>) -> Result<Order, String> {
    if again != Some(order.order) && state.has_obeyed(order.order) {
        return Err("the order was obeyed before".into());
    }
    Ok(order)
}
