//! Sealed values: AES-256-GCM with a fresh nonce for each value, the key's id and the enrolment's id as
//! associated data, the master key in a file outside the database.
//!
//! A sealed value is: version 1 (1 octet) ‖ key id (4) ‖ nonce (12) ‖ ciphertext ‖ tag (16). A value moved to
//! another enrolment does not open.

use std::{
    io::Write,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::Path,
};

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    rand,
};
use postern_wire::terms::EnrolmentId;
use zeroize::{Zeroize, Zeroizing};

use crate::errors::StoreError;

const VERSION: u8 = 1;
const KEY: usize = 32;
const NONCE: usize = 12;
const HEADER: usize = 1 + 4 + NONCE;
const TAG: usize = 16;

/// Which master key sealed a value: the first four octets of the key's SHA-256.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KeyId(pub [u8; 4]);

/// A master key. Its octets are wiped from memory when it goes.
pub struct MasterKey(Zeroizing<[u8; KEY]>);

/// A sealed value as it rests in a column.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed(Vec<u8>);

/// Seals with the newest key, opens with any that it was given.
pub struct Sealer {
    keys: Vec<(KeyId, LessSafeKey)>,
}

// === impl MasterKey ===

impl MasterKey {
    /// Reads a key file: exactly 32 octets, readable by its owner only.
    pub fn load(path: &Path) -> Result<Self, StoreError> {
        let wrong = |why: String| StoreError::Configuration(format!("master key {}: {why}", path.display()));
        let meta = std::fs::metadata(path).map_err(|e| wrong(e.to_string()))?;
        let mode = meta.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(wrong(format!("mode {mode:04o}; others may not reach it, make it 0600")));
        }
        let mut octets = Zeroizing::new(std::fs::read(path).map_err(|e| wrong(e.to_string()))?);
        let found = octets.len();
        let key: [u8; KEY] =
            octets.as_slice().try_into().map_err(|_| wrong(format!("{found} octets; a key has {KEY}")))?;
        octets.zeroize();
        Ok(Self(Zeroizing::new(key)))
    }

    /// Makes a key file with a fresh key; refuses to write over one.
    pub fn create(path: &Path) -> Result<Self, StoreError> {
        let wrong = |why: String| StoreError::Configuration(format!("master key {}: {why}", path.display()));
        let mut key = Zeroizing::new([0; KEY]);
        rand::fill(key.as_mut_slice()).map_err(|_| wrong("no randomness".to_owned()))?;
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .map_err(|e| wrong(e.to_string()))?;
        file.write_all(key.as_slice()).and_then(|()| file.sync_all()).map_err(|e| wrong(e.to_string()))?;
        Ok(Self(key))
    }

    /// A key from its octets, for tests and for keys that are kept elsewhere.
    #[must_use]
    pub fn from_octets(octets: [u8; KEY]) -> Self {
        Self(Zeroizing::new(octets))
    }

    /// The key's id.
    #[must_use]
    pub fn id(&self) -> KeyId {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, self.0.as_slice());
        let mut id = [0; 4];
        id.copy_from_slice(&digest.as_ref()[..4]);
        KeyId(id)
    }
}

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MasterKey({:02x?})", self.id().0)
    }
}

// === impl Sealed ===

impl Sealed {
    /// The octets, for a column.
    #[must_use]
    pub fn into_octets(self) -> Vec<u8> {
        self.0
    }

    /// The octets.
    #[must_use]
    pub fn as_octets(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for Sealed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sealed({} octets)", self.0.len())
    }
}

// === impl Sealer ===

impl Sealer {
    /// A sealer with its newest key first; older keys open what they once sealed, until it is sealed anew
    /// ([`crate::credentials::rotate`]).
    pub fn new(newest: &MasterKey, older: &[MasterKey]) -> Result<Self, StoreError> {
        let mut keys = Vec::with_capacity(older.len() + 1);
        for key in std::iter::once(newest).chain(older) {
            let unbound = UnboundKey::new(&AES_256_GCM, key.0.as_slice())
                .map_err(|_| StoreError::Configuration("a master key of the wrong size".to_owned()))?;
            keys.push((key.id(), LessSafeKey::new(unbound)));
        }
        Ok(Self { keys })
    }

    /// The id of the key that seals.
    #[must_use]
    pub fn newest(&self) -> KeyId {
        self.keys[0].0
    }

    /// The id of the key that sealed a value.
    pub fn key_of(sealed: &[u8]) -> Result<KeyId, StoreError> {
        match sealed {
            [VERSION, a, b, c, d, rest @ ..] if rest.len() >= NONCE + TAG => Ok(KeyId([*a, *b, *c, *d])),
            _ => Err(StoreError::Damaged("not a sealed value".to_owned())),
        }
    }

    /// Seals a value for one enrolment.
    pub fn seal(&self, enrolment: EnrolmentId, plain: &[u8]) -> Result<Sealed, StoreError> {
        let (id, key) = &self.keys[0];
        let mut nonce = [0; NONCE];
        rand::fill(&mut nonce).map_err(|_| StoreError::Configuration("no randomness".to_owned()))?;
        let mut out = Vec::with_capacity(HEADER + plain.len() + TAG);
        out.push(VERSION);
        out.extend_from_slice(&id.0);
        out.extend_from_slice(&nonce);
        out.extend_from_slice(plain);
        let tag = key
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                associated(*id, enrolment),
                &mut out[HEADER..],
            )
            .map_err(|_| StoreError::Configuration("a value is too long to seal".to_owned()))?;
        out.extend_from_slice(tag.as_ref());
        Ok(Sealed(out))
    }

    /// Opens a value that was sealed for this enrolment. `Damaged` for any other, or a changed one;
    /// `Configuration` when its key is not here.
    pub fn open(&self, enrolment: EnrolmentId, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, StoreError> {
        let id = Self::key_of(sealed)?;
        let (_, key) = self.keys.iter().find(|(known, _)| *known == id).ok_or_else(|| {
            StoreError::Configuration(format!("the master key {:02x?} is needed and not here", id.0))
        })?;
        let mut nonce = [0; NONCE];
        nonce.copy_from_slice(&sealed[5..HEADER]);
        let mut text = Zeroizing::new(sealed[HEADER..].to_vec());
        let plain = key
            .open_in_place(
                Nonce::assume_unique_for_key(nonce),
                associated(id, enrolment),
                text.as_mut_slice(),
            )
            .map_err(|_| {
                StoreError::Damaged(format!("a sealed value of enrolment {enrolment} does not open"))
            })?
            .len();
        text.truncate(plain);
        Ok(text)
    }
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sealer({} keys)", self.keys.len())
    }
}

fn associated(key: KeyId, enrolment: EnrolmentId) -> Aad<[u8; 21]> {
    let mut data = [0; 21];
    data[0] = VERSION;
    data[1..5].copy_from_slice(&key.0);
    data[5..].copy_from_slice(enrolment.0.as_bytes());
    Aad::from(data)
}
