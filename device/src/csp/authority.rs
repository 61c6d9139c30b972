//! What destroys or locks is done for a signed order only.
//!
//! Promise: it fails closed. An order is obeyed when the core's order key signed it and it names this enrolment, its generation,
//! the node that is executed and a moment not yet passed; and once.

use postern_wire::order::{Expected, Order};

use super::Exec;
use crate::{codes::Code, event::Event, state::State};

/// The order in an Exec's Data, remembered as obeyed. 403, and an event that says why, for anything else.
pub(super) fn obey(state: &mut State, exec: &Exec<'_>, events: &mut Vec<Event>) -> Result<Order, Code> {
    let uri = exec.path.to_string();
    let order = authorised(state, exec, &uri).map_err(|why| {
        events.push(Event::OrderRefused { uri, why });
        Code::FORBIDDEN
    })?;
    state.obey(order.order, order.expires, exec.now);
    Ok(order)
}

fn authorised(state: &State, exec: &Exec<'_>, uri: &str) -> Result<Order, String> {
    let key = exec.account.order_key.as_ref().ok_or("this device has no order key")?;
    let text = std::str::from_utf8(exec.data).map_err(|_| "the order is not text")?;
    let order = Order::open(text, |octets, signature| key.verifies(octets, signature))
        .map_err(|error| error.to_string())?;
    let (enrolment, generation) = (exec.account.enrolment, exec.account.generation);
    order
        .check(&Expected { enrolment, generation, uri, now: exec.now })
        .map_err(|error| error.to_string())?;
    if state.has_obeyed(order.order) {
        return Err("the order was obeyed before".into());
    }
    Ok(order)
}
