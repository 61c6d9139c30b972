//! Files of a state folder: read and written with errors that name the file, secrets for their owner only.

use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

/// A file could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("{path} cannot be {act}: {source}", path = path.display())]
pub struct FileError {
    /// The file.
    pub path: PathBuf,
    /// `read`, `written` …
    pub act: &'static str,
    /// Why.
    pub source: io::Error,
}

impl FileError {
    fn of(path: &Path, act: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self { path: path.to_owned(), act, source }
    }
}

/// Reads a text file.
///
/// # Errors
/// [`FileError`].
pub fn read(path: &Path) -> Result<String, FileError> {
    fs::read_to_string(path).map_err(FileError::of(path, "read"))
}

/// Makes a folder, and those above it, for its owner only.
///
/// # Errors
/// [`FileError`].
pub fn make_folder(path: &Path) -> Result<(), FileError> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(FileError::of(path, "made"))
}

/// Writes a new file that only its owner may read. An existing one is never overwritten.
///
/// # Errors
/// [`FileError`].
pub fn write_secret(path: &Path, text: &str) -> Result<(), FileError> {
    write_new(path, text, 0o600)
}

/// Writes a new file that anyone may read. An existing one is never overwritten.
///
/// # Errors
/// [`FileError`].
pub fn write_public(path: &Path, text: &str) -> Result<(), FileError> {
    write_new(path, text, 0o644)
}

/// Replaces a file that anyone may read; after a crash it is the old one or the new one, whole.
///
/// # Errors
/// [`FileError`].
pub fn replace_public(path: &Path, text: &str) -> Result<(), FileError> {
    replace(path, text, 0o644)
}

/// Replaces a file that only its owner may read; after a crash it is the old one or the new one, whole.
///
/// # Errors
/// [`FileError`].
pub fn replace_secret(path: &Path, text: &str) -> Result<(), FileError> {
    replace(path, text, 0o600)
}

fn replace(path: &Path, text: &str, mode: u32) -> Result<(), FileError> {
    let beside = path.with_extension("new");
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(FileError::of(&beside, "removed")(error));
        }
        _ => {}
    }
    write_new(&beside, text, mode)?;
    fs::rename(&beside, path).map_err(FileError::of(path, "replaced"))
}

fn write_new(path: &Path, text: &str, mode: u32) -> Result<(), FileError> {
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .map_err(FileError::of(path, "made"))?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(FileError::of(path, "written"))
}
