//! The register of cores on this database: who is active, who stands by, and how each is.
//!
//! The one table that is written outside the epoch, because a standby has none: each core writes its own row and
//! nothing else, over a connection of its own ([`Register`]).

use diesel::prelude::*;
use postern_wire::terms::UtcMillis;
use uuid::Uuid;

use crate::{
    column::{db, row},
    conn::{Conn, Purpose, each},
    errors::StoreError,
    options::Options,
    tables::cores::dsl as t,
    tx::Reader,
};

/// A core that was not seen for so long is forgotten, in milliseconds.
const FORGOTTEN_MS: i64 = 24 * 3_600_000;

row! {
    /// One core's process.
    pub struct Core in cores {
        /// Its start: who holds the epoch under it.
        pub id: Uuid,
        /// The core's id.
        pub core: String,
        /// The machine's name.
        pub host: String,
        /// Its version.
        pub version: String,
        /// `active`, `standby` or `lost`.
        pub role: String,
        /// When it started, by its own clock.
        pub started_at: UtcMillis,
        /// When it wrote this, by its own clock.
        pub seen_at: UtcMillis,
        /// Where its admin API listens.
        pub admin: String,
        /// How many things are wrong with it.
        pub problems: i64,
        /// The first of them.
        pub error: String,
    }
}

/// All cores that were seen lately.
pub fn list(r: &mut Reader) -> Result<Vec<Core>, StoreError> {
    Ok(each!(r.conn, c => t::cores.order((t::role, t::started_at)).select(Core::as_select()).load(c))?)
}

/// A core's way to its row. To be used from a thread that is not a runtime's.
pub struct Register {
    options: Options,
    conn: Option<Conn>,
}

impl Register {
    /// Opens nothing yet.
    #[must_use]
    pub const fn new(options: Options) -> Self {
        Self { options, conn: None }
    }

    /// Writes this core's row, and forgets cores that were not seen for a day.
    pub fn beat(&mut self, core: &Core) -> Result<(), StoreError> {
        let done = self.write(core);
        if done.is_err() {
            self.conn = None;
        }
        done
    }

    /// Takes this core's row away: it stops.
    pub fn leave(&mut self, id: Uuid) -> Result<(), StoreError> {
        let conn = self.open()?;
        each!(*conn, c => diesel::delete(t::cores.filter(t::id.eq(db(id)))).execute(c))?;
        Ok(())
    }

    fn write(&mut self, core: &Core) -> Result<(), StoreError> {
        let (row, old) = (core.clone(), core.seen_at.plus(-FORGOTTEN_MS));
        let conn = self.open()?;
        each!(*conn, c => diesel::insert_into(t::cores)
            .values(row)
            .on_conflict(t::id)
            .do_update()
            .set((
                t::role.eq(core.role.as_str()),
                t::seen_at.eq(core.seen_at.0),
                t::admin.eq(core.admin.as_str()),
                t::problems.eq(core.problems),
                t::error.eq(core.error.as_str()),
            ))
            .execute(c))?;
        each!(*conn, c => diesel::delete(t::cores.filter(t::seen_at.lt(old.0))).execute(c))?;
        Ok(())
    }

    fn open(&mut self) -> Result<&mut Conn, StoreError> {
        match &mut self.conn {
            Some(conn) => Ok(conn),
            empty => Ok(empty.insert(Conn::open(&self.options, Purpose::Write)?)),
        }
    }
}
