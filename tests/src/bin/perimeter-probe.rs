//! A listener and a caller for network namespaces: `ip netns exec` starts a program, not a thread of a test.
//!
//! `perimeter-probe listen ADDRESS…` greets whoever connects and prints one line when it is ready;
//! `perimeter-probe connect ADDRESS MILLISECONDS` ends with 0 when it got the greeting, with 1 when not.
#![forbid(unsafe_code)]

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    process::ExitCode,
    time::Duration,
};

/// Larger than what an answer without an established connection could carry.
const GREETING: [u8; 3000] = [b'p'; 3000];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["listen", ref addresses @ ..] if !addresses.is_empty() => listen(addresses),
        ["connect", address, limit] => connect(address, limit),
        _ => {
            eprintln!("usage: perimeter-probe listen ADDRESS… | connect ADDRESS MILLISECONDS");
            ExitCode::from(64)
        }
    }
}

fn listen(addresses: &[&str]) -> ExitCode {
    let mut threads = Vec::new();
    for address in addresses {
        let listener = match TcpListener::bind(address) {
            Ok(listener) => listener,
            Err(error) => {
                eprintln!("{address}: {error}");
                return ExitCode::FAILURE;
            }
        };
        threads.push(std::thread::spawn(move || {
            for mut caller in listener.incoming().flatten() {
                let _ = caller.write_all(&GREETING);
            }
        }));
    }
    println!("listening");
    for thread in threads {
        let _ = thread.join();
    }
    ExitCode::SUCCESS
}

fn connect(address: &str, limit: &str) -> ExitCode {
    let (Ok(address), Ok(limit)) = (address.parse::<SocketAddr>(), limit.parse()) else {
        eprintln!("perimeter-probe: not an address and milliseconds: {address} {limit}");
        return ExitCode::from(64);
    };
    let greeted =
        TcpStream::connect_timeout(&address, Duration::from_millis(limit)).and_then(|mut stream| {
            stream.set_read_timeout(Some(Duration::from_millis(limit)))?;
            let mut greeting = Vec::new();
            stream.read_to_end(&mut greeting)?;
            Ok(greeting == GREETING)
        });
    match greeted {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{address}: {error}");
            ExitCode::FAILURE
        }
    }
}
