//! What this gateway trusts, as the core told it last: in memory and on disk.
//!
//! Promise: what the core told takes the place of the files that the gateway was started with, and holds after a restart
//! without a core. A trust that TLS cannot be made of is rejected with its reason and changes nothing. To go back to the
//! files (a gateway that lost its core over a roll-over), remove `trust.json` from the state folder.

use std::{path::PathBuf, sync::Arc};

use arc_swap::ArcSwapOption;
use postern_wire::link::{CertificateSource, PortRole, Trust, TrustedAuthorities};

use crate::{disk, shared::Shared};

/// The trust in force, if a core told one.
pub(crate) struct TrustInForce {
    current: ArcSwapOption<Held>,
    file: PathBuf,
}

struct Held {
    trust: Trust,
    authorities: TrustedAuthorities,
}

impl TrustInForce {
    /// What `file` holds; with the trouble, if it could not be read: the configuration's files hold then.
    pub(crate) fn load(file: PathBuf) -> (Self, Option<String>) {
        let (held, trouble) = match read(&file) {
            Ok(held) => (held, None),
            Err(error) => (None, Some(format!("{}: {error}; the configured CAs hold", file.display()))),
        };
        (Self { current: ArcSwapOption::from_pointee(held), file }, trouble)
    }

    /// The CAs in force; `None`: the configuration's files hold.
    pub(crate) fn authorities(&self) -> Option<TrustedAuthorities> {
        self.current.load().as_ref().map(|held| held.authorities.clone())
    }

    /// Its version; 0: the configuration's files hold.
    pub(crate) fn version(&self) -> u64 {
        self.current.load().as_ref().map_or(0, |held| held.trust.version)
    }

    fn is(&self, trust: &Trust) -> bool {
        self.current.load().as_ref().is_some_and(|held| held.trust == *trust)
    }
}

fn read(file: &std::path::Path) -> Result<Option<Held>, String> {
    let Some(octets) = disk::read_if_there(file).map_err(|error| error.to_string())? else { return Ok(None) };
    let trust: Trust = serde_json::from_slice(&octets).map_err(|error| error.to_string())?;
    let authorities = trust.read().map_err(|error| error.to_string())?;
    Ok(Some(Held { trust, authorities }))
}

/// Puts a trust in force: TLS of both ports is made of it first, then it is written, then it holds.
///
/// # Errors
/// One sentence; nothing has changed then.
pub(crate) fn apply(shared: &Shared, trust: &Trust) -> Result<(), String> {
    if shared.trust.is(trust) {
        follow(shared, trust);
        return Ok(());
    }
    let authorities = trust.read().map_err(|error| error.to_string())?;
    let (device, link) = shared.make_tls(&authorities).map_err(|error| error.to_string())?;
    let text = serde_json::to_vec_pretty(trust).map_err(|error| error.to_string())?;
    let file = &shared.trust.file;
    disk::write_whole(file, &text)
        .map_err(|error| format!("{} cannot be written: {error}", file.display()))?;
    shared.trust.current.store(Some(Arc::new(Held { trust: trust.clone(), authorities })));
    shared.use_device_tls(device);
    shared.link_tls.store(Arc::new(link));
    follow(shared, trust);
    tracing::info!(
        version = trust.version,
        device = trust.device.len(),
        retired = trust.device_retired.len(),
        link = trust.link.len(),
        "trust applied"
    );
    Ok(())
}

/// Asks for new certificates where the CA of those in use signs no more.
fn follow(shared: &Shared, trust: &Trust) {
    let Some(identity) = &shared.identity else { return };
    if !trust.link_issuer.is_empty() && shared.link_tls.load().facts.issuer != trust.link_issuer {
        identity.want(PortRole::Link);
    }
    let issued = shared.settings.now().certificate == CertificateSource::Issued;
    if issued
        && !trust.server_issuer.is_empty()
        && shared.device_tls.load().facts.issuer != trust.server_issuer
    {
        identity.want(PortRole::Server);
    }
}
