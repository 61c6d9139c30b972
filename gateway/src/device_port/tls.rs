//! The device port's TLS, made anew whenever a file changes.

use std::{sync::Arc, time::Duration};

use postern_wire::link::{PortRole, TlsPolicy, TlsVersion, TrustedAuthorities};
use rustls::{
    CertificateError, Error, RootCertStore, ServerConfig, SupportedProtocolVersion,
    crypto::{CryptoProvider, aws_lc_rs},
    server::{
        WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
    version::{TLS12, TLS13},
};
use rustls_pki_types::{CertificateDer, UnixTime};
use x509_parser::{certificate::X509Certificate, prelude::FromDer};

use crate::{
    admission::certificate::{Facts, RetiredAuthorities},
    config::DevicePort,
    pem::{self, PemError},
    tls::Judged,
};

/// What a connection needs of TLS.
pub(crate) struct DeviceTls {
    pub(crate) server: Arc<ServerConfig>,
    pub(crate) retired: RetiredAuthorities,
    pub(crate) facts: Facts,
}

impl DeviceTls {
    /// Reads the files, and makes TLS of them by `policy`; `told`, where the core told it, takes the place of the
    /// configured device CAs.
    pub(crate) fn load(
        port: &DevicePort,
        policy: &TlsPolicy,
        told: Option<&TrustedAuthorities>,
    ) -> Result<Self, PemError> {
        let provider = Arc::new(provider(policy));
        let versions: &[&'static SupportedProtocolVersion] = match policy.min_version {
            TlsVersion::V12 => &[&TLS13, &TLS12],
            TlsVersion::V13 => &[&TLS13],
        };
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(versions)
            .map_err(|error| PemError::unusable(&port.certificate, &error))?;
        let chain = pem::certificates(&port.certificate)?;
        let facts = Facts::of(&chain, PortRole::Server);
        let (authorities, retired) = authorities(port, told)?;
        let path = port.authority.as_deref().unwrap_or(&port.certificate);
        let builder = match authorities {
            Some(authorities) => {
                let mut roots = RootCertStore::empty();
                for authority in authorities.into_iter().chain(retired.iter().cloned()) {
                    roots.add(authority).map_err(|error| PemError::unusable(path, &error))?;
                }
                let chains = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                    .allow_unauthenticated()
                    .build()
                    .map_err(|error| PemError::unusable(path, &error))?;
                builder.with_client_cert_verifier(Arc::new(Judged { chains, judge }))
            }
            None => builder.with_no_client_auth(),
        };
        let mut server = builder
            .with_single_cert(chain, pem::key(&port.key)?)
            .map_err(|error| PemError::unusable(&port.certificate, &error))?;
        server.ignore_client_order = !policy.ciphers.is_empty();
        server.alpn_protocols = vec![b"http/1.1".to_vec(), b"http/1.0".to_vec()];
        server.ticketer =
            aws_lc_rs::Ticketer::new().map_err(|error| PemError::unusable(&port.certificate, &error))?;
        server.send_tls13_tickets = 1;
        Ok(Self { server: Arc::new(server), retired: RetiredAuthorities::new(&retired), facts })
    }
}

type Certificates = Vec<CertificateDer<'static>>;

/// The device CAs, where there are any, and the retired ones: the core's word before the files. A CA that an operator
/// retires in the files stays retired.
fn authorities(
    port: &DevicePort,
    told: Option<&TrustedAuthorities>,
) -> Result<(Option<Certificates>, Certificates), PemError> {
    let read = |path: &Option<std::path::PathBuf>| path.as_deref().map(pem::certificates).transpose();
    let der = |all: &[Vec<u8>]| all.iter().map(|der| CertificateDer::from(der.clone())).collect::<Vec<_>>();
    let mut retired = read(&port.retired_authority)?.unwrap_or_default();
    Ok(match told {
        Some(told) => {
            retired.extend(der(&told.device_retired));
            let authorities = der(&told.device);
            ((!authorities.is_empty() || !retired.is_empty()).then_some(authorities), retired)
        }
        None => (read(&port.authority)?, retired),
    })
}

/// The library's own suites, or those of the policy in its order.
fn provider(policy: &TlsPolicy) -> CryptoProvider {
    let all = aws_lc_rs::default_provider();
    if policy.ciphers.is_empty() {
        return all;
    }
    let named =
        |name: &String| all.cipher_suites.iter().find(|suite| format!("{:?}", suite.suite()) == *name);
    CryptoProvider { cipher_suites: policy.ciphers.iter().filter_map(named).copied().collect(), ..all }
}

/// Chain, key and EKU clientAuth; not the time, which is judged with each request.
fn judge(
    chains: &dyn ClientCertVerifier,
    end_entity: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    now: UnixTime,
) -> Result<ClientCertVerified, Error> {
    let bad = || Error::InvalidCertificate(CertificateError::BadEncoding);
    let (_, certificate) = X509Certificate::from_der(end_entity).map_err(|_| bad())?;
    let usage = certificate.extended_key_usage().map_err(|_| bad())?;
    if !usage.is_some_and(|usage| usage.value.client_auth) {
        return Err(Error::InvalidCertificate(CertificateError::InvalidPurpose));
    }
    let second = |time: x509_parser::time::ASN1Time| u64::try_from(time.timestamp()).unwrap_or(0);
    let (first, last) = (second(certificate.validity().not_before), second(certificate.validity().not_after));
    let within = UnixTime::since_unix_epoch(Duration::from_secs(now.as_secs().max(first).min(last)));
    chains.verify_client_cert(end_entity, intermediates, within)
}

#[cfg(test)]
mod tests {
    use postern_wire::link::CIPHER_SUITES;

    use super::*;

    #[test]
    fn every_suite_that_the_settings_can_name_is_one_of_the_library() {
        let policy = TlsPolicy {
            ciphers: CIPHER_SUITES.iter().map(ToString::to_string).collect(),
            ..TlsPolicy::default()
        };
        assert_eq!(provider(&policy).cipher_suites.len(), CIPHER_SUITES.len());
        assert_eq!(CIPHER_SUITES.len(), aws_lc_rs::default_provider().cipher_suites.len());
    }
}
