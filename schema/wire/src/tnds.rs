//! TNDS: a part of the management tree as one document (OMA-TS-DM_TNDS 1.2; elements of OMA-TS-DM_TND 1.2.1,
//! sections 9 and 10), in XML and in WBXML.
//!
//! Promises
//! - [`read`] takes elements in any order and reads over what TNDS does not know; [`write`] writes DTD order. Either
//!   encoding of one document reads to an equal [`MgmtTree`].
//! - [`of_data`] reads what a Data element holds in whichever of the ways peers send it: elements, escaped text, CDATA,
//!   octets of WBXML, and those as base64.
//! - [`MgmtTree::placed`] says where each node stands: Path, an empty NodeName and the command's own target are
//!   resolved (section 6.8 of the digest's rules: Paths are relative to the target).
//! - Every bound is in [`Limits`]; a refusal is a [`DecodeError`] with its place.

pub mod format;
pub mod limits;
pub mod model;
pub mod place;
pub(crate) mod read;
pub(crate) mod write;

pub use format::Format;
pub use limits::Limits;
pub use model::{MgmtTree, Node, NodeType, RtProperties};
pub use place::{PlaceError, Placed};

use crate::syncml::{Data, DecodeError, DecodeErrorKind, EncodeError, Encoding, Place, tree};
use base64::{Engine as _, engine::general_purpose::STANDARD};

/// The MIME type of a document in XML.
pub const XML_TYPE: &str = "application/vnd.syncml.dmtnds+xml";
/// The MIME type of a document in WBXML.
pub const WBXML_TYPE: &str = "application/vnd.syncml.dmtnds+wbxml";

/// Reads a document.
///
/// # Errors
/// A [`DecodeError`] that names what is wrong and where; the input is never partly accepted.
pub fn read(document: &[u8], encoding: Encoding, limits: &Limits) -> Result<MgmtTree, DecodeError> {
    let (tree, _) = tree::read(document, encoding, &limits.reader(), |source| read::tree(source, limits))?;
    Ok(tree)
}

/// Reads the content of a Data element. `media_type` is the Type of its Meta: it tells base64 of WBXML from XML;
/// without it the first character does.
///
/// # Errors
/// As [`read`].
pub fn of_data(data: &Data, media_type: Option<&str>, limits: &Limits) -> Result<MgmtTree, DecodeError> {
    let text = match data {
        Data::Binary(octets) => return read(octets, Encoding::Wbxml, limits),
        Data::Markup(markup) => return read(markup.as_bytes(), Encoding::Xml, limits),
        Data::Text(text) => text,
    };
    let wbxml = media_type.is_some_and(|given| given.trim().eq_ignore_ascii_case(WBXML_TYPE));
    if !wbxml || text.trim_start().starts_with('<') {
        return read(text.as_bytes(), Encoding::Xml, limits);
    }
    // A document of WBXML that happens to be text, or base64: no version octet is a letter of base64.
    if text.as_bytes().first().is_some_and(|octet| *octet <= 3) {
        return read(text.as_bytes(), Encoding::Wbxml, limits);
    }
    let packed: String = text.split_ascii_whitespace().collect();
    let octets = STANDARD.decode(packed).map_err(|_| DecodeError {
        kind: DecodeErrorKind::NotTree("it is neither WBXML nor base64".to_owned()),
        place: Place::default(),
    })?;
    read(&octets, Encoding::Wbxml, limits)
}

/// Writes a document in DTD order: XML without declaration, or WBXML 1.2 with the document type in the table.
///
/// # Errors
/// [`EncodeError`] where the encoding cannot carry a text.
pub fn write(tree: &MgmtTree, encoding: Encoding) -> Result<Vec<u8>, EncodeError> {
    tree::write(tree, encoding)
}

/// What a Data element is to hold: elements for XML, octets for WBXML.
///
/// # Errors
/// As [`write`].
pub fn to_data(tree: &MgmtTree, encoding: Encoding) -> Result<Data, EncodeError> {
    let document = write(tree, encoding)?;
    Ok(match encoding {
        Encoding::Wbxml => Data::Binary(document),
        Encoding::Xml => Data::Markup(
            String::from_utf8(document)
                .map_err(|_| EncodeError::Markup("the document is not UTF-8".to_owned()))?,
        ),
    })
}
