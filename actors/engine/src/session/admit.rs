//! Who speaks, and may it? (OMA-TS-DM_Security 1.2.1, 5.3; docs/ARCHITECTURE.md "Sessions", "Nonces").
//!
//! Promise: the scheme is the enrolment's and no other; route, Source LocURI, credentials and certificate name
//! one enrolment or the message is refused; a nonce is used once; compares take constant time.

use postern_wire::{
    auth,
    syncml::SyncHdr,
    terms::{AuthType, ProofClass},
};
use secrecy::ExposeSecret;

use super::{RefusedReason, Session, Turn};
use crate::account::{Account, Signature};

/// A message whose sender is the enrolment's device.
#[derive(Debug)]
pub(super) struct Proof {
    /// How strongly.
    pub(super) class: ProofClass,
    /// Whether credentials with a nonce were used: the next nonce is due.
    pub(super) nonce_used: bool,
    /// Whether it goes on in the open session.
    pub(super) continues: bool,
}

/// Why a message is not let in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Denial {
    pub(super) reason: RefusedReason,
    /// Whether a challenge may help.
    pub(super) retry: bool,
}

impl Session {
    /// Judges the sender of a message.
    pub(super) fn admit(&self, turn: &Turn<'_>) -> Result<Proof, Denial> {
        let header = &turn.decoded.message.header;
        let binding = turn.peer.certificate.as_ref().map(|certificate| certificate.fingerprint);
        let same = self.open.as_ref().filter(|open| open.session_id == header.session_id);
        let bound = same.filter(|open| open.binding == binding && header.msg_id > open.msg_in);
        let late =
            same.is_some_and(|open| open.binding == binding && (2..=open.msg_in).contains(&header.msg_id));
        if late && !self.candidates.iter().any(|candidate| candidate.is_for(turn)) {
            return Err(Denial { reason: RefusedReason::OutOfOrder, retry: false });
        }
        let (class, nonce_used) = match (self.shown(header, turn), bound) {
            (Ok(shown), _) => shown,
            (Err(RefusedReason::CredentialsMissing), Some(open)) if self.is_proved_by_session() => {
                (open.class, false)
            }
            (Err(reason), _) => {
                let elsewhere = same.is_some_and(|open| open.binding != binding) && header.msg_id > 1;
                let missing = reason == RefusedReason::CredentialsMissing;
                let reason = if elsewhere && missing { RefusedReason::NotTheSessionsPeer } else { reason };
                return Err(Denial { reason, retry: self.may_retry() });
            }
        };
        let class = class.max(self.transport_class(turn));
        match self.identity(header, turn, class) {
            Some(reason) => Err(Denial { reason, retry: false }),
            None => Ok(Proof { class, nonce_used, continues: bound.is_some() }),
        }
    }

    /// Credentials were accepted for the session (212), so its later messages need none.
    const fn is_proved_by_session(&self) -> bool {
        matches!(self.account.auth, AuthType::Basic | AuthType::Md5)
            && !self.account.quirks.credentials_each_message
    }

    /// Only credentials can be asked for again; a certificate or signature is there or is not.
    const fn may_retry(&self) -> bool {
        matches!(self.account.auth, AuthType::Basic | AuthType::Md5)
    }

    /// What this message itself proves: the class, and whether a nonce was used for it.
    fn shown(&self, header: &SyncHdr, turn: &Turn<'_>) -> Result<(ProofClass, bool), RefusedReason> {
        match self.account.auth {
            AuthType::Basic => basic(&self.account, header).map(|()| (ProofClass::Basic, false)),
            AuthType::Md5 => self.md5(header, turn).map(|()| (ProofClass::Md5, true)),
            AuthType::Certificate => match &turn.peer.certificate {
                Some(certificate) if certificate.names_enrolment => Ok((ProofClass::Certificate, false)),
                Some(_) => Err(RefusedReason::CertificateMismatch),
                None => Err(RefusedReason::CredentialsMissing),
            },
            AuthType::Signed => match turn.peer.signature {
                Signature::Valid => Ok((ProofClass::Signed, false)),
                Signature::Absent | Signature::Invalid => Err(RefusedReason::SignatureInvalid),
            },
            // The header x-syncml-hmac is verified here when its issue is built; until then nothing enrols so.
            AuthType::Hmac => Err(RefusedReason::SchemeUnsupported),
        }
    }

    fn md5(&self, header: &SyncHdr, turn: &Turn<'_>) -> Result<(), RefusedReason> {
        let data = cred(header, auth::TYPE_MD5)?;
        let hash =
            self.account.credential.as_ref().ok_or(RefusedReason::CredentialsWrong)?.hash.expose_secret();
        let stored = self.account.nonce_key.client_nonce(self.account.enrolment, self.account.nonce_counter);
        let challenge = self
            .candidates
            .iter()
            .find(|candidate| candidate.is_for(turn))
            .and_then(|candidate| candidate.nonce);
        let given = auth::decode_base64(data).unwrap_or_default();
        let answers = |nonce: &[u8]| {
            let wanted = auth::decode_base64(&auth::md5_digest(hash, nonce)).unwrap_or_default();
            !given.is_empty() && auth::equal(&wanted, &given)
        };
        let right = challenge.is_some_and(|nonce| answers(&nonce)) | answers(&stored);
        if right { Ok(()) } else { Err(RefusedReason::CredentialsWrong) }
    }

    /// What TLS and the signature prove beside the enrolment's own scheme.
    fn transport_class(&self, turn: &Turn<'_>) -> ProofClass {
        match (&turn.peer.signature, &turn.peer.certificate) {
            (Signature::Valid, _) => ProofClass::Signed,
            (_, Some(certificate)) if certificate.names_enrolment => ProofClass::Certificate,
            _ => ProofClass::None,
        }
    }

    /// Whether everything that names an enrolment names this one.
    fn identity(&self, header: &SyncHdr, turn: &Turn<'_>, class: ProofClass) -> Option<RefusedReason> {
        let account = &self.account;
        let certificate = turn.peer.certificate.as_ref();
        let any_source = account.quirks.volatile_device_id && class >= ProofClass::Certificate;
        let user = account.credential.as_ref().map(|credential| credential.user.as_str());
        let named = header.source.name.as_deref().filter(|name| !name.is_empty());
        if certificate.is_some_and(|certificate| !certificate.names_enrolment) {
            Some(RefusedReason::CertificateMismatch)
        } else if turn.peer.signature == Signature::Invalid {
            Some(RefusedReason::SignatureInvalid)
        } else if !any_source && header.source.uri != account.device_id {
            Some(RefusedReason::DeviceIdMismatch)
        } else if header.cred.is_some() && user.is_some() && named.is_some_and(|name| Some(name) != user) {
            Some(RefusedReason::UserMismatch)
        } else if class < account.floor {
            Some(RefusedReason::ClassBelowFloor)
        } else {
            None
        }
    }
}

fn basic(account: &Account, header: &SyncHdr) -> Result<(), RefusedReason> {
    let data = cred(header, auth::TYPE_BASIC)?;
    let wanted = account.credential.as_ref().ok_or(RefusedReason::CredentialsWrong)?;
    let (user, password) = auth::parse_basic(data).ok_or(RefusedReason::CredentialsWrong)?;
    let given = auth::user_password_hash(&user, &password);
    let right = auth::equal(wanted.hash.expose_secret().as_bytes(), given.as_bytes());
    if right && user == wanted.user { Ok(()) } else { Err(RefusedReason::CredentialsWrong) }
}

/// The data of Cred, when it is of the wanted type. A Cred without Type is taken for the wanted one.
fn cred<'a>(header: &'a SyncHdr, wanted: &str) -> Result<&'a str, RefusedReason> {
    let cred = header.cred.as_ref().ok_or(RefusedReason::CredentialsMissing)?;
    let type_ = cred.meta.type_.as_deref().map_or(wanted, str::trim);
    if !type_.eq_ignore_ascii_case(wanted) {
        return Err(RefusedReason::WrongScheme);
    }
    cred.data.as_text().map(str::trim).ok_or(RefusedReason::CredentialsWrong)
}
