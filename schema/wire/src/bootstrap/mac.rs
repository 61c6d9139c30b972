//! The proof of a bootstrap: HMAC-SHA1 over the document's exact octets, keyed by what only the operator and the
//! device, or the user, know (OMA-WAP-ProvBoot 1.1; OMA-TS-DM_Security 1.2.1, 5.7.2).
//!
//! | method | key in OMA CP | key in the DM profile |
//! |-|-|-|
//! | network | IMSI as semi-octets (GSM) | the network's secret |
//! | user PIN | the PIN's ASCII digits | the same |
//! | both | IMSI, then the PIN | `PIN:secret` |
//! | USERPINMAC | none: the PIN carries its own check digits | – |

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};
use sha1::Sha1;
use zeroize::Zeroizing;

use crate::{
    auth,
    push::{Mac, Push, PushMedia, Security, SecurityMethod, sms::semi_octets},
};

const MOST_PIN_DIGITS: usize = 32;

/// The network's secret.
#[derive(Clone)]
pub enum NetworkSecret {
    /// An IMSI, 6 to 15 digits, keyed as its EF-IMSI octets.
    Imsi(SecretString),
    /// Any other, octet for octet: an ESN, or an IMSI as text for devices that want it so.
    Octets(Zeroizing<Vec<u8>>),
}

/// What sender and device share.
#[derive(Clone, Default)]
pub struct Secrets {
    /// The network's secret.
    pub network: Option<NetworkSecret>,
    /// The user's PIN: decimal digits. For USERPINMAC the whole of what the user types in.
    pub pin: Option<SecretString>,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (network, pin) = (self.network.is_some(), self.pin.is_some());
        f.debug_struct("Secrets").field("network", &network).field("pin", &pin).finish()
    }
}

/// Gives a bootstrap its SEC and MAC.
///
/// # Errors
/// [`BadSecret`]: a secret that the method needs is missing or malformed.
pub fn seal(mut push: Push, method: SecurityMethod, secrets: &Secrets) -> Result<Push, BadSecret> {
    let mac = match method {
        SecurityMethod::UserPinMac if push.media.is_dm_profile() => return Err(BadSecret::Method),
        SecurityMethod::UserPinMac => None,
        _ => Some(Mac(hmac(&key(method, &push.media, secrets)?, &push.body))),
    };
    push.security = Some(Security { method, mac });
    Ok(push)
}

/// What the user has to type in under USERPINMAC: the PIN `k` and as many check digits.
///
/// # Errors
/// [`BadSecret::Pin`].
pub fn user_pin_mac(k: &SecretString, document: &[u8]) -> Result<SecretString, BadSecret> {
    let k = digits(k)?;
    if k.len() > 20 {
        return Err(BadSecret::Pin);
    }
    let mac = hmac(k.as_bytes(), document);
    let checks = mac.iter().take(k.len()).map(|octet| char::from(b'0' + octet % 10));
    Ok(SecretString::from(k.chars().chain(checks).collect::<String>()))
}

/// Whether a bootstrap comes from somebody who knows the secrets.
///
/// # Errors
/// [`Unproven`]: nothing of it may be applied.
pub fn verify(push: &Push, secrets: &Secrets) -> Result<(), Unproven> {
    let Some(Security { method, mac }) = &push.security else { return Err(Unproven::NoSecurity) };
    if *method == SecurityMethod::UserPinMac {
        return verify_user_pin_mac(push, secrets);
    }
    let mac = mac.as_ref().ok_or(Unproven::NoMac)?;
    let expected = hmac(&key(*method, &push.media, secrets)?, &push.body);
    if auth::equal(&expected, &mac.0) { Ok(()) } else { Err(Unproven::Wrong) }
}

fn verify_user_pin_mac(push: &Push, secrets: &Secrets) -> Result<(), Unproven> {
    if push.media.is_dm_profile() {
        return Err(BadSecret::Method.into());
    }
    let typed = digits(secrets.pin.as_ref().ok_or(BadSecret::Missing("the user's PIN"))?)?;
    if typed.len() % 2 == 1 {
        return Err(Unproven::Wrong);
    }
    let expected = user_pin_mac(&SecretString::from(&typed[..typed.len() / 2]), &push.body)?;
    if auth::equal(expected.expose_secret().as_bytes(), typed.as_bytes()) {
        Ok(())
    } else {
        Err(Unproven::Wrong)
    }
}

fn key(
    method: SecurityMethod,
    media: &PushMedia,
    secrets: &Secrets,
) -> Result<Zeroizing<Vec<u8>>, BadSecret> {
    let network = || network_key(secrets.network.as_ref().ok_or(BadSecret::Missing("the network's secret"))?);
    let pin = || digits(secrets.pin.as_ref().ok_or(BadSecret::Missing("the user's PIN"))?);
    let mut key = Zeroizing::new(Vec::with_capacity(64));
    match (method, media.is_dm_profile()) {
        (SecurityMethod::NetworkPin, _) => return network(),
        (SecurityMethod::UserPin, _) => key.extend_from_slice(pin()?.as_bytes()),
        (SecurityMethod::UserNetworkPin, false) => {
            key.extend_from_slice(&network()?);
            key.extend_from_slice(pin()?.as_bytes());
        }
        (SecurityMethod::UserNetworkPin, true) => {
            key.extend_from_slice(pin()?.as_bytes());
            key.push(b':');
            key.extend_from_slice(&network()?);
        }
        (SecurityMethod::UserPinMac, _) => return Err(BadSecret::Method),
    }
    Ok(key)
}

fn network_key(secret: &NetworkSecret) -> Result<Zeroizing<Vec<u8>>, BadSecret> {
    match secret {
        NetworkSecret::Imsi(imsi) => imsi_octets(imsi.expose_secret()).map(Zeroizing::new),
        NetworkSecret::Octets(octets) if octets.is_empty() => Err(BadSecret::Missing("the network's secret")),
        NetworkSecret::Octets(octets) => Ok(octets.clone()),
    }
}

/// An IMSI as EF-IMSI holds it behind its length: the first half octet says whether the count of digits is odd (9) or
/// even (1), the digits follow low half first, F fills up (3GPP TS 31.102, 4.2.2; BOO-04).
fn imsi_octets(imsi: &str) -> Result<Vec<u8>, BadSecret> {
    if !(6..=15).contains(&imsi.len()) || !imsi.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(BadSecret::Imsi);
    }
    let parity = if imsi.len() % 2 == 1 { 9 } else { 1 };
    Ok(semi_octets(std::iter::once(parity).chain(imsi.bytes().map(|digit| digit - b'0'))))
}

fn digits(pin: &SecretString) -> Result<&str, BadSecret> {
    let pin = pin.expose_secret();
    let fits =
        !pin.is_empty() && pin.len() <= MOST_PIN_DIGITS && pin.bytes().all(|digit| digit.is_ascii_digit());
    if fits { Ok(pin) } else { Err(BadSecret::Pin) }
}

fn hmac(key: &[u8], document: &[u8]) -> [u8; 20] {
    let mut mac = Hmac::<Sha1>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(document);
    mac.finalize().into_bytes().into()
}

/// A secret that cannot key a MAC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSecret {
    /// It is not there.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// The IMSI.
    #[error("an IMSI has 6 to 15 digits")]
    Imsi,
    /// The PIN.
    #[error("a PIN has 1 to {MOST_PIN_DIGITS} digits, for USERPINMAC 1 to 20 before its check digits")]
    Pin,
    /// USERPINMAC in the DM profile.
    #[error("the DM profile has no USERPINMAC")]
    Method,
}

/// A bootstrap that is not proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unproven {
    /// It has no SEC.
    #[error("the bootstrap carries no SEC")]
    NoSecurity,
    /// It has no MAC.
    #[error("the bootstrap carries no MAC")]
    NoMac,
    /// The MAC is another one.
    #[error("the bootstrap's MAC does not fit the PIN or the network's secret")]
    Wrong,
    /// This side lacks the secret.
    #[error(transparent)]
    Secret(#[from] BadSecret),
}
