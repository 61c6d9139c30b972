//! The command line for admins, and offline tools on messages.
//!
//! [`run`] is the whole program without its process: arguments in, two streams and an exit code out. It speaks
//! to the core only over the admin API ([`client`]), with the API's own types (postern-api).
#![forbid(unsafe_code)]

pub mod args;
pub mod bootstrap;
pub mod client;
pub mod commands;
pub mod conformance;
mod csv;
pub mod failure;
pub mod files;
pub mod notification;
pub mod output;
pub mod policy;
pub mod syncml;
pub mod text;
pub mod time;

use std::{ffi::OsString, io::Write};

use clap::{CommandFactory as _, Parser as _};

use crate::{
    args::{Cli, Command, Connection},
    client::Client,
    commands::{device, lock, login, recording, safety, server, session, status, why},
    failure::{Exit, Failure},
    output::Output,
};

/// Runs one command line. `args` starts with the program's name.
pub fn run(args: impl IntoIterator<Item = OsString>, out: &mut dyn Write, err: &mut dyn Write) -> Exit {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) if error.use_stderr() => {
            let _ = write!(err, "{error}");
            return Exit::Usage;
        }
        Err(help_or_version) => {
            let _ = write!(out, "{help_or_version}");
            return Exit::Done;
        }
    };
    let mut output = Output { format: cli.output, out, err };
    match dispatch(cli.command, &cli.connection, &mut output) {
        Ok(exit) => exit,
        Err(failure) => {
            output.failure(&failure);
            failure.exit
        }
    }
}

fn dispatch(command: Command, connection: &Connection, output: &mut Output<'_>) -> Result<Exit, Failure> {
    match &command {
        Command::Device(device::Action::Enrol(enrol)) => enrol.check()?,
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "posternctl", &mut script);
            return output.octets(&script).map(|()| Exit::Done);
        }
        _ => {}
    }
    match command {
        Command::Syncml(action) => return action.run(output),
        Command::Session(session::Action::Replay { files }) => return recording::replay(&files, output),
        Command::Notification(action) => return action.run(output),
        Command::Engine(action) => return action.run(output),
        Command::Bootstrap(bootstrap::Action::Decode(decode)) => return decode.run(output),
        Command::Policy(action) if action.is_offline() => return action.run(output),
        Command::Conformance(action) => return action.run(connection, output),
        _ => {}
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime =
        runtime.map_err(|error| Failure::new(Exit::Refused, "internal", format!("no runtime: {error}")))?;
    match command {
        Command::Login(login) => runtime.block_on(login.run(connection, output)),
        Command::Logout => runtime.block_on(login::logout(connection, output)),
        command => {
            let client = Client::new(connection)?;
            runtime.block_on(ask(command, &client, output))
        }
    }
}

/// The commands that need the core.
async fn ask(command: Command, client: &Client, output: &mut Output<'_>) -> Result<Exit, Failure> {
    match command {
        Command::Device(action) => action.run(client, output).await,
        Command::Directory(action) => action.run(client, output).await,
        Command::Enrolment(action) => action.run(client, output).await,
        Command::Wipe(action) => action.run(client, output).await,
        Command::Command(action) => action.run(client, output).await,
        Command::Mo(action) => action.run(client, output).await,
        Command::Bootstrap(bootstrap::Action::Make(make)) => make.run(client, output).await,
        Command::Group(action) => action.run(client, output).await,
        Command::Quirks(action) => action.run(client, output).await,
        Command::Recovery(action) => action.run(client, output).await,
        Command::Session(action) => action.run(client, output).await,
        Command::Settings(action) => action.run(client, output).await,
        Command::Gateway(action) => action.run(client, output).await,
        Command::Admin(action) => action.run(client, output).await,
        Command::Role(action) => action.run(client, output).await,
        Command::Ca(action) => action.run(client, output).await,
        Command::Token(action) => action.run(client, output).await,
        Command::Audit(action) => action.run(client, output).await,
        Command::Mail(action) => action.run(client, output).await,
        Command::Alarm(action) => action.run(client, output).await,
        Command::Safety => safety::show(client, output).await,
        Command::Freeze { reason } => safety::freeze(reason, client, output).await,
        Command::Thaw { reason } => safety::thaw(reason, client, output).await,
        Command::BreakGlass { code_file, devices, reason } => {
            safety::break_glass(code_file, devices, reason, client, output).await
        }
        Command::Limits(action) => action.run(client, output).await,
        Command::Approval(action) => action.run(client, output).await,
        Command::Lock { which, how } => lock::run(which, how.action(), client, output).await,
        Command::Unlock { which } => lock::run(which, "unlock", client, output).await,
        Command::Server(action) => action.run(client, output).await,
        Command::Support(server::SupportAction::Bundle { file, names }) => {
            server::bundle(client, &file, names, output).await
        }
        Command::Doctor => server::doctor(client, time::now(), output).await,
        Command::Status => status::run(client, output).await,
        Command::Policy(policy::Action::Server(action)) => action.run(client, output).await,
        Command::Policy(_) => Ok(Exit::Done), // done before: it needs no core
        Command::Why { device } => why::run(&device, client, output).await,
        Command::Syncml(_)
        | Command::Login(_)
        | Command::Logout
        | Command::Notification(_)
        | Command::Engine(_)
        | Command::Bootstrap(bootstrap::Action::Decode(_))
        | Command::Conformance(_)
        | Command::Completions { .. } => Ok(Exit::Done), // done before: they need no core
    }
}
