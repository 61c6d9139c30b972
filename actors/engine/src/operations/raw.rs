//! Commands typed by an admin: checked against the tree's grammar and the table of protected URIs.
//!
//! What is planned says the same as what was typed; only an Add or Copy of several items becomes several
//! commands, so that each one's fate can be probed, and a Get of several where the model takes one item each.

use postern_wire::{
    auth,
    syncml::Data,
    terms::{OperationKind, Verb},
    uri::{Query, TreeUri},
};

use super::{Order, Plan, PlanError, PlannedCommand, Planner, Target};
use crate::{
    command::default_redelivery,
    destructive,
    queue::{Body, BodyItem},
};

/// The planner of raw commands.
#[derive(Clone, Copy, Debug)]
pub struct Raw;

impl Planner for Raw {
    fn kind(&self) -> OperationKind {
        OperationKind::Raw
    }

    fn plan(&self, order: &Order, target: Target) -> Result<Plan, PlanError> {
        if order.commands.is_empty() {
            return Err(PlanError::Empty);
        }
        let mut commands = Vec::new();
        for body in &order.commands {
            let Body::Plain { verb, items, correlator } = body else {
                return Err(PlanError::Model { problem: "structured commands are not sent yet" });
            };
            let (verb, items) = (*verb, plain(*verb, items)?);
            let correlator = correlator.clone().filter(|_| verb == Verb::Exec);
            let redelivery = default_redelivery(verb);
            let one_each = match verb {
                Verb::Add | Verb::Copy => true,
                Verb::Get => target.quirks.one_item_per_get,
                _ => false,
            };
            let each = if one_each { 1 } else { items.len() };
            commands.extend(items.chunks(each).map(|items| PlannedCommand {
                body: Body::Plain { verb, items: items.to_vec(), correlator: correlator.clone() },
                redelivery,
            }));
        }
        Ok(Plan { commands })
    }
}

/// Formats of OMA DM 1.2 (omadm.md 1.4).
const FORMATS: &[&str] =
    &["b64", "bin", "bool", "chr", "int", "node", "null", "xml", "date", "time", "float"];

/// The items of one command on the tree, checked.
fn plain(verb: Verb, items: &[BodyItem]) -> Result<Vec<BodyItem>, PlanError> {
    let got = items.len();
    match (verb, got) {
        _ if !verb.is_on_the_tree() => {
            return Err(PlanError::Items { verb, expected: "commands, not items", got });
        }
        (Verb::Exec, 2..) | (Verb::Exec, 0) => {
            return Err(PlanError::Items { verb, expected: "exactly one item", got });
        }
        (_, 0) => return Err(PlanError::Items { verb, expected: "at least one item", got }),
        _ => {}
    }
    items.iter().map(|item| self::item(verb, item)).collect()
}

fn item(verb: Verb, item: &BodyItem) -> Result<BodyItem, PlanError> {
    let target = tree_uri(&item.target)?;
    let source = item.source.as_deref().map(tree_uri).transpose()?;
    let shape = |problem| PlanError::Shape { verb, uri: target.to_string(), problem };
    match (verb, target.query()) {
        (Verb::Get, _) | (Verb::Replace, Some(Query::Prop("ACL" | "Name" | "Title"))) | (_, None) => {}
        (Verb::Replace, Some(Query::Prop(_))) => {
            return Err(shape("only ACL, Name and Title can be replaced"));
        }
        _ => return Err(shape("properties and lists cannot be addressed with this verb")),
    }
    if target.is_root() && target.query().is_none() && verb != Verb::Get {
        return Err(shape("the root can only be read"));
    }
    match (verb, &source) {
        (Verb::Copy, None) => return Err(shape("a source is needed")),
        (Verb::Copy, Some(source)) if source.query().is_some() => {
            return Err(shape("the source is not a leaf"));
        }
        (Verb::Copy, Some(_)) | (_, None) => {}
        (_, Some(_)) => return Err(shape("only Copy has a source")),
    }
    let valued = item.data.is_some() || item.format.is_some() || item.type_.is_some();
    if valued && matches!(verb, Verb::Get | Verb::Delete | Verb::Copy) {
        return Err(shape("this verb has no data, format or type"));
    }
    let format = item.format.as_deref().map(str::to_ascii_lowercase);
    value(&target, format.as_deref().unwrap_or("chr"), item.data.as_ref())?;
    let subtree = item.type_.as_deref().is_some_and(|type_| type_.contains("dmtnds"))
        || matches!(item.data, Some(Data::Markup(_)));
    let refused = destructive::protected(verb, &target, subtree).map(|what| (&target, what));
    let from = source
        .as_ref()
        .and_then(|source| destructive::protected(Verb::Get, source, false).map(|what| (source, what)));
    if let Some((uri, protected)) = refused.or(from) {
        return Err(PlanError::Protected { uri: uri.to_string(), protected });
    }
    Ok(BodyItem {
        target: target.to_string(),
        source: source.map(|source| source.to_string()),
        format,
        type_: item.type_.clone(),
        data: item.data.clone(),
    })
}

fn tree_uri(text: &str) -> Result<TreeUri, PlanError> {
    TreeUri::parse(text).map_err(|error| PlanError::Uri { uri: text.to_owned(), problem: error.to_string() })
}

/// Whether the data fits its format, and can be carried at all.
fn value(uri: &TreeUri, format: &str, data: Option<&Data>) -> Result<(), PlanError> {
    let wrong = |problem: String| Err(PlanError::Value { uri: uri.to_string(), problem });
    if !FORMATS.contains(&format) {
        return wrong(format!("{format:?} is no format of OMA DM; it has {}", FORMATS.join(", ")));
    }
    let Some(data) = data else { return Ok(()) };
    let text = match data {
        Data::Text(text) => text,
        Data::Binary(_) if matches!(format, "b64" | "bin") => return Ok(()),
        Data::Binary(_) => return wrong(format!("octets cannot be of format {format}")),
        Data::Markup(_) => return Ok(()),
    };
    if let Some(bad) = text.chars().find(|&c| !is_xml_character(c)) {
        return wrong(format!("U+{:04X} cannot be carried; use format b64", u32::from(bad)));
    }
    let fits = match format {
        "int" => text.trim().parse::<i32>().is_ok(),
        "bool" => matches!(text.trim(), "true" | "false"),
        "float" => text.trim().parse::<f64>().is_ok(),
        "b64" => auth::decode_base64(text).is_some(),
        "node" | "null" => text.is_empty(),
        _ => true,
    };
    if fits { Ok(()) } else { wrong(format!("the data is no value of format {format}")) }
}

/// Char of XML 1.0.
const fn is_xml_character(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{FFFD}' | '\u{10000}'..)
}

#[cfg(test)]
mod tests {
    use postern_wire::terms::{Dialect, Lane, OperationId, Redelivery};
    use uuid::Uuid;

    use super::*;
    use crate::{account::Quirks, destructive::Protected};

    fn plan(commands: Vec<Body>) -> Result<Plan, PlanError> {
        plan_for(commands, Quirks::default())
    }

    fn plan_for(commands: Vec<Body>, quirks: Quirks) -> Result<Plan, PlanError> {
        let order = Order {
            operation: OperationId(Uuid::from_u128(1)),
            kind: OperationKind::Raw,
            lane: Lane::Normal,
            deadline: None,
            ordered: false,
            commands,
        };
        Raw.plan(&order, Target { dialect: Dialect::Classic, quirks })
    }

    fn body(verb: Verb, items: Vec<BodyItem>) -> Body {
        Body::plain(verb, items)
    }

    fn valued(target: &str, format: &str, data: &str) -> BodyItem {
        BodyItem { format: Some(format.into()), data: Some(data.into()), ..BodyItem::node(target) }
    }

    #[test]
    fn each_verb_gets_its_redelivery_class() {
        let copy = BodyItem { source: Some("./A".into()), ..BodyItem::node("./B") };
        for (command, class) in [
            (body(Verb::Get, vec![BodyItem::node("./A")]), Redelivery::Repeat),
            (body(Verb::Replace, vec![valued("./A", "chr", "x")]), Redelivery::Repeat),
            (body(Verb::Delete, vec![BodyItem::node("./A")]), Redelivery::Repeat),
            (body(Verb::Add, vec![valued("./A", "chr", "x")]), Redelivery::ProbeFirst),
            (body(Verb::Copy, vec![copy]), Redelivery::ProbeFirst),
            (body(Verb::Exec, vec![BodyItem::node("./A")]), Redelivery::AtMostOnce),
        ] {
            assert_eq!(plan(vec![command]).unwrap().commands[0].redelivery, class);
        }
    }

    #[test]
    fn what_does_not_fit_the_tree_is_refused_with_its_reason() {
        let copy = || BodyItem { source: Some("./A".into()), ..BodyItem::node("./B") };
        for command in [
            body(Verb::Get, vec![]),
            body(Verb::Exec, vec![BodyItem::node("./A"), BodyItem::node("./B")]),
            body(Verb::Get, vec![BodyItem::node("/A")]),
            body(Verb::Get, vec![BodyItem::node("./A/../B")]),
            body(Verb::Delete, vec![BodyItem::node(".")]),
            body(Verb::Add, vec![valued("./A?prop=ACL", "chr", "Get=*")]),
            body(Verb::Replace, vec![valued("./A?prop=Size", "int", "1")]),
            body(Verb::Copy, vec![BodyItem::node("./A")]),
            body(Verb::Replace, vec![copy()]),
            body(Verb::Get, vec![valued("./A", "chr", "x")]),
            body(Verb::Add, vec![valued("./A", "integer", "1")]),
            body(Verb::Add, vec![valued("./A", "int", "2147483648")]),
            body(Verb::Add, vec![valued("./A", "bool", "yes")]),
            body(Verb::Add, vec![valued("./A", "b64", "?")]),
            body(Verb::Add, vec![valued("./A", "node", "x")]),
            body(Verb::Add, vec![valued("./A", "chr", "a\u{0}b")]),
        ] {
            assert!(plan(vec![command.clone()]).is_err(), "{command:?}");
        }
        assert_eq!(plan(vec![]), Err(PlanError::Empty));
    }

    #[test]
    fn a_protected_uri_is_refused_as_target_and_as_source() {
        let target = body(Verb::Exec, vec![BodyItem::node("./Vendor/MSFT/RemoteWipe/doWipe")]);
        let leak =
            BodyItem { source: Some("./DMAcc/x/AppAuth/1/AAuthSecret".into()), ..BodyItem::node("./B") };
        let wanted = |what| move |error: PlanError| matches!(error, PlanError::Protected { protected, .. } if protected == what);
        assert!(plan(vec![target]).is_err_and(wanted(Protected::Wipe)));
        assert!(plan(vec![body(Verb::Copy, vec![leak])]).is_err_and(wanted(Protected::Secret)));
    }

    #[test]
    fn an_add_of_several_items_becomes_one_command_each() {
        let add = body(Verb::Add, vec![valued("./A", "chr", "1"), valued("B", "chr", "2")]);
        let plan = plan(vec![add]).unwrap();
        let targets: Vec<_> = plan.commands.iter().map(|c| c.body.items()[0].target.as_str()).collect();
        assert_eq!(targets, ["./A", "./B"]);
    }

    #[test]
    fn pt_06_a_get_of_several_items_is_split_where_the_model_takes_one_each() {
        let get = || body(Verb::Get, vec![BodyItem::node("./A"), BodyItem::node("./B")]);
        let quirks = Quirks { one_item_per_get: true, ..Quirks::default() };
        assert_eq!(plan_for(vec![get()], quirks).unwrap().commands.len(), 2);
        assert_eq!(plan(vec![get()]).unwrap().commands.len(), 1);
    }
}
