//! What the gateway supervisor needs from outside: links to speak over, and a CA to sign with.

use postern_wire::{
    link::{PortRole, WatchLine},
    terms::UtcMillis,
};

/// A gateway to be dialed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DialedGateway {
    /// Its name.
    pub name: String,
    /// `host:port` of its link port.
    pub address: String,
}

/// The links to the gateways.
pub trait Fleet: Send + Sync + 'static {
    /// Makes these the gateways that are dialed; links to others end.
    fn dial(&self, gateways: Vec<DialedGateway>);
    /// Makes this document what the gateway is to have; `None`: none, its defaults.
    fn publish(&self, gateway: &str, document: Option<Published>);
    /// Sends a line to a gateway, if it watches now. A line that is lost comes to be asked for again.
    fn send(&self, gateway: &str, line: WatchLine);
    /// The gateways that watch this core now.
    fn connected(&self) -> Vec<String>;
    /// No link certificate of these serial numbers (lower-case hex, no leading zero octets) is accepted any more.
    fn refuse_certificates(&self, serials: Vec<String>);
}

/// A settings document as it is sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Published {
    /// Its version.
    pub version: u64,
    /// The document.
    pub document: serde_json::Value,
    /// SHA-256 of it, lower-case hex.
    pub sha256: String,
}

/// Signs for gateways.
pub trait GatewayAuthority: Send + Sync + 'static {
    /// SHA-256 of the public key of a signing request (PEM), lower-case hex; its own signature is checked.
    ///
    /// # Errors
    /// One clause that says what is wrong with it.
    fn key_of(&self, request: &str) -> Result<String, String>;

    /// A certificate for a port of a gateway; of the request only the key is taken.
    ///
    /// # Errors
    /// One sentence.
    fn sign(
        &self,
        request: &str,
        role: PortRole,
        gateway: &str,
        names: &[String],
        now: UtcMillis,
    ) -> Result<GatewayCertificate, String>;

    /// The hash of the key that the first certificate of a chain (PEM) is over, as [`Self::key_of`] gives it.
    ///
    /// # Errors
    /// One clause that says why it cannot be read.
    fn key_of_chain(&self, chain: &str) -> Result<String, String>;

    /// Reads a chain (PEM) that another CA made: it has to be over the key with this hash and hold now.
    ///
    /// # Errors
    /// One clause that says what is wrong with it.
    fn read_external(
        &self,
        chain: &str,
        key_hash: &str,
        now: UtcMillis,
    ) -> Result<GatewayCertificate, String>;

    /// The CAs of links and of devices, PEM, for a gateway that joins.
    fn anchors(&self) -> GatewayAnchors;
}

/// A certificate for a gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayCertificate {
    /// It, with what stands between it and its CA, PEM.
    pub chain: String,
    /// Serial number, lower-case hex without leading zero octets.
    pub serial: String,
    /// The issuer, as `postern_wire::link::issuer_hash` names it.
    pub issuer: String,
    /// From when it holds.
    pub not_before: UtcMillis,
    /// When it ends.
    pub not_after: UtcMillis,
    /// SHA-256 of its DER; zeros where it was read from a row.
    pub fingerprint: [u8; 32],
}

/// What a gateway is to trust, PEM.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GatewayAnchors {
    /// The CAs of links.
    pub link: String,
    /// The CAs of devices.
    pub device: String,
}
