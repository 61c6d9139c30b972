//! Samba as an Active Directory domain controller: a real one, provisioned for the test, in a folder of its own.
//!
//! LDAP's ports are fixed there; every address of 127/8 answers without configuration, so each controller takes one of
//! its own. Its library looks for winbind below `/run/samba` only, so it runs in a private mount namespace, where
//! `/run` is empty but for that, its own folder: nothing is made on the machine, and nothing stays.

use std::{
    io::Write as _,
    net::{SocketAddr, TcpStream},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::atomic::{AtomicU8, Ordering},
    time::Duration,
};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use tempfile::TempDir;

use crate::{process::Process, wait};

const LIMIT: Duration = Duration::from_secs(60);
const LDAPS: u16 = 636;

/// A running domain controller. Dropping it ends its processes and takes its folder away.
#[derive(Debug)]
pub struct Samba {
    process: Option<Process>,
    address: String,
    folder: TempDir,
}

impl Samba {
    /// The domain.
    pub const BASE: &'static str = "DC=corp,DC=example";
    /// Who may do everything.
    pub const ADMINISTRATOR: &'static str = "Administrator@corp.example";
    /// Its password.
    pub const ADMINISTRATOR_PASSWORD: &'static str = "Adm1n-Passw0rd!";

    /// Provisions a domain and starts its controller. Panics with what the machine lacks when it cannot: a test with
    /// Samba is never skipped.
    #[must_use]
    pub fn start() -> Self {
        static COUNT: AtomicU8 = AtomicU8::new(1);
        let [_, _, high, low] = std::process::id().to_be_bytes();
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let address = format!("127.{}.{}.{number}", 100 + high % 100, low);
        let folder = tempfile::Builder::new().prefix("samba").tempdir().expect("a folder for Samba");
        let path = folder.path();
        // Its parts run as several users.
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .expect("its own folder");
        for part in ["run", "log", "cache", "lock"] {
            std::fs::create_dir(path.join(part)).expect("a folder of Samba's");
        }
        std::fs::write(path.join("empty.conf"), "").expect("Samba's configuration");
        certificates(path, &address);
        let mut samba = Self { process: None, address, folder };
        samba.provision();
        samba.begin();
        samba
    }

    /// Where it answers over LDAPS.
    #[must_use]
    pub fn ldaps(&self) -> SocketAddr {
        SocketAddr::new(self.address.parse().expect("an address"), LDAPS)
    }

    /// Its address.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The authority of its certificate, which is for `dc1.corp.example`, its address and 127.0.0.1.
    #[must_use]
    pub fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// Runs samba-tool as the administrator against the running controller.
    pub fn tool(&self, arguments: &[&str]) -> String {
        let mut command = Command::new("samba-tool");
        command.args(arguments).arg("-s").arg(self.configuration());
        command.arg("-H").arg(format!("ldap://{}", self.address));
        command.arg("-U").arg(format!("Administrator%{}", Self::ADMINISTRATOR_PASSWORD));
        succeeded(&mut command)
    }

    /// Changes the directory as the administrator, by LDIF change records.
    pub fn modify(&self, changes: &str) {
        let mut command = self.client("ldapmodify", Self::ADMINISTRATOR, Self::ADMINISTRATOR_PASSWORD);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let child = child.as_mut().expect("ldap-utils is installed");
        let mut input = child.stdin.take().expect("a pipe");
        input.write_all(changes.as_bytes()).expect("ldapmodify reads");
        drop(input);
        let mut said = String::new();
        if let Some(errors) = child.stderr.as_mut() {
            std::io::Read::read_to_string(errors, &mut said).expect("what ldapmodify says");
        }
        assert!(child.wait().expect("a child that ends").success(), "ldapmodify: {said}\n{changes}");
    }

    /// What `ldapsearch`, a client of another hand, sees as an account below a base, as LDIF with security descriptors.
    #[must_use]
    pub fn ldif(&self, account: &str, password: &str, base: &str) -> Vec<u8> {
        let mut command = self.client("ldapsearch", account, password);
        command.args(["-LLL", "-o", "ldif-wrap=no", "-E", "!1.2.840.113556.1.4.801=::MAMCAQc=", "-b", base]);
        command.args(["(objectClass=*)", "*", "nTSecurityDescriptor"]);
        succeeded(&mut command).into_bytes()
    }

    /// Whether an account is let in, by a client of another hand.
    #[must_use]
    pub fn is_let_in(&self, account: &str, password: &str) -> bool {
        let mut command = self.client("ldapsearch", account, password);
        command.args(["-LLL", "-s", "base", "-b", "", "dnsHostName"]).stdin(Stdio::null());
        command.output().expect("ldap-utils is installed").status.success()
    }

    /// Holds all of it, or lets it go on.
    pub fn signal(&self, name: &str) {
        if let Some(process) = &self.process {
            let group = format!("-{}", process.pid());
            let sent = Command::new("kill").args(["-s", name, "--", &group]).status();
            assert!(sent.expect("kill is part of every system").success(), "kill -s {name} {group}");
        }
    }

    /// Ends it, as an operator does.
    pub fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let group = format!("-{}", process.pid());
            let end = |signal: &str| Command::new("kill").args(["-s", signal, "--", &group]).output();
            let _ = end("TERM");
            wait::holds_within(Duration::from_secs(5), || !process.is_running());
            let _ = end("KILL");
            process.stop(Duration::from_secs(5));
        }
    }

    /// Starts it again after it was stopped or killed, with what it held.
    pub fn again(&mut self) {
        self.stop();
        self.begin();
    }

    /// The SID of an account, as text.
    #[must_use]
    pub fn sid(&self, kind: &str, name: &str) -> String {
        let said = self.tool(&[kind, "show", name, "--attributes=objectSid"]);
        let sid = said.lines().find_map(|line| line.strip_prefix("objectSid: "));
        sid.unwrap_or_else(|| panic!("{name} has no SID: {said}")).trim().to_owned()
    }

    /// The last lines of what it wrote.
    #[must_use]
    pub fn logs(&self) -> String {
        self.process.as_ref().map(Process::log_tail).unwrap_or_default()
    }

    /// The folder that its share `sysvol` shows.
    #[must_use]
    pub fn sysvol(&self) -> PathBuf {
        self.folder.path().join("dc/state/sysvol")
    }

    fn configuration(&self) -> PathBuf {
        self.folder.path().join("dc/etc/smb.conf")
    }

    fn client(&self, program: &str, account: &str, password: &str) -> Command {
        let mut command = Command::new(program);
        command.env("LDAPTLS_CACERT", self.ca()).args([
            "-x",
            "-o",
            "nettimeout=5",
            "-D",
            account,
            "-w",
            password,
        ]);
        command.arg("-H").arg(format!("ldaps://{}", self.address));
        command
    }

    fn provision(&self) {
        let path = self.folder.path();
        let mut command = Command::new("samba-tool");
        command.args(["domain", "provision", "--realm=CORP.EXAMPLE", "--domain=CORP", "--server-role=dc"]);
        command.args(["--dns-backend=SAMBA_INTERNAL", "--host-name=dc1", "--function-level=2008_R2"]);
        command.arg("-s").arg(path.join("empty.conf"));
        command.arg(format!("--targetdir={}", path.join("dc").display()));
        command.arg(format!("--host-ip={}", self.address));
        command.arg(format!("--adminpass={}", Self::ADMINISTRATOR_PASSWORD));
        for option in [
            &format!("interfaces = {}/8", self.address),
            "bind interfaces only = yes",
            &format!("log file = {}", path.join("log/all.log").display()),
            "disable netbios = yes",
            "dns forwarder = ",
        ] {
            command.arg(format!("--option={option}"));
        }
        succeeded(&mut command);
    }

    fn begin(&mut self) {
        let path = self.folder.path();
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-c"]);
        command.arg(
            "mount -t tmpfs none /run && mkdir /run/samba && mount --bind \"$0\" /run/samba && exec samba \"$@\"",
        );
        command.arg(path.join("run")).args(["-F", "--no-process-group", "-M", "single", "-s"]);
        command.arg(self.configuration());
        for option in [
            "server services = s3fs, rpc, ldap, cldap, kdc, winbindd, dns",
            "log level = 1",
            "disable spoolss = yes",
            "load printers = no",
            &format!("tls certfile = {}", path.join("dc1.pem").display()),
            &format!("tls keyfile = {}", path.join("dc1.key").display()),
            &format!("tls cafile = {}", path.join("ca.pem").display()),
        ] {
            command.arg(format!("--option={option}"));
        }
        // A group of its own, so that it ends with all its children.
        command.process_group(0);
        let mut process = Process::start("samba", &mut command, &path.join("log/samba.out"));
        let ports = [LDAPS, 389].map(|port| SocketAddr::new(self.address.parse().expect("an address"), port));
        // Winbind comes last; without it nobody signs in to the file server.
        let shares = || {
            let mut command = Command::new("smbclient");
            command.args(["-s", "/dev/null", &format!("//{}/sysvol", self.address), "-c", "ls"]);
            command.args(["-U", &format!("CORP/Administrator%{}", Self::ADMINISTRATOR_PASSWORD)]);
            command.stdin(Stdio::null()).output().is_ok_and(|output| output.status.success())
        };
        wait::until(
            "the domain controller",
            LIMIT,
            || {
                assert!(process.is_running(), "samba ended\n{}", process.log_tail());
                (ports.iter().all(|port| TcpStream::connect(port).is_ok()) && shares()).then_some(())
            },
            String::new,
        );
        self.process = Some(process);
    }
}

impl Drop for Samba {
    fn drop(&mut self) {
        self.stop();
    }
}

fn succeeded(command: &mut Command) -> String {
    let Output { status, stdout, stderr } =
        command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(status.success(), "{command:?}: {}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).expect("its tools write UTF-8")
}

/// An authority and the controller's certificate: the one that Samba makes for itself has no names that count.
fn certificates(folder: &Path, address: &str) {
    let mut authority = CertificateParams::new(Vec::new()).expect("no names");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let authority_key = KeyPair::generate().expect("a key");
    let ca = authority.self_signed(&authority_key).expect("an authority");
    let names = ["dc1.corp.example", "localhost", "127.0.0.1", address].map(str::to_owned);
    let key = KeyPair::generate().expect("a key");
    let certificate = CertificateParams::new(names.to_vec())
        .expect("names")
        .signed_by(&key, &Issuer::new(authority, authority_key))
        .expect("a certificate");
    let put = |name: &str, text: &str| {
        let path = folder.join(name);
        std::fs::write(&path, text).expect("a file of Samba's");
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600))
            .expect("its own file");
    };
    put("ca.pem", &ca.pem());
    put("dc1.pem", &certificate.pem());
    put("dc1.key", &key.serialize_pem());
}
