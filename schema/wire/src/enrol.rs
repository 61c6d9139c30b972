//! Enrolment over the air: a device and the core prove to each other that they know a one-time password, before either
//! believes anything else of the other (docs/ENROLMENT.md argues the construction).
//!
//! It is the Noise Protocol Framework's `NNpsk0` (revision 34, sections 7.4 and 9), with Curve25519, AES-256-GCM and SHA-256, keyed by
//! the password. Two exchanges over HTTP, each a POST of [`CONTENT_TYPE`]:
//!
//! ```text
//! device                                                    core
//!   -- POST /enrol/1/start   version code  psk, e, {Hello}   -->   knows the password, or repeats one who does
//!   <- 200                   version       e, ee, {Welcome}  ---   knows it, and answers this very Hello
//!   -- POST /enrol/1/finish  version id    {Application}     -->   knows it, and answers this very Welcome
//!   <- 200                   version       {Admitted}        ---
//! ```
//! In braces: JSON, encrypted and authenticated. In clear: the version, the password's public code, and the id of the handshake,
//! which is its hash.
//!
//! Promise: pure code. Randomness is passed in; a body, a text or a field beyond its limit is refused by type; what a stranger
//! sends changes no state and answers the same whether a code exists or not. No secret shows in Debug or in an error.

mod content;
mod discovery;
mod frame;
mod initiator;
mod key;
mod noise;
mod password;
mod refusal;
mod responder;

pub use content::{Admitted, Application, BadContent, Bootstrap, Der, Hello, KeyType, TEXT_LIMIT, Welcome};
pub use discovery::{BadDiscovery, DISCOVERY_LIMIT, Discovery};
pub use frame::{BadFrame, Finish, HandshakeId, Start};
pub use initiator::{Applied, Greeted, Initiator};
pub use key::Psk;
pub use password::{BadCode, BadPassword, OneTimePassword, RequestCode};
pub use refusal::Refusal;
pub use responder::{Asked, Responder, Waiting};

/// Where the handshake starts.
pub const START_PATH: &str = "/enrol/1/start";
/// Where it ends.
pub const FINISH_PATH: &str = "/enrol/1/finish";
/// Where a device learns, unproved, which server to go to.
pub const DISCOVER_PATH: &str = "/enrol/1/discover";
/// The media type of both POSTs and their answers.
pub const CONTENT_TYPE: &str = "application/vnd.postern.enrolment";
/// The only version so far: the first octet of each body.
pub const VERSION: u8 = 1;
/// A body is at most so many octets: a Noise message and the clear octets before it.
pub const BODY_LIMIT: usize = 65_536;
/// How long the core keeps a handshake between start and finish, in milliseconds.
pub const HANDSHAKE_LIFE_MS: i64 = 120_000;

/// Why one side does not go on.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnrolError {
    /// The octets are not a body of this protocol.
    #[error(transparent)]
    Frame(#[from] BadFrame),
    /// The other side did not prove that it knows the one-time password, or what it sent was changed on the way.
    #[error("the other side did not prove that it knows the one-time password")]
    NotProved,
    /// The other side knows the password and says something that cannot be used.
    #[error(transparent)]
    Content(#[from] BadContent),
    /// This handshake has had its finish.
    #[error("this handshake was finished before")]
    Finished,
}
