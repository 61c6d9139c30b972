//! The device's own password, and the recovery password that opens it without a network (the original's flow).
//!
//! The device makes a recovery password, keeps only what verifies it, and seals it to the escrow key that it pinned when it was
//! enrolled; the sealed text goes to the server. A person who forgot the device's password gives the recovery password, which
//! somebody permitted has read out, and a new device password takes the old one's place, all on the device itself.
//!
//! Promise: no password rests in clear, neither here nor on the wire. What was used opens nothing any more. The recovery password
//! that the server is known to have goes on to work until the server has the one after it, or either of them was used: so
//! what is read out there works, whenever the device was last in reach. Everything rests in two files of the state folder
//! that are replaced in one step; `run` and `password` may work on them at once.

mod file;
mod seal;
mod verifier;

use std::path::{Path, PathBuf};

use postern_wire::{
    recovery::{BadChain, EscrowKey, KeyChain, RecoveryPassword, SealedHeader},
    terms::{EnrolmentId, RecoveryCause, RecoveryKind, UtcMillis},
};
use secrecy::{ExposeSecret as _, SecretString};

use file::{Current, Kept, Locked, Spare};
pub use file::{FILES, RecoveryError};
pub use seal::{can_seal, signed_by};
use verifier::Verifier;

/// Fills octets from a source of cryptographic quality.
pub type Fill<'a> = &'a mut dyn FnMut(&mut [u8]);

/// Whose recovery password it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Of {
    /// The enrolment.
    pub enrolment: EnrolmentId,
    /// Its generation.
    pub generation: u32,
}

/// A device's passwords, in its state folder.
#[derive(Clone, Debug)]
pub struct Recovery(PathBuf);

/// What became of a try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reset {
    /// The new device password holds; the recovery password is used up.
    Done {
        /// Which one it was.
        used: u64,
        /// The number of the one that was made after it.
        next: u64,
    },
    /// It is not the recovery password.
    Wrong,
    /// There is none: no escrow key was ever pinned here.
    None,
}

/// How things stand; nothing secret.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// The number of the recovery password; 0 while there is none.
    pub number: u64,
    /// The highest number that the server has acknowledged.
    pub delivered: u64,
    /// How often a wrong one was tried since the last right one.
    pub wrong: u64,
    /// The pinned escrow key.
    pub key: Option<EscrowKey>,
}

impl Recovery {
    /// The passwords in this folder.
    #[must_use]
    pub fn at(folder: &Path) -> Self {
        Self(folder.to_owned())
    }

    /// Sees to it that there is a recovery password for this enrolment, if it has an escrow key. What belonged to another
    /// enrolment, or another generation, is forgotten.
    ///
    /// # Errors
    /// [`RecoveryError`].
    pub fn ensure(
        &self,
        of: Of,
        enrolled_key: Option<&EscrowKey>,
        now: UtcMillis,
        random: Fill<'_>,
    ) -> Result<(), RecoveryError> {
        let locked = Locked::open(&self.0)?;
        let kept = match locked.read()? {
            Some(kept) if kept.is_of(of) => kept,
            _ => Kept::new(of, enrolled_key.cloned()),
        };
        if kept.key.is_some() && kept.current.is_none() {
            locked.write(&made(kept, RecoveryCause::First, now, random)?)?;
        }
        Ok(())
    }

    /// Makes a new recovery password. The one that the server has goes on to work until it has the new one.
    ///
    /// # Errors
    /// [`RecoveryError`]; [`RecoveryError::NoKey`] where none was ever pinned.
    pub fn renew(&self, of: Of, now: UtcMillis, random: Fill<'_>) -> Result<(), RecoveryError> {
        let locked = Locked::open(&self.0)?;
        let kept = locked.read()?.filter(|kept| kept.is_of(of) && kept.key.is_some());
        let kept = made(kept.ok_or(RecoveryError::NoKey)?, RecoveryCause::Ordered, now, random)?;
        locked.write(&kept)
    }

    /// The key that `chain` leads to from the pinned one. A device that has none yet takes the chain's newest key: whoever asks has
    /// shown an order of the core for it.
    ///
    /// # Errors
    /// [`BadChain`], and what the folder says.
    pub fn follow(&self, of: Of, chain: &KeyChain) -> Result<Result<EscrowKey, BadChain>, RecoveryError> {
        let standing = self.standing(of)?;
        Ok(match standing.key {
            Some(pinned) => chain.follow(&pinned, signed_by),
            None => chain.newest().cloned().ok_or(BadChain::Unconnected(1)),
        })
    }

    /// Pins another escrow key and makes a recovery password that is sealed to it. The same key again changes nothing.
    ///
    /// # Errors
    /// [`RecoveryError`].
    pub fn pin(&self, of: Of, key: EscrowKey, now: UtcMillis, random: Fill<'_>) -> Result<(), RecoveryError> {
        let locked = Locked::open(&self.0)?;
        let kept = locked.read()?.filter(|kept| kept.is_of(of)).unwrap_or_else(|| Kept::new(of, None));
        if kept.key.as_ref() == Some(&key) {
            return Ok(());
        }
        let kept = made(Kept { key: Some(key), ..kept }, RecoveryCause::Key, now, random)?;
        locked.write(&kept)
    }

    /// The sealed text that the server has not acknowledged yet, with its number.
    ///
    /// # Errors
    /// [`RecoveryError`].
    pub fn undelivered(&self, of: Of) -> Result<Option<(u64, String)>, RecoveryError> {
        let kept = Locked::open(&self.0)?.read()?.filter(|kept| kept.is_of(of));
        Ok(kept.and_then(|kept| {
            let delivered = kept.delivered;
            let current = kept.current.filter(|current| current.number > delivered)?;
            Some((current.number, current.sealed))
        }))
    }

    /// The server has acknowledged this number: what came before works no more.
    ///
    /// # Errors
    /// [`RecoveryError`].
    pub fn delivered(&self, of: Of, number: u64) -> Result<(), RecoveryError> {
        let locked = Locked::open(&self.0)?;
        let Some(mut kept) = locked.read()?.filter(|kept| kept.is_of(of)) else { return Ok(()) };
        if number <= kept.delivered {
            return Ok(());
        }
        kept.delivered = number;
        kept.spare = kept.spare.filter(|spare| spare.number >= number);
        locked.write(&kept)
    }

    /// How things stand for this enrolment.
    ///
    /// # Errors
    /// [`RecoveryError`].
    pub fn standing(&self, of: Of) -> Result<Standing, RecoveryError> {
        let kept = Locked::open(&self.0)?.read()?.filter(|kept| kept.is_of(of));
        Ok(kept.map_or_else(Standing::default, |kept| Standing {
            number: kept.current.map_or(0, |current| current.number),
            delivered: kept.delivered,
            wrong: kept.wrong,
            key: kept.key,
        }))
    }

    /// Puts `new` in the place of the device's password, if `recovery` is the recovery password. It needs no network. `apply` tells the
    /// machine its new password; where it fails, nothing has changed.
    ///
    /// # Errors
    /// [`RecoveryError`].
    pub fn reset(
        &self,
        recovery: &RecoveryPassword,
        new: &SecretString,
        apply: impl FnOnce() -> Result<(), String>,
        now: UtcMillis,
        random: Fill<'_>,
    ) -> Result<Reset, RecoveryError> {
        let locked = Locked::open(&self.0)?;
        let Some(mut kept) = locked.read()? else { return Ok(Reset::None) };
        let Some(used) = kept.opened_by(recovery.digits()) else {
            if kept.current.is_none() {
                return Ok(Reset::None);
            }
            kept.wrong = kept.wrong.saturating_add(1);
            locked.write(&kept)?;
            return Ok(Reset::Wrong);
        };
        apply().map_err(RecoveryError::Applying)?;
        // A crash in between leaves the new device password and a recovery password that can be used once more.
        locked.set_password(&Verifier::of(new.expose_secret(), random))?;
        kept.wrong = 0;
        let kept = made(kept, RecoveryCause::Used, now, random)?;
        locked.write(&kept)?;
        Ok(Reset::Done { used, next: kept.current.map_or(0, |current| current.number) })
    }

    /// Sets the device's password; `old` has to be it where there is one. False when it is not.
    ///
    /// # Errors
    /// [`RecoveryError`].
    pub fn set_password(
        &self,
        old: Option<&SecretString>,
        new: &SecretString,
        apply: impl FnOnce() -> Result<(), String>,
        random: Fill<'_>,
    ) -> Result<bool, RecoveryError> {
        let locked = Locked::open(&self.0)?;
        if let Some(verifier) = locked.password()?
            && !old.is_some_and(|old| verifier.verifies(old.expose_secret()))
        {
            return Ok(false);
        }
        apply().map_err(RecoveryError::Applying)?;
        locked.set_password(&Verifier::of(new.expose_secret(), random))?;
        Ok(true)
    }

    /// Whether the device has a password.
    ///
    /// # Errors
    /// [`RecoveryError`].
    pub fn has_password(&self) -> Result<bool, RecoveryError> {
        Ok(Locked::open(&self.0)?.password()?.is_some())
    }

    /// Whether this is the device's password; none is right while none is set.
    ///
    /// # Errors
    /// [`RecoveryError`].
    pub fn is_password(&self, given: &SecretString) -> Result<bool, RecoveryError> {
        let set = Locked::open(&self.0)?.password()?;
        Ok(set.is_some_and(|verifier| verifier.verifies(given.expose_secret())))
    }
}

/// `kept` with a new recovery password. What the server has stays beside it as the spare one, unless it was used.
fn made(kept: Kept, cause: RecoveryCause, now: UtcMillis, random: Fill<'_>) -> Result<Kept, RecoveryError> {
    let key = kept.key.clone().ok_or(RecoveryError::NoKey)?;
    let number = kept.last.saturating_add(1);
    let password = RecoveryPassword::make(&mut *random);
    let header = SealedHeader {
        key: key.id(),
        kind: RecoveryKind::DevicePassword,
        enrolment: kept.enrolment,
        generation: kept.generation,
        number,
        made: now,
        cause,
    };
    let sealed = seal::seal(&key, header, &password, random).map_err(RecoveryError::Sealing)?;
    let verifier = Verifier::of(password.digits(), random);
    let spare = match (cause, kept.current, kept.spare) {
        (RecoveryCause::Used, ..) => None,
        (_, Some(current), _) if current.number <= kept.delivered => {
            Some(Spare { number: current.number, verifier: current.verifier })
        }
        (_, _, spare) => spare,
    };
    let current = Some(Current { number, sealed: sealed.text(), verifier });
    Ok(Kept { current, spare, last: number, ..kept })
}

#[cfg(test)]
pub(crate) mod tests;
