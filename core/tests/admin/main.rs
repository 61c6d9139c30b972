//! The admin API over real TLS, with a core in this process on a temporary SQLite file.

mod audit;
mod devices;
mod kit;
mod matrix;
mod protocol;
mod start;
