//! What posternctl does with the admin API: a file for each kind of thing, named as on the command line.

pub mod admin;
pub mod alarm;
pub mod audit;
pub mod bootstrap;
pub mod ca;
pub mod command;
pub mod compromised;
pub mod conformance;
pub mod device;
pub mod enrolment;
pub mod gateway;
pub mod group;
pub mod mail;
pub mod mo;
pub mod notify;
pub mod order;
pub mod quirks;
pub mod recording;
pub mod recovery;
pub mod server;
pub mod session;
pub mod settings;
pub mod status;
pub mod token;
pub mod tree;
pub mod why;
