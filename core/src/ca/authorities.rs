//! The CAs of a running core, behind the actors' [`Authority`].

use std::{path::Path, sync::Arc};

use postern_actors::{Anchors, Authority, AuthorityError, DeviceCsr, IssuedDevice, Randomness};
use postern_wire::terms::UtcMillis;
use rustls_pki_types::{CertificateDer, pem::PemObject as _};

use super::{Ca, CaError, Subject, Validity};
use crate::{config::Config, device::Certificate, files};

/// The CAs that this core signs with, and what it tells others to trust.
pub struct Authorities {
    device: Result<Ca, String>,
    device_chain: Vec<Vec<u8>>,
    server_anchors: Vec<Vec<u8>>,
    random: Arc<dyn Randomness>,
    days: u32,
}

impl Authorities {
    /// Reads the files that the configuration names. What cannot be used is told by [`Authorities::trouble`].
    #[must_use]
    pub fn load(config: &Config, random: Arc<dyn Randomness>) -> Self {
        let read = |path: &Path| files::read(&config.at(path)).map_err(|error| error.to_string());
        let devices = &config.devices;
        let device = read(&devices.ca).and_then(|certificate| {
            Ca::load(&certificate, &read(&devices.ca_key)?).map_err(|error| error.to_string())
        });
        let device_chain = device.as_ref().map(|ca| certificates(ca.certificate_pem())).unwrap_or_default();
        let server_anchors = read(&devices.server_ca).map(|pem| certificates(&pem)).unwrap_or_default();
        Self { device, device_chain, server_anchors, random, days: devices.certificate_days }
    }

    /// Why no device certificate can be issued, if none can.
    #[must_use]
    pub fn trouble(&self) -> Option<&str> {
        self.device.as_ref().err().map(String::as_str)
    }
}

impl Authority for Authorities {
    fn issue_device(&self, request: DeviceCsr<'_>, now: UtcMillis) -> Result<IssuedDevice, AuthorityError> {
        let ca = self.device.as_ref().map_err(|reason| AuthorityError::Unavailable(reason.clone()))?;
        let mut serial = [0; 16];
        self.random.fill(&mut serial);
        let validity = Validity { now, days: self.days };
        let subject = Subject::Device(request.enrolment);
        let issued =
            ca.sign_request_der(request.der, &subject, serial, validity).map_err(|error| match error {
                CaError::Request(fault) => AuthorityError::Request(fault),
                other => AuthorityError::Unavailable(other.to_string()),
            })?;
        let read = Certificate::read(&issued.der)
            .map_err(|error| AuthorityError::Unavailable(error.to_string()))?
            .facts;
        Ok(IssuedDevice {
            der: issued.der,
            chain_der: self.device_chain.clone(),
            serial: read.serial,
            issuer: read.issuer,
            authority: 1,
            enrolment: request.enrolment,
            fingerprint: read.fingerprint,
            not_before: read.not_before,
            not_after: read.not_after,
        })
    }

    fn anchors(&self) -> Anchors {
        Anchors { server: self.server_anchors.clone(), device: self.device_chain.clone() }
    }
}

/// The certificates of a PEM text; what is none is left out.
fn certificates(pem: &str) -> Vec<Vec<u8>> {
    CertificateDer::pem_slice_iter(pem.as_bytes()).filter_map(Result::ok).map(|der| der.to_vec()).collect()
}
