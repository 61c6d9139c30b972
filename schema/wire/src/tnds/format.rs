//! The Format of a node (OMA-TS-DM_TND 1.2.1, section 7.7.2; section 1.4 of the digest).

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::syncml::tree::TreeTag;

/// How the value of a node is to be understood. `date`, `time` and `float` are new in 1.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Octets, carried as base64.
    B64,
    /// Octets.
    Bin,
    /// `true` or `false`.
    Bool,
    /// Text; what holds where nothing is said.
    Chr,
    /// A signed integer of 32 bits.
    Int,
    /// An interior node.
    Node,
    /// A leaf without a value.
    Null,
    /// An XML document or fragment.
    Xml,
    /// A date of ISO 8601.
    Date,
    /// A time of ISO 8601.
    Time,
    /// A float of XML Schema.
    Float,
}

/// A text that names no format.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no node has the format {0:?}")]
pub struct FormatError(pub String);

impl Format {
    /// Every format, in the order of the standard's list.
    pub const ALL: [Self; 11] = [
        Self::B64,
        Self::Bin,
        Self::Bool,
        Self::Chr,
        Self::Int,
        Self::Node,
        Self::Null,
        Self::Xml,
        Self::Date,
        Self::Time,
        Self::Float,
    ];

    /// The name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        crate::syncml::tree::Vocabulary::name(self.tag())
    }

    /// Whether the value is octets.
    #[must_use]
    pub fn is_binary(self) -> bool {
        matches!(self, Self::B64 | Self::Bin)
    }

    pub(crate) fn tag(self) -> TreeTag {
        match self {
            Self::B64 => TreeTag::B64,
            Self::Bin => TreeTag::Bin,
            Self::Bool => TreeTag::Bool,
            Self::Chr => TreeTag::Chr,
            Self::Int => TreeTag::Int,
            Self::Node => TreeTag::FormatNode,
            Self::Null => TreeTag::Null,
            Self::Xml => TreeTag::Xml,
            Self::Date => TreeTag::Date,
            Self::Time => TreeTag::Time,
            Self::Float => TreeTag::Float,
        }
    }

    pub(crate) fn of_tag(tag: TreeTag) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.tag() == tag)
    }
}

impl FromStr for Format {
    type Err = FormatError;

    /// Case does not count: a client is known that writes `Chr`.
    fn from_str(text: &str) -> Result<Self, FormatError> {
        let wanted = text.trim();
        Self::ALL
            .into_iter()
            .find(|format| format.as_str().eq_ignore_ascii_case(wanted))
            .ok_or_else(|| FormatError(wanted.chars().take(40).collect()))
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_is_read_without_regard_to_case() {
        for format in Format::ALL {
            assert_eq!(format.as_str().parse(), Ok(format));
            assert_eq!(format.as_str().to_uppercase().parse(), Ok(format));
            assert_eq!(Format::of_tag(format.tag()), Some(format));
        }
        assert_eq!("string".parse::<Format>(), Err(FormatError("string".to_owned())));
    }
}
