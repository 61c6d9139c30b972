//! The bounds of the readers, and the count of what they mended.

/// What the readers accept at most. Beyond any of these a message is refused whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Octets of one encoded message. Default 1 MiB, as the gateway's body limit.
    pub message_octets: usize,
    /// Elements open at the same time, those of a tree inside Data included. Default 32 (DM needs 9, and a TNDS
    /// tree one for each level of the management tree).
    pub depth: usize,
    /// Elements in one message, known or not. Default 65,536.
    pub elements: usize,
    /// Commands in one message, those inside Atomic and Sequence included. Default 4,096.
    pub commands: usize,
    /// Items in one message. Default 16,384.
    pub items: usize,
    /// Octets of one text, after references and strings are joined. Default 1 MiB.
    pub text_octets: usize,
    /// Attributes of one element, namespace declarations included. Default 16.
    pub attributes: usize,
    /// Octets of a WBXML string table. Default 4,096.
    pub string_table_octets: usize,
    /// Octets that one message may unfold to through references into the string table. Default 4 MiB.
    pub unfolded_octets: usize,
    /// Digits of a number (CmdID, Size …), leading zeros included. Default 20.
    pub number_digits: usize,
    /// U+0000 characters that are stripped before the message is refused. Default 1,024.
    pub nuls: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message_octets: 1 << 20,
            depth: 32,
            elements: 65_536,
            commands: 4_096,
            items: 16_384,
            text_octets: 1 << 20,
            attributes: 16,
            string_table_octets: 4_096,
            unfolded_octets: 4 << 20,
            number_digits: 20,
            nuls: 1_024,
        }
    }
}

/// What was mended or read over in a message that was accepted. All zero for a message by the book.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Repairs {
    /// U+0000 characters taken out of text (libdmclient ends child lists with one).
    pub nul_stripped: u32,
    /// Elements that OMA DM does not use, read over with all that is inside them.
    pub unknown_elements: u32,
    /// Elements that came twice where one is allowed: the last one counts.
    pub repeated_elements: u32,
    /// Runs of text between elements, where no text belongs.
    pub stray_text: u32,
    /// Numbers that were none where a default exists: a status code, an alert code, a Size.
    pub bad_numbers: u32,
}

impl Repairs {
    /// Whether anything was mended.
    #[must_use]
    pub fn any(&self) -> bool {
        *self != Self::default()
    }
}
