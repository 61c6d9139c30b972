//! How a session is spoken.

use postern_wire::syncml::{Encoding, Style, Version};

/// Why a session is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// By the device itself: Alert 1201.
    Client,
    /// By package 0, whose session id is echoed: Alert 1200.
    Server {
        /// The session id of the trigger.
        session: u16,
    },
}

impl Cause {
    pub(super) const fn alert(self) -> u32 {
        match self {
            Self::Client => 1201,
            Self::Server { .. } => 1200,
        }
    }
}

/// The bounds and the manner of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitSettings {
    /// XML or WBXML.
    pub encoding: Encoding,
    /// OMA DM 1.1.2 or 1.2.
    pub version: Version,
    /// MaxMsgSize that is announced, in octets; a larger reply is refused unread.
    pub max_message: usize,
    /// MaxObjSize that is announced, in octets.
    pub max_object: u64,
    /// What the server is taken to accept until it says its MaxMsgSize, in octets.
    pub peer_message: usize,
    /// Messages sent in one session at most.
    pub max_messages: u32,
}

impl Default for UnitSettings {
    fn default() -> Self {
        Self {
            encoding: Encoding::Xml,
            version: Version::V1_2,
            max_message: 65_536,
            max_object: 1 << 20,
            peer_message: 65_536,
            max_messages: 10_000,
        }
    }
}

impl UnitSettings {
    /// How messages are written.
    #[must_use]
    pub const fn style(&self) -> Style {
        match self.encoding {
            Encoding::Xml => Style::xml(self.version),
            Encoding::Wbxml => Style::wbxml(self.version),
        }
    }
}
