//! The nonces of one account (OMA-TS-DM_Security 1.2.1, 5.3).
//!
//! Promise: the nonce before the last one is kept only until the server has answered the message that carried
//! the last one: until then a notification may still be made with it.

use postern_wire::auth::{decode_nonce, encode_nonce};
use serde::{Deserialize, Serialize};

/// AAuthData of both directions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Nonces {
    /// For our next proof, from the server's last accepted NextNonce.
    pub client: Option<Vec<u8>>,
    /// That the server's next proof has to use, from our last Chal.
    pub server: Option<Vec<u8>>,
    /// The one before it, while nobody knows whether the server got the last.
    pub server_before: Option<Vec<u8>>,
}

impl Nonces {
    /// A new nonce for the server leaves.
    pub fn issue(&mut self, nonce: Vec<u8>) {
        self.server_before = self.server.replace(nonce).or(self.server_before.take());
    }

    /// The server has it.
    pub fn confirm(&mut self) {
        self.server_before = None;
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct SavedNonces {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    client: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    server: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    server_before: Option<String>,
}

impl From<&Nonces> for SavedNonces {
    fn from(nonces: &Nonces) -> Self {
        let text = |nonce: &Option<Vec<u8>>| nonce.as_deref().map(encode_nonce);
        Self {
            client: text(&nonces.client),
            server: text(&nonces.server),
            server_before: text(&nonces.server_before),
        }
    }
}

impl From<SavedNonces> for Nonces {
    fn from(saved: SavedNonces) -> Self {
        let octets = |text: Option<String>| text.and_then(|text| decode_nonce(&text));
        Self {
            client: octets(saved.client),
            server: octets(saved.server),
            server_before: octets(saved.server_before),
        }
    }
}
