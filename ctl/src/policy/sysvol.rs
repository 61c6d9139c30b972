//! A SYSVOL in a folder: its GPOs' folders.
//!
//! Promise: nothing but plain files in plain folders is opened, so neither a link nor a pipe in it leads elsewhere; the rules of
//! what counts are the engine's (`policy::sysvol`).

use std::{
    fs,
    io::Read as _,
    path::{Path, PathBuf},
};

use postern_engine::policy::{
    gpo::Gpo,
    rsop::settings::Folder,
    sysvol::{Contents, Entry, Kind, Limits, Tree, named, places},
};

use crate::failure::Failure;

/// Entries of a folder on the way to a GPO's that are looked at.
const ENTRIES: usize = 100_000;

/// A folder that holds `Policies`, or the domain folders that do, or is `Policies`.
#[derive(Debug)]
pub struct Sysvol {
    root: PathBuf,
}

impl Sysvol {
    /// Of a folder that is there.
    pub fn new(root: &Path) -> Result<Self, Failure> {
        fs::read_dir(root).map_err(|error| Failure::file(root, &error))?;
        Ok(Self { root: root.to_owned() })
    }

    /// The folder of a GPO; `None` where there is none.
    #[must_use]
    pub fn folder(&self, gpo: &Gpo) -> Option<Folder> {
        let path = places(gpo)?.iter().find_map(|place| self.descend(place))?;
        let limits = Limits::default();
        Some(match Contents::read(&Files(&path), &limits) {
            Ok(contents) => contents.folder(&limits.registry_pol),
            Err(refused) => Folder::unusable(&refused.to_string()),
        })
    }

    /// The folder that lies so deep, names without case.
    fn descend(&self, names: &[String]) -> Option<PathBuf> {
        names.iter().try_fold(self.root.clone(), |at, name| {
            let entries = Files(&at).entries(&[], ENTRIES).ok()?;
            let entry = named(&entries, name).ok()??;
            (entry.kind == Kind::Folder).then(|| at.join(&entry.name))
        })
    }
}

/// A folder of this machine.
#[derive(Debug)]
pub(super) struct Files<'p>(pub &'p Path);

impl Files<'_> {
    fn path(&self, at: &[&str]) -> PathBuf {
        at.iter().fold(self.0.to_owned(), |path, name| path.join(name))
    }
}

impl Tree for Files<'_> {
    fn entries(&self, at: &[&str], most: usize) -> Result<Vec<Entry>, String> {
        let listed = fs::read_dir(self.path(at)).map_err(|error| error.to_string())?;
        let entry = |entry: fs::DirEntry| -> Result<Entry, std::io::Error> {
            let kind = entry.file_type()?;
            let kind = match (kind.is_dir(), kind.is_file()) {
                (true, _) => Kind::Folder,
                (_, true) => Kind::File,
                _ => Kind::Other,
            };
            Ok(Entry { name: entry.file_name().to_string_lossy().into_owned(), kind })
        };
        let entries = listed.take(most.saturating_add(1)).map(|listed| listed.and_then(entry));
        entries.collect::<Result<_, _>>().map_err(|error| error.to_string())
    }

    fn octets(&self, at: &[&str], most: usize) -> Result<Vec<u8>, String> {
        let path = self.path(at);
        if !fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_file()) {
            return Err("no plain file".to_owned());
        }
        let mut octets = Vec::new();
        let most = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
        let read = fs::File::open(&path).and_then(|file| file.take(most).read_to_end(&mut octets));
        read.map(|_| octets).map_err(|error| error.to_string())
    }
}
