//! How a message is written: what a reply mirrors of the request.

use super::{media::MimeFamily, model::Version};

/// The two encodings of SyncML.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// XML 1.0 in UTF-8.
    Xml,
    /// WAP Binary XML.
    Wbxml,
}

/// How a WBXML header names the document type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PublicId {
    /// The registered number: 0x1201 for SyncML 1.2, 0x0FD3 for 1.1.
    Numeric,
    /// 0 and the formal public identifier as the string table, without NUL (SyncML RTK and its descendants).
    InTable,
    /// 1, "unknown": the root element tells.
    Unknown,
}

/// How a message is written. A reply mirrors the request's: `decoded.style` is ready for [`super::encode`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Style {
    /// XML or WBXML.
    pub encoding: Encoding,
    /// The namespace or public identifier to be written; it wins over `message.version`. Under `V1_1` no
    /// Correlator is written (it is new in 1.2).
    pub version: Version,
    /// The version octet of WBXML to be written: 0x01 (1.1) or 0x02 (1.2). A request in 1.3 is answered in 1.2,
    /// which every known decoder reads.
    pub wbxml_version: u8,
    /// The header form of WBXML.
    pub public_id: PublicId,
    /// The family of the Content-Type.
    pub family: MimeFamily,
}

impl Style {
    /// XML in the given version, family `dm`.
    #[must_use]
    pub const fn xml(version: Version) -> Self {
        Self {
            encoding: Encoding::Xml,
            version,
            wbxml_version: 2,
            public_id: PublicId::Numeric,
            family: MimeFamily::Dm,
        }
    }

    /// WBXML 1.2 with a numeric public identifier in the given version, family `dm`.
    #[must_use]
    pub const fn wbxml(version: Version) -> Self {
        Self { encoding: Encoding::Wbxml, ..Self::xml(version) }
    }

    /// The same style in another MIME family.
    #[must_use]
    pub const fn with_family(mut self, family: MimeFamily) -> Self {
        self.family = family;
        self
    }

    /// The Content-Type that belongs to this style.
    #[must_use]
    pub const fn media_type(&self) -> super::MediaType {
        super::MediaType::of(self.encoding, self.family)
    }
}

impl Version {
    /// VerDTD: `1.1` or `1.2`.
    #[must_use]
    pub const fn ver_dtd(self) -> &'static str {
        match self {
            Self::V1_1 => "1.1",
            Self::V1_2 => "1.2",
        }
    }

    /// VerProto: `DM/1.1` or `DM/1.2`.
    #[must_use]
    pub const fn ver_proto(self) -> &'static str {
        match self {
            Self::V1_1 => "DM/1.1",
            Self::V1_2 => "DM/1.2",
        }
    }

    /// The namespace of the root element.
    #[must_use]
    pub const fn namespace(self) -> &'static str {
        match self {
            Self::V1_1 => "SYNCML:SYNCML1.1",
            Self::V1_2 => "SYNCML:SYNCML1.2",
        }
    }

    /// The formal public identifier.
    #[must_use]
    pub const fn public_identifier(self) -> &'static str {
        match self {
            Self::V1_1 => "-//SYNCML//DTD SyncML 1.1//EN",
            Self::V1_2 => "-//SYNCML//DTD SyncML 1.2//EN",
        }
    }

    /// The registered number of the document type in WBXML.
    #[must_use]
    pub const fn public_number(self) -> u32 {
        match self {
            Self::V1_1 => 0x0FD3,
            Self::V1_2 => 0x1201,
        }
    }
}
