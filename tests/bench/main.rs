//! The benchmarks: one command, one table, each figure beside its baseline of the same run.
//!
//! `cargo run --release -p postern-tests --bin postern-bench` (binaries of the system built before: see docs/PERFORMANCE.md).
#![forbid(unsafe_code)]

mod admin;
mod clock;
mod codec;
mod echo;
mod enrolments;
mod gateways;
mod libwbxml;
mod load;
mod policy;
mod refusals;
mod scale;
mod sessions;
mod site;
mod table;
mod wipes;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser, Debug)]
#[command(name = "postern-bench", about = "Measures Postern against baselines of the same run")]
struct Arguments {
    /// Only these sections; all when none is named.
    #[arg(long, value_delimiter = ',')]
    only: Vec<Section>,
    /// A tenth of the work: to see that it runs, not to quote.
    #[arg(long)]
    quick: bool,
    /// Root of the checkout.
    #[arg(long, default_value = ".")]
    root: PathBuf,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// The baseline server (started by the benchmark itself).
    Echo(echo::Options),
}

#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
enum Section {
    /// XML and WBXML.
    Codec,
    /// Sessions through gateway, link and core on SQLite.
    Sqlite,
    /// The same on PostgreSQL.
    Postgres,
    /// 100,000 enrolled devices: memory, first session, standby take-over.
    Scale,
    /// 500 enrolments over the air at once.
    Enrolments,
    /// Eight gateways: lists to the last acknowledgement, and the loss of one.
    Gateways,
    /// 10,000 devices and 200 GPOs: one change brought up to date, against a full pass.
    Policy,
    /// A flood of connections: what refusing costs, and what it costs those who are served.
    Refusals,
    /// From the 202 of a wipe to its Exec at a device that listens, with 10,000 others checking in.
    Wipes,
}

fn main() -> anyhow::Result<()> {
    // A second provider was installed before: then it is the same one.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let arguments = Arguments::parse();
    if let Some(Command::Echo(options)) = arguments.command {
        return echo::serve(options);
    }
    let wanted = |section| arguments.only.is_empty() || arguments.only.contains(&section);
    let mut rows = Vec::new();
    let mut section = |name: &str, result: anyhow::Result<Vec<table::Row>>| -> anyhow::Result<()> {
        let some = result.map_err(|error| error.context(format!("section {name}")))?;
        print!("\n## {name}\n\n{}", table::markdown(&some));
        rows.extend(some);
        Ok(())
    };
    if wanted(Section::Codec) {
        section("Codecs", codec::run(&arguments.root))?;
    }
    if wanted(Section::Sqlite) {
        section("Sessions on SQLite", sessions::run(site::Database::Sqlite, arguments.quick))?;
    }
    if wanted(Section::Postgres) {
        section("Sessions on PostgreSQL", sessions::run(site::Database::Postgres, arguments.quick))?;
    }
    if wanted(Section::Scale) {
        section("100,000 enrolled devices", scale::run(arguments.quick))?;
    }
    if wanted(Section::Enrolments) {
        section("Enrolments", enrolments::run(arguments.quick))?;
    }
    if wanted(Section::Gateways) {
        section("Eight gateways", gateways::run(arguments.quick))?;
    }
    if wanted(Section::Policy) {
        section("Resultant sets of policy", policy::run(arguments.quick))?;
    }
    if wanted(Section::Refusals) {
        section("Connections refused", refusals::run(arguments.quick))?;
    }
    if wanted(Section::Wipes) {
        section("Urgent delivery of wipes", wipes::run(arguments.quick))?;
    }
    Ok(())
}
