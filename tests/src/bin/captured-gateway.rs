//! A gateway in an attacker's hands: `captured-gateway GATEWAY.TOML` (see `postern_tests::captured`).
#![forbid(unsafe_code)]

use std::{path::Path, process::ExitCode};

fn main() -> ExitCode {
    let Some(config) = std::env::args().nth(1) else {
        eprintln!("usage: captured-gateway GATEWAY.TOML");
        return ExitCode::from(64);
    };
    match postern_tests::captured::program::run(Path::new(&config)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("captured-gateway: {error:#}");
            ExitCode::FAILURE
        }
    }
}
