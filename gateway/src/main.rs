//! The thin main.
#![forbid(unsafe_code)]

fn main() {}
