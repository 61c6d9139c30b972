//! Documents held against what is known of the nodes: descriptions (DDF), tables, protected addresses.
//!
//! Promise: a protected address is refused whatever else is said, by each way in which policy may touch its node. What a
//! description or a table forbids is refused with the rule. What nobody describes is a warning, or a refusal where that is
//! chosen: a device may have more than its descriptions, and a slip of the pen looks the same.

use std::fmt;

use postern_wire::{
    ddf::Verb as DdfVerb,
    mo::{Asked, Found, Mounts, Registry},
    syncml::Data,
    terms::{Dialect, Verb},
    uri::TreeUri,
};

use super::{
    claims::{authored, data_of, format_of, registry},
    model::{Document, Setting, Subject, Value},
};
use crate::{
    destructive::{self, Protected},
    operations::raw,
    policy::mapping::{self, table::Table},
};

/// What a node means that nobody describes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unknown {
    /// A warning.
    #[default]
    Warn,
    /// A refusal.
    Refuse,
}

/// What documents are held against.
#[derive(Clone, Copy, Debug)]
pub struct Checker<'c> {
    /// The descriptions.
    pub registry: &'c Registry,
    /// The tables of all kinds of devices.
    pub tables: &'c [Table],
    /// What a node means that nobody describes.
    pub unknown: Unknown,
}

/// Something about a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The place of the setting in the document.
    pub setting: usize,
    /// Its address or name.
    pub subject: String,
    /// What.
    pub rule: Rule,
    /// Whether the document is refused over it.
    pub refused: bool,
}

/// What is to be said of a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Its node is protected: it goes through its own operation.
    Protected(Protected),
    /// A description forbids it.
    Ddf(String),
    /// A table says that the node takes other values, or another format.
    NotTaken {
        /// The table.
        table: String,
        /// What the node takes.
        wanted: String,
    },
    /// The setting takes other values.
    Value(String),
    /// There is no setting of this name.
    NoSuchSetting,
    /// No command carries the value in its format; why.
    NotSent(String),
    /// No description and no table knows the node.
    Undescribed,
    /// No table of this dialect has a node for the setting.
    NoNode(Dialect),
}

impl Rule {
    /// A stable word.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Protected(_) => "protected",
            Self::Ddf(_) => "ddf",
            Self::NotTaken { .. } => "not-taken",
            Self::Value(_) | Self::NotSent(_) => "value",
            Self::NoSuchSetting => "no-such-setting",
            Self::Undescribed => "undescribed",
            Self::NoNode(_) => "no-node",
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Protected(what) => write!(f, "this is {what}: it goes through its own operation"),
            Self::Ddf(rule) => f.write_str(rule),
            Self::NotTaken { table, wanted } => write!(f, "the node takes {wanted} ({table})"),
            Self::Value(wanted) => write!(f, "{wanted} is wanted"),
            Self::NotSent(why) => write!(f, "it cannot be sent: {why}"),
            Self::NoSuchSetting => f.write_str("there is no setting of this name"),
            Self::Undescribed => f.write_str("no description and no table knows this node"),
            Self::NoNode(dialect) => write!(f, "no {dialect} device has a node for it"),
        }
    }
}

impl Checker<'_> {
    /// What is to be said of a document, in the order of its settings.
    #[must_use]
    pub fn check(&self, document: &Document) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (place, setting) in document.settings.iter().enumerate() {
            let rules = match &setting.subject {
                Subject::Uri(uri) => self.node(uri, setting),
                Subject::Setting(id) => self.named(id, setting, document),
            };
            findings.extend(rules.into_iter().map(|rule| Finding {
                setting: place,
                subject: setting.subject.text().to_owned(),
                refused: self.refuses(&rule),
                rule,
            }));
        }
        findings
    }

    fn refuses(&self, rule: &Rule) -> bool {
        match rule {
            Rule::Undescribed => self.unknown == Unknown::Refuse,
            Rule::NoNode(_) => false,
            _ => true,
        }
    }

    fn node(&self, uri: &str, setting: &Setting) -> Vec<Rule> {
        let Ok(address) = TreeUri::parse(uri) else {
            return vec![Rule::Ddf("this is no address".to_owned())];
        };
        if let Some(what) = protected(&address) {
            return vec![Rule::Protected(what)];
        }
        let mut rules = Vec::new();
        let mut is_known = false;
        for table in self.tables {
            for row in table.rows_at(uri) {
                is_known = true;
                let not_taken = |wanted| Rule::NotTaken { table: table.name.clone(), wanted };
                if setting.format.is_some_and(|format| format.as_str() != row.format) {
                    rules.push(not_taken(format!("the format {}", row.format)));
                }
                if let Err(wanted) = data_of(&setting.value).map_or(Ok(()), |data| row.takes(&data)) {
                    rules.push(not_taken(wanted));
                }
            }
        }
        rules.dedup();
        let tables: Vec<&Table> = self.tables.iter().collect();
        let format = format_of(setting, &tables);
        let not_sent =
            data_of(&setting.value).and_then(|data| raw::refusal_of_value(&format, Some(&Data::Text(data))));
        rules.extend(not_sent.map(Rule::NotSent));
        let known = self.registry.known(&address, &Mounts::default());
        is_known |= known.iter().any(|known| !matches!(known.found, Found::Open));
        if let Some(rule) = self.described(&address, setting) {
            rules.push(rule);
        }
        if !is_known {
            rules.push(Rule::Undescribed);
        }
        rules
    }

    /// What the descriptions forbid.
    fn described(&self, uri: &TreeUri, setting: &Setting) -> Option<Rule> {
        let data = data_of(&setting.value).map(Data::Text);
        let tables: Vec<&Table> = self.tables.iter().collect();
        let format = Some(format_of(setting, &tables));
        let explicit = setting.format.map(|format| format.as_str());
        let format = explicit.or(format.as_deref().filter(|_| data.is_some()));
        let check = |verb| {
            let (format, data) = if data.is_some() { (format, data.as_ref()) } else { (None, None) };
            self.registry.check(&Asked { verb, uri, format, type_: None, data }, &Mounts::default())
        };
        let judged = if data.is_none() {
            check(DdfVerb::Delete)
        } else {
            // Policy takes whichever of the two the device wants.
            check(DdfVerb::Replace).or_else(|refused| check(DdfVerb::Add).map_err(|_| refused))
        };
        judged.err().map(|forbidden| Rule::Ddf(format!("{} says that {}", forbidden.object, forbidden.rule)))
    }

    fn named(&self, id: &str, setting: &Setting, document: &Document) -> Vec<Rule> {
        let Some(authored) = authored().iter().find(|authored| authored.id == id) else {
            return vec![Rule::NoSuchSetting];
        };
        if let Err(wanted) = registry(authored, &setting.value) {
            return vec![Rule::Value(wanted)];
        }
        if matches!(&setting.value, Value::Entries(entries) if entries.is_empty()) {
            return Vec::new();
        }
        let has_node = |dialect: Dialect| {
            let tables = self.tables.iter().filter(|table| of(table) == dialect);
            tables
                .into_iter()
                .any(|table| table.rows_of(authored.half, &authored.key, &authored.value).next().is_some())
        };
        let spoken = Dialect::ALL.iter().copied().filter(|dialect| document.dialects.contains(dialect));
        spoken.filter(|dialect| !has_node(*dialect)).map(Rule::NoNode).collect()
    }
}

/// The dialect of a table's devices.
fn of(table: &Table) -> Dialect {
    match table.dialect {
        mapping::Dialect::Classic => Dialect::Classic,
        mapping::Dialect::Windows => Dialect::Windows,
    }
}

/// What policy could touch at this address: it sets, makes and takes away.
#[must_use]
pub fn protected(uri: &TreeUri) -> Option<Protected> {
    [Verb::Replace, Verb::Add, Verb::Delete]
        .into_iter()
        .find_map(|verb| destructive::protected(verb, uri, false))
}
