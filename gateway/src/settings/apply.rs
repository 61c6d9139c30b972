//! Trying a document out, and taking it back.

use std::net::SocketAddr;

use postern_wire::link::{AckVerdict, CertificateSource, PortRole, Settings};

use super::trial::{self, Verdict};
use crate::{link_port::cores::Document, shared::Shared};

/// Judges a document that the core announced: puts it in force, on trial, or says why not.
pub(crate) fn judge(shared: &Shared, announced: &Document) -> AckVerdict {
    let before = shared.settings.now().version;
    match put_in_force(shared, announced) {
        Ok(()) => AckVerdict::Applied,
        Err(reason) => AckVerdict::Rejected { reason, in_force: before },
    }
}

fn put_in_force(shared: &Shared, announced: &Document) -> Result<(), String> {
    let Document { version, document, sha256 } = announced;
    if let Some(reason) = shared.settings.fallen(*version) {
        return Err(reason);
    }
    let settings = Settings::read_announced(*version, sha256, document).map_err(|error| error.to_string())?;
    let before = shared.settings.now().clone();
    if *before == settings {
        return Ok(());
    }
    let tls = shared.make_device_tls(&settings.tls).map_err(|error| error.to_string())?;
    shared.ports.open(&addresses(shared, &settings))?;
    if let Err(error) = shared.set_log(settings.log) {
        close_others(shared);
        return Err(format!("log: {error}"));
    }
    let names_change = settings.device_names != before.device_names && !settings.device_names.is_empty();
    let wants_certificate = settings.certificate == CertificateSource::Issued && names_change;
    if let Err(error) = shared.settings.begin_trial(settings, shared.uptime_ms()) {
        close_others(shared);
        return Err(error);
    }
    shared.use_device_tls(tls);
    if wants_certificate && let Some(identity) = &shared.identity {
        identity.want(PortRole::Server);
    }
    Ok(())
}

/// Ends a trial whose time has come. Called again and again.
pub(crate) fn look(shared: &Shared) {
    let Some(since) = shared.settings.on_trial_since() else { return };
    let settings = shared.settings.now().clone();
    let (heard, now) = (shared.cores.last_heard_ms(), shared.uptime_ms());
    match trial::judge(since, heard, now, settings.trial_s * 1_000) {
        Verdict::Wait => {}
        Verdict::Pass => match shared.settings.pass() {
            Ok(()) => {
                close_others(shared);
                tracing::info!(version = settings.version, "settings passed their trial");
                shared.trouble("settings on disk", None);
            }
            Err(error) => shared.trouble("settings on disk", Some(error)),
        },
        Verdict::FallBack => {
            let reason = format!("the core was out of reach for {} s under them", settings.trial_s);
            tracing::warn!(version = settings.version, reason, "settings fell back");
            take_back(shared, reason);
        }
    }
}

fn take_back(shared: &Shared, reason: String) {
    shared.settings.fall_back(reason);
    let good = shared.settings.now().clone();
    match shared.make_device_tls(&good.tls) {
        Ok(tls) => shared.use_device_tls(tls),
        Err(error) => shared.trouble("device certificate", Some(error.to_string())),
    }
    if let Err(error) = shared.set_log(good.log) {
        tracing::warn!(error, "the log level before cannot be set again");
    }
    // They were kept open during the trial; unless the program was started in between.
    shared.trouble("device port", shared.ports.open(&addresses(shared, &good)).err());
    close_others(shared);
}

/// Closes the addresses that the settings in force do not name.
fn close_others(shared: &Shared) {
    shared.ports.keep_only(&addresses(shared, &shared.settings.now()));
}

fn addresses(shared: &Shared, settings: &Settings) -> Vec<SocketAddr> {
    settings.device_addresses(shared.config.device.listen)
}
