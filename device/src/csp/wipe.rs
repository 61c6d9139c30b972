//! ./Vendor/Postern/Wipe: the remote wipe of our own device.
//!
//! Promise: it fails closed. `Run` obeys only a signed order, once. The device then clears its settings and records
//! the wipe; `LastOrder` shows it to a server. The last order once more, because its answer was lost, is answered as the
//! first time and does nothing.

use postern_wire::terms::{UtcMillis, Verb};

use super::{Exec, Executed, Ground, Provider, authority::obey_or_repeat, path};
use crate::{
    codes::Code,
    event::Event,
    state::State,
    tree::{
        acl::Acl,
        node::{Format, Node},
        path::Path,
    },
};

/// The node that a wipe executes.
pub const RUN: &str = "./Vendor/Postern/Wipe/Run";

pub(super) struct WipeProvider;

impl Provider for WipeProvider {
    fn root(&self) -> Path {
        path(&["Vendor", "Postern", "Wipe"])
    }

    fn plant(&self, ground: &mut Ground<'_>) -> Result<(), Code> {
        let own = self.root();
        // whoever else is let in: no change of a list keeps the enrolled server from a wipe
        let acl =
            Acl::default().granting_any(&[Verb::Get]).granting(&ground.account.server_id, &[Verb::Exec]);
        ground.tree.insert(&own, Node::interior().permanent(&[Verb::Get]).with_fixed_acl(acl))?;
        ground.tree.insert(&own.child("Run"), Node::leaf(Format::Null, "").permanent(&[Verb::Exec]))?;
        ground.fact(&own.child("LastOrder"), "")
    }

    fn exec(&self, state: &mut State, exec: &Exec<'_>, events: &mut Vec<Event>) -> Result<Executed, Code> {
        let last = state.wipes().last().map(|wipe| wipe.order);
        let order = obey_or_repeat(state, exec, events, last)?;
        if last == Some(order.order) {
            return Ok(Executed::Done(Code::OK));
        }
        state.wipe(order.order, exec.now);
        show_last(state)?;
        events.push(Event::Wiped { order: order.order });
        Ok(Executed::Done(Code::OK))
    }

    fn refresh(&self, state: &mut State, _scope: &Path, _now: UtcMillis) -> Result<(), Code> {
        show_last(state)
    }
}

fn show_last(state: &mut State) -> Result<(), Code> {
    let Some(last) = state.wipes().last() else { return Ok(()) };
    let order = last.order.to_string();
    state.tree.update(&WipeProvider.root().child("LastOrder"), |node| node.value = order.into_bytes())
}
