//! Writes a Registry.pol: what a test, a benchmark or a GPO backup needs. What is written reads back as it was.

use super::{Delimiter, File, Record, SIGNATURE, value};

impl File {
    /// The file's octets, without what followed its last record.
    #[must_use]
    pub fn write(&self) -> Vec<u8> {
        let mut out = SIGNATURE.to_vec();
        out.extend_from_slice(&1u32.to_le_bytes());
        for record in &self.records {
            unit(&mut out, Delimiter::Open);
            text(&mut out, &record.key);
            unit(&mut out, Delimiter::Between);
            text(&mut out, &record.value);
            unit(&mut out, Delimiter::Between);
            out.extend_from_slice(&record.kind.to_le_bytes());
            unit(&mut out, Delimiter::Between);
            let size = u32::try_from(record.data.len()).unwrap_or(u32::MAX);
            out.extend_from_slice(&size.to_le_bytes());
            unit(&mut out, Delimiter::Between);
            out.extend_from_slice(&record.data);
            unit(&mut out, Delimiter::Close);
        }
        out
    }
}

impl Record {
    /// A DWORD.
    #[must_use]
    pub fn dword(key: &str, name: &str, number: u32) -> Self {
        let data = number.to_le_bytes().to_vec();
        Self { key: key.to_owned(), value: name.to_owned(), kind: value::DWORD, data }
    }

    /// A text.
    #[must_use]
    pub fn sz(key: &str, name: &str, content: &str) -> Self {
        let mut data = Vec::new();
        text(&mut data, content);
        Self { key: key.to_owned(), value: name.to_owned(), kind: value::SZ, data }
    }
}

fn unit(out: &mut Vec<u8>, delimiter: Delimiter) {
    out.extend_from_slice(&delimiter.unit().to_le_bytes());
}

fn text(out: &mut Vec<u8>, text: &str) {
    for unit in text.encode_utf16().chain([0]) {
        out.extend_from_slice(&unit.to_le_bytes());
    }
}
