//! postern-device as a person runs it: a state folder, an enrolment file, one check-in.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::Value;

use crate::{binaries, ctl::Ctl};

/// A device of ours with its files.
#[derive(Clone, Debug)]
pub struct Device {
    /// Its DevId.
    pub device_id: String,
    /// Its state folder.
    pub state: PathBuf,
    /// Its enrolment file.
    pub enrolment: PathBuf,
    /// What it is started with beside: the clock that it lives by.
    pub environment: Vec<(String, String)>,
}

/// What one run said and ended with.
#[derive(Clone, Debug)]
pub struct Ran {
    /// Exit code.
    pub exit: i32,
    /// Its events.
    pub events: Vec<Value>,
    /// What it wrote to stderr.
    pub err: String,
}

impl Device {
    /// Enrols a new device: makes its key and request where the way of authentication needs one.
    #[must_use]
    pub fn enrol(ctl: &Ctl, folder: &Path, device_id: &str, auth: &str) -> Self {
        let name = device_id.replace(|c: char| !c.is_ascii_alphanumeric(), "_");
        let state = folder.join(format!("{name}-state"));
        let enrolment = folder.join(format!("{name}-enrolment.json"));
        let out = enrolment.to_string_lossy().into_owned();
        let csr = state.join("device.csr").to_string_lossy().into_owned();
        let mut args = vec!["device", "enrol", "--device-id", device_id, "--auth", auth, "--out", &out];
        if matches!(auth, "certificate" | "signed") {
            let mut command = Command::new(binaries::path("postern-device"));
            command.args(["new-csr", "--device-id", device_id, "--state"]).arg(&state);
            let made = command.output().expect("postern-device starts");
            assert!(made.status.success(), "{command:?}: {}", String::from_utf8_lossy(&made.stderr));
            args.extend(["--csr", &csr]);
        }
        let _ = ctl.ok(&args);
        Self { device_id: device_id.to_owned(), state, enrolment, environment: Vec::new() }
    }

    /// Checks in once.
    #[must_use]
    pub fn check_in(&self, more: &[&str]) -> Ran {
        self.check_in_by(Command::new(binaries::path("postern-device")), more)
    }

    /// Checks in once, started by another command line in front: `ip netns exec …`.
    #[must_use]
    pub fn check_in_by(&self, mut command: Command, more: &[&str]) -> Ran {
        command.args(["run", "--once", "--output", "json", "--state"]).arg(&self.state);
        command.arg("--enrolment").arg(&self.enrolment).args(more).stdin(Stdio::null());
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        let Output { status, stdout, stderr } = command.output().expect("postern-device starts");
        let events = String::from_utf8_lossy(&stdout)
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect();
        Ran { exit: status.code().unwrap_or(-1), events, err: String::from_utf8_lossy(&stderr).into_owned() }
    }
}
