//! Who is who: the device's Cred and the server's (OMA-TS-DM_Security 5.3, omadm.md 4.2 to 4.5).
//!
//! Promise: a challenge of the enrolment's own type is answered, at most [`CHALLENGES`] times a session; any other
//! ends it. A nonce from a peer that has not proved itself serves this session only. Our own challenge
//! carries a fresh nonce each time.

use postern_wire::{
    auth::{
        NONCE_OCTETS, TYPE_BASIC, TYPE_MD5, basic, decode_nonce, encode_nonce, equal, md5_digest,
        user_password_hash,
    },
    syncml::{Cred, Data, Meta, Status},
    terms::AuthType,
};

use super::{Random, SessionError};
use crate::{
    codes::Code,
    enrolment::{Account, ServerProof},
    event::Event,
    manager::Run,
    state::State,
};

/// Challenges answered in one session.
const CHALLENGES: u8 = 2;
/// Messages with commands that a server without proof may send before the session ends.
const SERVER_FAILURES: u8 = 2;

/// How far the device has come in proving itself.
#[derive(Debug)]
pub(super) struct OwnProof {
    nonce: Option<Vec<u8>>,
    challenges_left: u8,
    accepted: bool,
    /// 212 was given: no Cred for the rest of the session.
    for_session: bool,
}

impl OwnProof {
    pub(super) fn new(_account: &Account, state: &State) -> Self {
        Self {
            nonce: state.client_nonce.clone(),
            challenges_left: CHALLENGES,
            accepted: false,
            for_session: false,
        }
    }

    /// Cred for the next message. With md5 and no nonce yet there is none: the server challenges.
    pub(super) fn cred(&self, account: &Account) -> Option<Cred> {
        if self.for_session {
            return None;
        }
        let (user, password) = account.own_credentials();
        let (kind, data) = match account.auth {
            AuthType::Basic => (TYPE_BASIC, basic(user, password)),
            AuthType::Md5 => {
                let nonce = self.nonce.as_deref()?;
                (TYPE_MD5, md5_digest(&user_password_hash(user, password), nonce))
            }
            AuthType::Hmac | AuthType::Certificate | AuthType::Signed => return None,
        };
        let meta = Meta { format: Some("b64".into()), type_: Some(kind.into()), ..Meta::default() };
        Some(Cred { meta, data: Data::Text(data) })
    }

    /// Takes the server's Status for our SyncHdr in; `true` when the last message is to be sent again with
    /// other credentials.
    pub(super) fn learn(
        &mut self,
        account: &Account,
        answer: &Status,
        peer_is_proved: bool,
        state: &mut State,
        events: &mut Vec<Event>,
    ) -> Result<bool, SessionError> {
        let code = Code(answer.code);
        let again = match code {
            Code::OK | Code::AUTHENTICATED => {
                if !std::mem::replace(&mut self.accepted, true) {
                    events.push(Event::Accepted);
                }
                self.for_session |= code == Code::AUTHENTICATED;
                false
            }
            Code::UNAUTHORISED | Code::CREDENTIALS_MISSING => {
                self.challenged(account, code, answer.chal.as_ref())?;
                events.push(Event::Challenged);
                true
            }
            refused => return Err(SessionError::Refused(refused)),
        };
        let chal =
            answer.chal.as_ref().filter(|chal| account.auth == AuthType::Md5 && is_type(chal, TYPE_MD5));
        if let Some(nonce) = chal.map(|chal| chal.next_nonce.as_deref().unwrap_or_default()) {
            let nonce = decode_nonce(nonce).ok_or(SessionError::Misfit("NextNonce is not base64"))?;
            if peer_is_proved {
                state.client_nonce = Some(nonce.clone());
            }
            self.nonce = Some(nonce);
        }
        Ok(again)
    }

    fn challenged(&mut self, account: &Account, code: Code, chal: Option<&Meta>) -> Result<(), SessionError> {
        let own = match account.auth {
            AuthType::Basic => TYPE_BASIC,
            AuthType::Md5 => TYPE_MD5,
            AuthType::Hmac | AuthType::Certificate | AuthType::Signed => {
                return Err(SessionError::Refused(code));
            }
        };
        let chal = chal.ok_or(SessionError::Refused(code))?;
        if !is_type(chal, own) {
            return Err(SessionError::OtherScheme(chal.type_.clone().unwrap_or_default()));
        }
        // basic never changes: what was refused once is refused again
        if self.challenges_left == 0 || (account.auth == AuthType::Basic && code == Code::UNAUTHORISED) {
            return Err(SessionError::Refused(code));
        }
        self.challenges_left -= 1;
        self.for_session = false;
        Ok(())
    }
}

/// What is thought of the server, and what it is told.
#[derive(Debug)]
pub(super) struct ServerStanding {
    proved: bool,
    failures: u8,
    /// A nonce in a Chal that has not left yet.
    next_nonce: Option<Vec<u8>>,
}

/// What a server message's SyncHdr is answered, and what becomes of its commands.
pub(super) struct Verdict {
    pub(super) code: Code,
    pub(super) chal: Option<Meta>,
    pub(super) run: Run,
}

impl ServerStanding {
    pub(super) fn new(account: &Account) -> Self {
        let proved = matches!(account.server_proof, ServerProof::Tls | ServerProof::Signature);
        Self { proved, failures: 0, next_nonce: None }
    }

    pub(super) const fn is_proved(&self) -> bool {
        self.proved
    }

    /// Judges the Cred of a message. A signature or TLS was judged before the message was read.
    pub(super) fn judge(
        &mut self,
        account: &Account,
        cred: Option<&Cred>,
        state: &State,
        random: Random<'_>,
        events: &mut Vec<Event>,
    ) -> Verdict {
        self.next_nonce = None;
        if self.proved {
            return Verdict { code: Code::AUTHENTICATED, chal: None, run: Run::Execute };
        }
        let md5 = account.server_proof == ServerProof::Md5;
        let mut fresh = || {
            let mut nonce = vec![0; NONCE_OCTETS];
            random(&mut nonce);
            nonce
        };
        if cred.is_some_and(|cred| is_servers(account, cred, state)) {
            self.proved = true;
            events.push(Event::ServerProved);
            self.next_nonce = md5.then(&mut fresh);
            let chal = self.next_nonce.as_deref().map(|nonce| chal(TYPE_MD5, Some(nonce)));
            return Verdict { code: Code::AUTHENTICATED, chal, run: Run::Execute };
        }
        let code = if cred.is_some() { Code::UNAUTHORISED } else { Code::CREDENTIALS_MISSING };
        events.push(Event::ServerRefused { code });
        self.next_nonce = md5.then(&mut fresh);
        let chal = chal(if md5 { TYPE_MD5 } else { TYPE_BASIC }, self.next_nonce.as_deref());
        Verdict { code, chal: Some(chal), run: Run::Refuse(code) }
    }

    /// Counts a message whose commands were refused; the second ends the session.
    pub(super) fn count_failure(&mut self) -> Result<(), SessionError> {
        self.failures += 1;
        if self.failures >= SERVER_FAILURES { Err(SessionError::ServerNotProved) } else { Ok(()) }
    }

    /// The Chal leaves with the next message: from now on its nonce counts.
    pub(super) fn chal_leaves(&mut self, state: &mut State) {
        if let Some(nonce) = self.next_nonce.take() {
            state.server_nonce = Some(nonce);
        }
    }
}

fn is_servers(account: &Account, cred: &Cred, state: &State) -> bool {
    let (name, password) = account.server_credentials();
    let (kind, expected) = match account.server_proof {
        ServerProof::Basic => (TYPE_BASIC, basic(name, password)),
        ServerProof::Md5 => {
            let nonce = state.server_nonce.as_deref().unwrap_or_default();
            (TYPE_MD5, md5_digest(&user_password_hash(name, password), nonce))
        }
        ServerProof::Tls | ServerProof::Signature => return false,
    };
    let shown = cred.data.as_text().unwrap_or_default().trim();
    is_type(&cred.meta, kind) && equal(shown.as_bytes(), expected.as_bytes())
}

fn is_type(meta: &Meta, kind: &str) -> bool {
    meta.type_.as_deref().is_some_and(|text| text.trim().eq_ignore_ascii_case(kind))
}

fn chal(kind: &str, nonce: Option<&[u8]>) -> Meta {
    Meta {
        format: Some("b64".into()),
        type_: Some(kind.into()),
        next_nonce: nonce.map(encode_nonce),
        ..Meta::default()
    }
}
