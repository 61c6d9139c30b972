//! The media types of SyncML messages (OMA-TS-DM_RepPro 5.1; `application/vnd.syncml+…` as libdmclient sends it).

use super::style::Encoding;

/// Which of the two families of media types a peer uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum MimeFamily {
    /// `application/vnd.syncml.dm+…`, as OMA DM demands.
    #[default]
    Dm,
    /// `application/vnd.syncml+…`, as some clients send.
    Plain,
}

/// A media type that carries a SyncML message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MediaType {
    /// application/vnd.syncml.dm+xml
    DmXml,
    /// application/vnd.syncml.dm+wbxml
    DmWbxml,
    /// application/vnd.syncml+xml
    Xml,
    /// application/vnd.syncml+wbxml
    Wbxml,
}

impl MediaType {
    /// All four.
    pub const ALL: &'static [Self] = &[Self::DmXml, Self::DmWbxml, Self::Xml, Self::Wbxml];

    /// The type named by a Content-Type value: parameters are ignored, case too. `None` is another type (415).
    #[must_use]
    pub fn parse(content_type: &str) -> Option<Self> {
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        Self::ALL.iter().copied().find(|media| media.as_str().eq_ignore_ascii_case(essence))
    }

    /// The type for an encoding and a family.
    #[must_use]
    pub const fn of(encoding: Encoding, family: MimeFamily) -> Self {
        match (encoding, family) {
            (Encoding::Xml, MimeFamily::Dm) => Self::DmXml,
            (Encoding::Wbxml, MimeFamily::Dm) => Self::DmWbxml,
            (Encoding::Xml, MimeFamily::Plain) => Self::Xml,
            (Encoding::Wbxml, MimeFamily::Plain) => Self::Wbxml,
        }
    }

    /// The encoding that it names.
    #[must_use]
    pub const fn encoding(self) -> Encoding {
        match self {
            Self::DmXml | Self::Xml => Encoding::Xml,
            Self::DmWbxml | Self::Wbxml => Encoding::Wbxml,
        }
    }

    /// The family that it belongs to.
    #[must_use]
    pub const fn family(self) -> MimeFamily {
        match self {
            Self::DmXml | Self::DmWbxml => MimeFamily::Dm,
            Self::Xml | Self::Wbxml => MimeFamily::Plain,
        }
    }

    /// The spelling, without parameters.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DmXml => "application/vnd.syncml.dm+xml",
            Self::DmWbxml => "application/vnd.syncml.dm+wbxml",
            Self::Xml => "application/vnd.syncml+xml",
            Self::Wbxml => "application/vnd.syncml+wbxml",
        }
    }

    /// The value of a Content-Type header: `; charset=utf-8` for XML only.
    #[must_use]
    pub const fn header_value(self) -> &'static str {
        match self {
            Self::DmXml => "application/vnd.syncml.dm+xml; charset=utf-8",
            Self::DmWbxml => "application/vnd.syncml.dm+wbxml",
            Self::Xml => "application/vnd.syncml+xml; charset=utf-8",
            Self::Wbxml => "application/vnd.syncml+wbxml",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cod_27_a_content_type_is_read_without_case_and_parameters() {
        assert_eq!(
            MediaType::parse("Application/vnd.SyncML.dm+XML; charset=\"utf-8\""),
            Some(MediaType::DmXml)
        );
        assert_eq!(
            MediaType::parse(" application/vnd.syncml+wbxml ;verproto=DM/1.2"),
            Some(MediaType::Wbxml)
        );
        for other in
            ["", "text/xml", "application/xml", "application/vnd.syncml.dm", "application/vnd.syncml.dm+xmlx"]
        {
            assert_eq!(MediaType::parse(other), None, "{other}");
        }
    }

    #[test]
    fn every_media_type_comes_back_from_its_encoding_and_family() {
        for &media in MediaType::ALL {
            assert_eq!(MediaType::of(media.encoding(), media.family()), media);
            assert_eq!(MediaType::parse(media.header_value()), Some(media));
        }
    }
}
