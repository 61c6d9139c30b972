//! A small client of the admin API: this program asks for everything the way anyone would, over TLS with a token.

use std::{net::SocketAddr, path::Path, sync::Arc};

use anyhow::{Context as _, bail};
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, body::Bytes, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// The largest answer that is read, in octets.
const ANSWER: usize = 4 * 1024 * 1024;

/// The admin API on this machine.
#[derive(Clone)]
pub(crate) struct Admin {
    address: SocketAddr,
    tls: TlsConnector,
    token: Arc<str>,
}

impl Admin {
    /// The API at `address`, with the first admin's token and the CA of the state folder.
    pub(crate) fn new(address: SocketAddr, state: &Path) -> anyhow::Result<Self> {
        let mut roots = rustls::RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(state.join("ca.pem")).context("ca.pem")? {
            roots.add(certificate?)?;
        }
        let tls = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        let token = std::fs::read_to_string(state.join("admin.token")).context("admin.token")?;
        Ok(Self { address, tls: TlsConnector::from(Arc::new(tls)), token: token.trim().into() })
    }

    pub(crate) async fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.ask("GET", path, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.ask("POST", path, Some(body)).await
    }

    async fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> anyhow::Result<Value> {
        let tcp = TcpStream::connect(self.address).await?;
        tcp.set_nodelay(true)?;
        let stream = self.tls.connect(ServerName::try_from("localhost")?, tcp).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let connection = tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "localhost")
            .header(header::AUTHORIZATION, format!("Bearer {}", self.token))
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body.map(Value::to_string).unwrap_or_default())))?;
        let answer = sender.send_request(request).await?;
        let status = answer.status();
        let octets = http_body_util::Limited::new(answer.into_body(), ANSWER)
            .collect()
            .await
            .map_err(|error| anyhow::anyhow!("{method} {path}: {error}"))?
            .to_bytes();
        drop(sender);
        connection.abort();
        let value: Value = if octets.is_empty() { Value::Null } else { serde_json::from_slice(&octets)? };
        if !status.is_success() {
            bail!("{method} {path}: {status} {}", value["detail"].as_str().unwrap_or_default());
        }
        Ok(value)
    }
}
