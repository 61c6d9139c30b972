//! SQLite as this project runs it: write-ahead log, every commit on the disk before it is answered.

use std::{path::Path, time::Duration};

use diesel::{Connection, SqliteConnection, connection::SimpleConnection};

use super::Purpose;
use crate::errors::StoreError;

/// Opens the file, made when it is not there.
///
/// `synchronous = FULL`: a commit that returned survives a power cut (sqlite.org/pragma.html#pragma_synchronous).
pub(crate) fn open(path: &Path, busy: Duration, purpose: Purpose) -> Result<SqliteConnection, StoreError> {
    let text =
        path.to_str().ok_or_else(|| StoreError::Configuration(format!("{} is not UTF-8", path.display())))?;
    let mut conn = SqliteConnection::establish(text)
        .map_err(|e| StoreError::Lost(format!("{}: {e}", path.display())))?;
    let busy_ms = busy.as_millis();
    conn.batch_execute(&format!("PRAGMA busy_timeout = {busy_ms};"))?;
    if purpose == Purpose::Write {
        conn.batch_execute("PRAGMA journal_mode = WAL;")?;
    }
    // KiB. A reader has the operating system's cache behind it, and needs only the upper pages of its trees: a scan of
    // everything must not leave it large for ever. The writer must not spill in the middle of a batch.
    let cache = match purpose {
        Purpose::Write => 16_384,
        Purpose::Read => 1_024,
    };
    conn.batch_execute(&format!(
        "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY;
         PRAGMA cache_size = -{cache}; PRAGMA journal_size_limit = 67108864;",
    ))?;
    if purpose == Purpose::Read {
        conn.batch_execute("PRAGMA query_only = ON;")?;
    }
    Ok(conn)
}
