//! DDF: the description of a management object (OMA-TS-DM_TND 1.2.1, section 9; DTD version 1.2), in XML and in WBXML.
//!
//! Promises
//! - [`read`] takes what the field's files are like: elements in any order, a DOCTYPE that carries its version as an
//!   instruction, empty MIME and DDFName, and a vendor's own elements (Microsoft's `MSFT:*`), which are read over and
//!   counted. A DOCTYPE that declares anything is refused.
//! - [`write`] writes DTD order; what is written reads to an equal [`Ddf`].
//! - Every bound is in [`Limits`]; a refusal is a [`DecodeError`] with its place.

pub mod model;
mod read;
mod write;

pub use crate::tnds::Limits;
pub use model::{AccessTypes, CaseSense, Ddf, DfProperties, Node, Occurrence, Scope, Verb};

use crate::syncml::{DecodeError, EncodeError, Encoding, tree};

/// A description, and how much of the file said something else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    /// The description.
    pub ddf: Ddf,
    /// Elements that DDF 1.2 does not know, read over with all that is inside them.
    pub skipped: u32,
}

/// Reads a description.
///
/// # Errors
/// A [`DecodeError`] that names what is wrong and where; the input is never partly accepted.
pub fn read(document: &[u8], encoding: Encoding, limits: &Limits) -> Result<Read, DecodeError> {
    let (ddf, repairs) =
        tree::read(document, encoding, &limits.reader(), |source| read::ddf(source, limits))?;
    Ok(Read { ddf, skipped: repairs.unknown_elements })
}

/// Writes a description: XML without declaration, or WBXML 1.2 with the document type in the table.
///
/// # Errors
/// [`EncodeError`] where the encoding cannot carry a text.
pub fn write(ddf: &Ddf, encoding: Encoding) -> Result<Vec<u8>, EncodeError> {
    tree::write(ddf, encoding)
}
