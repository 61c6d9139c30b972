//! The program itself: the ports and files of the gateway whose configuration it is given.

use std::{fs, net::TcpListener, path::Path, sync::Arc, thread};

use anyhow::Context as _;
use postern_gateway::Config;
use postern_wire::link::ALPN;
use rustls::{
    RootCertStore, ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::WebPkiClientVerifier,
};

use super::{device, held::Held, link};

/// Runs until it is killed.
///
/// # Errors
/// When the configuration, a file or a port cannot be used.
pub fn run(config: &Path) -> anyhow::Result<()> {
    let config = Config::read(config, std::env::vars())?;
    let held = Arc::new(Held::new(config.name.clone()));
    let mut links = tls(&config.link.certificate, &config.link.key, Some(&config.link.authority), true)?;
    links.alpn_protocols = vec![ALPN.to_vec()];
    let devices =
        tls(&config.device.certificate, &config.device.key, config.device.authority.as_deref(), false)?;
    let (for_links, for_devices) = (Arc::clone(&held), Arc::clone(&held));
    let (link_port, device_port) =
        (TcpListener::bind(config.link.listen)?, TcpListener::bind(config.device.listen)?);
    let observe = TcpListener::bind(config.observe.listen)?;
    thread::spawn(move || link::accept(&for_links, &link_port, &Arc::new(links)));
    thread::spawn(move || device::accept(&for_devices, &device_port, &Arc::new(devices)));
    device::control(&held, &observe);
    Ok(())
}

fn tls(certificate: &Path, key: &Path, authority: Option<&Path>, must: bool) -> anyhow::Result<ServerConfig> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder =
        ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
    let builder = match authority {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for root in certificates(path)? {
                roots.add(root)?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            let verifier = if must { verifier } else { verifier.allow_unauthenticated() };
            builder.with_client_cert_verifier(verifier.build()?)
        }
    };
    let octets = fs::read(key).with_context(|| key.display().to_string())?;
    Ok(builder.with_single_cert(certificates(certificate)?, PrivateKeyDer::from_pem_slice(&octets)?)?)
}

fn certificates(path: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let octets = fs::read(path).with_context(|| path.display().to_string())?;
    Ok(CertificateDer::pem_slice_iter(&octets).collect::<Result<_, _>>()?)
}
