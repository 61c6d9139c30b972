//! Certificates of a CA that is not ours: a signing request out, a chain in.
//!
//! Promise: a chain is taken only when its first certificate is over the key that asked, is for what it is to be used
//! for, holds now, bears the names that it needs, and each certificate bears the signature of the next. Every refusal
//! says which of these failed. What stands above the first certificate is shown with it (intermediates) or told as the
//! anchor (the top), up to [`CHAIN_LIMIT`] certificates.

use std::path::Path;

use postern_store::authorities::Authority;
use postern_wire::terms::{CaRole, CaState, UtcMillis};
use rcgen::{DistinguishedName, DnType, DnValue};
use rustls_pki_types::CertificateDer;
use x509_parser::{
    der_parser::asn1_rs::Tag,
    extensions::{GeneralName, ParsedExtension},
    prelude::{FromDer as _, X509Certificate},
};

use super::{
    Authorities, CA_DAYS, Ca, CaError, Validity,
    authorities::{certificates_of, key_file, row},
    ca_name,
    key::FileKey,
};

/// The most certificates of a chain, its first one included.
pub const CHAIN_LIMIT: usize = 6;
/// The most octets of a chain's text.
pub const TEXT_LIMIT: usize = 64 * 1024;
/// Clocks part by so much at most.
const SKEW_MS: i64 = 5 * 60 * 1000;

/// What a certificate is to be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// To sign certificates of this role.
    Ca(CaRole),
    /// A server's.
    Server,
    /// A client's.
    Client,
}

/// Why a chain is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadChain {
    /// More than [`TEXT_LIMIT`] octets, or more than [`CHAIN_LIMIT`] certificates.
    #[error("the chain is too long: at most {CHAIN_LIMIT} certificates and 64 KiB are taken")]
    TooLong,
    /// There is no certificate in it, or one of them cannot be read.
    #[error("the chain holds no certificates in PEM, or one that cannot be read")]
    Unreadable,
    /// The first certificate is over another key.
    #[error("the first certificate is not over the key that the signing request was made with")]
    OtherKey,
    /// It may not sign certificates, or is a CA and should not be.
    #[error("the first certificate is not one of a CA that may sign certificates and CRLs")]
    NotACa,
    /// It is a CA's.
    #[error("the first certificate is one of a CA; this one is to stand for a single server or client")]
    IsCa,
    /// Its extended key usage is for something else.
    #[error("the first certificate's extended key usage does not allow {0}")]
    Usage(&'static str),
    /// A name is missing.
    #[error("the first certificate does not bear the name {0}")]
    Name(String),
    /// It begins later.
    #[error("certificate {0} of the chain is not valid yet")]
    NotYet(usize),
    /// It has ended.
    #[error("certificate {0} of the chain has ended")]
    Ended(usize),
    /// The next one has not signed it.
    #[error("certificate {0} of the chain was not signed by the one that follows it")]
    Broken(usize),
    /// One above the first is no CA.
    #[error("certificate {0} of the chain is not a CA's")]
    NotACaAbove(usize),
    /// Another of our CAs bears this name, by which lists tell CAs apart.
    #[error("another CA of this system bears the name {0}: ask for another one")]
    SameName(String),
}

/// Judges a chain in PEM: its first certificate is to be over `public_key` (the octets of the subjectPublicKey bit
/// string), for `used`, with all of `names` (host names and addresses).
///
/// # Errors
/// [`BadChain`].
pub fn judge(
    chain_pem: &str,
    public_key: &[u8],
    used: Use,
    names: &[String],
    now: UtcMillis,
) -> Result<Vec<CertificateDer<'static>>, BadChain> {
    if chain_pem.len() > TEXT_LIMIT {
        return Err(BadChain::TooLong);
    }
    let chain = certificates_of(chain_pem);
    if chain.len() > CHAIN_LIMIT {
        return Err(BadChain::TooLong);
    }
    let mut read = Vec::with_capacity(chain.len());
    for der in &chain {
        match X509Certificate::from_der(der) {
            Ok(([], one)) => read.push(one),
            _ => return Err(BadChain::Unreadable),
        }
    }
    let first = read.first().ok_or(BadChain::Unreadable)?;
    if first.public_key().subject_public_key.data.as_ref() != public_key {
        return Err(BadChain::OtherKey);
    }
    judge_use(first, used)?;
    for name in names {
        if !bears(first, name) {
            return Err(BadChain::Name(name.clone()));
        }
    }
    for (index, one) in read.iter().enumerate() {
        let millis = |time: x509_parser::time::ASN1Time| UtcMillis(time.timestamp().saturating_mul(1000));
        if millis(one.validity().not_before) > now.plus(SKEW_MS) {
            return Err(BadChain::NotYet(index + 1));
        }
        if millis(one.validity().not_after) < now {
            return Err(BadChain::Ended(index + 1));
        }
        if index > 0 && !one.is_ca() {
            return Err(BadChain::NotACaAbove(index + 1));
        }
    }
    for (index, pair) in read.windows(2).enumerate() {
        let [below, above] = pair else { continue };
        let signed = below.issuer().as_raw() == above.subject().as_raw()
            && below.verify_signature(Some(above.public_key())).is_ok();
        if !signed {
            return Err(BadChain::Broken(index + 1));
        }
    }
    Ok(chain)
}

fn judge_use(certificate: &X509Certificate<'_>, used: Use) -> Result<(), BadChain> {
    let usage = certificate.extended_key_usage().map_err(|_| BadChain::Unreadable)?.map(|usage| usage.value);
    let key = certificate.key_usage().map_err(|_| BadChain::Unreadable)?.map(|usage| usage.value);
    let any = usage.is_some_and(|usage| usage.any);
    let client = any || usage.is_some_and(|usage| usage.client_auth);
    // Without the extension the CA sets no bounds (RFC 5280 4.2.1.12), and TLS clients take it so for a server.
    let server = any || usage.is_none_or(|usage| usage.server_auth);
    match used {
        Use::Ca(role) => {
            let may = key.is_none_or(|key| key.key_cert_sign() && key.crl_sign());
            if !certificate.is_ca() || !may {
                return Err(BadChain::NotACa);
            }
            // An extended key usage above narrows what stands below it, for many readers.
            let (needs_client, needs_server) = match role {
                CaRole::Device => (true, false),
                CaRole::Link => (true, true),
                CaRole::Server => (false, true),
            };
            if usage.is_some() && needs_client && !client {
                return Err(BadChain::Usage("clientAuth"));
            }
            if usage.is_some() && needs_server && !server {
                return Err(BadChain::Usage("serverAuth"));
            }
            Ok(())
        }
        Use::Server | Use::Client if certificate.is_ca() => Err(BadChain::IsCa),
        Use::Server if !server => Err(BadChain::Usage("serverAuth")),
        Use::Client if !client => Err(BadChain::Usage("clientAuth")),
        Use::Server | Use::Client => Ok(()),
    }
}

fn bears(certificate: &X509Certificate<'_>, wanted: &str) -> bool {
    let all = certificate.extensions().iter().filter_map(|extension| match extension.parsed_extension() {
        ParsedExtension::SubjectAlternativeName(names) => Some(&names.general_names),
        _ => None,
    });
    let address: Option<std::net::IpAddr> = wanted.parse().ok();
    all.flatten().any(|name| match (name, address) {
        (GeneralName::DNSName(found), None) => {
            found.eq_ignore_ascii_case(wanted)
                || found.strip_prefix("*.").is_some_and(|domain| {
                    wanted.split_once('.').is_some_and(|(_, rest)| rest.eq_ignore_ascii_case(domain))
                })
        }
        (GeneralName::IPAddress(octets), Some(std::net::IpAddr::V4(address))) => *octets == address.octets(),
        (GeneralName::IPAddress(octets), Some(std::net::IpAddr::V6(address))) => *octets == address.octets(),
        _ => false,
    })
}

impl Authorities {
    /// Makes a key for the next generation of a role and a signing request over it, for the organisation's own CA.
    /// Gives the row that is to be inserted, and the request, DER.
    ///
    /// # Errors
    /// [`CaError`].
    pub fn request_next(
        &self,
        role: CaRole,
        generation: i64,
        name: Option<&str>,
    ) -> Result<(Authority, Vec<u8>), CaError> {
        let key_file = key_file(role, generation);
        let key = FileKey::create(&self.at(&key_file)).map_err(|error| CaError::Issuer(error.to_string()))?;
        let name = name.map_or_else(|| ca_name(role.as_str(), generation), str::to_owned);
        let request = Ca::request(&name, Box::new(key))?;
        let row = Authority {
            role,
            generation,
            state: CaState::Requested,
            issuer: format!("requested {role} {generation}"),
            name,
            chain: Vec::new(),
            bridge: None,
            key_file,
            not_before: UtcMillis::default(),
            not_after: UtcMillis::default(),
            made_at: UtcMillis::default(),
            made_by: String::new(),
            retired_at: None,
            crl_number: 0,
            crl: None,
            crl_at: None,
            crl_next: None,
            crl_stale: true,
        };
        Ok((row, request))
    }

    /// The signing request of a generation that was requested, made again.
    ///
    /// # Errors
    /// [`CaError`].
    pub fn request_again(&self, requested: &Authority) -> Result<Vec<u8>, CaError> {
        Ca::request(&requested.name, Box::new(self.key_of(requested)?))
    }

    /// Judges the chain that came for a requested generation; gives its row as it will sign.
    ///
    /// # Errors
    /// [`BadChain`]; [`CaError`] where its key cannot be used.
    pub fn certified_next(
        &self,
        requested: &Authority,
        chain_pem: &str,
        known: &[Authority],
        now: UtcMillis,
    ) -> Result<Result<Authority, BadChain>, CaError> {
        use super::key::CaKey as _;
        let key = self.key_of(requested)?;
        let chain = match judge(chain_pem, key.public(), Use::Ca(requested.role), &[], now) {
            Ok(chain) => chain,
            Err(bad) => return Ok(Err(bad)),
        };
        let mut made = row(requested.role, requested.generation, requested.key_file.clone(), &chain, None)?;
        if known.iter().any(|other| other.issuer == made.issuer) {
            return Ok(Err(BadChain::SameName(made.name)));
        }
        made.made_by.clone_from(&requested.made_by);
        made.made_at = requested.made_at;
        made.bridge = self.bridge_to(&chain, key, requested.role, now);
        Ok(Ok(made))
    }

    /// A bridge to a CA whose name another one wrote; none where it cannot be written octet for octet.
    fn bridge_to(
        &self,
        chain: &[CertificateDer<'static>],
        key: FileKey,
        role: CaRole,
        now: UtcMillis,
    ) -> Option<Vec<u8>> {
        let own = chain.first()?;
        let (_, read) = X509Certificate::from_der(own).ok()?;
        let name = distinguished_name(&read)?;
        let next = Ca::with(own.clone(), Box::new(key)).ok()?;
        let before = self.signing(role)?;
        let validity = Validity { now, days: CA_DAYS };
        let made = self.with_generation(&before.issuer, |ca| {
            ca.bridge_named(&next, name, self.serial(), validity).map(|der| der.to_vec())
        });
        made.map_err(|error| tracing::warn!(%error, "no bridge to the new CA")).ok()
    }

    fn key_of(&self, row: &Authority) -> Result<FileKey, CaError> {
        FileKey::open(&self.at(&row.key_file)).map_err(|fault| CaError::Issuer(fault.to_string()))
    }

    /// Removes the key of a generation that never counted.
    pub fn forget_key(&self, row: &Authority) {
        let path = self.at(&row.key_file);
        if let Err(error) = std::fs::remove_file(Path::new(&path)) {
            tracing::warn!(path = %path.display(), %error, "the key of a CA that is not used was not removed");
        }
    }
}

fn distinguished_name(certificate: &X509Certificate<'_>) -> Option<DistinguishedName> {
    let mut name = DistinguishedName::new();
    for attribute in certificate.subject().iter_attributes() {
        let kind = DnType::from_oid(&attribute.attr_type().iter()?.collect::<Vec<_>>());
        let text = std::str::from_utf8(attribute.attr_value().data).ok()?;
        let value = match attribute.attr_value().header.tag() {
            Tag::Utf8String => DnValue::Utf8String(text.to_owned()),
            Tag::PrintableString => DnValue::PrintableString(text.try_into().ok()?),
            Tag::Ia5String => DnValue::Ia5String(text.try_into().ok()?),
            _ => return None,
        };
        name.push(kind, value);
    }
    Some(name)
}
