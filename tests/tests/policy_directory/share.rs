//! The share of SYSVOL by our own client, against servers that do not deserve trust: one that takes anybody as a guest, and one whose answers
//! somebody changes on the way. Nothing of either counts.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use postern_actors::{
    SystemClock,
    sysvol::{Folders, Gpo, GpoId, NoSecurity, SysvolCache},
};
use postern_adapters::sysvol::{self, SysvolConfig};
use postern_engine::policy::{directory::Directory, dn::Dn};
use postern_tests::{process, process::Process, wait};

use crate::domain::{ACCOUNT, Domain, PASSWORD};

const LIMIT: Duration = Duration::from_secs(30);
const GPO: &str = "{31B2F340-016D-11D2-945F-00C04FB984F9}";

/// A directory with one GPO.
fn directory(gpo: &str) -> Directory {
    let dn = Dn::new(gpo).expect("a name");
    let mut directory = Directory::default();
    directory.set_gpo(Gpo {
        id: GpoId::read(&dn.name()),
        dn,
        name: "Shared".to_owned(),
        flags: 0,
        version: 1,
        functionality: Some(2),
        computer_extensions: None,
        user_extensions: None,
        filter: None,
        security: Err(NoSecurity::Absent),
    });
    directory
}

/// How reading a GPO from a server ends: the word of reports, a sentence, and what is in force.
struct Ended {
    word: String,
    said: String,
    folders: Arc<Folders>,
}

impl Ended {
    fn is_read(&self) -> bool {
        matches!(self.word.as_str(), "same" | "older" | "newer")
    }
}

fn read(server: &str, gpo: &str, account: &str, password: &str, more: &str) -> Ended {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("password"), password).expect("the password");
    let config: SysvolConfig = toml::from_str(&format!(
        "kind = \"smb\"\nservers = [\"{server}\"]\naccount = \"{account}\"\npassword_file = \"password\"\nntlm = true\nanswer_ms = 4000\n{more}"
    ))
    .expect("settings");
    let source = sysvol::open(&config, folder.path()).expect("settings that can work");
    let cache = SysvolCache::new(source, Arc::new(SystemClock::new()));
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(cache.refresh(&directory(gpo), false));
    let status = cache.status();
    let gpo = status.gpos.values().next().expect("the GPO");
    Ended { word: gpo.state.word().to_owned(), said: gpo.said(), folders: cache.folders() }
}

/// A file server that takes whoever it does not know as a guest, with a GPO that it would give.
struct Guests {
    _process: Process,
    port: u16,
    _folder: tempfile::TempDir,
}

impl Guests {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path();
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .expect("its own folder");
        let gpo = path.join("share/corp.example/Policies").join(GPO);
        std::fs::create_dir_all(gpo.join("Machine")).expect("a GPO's folder");
        std::fs::write(gpo.join("GPT.INI"), "[General]\r\nVersion=1\r\n").expect("its version");
        for part in ["private", "lock", "state", "cache", "pid", "ncalrpc"] {
            std::fs::create_dir(path.join(part)).expect("a folder of Samba's");
        }
        let [port] = process::free_ports();
        let config = path.join("smb.conf");
        std::fs::write(&config, configuration(path, port)).expect("its configuration");
        let mut command = Command::new("smbd");
        command.args(["-F", "--no-process-group", "--debug-stdout", "-s"]).arg(&config);
        let process = Process::start("smbd", &mut command, &path.join("smbd.out"));
        let there = || {
            let mut command = Command::new("smbclient");
            command.args([
                "-s",
                "/dev/null",
                "-p",
                &port.to_string(),
                "//127.0.0.1/sysvol",
                "-c",
                "ls",
                "-U",
                "nobody-knows%x",
            ]);
            command.output().is_ok_and(|output| output.status.success()).then_some(())
        };
        wait::until("a file server with guests", LIMIT, there, || process.log_tail());
        Self { _process: process, port, _folder: folder }
    }
}

fn configuration(path: &Path, port: u16) -> String {
    let own = |key: &str, part: &str| format!("{key} = {}\n", path.join(part).display());
    let folders = [
        own("private dir", "private"),
        own("lock directory", "lock"),
        own("state directory", "state"),
        own("cache directory", "cache"),
        own("pid directory", "pid"),
        own("ncalrpc dir", "ncalrpc"),
        own("log file", "smbd.log"),
    ]
    .concat();
    format!(
        "[global]\nserver role = standalone server\nmap to guest = Bad User\nguest account = nobody\nsmb ports = {port}\n\
         interfaces = 127.0.0.1/8\nbind interfaces only = yes\ndisable netbios = yes\ndisable spoolss = yes\nload printers = no\n\
         {folders}[sysvol]\npath = {}\nguest ok = yes\nread only = yes\n",
        path.join("share").display()
    )
}

#[test]
fn a_server_that_takes_the_account_as_a_guest_is_not_believed() {
    let guests = Guests::start();
    let server = format!("127.0.0.1:{}", guests.port);
    let gpo = format!("CN={GPO},CN=Policies,CN=System,DC=corp,DC=example");
    for more in ["", "encrypt = true"] {
        let Ended { word, said, .. } = read(&server, &gpo, "nobody-knows@corp.example", "x", more);
        assert!(matches!(word.as_str(), "unprotected" | "account"), "{more}: {word}: {said}");
    }
}

#[test]
fn an_answer_that_was_changed_on_the_way_does_not_count() {
    let mut domain = Domain::start();
    domain.create("Shared");
    domain.set("Shared", &[("Lockdown\\Camera", 0)]);
    let gpo = domain.dn("Shared");
    let target = SocketAddr::new(domain.samba.address().parse().expect("an address"), 445);
    let account = format!("{ACCOUNT}@corp.example");
    let untouched = Meddler::before(target, usize::MAX);
    let good = read(&untouched.address, &gpo, &account, PASSWORD, "");
    assert!(good.is_read(), "{}: {}", good.word, good.said);
    let answers = untouched.answers.load(Ordering::SeqCst);
    assert!(answers > 8, "a negotiation, a session, a share, folders, files: {answers}");
    // The first few answers make the session; from there on each has to be signed or encrypted. An answer that ends something may be lost:
    // what counts is that nothing that was changed is believed, not even to be damaged.
    for more in ["", "encrypt = true"] {
        let mut refused = 0;
        for at in (3..answers).step_by((answers / 8).max(1)) {
            let meddler = Meddler::before(target, at);
            let ended = read(&meddler.address, &gpo, &account, PASSWORD, more);
            let said = format!("answer {at} was changed, {more}: {}: {}", ended.word, ended.said);
            if ended.is_read() {
                assert_eq!(ended.folders, good.folders, "{said}");
            } else {
                assert!(matches!(ended.word.as_str(), "down" | "slow" | "account" | "unprotected"), "{said}");
                refused += 1;
            }
        }
        assert!(refused > 2, "{more}");
    }
}

/// Passes a connection on and changes the last octet of one answer.
struct Meddler {
    address: String,
    answers: Arc<AtomicUsize>,
}

impl Meddler {
    fn before(target: SocketAddr, changed: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its address").to_string();
        let answers = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&answers);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(target) else { return };
                let (Ok(mut up), Ok(mut to)) = (client.try_clone(), server.try_clone()) else { return };
                thread::spawn(move || std::io::copy(&mut up, &mut to));
                let counted = Arc::clone(&counted);
                thread::spawn(move || pass(server, client, changed, &counted));
            }
        });
        Self { address, answers }
    }
}

/// Passes frames on (four octets of length before each) until one side ends.
fn pass(mut from: TcpStream, mut to: TcpStream, changed: usize, counted: &AtomicUsize) {
    let mut head = [0; 4];
    while from.read_exact(&mut head).is_ok() {
        let length = usize::try_from(u32::from_be_bytes(head) & 0x00ff_ffff).unwrap_or(0);
        let mut frame = vec![0; length];
        if from.read_exact(&mut frame).is_err() {
            break;
        }
        if counted.fetch_add(1, Ordering::SeqCst) == changed
            && let Some(last) = frame.last_mut()
        {
            *last ^= 1;
        }
        if to.write_all(&head).and_then(|()| to.write_all(&frame)).is_err() {
            break;
        }
    }
    let _ = to.shutdown(std::net::Shutdown::Both);
    let _ = from.shutdown(std::net::Shutdown::Both);
}
