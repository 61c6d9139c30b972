//! A real mail server: Debian's Exim, started by the test in a folder of its own on a loopback port.

use std::{
    fs::File,
    net::{TcpListener, TcpStream},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use postern_adapters::smtp::SmtpConfig;

/// The user that may send, and its password.
pub(crate) const USER: &str = "mdm";
pub(crate) const PASSWORD: &str = "correct horse";
const PROGRAM: &str = "/usr/sbin/exim4";

/// How Exim answers a recipient whose local part is this.
#[derive(Clone, Copy, Default)]
pub(crate) struct Verdicts {
    /// 451 at RCPT.
    pub(crate) later: &'static str,
    /// 550 at RCPT.
    pub(crate) never: &'static str,
    /// 451 after DATA.
    pub(crate) later_data: &'static str,
    /// 550 after DATA.
    pub(crate) never_data: &'static str,
}

/// A mail server: its folder outlives its process, so that it may be stopped and started again.
pub(crate) struct Exim {
    folder: tempfile::TempDir,
    port: u16,
    child: Option<Child>,
}

impl Exim {
    /// A server that does not run yet; its port is its own.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        // Exim leaves its root rights for a user that has to reach the folder.
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        for name in ["spool", "log", "mail"] {
            let path = folder.path().join(name);
            std::fs::create_dir(&path).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o777)).unwrap();
        }
        crate::rig::certificates(folder.path());
        std::fs::set_permissions(folder.path().join("server.key"), std::fs::Permissions::from_mode(0o644))
            .unwrap();
        std::fs::write(folder.path().join("password"), format!("{PASSWORD}\n")).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        Self { folder, port, child: None }
    }

    pub(crate) fn running(verdicts: Verdicts) -> Self {
        let mut exim = Self::new();
        exim.start(verdicts);
        exim
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The settings of a core that sends by it.
    pub(crate) fn settings(&self) -> SmtpConfig {
        SmtpConfig {
            port: self.port,
            ca: Some("ca.pem".into()),
            security: vec!["security@corp.example".to_owned()],
            ..SmtpConfig::at("127.0.0.1", "Postern <mdm@corp.example>", USER, "password")
        }
    }

    pub(crate) fn start(&mut self, verdicts: Verdicts) {
        assert!(Path::new(PROGRAM).exists(), "{PROGRAM} is missing: apt-get install exim4-daemon-light");
        self.stop();
        let path = self.folder.path();
        std::fs::write(path.join("exim.conf"), configuration(path, self.port, verdicts)).unwrap();
        let output = File::options().create(true).append(true).open(path.join("output")).unwrap();
        let child = Command::new(PROGRAM)
            .arg("-C")
            .arg(path.join("exim.conf"))
            .arg("-bdf")
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn()
            .unwrap();
        self.child = Some(child);
        let port = self.port;
        crate::rig::until("Exim listens", || TcpStream::connect(("127.0.0.1", port)).is_ok(), || self.logs());
    }

    pub(crate) fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// The Message-IDs of what it has taken, in order; it notes each before it says so.
    pub(crate) fn taken(&self) -> Vec<String> {
        let log = std::fs::read_to_string(self.folder.path().join("log/main")).unwrap_or_default();
        log.lines()
            .filter(|line| line.contains(" <= "))
            .filter_map(|line| line.split_whitespace().find_map(|word| word.strip_prefix("id=")))
            .map(|id| format!("<{id}>"))
            .collect()
    }

    /// The mails in its one mailbox, once there are `count`.
    pub(crate) fn mails(&self, count: usize) -> Vec<String> {
        let folder: PathBuf = self.folder.path().join("mail/all/new");
        let files = || std::fs::read_dir(&folder).map(|all| all.flatten().count()).unwrap_or(0);
        crate::rig::until("the mailbox has its mails", || files() >= count, || self.logs());
        let all = std::fs::read_dir(&folder).unwrap().flatten();
        let mails: Vec<String> =
            all.map(|file| std::fs::read_to_string(file.path()).unwrap().replace("\r\n", "\n")).collect();
        assert_eq!(mails.len(), count, "{mails:#?}");
        mails
    }

    fn logs(&self) -> String {
        ["output", "log/main", "log/panic", "log/reject"]
            .map(|name| std::fs::read_to_string(self.folder.path().join(name)).unwrap_or_default())
            .join("\n")
    }
}

impl Drop for Exim {
    fn drop(&mut self) {
        self.stop();
        // What it still delivers ends by itself; its folder goes with it.
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn configuration(path: &Path, port: u16, verdicts: Verdicts) -> String {
    let path = path.display();
    let some = |part: &str| if part.is_empty() { "nobody-is-called-so".to_owned() } else { part.to_owned() };
    let Verdicts { later, never, later_data, never_data } = verdicts;
    let (later, never, later_data, never_data) =
        (some(later), some(never), some(later_data), some(never_data));
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
acl_smtp_data = data
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
data:
  defer message = disk full
    condition = ${{if match{{$recipients}}{{{later_data}@}}}}
  deny message = content refused
    condition = ${{if match{{$recipients}}{{{never_data}@}}}}
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
