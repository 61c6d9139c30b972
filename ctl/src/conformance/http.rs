//! HTTP/1.1 over TLS in both roles, with nothing hidden: a case sees and says every octet.
//!
//! A message that is malformed on purpose has to be sendable, so no HTTP library stands between. Follows RFC 9112 as
//! far as cases need it: Content-Length, chunked bodies, connections that stay open.

use std::{
    io::{self, Read, Write},
    net::{TcpStream, ToSocketAddrs as _},
    sync::Arc,
    time::Duration,
};

use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
};

/// How long a peer may be silent inside an exchange.
pub const SILENCE: Duration = Duration::from_secs(30);
/// Octets of a head that are read at most.
const HEAD: usize = 64 << 10;
/// Octets of a body that are read at most.
const BODY: usize = 16 << 20;

/// An HTTP request.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Header fields in order; names in lower case when they came from a peer.
    pub headers: Vec<(String, String)>,
    /// Body, with any chunked framing taken off.
    pub body: Vec<u8>,
    /// Whether the body goes out in chunks.
    pub chunked: bool,
}

/// An HTTP answer.
#[derive(Clone, Debug, Default)]
pub struct Response {
    /// Status code.
    pub status: u16,
    /// Header fields in order; names in lower case when they came from a peer.
    pub headers: Vec<(String, String)>,
    /// Body, with any chunked framing taken off.
    pub body: Vec<u8>,
}

/// An `https` URL in its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpsUrl {
    /// Host name or address, without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Path and query, at least `/`.
    pub path: String,
}

/// A certificate and its key, in PEM. Debug never prints the key.
#[derive(Clone)]
pub struct Identity {
    /// The chain, leaf first.
    pub certificate_pem: String,
    /// The leaf's private key.
    pub key_pem: String,
}

/// A TLS connection in the role of the client.
#[derive(Debug)]
pub struct Connection {
    stream: StreamOwned<ClientConnection, TcpStream>,
    held: Vec<u8>,
    host: String,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity").field("key_pem", &"…").finish_non_exhaustive()
    }
}

/// The first field of this name, whatever its case.
#[must_use]
pub fn field<'h>(headers: &'h [(String, String)], name: &str) -> Option<&'h str> {
    headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

impl Request {
    /// The first field of this name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        field(&self.headers, name)
    }

    /// As it is sent to `host`.
    fn octets(&self, host: &str) -> Vec<u8> {
        let Self { method, path, headers, body, chunked } = self;
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n");
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        let mut octets = Vec::new();
        if *chunked {
            octets.extend_from_slice(format!("{head}Transfer-Encoding: chunked\r\n\r\n").as_bytes());
            for piece in body.chunks(100) {
                octets.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
                octets.extend_from_slice(piece);
                octets.extend_from_slice(b"\r\n");
            }
            octets.extend_from_slice(b"0\r\n\r\n");
        } else {
            if method != "GET" {
                head.push_str(&format!("Content-Length: {}\r\n", body.len()));
            }
            octets.extend_from_slice(format!("{head}\r\n").as_bytes());
            octets.extend_from_slice(body);
        }
        octets
    }
}

impl Response {
    /// The first field of this name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        field(&self.headers, name)
    }

    /// The status, and the slug of a problem document where there is one.
    #[must_use]
    pub fn summary(&self) -> String {
        let problem: Option<serde_json::Value> = serde_json::from_slice(&self.body).ok();
        let slug = problem.as_ref().and_then(|problem| problem["type"].as_str());
        match slug.and_then(|slug| slug.rsplit(':').next()) {
            Some(slug) => format!("HTTP {} ({slug})", self.status),
            None => format!("HTTP {}", self.status),
        }
    }

    /// As it is sent, with its length.
    #[must_use]
    pub fn octets(&self) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {} Conformance\r\n", self.status);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str(&format!("Content-Length: {}\r\n\r\n", self.body.len()));
        [head.as_bytes(), &self.body].concat()
    }
}

impl HttpsUrl {
    /// Reads `https://host[:port][/path]`.
    #[must_use]
    pub fn parse(url: &str) -> Option<Self> {
        let rest = url.trim().strip_prefix("https://")?;
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let (host, port) = match authority.strip_prefix('[') {
            Some(inner) => {
                let (host, port) = inner.split_once(']')?;
                (host, port.strip_prefix(':'))
            }
            None => authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port))),
        };
        let port = port.map_or(Ok(443), str::parse).ok()?;
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        (!host.is_empty()).then(|| Self { host: host.to_owned(), port, path })
    }

    /// `host:port`, without the port where it is the scheme's own.
    #[must_use]
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        if self.port == 443 { host } else { format!("{host}:{}", self.port) }
    }
}

/// The client side of TLS: one CA in PEM (none: the server's certificate is not accepted), maybe an own certificate.
///
/// # Errors
/// PEM that cannot be read, or a key that does not fit.
pub fn client_config(
    ca_pem: &str,
    identity: Option<&Identity>,
    versions: &[&'static SupportedProtocolVersion],
) -> io::Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(ca_pem.as_bytes()) {
        roots.add(certificate.map_err(io::Error::other)?).map_err(io::Error::other)?;
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(versions)
        .map_err(io::Error::other)?
        .with_root_certificates(roots);
    let Some(identity) = identity else { return Ok(builder.with_no_client_auth()) };
    let (chain, key) = identity.read()?;
    builder.with_client_auth_cert(chain, key).map_err(io::Error::other)
}

impl Identity {
    /// Chain and key.
    ///
    /// # Errors
    /// PEM that cannot be read.
    pub fn read(&self) -> io::Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)> {
        let chain = CertificateDer::pem_slice_iter(self.certificate_pem.as_bytes()).collect::<Result<_, _>>();
        let key = PrivateKeyDer::from_pem_slice(self.key_pem.as_bytes()).map_err(io::Error::other)?;
        Ok((chain.map_err(io::Error::other)?, key))
    }
}

impl Connection {
    /// Connects; the handshake is finished when this returns.
    ///
    /// # Errors
    /// Whatever the socket or the handshake ends with.
    pub fn open(url: &HttpsUrl, config: ClientConfig) -> io::Result<Self> {
        let tcp = connect(url)?;
        let name = ServerName::try_from(url.host.clone()).map_err(io::Error::other)?;
        let connection = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
        let mut stream = StreamOwned::new(connection, tcp);
        stream.conn.complete_io(&mut stream.sock)?;
        Ok(Self { stream, held: Vec::new(), host: url.authority() })
    }

    /// One request and its answer.
    ///
    /// # Errors
    /// The connection ended or was silent before a whole answer, or what came is no HTTP.
    pub fn exchange(&mut self, request: &Request) -> io::Result<Response> {
        self.stream.write_all(&request.octets(&self.host))?;
        self.stream.flush()?;
        loop {
            let response = read_response(&mut self.stream, &mut self.held)?;
            if !(100..200).contains(&response.status) {
                return Ok(response);
            }
        }
    }
}

/// A TCP connection with limits on how long it may be silent.
///
/// # Errors
/// The host is unknown, or nothing listens.
pub fn connect(url: &HttpsUrl) -> io::Result<TcpStream> {
    let mut last = io::Error::other("the host has no address");
    for address in (url.host.as_str(), url.port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, Duration::from_secs(5)) {
            Ok(tcp) => {
                tcp.set_nodelay(true)?;
                tcp.set_read_timeout(Some(SILENCE))?;
                tcp.set_write_timeout(Some(SILENCE))?;
                return Ok(tcp);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Reads one request; `None` when the peer has closed in order before one.
///
/// # Errors
/// As [`Connection::exchange`].
pub fn read_request(stream: &mut impl Read, held: &mut Vec<u8>) -> io::Result<Option<Request>> {
    if held.is_empty() && fill(stream, held)? == 0 {
        return Ok(None);
    }
    let head = head(stream, held)?;
    let mut lines = head.split("\r\n");
    let mut start = lines.next().unwrap_or_default().split(' ');
    let (Some(method), Some(path)) = (start.next(), start.next()) else { return Err(bad("no request line")) };
    let headers = fields(lines);
    let chunked = field(&headers, "transfer-encoding").is_some();
    let body = body(stream, held, &headers, false)?;
    Ok(Some(Request { method: method.to_owned(), path: path.to_owned(), headers, body, chunked }))
}

fn read_response(stream: &mut impl Read, held: &mut Vec<u8>) -> io::Result<Response> {
    let head = head(stream, held)?;
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|code| code.parse().ok());
    let status = status.ok_or_else(|| bad("no status line"))?;
    let headers = fields(lines);
    let to_the_end = status != 204 && status != 304;
    let body = body(stream, held, &headers, to_the_end)?;
    Ok(Response { status, headers, body })
}

fn head(stream: &mut impl Read, held: &mut Vec<u8>) -> io::Result<String> {
    let head = until(stream, held, b"\r\n\r\n")?;
    Ok(String::from_utf8_lossy(&head).trim_end().to_owned())
}

fn fields<'l>(lines: impl Iterator<Item = &'l str>) -> Vec<(String, String)> {
    lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim().to_owned()))
        .collect()
}

fn body(
    stream: &mut impl Read,
    held: &mut Vec<u8>,
    headers: &[(String, String)],
    to_the_end: bool,
) -> io::Result<Vec<u8>> {
    if field(headers, "transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
        let mut whole = Vec::new();
        loop {
            let line = String::from_utf8_lossy(&until(stream, held, b"\r\n")?).into_owned();
            let size = line.trim().split(';').next().unwrap_or_default();
            let size = usize::from_str_radix(size, 16).map_err(|_| bad("a chunk's size"))?;
            if size == 0 {
                until(stream, held, b"\r\n")?;
                return Ok(whole);
            }
            whole.extend(exactly(stream, held, size)?);
            until(stream, held, b"\r\n")?;
        }
    }
    match field(headers, "content-length") {
        Some(length) => exactly(stream, held, length.parse().map_err(|_| bad("Content-Length"))?),
        None if to_the_end => {
            while held.len() < BODY && fill(stream, held)? > 0 {}
            Ok(std::mem::take(held))
        }
        None => Ok(Vec::new()),
    }
}

fn until(stream: &mut impl Read, held: &mut Vec<u8>, mark: &[u8]) -> io::Result<Vec<u8>> {
    loop {
        if let Some(at) = held.windows(mark.len()).position(|window| window == mark) {
            return Ok(held.drain(..at + mark.len()).collect());
        }
        if held.len() > HEAD {
            return Err(bad("the end of the head"));
        }
        if fill(stream, held)? == 0 {
            return Err(ended());
        }
    }
}

fn exactly(stream: &mut impl Read, held: &mut Vec<u8>, length: usize) -> io::Result<Vec<u8>> {
    if length > BODY {
        return Err(bad("a body of a size that is read"));
    }
    while held.len() < length {
        if fill(stream, held)? == 0 {
            return Err(ended());
        }
    }
    Ok(held.drain(..length).collect())
}

fn fill(stream: &mut impl Read, held: &mut Vec<u8>) -> io::Result<usize> {
    let mut piece = [0; 16 << 10];
    let length = match stream.read(&mut piece) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => 0, // TLS without close_notify
        other => other?,
    };
    held.extend_from_slice(&piece[..length]);
    Ok(length)
}

fn bad(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{what} was wanted and did not come"))
}

fn ended() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the connection ended too early")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_read_with_its_defaults() {
        for (text, host, port, path) in [
            ("https://a.example", "a.example", 443, "/"),
            ("https://a.example:8443/dm/1/x?y=z", "a.example", 8443, "/dm/1/x?y=z"),
            ("https://[::1]:9/p", "::1", 9, "/p"),
        ] {
            let url = HttpsUrl { host: host.to_owned(), port, path: path.to_owned() };
            assert_eq!(HttpsUrl::parse(text), Some(url), "{text}");
        }
        for text in ["http://a.example", "https://", "https://a:b/", ""] {
            assert_eq!(HttpsUrl::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_request_is_read_as_it_was_written_in_one_piece_and_in_chunks() {
        for chunked in [false, true] {
            let sent = Request {
                method: "POST".to_owned(),
                path: "/dm".to_owned(),
                headers: vec![("X-A".to_owned(), "1".to_owned())],
                body: vec![7; 250],
                chunked,
            };
            let octets = sent.octets("host");
            let got = read_request(&mut &octets[..], &mut Vec::new()).unwrap().unwrap();
            assert_eq!((got.body, got.path.as_str(), got.chunked), (sent.body, "/dm", chunked));
            assert_eq!(field(&got.headers, "X-a"), Some("1"));
        }
    }
}
