//! The supervisor's way to the gateways: the links and the lists.

use std::sync::{Arc, OnceLock};

use postern_actors::{DialedGateway, Fleet, Published, wipe::Perimeter};
use postern_wire::link::WatchLine;

use crate::links::{GatewayTarget, Links, Lists};

/// Links that may not be started yet.
pub(crate) struct LinkFleet {
    lists: Arc<Lists>,
    links: OnceLock<Links>,
}

impl LinkFleet {
    pub(crate) fn new(lists: Arc<Lists>) -> Self {
        Self { lists, links: OnceLock::new() }
    }

    /// The links run now.
    pub(crate) fn started(&self, links: Links) {
        // It is called once, by who made this.
        let _ = self.links.set(links);
    }
}

impl Fleet for LinkFleet {
    fn dial(&self, gateways: Vec<DialedGateway>) {
        let target = |gateway: DialedGateway| GatewayTarget { name: gateway.name, address: gateway.address };
        let targets: Vec<GatewayTarget> = gateways.into_iter().map(target).collect();
        if let Some(links) = self.links.get() {
            links.set_gateways(&targets);
        }
    }

    fn publish(&self, gateway: &str, document: Option<Published>) {
        match document {
            Some(Published { version, document, sha256 }) => {
                self.lists.publish_document(gateway, version, document, sha256);
            }
            None => self.lists.withdraw_settings(gateway),
        }
    }

    fn send(&self, gateway: &str, line: WatchLine) {
        self.lists.send(gateway, line);
    }

    fn connected(&self) -> Vec<String> {
        let status = self.links.get().map(Links::status).unwrap_or_default();
        status.into_iter().filter(|gateway| gateway.watching).map(|gateway| gateway.name).collect()
    }

    fn refuse_certificates(&self, serials: Vec<String>) {
        if let Some(links) = self.links.get() {
            links.refuse_certificates(serials);
        }
    }
}

/// What the gateways that are dialed hold.
pub(crate) struct Holders {
    pub(crate) fleet: Arc<LinkFleet>,
    pub(crate) lists: Arc<Lists>,
}

impl Perimeter for Holders {
    fn holders(&self) -> Vec<(String, bool)> {
        let (blocked, _) = self.lists.versions();
        let status = self.fleet.links.get().map(Links::status).unwrap_or_default();
        // One that is not connected serves nobody before it has the list; it has not shown yet that it does.
        let has = |name: &str, watching: bool| watching && self.lists.at(name).blocked >= blocked;
        status
            .into_iter()
            .map(|gateway| (gateway.name.clone(), has(&gateway.name, gateway.watching)))
            .collect()
    }
}
