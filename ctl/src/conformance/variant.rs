//! In which encoding and version a case is run.

use std::fmt;

use postern_wire::syncml::{Encoding, Style, Version};

/// One combination of encoding and version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Variant {
    /// XML or WBXML.
    pub encoding: Encoding,
    /// OMA DM 1.1.2 or 1.2.
    pub version: Version,
}

/// The combinations that a case runs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variants {
    /// Once, in XML and 1.2: neither encoding nor version matters.
    Once,
    /// In both encodings, 1.2.
    Encodings,
    /// In XML, both versions.
    Versions,
    /// All four.
    All,
}

impl Variants {
    /// The combinations.
    #[must_use]
    pub fn each(self) -> Vec<Variant> {
        let (encodings, versions): (&[_], &[_]) = match self {
            Self::Once => (&[Encoding::Xml], &[Version::V1_2]),
            Self::Encodings => (&[Encoding::Xml, Encoding::Wbxml], &[Version::V1_2]),
            Self::Versions => (&[Encoding::Xml], &[Version::V1_2, Version::V1_1]),
            Self::All => (&[Encoding::Xml, Encoding::Wbxml], &[Version::V1_2, Version::V1_1]),
        };
        versions
            .iter()
            .flat_map(|version| {
                encodings.iter().map(|encoding| Variant { encoding: *encoding, version: *version })
            })
            .collect()
    }
}

impl Variant {
    /// How messages are written.
    #[must_use]
    pub const fn style(self) -> Style {
        match self.encoding {
            Encoding::Xml => Style::xml(self.version),
            Encoding::Wbxml => Style::wbxml(self.version),
        }
    }
}

/// `xml 1.2`
impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let encoding = match self.encoding {
            Encoding::Xml => "xml",
            Encoding::Wbxml => "wbxml",
        };
        write!(f, "{encoding} {}", self.version.ver_dtd())
    }
}
