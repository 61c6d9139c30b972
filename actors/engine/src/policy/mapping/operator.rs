//! An operator's own tables: the built-in tables' text with tabs, read more strictly (docs/POLICY.md, "Tables of your own").
//!
//! Promise: a table names no node that is protected, neither as it stands nor by any name that an entry of a list could give it; a
//! column, a cell or a name that cannot be is refused with file, line and cause; several tables count in the order in which they are
//! given, all before the built-in ones. One that is refused refuses all: settings that only it maps must not go by a mistake in it.

use std::collections::BTreeSet;

use postern_wire::{terms::Verb, tnds::Format, uri::TreeUri};

use super::{
    Dialect,
    table::{Error, ErrorKind, How, Lines, Row, Table, row},
};
use crate::destructive;

/// Files at most.
pub const FILES: usize = 64;
/// Octets of a file at most.
pub const OCTETS: usize = 4 << 20;
/// Octets of a line at most.
const LINE: usize = 16 * 1024;
/// Rows of all files together at most.
const ROWS: usize = 100_000;
/// Characters of a table's name at most.
const NAME: usize = 64;
/// Names that the built-in tables have.
const BUILT_IN: [&str; 3] = ["windows", "classic-postern", "classic-windows-mobile"];
/// The columns that there are.
const COLUMNS: [&str; 14] = [
    "dialect",
    "half",
    "key",
    "value",
    "type",
    "uri",
    "format",
    "how",
    "allowed",
    "element_kind",
    "element",
    "reg_map",
    "from",
    "removal",
];
/// Stands for the entry's name in the address of a list.
const HOLE: &str = "{name}";

/// A file with a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Where it lies, for people.
    pub path: String,
    /// Its name without the folder and `.tsv`: what reports call the table.
    pub name: String,
    /// What stands in it.
    pub octets: Vec<u8>,
}

/// Why a file is no table.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {error}")]
pub struct Refused {
    /// The file.
    pub path: String,
    /// The line and the cause.
    pub error: Error,
}

/// The tables of these files, in their order.
///
/// # Errors
/// The first file that is refused; then none of them counts.
pub fn tables(files: &[File]) -> Result<Vec<Table>, Refused> {
    let mut names = BTreeSet::new();
    let mut tables: Vec<Table> = Vec::new();
    let mut rows = 0;
    for (place, file) in files.iter().enumerate() {
        let refused = |line, kind| Refused { path: file.path.clone(), error: Error { line, kind } };
        let fits = (1..=NAME).contains(&file.name.len())
            && file.name.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"-_.".contains(&octet));
        if !fits || BUILT_IN.contains(&file.name.as_str()) || !names.insert(file.name.as_str()) {
            return Err(refused(1, ErrorKind::Name));
        }
        let table =
            read(&file.name, &file.octets).map_err(|error| Refused { path: file.path.clone(), error })?;
        rows += table.len();
        if place >= FILES || rows > ROWS {
            return Err(refused(1, ErrorKind::TooLarge));
        }
        tables.push(table);
    }
    Ok(tables)
}

/// One table. A column `dialect` says whose nodes it names, `classic` where it is missing or empty; it is the same in all rows.
///
/// # Errors
/// The first line that cannot be, and why.
pub fn read(name: &str, octets: &[u8]) -> Result<Table, Error> {
    let at = |line, kind| Error { line, kind };
    if octets.len() > OCTETS {
        return Err(at(1, ErrorKind::TooLarge));
    }
    let text = std::str::from_utf8(octets).map_err(|error| {
        let line = octets[..error.valid_up_to()].iter().filter(|octet| **octet == b'\n').count() + 1;
        at(line, ErrorKind::NoText)
    })?;
    for (place, line) in text.lines().enumerate() {
        if line.len() > LINE {
            return Err(at(place + 1, ErrorKind::TooLarge));
        }
        if line.chars().any(|c| c.is_control() && c != '\t') {
            return Err(at(place + 1, ErrorKind::NoText));
        }
    }
    let lines = Lines::new(text)?;
    let (head, columns) = lines.head();
    for (place, column) in columns.iter().enumerate() {
        if !COLUMNS.contains(column) || columns[..place].contains(column) {
            return Err(at(head, ErrorKind::NoColumn((*column).to_owned())));
        }
    }
    let columns = columns.len();
    let (mut dialect, mut rows, mut known) = (None, Vec::new(), BTreeSet::new());
    let mut lines = lines;
    while let Some((line, cells)) = lines.next() {
        if lines.width() > columns {
            return Err(at(line, ErrorKind::Wide));
        }
        let own = match cells.get("dialect").copied().unwrap_or_default() {
            "" | "classic" => Dialect::Classic,
            "windows" => Dialect::Windows,
            _ => return Err(at(line, ErrorKind::Cell("dialect"))),
        };
        if *dialect.get_or_insert(own) != own {
            return Err(at(line, ErrorKind::Dialects));
        }
        let row = row(&cells).and_then(checked).map_err(|kind| at(line, kind))?;
        let setting =
            [&row.key, &row.value, &row.uri, &row.element, &row.element_kind].map(|cell| cell.to_lowercase());
        if !known.insert((row.half, setting)) {
            return Err(at(line, ErrorKind::Twice));
        }
        rows.push(row);
    }
    if rows.is_empty() {
        return Err(at(head, ErrorKind::Empty));
    }
    Ok(Table::of(name, dialect.unwrap_or(Dialect::Classic), rows))
}

/// A row that can do no harm.
fn checked(row: Row) -> Result<Row, ErrorKind> {
    if row.key.is_empty() {
        return Err(ErrorKind::Cell("key"));
    }
    if !row.format.parse::<Format>().is_ok_and(|format| !matches!(format, Format::Node | Format::Null)) {
        return Err(ErrorKind::Cell("format"));
    }
    if row.how == How::Admx && row.element_kind.is_empty() {
        return Err(ErrorKind::Cell("element_kind"));
    }
    let holes = row.uri.matches(HOLE).count();
    let whole = row.uri.split('/').filter(|name| *name == HOLE).count();
    if holes != whole || holes > 1 || (holes == 1 && row.value != "*") {
        return Err(ErrorKind::Cell("uri"));
    }
    let uri = TreeUri::parse(&row.uri.replace(HOLE, "x")).map_err(|_| ErrorKind::Cell("uri"))?;
    if uri.query().is_some() {
        return Err(ErrorKind::Cell("uri"));
    }
    // Of all verbs Delete reaches furthest: the node, all below it and what it lies in.
    let found = destructive::protected(Verb::Delete, &uri, true)
        // The entry's name is the directory's to choose: none may make this a protected node's address.
        .or_else(|| destructive::protected_by_a_name(&row.uri, HOLE).filter(|_| holes == 1));
    if let Some(protected) = found {
        return Err(ErrorKind::Protected(row.uri, protected.to_string()));
    }
    Ok(row)
}
