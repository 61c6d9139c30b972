//! Why a message was refused, and where.

use std::fmt;

/// Where in a message something was met.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Octets before it in the body as received.
    pub offset: usize,
    /// Line and column from 1 (the column in characters), for XML.
    pub line_column: Option<(u32, u32)>,
    /// The open elements: `/SyncML/SyncBody/Status`; an element that OMA DM does not know stands as `*`.
    pub path: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line_column {
            Some((line, column)) => write!(f, "line {line} column {column} (octet {})", self.offset)?,
            None => write!(f, "octet {}", self.offset)?,
        }
        if !self.path.is_empty() {
            write!(f, ", in {}", self.path)?;
        }
        Ok(())
    }
}

/// A message that was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind}, at {place}")]
pub struct DecodeError {
    /// What is wrong.
    pub kind: DecodeErrorKind,
    /// Where.
    pub place: Place,
}

impl DecodeError {
    /// A stable word for logs, metrics and problem details.
    #[must_use]
    pub fn slug(&self) -> &'static str {
        self.kind.slug()
    }
}

/// What is wrong with a message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeErrorKind {
    /// Nothing was sent.
    #[error("the message is empty")]
    Empty,
    /// A bound of [`super::Limits`] is passed.
    #[error("more than {limit} {what}")]
    Limit {
        /// What there is too much of.
        what: &'static str,
        /// The bound.
        limit: usize,
    },
    /// Another character encoding than UTF-8.
    #[error("the character encoding {0} is not read here, only UTF-8")]
    CharacterEncoding(String),
    /// Octets that are not UTF-8 where text has to be.
    #[error("the text is not UTF-8")]
    NotUtf8,
    /// A character that XML 1.0 does not allow (U+0000 apart, which is stripped and counted).
    #[error("U+{0:04X} is not allowed in XML")]
    Character(u32),
    /// The XML is not well formed.
    #[error("not well formed: {0}")]
    NotWellFormed(String),
    /// The input ends inside something.
    #[error("the message ends too early")]
    Truncated,
    /// Something other than white space or a comment stands behind the root element.
    #[error("something follows the end of the message")]
    Trailing,
    /// A DOCTYPE with declarations of its own.
    #[error("a DOCTYPE with an internal subset is refused")]
    InternalSubset,
    /// A DOCTYPE or XML declaration elsewhere than before the root element, or a second one.
    #[error("a {0} is out of place")]
    Misplaced(&'static str),
    /// A reference that is neither predefined nor a character's.
    #[error("the reference &{0}; is refused: only the predefined ones and character references are read")]
    Reference(String),
    /// The root element, its namespace or the public identifier belongs to something else.
    #[error("not a SyncML message: {0}")]
    NotSyncMl(String),
    /// The root element, VerDTD or the public identifier is not that of a TNDS or DDF document.
    #[error("not a management tree: {0}")]
    NotTree(String),
    /// A text that has to be one of certain words, or a name, and is not.
    #[error("{element} cannot be {text:?}")]
    Word {
        /// The element.
        element: &'static str,
        /// What it held, cut to 40 characters.
        text: String,
    },
    /// An element that has to be there is not.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// An element that may stand once came twice where it matters.
    #[error("{0} stands twice")]
    Repeated(&'static str),
    /// Not a decimal number, or too large a one.
    #[error("{element} is not a number in range: {text:?}")]
    Number {
        /// The element.
        element: &'static str,
        /// What it held, cut to 40 characters.
        text: String,
    },
    /// A WBXML version that is not 1.1, 1.2 or 1.3.
    #[error("the WBXML version octet 0x{0:02X} is unknown")]
    WbxmlVersion(u8),
    /// A WBXML token that is not known on the current code page, or not allowed where it stands.
    #[error("the token 0x{token:02X} is unknown or not allowed here (code page {page})")]
    Token {
        /// The token, flags included.
        token: u8,
        /// The code page in force.
        page: u8,
    },
    /// A code page that SyncML does not have.
    #[error("the code page {0} is unknown")]
    CodePage(u8),
    /// A multi-octet integer of more than 5 octets or 32 bits.
    #[error("a multi-octet integer is too long or too large")]
    MultiOctet,
    /// A reference that points outside the string table.
    #[error("the string table has no octet {0}")]
    StringTable(u32),
}

impl DecodeErrorKind {
    /// A stable word for logs, metrics and problem details.
    #[must_use]
    pub fn slug(&self) -> &'static str {
        match self {
            Self::Empty => "message-empty",
            Self::Limit { .. } => "message-limit",
            Self::CharacterEncoding(_) => "message-character-encoding",
            Self::NotUtf8 => "message-not-utf8",
            Self::Character(_) => "message-character",
            Self::NotWellFormed(_) => "message-not-well-formed",
            Self::Truncated => "message-truncated",
            Self::Trailing => "message-trailing",
            Self::InternalSubset => "message-internal-subset",
            Self::Misplaced(_) => "message-misplaced",
            Self::Reference(_) => "message-reference",
            Self::NotSyncMl(_) => "message-not-syncml",
            Self::NotTree(_) => "message-not-tree",
            Self::Word { .. } => "message-word",
            Self::Missing(_) => "message-missing-element",
            Self::Repeated(_) => "message-repeated-element",
            Self::Number { .. } => "message-number",
            Self::WbxmlVersion(_) => "message-wbxml-version",
            Self::Token { .. } => "message-token",
            Self::CodePage(_) => "message-code-page",
            Self::MultiOctet => "message-multi-octet",
            Self::StringTable(_) => "message-string-table",
        }
    }
}

/// A message that cannot be written in the wanted encoding.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// XML 1.0 cannot carry this character, and WBXML cannot carry U+0000 outside Data.
    #[error("U+{character:04X} in {element} cannot be written in this encoding")]
    Character {
        /// The element that holds it.
        element: &'static str,
        /// The code point.
        character: u32,
    },
    /// `Data::Markup` that is not a well-formed fragment.
    #[error("the markup in Data is not well formed: {0}")]
    Markup(String),
}
