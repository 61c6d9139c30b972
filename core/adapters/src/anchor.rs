//! Where signed heads of the audit log go: out of reach of who can write the database.
//!
//! Promise: a head that was taken is on disk; lines are only ever added.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

/// Takes signed heads, one JSON object each.
pub trait AnchorSink: Send {
    /// Keeps one line, which has no line end of its own. When this returns, it is kept.
    ///
    /// # Errors
    /// What the sink says; the line comes again.
    fn keep(&mut self, line: &str) -> io::Result<()>;
}

/// A file that lines are added to. Opened for each line, so that it may be rotated away at any time.
#[derive(Debug)]
pub struct FileAnchor {
    path: PathBuf,
}

impl FileAnchor {
    /// The sink that writes to `path`.
    #[must_use]
    pub fn at(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    fn open(&self) -> io::Result<File> {
        OpenOptions::new().append(true).create(true).mode(0o644).open(&self.path)
    }
}

impl AnchorSink for FileAnchor {
    fn keep(&mut self, line: &str) -> io::Result<()> {
        let mut file = self.open()?;
        // One write: a crash leaves a whole line, or a torn last one that its reader names.
        file.write_all(format!("{line}\n").as_bytes())?;
        file.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_added_and_nothing_is_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("heads.jsonl");
        FileAnchor::at(&path).keep("{\"seq\":1}").unwrap();
        FileAnchor::at(&path).keep("{\"seq\":2}").unwrap();
        assert_eq!(std::fs::read_to_string(path).unwrap(), "{\"seq\":1}\n{\"seq\":2}\n");
    }
}
