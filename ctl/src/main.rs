//! The thin main.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    posternctl::run(std::env::args_os(), &mut std::io::stdout().lock(), &mut std::io::stderr().lock()).into()
}
