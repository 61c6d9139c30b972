//! The two POSTs and the GET of an enrolment: HTTP/1.1 over a TLS that is only a pipe.
//!
//! Promise: the server's certificate is not looked at, for nothing is there to judge it by; the handshake inside proves the
//! core. An answer is bounded in size and time, and a redirect is an error.

use std::{sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, header};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use postern_wire::{
    enrol::{BODY_LIMIT, CONTENT_TYPE, DISCOVERY_LIMIT, Refusal},
    problem::ProblemDetails,
};
use rustls::{
    ClientConfig, DigitallySignedStruct, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature},
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::{AirError, AirOptions};
use crate::{origin::ServerUri, transport::TransportError};

const AGENT: &str = concat!("postern-device/", env!("CARGO_PKG_VERSION"));

/// Exchanges with one server, on one connection as long as it lasts.
pub(super) struct Exchange<'a> {
    server: &'a ServerUri,
    options: &'a AirOptions,
    tls: TlsConnector,
    open: Option<http1::SendRequest<Full<Bytes>>>,
}

impl<'a> Exchange<'a> {
    pub(super) fn new(server: &'a ServerUri, options: &'a AirOptions) -> Result<Self, AirError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|_| AirError::Unusable("TLS"))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Unjudged(provider)))
            .with_no_client_auth();
        Ok(Self { server, options, tls: TlsConnector::from(Arc::new(config)), open: None })
    }

    /// Sends a body of the protocol; the answer's body.
    pub(super) async fn post(&mut self, path: &str, body: Vec<u8>) -> Result<Bytes, AirError> {
        let request = self.request(Method::POST, path).header(header::CONTENT_TYPE, CONTENT_TYPE);
        let request = request.header(header::ACCEPT, CONTENT_TYPE).body(Full::new(Bytes::from(body)));
        self.exchange(request.map_err(TransportError::Request)?, CONTENT_TYPE, BODY_LIMIT).await
    }

    /// Asks for a document in JSON.
    pub(super) async fn get(&mut self, path: &str) -> Result<Bytes, AirError> {
        let json = "application/json";
        let request = self.request(Method::GET, path).header(header::ACCEPT, json).body(Full::default());
        self.exchange(request.map_err(TransportError::Request)?, json, DISCOVERY_LIMIT).await
    }

    fn request(&self, method: Method, path: &str) -> http::request::Builder {
        http::Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, self.server.authority())
            .header(header::USER_AGENT, AGENT)
    }

    async fn exchange(
        &mut self,
        request: http::Request<Full<Bytes>>,
        media: &str,
        limit: usize,
    ) -> Result<Bytes, AirError> {
        let mut sender = self.connection().await?;
        let within = self.options.answer_timeout;
        let answered = tokio::time::timeout(within, answer(&mut sender, request, limit));
        let (status, headers, body) = answered.await.map_err(|_| timeout("answer", within))??;
        self.open = Some(sender);
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if status != 200 {
            return Err(refused(status, text(header::RETRY_AFTER), &body));
        }
        let found = text(header::CONTENT_TYPE).split(';').next().unwrap_or_default().trim();
        if found.eq_ignore_ascii_case(media) { Ok(body) } else { Err(AirError::MediaType) }
    }

    async fn connection(&mut self) -> Result<http1::SendRequest<Full<Bytes>>, TransportError> {
        if let Some(mut open) = self.open.take()
            && open.ready().await.is_ok()
        {
            return Ok(open);
        }
        let limit = self.options.connect_timeout;
        tokio::time::timeout(limit, self.dial()).await.map_err(|_| timeout("connection", limit))?
    }

    async fn dial(&self) -> Result<http1::SendRequest<Full<Bytes>>, TransportError> {
        let server = self.server;
        let resolve = || TransportError::Resolve { host: server.host.clone() };
        let connect = |source| TransportError::Connect { authority: server.authority(), source };
        let stream = match self.options.resolve.get(&server.host) {
            Some(address) => TcpStream::connect(address).await.map_err(connect)?,
            None => {
                let found = tokio::net::lookup_host((server.host.as_str(), server.port)).await;
                let addresses: Vec<_> = found.map_err(|_| resolve())?.collect();
                TcpStream::connect(addresses.as_slice()).await.map_err(connect)?
            }
        };
        stream.set_nodelay(true).map_err(connect)?;
        let name = ServerName::try_from(server.host.clone()).map_err(|_| resolve())?;
        let tls = self.tls.connect(name, stream).await.map_err(TransportError::Tls)?;
        let (sender, connection) = http1::handshake(TokioIo::new(tls)).await.map_err(TransportError::Http)?;
        tokio::spawn(async move {
            // a break shows at the exchange that it breaks
            let _broken = connection.await;
        });
        Ok(sender)
    }
}

async fn answer(
    sender: &mut http1::SendRequest<Full<Bytes>>,
    request: http::Request<Full<Bytes>>,
    limit: usize,
) -> Result<(u16, HeaderMap, Bytes), TransportError> {
    let response = sender.send_request(request).await.map_err(TransportError::Http)?;
    let (head, mut incoming): (_, Incoming) = response.into_parts();
    let mut body = BytesMut::new();
    while let Some(frame) = incoming.frame().await {
        let Ok(data) = frame.map_err(TransportError::Http)?.into_data() else { continue };
        if body.len() + data.len() > limit {
            return Err(TransportError::TooLarge { limit });
        }
        body.extend_from_slice(&data);
    }
    Ok((head.status.as_u16(), head.headers, body.freeze()))
}

fn refused(status: u16, retry_after: &str, body: &[u8]) -> AirError {
    let retry_after = retry_after.trim().parse().ok().map(Duration::from_secs);
    match Refusal::read(body) {
        Some(refusal) => AirError::Refused { refusal, retry_after },
        None => {
            let problem: Option<ProblemDetails> = serde_json::from_slice(body).ok();
            let slug = problem.and_then(|problem| problem.slug().map(ToOwned::to_owned));
            AirError::Http { status, slug, retry_after }
        }
    }
}

fn timeout(what: &'static str, limit: Duration) -> TransportError {
    TransportError::Timeout { what, limit_ms: u64::try_from(limit.as_millis()).unwrap_or(u64::MAX) }
}

/// Takes any certificate: there is no anchor yet. The TLS handshake's own signatures are checked all the same.
#[derive(Debug)]
struct Unjudged(Arc<CryptoProvider>);

impl ServerCertVerifier for Unjudged {
    fn verify_server_cert(
        &self,
        _certificate: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
