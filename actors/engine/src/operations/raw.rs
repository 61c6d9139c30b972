//! Commands typed by an admin: checked against the tree's grammar and the table of protected URIs.
//!
//! What is planned says the same as what was typed; only an Add or Copy of several items becomes several
//! commands, so that each one's fate can be probed, a Get of several where the model takes one item each, a Replace of
//! several where one is large, and a Sequence where the model has none. What a container holds is judged like the rest.

use postern_wire::{
    auth,
    syncml::Data,
    terms::{OperationKind, Verb},
    uri::{Query, TreeUri},
};

use super::{Order, Plan, PlanError, PlannedCommand, Planner, Target, data_octets};
use crate::{
    account::Quirks,
    command::{default_redelivery, redelivery},
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
        let mut plan = Plan::default();
        for body in &order.commands {
            one(body, target.quirks, &mut plan)?;
        }
        Ok(plan)
    }
}

/// Commands that a container holds at most.
const CHILDREN: usize = 64;
/// Octets of a value that goes in a command of its own, so that it can be cut where it does not fit a message.
const LARGE: usize = 1000;

/// One command as typed, put into those that go out.
fn one(body: &Body, quirks: Quirks, plan: &mut Plan) -> Result<(), PlanError> {
    let body = match body {
        Body::Plain { verb, items, correlator } => {
            let items = plain(*verb, items)?;
            let large = |item: &BodyItem| item.data.as_ref().is_some_and(|data| data_octets(data) > LARGE);
            let one_each = match verb {
                Verb::Add | Verb::Copy => true,
                Verb::Get => quirks.one_item_per_get,
                Verb::Replace => items.iter().any(large),
                _ => false,
            };
            let each = if one_each { 1 } else { items.len() };
            let correlator = correlator.clone().filter(|_| *verb == Verb::Exec);
            plan.commands.extend(items.chunks(each).map(|items| PlannedCommand {
                body: Body::Plain { verb: *verb, items: items.to_vec(), correlator: correlator.clone() },
                redelivery: default_redelivery(*verb),
            }));
            return Ok(());
        }
        Body::Atomic(children) => atomic(children, quirks)?,
        Body::Sequence(children) => {
            let children = sequence(children, quirks)?;
            if quirks.no_sequence {
                return spread(children, plan);
            }
            Body::Sequence(children)
        }
        Body::UserAlert { .. } => user_alert(body)?,
    };
    let redelivery = redelivery(&body);
    plan.commands.push(PlannedCommand { body, redelivery });
    Ok(())
}

/// What may stand in an Atomic: Add, Copy, Delete, Replace and display alerts (REP 6.6.3).
fn atomic(children: &[Body], quirks: Quirks) -> Result<Body, PlanError> {
    if quirks.no_atomic {
        return Err(PlanError::Model { problem: "it does not take back what an Atomic has done" });
    }
    let one = |child: &Body| match child {
        Body::Plain {
            verb: verb @ (Verb::Add | Verb::Copy | Verb::Delete | Verb::Replace), items, ..
        } => Ok(Body::plain(*verb, plain(*verb, items)?)),
        Body::UserAlert { .. } => user_alert(child),
        other => Err(PlanError::Composition { container: Verb::Atomic, inside: other.verb() }),
    };
    Ok(Body::Atomic(counted(Verb::Atomic, children)?.iter().map(one).collect::<Result<_, _>>()?))
}

/// What may stand in a Sequence: everything but another one.
fn sequence(children: &[Body], quirks: Quirks) -> Result<Vec<Body>, PlanError> {
    let one = |child: &Body| match child {
        Body::Plain { verb, items, correlator } => {
            let correlator = correlator.clone().filter(|_| *verb == Verb::Exec);
            Ok(Body::Plain { verb: *verb, items: plain(*verb, items)?, correlator })
        }
        Body::Atomic(children) => atomic(children, quirks),
        Body::UserAlert { .. } => user_alert(child),
        Body::Sequence(_) => {
            Err(PlanError::Composition { container: Verb::Sequence, inside: Verb::Sequence })
        }
    };
    counted(Verb::Sequence, children)?.iter().map(one).collect()
}

fn counted(verb: Verb, children: &[Body]) -> Result<&[Body], PlanError> {
    if children.is_empty() || children.len() > CHILDREN {
        return Err(PlanError::Items { verb, expected: "1 to 64 commands", got: children.len() });
    }
    Ok(children)
}

/// The commands of a Sequence one after the other, for a model that crashes over it (LD-16).
fn spread(children: Vec<Body>, plan: &mut Plan) -> Result<(), PlanError> {
    if children.iter().any(|child| child.verb() == Verb::Alert) {
        return Err(PlanError::Model { problem: "it has no Sequence, so no answer could stop what follows" });
    }
    plan.ordered = true;
    plan.commands.extend(children.into_iter().map(|body| {
        let redelivery = redelivery(&body);
        PlannedCommand { body, redelivery }
    }));
    Ok(())
}

/// A display alert whose parts fit its code.
fn user_alert(body: &Body) -> Result<Body, PlanError> {
    const TEXT: usize = 2000;
    const CHOICES: usize = 100;
    let Body::UserAlert { code, options, text, choices } = body else { return Ok(body.clone()) };
    let wrong = |problem| Err(PlanError::Shape { verb: Verb::Alert, uri: code.to_string(), problem });
    let chooses = matches!(code, 1103 | 1104);
    let texts = || [options, text].into_iter().chain(choices);
    if !(1100..=1104).contains(code) {
        wrong("only 1100 to 1104 are shown to a person")
    } else if text.trim().is_empty() {
        wrong("there is nothing to show")
    } else if chooses == choices.is_empty() {
        wrong("1103 and 1104 have choices, the others none")
    } else if choices.len() > CHOICES || texts().any(|text| text.len() > TEXT) {
        wrong("it is longer than any device shows")
    } else if texts().any(|text| !text.chars().all(is_xml_character)) {
        wrong("a character of it cannot be carried")
    } else {
        Ok(body.clone())
    }
}

/// Formats of OMA DM 1.2 (OMA-TS-DM_TND 1.2.1).
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

/// Why an item of a command cannot be sent at all, if so.
pub(crate) fn refusal(verb: Verb, item: &BodyItem) -> Option<PlanError> {
    self::item(verb, item).err()
}

/// Why a value cannot be sent in a format, if so, whatever the command and its node.
pub(crate) fn refusal_of_value(format: &str, data: Option<&Data>) -> Option<String> {
    let format = format.to_ascii_lowercase();
    match FORMATS.contains(&format.as_str()) {
        true => data.and_then(|data| misfit(&format, data)),
        false => Some(format!("{format:?} is no format of OMA DM; it has {}", FORMATS.join(", "))),
    }
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
    let wrong = |problem| Err(PlanError::Value { uri: uri.to_string(), problem });
    refusal_of_value(format, data).map_or(Ok(()), wrong)
}

/// Why data is no value of a format, if so.
fn misfit(format: &str, data: &Data) -> Option<String> {
    let text = match data {
        Data::Text(text) => text,
        Data::Binary(_) if matches!(format, "b64" | "bin") => return None,
        Data::Binary(_) => return Some(format!("octets cannot be of format {format}")),
        Data::Markup(_) => return None,
    };
    if let Some(bad) = uncarried(text) {
        return Some(format!("U+{:04X} cannot be carried; use format b64", u32::from(bad)));
    }
    let fits = match format {
        "int" => text.trim().parse::<i32>().is_ok(),
        "bool" => matches!(text.trim(), "true" | "false"),
        "float" => text.trim().parse::<f64>().is_ok(),
        "b64" => auth::decode_base64(text).is_some(),
        "node" | "null" => text.is_empty(),
        _ => true,
    };
    (!fits).then(|| format!("the data is no value of format {format}"))
}

/// The first character that no message carries, if there is one.
pub(crate) fn uncarried(text: &str) -> Option<char> {
    text.chars().find(|&c| !is_xml_character(c))
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
    use crate::destructive::Protected;

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

    fn ask(code: u32, choices: &[&str]) -> Body {
        let choices = choices.iter().map(ToString::to_string).collect();
        Body::UserAlert { code, options: "MINDT=10".into(), text: "Now?".into(), choices }
    }

    #[test]
    fn srv_32_an_atomic_holds_what_the_protocol_allows_and_nothing_else() {
        let node = |verb| body(verb, vec![BodyItem::node("./A")]);
        let copy = body(Verb::Copy, vec![BodyItem { source: Some("./B".into()), ..BodyItem::node("./C") }]);
        let good = Body::Atomic(vec![node(Verb::Add), node(Verb::Delete), copy, ask(1101, &[])]);
        assert_eq!(plan(vec![good.clone()]).unwrap().commands[0].body, good);
        for inside in [
            node(Verb::Get),
            node(Verb::Exec),
            Body::Atomic(vec![node(Verb::Add)]),
            Body::Sequence(vec![node(Verb::Add)]),
        ] {
            let (container, verb) = (Verb::Atomic, inside.verb());
            let refused = plan(vec![Body::Atomic(vec![node(Verb::Add), inside])]);
            assert_eq!(refused, Err(PlanError::Composition { container, inside: verb }));
        }
        assert!(plan(vec![Body::Atomic(vec![])]).is_err());
    }

    #[test]
    fn a_sequence_holds_anything_but_a_sequence_and_is_as_careful_as_its_most_careful_part() {
        let node = |verb| body(verb, vec![BodyItem::node("./A")]);
        let atomic = || Body::Atomic(vec![node(Verb::Add)]);
        for (inside, class) in [
            (vec![node(Verb::Get), node(Verb::Delete)], Redelivery::Repeat),
            (vec![node(Verb::Get), atomic()], Redelivery::ProbeFirst),
            (vec![ask(1101, &[]), node(Verb::Exec)], Redelivery::AtMostOnce),
        ] {
            assert_eq!(plan(vec![Body::Sequence(inside)]).unwrap().commands[0].redelivery, class);
        }
        assert!(plan(vec![Body::Sequence(vec![Body::Sequence(vec![node(Verb::Get)])])]).is_err());
    }

    #[test]
    fn ld_16_ld_17_models_without_sequence_or_atomic_get_neither() {
        let node = |verb| body(verb, vec![BodyItem::node("./A")]);
        let quirks = Quirks { no_sequence: true, no_atomic: true, ..Quirks::default() };
        let plan = plan_for(vec![Body::Sequence(vec![node(Verb::Delete), node(Verb::Get)])], quirks).unwrap();
        assert_eq!((plan.ordered, plan.commands.len()), (true, 2));
        for refused in
            [Body::Atomic(vec![node(Verb::Add)]), Body::Sequence(vec![ask(1101, &[]), node(Verb::Get)])]
        {
            assert!(matches!(plan_for(vec![refused], quirks), Err(PlanError::Model { .. })));
        }
    }

    #[test]
    fn an_alert_to_the_person_at_the_device_has_the_parts_that_its_code_wants() {
        for good in [ask(1100, &[]), ask(1102, &[]), ask(1103, &["a"]), ask(1104, &["a", "b"])] {
            assert_eq!(plan(vec![good.clone()]).unwrap().commands[0].body, good);
        }
        let empty = Body::UserAlert { code: 1100, options: String::new(), text: " ".into(), choices: vec![] };
        for bad in [ask(1103, &[]), ask(1101, &["a"]), ask(1105, &[]), ask(1222, &[]), empty] {
            assert!(plan(vec![bad.clone()]).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn protected_uris_are_refused_inside_containers_and_by_way_of_their_acl() {
        let wipe = || body(Verb::Exec, vec![BodyItem::node("./LAWMO/Operations/Wipe")]);
        let account = || body(Verb::Replace, vec![valued("./DMAcc/x/AppAddr/1/Addr", "chr", "http://x")]);
        let acl = || body(Verb::Replace, vec![valued("./DMAcc/x?prop=ACL", "chr", "Get=*")]);
        let above = || body(Verb::Delete, vec![BodyItem::node("./LAWMO")]);
        let secret = || body(Verb::Get, vec![BodyItem::node("./DMAcc/x/AppAuth/1/AAuthSecret")]);
        for (order, what) in [
            (Body::Sequence(vec![wipe()]), Protected::Wipe),
            (Body::Sequence(vec![secret()]), Protected::Secret),
            (Body::Sequence(vec![Body::Atomic(vec![account()])]), Protected::Account),
            (Body::Atomic(vec![account()]), Protected::Account),
            (Body::Atomic(vec![acl()]), Protected::Secret),
            (Body::Atomic(vec![above()]), Protected::Wipe),
            (acl(), Protected::Secret),
        ] {
            let refused = plan(vec![order.clone()]);
            let wanted =
                matches!(&refused, Err(PlanError::Protected { protected, .. }) if *protected == what);
            assert!(wanted, "{order:?}: {refused:?}");
        }
    }

    #[test]
    fn a_replace_of_several_items_is_split_where_one_is_large() {
        let large = "x".repeat(2000);
        let items = |value: &str| vec![valued("./A", "chr", value), valued("./B", "chr", "y")];
        let count = |value: &str| plan(vec![body(Verb::Replace, items(value))]).unwrap().commands.len();
        assert_eq!((count("x"), count(&large)), (1, 2));
    }
}
