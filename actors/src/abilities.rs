//! What the actors need from outside, one small trait for each ability.
//!
//! Promise: nothing in this crate asks a clock or a random source except through these traits; the two
//! system implementations here are the crate's only edge.

pub(crate) mod authority;
mod carrier;
mod directory;
mod directory_writer;
mod gateways;
mod push;
mod sysvol;

use std::time::Duration;

use aws_lc_rs::rand::{SecureRandom, SystemRandom as AwsRandom};
use postern_engine::schedule::Interval;
use postern_store::{Reader, StoreError};
use postern_wire::{
    link::{BlockedEntry, BlockedSubject},
    route::RouteHash,
    terms::{EnrolmentId, UtcMillis},
};
use uuid::Uuid;

pub use authority::{Anchors, Authority, AuthorityError, DeviceCsr, IssuedDevice};
pub use carrier::{BuiltInTemplates, Carrier, CarryError, LetterTemplates, Parcel};
pub use directory::{
    BindRefusal, DirectoryChanges, DirectoryError, DirectoryMark, DirectoryPerson, DirectoryReader,
    DirectorySignIn, DirectorySnapshot, LogonName,
};
pub use directory_writer::{DirectoryWriteError, DirectoryWriter, NewComputer, TakeOut, TakenOut};
pub use gateways::{DialedGateway, Fleet, GatewayAnchors, GatewayAuthority, GatewayCertificate, Published};
pub use push::{PushBearer, PushError, PushOrder, PushOutcome, PushReceipt, PushReport, PushReports, masked};
pub use sysvol::{SysvolError, SysvolRead, SysvolSource};

/// Tells the time. Wall and monotonic time come apart when somebody sets the clock (docs/OPERATIONS.md, "clock.steady").
pub trait Clock: Send + Sync + 'static {
    /// Wall-clock time.
    fn wall(&self) -> UtcMillis;
    /// Time since some fixed point of this process; never goes back.
    fn monotonic(&self) -> Duration;
}

/// Gives random octets of cryptographic quality.
pub trait Randomness: Send + Sync + 'static {
    /// Fills `octets`.
    fn fill(&self, octets: &mut [u8]);

    /// A UUIDv7 of the moment `now` with random rest.
    fn id(&self, now: UtcMillis) -> Uuid {
        let mut random = [0_u8; 10];
        self.fill(&mut random);
        uuid::Builder::from_unix_timestamp_millis(u64::try_from(now.0).unwrap_or(0), &random).into_uuid()
    }
}

/// Is told, after the commit, what the gateways' lists say of a route from now on. The rows say the same: who was
/// not told reads them.
pub trait Announce: Send + Sync + 'static {
    /// A route went live.
    fn live(&self, route: RouteHash);
    /// A route is a tombstone: unknown, and blocked.
    fn gone(&self, route: RouteHash);
    /// A certificate or route is blocked, or blocked otherwise than before.
    fn blocked(&self, entry: BlockedEntry);
    /// A certificate or route is not blocked any more.
    fn freed(&self, subject: BlockedSubject);
}

/// Reaches devices that listen at the gateways.
pub trait Wake: Send + Sync + 'static {
    /// Hands package 0 for the device of this route to every gateway; with `certificate` (its SHA-256) only a listener
    /// that showed it is given it. Nobody knows whether the device listens.
    fn wake(&self, route: RouteHash, certificate: Option<[u8; 32]>, package0: &[u8]);
}

/// Tells nobody.
#[derive(Clone, Copy, Debug, Default)]
pub struct AnnounceNothing;

impl Wake for AnnounceNothing {
    fn wake(&self, _: RouteHash, _: Option<[u8; 32]>, _: &[u8]) {}
}

impl Announce for AnnounceNothing {
    fn live(&self, _: RouteHash) {}
    fn gone(&self, _: RouteHash) {}
    fn blocked(&self, _: BlockedEntry) {}
    fn freed(&self, _: BlockedSubject) {}
}

/// Says what the settings mean to a device; asked inside the transaction that acts on it.
pub trait Rules: Send + Sync + 'static {
    /// What holds for this device.
    ///
    /// # Errors
    /// Where the rows cannot be read.
    fn of_device(&self, r: &mut Reader, device: EnrolmentId) -> Result<DeviceRules, StoreError>;
}

/// What the settings mean to one device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceRules {
    /// How often it is to connect.
    pub interval: Interval,
    /// Whether its first session reads its configuration.
    pub read_configuration: bool,
}

/// Every 8 hours, and nothing is read: for cores without settings.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoRules;

impl Rules for NoRules {
    fn of_device(&self, _: &mut Reader, _: EnrolmentId) -> Result<DeviceRules, StoreError> {
        Ok(DeviceRules { interval: Interval { every_s: 8 * 3600, jitter_s: 0 }, read_configuration: false })
    }
}

/// The machine's clocks.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    start: std::time::Instant,
}

impl SystemClock {
    /// A clock whose monotonic zero is now.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the edge where the actors ask for monotonic time")]
    pub fn new() -> Self {
        Self { start: std::time::Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the edge where the actors ask for wall-clock time")]
    fn wall(&self) -> UtcMillis {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        UtcMillis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }
}

/// The operating system's random source, by way of aws-lc-rs.
#[derive(Debug, Default)]
pub struct SystemRandom(AwsRandom);

impl Randomness for SystemRandom {
    fn fill(&self, octets: &mut [u8]) {
        self.0.fill(octets).expect("the operating system's random source does not fail once it is open");
    }
}
