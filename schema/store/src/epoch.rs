//! The epoch: one active core for each database (docs/ARCHITECTURE.md, "The writer").
//!
//! The row says which core holds the epoch, under which number, and how often it renewed (`beat`). A standby takes
//! over when `beat` stood still for [`Options::patience`] of its own time (the cores' clocks need not agree), by a
//! compare-and-set on number and beat; each take-over makes the number grow. Every batch of the writer checks its
//! number inside its transaction, under a lock that a take-over must wait for, so no write of a core that was taken
//! over from can follow the take-over. On SQLite, a core that dies frees its lock file, and is taken over from at
//! once.
//!
//! [`Options::patience`]: crate::Options::patience

use std::{
    fs::{File, OpenOptions},
    path::PathBuf,
    time::Duration,
};

use diesel::{OptionalExtension, prelude::*};
use postern_wire::terms::UtcMillis;
use uuid::Uuid;

use crate::{
    column::db,
    conn::{Conn, each},
    errors::StoreError,
    options::{Options, Place},
    tables::epoch::dsl as t,
};

/// What a look at the row told a standby.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// Taken: this core is active, under this number.
    Taken(i64),
    /// Somebody else holds it.
    Held,
}

/// A core's view of the epoch.
pub(crate) struct Epoch {
    holder: Uuid,
    patience: Duration,
    lock_path: Option<PathBuf>,
    lock: Option<File>,
    /// The last (number, beat) seen, and since when (this core's stop-watch) it stands still.
    still: Option<(i64, i64, Duration)>,
}

impl Epoch {
    pub(crate) fn new(options: &Options) -> Self {
        let lock_path = match &options.place {
            Place::Sqlite { path } => {
                let mut name = path.clone().into_os_string();
                name.push(".lock");
                Some(PathBuf::from(name))
            }
            Place::Postgres(_) => None,
        };
        Self { holder: options.holder, patience: options.patience, lock_path, lock: None, still: None }
    }

    /// A standby's look: takes the epoch when it is free, was released, or its holder does not renew it.
    pub(crate) fn look(
        &mut self,
        conn: &mut Conn,
        now: UtcMillis,
        elapsed: Duration,
    ) -> Result<Look, StoreError> {
        let (number, beat, released) = read(conn)?;
        let since = match self.still {
            Some((n, b, since)) if (n, b) == (number, beat) => since,
            _ => {
                self.still = Some((number, beat, elapsed));
                elapsed
            }
        };
        let silent = elapsed.saturating_sub(since) >= self.patience;
        if !(released || silent || self.lock_file()) {
            return Ok(Look::Held);
        }
        let changed = each!(*conn, c => diesel::update(
            t::epoch.filter(t::id.eq(1)).filter(t::number.eq(number)).filter(t::beat.eq(beat)),
        )
        .set((
            t::number.eq(number + 1),
            t::holder.eq(db(self.holder)),
            t::beat.eq(beat + 1),
            t::renewed_at.eq(now.0),
            t::released.eq(false),
        ))
        .execute(c))?;
        if changed == 1 {
            self.lock_file();
            Ok(Look::Taken(number + 1))
        } else {
            self.still = None;
            Ok(Look::Held)
        }
    }

    /// The database was away: what was seen before says nothing about the holder now.
    pub(crate) fn forget(&mut self) {
        self.still = None;
    }

    /// Inside a batch's transaction: whether this core still holds epoch `number`; keeps it so until COMMIT.
    /// With `renew`, also renews it.
    pub(crate) fn holds(
        &mut self,
        conn: &mut Conn,
        number: i64,
        renew: bool,
        now: UtcMillis,
    ) -> Result<bool, StoreError> {
        let mine =
            t::epoch.filter(t::id.eq(1)).filter(t::number.eq(number)).filter(t::holder.eq(db(self.holder)));
        if renew {
            self.lock_file();
            let changed = each!(*conn, c => diesel::update(mine)
                .set((t::beat.eq(t::beat + 1), t::renewed_at.eq(now.0)))
                .execute(c))?;
            return Ok(changed == 1);
        }
        let found: Option<i64> = match conn {
            // BEGIN IMMEDIATE holds the one write lock already.
            Conn::Sqlite(c) => mine.select(t::id).get_result(c).optional()?,
            Conn::Postgres(c) => mine.select(t::id).for_share().get_result(c).optional()?,
        };
        Ok(found.is_some())
    }

    /// Inside a transaction: waits until every batch that is under way, of whatever session, has ended.
    pub(crate) fn lock_row(conn: &mut Conn) -> Result<(), StoreError> {
        // SQLite: BEGIN IMMEDIATE has waited already.
        if let Conn::Postgres(c) = conn {
            t::epoch.filter(t::id.eq(1)).select(t::id).for_update().get_result::<i64>(c)?;
        }
        Ok(())
    }

    /// Gives the epoch up, so that a standby need not wait.
    pub(crate) fn release(&mut self, conn: &mut Conn, number: i64) -> Result<(), StoreError> {
        each!(*conn, c => diesel::update(
            t::epoch.filter(t::id.eq(1)).filter(t::number.eq(number)).filter(t::holder.eq(db(self.holder))),
        )
        .set((t::released.eq(true), t::beat.eq(t::beat + 1)))
        .execute(c))?;
        self.lock = None;
        Ok(())
    }

    /// SQLite: holds the lock file if it can be had. The kernel frees it when its process dies.
    fn lock_file(&mut self) -> bool {
        if self.lock.is_some() {
            return true;
        }
        let Some(path) = &self.lock_path else { return false };
        let opened = OpenOptions::new().create(true).truncate(false).write(true).open(path);
        let Ok(file) = opened else { return false };
        if file.try_lock().is_ok() {
            self.lock = Some(file);
        }
        self.lock.is_some()
    }
}

fn read(conn: &mut Conn) -> Result<(i64, i64, bool), StoreError> {
    Ok(
        each!(*conn, c => t::epoch.filter(t::id.eq(1)).select((t::number, t::beat, t::released)).get_result(c))?,
    )
}
