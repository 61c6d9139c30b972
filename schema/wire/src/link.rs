//! The link contract: what core and gateway say to each other (docs/ARCHITECTURE.md, "Decisions that are not obvious").
//!
//! The core dials and is the TLS client; after the handshake the HTTP roles turn round: the gateway asks, the
//! core answers. Each link has one [`LinkRole`], which the core names in its answer to the gateway's first
//! request:
//!
//! * *watch*: the gateway asks [`WATCH_PATH`] with a [`WatchQuery`]; the answer is an endless stream of
//!   [`WatchLine`]s, one JSON object a line. The first line is always `versions`.
//! * *report*: the gateway posts [`ReportBatch`]es to [`REPORT_PATH`].
//! * *request*: the gateway posts device messages to `/dm/1/<route>`, body byte for byte, and pings an idle link
//!   with [`PING_PATH`]. CRLs are asked for under [`CRL_PREFIX`].
//!
//! A gateway that has no link certificate yet gets it over a connection of its own kind: see [`join`].
//!
//! A device that listens (`GET /dm/1/<route>/listen`) is held at the gateway and never crosses a link: [`WatchLine::Wake`]
//! brings it its package 0.
//!
//! Anything else on a link is 404. Promise: types and their limits only; no socket, no clock.

mod headers;
pub mod join;
mod lists;
mod report;
mod settings;
mod trust;
mod watch;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use headers::{
    ADMISSION, ADMISSION_REASON, CLIENT_CERT, OURS_PREFIX, REPLY_HEADERS, REQUEST_HEADERS, REQUEST_ID,
    SOURCE, TLS,
};
pub use lists::{BlockedDelta, BlockedEntry, BlockedSubject, CertificateName, RoutesDelta, issuer_hash};
pub use report::{
    Ack, AckVerdict, BeatEcho, CertificateRequest, CertificateState, Heartbeat, LinkCounts, ListKind,
    PortRole, Refusal, RefusalReason, ReportAnswer, ReportBatch,
};
pub use settings::{
    AddressLimit, CIPHER_SUITES, CertificateSource, LinkCountLimits, ListenLimits, LogLevel, Network,
    RouteLimit, Settings, SettingsError, TlsPolicy, TlsVersion,
};
pub use trust::{AUTHORITIES, AUTHORITY_OCTETS, Trust, TrustError, TrustedAuthorities};
pub use watch::{WatchLine, WatchQuery};

/// The ALPN protocol of a link; both ends refuse any other.
pub const ALPN: &[u8] = b"postern-link/1";
/// Where the gateway posts its [`Hello`].
pub const HELLO_PATH: &str = "/link/1/hello";
/// Where the gateway asks for the watch stream.
pub const WATCH_PATH: &str = "/link/1/watch";
/// Where the gateway posts its reports.
pub const REPORT_PATH: &str = "/link/1/report";
/// What the gateway asks of an idle request link.
pub const PING_PATH: &str = "/link/1/ping";
/// Where CRLs are: `/crl/1/<issuer>.crl`, GET, on request links and through the gateways; [`issuer_hash`] names the issuer.
pub const CRL_PREFIX: &str = "/crl/1/";
/// A request link that was idle for so long is pinged, in milliseconds.
pub const PING_IDLE_MS: u64 = 20_000;
/// A ping that is not answered in so many milliseconds closes its link.
pub const PING_LIMIT_MS: u64 = 2_000;
/// A watch without a line for so many heartbeats is sick: its core is not used.
pub const SICK_AFTER_BEATS: u64 = 3;
/// The longest line of a watch stream, in octets. A longer list is sent in parts ([`RoutesDelta::more`]).
pub const LINE_OCTETS: usize = 1024 * 1024;
/// The most entries of one part of a list.
pub const ENTRIES_A_LINE: usize = 8_192;
/// The most octets of a package 0 (OMA-TS-DM_Notification 6: 24 octets, at most 255 of server id, vendor data).
pub const PACKAGE0_OCTETS: usize = 1_024;
/// The media type of package 0 as a listening device gets it.
pub const PACKAGE0_MEDIA_TYPE: &str = "application/vnd.syncml.notification";
/// The most octets of a hello, a report or an answer to one.
pub const CONTROL_OCTETS: usize = 512 * 1024;
/// The SAN URI of a core's link certificate begins so; its id follows.
pub const CORE_URI_PREFIX: &str = "postern:core:";
/// The SAN URI of a gateway's link certificate begins so; its name follows.
pub const GATEWAY_URI_PREFIX: &str = "postern:gateway:";

/// The SAN URI that the link certificate of the gateway `name` carries.
#[must_use]
pub fn gateway_uri(name: &str) -> String {
    format!("{GATEWAY_URI_PREFIX}{name}")
}

/// What a link is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LinkRole {
    /// Carries settings, lists, wake-ups and drain to the gateway.
    Watch,
    /// Carries acknowledgements, refusals and the heartbeat to the core.
    Report,
    /// Carries device messages, one at a time.
    Request,
}

impl LinkRole {
    /// The stable spelling.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Watch => "watch",
            Self::Report => "report",
            Self::Request => "request",
        }
    }
}

/// The first request on every link, from the gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The gateway's name, as in its link certificate.
    pub gateway: String,
    /// The gateway's program version.
    pub version: String,
    /// Made anew at each start of the gateway.
    pub boot: Uuid,
}

/// The core's answer to a [`Hello`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// What this link is for.
    pub role: LinkRole,
    /// Made anew at each start of the core.
    pub core: Uuid,
    /// The core's epoch on its database; 0 while it stands by. The gateway uses the core with the highest.
    pub epoch: u64,
    /// How often the watch carries a `beat`, and how often the core wants a heartbeat, in milliseconds.
    pub heartbeat_ms: u64,
}

/// What the gateway found of a device before it passed its message on; stands in [`ADMISSION`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Admission {
    /// Nothing against it.
    Admit,
    /// Known, but not to be trusted with more than the wipe that waits for it.
    WipeOnly,
    /// Not to be heard at all; such a message never crosses a link.
    Refuse,
}

impl Admission {
    /// The stable spelling.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Admit => "admit",
            Self::WipeOnly => "wipe-only",
            Self::Refuse => "refuse",
        }
    }

    /// The stricter of two.
    #[must_use]
    pub fn stricter(self, other: Self) -> Self {
        if (self as u8) < (other as u8) { other } else { self }
    }
}
