//! Client events (Alert 1224) that no server has answered yet.

use serde::{Deserialize, Serialize};

/// Client events kept; beyond that the oldest are forgotten.
pub(super) const KEPT: usize = 64;

/// Something that the device tells a server of its own accord.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientEvent {
    /// ServerID of whom it is told.
    pub server_id: String,
    /// Meta Type.
    pub event_type: String,
    /// Meta Format.
    pub format: String,
    /// Data.
    pub data: String,
}
