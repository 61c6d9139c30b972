//! `postern-core`: the thin main over the library.
#![forbid(unsafe_code)]

use std::{
    io::IsTerminal as _,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Args, Parser, Subcommand};
use postern_actors::{SystemClock, SystemRandom};
use postern_api::server::{Doctor, Verdict};
use postern_core::{
    Config, Edge, InitOptions, NewGateway, backup,
    config::{Database, DatabaseKind},
    doctor, glass, init, logs,
    run::Ended,
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Exit codes: 0 done, 1 refused, 2 invalid input, 64 usage.
#[derive(Parser)]
#[command(name = "postern-core", version, about = "Postern's inside: links, device endpoint, admin API")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make a state folder: CAs, keys, the first admin's token, core.toml, and a folder for each gateway.
    Init(Box<Init>),
    /// Make one more gateway's folder in a state folder.
    AddGateway(AddGateway),
    /// Run the core.
    Run {
        /// The configuration.
        #[arg(long, value_name = "FILE", env = "POSTERN_CONFIG")]
        config: PathBuf,
    },
    /// Back the whole system up into a new folder, while it runs: rows and files, secrets sealed under the master key.
    Backup {
        /// The configuration.
        #[arg(long, value_name = "FILE", env = "POSTERN_CONFIG")]
        config: PathBuf,
        /// The folder to make.
        #[arg(short, long, value_name = "DIR")]
        output: PathBuf,
    },
    /// Make a state folder from a backup and load its rows into an empty database. The core then starts held.
    Restore(Restore),
    /// Look at keys, certificates, disks, database and ports, without a running core. Exit code 0 ok, 1 not.
    Doctor {
        /// The configuration.
        #[arg(long, value_name = "FILE", env = "POSTERN_CONFIG")]
        config: PathBuf,
        /// Write JSON.
        #[arg(long)]
        json: bool,
    },
    /// Make break-glass codes for the safe, in the place of those that there were. They are shown once.
    BreakGlassCodes {
        /// The configuration.
        #[arg(long, value_name = "FILE", env = "POSTERN_CONFIG")]
        config: PathBuf,
        /// How many.
        #[arg(long, default_value_t = 5)]
        count: u8,
    },
    /// Check the configuration and say what is wrong with it.
    CheckConfig {
        /// The configuration.
        #[arg(long, value_name = "FILE", env = "POSTERN_CONFIG")]
        config: PathBuf,
    },
}

#[derive(Args)]
struct Init {
    /// The folder to make.
    #[arg(long, value_name = "DIR")]
    state: PathBuf,
    /// A gateway: its name and where the core dials it. Without HOST:PORT: 127.0.0.1 and the link port.
    #[arg(long = "gateway", value_name = "NAME[=HOST:PORT]")]
    gateways: Vec<String>,
    /// A name or address that devices reach the gateways by. The first stands in the devices' URL.
    #[arg(long = "device-name", value_name = "NAME", default_values = ["localhost", "127.0.0.1"])]
    device_names: Vec<String>,
    /// The port that devices reach the gateways at.
    #[arg(long, default_value_t = 8843)]
    device_port: u16,
    /// The port that gateways wait for the core at.
    #[arg(long, default_value_t = 8844)]
    link_port: u16,
    /// Where the gateways listen.
    #[arg(long, default_value = "0.0.0.0")]
    gateway_listen: IpAddr,
    /// A name or address that admins reach the API by.
    #[arg(long = "admin-name", value_name = "NAME", default_values = ["localhost", "127.0.0.1"])]
    admin_names: Vec<String>,
    /// Where the admin API listens.
    #[arg(long, default_value = "127.0.0.1:8443")]
    admin_listen: SocketAddr,
    /// Where health and metrics are (loopback).
    #[arg(long, default_value = "127.0.0.1:9464")]
    observe_listen: SocketAddr,
    /// Where each gateway's health and metrics are (loopback).
    #[arg(long, default_value = "127.0.0.1:9465")]
    gateway_observe_listen: SocketAddr,
    /// Which database.
    #[arg(long, value_parser = ["sqlite", "postgres"], default_value = "sqlite")]
    database: String,
    /// A file with the PostgreSQL URL.
    #[arg(long, value_name = "FILE", required_if_eq("database", "postgres"))]
    database_url_file: Option<PathBuf>,
    /// The CA of the PostgreSQL server.
    #[arg(long, value_name = "FILE")]
    database_ca: Option<PathBuf>,
}

#[derive(Args)]
struct Restore {
    /// The backup's folder.
    #[arg(long, value_name = "DIR")]
    from: PathBuf,
    /// The state folder to make.
    #[arg(long, value_name = "DIR")]
    state: PathBuf,
    /// Your kept copy of the master key: it is not in the backup.
    #[arg(long, value_name = "FILE")]
    master_key: PathBuf,
    /// Why; stands in the audit log.
    #[arg(long)]
    reason: String,
}

#[derive(Args)]
struct AddGateway {
    /// The state folder.
    #[arg(long, value_name = "DIR")]
    state: PathBuf,
    /// The gateway: its name and where the core dials it.
    #[arg(long, value_name = "NAME=HOST:PORT")]
    gateway: String,
    /// A name or address that devices reach it by.
    #[arg(long = "device-name", value_name = "NAME", required = true)]
    device_names: Vec<String>,
    /// Where it listens for devices.
    #[arg(long, default_value = "0.0.0.0:8843")]
    device_listen: SocketAddr,
    /// Where it listens for the core.
    #[arg(long, default_value = "0.0.0.0:8844")]
    link_listen: SocketAddr,
    /// Where its health and metrics are (loopback).
    #[arg(long, default_value = "127.0.0.1:9465")]
    observe_listen: SocketAddr,
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(64) } else { ExitCode::SUCCESS };
        }
    };
    let done = match cli.command {
        Command::Init(options) => make(*options),
        Command::AddGateway(options) => add_gateway(&options),
        Command::Run { config } => run(&config),
        Command::Backup { config, output } => back_up(&config, &output),
        Command::Restore(options) => restore(options),
        Command::Doctor { config, json } => look(&config, json),
        Command::BreakGlassCodes { config, count } => break_glass_codes(&config, count),
        Command::CheckConfig { config } => load(&config).and_then(|read| {
            postern_core::check_tables(&read).map_err(invalid)?;
            println!("{}: good", config.display());
            Ok(ExitCode::SUCCESS)
        }),
    };
    done.unwrap_or_else(|refused| {
        eprintln!("postern-core: {}", refused.sentence);
        ExitCode::from(refused.code)
    })
}

struct Refused {
    code: u8,
    sentence: String,
}

fn refused(error: impl std::fmt::Display) -> Refused {
    Refused { code: 1, sentence: error.to_string() }
}

fn invalid(error: impl std::fmt::Display) -> Refused {
    Refused { code: 2, sentence: error.to_string() }
}

fn make(options: Init) -> Result<ExitCode, Refused> {
    let gateways = options
        .gateways
        .iter()
        .map(|text| {
            let (name, address) = text.split_once('=').unwrap_or((text, ""));
            let here = format!("127.0.0.1:{}", options.link_port);
            NewGateway {
                name: name.to_owned(),
                address: if address.is_empty() { here } else { address.to_owned() },
                device_listen: SocketAddr::new(options.gateway_listen, options.device_port),
                link_listen: SocketAddr::new(options.gateway_listen, options.link_port),
                observe_listen: options.gateway_observe_listen,
            }
        })
        .collect();
    let host = options.device_names.first().cloned().unwrap_or_default();
    let port = if options.device_port == 443 { String::new() } else { format!(":{}", options.device_port) };
    let absolute = |path: Option<PathBuf>| path.map(std::path::absolute).transpose().map_err(refused);
    let database = match options.database.as_str() {
        "postgres" => Database {
            kind: DatabaseKind::Postgres,
            url_file: absolute(options.database_url_file)?,
            ca: absolute(options.database_ca)?,
            ..Database::default()
        },
        _ => Database::default(),
    };
    let options = InitOptions {
        state: options.state,
        gateways,
        device_url: format!("https://{host}{port}"),
        device_names: options.device_names,
        admin_names: options.admin_names,
        admin_listen: options.admin_listen,
        observe_listen: options.observe_listen,
        database,
    };
    let made = init::init(&options, &SystemClock::new(), &SystemRandom::default()).map_err(refused)?;
    println!("configuration      {}", made.config.display());
    println!("first admin token  {}", made.token.display());
    println!("CA for clients     {}", made.ca.display());
    for gateway in &made.gateways {
        println!("gateway folder     {}", gateway.display());
    }
    println!("start it with      postern-core run --config {}", made.config.display());
    Ok(ExitCode::SUCCESS)
}

fn add_gateway(options: &AddGateway) -> Result<ExitCode, Refused> {
    let (name, address) = options
        .gateway
        .split_once('=')
        .ok_or_else(|| Refused { code: 64, sentence: "give --gateway NAME=HOST:PORT".to_owned() })?;
    let gateway = NewGateway {
        name: name.to_owned(),
        address: address.to_owned(),
        device_listen: options.device_listen,
        link_listen: options.link_listen,
        observe_listen: options.observe_listen,
    };
    let (folder, lines) = init::add_gateway(
        &options.state,
        &gateway,
        &options.device_names,
        &SystemClock::new(),
        &SystemRandom::default(),
    )
    .map_err(refused)?;
    println!("gateway folder     {}\nadd to core.toml:\n\n{lines}", folder.display());
    Ok(ExitCode::SUCCESS)
}

fn break_glass_codes(path: &Path, count: u8) -> Result<ExitCode, Refused> {
    let config = load(path)?;
    let file = config.at(&config.keys.break_glass);
    let codes = glass::make(&file, usize::from(count), &SystemRandom::default()).map_err(refused)?;
    for code in codes {
        println!("{code}");
    }
    eprintln!(
        "each is good once: print them, put them into the safe, and keep no copy; earlier ones are void"
    );
    Ok(ExitCode::SUCCESS)
}

fn back_up(path: &Path, output: &Path) -> Result<ExitCode, Refused> {
    let config = load(path)?;
    let edge = Edge::system();
    let now = edge.clock.wall();
    let made = backup::backup(&config, path, output, now, edge.random.id(now)).map_err(refused)?;
    let rows: u64 = made.database.tables.values().sum();
    println!("backup             {}", output.display());
    println!("rows and files     {rows} rows of {} tables, {} files", made.database.tables.len(), made.files);
    println!("keep apart from it {}", config.at(&config.keys.master).display());
    println!("                   (the master key: without it nobody can restore this, with it anybody can)");
    Ok(ExitCode::SUCCESS)
}

fn restore(options: Restore) -> Result<ExitCode, Refused> {
    let Restore { from, state, master_key, reason } = options;
    let edge = Edge::system();
    let now = edge.clock.wall();
    let options = backup::Restore { from, state, master_key, reason };
    let (config, manifest) =
        backup::restore(&options, std::env::vars(), now, edge.random.id(now)).map_err(refused)?;
    println!("restored           the backup of {}", manifest.made_at);
    println!("configuration      {}", config.display());
    println!("start it with      postern-core run --config {}", config.display());
    println!("it starts held     look at docs/OPERATIONS.md (server.held), then `posternctl server release`");
    Ok(ExitCode::SUCCESS)
}

fn look(path: &Path, json: bool) -> Result<ExitCode, Refused> {
    let config = load(path)?;
    let edge = Edge::system();
    let (now, clock) = (edge.clock.wall(), edge.clock.clone());
    let mut checks = doctor::of_config(&config, now, &move || clock.monotonic(), edge.random.id(now));
    checks.extend(doctor::while_stopped(&config));
    let verdict = Doctor::worst(&checks);
    if json {
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let found = Doctor { verdict, version, now: postern_api::Time(now), checks };
        println!("{}", serde_json::to_string_pretty(&found).map_err(refused)?);
    } else {
        for check in &checks {
            println!("{:4} {} {}: {}", check.verdict.as_str(), check.name, check.subject, check.finding);
            if !check.remedy.is_empty() {
                println!("     -> {}", check.remedy);
            }
        }
    }
    Ok(if verdict == Verdict::Ok { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn load(path: &Path) -> Result<Config, Refused> {
    Config::load(path, std::env::vars()).map_err(invalid)
}

fn run(path: &Path) -> Result<ExitCode, Refused> {
    let config = load(path)?;
    logs::install(&config.log, std::io::stderr().is_terminal()).map_err(invalid)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(refused)?;
    let ended = runtime.block_on(async {
        let terminated = terminated().map_err(refused)?;
        postern_core::run(config, Edge::system(), terminated).await.map_err(refused)
    })?;
    match ended {
        Ended::Asked => Ok(ExitCode::SUCCESS),
        Ended::Replaced => Err(Refused {
            code: 1,
            sentence: "another core took the database over; start this one again to stand by".to_owned(),
        }),
    }
}

/// SIGTERM or SIGINT.
fn terminated() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
    })
}
