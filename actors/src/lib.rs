//! The actors: devices and their shards. They move messages, keep timers, call the engine and commit its
//! effects; the rules are in postern-engine, the truth in postern-store.
//!
//! Promise: one device actor per device at most; what a reply rests on is durable before its octets leave;
//! every queue is bounded; an actor that panics costs its own session and nothing else.
//!
//! - [`Devices`] is the handle: `check_in` for devices, `submit`, `cancel`, `retire` and `enrol` for people.
//! - `shard` owns the device actors of its routes; `device` is one of them, with its rows, session and queue.
//! - [`gcm`] is the supervisor of the gateways: which there are, what each is to hold; `captures` is about one in other hands.
//! - `schedule` says when a device is to come, and `wheel` keeps the time; `steady` says whether the clock can be trusted.
//! - `orders` are transactions on the rows; active devices read them again afterwards.
//! - [`wipe`] takes wipes from the order to the evidence that they were carried out.
//! - [`locks`] locks and unlocks; [`safety`] is the gate before everything destructive, [`approvals`] who agrees to it.
//! - [`enrolment`] lets devices in, keeps them enrolled and lets them go.
//! - [`policy`] brings devices to what a directory and documents want of them.
//! - [`recovery`] keeps devices' recovery passwords, sealed, and has them renewed.
//! - `notification` asks devices to come: package 0 by the bearers, until a session answers it.
//! - [`mail`] tells people and other systems what happened: the outbox, by mail, webhook, syslog and stream.
//! - `directory` keeps what a directory said, [`documents`] what policy documents say, [`objects`] what nodes mean.
//! - [`trees`] reads devices' trees; `inspector` and `recordings` show sessions to people, `watch` tells who waits.
//! - [`sysvol`] keeps the folders of GPOs as they were last read well.
//! - `later` and `upkeep` write what need not be written before an answer, and end what is past its deadline.
#![forbid(unsafe_code)]

mod abilities;
pub mod approvals;
mod captures;
mod counters;
mod device;
mod devices;
mod directory;
pub mod documents;
pub mod enrolment;
pub mod gcm;
mod inspector;
mod job;
mod later;
pub mod locks;
pub mod mail;
mod messages;
mod notification;
pub mod objects;
mod orders;
mod payload;
pub mod policy;
mod recordings;
pub mod recovery;
pub mod safety;
mod schedule;
mod settings;
mod shard;
mod shared;
mod steady;
pub mod sysvol;
#[cfg(test)]
mod tests;
pub mod trees;
mod upkeep;
mod watch;
mod wheel;
pub mod wipe;

pub use abilities::{
    Anchors, Announce, AnnounceNothing, Authority, AuthorityError, BindRefusal, BuiltInTemplates, Carrier,
    CarryError, Clock, DeviceCsr, DeviceRules, DialedGateway, DirectoryChanges, DirectoryError,
    DirectoryMark, DirectoryPerson, DirectoryReader, DirectorySignIn, DirectorySnapshot, DirectoryWriteError,
    DirectoryWriter, Fleet, GatewayAnchors, GatewayAuthority, GatewayCertificate, IssuedDevice,
    LetterTemplates, LogonName, NewComputer, NoRules, Parcel, Published, PushBearer, PushError, PushOrder,
    PushOutcome, PushReceipt, PushReport, PushReports, Randomness, Rules, SystemClock, SystemRandom,
    SysvolError, SysvolRead, SysvolSource, TakeOut, TakenOut, Wake, masked,
};
pub use devices::{Devices, Parts};
pub use directory::{
    Bindings, DirectoryKeeper, DirectoryLook, DirectoryPace, DirectoryParts, DirectoryRules, DirectoryStatus,
    DirectorySupervisor, DirectoryTaskParts, DirectoryTasks, DirectoryTrouble, DirectoryView, GoodDirectory,
    STALE as DIRECTORY_STALE, StoredBindings,
};
pub use inspector::{Exchange, TooManyWatched, Watched};
pub use messages::*;
pub use notification::{NotificationFigures, Notifications, NotifyError, WantedNotification};
pub use payload::{BadPayload, Content};
pub use postern_engine::{
    notification::{LISTEN, Rules as NotificationRules},
    policy::{
        binding::{Bound, How as BoundBy, Unbound},
        dn::Dn,
        ldif::Entry as DirectoryEntry,
        sid::Sid,
    },
    profiles::{BadProfiles, Profile, Profiles},
    queue::{Body, BodyItem},
    schedule::Interval,
    spool::Spool,
    transcript::{Described, Transcript},
};
pub use schedule::InForce;
pub use settings::Settings;
pub use watch::CommandWatch;
