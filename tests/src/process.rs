//! Real processes: started with their output kept, stopped by the pid that was recorded, nothing left over.

use std::{
    fs::File,
    net::TcpListener,
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use crate::wait;

/// A child process of the test. Dropping it kills it.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts a command with stdout and stderr appended to a file, and nothing on stdin.
    pub fn start(name: &str, command: &mut Command, log: &Path) -> Self {
        let output = File::options().create(true).append(true).open(log).expect("the log file of a process");
        let errors = output.try_clone().expect("a second handle on the log file");
        command.stdin(Stdio::null()).stdout(output).stderr(errors);
        let child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Self { name: name.to_owned(), child, log: log.to_owned() }
    }

    /// The process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has not ended.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Everything it has written so far.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The last lines of what it wrote, for the message of a failed test.
    #[must_use]
    pub fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<_> = log.lines().collect();
        let tail = &lines[lines.len().saturating_sub(40)..];
        format!("--- {} ({})\n{}", self.name, self.log.display(), tail.join("\n"))
    }

    /// SIGTERM, and SIGKILL when it has not ended after `grace`. Tells how it ended.
    pub fn stop(&mut self, grace: Duration) -> ExitStatus {
        self.signal("TERM");
        if !wait::holds_within(grace, || !matches!(self.child.try_wait(), Ok(None))) {
            self.signal("KILL");
        }
        self.child.wait().expect("a child that was signalled ends")
    }

    /// SIGKILL: no cleaning up, as in a crash or a power cut.
    pub fn kill_9(&mut self) {
        self.signal("KILL");
        let status = self.child.wait().expect("a killed child ends");
        assert!(status.signal().is_some() || status.code().is_some());
    }

    /// Sends a signal by name (`TERM`, `STOP`, `HUP` …) to this process alone.
    pub fn signal(&mut self, name: &str) {
        if self.is_running() {
            let pid = self.pid().to_string();
            let sent =
                Command::new("kill").args(["-s", name, &pid]).status().expect("kill is part of every system");
            assert!(sent.success() || !self.is_running(), "kill -s {name} {pid}");
        }
    }

    /// The processor time it has used so far, user and system.
    #[must_use]
    pub fn cpu_time(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap_or_default();
        let after_name = stat.rsplit(')').next().unwrap_or_default();
        let ticks: u64 =
            after_name.split_whitespace().skip(11).take(2).filter_map(|t| t.parse::<u64>().ok()).sum();
        Duration::from_millis(ticks * 10) // USER_HZ is 100 on every Linux
    }

    /// Resident memory in octets, now.
    #[must_use]
    pub fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap_or_default();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
        line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) * 1024
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Loopback ports that nobody has. They lie below the range that the system gives to outgoing connections
/// (from 32768), so that no connection of another test takes one before its server listens; two calls in one process
/// give different ports, and two processes start looking at different places.
#[must_use]
pub fn free_ports<const N: usize>() -> [u16; N] {
    const FIRST: u32 = 10_000;
    const COUNT: u32 = 20_000;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let start = std::process::id().wrapping_mul(61) % COUNT;
    [(); N].map(|()| {
        let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
        let ports = std::iter::repeat_with(|| FIRST + (start + NEXT.fetch_add(1, Ordering::Relaxed)) % COUNT);
        let mut ports = ports.take(COUNT as usize).filter_map(|port| u16::try_from(port).ok());
        ports.find(is_free).expect("one of 20,000 ports is free")
    })
}
