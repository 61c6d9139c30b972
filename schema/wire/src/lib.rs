//! What crosses a network, and nothing else: no socket, no clock, no database is reachable from here.
//!
//! Table of contents
//! - [`terms`]: the words that every room uses (identities, states, classes).
//! - [`syncml`]: SyncML messages, one model and two encodings (OMA-TS-SyncML-RepPro 1.2.2, WBXML 1.1–1.3).
//! - [`auth`]: syncml:auth-basic, auth-md5 and auth-MAC (OMA-TS-DM_Security 1.2.1, section 5).
//! - [`signature`]: our device's and the core's message signatures (RFC 9421 over RFC 9530 digests).
//! - [`order`]: the signed order that destructive providers obey.
//! - [`ddf`]: descriptions of management objects (OMA-TS-DM_TND 1.2.1, section 9).
//! - [`mo`]: the registry of management objects, built-in and imported.
//! - [`tnds`]: parts of the management tree as documents (OMA-TS-DM_TNDS 1.2).
//! - [`tree`]: what is known of one device's tree, and how to come to know it.
//! - [`uri`]: addresses in the management tree (OMA-TS-DM_TND 1.2.1, section 6).
//! - [`route`]: the path segment of one enrolment and the hash of it that a gateway may know.
//! - [`link`]: what core and gateway say to each other, settings and lists among it.
//! - [`notification`]: package 0, which asks a device for a session (OMA-TS-DM_Notification 1.2.1).
//! - [`push`]: the framings that carry a push: WSP, short messages, PAP, SMPP.
//! - [`enrol`]: how a device without any trust beforehand is enrolled by a one-time password.
//! - [`bootstrap`]: the first account on a device, by OMA CP or by the DM profile.
//! - [`recovery`]: a device's recovery password, sealed to an escrow key.
//! - [`problem`]: refusals as RFC 9457 problem details.
//!
//! Promise: every input has a limit, every failure is a typed error with its place, and nothing here panics
//! on what a peer sends. The readers are fuzzed (`schema/wire/fuzz`) and compared with libwbxml in the tests.
#![forbid(unsafe_code)]

pub mod auth;
pub mod bootstrap;
pub mod ddf;
mod elements;
pub mod enrol;
pub mod link;
pub mod mo;
pub mod notification;
pub mod order;
pub mod problem;
pub mod push;
pub mod recovery;
pub mod route;
pub mod signature;
pub mod syncml;
pub mod terms;
pub mod tnds;
pub mod tree;
pub mod uri;
