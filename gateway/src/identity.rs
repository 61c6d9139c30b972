//! Renewal of the link port's and the device port's certificates, where the core makes them (`managed`).
//!
//! Promise: before a third of its life is left, a certificate gets a successor over a new key made here; the request is
//! told with the reports until the certificate has come; then key and certificate are one file, and new connections use it.
//! A request that is under way outlives a restart. A certificate of an external CA is not asked for by itself.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
};

use postern_wire::{
    link::{CertificateRequest, CertificateSource, PortRole},
    terms::UtcMillis,
};

use crate::{config::Config, disk, keys::NewKey, shared::Shared};

/// A request that was told is told again after so long, milliseconds.
const AGAIN_MS: u64 = 10_000;

/// The keys that want a certificate.
pub(crate) struct Identity {
    files: BTreeMap<PortRole, PathBuf>,
    waiting: Mutex<BTreeMap<PortRole, Waiting>>,
}

struct Waiting {
    key: NewKey,
    request: String,
    told_ms: Option<u64>,
}

/// Whether a certificate is to be renewed: a third of its life or less is left.
pub(crate) fn is_due(not_before: UtcMillis, not_after: UtcMillis, now: UtcMillis) -> bool {
    let life = not_after.since(not_before).max(0);
    not_after.since(now) <= life / 3
}

impl Identity {
    /// The identity of a managed gateway; requests that a restart interrupted go on.
    pub(crate) fn of(config: &Config) -> Option<Self> {
        if !config.managed {
            return None;
        }
        let files = BTreeMap::from([
            (PortRole::Link, config.link.certificate.clone()),
            (PortRole::Server, config.device.certificate.clone()),
        ]);
        let identity = Self { files, waiting: Mutex::default() };
        for role in [PortRole::Link, PortRole::Server] {
            if identity.key_file(role).exists() {
                identity.want(role);
            }
        }
        Some(identity)
    }

    /// Makes a key for `role` and asks for a certificate over it; one that is under way goes on.
    pub(crate) fn want(&self, role: PortRole) {
        let mut waiting = self.lock();
        if waiting.contains_key(&role) {
            return;
        }
        let made = NewKey::at(&self.key_file(role)).and_then(|key| Ok((key.request()?, key)));
        match made {
            Ok((request, key)) => {
                tracing::info!(port = role.as_str(), "a new certificate is asked for");
                waiting.insert(role, Waiting { key, request, told_ms: None });
            }
            Err(error) => tracing::error!(port = role.as_str(), %error, "no key for a new certificate"),
        }
    }

    /// What is to be told now.
    pub(crate) fn requests(&self, now_ms: u64) -> Vec<CertificateRequest> {
        let mut waiting = self.lock();
        let due = waiting.iter_mut().filter(|(_, waiting)| {
            waiting.told_ms.is_none_or(|told| now_ms.saturating_sub(told) >= AGAIN_MS)
        });
        due.map(|(role, waiting)| {
            waiting.told_ms = Some(now_ms);
            CertificateRequest { role: *role, request: waiting.request.clone() }
        })
        .collect()
    }

    /// The core did not take a report: what was in it is told again with the next one.
    pub(crate) fn untold(&self) {
        self.lock().values_mut().for_each(|waiting| waiting.told_ms = None);
    }

    /// Puts a certificate in the place of the one before.
    fn install(&self, role: PortRole, chain: &str) -> Result<(), String> {
        let mut waiting = self.lock();
        let Some(wanted) = waiting.get(&role) else {
            return Err("a certificate came that nobody asked for".to_owned());
        };
        let file = self.files.get(&role).ok_or("there is no such port")?;
        wanted.key.install(chain, file).map_err(|error| error.to_string())?;
        waiting.remove(&role);
        disk::remove(&self.key_file(role)).map_err(|error| error.to_string())
    }

    fn key_file(&self, role: PortRole) -> PathBuf {
        self.files.get(&role).map(|file| file.with_file_name(next_key(role))).unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<PortRole, Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The file of a key that wants a certificate, beside the certificate's.
pub(crate) fn next_key(role: PortRole) -> String {
    format!("{}.next.key", role.as_str())
}

/// Asks for what is due.
pub(crate) fn look(shared: &Shared) {
    let Some(identity) = &shared.identity else { return };
    let now = (shared.clock)();
    let external = shared.settings.now().certificate == CertificateSource::External;
    for certificate in shared.certificates() {
        let asks = certificate.role == PortRole::Link || !external;
        if asks && is_due(certificate.not_before, certificate.not_after, now) {
            identity.want(certificate.role);
        }
    }
}

/// Takes a certificate from the core.
pub(crate) fn take(shared: &Shared, role: PortRole, chain: &str) {
    let Some(identity) = &shared.identity else {
        return tracing::warn!(
            port = role.as_str(),
            "a certificate came for a gateway that has its own files"
        );
    };
    match identity.install(role, chain) {
        Ok(()) => {
            shared.reload_certificates();
            tracing::info!(port = role.as_str(), "certificate renewed");
        }
        Err(error) => tracing::warn!(port = role.as_str(), error, "a certificate was not taken"),
    }
}

/// Takes everything away that made this machine a gateway: keys and certificates (managed ones), lists and settings. A file
/// stays that says so.
pub(crate) fn put_away(config: &Config) -> std::io::Result<()> {
    std::fs::create_dir_all(&config.state)?;
    disk::write_whole(&config.retired_file(), b"retired by the core\n")?;
    for file in ["settings.json", "settings.trial.json", "blocked.json", "routes.bin"] {
        disk::remove(&config.state.join(file))?;
    }
    if config.managed {
        for (role, file) in
            [(PortRole::Link, &config.link.certificate), (PortRole::Server, &config.device.certificate)]
        {
            disk::remove(file)?;
            disk::remove(&file.with_file_name(next_key(role)))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_due_when_a_third_of_its_life_is_left() {
        let due = |now| is_due(UtcMillis(0), UtcMillis(90), UtcMillis(now));
        assert_eq!((due(59), due(60), due(89), due(91)), (false, true, true, true));
    }
}
