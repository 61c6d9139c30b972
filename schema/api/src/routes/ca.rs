//! The routes of CAs, certificates and CRLs.

use super::{
    Also,
    Answer::{One, PageOf},
    Method::{Get, Post, Put},
    PAGE, RouteSpec, route,
};
use crate::permissions::Permission as P;

pub(super) const ROUTES: &[RouteSpec] = &[
    route(
        Get,
        "/api/1/ca",
        "ca.list",
        P::CaRead,
        PageOf("CertificateAuthority"),
        "List the CAs, each generation of each role.",
    ),
    route(
        Get,
        "/api/1/ca/{role}",
        "ca.show",
        P::CaRead,
        One("CaStatus"),
        "Show a role's CA and the stragglers of its roll-over.",
    ),
    route(
        Post,
        "/api/1/ca/{role}/roll-over",
        "ca.roll_over",
        P::CaRoll,
        One("CaStatus"),
        "Start, finish or abort the roll-over of a CA.",
    )
    .takes("RollOver")
    .also(&[Also { permission: P::CaForce, when: "it is to go on although there are stragglers" }]),
    route(
        Post,
        "/api/1/ca/{role}/external",
        "ca.request",
        P::CaRoll,
        One("CaRequest"),
        "Make the next generation's key and a signing request for an external CA; again the same one while it waits.",
    )
    .takes("RequestCa"),
    route(
        Put,
        "/api/1/ca/{role}/external",
        "ca.import",
        P::CaRoll,
        One("CaStatus"),
        "Bring in the chain that an external CA gave: the roll-over to it starts.",
    )
    .takes("ImportCa"),
    route(
        Get,
        "/api/1/certificates",
        "certificates.list",
        P::CaRead,
        PageOf("Certificate"),
        "List the certificates that were issued, by serial number.",
    )
    .query(&[
        PAGE[0],
        PAGE[1],
        ("role", "Only of this role's CA: device, link or server."),
        ("subject", "Only this subject's."),
        ("revoked", "true: revoked ones only; false: those that are not."),
        ("ends_within_days", "Only those that end within so many days."),
    ]),
    route(
        Get,
        "/api/1/certificates/{serial}",
        "certificates.show",
        P::CaRead,
        One("Certificate"),
        "Show a certificate.",
    ),
    route(
        Post,
        "/api/1/certificates",
        "certificates.issue",
        P::CaIssue,
        One("IssuedCertificate"),
        "Issue a link or server certificate over the key of a signing request.",
    )
    .takes("IssueCertificate")
    .answers(201),
    route(
        Post,
        "/api/1/certificates/{serial}/renew",
        "certificates.renew",
        P::CaIssue,
        One("IssuedCertificate"),
        "Issue a link or server certificate in the place of this one, for the same subject.",
    )
    .takes("RenewCertificate")
    .answers(201),
    route(
        Post,
        "/api/1/certificates/{serial}/revoke",
        "certificates.revoke",
        P::CaRevoke,
        One("Certificate"),
        "Revoke a certificate: it is blocked at once, and on the next CRL.",
    )
    .takes("RevokeCertificate"),
    route(Get, "/api/1/crls", "crls.list", P::CaRead, PageOf("Crl"), "List our CRLs and the imported ones."),
    route(Get, "/api/1/crls/{issuer}", "crls.show", P::CaRead, One("Crl"), "Show a CRL; ours with its octets."),
    route(
        Post,
        "/api/1/crls",
        "crls.import",
        P::CaRevoke,
        One("ImportedCrl"),
        "Import a CRL of another CA: what it lists is blocked at once.",
    )
    .takes("ImportCrl"),
];
