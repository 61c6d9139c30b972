//! How an escrow key follows another: each new one is signed by the one before, and a device goes from the key that it
//! pinned along the signatures to the newest.
//!
//! One change is compact JSON, `.`, base64url (no padding) of RSASSA-PSS with SHA-256 by the key that is replaced, over
//! [`KeyChange::CONTEXT`] and that JSON. A chain is changes, one a line, the oldest first; before them may stand a key in base64, for a
//! device that has pinned none. Keys stay with the caller: signing and
//! verifying are closures.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL};
use serde::{Deserialize, Serialize};

use super::{EscrowKey, KeyId};
use crate::terms::UtcMillis;

/// Changes in one chain.
pub const LINKS_LIMIT: usize = 8;
/// A longer text is no chain, in octets.
pub const CHAIN_LIMIT: usize = 16_384;
/// The only version of the form so far.
const VERSION: u8 = 1;
const LINK_OCTETS: usize = 2_048;
/// RSA with 2048 to 4096 bits.
const SIGNATURE_OCTETS: std::ops::RangeInclusive<usize> = 256..=512;

/// A new key takes the place of another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyChange {
    v: u8,
    replaces: KeyId,
    key: EscrowKey,
    made: UtcMillis,
}

/// Changes, the oldest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyChain {
    first: Option<EscrowKey>,
    links: Vec<Link>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Link {
    change: KeyChange,
    json: String,
    signature: Vec<u8>,
}

/// Why a chain leads a device to no new key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadChain {
    /// More than [`CHAIN_LIMIT`] or [`LINKS_LIMIT`].
    #[error("the chain is too long")]
    TooLong,
    /// Not the form of a change: separator, base64, JSON or signature's length.
    #[error("change {0} is not the text of one")]
    Malformed(usize),
    /// A version that is not known here.
    #[error("the version of change {0} is not known")]
    Version(usize),
    /// The key that it replaces did not sign it.
    #[error("change {0} is not signed by the key that it replaces")]
    Unsigned(usize),
    /// It does not begin at the pinned key, or a change does not follow from the one before.
    #[error("no change replaces the key that is pinned, or change {0} does not follow")]
    Unconnected(usize),
}

impl KeyChange {
    /// Goes before the JSON under the signature, so that no other signed text can pass for a change.
    pub const CONTEXT: &'static [u8] = b"postern-escrow-key-1\n";

    /// `key` is to take the place of `replaces`.
    #[must_use]
    pub const fn new(replaces: KeyId, key: EscrowKey, made: UtcMillis) -> Self {
        Self { v: VERSION, replaces, key, made }
    }

    /// Its line; `sign` gets the octets that the replaced key is to sign.
    ///
    /// # Errors
    /// What `sign` says.
    pub fn seal<E>(&self, sign: impl FnOnce(&[u8]) -> Result<Vec<u8>, E>) -> Result<String, E> {
        let json = serde_json::to_string(self).expect("a change holds only text and numbers");
        let signature = sign(&signed_octets(&json))?;
        Ok(format!("{json}.{}", BASE64URL.encode(signature)))
    }
}

impl KeyChain {
    /// Reads a chain; nothing is verified yet.
    ///
    /// # Errors
    /// [`BadChain`].
    pub fn parse(text: &str) -> Result<Self, BadChain> {
        if text.len() > CHAIN_LIMIT {
            return Err(BadChain::TooLong);
        }
        let mut lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let first = lines.first().filter(|line| !line.contains('.')).and_then(|line| line.parse().ok());
        if first.is_some() {
            lines.remove(0);
        }
        if lines.len() > LINKS_LIMIT {
            return Err(BadChain::TooLong);
        }
        let links = (1..).zip(lines).map(|(place, line)| Link::parse(place, line));
        Ok(Self { first, links: links.collect::<Result<_, _>>()? })
    }

    /// The text of a chain of these changes, for a device that has pinned `first` or nothing.
    #[must_use]
    pub fn text(first: &EscrowKey, changes: &[String]) -> String {
        changes.iter().fold(first.to_base64(), |text, change| text + "\n" + change)
    }

    /// The key at its end, which nothing was verified of.
    #[must_use]
    pub fn newest(&self) -> Option<&EscrowKey> {
        self.links.last().map(|link| &link.change.key).or(self.first.as_ref())
    }

    /// The newest key that the signatures lead to from `pinned`; changes before the one that replaces it are passed over, for
    /// they were followed earlier. `verify` says whether a key (SubjectPublicKeyInfo) made a signature over octets.
    ///
    /// # Errors
    /// [`BadChain`]: not one change of it counts then.
    pub fn follow(
        &self,
        pinned: &EscrowKey,
        verify: impl Fn(&EscrowKey, &[u8], &[u8]) -> bool,
    ) -> Result<EscrowKey, BadChain> {
        let mut key = pinned.clone();
        let start = self.links.iter().position(|link| link.change.replaces == pinned.id());
        let start = match start {
            Some(start) => start,
            // It came before, and its answer was lost.
            None if self.newest() == Some(pinned) => return Ok(key),
            None => return Err(BadChain::Unconnected(1)),
        };
        for (place, link) in (1..).zip(&self.links).skip(start) {
            if link.change.replaces != key.id() {
                return Err(BadChain::Unconnected(place));
            }
            if !verify(&key, &signed_octets(&link.json), &link.signature) {
                return Err(BadChain::Unsigned(place));
            }
            key = link.change.key.clone();
        }
        Ok(key)
    }
}

impl Link {
    fn parse(place: usize, line: &str) -> Result<Self, BadChain> {
        let malformed = BadChain::Malformed(place);
        if line.len() > LINK_OCTETS {
            return Err(malformed);
        }
        let (json, signature) = line.rsplit_once('.').ok_or(malformed)?;
        let signature = BASE64URL.decode(signature).map_err(|_| malformed)?;
        let change: KeyChange = serde_json::from_str(json).map_err(|_| malformed)?;
        if change.v != VERSION {
            return Err(BadChain::Version(place));
        }
        if !SIGNATURE_OCTETS.contains(&signature.len()) {
            return Err(malformed);
        }
        Ok(Self { change, json: json.to_owned(), signature })
    }
}

fn signed_octets(json: &str) -> Vec<u8> {
    [KeyChange::CONTEXT, json.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use sha2::{Digest as _, Sha256};

    use super::*;

    fn key(number: u8) -> EscrowKey {
        EscrowKey::from_der([number; 422]).unwrap()
    }

    /// A toy: what a key "signs" is known from its octets.
    fn signature(by: &EscrowKey, octets: &[u8]) -> Vec<u8> {
        let digest = Sha256::new().chain_update(by.der()).chain_update(octets).finalize();
        digest.iter().copied().cycle().take(256).collect()
    }

    fn verify(by: &EscrowKey, octets: &[u8], given: &[u8]) -> bool {
        signature(by, octets) == given
    }

    fn change(from: u8, to: u8) -> String {
        let change = KeyChange::new(key(from).id(), key(to), UtcMillis(1));
        change.seal(|octets| Ok::<_, Infallible>(signature(&key(from), octets))).unwrap()
    }

    fn follow(pinned: u8, lines: &[String]) -> Result<EscrowKey, BadChain> {
        KeyChain::parse(&lines.join("\n"))?.follow(&key(pinned), verify)
    }

    #[test]
    fn a_device_follows_the_signatures_from_its_own_key_to_the_newest() {
        let whole = [change(1, 2), change(2, 3), change(3, 4)];
        for pinned in 1..=4 {
            assert_eq!(follow(pinned, &whole), Ok(key(4)), "{pinned}");
        }
    }

    #[test]
    fn a_key_that_the_pinned_one_did_not_sign_is_refused() {
        let forged = KeyChange::new(key(1).id(), key(9), UtcMillis(1))
            .seal(|octets| Ok::<_, Infallible>(signature(&key(9), octets)))
            .unwrap();
        assert_eq!(follow(1, std::slice::from_ref(&forged)), Err(BadChain::Unsigned(1)));
        assert_eq!(follow(1, &[change(1, 2), forged]), Err(BadChain::Unconnected(2)));
        let made = format!("\"made\":{}", 1);
        let changed = change(1, 2).replace(&made, "\"made\":2");
        assert_eq!(follow(1, &[changed]), Err(BadChain::Unsigned(1)));
    }

    #[test]
    fn a_chain_that_begins_elsewhere_leads_nowhere() {
        assert_eq!(follow(7, &[change(1, 2)]), Err(BadChain::Unconnected(1)));
        assert_eq!(follow(1, &[change(1, 2), change(3, 4)]), Err(BadChain::Unconnected(2)));
        assert_eq!(follow(1, &[]), Err(BadChain::Unconnected(1)));
    }

    #[test]
    fn a_first_key_is_for_who_has_pinned_none() {
        let alone = KeyChain::parse(&KeyChain::text(&key(1), &[])).unwrap();
        assert_eq!((alone.newest(), alone.follow(&key(1), verify)), (Some(&key(1)), Ok(key(1))));
        assert_eq!(alone.follow(&key(2), verify), Err(BadChain::Unconnected(1)), "it is not believed");
        let whole = KeyChain::parse(&KeyChain::text(&key(1), &[change(1, 2)])).unwrap();
        assert_eq!((whole.newest(), whole.follow(&key(1), verify)), (Some(&key(2)), Ok(key(2))));
    }

    #[test]
    fn what_is_no_chain_is_refused_by_type() {
        let good = change(1, 2);
        let (json, signature) = good.rsplit_once('.').unwrap();
        for (text, why) in [
            ("x".to_owned(), BadChain::Malformed(1)),
            (format!("{json}.!"), BadChain::Malformed(1)),
            (format!("{json}.AAAA"), BadChain::Malformed(1)),
            (format!("{{}}.{signature}"), BadChain::Malformed(1)),
            (format!("{good}\n{}", "x".repeat(LINK_OCTETS + 1)), BadChain::Malformed(2)),
            (good.replace("\"v\":1", "\"v\":2"), BadChain::Version(1)),
            (vec![good.clone(); LINKS_LIMIT + 1].join("\n"), BadChain::TooLong),
            (" ".repeat(CHAIN_LIMIT + 1), BadChain::TooLong),
        ] {
            assert_eq!(KeyChain::parse(&text), Err(why), "{text}");
        }
    }
}
