//! The server's proof, and what it is told of it.

use postern_wire::{
    auth::{
        HmacHeader, NONCE_OCTETS, TYPE_BASIC, TYPE_MAC, TYPE_MD5, basic, equal, mac, md5_digest,
        user_password_hash,
    },
    syncml::{Cred, Meta},
};

use super::{
    super::{Random, SessionError},
    chal, is_type,
};
use crate::{
    codes::Code,
    enrolment::{Account, ServerProof},
    event::Event,
    manager::Run,
    state::State,
};

/// Messages with commands that a server without proof may send before the session ends.
const SERVER_FAILURES: u8 = 2;

/// What a server message shows of its sender.
pub(in crate::unit) struct Shown<'a> {
    /// SyncHdr/Cred.
    pub(in crate::unit) cred: Option<&'a Cred>,
    /// x-syncml-hmac.
    pub(in crate::unit) hmac: Option<&'a str>,
    /// The octets as transmitted.
    pub(in crate::unit) body: &'a [u8],
}

/// What is thought of the server, and what it is told.
#[derive(Debug)]
pub(in crate::unit) struct ServerStanding {
    proved: bool,
    failures: u8,
    /// The nonce that the next proof has to use.
    expected: Option<Vec<u8>>,
    /// A nonce in a Chal that has not left yet.
    next_nonce: Option<Vec<u8>>,
    /// The nonce that the server has just proved itself with.
    used: Option<Vec<u8>>,
    resync: bool,
}

/// What a server message's SyncHdr is answered, and what becomes of its commands.
pub(in crate::unit) struct Verdict {
    pub(in crate::unit) code: Code,
    pub(in crate::unit) chal: Option<Meta>,
    pub(in crate::unit) run: Run,
}

impl ServerStanding {
    /// `resync` takes the place of the kept nonce (OMA-TS-DM_Notification 1.2.1, 5.1).
    pub(in crate::unit) fn new(account: &Account, state: &State, resync: Option<&[u8]>) -> Self {
        let kept = || state.nonces(&account.server_id).and_then(|nonces| nonces.server.clone());
        Self {
            proved: matches!(account.server_proof, ServerProof::Tls | ServerProof::Signature),
            failures: 0,
            expected: resync.map(ToOwned::to_owned).or_else(kept),
            next_nonce: None,
            used: None,
            resync: resync.is_some(),
        }
    }

    pub(in crate::unit) const fn is_proved(&self) -> bool {
        self.proved
    }

    /// Judges what a message shows. A signature or TLS was judged before the message was read. A server that
    /// leaves its MAC out once it has shown one ends the session (SEC 5.4.3).
    pub(in crate::unit) fn judge(
        &mut self,
        account: &Account,
        shown: &Shown<'_>,
        random: Random<'_>,
        events: &mut Vec<Event>,
    ) -> Result<Verdict, SessionError> {
        self.next_nonce = None;
        let (kind, accepted) = match account.server_proof {
            ServerProof::Tls | ServerProof::Signature => (None, Code::AUTHENTICATED),
            ServerProof::Basic => (Some(TYPE_BASIC), Code::AUTHENTICATED),
            ServerProof::Md5 => (Some(TYPE_MD5), Code::AUTHENTICATED),
            ServerProof::Hmac => (Some(TYPE_MAC), Code::OK),
        };
        let each_message = account.server_proof == ServerProof::Hmac;
        let Some(kind) = kind.filter(|_| !self.proved || each_message) else {
            return Ok(Verdict { code: Code::AUTHENTICATED, chal: None, run: Run::Execute });
        };
        let shows = if each_message { shown.hmac.is_some() } else { shown.cred.is_some() };
        let is_servers = self.is_servers(account, shown);
        if self.proved && !is_servers {
            return Err(SessionError::ServerNotProved);
        }
        if kind != TYPE_BASIC {
            let mut nonce = vec![0; NONCE_OCTETS];
            random(&mut nonce);
            self.next_nonce = Some(nonce);
        }
        if is_servers {
            if !std::mem::replace(&mut self.proved, true) {
                events.push(Event::ServerProved);
            }
            self.used = self.expected.clone().filter(|_| !self.resync && kind != TYPE_BASIC);
            let chal = self.next_nonce.as_deref().map(|nonce| chal(kind, Some(nonce)));
            return Ok(Verdict { code: accepted, chal, run: Run::Execute });
        }
        let code = if shows { Code::UNAUTHORISED } else { Code::CREDENTIALS_MISSING };
        events.push(Event::ServerRefused { code });
        let chal = chal(kind, self.next_nonce.as_deref());
        Ok(Verdict { code, chal: Some(chal), run: Run::Refuse(code) })
    }

    /// Whether the proof is the account's. Without a nonce that was agreed on before, none is: what a server
    /// computed with a nonce known to everybody could be a replay.
    fn is_servers(&self, account: &Account, shown: &Shown<'_>) -> bool {
        let (name, password) = account.server_credentials();
        let cred = |kind, expected: String| {
            shown.cred.is_some_and(|cred| {
                let data = cred.data.as_text().unwrap_or_default().trim();
                is_type(&cred.meta, kind) && equal(data.as_bytes(), expected.as_bytes())
            })
        };
        match (account.server_proof, &self.expected) {
            (ServerProof::Basic, _) => cred(TYPE_BASIC, basic(name, password)),
            (ServerProof::Md5, Some(nonce)) => {
                cred(TYPE_MD5, md5_digest(&user_password_hash(name, password), nonce))
            }
            (ServerProof::Hmac, Some(nonce)) => {
                let header = shown.hmac.and_then(|value| HmacHeader::parse(value).ok());
                header.is_some_and(|header| {
                    let expected = mac(&user_password_hash(name, password), nonce, shown.body);
                    header.username == name && equal(header.mac.as_bytes(), expected.as_bytes())
                })
            }
            _ => false,
        }
    }

    /// Counts a message whose commands were refused; the second ends the session.
    pub(in crate::unit) fn count_failure(&mut self) -> Result<(), SessionError> {
        self.failures += 1;
        if self.failures >= SERVER_FAILURES { Err(SessionError::ServerNotProved) } else { Ok(()) }
    }

    /// The Chal leaves with the next message: from now on its nonce counts. Beyond this session only for a
    /// server that has proved itself: a stranger must not part device and server.
    pub(in crate::unit) fn chal_leaves(&mut self, account: &Account, state: &mut State) {
        if let Some(nonce) = self.next_nonce.take() {
            if self.proved {
                state.nonces_mut(&account.server_id).issue(nonce.clone());
            }
            self.expected = Some(nonce);
        }
    }

    /// The server answered the message that a nonce went out with: the one before it is no longer in use. What a server
    /// proved itself with is its nonce until it gets another, whoever it was issued to: notifications are made with it.
    pub(in crate::unit) fn answered(&mut self, account: &Account, state: &mut State) {
        if !self.proved {
            return;
        }
        if state.nonces(&account.server_id).is_some_and(|nonces| nonces.server_before.is_some()) {
            state.nonces_mut(&account.server_id).confirm();
        }
        if let Some(used) = self.used.take() {
            state.nonces_mut(&account.server_id).server = Some(used);
        }
    }
}
