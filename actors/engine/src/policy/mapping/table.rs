//! Tables: text with tabs, a line of names first.
//!
//! ```text
//! half key value type uri format how allowed element_kind element reg_map from
//! ```
//! `^` repeats the cell above, `#` begins a remark. `value` may be `*`: every value of the key, a list. `how` is `native`
//! (the node has the setting's own meaning), `admx` (the node takes a policy of an administrative template) or `plain`
//! (a node of a device's tree; `reg_map` then says what a number becomes, `1=true;0=false`, and `{name}` in `uri` is the
//! entry's name). `from` are versions, each the least of its branch. A column `removal` may say what becomes of the node when nobody
//! wants it any longer: `leave`, `delete`, `restore`; an empty one is the dialect's rule.

use std::{collections::BTreeMap, fmt};

use super::Dialect;
use crate::policy::{
    desired::Removal,
    fold::fold,
    gpo::Half,
    registry_pol::value::{self, kind_name},
};

const WINDOWS: &str = include_str!("tables/windows.tsv");
/// Octets of a table at most, and rows.
const OCTETS: usize = 16 << 20;
const ROWS: usize = 200_000;

/// A table.
#[derive(Clone, Debug)]
pub struct Table {
    /// What reports call it.
    pub name: String,
    /// Whose nodes it names.
    pub dialect: Dialect,
    pub(super) rows: Vec<Row>,
    by_setting: BTreeMap<(Half, String, String), Vec<usize>>,
    by_uri: BTreeMap<String, Vec<usize>>,
}

/// One row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The half.
    pub half: Half,
    /// The key.
    pub key: String,
    /// The value's name, or `*`.
    pub value: String,
    /// The registry type.
    pub kind: u32,
    /// The node.
    pub uri: String,
    /// The node's format.
    pub format: String,
    /// What the node takes.
    pub how: How,
    /// Which values; empty for any.
    pub allowed: String,
    /// What part of a policy the setting is: `state`, `decimal`, `enabled-list` …
    pub element_kind: String,
    /// The element's id.
    pub element: String,
    /// How registry values and states stand for each other.
    pub reg_map: String,
    /// The versions that know the node.
    pub from: String,
    /// What becomes of the node when nobody wants it any longer; nothing is the dialect's own rule.
    pub removal: Option<Removal>,
}

/// What a node takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// The value itself; the node has the setting's own meaning.
    Native,
    /// A policy of an administrative template: enabled or disabled, with the values of its elements.
    Admx,
    /// The value itself, as `reg_map` converts it.
    Plain,
}

/// Why a text is no table.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {kind}")]
pub struct Error {
    /// Counted from 1.
    pub line: usize,
    /// Why.
    pub kind: ErrorKind,
}

/// Why a text is no table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// Larger than a limit.
    TooLarge,
    /// A column is missing.
    Column(&'static str),
    /// A cell that cannot be.
    Cell(&'static str),
    /// A name that no table may have, or that another has.
    Name,
    /// A column that there is not, or a second of its name.
    NoColumn(String),
    /// More cells than columns.
    Wide,
    /// It is no UTF-8, or holds characters that no cell has.
    NoText,
    /// It holds no row.
    Empty,
    /// A row that stands there already.
    Twice,
    /// Rows of several dialects.
    Dialects,
    /// A node that goes through its own operation alone: its address, and what it is.
    Protected(String, String),
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge => f.write_str("the table is too large"),
            Self::Column(name) => write!(f, "no column {name}"),
            Self::Cell(name) => write!(f, "{name} cannot be that"),
            Self::Name => f.write_str(
                "a table's name is its file's: 1 to 64 of A-Z a-z 0-9 - _ ., not a built-in table's and not another file's",
            ),
            Self::NoColumn(name) => write!(f, "there is no column {name:?}, or it stands twice"),
            Self::Wide => f.write_str("the line has more cells than there are columns"),
            Self::NoText => f.write_str("it is no text in UTF-8 without control characters"),
            Self::Empty => f.write_str("the table holds no row"),
            Self::Twice => f.write_str("the row stands there already"),
            Self::Dialects => f.write_str("a file is of one dialect: make two of it"),
            Self::Protected(uri, what) => {
                write!(f, "{uri} reaches {what}, which goes through its own operation alone")
            }
        }
    }
}

/// The rows of a text, each cell under its column's name.
pub(super) struct Lines<'t> {
    lines: std::iter::Enumerate<std::str::Lines<'t>>,
    /// The line of the columns' names, counted from 1.
    head: usize,
    columns: Vec<&'t str>,
    above: Vec<&'t str>,
}

impl<'t> Lines<'t> {
    pub(super) fn new(text: &'t str) -> Result<Self, Error> {
        if text.len() > OCTETS {
            return Err(Error { line: 1, kind: ErrorKind::TooLarge });
        }
        let mut lines = text.lines().enumerate();
        let (place, head) = lines.by_ref().find(|(_, line)| !is_remark(line)).unwrap_or_default();
        Ok(Self { lines, head: place + 1, columns: head.split('\t').collect(), above: Vec::new() })
    }

    /// Where the columns' names stand, and they.
    pub(super) fn head(&self) -> (usize, Vec<&'t str>) {
        (self.head, self.columns.clone())
    }

    /// Cells of the row that was given last.
    pub(super) fn width(&self) -> usize {
        self.above.len()
    }
}

fn is_remark(line: &str) -> bool {
    line.trim().is_empty() || line.starts_with('#')
}

impl<'t> Iterator for Lines<'t> {
    type Item = (usize, BTreeMap<&'t str, &'t str>);

    fn next(&mut self) -> Option<Self::Item> {
        let (number, line) = self.lines.by_ref().find(|(_, line)| !is_remark(line))?;
        let cells = line.split('\t').enumerate();
        self.above = cells
            .map(
                |(place, cell)| {
                    if cell == "^" { self.above.get(place).copied().unwrap_or_default() } else { cell }
                },
            )
            .collect();
        Some((number + 1, self.columns.iter().copied().zip(self.above.iter().copied()).collect()))
    }
}

impl Table {
    /// The built-in table for Windows.
    #[must_use]
    pub fn windows() -> Self {
        Self::read("windows", Dialect::Windows, WINDOWS).expect("the file is ours, and a test reads it")
    }

    /// Reads a table.
    pub fn read(name: &str, dialect: Dialect, text: &str) -> Result<Self, Error> {
        let mut rows = Vec::new();
        for (line, cells) in Lines::new(text)? {
            if rows.len() == ROWS {
                return Err(Error { line, kind: ErrorKind::TooLarge });
            }
            rows.push(row(&cells).map_err(|kind| Error { line, kind })?);
        }
        Ok(Self::of(name, dialect, rows))
    }

    pub(super) fn of(name: &str, dialect: Dialect, rows: Vec<Row>) -> Self {
        let mut table = Self {
            name: name.to_owned(),
            dialect,
            rows,
            by_setting: BTreeMap::new(),
            by_uri: BTreeMap::new(),
        };
        for (place, row) in table.rows.iter().enumerate() {
            let setting = (row.half, fold_key(&row.key), fold(&row.value));
            table.by_setting.entry(setting).or_default().push(place);
            table.by_uri.entry(row.uri.clone()).or_default().push(place);
        }
        table
    }

    /// The rows of a setting: those of its name, and those of all values of its key.
    pub fn rows_of(&self, half: Half, key: &str, value: &str) -> impl Iterator<Item = &Row> {
        self.places_of(half, key, value).into_iter().map(|place| &self.rows[place])
    }

    pub(super) fn places_of(&self, half: Half, key: &str, value: &str) -> Vec<usize> {
        let key = fold_key(key);
        let own = self.by_setting.get(&(half, key.clone(), fold(value)));
        let lists = self.by_setting.get(&(half, key, "*".to_owned())).filter(|_| value != "*");
        own.into_iter().chain(lists).flatten().copied().collect()
    }

    /// The rows whose node this is, also as an entry of a list.
    pub fn rows_at(&self, uri: &str) -> impl Iterator<Item = &Row> {
        let entry = uri.rsplit_once('/').map(|(above, _)| format!("{above}/{{name}}"));
        let entries = entry.and_then(|entry| self.by_uri.get(&entry));
        self.places_of_uri(uri).iter().chain(entries.into_iter().flatten()).map(|place| &self.rows[*place])
    }

    pub(super) fn places_of_uri(&self, uri: &str) -> &[usize] {
        self.by_uri.get(uri).map_or(&[], Vec::as_slice)
    }

    /// How many rows it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

fn fold_key(key: &str) -> String {
    fold(key.trim_end_matches('\\'))
}

pub(super) fn row(cells: &BTreeMap<&str, &str>) -> Result<Row, ErrorKind> {
    let needed = |name: &'static str| cells.get(name).copied().ok_or(ErrorKind::Column(name));
    let own = |name: &str| cells.get(name).copied().unwrap_or_default().to_owned();
    let uri = needed("uri")?;
    if !uri.starts_with("./") {
        return Err(ErrorKind::Cell("uri"));
    }
    let value = needed("value")?;
    let how = match needed("how")? {
        "native" => How::Native,
        "admx" => How::Admx,
        "plain" => How::Plain,
        _ => return Err(ErrorKind::Cell("how")),
    };
    Ok(Row {
        half: half_of(needed("half")?)?,
        key: needed("key")?.to_owned(),
        value: value.to_owned(),
        kind: kind_of(needed("type")?)?,
        uri: uri.to_owned(),
        format: needed("format")?.to_owned(),
        how,
        allowed: own("allowed"),
        element_kind: own("element_kind"),
        element: own("element"),
        reg_map: own("reg_map"),
        from: own("from"),
        removal: removal_of(&own("removal"))?,
    })
}

/// An empty cell leaves it to the dialect.
pub(super) fn removal_of(text: &str) -> Result<Option<Removal>, ErrorKind> {
    match text {
        "" => Ok(None),
        word => Removal::parse(word).map(Some).ok_or(ErrorKind::Cell("removal")),
    }
}

pub(super) fn half_of(text: &str) -> Result<Half, ErrorKind> {
    match text {
        "computer" => Ok(Half::Computer),
        "user" => Ok(Half::User),
        _ => Err(ErrorKind::Cell("half")),
    }
}

fn kind_of(text: &str) -> Result<u32, ErrorKind> {
    let kinds = [value::SZ, value::EXPAND_SZ, value::BINARY, value::DWORD, value::MULTI_SZ, value::QWORD];
    let found = kinds.into_iter().find(|kind| kind_name(*kind).strip_prefix("REG_") == Some(text));
    found.ok_or(ErrorKind::Cell("type"))
}

/// Whether a version knows a node. `from` lists the least version of each branch (`10.0.22000 10.0.19041.1202`): a
/// newer build than the newest listed knows it, a listed build from its revision on. 99.9.99999 is not released.
#[must_use]
pub fn knows(from: &str, version: &str) -> bool {
    let parts = |text: &str| -> Vec<u64> { text.split('.').map(|part| part.parse().unwrap_or(0)).collect() };
    let listed: Vec<Vec<u64>> = from.split([' ', ',']).filter(|one| !one.is_empty()).map(parts).collect();
    let version = parts(version);
    let at = |version: &[u64], place: usize| version.get(place).copied().unwrap_or(0);
    let newest = listed.iter().filter(|one| at(one, 0) != 99).map(|one| at(one, 2)).max();
    let build = at(&version, 2);
    listed.is_empty()
        || newest.is_some_and(|newest| build > newest)
        || listed.iter().any(|one| at(one, 0) != 99 && at(one, 2) == build && at(&version, 3) >= at(one, 3))
}
