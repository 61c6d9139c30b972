//! `postern-device password`: the device's own password, set, checked, and reset with the recovery password. Nothing here asks the
//! network.

use std::{
    fs,
    io::{self, BufRead as _, IsTerminal as _, Write as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use clap::{Args, Subcommand};
use postern_wire::recovery::RecoveryPassword;
use secrecy::{ExposeSecret as _, SecretString};

use super::{Failure, config::Config, print, with_causes};
use crate::{
    edge,
    interaction::without_echo,
    recovery::{Recovery, RecoveryError, Reset},
};

/// A password's length, in octets.
const LENGTH: std::ops::RangeInclusive<usize> = 1..=256;

#[derive(Debug, Args)]
pub(super) struct Password {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Set the device's password; asks for the old one where there is one.
    Set {
        #[command(flatten)]
        place: Place,
        /// A file that holds the password that is set; without it the terminal is asked.
        #[arg(long)]
        old_file: Option<PathBuf>,
        /// A file that holds the new password; without it the terminal is asked.
        #[arg(long)]
        new_file: Option<PathBuf>,
    },
    /// Set a new device password with the recovery password that the help desk reads out.
    Reset {
        #[command(flatten)]
        place: Place,
        /// A file that holds the recovery password; without it the terminal is asked.
        #[arg(long)]
        recovery_file: Option<PathBuf>,
        /// A file that holds the new password; without it the terminal is asked.
        #[arg(long)]
        new_file: Option<PathBuf>,
    },
    /// Say whether this is the device's password: exit code 0 or 1.
    Check {
        #[command(flatten)]
        place: Place,
        /// A file that holds it; without it the terminal is asked.
        #[arg(long)]
        file: Option<PathBuf>,
    },
}

#[derive(Debug, Args)]
struct Place {
    /// The folder of the device's state.
    #[arg(long, default_value = "postern-device-state")]
    state: PathBuf,
    /// Its `[password]` section says which program tells the machine; see docs/DEVICE.md.
    #[arg(long)]
    config: Option<PathBuf>,
}

impl Password {
    pub(super) fn perform(self) -> Result<(), Failure> {
        match self.task {
            Task::Set { place, old_file, new_file } => {
                let recovery = Recovery::at(&place.state);
                let old = match recovery.has_password() {
                    Ok(true) => Some(given("The device's password", old_file.as_deref())?),
                    Ok(false) => None,
                    Err(error) => return Err(of(&error)),
                };
                let new = new(new_file.as_deref())?;
                let apply = place.apply(&new)?;
                match recovery.set_password(old.as_ref(), &new, apply, &mut edge::random) {
                    Ok(true) => said("the device's password is set"),
                    Ok(false) => Err(refused("that is not the device's password")),
                    Err(error) => Err(of(&error)),
                }
            }
            Task::Reset { place, recovery_file, new_file } => {
                let text = given("Recovery password", recovery_file.as_deref())?;
                let password = RecoveryPassword::parse(text.expose_secret()).map_err(Failure::invalid)?;
                let new = new(new_file.as_deref())?;
                let apply = place.apply(&new)?;
                let recovery = Recovery::at(&place.state);
                match recovery.reset(&password, &new, apply, edge::now(), &mut edge::random) {
                    Ok(Reset::Done { .. }) => said(
                        "the device's password is set; the recovery password is used up, and the next one \
                         goes to the server with the next session",
                    ),
                    Ok(Reset::Wrong) => Err(refused("that is not the recovery password of this device")),
                    Ok(Reset::None) => Err(refused("this device has no recovery password")),
                    Err(error) => Err(of(&error)),
                }
            }
            Task::Check { place, file } => {
                let given = given("The device's password", file.as_deref())?;
                match Recovery::at(&place.state).is_password(&given) {
                    Ok(true) => said("that is the device's password"),
                    Ok(false) => Err(refused("that is not the device's password")),
                    Err(error) => Err(of(&error)),
                }
            }
        }
    }
}

impl Place {
    /// What tells the machine its new password.
    fn apply(&self, new: &SecretString) -> Result<impl FnOnce() -> Result<(), String>, Failure> {
        let program = Config::read(self.config.as_deref())?.password_program().to_vec();
        let new = new.clone();
        Ok(move || tell(&program, &new))
    }
}

/// Runs the owner's program by its arguments, never through a shell, with the password as one line of its input.
fn tell(program: &[String], new: &SecretString) -> Result<(), String> {
    let Some((name, arguments)) = program.split_first() else { return Ok(()) };
    let run = || -> io::Result<bool> {
        let mut child = Command::new(name)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn()?;
        if let Some(mut input) = child.stdin.take() {
            input.write_all(new.expose_secret().as_bytes())?;
            input.write_all(b"\n")?;
        }
        Ok(child.wait()?.success())
    };
    match run() {
        Ok(true) => Ok(()),
        Ok(false) => Err(format!("{name} failed")),
        Err(error) => Err(format!("{name}: {error}")),
    }
}

fn new(file: Option<&Path>) -> Result<SecretString, Failure> {
    let password = given("New password of the device", file)?;
    let text = password.expose_secret();
    if !LENGTH.contains(&text.len()) || text.chars().any(char::is_control) {
        return Err(Failure::invalid("a password has 1 to 256 octets and no control characters"));
    }
    Ok(password)
}

/// What a file holds, or what a person types; without its line's end.
fn given(what: &str, file: Option<&Path>) -> Result<SecretString, Failure> {
    let text = match file {
        Some(file) => SecretString::from(
            fs::read_to_string(file)
                .map_err(|error| Failure::invalid(format!("{}: {error}", file.display())))?,
        ),
        None => {
            let _unprintable = write!(io::stderr(), "{what}: ");
            let read = || {
                let mut line = String::new();
                io::stdin().lock().read_line(&mut line).map(|_| SecretString::from(line))
            };
            let line = if io::stdin().is_terminal() { without_echo(read) } else { read() };
            line.map_err(Failure::invalid)?
        }
    };
    Ok(SecretString::from(text.expose_secret().trim_end_matches(['\r', '\n'])))
}

fn said(line: &str) -> Result<(), Failure> {
    print(line);
    Ok(())
}

fn refused(why: &str) -> Failure {
    Failure { code: 1, why: why.to_owned() }
}

fn of(error: &RecoveryError) -> Failure {
    let code = if matches!(error, RecoveryError::Applying(_)) { 1 } else { 2 };
    Failure { code, why: with_causes(error) }
}
