//! SyncML as OMA DM 1.1.2 and 1.2 use it: one message model, two encodings.
//!
//! Follows OMA-TS-SyncML-RepPro 1.2.2, OMA-TS-SyncML_MetaInfo 1.2.2, OMA-TS-DM_RepPro 1.2.1 and WBXML 1.1 to 1.3.
//!
//! Promises
//! - [`decode`] takes elements in any order and copes with what named clients really send; [`encode`] writes DTD
//!   order. Decoding either encoding of one message gives equal [`Message`]s (see [`model`] for what is kept).
//! - Both encodings share one builder (`build`) and one writer (`write`); an encoding is only a source of
//!   elements (`xml::reader`, `wbxml::reader`) or a sink for them (`xml::writer`, `wbxml::writer`).
//! - Every bound is in [`Limits`], every failure is a [`DecodeError`] with its [`Place`], and what was repaired
//!   on the way is counted in [`Repairs`].
//! - A DTD is never fetched and an entity never expanded.

mod build;
pub mod error;
pub mod limits;
pub mod media;
pub mod model;
pub mod sizes;
pub mod style;
mod tag;
pub(crate) mod tree;
mod wbxml;
mod write;
mod xml;

pub use error::{DecodeError, DecodeErrorKind, EncodeError, Place};
pub use limits::{Limits, Repairs};
pub use media::{MediaType, MimeFamily};
pub use model::*;
pub use sizes::{command_len, frame_len, message_len};
pub use style::{Encoding, PublicId, Style};

/// What a message said, how it was written, and what had to be repaired to read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decoded {
    /// The message.
    pub message: Message,
    /// How a reply is to be written. The MIME family is not in the body: set it from the Content-Type.
    pub style: Style,
    /// What was read over or mended.
    pub repairs: Repairs,
}

/// Reads one message.
///
/// # Errors
/// A [`DecodeError`] that names what is wrong and where; the input is never partly accepted.
pub fn decode(body: &[u8], encoding: Encoding, limits: &Limits) -> Result<Decoded, DecodeError> {
    match encoding {
        Encoding::Xml => xml::reader::message(body, limits),
        Encoding::Wbxml => wbxml::reader::message(body, limits),
    }
}

/// Reads a list of commands in XML that no SyncML element wraps: what an admin pastes, one command or several.
///
/// # Errors
/// As [`decode`]; an empty list is `Missing`.
pub fn decode_commands(fragment: &[u8], limits: &Limits) -> Result<(Vec<Command>, Repairs), DecodeError> {
    xml::reader::commands(fragment, limits)
}

/// Reads a TNDS document (OMA-TS-DM_TNDS 1.2) as the fragment that [`Data::Markup`] would hold: what a Data of
/// type `application/vnd.syncml.dmtnds+xml` holds as text, or one of type `…+wbxml` as octets.
///
/// # Errors
/// As [`decode`].
pub fn decode_tree(document: &[u8], encoding: Encoding, limits: &Limits) -> Result<String, DecodeError> {
    match encoding {
        Encoding::Xml => xml::reader::tree(document, limits),
        Encoding::Wbxml => wbxml::reader::tree(document, limits),
    }
}

/// Writes one message in DTD order, in the style's encoding and version.
///
/// # Errors
/// [`EncodeError`] where the encoding cannot carry a text.
pub fn encode(message: &Message, style: &Style) -> Result<Vec<u8>, EncodeError> {
    match style.encoding {
        Encoding::Xml => encode_xml(message, style),
        Encoding::Wbxml => encode_wbxml(message, style),
    }
}

/// Writes one message as XML, without an XML declaration (UTF-8 is the default of XML).
///
/// # Errors
/// [`EncodeError`] where a text outside Data holds a character that XML 1.0 forbids.
pub fn encode_xml(message: &Message, style: &Style) -> Result<Vec<u8>, EncodeError> {
    xml::writer::message(message, style)
}

/// Writes one message as WBXML: no string-table references, no LITERAL, EXT, PI or ENTITY, so that old decoders
/// can read it.
///
/// # Errors
/// [`EncodeError`] where a text outside Data holds U+0000.
pub fn encode_wbxml(message: &Message, style: &Style) -> Result<Vec<u8>, EncodeError> {
    wbxml::writer::message(message, style)
}
