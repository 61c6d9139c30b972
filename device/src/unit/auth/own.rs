//! The device's own proof.

use postern_wire::{
    auth::{
        HmacHeader, TYPE_BASIC, TYPE_MAC, TYPE_MD5, basic, decode_nonce, mac, md5_digest, user_password_hash,
    },
    syncml::{Cred, Data, Meta, Status},
    terms::AuthType,
};

use super::{super::SessionError, is_type};
use crate::{codes::Code, enrolment::Account, event::Event, state::State};

/// Challenges answered in one session.
const CHALLENGES: u8 = 2;

/// How far the device has come in proving itself.
#[derive(Debug)]
pub(in crate::unit) struct OwnProof {
    nonce: Option<Vec<u8>>,
    /// The nonce came in this session and is not kept yet.
    learned: bool,
    challenges_left: u8,
    accepted: bool,
    /// 212 was given: no Cred for the rest of the session.
    for_session: bool,
}

impl OwnProof {
    /// `resync` takes the place of the kept nonce (OMA-TS-DM_Notification 1.2.1, 5.1).
    pub(in crate::unit) fn new(account: &Account, state: &State, resync: Option<&[u8]>) -> Self {
        let kept = || state.nonces(&account.server_id).and_then(|nonces| nonces.client.clone());
        Self {
            nonce: resync.map(ToOwned::to_owned).or_else(kept),
            learned: false,
            challenges_left: CHALLENGES,
            accepted: false,
            for_session: false,
        }
    }

    /// Cred for the next message. With md5 and no nonce yet there is none: the server challenges.
    pub(in crate::unit) fn cred(&self, account: &Account) -> Option<Cred> {
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

    /// The value of x-syncml-hmac over these octets; none before the first challenge. Once a MAC was accepted
    /// every message has one (SEC 5.4.3), and without a new nonce there can be none.
    pub(in crate::unit) fn mac_over(
        &self,
        account: &Account,
        body: &[u8],
    ) -> Result<Option<String>, SessionError> {
        if account.auth != AuthType::Hmac {
            return Ok(None);
        }
        let Some(nonce) = &self.nonce else {
            let over = SessionError::Misfit("a MAC was accepted and no NextNonce given for the next one");
            return if self.accepted { Err(over) } else { Ok(None) };
        };
        let (user, password) = account.own_credentials();
        let mac = mac(&user_password_hash(user, password), nonce, body);
        Ok(Some(HmacHeader { username: user.to_owned(), mac }.to_string()))
    }

    /// Takes the server's Status for our SyncHdr in; `true` when the last message is to be sent again with
    /// other credentials.
    pub(in crate::unit) fn learn(
        &mut self,
        account: &Account,
        answer: &Status,
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
        if account.auth == AuthType::Hmac {
            self.nonce = None; // one nonce, one message
        }
        let own = match account.auth {
            AuthType::Md5 => TYPE_MD5,
            AuthType::Hmac => TYPE_MAC,
            AuthType::Basic | AuthType::Certificate | AuthType::Signed => return Ok(again),
        };
        if let Some(chal) = answer.chal.as_ref().filter(|chal| is_type(chal, own)) {
            let text = chal.next_nonce.as_deref().unwrap_or_default();
            let nonce = decode_nonce(text).ok_or(SessionError::Misfit("NextNonce is not base64"))?;
            self.nonce = Some(nonce);
            self.learned = true;
        }
        Ok(again)
    }

    /// The server has proved itself: what it gave counts beyond this session.
    pub(in crate::unit) fn keep(&mut self, account: &Account, state: &mut State) {
        if std::mem::take(&mut self.learned) {
            state.nonces_mut(&account.server_id).client.clone_from(&self.nonce);
        }
    }

    fn challenged(&mut self, account: &Account, code: Code, chal: Option<&Meta>) -> Result<(), SessionError> {
        let own = match account.auth {
            AuthType::Basic => TYPE_BASIC,
            AuthType::Md5 => TYPE_MD5,
            AuthType::Hmac => TYPE_MAC,
            AuthType::Certificate | AuthType::Signed => return Err(SessionError::Refused(code)),
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
