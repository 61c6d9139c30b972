//! The status codes that our client gives (OMA-TS-SyncML-RepPro 1.2, as OMA DM uses them).

use std::fmt;

use serde::Serialize;

/// A status code. An `Err(Code)` is an answer to the server, not a fault of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Code(pub u32);

impl Code {
    /// Done.
    pub const OK: Self = Self(200);
    /// Taken, and goes on: a generic alert will say how it ended.
    pub const ACCEPTED: Self = Self(202);
    /// Credentials accepted for the session.
    pub const AUTHENTICATED: Self = Self(212);
    /// A chunk of a large object is kept; send the next.
    pub const CHUNK_KEPT: Self = Self(213);
    /// The user gave up.
    pub const CANCELLED: Self = Self(214);
    /// Not executed, because of something before it.
    pub const NOT_EXECUTED: Self = Self(215);
    /// Executed and undone with its Atomic.
    pub const ROLLED_BACK: Self = Self(216);
    /// The user said no.
    pub const NOT_MODIFIED: Self = Self(304);
    /// The command cannot be understood.
    pub const BAD_REQUEST: Self = Self(400);
    /// Wrong credentials.
    pub const UNAUTHORISED: Self = Self(401);
    /// Impossible, whoever asks.
    pub const FORBIDDEN: Self = Self(403);
    /// No such node.
    pub const NOT_FOUND: Self = Self(404);
    /// The node does not take this command.
    pub const NOT_ALLOWED: Self = Self(405);
    /// An optional feature that is not here.
    pub const UNSUPPORTED: Self = Self(406);
    /// No credentials.
    pub const CREDENTIALS_MISSING: Self = Self(407);
    /// The user did nothing in time.
    pub const TIMED_OUT: Self = Self(408);
    /// The first chunk of a large object without its size.
    pub const SIZE_REQUIRED: Self = Self(411);
    /// A part of the command is missing.
    pub const INCOMPLETE: Self = Self(412);
    /// Larger than MaxObjSize.
    pub const TOO_LARGE: Self = Self(413);
    /// A URI beyond the limits of ./DevDetail/URI.
    pub const URI_TOO_LONG: Self = Self(414);
    /// A Type or Format, or a value that is not of its Format.
    pub const BAD_FORMAT: Self = Self(415);
    /// Longer than can be shown.
    pub const RANGE: Self = Self(416);
    /// The node exists already.
    pub const EXISTS: Self = Self(418);
    /// No room in the tree.
    pub const DEVICE_FULL: Self = Self(420);
    /// A large object of another size than announced.
    pub const SIZE_MISMATCH: Self = Self(424);
    /// The ACL does not let this server.
    pub const DENIED: Self = Self(425);
    /// Failed for a reason of the command's own.
    pub const FAILED: Self = Self(500);
    /// An element of SyncBody that is not known.
    pub const NOT_IMPLEMENTED: Self = Self(501);
    /// A child of the Atomic failed; nothing of it stands.
    pub const ATOMIC_FAILED: Self = Self(507);

    /// The Atomic's answers do not fit one message.
    pub const ATOMIC_TOO_LARGE: Self = Self(517);

    /// Whether the command did what it says: 2xx except 214, 215 and 216.
    #[must_use]
    pub const fn is_success(self) -> bool {
        self.0 >= 200 && self.0 < 300 && self.0 != 214 && self.0 != 215 && self.0 != 216
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
