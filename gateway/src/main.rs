//! `postern-gateway run --config FILE`, `postern-gateway join BUNDLE --state DIR` and `postern-gateway check-config
//! --config FILE`.
#![forbid(unsafe_code)]

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use clap::{Parser, Subcommand};
use postern_gateway::{
    Clock, Config, Extra, Gateway, SetLog,
    join::{self, JoinOptions},
};
use postern_wire::terms::UtcMillis;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::{EnvFilter, layer::SubscriberExt as _, reload, util::SubscriberInitExt as _};
use uuid::Uuid;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The perimeter of Postern: ends device TLS, admits, limits and relays to the core that dials it.
///
/// Exit codes: 0 done, 1 refused, 2 invalid input, 64 usage.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs until SIGTERM or SIGINT, then drains. SIGHUP reads certificates again.
    Run {
        /// The configuration file.
        #[arg(long)]
        config: PathBuf,
    },
    /// Joins the core that made the bundle, and runs. A gateway that has joined with it already just runs.
    Join {
        /// The file of `posternctl gateway add`.
        bundle: PathBuf,
        /// The gateway's folder: keys, certificates, configuration and state. Made when it is not there.
        #[arg(long)]
        state: PathBuf,
        /// Where devices are listened for until the core's settings say otherwise. Default 0.0.0.0:443.
        #[arg(long)]
        device_listen: Option<SocketAddr>,
        /// Where the core is listened for. Default: the port that it dials, on any address.
        #[arg(long)]
        link_listen: Option<SocketAddr>,
        /// Health, readiness and metrics, on loopback. Default 127.0.0.1:9464.
        #[arg(long)]
        observe_listen: Option<SocketAddr>,
        /// Ends when it has joined, and does not run.
        #[arg(long)]
        only: bool,
    },
    /// Checks the configuration and the files that it names.
    CheckConfig {
        /// The configuration file.
        #[arg(long)]
        config: PathBuf,
    },
}

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let _unprintable = error.print();
            return ExitCode::from(if error.use_stderr() { 64 } else { 0 });
        }
    };
    let set_log = log();
    let done = match arguments.command {
        Command::Run { config } => {
            read(&config).and_then(|config| run(config, set_log).map_err(|error| (1, error)))
        }
        Command::Join { bundle, state, device_listen, link_listen, observe_listen, only } => {
            let options = JoinOptions { state, device_listen, link_listen, observe_listen };
            joined(&bundle, &options).and_then(|config| match only {
                true => Ok(()),
                false => run(config, set_log).map_err(|error| (1, error)),
            })
        }
        Command::CheckConfig { config } => read(&config).map(|_| println!("{}: good", config.display())),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err((code, error)) => {
            eprintln!("postern-gateway: {error:#}");
            ExitCode::from(code)
        }
    }
}

/// Starts the log; gives what changes its filter.
fn log() -> SetLog {
    let started = || EnvFilter::try_from_env("POSTERN_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let (filter, handle) = reload::Layer::new(started());
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    tracing_subscriber::registry().with(filter).with(lines).init();
    Arc::new(move |level| {
        let filter = match level {
            Some(level) => EnvFilter::try_new(level).map_err(|error| error.to_string())?,
            None => started(),
        };
        handle.reload(filter).map_err(|error| error.to_string())
    })
}

fn read(path: &Path) -> Result<Config, (u8, anyhow::Error)> {
    Config::read(path, std::env::vars()).map_err(|error| (2, error.into()))
}

/// Waits until the gateway has joined; a bundle or folder that will not do is invalid input.
fn joined(bundle: &Path, options: &JoinOptions) -> Result<Config, (u8, anyhow::Error)> {
    let bundle = join::read_bundle(bundle).map_err(|error| (2, error.into()))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| (1, error.into()))?;
    runtime.block_on(join::join(bundle, options, &clock())).map_err(|error| (1, error.into()))
}

fn run(config: Config, set_log: SetLog) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let gateway = Gateway::start_with(config, clock(), boot_id(), Extra { set_log: Some(set_log) })?;
        let (mut stop, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let mut reload = signal(SignalKind::hangup())?;
        loop {
            tokio::select! {
                _ = stop.recv() => break,
                _ = interrupt.recv() => break,
                () = gateway.retired() => {
                    tracing::warn!("retired: this program ends, and its folder is of no use any more");
                    break;
                }
                _ = reload.recv() => gateway.reload_certificates(),
            }
        }
        gateway.drain().await;
        Ok(())
    })
}

#[expect(clippy::disallowed_methods, reason = "main is the edge where the clock is asked")]
fn clock() -> Clock {
    Arc::new(|| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        UtcMillis(i64::try_from(now.as_millis()).unwrap_or(i64::MAX))
    })
}

#[expect(clippy::disallowed_methods, reason = "main is the edge where randomness is asked")]
fn boot_id() -> Uuid {
    Uuid::new_v4()
}
