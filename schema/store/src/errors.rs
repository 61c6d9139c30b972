//! What can go wrong, by what the caller can do about it.

use diesel::result::{DatabaseErrorKind, Error as DieselError};
use postern_wire::terms::UtcMillis;

/// A database operation failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The row that was named does not exist.
    #[error("{0} not found")]
    NotFound(&'static str),
    /// A row with this unique value exists already, or the row changed since it was read.
    #[error("conflict: {0}")]
    Conflict(String),
    /// A rule of a topic refused it: a cycle of groups, a finished command, a tombstone.
    #[error("refused: {0}")]
    Refused(String),
    /// The disk of the database is full: new orders are refused (507), wipes have a reserve.
    #[error("the database's disk is full: {0}")]
    Full(String),
    /// The database did not answer, or the connection to it broke.
    #[error("the database is lost: {0}")]
    Lost(String),
    /// Another transaction was in the way; trying again helps.
    #[error("the database is busy: {0}")]
    Busy(String),
    /// What rests in the database is not what it should be: an unknown term, a broken seal, a broken chain.
    #[error("damaged data: {0}")]
    Damaged(String),
    /// The configuration of the store cannot work: a URL, a certificate, a file's mode.
    #[error("store configuration: {0}")]
    Configuration(String),
    /// Anything else that the database said.
    #[error("database: {0}")]
    Database(String),
}

/// A write was not committed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// This write failed by itself; others of its batch did not.
    #[error(transparent)]
    Rejected(#[from] StoreError),
    /// The queue is full: slow down, try again later.
    #[error("the writer's queue is full")]
    Overloaded,
    /// The database was away for longer than writes are held.
    #[error("the database has been away since {since}: {cause}")]
    Unavailable {
        /// When the database was lost.
        since: UtcMillis,
        /// What it said, or did not say.
        cause: String,
    },
    /// This core does not hold the epoch (it stands by, or another took over). Never retried.
    #[error("this core is not the active one")]
    NotActive,
    /// The store was shut down.
    #[error("the store is stopped")]
    Stopped,
}

/// A read gave no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The read failed.
    #[error(transparent)]
    Failed(#[from] StoreError),
    /// Too many reads wait.
    #[error("too many reads wait")]
    Overloaded,
    /// The store was shut down.
    #[error("the store is stopped")]
    Stopped,
}

impl StoreError {
    /// Whether the connection, not the statement, is the trouble.
    #[must_use]
    pub(crate) const fn is_lost(&self) -> bool {
        matches!(self, Self::Lost(_))
    }
}

impl From<DieselError> for StoreError {
    fn from(error: DieselError) -> Self {
        match error {
            DieselError::NotFound => Self::NotFound("row"),
            DieselError::DatabaseError(kind, info) => by_kind(&kind, info.message()),
            DieselError::DeserializationError(cause) => Self::Damaged(cause.to_string()),
            DieselError::BrokenTransactionManager => Self::Lost("the transaction broke off".to_owned()),
            other => Self::Database(other.to_string()),
        }
    }
}

fn by_kind(kind: &DatabaseErrorKind, message: &str) -> StoreError {
    let text = message.to_owned();
    match kind {
        DatabaseErrorKind::UniqueViolation => StoreError::Conflict(text),
        DatabaseErrorKind::ForeignKeyViolation => StoreError::Refused(text),
        DatabaseErrorKind::NotNullViolation | DatabaseErrorKind::CheckViolation => StoreError::Refused(text),
        DatabaseErrorKind::SerializationFailure => StoreError::Busy(text),
        // A database that takes no writes is as good as one that is away: writes wait, and come through when it is back.
        DatabaseErrorKind::UnableToSendCommand
        | DatabaseErrorKind::ClosedConnection
        | DatabaseErrorKind::ReadOnlyTransaction => StoreError::Lost(text),
        _ => by_message(text),
    }
}

/// Diesel carries neither SQLite's result code nor PostgreSQL's SQLSTATE beyond the kinds above (diesel-async 0.9.2
/// drops it in `pg::error_helper`); their messages are stable English
/// (SQLite: sqlite3ErrStr; PostgreSQL: the connection asks for `lc_messages = 'C'`).
fn by_message(text: String) -> StoreError {
    const FULL: &[&str] =
        &["database or disk is full", "No space left on device", "disk full", "Disk quota exceeded"];
    const BUSY: &[&str] =
        &["database is locked", "database table is locked", "deadlock detected", "lock timeout"];
    const LOST: &[&str] = &[
        "disk I/O error",
        "unable to open database file",
        "terminating connection",
        "the database system is",
        "idle-in-transaction timeout",
        "connection closed",
        "attempt to write a readonly database",
        "cannot execute UPDATE in a read-only transaction",
    ];
    let has = |list: &[&str]| list.iter().any(|word| text.contains(word));
    if has(FULL) {
        StoreError::Full(text)
    } else if has(BUSY) {
        StoreError::Busy(text)
    } else if has(LOST) {
        StoreError::Lost(text)
    } else if text.contains("malformed") || text.contains("not a database") {
        StoreError::Damaged(text)
    } else {
        StoreError::Database(text)
    }
}
