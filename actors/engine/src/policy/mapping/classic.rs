//! The settings that administrators author for devices of the classic dialect, and where they go.

use super::{
    Dialect,
    table::{Error, ErrorKind, How, Lines, Row, Table, half_of, removal_of},
};
use crate::policy::{gpo::Half, registry_pol::value};

const SETTINGS: &str = include_str!("tables/settings.tsv");
const CLASSIC: &str = include_str!("tables/classic.tsv");

/// Our own client.
pub const POSTERN: &str = "postern";

/// One setting that can be authored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authored {
    /// Its stable name.
    pub id: String,
    /// Computer or User Configuration.
    pub half: Half,
    /// The folder in the editor.
    pub area: String,
    /// What is authored.
    pub kind: Kind,
    /// The key.
    pub key: String,
    /// The value's name; `*` of a list.
    pub value: String,
    /// What the editor shows.
    pub title: String,
    /// What the editor says of it.
    pub explain: String,
}

/// What is authored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Enabled or disabled: 1 or 0.
    Switch,
    /// A number from and to.
    Number(u32, u32),
    /// One of several: number and name.
    Choice(Vec<(u32, String)>),
    /// A text of so many characters at most.
    Text(u32),
    /// Any number of texts.
    List,
}

/// All settings.
pub fn settings() -> Result<Vec<Authored>, Error> {
    read_settings(SETTINGS)
}

/// The settings of a table of such.
pub fn read_settings(text: &str) -> Result<Vec<Authored>, Error> {
    Lines::new(text)?
        .map(|(line, cells)| {
            let cell = |name: &'static str| {
                let cell = cells.get(name).map(|cell| (*cell).to_owned());
                cell.ok_or(Error { line, kind: ErrorKind::Column(name) })
            };
            let wrong = |name| Error { line, kind: ErrorKind::Cell(name) };
            let limits = cell("limits")?;
            let kind = match cell("kind")?.as_str() {
                "switch" => Some(Kind::Switch),
                "number" => range(&limits).map(|(least, most)| Kind::Number(least, most)),
                "choice" => choices(&limits).map(Kind::Choice),
                "text" => limits.parse().ok().map(Kind::Text),
                "list" => Some(Kind::List),
                _ => None,
            };
            // Both become names in the template.
            let name = |name: &'static str| {
                let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-';
                let text = cell(name)?;
                if !text.is_empty() && text.chars().all(is_name) { Ok(text) } else { Err(wrong(name)) }
            };
            Ok(Authored {
                id: name("id")?,
                half: half_of(&cell("half")?).map_err(|kind| Error { line, kind })?,
                area: name("area")?,
                kind: kind.ok_or(wrong("kind"))?,
                key: cell("key")?,
                value: cell("value")?,
                title: cell("title")?,
                explain: cell("explain")?,
            })
        })
        .collect()
}

fn range(limits: &str) -> Option<(u32, u32)> {
    let (least, most) = limits.split_once("..")?;
    Some((least.parse().ok()?, most.parse().ok()?))
}

fn choices(limits: &str) -> Option<Vec<(u32, String)>> {
    let one = |choice: &str| {
        let (number, name) = choice.split_once('=')?;
        Some((number.parse().ok()?, name.to_owned()))
    };
    limits.split(';').map(one).collect()
}

impl Table {
    /// The built-in table for a kind of device of the classic dialect: `postern`, `windows-mobile`.
    #[must_use]
    pub fn classic(device: &str) -> Self {
        let rows = classic_rows(device).expect("the files are ours, and a test reads them");
        Self::of(&format!("classic-{device}"), Dialect::Classic, rows)
    }
}

fn classic_rows(device: &str) -> Result<Vec<Row>, Error> {
    let settings = settings()?;
    let mut rows = Vec::new();
    for (line, cells) in Lines::new(CLASSIC)? {
        let cell = |name: &'static str| {
            cells.get(name).copied().ok_or(Error { line, kind: ErrorKind::Column(name) })
        };
        if cell("device")? != device {
            continue;
        }
        let id = cell("id")?;
        let setting = settings.iter().find(|setting| setting.id == id);
        let setting = setting.ok_or(Error { line, kind: ErrorKind::Cell("id") })?;
        let (kind, allowed) = match &setting.kind {
            Kind::Switch => (value::DWORD, "0|1".to_owned()),
            Kind::Number(least, most) => (value::DWORD, format!("[{least}-{most}]")),
            Kind::Choice(choices) => {
                let numbers: Vec<String> = choices.iter().map(|(number, _)| number.to_string()).collect();
                (value::DWORD, numbers.join("|"))
            }
            Kind::Text(_) | Kind::List => (value::SZ, String::new()),
        };
        rows.push(Row {
            half: setting.half,
            key: setting.key.clone(),
            value: setting.value.clone(),
            kind,
            uri: cell("uri")?.to_owned(),
            format: cell("format")?.to_owned(),
            how: How::Plain,
            allowed,
            element_kind: String::new(),
            element: String::new(),
            reg_map: cell("convert")?.to_owned(),
            from: String::new(),
            removal: removal_of(cells.get("removal").copied().unwrap_or_default())
                .map_err(|kind| Error { line, kind })?,
        });
    }
    Ok(rows)
}
