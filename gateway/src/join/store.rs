//! What a join leaves on disk; `gateway.toml` last.

use std::{
    net::SocketAddr,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use postern_wire::link::{
    PortRole,
    join::{Bundle, Grant},
};

use super::{JoinModeError, JoinOptions, exchange::Joining};
use crate::{
    config::{Config, DevicePort, LinkPort, Observe},
    disk,
    identity::next_key,
};

const CONFIG: &str = "gateway.toml";
const LINK: &str = "link.pem";
const SERVER: &str = "server.pem";
const LINK_AUTHORITY: &str = "link-ca.pem";
const DEVICE_AUTHORITY: &str = "device-ca.pem";
/// Which bundle the folder was joined with.
const BUNDLE_ID: &str = "joined-with";

/// The configuration of the folder when it is this bundle's gateway already; makes the folder when it is not there. A
/// folder whose gateway was retired is made fit for a new join.
pub(super) fn joined(bundle: &Bundle, options: &JoinOptions) -> Result<Option<Config>, JoinModeError> {
    let folder = &options.state;
    let file = |path: &Path| {
        let path = path.to_owned();
        move |source| JoinModeError::File { path, source }
    };
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder.join("state"))
        .map_err(file(folder))?;
    let retired = folder.join("state/retired");
    if retired.exists() {
        for path in [folder.join(CONFIG), folder.join(BUNDLE_ID), retired] {
            disk::remove(&path).map_err(file(&path))?;
        }
    }
    if !folder.join(CONFIG).exists() {
        return Ok(None);
    }
    let with = disk::read_if_there(&folder.join(BUNDLE_ID)).map_err(file(folder))?;
    if with.as_deref() == Some(bundle.id.to_string().as_bytes()) {
        return read(folder).map(Some);
    }
    let name = read(folder).map_or_else(|_| "another".to_owned(), |config| config.name);
    Err(JoinModeError::Taken { path: folder.clone(), name })
}

/// The folder's configuration.
pub(super) fn read(folder: &Path) -> Result<Config, JoinModeError> {
    Ok(Config::read(&folder.join(CONFIG), [])?)
}

/// Writes a grant. What is written twice is the same.
pub(super) fn write(joining: &Joining, grant: &Grant) -> Result<(), JoinModeError> {
    let folder = joining.folder();
    let at = |name: &str| folder.join(name);
    let file = |path: PathBuf| move |source| JoinModeError::File { path, source };
    joining.link_key.install(&grant.link_certificate, &at(LINK))?;
    joining.server_key.install(&grant.server_certificate, &at(SERVER))?;
    disk::write_whole(&at(LINK_AUTHORITY), grant.link_authority.as_bytes())
        .map_err(file(at(LINK_AUTHORITY)))?;
    let asks_devices = !grant.device_authority.is_empty();
    if asks_devices {
        disk::write_whole(&at(DEVICE_AUTHORITY), grant.device_authority.as_bytes())
            .map_err(file(at(DEVICE_AUTHORITY)))?;
    }
    disk::write_whole(&at(BUNDLE_ID), joining.bundle.id.to_string().as_bytes())
        .map_err(file(at(BUNDLE_ID)))?;
    let text = toml::to_string(&config(joining, asks_devices)).unwrap_or_default();
    let text =
        format!("# Made by `postern-gateway join`. Relative paths start at this file's folder.\n{text}");
    disk::write_whole(&at(CONFIG), text.as_bytes()).map_err(file(at(CONFIG)))?;
    for role in [PortRole::Link, PortRole::Server] {
        let path = at(&next_key(role));
        disk::remove(&path).map_err(file(path))?;
    }
    Ok(())
}

fn config(joining: &Joining, asks_devices: bool) -> Config {
    let options = &joining.options;
    let observe = options.observe_listen.map_or_else(Observe::default, |listen| Observe { listen });
    Config {
        managed: true,
        observe,
        device: DevicePort {
            certificate: SERVER.into(),
            key: SERVER.into(),
            authority: asks_devices.then(|| DEVICE_AUTHORITY.into()),
            ..DevicePort::at(options.device_listen.unwrap_or(SocketAddr::from(([0, 0, 0, 0], 443))))
        },
        link: LinkPort {
            certificate: LINK.into(),
            key: LINK.into(),
            authority: LINK_AUTHORITY.into(),
            ..LinkPort::at(joining.link_listen)
        },
        ..Config::named(&joining.bundle.gateway)
    }
}
