//! SYSVOL in a folder of this machine: a mounted share (`mount -t cifs -o sec=krb5,seal,ro`), or a copy.
//!
//! Promise: every folder and file is opened below the one before it and without following links, so what lies in SYSVOL
//! leads nowhere else, whatever somebody changes while it is read. Pipes and devices are not opened.

use std::{
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use futures_util::{FutureExt as _, future::BoxFuture};
use postern_actors::{
    SysvolError, SysvolRead, SysvolSource,
    sysvol::{Entry, Gpo, Kind, Limits, Tree, named, places},
};
use rustix::{
    fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, fstat, openat, statat},
    io::Errno,
};

use super::{SysvolConfig, readings::Readings};
use crate::OpenError;

/// Entries of a folder on the way to a GPO's that are looked at.
const ENTRIES: usize = 100_000;

/// SYSVOL in a folder.
#[derive(Clone, Debug)]
pub struct FolderSysvol {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    limits: Limits,
    readings: Readings,
}

impl FolderSysvol {
    /// As a configuration says; a relative path is taken from `folder`. It need not be there yet.
    ///
    /// # Errors
    /// A setting that cannot be right.
    pub fn of(config: &SysvolConfig, folder: &Path) -> Result<Self, OpenError> {
        let path = config.path.as_ref().ok_or_else(|| OpenError::setting("sysvol.path", "is missing"))?;
        let path = folder.join(path);
        let readings = Readings::new(Duration::from_millis(config.answer_ms));
        Ok(Self { inner: Arc::new(Inner { path, limits: Limits::default(), readings }) })
    }
}

impl SysvolSource for FolderSysvol {
    fn folder<'s>(
        &'s self,
        gpo: &'s Gpo,
        known: Option<u32>,
    ) -> BoxFuture<'s, Result<SysvolRead, SysvolError>> {
        let inner = Arc::clone(&self.inner);
        let places = places(gpo);
        async move {
            let places = places.ok_or(SysvolError::NoName)?;
            let readings = inner.readings.clone();
            readings.run(move || inner.read(&places, known)).await
        }
        .boxed()
    }
}

impl Inner {
    fn read(&self, places: &[Vec<String>], known: Option<u32>) -> Result<SysvolRead, SysvolError> {
        let root = open_root(&self.path)
            .map_err(|error| SysvolError::Down(format!("{}: {error}", self.path.display())))?;
        for place in places {
            if let Some(folder) = descend(&root, place)? {
                return SysvolRead::of(&Opened(folder), known, &self.limits);
            }
        }
        Err(SysvolError::NoFolder)
    }
}

/// The folder that an operator named may itself be a link.
fn open_root(path: &Path) -> Result<OwnedFd, Errno> {
    openat(CWD, path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

/// The folder that lies so deep, names without case.
fn descend(root: &OwnedFd, names: &[String]) -> Result<Option<OwnedFd>, SysvolError> {
    let down = |error: Errno| SysvolError::Down(error.to_string());
    let mut at = Opened(folder(root, ".").map_err(down)?);
    for name in names {
        let entries = at.entries(&[], ENTRIES).map_err(SysvolError::Down)?;
        let found = named(&entries, name).map_err(SysvolError::Hostile)?;
        let Some(entry) = found.filter(|entry| entry.kind == Kind::Folder) else { return Ok(None) };
        at = Opened(folder(&at.0, &entry.name).map_err(down)?);
    }
    Ok(Some(at.0))
}

fn folder(at: &OwnedFd, name: &str) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(at, name, flags, Mode::empty())
}

/// A folder that is open.
struct Opened(OwnedFd);

impl Opened {
    /// The folder so far below.
    fn below(&self, at: &[&str]) -> Result<OwnedFd, Errno> {
        at.iter().try_fold(folder(&self.0, ".")?, |open, name| folder(&open, name))
    }
}

impl Tree for Opened {
    fn entries(&self, at: &[&str], most: usize) -> Result<Vec<Entry>, String> {
        let listed = |error: Errno| error.to_string();
        let open = self.below(at).map_err(listed)?;
        let mut entries = Vec::new();
        for entry in Dir::read_from(&open).map_err(listed)? {
            let entry = entry.map_err(listed)?;
            // A name that is no text is none of Windows' names: its marks make it one that is refused.
            let name = entry.file_name().to_str().map_or_else(|_| "\0".to_owned(), str::to_owned);
            if matches!(name.as_str(), "." | "..") {
                continue;
            }
            let kind = match entry.file_type() {
                FileType::Unknown => statat(&open, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW)
                    .map(|stat| FileType::from_raw_mode(stat.st_mode))
                    .map_err(listed)?,
                known => known,
            };
            let kind = match kind {
                FileType::Directory => Kind::Folder,
                FileType::RegularFile => Kind::File,
                _ => Kind::Other,
            };
            entries.push(Entry { name, kind });
            if entries.len() > most {
                break;
            }
        }
        Ok(entries)
    }

    fn octets(&self, at: &[&str], most: usize) -> Result<Vec<u8>, String> {
        let refused = |error: Errno| error.to_string();
        let (name, folders) = at.split_last().ok_or("no name")?;
        let open = self.below(folders).map_err(refused)?;
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = openat(&open, *name, flags, Mode::empty()).map_err(refused)?;
        let stat = fstat(&file).map_err(refused)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err("no plain file".to_owned());
        }
        let mut octets = Vec::new();
        let most = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
        let mut file = std::io::Read::take(std::fs::File::from(file), most);
        std::io::Read::read_to_end(&mut file, &mut octets).map_err(|error| error.to_string())?;
        Ok(octets)
    }
}

#[cfg(test)]
mod tests;
