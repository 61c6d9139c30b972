//! A private, real PostgreSQL for tests: started from the installed binaries in a folder of its own, with TLS on a
//! free loopback port and a unix socket, and gone afterwards. Feature `testkit`; never in a product build.
//!
//! Whatever ends the test process, kill -9 included, a watchdog process sees its pipe close, stops the server by
//! its pid and removes the folder.

use std::{
    fs,
    io::Read,
    net::TcpListener,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Mutex, OnceLock, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

use crate::{
    conn::{Conn, Purpose},
    options::{Options, Place, PostgresPlace},
};

/// How often a server is asked whether it is there, and how long between.
const TRIES: u32 = 600;
const PAUSE: Duration = Duration::from_millis(50);

/// Why there is no cluster; says what to do.
#[derive(Debug, thiserror::Error)]
#[error("no PostgreSQL for the tests: {0}")]
pub struct NoCluster(String);

/// How a cluster is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// `fsync` and its kin off: for tests of behaviour.
    Off,
    /// As a server should be: for tests that kill it, and for benchmarks.
    On,
}

/// A running private PostgreSQL.
pub struct Cluster {
    dir: PathBuf,
    bin: PathBuf,
    port: u16,
    account: Option<(u32, u32)>,
    durability: Durability,
    postmaster: Mutex<Option<Child>>,
    watchdog: Mutex<Option<Child>>,
    databases: AtomicU32,
}

impl Cluster {
    /// The one cluster of this test process, started by the first who asks.
    ///
    /// # Panics
    /// When there is no PostgreSQL: a missing database is a failure with its reason, not a skipped test.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Cluster> = OnceLock::new();
        SHARED.get_or_init(|| match Self::start(Durability::Off) {
            Ok(cluster) => cluster,
            Err(reason) => panic!("{reason}"),
        })
    }

    /// Starts a cluster.
    pub fn start(durability: Durability) -> Result<Self, NoCluster> {
        let bin = binaries()?;
        let dir =
            tempfile::Builder::new().prefix("postern-pg-").tempdir().map_err(no("temporary folder"))?.keep();
        let cluster = Self {
            port: free_port()?,
            account: account()?,
            dir,
            bin,
            durability,
            postmaster: Mutex::default(),
            watchdog: Mutex::default(),
            databases: AtomicU32::new(0),
        };
        cluster.set_watchdog()?;
        cluster.prepare()?;
        cluster.launch()?;
        Ok(cluster)
    }

    /// A new empty database, reached over TLS with a password.
    pub fn database(&self) -> Result<PostgresPlace, NoCluster> {
        let name = format!("t{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.execute(&format!("CREATE DATABASE {name} OWNER app"))?;
        Ok(self.by_password(&name))
    }

    /// This database over TLS, with a password.
    #[must_use]
    pub fn by_password(&self, database: &str) -> PostgresPlace {
        let port = self.port;
        PostgresPlace {
            ca_file: Some(self.dir.join("ca.pem")),
            ..PostgresPlace::at(format!("postgresql://app:s3cret@127.0.0.1:{port}/{database}"))
        }
    }

    /// This database over TLS, with a client certificate and no password.
    #[must_use]
    pub fn by_certificate(&self, database: &str) -> PostgresPlace {
        let port = self.port;
        PostgresPlace {
            ca_file: Some(self.dir.join("ca.pem")),
            client_certificate_file: Some(self.dir.join("certified.pem")),
            client_key_file: Some(self.dir.join("certified.key")),
            ..PostgresPlace::at(format!("postgresql://certified@127.0.0.1:{port}/{database}"))
        }
    }

    /// This database over the unix socket.
    #[must_use]
    pub fn by_socket(&self, database: &str) -> PostgresPlace {
        let socket = self.dir.join("sock").display().to_string().replace('/', "%2F");
        let port = self.port;
        PostgresPlace::at(format!("postgresql://app:s3cret@{socket}:{port}/{database}?sslmode=disable"))
    }

    /// The port of its TLS listener on 127.0.0.1.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Runs a statement as the superuser.
    pub fn execute(&self, sql: &str) -> Result<(), NoCluster> {
        let socket = self.dir.join("sock").display().to_string().replace('/', "%2F");
        let port = self.port;
        let url = format!("postgresql://postgres@{socket}:{port}/postgres?sslmode=disable");
        let options = Options::new(Place::Postgres(PostgresPlace::at(url)), uuid::Uuid::nil());
        let mut conn = Conn::open(&options, Purpose::Write).map_err(no("connection"))?;
        conn.run(sql).map_err(no("statement"))
    }

    /// Kills the server as a crash would, all at once, and waits until it is gone.
    pub fn kill(&self) {
        let child = self.postmaster.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut child) = child {
            // A killed child is gone after wait; there is nothing to do about an error.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Starts the server again after [`Cluster::kill`], on the same port and data.
    pub fn launch(&self) -> Result<(), NoCluster> {
        for _ in 0..TRIES {
            let mut child = self.command("postgres").args(self.settings()).spawn().map_err(no("postgres"))?;
            for _ in 0..TRIES {
                if self.answers() {
                    *self.postmaster.lock().unwrap_or_else(PoisonError::into_inner) = Some(child);
                    return Ok(());
                }
                // It ends by itself while the processes of a killed server are still going.
                if child.try_wait().map_err(no("postgres"))?.is_some() {
                    break;
                }
                std::thread::sleep(PAUSE);
            }
            std::thread::sleep(PAUSE);
        }
        let log = fs::read_to_string(self.dir.join("log")).unwrap_or_default();
        Err(NoCluster(format!("the server does not start: {log}")))
    }

    // --- how it is made

    fn prepare(&self) -> Result<(), NoCluster> {
        set_mode(&self.dir, 0o755)?;
        certificates(&self.dir)?;
        for folder in ["pg", "sock"] {
            fs::create_dir(self.dir.join(folder)).map_err(no(folder))?;
            self.give(folder, 0o700)?;
        }
        self.give("server.key", 0o600)?;
        fs::write(self.dir.join("log"), "").map_err(no("log"))?;
        self.give("log", 0o600)?;
        let mut initdb = self.command("initdb");
        initdb.args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync", "-D"]);
        let made = initdb.arg(self.data()).output().map_err(no("initdb"))?;
        if !made.status.success() {
            return Err(NoCluster(format!("initdb: {}", String::from_utf8_lossy(&made.stderr))));
        }
        let hba = "local all all trust\n\
                   hostssl all certified 127.0.0.1/32 cert\n\
                   hostssl all all 127.0.0.1/32 scram-sha-256\n\
                   hostnossl all all 127.0.0.1/32 reject\n";
        fs::write(self.data().join("pg_hba.conf"), hba).map_err(no("pg_hba.conf"))?;
        self.launch()?;
        self.execute("CREATE ROLE app LOGIN PASSWORD 's3cret'")?;
        self.execute("CREATE ROLE certified LOGIN IN ROLE app")?;
        self.stop();
        Ok(())
    }

    fn settings(&self) -> Vec<String> {
        let mut settings = vec![
            "listen_addresses=127.0.0.1".to_owned(),
            format!("port={}", self.port),
            format!("unix_socket_directories={}", self.dir.join("sock").display()),
            "ssl=on".to_owned(),
            format!("ssl_cert_file={}", self.dir.join("server.pem").display()),
            format!("ssl_key_file={}", self.dir.join("server.key").display()),
            format!("ssl_ca_file={}", self.dir.join("ca.pem").display()),
            "ssl_min_protocol_version=TLSv1.3".to_owned(),
            "shared_buffers=32MB".to_owned(),
            "max_connections=100".to_owned(),
        ];
        if self.durability == Durability::Off {
            settings
                .extend(["fsync=off", "synchronous_commit=off", "full_page_writes=off"].map(str::to_owned));
        }
        let mut args = vec!["-D".to_owned(), self.data().display().to_string()];
        args.extend(settings.into_iter().flat_map(|setting| ["-c".to_owned(), setting]));
        args
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.bin.join(program));
        let log = fs::OpenOptions::new().append(true).open(self.dir.join("log"));
        command.current_dir(&self.dir).process_group(0).stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(log.map_or_else(|_| Stdio::null(), Stdio::from));
        command.env_clear().env("PATH", "/usr/bin:/bin").env("LC_ALL", "C.UTF-8");
        if let Some((uid, gid)) = self.account {
            command.uid(uid).gid(gid);
        }
        command
    }

    fn answers(&self) -> bool {
        let mut ready = self.command("pg_isready");
        ready.args(["-q", "-h"]).arg(self.dir.join("sock")).args(["-p", &self.port.to_string()]);
        ready.status().is_ok_and(|status| status.success())
    }

    /// Makes the postgres account the owner of a file, when we are root.
    fn give(&self, name: &str, mode: u32) -> Result<(), NoCluster> {
        let path = self.dir.join(name);
        set_mode(&path, mode)?;
        if let Some((uid, gid)) = self.account {
            std::os::unix::fs::chown(&path, Some(uid), Some(gid)).map_err(no(name))?;
        }
        Ok(())
    }

    fn data(&self) -> PathBuf {
        self.dir.join("pg/data")
    }

    /// Stops the server in order ("fast" shutdown).
    pub fn stop(&self) {
        let child = self.postmaster.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut child) = child {
            let asked = Command::new("kill").arg("-INT").arg(child.id().to_string()).status();
            if asked.is_ok_and(|status| status.success()) {
                // It is gone after wait; there is nothing to do about an error.
                let _ = child.wait();
            }
        }
    }

    /// A process that outlives us by a moment: when its standard input closes, it stops the server and removes
    /// the folder.
    fn set_watchdog(&self) -> Result<(), NoCluster> {
        const SCRIPT: &str = r#"
            cat >/dev/null
            pid=$(head -n 1 "$1/pg/data/postmaster.pid" 2>/dev/null)
            if [ -n "$pid" ]; then
                kill -INT "$pid" 2>/dev/null
                n=0
                while kill -0 "$pid" 2>/dev/null && [ $n -lt 200 ]; do sleep 0.05; n=$((n+1)); done
                kill -QUIT "$pid" 2>/dev/null && sleep 1
            fi
            rm -rf "$1"
        "#;
        let child = Command::new("/bin/sh")
            .args(["-c", SCRIPT, "watchdog"])
            .arg(&self.dir)
            .process_group(0)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(no("watchdog"))?;
        *self.watchdog.lock().unwrap_or_else(PoisonError::into_inner) = Some(child);
        Ok(())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.stop();
        let watchdog = self.watchdog.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut child) = watchdog {
            drop(child.stdin.take());
            // It removes the folder and ends; there is nothing to do about an error.
            let _ = child.wait();
        }
    }
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Cluster({}, port {})", self.dir.display(), self.port)
    }
}

/// Runs a statement inside a write, behind the topics' backs: for tests that tamper.
pub fn run(tx: &mut crate::Tx, sql: &str) -> Result<(), crate::StoreError> {
    tx.conn.run(sql)
}

/// The newest installed server, or the folder that `POSTERN_POSTGRES_BIN` names.
fn binaries() -> Result<PathBuf, NoCluster> {
    if let Some(folder) = std::env::var_os("POSTERN_POSTGRES_BIN") {
        return Ok(PathBuf::from(folder));
    }
    let mut found: Vec<(u32, PathBuf)> = Vec::new();
    for entry in fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten() {
        let bin = entry.path().join("bin");
        let version = entry.file_name().to_str().and_then(|name| name.parse().ok());
        if let Some(version) = version
            && bin.join("initdb").exists()
        {
            found.push((version, bin));
        }
    }
    found.sort();
    found.pop().map(|(_, bin)| bin).ok_or_else(|| {
        NoCluster(
            "no /usr/lib/postgresql/*/bin/initdb; install the package postgresql, or set POSTERN_POSTGRES_BIN".into(),
        )
    })
}

/// The account that the server runs under: `postgres` when we are root (initdb refuses root), else our own.
fn account() -> Result<Option<(u32, u32)>, NoCluster> {
    let mut status = String::new();
    fs::File::open("/proc/self/status")
        .and_then(|mut f| f.read_to_string(&mut status))
        .map_err(no("own uid"))?;
    let is_root =
        status.lines().any(|line| line.starts_with("Uid:") && line.split_whitespace().nth(2) == Some("0"));
    if !is_root {
        return Ok(None);
    }
    let passwd = fs::read_to_string("/etc/passwd").map_err(no("/etc/passwd"))?;
    for line in passwd.lines() {
        let mut parts = line.split(':');
        if let (Some("postgres"), _, Some(uid), Some(gid)) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        {
            let ids = uid.parse().ok().zip(gid.parse().ok());
            return ids.map(Some).ok_or_else(|| NoCluster("the account postgres has no numbers".into()));
        }
    }
    Err(NoCluster("running as root, and there is no account postgres to run the server under".into()))
}

fn free_port() -> Result<u16, NoCluster> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(no("free port"))?;
    Ok(listener.local_addr().map_err(no("free port"))?.port())
}

/// An authority, the server's certificate for 127.0.0.1 and localhost, and one for the role `certified`.
fn certificates(dir: &Path) -> Result<(), NoCluster> {
    let write = |name: &str, text: String| fs::write(dir.join(name), text).map_err(no("certificate file"));
    let ca_key = KeyPair::generate().map_err(no("key"))?;
    let mut ca = CertificateParams::new(Vec::<String>::new()).map_err(no("certificate"))?;
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.distinguished_name.push(DnType::CommonName, "test authority");
    let ca_certificate = ca.self_signed(&ca_key).map_err(no("certificate"))?;
    write("ca.pem", ca_certificate.pem())?;
    let issuer = Issuer::new(ca, ca_key);
    let leaves =
        [("server", vec!["127.0.0.1".to_owned(), "localhost".to_owned()]), ("certified", Vec::new())];
    for (name, hosts) in leaves {
        let key = KeyPair::generate().map_err(no("key"))?;
        let mut leaf = CertificateParams::new(hosts).map_err(no("certificate"))?;
        leaf.distinguished_name = rcgen::DistinguishedName::new();
        leaf.distinguished_name.push(DnType::CommonName, name);
        let certificate = leaf.signed_by(&key, &issuer).map_err(no("certificate"))?;
        write(&format!("{name}.pem"), certificate.pem())?;
        write(&format!("{name}.key"), key.serialize_pem())?;
        set_mode(&dir.join(format!("{name}.key")), 0o600)?;
    }
    Ok(())
}

fn set_mode(path: &Path, mode: u32) -> Result<(), NoCluster> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(no("file mode"))
}

fn no<E: std::fmt::Display>(what: &str) -> impl Fn(E) -> NoCluster + use<'_, E> {
    move |error| NoCluster(format!("{what}: {error}"))
}
