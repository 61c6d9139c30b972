//! A stub of the admin API: answers what the test tells it to, keeps what it was asked.

use std::{
    io::Write as _,
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    crypto::aws_lc_rs,
    pki_types::{PrivateKeyDer, pem::PemObject as _},
};

use crate::ctl::Ctl;

/// One request as it came: the request line and fields as one text, and the body.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Request line and header fields.
    pub head: String,
    /// Body.
    pub body: String,
}

/// An answer: status, further fields, body.
pub type Answer = (u16, Vec<(&'static str, String)>, String);

/// A running stub. It ends with the test's process.
#[derive(Debug)]
pub struct Stub {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    ca_file: PathBuf,
    token_file: PathBuf,
}

impl Stub {
    /// Starts a stub whose certificate and token lie in `folder`.
    #[must_use]
    pub fn start(folder: &Path, mut answer: impl FnMut(&Asked) -> Answer + Send + 'static) -> Self {
        let key = rcgen::KeyPair::generate().expect("a key");
        let parameters = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
        let certificate = parameters.self_signed(&key).expect("a certificate");
        let (ca_file, token_file) = (folder.join("ca.pem"), folder.join("token"));
        std::fs::write(&ca_file, certificate.pem()).expect("a file in the test's folder");
        std::fs::write(&token_file, "pst_test\n").expect("a file in the test's folder");
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the provider has the default versions")
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).expect("a key in PEM"),
            )
            .expect("a key that fits its certificate");
        let config = Arc::new(config);
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free loopback port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&asked);
        std::thread::spawn(move || {
            for tcp in listener.incoming().flatten() {
                serve(tcp, &config, &kept, &mut answer);
            }
        });
        Self { address, asked, ca_file, token_file }
    }

    /// What it was asked so far.
    #[must_use]
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// posternctl that talks to it.
    #[must_use]
    pub fn ctl(&self) -> Ctl {
        Ctl {
            url: format!("https://localhost:{}", self.address.port()),
            token_file: self.token_file.clone(),
            ca_file: self.ca_file.clone(),
            prefix: Vec::new(),
        }
    }
}

/// One connection: request, answer, until the client ends it.
fn serve(
    tcp: TcpStream,
    config: &Arc<ServerConfig>,
    kept: &Mutex<Vec<Asked>>,
    answer: &mut impl FnMut(&Asked) -> Answer,
) {
    let connection =
        ServerConnection::new(Arc::clone(config)).expect("a server configuration that was tried");
    let mut stream = StreamOwned::new(connection, tcp);
    while let Some(asked) = request(&mut stream) {
        let (status, fields, body) = answer(&asked);
        kept.lock().unwrap_or_else(PoisonError::into_inner).push(asked);
        let fields: String = fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let head = format!("HTTP/1.1 {status} X\r\n{fields}Content-Length: {}\r\n\r\n", body.len());
        if stream.write_all(format!("{head}{body}").as_bytes()).and_then(|()| stream.flush()).is_err() {
            return;
        }
    }
}

fn request(stream: &mut impl std::io::Read) -> Option<Asked> {
    let mut held = Vec::new();
    let mut octet = [0];
    while !held.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut octet).ok()?;
        held.push(octet[0]);
    }
    let head = String::from_utf8(held).ok()?;
    let length = head
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .map_or(Some(0), |(_, length)| length.trim().parse().ok())?;
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some(Asked { head, body: String::from_utf8(body).ok()? })
}
