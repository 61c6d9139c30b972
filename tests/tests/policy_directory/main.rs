//! Policy from a real domain controller: GPOs made with samba-tool, their files put into SYSVOL over SMB, read by LDAP and from SYSVOL,
//! down to what a device has. The steps are in `steps`; `read` goes as far as the resultant set, without a server; `whole` as far as the
//! confirmed setting on our device.
#![forbid(unsafe_code)]

mod domain;
mod read;
#[cfg(feature = "smb")]
mod share;
mod steps;
mod whole;
