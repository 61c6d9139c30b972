//! The life of a notification: package 0 to one device until the session that it asks for comes.
//!
//! Promise: one job at a time for a device, and one SessionID for a job however often it is sent (OMA-TS-DM_Notification
//! 6.2.10), so that a device opens one session for it; every transition that [`Job::apply`] does not name is refused and
//! changes nothing. A job is answered only by a session that a device opened with Alert 1200 and its id
//! (OMA-TS-DM_Protocol 8.3); a device that comes by itself makes it unneeded.

use postern_wire::terms::{NotificationState as State, UtcMillis};

/// The bearer by which the gateways reach a device that listens.
pub const LISTEN: &str = "listen";

/// How often and how long a notification is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// A job that nobody hurries waits so long for further commands, milliseconds. 10 seconds.
    pub gather_ms: i64,
    /// The wait after the first attempt by a bearer that stores and forwards; it doubles. 5 minutes.
    pub first_wait_ms: i64,
    /// It grows to this. 6 hours.
    pub longest_wait_ms: i64,
    /// The wait after a wake-up of a device that may listen. 30 seconds.
    pub listen_wait_ms: i64,
    /// Attempts in all. 8.
    pub attempts: i64,
    /// A job is worth nothing after so long. 48 hours.
    pub valid_ms: i64,
    /// Two pushes to one device are so far apart. 10 seconds.
    pub apart_ms: i64,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            gather_ms: 10_000,
            first_wait_ms: 5 * 60_000,
            longest_wait_ms: 6 * 3_600_000,
            listen_wait_ms: 30_000,
            attempts: 8,
            valid_ms: 48 * 3_600_000,
            apart_ms: 10_000,
        }
    }
}

/// One job, as far as the rules need it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Where it stands.
    pub state: State,
    /// The SessionID that it asks for: 1 to 0xFFFF.
    pub session_id: u16,
    /// A person asked for it: it does not depend on commands that wait.
    pub asked: bool,
    /// It does not wait for others to join.
    pub urgent: bool,
    /// Attempts to hand it to a bearer.
    pub attempts: i64,
    /// Of these, taken by the bearer.
    pub handed: i64,
    /// When something is to be done; none when it is over.
    pub next_at: Option<UtcMillis>,
    /// When it was last handed to a bearer.
    pub last_at: Option<UtcMillis>,
    /// When it is worth nothing any more.
    pub expires_at: UtcMillis,
}

/// What happens to a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Another command waits for the device, or a person asks again.
    Joined {
        /// It does not wait.
        urgent: bool,
    },
    /// A bearer has taken it.
    Handed {
        /// Whether that was the gateways' listening channel.
        listen: bool,
    },
    /// A bearer has not taken it and may later.
    NotHanded {
        /// So long it wants to be left alone, milliseconds.
        after_ms: i64,
    },
    /// A bearer will never take it.
    Refused {
        /// Whether another bearer is left to try.
        others: bool,
    },
    /// The bearer reports that the device has it.
    Delivered,
    /// The bearer reports that the device will not get it.
    NotDelivered,
    /// A session of the device began.
    Opened {
        /// The SessionID that the device gave it, as a number where it is one.
        session_id: Option<u16>,
        /// Whether it began with Alert 1200.
        server_initiated: bool,
    },
    /// Nothing waits for the device any more.
    Emptied,
    /// Its device was retired.
    Retired,
    /// Its time is over, by a clock that is trusted.
    Expired,
    /// It cannot be made: no credentials, no bearer.
    Impossible,
}

/// Why a job moved; its spelling stands on the timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// It takes part in what is under way.
    Joined,
    /// Taken by a bearer.
    Handed,
    /// Not taken; tried again later.
    Retry,
    /// Refused by a bearer; another is tried.
    NextBearer,
    /// Refused by the last bearer.
    Refused,
    /// The device has it.
    Delivered,
    /// The device will not get it; sent again.
    NotDelivered,
    /// The session with its id came.
    Answered,
    /// The device came by itself.
    Came,
    /// Nothing waits any more.
    Emptied,
    /// The device was retired.
    Retired,
    /// Its time, or its attempts, are over.
    Expired,
    /// No attempt was ever taken by a bearer.
    NeverTaken,
    /// It cannot be made.
    Impossible,
}

impl Cause {
    /// The stable spelling.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Joined => "joined",
            Self::Handed => "handed-to-bearer",
            Self::Retry => "bearer-retry",
            Self::NextBearer => "bearer-refused-next",
            Self::Refused => "bearer-refused",
            Self::Delivered => "delivered",
            Self::NotDelivered => "not-delivered",
            Self::Answered => "session-came",
            Self::Came => "device-came-by-itself",
            Self::Emptied => "nothing-waits",
            Self::Retired => "device-retired",
            Self::Expired => "no-session-in-time",
            Self::NeverTaken => "no-bearer-took-it",
            Self::Impossible => "impossible",
        }
    }
}

/// An event that has no place in a job's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a notification that is {state} does not take this")]
pub struct NoTransition {
    /// The state.
    pub state: State,
}

/// What is to be done with a job that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Not yet.
    Wait(UtcMillis),
    /// Give it to a bearer.
    Send,
    /// Apply [`Event::Expired`].
    GiveUp,
}

impl Job {
    /// A new job. `pushed_at` is when the device was last pushed to for an earlier one.
    #[must_use]
    pub fn new(
        rules: &Rules,
        session_id: u16,
        asked: bool,
        urgent: bool,
        pushed_at: Option<UtcMillis>,
        now: UtcMillis,
    ) -> Self {
        let at = if asked || urgent { now } else { now.plus(rules.gather_ms) };
        let apart = pushed_at.map_or(at, |pushed| pushed.plus(rules.apart_ms));
        Self {
            state: State::Wanted,
            session_id,
            asked,
            urgent,
            attempts: 0,
            handed: 0,
            next_at: Some(at.max(apart)),
            last_at: None,
            expires_at: now.plus(rules.valid_ms),
        }
    }

    /// What is to be done now.
    #[must_use]
    pub fn due(&self, rules: &Rules, now: UtcMillis) -> Option<Due> {
        let at = self.next_at.filter(|_| self.state.is_open())?;
        Some(if now >= self.expires_at || (now >= at && self.attempts >= rules.attempts) {
            Due::GiveUp
        } else if now >= at {
            Due::Send
        } else {
            Due::Wait(at)
        })
    }

    /// Takes an event.
    ///
    /// # Errors
    /// [`NoTransition`]; the job is as it was.
    pub fn apply(&mut self, event: &Event, rules: &Rules, now: UtcMillis) -> Result<Cause, NoTransition> {
        use Event as E;
        if !self.state.is_open() {
            return Err(NoTransition { state: self.state });
        }
        match (self.state, event) {
            (_, E::Joined { urgent }) => {
                self.join(*urgent, rules, now);
                Ok(Cause::Joined)
            }
            (_, E::Handed { listen }) => {
                self.tried();
                self.handed += 1;
                self.last_at = Some(now);
                self.state = State::Sent;
                let wait = if *listen { rules.listen_wait_ms } else { self.wait(rules) };
                self.next_at = Some(now.plus(wait));
                Ok(Cause::Handed)
            }
            (_, E::NotHanded { after_ms }) => {
                self.tried();
                self.next_at = Some(now.plus(self.wait(rules).max(*after_ms)));
                Ok(Cause::Retry)
            }
            (_, E::Refused { others: true }) => {
                self.tried();
                self.next_at = Some(now.plus(rules.apart_ms));
                Ok(Cause::NextBearer)
            }
            (State::Wanted, E::Refused { others: false }) => Ok(self.end(State::Failed, Cause::Refused)),
            (State::Sent, E::Delivered) => {
                self.state = State::Delivered;
                Ok(Cause::Delivered)
            }
            (State::Sent, E::NotDelivered) => {
                self.state = State::Wanted;
                self.next_at = Some(now.plus(self.wait(rules)));
                Ok(Cause::NotDelivered)
            }
            (_, E::Opened { session_id, server_initiated }) => {
                let ours = *server_initiated && self.handed > 0 && *session_id == Some(self.session_id);
                Ok(if ours {
                    self.end(State::Answered, Cause::Answered)
                } else {
                    self.end(State::Unneeded, Cause::Came)
                })
            }
            (_, E::Emptied) if !self.asked => Ok(self.end(State::Unneeded, Cause::Emptied)),
            (_, E::Retired) => Ok(self.end(State::Unneeded, Cause::Retired)),
            (_, E::Expired) if now >= self.expires_at || self.attempts >= rules.attempts => {
                Ok(if self.handed > 0 {
                    self.end(State::Expired, Cause::Expired)
                } else {
                    self.end(State::Failed, Cause::NeverTaken)
                })
            }
            (State::Wanted, E::Impossible) => Ok(self.end(State::Failed, Cause::Impossible)),
            (state, _) => Err(NoTransition { state }),
        }
    }

    /// An urgent command does not wait for the next attempt, but pushes stay apart.
    fn join(&mut self, urgent: bool, rules: &Rules, now: UtcMillis) {
        if urgent {
            self.urgent = true;
            let apart = self.last_at.map_or(now, |last| last.plus(rules.apart_ms).max(now));
            self.next_at = self.next_at.map(|at| at.min(apart));
        }
    }

    fn tried(&mut self) {
        self.attempts += 1;
    }

    /// Doubles with each attempt, and is spread by a tenth so that devices told together do not come back together.
    fn wait(&self, rules: &Rules) -> i64 {
        let doublings = u32::try_from(self.attempts.saturating_sub(1).clamp(0, 20)).unwrap_or(0);
        let wait = rules.first_wait_ms.saturating_mul(1 << doublings).min(rules.longest_wait_ms);
        wait + wait / 10 * i64::from(self.session_id % 16) / 16
    }

    fn end(&mut self, state: State, cause: Cause) -> Cause {
        self.state = state;
        self.next_at = None;
        cause
    }
}

/// The SessionID of the next job of a device: another than the last one's, never 0.
#[must_use]
pub fn next_session_id(last: Option<u16>, random: u16) -> u16 {
    match last {
        Some(last) => last.checked_add(1).unwrap_or(1),
        None => random.max(1),
    }
}

/// How a device can be reached.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ways<'a> {
    /// Its telephone number is known.
    pub number: bool,
    /// The bearer that is tried first.
    pub preferred: Option<&'a str>,
    /// The only bearer that may be taken.
    pub forced: Option<&'a str>,
    /// The bearers to a telephone number that are set up.
    pub bearers: &'a [&'a str],
}

impl<'a> Ways<'a> {
    /// The bearers in the order in which attempts take them in turn. The listening channel needs no number and costs
    /// nothing, so it comes first unless another is preferred.
    #[must_use]
    pub fn order(&self) -> Vec<&'a str> {
        let usable = |name: &str| name == LISTEN || (self.number && self.bearers.contains(&name));
        if let Some(forced) = self.forced {
            return Some(forced).filter(|name| usable(name)).into_iter().collect();
        }
        let mut order: Vec<&str> = self.preferred.filter(|name| usable(name)).into_iter().collect();
        for name in [LISTEN].into_iter().chain(self.bearers.iter().copied().filter(|_| self.number)) {
            if !order.contains(&name) {
                order.push(name);
            }
        }
        order
    }

    /// The bearer of the attempt number `attempts` (from 0).
    #[must_use]
    pub fn choose(&self, attempts: i64) -> Option<&'a str> {
        let order = self.order();
        let at = usize::try_from(attempts).unwrap_or(0).checked_rem(order.len())?;
        order.get(at).copied()
    }
}

/// So many pushes a minute in all, with some at once: one order to a whole fleet must not flood a bearer.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    per_minute: u32,
    tokens_micro: i64,
    at: UtcMillis,
}

impl Pace {
    /// One token, in millionths.
    const TOKEN: i64 = 1_000_000;

    /// A full bucket for `per_minute` pushes (at least 1).
    #[must_use]
    pub fn new(per_minute: u32, now: UtcMillis) -> Self {
        let per_minute = per_minute.max(1);
        Self { per_minute, tokens_micro: Self::most(per_minute), at: now }
    }

    fn most(per_minute: u32) -> i64 {
        (i64::from(per_minute) / 6).max(1) * Self::TOKEN
    }

    /// Takes one push; false when there have been too many.
    pub fn take(&mut self, now: UtcMillis) -> bool {
        let gone = now.since(self.at).clamp(0, 60_000);
        self.at = now;
        let gained = gone * i64::from(self.per_minute) * Self::TOKEN / 60_000;
        self.tokens_micro = (self.tokens_micro + gained).min(Self::most(self.per_minute));
        let has = self.tokens_micro >= Self::TOKEN;
        if has {
            self.tokens_micro -= Self::TOKEN;
        }
        has
    }
}
