//! The CAs of a running core by role and generation, behind the actors' [`Authority`].
//!
//! Promise: the rows (`postern_store::authorities`) say which generations there are and where each stands; the files of
//! the state folder hold the keys. What cannot sign says why ([`Authorities::troubles`]) and costs what it would have
//! issued, nothing else. Who asks writes what was issued into its own transaction ([`Certified::row`]).

use std::{path::Path, sync::Arc};

use arc_swap::ArcSwap;
use postern_actors::{Anchors, Authority, AuthorityError, DeviceCsr, IssuedDevice, Randomness};
use postern_store::{ReadError, Store, WriteError, authorities as rows};
use postern_wire::terms::{CaRole, CaState, UtcMillis};
use rustls_pki_types::{CertificateDer, pem::PemObject as _};

use super::{
    CA_DAYS, Ca, CaError, Subject, Validity, ca_name,
    certified::{Certified, certified},
    key::{FileKey, KeyFault},
};
use crate::{config::Config, files};

/// The CAs that this core signs with, and what it tells others to trust.
pub struct Authorities {
    held: ArcSwap<Held>,
    config: Config,
    random: Arc<dyn Randomness>,
}

#[derive(Default)]
struct Held {
    version: i64,
    generations: Vec<Generation>,
    /// Why the files of the first generations could not be taken over.
    troubles: Vec<String>,
}

/// One generation of one role.
struct Generation {
    row: rows::Authority,
    chain: Vec<CertificateDer<'static>>,
    signer: Result<Ca, String>,
}

impl Authorities {
    /// CAs that are not read yet: [`Authorities::begin`] does that.
    #[must_use]
    pub fn new(config: &Config, random: Arc<dyn Randomness>) -> Self {
        Self { held: ArcSwap::default(), config: config.clone(), random }
    }

    /// Takes the state folder's CAs into the rows where a role has none yet, and reads the rows. For the active core.
    ///
    /// # Errors
    /// Where the rows cannot be written.
    pub async fn begin(&self, store: &Store) -> Result<(), WriteError> {
        let (first, troubles) = self.first_generations();
        let held = store
            .write(move |tx| {
                let known = rows::list(tx)?;
                for row in &first {
                    if !known.iter().any(|other| other.role == row.role) {
                        rows::insert(tx, rows::Authority { made_at: tx.now(), ..row.clone() })?;
                    }
                }
                Ok((rows::trust_version(tx)?, rows::list(tx)?))
            })
            .await?;
        self.hold(held, troubles);
        Ok(())
    }

    /// Reads the rows again, after one has changed.
    ///
    /// # Errors
    /// Where they cannot be read.
    pub async fn refresh(&self, store: &Store) -> Result<(), ReadError> {
        let held = store.read(|r| Ok((rows::trust_version(r)?, rows::list(r)?))).await?;
        let troubles = self.held.load().troubles.clone();
        self.hold(held, troubles);
        Ok(())
    }

    /// What is wrong: a CA that cannot sign, a key that others may read. A sentence each.
    #[must_use]
    pub fn troubles(&self) -> Vec<String> {
        let held = self.held.load();
        let mut troubles = held.troubles.clone();
        for role in CaRole::ALL {
            match held.signing(*role) {
                Some(Generation { signer: Err(reason), row, .. }) => {
                    troubles.push(format!(
                        "the {role} CA of generation {} cannot sign: {reason}",
                        row.generation
                    ));
                }
                None if held.generations.iter().any(|one| one.row.role == *role) => {
                    troubles.push(format!("no generation of the {role} CA signs"));
                }
                _ => {}
            }
        }
        troubles
    }

    /// The version of the trust that stands here.
    #[must_use]
    pub fn version(&self) -> i64 {
        self.held.load().version
    }

    /// A certificate over the key of a signing request in DER; `days` is shortened to what the CA has left.
    ///
    /// # Errors
    /// [`AuthorityError`].
    pub fn certify(
        &self,
        request_der: &[u8],
        subject: &Subject,
        days: u32,
        now: UtcMillis,
    ) -> Result<Certified, AuthorityError> {
        self.with_signer(subject.role(), |generation, ca| {
            let issued = ca
                .sign_request_der(request_der, subject, self.serial(), Validity { now, days })
                .map_err(refused)?;
            certified(&generation.row, &generation.chain, subject, issued)
        })
    }

    /// A new key and a certificate over it; gives the key in PEM.
    ///
    /// # Errors
    /// [`AuthorityError`].
    pub fn certify_new(
        &self,
        subject: &Subject,
        days: u32,
        now: UtcMillis,
    ) -> Result<(Certified, zeroize::Zeroizing<String>), AuthorityError> {
        self.with_signer(subject.role(), |generation, ca| {
            let (issued, key) = ca.issue(subject, self.serial(), Validity { now, days }).map_err(refused)?;
            Ok((
                certified(&generation.row, &generation.chain, subject, issued)?,
                zeroize::Zeroizing::new(key),
            ))
        })
    }

    /// Which generation bears this name as issuer.
    #[must_use]
    pub fn generation_of(&self, issuer: &str) -> Option<i64> {
        let held = self.held.load();
        held.generations.iter().find(|one| one.row.issuer == issuer).map(|one| one.row.generation)
    }

    /// The generation of a role that signs.
    #[must_use]
    pub fn signing(&self, role: CaRole) -> Option<rows::Authority> {
        self.held.load().signing(role).map(|generation| generation.row.clone())
    }

    /// The certificates of a role's CAs that are in one of these states, DER, the newest first: of each its own.
    #[must_use]
    pub fn certificates(&self, role: CaRole, states: &[CaState]) -> Vec<Vec<u8>> {
        self.held.load().own(role, states)
    }

    /// Makes the next generation's key and certificate, with the bridge from the one that signs; nothing is written but
    /// the key's file.
    ///
    /// # Errors
    /// [`CaError`].
    pub(super) fn make_next(
        &self,
        role: CaRole,
        generation: i64,
        now: UtcMillis,
    ) -> Result<rows::Authority, CaError> {
        let key_file = key_file(role, generation);
        let path = self.config.at(Path::new(&key_file));
        let validity = Validity { now, days: CA_DAYS };
        let key = FileKey::create(&path).map_err(|error| CaError::Issuer(error.to_string()))?;
        let name = ca_name(role.as_str(), generation);
        let next = Ca::make_with(&name, Box::new(key), self.serial(), validity)?;
        let held = self.held.load();
        let bridge = match held.signing(role).map(|before| &before.signer) {
            Some(Ok(before)) => Some(before.bridge(&next, &name, self.serial(), validity)?.to_vec()),
            _ => None,
        };
        row(role, generation, key_file, std::slice::from_ref(next.certificate()), bridge)
    }

    /// Runs `with` with a generation that can sign: for its CRL.
    pub(super) fn with_generation<T>(
        &self,
        issuer: &str,
        with: impl FnOnce(&Ca) -> Result<T, CaError>,
    ) -> Result<T, CaError> {
        let held = self.held.load();
        let generation = held.generations.iter().find(|one| one.row.issuer == issuer);
        match generation.map(|generation| &generation.signer) {
            Some(Ok(ca)) => with(ca),
            Some(Err(reason)) => Err(CaError::Issuer(reason.clone())),
            None => Err(CaError::Issuer("there is no such CA".to_owned())),
        }
    }

    /// The path of a file of the state folder.
    pub(super) fn at(&self, path: &str) -> std::path::PathBuf {
        self.config.at(Path::new(path))
    }

    pub(super) fn serial(&self) -> [u8; 16] {
        let mut serial = [0; 16];
        self.random.fill(&mut serial);
        serial
    }

    fn with_signer<T>(
        &self,
        role: CaRole,
        with: impl FnOnce(&Generation, &Ca) -> Result<T, AuthorityError>,
    ) -> Result<T, AuthorityError> {
        let held = self.held.load();
        let none = || AuthorityError::Unavailable(format!("no {role} CA signs on this core"));
        let generation = held.signing(role).ok_or_else(none)?;
        let ca = generation.signer.as_ref().map_err(|reason| AuthorityError::Unavailable(reason.clone()))?;
        with(generation, ca)
    }

    fn hold(&self, (version, read): (i64, Vec<rows::Authority>), troubles: Vec<String>) {
        let generations = read
            .into_iter()
            .map(|row| {
                let chain = split(&row.chain);
                let signer = self.signer(&row, &chain);
                Generation { row, chain, signer }
            })
            .collect();
        self.held.store(Arc::new(Held { version, generations, troubles }));
    }

    fn signer(&self, row: &rows::Authority, chain: &[CertificateDer<'static>]) -> Result<Ca, String> {
        let own = chain.first().ok_or("it has no certificate yet")?.clone();
        if row.key_file.is_empty() {
            return Err("its key is not ours".to_owned());
        }
        let key = FileKey::open(&self.at(&row.key_file)).map_err(|fault| match fault {
            KeyFault::Read { .. } => {
                format!("{fault}; copy it from the core that made it, or from your backup")
            }
            other => other.to_string(),
        })?;
        Ca::with(own, Box::new(key)).map_err(|error| error.to_string())
    }

    /// The CAs of the state folder as rows.
    fn first_generations(&self) -> (Vec<rows::Authority>, Vec<String>) {
        let config = &self.config;
        let beside = |path: &Path| path.with_extension("key");
        let files = [
            (CaRole::Device, config.devices.ca.clone(), config.devices.ca_key.clone()),
            (CaRole::Link, config.links.ca.clone(), beside(&config.links.ca)),
            (CaRole::Server, "ca/server-ca.pem".into(), "ca/server-ca.key".into()),
        ];
        let (mut found, mut troubles) = (Vec::new(), Vec::new());
        for (role, certificate, key) in files {
            let read = files::read(&config.at(&certificate)).map_err(|error| error.to_string());
            let made = read.and_then(|pem| {
                let chain = certificates_of(&pem);
                row(role, 1, key.display().to_string(), &chain, None).map_err(|error| error.to_string())
            });
            match made {
                Ok(row) => found.push(row),
                Err(reason) => troubles.push(format!("the {role} CA cannot be used: {reason}")),
            }
        }
        (found, troubles)
    }
}

impl Authority for Authorities {
    fn issue_device(&self, request: DeviceCsr<'_>, now: UtcMillis) -> Result<IssuedDevice, AuthorityError> {
        let subject = match request.dns_name {
            None => Subject::Device(request.enrolment),
            Some(name) => Subject::DeviceWithName { id: request.enrolment, dns_name: name.to_owned() },
        };
        let made = self.certify(request.der, &subject, self.config.devices.certificate_days, now)?;
        Ok(IssuedDevice {
            serial: made.name.serial,
            issuer: made.name.issuer,
            authority: u64::try_from(made.authority).unwrap_or(0),
            enrolment: request.enrolment,
            dns_name: request.dns_name.map(str::to_owned),
            chain_der: made.chain_der,
            fingerprint: made.issued.fingerprint,
            not_before: made.issued.not_before,
            not_after: made.issued.not_after,
            der: made.issued.der,
        })
    }

    fn anchors(&self) -> Anchors {
        let held = self.held.load();
        Anchors { server: held.server_anchors(), device: held.own(CaRole::Device, TRUSTED) }
    }
}

/// The states in which a CA's certificates are good.
pub(super) const TRUSTED: &[CaState] = &[CaState::Signing, CaState::Trusted];

impl Held {
    fn signing(&self, role: CaRole) -> Option<&Generation> {
        self.generations.iter().find(|one| one.row.role == role && one.row.state == CaState::Signing)
    }

    fn of<'a>(&'a self, role: CaRole, states: &'a [CaState]) -> impl Iterator<Item = &'a Generation> {
        self.generations.iter().filter(move |one| one.row.role == role && states.contains(&one.row.state))
    }

    fn own(&self, role: CaRole, states: &[CaState]) -> Vec<Vec<u8>> {
        self.of(role, states).filter_map(|one| one.chain.first()).map(|der| der.to_vec()).collect()
    }

    /// What devices trust: the top of each chain, which is the organisation's root where our CA stands below one.
    fn server_anchors(&self) -> Vec<Vec<u8>> {
        self.of(CaRole::Server, TRUSTED).filter_map(|one| one.chain.last()).map(|der| der.to_vec()).collect()
    }
}

/// Where the key of a generation is.
pub(super) fn key_file(role: CaRole, generation: i64) -> String {
    match generation {
        1 => format!("ca/{role}-ca.key"),
        _ => format!("ca/{role}-ca-{generation}.key"),
    }
}

/// A row that signs, of a CA's chain: its own certificate first.
pub(super) fn row(
    role: CaRole,
    generation: i64,
    key_file: String,
    chain: &[CertificateDer<'_>],
    bridge: Option<Vec<u8>>,
) -> Result<rows::Authority, CaError> {
    use x509_parser::prelude::{FromDer as _, X509Certificate};
    let own = chain.first().ok_or_else(|| CaError::Issuer("its file holds no certificate".to_owned()))?;
    let (_, read) = X509Certificate::from_der(own)
        .map_err(|_| CaError::Issuer("its certificate is not X.509".to_owned()))?;
    if !read.is_ca() {
        return Err(CaError::Issuer("its certificate is not a CA's".to_owned()));
    }
    let millis = |time: x509_parser::time::ASN1Time| UtcMillis(time.timestamp().saturating_mul(1000));
    Ok(rows::Authority {
        role,
        generation,
        state: CaState::Signing,
        name: read.subject().to_string(),
        issuer: postern_wire::link::issuer_hash(read.subject().as_raw()),
        chain: chain.iter().flat_map(|der| der.to_vec()).collect(),
        bridge,
        key_file,
        not_before: millis(read.validity().not_before),
        not_after: millis(read.validity().not_after),
        made_at: UtcMillis::default(),
        made_by: "service:init".to_owned(),
        retired_at: None,
        crl_number: 0,
        crl: None,
        crl_at: None,
        crl_next: None,
        crl_stale: true,
    })
}

/// The chain of a CA: its own certificate first.
pub(crate) fn chain_of(row: &rows::Authority) -> Vec<CertificateDer<'static>> {
    split(&row.chain)
}

/// Certificates in DER, one behind the other.
pub(super) fn split(octets: &[u8]) -> Vec<CertificateDer<'static>> {
    use x509_parser::prelude::{FromDer as _, X509Certificate};
    let (mut rest, mut found) = (octets, Vec::new());
    while let Ok((after, _)) = X509Certificate::from_der(rest) {
        found.push(CertificateDer::from(rest[..rest.len() - after.len()].to_vec()));
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
    found
}

/// The certificates of a PEM text; what is none is left out.
#[must_use]
pub fn certificates_of(pem: &str) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pem.as_bytes()).filter_map(Result::ok).collect()
}

fn refused(error: CaError) -> AuthorityError {
    match error {
        CaError::Request(fault) => AuthorityError::Request(fault),
        other => AuthorityError::Unavailable(other.to_string()),
    }
}
