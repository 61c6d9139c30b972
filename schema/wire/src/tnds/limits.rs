//! The bounds of the readers of trees.

/// What the readers of TNDS and DDF accept at most. Beyond any of these a document is refused whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Octets of one document. Default 1 MiB, as a message; descriptions that an operator imports get more
    /// ([`Limits::import`]).
    pub octets: usize,
    /// Nodes of one document. Default 16,384.
    pub nodes: usize,
    /// Levels of nodes. Default 64, as [`crate::uri::UriLimits::depth`].
    pub depth: usize,
    /// Octets of one NodeName or Path. Default 2,048.
    pub name_octets: usize,
    /// Octets of one property (ACL, Title …). Default 4,096.
    pub property_octets: usize,
    /// Octets of one Value. Default 1 MiB.
    pub value_octets: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            octets: 1 << 20,
            nodes: 16_384,
            depth: 64,
            name_octets: 2_048,
            property_octets: 4_096,
            value_octets: 1 << 20,
        }
    }
}

impl Limits {
    /// For a file that an operator imports: 8 MiB, and long texts in it (a default value may be a whole schema).
    #[must_use]
    pub fn import() -> Self {
        Self { octets: 8 << 20, property_octets: 1 << 20, ..Self::default() }
    }

    /// The bounds of the layer below: of elements a node has at most 20 that are known.
    pub(crate) fn reader(&self) -> crate::syncml::Limits {
        crate::syncml::Limits {
            message_octets: self.octets,
            depth: self.depth.saturating_add(8),
            elements: self.nodes.saturating_mul(24).saturating_add(64),
            text_octets: self.value_octets.max(self.property_octets),
            ..crate::syncml::Limits::default()
        }
    }
}
