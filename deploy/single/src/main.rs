//! The whole system in one process on embedded storage: what `cargo run --release` starts.
//!
//! Gateway and core run as they do on two hosts, with a real link between them; the simulated devices connect to the
//! gateway's device port over TLS, and this program itself uses the admin API.
#![forbid(unsafe_code)]

mod admin;
mod arguments;
mod fleet;
mod folder;
mod orders;
mod show;

use std::{process::ExitCode, sync::Arc, time::Duration};

use anyhow::{Context as _, bail};
use clap::Parser as _;
use postern_core::run::{Core, Edge};
use postern_gateway::Gateway;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};
use tracing_subscriber::EnvFilter;

use admin::Admin;
use arguments::Arguments;
use fleet::Tally;
use folder::Folder;
use show::Show;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Core and gateway have to find each other within this time.
const READY: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // Events are the program's output; its log, on standard error, has warnings unless POSTERN_LOG asks for more.
    let filter = EnvFilter::try_from_env("POSTERN_LOG").unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    // A provider that is installed already is the same one.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("postern: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let edge = Edge::system();
    let folder = Folder::take(arguments, &edge)?;
    let clock = Arc::clone(&edge.clock);
    let boot = edge.random.id(clock.wall());
    let gateway = Gateway::start(folder.gateway(arguments)?, Arc::new(move || clock.wall()), boot)
        .context("the gateway (another --device-port helps when its port is in use)")?;
    let addresses = gateway.addresses();
    let core = match folder.core(arguments, addresses.link).and_then(|config| {
        Core::start(config, edge).context("the core (another --admin-port helps when its port is in use)")
    }) {
        Ok(core) => core,
        Err(error) => {
            gateway.stop();
            return Err(error);
        }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let result = runtime.block_on(demonstrate(arguments, &folder, &core, &gateway));
    runtime.block_on(gateway.drain());
    core.stop();
    result
}

async fn demonstrate(
    arguments: &Arguments,
    folder: &Folder,
    core: &Core,
    gateway: &Gateway,
) -> anyhow::Result<()> {
    let show = Show::new(arguments.output);
    ready(core, gateway).await?;
    let (device, admin) = (gateway.addresses().device, core.addresses().admin);
    show.ready(
        &format!("https://localhost:{}", device.port()),
        &format!("https://localhost:{}", admin.port()),
        &folder.path,
    );
    if !folder.fresh {
        show.event("resumed", "", "the state folder was there already", serde_json::Value::Null);
    }
    let (stop, stopped) = watch::channel(false);
    let api = Admin::new(admin, &folder.path)?;
    let tally = Arc::new(Tally::default());
    let devices = arguments.devices;
    let work = async {
        let enrolled = fleet::enrol(&api, &folder.path, devices, show).await?;
        let interval = Duration::from_secs(arguments.interval);
        tokio::try_join!(
            fleet::run(enrolled, device, interval, show, Arc::clone(&tally), stopped.clone()),
            async {
                if devices > 0 {
                    orders::run(api.clone(), devices, show, Arc::clone(&tally), stopped.clone()).await;
                }
                anyhow::Ok(())
            },
        )?;
        let mut stopped = stopped.clone();
        // The sender lives as long as this function: an error cannot come.
        let _ = stopped.wait_for(|stopped| *stopped).await;
        anyhow::Ok(())
    };
    let result = tokio::select! {
        result = work => result,
        () = until(arguments.duration()) => Ok(()),
    };
    // Whoever still listens stops; nobody may be listening any more.
    let _ = stop.send(true);
    orders::summary(devices, show, &tally, 0);
    result
}

/// Waits until a device would be served.
async fn ready(core: &Core, gateway: &Gateway) -> anyhow::Result<()> {
    let both = async {
        while !(core.is_ready() && gateway.is_ready()) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    if tokio::time::timeout(READY, both).await.is_err() {
        bail!(
            "gateway and core did not find each other within {} seconds: {}",
            READY.as_secs(),
            gateway.troubles().join("; ")
        );
    }
    Ok(())
}

/// Ctrl-C, SIGTERM, or the end of the time that was given.
async fn until(limit: Option<Duration>) {
    let (interrupt, terminate) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
    let (Ok(mut interrupt), Ok(mut terminate)) = (interrupt, terminate) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        () = async { match limit { Some(limit) => tokio::time::sleep(limit).await, None => std::future::pending().await } } => {}
    }
}
