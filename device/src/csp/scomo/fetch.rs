//! Where packages come from: https, http and file URLs, with limits of size and time.
//!
//! Promise: what arrives lies in one file, synced, with its SHA-256 known; no redirect is followed, no more than the limit is ever
//! written. An http URL is fetched only when the order of it says the digest; a file URL only below a folder
//! that the device's owner named; and if sources are named, nothing from elsewhere.

use std::{
    fs::File,
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use aws_lc_rs::digest::{Context, SHA256};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

use crate::state::private_file;

/// One fetch.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// PkgURL.
    pub url: &'a str,
    /// The file to write, emptied first.
    pub into: &'a Path,
    /// Octets at most.
    pub limit: u64,
    /// Whether the digest is known, so that the way need not be trusted.
    pub has_digest: bool,
}

/// A fetch that may take long.
pub type Fetching<'a> = Pin<Box<dyn Future<Output = Result<[u8; 32], FetchError>> + Send + 'a>>;

/// Fetches packages.
pub trait Fetch: Send + Sync {
    /// Writes what a URL leads to into a file; gives its SHA-256.
    fn fetch<'a>(&'a self, wanted: Wanted<'a>) -> Fetching<'a>;
}

/// Why a package did not come.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// Not an absolute https, http or file URL.
    #[error("this is not a URL that is fetched")]
    Url,
    /// The device's owner does not let it be fetched from there.
    #[error("packages are not fetched from there")]
    Source,
    /// The server cannot be reached, or is not the one that the URL names.
    #[error("{0} cannot be reached")]
    Unreachable(String, #[source] io::Error),
    /// The connection broke off.
    #[error("the transfer broke off")]
    Broken(#[source] hyper::Error),
    /// Another answer than 200.
    #[error("the server answered HTTP {0}")]
    Status(u16),
    /// More than the limit.
    #[error("the package is larger than {0} octets")]
    TooLarge(u64),
    /// It took too long.
    #[error("nothing came for too long")]
    Timeout,
    /// The file could not be written.
    #[error("the package cannot be written")]
    Write(#[source] io::Error),
    /// The file of a file URL could not be read.
    #[error("the package cannot be read")]
    Read(#[source] io::Error),
}

/// Fetches over the network and from a folder.
pub struct Web {
    tls: TlsConnector,
    sources: Vec<String>,
    files: Option<PathBuf>,
    /// For connection and TLS together, and between any two pieces of the answer.
    idle: Duration,
    /// For all of it.
    whole: Duration,
}

impl Web {
    /// Fetches from servers whose certificates `tls` believes.
    #[must_use]
    pub fn new(tls: Arc<ClientConfig>) -> Self {
        Self {
            tls: TlsConnector::from(tls),
            sources: Vec::new(),
            files: None,
            idle: Duration::from_secs(30),
            whole: Duration::from_secs(3_600),
        }
    }

    /// Only from URLs that begin like one of these.
    #[must_use]
    pub fn only_from(self, sources: Vec<String>) -> Self {
        Self { sources, ..self }
    }

    /// From files below this folder too.
    #[must_use]
    pub fn with_files_of(self, folder: PathBuf) -> Self {
        Self { files: Some(folder), ..self }
    }

    /// With these limits of time.
    #[must_use]
    pub fn within(self, idle: Duration, whole: Duration) -> Self {
        Self { idle, whole, ..self }
    }

    async fn get(&self, wanted: Wanted<'_>) -> Result<[u8; 32], FetchError> {
        let url = Url::parse(wanted.url)?;
        let allowed =
            self.sources.is_empty() || self.sources.iter().any(|source| wanted.url.starts_with(source));
        if !allowed || (url.scheme == Scheme::Http && !wanted.has_digest) {
            return Err(FetchError::Source);
        }
        if url.scheme == Scheme::File {
            return self.copy(&url.target, wanted);
        }
        let unreachable = |error| FetchError::Unreachable(url.authority.clone(), error);
        let dial = async {
            let stream = TcpStream::connect((url.host.as_str(), url.port)).await?;
            if url.scheme == Scheme::Http {
                return Ok::<Box<dyn Stream>, io::Error>(Box::new(stream));
            }
            let name = ServerName::try_from(url.host.clone()).map_err(io::Error::other)?;
            Ok(Box::new(self.tls.connect(name, stream).await?))
        };
        let stream = self.in_time(dial).await?.map_err(unreachable)?;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(FetchError::Broken)?;
        let connection = tokio::spawn(connection);
        let request = http::Request::get(&url.target)
            .header(http::header::HOST, &url.authority)
            .header(http::header::USER_AGENT, concat!("postern-device/", env!("CARGO_PKG_VERSION")))
            .body(Empty::<Bytes>::new())
            .map_err(|_| FetchError::Url)?;
        let outcome = async {
            let response = self.in_time(sender.send_request(request)).await?.map_err(FetchError::Broken)?;
            match response.status().as_u16() {
                200 => self.receive(response.into_body(), wanted).await,
                status => Err(FetchError::Status(status)),
            }
        };
        let outcome = outcome.await;
        connection.abort();
        outcome
    }

    async fn receive(
        &self,
        mut body: hyper::body::Incoming,
        wanted: Wanted<'_>,
    ) -> Result<[u8; 32], FetchError> {
        let mut sink = Sink::new(wanted)?;
        while let Some(frame) = self.in_time(body.frame()).await? {
            if let Ok(data) = frame.map_err(FetchError::Broken)?.into_data() {
                sink.write(&data)?;
            }
        }
        sink.finish()
    }

    /// A file of the folder that was named, by its real path: a link that leads out of it is refused.
    fn copy(&self, path: &str, wanted: Wanted<'_>) -> Result<[u8; 32], FetchError> {
        let folder = self.files.as_ref().ok_or(FetchError::Source)?;
        let folder = folder.canonicalize().map_err(FetchError::Read)?;
        let path = Path::new(path).canonicalize().map_err(FetchError::Read)?;
        if !path.starts_with(&folder) {
            return Err(FetchError::Source);
        }
        let mut file = File::open(path).map_err(FetchError::Read)?;
        if !file.metadata().is_ok_and(|about| about.is_file()) {
            return Err(FetchError::Source);
        }
        let mut sink = Sink::new(wanted)?;
        let mut buffer = vec![0; 1 << 16];
        loop {
            match file.read(&mut buffer).map_err(FetchError::Read)? {
                0 => return sink.finish(),
                read => sink.write(&buffer[..read])?,
            }
        }
    }

    async fn in_time<T>(&self, future: impl Future<Output = T>) -> Result<T, FetchError> {
        tokio::time::timeout(self.idle, future).await.map_err(|_| FetchError::Timeout)
    }
}

impl Fetch for Web {
    fn fetch<'a>(&'a self, wanted: Wanted<'a>) -> Fetching<'a> {
        Box::pin(async move {
            tokio::time::timeout(self.whole, self.get(wanted)).await.map_err(|_| FetchError::Timeout)?
        })
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A file that is hashed and counted while it is written.
struct Sink {
    file: File,
    context: Context,
    left: u64,
    limit: u64,
}

impl Sink {
    fn new(wanted: Wanted<'_>) -> Result<Self, FetchError> {
        let file = private_file(wanted.into).map_err(FetchError::Write)?;
        Ok(Self { file, context: Context::new(&SHA256), left: wanted.limit, limit: wanted.limit })
    }

    fn write(&mut self, data: &[u8]) -> Result<(), FetchError> {
        self.left = self.left.checked_sub(data.len() as u64).ok_or(FetchError::TooLarge(self.limit))?;
        self.context.update(data);
        self.file.write_all(data).map_err(FetchError::Write)
    }

    fn finish(self) -> Result<[u8; 32], FetchError> {
        self.file.sync_all().map_err(FetchError::Write)?;
        let mut digest = [0; 32];
        digest.copy_from_slice(self.context.finish().as_ref());
        Ok(digest)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scheme {
    Https,
    Http,
    File,
}

struct Url {
    scheme: Scheme,
    authority: String,
    host: String,
    port: u16,
    target: String,
}

impl Url {
    fn parse(url: &str) -> Result<Self, FetchError> {
        if let Some(path) = url.strip_prefix("file://") {
            let path = path.strip_prefix("localhost").unwrap_or(path);
            let plain = path.starts_with('/') && !path.contains(['%', '?', '#', '\0']);
            return if plain { Ok(Self::file(path)) } else { Err(FetchError::Url) };
        }
        let uri: http::Uri = url.parse().map_err(|_| FetchError::Url)?;
        let (scheme, port) = match uri.scheme_str() {
            Some("https") => (Scheme::Https, 443),
            Some("http") => (Scheme::Http, 80),
            _ => return Err(FetchError::Url),
        };
        let authority = uri.authority().ok_or(FetchError::Url)?;
        if authority.as_str().contains('@') {
            return Err(FetchError::Url);
        }
        let target = uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str).to_owned();
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        Ok(Self {
            scheme,
            authority: authority.to_string(),
            host,
            port: authority.port_u16().unwrap_or(port),
            target,
        })
    }

    fn file(path: &str) -> Self {
        let (authority, host) = (String::new(), String::new());
        Self { scheme: Scheme::File, authority, host, port: 0, target: path.to_owned() }
    }
}
