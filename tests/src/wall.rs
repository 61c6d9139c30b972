//! A wall clock that a test sets for real processes: Debian's libfaketime stands before the system's, and only what is
//! asked for the time of day is told another one. Stop-watches run on, as after a clock that was set.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// Where Debian puts it, for each architecture.
const LIBRARIES: &str = "/usr/lib";

/// The clock of the processes that are started with its environment.
#[derive(Debug)]
pub struct WallClock {
    folder: tempfile::TempDir,
    library: PathBuf,
}

impl Default for WallClock {
    fn default() -> Self {
        Self::new()
    }
}

impl WallClock {
    /// One that shows the right time. Panics where libfaketime is missing.
    #[must_use]
    pub fn new() -> Self {
        let library = find().expect("libfaketime is missing: apt-get install libfaketime");
        let folder = tempfile::Builder::new().prefix("postern-clock-").tempdir().expect("a folder");
        let clock = Self { folder, library };
        clock.set(0);
        clock
    }

    /// Sets it to so many seconds after (before) the right time; the running processes see it at their next look.
    pub fn set(&self, seconds: i64) {
        let next = self.folder.path().join("next");
        std::fs::write(&next, format!("{seconds:+}\n")).expect("a file");
        std::fs::rename(next, self.file()).expect("renamed");
    }

    /// What a process is started with.
    #[must_use]
    pub fn environment(&self) -> Vec<(String, String)> {
        [
            ("LD_PRELOAD", self.library.display().to_string()),
            ("FAKETIME_TIMESTAMP_FILE", self.file().display().to_string()),
            ("FAKETIME_NO_CACHE", "1".to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
            ("NO_FAKE_STAT", "1".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec()
    }

    /// Lets a command live by it.
    pub fn govern(&self, command: &mut Command) {
        command.envs(self.environment());
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("clock")
    }
}

fn find() -> Option<PathBuf> {
    let below = |folder: &Path| folder.join("faketime/libfaketimeMT.so.1");
    let folders = std::fs::read_dir(LIBRARIES).ok()?.flatten().map(|entry| entry.path());
    folders.map(|folder| below(&folder)).find(|library| library.is_file())
}
