//! How something that was accepted with 202 ended: what a generic alert 1226 says (OMA-TS-DM_Protocol 8.7).

use serde::{Deserialize, Serialize};

use super::Exec;

/// Completions kept for sending; beyond that the oldest are forgotten.
pub const KEPT: usize = 256;

/// Meta Mark of a generic alert, from the worst down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mark {
    /// The device cannot go on.
    Fatal,
    /// Something of importance is broken.
    Critical,
    /// Something failed.
    Minor,
    /// Something may fail.
    Warning,
    /// What the server asked for was done.
    Informational,
}

impl Mark {
    /// As it is sent.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fatal => "fatal",
            Self::Critical => "critical",
            Self::Minor => "minor",
            Self::Warning => "warning",
            Self::Informational => "informational",
        }
    }
}

/// One end, for the server that asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Completion {
    /// ServerID of who gave the Exec.
    pub server_id: String,
    /// Source/LocURI: the management object or the node that was executed.
    pub source: String,
    /// Target/LocURI, where there is one: the node that came of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Meta Type.
    pub alert_type: String,
    /// Meta Format.
    pub format: String,
    /// Meta Mark.
    pub mark: Mark,
    /// Data.
    pub data: String,
    /// The Exec's Correlator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlator: Option<String>,
}

/// Who gave an Exec and how: what its completion has to say again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asker {
    server_id: String,
    uri: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    correlator: Option<String>,
}

impl Asker {
    /// Who gave this one.
    #[must_use]
    pub fn of(exec: &Exec<'_>) -> Self {
        Self {
            server_id: exec.account.server_id.clone(),
            uri: exec.path.to_string(),
            correlator: exec.correlator.map(ToOwned::to_owned),
        }
    }

    /// The end of it: Source is the node that was executed.
    #[must_use]
    pub fn told(self, alert_type: &str, mark: Mark, data: String) -> Completion {
        Completion {
            server_id: self.server_id,
            source: self.uri,
            target: None,
            alert_type: alert_type.to_owned(),
            format: "chr".to_owned(),
            mark,
            data,
            correlator: self.correlator,
        }
    }
}
