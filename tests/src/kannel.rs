//! Kannel: a real push proxy gateway (wapbox), a real bearerbox, and its fake short-message centre, which writes down
//! what devices would get.
//!
//! wapbox binds its push port on every address, so all of it runs in a network namespace of its own, with a loopback
//! and nothing else; the test reaches it through a Unix socket.

use std::{
    fs::File,
    io,
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use tempfile::TempDir;

use crate::{binaries, process::Process, wait};

const FAKE_SMSC: &str = "/usr/lib/kannel/test/fakesmsc";
const LIMIT: Duration = Duration::from_secs(20);
// Ports inside the namespace, where every port is free.
const SMSC_PORT: u16 = 10_000;
const BOX_PORT: u16 = 13_002;
const ADMIN_PORT: u16 = 13_000;
// Nothing listens on them: without an smsbox in its settings, bearerbox does not start.
const SMSBOX_PORT: u16 = 13_001;
const SENDSMS_PORT: u16 = 13_013;
const PUSH_PORT: u16 = 8_080;

/// A short message that the fake centre got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// The sender.
    pub from: String,
    /// The receiver.
    pub to: String,
    /// The user data header, its length octet among it.
    pub header: Vec<u8>,
    /// What follows it.
    pub body: Vec<u8>,
}

impl Received {
    /// Header and body: what TP-UD holds.
    #[must_use]
    pub fn user_data(&self) -> Vec<u8> {
        [&self.header[..], &self.body].concat()
    }
}

/// A running Kannel. Dropping it ends its processes and takes its namespace away.
#[derive(Debug)]
pub struct Kannel {
    bearerbox: Process,
    wapbox: Process,
    fake_smsc: Process,
    relay: Process,
    /// Held open: the fake centre ends with its input.
    _input: File,
    address: SocketAddr,
    folder: TempDir,
    /// Goes last: also when a part did not come up, nothing of it stays.
    _namespace: Namespace,
}

impl Kannel {
    /// The user that may push.
    pub const USER: &str = "dmcore";
    /// Its password.
    pub const PASSWORD: &str = "secret";

    /// Starts it. Panics with what the machine lacks when it cannot: a test with Kannel is never skipped.
    #[must_use]
    pub fn start() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let namespace = Namespace::new(format!("kannel{}-{number}", std::process::id()));
        let folder = tempfile::tempdir().expect("a folder for Kannel");
        let path = folder.path();
        std::fs::create_dir(path.join("store")).expect("a folder for the spool");
        std::fs::write(path.join("k.conf"), configuration(path)).expect("Kannel's configuration");
        std::fs::write(path.join("password"), format!("{}\n", Self::PASSWORD)).expect("the password's file");
        let inside = |program: &str, arguments: &[&str], log: &str| {
            let mut command = Command::new("ip");
            command.args(["netns", "exec", &namespace.0, program]).args(arguments).current_dir(path);
            Process::start(program, &mut command, &path.join(log))
        };
        let mut bearerbox = inside("bearerbox", &["-v", "1", "k.conf"], "bearerbox.out");
        listens(&mut bearerbox, SMSC_PORT);
        listens(&mut bearerbox, BOX_PORT);

        let fifo = path.join("input");
        let made = Command::new("mkfifo").arg(&fifo).status().expect("mkfifo is part of every system");
        assert!(made.success(), "mkfifo {}", fifo.display());
        let input = File::options().read(true).write(true).open(&fifo).expect("the fake centre's input");
        let script = format!("exec {FAKE_SMSC} -H 127.0.0.1 -r {SMSC_PORT} -i 0.1 -v 0 <input");
        let fake_smsc = inside("sh", &["-c", &script], "fakesmsc.out");
        wait::until(
            "the fake centre at the bearerbox",
            LIMIT,
            || bearerbox.log().contains("Fakesmsc client connected").then_some(()),
            || format!("{}\n{}", bearerbox.log_tail(), fake_smsc.log_tail()),
        );

        let mut wapbox = inside("wapbox", &["-v", "1", "k.conf"], "wapbox.out");
        listens(&mut wapbox, PUSH_PORT);
        let socket = path.join("ppg.socket");
        let relay = binaries::path("netns-relay").to_string_lossy().into_owned();
        let target = format!("127.0.0.1:{PUSH_PORT}");
        let relay = inside(&relay, &[&socket.to_string_lossy(), &target], "relay.out");
        wait::until("the relay's socket", LIMIT, || socket.exists().then_some(()), || relay.log_tail());
        let address = forward(socket);
        Self { bearerbox, wapbox, fake_smsc, relay, _input: input, address, folder, _namespace: namespace }
    }

    /// Where the gateway takes PAP.
    #[must_use]
    pub fn pap_url(&self) -> String {
        format!("http://{}/wappush", self.address)
    }

    /// The file that holds [`Self::PASSWORD`].
    #[must_use]
    pub fn password_file(&self) -> PathBuf {
        self.folder.path().join("password")
    }

    /// What the fake centre got so far.
    #[must_use]
    pub fn received(&self) -> Vec<Received> {
        self.fake_smsc.log().lines().filter_map(received).collect()
    }

    /// Waits until the fake centre has got `count` short messages.
    #[must_use]
    pub fn wait_for(&self, count: usize) -> Vec<Received> {
        let enough = || Some(self.received()).filter(|received| received.len() >= count);
        wait::until("short messages at the fake centre", LIMIT, enough, || self.logs())
    }

    /// The last lines of each part's log.
    #[must_use]
    pub fn logs(&self) -> String {
        [&self.bearerbox, &self.wapbox, &self.fake_smsc, &self.relay].map(Process::log_tail).join("\n")
    }
}

impl Drop for Kannel {
    fn drop(&mut self) {
        for process in [&mut self.relay, &mut self.wapbox, &mut self.fake_smsc, &mut self.bearerbox] {
            process.stop(Duration::from_secs(5));
        }
    }
}

/// A network namespace with a loopback and nothing else.
#[derive(Debug)]
struct Namespace(String);

impl Namespace {
    fn new(name: String) -> Self {
        ip(&["netns", "add", &name]);
        let namespace = Self(name);
        ip(&["-n", &namespace.0, "link", "set", "lo", "up"]);
        namespace
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // It may be gone already; either way it is gone after this.
        let _ = Command::new("ip").args(["netns", "delete", &self.0]).status();
    }
}

fn configuration(folder: &Path) -> String {
    let folder = folder.display();
    format!(
        "group = core\nadmin-port = {ADMIN_PORT}\nadmin-interface = 127.0.0.1\nadmin-password = adm\n\
         smsbox-port = {SMSBOX_PORT}\nwapbox-port = {BOX_PORT}\nbox-allow-ip = 127.0.0.1\nlog-level = 1\nstore-type = spool\n\
         store-location = {folder}/store\n\n\
         group = smsc\nsmsc = fake\nsmsc-id = fake1\nhost = 127.0.0.1\nport = {SMSC_PORT}\n\
         connect-allow-ip = 127.0.0.1\n\n\
         group = smsbox\nbearerbox-host = 127.0.0.1\nsendsms-port = {SENDSMS_PORT}\n\n\
         group = wapbox\nbearerbox-host = 127.0.0.1\nlog-level = 1\n\n\
         group = ppg\nppg-url = /wappush\nppg-port = {PUSH_PORT}\nconcurrent-pushes = 100\n\
         ppg-allow-ip = 127.0.0.1\ntrusted-pi = false\nusers = 1\ndefault-smsc = fake1\n\
         default-dlr-url = \"\"\nservice-name = ppg\n\n\
         group = wap-push-user\nwap-push-user = {}\nppg-username = {}\nppg-password = {}\nallow-ip = 127.0.0.1\n",
        Kannel::USER,
        Kannel::USER,
        Kannel::PASSWORD
    )
}

fn ip(arguments: &[&str]) {
    let status = Command::new("ip").args(arguments).status().expect("ip (iproute2) is installed");
    assert!(status.success(), "ip {} needs CAP_SYS_ADMIN and CAP_NET_ADMIN", arguments.join(" "));
}

/// Waits until a process listens on a port of its own namespace. Nothing is connected to: the fake centre's port takes
/// one connection only.
fn listens(process: &mut Process, port: u16) {
    let table = format!("/proc/{}/net/tcp", process.pid());
    let local = format!(":{port:04X} ");
    let ready = || {
        let sockets = std::fs::read_to_string(&table).unwrap_or_default();
        sockets.lines().any(|line| line.contains(&local) && line.contains(" 0A ")).then_some(())
    };
    wait::until(&format!("port {port}"), LIMIT, ready, || process.log_tail());
}

/// A loopback port of the test that leads to a Unix socket.
fn forward(socket: PathBuf) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free loopback port");
    let address = listener.local_addr().expect("a bound listener has an address");
    std::thread::spawn(move || {
        for tcp in listener.incoming().flatten() {
            let Ok(unix) = UnixStream::connect(&socket) else { return };
            std::thread::spawn(move || join(tcp, unix));
        }
    });
    address
}

fn join(tcp: TcpStream, unix: UnixStream) -> io::Result<()> {
    let (mut from_tcp, mut to_unix) = (tcp.try_clone()?, unix.try_clone()?);
    std::thread::spawn(move || {
        let _ = io::copy(&mut from_tcp, &mut to_unix);
        to_unix.shutdown(Shutdown::Write)
    });
    let (mut from_unix, mut to_tcp) = (unix, tcp);
    io::copy(&mut from_unix, &mut to_tcp)?;
    to_tcp.shutdown(Shutdown::Both)
}

/// `… Got message 1: <FROM TO udh UDH data DATA>`, header and data percent-encoded.
fn received(line: &str) -> Option<Received> {
    let (_, message) = line.split_once("Got message ")?;
    let message = message.split_once(": <")?.1.strip_suffix('>')?;
    let words: Vec<_> = message.split(' ').collect();
    let [from, to, "udh", header, "data", body] = words[..] else { return None };
    Some(Received {
        from: percent_decoded(from).into_iter().map(char::from).collect(),
        to: to.to_owned(),
        header: percent_decoded(header),
        body: percent_decoded(body),
    })
}

fn percent_decoded(text: &str) -> Vec<u8> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        match (first, after) {
            (b'%', [high, low, after @ ..]) => {
                let digits = String::from_iter([char::from(*high), char::from(*low)]);
                octets.push(u8::from_str_radix(&digits, 16).expect("two hexadecimal digits"));
                rest = after;
            }
            (b'+', _) => octets.push(b' '),
            (other, _) => octets.push(*other),
        }
    }
    octets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_fake_centre_is_read_octet_for_octet() {
        let line = "2026-11-21 19:32:50 [27658] [0] DEBUG: Got message 2: <100 +15550100002 udh %06%05%04%0B%84%23%F0 data %01%06%03%C4%AF%87a+b*>";
        let expected = Received {
            from: "100".to_owned(),
            to: "+15550100002".to_owned(),
            header: b"\x06\x05\x04\x0B\x84\x23\xF0".to_vec(),
            body: b"\x01\x06\x03\xC4\xAF\x87a b*".to_vec(),
        };
        assert_eq!(received(line), Some(expected));
        assert_eq!(received("DEBUG: something else"), None);
    }
}
