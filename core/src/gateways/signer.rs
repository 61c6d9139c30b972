//! Certificates for gateways, from the core's CAs.

use std::{path::Path, sync::Arc};

use postern_actors::{GatewayAnchors, GatewayAuthority, GatewayCertificate, Randomness};
use postern_wire::{
    link::{CertificateName, PortRole},
    terms::UtcMillis,
};
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use sha2::{Digest as _, Sha256};
use x509_parser::prelude::{FromDer as _, X509Certificate, X509CertificationRequest};

use crate::{
    ca::{Ca, Subject, Validity, request_der},
    config::Config,
    files,
};

/// How long a gateway's certificates hold, in days; they are renewed when a third of it is left.
const DAYS: u32 = 90;

/// Signs with the CAs of the state folder, read at each use.
pub(crate) struct Signer {
    config: Config,
    random: Arc<dyn Randomness>,
}

impl Signer {
    pub(crate) fn new(config: Config, random: Arc<dyn Randomness>) -> Self {
        Self { config, random }
    }

    fn ca(&self, certificate: &Path, key: &Path) -> Result<Ca, String> {
        let read = |path: &Path| files::read(&self.config.at(path)).map_err(|error| error.to_string());
        Ca::load(&read(certificate)?, &read(key)?).map_err(|error| error.to_string())
    }

    fn pem(&self, path: &Path) -> String {
        files::read(&self.config.at(path)).unwrap_or_default()
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
        let link = &self.config.links.ca;
        let ca = match role {
            PortRole::Link => self.ca(link, &link.with_extension("key"))?,
            PortRole::Server => self.ca(Path::new("ca/server-ca.pem"), Path::new("ca/server-ca.key"))?,
        };
        let subject = match role {
            PortRole::Link => Subject::GatewayLink(gateway.to_owned()),
            PortRole::Server => {
                Subject::Server { role: "gateway", id: gateway.to_owned(), names: names.to_vec() }
            }
        };
        let mut serial = [0; 16];
        self.random.fill(&mut serial);
        let issued = ca
            .sign_request(request, &subject, serial, Validity { now, days: DAYS })
            .map_err(|error| error.to_string())?;
        described(&issued.der, issued.pem)
    }

    fn read_external(
        &self,
        chain: &str,
        key_hash: &str,
        now: UtcMillis,
    ) -> Result<GatewayCertificate, String> {
        let leaf = CertificateDer::pem_slice_iter(chain.as_bytes()).next();
        let leaf = leaf.and_then(Result::ok).ok_or("the chain is not PEM")?;
        let (_, parsed) = X509Certificate::from_der(&leaf).map_err(|_| "the chain is not X.509")?;
        if hash(parsed.public_key().raw) != key_hash {
            return Err("the chain's first certificate is over another key than the gateway's".to_owned());
        }
        let read = described(&leaf, chain.to_owned())?;
        if read.not_after <= now {
            return Err("the certificate has expired".to_owned());
        }
        Ok(read)
    }

    fn anchors(&self) -> GatewayAnchors {
        GatewayAnchors { link: self.pem(&self.config.links.ca), device: self.pem(&self.config.devices.ca) }
    }
}

fn described(der: &[u8], chain: String) -> Result<GatewayCertificate, String> {
    let (_, parsed) = X509Certificate::from_der(der).map_err(|_| "the certificate is not X.509")?;
    let CertificateName { serial, issuer } =
        CertificateName::new(parsed.raw_serial(), parsed.issuer().as_raw());
    let not_after = UtcMillis(parsed.validity().not_after.timestamp().saturating_mul(1000));
    Ok(GatewayCertificate { chain, serial, issuer, not_after })
}

fn hash(public_key: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(&Sha256::digest(public_key))
}
