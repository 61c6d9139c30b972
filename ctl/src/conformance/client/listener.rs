//! The port that clients connect to, with a certificate of its own making or a given one.

use std::{
    io,
    net::{SocketAddr, TcpListener, TcpStream},
    sync::Arc,
    time::Duration,
};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{ServerConfig, ServerConnection, StreamOwned, crypto::aws_lc_rs};

use crate::conformance::http::{self, Identity, Request, Response};

/// Between two looks at the port.
const LOOK: Duration = Duration::from_millis(5);

/// A listening port.
pub struct Listener {
    listener: TcpListener,
    tls: Arc<ServerConfig>,
    /// `https://host:port`
    pub origin: String,
    /// The CA of its certificate, in PEM.
    pub ca_pem: String,
    /// How long a client may take to come or to go on.
    pub patience: Duration,
    /// How long it has to be silent to count as gone, where it keeps its connection.
    pub quiet: Duration,
}

/// A client's connection.
pub struct Link {
    stream: StreamOwned<ServerConnection, TcpStream>,
    held: Vec<u8>,
}

impl Listener {
    /// Listens. `host` is the name or address that clients connect to.
    ///
    /// # Errors
    /// The port is taken, or the certificate cannot be used.
    pub fn open(address: SocketAddr, host: &str, identity: Option<&Identity>) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let port = listener.local_addr()?.port();
        let (identity, ca_pem) = match identity {
            Some(identity) => (identity.clone(), identity.certificate_pem.clone()),
            None => made_for(host).map_err(io::Error::other)?,
        };
        let (chain, key) = identity.read()?;
        let tls = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(io::Error::other)?;
        Ok(Self {
            listener,
            tls: Arc::new(tls),
            origin: format!("https://{host}:{port}"),
            ca_pem,
            patience: Duration::from_secs(30),
            quiet: Duration::from_secs(3),
        })
    }

    /// The next connection, or nothing when `given_up` says so before one comes.
    ///
    /// # Errors
    /// The port cannot be listened at any more.
    pub fn accept(&self, mut given_up: impl FnMut(Duration) -> bool) -> io::Result<Option<Link>> {
        let mut waited = Duration::ZERO;
        loop {
            match self.listener.accept() {
                // A handshake that fails is no session: another account of the client may not trust this CA.
                Ok((tcp, _)) => {
                    if let Ok(link) = Link::new(tcp, &self.tls) {
                        return Ok(Some(link));
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if given_up(waited) {
                        return Ok(None);
                    }
                    std::thread::sleep(LOOK);
                    waited += LOOK;
                }
                Err(error) => return Err(error),
            }
        }
    }
}

impl Link {
    fn new(tcp: TcpStream, tls: &Arc<ServerConfig>) -> io::Result<Self> {
        tcp.set_nonblocking(false)?;
        tcp.set_nodelay(true)?;
        tcp.set_read_timeout(Some(http::SILENCE))?;
        tcp.set_write_timeout(Some(http::SILENCE))?;
        let connection = ServerConnection::new(Arc::clone(tls)).map_err(io::Error::other)?;
        let mut stream = StreamOwned::new(connection, tcp);
        stream.conn.complete_io(&mut stream.sock)?;
        Ok(Self { stream, held: Vec::new() })
    }

    /// The next request; nothing when the client has closed.
    ///
    /// # Errors
    /// The client was silent for longer than `silence`, or what came is no HTTP.
    pub fn request(&mut self, silence: Duration) -> io::Result<Option<Request>> {
        self.stream.sock.set_read_timeout(Some(silence))?;
        http::read_request(&mut self.stream, &mut self.held)
    }

    /// Sends an answer.
    ///
    /// # Errors
    /// The client has gone.
    pub fn answer(&mut self, response: &Response) -> io::Result<()> {
        use io::Write as _;
        self.stream.write_all(&response.octets())?;
        self.stream.flush()
    }
}

/// A certificate for a host, and the CA that it comes from.
fn made_for(host: &str) -> Result<(Identity, String), rcgen::Error> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate()?;
    let ca_pem = params.self_signed(&key)?.pem();
    let issuer = Issuer::new(params, key);
    let leaf_key = KeyPair::generate()?;
    let leaf = CertificateParams::new(vec![host.to_owned()])?.signed_by(&leaf_key, &issuer)?;
    let identity = Identity { certificate_pem: leaf.pem(), key_pem: leaf_key.serialize_pem() };
    Ok((identity, ca_pem))
}
