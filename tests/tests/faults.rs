//! The fault proxy does what its faults say: a fault test would prove nothing through a proxy that does not.
#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "helpers of tests: a panic is the failure")]

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    time::Duration,
};

use postern_tests::{
    proxy::{FaultProxy, Faults},
    wait,
};

#[test]
fn without_faults_everything_passes_both_ways() {
    let proxy = FaultProxy::before(echo());

    assert_eq!(echoed(&proxy, &[7; 100_000]).unwrap(), 100_000);
    assert_eq!(proxy.connections(), 1);
    assert_eq!(proxy.octets(), (100_000, 100_000));
}

#[test]
fn a_delay_holds_each_direction_back() {
    let proxy = FaultProxy::before(echo());
    proxy.set(Faults { delay: Duration::from_millis(100), ..Faults::default() });

    let began = wait::now();
    assert_eq!(echoed(&proxy, b"x").unwrap(), 1);

    assert!(began.elapsed() >= Duration::from_millis(200), "{:?}", began.elapsed());
}

#[test]
fn a_throttle_limits_the_octets_a_second() {
    let proxy = FaultProxy::before(echo());
    proxy.set(Faults { octets_per_second: Some(100_000), ..Faults::default() });

    let began = wait::now();
    assert_eq!(echoed(&proxy, &[7; 50_000]).unwrap(), 50_000);

    assert!(began.elapsed() >= Duration::from_millis(400), "{:?}", began.elapsed());
}

#[test]
fn a_connection_is_cut_after_the_octets_that_were_allowed() {
    let proxy = FaultProxy::before(echo());
    proxy.set(Faults { cut_downstream_after: Some(10), ..Faults::default() });

    assert_eq!(echoed(&proxy, &[7; 100]).unwrap(), 10);
}

#[test]
fn a_reset_is_seen_as_a_reset() {
    let proxy = FaultProxy::before(echo());
    proxy.set(Faults { cut_upstream_after: Some(10), reset: true, ..Faults::default() });

    assert_eq!(echoed(&proxy, &[7; 100]).unwrap_err(), ErrorKind::ConnectionReset);
}

#[test]
fn a_silent_peer_leaves_the_connection_open_and_says_nothing() {
    let proxy = FaultProxy::before(echo());
    proxy.set(Faults { silent: true, ..Faults::default() });
    let mut client = connect(&proxy);
    client.set_read_timeout(Some(Duration::from_millis(300))).unwrap();

    client.write_all(b"hello").unwrap();

    assert_eq!(client.read(&mut [0; 8]).unwrap_err().kind(), ErrorKind::WouldBlock);
}

#[test]
fn cut_all_ends_the_connections_that_are_open() {
    let proxy = FaultProxy::before(echo());
    let mut client = connect(&proxy);
    client.write_all(b"hello").unwrap();
    client.read_exact(&mut [0; 5]).unwrap();

    proxy.cut_all();

    assert_eq!(client.read(&mut [0; 8]).unwrap(), 0);
    assert_eq!(echoed(&proxy, b"x").unwrap(), 1, "a new connection passes");
}

/// Sends everything, ends the sending side, and counts what comes back.
fn echoed(proxy: &FaultProxy, data: &[u8]) -> Result<usize, ErrorKind> {
    let mut client = connect(proxy);
    let mut sender = client.try_clone().unwrap();
    let data = data.to_vec();
    let sending = std::thread::spawn(move || {
        let _ = sender.write_all(&data);
        let _ = sender.shutdown(std::net::Shutdown::Write);
    });
    let mut back = Vec::new();
    let read = client.read_to_end(&mut back);
    sending.join().unwrap();
    read.map_err(|error| error.kind())
}

fn connect(proxy: &FaultProxy) -> TcpStream {
    let client = TcpStream::connect(proxy.address()).unwrap();
    client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    client
}

fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut writer = stream.try_clone().unwrap();
                let _ = std::io::copy(&mut &stream, &mut writer);
                let _ = stream.shutdown(std::net::Shutdown::Both);
            });
        }
    });
    address
}
