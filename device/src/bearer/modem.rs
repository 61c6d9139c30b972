//! A modem, as far as a DM client sees one: the user data of short messages one by one, or WDP datagrams.
//!
//! In a device the modem hands over what came for the push port; here a UDP or Unix datagram socket stands for that, or a
//! folder into which short messages are put as files (each is taken away once it was read).

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use postern_wire::{
    push::{
        Push,
        sms::{PUSH_PORT, Reassembly, ReassemblyLimits},
        wsp,
    },
    terms::UtcMillis,
};
use tokio::net::{UdpSocket, UnixDatagram};

use super::{Bearer, BearerError};

/// Octets of a datagram.
const MOST_OCTETS: usize = 65_535;
/// Between two looks into the folder.
const LOOK: Duration = Duration::from_millis(500);
/// Files of other names are left alone: a writer names its file so when it is whole.
const SUFFIX: &str = "sms";

/// What a datagram is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// The user data of one short message, its header first.
    Sms,
    /// A WSP PDU by itself: WDP over IP.
    Wdp,
}

enum Source {
    Udp(UdpSocket),
    Unix(UnixDatagram),
    Folder(PathBuf),
}

/// Where short messages come from.
pub struct Modem {
    source: Source,
    name: String,
    framing: Framing,
    reassembly: Reassembly,
    clock: fn() -> UtcMillis,
}

impl Modem {
    /// From datagrams to a UDP port.
    pub async fn udp(
        at: SocketAddr,
        framing: Framing,
        clock: fn() -> UtcMillis,
    ) -> Result<Self, BearerError> {
        let socket = UdpSocket::bind(at).await.map_err(|error| BearerError::Io(at.to_string(), error))?;
        Ok(Self::new(Source::Udp(socket), at.to_string(), framing, clock))
    }

    /// From datagrams to a Unix socket; one that is left from before gives way.
    pub fn unix(at: &Path, clock: fn() -> UtcMillis) -> Result<Self, BearerError> {
        let name = at.display().to_string();
        let bind = || {
            match std::fs::remove_file(at) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            UnixDatagram::bind(at)
        };
        let socket = bind().map_err(|error| BearerError::Io(name.clone(), error))?;
        Ok(Self::new(Source::Unix(socket), name, Framing::Sms, clock))
    }

    /// From files `*.sms` in a folder, in the order of their names.
    #[must_use]
    pub fn folder(at: &Path, clock: fn() -> UtcMillis) -> Self {
        Self::new(Source::Folder(at.to_owned()), at.display().to_string(), Framing::Sms, clock)
    }

    /// Where it really listens, when that is a UDP port.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        match &self.source {
            Source::Udp(socket) => socket.local_addr().ok(),
            Source::Unix(_) | Source::Folder(_) => None,
        }
    }

    fn new(source: Source, name: String, framing: Framing, clock: fn() -> UtcMillis) -> Self {
        Self { source, name, framing, reassembly: Reassembly::new(ReassemblyLimits::default()), clock }
    }

    /// The next datagram. Short messages of one push may come from several ports of the stub, so senders are one.
    async fn datagram(&self) -> Result<Vec<u8>, BearerError> {
        let failed = |error| BearerError::Io(self.name.clone(), error);
        let mut octets = vec![0; MOST_OCTETS];
        let length = match &self.source {
            Source::Udp(socket) => socket.recv(&mut octets).await.map_err(failed)?,
            Source::Unix(socket) => socket.recv(&mut octets).await.map_err(failed)?,
            Source::Folder(folder) => loop {
                if let Some(octets) = take_first(folder).map_err(failed)? {
                    return Ok(octets);
                }
                tokio::time::sleep(LOOK).await;
            },
        };
        octets.truncate(length);
        Ok(octets)
    }

    /// The PDU that a datagram completes, if it completes one for the push port.
    fn pdu(&mut self, datagram: Vec<u8>) -> Option<Vec<u8>> {
        if self.framing == Framing::Wdp {
            return Some(datagram);
        }
        match self.reassembly.take((self.clock)(), "", &datagram) {
            Ok(Some(whole)) if whole.ports.is_some_and(|ports| ports.destination == PUSH_PORT) => {
                Some(whole.datagram)
            }
            Ok(Some(_)) => {
                tracing::debug!(source = %self.name, "a short message for another port");
                None
            }
            Ok(None) => None,
            Err(error) => {
                tracing::warn!(source = %self.name, %error, "a short message is dropped");
                None
            }
        }
    }
}

impl Bearer for Modem {
    async fn next(&mut self) -> Result<Push, BearerError> {
        loop {
            let datagram = self.datagram().await?;
            let Some(pdu) = self.pdu(datagram) else { continue };
            match wsp::decode(&pdu) {
                Ok(received) => return Ok(received.push),
                Err(error) => tracing::warn!(source = %self.name, %error, "a push is dropped"),
            }
        }
    }
}

/// Takes the first file out of the folder.
fn take_first(folder: &Path) -> io::Result<Option<Vec<u8>>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == SUFFIX) {
            files.push(path);
        }
    }
    files.sort_unstable();
    let Some(first) = files.first() else { return Ok(None) };
    let octets = std::fs::read(first)?;
    std::fs::remove_file(first)?;
    Ok(Some(octets))
}
