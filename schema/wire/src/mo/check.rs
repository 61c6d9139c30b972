//! Judges a command by the descriptions before it is queued.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{Found, Known, Mounts, Registry};
use crate::{
    ddf::{AccessTypes, Node, Scope, Verb},
    syncml::Data,
    tnds::{self, Format},
    uri::{Query, TreeUri},
};

/// A command on one node.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// What is to be done.
    pub verb: Verb,
    /// To which node.
    pub uri: &'a TreeUri,
    /// Meta Format, when it is given.
    pub format: Option<&'a str>,
    /// Meta Type, when it is given.
    pub type_: Option<&'a str>,
    /// Data, when it is given.
    pub data: Option<&'a Data>,
}

/// A command that a description forbids.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{verb} {uri}: {rule} ({object})")]
pub struct Forbidden {
    /// The object whose description says so.
    pub object: String,
    /// What was to be done.
    pub verb: Verb,
    /// To which node.
    pub uri: TreeUri,
    /// The rule.
    pub rule: Rule,
}

/// The rule that a command breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rule {
    /// AccessType does not name the command.
    #[error("its AccessType is {}", list(*.allowed))]
    AccessType {
        /// What it names.
        allowed: AccessTypes,
    },
    /// The node is permanent: a server neither makes nor deletes it.
    #[error("it is permanent")]
    Permanent,
    /// DFFormat is another.
    #[error("its format is {wanted}, not {given}")]
    Format {
        /// What the description says.
        wanted: Format,
        /// What the command says.
        given: String,
    },
    /// The data are no value of the format.
    #[error("its format is {format}, and the data are none of its values")]
    Value {
        /// The format.
        format: Format,
    },
    /// The object has no such node.
    #[error("the object has no such node")]
    NoSuchNode,
    /// The command is not one for this property (TND 7.2).
    #[error("the property {0} takes no such command")]
    Property(String),
    /// Only a Get may ask for a listing.
    #[error("only a Get asks for ?list=")]
    Listing,
}

impl Rule {
    /// A stable word for problem details.
    #[must_use]
    pub const fn slug(&self) -> &'static str {
        match self {
            Self::AccessType { .. } => "access-type",
            Self::Permanent => "permanent",
            Self::Format { .. } => "format",
            Self::Value { .. } => "value",
            Self::NoSuchNode => "no-such-node",
            Self::Property(_) => "property",
            Self::Listing => "listing",
        }
    }
}

fn list(access: AccessTypes) -> String {
    let names: Vec<_> = access.iter().map(Verb::as_str).collect();
    if names.is_empty() { "empty".to_owned() } else { names.join(", ") }
}

impl Registry {
    /// Whether some description allows the command; gives the format that it is to carry where none was given.
    ///
    /// # Errors
    /// [`Forbidden`] with the rule.
    pub fn check(&self, asked: &Asked<'_>, mounts: &Mounts) -> Result<Option<Format>, Forbidden> {
        let known = self.known(asked.uri, mounts);
        let mut refused = None;
        for known in &known {
            match judge(asked, known) {
                Ok(format) => return Ok(format),
                Err(rule) => {
                    refused.get_or_insert_with(|| Forbidden {
                        object: known.object.name.clone(),
                        verb: asked.verb,
                        uri: asked.uri.clone(),
                        rule,
                    });
                }
            }
        }
        match refused {
            Some(refused) => Err(refused),
            None => Ok(None),
        }
    }
}

fn judge(asked: &Asked<'_>, known: &Known<'_>) -> Result<Option<Format>, Rule> {
    let node = match known.found {
        Found::Node(node) => node,
        Found::Open => return Ok(None),
        // Looking does no harm: a device may have more than its description.
        Found::Unknown if asked.verb == Verb::Get => return Ok(None),
        Found::Unknown => return Err(Rule::NoSuchNode),
    };
    match asked.uri.query() {
        Some(Query::Prop(name)) => return property(asked.verb, name),
        Some(Query::List(_)) if asked.verb != Verb::Get => return Err(Rule::Listing),
        // Of an interior node that cannot be read something below may be.
        Some(Query::List(_)) => return Ok(None),
        None => {}
    }
    let permanent = node.df.scope == Some(Scope::Permanent);
    if permanent && asked.verb == Verb::Delete {
        return Err(Rule::Permanent);
    }
    if !allows(node.df.access, asked.verb) && !makes_described_interior(asked, node) {
        return Err(Rule::AccessType { allowed: node.df.access });
    }
    if matches!(asked.verb, Verb::Add | Verb::Replace) { value(asked, node) } else { Ok(None) }
}

/// A Copy writes its target, so Add or Replace will do where Copy is not named.
fn allows(access: AccessTypes, verb: Verb) -> bool {
    access.has(verb) || verb == Verb::Copy && (access.has(Verb::Add) || access.has(Verb::Replace))
}

/// Many descriptions leave Add out for the interior nodes that have to be made before their leaves can be.
fn makes_described_interior(asked: &Asked<'_>, node: &Node) -> bool {
    asked.verb == Verb::Add
        && !node.is_leaf()
        && node.df.scope != Some(Scope::Permanent)
        && node.children.iter().any(|child| child.df.access.has(Verb::Add))
}

/// ACL: Get, Replace. Name, Title: the same. The others: Get (TND 7.2). A name that the standard does not know is a
/// vendor's own.
fn property(verb: Verb, name: &str) -> Result<Option<Format>, Rule> {
    let allowed: &[Verb] = match name {
        "ACL" | "Name" | "Title" => &[Verb::Get, Verb::Replace],
        "Format" | "Size" | "TStamp" | "Type" | "VerNo" => &[Verb::Get],
        _ => return Ok(None),
    };
    if allowed.contains(&verb) { Ok(None) } else { Err(Rule::Property(name.to_owned())) }
}

fn value(asked: &Asked<'_>, node: &Node) -> Result<Option<Format>, Rule> {
    let is_tree = asked.type_.is_some_and(|given| {
        [tnds::XML_TYPE, tnds::WBXML_TYPE].iter().any(|known| given.trim().eq_ignore_ascii_case(known))
    });
    let Some(wanted) = node.df.format.filter(|_| !is_tree) else { return Ok(None) };
    let given = match asked.format {
        None => None,
        Some(text) => match text.parse::<Format>() {
            Ok(format) => Some(format),
            Err(_) => return Err(Rule::Format { wanted, given: text.chars().take(40).collect() }),
        },
    };
    let same = given.is_none_or(|given| given == wanted || given.is_binary() && wanted.is_binary());
    if !same {
        return Err(Rule::Format { wanted, given: asked.format.unwrap_or_default().to_owned() });
    }
    if given.is_none() && wanted.is_binary() {
        return Err(Rule::Format { wanted, given: "chr".to_owned() });
    }
    if !is_value(asked.data, given.unwrap_or(wanted)) {
        return Err(Rule::Value { format: wanted });
    }
    Ok(given.is_none().then_some(wanted).filter(|wanted| *wanted != Format::Chr))
}

fn is_value(data: Option<&Data>, format: Format) -> bool {
    let text = match data {
        None => "",
        Some(Data::Text(text)) => text.trim(),
        Some(Data::Markup(_)) => return matches!(format, Format::Xml | Format::Chr),
        Some(Data::Binary(_)) => return format.is_binary(),
    };
    match format {
        Format::Int => text.parse::<i32>().is_ok(),
        Format::Bool => matches!(text, "true" | "false"),
        Format::Float => {
            !text.is_empty() && (text.parse::<f64>().is_ok() || matches!(text, "INF" | "-INF" | "NaN"))
        }
        Format::Node | Format::Null => text.is_empty(),
        Format::Date | Format::Time => {
            !text.is_empty()
                && text.bytes().all(|octet| octet.is_ascii_digit() || b"-:.,TZ+ ".contains(&octet))
        }
        Format::B64 => STANDARD.decode(text.split_ascii_whitespace().collect::<String>()).is_ok(),
        Format::Bin | Format::Chr | Format::Xml => true,
    }
}
