//! Bootstrap: the first account on a device that knows no server yet (OMA-TS-DM_Bootstrap 1.2.1).
//!
//! - [`cp`]: the OMA CP profile: a provisioning document with a w7 application, in XML or WBXML.
//! - [`profile`]: the DM profile: a DM message that adds the account to `./Inbox`.
//!
//! Both prove where they come from by an HMAC-SHA1 over the document's exact octets.

pub mod cp;
pub mod profile;
