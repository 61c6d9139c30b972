//! Registry.pol: the registry settings of one half of a GPO (MS-GPREG 2.2.1 and 3.2.5.1.2).
//!
//! Promise: [`File::read`] takes any octets and gives every record in its order, or one typed error with the
//! offset of the octet that made it refuse; it never takes a part of a damaged file. A record is found by its
//! NULs and its size, never by a search for `;` or `]`, which data and names may hold. What real files do
//! against the grammar is taken: a record of type 0 without name and data (create the key), text without its
//! NUL, octets behind the last record that are too few to be one.

pub mod directive;
pub mod value;
pub mod write;

use std::fmt;

/// Octets of signature and version.
const HEADER: usize = 8;
/// `PReg`, then version 1.
const SIGNATURE: &[u8; 4] = b"PReg";
/// Octets of the smallest record: two brackets, two NULs, four semicolons, type and size.
const SMALLEST: usize = 24;

/// What a file may hold at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Octets of the whole file.
    pub file_octets: usize,
    /// Records.
    pub records: usize,
    /// UTF-16 code units of a key or of a value's name, without the NUL.
    pub name_units: usize,
    /// Octets of one record's data (MS-GPREG 2.2.1: 0 to 65535).
    pub data_octets: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { file_octets: 16 << 20, records: 100_000, name_units: 8_192, data_octets: 65_535 }
    }
}

/// A file that was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct File {
    /// Its records, in their order: they apply strictly one after the other.
    pub records: Vec<Record>,
    /// Octets behind the last record that were passed over, if any.
    pub trailing_octets: usize,
}

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The key, without its hive: HKLM for the machine half, HKCU for the user half.
    pub key: String,
    /// The value's name, or a directive such as `**del.Name` ([`directive::Directive`]).
    pub value: String,
    /// The registry type; [`value::Value`] reads it.
    pub kind: u32,
    /// The data as it stands.
    pub data: Vec<u8>,
}

/// Why a file is refused, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("at octet {offset}: {kind}")]
pub struct Error {
    /// The first octet that could not be taken, counted from 0.
    pub offset: usize,
    /// Why.
    pub kind: ErrorKind,
}

/// Why a file is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ErrorKind {
    /// The file is larger than the limit.
    #[error("the file is larger than {0} octets")]
    FileTooLarge(usize),
    /// It does not begin with `PReg`.
    #[error("the signature is not PReg")]
    Signature,
    /// Its version is not 1.
    #[error("version {0} is not known")]
    Version(u32),
    /// It ends inside its header or a record.
    #[error("the file ends inside {0}")]
    Truncated(Part),
    /// A bracket or semicolon is missing.
    #[error("{0} should stand here")]
    Expected(Delimiter),
    /// A record without a key.
    #[error("the key is empty")]
    EmptyKey,
    /// A name that is not UTF-16.
    #[error("{0} is not valid UTF-16")]
    NotText(Part),
    /// A name that is too long.
    #[error("{0} is longer than {1} code units")]
    NameTooLong(Part, usize),
    /// A size above the limit.
    #[error("the data's size is given as {0} octets, more than {1}")]
    DataTooLong(u32, u32),
    /// More records than the limit.
    #[error("more than {0} records")]
    TooManyRecords(usize),
}

impl ErrorKind {
    /// The stable name of the reason.
    #[must_use]
    pub fn slug(&self) -> &'static str {
        match self {
            Self::FileTooLarge(_) => "registry-pol-too-large",
            Self::Signature => "registry-pol-signature",
            Self::Version(_) => "registry-pol-version",
            Self::Truncated(_) => "registry-pol-truncated",
            Self::Expected(_) => "registry-pol-delimiter",
            Self::EmptyKey => "registry-pol-empty-key",
            Self::NotText(_) => "registry-pol-not-text",
            Self::NameTooLong(..) => "registry-pol-name-too-long",
            Self::DataTooLong(..) => "registry-pol-data-too-long",
            Self::TooManyRecords(_) => "registry-pol-too-many-records",
        }
    }
}

/// A part of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Signature and version.
    Header,
    /// A record's key.
    Key,
    /// A value's name.
    ValueName,
    /// A record's type.
    Type,
    /// A record's size.
    Size,
    /// A record's data.
    Data,
    /// Between the parts of a record.
    Record,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Header => "the header",
            Self::Key => "the key",
            Self::ValueName => "the value's name",
            Self::Type => "the type",
            Self::Size => "the size",
            Self::Data => "the data",
            Self::Record => "a record",
        })
    }
}

/// What parts and records are kept apart by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delimiter {
    /// `[`
    Open,
    /// `;`
    Between,
    /// `]`
    Close,
}

impl Delimiter {
    fn unit(self) -> u16 {
        match self {
            Self::Open => u16::from(b'['),
            Self::Between => u16::from(b';'),
            Self::Close => u16::from(b']'),
        }
    }
}

impl fmt::Display for Delimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "`[`",
            Self::Between => "`;`",
            Self::Close => "`]`",
        })
    }
}

impl File {
    /// Reads a whole file.
    pub fn read(octets: &[u8], limits: &Limits) -> Result<Self, Error> {
        if octets.len() > limits.file_octets {
            return Err(Error {
                offset: limits.file_octets,
                kind: ErrorKind::FileTooLarge(limits.file_octets),
            });
        }
        let mut reader = Reader { octets, at: 0, limits };
        reader.header()?;
        let mut file = Self::default();
        while !reader.at_end() {
            if reader.left() < SMALLEST && !reader.next_is(Delimiter::Open) {
                file.trailing_octets = reader.left();
                break;
            }
            if file.records.len() == limits.records {
                return Err(reader.refuse(ErrorKind::TooManyRecords(limits.records)));
            }
            file.records.push(reader.record()?);
        }
        Ok(file)
    }
}

struct Reader<'o> {
    octets: &'o [u8],
    at: usize,
    limits: &'o Limits,
}

impl Reader<'_> {
    fn header(&mut self) -> Result<(), Error> {
        if self.octets.len() < HEADER {
            return Err(Error { offset: self.octets.len(), kind: ErrorKind::Truncated(Part::Header) });
        }
        if &self.octets[..4] != SIGNATURE {
            return Err(self.refuse(ErrorKind::Signature));
        }
        self.at = 4;
        let at = self.at;
        match self.number(Part::Header)? {
            1 => Ok(()),
            other => Err(Error { offset: at, kind: ErrorKind::Version(other) }),
        }
    }

    fn record(&mut self) -> Result<Record, Error> {
        self.delimiter(Delimiter::Open)?;
        let key_at = self.at;
        let key = self.name(Part::Key)?;
        if key.is_empty() {
            return Err(Error { offset: key_at, kind: ErrorKind::EmptyKey });
        }
        self.delimiter(Delimiter::Between)?;
        let value = self.name(Part::ValueName)?;
        self.delimiter(Delimiter::Between)?;
        let kind = self.number(Part::Type)?;
        self.delimiter(Delimiter::Between)?;
        let size_at = self.at;
        let size = self.number(Part::Size)?;
        if size > self.limits.data_octets {
            let kind = ErrorKind::DataTooLong(size, self.limits.data_octets);
            return Err(Error { offset: size_at, kind });
        }
        self.delimiter(Delimiter::Between)?;
        let data = self.take(size as usize, Part::Data)?.to_vec();
        self.delimiter(Delimiter::Close)?;
        Ok(Record { key, value, kind, data })
    }

    /// A text with its NUL.
    fn name(&mut self, part: Part) -> Result<String, Error> {
        let from = self.at;
        let mut units = Vec::new();
        loop {
            let at = self.at;
            match self.unit(part)? {
                0 => break,
                _ if units.len() == self.limits.name_units => {
                    let kind = ErrorKind::NameTooLong(part, self.limits.name_units);
                    return Err(Error { offset: at, kind });
                }
                unit => units.push(unit),
            }
        }
        let mut text = String::with_capacity(units.len());
        let mut offset = from;
        for c in char::decode_utf16(units) {
            let c = c.map_err(|_| Error { offset, kind: ErrorKind::NotText(part) })?;
            offset += 2 * c.len_utf16();
            text.push(c);
        }
        Ok(text)
    }

    fn delimiter(&mut self, delimiter: Delimiter) -> Result<(), Error> {
        let at = self.at;
        if self.unit(Part::Record)? == delimiter.unit() {
            Ok(())
        } else {
            Err(Error { offset: at, kind: ErrorKind::Expected(delimiter) })
        }
    }

    fn next_is(&self, delimiter: Delimiter) -> bool {
        self.octets[self.at..].starts_with(&delimiter.unit().to_le_bytes())
    }

    fn unit(&mut self, part: Part) -> Result<u16, Error> {
        let octets = self.take(2, part)?;
        Ok(u16::from_le_bytes([octets[0], octets[1]]))
    }

    fn number(&mut self, part: Part) -> Result<u32, Error> {
        let octets = self.take(4, part)?;
        Ok(u32::from_le_bytes([octets[0], octets[1], octets[2], octets[3]]))
    }

    fn take(&mut self, count: usize, part: Part) -> Result<&[u8], Error> {
        let to = self.at.checked_add(count).filter(|to| *to <= self.octets.len());
        let Some(to) = to else {
            return Err(Error { offset: self.octets.len(), kind: ErrorKind::Truncated(part) });
        };
        let taken = &self.octets[self.at..to];
        self.at = to;
        Ok(taken)
    }

    fn left(&self) -> usize {
        self.octets.len() - self.at
    }

    fn at_end(&self) -> bool {
        self.left() == 0
    }

    fn refuse(&self, kind: ErrorKind) -> Error {
        Error { offset: self.at, kind }
    }
}
