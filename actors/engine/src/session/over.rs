//! What a message is proved over: what the recorder asks, so that the same message can be proved again with other secrets.

use postern_wire::{
    auth,
    syncml::Decoded,
    terms::{AuthType, UtcMillis},
};

use super::{Random, Session, Turn, admit};
use crate::{account::Peer, nonce::DEFAULT_NONCES};

/// What credentials or a MAC answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Over {
    /// Nothing that this session would take.
    Nothing,
    /// The user and the password, in clear.
    Password,
    /// The nonce that the enrolment may use.
    Stored,
    /// The nonce of the challenge that this peer got.
    Challenge,
    /// One of the default nonces.
    Default(usize),
}

impl Session {
    /// What the credentials of a message answer.
    pub(crate) fn credentials_over(
        &self,
        decoded: &Decoded,
        body: &[u8],
        peer: &Peer,
        now: UtcMillis,
    ) -> Over {
        let turn = &look(decoded, body, peer, now);
        let header = &decoded.message.header;
        if admit::basic(self.credential(turn), header).is_ok() {
            return Over::Password;
        }
        self.over(turn, |nonce| self.is_md5_over(header, turn, nonce))
    }

    /// What the MAC of a message answers.
    pub(crate) fn mac_over(&self, decoded: &Decoded, body: &[u8], peer: &Peer, now: UtcMillis) -> Over {
        let turn = &look(decoded, body, peer, now);
        self.over(turn, |nonce| self.is_mac_over(turn, nonce))
    }

    /// The octets that [`Over`] means in this session.
    pub(crate) fn nonce_of(
        &self,
        over: Over,
        decoded: &Decoded,
        peer: &Peer,
        now: UtcMillis,
    ) -> Option<Vec<u8>> {
        let turn = look(decoded, &[], peer, now);
        match over {
            Over::Nothing | Over::Password => None,
            Over::Stored => Some(self.stored_nonce().to_vec()),
            Over::Challenge => self.challenge(&turn).map(|nonce| nonce.to_vec()),
            Over::Default(at) => DEFAULT_NONCES.get(at).map(|nonce| nonce.to_vec()),
        }
    }

    /// Whether the next reply is to end the session by our word.
    pub(crate) fn is_aborting(&self) -> bool {
        self.open.as_ref().is_some_and(|open| open.abort)
    }

    /// What the model cannot do beside what profiles say.
    pub(crate) const fn base_quirks(&self) -> crate::account::Quirks {
        self.base
    }

    /// The names of the profiles that the sender of a message matches.
    pub(crate) fn profiles_of(&self, decoded: &Decoded, media: &str, peer: &Peer, now: UtcMillis) -> String {
        self.model(&Turn { media, ..look(decoded, &[], peer, now) }).1
    }

    fn over(&self, turn: &Turn<'_>, is_over: impl Fn(&[u8]) -> bool) -> Over {
        if is_over(&self.stored_nonce()) {
            Over::Stored
        } else if self.challenge(turn).is_some_and(|nonce| is_over(&nonce)) {
            Over::Challenge
        } else {
            let default = DEFAULT_NONCES.iter().position(|nonce| is_over(nonce));
            default.map_or(Over::Nothing, Over::Default)
        }
    }

    fn stored_nonce(&self) -> crate::nonce::Nonce {
        self.account.nonce_key.client_nonce(self.account.enrolment, self.account.nonce_counter)
    }

    fn challenge(&self, turn: &Turn<'_>) -> Option<crate::nonce::Nonce> {
        self.candidates.iter().find(|candidate| candidate.is_for(turn)).and_then(|candidate| candidate.nonce)
    }
}

/// The type that credentials are of, where it is one that we know.
pub(crate) fn scheme_of(type_: Option<&str>, of_account: AuthType) -> Option<AuthType> {
    match type_.map(str::trim) {
        None => Some(of_account),
        Some(type_) if type_.eq_ignore_ascii_case(auth::TYPE_BASIC) => Some(AuthType::Basic),
        Some(type_) if type_.eq_ignore_ascii_case(auth::TYPE_MD5) => Some(AuthType::Md5),
        Some(_) => None,
    }
}

fn look<'a>(decoded: &'a Decoded, body: &'a [u8], peer: &'a Peer, now: UtcMillis) -> Turn<'a> {
    let random = Random([0; 32]);
    Turn { decoded, body, media: "", digest: [0; 32], peer, now, random, effects: Vec::new() }
}
