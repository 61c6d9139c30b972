//! `posternctl policy registry-pol FILE`.

use std::path::PathBuf;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use postern_api::problem::ProblemItem;
use postern_engine::policy::registry_pol::{
    File, Limits, Record,
    value::{Value, kind_name, typed},
};
use serde::Serialize;

use crate::{
    args::Format,
    failure::{Exit, Failure},
    files,
    output::{self, Output},
};

/// Which file.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A Registry.pol. `-` is stdin.
    pub file: PathBuf,
}

/// A file that was read.
#[derive(Debug, Serialize)]
struct Read {
    ok: bool,
    entries: Vec<Entry>,
    /// Octets behind the last record that were passed over.
    #[serde(skip_serializing_if = "Option::is_none")]
    trailing_octets: Option<usize>,
}

#[derive(Debug, Serialize)]
struct Entry {
    key: String,
    value: String,
    #[serde(rename = "type")]
    kind: u32,
    size: usize,
    data_b64: String,
}

/// A file that was refused.
#[derive(Debug, Serialize)]
struct Refused<'r> {
    ok: bool,
    reason: &'r str,
    detail: String,
    offset: usize,
}

impl Args {
    /// Reads the file.
    pub fn run(self, output: &mut Output<'_>) -> Result<Exit, Failure> {
        let octets = files::octets(&self.file)?;
        let file = match File::read(&octets, &Limits::default()) {
            Ok(file) => file,
            Err(error) => {
                let (reason, detail) = (error.kind.slug(), error.kind.to_string());
                if output.format == Format::Json {
                    let detail = detail.clone();
                    output.document(&Refused { ok: false, reason, detail, offset: error.offset })?;
                }
                let sentence = format!("{} is not a valid Registry.pol", self.file.display());
                let errors = vec![ProblemItem { at: format!("offset {}", error.offset), detail }];
                return Err(Failure { errors, ..Failure::invalid(reason, sentence) });
            }
        };
        if file.trailing_octets > 0 {
            output.remark(&format!("{} octets behind the last record passed over", file.trailing_octets));
        }
        let read = Read {
            ok: true,
            entries: file.records.iter().map(Entry::of).collect(),
            trailing_octets: Some(file.trailing_octets).filter(|octets| *octets > 0),
        };
        output.answer(&read, |_| {
            let rows = file.records.iter().map(|record| {
                let value = if record.value.is_empty() { "(default)" } else { &record.value };
                let kind = kind_name(record.kind).to_owned();
                [record.key.clone(), value.to_owned(), kind, shown(record.kind, &record.data)]
            });
            output::table(["KEY", "VALUE", "TYPE", "DATA"], rows)
        })?;
        Ok(Exit::Done)
    }
}

impl Entry {
    fn of(record: &Record) -> Self {
        Self {
            key: record.key.clone(),
            value: record.value.clone(),
            kind: record.kind,
            size: record.data.len(),
            data_b64: BASE64_STANDARD.encode(&record.data),
        }
    }
}

/// A value for people.
pub(super) fn shown(kind: u32, data: &[u8]) -> String {
    match typed(kind, data) {
        Ok(Value::Number(number)) => number.to_string(),
        Ok(Value::Text(text)) => text,
        Ok(Value::List(texts)) => texts.join(" | "),
        Ok(Value::Octets(octets)) => data_encoding::HEXLOWER.encode(&octets),
        Err(error) => format!("{} ({error})", data_encoding::HEXLOWER.encode(data)),
    }
}
