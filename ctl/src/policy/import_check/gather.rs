//! The GPOs below a folder: each half's Registry.pol, and what stands beside it.
//!
//! A folder with `Machine` or `User` in it is a GPO: in SYSVOL under its GUID, in a backup under
//! `{backup}/DomainSysvol/GPO`. Links are not followed; what is too deep or too much is refused.

use std::{fs, path::Path};

use postern_engine::policy::{
    gpo::Half,
    registry_pol::{File, Limits as FileLimits},
    sysvol::{Contents, Kind, Limits, Other, Refused, Tree as _, named},
};

use crate::{failure::Failure, policy::sysvol::Files};

/// Folders within each other at most, and entries in all, on the way to the GPOs.
const DEPTH: usize = 16;
const ENTRIES: usize = 200_000;

/// One GPO.
#[derive(Debug)]
pub(super) struct Gpo {
    /// Its folder, from where the search began.
    pub name: String,
    pub halves: Vec<Found>,
    pub others: Vec<Other>,
}

/// One half.
#[derive(Debug)]
pub(super) struct Found {
    pub half: Half,
    /// What was read, or why not.
    pub file: Result<File, String>,
}

/// All GPOs below a path.
pub(super) fn gpos(path: &Path) -> Result<Vec<Gpo>, Failure> {
    let metadata = fs::metadata(path).map_err(|error| Failure::file(path, &error))?;
    if metadata.is_file() {
        let half = match path.parent().and_then(Path::file_name) {
            Some(folder) if folder.eq_ignore_ascii_case("user") => Half::User,
            _ => Half::Computer,
        };
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let most = FileLimits::default().file_octets + 1;
        let file = Files(path).octets(&[], most).and_then(|octets| registry_pol(&octets));
        return Ok(vec![Gpo { name, halves: vec![Found { half, file }], others: Vec::new() }]);
    }
    let mut search = Search { root: path, gpos: Vec::new(), entries: 0 };
    search.folder(path, 0)?;
    search.gpos.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(search.gpos)
}

struct Search<'p> {
    root: &'p Path,
    gpos: Vec<Gpo>,
    entries: usize,
}

impl Search<'_> {
    fn folder(&mut self, at: &Path, depth: usize) -> Result<(), Failure> {
        if depth > DEPTH {
            return Err(Failure::invalid("too-deep", format!("{} is too deep", at.display())));
        }
        let listed = Files(at).entries(&[], ENTRIES - self.entries);
        let mut entries =
            listed.map_err(|why| Failure::invalid("unreadable", format!("{}: {why}", at.display())))?;
        self.entries += entries.len();
        if self.entries > ENTRIES {
            return Err(Failure::invalid("too-large", format!("more than {ENTRIES} files")));
        }
        let is_gpo = [Half::Computer, Half::User].iter().any(|half| {
            let found = named(&entries, half.folder());
            found.is_err() || matches!(found, Ok(Some(entry)) if entry.kind == Kind::Folder)
        });
        if is_gpo {
            self.gpos.push(self.gpo(at));
            return Ok(());
        }
        entries.sort_by(|one, other| one.name.cmp(&other.name));
        for folder in entries.iter().filter(|entry| entry.kind == Kind::Folder) {
            self.folder(&at.join(&folder.name), depth + 1)?;
        }
        Ok(())
    }

    /// A hostile folder is said of, and the search goes on.
    fn gpo(&self, at: &Path) -> Gpo {
        let name = at.strip_prefix(self.root).unwrap_or(at).to_string_lossy().into_owned();
        let name = if name.is_empty() { at.to_string_lossy().into_owned() } else { name };
        let contents = match Contents::read(&Files(at), &Limits::default()) {
            Ok(contents) => contents,
            Err(refused) => {
                let halves = vec![Found { half: Half::Computer, file: Err(refused.to_string()) }];
                return Gpo { name, halves, others: Vec::new() };
            }
        };
        let found = |half| match contents.half(half) {
            Err(Refused::Missing(_)) => None,
            Err(refused) => Some(Found { half, file: Err(refused.to_string()) }),
            Ok(octets) => Some(Found { half, file: registry_pol(octets) }),
        };
        let halves = [Half::Computer, Half::User].into_iter().filter_map(found).collect();
        Gpo { name, halves, others: contents.others }
    }
}

fn registry_pol(octets: &[u8]) -> Result<File, String> {
    File::read(octets, &FileLimits::default()).map_err(|error| error.to_string())
}
