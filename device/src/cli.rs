//! The command line of `postern-device`.
//!
//! Exit codes: 0 done, 1 the server or the session refused, 2 invalid input, 3 unreachable, 4 this device is
//! denied, 64 usage.

mod bootstrap;
mod config;
mod enrol;
mod fleet;
mod new_csr;
mod pace;
mod password;
mod run;
mod setup;

use std::{io::Write as _, path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand, ValueEnum};
use postern_wire::syncml::Encoding;

use crate::{device::DeviceError, unit::SessionError};

/// Our OMA DM client and the simulated fleet.
#[derive(Debug, Parser)]
#[command(name = "postern-device", version)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Check in once, or again and again, as one device that keeps its state.
    Run(run::Run),
    /// Put an account in from a bootstrap file.
    Bootstrap(bootstrap::Bootstrap),
    /// Enrol over the air by a one-time password, and check in.
    Enrol(enrol::Enrol),
    /// Leave: tell the server, then erase account and keys.
    Unenrol(enrol::Unenrol),
    /// Set the device's password, or reset it with the recovery password; needs no network.
    Password(password::Password),
    /// Make a key and a certificate request for an enrolment of type certificate or signed.
    NewCsr(new_csr::NewCsr),
    /// Check in as many devices at a rate, in memory, and sum up.
    Fleet(fleet::FleetTask),
}

/// How messages are encoded.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum EncodingName {
    /// XML.
    #[default]
    Xml,
    /// WAP Binary XML.
    Wbxml,
}

impl From<EncodingName> for Encoding {
    fn from(name: EncodingName) -> Self {
        match name {
            EncodingName::Xml => Self::Xml,
            EncodingName::Wbxml => Self::Wbxml,
        }
    }
}

/// What is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Output {
    /// Lines for people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Why the program ends without having done what was asked.
#[derive(Debug)]
struct Failure {
    code: u8,
    why: String,
}

impl Failure {
    fn invalid(why: impl std::fmt::Display) -> Self {
        Self { code: 2, why: why.to_string() }
    }

    fn of_session(error: &DeviceError) -> Self {
        let code = match error {
            DeviceError::Transport(_) | DeviceError::Http { status: 502..=504, .. } => 3,
            DeviceError::Session(SessionError::Refused(_) | SessionError::OtherScheme(_))
            | DeviceError::Http { status: 401 | 403 | 404 | 410, .. } => 4,
            DeviceError::State(_)
            | DeviceError::Identity(_)
            | DeviceError::Plant(_)
            | DeviceError::Key(_) => 2,
            _ => 1,
        };
        Self { code, why: with_causes(error) }
    }
}

/// Reads the arguments and does what they say.
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let _unprintable = error.print();
            return ExitCode::from(if error.use_stderr() { 64 } else { 0 });
        }
    };
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_env("POSTERN_LOG"))
        .with_writer(std::io::stderr)
        .init();
    let done = match arguments.task {
        Task::Run(task) => task.perform(),
        Task::Bootstrap(task) => task.perform(),
        Task::Enrol(task) => task.perform(),
        Task::Unenrol(task) => task.perform(),
        Task::Password(task) => task.perform(),
        Task::NewCsr(task) => task.perform(),
        Task::Fleet(task) => task.perform(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let _unprintable = writeln!(std::io::stderr(), "postern-device: {}", failure.why);
            ExitCode::from(failure.code)
        }
    }
}

/// An error and what is behind it, on one line.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !line.contains(&text) {
            line = format!("{line}: {text}");
        }
        cause = error.source();
    }
    line
}

/// A line on standard output; a reader that has gone away is no error.
fn print(line: &str) {
    let _reader_gone = writeln!(std::io::stdout(), "{line}");
}

const KEY_FILE: &str = "device.key";
const CSR_FILE: &str = "device.csr";

/// Where the device's private key is kept.
fn key_file(state: &std::path::Path) -> PathBuf {
    state.join(KEY_FILE)
}
