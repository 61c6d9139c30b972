//! Plain data with their places: what YAML 1.2 and JSON have in common, read within limits.
//!
//! Promise: size, depth and number are limited before anything is built. Anchors, aliases and tags are refused: a document that
//! refers to itself can grow without end, and a reader of a diff would not see what it says. A key stands once. Plain
//! scalars go by the core schema of YAML 1.2: `true` and `false` and whole numbers are that, `yes` and `off` are texts.

mod json;
mod yaml;

use std::fmt;

/// What a text may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Octets of a file.
    pub octets: usize,
    /// Documents in one file.
    pub documents: usize,
    /// Levels of lists and maps.
    pub depth: usize,
    /// Values, lists, maps and keys of a file.
    pub nodes: usize,
    /// Keys of one map.
    pub keys: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { octets: 1 << 20, documents: 200, depth: 12, nodes: 50_000, keys: 2_000 }
    }
}

/// Why a text was refused, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// The line, from 1, where it is known; JSON has it only where it does not parse.
    pub line: Option<usize>,
    /// Where in the data: `/settings/0/value`; empty for all of it.
    pub path: String,
    /// Why.
    pub kind: ErrorKind,
}

/// Why a text was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ErrorKind {
    /// More than a limit.
    #[error("more than {limit} {what}")]
    TooLarge {
        /// Of what.
        what: &'static str,
        /// How many there may be.
        limit: usize,
    },
    /// Not the octets of a text.
    #[error("it is not UTF-8")]
    NotText,
    /// Neither YAML nor JSON.
    #[error("{0}")]
    Syntax(String),
    /// `&name` or `*name`.
    #[error("anchors and aliases are not taken: write it out")]
    Alias,
    /// `!tag`.
    #[error("tags are not taken")]
    Tag,
    /// A key that is no text.
    #[error("a key is a text")]
    Key,
    /// A key that stands twice.
    #[error("{0:?} stands twice")]
    Twice(String),
    /// There is none.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A name that has no meaning here.
    #[error("there is no {name:?} here; there is {known}")]
    Unknown {
        /// The name.
        name: String,
        /// Those that have one.
        known: String,
    },
    /// Another kind of data.
    #[error("{wanted} is wanted")]
    Wanted {
        /// What is wanted.
        wanted: String,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        self.kind.fmt(f)
    }
}

impl std::error::Error for Error {}

/// A value with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// The line, from 1, where it is known.
    pub line: Option<usize>,
    /// What it is.
    pub kind: Kind,
}

/// What a value is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nothing.
    Null,
    /// Truth.
    Bool(bool),
    /// A whole number of 64 bits; a larger one, or one with a fraction, is a text.
    Number(i64),
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// A map, in the order given.
    Map(Vec<(String, Node)>),
}

/// Reads what a file holds. A text that begins with `{` or `[` is JSON, any other YAML; several documents of YAML are parted
/// by `---`.
pub fn read(octets: &[u8], limits: &Limits) -> Result<Vec<Node>, Error> {
    if octets.len() > limits.octets {
        return Err(plain(ErrorKind::TooLarge { what: "octets", limit: limits.octets }));
    }
    let text = std::str::from_utf8(octets).map_err(|_| plain(ErrorKind::NotText))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim_start().starts_with(['{', '[']) {
        json::read(text, limits)
    } else {
        yaml::read(text, limits)
    }
}

fn plain(kind: ErrorKind) -> Error {
    Error { line: None, path: String::new(), kind }
}

/// A value and the way to it, for who reads it.
#[derive(Clone, Debug)]
pub struct At<'n> {
    /// The value.
    pub node: &'n Node,
    path: String,
    line: Option<usize>,
}

impl<'n> At<'n> {
    /// The whole of a document.
    #[must_use]
    pub fn root(node: &'n Node) -> Self {
        Self { node, path: String::new(), line: node.line }
    }

    fn below(&self, name: &str, node: &'n Node) -> Self {
        let name = name.replace('~', "~0").replace('/', "~1");
        Self { node, path: format!("{}/{name}", self.path), line: node.line.or(self.line) }
    }

    /// A refusal of it.
    #[must_use]
    pub fn refuse(&self, kind: ErrorKind) -> Error {
        Error { line: self.line, path: self.path.clone(), kind }
    }

    /// A refusal of it that says what is wanted.
    #[must_use]
    pub fn wanted(&self, wanted: impl Into<String>) -> Error {
        self.refuse(ErrorKind::Wanted { wanted: wanted.into() })
    }

    /// Its members, all of which have a name that is known.
    pub fn members(&self, known: &[&str]) -> Result<Members<'n>, Error> {
        let Kind::Map(members) = &self.node.kind else { return Err(self.wanted("a map")) };
        for (name, node) in members {
            if !known.contains(&name.as_str()) {
                let kind = ErrorKind::Unknown { name: name.clone(), known: known.join(", ") };
                return Err(self.below(name, node).refuse(kind));
            }
        }
        Ok(Members { at: self.clone(), members })
    }

    /// Its members, whatever their names.
    pub fn entries(&self) -> Result<Vec<(&'n str, Self)>, Error> {
        let Kind::Map(members) = &self.node.kind else { return Err(self.wanted("a map")) };
        Ok(members.iter().map(|(name, node)| (name.as_str(), self.below(name, node))).collect())
    }

    /// Its items.
    pub fn items(&self) -> Result<Vec<Self>, Error> {
        let Kind::List(items) = &self.node.kind else { return Err(self.wanted("a list")) };
        Ok(items.iter().enumerate().map(|(place, node)| self.below(&place.to_string(), node)).collect())
    }

    /// Its text.
    pub fn text(&self) -> Result<&'n str, Error> {
        match &self.node.kind {
            Kind::Text(text) => Ok(text),
            _ => Err(self.wanted("a text (put a number or a truth between quotes)")),
        }
    }

    /// Its text of at most so many characters, none of which acts on a terminal or a log.
    pub fn line_of_text(&self, most: usize) -> Result<&'n str, Error> {
        let text = self.text()?.trim();
        let hostile = |c: char| {
            c.is_control()
                || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
        };
        if text.is_empty() || text.chars().count() > most || text.chars().any(hostile) {
            return Err(self.wanted(format!("a line of 1 to {most} characters")));
        }
        Ok(text)
    }

    /// Its truth.
    pub fn truth(&self) -> Result<bool, Error> {
        match self.node.kind {
            Kind::Bool(truth) => Ok(truth),
            _ => Err(self.wanted("true or false")),
        }
    }

    /// Its number, in a range.
    pub fn number(&self, least: u32, most: u32) -> Result<u32, Error> {
        let number = match self.node.kind {
            Kind::Number(number) => u32::try_from(number).ok(),
            _ => None,
        };
        let fits = number.filter(|number| (least..=most).contains(number));
        fits.ok_or_else(|| self.wanted(format!("a whole number of {least} to {most}")))
    }

    /// What `word` makes of its text; `known` names what it takes.
    pub fn one_of<T>(&self, known: &str, word: impl FnOnce(&str) -> Option<T>) -> Result<T, Error> {
        let found = match &self.node.kind {
            Kind::Text(text) => word(text),
            _ => None,
        };
        found.ok_or_else(|| self.wanted(format!("one of {known}")))
    }
}

/// The members of a map.
#[derive(Clone, Debug)]
pub struct Members<'n> {
    at: At<'n>,
    members: &'n [(String, Node)],
}

impl<'n> Members<'n> {
    /// The member of a name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<At<'n>> {
        let found = self.members.iter().find(|(own, _)| own == name);
        found.map(|(name, node)| self.at.below(name, node))
    }

    /// The member of a name, which has to be there.
    pub fn need(&self, name: &'static str) -> Result<At<'n>, Error> {
        self.get(name).ok_or_else(|| self.at.refuse(ErrorKind::Missing(name)))
    }
}
