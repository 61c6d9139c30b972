//! The two files: `recovery.json` with the recovery password's verifier and sealed text, `password.json` with the device's
//! password's verifier. Only the owner reads them; each is replaced in one step, under a lock that `run` and `password` share.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use postern_wire::{recovery::EscrowKey, terms::EnrolmentId};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{Of, verifier::Verifier};
use crate::state::private_file;

const RECOVERY: &str = "recovery.json";
const PASSWORD: &str = "password.json";
const LOCK: &str = "recovery.lock";
/// What goes with the enrolment; the device's own password stays its owner's.
pub const FILES: [&str; 3] = [RECOVERY, "recovery.json.new", LOCK];
const VERSION: u32 = 1;

/// What rests in `recovery.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Kept {
    pub(super) version: u32,
    pub(super) enrolment: EnrolmentId,
    pub(super) generation: u32,
    /// The pinned escrow key.
    pub(super) key: Option<EscrowKey>,
    pub(super) current: Option<Current>,
    /// The one before, which the server still has.
    pub(super) spare: Option<Spare>,
    /// The highest number that was made.
    pub(super) last: u64,
    /// The highest number that the server has acknowledged.
    pub(super) delivered: u64,
    pub(super) wrong: u64,
}

/// The recovery password.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Current {
    pub(super) number: u64,
    pub(super) sealed: String,
    pub(super) verifier: Verifier,
}

/// One that works until the server has the current one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Spare {
    pub(super) number: u64,
    pub(super) verifier: Verifier,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Password {
    version: u32,
    verifier: Verifier,
}

/// Why a device's passwords cannot be read, kept or made.
#[derive(Debug, thiserror::Error)]
pub enum RecoveryError {
    /// The file system said no.
    #[error("{file} cannot be read or written")]
    Io {
        /// Which file.
        file: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The file is not one of a known version.
    #[error("{0} is damaged; move it away to start anew")]
    Damaged(String),
    /// No escrow key was pinned.
    #[error("this device has no escrow key that a recovery password could be sealed to")]
    NoKey,
    /// It could not be sealed.
    #[error("a recovery password cannot be sealed: {0}")]
    Sealing(&'static str),
    /// The machine did not take the new password; nothing was changed.
    #[error("the machine did not take the new password: {0}")]
    Applying(String),
}

impl Kept {
    pub(super) fn new(of: Of, key: Option<EscrowKey>) -> Self {
        Self {
            version: VERSION,
            enrolment: of.enrolment,
            generation: of.generation,
            key,
            current: None,
            spare: None,
            last: 0,
            delivered: 0,
            wrong: 0,
        }
    }

    pub(super) fn is_of(&self, of: Of) -> bool {
        (self.enrolment, self.generation) == (of.enrolment, of.generation)
    }

    /// The number of the recovery password that these digits are.
    pub(super) fn opened_by(&self, digits: &str) -> Option<u64> {
        let current = self.current.iter().map(|current| (current.number, &current.verifier));
        let spare = self.spare.iter().map(|spare| (spare.number, &spare.verifier));
        current.chain(spare).find(|(_, verifier)| verifier.verifies(digits)).map(|(number, _)| number)
    }
}

/// The folder, while this process alone works on it.
pub(super) struct Locked {
    folder: PathBuf,
    _lock: File,
}

impl Locked {
    pub(super) fn open(folder: &Path) -> Result<Self, RecoveryError> {
        let path = folder.join(LOCK);
        let open = || -> io::Result<File> {
            fs::create_dir_all(folder)?;
            let lock = private_file(&path)?;
            lock.lock()?;
            Ok(lock)
        };
        let lock = open().map_err(|source| failed(&path, source))?;
        Ok(Self { folder: folder.to_owned(), _lock: lock })
    }

    pub(super) fn read(&self) -> Result<Option<Kept>, RecoveryError> {
        let kept: Option<Kept> = self.parse(RECOVERY)?;
        match kept {
            Some(kept) if kept.version != VERSION => Err(self.damaged(RECOVERY)),
            kept => Ok(kept),
        }
    }

    pub(super) fn write(&self, kept: &Kept) -> Result<(), RecoveryError> {
        self.replace(RECOVERY, &serde_json::to_vec(kept).expect("it holds only text and numbers"))
    }

    pub(super) fn password(&self) -> Result<Option<Verifier>, RecoveryError> {
        let password: Option<Password> = self.parse(PASSWORD)?;
        match password {
            Some(password) if password.version != VERSION => Err(self.damaged(PASSWORD)),
            password => Ok(password.map(|password| password.verifier)),
        }
    }

    pub(super) fn set_password(&self, verifier: &Verifier) -> Result<(), RecoveryError> {
        let password = Password { version: VERSION, verifier: verifier.clone() };
        self.replace(PASSWORD, &serde_json::to_vec(&password).expect("it holds only text and numbers"))
    }

    fn parse<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, RecoveryError> {
        let file = self.folder.join(name);
        match fs::read(&file) {
            Ok(text) => serde_json::from_slice(&text).map(Some).map_err(|_| self.damaged(name)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed(&file, error)),
        }
    }

    /// On return it will be found again after a crash.
    fn replace(&self, name: &str, octets: &[u8]) -> Result<(), RecoveryError> {
        let (file, temporary) = (self.folder.join(name), self.folder.join(format!("{name}.new")));
        let write = || -> io::Result<()> {
            let mut open = private_file(&temporary)?;
            open.write_all(octets)?;
            open.sync_all()?;
            fs::rename(&temporary, &file)?;
            File::open(&self.folder)?.sync_all()
        };
        write().map_err(|source| failed(&file, source))
    }

    fn damaged(&self, name: &str) -> RecoveryError {
        RecoveryError::Damaged(self.folder.join(name).display().to_string())
    }
}

fn failed(file: &Path, source: io::Error) -> RecoveryError {
    RecoveryError::Io { file: file.display().to_string(), source }
}
