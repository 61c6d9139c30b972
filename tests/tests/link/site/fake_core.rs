//! A core that breaks the contract: it speaks HTTP by hand over one TLS connection to the link port.

use std::{
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::Arc,
    time::Duration,
};

use postern_tests::raw::Identity;
use rustls::{ClientConnection, StreamOwned, pki_types::ServerName};

use super::Site;

/// One dialed link.
pub(crate) struct FakeLink {
    stream: StreamOwned<ClientConnection, TcpStream>,
}

impl FakeLink {
    /// Dials the site's link port with `identity`, speaking `alpn`.
    pub(crate) fn dial(site: &Site, identity: &Identity, alpn: &[u8]) -> io::Result<Self> {
        Self::dial_address(site.gateway().addresses().link, site, identity, alpn)
    }

    fn dial_address(address: SocketAddr, site: &Site, identity: &Identity, alpn: &[u8]) -> io::Result<Self> {
        // The gateway's link certificate has no DNS name, so the name check of rustls is not for it: a fake core
        // takes any certificate.
        let mut config = postern_tests::raw::client_config(&site.link_ca.pem, Some(identity));
        let any = AnyServer(config.crypto_provider().clone());
        config.dangerous().set_certificate_verifier(Arc::new(any));
        config.alpn_protocols = vec![alpn.to_vec()];
        let tcp = TcpStream::connect(address)?;
        tcp.set_read_timeout(Some(Duration::from_secs(10)))?;
        tcp.set_nodelay(true)?;
        let name = ServerName::try_from("gateway.invalid").expect("a name");
        let connection = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
        let mut stream = StreamOwned::new(connection, tcp);
        stream.conn.complete_io(&mut stream.sock)?;
        Ok(Self { stream })
    }

    /// Reads one request: head and body. The body's length is from Content-Length alone.
    pub(crate) fn request(&mut self) -> io::Result<(String, Vec<u8>)> {
        let mut held = Vec::new();
        loop {
            let mut octet = [0; 1];
            if self.stream.read(&mut octet)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            held.push(octet[0]);
            if held.ends_with(b"\r\n\r\n") {
                break;
            }
        }
        let head = String::from_utf8_lossy(&held).into_owned();
        let length = head
            .lines()
            .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        self.stream.read_exact(&mut body)?;
        Ok((head, body))
    }

    pub(crate) fn send(&mut self, text: &str) -> io::Result<()> {
        self.stream.write_all(text.as_bytes())?;
        self.stream.flush()
    }

    /// Answers with JSON.
    pub(crate) fn answer_json(&mut self, json: &str) -> io::Result<()> {
        self.send(&format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{json}",
            json.len()
        ))
    }

    /// Takes the hello and says what this link is for.
    pub(crate) fn welcome(&mut self, role: &str, core: uuid::Uuid, epoch: u64) -> io::Result<()> {
        let (head, _) = self.request()?;
        assert!(head.starts_with("POST /link/1/hello "), "{head}");
        self.answer_json(&format!(
            r#"{{"role":"{role}","core":"{core}","epoch":{epoch},"heartbeat_ms":60000}}"#
        ))
    }

    /// Takes the watch request and sends these lines, leaving the stream open.
    pub(crate) fn watch(&mut self, lines: &[String]) -> io::Result<()> {
        let (head, _) = self.request()?;
        assert!(head.starts_with("GET /link/1/watch?"), "{head}");
        self.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
        lines.iter().try_for_each(|line| self.line(line))
    }

    /// One more line of the watch.
    pub(crate) fn line(&mut self, line: &str) -> io::Result<()> {
        self.send(&format!("{:x}\r\n{line}\n\r\n", line.len() + 1))
    }

    /// Whether the gateway has closed this link.
    pub(crate) fn is_closed(&mut self) -> bool {
        matches!(self.stream.read(&mut [0; 64]), Ok(0))
            || self.stream.sock.peek(&mut [0; 1]).is_ok_and(|read| read == 0)
    }
}

/// Accepts any server.
#[derive(Debug)]
struct AnyServer(Arc<rustls::crypto::CryptoProvider>);

impl rustls::client::danger::ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &[rustls::pki_types::CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: rustls::pki_types::UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
