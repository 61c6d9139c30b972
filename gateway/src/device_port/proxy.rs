//! PROXY protocol version 2 (haproxy's proxy-protocol.txt, section 2.2), from balancers that the settings name.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use tokio::io::{AsyncRead, AsyncReadExt};

const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// No header is longer: addresses and a balancer's own fields.
const LONGEST: usize = 2_048;

/// Reads the header, and no octet more. `None` is a balancer's own health check (LOCAL), or an address of a kind that
/// says nothing here.
pub(crate) async fn read_header(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<IpAddr>> {
    let wrong = |what| io::Error::new(io::ErrorKind::InvalidData, what);
    let mut head = [0; 16];
    stream.read_exact(&mut head).await?;
    if head[..12] != SIGNATURE {
        return Err(wrong("not a PROXY v2 header"));
    }
    let length = usize::from(u16::from_be_bytes([head[14], head[15]]));
    if length > LONGEST {
        return Err(wrong("the PROXY header is too long"));
    }
    let mut rest = vec![0; length];
    stream.read_exact(&mut rest).await?;
    match (head[12], head[13]) {
        (0x20, _) => Ok(None),
        (0x21, 0x11) => {
            let octets: [u8; 4] =
                rest.get(..4).and_then(|o| o.try_into().ok()).ok_or_else(|| wrong("too short"))?;
            Ok(Some(Ipv4Addr::from(octets).into()))
        }
        (0x21, 0x21) => {
            let octets: [u8; 16] =
                rest.get(..16).and_then(|o| o.try_into().ok()).ok_or_else(|| wrong("too short"))?;
            Ok(Some(Ipv6Addr::from(octets).to_canonical()))
        }
        (0x21, _) => Ok(None),
        _ => Err(wrong("not a PROXY v2 command")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let mut octets = SIGNATURE.to_vec();
        octets.extend([command, family]);
        octets.extend((rest.len() as u16).to_be_bytes());
        octets.extend(rest);
        octets
    }

    async fn read(octets: &[u8]) -> io::Result<Option<IpAddr>> {
        read_header(&mut &octets[..]).await
    }

    #[tokio::test]
    async fn the_source_is_what_the_balancer_says_and_no_octet_more_is_read() {
        let mut octets = header(0x21, 0x11, &[192, 0, 2, 7, 10, 0, 0, 1, 0, 1, 0, 2, 9, 9, 9]);
        octets.extend(b"next");
        let mut input = &octets[..];
        let source = read_header(&mut input).await.expect("a header");
        assert_eq!(source, Some(IpAddr::from([192, 0, 2, 7])));
        assert_eq!(input, b"next");
    }

    #[tokio::test]
    async fn a_health_check_has_no_source_and_nonsense_is_refused() {
        assert_eq!(read(&header(0x20, 0, &[])).await.expect("local"), None);
        assert!(read(&header(0x21, 0x11, &[1, 2])).await.is_err());
        assert!(read(&header(0x31, 0x11, &[0; 12])).await.is_err());
        assert!(read(b"GET / HTTP/1.1\r\n\r\n").await.is_err());
    }
}
