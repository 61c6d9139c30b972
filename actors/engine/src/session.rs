//! The session engine, server side: packages 1 to 4 of OMA-TS-DM_Protocol 1.2.1 for one enrolment.
//!
//! Promise: [`Session::receive`] is a function of what it is given. It never panics on what a peer sends, never
//! emits a message larger than the device takes, and never executes a repeated message twice. An unauthenticated
//! peer changes nothing of the enrolment.

use postern_wire::terms::{DmSessionId, ProofClass, UtcMillis};

use crate::queue::Queue;
pub use crate::{
    account::{Account, Peer},
    effect::{CloseReason, Effect, Outcome, RefusedReason, Reply},
};

/// Limits of sessions; the defaults are those of docs/ARCHITECTURE.md.
#[derive(Clone, Debug)]
pub struct SessionConfig {
    /// Milliseconds without a message after which a session is over. 8 minutes.
    pub idle_ms: i64,
    /// Milliseconds in which a byte-equal first message counts as a repeat, not as a new session. 60 seconds.
    pub repeat_ms: i64,
    /// Stored replies given to one repeated message. 8 (AM-11 asks 5 times).
    pub repeats: u32,
    /// Failed attempts to authenticate before the final answer. 3.
    pub attempts: u32,
    /// Times that commands are sent again in one session for the server's credentials. 2.
    pub server_attempts: u32,
    /// Times that a command is sent without ever being answered. 8.
    pub sends: u32,
    /// Largest reply, in octets, to a device that announces no MaxMsgSize. 32 KiB.
    pub reply_octets: u64,
    /// MaxMsgSize that we announce, in octets. 256 KiB.
    pub max_msg_size: u64,
    /// MaxObjSize that we announce, in octets (AM-18: always). 1 MiB.
    pub max_obj_size: u64,
    /// Milliseconds that a command accepted with 202 waits for its alert. 7 days.
    pub completion_ms: i64,
}

impl Default for SessionConfig {
    fn default() -> Self {
        Self {
            idle_ms: 8 * 60_000,
            repeat_ms: 60_000,
            repeats: 8,
            attempts: 3,
            server_attempts: 2,
            sends: 8,
            reply_octets: 32 * 1024,
            max_msg_size: 256 * 1024,
            max_obj_size: 1024 * 1024,
            completion_ms: 7 * 24 * 3_600_000,
        }
    }
}

/// One message as it came in.
#[derive(Clone, Copy, Debug)]
pub struct Inbound<'a> {
    /// Content-Type, parameters included.
    pub content_type: &'a str,
    /// The octets, already bounded in size.
    pub body: &'a [u8],
    /// What is known of the sender.
    pub peer: &'a Peer,
}

/// Random octets for one message, made at the edge.
#[derive(Clone, Copy)]
pub struct Random(pub [u8; 32]);

/// The sessions of one enrolment: at most one is open.
#[derive(Debug)]
pub struct Session {
    account: Account,
    config: SessionConfig,
}

impl Session {
    /// Nothing open yet; the first message opens a session.
    #[must_use]
    pub const fn open(account: Account, config: SessionConfig) -> Self {
        Self { account, config }
    }

    /// Takes one message: the reply, and what the actor commits.
    pub fn receive(
        &mut self,
        _inbound: Inbound<'_>,
        _queue: &mut Queue,
        _now: UtcMillis,
        _random: Random,
    ) -> Outcome {
        Outcome::default()
    }

    /// Ends the open session when it has been idle too long at `now`; to be called when [`Session::idle_at`] is
    /// reached. The effects are deferred ones: what the session left unanswered is settled by the next session.
    pub fn idle(&mut self, _now: UtcMillis) -> Vec<Effect> {
        Vec::new()
    }

    /// When the open session will have been idle too long; `None` when none is open.
    #[must_use]
    pub const fn idle_at(&self) -> Option<UtcMillis> {
        None
    }

    /// Lets the next reply abort the session (Alert 1223); the queue stays for the next one.
    pub const fn abort(&mut self) {}

    /// The id and proof class of the open session.
    #[must_use]
    pub const fn current(&self) -> Option<(DmSessionId, ProofClass)> {
        None
    }

    /// The client nonces used up so far: what the index keeps while the device is idle.
    #[must_use]
    pub const fn nonce_counter(&self) -> u32 {
        self.account.nonce_counter
    }

    /// The enrolment as this session sees it.
    #[must_use]
    pub const fn account(&self) -> &Account {
        &self.account
    }

    /// Puts in an account that was changed in the store; what it changes takes effect with the next session.
    pub fn set_account(&mut self, account: Account) {
        self.account = account;
    }

    /// The limits in force.
    #[must_use]
    pub const fn config(&self) -> &SessionConfig {
        &self.config
    }
}
