//! A GPO's folder in SYSVOL: which of its files count, and which are refused (MS-GPOL 2.2.4, MS-GPREG 2.2.1).
//!
//! Promise: names are matched without case. A folder is hostile until it was read: a name that is none, a link or a pipe, a
//! folder too deep, too many entries, a file too large are each a typed refusal, and nothing of such a folder counts.
//! Where the octets come from is the [`Tree`]'s business; a name that was not listed by it is never asked for.

pub mod beside;

use super::{
    dn::Dn,
    gpo::{Gpo, Half},
    registry_pol,
    rsop::settings::Folder,
};

pub use beside::Other;

/// The version file.
const GPT_INI: &str = "GPT.INI";
/// What a half's settings are in.
const REGISTRY_POL: &str = "Registry.pol";

/// What lies in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name, as it is spelled.
    pub name: String,
    /// What it is.
    pub kind: Kind,
}

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A folder.
    Folder,
    /// A plain file.
    File,
    /// Anything else: a link, a pipe, a device. It is never opened.
    Other,
}

/// A GPO's folder, wherever it lies. `at` are names that it listed itself.
pub trait Tree {
    /// What lies in a folder, up to `most` entries; one more says that there are more.
    ///
    /// # Errors
    /// Why it cannot be listed.
    fn entries(&self, at: &[&str], most: usize) -> Result<Vec<Entry>, String>;

    /// A file's octets, up to `most`; one more says that there are more.
    ///
    /// # Errors
    /// Why it cannot be read.
    fn octets(&self, at: &[&str], most: usize) -> Result<Vec<u8>, String>;
}

/// How much is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Folders within each other.
    pub depth: usize,
    /// Entries of a GPO's folder in all.
    pub entries: usize,
    /// Octets of the version file.
    pub gpt_ini: usize,
    /// Octets that are looked at of each file beside Registry.pol; what is behind them is not looked at.
    pub other: usize,
    /// A Registry.pol.
    pub registry_pol: registry_pol::Limits,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            depth: 16,
            entries: 10_000,
            gpt_ini: 64 * 1024,
            other: 1 << 20,
            registry_pol: registry_pol::Limits::default(),
        }
    }
}

/// Why something of a folder does not count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is not there.
    #[error("{0} is not there")]
    Missing(String),
    /// It cannot be read.
    #[error("{0}: {1}")]
    Unreadable(String, String),
    /// A link, a pipe, a device, or a folder where a file should be.
    #[error("{0} is no plain file")]
    NotPlain(String),
    /// A name that no file can have, or that leads elsewhere.
    #[error("{0:?} is no name")]
    Name(String),
    /// Two names that are one without case.
    #[error("{0} is there more than once")]
    Ambiguous(String),
    /// Larger than the limit, in octets.
    #[error("{0} is larger than {1} octets")]
    TooLarge(String, usize),
    /// Folders too deep within each other.
    #[error("{0} is too deep")]
    TooDeep(String),
    /// More entries than the limit.
    #[error("it has more than {0} entries")]
    TooMany(usize),
}

/// What a GPO's folder holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents {
    /// The version file.
    pub gpt_ini: Result<Vec<u8>, Refused>,
    /// The computer half's Registry.pol.
    pub computer: Result<Vec<u8>, Refused>,
    /// The user half's.
    pub user: Result<Vec<u8>, Refused>,
    /// What stands beside them, by half and path.
    pub others: Vec<Other>,
}

/// The version file of a GPO's folder.
///
/// # Errors
/// Why it cannot be had.
pub fn version_file(tree: &dyn Tree, limits: &Limits) -> Result<Vec<u8>, Refused> {
    let mut walk = Walk { tree, limits, entries: 0 };
    let root = walk.list(&[])?;
    walk.file(&[], &root, GPT_INI, limits.gpt_ini)
}

impl Contents {
    /// Reads a GPO's folder.
    ///
    /// # Errors
    /// It cannot be listed, or is hostile: nothing of it counts.
    pub fn read(tree: &dyn Tree, limits: &Limits) -> Result<Self, Refused> {
        let mut walk = Walk { tree, limits, entries: 0 };
        let root = walk.list(&[])?;
        let gpt_ini = walk.file(&[], &root, GPT_INI, limits.gpt_ini);
        let mut contents = Self {
            gpt_ini,
            computer: Err(Refused::Missing(Half::Computer.registry_pol())),
            user: Err(Refused::Missing(Half::User.registry_pol())),
            others: Vec::new(),
        };
        for half in [Half::Computer, Half::User] {
            let Some(folder) = named(&root, half.folder())? else { continue };
            if folder.kind != Kind::Folder {
                return Err(Refused::NotPlain(folder.name.clone()));
            }
            let read = walk.half(half, &folder.name, &mut contents.others)?;
            match half {
                Half::Computer => contents.computer = read,
                Half::User => contents.user = read,
            }
        }
        contents.others.sort();
        Ok(contents)
    }

    /// One half's Registry.pol.
    ///
    /// # Errors
    /// Why it cannot be had.
    pub fn half(&self, half: Half) -> Result<&[u8], &Refused> {
        match half {
            Half::Computer => self.computer.as_deref(),
            Half::User => self.user.as_deref(),
        }
    }

    /// The folder as the resultant set takes it.
    #[must_use]
    pub fn folder(&self, limits: &registry_pol::Limits) -> Folder {
        let why =
            |octets: &Result<_, Refused>| octets.as_ref().err().map(ToString::to_string).unwrap_or_default();
        let whys = [why(&self.gpt_ini), why(&self.computer), why(&self.user)];
        let folder = Folder::read(
            self.gpt_ini.as_deref().map_err(|_| whys[0].as_str()),
            self.computer.as_deref().map_err(|_| whys[1].as_str()),
            self.user.as_deref().map_err(|_| whys[2].as_str()),
            limits,
        );
        Folder { others: self.others.as_slice().into(), ..folder }
    }
}

/// Where a GPO's folder lies below a SYSVOL or a copy of it, the likeliest first: `{domain}\Policies\{GUID}`, as
/// in the share itself; the same below `sysvol`; `Policies\{GUID}`; `{GUID}`. Made of the GPO's name, never of what it says of
/// itself. `None` where its name has no GUID or no domain.
#[must_use]
pub fn places(gpo: &Gpo) -> Option<[Vec<String>; 4]> {
    let (id, domain) = (gpo.id?.to_string(), domain(&gpo.dn)?);
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    Some([
        names(&[&domain, "Policies", &id]),
        names(&["sysvol", &domain, "Policies", &id]),
        names(&["Policies", &id]),
        names(&[&id]),
    ])
}

/// `CN=x,DC=example,DC=test` as `example.test`; `None` where that is no name of a folder.
#[must_use]
pub fn domain(dn: &Dn) -> Option<String> {
    let mut at = dn.domain();
    let mut labels = Vec::new();
    while let Some(here) = at {
        labels.push(here.name());
        at = here.parent();
    }
    let name = labels.join(".");
    let is_host = |label: &String| {
        !label.is_empty() && label.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_'))
    };
    if !labels.is_empty() && labels.iter().all(is_host) { Some(name) } else { None }
}

/// The entry of a name without case: the one that is spelled so, else the only one that could be meant.
///
/// # Errors
/// There are several.
pub fn named<'e>(entries: &'e [Entry], name: &str) -> Result<Option<&'e Entry>, Refused> {
    if let Some(entry) = entries.iter().find(|entry| entry.name == name) {
        return Ok(Some(entry));
    }
    let mut found = entries.iter().filter(|entry| entry.name.eq_ignore_ascii_case(name));
    match (found.next(), found.next()) {
        (_, Some(_)) => Err(Refused::Ambiguous(name.to_owned())),
        (found, None) => Ok(found),
    }
}

/// One pass through a folder.
struct Walk<'w> {
    tree: &'w dyn Tree,
    limits: &'w Limits,
    entries: usize,
}

impl Walk<'_> {
    /// What lies in a folder, judged by name, in the order of names.
    fn list(&mut self, at: &[&str]) -> Result<Vec<Entry>, Refused> {
        if at.len() > self.limits.depth {
            return Err(Refused::TooDeep(at.join("\\")));
        }
        let too_many = Refused::TooMany(self.limits.entries);
        let left = self.limits.entries.checked_sub(self.entries).ok_or(too_many.clone())?;
        let mut entries = self.tree.entries(at, left).map_err(|why| Refused::Unreadable(shown(at), why))?;
        self.entries += entries.len();
        if entries.len() > left {
            return Err(too_many);
        }
        if let Some(entry) = entries.iter().find(|entry| !is_name(&entry.name)) {
            return Err(Refused::Name(entry.name.clone()));
        }
        entries.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(entries)
    }

    /// Below a half's folder; gives its Registry.pol.
    fn half(
        &mut self,
        half: Half,
        folder: &str,
        others: &mut Vec<Other>,
    ) -> Result<Result<Vec<u8>, Refused>, Refused> {
        let at = [folder];
        let entries = self.list(&at)?;
        let read = match named(&entries, REGISTRY_POL) {
            Ok(None) => Err(Refused::Missing(half.registry_pol())),
            Ok(Some(_)) => self.file(&at, &entries, REGISTRY_POL, self.limits.registry_pol.file_octets),
            Err(refused) => Err(refused),
        };
        let beside: Vec<Entry> =
            entries.into_iter().filter(|entry| !entry.name.eq_ignore_ascii_case(REGISTRY_POL)).collect();
        self.beside(half, &at, &beside, others)?;
        Ok(read)
    }

    fn beside(
        &mut self,
        half: Half,
        at: &[&str],
        entries: &[Entry],
        others: &mut Vec<Other>,
    ) -> Result<(), Refused> {
        for entry in entries {
            let path = [at, &[entry.name.as_str()]].concat();
            match entry.kind {
                Kind::Other => return Err(Refused::NotPlain(path.join("\\"))),
                Kind::Folder => {
                    let below = self.list(&path)?;
                    self.beside(half, &path, &below, others)?;
                }
                Kind::File => {
                    let below_half = path[1..].join("\\");
                    let read = || self.tree.octets(&path, self.limits.other).unwrap_or_default();
                    others.extend(Other::of(half, &below_half, &read));
                }
            }
        }
        Ok(())
    }

    /// One of the files that were listed.
    fn file(&self, at: &[&str], entries: &[Entry], name: &str, most: usize) -> Result<Vec<u8>, Refused> {
        let path = [at, &[name]].concat().join("\\");
        let entry = named(entries, name)?.ok_or_else(|| Refused::Missing(path.clone()))?;
        if entry.kind != Kind::File {
            return Err(Refused::NotPlain(path));
        }
        let own = [at, &[entry.name.as_str()]].concat();
        let octets = self.tree.octets(&own, most).map_err(|why| Refused::Unreadable(path.clone(), why))?;
        if octets.len() > most { Err(Refused::TooLarge(path, most)) } else { Ok(octets) }
    }
}

fn shown(at: &[&str]) -> String {
    if at.is_empty() { "the folder".to_owned() } else { at.join("\\") }
}

/// Whether a name can be an entry's own, and leads nowhere.
fn is_name(name: &str) -> bool {
    !matches!(name, "" | "." | "..")
        && name.len() <= 255
        && !name.chars().any(|c| c.is_control() || matches!(c, '/' | '\\' | ':'))
}

#[cfg(test)]
mod tests;
