//! The outside world behind small traits.
//!
//! - [`anchor`]: where the audit log's signed heads are kept outside the database.
//! - [`ldap`]: what an Active Directory holds of policy.
//! - [`letters`]: an operator's own templates of mails.
//! - [`pap`]: pushes through a push proxy gateway.
//! - [`smpp`]: pushes through a short-message centre.
//! - [`smtp`]: events as mail.
//! - [`stream`]: events as lines of a file.
//! - [`syslog`]: events to a syslog server.
//! - [`sysvol`]: the folders of GPOs.
//! - [`webhook`]: events to another system.
#![forbid(unsafe_code)]

pub mod anchor;
mod files;
mod http;
pub mod ldap;
pub mod letters;
pub mod pap;
pub mod smpp;
pub mod smtp;
pub mod stream;
pub mod syslog;
pub mod sysvol;
pub mod webhook;

pub use files::OpenError;
