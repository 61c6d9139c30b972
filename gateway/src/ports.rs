//! The device port's listening sockets, which settings change while the gateway runs.
//!
//! Promise: an address that cannot be had changes nothing. While settings are on trial the addresses before them are
//! served too; connections that stand are not touched by a change.

use std::{
    collections::BTreeMap,
    net::{SocketAddr, TcpListener},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;

/// Listening sockets by the address that was asked for.
pub(crate) type Open = BTreeMap<SocketAddr, Arc<TcpListener>>;

/// The sockets that are open.
pub(crate) struct Ports {
    /// Held while it changes: two changes never mix.
    changing: Mutex<()>,
    open: watch::Sender<Arc<Open>>,
}

impl Ports {
    /// Binds these, each or none.
    pub(crate) fn bind(addresses: &[SocketAddr]) -> Result<Self, (SocketAddr, std::io::Error)> {
        let mut open = Open::new();
        for address in addresses {
            open.insert(*address, Arc::new(bind(*address).map_err(|error| (*address, error))?));
        }
        Ok(Self { changing: Mutex::default(), open: watch::Sender::new(Arc::new(open)) })
    }

    /// Opens what is lacking of `addresses`, and closes nothing.
    pub(crate) fn open(&self, addresses: &[SocketAddr]) -> Result<(), String> {
        let _changing = self.lock();
        let mut open = Open::clone(&self.open.borrow());
        for address in addresses {
            if !open.contains_key(address) {
                let bound = bind(*address)
                    .map_err(|error| format!("device_listen: {address} cannot be listened at: {error}"))?;
                open.insert(*address, Arc::new(bound));
            }
        }
        self.open.send_replace(Arc::new(open));
        Ok(())
    }

    /// Closes every socket that is not of `addresses`.
    pub(crate) fn keep_only(&self, addresses: &[SocketAddr]) {
        let _changing = self.lock();
        let mut open = Open::clone(&self.open.borrow());
        open.retain(|address, _| addresses.contains(address));
        self.open.send_replace(Arc::new(open));
    }

    /// The sockets, now and whenever they change.
    pub(crate) fn watch(&self) -> watch::Receiver<Arc<Open>> {
        self.open.subscribe()
    }

    /// Where they really listen.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        self.open.borrow().values().filter_map(|listener| listener.local_addr().ok()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Binds one address, not blocking.
pub(crate) fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_cannot_be_had_changes_nothing() {
        let any = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let ports = Ports::bind(&[any(0)]).expect("bound");
        let taken = TcpListener::bind(any(0)).expect("bound");
        let taken_at = taken.local_addr().expect("an address");
        let error = ports.open(&[any(0), taken_at]).expect_err("taken");
        assert!(error.contains(&taken_at.to_string()), "{error}");
        assert_eq!(ports.addresses().len(), 1);
        drop(taken);
        ports.open(&[taken_at]).expect("free now");
        assert_eq!(ports.addresses().len(), 2, "the one before is still served");
        ports.keep_only(&[taken_at]);
        assert_eq!(ports.addresses(), [taken_at]);
    }
}
