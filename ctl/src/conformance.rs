//! The conformance suite of OMA DM 1.2 and 1.1.2: named cases that anyone can run against a server, a client, or
//! the codec of this project.
//!
//! Promises
//! - [`table`] has one row for each of the 182 cases of docs/CONFORMANCE.md, with its id, its rule in one
//!   sentence, the section that it follows and who owes it. A row's cases are of three kinds: `server` cases play
//!   a client over HTTPS, `client` cases play a server over HTTPS, `codec` cases work on octets.
//! - A case runs in XML and WBXML where the encoding matters, and in 1.1 and 1.2 where the version matters
//!   ([`variant`]). It ends with pass, with fail and what was seen, or with "not applicable" and the reason.
//! - Each case can fail: beside it stands its mutant ([`tamper`]), which alters what the peer says so that this one
//!   rule is broken. `--mutate` runs them all, and the tests hold every case to it.
//!
//! Follows OMA-TS-DM_{Protocol,RepPro,Security,Notification,Bootstrap,StdObj,TND}-V1_2_1 and OMA-TS-DM_TNDS-V1_2.

pub mod account;
pub mod client;
pub mod codec;
pub mod http;
pub mod operator;
pub mod report;
pub mod run;
pub mod server;
pub mod table;
pub mod tamper;
pub mod variant;
pub mod verdict;
