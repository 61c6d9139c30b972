//! The gateway supervisor (GCM): which gateways there are, what each is to hold, and how it stands with them.
//!
//! Promise: what is wanted of a gateway is a row before it is told, what a gateway said is a row before it counts as taken;
//! a core that was started anew goes on where the last one was. The rules are `postern_engine::gcm`; the links and the CA
//! are abilities ([`crate::Fleet`], [`crate::GatewayAuthority`]).
//!
//! - `settings`: documents in layers, and their versions.
//! - `rollout`: what is set for all, one gateway first.
//! - `reports`: what gateways say.
//! - `members`: gateways come and go: bundles, joins, retirement. `certificates`: theirs.
//! - `looks`: lost gateways, certificates that end, clocks that are off.

mod certificates;
mod looks;
mod members;
mod reports;
mod rollout;
mod settings;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use postern_engine::gcm::presence::Presence;
use postern_store::{
    ReadError, Sealer, Store, WriteError, captures, gateway_certificates as rows, gateway_joins,
    gateways::{self, ACTIVE, CONFIGURATION, JOINING, RETIRED},
};
use postern_wire::{link::Heartbeat, terms::UtcMillis};
use tokio::sync::Notify;

use crate::{Clock, DialedGateway, Fleet, GatewayAuthority};

pub use members::{JoinAnswer, NewJoin, OpenJoin, Retired};
pub use settings::{GatewaySettingsError, SettingsView, checked, defaults_now, explain, roll_back_own};

/// How often it looks by itself, beside every event.
const LOOK: Duration = Duration::from_millis(250);

/// While nothing happens it reads its rows only each so many looks.
const QUIET: u32 = 8;

/// What the supervisor works with.
pub struct GcmParts {
    /// The database.
    pub store: Store,
    /// Seals the one-time secrets.
    pub sealer: Arc<Sealer>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The links.
    pub fleet: Arc<dyn Fleet>,
    /// The CA.
    pub authority: Arc<dyn GatewayAuthority>,
    /// The gateways of the core's configuration.
    pub configured: Vec<DialedGateway>,
    /// The names in a device port's certificate where nothing else is said.
    pub names: Vec<String>,
}

/// The supervisor; clones are handles of the same.
#[derive(Clone)]
pub struct Gcm {
    inner: Arc<Inner>,
}

struct Inner {
    parts: GcmParts,
    wake: Notify,
    seen: Mutex<Seen>,
}

/// What is known of the gateways now; gone with the process, and found out again.
#[derive(Default)]
struct Seen {
    presence: BTreeMap<String, Presence>,
    beats: BTreeMap<String, GatewayBeat>,
    /// The version that proved good there, as far as the rows say it.
    good: BTreeMap<String, u64>,
    retired: Vec<String>,
    /// Gateways that are about to be told that they are retired: their links stay until then.
    leaving: Vec<String>,
}

/// Holds the links of a gateway that is being retired until it was told; see [`Gcm::leaving`].
pub struct Leaving {
    gcm: Gcm,
    gateway: String,
}

impl Drop for Leaving {
    fn drop(&mut self) {
        let mut seen = self.gcm.seen();
        if let Some(at) = seen.leaving.iter().position(|name| *name == self.gateway) {
            seen.leaving.swap_remove(at);
        }
    }
}

/// A heartbeat, when it came, and what it says of the clock there.
#[derive(Clone, Debug)]
pub struct GatewayBeat {
    /// When, by the core's clock.
    pub at: UtcMillis,
    /// What it said.
    pub heartbeat: Heartbeat,
    /// The gateway's clock less the core's, milliseconds.
    pub skew_ms: i64,
    /// By how much that may be wrong, milliseconds: half of the way there and back.
    pub skew_error_ms: i64,
    /// It was looked at for alarms.
    looked: bool,
    /// An alarm was raised for a certificate, when the last heartbeat was looked at.
    alarmed_expiry: bool,
    /// The same for the clock.
    alarmed_skew: bool,
}

impl Gcm {
    /// Makes the gateways of the configuration known, publishes what each is to hold, and dials them.
    ///
    /// # Errors
    /// Where the rows cannot be written.
    pub async fn start(parts: GcmParts) -> Result<Self, WriteError> {
        let gcm = Self { inner: Arc::new(Inner { parts, wake: Notify::new(), seen: Mutex::default() }) };
        let configured = gcm.parts().configured.clone();
        gcm.parts()
            .store
            .write(move |tx| {
                for gateway in &configured {
                    let known = gateways::find(tx, &gateway.name)?;
                    if known.is_none_or(|row| row.address != gateway.address && row.origin == CONFIGURATION) {
                        gateways::put(tx, &gateway.name, &gateway.address)?;
                    }
                }
                Ok(())
            })
            .await?;
        Ok(gcm)
    }

    /// Publishes every document and dials, from the rows.
    ///
    /// # Errors
    /// Where the rows cannot be read.
    pub async fn publish_all(&self) -> Result<(), ReadError> {
        let rows = self.parts().store.read(gateways::list).await?;
        for row in rows.iter().filter(|row| row.state != RETIRED) {
            self.publish(&row.name).await?;
        }
        self.redial().await;
        Ok(())
    }

    /// Runs until it is dropped.
    pub async fn keep_up(self) {
        let mut look = tokio::time::interval(LOOK);
        let (mut connected, mut quiet) = (Vec::new(), 0);
        loop {
            let woken = tokio::select! {
                _ = look.tick() => false,
                () = self.inner.wake.notified() => true,
            };
            let here = self.parts().fleet.connected();
            quiet += 1;
            if !woken && here == connected && quiet < QUIET {
                continue;
            }
            (connected, quiet) = (here, 0);
            self.look_after_members().await;
            self.advance_rollout().await;
            self.look().await;
        }
    }

    /// Something changed: look now.
    pub fn wake(&self) {
        self.inner.wake.notify_one();
    }

    /// A gateway's last heartbeat.
    #[must_use]
    pub fn beat(&self, gateway: &str) -> Option<GatewayBeat> {
        self.seen().beats.get(gateway).cloned()
    }

    /// The last heartbeat of every gateway.
    #[must_use]
    pub fn beats(&self) -> BTreeMap<String, GatewayBeat> {
        self.seen().beats.clone()
    }

    /// Dials who is to be dialed, and takes no certificate that was revoked.
    async fn redial(&self) {
        if !self.seen().leaving.is_empty() {
            return; // its end dials anew
        }
        let revoked = self.parts().store.read(rows::revoked_links).await;
        match (revoked, self.dialed().await) {
            (Ok(revoked), Ok(dialed)) => {
                self.parts().fleet.refuse_certificates(revoked);
                self.parts().fleet.dial(dialed);
            }
            (Err(error), _) | (_, Err(error)) => tracing::debug!(%error, "gateways are dialed later"),
        }
    }

    /// Who is to be dialed: members, and those whose join was granted, for they may have their certificates.
    async fn dialed(&self) -> Result<Vec<DialedGateway>, ReadError> {
        let (rows, granted, cut_off) = self
            .parts()
            .store
            .read(|r| Ok((gateways::list(r)?, gateway_joins::under_way(r)?, captures::names(r)?)))
            .await?;
        let granted = |name: &str| {
            granted.iter().any(|join| join.gateway == name && join.state == gateway_joins::GRANTED)
        };
        // Who takes a gateway out of the configuration wants it gone.
        let configured = |name: &str| self.parts().configured.iter().any(|gateway| gateway.name == name);
        let leaving = self.seen().leaving.clone();
        let is_dialed = |row: &gateways::Gateway| match row.state.as_str() {
            _ if leaving.contains(&row.name) => true,
            ACTIVE => row.origin != CONFIGURATION || configured(&row.name),
            JOINING => granted(&row.name),
            _ => false,
        };
        let target = |row: gateways::Gateway| DialedGateway { name: row.name, address: row.address };
        // One that is in other hands never is, whatever its row says.
        let is_dialed = |row: &gateways::Gateway| is_dialed(row) && !cut_off.contains(&row.name);
        Ok(rows.into_iter().filter(is_dialed).map(target).collect())
    }

    fn parts(&self) -> &GcmParts {
        &self.inner.parts
    }

    fn now(&self) -> UtcMillis {
        self.parts().clock.wall()
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.inner.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
