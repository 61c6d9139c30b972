//! `postern-gateway run --config FILE` and `postern-gateway check-config --config FILE`.
#![forbid(unsafe_code)]

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use clap::{Parser, Subcommand};
use postern_gateway::{Clock, Config, Gateway};
use postern_wire::terms::UtcMillis;
use tokio::signal::unix::{SignalKind, signal};
use uuid::Uuid;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The perimeter of Postern: ends device TLS, admits, limits and relays to the core that dials it.
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
    /// Checks the configuration and the files that it names.
    CheckConfig {
        /// The configuration file.
        #[arg(long)]
        config: PathBuf,
    },
}

fn main() -> ExitCode {
    let filter = tracing_subscriber::EnvFilter::try_from_env("POSTERN_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let done = match Arguments::parse().command {
        Command::Run { config } => read(&config).and_then(|config| run(config).map_err(|error| (1, error))),
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

fn read(path: &Path) -> Result<Config, (u8, anyhow::Error)> {
    Config::read(path, std::env::vars()).map_err(|error| (2, error.into()))
}

fn run(config: Config) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let gateway = Gateway::start(config, clock(), boot_id())?;
        let (mut stop, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let mut reload = signal(SignalKind::hangup())?;
        loop {
            tokio::select! {
                _ = stop.recv() => break,
                _ = interrupt.recv() => break,
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
