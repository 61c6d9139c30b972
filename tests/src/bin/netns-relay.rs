//! Lets a test reach a port inside another network namespace: `netns-relay SOCKET ADDRESS` runs inside, listens on a
//! Unix socket (whose path is the same in every namespace) and hands each connection on to ADDRESS.
#![forbid(unsafe_code)]

use std::{
    io,
    net::{Shutdown, TcpStream},
    os::unix::net::{UnixListener, UnixStream},
};

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [socket, address] = &arguments[..] else {
        return Err(io::Error::other("usage: netns-relay SOCKET ADDRESS"));
    };
    for outside in UnixListener::bind(socket)?.incoming() {
        let (outside, address) = (outside?, address.clone());
        std::thread::spawn(move || relay(outside, &address));
    }
    Ok(())
}

fn relay(outside: UnixStream, address: &str) -> io::Result<()> {
    let inside = TcpStream::connect(address)?;
    let (mut from_outside, mut to_inside) = (outside.try_clone()?, inside.try_clone()?);
    let up = std::thread::spawn(move || {
        let copied = io::copy(&mut from_outside, &mut to_inside);
        let _ = to_inside.shutdown(Shutdown::Write);
        copied
    });
    let (mut from_inside, mut to_outside) = (inside, outside);
    io::copy(&mut from_inside, &mut to_outside)?;
    to_outside.shutdown(Shutdown::Both)?;
    let _ = up.join();
    Ok(())
}
