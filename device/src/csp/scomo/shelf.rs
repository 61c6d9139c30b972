//! The folder of the software: what was fetched, what is installed, what is active.
//!
//! Promise: every change is one rename, durable before it is told; a step that was cut off is done again and ends the same. A package
//! lies in `delivered/NAME`, a component in `components/NAME/DIGEST`, and `active/NAME` is a link to it: what the host
//! uses is there whole or not at all, also while it is exchanged for another version.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use super::{
    archive::{self, ArchiveError},
    machine::Outcome,
};

/// The folder.
#[derive(Clone, Debug)]
pub(super) struct Shelf {
    folder: PathBuf,
}

const TAR: &[&str] = &["application/x-tar", "application/tar"];

impl Shelf {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Where a download is written before it counts.
    pub(super) fn part(&self, name: &str) -> io::Result<PathBuf> {
        let folder = self.folder.join("downloads");
        fs::create_dir_all(&folder)?;
        Ok(folder.join(name))
    }

    fn package(&self, name: &str) -> PathBuf {
        self.folder.join("delivered").join(name)
    }

    pub(super) fn has_package(&self, name: &str) -> bool {
        self.package(name).is_file()
    }

    /// The download counts from now on.
    pub(super) fn deliver(&self, name: &str) -> io::Result<()> {
        fs::create_dir_all(self.folder.join("delivered"))?;
        fs::rename(self.part(name)?, self.package(name))?;
        sync(&self.folder.join("delivered"))
    }

    /// Puts the package into a component of the same name. `digest` names its version's folder.
    pub(super) fn install(
        &self,
        name: &str,
        pkg_type: &str,
        active: bool,
        limit: u64,
    ) -> Result<(), Outcome> {
        let of = |error: io::Error| match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Outcome::NoRoomForInstall,
            _ => Outcome::InstallFailed,
        };
        let package = self.package(name);
        let digest = digest_of(&package).map_err(of)?;
        let component = self.folder.join("components").join(name);
        let (version, new) = (component.join(&digest), component.join("new"));
        if !version.is_dir() {
            let _left_by_an_attempt = fs::remove_dir_all(&new);
            fs::create_dir_all(&new).map_err(of)?;
            let unpacked = if TAR.contains(&pkg_type) {
                let mut file = File::open(&package).map_err(of)?;
                archive::unpack(&mut file, &new, limit).map_err(|error| match error {
                    ArchiveError::Io(error) => of(error),
                    ArchiveError::TooLarge(_) => Outcome::NoRoomForInstall,
                    error => {
                        tracing::warn!(name, %error, "a package was not unpacked");
                        Outcome::InstallFailed
                    }
                })
            } else {
                copy(&package, &new.join(name)).map_err(of)
            };
            if let Err(outcome) = unpacked {
                let _half = fs::remove_dir_all(&new);
                return Err(outcome);
            }
            fs::rename(&new, &version).and_then(|()| sync(&component)).map_err(of)?;
        }
        if active {
            self.link(name, &digest).map_err(of)?;
        } else {
            self.deactivate(name).map_err(of)?;
        }
        self.clear_others(&component, &digest);
        Ok(())
    }

    /// Makes the installed version the active one.
    pub(super) fn activate(&self, name: &str) -> io::Result<()> {
        let component = self.folder.join("components").join(name);
        let versions = fs::read_dir(component)?.collect::<Result<Vec<_>, _>>()?;
        let digest = versions.iter().map(fs::DirEntry::file_name).find(|name| name != "new");
        let digest = digest.ok_or(io::ErrorKind::NotFound)?;
        self.link(name, &digest.to_string_lossy())
    }

    /// Takes the link away; none is no error.
    pub(super) fn deactivate(&self, name: &str) -> io::Result<()> {
        match fs::remove_file(self.folder.join("active").join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Err(_) => Ok(()),
            Ok(()) => sync(&self.folder.join("active")),
        }
    }

    pub(super) fn remove_component(&self, name: &str) -> io::Result<()> {
        self.deactivate(name)?;
        gone(fs::remove_dir_all(self.folder.join("components").join(name)))
    }

    pub(super) fn remove_package(&self, name: &str) -> io::Result<()> {
        gone(fs::remove_file(self.package(name)))
    }

    fn link(&self, name: &str, digest: &str) -> io::Result<()> {
        let active = self.folder.join("active");
        fs::create_dir_all(&active)?;
        let new = active.join(format!(".{name}.new"));
        let _left_by_an_attempt = fs::remove_file(&new);
        #[cfg(unix)]
        std::os::unix::fs::symlink(Path::new("../components").join(name).join(digest), &new)?;
        #[cfg(not(unix))]
        return Err(io::ErrorKind::Unsupported.into());
        fs::rename(&new, active.join(name))?;
        sync(&active)
    }

    /// Versions that nothing points to any more.
    fn clear_others(&self, component: &Path, digest: &str) {
        for entry in fs::read_dir(component).into_iter().flatten().flatten() {
            if entry.file_name() != digest {
                let _tried_again_with_the_next = fs::remove_dir_all(entry.path());
            }
        }
    }
}

fn gone(outcome: io::Result<()>) -> io::Result<()> {
    match outcome {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        outcome => outcome,
    }
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::copy(from, to)?;
    File::open(to)?.sync_all()
}

fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// The first 16 hexadecimal digits of a file's SHA-256.
fn digest_of(file: &Path) -> io::Result<String> {
    let mut context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    let mut file = File::open(file)?;
    let mut buffer = vec![0; 1 << 16];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        context.update(&buffer[..read]);
    }
    Ok(super::hex(&context.finish().as_ref()[..8]))
}
