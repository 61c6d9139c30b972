//! The actors' limits, each with its default and the reason for it.

use std::time::Duration;

use postern_engine::session::SessionConfig;

/// What an operator may set of the actors.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Threads that run shards; at least 1. Default: the machine's cores less one (the HTTP side keeps one).
    pub arbiters: usize,
    /// Shards on each of these threads. Default 16: enough that one slow lock-step of a shard is not seen.
    pub shards_per_arbiter: usize,
    /// Requests that may be inside one shard, waiting or worked on; more are refused with 503. Default 1,024.
    pub shard_permits: usize,
    /// How long a device actor stays after its session ended. Default 60 seconds.
    pub linger: Duration,
    /// How exact that and the end of idle sessions are. Default 1 second.
    pub tick: Duration,
    /// Pending commands that one device may have. Default 1,000.
    pub pending_cap: usize,
    /// How often last-seen times are written. Default 5 seconds.
    pub flush_every: Duration,
    /// Last-seen times that may wait; a full batch is written at once. Default 4,096.
    pub flush_at: usize,
    /// How often commands past their deadline are looked for. Default 1 second.
    pub sweep_every: Duration,
    /// Command watches that may be open at the same time. Default 10,000.
    pub watches: usize,
    /// Retry-After of a refusal, in seconds. Default 30.
    pub retry_after_s: u32,
    /// How old or new a message signature's `created` may be. Default 300 seconds.
    pub signature_window: Duration,
    /// The limits of sessions.
    pub session: SessionConfig,
}

impl Default for Settings {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        Self {
            arbiters: cores.saturating_sub(1).max(1),
            shards_per_arbiter: 16,
            shard_permits: 1024,
            linger: Duration::from_secs(60),
            tick: Duration::from_secs(1),
            pending_cap: 1000,
            flush_every: Duration::from_secs(5),
            flush_at: 4096,
            sweep_every: Duration::from_secs(1),
            watches: 10_000,
            retry_after_s: 30,
            signature_window: Duration::from_secs(300),
            session: SessionConfig::default(),
        }
    }
}
