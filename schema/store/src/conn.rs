//! One connection to either backend.
//!
//! Diesel's own `MultiConnection` has neither `on_conflict` nor multi-row inserts; [`each!`] writes a query once
//! and compiles it for both.

pub(crate) mod kept;
pub(crate) mod postgres;
pub(crate) mod sqlite;
mod tls;

use diesel::{SqliteConnection, connection::SimpleConnection};

use crate::{
    errors::StoreError,
    options::{Options, Place},
};

/// A connection to one of the two backends.
#[expect(clippy::large_enum_variant, reason = "one for each database thread; it is never moved about")]
pub(crate) enum Conn {
    /// SQLite.
    Sqlite(SqliteConnection),
    /// PostgreSQL.
    Postgres(postgres::PgConnection),
}

/// Runs an expression with the connection of either backend: `each!(reader.conn, c => query.load(c))`.
///
/// SQLite prepares a statement with a bound `LIMIT` anew each time it runs, because the value may change its plan. So a
/// row that a unique index finds is asked for by `get_result`, not by diesel's `first`, which binds a limit of 1.
macro_rules! each {
    ($conn:expr, $c:ident => $body:expr) => {
        match &mut $conn {
            $crate::conn::Conn::Sqlite($c) => $body,
            $crate::conn::Conn::Postgres($c) => $body,
        }
    };
}
pub(crate) use each;

/// Inserts rows by statements of three shapes (16 rows, 4, one), so that both backends keep them prepared: parsing
/// one takes longer than running it. Gives the first error.
macro_rules! insert {
    ($conn:expr, $table:expr, $rows:expr) => {{
        let mut rows = $rows;
        loop {
            let from = match rows.len() {
                0 => break Ok(()),
                len => len - [16, 4, 1].into_iter().find(|some| *some <= len).unwrap_or(1),
            };
            let some = rows.split_off(from);
            let done = match <Box<[_; 16]>>::try_from(some) {
                Ok(sixteen) => {
                    $crate::conn::each!($conn, c => diesel::insert_into($table).values(sixteen).execute(c))
                }
                Err(some) => match <Box<[_; 4]>>::try_from(some) {
                    Ok(four) => {
                        $crate::conn::each!($conn, c => diesel::insert_into($table).values(four).execute(c))
                    }
                    Err(some) => some.into_iter().try_fold(0, |done, one| {
                        let more =
                            $crate::conn::each!($conn, c => diesel::insert_into($table).values(one).execute(c))?;
                        Ok(done + more)
                    }),
                },
            };
            if let Err(error) = done {
                break Err(error);
            }
        }
    }};
}
pub(crate) use insert;

/// What a connection is opened for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The writer's one connection.
    Write,
    /// A reader's.
    Read,
}

impl Conn {
    /// Opens a connection to the place of these options.
    pub(crate) fn open(options: &Options, purpose: Purpose) -> Result<Self, StoreError> {
        match &options.place {
            Place::Sqlite { path } => sqlite::open(path, options.lock_timeout, purpose).map(Self::Sqlite),
            Place::Postgres(place) => {
                postgres::open(place, options.lock_timeout, purpose).map(Self::Postgres)
            }
        }
    }

    /// Runs statements without parameters.
    pub(crate) fn run(&mut self, sql: &str) -> Result<(), StoreError> {
        each!(*self, c => c.batch_execute(sql)).map_err(StoreError::from)
    }

    /// Begins a transaction that will write: SQLite takes its write lock now, not in the middle.
    pub(crate) fn begin_write(&mut self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(_) => self.run("BEGIN IMMEDIATE"),
            Self::Postgres(_) => self.run("BEGIN"),
        }
    }

    /// Begins a transaction that only reads, and sees one moment.
    pub(crate) fn begin_read(&mut self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(_) => self.run("BEGIN"),
            Self::Postgres(_) => self.run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"),
        }
    }
}
