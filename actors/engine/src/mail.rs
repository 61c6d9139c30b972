//! Events that go out: what a mail says, what a log line says, and how often a delivery is tried.
//!
//! Promise: every text that is put into a letter is escaped for its sink, without a way for a template to leave that
//! out; a delivery is tried until the other side takes it, refuses it for good, or its time is over.
//!
//! - [`delivery`]: one delivery's life.
//! - [`sink`]: how a hostile text is made harmless for plain text, HTML and headers.
//! - [`template`]: the language of templates.
//! - [`letter`]: an event as a letter, by the built-in templates or an operator's.
//! - [`address`]: what can be an e-mail address.
//! - [`words`]: what each kind of event is called.

pub mod address;
pub mod delivery;
pub mod letter;
pub mod sink;
pub mod template;
pub mod words;
