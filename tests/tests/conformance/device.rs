//! postern-device as a client under test: a process for each session, with its state in a temporary folder.

use std::{
    fs,
    io::Write as _,
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use postern_tests::binaries;
use posternctl::conformance::client::{Driver, DriverError};
use serde_json::Value;
use tempfile::TempDir;

use crate::inside::{Begun, Work};

/// The driver of our device.
pub(crate) struct Device {
    folder: TempDir,
    running: Option<Child>,
    inside: Option<Begun>,
}

impl Device {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder"), running: None, inside: None }
    }

    fn stop(&mut self) {
        self.inside = None;
        if let Some(mut child) = self.running.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// The state folder; a client that is to forget everything gets an empty one.
    fn state(&self, input: &Value) -> Result<PathBuf, DriverError> {
        let state = self.folder.path().join("state");
        if input["fresh"] == true && state.exists() {
            fs::remove_dir_all(&state).map_err(|error| DriverError::Failed(error.to_string()))?;
        }
        Ok(state)
    }

    /// A session of the real binary.
    fn session(&mut self, input: &Value) -> Result<(), DriverError> {
        let state = self.state(input)?;
        let enrolment = self.folder.path().join("enrolment.json");
        fs::write(&enrolment, input["account"].to_string()).expect("a file in a temporary folder");
        let mut command = Command::new(binaries::path("postern-device"));
        command.args(["run", "--once", "--output", "json", "--encoding"]);
        command.arg(input["encoding"].as_str().unwrap_or("xml"));
        command.arg("--state").arg(&state).arg("--enrolment").arg(&enrolment);
        let words: Vec<_> =
            input["user"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        if !words.is_empty() {
            command.arg("--interactive");
        }
        let log = fs::File::create(self.folder.path().join("log")).expect("a file in a temporary folder");
        let errors = log.try_clone().expect("a second handle");
        command.stdin(Stdio::piped()).stdout(log).stderr(errors);
        let mut child = command.spawn().map_err(|error| DriverError::Failed(error.to_string()))?;
        let mut stdin = child.stdin.take().expect("stdin was piped");
        for word in words {
            let _ = writeln!(stdin, "{word}");
        }
        self.running = Some(child);
        Ok(())
    }
}

impl Driver for Device {
    fn begin(&mut self, verb: &str, input: &Value) -> Result<(), DriverError> {
        self.stop();
        if verb == "session" && input["version"] == "1.2" {
            return self.session(input);
        }
        let work = Work { verb: verb.to_owned(), input: input.clone(), state: self.state(input)? };
        self.inside = Some(work.begin());
        Ok(())
    }

    fn ended(&mut self) -> Option<i32> {
        if let Some(inside) = &self.inside {
            return inside.has_ended().then_some(0);
        }
        let ended = self.running.as_mut()?.try_wait().ok()??;
        Some(ended.code().unwrap_or(-1))
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        self.stop();
    }
}
