//! A file put where the owner of the machine lets it be put.
//!
//! Promise: the file is there whole, with its mode and owner, or as it was. The way to it is walked name by name below the
//! allowed folder, and no link on it is followed, so that nobody who may write there can send it elsewhere; a link in the file's
//! own place is replaced.

use std::{
    io::Write as _,
    os::fd::{AsFd as _, OwnedFd},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{AtFlags, Gid, Mode, OFlags, Uid, fchmod, fchown, fsync, open, openat, renameat, unlinkat},
    io::Errno,
};

use crate::codes::Code;

/// What is to be there.
pub(super) struct Wanted<'a> {
    pub(super) path: PathBuf,
    pub(super) data: &'a [u8],
    pub(super) mode: u32,
    pub(super) owner: Option<u32>,
    pub(super) group: Option<u32>,
}

/// Why it is not.
#[derive(Debug, thiserror::Error)]
pub(super) enum DropError {
    #[error("the path is not an absolute one of plain names")]
    Path,
    #[error("it is not below a folder that is allowed")]
    NotAllowed,
    #[error("a name on the way is a link or no folder")]
    Way,
    #[error("a folder on the way is not there")]
    NoFolder,
    #[error("no room")]
    NoRoom,
    #[error("the system refused: {0}")]
    System(Errno),
}

impl DropError {
    /// As a server is told.
    pub(super) const fn code(&self) -> Code {
        match self {
            Self::Path => Code::BAD_FORMAT,
            Self::NotAllowed | Self::Way => Code::DENIED,
            Self::NoFolder => Code::NOT_FOUND,
            Self::NoRoom => Code::DEVICE_FULL,
            Self::System(_) => Code::FAILED,
        }
    }
}

impl From<Errno> for DropError {
    fn from(error: Errno) -> Self {
        match error {
            Errno::LOOP | Errno::NOTDIR | Errno::ISDIR => Self::Way,
            Errno::NOENT => Self::NoFolder,
            Errno::NOSPC | Errno::DQUOT => Self::NoRoom,
            other => Self::System(other),
        }
    }
}

/// Whether a path is absolute and has neither `.` nor `..` in it.
pub(super) fn is_plain(path: &Path) -> bool {
    let text = path.as_os_str().as_encoded_bytes();
    let Some(names) = text.strip_prefix(b"/") else { return false };
    let names = names.strip_suffix(b"/").unwrap_or(names);
    let good = |name: &[u8]| !matches!(name, b"" | b"." | b"..") && !name.contains(&0);
    text.len() <= 1_024 && (names.is_empty() || names.split(|octet| *octet == b'/').all(good))
}

/// The allowed folder that a path is below, and the way from there.
pub(super) fn allowed<'a>(path: &'a Path, folders: &'a [PathBuf]) -> Result<(&'a Path, &'a Path), DropError> {
    if !is_plain(path) || path.as_os_str().as_encoded_bytes().ends_with(b"/") {
        return Err(DropError::Path);
    }
    folders
        .iter()
        .filter_map(|folder| Some((folder.as_path(), path.strip_prefix(folder).ok()?)))
        .find(|(_, way)| !way.as_os_str().is_empty())
        .ok_or(DropError::NotAllowed)
}

/// An octal mode without set-id bits.
pub(super) fn mode(text: &str) -> Result<u32, Code> {
    let mode = u32::from_str_radix(text, 8).map_err(|_| Code::BAD_FORMAT)?;
    if mode <= 0o777 { Ok(mode) } else { Err(Code::BAD_FORMAT) }
}

/// Puts it there.
pub(super) fn write(wanted: &Wanted<'_>, folders: &[PathBuf]) -> Result<(), DropError> {
    let (folder, way) = allowed(&wanted.path, folders)?;
    let name = way.file_name().ok_or(DropError::Path)?;
    let at = walk(folder, way.parent().unwrap_or(Path::new("")))?;
    let mut new = std::ffi::OsString::from(".");
    new.push(name);
    new.push(".postern-new");
    match unlinkat(&at, &new, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(error) => return Err(error.into()),
    }
    let put = || -> Result<(), DropError> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(&at, &new, flags, Mode::from_raw_mode(0o600))?;
        let mut file = std::fs::File::from(file);
        file.write_all(wanted.data).map_err(|error| {
            Errno::from_io_error(&error).map_or(DropError::System(Errno::IO), DropError::from)
        })?;
        if wanted.owner.is_some() || wanted.group.is_some() {
            fchown(&file, wanted.owner.map(Uid::from_raw), wanted.group.map(Gid::from_raw))?;
        }
        fchmod(&file, Mode::from_raw_mode(wanted.mode))?;
        fsync(&file)?;
        renameat(&at, &new, &at, name)?;
        fsync(at.as_fd())?;
        Ok(())
    };
    put().inspect_err(|_| {
        let _half = unlinkat(&at, &new, AtFlags::empty());
    })
}

/// Opens the folder at the end of the way, none of whose names may be a link.
fn walk(folder: &Path, way: &Path) -> Result<OwnedFd, DropError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut at = open(folder, flags, Mode::empty())?;
    for part in way.components() {
        at = openat(&at, part.as_os_str(), flags | OFlags::NOFOLLOW, Mode::empty())?;
    }
    Ok(at)
}
