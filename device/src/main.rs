//! `postern-device`: see the library's `cli`.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    postern_device::cli::main()
}
