//! What a gateway is to trust, told over the watch: the device CAs, retired ones, and the link CAs.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};

/// The most CAs of one kind.
pub const AUTHORITIES: usize = 32;
/// The most octets of one CA's certificate.
pub const AUTHORITY_OCTETS: usize = 8 * 1024;

/// The CAs of a gateway, base64 of DER each, the newest first. It takes the place of the files that the gateway was
/// started with, and rests on its disk: after a restart without a core it still holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trust {
    /// Rises with every change.
    pub version: u64,
    /// Whose certificates devices are admitted with.
    pub device: Vec<String>,
    /// Whose certificates get a device no more than its wipe.
    pub device_retired: Vec<String>,
    /// Whose certificates cores come with.
    pub link: Vec<String>,
    /// Who signs link certificates now, as the blocked list names issuers: a gateway whose own comes from another asks
    /// for a new one.
    #[serde(default)]
    pub link_issuer: String,
    /// Who signs the device port's certificates now.
    #[serde(default)]
    pub server_issuer: String,
}

/// Why a gateway does not take a [`Trust`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    /// A gateway without a link CA would never see a core again.
    #[error("there is no link CA in it")]
    NoLink,
    /// More than [`AUTHORITIES`].
    #[error("there are {0} CAs of one kind in it")]
    TooMany(usize),
    /// Not base64, or longer than [`AUTHORITY_OCTETS`].
    #[error("a CA's certificate in it cannot be read")]
    Unreadable,
}

/// The CAs of a [`Trust`], DER.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedAuthorities {
    /// Device CAs in use.
    pub device: Vec<Vec<u8>>,
    /// Device CAs that were retired.
    pub device_retired: Vec<Vec<u8>>,
    /// Link CAs.
    pub link: Vec<Vec<u8>>,
}

impl Trust {
    /// A trust of certificates in DER.
    #[must_use]
    pub fn new(version: u64, authorities: &TrustedAuthorities) -> Self {
        let encode = |all: &[Vec<u8>]| all.iter().map(|der| STANDARD.encode(der)).collect();
        Self {
            version,
            device: encode(&authorities.device),
            device_retired: encode(&authorities.device_retired),
            link: encode(&authorities.link),
            ..Self::default()
        }
    }

    /// The certificates, whose text was checked against the limits; whether they are CAs' is for TLS to say.
    ///
    /// # Errors
    /// [`TrustError`].
    pub fn read(&self) -> Result<TrustedAuthorities, TrustError> {
        if self.link.is_empty() {
            return Err(TrustError::NoLink);
        }
        Ok(TrustedAuthorities {
            device: decode(&self.device)?,
            device_retired: decode(&self.device_retired)?,
            link: decode(&self.link)?,
        })
    }
}

fn decode(texts: &[String]) -> Result<Vec<Vec<u8>>, TrustError> {
    if texts.len() > AUTHORITIES {
        return Err(TrustError::TooMany(texts.len()));
    }
    let one = |text: &String| {
        let der = STANDARD.decode(text).ok().filter(|der| der.len() <= AUTHORITY_OCTETS);
        der.ok_or(TrustError::Unreadable)
    };
    texts.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trust_is_read_back_and_its_limits_hold() {
        let authorities = TrustedAuthorities {
            device: vec![vec![1, 2], vec![3]],
            device_retired: vec![],
            link: vec![vec![4]],
        };
        let trust = Trust::new(7, &authorities);
        assert_eq!(trust.read(), Ok(authorities));
        assert_eq!(Trust { link: vec![], ..trust.clone() }.read(), Err(TrustError::NoLink));
        assert_eq!(Trust { device: vec!["?".into()], ..trust.clone() }.read(), Err(TrustError::Unreadable));
        let long = STANDARD.encode(vec![0; AUTHORITY_OCTETS + 1]);
        assert_eq!(Trust { device: vec![long], ..trust.clone() }.read(), Err(TrustError::Unreadable));
        let many = Trust { device: vec![String::new(); AUTHORITIES + 1], ..trust };
        assert_eq!(many.read(), Err(TrustError::TooMany(AUTHORITIES + 1)));
    }
}
