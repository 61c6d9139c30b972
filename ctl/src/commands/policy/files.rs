//! Documents in files and folders.

use std::path::{Path, PathBuf};

use postern_api::policy::{MAX_FILES, PolicyFile};
use postern_engine::policy::documents::{Limits, expect, node, read};

use crate::{failure::Failure, files};

/// Folders in folders, at most.
const DEPTH: usize = 16;

/// The files that hold documents, each read once here, so that what cannot be is told with its line before anything is
/// asked of the server.
pub(crate) fn gather(paths: &[PathBuf]) -> Result<Vec<PolicyFile>, Failure> {
    let mut all = Vec::new();
    for path in paths {
        if path.is_dir() {
            folder(path, 0, &mut all)?;
        } else {
            all.push(path.clone());
        }
    }
    let limits = Limits::default();
    let mut read_files: Vec<PolicyFile> = Vec::new();
    for path in &all {
        let name = path.display().to_string();
        let octets = files::octets_up_to(path, limits.octets as u64)?;
        let refused = |error: node::Error| Failure::invalid("invalid-policy", format!("{name}: {error}"));
        // A folder may hold policy tests beside the documents.
        let nodes = node::read(&octets, &limits).map_err(refused)?;
        if !nodes.is_empty() && nodes.iter().all(|node| read::form(node) == Some(expect::FORM)) {
            continue;
        }
        read::documents(&octets, &limits).map_err(refused)?;
        let text = String::from_utf8(octets);
        let text = text.map_err(|_| Failure::invalid("invalid-policy", format!("{name} is not UTF-8")))?;
        read_files.push(PolicyFile { name, text });
        if read_files.len() > MAX_FILES {
            return Err(Failure::invalid("too-large", format!("there are more than {MAX_FILES} files")));
        }
    }
    if read_files.is_empty() {
        return Err(Failure::invalid("file", "there is no policy document"));
    }
    Ok(read_files)
}

/// The YAML and JSON files of a folder and those in it, in order of name. What is hidden, and links, are passed over.
fn folder(path: &Path, depth: usize, all: &mut Vec<PathBuf>) -> Result<(), Failure> {
    if depth > DEPTH {
        return Err(Failure::invalid("file", format!("{}: folders lie too deep", path.display())));
    }
    let listed = std::fs::read_dir(path).map_err(|error| Failure::file(path, &error))?;
    let mut entries = Vec::new();
    for entry in listed {
        let entry = entry.map_err(|error| Failure::file(path, &error))?;
        entries.push((entry.path(), entry.file_type().map_err(|error| Failure::file(path, &error))?));
    }
    entries.sort_by(|one, other| one.0.cmp(&other.0));
    for (path, kind) in entries {
        let hidden = path.file_name().and_then(|name| name.to_str()).is_none_or(|name| name.starts_with('.'));
        let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        if hidden {
            continue;
        }
        if kind.is_dir() {
            folder(&path, depth + 1, all)?;
        } else if kind.is_file() && ["yaml", "yml", "json"].contains(&extension) {
            all.push(path);
        }
        if all.len() > MAX_FILES {
            return Err(Failure::invalid("too-large", format!("there are more than {MAX_FILES} files")));
        }
    }
    Ok(())
}
