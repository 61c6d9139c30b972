//! The escrow keys' private halves: each in a file of its own, read for one request and forgotten with it.
//!
//! Promise: nothing here outlives a call. A file is read only when its owner alone may read it; its text, the key made of it and
//! what it opened are wiped when they go (aws-lc wipes what it frees). No other part of the core knows where these files are. What is
//! opened is what the device sealed: RSA-OAEP with SHA-256 and AES-256-GCM (RFC 7518, 4.3 and 5.3), by aws-lc-rs.

use std::{
    fs::File,
    io::Read as _,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der},
    rand::SystemRandom,
    rsa::{KeySize, OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, PrivateDecryptingKey},
    signature::{RSA_PSS_SHA256, RsaKeyPair},
};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use postern_actors::recovery::use_key;
use postern_store::recovery;
use postern_wire::{
    recovery::{EscrowKey, KeyChange, KeyId, RecoveryPassword, Sealed},
    terms::UtcMillis,
};
use zeroize::Zeroizing;

use crate::{
    files::{self, FileError},
    inside::Inside,
};

/// A key file is at most so many octets: 4096 bits take 3300.
const MOST_OCTETS: u64 = 16_384;
const BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const END: &str = "-----END PRIVATE KEY-----";
/// Characters of base64 in a line.
const LINE: usize = 64;

/// The folder of the key files.
#[derive(Clone, Debug)]
pub struct Escrow(PathBuf);

/// Why an escrow key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum EscrowError {
    /// Its file cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// Somebody else may read the file.
    #[error(
        "{file} may be read by others (mode {mode:o}): chmod 600 it, and roll the key over if they could have read it"
    )]
    Mode {
        /// The file.
        file: String,
        /// Its mode.
        mode: u32,
    },
    /// The file holds no RSA key in PKCS#8 PEM, or another one than its name says.
    #[error("{0} does not hold the private key that its name says")]
    NotTheKey(String),
    /// The sealed text does not open: it was changed, or sealed to something else.
    #[error("the sealed password does not open with its escrow key")]
    DoesNotOpen,
    /// The provider refused.
    #[error("the cryptographic provider refused")]
    Provider,
}

impl Escrow {
    /// The keys in this folder.
    #[must_use]
    pub fn at(folder: &Path) -> Self {
        Self(folder.to_owned())
    }

    /// Makes a key of 3072 bits and writes its file; takes a while.
    ///
    /// # Errors
    /// [`EscrowError`].
    pub fn make(&self) -> Result<EscrowKey, EscrowError> {
        files::make_folder(&self.0)?;
        let key = PrivateDecryptingKey::generate(KeySize::Rsa3072).map_err(|_| EscrowError::Provider)?;
        let public = public(&key)?;
        let der = AsDer::<Pkcs8V1Der<'_>>::as_der(&key).map_err(|_| EscrowError::Provider)?;
        let text = Zeroizing::new(BASE64.encode(der.as_ref()));
        let mut pem = Zeroizing::new(String::with_capacity(text.len() * 2));
        pem.push_str(BEGIN);
        let mut rest = text.as_str();
        while !rest.is_empty() {
            let (line, more) = rest.split_at(rest.len().min(LINE));
            pem.push('\n');
            pem.push_str(line);
            rest = more;
        }
        pem.push('\n');
        pem.push_str(END);
        pem.push('\n');
        files::write_secret(&self.file(public.id()), &pem)?;
        Ok(public)
    }

    /// Whether a key could be used now; nothing is kept of it.
    ///
    /// # Errors
    /// [`EscrowError`].
    pub fn look_at(&self, id: KeyId) -> Result<(), EscrowError> {
        self.read(id).map(drop)
    }

    /// Opens what a device sealed.
    ///
    /// # Errors
    /// [`EscrowError`].
    pub fn open(&self, sealed: &Sealed) -> Result<RecoveryPassword, EscrowError> {
        let der = self.read(sealed.header().key)?;
        let key = PrivateDecryptingKey::from_pkcs8(&der).map_err(|_| EscrowError::Provider)?;
        drop(der);
        let private = OaepPrivateDecryptingKey::new(key).map_err(|_| EscrowError::Provider)?;
        let parts = sealed.parts();
        let mut room = Zeroizing::new(vec![0; private.min_output_size()]);
        let content_key = private
            .decrypt(&OAEP_SHA256_MGF1SHA256, &parts.encrypted_key, &mut room, None)
            .map_err(|_| EscrowError::DoesNotOpen)?;
        let cipher = UnboundKey::new(&AES_256_GCM, content_key).map_err(|_| EscrowError::DoesNotOpen)?;
        let mut text = Zeroizing::new([parts.ciphertext.as_slice(), &parts.tag].concat());
        let nonce = Nonce::assume_unique_for_key(parts.nonce);
        let opened = LessSafeKey::new(cipher)
            .open_in_place(nonce, Aad::from(sealed.authenticated()), &mut text)
            .map_err(|_| EscrowError::DoesNotOpen)?;
        let digits = std::str::from_utf8(opened).map_err(|_| EscrowError::DoesNotOpen)?;
        RecoveryPassword::parse(digits).map_err(|_| EscrowError::DoesNotOpen)
    }

    /// What a key signs when another one takes its place.
    ///
    /// # Errors
    /// [`EscrowError`].
    pub fn sign_change(&self, old: KeyId, next: EscrowKey, now: UtcMillis) -> Result<String, EscrowError> {
        let der = self.read(old)?;
        let pair = RsaKeyPair::from_pkcs8(&der).map_err(|_| EscrowError::Provider)?;
        drop(der);
        KeyChange::new(old, next, now).seal(|octets| {
            let mut signature = vec![0; pair.public_modulus_len()];
            pair.sign(&RSA_PSS_SHA256, &SystemRandom::new(), octets, &mut signature)
                .map_err(|_| EscrowError::Provider)?;
            Ok(signature)
        })
    }

    fn file(&self, id: KeyId) -> PathBuf {
        self.0.join(format!("{id}.pem"))
    }

    /// The private key, PKCS#8 DER, once its file's mode and its name were looked at.
    fn read(&self, id: KeyId) -> Result<Zeroizing<Vec<u8>>, EscrowError> {
        let path = self.file(id);
        let shown = path.display().to_string();
        let failed = |source| FileError { path: path.clone(), act: "read", source };
        let mut file = File::open(&path).map_err(failed)?;
        // of the open file, so that what is looked at is what is read
        let facts = file.metadata().map_err(failed)?;
        let mode = facts.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(EscrowError::Mode { file: shown, mode });
        }
        let not_the_key = || EscrowError::NotTheKey(shown.clone());
        if facts.len() > MOST_OCTETS {
            return Err(not_the_key());
        }
        let mut text = Zeroizing::new(String::with_capacity(usize::try_from(MOST_OCTETS).unwrap_or(0) + 1));
        file.by_ref().take(MOST_OCTETS).read_to_string(&mut text).map_err(failed)?;
        let inner = text.trim().strip_prefix(BEGIN).and_then(|rest| rest.strip_suffix(END));
        let inner = inner.ok_or_else(not_the_key)?;
        let mut joined = Zeroizing::new(String::with_capacity(inner.len()));
        joined.extend(inner.chars().filter(|character| !character.is_ascii_whitespace()));
        let der = Zeroizing::new(BASE64.decode(joined.as_bytes()).map_err(|_| not_the_key())?);
        let key = PrivateDecryptingKey::from_pkcs8(&der).map_err(|_| not_the_key())?;
        if public(&key)?.id() != id {
            return Err(not_the_key());
        }
        Ok(der)
    }
}

fn public(key: &PrivateDecryptingKey) -> Result<EscrowKey, EscrowError> {
    let spki: PublicKeyX509Der<'_> = key.public_key().as_der().map_err(|_| EscrowError::Provider)?;
    EscrowKey::from_der(spki.as_ref()).map_err(|_| EscrowError::Provider)
}

/// Sees to it that there is an escrow key: makes the first one. Where it cannot, devices bring no recovery passwords, and that is all.
pub(crate) async fn ensure(inside: &Inside) {
    let made = async {
        if inside.store.read(recovery::current_key).await?.is_some() {
            return Ok(());
        }
        let escrow = inside.escrow();
        let key = tokio::task::spawn_blocking(move || escrow.make()).await??;
        let id = key.id();
        inside.store.write(move |tx| use_key(tx, &key, None, "service:recovery")).await?;
        tracing::info!(key = %id, "the first escrow key was made: keep a copy of its file");
        Ok::<(), anyhow::Error>(())
    };
    if let Err(error) = made.await {
        tracing::error!(%error, "there is no escrow key: devices bring no recovery passwords");
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::{
        rsa::{OaepPublicEncryptingKey, PublicEncryptingKey},
        signature::{ParsedPublicKey, RSA_PSS_2048_8192_SHA256},
    };
    use postern_wire::{
        recovery::{KeyChain, SealParts, SealedHeader},
        terms::{EnrolmentId, RecoveryCause, RecoveryKind},
    };

    use super::*;

    fn seal(key: &EscrowKey, digits: &str) -> Sealed {
        let header = SealedHeader {
            key: key.id(),
            kind: RecoveryKind::DevicePassword,
            enrolment: EnrolmentId(uuid::Uuid::nil()),
            generation: 1,
            number: 1,
            made: UtcMillis(1),
            cause: RecoveryCause::First,
        };
        let public = PublicEncryptingKey::from_der(key.der()).unwrap();
        let public = OaepPublicEncryptingKey::new(public).unwrap();
        let mut room = vec![0; public.ciphertext_size()];
        let encrypted_key =
            public.encrypt(&OAEP_SHA256_MGF1SHA256, &[7; 32], &mut room, None).unwrap().to_vec();
        let cipher = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[7; 32]).unwrap());
        let mut ciphertext = digits.as_bytes().to_vec();
        let tag = cipher
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key([3; 12]),
                Aad::from(header.protected()),
                &mut ciphertext,
            )
            .unwrap();
        let tag = tag.as_ref().try_into().unwrap();
        Sealed::assemble(header, SealParts { encrypted_key, nonce: [3; 12], ciphertext, tag }).unwrap()
    }

    #[test]
    fn what_was_sealed_to_a_key_opens_with_its_file_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let escrow = Escrow::at(&folder.path().join("escrow"));
        let (one, other) = (escrow.make().unwrap(), escrow.make().unwrap());
        let sealed = seal(&one, "01234567890123456789");
        assert_eq!(escrow.open(&sealed).unwrap().digits(), "01234567890123456789");
        assert!(matches!(escrow.open(&seal(&one, "no digits")), Err(EscrowError::DoesNotOpen)));
        // its header is part of it
        let moved = SealedHeader { number: 2, ..sealed.header().clone() };
        let moved = Sealed::assemble(moved, sealed.parts().clone()).unwrap();
        assert!(matches!(escrow.open(&moved), Err(EscrowError::DoesNotOpen)));
        let to_other = SealedHeader { key: other.id(), ..sealed.header().clone() };
        let to_other = Sealed::assemble(to_other, sealed.parts().clone()).unwrap();
        assert!(matches!(escrow.open(&to_other), Err(EscrowError::DoesNotOpen)));
    }

    #[test]
    fn a_file_that_others_may_read_or_that_holds_another_key_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let escrow = Escrow::at(folder.path());
        let (one, other) = (escrow.make().unwrap(), escrow.make().unwrap());
        assert!(escrow.look_at(one.id()).is_ok());
        let file = escrow.file(one.id());
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        for mode in [0o640, 0o604, 0o644] {
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
            assert!(matches!(escrow.look_at(one.id()), Err(EscrowError::Mode { .. })), "{mode:o}");
        }
        std::fs::remove_file(&file).unwrap();
        assert!(matches!(escrow.look_at(one.id()), Err(EscrowError::File(_))));
        std::fs::copy(escrow.file(other.id()), &file).unwrap();
        assert!(matches!(escrow.look_at(one.id()), Err(EscrowError::NotTheKey(_))));
        files::replace_secret(&file, "no key").unwrap();
        assert!(matches!(escrow.look_at(one.id()), Err(EscrowError::NotTheKey(_))));
    }

    #[test]
    fn the_old_key_signs_the_new_one_so_that_devices_follow() {
        let folder = tempfile::tempdir().unwrap();
        let escrow = Escrow::at(folder.path());
        let (old, new) = (escrow.make().unwrap(), escrow.make().unwrap());
        let change = escrow.sign_change(old.id(), new.clone(), UtcMillis(1)).unwrap();
        let verify = |key: &EscrowKey, octets: &[u8], signature: &[u8]| {
            let key = ParsedPublicKey::new(&RSA_PSS_2048_8192_SHA256, key.der()).unwrap();
            key.verify_sig(octets, signature).is_ok()
        };
        let chain = KeyChain::parse(&KeyChain::text(&old, &[change])).unwrap();
        assert_eq!(chain.follow(&old, verify), Ok(new));
    }
}
