//! Trees as documents of their own, in either encoding: what the modules of TNDS and DDF are built on.

use super::{
    DecodeError, EncodeError, Encoding, Limits, Repairs,
    wbxml::{reader as wbxml_reader, writer as wbxml_writer},
    xml::{reader as xml_reader, writer as xml_writer},
};
pub(crate) use super::{
    build::{Content, Source},
    tag::{TreeTag, Vocabulary},
    write::Sink,
};

/// The elements of a tree, as its readers get them.
pub(crate) type Elements<'s, 'a> = dyn Source<'a, Tag = TreeTag> + 's;

/// Something that is the content of a MgmtTree.
pub(crate) trait WriteTree {
    /// Writes all that stands between the tags of MgmtTree.
    fn write(&self, sink: &mut impl Sink);
}

/// Reads a document: `read` is called with its MgmtTree open, and closes it.
///
/// # Errors
/// As [`super::decode`].
pub(crate) fn read<R>(
    document: &[u8],
    encoding: Encoding,
    limits: &Limits,
    read: impl for<'a> FnOnce(&mut Elements<'_, 'a>) -> Result<R, DecodeError>,
) -> Result<(R, Repairs), DecodeError> {
    match encoding {
        Encoding::Xml => xml_reader::elements(document, limits, read),
        Encoding::Wbxml => wbxml_reader::elements(document, limits, read),
    }
}

/// Writes a document.
///
/// # Errors
/// As [`super::encode`].
pub(crate) fn write(tree: &impl WriteTree, encoding: Encoding) -> Result<Vec<u8>, EncodeError> {
    match encoding {
        Encoding::Xml => xml_writer::tree(tree),
        Encoding::Wbxml => wbxml_writer::tree(tree),
    }
}
