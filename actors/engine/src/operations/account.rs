//! The device's account: a new secret in the place of one that may be known to others.
//!
//! An order is one Replace of an `AAuthSecret` (OMA-TS-DM_StdObj 5.3.1) without its value: the secret rests sealed with the
//! enrolment, and is put in when the command is loaded to be sent ([`with_secret`]). Nothing else is taken, so this is
//! no way round the table of protected nodes.

use postern_wire::{
    syncml::Data,
    terms::{OperationKind, Redelivery, Verb},
    uri::TreeUri,
};

use super::{Order, Plan, PlanError, PlannedCommand, Planner, Target};
use crate::queue::{Body, BodyItem};

/// Where our own device holds the secret that it proves itself with.
pub const OWN_SECRET: &str = "./DMAcc/Postern/AppAuth/Client/AAuthSecret";

/// The planner of new secrets.
#[derive(Clone, Copy, Debug)]
pub struct Account;

impl Planner for Account {
    fn kind(&self) -> OperationKind {
        OperationKind::Account
    }

    fn plan(&self, order: &Order, _: Target) -> Result<Plan, PlanError> {
        let [body] = order.commands.as_slice() else { return Err(PlanError::Empty) };
        let uri = body.first_uri().unwrap_or_default().to_owned();
        let shape = |problem| Err(PlanError::Shape { verb: body.verb(), uri: uri.clone(), problem });
        if body.verb() != Verb::Replace || body.items().len() != 1 || !is_secret(&uri) {
            return shape("a new secret is one Replace of an AAuthSecret");
        }
        if body.items().iter().any(|item| item.data.is_some()) {
            return shape("the secret itself does not stand in the order");
        }
        let planned = PlannedCommand { body: body.clone(), redelivery: Redelivery::Repeat };
        Ok(Plan { commands: vec![planned], ordered: false })
    }
}

/// The command that tells our own device a new secret; without the secret.
#[must_use]
pub fn command() -> Body {
    let item = BodyItem { format: Some("chr".to_owned()), ..BodyItem::node(OWN_SECRET) };
    Body::plain(Verb::Replace, vec![item])
}

/// The command with its secret, as it goes out.
#[must_use]
pub fn with_secret(body: Body, secret: &str) -> Body {
    match body {
        Body::Plain { verb, mut items, correlator } => {
            for item in items.iter_mut().filter(|item| is_secret(&item.target)) {
                item.data = Some(Data::from(secret));
            }
            Body::Plain { verb, items, correlator }
        }
        other => other,
    }
}

fn is_secret(uri: &str) -> bool {
    let path = uri.trim_start_matches("./");
    TreeUri::parse(uri).is_ok()
        && !uri.contains('?')
        && path.starts_with("DMAcc/")
        && path.ends_with("/AAuthSecret")
}

#[cfg(test)]
mod tests {
    use postern_wire::terms::{Dialect, Lane, OperationId};
    use uuid::Uuid;

    use super::*;
    use crate::account::Quirks;

    fn plan(commands: Vec<Body>) -> Result<Plan, PlanError> {
        let order = Order {
            operation: OperationId(Uuid::from_u128(1)),
            kind: OperationKind::Account,
            lane: Lane::Urgent,
            deadline: None,
            ordered: false,
            commands,
        };
        Account.plan(&order, Target { dialect: Dialect::Classic, quirks: Quirks::default() })
    }

    #[test]
    fn a_new_secret_is_planned_without_its_value_and_gets_it_when_it_leaves() {
        let planned = plan(vec![command()]).unwrap();
        assert_eq!(planned.commands.len(), 1);
        let body = planned.commands[0].body.clone();
        assert_eq!(body.items()[0].data, None);
        let sent = with_secret(body, "new");
        assert_eq!(sent.items()[0].data, Some(Data::from("new")));
    }

    #[test]
    fn nothing_else_comes_this_way() {
        let replace = |uri: &str| Body::plain(Verb::Replace, vec![BodyItem::node(uri)]);
        let with_value = Body::plain(
            Verb::Replace,
            vec![BodyItem { data: Some("x".into()), ..BodyItem::node(OWN_SECRET) }],
        );
        for commands in [
            vec![],
            vec![command(), command()],
            vec![replace("./DMAcc/Postern/AppAddr/1/Addr")],
            vec![replace("./Settings/AAuthSecret")],
            vec![replace("./DMAcc/x/AAuthSecret?prop=ACL")],
            vec![Body::plain(Verb::Delete, vec![BodyItem::node(OWN_SECRET)])],
            vec![with_value],
        ] {
            assert!(plan(commands.clone()).is_err(), "{commands:?}");
        }
    }
}
