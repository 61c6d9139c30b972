//! Raw TLS and HTTP/1.1 from outside: whatever octets a test wants to send, and the answer as it came.

use std::{
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::Arc,
    time::Duration,
};

use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
};

/// How long a read waits before the test counts the peer as silent.
const READ_LIMIT: Duration = Duration::from_secs(20);

/// A certificate and its key, in PEM.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The chain, leaf first.
    pub certificate_pem: String,
    /// The leaf's private key.
    pub key_pem: String,
}

/// A TLS connection to one port.
#[derive(Debug)]
pub struct Tls {
    stream: StreamOwned<ClientConnection, TcpStream>,
    host: String,
}

/// An HTTP answer as it came.
#[derive(Clone, Debug, Default)]
pub struct Response {
    /// Status code.
    pub status: u16,
    /// Header fields in order; names in lower case.
    pub headers: Vec<(String, String)>,
    /// Body, with any chunked framing taken off.
    pub body: Vec<u8>,
}

impl Response {
    /// The first field of this name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The slug of a problem+json body, or nothing.
    #[must_use]
    pub fn slug(&self) -> Option<String> {
        let problem: serde_json::Value = serde_json::from_slice(&self.body).ok()?;
        Some(problem.get("type")?.as_str()?.rsplit(':').next()?.to_owned())
    }
}

/// The client side of TLS, trusting one CA, with or without an own certificate.
pub fn client_config(ca_pem: &str, identity: Option<&Identity>) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(ca_pem.as_bytes()) {
        roots.add(certificate.expect("a CA in PEM")).expect("a CA certificate");
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider has the default versions")
        .with_root_certificates(roots);
    let Some(identity) = identity else { return builder.with_no_client_auth() };
    let chain: Result<Vec<_>, _> =
        CertificateDer::pem_slice_iter(identity.certificate_pem.as_bytes()).collect();
    let key = PrivateKeyDer::from_pem_slice(identity.key_pem.as_bytes()).expect("a private key in PEM");
    builder
        .with_client_auth_cert(chain.expect("a chain in PEM"), key)
        .expect("a key that fits its certificate")
}

impl Tls {
    /// Connects; the handshake is finished when this returns.
    ///
    /// # Errors
    /// Whatever the socket or the handshake ends with. A server that refuses the client's certificate in TLS 1.3
    /// says so only at the first read.
    pub fn connect(address: SocketAddr, host: &str, config: ClientConfig) -> io::Result<Self> {
        let tcp = TcpStream::connect_timeout(&address, Duration::from_secs(5))?;
        tcp.set_nodelay(true)?;
        tcp.set_read_timeout(Some(READ_LIMIT))?;
        tcp.set_write_timeout(Some(READ_LIMIT))?;
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        let connection = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
        let mut stream = StreamOwned::new(connection, tcp);
        stream.conn.complete_io(&mut stream.sock)?;
        Ok(Self { stream, host: host.to_owned() })
    }

    /// Sends octets as they are.
    ///
    /// # Errors
    /// The peer is gone.
    pub fn send(&mut self, octets: &[u8]) -> io::Result<()> {
        self.stream.write_all(octets)?;
        self.stream.flush()
    }

    /// Reads one HTTP answer.
    ///
    /// # Errors
    /// The connection ended or timed out before a whole answer, or what came is no HTTP.
    pub fn receive(&mut self) -> io::Result<Response> {
        read_response(&mut self.stream)
    }

    /// Whether the peer has closed: true when a read ends with nothing or a reset within the limit.
    pub fn is_closed_within(&mut self, limit: Duration) -> bool {
        let _ = self.stream.sock.set_read_timeout(Some(limit));
        let ended = match self.stream.read(&mut [0; 256]) {
            Ok(read) => read == 0,
            Err(error) => !matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut),
        };
        let _ = self.stream.sock.set_read_timeout(Some(READ_LIMIT));
        ended
    }

    /// One POST of a message and its answer.
    ///
    /// # Errors
    /// As [`Self::receive`].
    pub fn post(&mut self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> io::Result<Response> {
        let head = request_head("POST", path, &self.host, headers, Some(body.len()));
        self.send(&[head.as_bytes(), body].concat())?;
        self.receive()
    }

    /// One GET and its answer.
    ///
    /// # Errors
    /// As [`Self::receive`].
    pub fn get(&mut self, path: &str) -> io::Result<Response> {
        let head = request_head("GET", path, &self.host, &[], None);
        self.send(head.as_bytes())?;
        self.receive()
    }
}

/// A request's head, with the empty line.
#[must_use]
pub fn request_head(
    method: &str,
    path: &str,
    host: &str,
    headers: &[(&str, &str)],
    length: Option<usize>,
) -> String {
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if let Some(length) = length {
        head.push_str(&format!("Content-Length: {length}\r\n"));
    }
    head + "\r\n"
}

/// One GET without TLS: health, readiness and metrics.
///
/// # Errors
/// Nothing listens, or what came is no HTTP.
pub fn plain_get(address: SocketAddr, path: &str) -> io::Result<Response> {
    let mut tcp = TcpStream::connect_timeout(&address, Duration::from_secs(2))?;
    tcp.set_read_timeout(Some(Duration::from_secs(5)))?;
    tcp.write_all(request_head("GET", path, "localhost", &[("Connection", "close")], None).as_bytes())?;
    read_response(&mut tcp)
}

pub(crate) fn read_response(stream: &mut impl io::Read) -> io::Result<Response> {
    let mut reader = Reader { stream, held: Vec::new() };
    loop {
        let head = reader.until(b"\r\n\r\n")?;
        let mut response =
            parse_head(&String::from_utf8_lossy(&head)).ok_or_else(|| bad("no HTTP status line"))?;
        if (100..200).contains(&response.status) {
            continue;
        }
        let chunked =
            response.header("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked"));
        let length = response.header("content-length").map(str::parse::<usize>);
        response.body = match length {
            _ if chunked => reader.chunks()?,
            _ if response.status == 204 || response.status == 304 => Vec::new(),
            Some(length) => reader.exactly(length.map_err(|_| bad("Content-Length"))?)?,
            None => reader.rest()?,
        };
        return Ok(response);
    }
}

fn parse_head(head: &str) -> Option<Response> {
    let mut lines = head.trim_end().split("\r\n");
    let status = lines.next()?.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()?;
    let field =
        |line: &str| line.split_once(':').map(|(n, v)| (n.trim().to_ascii_lowercase(), v.trim().to_owned()));
    Some(Response { status, headers: lines.filter_map(field).collect(), body: Vec::new() })
}

fn bad(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

struct Reader<'s, S> {
    stream: &'s mut S,
    held: Vec<u8>,
}

impl<S: io::Read> Reader<'_, S> {
    fn more(&mut self) -> io::Result<usize> {
        let mut piece = [0; 16 * 1024];
        let length = match self.stream.read(&mut piece) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => 0, // TLS without close_notify
            other => other?,
        };
        self.held.extend_from_slice(&piece[..length]);
        Ok(length)
    }

    fn until(&mut self, mark: &[u8]) -> io::Result<Vec<u8>> {
        loop {
            if let Some(at) = self.held.windows(mark.len()).position(|window| window == mark) {
                return Ok(self.held.drain(..at + mark.len()).collect());
            }
            if self.more()? == 0 {
                return Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "the connection ended before a whole answer",
                ));
            }
        }
    }

    fn exactly(&mut self, length: usize) -> io::Result<Vec<u8>> {
        while self.held.len() < length {
            if self.more()? == 0 {
                return Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "the connection ended inside a body",
                ));
            }
        }
        Ok(self.held.drain(..length).collect())
    }

    fn chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = self.until(b"\r\n")?;
            let size = String::from_utf8_lossy(&line);
            let size = size.trim().split(';').next().unwrap_or_default();
            let size = usize::from_str_radix(size, 16).map_err(|_| bad("chunk size"))?;
            if size == 0 {
                self.until(b"\r\n")?;
                return Ok(body);
            }
            body.extend(self.exactly(size)?);
            self.until(b"\r\n")?;
        }
    }

    fn rest(&mut self) -> io::Result<Vec<u8>> {
        while self.more()? > 0 {}
        Ok(std::mem::take(&mut self.held))
    }
}
