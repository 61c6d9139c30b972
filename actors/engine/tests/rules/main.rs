//! The engine's rules, each a test named for it; the ids are those of omadm.md 10 and clients.md.

#[cfg(test)]
mod alerts;
#[cfg(test)]
mod authentication;
#[cfg(test)]
mod captured;
#[cfg(test)]
mod common;
#[cfg(test)]
mod ids;
#[cfg(test)]
mod mac;
#[cfg(test)]
mod model;
#[cfg(test)]
mod notification;
#[cfg(test)]
mod objects;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod recordings;
#[cfg(test)]
mod redelivery;
#[cfg(test)]
mod resync;
#[cfg(test)]
mod sending;
#[cfg(test)]
mod sizes;
#[cfg(test)]
mod status;
#[cfg(test)]
mod structure;
#[cfg(test)]
mod transcripts;
#[cfg(test)]
mod transitions;
