//! Reading and writing SyncML: XML against a bare `NsReader` loop over the same octets, WBXML against libwbxml.

use std::{hint::black_box, path::Path};

use anyhow::Context as _;
use postern_wire::syncml::{self, Encoding, Limits};

use crate::{clock, libwbxml, table::Row};

const ROUNDS: usize = 15;
/// Each timed batch takes about this long.
const BATCH_MS: u128 = 60;

/// All rows of this section.
///
/// # Errors
/// A sample is missing or does not decode.
pub(crate) fn run(root: &Path) -> anyhow::Result<Vec<Row>> {
    let data = root.join("schema/wire/tests/data");
    let mut rows = Vec::new();
    for (name, path) in [
        ("Windows package 1", "clients/pytune-windows/01-c2s.xml"),
        ("package 3, Status and Results", "clients/libdmclient-xml-md5/03-c2s.xml"),
    ] {
        let octets = std::fs::read(data.join(path)).with_context(|| format!("sample {path}"))?;
        xml(name, &octets, &mut rows)?;
    }
    for (name, path) in [
        ("package 1", "clients/libdmclient-wbxml-md5/01-c2s.wbxml"),
        ("package 3", "clients/libdmclient-wbxml-md5/03-c2s.wbxml"),
    ] {
        let octets = std::fs::read(data.join(path)).with_context(|| format!("sample {path}"))?;
        wbxml(root, name, &octets, &mut rows)?;
    }
    Ok(rows)
}

fn xml(name: &str, octets: &[u8], rows: &mut Vec<Row>) -> anyhow::Result<()> {
    let limits = Limits::default();
    let decoded = syncml::decode(octets, Encoding::Xml, &limits)?;
    let written = syncml::encode(&decoded.message, &decoded.style)?;
    let text = std::str::from_utf8(octets)?;
    let written_text = String::from_utf8(written)?;
    let decode = paired(
        || {
            black_box(bare_loop(black_box(text)));
        },
        || {
            black_box(syncml::decode(black_box(octets), Encoding::Xml, &limits).is_ok());
        },
    );
    rows.push(Row::ratio(
        format!("XML decode, {name} ({} octets)", octets.len()),
        "bare NsReader loop",
        decode,
        Some(0.75),
    ));
    let encode = paired(
        || {
            black_box(bare_loop(black_box(&written_text)));
        },
        || {
            black_box(syncml::encode(black_box(&decoded.message), &decoded.style).is_ok());
        },
    );
    rows.push(Row::ratio(format!("XML encode, {name}"), "bare NsReader loop over the result", encode, None));
    Ok(())
}

fn wbxml(root: &Path, name: &str, octets: &[u8], rows: &mut Vec<Row>) -> anyhow::Result<()> {
    let limits = Limits::default();
    let decoded = syncml::decode(octets, Encoding::Wbxml, &limits)?;
    let helper = libwbxml::build(root)?;
    let mut ratios_decode = Vec::new();
    let mut ratios_encode = Vec::new();
    for _ in 0..5 {
        let theirs = libwbxml::nanoseconds_per_message(&helper, octets)?;
        ratios_decode.push((
            theirs.decode,
            each(|| {
                black_box(syncml::decode(black_box(octets), Encoding::Wbxml, &limits).is_ok());
            }),
        ));
        ratios_encode.push((
            theirs.encode,
            each(|| {
                black_box(syncml::encode(black_box(&decoded.message), &decoded.style).is_ok());
            }),
        ));
    }
    rows.push(Row::ratio(
        format!("WBXML decode, {name} ({} octets)", octets.len()),
        "libwbxml, to XML",
        Paired::from(ratios_decode),
        None,
    ));
    rows.push(Row::ratio(
        format!("WBXML encode, {name}"),
        "libwbxml, from XML",
        Paired::from(ratios_encode),
        None,
    ));
    Ok(())
}

/// What any reader on this library has to pay: every event resolved, nothing kept.
fn bare_loop(text: &str) -> usize {
    let mut reader = quick_xml::NsReader::from_str(text);
    let mut events = 0;
    loop {
        match reader.read_resolved_event() {
            Ok((_, quick_xml::events::Event::Eof)) | Err(_) => return events,
            Ok(event) => {
                black_box(&event);
                events += 1;
            }
        }
    }
}

/// Nanoseconds a call of baseline and subject, pair by pair.
#[derive(Debug, Clone)]
pub(crate) struct Paired {
    /// (baseline, subject) of each round.
    pub rounds: Vec<(f64, f64)>,
}

impl From<Vec<(f64, f64)>> for Paired {
    fn from(rounds: Vec<(f64, f64)>) -> Self {
        Self { rounds }
    }
}

fn paired(mut baseline: impl FnMut(), mut subject: impl FnMut()) -> Paired {
    let mut rounds = Vec::with_capacity(ROUNDS);
    for round in 0..ROUNDS {
        let pair = if round % 2 == 0 {
            let first = each(&mut baseline);
            (first, each(&mut subject))
        } else {
            let second = each(&mut subject);
            (each(&mut baseline), second)
        };
        rounds.push(pair);
    }
    Paired { rounds }
}

/// Nanoseconds a call, over one batch.
fn each(mut work: impl FnMut()) -> f64 {
    let start = clock::now();
    let mut calls = 0_u32;
    while start.elapsed().as_millis() < BATCH_MS {
        for _ in 0..16 {
            work();
        }
        calls += 16;
    }
    start.elapsed().as_nanos() as f64 / f64::from(calls)
}
