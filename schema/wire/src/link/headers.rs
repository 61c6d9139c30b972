//! Which header fields cross a link, by an allow-list both ways; everything else is dropped.

/// The certificate that the device showed, RFC 9440: `:base64 DER:`. Removed from what comes from outside.
pub const CLIENT_CERT: &str = "client-cert";
/// Names beginning so are ours; a device that sends one has it removed.
pub const OURS_PREFIX: &str = "postern-";
/// The request's UUID; the reply repeats it, and a link whose reply does not is closed.
pub const REQUEST_ID: &str = "postern-request-id";
/// The device's address as the gateway (or a named balancer before it) saw it.
pub const SOURCE: &str = "postern-source";
/// The version of the device's TLS: `1.2` or `1.3`.
pub const TLS: &str = "postern-tls";
/// The gateway's verdict: `admit` or `wipe-only` (see [`super::Admission`]).
pub const ADMISSION: &str = "postern-admission";
/// Why the verdict is `wipe-only`: a [`super::RefusalReason`]'s spelling.
pub const ADMISSION_REASON: &str = "postern-admission-reason";

/// The fields of a device's request that cross to the core.
pub const REQUEST_HEADERS: &[&str] = &[
    "content-type",
    "content-digest",
    "signature",
    "signature-input",
    "authorization",
    "accept",
    "accept-charset",
    "accept-language",
    "user-agent",
    "x-syncml-hmac",
    "mdm-signature",
    "ms-signature",
    "mdm-genericalert",
    "client-request-id",
    "ms-cv",
];

/// The fields of the core's reply that cross to the device.
pub const REPLY_HEADERS: &[&str] = &[
    "content-type",
    "content-digest",
    "signature",
    "signature-input",
    "www-authenticate",
    "retry-after",
    "x-syncml-hmac",
    "mdm-signature",
    "ms-signature",
    "client-request-id",
    "ms-cv",
];
