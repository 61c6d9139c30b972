//! Who speaks, and may it? (OMA-TS-DM_Security 1.2.1, 5.3; docs/ARCHITECTURE.md, "Who a device says it is, and what it cannot do").
//!
//! A MAC (5.4) is over the exact octets of the body; with it each message proves itself, and one that does not is refused
//! without another challenge.
//!
//! Promise: the scheme is the enrolment's and no other; route, Source LocURI, credentials and certificate name
//! one enrolment or the message is refused; a nonce is used once; compares take constant time.

use postern_wire::{
    auth,
    syncml::{Command, SyncHdr},
    terms::{AuthType, ProofClass},
};
use secrecy::ExposeSecret;

use super::{RefusedReason, Session, Turn};
use crate::{
    account::{Credential, Signature},
    nonce::DEFAULT_NONCES,
};

/// A message whose sender is the enrolment's device.
#[derive(Debug)]
pub(super) struct Proof {
    /// How strongly.
    pub(super) class: ProofClass,
    /// The scheme that used up a nonce: the next one of its kind is due.
    pub(super) nonce_used: Option<AuthType>,
    /// Whether it goes on in the open session.
    pub(super) continues: bool,
    /// The default nonce, where it was proved over that one by leave of a trigger.
    pub(super) resync: Option<&'static [u8]>,
    /// It was proved by the account's next credential.
    pub(super) turned: bool,
}

/// The class that a message proves, and the scheme that used a nonce for it.
type Shown = Result<(ProofClass, Option<AuthType>), RefusedReason>;

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
        let (shown, credential, turned) = self.shown_by_any(header, turn);
        let (class, nonce_used) = match (shown, bound) {
            (Ok(shown), _) => shown,
            (Err(RefusedReason::CredentialsMissing), Some(open)) if self.is_proved_by_session() => {
                (open.class, None)
            }
            (Err(reason @ RefusedReason::CredentialsMissing), Some(_)) if self.scheme() == AuthType::Hmac => {
                return Err(Denial { reason, retry: false }); // SEC 5.4.3: once by MAC, always by MAC
            }
            (Err(reason), _) => {
                let elsewhere = same.is_some_and(|open| open.binding != binding) && header.msg_id > 1;
                let missing = reason == RefusedReason::CredentialsMissing;
                let reason = if elsewhere && missing { RefusedReason::NotTheSessionsPeer } else { reason };
                return Err(Denial { reason, retry: self.may_retry() });
            }
        };
        let class = class.max(self.transport_class(turn));
        match self.identity(header, turn, class, credential) {
            Some(reason) => Err(Denial { reason, retry: false }),
            None => {
                let resync = nonce_used.and_then(|_| self.resync(header, turn, credential));
                Ok(Proof { class, nonce_used, continues: bound.is_some(), resync, turned })
            }
        }
    }

    /// Credentials were accepted for the session (212), so its later messages need none.
    const fn is_proved_by_session(&self) -> bool {
        matches!(self.scheme(), AuthType::Basic | AuthType::Md5)
            && !self.account.quirks.credentials_each_message
    }

    /// The scheme in force: a password account that has proved itself by MAC is held to it.
    pub(super) const fn scheme(&self) -> AuthType {
        match (self.account.auth, self.account.floor) {
            (AuthType::Md5, ProofClass::Mac) => AuthType::Hmac,
            (auth, _) => auth,
        }
    }

    /// Only credentials can be asked for again; a certificate or signature is there or is not.
    const fn may_retry(&self) -> bool {
        matches!(self.scheme(), AuthType::Basic | AuthType::Md5 | AuthType::Hmac)
    }

    /// What this message proves by the credential that counts for it, or, where a session is to begin, by the next one;
    /// and by which.
    fn shown_by_any(&self, header: &SyncHdr, turn: &Turn<'_>) -> (Shown, Option<&Credential>, bool) {
        let now = self.credential(turn);
        let shown = self.shown(header, turn, now);
        let begins = self.open.as_ref().is_none_or(|open| open.session_id != header.session_id);
        let wrong = matches!(shown, Err(RefusedReason::CredentialsWrong));
        match &self.account.next {
            Some(next) if wrong && begins => match self.shown(header, turn, Some(next)) {
                Ok(proved) => (Ok(proved), Some(next), true),
                Err(_) => (shown, now, false),
            },
            _ => (shown, now, false),
        }
    }

    /// What this message itself proves.
    fn shown(&self, header: &SyncHdr, turn: &Turn<'_>, credential: Option<&Credential>) -> Shown {
        match self.scheme() {
            AuthType::Basic => basic(credential, header).map(|()| (ProofClass::Basic, None)),
            // MAC covers the body, so a client that can do it is welcome to.
            AuthType::Md5 if header.cred.is_none() && turn.peer.hmac.is_some() => self.mac(turn, credential),
            AuthType::Md5 => {
                self.md5(header, turn, credential).map(|()| (ProofClass::Md5, Some(AuthType::Md5)))
            }
            AuthType::Certificate => match &turn.peer.certificate {
                Some(certificate) if certificate.names_enrolment => Ok((ProofClass::Certificate, None)),
                Some(_) => Err(RefusedReason::CertificateMismatch),
                None => Err(RefusedReason::CredentialsMissing),
            },
            AuthType::Signed => match turn.peer.signature {
                Signature::Valid => Ok((ProofClass::Signed, None)),
                Signature::Absent | Signature::Repeated | Signature::Invalid => {
                    Err(RefusedReason::SignatureInvalid)
                }
            },
            AuthType::Hmac if header.cred.is_some() && turn.peer.hmac.is_none() => {
                Err(RefusedReason::WrongScheme)
            }
            AuthType::Hmac => self.mac(turn, credential),
        }
    }

    fn mac(&self, turn: &Turn<'_>, credential: Option<&Credential>) -> Shown {
        let given = turn.peer.hmac.as_ref().ok_or(RefusedReason::CredentialsMissing)?;
        let Credential { user, .. } = credential.ok_or(RefusedReason::CredentialsWrong)?;
        let right = self.answers(turn, |nonce| is_mac_over(turn, credential, nonce));
        let named = auth::equal(given.username.as_bytes(), user.as_bytes());
        if right & named {
            Ok((ProofClass::Mac, Some(AuthType::Hmac)))
        } else {
            Err(RefusedReason::CredentialsWrong)
        }
    }

    /// The credential that counts for a message: within a session the one that it began with (SEC-20).
    pub(super) fn credential(&self, turn: &Turn<'_>) -> Option<&Credential> {
        let header = &turn.decoded.message.header;
        let same =
            self.open.as_ref().filter(|open| open.session_id == header.session_id && header.msg_id > 1);
        match same.and_then(|open| open.secrets.as_ref()) {
            Some(secrets) => secrets.0.as_ref(),
            None => self.account.credential.as_ref(),
        }
    }

    pub(super) fn is_mac_over(&self, turn: &Turn<'_>, nonce: &[u8]) -> bool {
        is_mac_over(turn, self.credential(turn), nonce)
    }

    pub(super) fn is_md5_over(&self, header: &SyncHdr, turn: &Turn<'_>, nonce: &[u8]) -> bool {
        is_md5_over(header, self.credential(turn), nonce)
    }

    /// Whether the default nonce may be used: a trigger with it was sent and its time is not over, and this is the first
    /// message of a session that answers one (Alert 1200).
    fn may_resync(&self, turn: &Turn<'_>) -> bool {
        let answers_a_trigger =
            |command: &Command| matches!(command, Command::Alert(alert) if alert.code == 1200);
        self.account.resync_until.is_some_and(|until| turn.now < until)
            && turn.decoded.message.body.iter().any(answers_a_trigger)
    }

    /// The default nonce that a message is proved over, where that is allowed.
    fn resync(
        &self,
        header: &SyncHdr,
        turn: &Turn<'_>,
        credential: Option<&Credential>,
    ) -> Option<&'static [u8]> {
        let is_over = |nonce: &[u8]| {
            if turn.peer.hmac.is_some() && header.cred.is_none() {
                is_mac_over(turn, credential, nonce)
            } else {
                is_md5_over(header, credential, nonce)
            }
        };
        DEFAULT_NONCES.into_iter().find(|nonce| self.may_resync(turn) && is_over(nonce))
    }

    /// Whether a digest is over one of the nonces that the device may use now.
    fn answers(&self, turn: &Turn<'_>, is_over: impl Fn(&[u8]) -> bool) -> bool {
        let stored = self.account.nonce_key.client_nonce(self.account.enrolment, self.account.nonce_counter);
        let candidate = self.candidates.iter().find(|candidate| candidate.is_for(turn));
        let challenge = candidate.and_then(|candidate| candidate.nonce);
        let default = self.may_resync(turn) && DEFAULT_NONCES.iter().any(|nonce| is_over(nonce));
        challenge.is_some_and(|nonce| is_over(&nonce)) | is_over(&stored) | default
    }

    fn md5(
        &self,
        header: &SyncHdr,
        turn: &Turn<'_>,
        credential: Option<&Credential>,
    ) -> Result<(), RefusedReason> {
        cred(header, auth::TYPE_MD5)?;
        let right = self.answers(turn, |nonce| is_md5_over(header, credential, nonce));
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
    fn identity(
        &self,
        header: &SyncHdr,
        turn: &Turn<'_>,
        class: ProofClass,
        credential: Option<&Credential>,
    ) -> Option<RefusedReason> {
        let account = &self.account;
        let certificate = turn.peer.certificate.as_ref();
        let any_source = class >= ProofClass::Certificate
            && header.source.uri != account.device_id
            && self.model(turn).0.volatile_device_id;
        let user = credential.map(|credential| credential.user.as_str());
        let named = header.source.name.as_deref().filter(|name| !name.is_empty());
        if certificate.is_some_and(|certificate| !certificate.names_enrolment) {
            Some(RefusedReason::CertificateMismatch)
        } else if matches!(turn.peer.signature, Signature::Invalid | Signature::Repeated) {
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

fn is_mac_over(turn: &Turn<'_>, credential: Option<&Credential>, nonce: &[u8]) -> bool {
    let (Some(given), Some(credential)) = (&turn.peer.hmac, credential) else { return false };
    let wanted = auth::mac(credential.hash.expose_secret(), nonce, turn.body);
    let octets = |text: &str| auth::decode_base64(text).unwrap_or_default();
    auth::equal(&octets(&wanted), &octets(&given.mac))
}

fn is_md5_over(header: &SyncHdr, credential: Option<&Credential>, nonce: &[u8]) -> bool {
    let (Ok(data), Some(credential)) = (cred(header, auth::TYPE_MD5), credential) else { return false };
    let wanted = auth::md5_digest(credential.hash.expose_secret(), nonce);
    let octets = |text: &str| auth::decode_base64(text).unwrap_or_default();
    auth::equal(&octets(&wanted), &octets(data))
}

pub(super) fn basic(credential: Option<&Credential>, header: &SyncHdr) -> Result<(), RefusedReason> {
    let data = cred(header, auth::TYPE_BASIC)?;
    let wanted = credential.ok_or(RefusedReason::CredentialsWrong)?;
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
