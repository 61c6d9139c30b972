//! The state folder of an enrolled device: where its account and identity rest.
//!
//! | file | what |
//! |-|-|
//! | `enrolling.key` | the key of an enrolment that is not finished: a repetition uses it again |
//! | `enrolment.next.json` | an enrolment that is finished and not yet in place |
//! | `enrolment.json` | the enrolment, with its key |
//! | `identity.json` | what was renewed since |
//!
//! Promise: an enrolment takes its place in one step (a rename), with what belonged to the one before gone first; whatever is
//! interrupted is carried on at the next start. Each file is its owner's alone.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use postern_wire::terms::EnrolmentId;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{Enrolment, EnrolmentError, NextIdentity};
use crate::{
    keys::{KeyError, NewRequest},
    recovery,
    state::{self, private_file},
};

const KEY: &str = "enrolling.key";
const NEXT: &str = "enrolment.next.json";
const ENROLMENT: &str = "enrolment.json";
const IDENTITY: &str = "identity.json";
/// What `new-csr` makes.
const BY_HAND: [&str; 2] = ["device.key", "device.csr"];

/// A state folder.
#[derive(Clone, Debug)]
pub struct EnrolmentFolder(PathBuf);

/// Why a state folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// The file system said no.
    #[error("{file} cannot be read or written")]
    Io {
        /// Which file.
        file: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The enrolment in it cannot be used.
    #[error(transparent)]
    Enrolment(#[from] EnrolmentError),
    /// `identity.json` is not what was written there.
    #[error("{0} is damaged")]
    Identity(String),
    /// The key in it cannot be used, or none could be made.
    #[error(transparent)]
    Key(#[from] KeyError),
}

#[derive(Serialize, Deserialize)]
struct Renewed {
    enrolment: EnrolmentId,
    generation: u32,
    #[serde(flatten)]
    identity: NextIdentity,
}

impl EnrolmentFolder {
    /// Opens a folder, makes it if it is not there, and carries on what was interrupted.
    ///
    /// # Errors
    /// [`FolderError::Io`].
    pub fn open(folder: &Path) -> Result<Self, FolderError> {
        fs::create_dir_all(folder).map_err(|source| failed(folder, source))?;
        let own = Self(folder.to_owned());
        own.carry_on()?;
        Ok(own)
    }

    /// The enrolment that rests here, as it was renewed since.
    ///
    /// # Errors
    /// [`FolderError`].
    pub fn enrolment(&self) -> Result<Option<Enrolment>, FolderError> {
        let Some(json) = self.read(ENROLMENT)? else { return Ok(None) };
        Ok(Some(self.renewed(Enrolment::from_json(&json)?)?))
    }

    /// An enrolment as it was renewed since; also one that rests elsewhere.
    ///
    /// # Errors
    /// [`FolderError`].
    pub fn renewed(&self, enrolment: Enrolment) -> Result<Enrolment, FolderError> {
        let Some(json) = self.read(IDENTITY)? else { return Ok(enrolment) };
        let damaged = |_| FolderError::Identity(self.0.join(IDENTITY).display().to_string());
        let renewed: Renewed = serde_json::from_str(&json).map_err(damaged)?;
        if (renewed.enrolment, renewed.generation) == (enrolment.enrolment, enrolment.generation) {
            Ok(enrolment.with(&renewed.identity))
        } else {
            Ok(enrolment)
        }
    }

    /// The key and request of an enrolment under way: those of an earlier try, or new ones.
    ///
    /// # Errors
    /// [`FolderError`].
    pub fn request(&self, device_id: &str) -> Result<NewRequest, FolderError> {
        if let Some(pem) = self.read(KEY)?
            && let Ok(request) = NewRequest::of_key(&pem, device_id)
        {
            return Ok(request);
        }
        let request = NewRequest::make(device_id)?;
        self.write(KEY, request.key_pem.as_bytes())?;
        Ok(request)
    }

    /// Puts an enrolment in the place of any before it. On return it will be found again after a crash.
    ///
    /// # Errors
    /// [`FolderError::Io`].
    pub fn keep(&self, enrolment: &Enrolment) -> Result<(), FolderError> {
        self.write(NEXT, enrolment.to_json().as_bytes())?;
        self.carry_on()
    }

    /// Keeps what was renewed.
    ///
    /// # Errors
    /// [`FolderError`].
    pub fn keep_renewed(&self, of: &Enrolment, identity: &NextIdentity) -> Result<(), FolderError> {
        let before = match self.read(IDENTITY)? {
            Some(json) => serde_json::from_str::<Renewed>(&json).ok(),
            None => None,
        };
        let same = before.filter(|b| (b.enrolment, b.generation) == (of.enrolment, of.generation));
        let identity = same.map(|b| b.identity).unwrap_or_default().and(identity.clone());
        let renewed = Renewed { enrolment: of.enrolment, generation: of.generation, identity };
        let json = serde_json::to_vec(&renewed).expect("an identity holds only text and numbers");
        self.write(IDENTITY, &Zeroizing::new(json))
    }

    /// Lets go of everything: account, keys and what the device remembers.
    ///
    /// # Errors
    /// [`FolderError::Io`].
    pub fn erase(&self) -> Result<(), FolderError> {
        let all = [NEXT, ENROLMENT, IDENTITY, KEY];
        for name in all.into_iter().chain(BY_HAND).chain(state::FILES).chain(recovery::FILES) {
            self.remove(name)?;
        }
        self.sync()
    }

    /// The second half of [`Self::keep`]: may be done again and again.
    fn carry_on(&self) -> Result<(), FolderError> {
        let next = self.0.join(NEXT);
        if !next.exists() {
            return Ok(());
        }
        for name in state::FILES.into_iter().chain([IDENTITY]) {
            self.remove(name)?;
        }
        self.sync()?;
        let place = self.0.join(ENROLMENT);
        fs::rename(&next, &place).map_err(|source| failed(&place, source))?;
        self.sync()?;
        self.remove(KEY)
    }

    fn read(&self, name: &str) -> Result<Option<Zeroizing<String>>, FolderError> {
        let file = self.0.join(name);
        match fs::read_to_string(&file) {
            Ok(text) => Ok(Some(Zeroizing::new(text))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed(&file, error)),
        }
    }

    /// Writes a file whole or not at all.
    fn write(&self, name: &str, octets: &[u8]) -> Result<(), FolderError> {
        let (file, temporary) = (self.0.join(name), self.0.join(format!("{name}.new")));
        let write = || {
            let mut open = private_file(&temporary)?;
            open.write_all(octets)?;
            open.sync_all()?;
            fs::rename(&temporary, &file)
        };
        write().map_err(|source| failed(&file, source))?;
        self.sync()
    }

    fn remove(&self, name: &str) -> Result<(), FolderError> {
        let file = self.0.join(name);
        match fs::remove_file(&file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(&file, error)),
            _ => Ok(()),
        }
    }

    fn sync(&self) -> Result<(), FolderError> {
        File::open(&self.0).and_then(|folder| folder.sync_all()).map_err(|source| failed(&self.0, source))
    }
}

fn failed(file: &Path, source: io::Error) -> FolderError {
    FolderError::Io { file: file.display().to_string(), source }
}

/// The private key that `new-csr` left in a state folder.
#[must_use]
pub fn key_made_by_hand(folder: &Path) -> Option<SecretString> {
    fs::read_to_string(folder.join(BY_HAND[0])).ok().map(SecretString::from)
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    fn enrolment(generation: u32) -> Enrolment {
        let json = serde_json::json!({
            "server_uri": "https://dm.test/dm/1/abc", "enrolment": uuid::Uuid::from_u128(5),
            "generation": generation, "device_id": "d", "server_id": "s", "auth": "basic",
            "password": "pw", "key_pem": "old key", "ca_pem": "old ca",
        });
        Enrolment::from_json(&json.to_string()).unwrap()
    }

    fn next() -> NextIdentity {
        NextIdentity {
            key_pem: Some("new key".into()),
            certificate_pem: Some("new chain".into()),
            ..NextIdentity::default()
        }
    }

    #[test]
    fn the_key_of_an_enrolment_under_way_is_the_same_until_it_is_finished() {
        let folder = tempfile::tempdir().unwrap();
        let open = || EnrolmentFolder::open(folder.path()).unwrap();
        let first = open().request("d").unwrap();
        assert_eq!(open().request("d").unwrap().key_pem, first.key_pem);
        open().keep(&enrolment(1)).unwrap();
        assert_ne!(open().request("d").unwrap().key_pem, first.key_pem);
    }

    #[test]
    fn an_enrolment_takes_the_place_of_another_with_all_that_belonged_to_it() {
        let folder = tempfile::tempdir().unwrap();
        let open = || EnrolmentFolder::open(folder.path()).unwrap();
        open().keep(&enrolment(1)).unwrap();
        open().keep_renewed(&enrolment(1), &next()).unwrap();
        fs::write(folder.path().join("state.json"), "old").unwrap();
        // killed between the two halves: the first one decides
        fs::write(folder.path().join(NEXT), enrolment(2).to_json().as_bytes()).unwrap();
        assert_eq!(open().enrolment().unwrap().unwrap().generation, 2);
        assert!(!folder.path().join("state.json").exists() && !folder.path().join(IDENTITY).exists());
        assert!(!folder.path().join(NEXT).exists());
    }

    #[test]
    fn what_was_renewed_holds_for_its_enrolment_and_generation_only() {
        let folder = tempfile::tempdir().unwrap();
        let open = EnrolmentFolder::open(folder.path()).unwrap();
        open.keep(&enrolment(1)).unwrap();
        open.keep_renewed(&enrolment(1), &next()).unwrap();
        let anchors = NextIdentity { ca_pem: Some("new ca".into()), ..NextIdentity::default() };
        open.keep_renewed(&enrolment(1), &anchors).unwrap();
        let found = open.enrolment().unwrap().unwrap();
        assert_eq!(found.key_pem.unwrap().expose_secret(), "new key");
        assert_eq!((found.certificate_pem.as_deref(), found.ca_pem.as_str()), (Some("new chain"), "new ca"));
        assert_eq!(open.renewed(enrolment(2)).unwrap().ca_pem, "old ca");
    }

    #[test]
    fn after_leaving_nothing_is_left_and_it_may_be_done_again() {
        let folder = tempfile::tempdir().unwrap();
        let open = EnrolmentFolder::open(folder.path()).unwrap();
        open.request("d").unwrap();
        open.keep(&enrolment(1)).unwrap();
        open.keep_renewed(&enrolment(1), &next()).unwrap();
        for name in ["device.key", "device.csr", "state.json"] {
            fs::write(folder.path().join(name), "x").unwrap();
        }
        open.erase().unwrap();
        open.erase().unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        assert!(open.enrolment().unwrap().is_none());
    }

    #[cfg(unix)]
    #[test]
    fn what_holds_a_key_is_its_owners_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let open = EnrolmentFolder::open(folder.path()).unwrap();
        open.request("d").unwrap();
        let mode = |name| fs::metadata(folder.path().join(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(KEY), 0o600);
        open.keep(&enrolment(1)).unwrap();
        open.keep_renewed(&enrolment(1), &next()).unwrap();
        assert_eq!((mode(ENROLMENT), mode(IDENTITY)), (0o600, 0o600));
    }
}
