//! How a session is spoken.

use postern_wire::{
    notification::NonceReading,
    syncml::{Encoding, Style, Version},
};

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
    /// By package 0 that was made with the default nonce: both sides prove themselves with it (OMA-TS-DM_Notification 1.2.1, 5.1).
    Resynchronise {
        /// The session id of the trigger.
        session: u16,
        /// How the default nonce is to be understood.
        reading: NonceReading,
    },
}

impl Cause {
    pub(super) const fn alert(self) -> u32 {
        match self {
            Self::Client => 1201,
            Self::Server { .. } | Self::Resynchronise { .. } => 1200,
        }
    }

    /// The session id that is echoed.
    pub(crate) const fn session(self) -> Option<u16> {
        match self {
            Self::Client => None,
            Self::Server { session } | Self::Resynchronise { session, .. } => Some(session),
        }
    }

    /// The nonce that takes the place of those that were agreed on.
    pub(super) fn default_nonce(self) -> Option<Vec<u8>> {
        match self {
            Self::Resynchronise { reading, .. } => reading.octets(""),
            Self::Client | Self::Server { .. } => None,
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
            max_object: 8 << 20,
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
