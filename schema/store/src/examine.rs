//! A look at a database from outside a running store: what `doctor` asks, also while the core does not start.

use std::time::Duration;

use diesel::{
    QueryableByName, RunQueryDsl,
    sql_types::{BigInt, Text},
};
use postern_wire::terms::UtcMillis;

use crate::{
    conn::{Conn, Purpose, each},
    errors::StoreError,
    migrate,
    options::Options,
};

/// What a look found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Examined {
    /// `sqlite` or `postgres`.
    pub kind: &'static str,
    /// How long opening a connection took.
    pub connect: Duration,
    /// How long the cheapest question took.
    pub answer: Duration,
    /// The server's version.
    pub version: String,
    /// Its size in octets.
    pub octets: i64,
    /// The server's own clock; none for SQLite, which has this machine's.
    pub clock: Option<UtcMillis>,
    /// Migrations that this release knows and the database has not.
    pub missing: Vec<String>,
    /// Migrations that the database has and this release does not know: a newer release was here.
    pub unknown: Vec<String>,
    /// The epoch's number; none where there is no schema yet.
    pub epoch: Option<i64>,
    /// When its holder renewed it last, by the holder's clock.
    pub renewed_at: Option<UtcMillis>,
    /// Whether it was given up in order.
    pub released: bool,
    /// Whether the database takes writes.
    pub read_only: bool,
}

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    number: i64,
}

#[derive(QueryableByName)]
struct Word {
    #[diesel(sql_type = Text)]
    word: String,
}

#[derive(QueryableByName)]
struct Epoch {
    #[diesel(sql_type = BigInt)]
    number: i64,
    #[diesel(sql_type = BigInt)]
    renewed_at: i64,
    #[diesel(sql_type = BigInt)]
    released: i64,
}

/// Opens a connection and asks. Blocks; call it off the runtime. `elapsed` is a stop-watch.
pub fn examine(options: &Options, elapsed: &dyn Fn() -> Duration) -> Result<Examined, StoreError> {
    let began = elapsed();
    let mut conn = Conn::open(options, Purpose::Read)?;
    let connect = elapsed().saturating_sub(began);
    let began = elapsed();
    conn.run("SELECT 1")?;
    let answer = elapsed().saturating_sub(began);
    let sqlite = matches!(conn, Conn::Sqlite(_));
    let (version, size, clock, only) = if sqlite {
        (
            "SELECT sqlite_version() AS word",
            "SELECT page_count * page_size AS number FROM pragma_page_count(), pragma_page_size()",
            None,
            None,
        )
    } else {
        (
            "SELECT current_setting('server_version') AS word",
            "SELECT pg_database_size(current_database()) AS number",
            Some("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS number"),
            Some("SELECT (pg_is_in_recovery())::int::bigint AS number"),
        )
    };
    let version = word(&mut conn, version)?;
    let octets = number(&mut conn, size)?;
    let clock = clock.map(|sql| number(&mut conn, sql)).transpose()?.map(UtcMillis);
    let read_only = only.map(|sql| number(&mut conn, sql)).transpose()? == Some(1);
    let (missing, unknown) = migrations(&mut conn, sqlite);
    let epoch: Option<Epoch> = each!(conn, c => diesel::sql_query(if sqlite {
        "SELECT number, renewed_at, released FROM epoch WHERE id = 1"
    } else {
        "SELECT number, renewed_at, released::int::bigint AS released FROM epoch WHERE id = 1"
    })
    .load(c))
    .ok()
    .and_then(|mut rows: Vec<Epoch>| rows.pop());
    Ok(Examined {
        kind: if sqlite { "sqlite" } else { "postgres" },
        connect,
        answer,
        version,
        octets,
        clock,
        missing,
        unknown,
        epoch: epoch.as_ref().map(|epoch| epoch.number),
        renewed_at: epoch.as_ref().map(|epoch| UtcMillis(epoch.renewed_at)),
        released: epoch.is_some_and(|epoch| epoch.released != 0),
        read_only,
    })
}

fn migrations(conn: &mut Conn, sqlite: bool) -> (Vec<String>, Vec<String>) {
    let known = migrate::known(sqlite);
    let sql = if sqlite {
        "SELECT version AS word FROM __diesel_schema_migrations"
    } else {
        "SELECT version::text AS word FROM __diesel_schema_migrations"
    };
    let rows: Vec<Word> = each!(*conn, c => diesel::sql_query(sql).load(c)).unwrap_or_default();
    let have: Vec<String> = rows.into_iter().map(|row| row.word).collect();
    let missing = known.iter().filter(|version| !have.contains(version)).cloned().collect();
    let unknown = have.iter().filter(|version| !known.contains(version)).cloned().collect();
    (missing, unknown)
}

fn number(conn: &mut Conn, sql: &str) -> Result<i64, StoreError> {
    let mut rows: Vec<Number> = each!(*conn, c => diesel::sql_query(sql).load(c))?;
    Ok(rows.pop().map_or(0, |row| row.number))
}

fn word(conn: &mut Conn, sql: &str) -> Result<String, StoreError> {
    let mut rows: Vec<Word> = each!(*conn, c => diesel::sql_query(sql).load(c))?;
    Ok(rows.pop().map(|row| row.word).unwrap_or_default())
}
