//! A captured gateway: the keys of a real one in the hands of somebody who means harm.
//!
//! The program `captured-gateway` stands in the place of `postern-gateway` on its ports and with its files; the core dials
//! it and devices come to it as to any other. It speaks the link contract in earnest, keeps everything that crosses it,
//! and does harm by [`Evil`]'s switches; the test turns them through [`Captured`].
//!
//! Promise: with no switch turned it is an honest gateway, as far as a test needs one; each switch is one thing that
//! whoever holds a gateway can do, and none needs a secret that a gateway does not have.

mod device;
mod held;
mod link;
pub mod program;
mod tamper;

use std::{
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    process::Command,
    time::Duration,
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{binaries, process::Process, site::Site};

/// What a captured gateway does. All off: nothing evil.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Evil {
    /// Forges up: each value that a device reports becomes this.
    pub results: Option<String>,
    /// Forges up: each status that a device gives to a command becomes this.
    pub status: Option<u32>,
    /// Forges down: this command stands in each message to a device that holds one already.
    pub planted: Option<Planted>,
    /// Replays or mixes up down: a device gets this instead of the reply that is meant for it.
    pub reply: Option<OtherReply>,
    /// Mixes up: every message goes to this path, whoever it came from.
    pub path: Option<String>,
    /// Lies: this certificate (DER) is told instead of the one that was shown, or beside none.
    pub certificate: Option<Vec<u8>>,
    /// Lies: the device's address.
    pub source: Option<String>,
    /// Lies: the verdict (`admit`, `wipe-only`).
    pub admission: Option<String>,
    /// Hides.
    pub hide: Hide,
    /// Hides: the blocked list is taken and not put in force.
    pub withhold_blocked: bool,
    /// Hides: no version is acknowledged.
    pub no_acks: bool,
    /// Lies: acknowledgements and heartbeat name the core's versions, whatever is in force.
    pub lying_beat: bool,
}

/// What is kept from crossing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hide {
    /// Nothing.
    #[default]
    Nothing,
    /// Every message: devices hear 503.
    All,
    /// Messages to this path.
    Path(String),
    /// Messages that hold Results.
    Results,
    /// The command for this URI, out of the core's messages.
    Command(String),
}

/// A command of the gateway's own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Planted {
    /// `add`, `replace`, `get` or `exec`.
    pub verb: String,
    /// Target LocURI.
    pub uri: String,
    /// Data, where it has some.
    pub data: Option<String>,
}

/// Somebody's reply, given to somebody else or at another time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OtherReply {
    /// Of which exchange, as [`Captured::seen`] counts them.
    pub of: usize,
    /// Only its commands, under the header and Status of the right reply; otherwise octet for octet with its fields.
    pub adapted: bool,
}

/// A device's message.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Up {
    /// The path.
    pub path: String,
    /// Header fields by name in lower case, ours among them.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// The core's reply.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Down {
    /// HTTP status.
    pub status: u16,
    /// Header fields by name in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// A message and its reply as they came, before any change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exchange {
    /// What the device said.
    pub up: Up,
    /// What the core said; nothing where the message was kept from it.
    pub down: Option<Down>,
}

/// A running captured gateway. Dropping it ends it.
#[derive(Debug)]
pub struct Captured {
    process: Process,
    control: SocketAddr,
}

impl Captured {
    /// Starts a captured gateway in the place of the site's gateway, which must not run: same files, same keys, same ports.
    /// It says that it is ready when a core has given it its lists.
    #[must_use]
    pub fn start(site: &Site) -> Self {
        let mut command = Command::new(binaries::path("captured-gateway"));
        command.arg(site.gateway_config());
        let process = Process::start("captured", &mut command, &site.path("captured.log"));
        Self { process, control: site.gateway_observe() }
    }

    /// Ends it; an honest gateway may take the ports again.
    pub fn give_back(mut self) {
        self.process.kill_9();
    }

    /// Turns the switches.
    pub fn be(&self, evil: &Evil) {
        let _: serde_json::Value = self.ask("PUT", "/evil", evil);
    }

    /// Everything that has crossed, in order.
    #[must_use]
    pub fn seen(&self) -> Vec<Exchange> {
        self.ask("GET", "/seen", &())
    }

    /// Sends a message up that no device sent: forged or replayed.
    #[must_use]
    pub fn send(&self, up: &Up) -> Down {
        self.ask("POST", "/send", up)
    }

    /// What it wrote, for the message of a failed test.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.log_tail()
    }

    fn ask<T: DeserializeOwned>(&self, method: &str, path: &str, body: &impl Serialize) -> T {
        let body = serde_json::to_vec(body).expect("JSON");
        let answer = ask(self.control, method, path, &body)
            .unwrap_or_else(|error| panic!("{method} {path}: {error}\n{}", self.log()));
        serde_json::from_slice(&answer).unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }
}

/// One plain request to the control port; its answer ends with the connection.
fn ask(address: SocketAddr, method: &str, path: &str, body: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    write!(stream, "{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", body.len())?;
    stream.write_all(body)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n");
    let end = end.ok_or_else(|| io::Error::other("no HTTP"))?;
    Ok(answer.split_off(end + 4))
}
