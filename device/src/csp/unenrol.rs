//! ./Vendor/Postern/Unenrol: the device lets go of its enrolment.
//!
//! Promise: it fails closed. An Exec obeys only a signed order; the same order again, while its answer may have been lost, is
//! answered as the first time. Account and keys go only after the server has the answer: [`Leaving::has_left`] says when.

use postern_wire::terms::{OperationId, Verb};
use serde::{Deserialize, Serialize};

use super::{Completion, Exec, Executed, Ground, Mark, Provider, authority, path};
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

/// The node; also the Source of the alert by which a device says that it leaves.
pub const UNENROL: &str = "./Vendor/Postern/Unenrol";
/// The type of that alert.
pub const UNENROL_ALERT: &str = "com.postern:unenrol";
const NAME: &str = "unenrol";

/// How far a device is on its way out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leaving {
    /// The order that was obeyed.
    #[serde(default)]
    order: Option<OperationId>,
    /// The device wants to leave by itself, and told its server.
    #[serde(default)]
    asked: bool,
    /// The server has the answer: everything may go.
    #[serde(default)]
    left: bool,
}

impl Leaving {
    /// Whether the server knows, so that account and keys can be erased.
    #[must_use]
    pub fn has_left(state: &State) -> bool {
        state.memory::<Self>(NAME).left
    }

    /// The device leaves by itself: its server is told in each session until it has answered.
    pub fn ask(state: &mut State, server_id: &str) {
        let memory: Self = state.memory(NAME);
        if memory.asked {
            return;
        }
        state.remember(NAME, &Self { asked: true, ..memory });
        state.complete(Completion {
            server_id: server_id.to_owned(),
            source: UNENROL.to_owned(),
            target: None,
            correlator: None,
            alert_type: UNENROL_ALERT.to_owned(),
            format: "chr".to_owned(),
            data: String::new(),
            mark: Mark::Informational,
        });
    }

    /// The server answered the alert.
    pub(crate) fn answered(state: &mut State, code: Code) {
        let memory: Self = state.memory(NAME);
        if memory.asked {
            state.remember(NAME, &Self { left: code.is_success(), asked: code.is_success(), ..memory });
        }
    }

    /// A session ended as it should, or the server knows this device no more: it has the answer to its order.
    pub(crate) fn session_over(state: &mut State) {
        let memory: Self = state.memory(NAME);
        if memory.order.is_some() && !memory.left {
            state.remember(NAME, &Self { left: true, ..memory });
        }
    }
}

pub(super) struct UnenrolProvider;

impl Provider for UnenrolProvider {
    fn root(&self) -> Path {
        path(&["Vendor", "Postern", "Unenrol"])
    }

    fn plant(&self, ground: &mut Ground<'_>) -> Result<(), Code> {
        // no change of a list keeps the enrolled server from it, and none lets another in
        let acl = Acl::default().granting(&ground.account.server_id, &[Verb::Exec]);
        let node = Node::leaf(Format::Null, "").permanent(&[Verb::Exec]).with_fixed_acl(acl);
        ground.tree.insert(&self.root(), node)
    }

    fn exec(&self, state: &mut State, exec: &Exec<'_>, events: &mut Vec<Event>) -> Result<Executed, Code> {
        let memory: Leaving = state.memory(NAME);
        let order = authority::obey_or_repeat(state, exec, events, memory.order)?;
        state.remember(NAME, &Leaving { order: Some(order.order), ..memory });
        events.push(Event::Leaving { order: order.order });
        Ok(Executed::Done(Code::OK))
    }
}

#[cfg(test)]
mod tests {
    use postern_wire::terms::UtcMillis;

    use super::{
        super::{Providers, bench::Bench},
        *,
    };

    #[test]
    fn an_order_to_leave_is_obeyed_and_everything_goes_when_the_server_has_the_answer() {
        let mut bench = Bench::new(Providers::default());
        let order = bench.order(UNENROL, 7, |_| {});
        assert_eq!(bench.exec(UNENROL, &order), Ok(Code::OK));
        assert!(!Leaving::has_left(&bench.state));
        assert_eq!(bench.exec(UNENROL, &order), Ok(Code::OK), "its answer may have been lost");
        Leaving::session_over(&mut bench.state);
        assert!(Leaving::has_left(&bench.state));
    }

    #[test]
    fn whatever_is_no_good_order_is_refused() {
        let mut bench = Bench::new(Providers::default());
        let orders = [
            String::new(),
            bench.order("./Vendor/Postern/Wipe/Run", 1, |_| {}),
            bench.order(UNENROL, 2, |order| order.generation += 1),
            bench.order(UNENROL, 3, |order| order.expires = UtcMillis(0)),
        ];
        for order in orders {
            assert_eq!(bench.exec(UNENROL, &order), Err(Code::FORBIDDEN));
        }
        Leaving::session_over(&mut bench.state);
        assert!(!Leaving::has_left(&bench.state));
        assert_eq!(bench.read(UNENROL), Err(Code::NOT_ALLOWED));
        let order = bench.order(UNENROL, 4, |_| {});
        assert_eq!(bench.by("other").exec(UNENROL, &order), Err(Code::DENIED));
    }

    #[test]
    fn a_device_that_leaves_by_itself_tells_once_and_waits_for_the_answer() {
        let mut bench = Bench::new(Providers::default());
        for _ in 0..2 {
            Leaving::ask(&mut bench.state, "srv");
        }
        assert_eq!(bench.state.completions.len(), 1);
        assert_eq!(bench.state.completions[0].alert_type, UNENROL_ALERT);
        Leaving::session_over(&mut bench.state);
        assert!(!Leaving::has_left(&bench.state), "a session alone is no answer");
        Leaving::answered(&mut bench.state, Code::UNSUPPORTED);
        assert!(!Leaving::has_left(&bench.state));
        Leaving::ask(&mut bench.state, "srv");
        Leaving::answered(&mut bench.state, Code::OK);
        assert!(Leaving::has_left(&bench.state));
    }
}
