//! Addresses that nothing is posted to: those of this machine, of this link, of no machine, and of clouds' metadata.
//! Private networks (RFC 1918, RFC 4193) are where an organisation's own systems are, and are no special place.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether an address is a loopback, link-local, unspecified, multicast or otherwise special one; also when it is an
/// IPv4 address in IPv6's clothes.
#[must_use]
pub fn is_special(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => special4(address),
        IpAddr::V6(address) => special6(address),
    }
}

fn special4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    a == 0
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_broadcast()
        || a >= 240
        // RFC 6890: protocol assignments; RFC 5736.
        || (a == 192 && b == 0 && c == 0)
}

fn special6(address: Ipv6Addr) -> bool {
    /// The metadata service of a large cloud, in a private range.
    const METADATA: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);
    let [first, second, ..] = address.segments();
    let [.., w, x, y, z] = address.octets();
    let last4 = Ipv4Addr::new(w, x, y, z);
    if address.is_loopback()
        || address.is_unspecified()
        || address.is_multicast()
        || address.is_unicast_link_local()
        // Site-local, deprecated.
        || (first & 0xffc0) == 0xfec0
        || address == METADATA
    {
        return true;
    }
    // ::a.b.c.d, ::ffff:a.b.c.d, ::ffff:0:a.b.c.d, and NAT64's 64:ff9b::a.b.c.d.
    let leading = &address.octets()[..8];
    if leading.iter().all(|octet| *octet == 0) || (first == 0x64 && second == 0xff9b) {
        return special4(last4);
    }
    // 6to4: 2002:ab:cd::.
    if first == 0x2002 {
        let [_, _, a, b, c, d, ..] = address.octets();
        return special4(Ipv4Addr::new(a, b, c, d));
    }
    // Teredo hides an address behind a mask: nobody posts there.
    first == 0x2001 && second == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_this_link_and_no_machine_are_special_in_every_spelling() {
        for text in [
            "127.0.0.1",
            "127.255.255.254",
            "0.0.0.0",
            "0.1.2.3",
            "169.254.169.254",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "192.0.0.1",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::ffff:0:127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b::a9fe:a9fe",
            "2002:7f00:1::",
            "2002:a9fe:a9fe::1",
            "2001:0:1:2::3",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "ff02::1",
            "fd00:ec2::254",
        ] {
            assert!(is_special(text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn the_internet_and_private_networks_are_not() {
        for text in [
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "93.184.216.34",
            "2606:4700::1",
            "fd12:3456::1",
            "64:ff9b::a01:203",
        ] {
            assert!(!is_special(text.parse().unwrap()), "{text}");
        }
    }
}
