//! A core that enrols, as small as can be: the handshake's other side, a CA, and a hook where a test puts its fault.

use std::{
    collections::HashMap,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex},
    time::Duration,
};

use postern_wire::{
    enrol::{
        Admitted, Application, Bootstrap, CONTENT_TYPE, DISCOVER_PATH, Der, FINISH_PATH, Finish, HandshakeId,
        KeyType, OneTimePassword, Psk, Responder, START_PATH, Start, Waiting, Welcome,
    },
    terms::{AuthType, EnrolmentId, UtcMillis},
};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, PublicKeyData as _, SanType,
};
use rustls::{ServerConfig, ServerConnection, StreamOwned, crypto::aws_lc_rs};
use rustls_pki_types::{CertificateSigningRequestDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use secrecy::ExposeSecret as _;
use uuid::Uuid;

/// How long a test waits for something that must come.
pub(crate) const SOON: Duration = Duration::from_secs(60);

/// What the stub does with a request, once it has made its answer.
pub(crate) enum Then {
    /// Sends it.
    Answer,
    /// Sends this instead: status, content type, body.
    Instead(u16, &'static str, Vec<u8>),
    /// Closes the connection.
    Drop,
    /// Keeps the connection open and says nothing.
    Hang,
}

/// What the stub is asked to do wrong as a core that knows the password.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// Nothing.
    #[default]
    Nothing,
    /// The certificate is over another key.
    OtherKey,
    /// It is from another CA than the one that was named.
    OtherCa,
    /// It names another enrolment.
    OtherEnrolment,
    /// The anchors are no certificates.
    NoAnchors,
    /// The account's address is not https.
    Account,
}

type Hook = Box<dyn FnMut(&str, usize, &mut Vec<u8>) -> Then + Send>;

pub(crate) struct Stub {
    pub(crate) address: SocketAddr,
    pub(crate) password: OneTimePassword,
    heard: Arc<(Mutex<Vec<String>>, Condvar)>,
    applications: Arc<Mutex<Vec<Application>>>,
}

struct Core {
    psk: Psk,
    wrong: Wrong,
    port: u16,
    ca: Issuer<'static, KeyPair>,
    ca_der: Vec<u8>,
    waiting: HashMap<HandshakeId, Waiting>,
    applications: Arc<Mutex<Vec<Application>>>,
    count: u8,
}

impl Stub {
    /// A core that does what it should.
    pub(crate) fn good() -> Self {
        Self::start(Wrong::Nothing, |_, _, _| Then::Answer)
    }

    /// With a fault: `hook` is asked with the path, how often it was asked before, and the answer's body.
    pub(crate) fn start(
        wrong: Wrong,
        hook: impl FnMut(&str, usize, &mut Vec<u8>) -> Then + Send + 'static,
    ) -> Self {
        let password = OneTimePassword::from_random(&[3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7]);
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let heard: Arc<(Mutex<Vec<String>>, Condvar)> = Arc::default();
        let applications: Arc<Mutex<Vec<Application>>> = Arc::default();
        let (ca, ca_der) = authority();
        let core = Core {
            psk: password.psk(),
            wrong,
            port: address.port(),
            ca,
            ca_der,
            waiting: HashMap::new(),
            applications: Arc::clone(&applications),
            count: 0,
        };
        let shared: Arc<Mutex<(Core, Hook)>> = Arc::new(Mutex::new((core, Box::new(hook))));
        let config = tls();
        let known = Arc::clone(&heard);
        std::thread::spawn(move || {
            for tcp in listener.incoming().flatten() {
                let (config, shared, known) = (Arc::clone(&config), Arc::clone(&shared), Arc::clone(&known));
                std::thread::spawn(move || serve(tcp, &config, &shared, &known));
            }
        });
        Self { address, password, heard, applications }
    }

    /// The paths that were asked so far.
    pub(crate) fn heard(&self) -> Vec<String> {
        self.heard.0.lock().expect("no panic").clone()
    }

    /// Waits until a path was asked.
    pub(crate) fn wait_for(&self, path: &str) {
        let heard = self.heard.0.lock().expect("no panic");
        let there = |heard: &mut Vec<String>| !heard.iter().any(|known| known == path);
        let (heard, late) = self.heard.1.wait_timeout_while(heard, SOON, there).expect("no panic");
        drop(heard);
        assert!(!late.timed_out(), "{path} was never asked");
    }

    /// What devices applied for.
    pub(crate) fn applications(&self) -> Vec<Application> {
        self.applications.lock().expect("no panic").clone()
    }

    /// The keys that they applied for; a request over the same key has another signature each time.
    pub(crate) fn keys(&self) -> Vec<Vec<u8>> {
        let key = |application: Application| {
            let csr = CertificateSigningRequestDer::from(application.csr.0);
            let csr = CertificateSigningRequestParams::from_der(&csr).expect("a request");
            csr.public_key.subject_public_key_info()
        };
        self.applications().into_iter().map(key).collect()
    }

    pub(crate) fn password_text(&self) -> String {
        self.password.to_text().expose_secret().to_owned()
    }
}

impl Core {
    fn answer(&mut self, path: &str, body: &[u8]) -> Option<Vec<u8>> {
        self.count += 1;
        match path {
            DISCOVER_PATH => {
                Some(format!("{{\"versions\":[1],\"server\":\"enrol.test:{}\"}}", self.port).into_bytes())
            }
            START_PATH => {
                let start = Start::read(body).ok()?;
                let ephemeral = [self.count; 32].into();
                let (responder, _) = Responder::start(&start, Some(&self.psk), ephemeral).ok()?;
                let (waiting, answer) = responder.welcome(&self.welcome()).ok()?;
                self.waiting.insert(waiting.handshake(), waiting);
                Some(answer)
            }
            FINISH_PATH => {
                let finish = Finish::read(body).ok()?;
                let mut waiting = self.waiting.remove(&finish.handshake)?;
                let application = waiting.finish(&finish).ok()?;
                let admitted = self.admit(&application);
                self.applications.lock().expect("no panic").push(application);
                waiting.asked()?.admit(&admitted).ok()
            }
            _ => None,
        }
    }

    fn welcome(&self) -> Welcome {
        let key = || Der(KeyPair::generate().expect("a key").subject_public_key_info());
        let ca = if self.wrong == Wrong::NoAnchors { vec![1, 2, 3] } else { self.ca_der.clone() };
        Welcome {
            server_cas: vec![Der(ca.clone())],
            device_cas: vec![Der(ca)],
            message_key: key(),
            order_key: key(),
            key_type: KeyType::EcdsaP256,
            escrow_key: None,
        }
    }

    fn admit(&self, application: &Application) -> Admitted {
        let id = EnrolmentId(Uuid::from_u128(7));
        let csr = CertificateSigningRequestDer::from(application.csr.0.clone());
        let mut csr = CertificateSigningRequestParams::from_der(&csr).expect("a request");
        let named = if self.wrong == Wrong::OtherEnrolment { Uuid::from_u128(8) } else { id.0 };
        let uri = format!("postern:device:{named}").try_into().expect("ASCII");
        csr.params.subject_alt_names = vec![SanType::URI(uri)];
        csr.params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let other_ca = authority().0;
        let ca = if self.wrong == Wrong::OtherCa { &other_ca } else { &self.ca };
        let der = if self.wrong == Wrong::OtherKey {
            csr.params.signed_by(&KeyPair::generate().expect("a key"), ca).expect("signed").der().to_vec()
        } else {
            csr.signed_by(ca).expect("signed").der().to_vec()
        };
        let scheme = if self.wrong == Wrong::Account { "http" } else { "https" };
        Admitted {
            chain: vec![Der(der), Der(self.ca_der.clone())],
            bootstrap: Bootstrap {
                server_uri: format!("{scheme}://enrol.test:{}/dm/1/aaaaaaaaaaaaaaaaaaaaaaaaaa", self.port),
                enrolment: id,
                generation: 1,
                device_id: application.device_id.clone(),
                server_id: "postern".into(),
                auth: AuthType::Signed,
                user: None,
                password: None,
                server_password: None,
                renew_from: UtcMillis(1),
            },
        }
    }
}

fn authority() -> (Issuer<'static, KeyPair>, Vec<u8>) {
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let der = params.self_signed(&key).expect("a certificate").der().to_vec();
    (Issuer::new(params, key), der)
}

fn tls() -> Arc<ServerConfig> {
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec!["whoever.test".to_owned()]).expect("a name");
    let certificate = params.self_signed(&key).expect("a certificate");
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the default versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .expect("a key that fits");
    Arc::new(config)
}

fn serve(
    tcp: TcpStream,
    config: &Arc<ServerConfig>,
    shared: &Mutex<(Core, Hook)>,
    heard: &(Mutex<Vec<String>>, Condvar),
) {
    let connection = ServerConnection::new(Arc::clone(config)).expect("a configuration that was tried");
    let mut stream = StreamOwned::new(connection, tcp);
    while let Some((path, body)) = request(&mut stream) {
        let before = heard.0.lock().expect("no panic").iter().filter(|known| **known == path).count();
        let (status, media, answer) = {
            let mut shared = shared.lock().expect("no panic");
            let (core, hook) = &mut *shared;
            let made = core.answer(&path, &body);
            let media = if path == DISCOVER_PATH { "application/json" } else { CONTENT_TYPE };
            let (status, mut answer) = made.map_or((403, Vec::new()), |answer| (200, answer));
            match hook(&path, before, &mut answer) {
                Then::Answer => (status, media, Some(answer)),
                Then::Instead(status, media, body) => (status, media, Some(body)),
                Then::Drop => (0, media, None),
                Then::Hang => (1, media, None),
            }
        };
        heard.0.lock().expect("no panic").push(path);
        heard.1.notify_all();
        let Some(answer) = answer else {
            if status == 1 {
                // until the other side is gone
                let _closed = stream.sock.read(&mut [0]);
            }
            return;
        };
        let head = format!(
            "HTTP/1.1 {status} X\r\nContent-Type: {media}\r\nLocation: https://elsewhere.test/\r\nContent-Length: {}\r\n\r\n",
            answer.len()
        );
        let sent = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&answer));
        if sent.and_then(|()| stream.flush()).is_err() {
            return;
        }
    }
}

fn request(stream: &mut impl Read) -> Option<(String, Vec<u8>)> {
    let mut head = Vec::new();
    let mut octet = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut octet).ok()?;
        head.push(octet[0]);
    }
    let head = String::from_utf8(head).ok()?;
    let path = head.split(' ').nth(1)?.to_owned();
    let length = head
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .map_or(Some(0), |(_, length)| length.trim().parse().ok())?;
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some((path, body))
}
