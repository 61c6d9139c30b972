//! What a description says. Names are those of OMA-TS-DM_TND 1.2.1, section 9.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    syncml::Data,
    tnds::{Format, NodeType, RtProperties},
};

/// MgmtTree of a description.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ddf {
    /// VerDTD, `1.2`.
    pub ver_dtd: String,
    /// Man: the manufacturer whose devices are described.
    pub man: Option<String>,
    /// Mod: their model.
    pub model: Option<String>,
    /// The nodes at the top, in the order given.
    pub nodes: Vec<Node>,
}

/// Node: what may stand in the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// NodeName; empty where the name is given when the node is made.
    pub name: String,
    /// Path: the URI up to the node, without it.
    pub path: Option<String>,
    /// RTProperties: which properties the node has on a device.
    pub rt: Option<RtProperties>,
    /// DFProperties.
    pub df: DfProperties,
    /// Value: what the node holds when it is made.
    pub value: Option<Data>,
    /// The nodes below.
    pub children: Vec<Node>,
}

/// DFProperties: what holds for a node on every device that is described.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DfProperties {
    /// AccessType.
    pub access: AccessTypes,
    /// DefaultValue.
    pub default_value: Option<String>,
    /// Description.
    pub description: Option<String>,
    /// DFFormat.
    pub format: Option<Format>,
    /// Occurrence.
    pub occurrence: Option<Occurrence>,
    /// Scope.
    pub scope: Option<Scope>,
    /// DFTitle.
    pub title: Option<String>,
    /// DFType.
    pub type_: Option<NodeType>,
    /// CaseSense.
    pub case_sense: Option<CaseSense>,
}

/// A command that an AccessType names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verb {
    /// Add.
    Add,
    /// Copy.
    Copy,
    /// Delete.
    Delete,
    /// Exec.
    Exec,
    /// Get.
    Get,
    /// Replace.
    Replace,
}

impl Verb {
    /// Every command, in the order of the DTD.
    pub const ALL: [Self; 6] = [Self::Add, Self::Copy, Self::Delete, Self::Exec, Self::Get, Self::Replace];

    /// The element's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Add => "Add",
            Self::Copy => "Copy",
            Self::Delete => "Delete",
            Self::Exec => "Exec",
            Self::Get => "Get",
            Self::Replace => "Replace",
        }
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// AccessType: the commands that a node may be the target of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AccessTypes(u8);

impl AccessTypes {
    /// Whether the command is among them.
    #[must_use]
    pub const fn has(self, verb: Verb) -> bool {
        self.0 & 1 << verb as u8 != 0
    }

    /// The same with one more.
    #[must_use]
    pub const fn with(self, verb: Verb) -> Self {
        Self(self.0 | 1 << verb as u8)
    }

    /// The commands, in the order of the DTD.
    pub fn iter(self) -> impl Iterator<Item = Verb> {
        Verb::ALL.into_iter().filter(move |verb| self.has(*verb))
    }
}

impl FromIterator<Verb> for AccessTypes {
    fn from_iter<I: IntoIterator<Item = Verb>>(verbs: I) -> Self {
        verbs.into_iter().fold(Self::default(), Self::with)
    }
}

/// Occurrence: how many nodes of this description there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occurrence {
    /// Exactly one.
    One,
    /// At least one.
    OneOrMore,
    /// One to this many.
    OneOrN(u32),
    /// Any number.
    ZeroOrMore,
    /// None to this many.
    ZeroOrN(u32),
    /// None or one.
    ZeroOrOne,
}

impl fmt::Display for Occurrence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One => f.write_str("One"),
            Self::OneOrMore => f.write_str("OneOrMore"),
            Self::OneOrN(most) => write!(f, "OneOrN({most})"),
            Self::ZeroOrMore => f.write_str("ZeroOrMore"),
            Self::ZeroOrN(most) => write!(f, "ZeroOrN({most})"),
            Self::ZeroOrOne => f.write_str("ZeroOrOne"),
        }
    }
}

/// Scope: whether a server can make and delete the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// It is always there.
    Permanent,
    /// It comes and goes.
    Dynamic,
}

/// CaseSense: whether the case of names counts below the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CaseSense {
    /// It does.
    Cs,
    /// It does not.
    Cis,
}
