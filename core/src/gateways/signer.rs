//! Certificates for gateways, from the core's CAs.

use std::sync::Arc;

use postern_actors::{GatewayAnchors, GatewayAuthority, GatewayCertificate};
use postern_wire::{
    link::{CertificateName, PortRole},
    terms::{CaRole, CaState, UtcMillis},
};
use sha2::{Digest as _, Sha256};
use x509_parser::prelude::{FromDer as _, X509Certificate, X509CertificationRequest};

use crate::ca::{
    Authorities, Subject, certificate_pem, certificates_in,
    external::{self, Use},
    request_der,
};

/// How long a gateway's certificates hold, in days; they are renewed when a third of it is left.
const DAYS: u32 = 90;

/// Signs with the core's CAs.
pub(crate) struct Signer {
    authorities: Arc<Authorities>,
}

impl Signer {
    pub(crate) fn new(authorities: Arc<Authorities>) -> Self {
        Self { authorities }
    }

    fn pem(&self, role: CaRole) -> String {
        let all = self.authorities.certificates(role, &[CaState::Signing, CaState::Trusted]);
        all.iter().map(|der| certificate_pem(der)).collect()
    }
}

impl GatewayAuthority for Signer {
    fn key_of(&self, request: &str) -> Result<String, String> {
        let der = request_der(request).map_err(|error| error.to_string())?;
        let (_, parsed) =
            X509CertificationRequest::from_der(&der).map_err(|_| "the request is not PKCS#10".to_owned())?;
        parsed
            .verify_signature()
            .map_err(|_| "the request does not bear its own key's signature".to_owned())?;
        Ok(hash(parsed.certification_request_info.subject_pki.raw))
    }

    fn sign(
        &self,
        request: &str,
        role: PortRole,
        gateway: &str,
        names: &[String],
        now: UtcMillis,
    ) -> Result<GatewayCertificate, String> {
        let subject = match role {
            PortRole::Link => Subject::GatewayLink(gateway.to_owned()),
            PortRole::Server => {
                Subject::Server { role: "gateway", id: gateway.to_owned(), names: names.to_vec() }
            }
        };
        let der = request_der(request).map_err(|error| error.to_string())?;
        let made = self.authorities.certify(&der, &subject, DAYS, now).map_err(|error| error.to_string())?;
        described(&made.issued.der, made.chain_pem())
    }

    fn key_of_chain(&self, chain: &str) -> Result<String, String> {
        let leaf = certificates_in(chain).into_iter().next().ok_or("the chain is not PEM")?;
        let (_, parsed) = X509Certificate::from_der(&leaf).map_err(|_| "the chain is not X.509")?;
        Ok(hash(parsed.public_key().raw))
    }

    fn read_external(
        &self,
        chain: &str,
        key_hash: &str,
        now: UtcMillis,
    ) -> Result<GatewayCertificate, String> {
        if self.key_of_chain(chain)? != key_hash {
            return Err("the chain's first certificate is over another key than the gateway's".to_owned());
        }
        let leaf = certificates_in(chain).into_iter().next().ok_or("the chain is not PEM")?;
        let (_, parsed) = X509Certificate::from_der(&leaf).map_err(|_| "the chain is not X.509")?;
        let key = parsed.public_key().subject_public_key.data.as_ref();
        external::judge(chain, key, Use::Server, &[], now).map_err(|bad| bad.to_string())?;
        described(&leaf, chain.to_owned())
    }

    fn anchors(&self) -> GatewayAnchors {
        GatewayAnchors { link: self.pem(CaRole::Link), device: self.pem(CaRole::Device) }
    }
}

fn described(der: &[u8], chain: String) -> Result<GatewayCertificate, String> {
    let (_, parsed) = X509Certificate::from_der(der).map_err(|_| "the certificate is not X.509")?;
    let CertificateName { serial, issuer } =
        CertificateName::new(parsed.raw_serial(), parsed.issuer().as_raw());
    let millis = |time: x509_parser::time::ASN1Time| UtcMillis(time.timestamp().saturating_mul(1000));
    let (not_before, not_after) = (millis(parsed.validity().not_before), millis(parsed.validity().not_after));
    let fingerprint = Sha256::digest(der).into();
    Ok(GatewayCertificate { chain, serial, issuer, not_before, not_after, fingerprint })
}

fn hash(public_key: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(&Sha256::digest(public_key))
}
