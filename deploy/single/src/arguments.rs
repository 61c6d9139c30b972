//! What can be said on the command line.

use std::{path::PathBuf, time::Duration};

use clap::{Parser, ValueEnum};

/// The whole system in one process: gateway, core, embedded database, simulated devices.
#[derive(Parser, Debug, Clone)]
#[command(name = "postern", version, about)]
pub(crate) struct Arguments {
    /// Folder of CA, keys, database and admin token; made when it is not there.
    #[arg(long, default_value = "state")]
    pub(crate) state: PathBuf,
    /// Port of the gateway's device side on 127.0.0.1; 0 takes a free one. Default: 8443, or the state folder's.
    #[arg(long)]
    pub(crate) device_port: Option<u16>,
    /// Port of the admin API on 127.0.0.1; 0 takes a free one. Default: 8444, or the state folder's.
    #[arg(long)]
    pub(crate) admin_port: Option<u16>,
    /// Simulated devices; 0 for none.
    #[arg(long, default_value_t = 25, value_parser = clap::value_parser!(u16).range(0..=5000))]
    pub(crate) devices: u16,
    /// Seconds between two check-ins of a simulated device.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(crate) interval: u64,
    /// Stops by itself after so many seconds; otherwise at Ctrl-C or SIGTERM.
    #[arg(long = "for", value_name = "SECONDS")]
    pub(crate) run_for: Option<u64>,
    /// One line an event for people, or one JSON object a line.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
}

impl Arguments {
    pub(crate) fn duration(&self) -> Option<Duration> {
        self.run_for.map(Duration::from_secs)
    }
}

#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    /// For people.
    Text,
    /// One JSON object a line; the first is the event `ready`.
    Json,
}
