//! The bodies of the two exchanges: a version, what a reader needs before it can decrypt, and a Noise message.
//!
//! | body | clear octets before the Noise message |
//! |-|-|
//! | start | version, code (5 characters) |
//! | its answer | version |
//! | finish | version, handshake id (16) |
//! | its answer | version |
//!
//! Nothing in clear is believed: the code goes into the handshake's prologue, and the id is the handshake's own hash.

use std::fmt;

use data_encoding::HEXLOWER;

use super::{BODY_LIMIT, RequestCode, VERSION};

/// Octets of a key and of a tag: no Noise message of a handshake is shorter than both.
const KEY_AND_TAG: usize = 32 + 16;
const TAG: usize = 16;
const CODE: usize = 5;
const ID: usize = 16;

/// Names a handshake between its start and its finish: the first 16 octets of its hash, which both sides know after the
/// core's answer and which covers all that was said until then.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HandshakeId(pub [u8; ID]);

impl fmt::Display for HandshakeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for HandshakeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HandshakeId({self})")
    }
}

/// Octets that are no body of this protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadFrame {
    /// More than [`BODY_LIMIT`] octets.
    #[error("the body has more than {BODY_LIMIT} octets")]
    TooLarge,
    /// It ends before its Noise message could.
    #[error("the body is cut off")]
    Truncated,
    /// A version that is not known here.
    #[error("version {0} of the enrolment protocol is not known here")]
    Version(u8),
    /// The code is not spelt as one.
    #[error("the body names no request")]
    Code,
}

/// The body of `/enrol/1/start`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start<'a> {
    /// Which request the device claims to be.
    pub code: RequestCode,
    pub(super) noise: &'a [u8],
}

impl<'a> Start<'a> {
    /// Takes the body apart. Nothing in it is proved yet.
    ///
    /// # Errors
    /// [`BadFrame`].
    pub fn read(body: &'a [u8]) -> Result<Self, BadFrame> {
        let (code, noise) = versioned(body)?.split_first_chunk::<CODE>().ok_or(BadFrame::Truncated)?;
        let code = RequestCode::from_bytes(*code).map_err(|_| BadFrame::Code)?;
        at_least(KEY_AND_TAG, noise).map(|noise| Self { code, noise })
    }
}

/// The body of `/enrol/1/finish`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finish<'a> {
    /// Which handshake it finishes.
    pub handshake: HandshakeId,
    pub(super) noise: &'a [u8],
}

impl<'a> Finish<'a> {
    /// Takes the body apart. Nothing in it is proved yet.
    ///
    /// # Errors
    /// [`BadFrame`].
    pub fn read(body: &'a [u8]) -> Result<Self, BadFrame> {
        let (id, noise) = versioned(body)?.split_first_chunk::<ID>().ok_or(BadFrame::Truncated)?;
        at_least(TAG, noise).map(|noise| Self { handshake: HandshakeId(*id), noise })
    }
}

/// The Noise message in the answer to a start.
pub(super) fn read_welcome(body: &[u8]) -> Result<&[u8], BadFrame> {
    at_least(KEY_AND_TAG, versioned(body)?)
}

/// The Noise message in the answer to a finish.
pub(super) fn read_admitted(body: &[u8]) -> Result<&[u8], BadFrame> {
    at_least(TAG, versioned(body)?)
}

/// A body of these clear octets and this Noise message.
pub(super) fn write(clear: &[u8], noise: &[u8]) -> Vec<u8> {
    [&[VERSION], clear, noise].concat()
}

fn versioned(body: &[u8]) -> Result<&[u8], BadFrame> {
    if body.len() > BODY_LIMIT {
        return Err(BadFrame::TooLarge);
    }
    match body.split_first() {
        None => Err(BadFrame::Truncated),
        Some((&VERSION, rest)) => Ok(rest),
        Some((&other, _)) => Err(BadFrame::Version(other)),
    }
}

fn at_least(octets: usize, noise: &[u8]) -> Result<&[u8], BadFrame> {
    if noise.len() < octets { Err(BadFrame::Truncated) } else { Ok(noise) }
}
