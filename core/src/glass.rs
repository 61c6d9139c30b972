//! The codes of break-glass: made on the core's own host, printed once for the safe, kept here as hashes only.
//!
//! Promise: whoever has an admin's token has no code; a code needs neither a directory nor mail to be checked; the file
//! with the hashes is read anew at each use, so that new codes need no restart.

use std::path::Path;

use postern_actors::Randomness;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::files::{self, FileError};

/// What every code starts with.
const PREFIX: &str = "glass-";
/// Octets of a code.
const OCTETS: usize = 20;

/// Makes so many codes in the place of those that there were. They are shown once.
///
/// # Errors
/// [`FileError`].
pub fn make(path: &Path, count: usize, random: &dyn Randomness) -> Result<Vec<String>, FileError> {
    let codes: Vec<String> = (0..count)
        .map(|_| {
            let mut octets = [0; OCTETS];
            random.fill(&mut octets);
            format!("{PREFIX}{}", data_encoding::BASE32_NOPAD.encode(&octets).to_ascii_lowercase())
        })
        .collect();
    let lines: Vec<String> = codes.iter().map(|code| data_encoding::HEXLOWER.encode(&hash(code))).collect();
    files::replace_secret(path, &format!("{}\n", lines.join("\n")))?;
    Ok(codes)
}

/// The hash of a code, however it was typed.
#[must_use]
pub fn hash(code: &str) -> [u8; 32] {
    Sha256::digest(code.trim().to_ascii_lowercase()).into()
}

/// The hashes of the codes that are good, used ones among them; none where there is no file.
#[must_use]
pub fn known(path: &Path) -> Vec<[u8; 32]> {
    let text = files::read(path).unwrap_or_default();
    text.lines()
        .filter_map(|line| data_encoding::HEXLOWER_PERMISSIVE.decode(line.trim().as_bytes()).ok())
        .filter_map(|octets| octets.try_into().ok())
        .collect()
}

/// Whether this hash is among the known ones, in a time that does not tell which.
#[must_use]
pub fn is_known(known: &[[u8; 32]], hash: &[u8; 32]) -> bool {
    known.iter().fold(false, |found, one| found | bool::from(one.ct_eq(hash)))
}

#[cfg(test)]
mod tests {
    use postern_actors::SystemRandom;

    use super::*;

    #[test]
    fn codes_are_kept_as_hashes_and_new_ones_take_their_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("break-glass");
        assert!(known(&path).is_empty());
        let first = make(&path, 2, &SystemRandom::default()).unwrap();
        assert_eq!((first.len(), known(&path).len()), (2, 2));
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(first.iter().all(|code| !text.contains(code.as_str())));
        assert!(is_known(&known(&path), &hash(&format!(" {} ", first[0].to_ascii_uppercase()))));
        let second = make(&path, 1, &SystemRandom::default()).unwrap();
        assert!(!is_known(&known(&path), &hash(&first[0])));
        assert!(is_known(&known(&path), &hash(&second[0])));
    }
}
