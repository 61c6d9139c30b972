//! Where answers go: tables for people, JSON for scripts.
//!
//! Everything that is written passes [`crate::text`], so nothing that a device or a directory said acts on
//! the terminal.

use std::io::{self, Write};

use comfy_table::{Cell, Table, presets};
use serde::Serialize;

use crate::{args::Format, csv, failure::Failure, text};

/// The two streams of a run and the form that was asked for.
pub struct Output<'a> {
    /// The form that was asked for.
    pub format: Format,
    /// Answers.
    pub out: &'a mut dyn Write,
    /// Failures, progress and warnings.
    pub err: &'a mut dyn Write,
}

impl Output<'_> {
    /// Writes an answer: as one JSON document, or as the text that `table` makes of it.
    pub fn answer<T: Serialize>(
        &mut self,
        value: &T,
        table: impl FnOnce(&T) -> String,
    ) -> Result<(), Failure> {
        let text = match self.format {
            Format::Table => table(value),
            Format::Json | Format::Csv => json(value, true),
        };
        self.line(&text)
    }

    /// Writes an answer that has rows: as a table would show it, as JSON, or the rows as CSV under their names. No cell acts on a
    /// terminal, and a spreadsheet takes none for a formula.
    pub fn rows<T: Serialize, const N: usize>(
        &mut self,
        value: &T,
        table: impl FnOnce(&T) -> String,
        names: [&str; N],
        rows: impl FnOnce(&T) -> Vec<[String; N]>,
    ) -> Result<(), Failure> {
        if self.format != Format::Csv {
            return self.answer(value, table);
        }
        let mut lines = csv::write(&names);
        for row in rows(value) {
            let cells: Vec<_> = row.iter().map(|cell| text::terminal(cell)).collect();
            lines.push_str(&csv::write(&cells.iter().map(AsRef::as_ref).collect::<Vec<&str>>()));
        }
        self.octets(lines.as_bytes())
    }

    /// Writes a JSON document, whatever form was asked for.
    pub fn document<T: Serialize>(&mut self, value: &T) -> Result<(), Failure> {
        self.line(&json(value, true))
    }

    /// Writes one piece of an answer that goes on: one JSON document on its line, or one line of text.
    pub fn event<T: Serialize>(&mut self, value: &T, line: impl FnOnce(&T) -> String) -> Result<(), Failure> {
        let text = match self.format {
            Format::Table => line(value),
            Format::Json | Format::Csv => json(value, false),
        };
        self.line(&text)?;
        written(self.out.flush())
    }

    /// Writes octets as they are.
    pub fn octets(&mut self, octets: &[u8]) -> Result<(), Failure> {
        written(self.out.write_all(octets)).and_then(|()| written(self.out.flush()))
    }

    /// Says something beside the answer, to people only.
    pub fn remark(&mut self, sentence: &str) {
        if self.format == Format::Table {
            for line in sentence.lines() {
                let _ = writeln!(self.err, "{}", text::terminal(line));
            }
        }
    }

    /// Tells of a failure.
    pub fn failure(&mut self, failure: &Failure) {
        let _ = match self.format {
            Format::Json => writeln!(self.err, "{}", json(failure, false)),
            Format::Table | Format::Csv => {
                let slug = &failure.slug;
                writeln!(
                    self.err,
                    "posternctl: {} [{}]",
                    text::terminal(&failure.sentence),
                    text::terminal(slug)
                )
                .and_then(|()| {
                    failure.errors.iter().try_for_each(|item| {
                        writeln!(self.err, "  {}: {}", text::terminal(&item.at), text::terminal(&item.detail))
                    })
                })
            }
        };
    }

    fn line(&mut self, text: &str) -> Result<(), Failure> {
        written(writeln!(self.out, "{}", text.trim_end()))
    }
}

/// A reader that has gone (`posternctl … | head`) is no failure of ours.
fn written(result: io::Result<()>) -> Result<(), Failure> {
    match result {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::invalid("output", format!("the answer could not be written: {error}")))
        }
        _ => Ok(()),
    }
}

fn json<T: Serialize>(value: &T, pretty: bool) -> String {
    let serialised = if pretty { serde_json::to_string_pretty(value) } else { serde_json::to_string(value) };
    text::json(&serialised.expect("the API's types serialise: their map keys are strings"))
}

/// A table of rows; every cell is escaped here.
#[must_use]
pub fn table<const N: usize>(head: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(head.map(Cell::new));
    let mut empty = true;
    for row in rows {
        table.add_row(row.map(|cell| Cell::new(text::terminal(&cell))));
        empty = false;
    }
    if empty { "none".to_owned() } else { trimmed(&table) }
}

/// Names and values, one pair a line; what is empty is left out. Every value is escaped here.
#[must_use]
pub fn fields<'n>(pairs: impl IntoIterator<Item = (&'n str, String)>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    for (name, value) in pairs {
        if !value.is_empty() {
            table.add_row([Cell::new(name), Cell::new(text::terminal(&value))]);
        }
    }
    trimmed(&table)
}

/// Without the padding at both ends of each line.
fn trimmed(table: &Table) -> String {
    table
        .lines()
        .map(|line| line.strip_prefix(' ').unwrap_or(&line).trim_end().to_owned())
        .collect::<Vec<_>>()
        .join("\n")
}

/// A value that may be absent: nothing, or itself.
#[must_use]
pub fn or_empty<T: ToString>(value: Option<T>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

/// A value that may be absent, in a column: a dash, or itself.
#[must_use]
pub fn or_dash<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}
