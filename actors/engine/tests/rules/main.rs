//! The engine's rules, each a test named for it; ids like SRV-01 are those of docs/CONFORMANCE.md. AM-nn
//! and LD-nn name what was observed in runs of AOSP's OMA-DM engine (Motorola) and of intel/libdmclient.

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
