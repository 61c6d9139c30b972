//! TLS to PostgreSQL by rustls: the server's certificate is always verified against the named authorities and
//! the host's name (libpq's `verify-full`); the client's own certificate is optional.

use std::{
    future::Future,
    io,
    path::{Path, PathBuf},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use aws_lc_rs::digest;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject};
use secrecy::ExposeSecret;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::{
    config::Config,
    tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream},
};
use tokio_rustls::{TlsConnector, client};

use super::postgres::{is_local, set_limits};
use crate::{errors::StoreError, options::PostgresPlace};

/// Where to connect, and with what TLS.
pub(crate) struct Target {
    /// Hosts, user, password, database and limits.
    pub(crate) config: Config,
    /// None when `sslmode=disable` was asked for and is allowed.
    pub(crate) connector: Option<Connector>,
}

impl Target {
    /// Reads the URL and the files it names.
    pub(crate) fn read(place: &PostgresPlace) -> Result<Self, StoreError> {
        let (url, parameters) = split_ssl(place.url.expose_secret());
        let mut config: Config =
            url.parse().map_err(|e| StoreError::Configuration(format!("PostgreSQL URL: {e}")))?;
        let encrypted = match parameters.mode.as_deref() {
            None | Some("verify-full") => true,
            Some("disable") if is_local(&config) => false,
            Some("disable") => {
                return Err(StoreError::Configuration(
                    "sslmode=disable is for unix sockets and loopback addresses only".to_owned(),
                ));
            }
            Some(other) => {
                return Err(StoreError::Configuration(format!(
                    "sslmode={other} is not offered: verify-full, or disable on this machine"
                )));
            }
        };
        set_limits(&mut config, encrypted);
        let connector = if encrypted { Some(connector(place, parameters)?) } else { None };
        Ok(Self { config, connector })
    }
}

/// The `ssl*` parameters of a URL, which tokio-postgres does not read.
#[derive(Default)]
struct SslParameters {
    mode: Option<String>,
    root: Option<PathBuf>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
}

fn split_ssl(url: &str) -> (String, SslParameters) {
    let mut found = SslParameters::default();
    let Some((base, query)) = url.split_once('?') else {
        return (url.to_owned(), found);
    };
    let mut kept = Vec::new();
    for part in query.split('&') {
        match part.split_once('=') {
            Some(("sslmode", value)) => found.mode = Some(value.to_owned()),
            Some(("sslrootcert", value)) => found.root = Some(unescape(value)),
            Some(("sslcert", value)) => found.certificate = Some(unescape(value)),
            Some(("sslkey", value)) => found.key = Some(unescape(value)),
            _ => kept.push(part),
        }
    }
    let rest = if kept.is_empty() { base.to_owned() } else { format!("{base}?{}", kept.join("&")) };
    (rest, found)
}

/// Undoes %2F, the one escape that a path in a URL's query usually has, and the other ASCII ones.
fn unescape(value: &str) -> PathBuf {
    let mut out = String::with_capacity(value.len());
    let mut rest = value;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        let code = rest.get(at + 1..at + 3).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match code {
            Some(octet) if octet.is_ascii() => {
                out.push(char::from(octet));
                rest = &rest[at + 3..];
            }
            _ => {
                out.push('%');
                rest = &rest[at + 1..];
            }
        }
    }
    out.push_str(rest);
    PathBuf::from(out)
}

fn connector(place: &PostgresPlace, parameters: SslParameters) -> Result<Connector, StoreError> {
    let wrong = |what: &str, e: &dyn std::fmt::Display| StoreError::Configuration(format!("{what}: {e}"));
    let root = place.ca_file.clone().or(parameters.root).ok_or_else(|| {
        StoreError::Configuration("TLS to PostgreSQL needs the file of its authorities (ca_file)".to_owned())
    })?;
    let mut roots = RootCertStore::empty();
    for certificate in certificates(&root)? {
        roots.add(certificate).map_err(|e| wrong(&root.display().to_string(), &e))?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| wrong("TLS versions", &e))?
        .with_root_certificates(roots);
    let own_certificate = place.client_certificate_file.clone().or(parameters.certificate);
    let own_key = place.client_key_file.clone().or(parameters.key);
    let config = match (own_certificate, own_key) {
        (Some(certificate), Some(key_file)) => {
            let chain = certificates(&certificate)?;
            let key = PrivateKeyDer::from_pem_file(&key_file)
                .map_err(|e| wrong(&key_file.display().to_string(), &e))?;
            builder.with_client_auth_cert(chain, key).map_err(|e| wrong("client certificate", &e))?
        }
        (None, None) => builder.with_no_client_auth(),
        _ => {
            return Err(StoreError::Configuration(
                "a client certificate and its key come together, or not at all".to_owned(),
            ));
        }
    };
    Ok(Connector(Arc::new(config)))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, StoreError> {
    let wrong = |e: &dyn std::fmt::Display| StoreError::Configuration(format!("{}: {e}", path.display()));
    let list = CertificateDer::pem_file_iter(path)
        .map_err(|e| wrong(&e))?
        .collect::<Result<Vec<_>, _>>()
        .map_err(|e| wrong(&e))?;
    if list.is_empty() { Err(wrong(&"no certificate in it")) } else { Ok(list) }
}

// === tokio-postgres's view of rustls ===

/// Makes TLS sessions for tokio-postgres.
#[derive(Clone)]
pub(crate) struct Connector(Arc<ClientConfig>);

/// A connector that knows the host's name.
pub(crate) struct Named(Arc<ClientConfig>, ServerName<'static>);

/// A TLS session over a PostgreSQL socket.
pub(crate) struct Session<S>(client::TlsStream<S>);

impl<S> MakeTlsConnect<S> for Connector
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Stream = Session<S>;
    type TlsConnect = Named;
    type Error = rustls_pki_types::InvalidDnsNameError;

    fn make_tls_connect(&mut self, host: &str) -> Result<Named, Self::Error> {
        Ok(Named(self.0.clone(), ServerName::try_from(host.to_owned())?))
    }
}

impl<S> TlsConnect<S> for Named
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Stream = Session<S>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Session<S>>> + Send>>;

    fn connect(self, stream: S) -> Self::Future {
        Box::pin(async move { TlsConnector::from(self.0).connect(self.1, stream).await.map(Session) })
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream for Session<S> {
    /// SCRAM's channel binding (RFC 5929 tls-server-end-point): a digest of the server's certificate. SHA-256 is
    /// right for the signature algorithms with SHA-256 and less; for others no binding is offered.
    fn channel_binding(&self) -> ChannelBinding {
        let (_, session) = self.0.get_ref();
        session
            .peer_certificates()
            .and_then(|chain| chain.first())
            .filter(|certificate| signed_with_sha256(certificate))
            .map_or_else(ChannelBinding::none, |certificate| {
                let hash = digest::digest(&digest::SHA256, certificate);
                ChannelBinding::tls_server_end_point(hash.as_ref().to_vec())
            })
    }
}

fn signed_with_sha256(certificate: &[u8]) -> bool {
    /// ecdsa-with-SHA256 and sha256WithRSAEncryption.
    const SHA256_SIGNATURES: [&str; 2] = ["1.2.840.10045.4.3.2", "1.2.840.113549.1.1.11"];
    x509_parser::parse_x509_certificate(certificate).is_ok_and(|(_, parsed)| {
        let algorithm = parsed.signature_algorithm.algorithm.to_id_string();
        SHA256_SIGNATURES.contains(&algorithm.as_str())
    })
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Session<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Session<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
