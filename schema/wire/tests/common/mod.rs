//! Walks a folder of vectors by its manifest: each file has to come out as its row says.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::path::{Path, PathBuf};

use postern_wire::syncml::{DecodeError, Decoded, Encoding, Limits, decode, decode_commands};

/// One row of manifest.tsv.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) path: String,
    pub(crate) kind: String,
    pub(crate) encoding: String,
    pub(crate) verdict: String,
    pub(crate) may_copy: bool,
}

/// The vectors that are part of the project.
pub(crate) fn own_data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data")
}

/// The rows of `folder`/manifest.tsv.
pub(crate) fn manifest(folder: &Path) -> Vec<Row> {
    let path = folder.join("manifest.tsv");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let rows = text.lines().skip(1).map(|line| {
        let columns: Vec<_> = line.split('\t').collect();
        let [path, kind, encoding, verdict, may_copy] = columns[..] else {
            panic!("a row of five columns: {line:?}")
        };
        Row {
            path: path.to_owned(),
            kind: kind.to_owned(),
            encoding: encoding.to_owned(),
            verdict: verdict.to_owned(),
            may_copy: may_copy == "yes",
        }
    });
    rows.collect()
}

/// The octets of a vector; those of a `.hex` file are what its text says.
pub(crate) fn octets(folder: &Path, row: &Row) -> Vec<u8> {
    let path = folder.join(&row.path);
    let octets = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    if row.encoding != "hex" {
        return octets;
    }
    let digits: String = String::from_utf8(octets).expect("hex is text").split_ascii_whitespace().collect();
    data_encoding::HEXLOWER_PERMISSIVE.decode(digits.as_bytes()).expect("hex digits")
}

/// Reads a vector in the encoding that its row names.
pub(crate) fn decode_row(folder: &Path, row: &Row) -> Result<Decoded, DecodeError> {
    let encoding = if row.encoding == "xml" { Encoding::Xml } else { Encoding::Wbxml };
    decode(&octets(folder, row), encoding, &Limits::default())
}

/// Checks one row; `None` is a row that says nothing about SyncML (text, headers, tables).
pub(crate) fn check(folder: &Path, row: &Row) -> Option<Result<(), String>> {
    if !matches!(row.encoding.as_str(), "xml" | "wbxml" | "hex") {
        return None;
    }
    let outcome = match (row.kind.as_str(), row.verdict.as_str()) {
        ("syncml-message", "decodes") => decode_row(folder, row).map(drop).map_err(|error| error.to_string()),
        ("syncml-fragment", "decodes" | "decodes (several roots)") => {
            decode_commands(&octets(folder, row), &Limits::default())
                .map(drop)
                .map_err(|error| error.to_string())
        }
        (_, verdict) => match decode_row(folder, row) {
            Ok(_) => Err(format!("accepted, though {verdict}")),
            Err(error) if error.place.offset > octets(folder, row).len() => {
                Err(format!("no such place: {error}"))
            }
            Err(_) => Ok(()),
        },
    };
    Some(outcome)
}

/// Checks all rows that `choose` chooses; the number checked, or every failure.
pub(crate) fn check_all(folder: &Path, choose: impl Fn(&Row) -> bool) -> Result<usize, String> {
    let (mut count, mut failures) = (0, Vec::new());
    for row in manifest(folder).into_iter().filter(choose) {
        match check(folder, &row) {
            None => {}
            Some(Ok(())) => count += 1,
            Some(Err(reason)) => failures.push(format!("{}: {reason}", row.path)),
        }
    }
    if failures.is_empty() { Ok(count) } else { Err(failures.join("\n")) }
}
