//! Documents out of a text. What the words mean for a device is [`super::check`]'s business.

use std::collections::{BTreeMap, BTreeSet};

use postern_wire::{terms::Dialect, tnds::Format, uri::TreeUri};

use super::{
    model::{Assign, Document, MAX_ORDER, REMOVALS, Scalar, Setting, Subject, Value},
    node::{At, Error, ErrorKind, Kind, Limits, Node, read as nodes},
};
use crate::policy::desired::Removal;

/// The members of a document.
pub(super) const DOCUMENT: &[&str] =
    &["postern", "name", "description", "dialects", "order", "enforced", "assign", "settings"];
/// The members of an assignment.
pub(super) const ASSIGN: &[&str] = &["group", "order", "enforced"];
/// The members of a setting.
pub(super) const SETTING: &[&str] = &["uri", "setting", "format", "value", "absent", "removal"];
/// Characters of a name, a description, a group's name at most.
pub(super) const NAME: usize = 64;
pub(super) const DESCRIPTION: usize = 1000;
pub(super) const GROUP: usize = 128;
/// Settings and groups of a document, and entries of a list, at most.
pub(super) const SETTINGS: usize = 2000;
pub(super) const GROUPS: usize = 200;
pub(super) const ENTRIES: usize = 1000;
/// Octets of a value at most, and characters of an entry's name.
pub(super) const VALUE: usize = 64 * 1024;
pub(super) const ENTRY: usize = 64;

/// The documents of a file, one or more.
pub fn documents(octets: &[u8], limits: &Limits) -> Result<Vec<Document>, Error> {
    let mut documents: Vec<Document> = Vec::new();
    for node in nodes(octets, limits)? {
        let at = At::root(&node);
        // `---` at the end of a file begins a document that says nothing.
        if node.kind == Kind::Null {
            continue;
        }
        let document = document(&at)?;
        if documents.iter().any(|other| other.name == document.name) {
            return Err(at.refuse(ErrorKind::Twice(document.name)));
        }
        documents.push(document);
    }
    if documents.is_empty() {
        return Err(Error { line: None, path: String::new(), kind: ErrorKind::Missing("a document") });
    }
    Ok(documents)
}

/// What a document's text says that it is: `policy/1`, or another form's name.
#[must_use]
pub fn form(node: &Node) -> Option<&str> {
    let Kind::Map(members) = &node.kind else { return None };
    members.iter().find_map(|(name, node)| match &node.kind {
        Kind::Text(text) if name == "postern" => Some(text.as_str()),
        _ => None,
    })
}

/// One document.
pub fn document(at: &At<'_>) -> Result<Document, Error> {
    let members = at.members(DOCUMENT)?;
    members.need("postern")?.one_of(Document::FORM, |text| (text == Document::FORM).then_some(()))?;
    let mut document = Document::new(name(&members.need("name")?)?);
    if let Some(at) = members.get("description") {
        document.description = at.line_of_text(DESCRIPTION)?.to_owned();
    }
    if let Some(at) = members.get("dialects") {
        document.dialects = dialects(&at)?;
    }
    if let Some(at) = members.get("order") {
        document.order = at.number(1, MAX_ORDER)?;
    }
    if let Some(at) = members.get("enforced") {
        document.enforced = at.truth()?;
    }
    if let Some(at) = members.get("assign") {
        document.assign = assign(&at)?;
    }
    document.settings = settings(&members.need("settings")?)?;
    Ok(document)
}

/// A name that can stand in an address, a file's name and a command line.
fn name<'n>(at: &At<'n>) -> Result<&'n str, Error> {
    let text = at.text()?;
    if is_name(text) {
        Ok(text)
    } else {
        Err(at.wanted(format!("1 to {NAME} letters, digits, `-`, `_` and `.`, a letter or digit first")))
    }
}

/// Whether a text can be a document's name.
#[must_use]
pub fn is_name(text: &str) -> bool {
    text.len() <= NAME
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"-_.".contains(&octet))
}

fn dialects(at: &At<'_>) -> Result<BTreeSet<Dialect>, Error> {
    let known = Dialect::ALL.iter().map(|dialect| dialect.as_str()).collect::<Vec<_>>().join(", ");
    let mut dialects = BTreeSet::new();
    for item in at.items()? {
        let dialect =
            item.one_of(&known, |text| Dialect::ALL.iter().copied().find(|one| one.as_str() == text))?;
        if !dialects.insert(dialect) {
            return Err(item.refuse(ErrorKind::Twice(dialect.to_string())));
        }
    }
    if dialects.is_empty() {
        return Err(at.wanted("at least one dialect; leave it out for all"));
    }
    Ok(dialects)
}

fn assign(at: &At<'_>) -> Result<Vec<Assign>, Error> {
    let mut all: Vec<Assign> = Vec::new();
    for item in at.items()? {
        let assign = match &item.node.kind {
            Kind::Text(_) => {
                Assign { group: item.line_of_text(GROUP)?.to_owned(), order: None, enforced: None }
            }
            _ => {
                let members = item.members(ASSIGN)?;
                Assign {
                    group: members.need("group")?.line_of_text(GROUP)?.to_owned(),
                    order: members.get("order").map(|at| at.number(1, MAX_ORDER)).transpose()?,
                    enforced: members.get("enforced").map(|at| at.truth()).transpose()?,
                }
            }
        };
        if all.iter().any(|other| other.group == assign.group) {
            return Err(item.refuse(ErrorKind::Twice(assign.group)));
        }
        if all.len() == GROUPS {
            return Err(item.refuse(ErrorKind::TooLarge { what: "groups", limit: GROUPS }));
        }
        all.push(assign);
    }
    all.sort();
    Ok(all)
}

fn settings(at: &At<'_>) -> Result<Vec<Setting>, Error> {
    let items = at.items()?;
    if items.len() > SETTINGS {
        return Err(at.refuse(ErrorKind::TooLarge { what: "settings", limit: SETTINGS }));
    }
    let mut seen = BTreeSet::new();
    let mut all = Vec::with_capacity(items.len());
    for item in items {
        let setting = setting(&item)?;
        if !seen.insert(setting.subject.clone()) {
            return Err(item.refuse(ErrorKind::Twice(setting.subject.text().to_owned())));
        }
        all.push(setting);
    }
    Ok(all)
}

fn setting(at: &At<'_>) -> Result<Setting, Error> {
    let members = at.members(SETTING)?;
    let subject = match (members.get("uri"), members.get("setting")) {
        (Some(at), None) => Subject::Uri(uri(&at)?),
        (None, Some(at)) => Subject::Setting(at.line_of_text(NAME)?.to_owned()),
        _ => return Err(at.wanted("uri or setting, one of them")),
    };
    let format = members.get("format");
    if let (Some(at), Subject::Setting(_)) = (&format, &subject) {
        return Err(at.wanted("no format: the table of the device says it"));
    }
    let known = Format::ALL.iter().map(|format| format.as_str()).filter(|format| *format != "node");
    let known = known.collect::<Vec<_>>().join(", ");
    let format = format
        .map(|at| {
            at.one_of(&known, |text| {
                Format::ALL.into_iter().find(|one| one.as_str() == text && text != "node")
            })
        })
        .transpose()?;
    let value = match (members.get("value"), members.get("absent")) {
        (Some(at), None) => value(&at, &subject)?,
        (None, Some(at)) if at.truth()? => Value::Absent(true),
        (None, Some(at)) => return Err(at.wanted("true; leave it out otherwise")),
        _ => return Err(at.wanted("value or absent: true, one of them")),
    };
    let words = REMOVALS.map(Removal::word).join(", ");
    let removal = members
        .get("removal")
        .map(|at| at.one_of(&words, |text| REMOVALS.into_iter().find(|one| one.word() == text)))
        .transpose()?;
    Ok(Setting { subject, format, value, removal })
}

/// The address of a leaf.
pub(super) fn uri(at: &At<'_>) -> Result<String, Error> {
    let text = at.text()?;
    let uri = TreeUri::parse(text).map_err(|error| at.wanted(format!("the address of a node ({error})")))?;
    if !text.starts_with("./") || uri.is_root() || uri.query().is_some() {
        return Err(at.wanted("the whole address of a node, such as ./Vendor/Example/Leaf"));
    }
    Ok(uri.to_string())
}

pub(super) fn value(at: &At<'_>, subject: &Subject) -> Result<Value, Error> {
    let is_setting = matches!(subject, Subject::Setting(_));
    match &at.node.kind {
        Kind::Bool(truth) => Ok(Value::Value(Scalar::Bool(*truth))),
        Kind::Number(number) => Ok(Value::Value(Scalar::Number(*number))),
        Kind::Text(text) => Ok(Value::Value(Scalar::Text(carried(at, text)?))),
        Kind::List(_) if is_setting => {
            let items = at.items()?;
            let entries = items
                .iter()
                .enumerate()
                .map(|(place, item)| Ok(((place + 1).to_string(), carried(item, item.text()?)?)));
            self::entries(at, items.len(), entries.collect::<Result<_, Error>>()?)
        }
        Kind::Map(_) if is_setting => {
            let members = at.entries()?;
            let entries = members.iter().map(|(name, item)| {
                if name.is_empty() || name.chars().count() > ENTRY || name.chars().any(char::is_control) {
                    return Err(item.wanted(format!("a name of 1 to {ENTRY} characters")));
                }
                Ok(((*name).to_owned(), carried(item, item.text()?)?))
            });
            self::entries(at, members.len(), entries.collect::<Result<_, Error>>()?)
        }
        _ => Err(at.wanted("a text, a number, true or false; of a setting that is a list, its entries")),
    }
}

fn entries(at: &At<'_>, count: usize, entries: BTreeMap<String, String>) -> Result<Value, Error> {
    if count > ENTRIES {
        return Err(at.refuse(ErrorKind::TooLarge { what: "entries", limit: ENTRIES }));
    }
    Ok(Value::Entries(entries))
}

/// A text that a message can carry.
fn carried(at: &At<'_>, text: &str) -> Result<String, Error> {
    if text.len() > VALUE {
        return Err(at.refuse(ErrorKind::TooLarge { what: "octets of a value", limit: VALUE }));
    }
    let carried =
        |c: char| matches!(c, '\t' | '\n' | '\r') || c >= ' ' && !matches!(c, '\u{fffe}' | '\u{ffff}');
    if !text.chars().all(carried) {
        return Err(at.wanted("a text without control characters (format: b64 carries octets)"));
    }
    Ok(text.to_owned())
}
