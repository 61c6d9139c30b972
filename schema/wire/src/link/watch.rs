//! The watch stream: how settings, lists, wake-ups and drain reach a gateway.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{BlockedDelta, PortRole, RoutesDelta, Settings, Trust};
use crate::{route::RouteHash, terms::UtcMillis};

/// What the gateway holds already; the query string of the watch request. Zeros for nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatchQuery {
    /// Version of the settings in force.
    pub settings: u64,
    /// Version of the blocked list.
    pub blocked: u64,
    /// Version of the known routes.
    pub routes: u64,
    /// Which history the two list versions belong to; another than the core's own means both lists in full.
    #[serde(default)]
    pub lineage: Uuid,
}

impl WatchQuery {
    /// As a query string.
    #[must_use]
    pub fn to_query(&self) -> String {
        format!(
            "settings={}&blocked={}&routes={}&lineage={}",
            self.settings, self.blocked, self.routes, self.lineage
        )
    }
}

/// One line of the watch stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum WatchLine {
    /// What the core holds now: the first line. Request links serve only once the gateway has got there.
    Versions {
        /// The settings document that this gateway is to have; 0: none, the gateway's defaults hold.
        settings: u64,
        /// The blocked list.
        blocked: u64,
        /// The known routes.
        routes: u64,
        /// The history that the list versions belong to.
        lineage: Uuid,
        /// The core's epoch; 0 while it stands by.
        epoch: u64,
        /// What is trusted; 0: none is told, the gateway's files hold.
        #[serde(default)]
        trust: u64,
    },
    /// What is to be trusted from now on; sent at the begin of each watch and with each change.
    Trust(Trust),
    /// A settings document to apply or to reject.
    Settings {
        /// Its version; the document repeats it.
        version: u64,
        /// The document, not yet checked: a gateway that cannot read it rejects it with a reason.
        document: serde_json::Value,
        /// SHA-256 of the document's JSON as [`Settings::digest`] makes it, lower-case hex.
        sha256: String,
    },
    /// A change of the blocked list.
    Blocked(BlockedDelta),
    /// A change of the known routes.
    Routes(RoutesDelta),
    /// A listening device is to be woken with this package 0.
    Wake {
        /// Which device.
        route: RouteHash,
        /// Package 0, base64; at most [`super::PACKAGE0_OCTETS`] octets.
        package0: String,
        /// SHA-256 of the certificate that the device has, lower-case hex: only a listener that showed it is woken.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        certificate: Option<String>,
    },
    /// A certificate over a key of this gateway.
    Certificate {
        /// For which port.
        role: PortRole,
        /// The certificate with what stands between it and its CA, PEM.
        chain: String,
    },
    /// Make a new key for a port and ask for a certificate over it.
    Renew {
        /// For which port.
        role: PortRole,
    },
    /// This gateway is one no more: serve nobody, put away keys and lists, say so, and stay away.
    Retired,
    /// This core goes away: give it nothing new, let what runs finish.
    Drain,
    /// A sign of life, each heartbeat.
    Beat {
        /// The core's clock.
        now: UtcMillis,
        /// The core's epoch; it rises when a standby takes over.
        epoch: u64,
    },
    /// A line of a newer core that this program does not know.
    #[serde(other)]
    Unknown,
}

impl WatchLine {
    /// The line that carries `settings`.
    ///
    /// # Errors
    /// When the document cannot be put into JSON.
    pub fn settings(settings: &Settings) -> Result<Self, serde_json::Error> {
        Ok(Self::Settings {
            version: settings.version,
            document: serde_json::to_value(settings)?,
            sha256: settings.digest(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_tagged_by_its_kind_and_read_back() {
        let line = WatchLine::Routes(RoutesDelta { version: 3, full: true, ..Default::default() });
        let text = serde_json::to_string(&line).expect("a line is JSON");
        assert!(text.starts_with(r#"{"kind":"routes","version":3"#), "{text}");
        assert_eq!(serde_json::from_str::<WatchLine>(&text).expect("read back"), line);
    }

    #[test]
    fn a_line_of_a_newer_core_is_read_as_unknown() {
        let line = serde_json::from_str(r#"{"kind":"moon-phase","full":true}"#);
        assert!(matches!(line, Ok(WatchLine::Unknown)), "{line:?}");
    }

    #[test]
    fn a_settings_document_that_cannot_be_read_is_still_a_line() {
        let text = r#"{"kind":"settings","version":9,"document":{"no_such_key":1},"sha256":""}"#;
        assert!(matches!(serde_json::from_str(text), Ok(WatchLine::Settings { version: 9, .. })));
    }
}
