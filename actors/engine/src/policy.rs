//! Group Policy: the resultant set for a device and its owner, explained (docs/POLICY.md).
//!
//! Promise: pure functions of what a directory, SYSVOL and a device say. What they say is hostile: every reader
//! has limits and typed refusals. Follows MS-GPOL and MS-GPREG; where Windows was seen to do otherwise than
//! their text, Windows counts, and the place says so.

pub mod binding;
pub mod desired;
pub mod directory;
pub mod dn;
pub mod documents;
pub mod fold;
pub mod gplink;
pub mod gpo;
pub mod ldif;
pub mod mapping;
pub mod registry_pol;
pub mod rsop;
pub mod security_descriptor;
pub mod sid;
pub mod sysvol;
pub mod what_if;
pub mod wql;
