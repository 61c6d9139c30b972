//! A reserve on the disk of a SQLite database: a file that takes up room, to be removed when the disk is full and a
//! wipe has to be written (docs/ARCHITECTURE.md, "The writer"). A PostgreSQL server's disk is its own administrator's.

use std::{fs, io::Write, path::PathBuf};

/// The reserve of one database.
pub(crate) struct Reserve {
    path: PathBuf,
    octets: u64,
}

impl Reserve {
    pub(crate) const fn new(path: PathBuf, octets: u64) -> Self {
        Self { path, octets }
    }

    /// Puts the reserve down unless it lies there. Without room for it there is none; the next time may do better.
    pub(crate) fn lay_down(&self) {
        if fs::metadata(&self.path).is_ok_and(|meta| meta.len() >= self.octets) {
            return;
        }
        if let Err(error) = self.write() {
            tracing::warn!(%error, path = %self.path.display(), "no room for the disk reserve");
            // What was written of it is given back; a reserve that cannot be removed is no worse than none.
            let _ = fs::remove_file(&self.path);
        }
    }

    /// Gives the room back to the disk. False when there was none to give.
    pub(crate) fn spend(&self) -> bool {
        fs::remove_file(&self.path).is_ok()
    }

    fn write(&self) -> std::io::Result<()> {
        static PIECE: [u8; 65536] = [0x55; 65536];
        let mut file = fs::File::create(&self.path)?;
        let mut left = self.octets;
        while left > 0 {
            let piece = usize::try_from(left).unwrap_or(PIECE.len()).min(PIECE.len());
            file.write_all(&PIECE[..piece])?;
            left -= piece as u64;
        }
        file.sync_all()
    }
}
