//! The state folder: made once, held by one process at a time.

use std::{
    fs::{File, OpenOptions, TryLockError},
    net::SocketAddr,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use postern_core::{
    config::Database,
    init::{InitOptions, NewGateway, init},
    run::Edge,
};

use crate::arguments::Arguments;

/// The only gateway of a state folder of this program.
const GATEWAY: &str = "local";
const DEVICE_PORT: u16 = 8443;
const ADMIN_PORT: u16 = 8444;

/// A state folder that this process holds.
pub(crate) struct Folder {
    pub(crate) path: PathBuf,
    /// Whether this start made it.
    pub(crate) fresh: bool,
    /// Held as long as the process lives.
    _lock: File,
}

impl Folder {
    /// Takes the folder, and makes what is not there yet.
    pub(crate) fn take(arguments: &Arguments, edge: &Edge) -> anyhow::Result<Self> {
        let path = &arguments.state;
        std::fs::create_dir_all(path).with_context(|| {
            format!("the state folder {} cannot be made: give another one with --state", path.display())
        })?;
        let path = path.canonicalize()?;
        let lock = lock(&path)?;
        let fresh = !path.join("core.toml").exists();
        if fresh {
            let options = options(&path, arguments);
            init(&options, edge.clock.as_ref(), edge.random.as_ref())?;
        }
        Ok(Self { path, fresh, _lock: lock })
    }

    /// The core's configuration, with the ports of this start.
    pub(crate) fn core(
        &self,
        arguments: &Arguments,
        link: SocketAddr,
    ) -> anyhow::Result<postern_core::config::Config> {
        let mut config = postern_core::config::Config::load(&self.path.join("core.toml"), [])?;
        if let Some(port) = arguments.admin_port {
            config.admin.listen.set_port(port);
        }
        for gateway in &mut config.gateways {
            gateway.address = link.to_string();
        }
        config.check()?;
        Ok(config)
    }

    /// The gateway's configuration, with the ports of this start.
    pub(crate) fn gateway(&self, arguments: &Arguments) -> anyhow::Result<postern_gateway::Config> {
        let file = self.path.join("gateways").join(GATEWAY).join("gateway.toml");
        let mut config = postern_gateway::Config::read(&file, [])?;
        if let Some(port) = arguments.device_port {
            config.device.listen.set_port(port);
        }
        Ok(config)
    }
}

fn lock(path: &Path) -> anyhow::Result<File> {
    let file = OpenOptions::new().create(true).append(true).open(path.join("lock")).with_context(|| {
        format!(
            "{} cannot be written: give another folder with --state, or the rights to this one",
            path.display()
        )
    })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            bail!("another postern runs on {}: stop it, or give another folder with --state", path.display())
        }
        Err(TryLockError::Error(error)) => Err(error).with_context(|| format!("locking {}", path.display())),
    }
}

fn options(path: &Path, arguments: &Arguments) -> InitOptions {
    let local = |port| SocketAddr::from(([127, 0, 0, 1], port));
    let device = arguments.device_port.unwrap_or(DEVICE_PORT);
    InitOptions {
        state: path.to_owned(),
        gateways: vec![NewGateway {
            name: GATEWAY.to_owned(),
            // Both ports are taken anew at each start; the core is told which.
            address: local(1).to_string(),
            device_listen: local(device),
            link_listen: local(0),
            observe_listen: local(0),
        }],
        device_url: if device == 0 {
            "https://localhost".to_owned()
        } else {
            format!("https://localhost:{device}")
        },
        device_names: vec!["localhost".to_owned(), "127.0.0.1".to_owned()],
        admin_names: vec!["localhost".to_owned(), "127.0.0.1".to_owned()],
        admin_listen: local(arguments.admin_port.unwrap_or(ADMIN_PORT)),
        observe_listen: local(0),
        database: Database::default(),
    }
}
