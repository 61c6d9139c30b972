//! What a device has seen of notifications and bootstraps, so that a repetition is known.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Notifications of one account that are remembered.
const DIGESTS: usize = 1_024;
/// Of these, how many of the latest session ids are not opened again.
const SESSIONS: usize = 8;
/// Bootstrap documents whose wrong PINs are counted.
const DOCUMENTS: usize = 64;

/// What has been seen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Seen {
    /// Of each account, by ServerID, the oldest first: session id and digest (hexadecimal).
    #[serde(default)]
    notifications: BTreeMap<String, Vec<(u16, String)>>,
    /// Wrong PINs by document, the oldest first.
    #[serde(default)]
    pins: Vec<(String, u8)>,
}

impl Seen {
    pub(super) fn has(&self, server_id: &str, session: u16, digest: &[u8]) -> bool {
        let Some(seen) = self.notifications.get(server_id) else { return false };
        let digest = hex(digest);
        seen.iter().any(|(_, known)| *known == digest)
            || seen.iter().rev().take(SESSIONS).any(|(known, _)| *known == session)
    }

    pub(super) fn add(&mut self, server_id: &str, session: u16, digest: &[u8]) {
        let seen = self.notifications.entry(server_id.to_owned()).or_default();
        seen.push((session, hex(digest)));
        let surplus = seen.len().saturating_sub(DIGESTS);
        seen.drain(..surplus);
    }

    pub(super) fn pin_failures(&self, document: &str) -> u8 {
        self.pins.iter().find(|(known, _)| known == document).map_or(0, |(_, count)| *count)
    }

    pub(super) fn count_pin_failure(&mut self, document: &str) {
        match self.pins.iter_mut().find(|(known, _)| known == document) {
            Some((_, count)) => *count = count.saturating_add(1),
            None => self.pins.push((document.to_owned(), 1)),
        }
        let surplus = self.pins.len().saturating_sub(DOCUMENTS);
        self.pins.drain(..surplus);
    }

    pub(super) fn forget_pin_failures(&mut self, document: &str) {
        self.pins.retain(|(known, _)| known != document);
    }
}

fn hex(octets: &[u8]) -> String {
    octets.iter().fold(String::new(), |text, octet| text + &format!("{octet:02x}"))
}
