//! Events that go out, against a real mail server (Debian's Exim: STARTTLS, AUTH, its own refusals), a scripted one for
//! what no real one does on demand, and real sockets for webhooks, syslog and the stream. Time is a parameter: an hour
//! passes at once.
#![expect(clippy::unwrap_used, reason = "the rig's helpers are test code outside #[test] functions")]

mod exim;
mod faults;
mod hooks;
mod mails;
mod rig;
mod scripted;
mod streams;
