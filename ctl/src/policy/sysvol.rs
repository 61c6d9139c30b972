//! A SYSVOL in a folder: its GPOs' version files and Registry.pol.
//!
//! Promise: names are matched without case; nothing but plain files in plain folders is opened, so neither a
//! link nor a pipe in it leads elsewhere; a file's size is limited before it is read.

use std::{
    fs,
    io::Read as _,
    path::{Path, PathBuf},
};

use postern_engine::policy::{
    dn::Dn,
    gpo::{Gpo, GpoId, Half},
    registry_pol::Limits,
    rsop::settings::Folder,
};

use crate::failure::Failure;

/// Entries of a folder that are looked at.
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
        let path = self.path(gpo.id?, &gpo.dn)?;
        let octets = |names: &[&str]| file(&path, names);
        let (gpt, computer, user) = (
            octets(&["GPT.INI"]),
            octets(&[Half::Computer.folder(), "Registry.pol"]),
            octets(&[Half::User.folder(), "Registry.pol"]),
        );
        let limits = Limits::default();
        Some(Folder::read(borrowed(&gpt), borrowed(&computer), borrowed(&user), &limits))
    }

    fn path(&self, id: GpoId, dn: &Dn) -> Option<PathBuf> {
        let id = id.to_string();
        let domain = domain_name(dn);
        let policies = [
            descend(&self.root, &[&domain, "Policies"]),
            descend(&self.root, &["sysvol", &domain, "Policies"]),
            descend(&self.root, &["Policies"]),
            Some(self.root.clone()),
        ];
        policies.into_iter().flatten().find_map(|policies| descend(&policies, &[&id]))
    }
}

/// `DC=example,DC=test` as `example.test`.
fn domain_name(dn: &Dn) -> String {
    let mut at = dn.domain();
    let mut labels = Vec::new();
    while let Some(here) = at {
        labels.push(here.name());
        at = here.parent();
    }
    labels.join(".")
}

/// The folder that lies so deep.
fn descend(from: &Path, names: &[&str]) -> Option<PathBuf> {
    names.iter().try_fold(from.to_owned(), |at, name| {
        entry(&at, name).ok().filter(|path| is(path, fs::Metadata::is_dir))
    })
}

/// The octets of a file that lies so deep; `Err` says why it cannot be used.
fn file(from: &Path, names: &[&str]) -> Result<Vec<u8>, String> {
    let shown = names.join("\\");
    let (last, folders) = names.split_last().ok_or("no name")?;
    let folder = descend(from, folders).ok_or_else(|| format!("{shown} is not there"))?;
    let path = entry(&folder, last).map_err(|why| format!("{shown} {why}"))?;
    if !is(&path, fs::Metadata::is_file) {
        return Err(format!("{shown} is no plain file"));
    }
    let most = Limits::default().file_octets as u64;
    let mut octets = Vec::new();
    let read = fs::File::open(&path).and_then(|file| file.take(most + 1).read_to_end(&mut octets));
    read.map_err(|error| format!("{shown}: {error}"))?;
    if octets.len() as u64 > most {
        return Err(format!("{shown} is larger than {most} octets"));
    }
    Ok(octets)
}

/// The entry of a name without case: the one that is spelled so, else the only one that could be meant.
fn entry(folder: &Path, name: &str) -> Result<PathBuf, &'static str> {
    let listed = fs::read_dir(folder).map_err(|_| "cannot be looked for")?;
    let mut found: Option<PathBuf> = None;
    for entry in listed.take(ENTRIES).flatten() {
        let own = entry.file_name();
        let Some(own) = own.to_str() else { continue };
        if own == name {
            return Ok(entry.path());
        }
        if own.eq_ignore_ascii_case(name) && found.replace(entry.path()).is_some() {
            return Err("is there more than once");
        }
    }
    found.ok_or("is not there")
}

fn is(path: &Path, kind: impl Fn(&fs::Metadata) -> bool) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| kind(&metadata))
}

fn borrowed(octets: &Result<Vec<u8>, String>) -> Result<&[u8], &str> {
    octets.as_deref().map_err(String::as_str)
}
