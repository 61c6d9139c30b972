//! What client cases work with: the port, the driver, and the account that the client is given.

use std::io;

use postern_wire::{
    syncml::{Encoding, MediaType},
    terms::AuthType,
};
use serde_json::{Value, json};

use super::{
    driver::{Driver, DriverError},
    listener::{Link, Listener},
    session::Session,
};
use crate::conformance::{
    http::Request,
    tamper::{Passing, Tamper, Thing},
    variant::Variant,
    verdict::{Miss, Outcome, hold},
};

/// The path that clients are given.
pub const PATH: &str = "/dm/1/aaaaaaaaaaaaaaaaaaaaaaaaaa";
/// The device's user name and password, and the server's id and password.
pub const USER: &str = "Bruce2";
/// See [`USER`].
pub const PASSWORD: &str = "OhBehave";
/// See [`USER`].
pub const SERVER_ID: &str = "com.mgmtsrv.manage";
/// See [`USER`].
pub const SERVER_PASSWORD: &str = "srvsecret";
/// The DevId.
pub const DEVICE_ID: &str = "IMEI:493005100592800";

/// A client under test.
pub struct Target {
    /// Where it connects.
    pub listener: Listener,
    /// Who makes it.
    pub driver: Box<dyn Driver>,
    /// The interior node under which the cases make theirs: one that servers may add to.
    pub root: String,
    /// A connection and a request that came before a case asked for one.
    pub waiting: Option<(Link, Request)>,
}

/// How a session is to begin.
#[derive(Clone, Debug)]
pub struct Setup {
    /// How the device proves itself.
    pub auth: AuthType,
    /// Whether the server has to prove itself.
    pub server_password: bool,
    /// Whether the client forgets everything first.
    pub fresh: bool,
    /// What the person says to user alerts.
    pub user: Vec<String>,
}

impl Default for Setup {
    fn default() -> Self {
        Self { auth: AuthType::Basic, server_password: false, fresh: true, user: Vec::new() }
    }
}

/// What one case has.
pub struct Bench<'t> {
    /// In which encoding and version the case runs.
    pub variant: Variant,
    /// The client under test.
    pub target: &'t mut Target,
    /// The mutant, where there is one.
    pub tamper: Option<Tamper>,
    written: u32,
}

impl<'t> Bench<'t> {
    /// The bench of one case in one variant.
    pub const fn new(variant: Variant, target: &'t mut Target, tamper: Option<Tamper>) -> Self {
        Self { variant, target, tamper, written: 0 }
    }

    /// A URI below the node where the cases make theirs.
    #[must_use]
    pub fn uri(&self, below: &str) -> String {
        format!("{}/{below}", self.target.root)
    }

    /// A client that has forgotten everything opens a session and has sent its first message.
    pub fn session(&mut self) -> Outcome<Session<'_>> {
        self.session_with(&Setup::default())
    }

    /// The same with another setup.
    pub fn session_with(&mut self, setup: &Setup) -> Outcome<Session<'_>> {
        let input = self.input(setup);
        self.begin("session", &input)?;
        self.opened()?.ok_or_else(|| Miss::broken("the client opens no session"))
    }

    /// What a driver is told.
    #[must_use]
    pub fn input(&self, setup: &Setup) -> Value {
        let encoding = match self.variant.encoding {
            Encoding::Xml => "xml",
            Encoding::Wbxml => "wbxml",
        };
        let mut account = json!({
            "server_uri": format!("{}{PATH}", self.target.listener.origin),
            "device_id": DEVICE_ID, "server_id": SERVER_ID, "auth": setup.auth.to_string(),
            "user": USER, "password": PASSWORD, "ca_pem": self.target.listener.ca_pem,
            "enrolment": "0199f7a0-0000-7000-8000-0000000000c0", "generation": 1,
        });
        if setup.server_password {
            account["server_password"] = SERVER_PASSWORD.into();
        }
        json!({
            "account": account, "encoding": encoding, "version": self.variant.version.ver_dtd(),
            "fresh": setup.fresh, "user": setup.user,
        })
    }

    /// Octets that are handed to the client beside its sessions.
    pub fn written(&mut self, mut octets: Vec<u8>) -> Vec<u8> {
        if let Some(tamper) = self.tamper {
            tamper(&mut Passing { nth: self.written, thing: Thing::Written(&mut octets) });
        }
        self.written += 1;
        octets
    }

    /// Makes the client begin something.
    pub fn begin(&mut self, verb: &str, input: &Value) -> Outcome {
        self.target.driver.begin(verb, input).map_err(|error| match error {
            DriverError::Unsupported(_) => Miss::not_applicable(error.to_string()),
            DriverError::Failed(_) => Miss::broken(error.to_string()),
        })
    }

    /// The session that the client opens, or nothing when it opens none.
    pub fn opened(&mut self) -> Outcome<Option<Session<'_>>> {
        let Some((link, request)) = self.target.next_request(None)? else { return Ok(None) };
        let media = request.header("content-type").and_then(MediaType::parse);
        let wanted = self.variant.encoding;
        hold(media.is_some_and(|media| media.encoding() == wanted), || {
            format!("the first message is {:?}, not {wanted:?}", request.header("content-type"))
        })?;
        Session::new(self.target, link, request, self.tamper).map(Some)
    }
}

impl Target {
    /// The next request, on a link that is open or on a new one. `None` when the client is gone: its driver's work
    /// has ended, or it is silent.
    pub fn next_request(&mut self, link: Option<Link>) -> Outcome<Option<(Link, Request)>> {
        if let Some(waiting) = self.waiting.take() {
            return Ok(Some(waiting));
        }
        let first = link.is_none();
        if let Some(mut link) = link {
            let patience = self.listener.patience;
            match link.request(patience) {
                Ok(Some(request)) => return Ok(Some((link, request))),
                Ok(None) => {}
                Err(error) if is_silence(&error) => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {}
                Err(error) => return Err(error.into()),
            }
        }
        let limit = if first { self.listener.patience } else { self.listener.quiet };
        let mut code = None;
        let driver = &mut self.driver;
        let accepted = self.listener.accept(|waited| {
            code = driver.ended();
            code.is_some() || waited > limit
        });
        match (accepted?, code) {
            (Some(mut link), _) => {
                let request = link.request(self.listener.patience)?;
                Ok(request.map(|request| (link, request)))
            }
            (None, Some(64)) => Err(Miss::not_applicable("the client's driver cannot do this")),
            (None, _) => Ok(None),
        }
    }
}

fn is_silence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}
