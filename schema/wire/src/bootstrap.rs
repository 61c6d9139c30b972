//! Bootstrap: the first account on a device that knows no server yet (OMA-TS-DM_Bootstrap 1.2.1).
//!
//! - [`cp`]: the OMA CP profile: a provisioning document with a w7 application, in XML or WBXML.
//! - [`profile`]: the DM profile: a DM message that adds the account to `./Inbox`.
//! - [`mac`]: how both prove where they come from.

pub mod cp;
pub mod mac;
pub mod profile;
