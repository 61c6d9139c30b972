//! What the facts of a peer prove, for this enrolment: the engine gets verdicts.
//!
//! A message signature counts when it was made with the enrolled certificate's key, names this enrolment, is
//! fresh, and has not been used: nonces are held for the window, and across passivation and restarts `created`
//! must rise, so that nothing else has to be kept. A device whose clock was set back has to wait for so long.

use std::collections::VecDeque;

use postern_engine::account::{Peer, PeerCertificate, Signature};
use postern_wire::{auth::HmacHeader, terms::UtcMillis};
use sha2::{Digest as _, Sha256};

use super::live::Live;
use crate::{CheckIn, PeerFacts, SignatureFacts, SignatureVerdict, Standing, shared::Shared};

/// Nonces that are held at most; beyond them a signature is refused.
const NONCES: usize = 512;
/// In which a byte-equal message with the same nonce is the same message again.
const REPEAT_MS: i64 = 60_000;

/// The nonces of an enrolment within the window.
#[derive(Debug)]
pub(crate) struct Window {
    /// `created` must be above this, in seconds.
    floor_s: i64,
    newest_s: i64,
    used: VecDeque<Used>,
}

#[derive(Debug)]
struct Used {
    nonce: [u8; 16],
    body: [u8; 8],
    at: UtcMillis,
}

impl Window {
    /// A window after the newest signature of an earlier life, or after the core's start.
    pub(crate) fn new(signed_s: u32, started: UtcMillis) -> Self {
        let floor_s = match signed_s {
            // What was signed in the second of the start was not answered by an earlier core.
            0 => started.0.div_euclid(1000) - 1,
            newest => i64::from(newest),
        };
        Self { floor_s, newest_s: i64::from(signed_s), used: VecDeque::new() }
    }

    /// `created` of the newest signature; 0 is none.
    pub(crate) fn newest_s(&self) -> u32 {
        u32::try_from(self.newest_s).unwrap_or(0)
    }

    /// Takes a signature that verified, and tells whether it is the same message again.
    fn take(
        &mut self,
        facts: &SignatureFacts,
        body: &[u8],
        now: UtcMillis,
        window_ms: i64,
    ) -> Result<Signature, &'static str> {
        let created_s = facts.created.0.div_euclid(1000);
        let off = now.since(facts.created);
        if off.abs() > window_ms {
            return Err("it is not fresh");
        }
        if created_s <= self.floor_s {
            return Err("it is not newer than the last session's, or than the core's start");
        }
        while self.used.front().is_some_and(|used| now.since(used.at) > 2 * window_ms) {
            self.used.pop_front();
        }
        let digest: [u8; 32] = Sha256::digest(body).into();
        let body: [u8; 8] = digest[..8].try_into().expect("8 of 32 octets");
        if let Some(used) = self.used.iter().find(|used| used.nonce == facts.nonce) {
            let repeat = used.body == body && now.since(used.at) <= REPEAT_MS;
            return if repeat { Ok(Signature::Repeated) } else { Err("its nonce was used before") };
        }
        if self.used.len() >= NONCES {
            return Err("too many signatures in the window");
        }
        self.used.push_back(Used { nonce: facts.nonce, body, at: now });
        self.newest_s = self.newest_s.max(created_s);
        Ok(Signature::Valid)
    }
}

/// The peer as the engine is told of it.
pub(crate) fn peer(live: &mut Live, shared: &Shared, request: &CheckIn, now: UtcMillis) -> Peer {
    let PeerFacts { certificate, signature, source, .. } = &request.peer;
    let signature = match signature {
        SignatureVerdict::Absent => Signature::Absent,
        SignatureVerdict::Invalid(_) => Signature::Invalid,
        SignatureVerdict::Verified(facts) => match judge(live, shared, facts, &request.body, now) {
            Ok(verdict) => verdict,
            Err(cause) => {
                tracing::info!(device = %live.enrolment, cause, "message signature refused");
                Signature::Invalid
            }
        },
    };
    let certificate = certificate.as_ref().map(|certificate| PeerCertificate {
        fingerprint: certificate.fingerprint,
        names_enrolment: certificate.enrolment == Some(live.enrolment)
            // Its chain was proved to the gateway alone: only the enrolled certificate counts, or the one that is to take its
            // place, never one like it.
            && (live.fingerprint == Some(certificate.fingerprint)
                || live.next == Some(certificate.fingerprint)),
    });
    let source = source.map_or_else(String::new, |address| address.to_string());
    // What cannot be read verifies for nobody: no mac is empty.
    let unreadable = |_| HmacHeader { username: String::new(), mac: String::new() };
    let hmac = request.peer.hmac.as_deref().map(|text| HmacHeader::parse(text).unwrap_or_else(unreadable));
    let user_agent = request.peer.user_agent.clone();
    Peer {
        certificate,
        signature,
        hmac,
        user_agent,
        source,
        wipe_only: request.peer.standing == Standing::WipeOnly,
    }
}

fn judge(
    live: &mut Live,
    shared: &Shared,
    facts: &SignatureFacts,
    body: &[u8],
    now: UtcMillis,
) -> Result<Signature, &'static str> {
    if facts.key_id != live.enrolment {
        return Err("its keyid names another enrolment");
    }
    if live.fingerprint != Some(facts.fingerprint) && live.next != Some(facts.fingerprint) {
        return Err("its certificate is not the enrolled one");
    }
    let window_ms = i64::try_from(shared.settings.signature_window.as_millis()).unwrap_or(i64::MAX / 4);
    live.window.take(facts, body, now, window_ms)
}

#[cfg(test)]
mod tests {
    use postern_wire::terms::EnrolmentId;

    use super::*;

    const WINDOW_MS: i64 = 300_000;

    fn signed(nonce: u8, created_s: i64) -> SignatureFacts {
        SignatureFacts {
            key_id: EnrolmentId(uuid::Uuid::nil()),
            created: UtcMillis(created_s * 1000),
            nonce: [nonce; 16],
            fingerprint: [0; 32],
        }
    }

    #[test]
    fn a_signature_counts_once_and_a_message_that_is_repeated_soon_is_told_apart() {
        let mut window = Window::new(0, UtcMillis(1_000_000));
        let at = |s: i64| UtcMillis(s * 1000);
        assert_eq!(window.take(&signed(1, 1010), b"one", at(1010), WINDOW_MS), Ok(Signature::Valid));
        assert_eq!(window.take(&signed(1, 1010), b"one", at(1020), WINDOW_MS), Ok(Signature::Repeated));
        assert!(window.take(&signed(1, 1010), b"two", at(1020), WINDOW_MS).is_err());
        assert!(window.take(&signed(1, 1010), b"one", at(1200), WINDOW_MS).is_err());
    }

    #[test]
    fn a_signature_from_outside_the_window_or_from_an_earlier_life_is_refused() {
        let now = UtcMillis(2_000_000);
        let mut window = Window::new(1_950, UtcMillis(0));
        assert!(window.take(&signed(1, 1_650), b"", now, WINDOW_MS).is_err());
        assert!(window.take(&signed(2, 2_301), b"", now, WINDOW_MS).is_err());
        assert!(window.take(&signed(3, 1_950), b"", now, WINDOW_MS).is_err());
        assert_eq!(window.take(&signed(4, 1_951), b"", now, WINDOW_MS), Ok(Signature::Valid));
        assert_eq!(window.newest_s(), 1_951);
    }

    #[test]
    fn what_was_signed_before_the_core_started_is_refused() {
        let started = UtcMillis(2_000_500);
        let mut window = Window::new(0, started);
        assert!(window.take(&signed(1, 1_999), b"", started, WINDOW_MS).is_err());
        assert_eq!(window.take(&signed(2, 2_000), b"", started, WINDOW_MS), Ok(Signature::Valid));
    }

    #[test]
    fn nonces_in_the_window_are_bounded() {
        let mut window = Window::new(0, UtcMillis(0));
        let now = UtcMillis(1_000_000);
        let taken = (0..1000_u64)
            .filter(|n| {
                let mut facts = signed(0, 1000);
                facts.nonce[..8].copy_from_slice(&n.to_be_bytes());
                window.take(&facts, b"", now, WINDOW_MS).is_ok()
            })
            .count();
        assert_eq!(taken, NONCES);
    }
}
