//! The GPOs below a folder: each half's Registry.pol, and what stands beside it.
//!
//! A folder with `Machine` or `User` in it is a GPO: in SYSVOL under its GUID, in a backup under
//! `{backup}/DomainSysvol/GPO`. Links are not followed; what is too deep or too much is refused.

use std::{
    fs,
    io::Read as _,
    path::{Path, PathBuf},
};

use postern_engine::policy::{
    gpo::Half,
    registry_pol::{File, Limits},
};

use crate::failure::Failure;

/// Folders within each other at most, and files in all.
const DEPTH: usize = 16;
const FILES: usize = 200_000;
/// Octets that are looked at of a file that is no Registry.pol.
const OTHER_OCTETS: u64 = 1 << 20;

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

/// What a GPO holds beside Registry.pol: no device gets it.
#[derive(Debug)]
pub(super) struct Other {
    pub half: Half,
    /// The path below the GPO's folder.
    pub path: String,
    pub reason: &'static str,
    /// What is set in it, as far as that can be told.
    pub items: Vec<String>,
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
        return Ok(vec![Gpo {
            name,
            halves: vec![Found { half, file: registry_pol(path) }],
            others: Vec::new(),
        }]);
    }
    let mut search = Search { root: path, gpos: Vec::new(), files: 0 };
    search.folder(path, 0)?;
    search.gpos.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(search.gpos)
}

struct Search<'p> {
    root: &'p Path,
    gpos: Vec<Gpo>,
    files: usize,
}

impl Search<'_> {
    fn folder(&mut self, at: &Path, depth: usize) -> Result<(), Failure> {
        if depth > DEPTH {
            return Err(Failure::invalid("too-deep", format!("{} is too deep", at.display())));
        }
        let entries = self.entries(at)?;
        let halves: Vec<(Half, &PathBuf)> = [Half::Computer, Half::User]
            .into_iter()
            .filter_map(|half| Some((half, named(&entries, half.folder())?)))
            .collect();
        if halves.is_empty() {
            for folder in entries.iter().filter(|entry| is_folder(entry)) {
                self.folder(folder, depth + 1)?;
            }
            return Ok(());
        }
        let name = at.strip_prefix(self.root).unwrap_or(at).to_string_lossy().into_owned();
        let name = if name.is_empty() { at.to_string_lossy().into_owned() } else { name };
        let mut gpo = Gpo { name, halves: Vec::new(), others: Vec::new() };
        for (half, folder) in halves {
            self.half(half, folder, folder, &mut gpo, depth + 1)?;
        }
        self.gpos.push(gpo);
        Ok(())
    }

    fn half(
        &mut self,
        half: Half,
        root: &Path,
        at: &Path,
        gpo: &mut Gpo,
        depth: usize,
    ) -> Result<(), Failure> {
        if depth > DEPTH {
            return Err(Failure::invalid("too-deep", format!("{} is too deep", at.display())));
        }
        for entry in self.entries(at)? {
            if is_folder(&entry) {
                self.half(half, root, &entry, gpo, depth + 1)?;
                continue;
            }
            let path = entry.strip_prefix(root).unwrap_or(&entry).to_string_lossy().replace('/', "\\");
            if path.eq_ignore_ascii_case("registry.pol") {
                gpo.halves.push(Found { half, file: registry_pol(&entry) });
            } else if let Some((reason, items)) = other(&path, &entry) {
                gpo.others.push(Other { half, path: format!("{}\\{path}", half.folder()), reason, items });
            }
        }
        Ok(())
    }

    /// A folder's entries by name.
    fn entries(&mut self, at: &Path) -> Result<Vec<PathBuf>, Failure> {
        let listed = fs::read_dir(at).map_err(|error| Failure::file(at, &error))?;
        let mut entries = Vec::new();
        for entry in listed {
            self.files += 1;
            if self.files > FILES {
                return Err(Failure::invalid("too-large", format!("more than {FILES} files")));
            }
            entries.push(entry.map_err(|error| Failure::file(at, &error))?.path());
        }
        entries.sort();
        Ok(entries)
    }
}

fn named<'e>(entries: &'e [PathBuf], name: &str) -> Option<&'e PathBuf> {
    let is = |entry: &&PathBuf| entry.file_name().is_some_and(|own| own.eq_ignore_ascii_case(name));
    entries.iter().find(|entry| is(entry) && is_folder(entry))
}

fn is_folder(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir())
}

fn registry_pol(path: &Path) -> Result<File, String> {
    let limits = Limits::default();
    let octets = plain(path, limits.file_octets as u64 + 1)?;
    File::read(&octets, &limits).map_err(|error| error.to_string())
}

fn plain(path: &Path, most: u64) -> Result<Vec<u8>, String> {
    if !fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_file()) {
        return Err("no plain file".to_owned());
    }
    let mut octets = Vec::new();
    let read = fs::File::open(path).and_then(|file| file.take(most).read_to_end(&mut octets));
    read.map(|_| octets).map_err(|error| error.to_string())
}

/// What a file beside Registry.pol is; nothing where it sets nothing.
fn other(path: &str, file: &Path) -> Option<(&'static str, Vec<String>)> {
    let lower = path.to_ascii_lowercase();
    let text = || plain(file, OTHER_OCTETS).map(|octets| text_of(&octets)).unwrap_or_default();
    if lower.ends_with("comment.cmtx") || lower.ends_with("admfiles.ini") {
        return None;
    }
    if lower.ends_with("gpttmpl.inf") {
        return Some(("unsupported: security-template", template_items(&text())));
    }
    if lower.starts_with("preferences\\") {
        return Some(("unsupported: preferences", preference_items(&text())));
    }
    if lower.starts_with("scripts\\") {
        return Some(("unsupported: scripts", Vec::new()));
    }
    if lower.starts_with("applications\\") {
        return Some(("unsupported: software-installation", Vec::new()));
    }
    Some(("unsupported: file", Vec::new()))
}

/// UTF-16 with its mark, else UTF-8.
fn text_of(octets: &[u8]) -> String {
    match octets.strip_prefix(b"\xff\xfe") {
        Some(rest) => {
            let units = rest.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
            char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
        }
        None => String::from_utf8_lossy(octets).into_owned(),
    }
}

/// The settings of a GptTmpl.inf (MS-GPSB): `[Section] Name`.
fn template_items(text: &str) -> Vec<String> {
    let mut section = "";
    let mut items = Vec::new();
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[').and_then(|name| name.strip_suffix(']')) {
            section = name;
        } else if !matches!(section, "Unicode" | "Version" | "") && !line.is_empty() && !line.starts_with(';')
        {
            let name = line.split(['=', ',']).next().unwrap_or_default().trim();
            items.push(format!("[{section}] {name}"));
        }
    }
    items
}

/// The names of the items of a preference file (MS-GPPREF): the `name` attributes.
fn preference_items(text: &str) -> Vec<String> {
    let names = text.split(" name=\"").skip(1).filter_map(|rest| rest.split('"').next());
    names.map(str::to_owned).collect()
}
