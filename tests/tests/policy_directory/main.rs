//! Policy from a real domain controller: GPOs made with samba-tool, their files put into SYSVOL over SMB, read by LDAP and from SYSVOL,
//! down to what a device has to have. The steps are in `steps`; `read` goes as far as the resultant set, without a server.
#![forbid(unsafe_code)]

mod domain;
mod read;
mod steps;
