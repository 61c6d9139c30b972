//! One node of the management tree: its value and properties.

use std::{collections::BTreeMap, fmt, sync::Arc};

use postern_wire::{
    terms::{UtcMillis, Verb},
    tnds,
};

use super::acl::Acl;
use crate::codes::Code;

/// The Format property (OMA DM 1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// An interior node.
    Node,
    /// Text.
    Chr,
    /// Octets; over XML they travel as base64.
    Bin,
    /// `true` or `false`.
    Bool,
    /// 32-bit signed.
    Int,
    /// No value.
    Null,
    /// Markup.
    Xml,
    /// ISO 8601 date.
    Date,
    /// ISO 8601 time.
    Time,
    /// XML Schema float.
    Float,
}

impl Format {
    /// Reads a Meta Format; case does not matter. `b64` says how octets travel: the node's format is `bin`.
    pub fn parse(text: &str) -> Result<Self, Code> {
        Ok(match text.trim().to_ascii_lowercase().as_str() {
            "node" => Self::Node,
            "chr" | "" => Self::Chr,
            "bin" | "b64" => Self::Bin,
            "bool" => Self::Bool,
            "int" => Self::Int,
            "null" => Self::Null,
            "xml" => Self::Xml,
            "date" => Self::Date,
            "time" => Self::Time,
            "float" => Self::Float,
            _ => return Err(Code::BAD_FORMAT),
        })
    }

    /// The property's value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Chr => "chr",
            Self::Bin => "bin",
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Null => "null",
            Self::Xml => "xml",
            Self::Date => "date",
            Self::Time => "time",
            Self::Float => "float",
        }
    }

    /// The format in a TNDS document.
    #[must_use]
    pub const fn in_tnds(self) -> tnds::Format {
        match self {
            Self::Node => tnds::Format::Node,
            Self::Chr => tnds::Format::Chr,
            Self::Bin => tnds::Format::Bin,
            Self::Bool => tnds::Format::Bool,
            Self::Int => tnds::Format::Int,
            Self::Null => tnds::Format::Null,
            Self::Xml => tnds::Format::Xml,
            Self::Date => tnds::Format::Date,
            Self::Time => tnds::Format::Time,
            Self::Float => tnds::Format::Float,
        }
    }

    /// The format that a TNDS document names.
    #[must_use]
    pub const fn of_tnds(format: tnds::Format) -> Self {
        match format {
            tnds::Format::Node => Self::Node,
            tnds::Format::Chr => Self::Chr,
            tnds::Format::Bin | tnds::Format::B64 => Self::Bin,
            tnds::Format::Bool => Self::Bool,
            tnds::Format::Int => Self::Int,
            tnds::Format::Null => Self::Null,
            tnds::Format::Xml => Self::Xml,
            tnds::Format::Date => Self::Date,
            tnds::Format::Time => Self::Time,
            tnds::Format::Float => Self::Float,
        }
    }

    /// Whether `value` is of this format; 415 if not. Date and time are kept as they come.
    pub fn check(self, value: &[u8]) -> Result<(), Code> {
        let text = std::str::from_utf8(value);
        let good = match self {
            Self::Bin => true,
            Self::Node | Self::Null => value.is_empty(),
            Self::Chr | Self::Xml | Self::Date | Self::Time => text.is_ok(),
            Self::Bool => matches!(value, b"true" | b"false"),
            Self::Int => text.is_ok_and(|text| text.parse::<i32>().is_ok()),
            Self::Float => text.is_ok_and(|text| text.parse::<f64>().is_ok()),
        };
        if good { Ok(()) } else { Err(Code::BAD_FORMAT) }
    }
}

/// AccessType: the commands that a node takes, whoever gives them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access(u8);

impl Access {
    /// No command at all.
    pub const NONE: Self = Self(0);

    /// Exactly these commands.
    #[must_use]
    pub const fn of(verbs: &[Verb]) -> Self {
        let (mut bits, mut at) = (0, 0);
        while at < verbs.len() {
            bits |= Self::bit(verbs[at]);
            at += 1;
        }
        Self(bits)
    }

    /// Whether `verb` is among them.
    #[must_use]
    pub const fn allows(self, verb: Verb) -> bool {
        self.0 & Self::bit(verb) != 0
    }

    /// As a state keeps it.
    #[must_use]
    pub(super) const fn bits(self) -> u8 {
        self.0
    }

    /// As a state kept it; what is unknown in it is dropped.
    #[must_use]
    pub(super) const fn from_bits(bits: u8) -> Self {
        Self(bits & 0b11_1111)
    }

    const fn bit(verb: Verb) -> u8 {
        1 << match verb {
            Verb::Add => 0,
            Verb::Replace => 1,
            Verb::Get => 2,
            Verb::Delete => 3,
            Verb::Exec => 4,
            Verb::Copy => 5,
            // They address no node, so no node takes them.
            Verb::Atomic | Verb::Sequence | Verb::Alert => 7,
        }
    }
}

/// A node. Children are shared between copies of a tree until one of them changes. Debug leaves the value of a node
/// without Get out: it is a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Node {
    /// Format.
    pub format: Format,
    /// Type: a leaf's MIME type (none is text/plain), an interior node's management object identifier.
    pub media_type: Option<String>,
    /// Title.
    pub title: Option<String>,
    /// A leaf's value in raw octets.
    pub value: Vec<u8>,
    /// The node's own list.
    pub acl: Acl,
    /// AccessType.
    pub access: Access,
    /// Planted by a provider: never deleted or renamed by a server, not even with what is above it.
    pub permanent: bool,
    /// TStamp: when a server changed it last; none for what no server has changed.
    pub stamped: Option<UtcMillis>,
    /// VerNo: how often, modulo 2^16.
    pub version: u16,
    /// No server changes the node's list, and what inherits it neither.
    pub acl_is_fixed: bool,
    pub(super) children: BTreeMap<String, Arc<Node>>,
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = if self.access.allows(Verb::Get) { self.value.as_slice() } else { b"..." };
        f.debug_struct("Node")
            .field("format", &self.format)
            .field("value", &String::from_utf8_lossy(value))
            .field("acl", &self.acl.to_text())
            .field("children", &self.children)
            .finish_non_exhaustive()
    }
}

impl Node {
    /// A dynamic interior node without children.
    #[must_use]
    pub fn interior() -> Self {
        Self {
            format: Format::Node,
            media_type: None,
            title: None,
            value: Vec::new(),
            acl: Acl::default(),
            access: Access::of(&[Verb::Add, Verb::Delete, Verb::Get, Verb::Replace]),
            permanent: false,
            stamped: None,
            version: 0,
            acl_is_fixed: false,
            children: BTreeMap::new(),
        }
    }

    /// A dynamic leaf.
    #[must_use]
    pub fn leaf(format: Format, value: impl Into<Vec<u8>>) -> Self {
        Self {
            format,
            value: value.into(),
            access: Access::of(&[Verb::Copy, Verb::Delete, Verb::Get, Verb::Replace]),
            ..Self::interior()
        }
    }

    /// This node as a provider's own, taking exactly `verbs`.
    #[must_use]
    pub fn permanent(self, verbs: &[Verb]) -> Self {
        Self { permanent: true, access: Access::of(verbs), ..self }
    }

    /// This node taking exactly `verbs`, and falling with what is above it.
    #[must_use]
    pub fn limited(self, verbs: &[Verb]) -> Self {
        Self { access: Access::of(verbs), ..self }
    }

    /// This node with the given Type.
    #[must_use]
    pub fn of_type(self, media_type: Option<String>) -> Self {
        Self { media_type, ..self }
    }

    /// This node with the given list of its own.
    #[must_use]
    pub fn guarded_by(self, acl: Acl) -> Self {
        Self { acl, ..self }
    }

    /// This node with a list of its own that no server changes; of use on permanent nodes.
    #[must_use]
    pub fn with_fixed_acl(self, acl: Acl) -> Self {
        Self { acl, acl_is_fixed: true, ..self }
    }

    /// Notes a change.
    pub fn stamp(&mut self, now: UtcMillis) {
        self.version = if self.stamped.is_some() { self.version.wrapping_add(1) } else { self.version };
        self.stamped = Some(now);
    }

    /// Whether the node is interior.
    #[must_use]
    pub fn is_interior(&self) -> bool {
        self.format == Format::Node
    }

    /// The names of the children, sorted.
    pub fn child_names(&self) -> impl Iterator<Item = &str> {
        self.children.keys().map(String::as_str)
    }

    /// The value as text, when it is text.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        std::str::from_utf8(&self.value).ok()
    }

    /// Whether this node or one below it is permanent.
    #[must_use]
    pub fn holds_permanent(&self) -> bool {
        self.permanent || self.children.values().any(|child| child.holds_permanent())
    }
}
