//! A real mail server beside a site: Debian's Exim in a folder of its own on a loopback port, with TLS and AUTH demanded.
//!
//! It takes what comes for anybody into one mailbox, and refuses as a test wants it. It can be stopped and started again
//! under the same port.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpStream},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

use crate::{
    process::{self, Process},
    wait,
};

const PROGRAM: &str = "/usr/sbin/exim4";
const USER: &str = "mdm";
const PASSWORD: &str = "correct horse";
const READY: Duration = Duration::from_secs(20);

/// How it answers a recipient whose local part is this; an empty text: nobody.
#[derive(Clone, Copy, Debug, Default)]
pub struct Verdicts {
    /// 451 at RCPT.
    pub later: &'static str,
    /// 550 at RCPT.
    pub never: &'static str,
}

/// A mail server. Dropping it ends it and removes its folder.
#[derive(Debug)]
pub struct Exim {
    folder: tempfile::TempDir,
    port: u16,
    process: Option<Process>,
}

impl Exim {
    /// One that runs and takes everything.
    #[must_use]
    pub fn running() -> Self {
        let folder = tempfile::Builder::new().prefix("postern-exim-").tempdir().expect("a folder");
        let [port] = process::free_ports();
        // It leaves its root rights for a user that has to reach the folder.
        mode(folder.path(), 0o755);
        for name in ["spool", "log", "mail"] {
            std::fs::create_dir(folder.path().join(name)).expect("a folder");
            mode(&folder.path().join(name), 0o777);
        }
        certificates(folder.path());
        let mut exim = Self { folder, port, process: None };
        exim.start(Verdicts::default());
        exim
    }

    /// Starts it, or starts it again with other verdicts.
    pub fn start(&mut self, verdicts: Verdicts) {
        assert!(Path::new(PROGRAM).exists(), "{PROGRAM} is missing: apt-get install exim4-daemon-light");
        self.stop();
        let (path, address) = (self.folder.path().to_owned(), self.address());
        std::fs::write(path.join("exim.conf"), configuration(&path, self.port, verdicts)).expect("a file");
        let mut command = Command::new(PROGRAM);
        command.arg("-C").arg(path.join("exim.conf")).arg("-bdf");
        self.process = Some(Process::start("exim", &mut command, &path.join("output")));
        let listens = || TcpStream::connect(address).ok().map(drop);
        wait::until("Exim to listen", READY, listens, || self.logs());
    }

    /// Ends it; nobody listens at its port then.
    pub fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill_9();
        }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    /// Lets a site's core send by it, at `port` (its own, or a proxy's before it). Before the core is started.
    pub fn set_up(&self, state: &Path, port: u16) {
        let config = state.join("core.toml");
        let mut text = std::fs::read_to_string(&config).expect("the core's configuration");
        let password = state.join("mail.password");
        std::fs::write(&password, format!("{PASSWORD}\n")).expect("a file");
        mode(&password, 0o600);
        text.push_str(&format!(
            "\n[mail]\nserver = \"localhost\"\nport = {port}\nca = \"{}\"\nuser = \"{USER}\"\npassword_file = \"{}\"\nfrom = \"Postern <mdm@corp.example>\"\nsecurity = [\"security@corp.example\"]\nconnect_ms = 5000\nanswer_ms = 30000\n",
            self.folder.path().join("ca.pem").display(),
            password.display(),
        ));
        std::fs::write(&config, text).expect("the core's configuration");
    }

    /// What it has taken, in order: each Message-ID, once for each time that it took it. It notes each before it says so.
    #[must_use]
    pub fn taken(&self) -> Vec<String> {
        let log = std::fs::read_to_string(self.folder.path().join("log/main")).unwrap_or_default();
        let took = log.lines().filter(|line| line.contains(" <= "));
        took.filter_map(|line| line.split_whitespace().find_map(|word| word.strip_prefix("id=")))
            .map(str::to_owned)
            .collect()
    }

    /// The mails in its mailbox, as (recipient, subject) in order of both.
    #[must_use]
    pub fn mails(&self) -> Vec<(String, String)> {
        let files =
            std::fs::read_dir(self.folder.path().join("mail/all/new")).into_iter().flatten().flatten();
        let mut mails: Vec<_> = files
            .filter_map(|file| std::fs::read_to_string(file.path()).ok())
            .map(|text| (field(&text, "To"), field(&text, "Subject")))
            .collect();
        mails.sort();
        mails
    }

    /// What it wrote.
    #[must_use]
    pub fn logs(&self) -> String {
        let read = |name: &&str| std::fs::read_to_string(self.folder.path().join(name)).unwrap_or_default();
        ["output", "log/main", "log/panic", "log/reject"].iter().map(read).collect::<Vec<_>>().join("\n")
    }
}

/// A field of a mail's header, its folded lines joined.
fn field(mail: &str, name: &str) -> String {
    let mut lines = mail.lines().take_while(|line| !line.trim_end().is_empty());
    let start = format!("{name}: ");
    let Some(first) = lines.by_ref().find(|line| line.starts_with(&start)) else { return String::new() };
    let more = lines.take_while(|line| line.starts_with([' ', '\t'])).map(str::trim);
    std::iter::once(first[start.len()..].trim()).chain(more).collect::<Vec<_>>().join(" ")
}

fn mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("a mode");
}

fn certificates(folder: &Path) {
    let ca_key = KeyPair::generate().expect("a key");
    let mut ca = CertificateParams::new(Vec::<String>::new()).expect("parameters");
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.distinguished_name.push(DnType::CommonName, "the mail server's authority");
    let ca_pem = ca.self_signed(&ca_key).expect("signed").pem();
    let issuer = Issuer::new(ca, ca_key);
    let key = KeyPair::generate().expect("a key");
    let leaf = CertificateParams::new(vec!["localhost".to_owned()]).expect("parameters");
    let leaf_pem = leaf.signed_by(&key, &issuer).expect("signed").pem();
    for (name, text) in [("ca.pem", ca_pem), ("server.pem", leaf_pem), ("server.key", key.serialize_pem())] {
        let file: PathBuf = folder.join(name);
        std::fs::write(&file, text).expect("a file");
        mode(&file, 0o644);
    }
}

fn configuration(path: &Path, port: u16, verdicts: Verdicts) -> String {
    let path = path.display();
    let some = |part: &'static str| if part.is_empty() { "nobody-is-called-so" } else { part };
    let (later, never) = (some(verdicts.later), some(verdicts.never));
    format!(
        r"primary_hostname = mail.test
spool_directory = {path}/spool
log_file_path = {path}/log/%s
pid_file_path = {path}/pid
exim_user = nobody
exim_group = nogroup
never_users =
keep_environment =
daemon_smtp_ports = {port}
local_interfaces = 127.0.0.1
host_lookup =
rfc1413_query_timeout = 0s
tls_advertise_hosts = *
tls_certificate = {path}/server.pem
tls_privatekey = {path}/server.key
auth_advertise_hosts = ${{if eq{{$tls_in_cipher}}{{}}{{}}{{*}}}}
acl_smtp_mail = mail
acl_smtp_rcpt = rcpt
begin acl
mail:
  deny message = TLS is demanded
    !encrypted = *
  accept
rcpt:
  deny message = relay not permitted
    !authenticated = *
  defer message = mailbox busy
    local_parts = {later}
  deny message = no such user
    local_parts = {never}
  accept
begin routers
all:
  driver = accept
  transport = box
begin transports
box:
  driver = appendfile
  directory = {path}/mail/all
  maildir_format
  create_directory
  user = nobody
  group = nogroup
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_condition = ${{if and{{{{eq{{$auth2}}{{{USER}}}}}{{eq{{$auth3}}{{{PASSWORD}}}}}}}}}
  server_set_id = $auth2
"
    )
}
