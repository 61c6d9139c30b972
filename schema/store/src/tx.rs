//! The handles that topic functions take.

use std::ops::{Deref, DerefMut};

use postern_wire::terms::UtcMillis;
use uuid::Uuid;

use crate::{ambient::Ambient, conn::Conn};

/// A connection to read with. What one closure reads is a consistent picture (one read transaction).
pub struct Reader {
    pub(crate) conn: Conn,
    pub(crate) ambient: Ambient,
}

/// A transaction of the writer. Everything that one closure does commits together, or not at all.
pub struct Tx {
    reader: Reader,
    now: UtcMillis,
}

impl Reader {
    pub(crate) const fn new(conn: Conn, ambient: Ambient) -> Self {
        Self { conn, ambient }
    }
}

// === impl Tx ===

impl Tx {
    pub(crate) fn new(conn: Conn, ambient: Ambient) -> Self {
        let now = (ambient.now)();
        Self { reader: Reader::new(conn, ambient), now }
    }

    pub(crate) fn starts_at(&mut self, now: UtcMillis) {
        self.now = now;
    }

    /// The moment that this transaction writes into its rows.
    #[must_use]
    pub const fn now(&self) -> UtcMillis {
        self.now
    }

    /// A fresh id, for a row that its caller does not name.
    #[must_use]
    pub fn fresh_id(&self) -> Uuid {
        (self.reader.ambient.id)()
    }
}

impl Deref for Tx {
    type Target = Reader;
    fn deref(&self) -> &Reader {
        &self.reader
    }
}

impl DerefMut for Tx {
    fn deref_mut(&mut self) -> &mut Reader {
        &mut self.reader
    }
}
