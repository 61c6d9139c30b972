//! All rows out, and in again: what a backup keeps, the same on both backends, so that one may be restored as the
//! other.
//!
//! Promise: a dump is of one moment (SQLite: a read transaction over the write-ahead log; PostgreSQL: REPEATABLE READ),
//! taken while a core works. Loading is all or nothing, into an empty database only, and says at which line a dump is
//! not whole. A loaded database is held ([`crate::held`]) from the same transaction on, under an epoch that no core
//! had.
//!
//! Form: one JSON value a line. First what it is, then for each table (parents before children) its name and columns
//! and after that its rows as arrays, at last how many rows there were. Octets are lower-case hex, truths 0 and 1.
//! The epoch, the writer's batches and the cores' register are of a running system and stay out.

use std::{
    collections::BTreeMap,
    io::{self, BufRead, Write},
};

use diesel::{
    QueryableByName, RunQueryDsl,
    sql_types::{BigInt, Text},
};
use serde::{Deserialize, Serialize};

use crate::{
    conn::{Conn, Purpose, each},
    errors::StoreError,
    migrate,
    options::Options,
};

/// The form's version.
const FORM: u32 = 1;
/// Rows that are read or written by one statement.
const ROWS: usize = 500;
/// Octets of rows that are written by one statement.
const OCTETS: usize = 4 << 20;
/// Tables that are not part of a dump.
const OUT: [&str; 4] = ["__diesel_schema_migrations", "epoch", "batches", "cores"];
/// The epoch jumps so far at least: no start of the lost system can have come that far.
const EPOCHS: i64 = 1_000_000;

/// What a dump holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dumped {
    /// `sqlite` or `postgres`: where it came from.
    pub kind: String,
    /// The migrations that its tables are of.
    pub migrations: Vec<String>,
    /// The epoch that the database was at.
    pub epoch: i64,
    /// Rows by table.
    pub tables: BTreeMap<String, u64>,
    /// The last row of the audit log: its number and its hash in hex.
    pub audit: Option<(i64, String)>,
}

/// Why a dump was not made or not loaded.
#[derive(Debug, thiserror::Error)]
pub enum DumpError {
    /// The database said so.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file cannot be read or written.
    #[error("the dump cannot be read or written: {0}")]
    File(#[from] io::Error),
    /// The dump is cut off, damaged or no dump.
    #[error("line {line} of the dump: {why}")]
    Damaged {
        /// Which line, from 1.
        line: usize,
        /// What is wrong.
        why: String,
    },
    /// It was made by a newer release.
    #[error("the dump is of a newer release: this one does not know the migration {0}")]
    Newer(String),
    /// The database holds a system already.
    #[error("the database is not empty: {0} rows in {1}; restore into a fresh one")]
    NotEmpty(i64, String),
}

impl From<diesel::result::Error> for DumpError {
    fn from(error: diesel::result::Error) -> Self {
        Self::Store(error.into())
    }
}

#[derive(Serialize, Deserialize)]
struct First {
    postern_dump: u32,
    kind: String,
    migrations: Vec<String>,
    epoch: i64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Table {
    table: String,
    columns: Vec<(String, Type)>,
}

#[derive(Serialize, Deserialize)]
struct End {
    rows: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Type {
    Octets,
    Number,
    Text,
    Truth,
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = BigInt)]
    place: i64,
    #[diesel(sql_type = Text)]
    line: String,
}

#[derive(QueryableByName)]
struct Column {
    #[diesel(sql_type = Text)]
    tab: String,
    #[diesel(sql_type = Text)]
    col: String,
    #[diesel(sql_type = Text)]
    kind: String,
}

#[derive(QueryableByName)]
struct Edge {
    #[diesel(sql_type = Text)]
    tab: String,
    #[diesel(sql_type = Text)]
    parent: String,
}

// --- out

/// Writes all rows of the database to `out`. Blocks; call it off the runtime.
pub fn dump(options: &Options, out: &mut dyn Write) -> Result<Dumped, DumpError> {
    let mut conn = Conn::open(options, Purpose::Read)?;
    patient(&mut conn)?;
    conn.begin_read()?;
    let dumped = all(&mut conn, out);
    conn.run("ROLLBACK")?;
    dumped
}

fn all(conn: &mut Conn, out: &mut dyn Write) -> Result<Dumped, DumpError> {
    let kind = if matches!(conn, Conn::Sqlite(_)) { "sqlite" } else { "postgres" }.to_owned();
    let migrations = migrations(conn)?;
    let epoch = number(conn, "SELECT number AS place, '' AS line FROM epoch WHERE id = 1")?;
    line(out, &First { postern_dump: FORM, kind: kind.clone(), migrations: migrations.clone(), epoch })?;
    let mut dumped = Dumped { kind, migrations, epoch, ..Dumped::default() };
    for table in tables(conn)? {
        line(out, &table)?;
        let rows = rows(conn, &table, out)?;
        dumped.tables.insert(table.table, rows);
    }
    line(out, &End { rows: dumped.tables.values().sum() })?;
    out.flush()?;
    let octets = if matches!(conn, Conn::Sqlite(_)) { "lower(hex(hash))" } else { "encode(hash, 'hex')" };
    let last = format!("SELECT seq AS place, {octets} AS line FROM audit ORDER BY seq DESC LIMIT 1");
    dumped.audit = query(conn, &last)?.pop().map(|row| (row.place, row.line));
    Ok(dumped)
}

fn line(out: &mut dyn Write, value: &impl Serialize) -> Result<(), DumpError> {
    let text = serde_json::to_string(value).map_err(io::Error::other)?;
    Ok(writeln!(out, "{text}")?)
}

/// Writes the rows of one table, some hundred at a time.
fn rows(conn: &mut Conn, table: &Table, out: &mut dyn Write) -> Result<u64, DumpError> {
    let name = &table.table;
    let columns: Vec<String> = table.columns.iter().map(|(name, kind)| shown(conn, name, *kind)).collect();
    let columns = columns.join(", ");
    let mut count = 0;
    let mut write = |rows: &[Row]| -> Result<(), DumpError> {
        for row in rows {
            writeln!(out, "{}", row.line)?;
        }
        count += rows.len() as u64;
        Ok(())
    };
    if matches!(conn, Conn::Sqlite(_)) {
        let mut after = i64::MIN;
        loop {
            let sql = format!(
                "SELECT rowid AS place, json_array({columns}) AS line FROM \"{name}\"
                 WHERE rowid > {after} ORDER BY rowid LIMIT {ROWS}"
            );
            let some = query(conn, &sql)?;
            write(&some)?;
            match some.last() {
                Some(last) => after = last.place,
                None => return Ok(count),
            }
        }
    }
    conn.run(&format!(
        "DECLARE dump NO SCROLL CURSOR FOR
         SELECT 0::bigint AS place, json_build_array({columns})::text AS line FROM \"{name}\""
    ))?;
    loop {
        let some = query(conn, &format!("FETCH {ROWS} FROM dump"))?;
        write(&some)?;
        if some.is_empty() {
            conn.run("CLOSE dump")?;
            return Ok(count);
        }
    }
}

/// A column as the database is to write it into a JSON array.
fn shown(conn: &Conn, name: &str, kind: Type) -> String {
    match (conn, kind) {
        (Conn::Sqlite(_), Type::Octets) => {
            format!("CASE WHEN \"{name}\" IS NULL THEN NULL ELSE lower(hex(\"{name}\")) END")
        }
        (Conn::Postgres(_), Type::Octets) => format!("encode(\"{name}\", 'hex')"),
        (Conn::Postgres(_), Type::Truth) => format!("\"{name}\"::int"),
        _ => format!("\"{name}\""),
    }
}

/// The tables with their columns, parents before children.
fn tables(conn: &mut Conn) -> Result<Vec<Table>, DumpError> {
    let (columns, edges) = match conn {
        Conn::Sqlite(_) => (
            "SELECT m.name AS tab, p.name AS col, p.type AS kind
             FROM sqlite_master m JOIN pragma_table_info(m.name) p
             WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY m.name, p.cid",
            "SELECT m.name AS tab, f.\"table\" AS parent
             FROM sqlite_master m JOIN pragma_foreign_key_list(m.name) f WHERE m.type = 'table'",
        ),
        Conn::Postgres(_) => (
            "SELECT table_name::text AS tab, column_name::text AS col, data_type::text AS kind
             FROM information_schema.columns WHERE table_schema = current_schema()
             ORDER BY table_name, ordinal_position",
            "SELECT c.relname::text AS tab, p.relname::text AS parent
             FROM pg_constraint f JOIN pg_class c ON c.oid = f.conrelid JOIN pg_class p ON p.oid = f.confrelid
             WHERE f.contype = 'f' AND f.connamespace = current_schema()::regnamespace",
        ),
    };
    let columns: Vec<Column> = each!(*conn, c => diesel::sql_query(columns).load(c))?;
    let edges: Vec<Edge> = each!(*conn, c => diesel::sql_query(edges).load(c))?;
    let mut waiting: BTreeMap<String, Table> = BTreeMap::new();
    for Column { tab, col, kind } in columns {
        if OUT.contains(&tab.as_str()) {
            continue;
        }
        let kind = match kind.to_ascii_lowercase().as_str() {
            "blob" | "bytea" => Type::Octets,
            "bigint" => Type::Number,
            "text" => Type::Text,
            "boolean" => Type::Truth,
            other => {
                return Err(StoreError::Damaged(format!("{tab}.{col} is of the unknown type {other}")).into());
            }
        };
        let table = waiting.entry(tab.clone()).or_insert_with(|| Table { table: tab, columns: Vec::new() });
        table.columns.push((col, kind));
    }
    let mut done: Vec<Table> = Vec::with_capacity(waiting.len());
    while !waiting.is_empty() {
        let free = |name: &String| {
            edges
                .iter()
                .all(|edge| edge.tab != *name || edge.parent == *name || !waiting.contains_key(&edge.parent))
        };
        let ready: Vec<String> = waiting.keys().filter(|name| free(name)).cloned().collect();
        if ready.is_empty() {
            return Err(StoreError::Damaged("the tables' references form a ring".to_owned()).into());
        }
        done.extend(ready.iter().filter_map(|name| waiting.remove(name)));
    }
    Ok(done)
}

// --- in

/// Loads a dump into the empty database of these options, held from then on as `held` says (the value of the `meta`
/// key [`crate::held::KEY`]). Blocks. Nothing is changed when it fails.
pub fn load(options: &Options, dump: &mut dyn BufRead, held: &str) -> Result<Dumped, DumpError> {
    let mut lines = Lines { dump, at: 0 };
    let first: First = lines.parse()?;
    if first.postern_dump != FORM {
        return Err(lines.damaged(format!("the form {} is not known", first.postern_dump)));
    }
    let mut conn = Conn::open(options, Purpose::Write)?;
    patient(&mut conn)?;
    if let Some(unknown) = migrate::run_only(&mut conn, &first.migrations)? {
        return Err(DumpError::Newer(unknown));
    }
    conn.begin_write()?;
    let loaded = fill(&mut conn, first, &mut lines, held);
    conn.run(if loaded.is_ok() { "COMMIT" } else { "ROLLBACK" })?;
    loaded
}

fn fill(conn: &mut Conn, first: First, lines: &mut Lines<'_>, held: &str) -> Result<Dumped, DumpError> {
    let known = tables(conn)?;
    for name in ["audit", "admins", "enrolments", "gateways"] {
        let rows = number(conn, &format!("SELECT count(*) AS place, '' AS line FROM {name}"))?;
        if rows > 0 {
            return Err(DumpError::NotEmpty(rows, name.to_owned()));
        }
    }
    for table in known.iter().rev() {
        conn.run(&format!("DELETE FROM \"{}\"", table.table))?;
    }
    let mut dumped =
        Dumped { kind: first.kind, migrations: first.migrations, epoch: first.epoch, ..Dumped::default() };
    let mut sink: Option<(Table, Vec<String>, usize)> = None;
    let mut total = 0;
    loop {
        let text = lines.next()?;
        if text.starts_with('[') {
            let Some((table, rows, octets)) = &mut sink else {
                return Err(lines.damaged("a row before its table".to_owned()));
            };
            *octets += text.len();
            rows.push(text);
            total += 1;
            if rows.len() >= ROWS || *octets >= OCTETS {
                insert(conn, table, rows, lines)?;
                *octets = 0;
            }
            *dumped.tables.entry(table.table.clone()).or_default() += 1;
            continue;
        }
        if let Some((table, mut rows, _)) = sink.take() {
            insert(conn, &table, &mut rows, lines)?;
        }
        if let Ok(End { rows }) = serde_json::from_str(&text) {
            if rows != total {
                return Err(lines.damaged(format!("{rows} rows were written and {total} are there")));
            }
            break;
        }
        let table: Table = serde_json::from_str(&text).map_err(|error| lines.damaged(error.to_string()))?;
        if !known.iter().any(|known| fits(known, &table)) {
            return Err(lines.damaged(format!("this release has no such table {:?}", table.table)));
        }
        dumped.tables.entry(table.table.clone()).or_default();
        sink = Some((table, Vec::new(), 0));
    }
    hold(conn, dumped.epoch, held)?;
    Ok(dumped)
}

/// Whether a table of the dump is one of ours: its name and columns go into a statement.
fn fits(known: &Table, given: &Table) -> bool {
    known.table == given.table && given.columns.iter().all(|column| known.columns.contains(column))
}

fn insert(
    conn: &mut Conn,
    table: &Table,
    rows: &mut Vec<String>,
    lines: &Lines<'_>,
) -> Result<(), DumpError> {
    if rows.is_empty() {
        return Ok(());
    }
    let list = format!("[{}]", rows.join(","));
    let given = rows.len();
    rows.clear();
    let names: Vec<String> = table.columns.iter().map(|(name, _)| format!("\"{name}\"")).collect();
    let values: Vec<String> = (0..)
        .zip(&table.columns)
        .map(|(at, (_, kind))| match (&*conn, kind) {
            (Conn::Sqlite(_), Type::Octets) => format!("unhex(value ->> {at})"),
            (Conn::Sqlite(_), _) => format!("value ->> {at}"),
            (Conn::Postgres(_), Type::Octets) => format!("decode(value ->> {at}, 'hex')"),
            (Conn::Postgres(_), Type::Number) => format!("(value ->> {at})::bigint"),
            (Conn::Postgres(_), Type::Text) => format!("value ->> {at}"),
            (Conn::Postgres(_), Type::Truth) => format!("(value ->> {at})::int::boolean"),
        })
        .collect();
    let source = match conn {
        Conn::Sqlite(_) => "json_each(?)",
        Conn::Postgres(_) => "json_array_elements($1::json)",
    };
    let sql = format!(
        "INSERT INTO \"{}\" ({}) SELECT {} FROM {source}",
        table.table,
        names.join(", "),
        values.join(", ")
    );
    let done = each!(*conn, c => diesel::sql_query(sql).bind::<Text, _>(&list).execute(c))?;
    if done != given {
        return Err(lines.damaged(format!("{given} rows were given and {done} were taken")));
    }
    Ok(())
}

/// From here on the database is held, and no core of the lost system can take it for its own.
fn hold(conn: &mut Conn, epoch: i64, held: &str) -> Result<(), DumpError> {
    let mark = match conn {
        Conn::Sqlite(_) => "?",
        Conn::Postgres(_) => "$1",
    };
    conn.run(&format!("DELETE FROM meta WHERE key = '{}'", crate::held::KEY))?;
    let sql = format!("INSERT INTO meta (key, value) VALUES ('{}', {mark})", crate::held::KEY);
    each!(*conn, c => diesel::sql_query(sql).bind::<Text, _>(held).execute(c))?;
    let number = epoch + EPOCHS;
    Ok(conn
        .run(&format!("UPDATE epoch SET number = {number}, beat = beat + 1, released = TRUE WHERE id = 1"))?)
}

/// The lines of a dump, counted.
struct Lines<'a> {
    dump: &'a mut dyn BufRead,
    at: usize,
}

impl Lines<'_> {
    fn next(&mut self) -> Result<String, DumpError> {
        let mut text = String::new();
        self.at += 1;
        if self.dump.read_line(&mut text)? == 0 || !text.ends_with('\n') {
            return Err(self.damaged("the dump is cut off".to_owned()));
        }
        Ok(text.trim_end().to_owned())
    }

    fn parse<T: serde::de::DeserializeOwned>(&mut self) -> Result<T, DumpError> {
        let text = self.next()?;
        serde_json::from_str(&text).map_err(|error| self.damaged(error.to_string()))
    }

    const fn damaged(&self, why: String) -> DumpError {
        DumpError::Damaged { line: self.at, why }
    }
}

// --- both

fn query(conn: &mut Conn, sql: &str) -> Result<Vec<Row>, DumpError> {
    Ok(each!(*conn, c => diesel::sql_query(sql).load(c))?)
}

fn number(conn: &mut Conn, sql: &str) -> Result<i64, DumpError> {
    Ok(query(conn, sql)?.pop().map_or(0, |row| row.place))
}

fn migrations(conn: &mut Conn) -> Result<Vec<String>, DumpError> {
    let place = if matches!(conn, Conn::Sqlite(_)) { "0" } else { "0::bigint" };
    let sql =
        format!("SELECT {place} AS place, version AS line FROM __diesel_schema_migrations ORDER BY version");
    let sql =
        if matches!(conn, Conn::Sqlite(_)) { sql } else { sql.replace("version AS", "version::text AS") };
    Ok(query(conn, &sql)?.into_iter().map(|row| row.line).collect())
}

/// A dump takes longer than a check-in: PostgreSQL's limits of a session are wider for it.
fn patient(conn: &mut Conn) -> Result<(), DumpError> {
    if let Conn::Postgres(_) = conn {
        conn.run("SET statement_timeout = '15min'; SET idle_in_transaction_session_timeout = '15min'")?;
    }
    Ok(())
}
