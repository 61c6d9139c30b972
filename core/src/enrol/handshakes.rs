//! Handshakes between their start and their finish.
//!
//! Promise: only who knows a password, or repeats one who does, has one here; each code has few, all have an end, and
//! all together are bounded.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use postern_wire::enrol::{HANDSHAKE_LIFE_MS, HandshakeId, RequestCode, Waiting};

/// All of them: some 1 KiB each.
const MOST: usize = 8_192;
/// Of one code: a device that begins again, and a few repetitions by somebody who listens.
const EACH: usize = 4;

#[derive(Debug, Default)]
pub(super) struct Handshakes(Mutex<HashMap<HandshakeId, Kept>>);

#[derive(Debug)]
struct Kept {
    waiting: Waiting,
    since: Duration,
}

impl Handshakes {
    /// Keeps one; false where there is no room.
    pub(super) fn keep(&self, waiting: Waiting, now: Duration) -> bool {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MOST {
            kept.retain(|_, one| one.lives(now));
        }
        if kept.len() >= MOST {
            return false;
        }
        let code = waiting.code();
        if let Some(oldest) = oldest_of(&kept, code) {
            kept.remove(&oldest);
        }
        kept.insert(waiting.handshake(), Kept { waiting, since: now });
        true
    }

    /// Takes one out, if it still lives.
    pub(super) fn take(&self, id: HandshakeId, now: Duration) -> Option<Waiting> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.remove(&id).filter(|one| one.lives(now)).map(|one| one.waiting)
    }
}

impl Kept {
    fn lives(&self, now: Duration) -> bool {
        let life = Duration::from_millis(HANDSHAKE_LIFE_MS.unsigned_abs());
        now.saturating_sub(self.since) <= life
    }
}

/// The oldest handshake of a code that has as many as it may.
fn oldest_of(kept: &HashMap<HandshakeId, Kept>, code: RequestCode) -> Option<HandshakeId> {
    let mut own: Vec<_> = kept.iter().filter(|(_, one)| one.waiting.code() == code).collect();
    if own.len() < EACH {
        return None;
    }
    own.sort_by_key(|(_, one)| one.since);
    own.first().map(|(id, _)| **id)
}

#[cfg(test)]
mod tests {
    use postern_wire::enrol::{Der, Hello, Initiator, KeyType, OneTimePassword, Responder, Start, Welcome};
    use secrecy::zeroize::Zeroizing;

    use super::*;

    /// A handshake of the password of this number, with randomness of that one.
    fn waiting(password: u8, random: u8) -> Waiting {
        let password = OneTimePassword::from_random(&[password; 14]);
        let psk = postern_wire::enrol::Psk::from_bytes([9; 32]);
        let hello = Hello { software: "test".to_owned(), platform: "test".to_owned() };
        let ephemeral = |octet| Zeroizing::new([octet; 32]);
        let (_, body) = Initiator::start(password.code(), &psk, &hello, ephemeral(random)).unwrap();
        let start = Start::read(&body).unwrap();
        let (responder, _) = Responder::start(&start, Some(&psk), ephemeral(random.wrapping_add(1))).unwrap();
        let der = || Der(vec![1]);
        let welcome = Welcome {
            server_cas: vec![der()],
            device_cas: vec![der()],
            message_key: der(),
            order_key: der(),
            key_type: KeyType::EcdsaP256,
            escrow_key: None,
        };
        responder.welcome(&welcome).unwrap().0
    }

    #[test]
    fn a_handshake_is_taken_once_and_ends_after_two_minutes() {
        let kept = Handshakes::default();
        let (one, two) = (waiting(1, 1), waiting(1, 3));
        let (first, second) = (one.handshake(), two.handshake());
        let at = Duration::from_secs;
        assert!(kept.keep(one, at(0)) && kept.keep(two, at(0)));
        assert!(kept.take(first, at(120)).is_some());
        assert!(kept.take(first, at(120)).is_none());
        assert!(kept.take(second, at(121)).is_none());
    }

    #[test]
    fn a_code_has_few_and_the_oldest_makes_room() {
        let kept = Handshakes::default();
        let all: Vec<_> = (0..6).map(|number| waiting(1, 10 * number + 1)).collect();
        let ids: Vec<_> = all.iter().map(Waiting::handshake).collect();
        for (second, one) in (0..).zip(all) {
            assert!(kept.keep(one, Duration::from_secs(second)));
        }
        let now = Duration::from_secs(6);
        let left: Vec<_> = ids.iter().map(|id| kept.take(*id, now).is_some()).collect();
        assert_eq!(left, [false, false, true, true, true, true]);
    }
}
