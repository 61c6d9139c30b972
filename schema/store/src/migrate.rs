//! The embedded migrations. Forward-only, by expand and contract: the release before may run beside this one.

use std::time::Duration;

use diesel::migration::{Migration, MigrationSource};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use crate::{conn::Conn, errors::StoreError};

const SQLITE: EmbeddedMigrations = embed_migrations!("migrations/sqlite");
const POSTGRES: EmbeddedMigrations = embed_migrations!("migrations/postgres");

/// The advisory lock under which one core migrates a PostgreSQL database while others wait ("postern" in ASCII).
const LOCK: i64 = 0x70_6f73_7465_726e;

/// Brings the schema to this release's. Safe when several processes start at once. Leaves the connection with its
/// usual `lock_timeout`.
pub(crate) fn run(conn: &mut Conn, lock_timeout: Duration) -> Result<usize, StoreError> {
    match conn {
        Conn::Sqlite(c) => {
            if !c.has_pending_migration(SQLITE).map_err(failed)? {
                return Ok(0);
            }
            c.exclusive_transaction(|c| c.run_pending_migrations(SQLITE).map(|v| v.len()).map_err(failed))
        }
        Conn::Postgres(_) => {
            conn.run(&format!("SET lock_timeout = '60s'; SELECT pg_advisory_lock({LOCK})"))?;
            let Conn::Postgres(c) = conn else { return Ok(0) };
            let done = c.run_pending_migrations(POSTGRES).map(|v| v.len()).map_err(failed);
            let lock_ms = lock_timeout.as_millis();
            conn.run(&format!("SELECT pg_advisory_unlock({LOCK}); SET lock_timeout = {lock_ms}"))?;
            done
        }
    }
}

/// The migrations that this release knows.
pub(crate) fn known(sqlite: bool) -> Vec<String> {
    fn names<DB: diesel::backend::Backend>(known: EmbeddedMigrations) -> Vec<String> {
        let all = MigrationSource::<DB>::migrations(&known).unwrap_or_default();
        all.iter().map(|migration| migration.name().version().to_string()).collect()
    }
    if sqlite { names::<diesel::sqlite::Sqlite>(SQLITE) } else { names::<diesel::pg::Pg>(POSTGRES) }
}

/// Brings the schema to that of exactly these migrations (a backup's), from an empty database or from before them.
/// Gives the first that this release does not know; nothing is done then.
pub(crate) fn run_only(conn: &mut Conn, wanted: &[String]) -> Result<Option<String>, StoreError> {
    match conn {
        Conn::Sqlite(c) => only(c, SQLITE, wanted),
        Conn::Postgres(c) => only(c, POSTGRES, wanted),
    }
}

fn only<DB: diesel::backend::Backend>(
    conn: &mut impl MigrationHarness<DB>,
    known: EmbeddedMigrations,
    wanted: &[String],
) -> Result<Option<String>, StoreError> {
    let all = MigrationSource::<DB>::migrations(&known).map_err(failed)?;
    let version = |migration: &dyn Migration<DB>| migration.name().version().to_string();
    let names: Vec<String> = all.iter().map(|migration| version(migration.as_ref())).collect();
    if let Some(unknown) = wanted.iter().find(|wanted| !names.contains(wanted)) {
        return Ok(Some(unknown.clone()));
    }
    for migration in conn.pending_migrations(known).map_err(failed)? {
        if wanted.contains(&version(migration.as_ref())) {
            conn.run_migration(migration.as_ref()).map_err(failed)?;
        }
    }
    Ok(None)
}

fn failed(error: Box<dyn std::error::Error + Send + Sync>) -> StoreError {
    StoreError::Database(error.to_string())
}
