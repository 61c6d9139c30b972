//! The reports: what a gateway tells the core of itself and of whom it refused.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

use super::CertificateName;
use crate::{route::RouteHash, terms::UtcMillis};

/// Which of the three versioned things an acknowledgement is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ListKind {
    /// The settings document.
    Settings,
    /// The blocked list.
    Blocked,
    /// The known routes.
    Routes,
    /// What is trusted.
    Trust,
}

/// What became of a version at the gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AckVerdict {
    /// In force; settings and the blocked list are on the gateway's disk too.
    Applied,
    /// Refused; what was in force before stays.
    Rejected {
        /// One sentence that says what is wrong with it.
        reason: String,
        /// The version that stays in force.
        in_force: u64,
    },
}

/// An acknowledgement of one version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ack {
    /// Of what.
    pub kind: ListKind,
    /// Which version.
    pub version: u64,
    /// Its fate.
    pub verdict: AckVerdict,
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident = $text:literal),+ $(,)?) => {
        /// Why a gateway refused something, or let it through as `wipe-only` alone.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum RefusalReason {
            $($(#[$doc])* #[serde(rename = $text)] $variant),+,
            /// A reason of a newer gateway that this program does not know.
            #[serde(other, rename = "other")]
            Other,
        }

        impl RefusalReason {
            /// Every reason.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+, Self::Other];

            /// The stable spelling, also the problem's slug.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+, Self::Other => "other" }
            }
        }
    };
}

reasons! {
    /// The TLS handshake failed or took too long.
    TlsHandshake = "tls-handshake",
    /// Too many connections at once.
    ConnectionsFull = "connections-full",
    /// This address opens connections or fails too often.
    AddressRate = "address-rate",
    /// This route asks too often.
    RouteRate = "route-rate",
    /// A balancer's PROXY header was missing or wrong.
    ProxyHeader = "proxy-header",
    /// The request line or a header is not HTTP, or its body has no one clear length (smuggling).
    Framing = "framing",
    /// Neither Content-Length nor chunked.
    LengthRequired = "length-required",
    /// The header section is too large.
    HeadersTooLarge = "headers-too-large",
    /// The body is too large.
    BodyTooLarge = "body-too-large",
    /// Headers or body came too slowly.
    TooSlow = "too-slow",
    /// The connection ended before the body did.
    Incomplete = "incomplete",
    /// The Host is not a name of this gateway.
    Host = "host",
    /// No such path.
    Path = "path",
    /// The path is known, the method is not allowed.
    Method = "method",
    /// The content type is none of SyncML's.
    MediaType = "media-type",
    /// A Content-Encoding other than identity.
    ContentEncoding = "content-encoding",
    /// The body is not a SyncML message.
    Malformed = "malformed",
    /// The route is not a live one.
    RouteUnknown = "route-unknown",
    /// The route is on the blocked list.
    RouteBlocked = "route-blocked",
    /// The certificate is on the blocked list.
    CertificateBlocked = "certificate-blocked",
    /// The certificate has expired.
    CertificateExpired = "certificate-expired",
    /// The certificate is not valid yet.
    CertificateNotYetValid = "certificate-not-yet-valid",
    /// The certificate comes from a device CA that was retired.
    CertificateAuthorityRetired = "certificate-authority-retired",
    /// The settings demand a certificate and none was shown.
    CertificateRequired = "certificate-required",
    /// The settings have enrolment off.
    EnrolmentOff = "enrolment-off",
    /// As many devices listen as may.
    ListenersFull = "listeners-full",
    /// No core is connected, or this gateway is not yet at its versions.
    NoCore = "no-core",
    /// Every link was busy for too long.
    LinksBusy = "links-busy",
    /// The core did not answer, or the link broke, after the message may have been taken.
    LinkBroken = "link-broken",
    /// The gateway is draining.
    Draining = "draining",
}

impl RefusalReason {
    /// Whether a limit was hit: of rates, sizes, times or places.
    #[must_use]
    pub const fn is_limit(self) -> bool {
        matches!(
            self,
            Self::ConnectionsFull
                | Self::AddressRate
                | Self::RouteRate
                | Self::HeadersTooLarge
                | Self::BodyTooLarge
                | Self::TooSlow
                | Self::ListenersFull
                | Self::LinksBusy
        )
    }
}

impl fmt::Display for RefusalReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Refusals of one kind, counted together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// When the first of them was.
    pub at: UtcMillis,
    /// Why.
    pub reason: RefusalReason,
    /// The certificate that was shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<CertificateName>,
    /// The route that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<RouteHash>,
    /// The device's address.
    pub source: String,
    /// What exactly was wrong with the last of them, where there is more to say than the reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// How many there were.
    pub count: u64,
}

/// How many links a gateway holds of the core that it reports to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkCounts {
    /// Request links, idle or busy.
    pub request: u32,
    /// Of these, carrying a message now.
    pub busy: u32,
}

/// Which of a gateway's ports a certificate is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PortRole {
    /// The link port.
    Link,
    /// The device port.
    Server,
}

impl PortRole {
    /// The stable spelling.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Link => "link",
            Self::Server => "server",
        }
    }
}

/// A key of the gateway that wants a certificate; told again until the certificate has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateRequest {
    /// For which port.
    pub role: PortRole,
    /// PKCS#10, PEM.
    pub request: String,
}

/// A certificate that a gateway uses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateState {
    /// For which port.
    pub role: PortRole,
    /// Serial number, lower-case hex.
    pub serial: String,
    /// Not before.
    pub not_before: UtcMillis,
    /// Not after.
    pub not_after: UtcMillis,
    /// Made through the core; else the operator's own files, which nobody renews.
    pub managed: bool,
}

/// The core's clock as the gateway last heard it, so that the core can take the way there and back out of the skew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BeatEcho {
    /// What the last beat said.
    pub now: UtcMillis,
    /// How long ago it came, milliseconds by the gateway's monotonic clock.
    pub age_ms: u64,
}

/// A gateway's state, sent each heartbeat.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// The gateway's clock.
    pub clock: UtcMillis,
    /// The gateway's program version.
    pub version: String,
    /// Device connections that are open.
    pub connections: u64,
    /// TLS sessions that devices have opened since the start.
    #[serde(default)]
    pub sessions: u64,
    /// Devices that listen for a notification now.
    #[serde(default)]
    pub listeners: u64,
    /// Messages being relayed now.
    pub in_flight: u64,
    /// Messages relayed since the start.
    pub relayed: u64,
    /// Refusals since the start, by reason.
    #[serde(default)]
    pub refusals: BTreeMap<String, u64>,
    /// Refusals that were counted but whose details were dropped because too many came.
    #[serde(default)]
    pub refusals_untold: u64,
    /// The links that it holds.
    pub links: LinkCounts,
    /// When the device port's certificate ends.
    pub device_certificate_not_after: UtcMillis,
    /// When the link port's certificate ends.
    pub link_certificate_not_after: UtcMillis,
    /// Who issued the device port's certificate, as the blocked list names it.
    #[serde(default)]
    pub device_certificate_issuer: String,
    /// Who issued the link port's certificate.
    #[serde(default)]
    pub link_certificate_issuer: String,
    /// Version of the settings in force.
    pub settings: u64,
    /// Version of the settings that proved good last: another than `settings` while these are on trial.
    #[serde(default)]
    pub settings_good: u64,
    /// Version of the blocked list.
    pub blocked: u64,
    /// Version of the known routes.
    pub routes: u64,
    /// Version of what it trusts; 0: its files hold.
    #[serde(default)]
    pub trust: u64,
    /// How long it has run, seconds.
    #[serde(default)]
    pub uptime_s: u64,
    /// The core's last beat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beat: Option<BeatEcho>,
    /// The certificates in use.
    #[serde(default)]
    pub certificates: Vec<CertificateState>,
    /// Where it listens for devices.
    #[serde(default)]
    pub listening: Vec<String>,
    /// Resident memory, octets; 0 when not known.
    pub rss: u64,
    /// What is wrong: a certificate that could not be loaded, a list that could not be written.
    #[serde(default)]
    pub troubles: Vec<String>,
}

/// One report from a gateway.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ReportBatch {
    /// Fates of versions.
    #[serde(default)]
    pub acks: Vec<Ack>,
    /// Who was refused since the last report.
    #[serde(default)]
    pub refusals: Vec<Refusal>,
    /// The state, once each heartbeat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heartbeat: Option<Heartbeat>,
    /// Keys that want a certificate.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requests: Vec<CertificateRequest>,
    /// It has put away all it had, as [`super::WatchLine::Retired`] asked.
    #[serde(default)]
    pub retired: bool,
    /// How many request links the gateway wants.
    pub want_links: u32,
}

/// The core's answer to a [`ReportBatch`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportAnswer {
    /// The batch was taken; without it the gateway sends it again.
    pub ok: bool,
    /// The core's clock.
    pub now: UtcMillis,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_of_a_newer_gateway_is_read_as_other() {
        let reason: RefusalReason = serde_json::from_str(r#""moon-phase""#).expect("read");
        assert_eq!(reason, RefusalReason::Other);
    }

    #[test]
    fn a_limit_is_told_apart_from_a_fault() {
        assert!(RefusalReason::RouteRate.is_limit() && RefusalReason::LinksBusy.is_limit());
        assert!(!RefusalReason::RouteBlocked.is_limit() && !RefusalReason::NoCore.is_limit());
    }

    #[test]
    fn every_reason_is_spelt_in_json_as_in_text() {
        for reason in RefusalReason::ALL {
            assert_eq!(serde_json::to_string(reason).expect("JSON"), format!("\"{reason}\""));
        }
    }
}
