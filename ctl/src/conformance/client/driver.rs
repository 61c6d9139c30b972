//! Who makes the client under test open a session: a program, a test, or nobody (a person does).
//!
//! A program is called with the verb as its argument and JSON on stdin; it runs as long as the session lasts, and
//! ends with code 64 when it cannot do what the verb says.
//!
//! | verb | in |
//! |-|-|
//! | session | account (server_uri, device_id, server_id, auth, user, password, server_password, ca_pem), encoding, version, fresh: forget everything first, user: what the person says to user alerts |
//! | notify | the same, and package0: a notification in hex |
//! | bootstrap | the same, and push: a WSP push in hex, pin |

use std::{
    io::{self, Write as _},
    process::{Child, Command, Stdio},
};

use serde_json::Value;

/// Why a driver did not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DriverError {
    /// It cannot; the case does not apply.
    #[error("the client cannot be made to: {0}")]
    Unsupported(String),
    /// It can, and failed.
    #[error("the client could not be started: {0}")]
    Failed(String),
}

/// A driver.
pub trait Driver {
    /// Begins what the verb says and returns at once.
    ///
    /// # Errors
    /// [`DriverError`].
    fn begin(&mut self, verb: &str, input: &Value) -> Result<(), DriverError>;

    /// Whether what was begun last has ended: its exit code, or -1. `None` while it runs, and always where only a
    /// person knows.
    fn ended(&mut self) -> Option<i32>;
}

/// A program.
#[derive(Debug)]
pub struct Program {
    path: String,
    running: Option<Child>,
}

impl Program {
    /// The program at a path, found as a shell finds it.
    #[must_use]
    pub const fn new(path: String) -> Self {
        Self { path, running: None }
    }
}

impl Driver for Program {
    fn begin(&mut self, verb: &str, input: &Value) -> Result<(), DriverError> {
        self.stop();
        let failed = |error: io::Error| DriverError::Failed(error.to_string());
        let mut command = Command::new(&self.path);
        command.arg(verb).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::inherit());
        let mut child = command.spawn().map_err(failed)?;
        if let Some(mut stdin) = child.stdin.take() {
            // A program that needs no input may have gone already.
            let _ = stdin.write_all(input.to_string().as_bytes());
        }
        self.running = Some(child);
        Ok(())
    }

    fn ended(&mut self) -> Option<i32> {
        let ended = self.running.as_mut()?.try_wait().ok()??;
        Some(ended.code().unwrap_or(-1))
    }
}

impl Program {
    fn stop(&mut self) {
        if let Some(mut child) = self.running.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Nobody: a person points the client at the listener.
#[derive(Clone, Copy, Debug, Default)]
pub struct Person;

impl Driver for Person {
    fn begin(&mut self, verb: &str, _: &Value) -> Result<(), DriverError> {
        match verb {
            "session" => Ok(()),
            other => Err(DriverError::Unsupported(format!("{other} needs --client CMD"))),
        }
    }

    fn ended(&mut self) -> Option<i32> {
        None
    }
}
