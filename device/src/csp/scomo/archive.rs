//! A tar archive (POSIX.1-1988 ustar), unpacked into a folder that is empty.
//!
//! Promise: files and folders only, each below the folder by a relative path of plain names; anything else (links, devices,
//! `..`, a long name, more than the limits) refuses the whole archive. Owner and set-id bits are not taken over.

use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

/// Entries at most.
const ENTRIES: usize = 10_000;
/// Octets of one path at most.
const NAME_OCTETS: usize = 255;
const BLOCK: usize = 512;

/// Why an archive is not unpacked.
#[derive(Debug, thiserror::Error)]
pub(super) enum ArchiveError {
    #[error("the archive is damaged: {0}")]
    Damaged(&'static str),
    #[error("the archive holds what is not unpacked: {0}")]
    Refused(&'static str),
    #[error("the archive is larger than {0} octets when unpacked")]
    TooLarge(u64),
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Unpacks `archive`; no more than `limit` octets of files.
pub(super) fn unpack(archive: &mut impl Read, folder: &Path, limit: u64) -> Result<(), ArchiveError> {
    let mut header = [0; BLOCK];
    let mut left = limit;
    for _ in 0..ENTRIES {
        if !read_block(archive, &mut header)? || header.iter().all(|octet| *octet == 0) {
            return Ok(());
        }
        let entry = Entry::of(&header)?;
        left = left.checked_sub(entry.size).ok_or(ArchiveError::TooLarge(limit))?;
        let path = folder.join(&entry.path);
        match entry.kind {
            b'5' => fs::create_dir_all(&path)?,
            b'0' | 0 => {
                if let Some(above) = path.parent() {
                    fs::create_dir_all(above)?;
                }
                write(archive, &path, &entry)?;
            }
            b'1' | b'2' => return Err(ArchiveError::Refused("a link")),
            b'x' | b'g' | b'L' | b'K' => return Err(ArchiveError::Refused("an extension of ustar")),
            _ => return Err(ArchiveError::Refused("a device")),
        }
    }
    Err(ArchiveError::Refused("too many entries"))
}

struct Entry {
    path: PathBuf,
    size: u64,
    executable: bool,
    kind: u8,
}

impl Entry {
    fn of(header: &[u8; BLOCK]) -> Result<Self, ArchiveError> {
        // the checksum counts its own field as eight spaces
        let sum: u64 = header.iter().map(|octet| u64::from(*octet)).sum();
        let own: u64 = header[148..156].iter().map(|octet| u64::from(*octet)).sum();
        if octal(&header[148..156])? != sum - own + 8 * u64::from(b' ') {
            return Err(ArchiveError::Damaged("a wrong checksum"));
        }
        let (name, prefix) = (text(&header[..100])?, text(&header[345..500])?);
        let is_ustar = &header[257..262] == b"ustar";
        let whole = if is_ustar && !prefix.is_empty() { format!("{prefix}/{name}") } else { name.to_owned() };
        let kind = header[156];
        Ok(Self {
            path: plain(&whole)?,
            size: if kind == b'5' { 0 } else { octal(&header[124..136])? },
            executable: octal(&header[100..108])? & 0o100 != 0,
            kind,
        })
    }
}

/// A relative path of plain names.
fn plain(path: &str) -> Result<PathBuf, ArchiveError> {
    let path = path.strip_prefix("./").unwrap_or(path).trim_end_matches('/');
    if path.len() > NAME_OCTETS {
        return Err(ArchiveError::Refused("a long name"));
    }
    if path.is_empty() || path == "." {
        return Ok(PathBuf::new());
    }
    let bad = |name: &str| name.is_empty() || name == "." || name == ".." || name.contains(['\\', '\0']);
    if path.split('/').any(bad) {
        return Err(ArchiveError::Refused("a path that leads elsewhere"));
    }
    Ok(path.into())
}

fn write(archive: &mut impl Read, path: &Path, entry: &Entry) -> Result<(), ArchiveError> {
    let mut options = fs::OpenOptions::new();
    // what is there already is another entry of the same name
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, if entry.executable { 0o755 } else { 0o644 });
    let mut file = options.open(path)?;
    let copied = io::copy(&mut archive.take(entry.size), &mut file)?;
    if copied != entry.size {
        return Err(ArchiveError::Damaged("it ends inside a file"));
    }
    file.sync_all()?;
    let padding = (BLOCK as u64 - entry.size % BLOCK as u64) % BLOCK as u64;
    io::copy(&mut archive.take(padding), &mut io::sink())?;
    Ok(())
}

/// `false` at the end of the archive.
fn read_block(archive: &mut impl Read, block: &mut [u8; BLOCK]) -> Result<bool, ArchiveError> {
    let mut have = 0;
    while have < BLOCK {
        match archive.read(&mut block[have..])? {
            0 if have == 0 => return Ok(false),
            0 => return Err(ArchiveError::Damaged("it ends inside a header")),
            read => have += read,
        }
    }
    Ok(true)
}

fn text(field: &[u8]) -> Result<&str, ArchiveError> {
    let end = field.iter().position(|octet| *octet == 0).unwrap_or(field.len());
    std::str::from_utf8(&field[..end]).map_err(|_| ArchiveError::Damaged("a name that is not UTF-8"))
}

fn octal(field: &[u8]) -> Result<u64, ArchiveError> {
    let digits = text(field)?.trim_matches(' ');
    if digits.is_empty() {
        return Ok(0);
    }
    u64::from_str_radix(digits, 8).map_err(|_| ArchiveError::Damaged("a number that is not octal"))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// One entry as tar writes it.
    pub(in crate::csp::scomo) fn entry(name: &str, kind: u8, data: &[u8]) -> Vec<u8> {
        let mut header = [0_u8; BLOCK];
        header[..name.len()].copy_from_slice(name.as_bytes());
        header[100..107].copy_from_slice(b"0000755");
        header[124..135].copy_from_slice(format!("{:011o}", data.len()).as_bytes());
        header[156] = kind;
        header[257..263].copy_from_slice(b"ustar\0");
        header[148..156].fill(b' ');
        let sum: u32 = header.iter().map(|octet| u32::from(*octet)).sum();
        header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        let mut octets = header.to_vec();
        octets.extend(data);
        octets.resize(octets.len().next_multiple_of(BLOCK), 0);
        octets
    }

    fn unpacked(archive: &[u8], limit: u64) -> (Result<(), ArchiveError>, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().join("inside");
        fs::create_dir(&inside).unwrap();
        (unpack(&mut &*archive, &inside, limit), folder)
    }

    #[test]
    fn files_and_folders_come_out_as_they_went_in() {
        let archive = [entry("bin/", b'5', b""), entry("./bin/tool", b'0', b"run"), vec![0; 1024]].concat();
        let (outcome, folder) = unpacked(&archive, 1_000);
        outcome.unwrap();
        assert_eq!(fs::read(folder.path().join("inside/bin/tool")).unwrap(), b"run");
    }

    #[test]
    fn what_leads_out_of_the_folder_or_is_no_file_refuses_the_archive() {
        for (name, kind) in [
            ("../out", b'0'),
            ("/etc/out", b'0'),
            ("a/../../out", b'0'),
            ("a//b", b'0'),
            ("link", b'2'),
            ("hard", b'1'),
            ("device", b'3'),
            ("long", b'L'),
        ] {
            let (outcome, folder) = unpacked(&entry(name, kind, b"x"), 1_000);
            assert!(matches!(outcome, Err(ArchiveError::Refused(_))), "{name}: {outcome:?}");
            assert!(!folder.path().join("out").exists());
        }
    }

    #[test]
    fn a_damaged_or_too_large_archive_is_refused() {
        let good = entry("a", b'0', b"data");
        let mut wrong = good.clone();
        wrong[0] = b'b';
        assert!(matches!(unpacked(&wrong, 1_000).0, Err(ArchiveError::Damaged("a wrong checksum"))));
        assert!(matches!(unpacked(&good[..514], 1_000).0, Err(ArchiveError::Damaged(_))));
        assert!(matches!(unpacked(&good[..100], 1_000).0, Err(ArchiveError::Damaged(_))));
        assert!(matches!(unpacked(&good, 3).0, Err(ArchiveError::TooLarge(3))));
        let twice = [good.clone(), good].concat();
        assert!(matches!(unpacked(&twice, 1_000).0, Err(ArchiveError::Io(_))));
    }

    proptest::proptest! {
        #[test]
        fn no_octets_write_outside_the_folder(octets in proptest::collection::vec(proptest::num::u8::ANY, 0..2048)) {
            let (_, folder) = unpacked(&octets, 1_000);
            proptest::prop_assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        }
    }
}
