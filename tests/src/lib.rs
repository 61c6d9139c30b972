//! System tests against real parts, import rules, benchmarks.
//!
//! This library is the kit of the tests in `tests/tests`: a site of real binaries on loopback, a scripted
//! DM client, hostile octets, faults between two parts, and a perimeter in network namespaces. It starts what it
//! needs, waits by polling, and leaves no process, namespace or file behind.
#![forbid(unsafe_code)]

pub mod air;
pub mod binaries;
pub mod captured;
pub mod ctl;
pub mod device;
pub mod dm_client;
pub mod exim;
pub mod fleet;
pub mod host;
pub mod kannel;
pub mod perimeter;
pub mod process;
pub mod proxy;
pub mod raw;
pub mod samba;
pub mod site;
pub mod smsc;
pub mod sql;
pub mod stub;
pub mod tls_front;
pub mod wait;
pub mod wall;
