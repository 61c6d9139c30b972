//! Between the encrypted connection and the LDAP client: messages pass whole, looked at and within their limits.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::BytesMut;
use postern_actors::DirectoryError;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, split},
    net::UnixStream,
};

use super::{Limits, ber};

/// What went wrong on the way, for whoever finds the client's connection ended.
#[derive(Clone, Debug, Default)]
pub(super) struct Trouble(Arc<Mutex<Option<DirectoryError>>>);

impl Trouble {
    pub(super) fn take(&self) -> Option<DirectoryError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn set(&self, error: DirectoryError) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
    }
}

/// Carries messages until one side ends.
pub(super) async fn run<S>(server: S, client: UnixStream, limits: Limits, trouble: Trouble)
where
    S: AsyncRead + AsyncWrite + Send,
{
    let (mut from_server, mut to_server) = split(server);
    let (mut from_client, mut to_client) = client.into_split();
    tokio::select! {
        // The client's end: a reason would have nobody to read it.
        _ = tokio::io::copy(&mut from_client, &mut to_server) => {}
        ended = down(&mut from_server, &mut to_client, limits) => {
            if let Err(error) = ended {
                trouble.set(error);
            }
        }
    }
    // It may be gone already; either way it is gone after this.
    let _ = to_server.shutdown().await;
}

async fn down(
    server: &mut (impl AsyncRead + Unpin),
    client: &mut (impl AsyncWrite + Unpin),
    limits: Limits,
) -> Result<(), DirectoryError> {
    let broke = |error: io::Error| DirectoryError::Half(format!("the connection broke: {error}"));
    let garbage = |_| DirectoryError::Half("what came is no LDAP message".to_owned());
    let mut buffer = BytesMut::with_capacity(16 * 1024);
    let mut total = 0_u64;
    loop {
        while let Some(length) = ber::length(&buffer).map_err(garbage)? {
            if length > limits.message_octets {
                return Err(DirectoryError::TooLarge(format!("{} octets a message", limits.message_octets)));
            }
            if buffer.len() < length {
                break;
            }
            let message = buffer.split_to(length);
            ber::check(&message).map_err(garbage)?;
            client.write_all(&message).await.map_err(broke)?;
        }
        match server.read_buf(&mut buffer).await.map_err(broke)? {
            0 if buffer.is_empty() => return Err(DirectoryError::Half("the connection ended".to_owned())),
            0 => return Err(DirectoryError::Half("the connection ended within a message".to_owned())),
            count => total += count as u64,
        }
        if total > limits.octets {
            return Err(DirectoryError::TooLarge(format!("{} octets", limits.octets)));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const LIMITS: Limits = Limits {
        connect: Duration::from_secs(1),
        answer: Duration::from_secs(1),
        pass: Duration::from_secs(1),
        message_octets: 100,
        octets: 1_000,
        entries: 10,
        page: 10,
        range: 10,
    };
    const MESSAGE: &[u8] = b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x00\x04\x00";

    async fn relayed(octets: &[u8], limits: Limits) -> (Vec<u8>, Result<(), DirectoryError>) {
        let mut passed = Vec::new();
        let ended = down(&mut &octets[..], &mut passed, limits).await;
        (passed, ended)
    }

    #[tokio::test]
    async fn messages_pass_until_one_is_too_large_broken_or_cut() {
        let limits = LIMITS;
        let half = |why: &str| Err(DirectoryError::Half(why.to_owned()));

        let two = [MESSAGE, MESSAGE].concat();
        assert_eq!(relayed(&two, limits).await, (two.clone(), half("the connection ended")));
        let cut = [MESSAGE, &MESSAGE[..5]].concat();
        assert_eq!(
            relayed(&cut, limits).await,
            (MESSAGE.to_vec(), half("the connection ended within a message"))
        );
        let garbage = [MESSAGE, b"HTTP/1.1 400"].concat();
        assert_eq!(relayed(&garbage, limits).await, (MESSAGE.to_vec(), half("what came is no LDAP message")));
        let large = b"\x30\x82\x01\x00\x02";
        let too_large = DirectoryError::TooLarge("100 octets a message".to_owned());
        assert_eq!(relayed(large, limits).await, (Vec::new(), Err(too_large)));
        let few = Limits { octets: 20, ..limits };
        let too_many = DirectoryError::TooLarge("20 octets".to_owned());
        assert_eq!(relayed(&two, few).await.1, Err(too_many));
    }
}
