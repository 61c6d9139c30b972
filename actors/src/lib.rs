//! Device actors, shards and supervisors: they move messages, keep timers and commit the engine's effects.
#![forbid(unsafe_code)]
