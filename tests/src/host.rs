//! A host of its own on this machine: a place of the [`Perimeter`] with its own /etc, /var/lib, /usr/local/bin and /root.
//!
//! Commands run on it as an operator types them, in one shell that keeps what was exported. Two programs that need a
//! whole machine are stood in for: `systemctl enable --now UNIT` starts the unit's own command line under its user and
//! capabilities, and `ssh HOST COMMAND` runs the command on the other host. Everything else is the real thing.

use std::{
    fmt::Write as _,
    fs,
    io::{BufRead as _, BufReader, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
};

use tempfile::TempDir;

use crate::perimeter::{Perimeter, Place};

/// What is private to a host: a folder here, and where it stands there.
const PRIVATE: [(&str, &str); 5] = [
    ("etc", "/etc"),
    ("lib", "/var/lib"),
    ("bin", "/usr/local/bin"),
    ("share", "/usr/local/share"),
    ("root", "/root"),
];

/// Stands in for systemd: starts what the unit says, as the unit says, and keeps its process id.
const SYSTEMCTL: &str = r#"#!/bin/bash
set -euo pipefail
[ "$1 $2" = "enable --now" ] || { echo "this systemctl knows enable --now only" >&2; exit 64; }
unit=/etc/systemd/system/$3.service
value() { sed -n "s/^$1=//p" "$unit"; }
user=$(value User)
capabilities=$(value AmbientCapabilities | tr 'A-Z ' 'a-z,' | sed 's/cap_/+/g')
before=$(value ExecStartPre)
as=(setpriv --reuid "$user" --regid "$(id -g "$user")" --clear-groups --no-new-privs --inh-caps "-all${capabilities:+,$capabilities}"
    --ambient-caps "-all${capabilities:+,$capabilities}" --bounding-set "-all${capabilities:+,$capabilities}")
cd "$(value WorkingDirectory)"
umask "$(value UMask)"
if [ -n "$before" ]; then "${as[@]}" $before; fi
setsid "${as[@]}" $(value ExecStart) >>"/root/$3.log" 2>&1 </dev/null &
echo $! >"/root/$3.pid"
"#;

/// Stands in for sshd and a network between the operator and the other host.
fn ssh(other: u32) -> String {
    format!("#!/bin/bash\nexec nsenter -t {other} -m -n -- bash -c \"cd /root && $2\"\n")
}

/// A host. Dropping it ends what was started on it and takes it away.
#[derive(Debug)]
pub struct Host {
    folder: TempDir,
    shell: Child,
    input: ChildStdin,
    answers: BufReader<std::process::ChildStdout>,
}

/// What a command said, and its exit status.
#[derive(Clone, Debug)]
pub struct Said {
    /// Exit status.
    pub exit: i32,
    /// stdout and stderr together.
    pub text: String,
}

impl Host {
    /// A host at a place; `names` are lines for its /etc/hosts. `work` is the folder that commands run in.
    ///
    /// # Panics
    /// When this machine lacks namespaces, or the rights to make them.
    #[must_use]
    pub fn new(perimeter: &Perimeter, place: Place, names: &[(&str, Place)], work: &Path) -> Self {
        let folder = tempfile::Builder::new().prefix("postern-host-").tempdir().expect("a temporary folder");
        // Others than root have to reach what is below.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("a mode");
        let copied = Command::new("cp").args(["-a", "/etc"]).arg(folder.path().join("etc")).status();
        assert!(copied.expect("cp is part of every system").success(), "/etc is copied");
        for (own, _) in &PRIVATE[1..] {
            fs::create_dir(folder.path().join(own)).expect("a folder");
        }
        let mut hosts = fs::read_to_string(folder.path().join("etc/hosts")).unwrap_or_default();
        for (name, place) in names {
            let _ = writeln!(hosts, "{} {name}", place.address());
        }
        fs::write(folder.path().join("etc/hosts"), hosts).expect("/etc/hosts");
        let mut script = String::from("exec 2>&1\n");
        for (own, there) in PRIVATE {
            let _ = writeln!(script, "mount --bind '{}' {there}", folder.path().join(own).display());
        }
        let _ = writeln!(
            script,
            "cd '{}'; export PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root",
            work.display()
        );
        let mut command = perimeter.command(place, "unshare");
        command.args(["--mount", "--propagation", "private", "bash", "--noprofile", "--norc"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut shell = command.spawn().expect("ip netns exec starts");
        let input = shell.stdin.take().expect("stdin was piped");
        let answers = BufReader::new(shell.stdout.take().expect("stdout was piped"));
        let mut host = Self { folder, shell, input, answers };
        let made = host.run(&script);
        assert_eq!(made.exit, 0, "a host needs its own mounts (CAP_SYS_ADMIN): {}", made.text);
        host.program("systemctl", SYSTEMCTL);
        host
    }

    /// Lets `ssh ANYTHING COMMAND` on this host reach `other`.
    pub fn trusts(&self, other: &Self) {
        self.program("ssh", &ssh(other.shell.id()));
    }

    /// Runs a line as typed at this host's shell, and waits for its end.
    ///
    /// # Panics
    /// When the shell has ended.
    pub fn run(&mut self, line: &str) -> Said {
        const END: &str = "\u{1}end of command ";
        write!(self.input, "{{ {line}\n}} </dev/null 2>&1; printf '\\n{END}%s\\n' $?\n")
            .expect("the shell reads");
        self.input.flush().expect("the shell reads");
        let mut text = String::new();
        loop {
            let mut read = String::new();
            let octets = self.answers.read_line(&mut read).expect("the shell writes");
            assert!(octets > 0, "the shell ended at {line:?}: {text}");
            if let Some(exit) = read.strip_prefix(END) {
                return Said { exit: exit.trim().parse().unwrap_or(-1), text: text.trim_end().to_owned() };
            }
            text.push_str(&read);
        }
    }

    /// A command line in front of a program's name that runs it on this host.
    #[must_use]
    pub fn prefix(&self) -> Vec<String> {
        ["nsenter", "-t", &self.shell.id().to_string(), "-m", "-n", "--"].map(str::to_owned).to_vec()
    }

    /// Where a file of the host is seen from here: `/var/lib/x` as `…/lib/x`.
    #[must_use]
    pub fn path(&self, there: &str) -> PathBuf {
        let own = PRIVATE.iter().find_map(|(own, prefix)| {
            Some(self.folder.path().join(own).join(there.strip_prefix(prefix)?.trim_start_matches('/')))
        });
        own.unwrap_or_else(|| PathBuf::from(there))
    }

    /// What a unit's program has written.
    #[must_use]
    pub fn log(&self, unit: &str) -> String {
        fs::read_to_string(self.path(&format!("/root/{unit}.log"))).unwrap_or_default()
    }

    fn program(&self, name: &str, text: &str) {
        let path = self.folder.path().join("bin").join(name);
        fs::write(&path, text).expect("a program");
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("a mode");
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let started = fs::read_dir(self.folder.path().join("root")).into_iter().flatten().flatten();
        let pids = started.filter(|file| file.path().extension().is_some_and(|extension| extension == "pid"));
        for pid in pids.filter_map(|file| fs::read_to_string(file.path()).ok()) {
            let _ = Command::new("kill").args(["-s", "KILL", pid.trim()]).stderr(Stdio::null()).status();
        }
        let _ = self.shell.kill();
        let _ = self.shell.wait();
    }
}
