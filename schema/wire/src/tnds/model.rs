//! What a TNDS document says, whatever its encoding. Names are those of OMA-TS-DM_TND 1.2.1, section 9.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::Format;
use crate::syncml::Data;

/// MgmtTree: one or more nodes, each with what is below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MgmtTree {
    /// VerDTD, `1.2`.
    pub ver_dtd: String,
    /// Man: the manufacturer of the device that the tree is of.
    pub man: Option<String>,
    /// Mod: its model.
    pub model: Option<String>,
    /// The nodes at the top, in the order given.
    pub nodes: Vec<Node>,
}

impl MgmtTree {
    /// A tree of these nodes in the version that is in use.
    #[must_use]
    pub fn new(nodes: Vec<Node>) -> Self {
        Self { ver_dtd: "1.2".to_owned(), man: None, model: None, nodes }
    }

    /// How many nodes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.nodes.iter().map(Node::len).sum()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }
}

/// Node. A leaf has a value and no children; an interior node the reverse; neither means that it goes on elsewhere,
/// or that nothing was asked about it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// NodeName; empty means the last segment of the command's target.
    pub name: String,
    /// Path: the URI up to the node, without it.
    pub path: Option<String>,
    /// RTProperties.
    pub properties: RtProperties,
    /// Value.
    pub value: Option<Data>,
    /// The nodes below.
    pub children: Vec<Node>,
}

/// RTProperties: the properties of a node on a device. Text is kept as given, white space at its ends apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RtProperties {
    /// ACL.
    pub acl: Option<String>,
    /// Format.
    pub format: Option<Format>,
    /// Name.
    pub name: Option<String>,
    /// Size: decimal octets.
    pub size: Option<String>,
    /// Title.
    pub title: Option<String>,
    /// TStamp: ISO 8601 basic, UTC.
    pub t_stamp: Option<String>,
    /// Type.
    pub type_: Option<NodeType>,
    /// VerNo.
    pub ver_no: Option<String>,
}

/// Type (and DFType): what a leaf holds or what an interior node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodeType {
    /// MIME: the type of a leaf's value.
    Mime(String),
    /// DDFName: the identifier of a management object; empty for an interior node that is none.
    DdfName(String),
}

impl NodeType {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Mime(text) | Self::DdfName(text) => text,
        }
    }
}

impl Node {
    /// An interior node that is no management object by itself.
    #[must_use]
    pub fn interior(name: impl Into<String>, children: Vec<Self>) -> Self {
        let properties = RtProperties {
            format: Some(Format::Node),
            type_: Some(NodeType::DdfName(String::new())),
            ..RtProperties::default()
        };
        Self { name: name.into(), properties, children, ..Self::default() }
    }

    /// A leaf of text.
    #[must_use]
    pub fn leaf(name: impl Into<String>, format: Format, value: impl Into<Data>) -> Self {
        let properties = RtProperties {
            format: Some(format),
            type_: Some(NodeType::Mime("text/plain".to_owned())),
            ..RtProperties::default()
        };
        Self { name: name.into(), properties, value: Some(value.into()), ..Self::default() }
    }

    /// This node and all below.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a node is at least itself")]
    pub fn len(&self) -> usize {
        1 + self.children.iter().map(Self::len).sum::<usize>()
    }

    /// Whether it is an interior node: by its Format, or by what is below it.
    #[must_use]
    pub fn is_interior(&self) -> bool {
        self.properties.format == Some(Format::Node) || !self.children.is_empty()
    }

    /// The value's octets: base64 is undone where Format says `b64`. `None` without a value, for markup, and for what
    /// is no base64.
    #[must_use]
    pub fn octets(&self) -> Option<Vec<u8>> {
        match self.value.as_ref()? {
            Data::Binary(octets) => Some(octets.clone()),
            Data::Text(text) if self.properties.format == Some(Format::B64) => {
                let packed: String = text.split_ascii_whitespace().collect();
                STANDARD.decode(packed).ok()
            }
            Data::Text(text) => Some(text.as_bytes().to_vec()),
            Data::Markup(_) => None,
        }
    }
}
