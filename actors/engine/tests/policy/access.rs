//! Security descriptors against what Samba prints of them, and the access check.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use postern_engine::policy::{
    dn::Dn,
    ldif,
    security_descriptor::{
        Ace, AceKind, INHERIT_ONLY, SecurityDescriptor,
        access::{APPLY_GROUP_POLICY, Access, CONTROL_ACCESS, READ, Right},
    },
    sid::Sid,
};
use proptest::prelude::*;
use std::{collections::BTreeMap, fs};

use crate::common::{ace, data, descriptor, everyone, json};

const ALLOW: AceKind = AceKind::Allowed { object: false, conditional: false };
const ALLOW_OBJECT: AceKind = AceKind::Allowed { object: true, conditional: false };
const DENY: AceKind = AceKind::Denied { object: false, conditional: false };
const DENY_OBJECT: AceKind = AceKind::Denied { object: true, conditional: false };

#[test]
fn every_descriptor_of_the_fixture_reads_as_samba_prints_it() {
    let vectors = json("rsop/sd-vectors.json");
    let domain: Sid = vectors["domainSid"].as_str().unwrap().parse().unwrap();
    let vectors = vectors["vectors"].as_array().unwrap();
    assert!(vectors.len() >= 22);
    for vector in vectors {
        let octets = BASE64_STANDARD.decode(vector["b64"].as_str().unwrap()).unwrap();
        let read = SecurityDescriptor::read(&octets).unwrap();
        assert_eq!(read.sddl(Some(&domain)), vector["sddl"].as_str().unwrap(), "{}", vector["gpo"]);
    }
}

#[test]
fn every_descriptor_of_a_running_domain_reads_as_samba_prints_it() {
    let oracle = fs::read_to_string(data("ad/50-sddl-oracle.tsv")).unwrap();
    let mut descriptors = BTreeMap::new();
    for file in ["00-domain", "10-ou-mdm", "20-gpos", "30-wmi"] {
        let octets = fs::read(data(&format!("ad/{file}.ldif"))).unwrap();
        for entry in ldif::read(&octets, &ldif::Limits::default()).unwrap() {
            if let Some(octets) = entry.values("ntsecuritydescriptor").first() {
                descriptors.insert(Dn::new(&entry.dn).unwrap(), SecurityDescriptor::read(octets).unwrap());
            }
        }
    }
    let domain: Sid = "S-1-5-21-3157559438-4275722945-64494676".parse().unwrap();
    for line in oracle.lines() {
        let (dn, sddl) = line.split_once('\t').unwrap();
        let read = &descriptors[&Dn::new(dn).unwrap()];
        // The oracle printed no SACL.
        assert_eq!(read.sddl(Some(&domain)), sddl.split("S:").next().unwrap(), "{dn}");
    }
    assert!(oracle.lines().count() >= 55);
}

#[test]
fn damaged_descriptors_are_refused() {
    let octets =
        BASE64_STANDARD.decode(json("rsop/sd-vectors.json")["vectors"][0]["b64"].as_str().unwrap()).unwrap();

    for length in 0..octets.len() {
        assert!(SecurityDescriptor::read(&octets[..length]).is_err(), "cut to {length}");
    }
    for (at, octet) in
        [(0, 2), (3, 0), (4, 0xff), (19, 0xff), (76, 9), (79, 0xff), (80, 0xff), (86, 0xff), (86, 1)]
    {
        let mut damaged = octets.clone();
        damaged[at] = octet;
        assert!(SecurityDescriptor::read(&damaged).is_err(), "octet {at} is {octet}");
    }
}

fn me() -> Sid {
    Sid::new(5, &[21, 1, 2, 3, 1000])
}

fn other() -> Sid {
    Sid::new(5, &[21, 1, 2, 3, 1001])
}

fn check(entries: Vec<Ace>, right: Right) -> Access {
    descriptor(entries).check(right, &|sid| *sid == me() || *sid == Sid::everyone())
}

fn object(kind: AceKind, mask: u32, sid: Sid) -> Ace {
    Ace { object: Some(APPLY_GROUP_POLICY), ..ace(kind, mask, sid) }
}

#[test]
fn the_first_entry_that_mentions_a_right_decides_it() {
    let apply = CONTROL_ACCESS;
    for (entries, access) in [
        (vec![object(ALLOW_OBJECT, apply, me())], Access::Granted),
        (vec![ace(ALLOW, apply, me())], Access::Granted),
        (vec![ace(ALLOW_OBJECT, apply, me())], Access::Granted),
        (vec![ace(ALLOW, 0x1000_0000, me())], Access::Granted),
        (vec![object(ALLOW_OBJECT, apply, other())], Access::NotGranted),
        (vec![ace(ALLOW, READ, me())], Access::NotGranted),
        (vec![object(DENY_OBJECT, apply, me()), ace(ALLOW, apply, me())], Access::Denied { ace: 0 }),
        (vec![ace(ALLOW, apply, me()), object(DENY_OBJECT, apply, me())], Access::Granted),
        (vec![ace(DENY, apply, other()), ace(ALLOW, apply, me())], Access::Granted),
        (vec![ace(DENY, READ, me()), ace(ALLOW, apply, Sid::everyone())], Access::Granted),
        (
            vec![Ace { flags: INHERIT_ONLY, ..ace(DENY, apply, me()) }, ace(ALLOW, apply, me())],
            Access::Granted,
        ),
        (
            vec![Ace { object: Some(uuid::Uuid::from_u128(1)), ..ace(ALLOW_OBJECT, apply, me()) }],
            Access::NotGranted,
        ),
        (vec![ace(AceKind::Allowed { object: false, conditional: true }, apply, me())], Access::NotGranted),
        (
            vec![
                ace(AceKind::Denied { object: false, conditional: true }, apply, me()),
                ace(ALLOW, apply, me()),
            ],
            Access::Denied { ace: 0 },
        ),
        (Vec::new(), Access::NotGranted),
    ] {
        assert_eq!(check(entries.clone(), Right::Apply), access, "{entries:?}");
    }
}

#[test]
fn reading_takes_every_bit_of_it() {
    let list = ace(ALLOW, 0x4, Sid::everyone());
    let rest = ace(ALLOW, 0x2_0010, me());

    assert_eq!(check(vec![list.clone()], Right::Read), Access::NotGranted);
    assert_eq!(check(vec![list.clone(), rest.clone()], Right::Read), Access::Granted);
    assert_eq!(check(vec![list, ace(DENY, 0x10, me()), rest], Right::Read), Access::Denied { ace: 1 });
    assert_eq!(check(vec![ace(ALLOW, 0x8000_0000, me())], Right::Read), Access::Granted);
    assert_eq!(check(vec![object(ALLOW_OBJECT, READ, me())], Right::Read), Access::NotGranted);
}

#[test]
fn no_dacl_grants_everything_and_an_owner_may_read_who_may() {
    let none = SecurityDescriptor { dacl: None, ..everyone() };
    assert_eq!(none.check(Right::Apply, &|_| false), Access::Granted);

    let mut owned = descriptor(vec![ace(ALLOW, 0x14, me())]);
    assert_eq!(owned.check(Right::Read, &|sid| *sid == me()), Access::NotGranted);
    owned.owner = Some(me());
    assert_eq!(owned.check(Right::Read, &|sid| *sid == me()), Access::Granted);
    owned.dacl.as_mut().unwrap().push(ace(ALLOW, 0, Sid::owner_rights()));
    assert_eq!(owned.check(Right::Read, &|sid| *sid == me()), Access::NotGranted);
}

proptest! {
    #[test]
    fn arbitrary_octets_are_read_or_refused(mut octets in prop::collection::vec(any::<u8>(), 20..200)) {
        octets[0] = 1;
        octets[3] |= 0x80;
        octets[2] |= 4;
        for at in [4, 8, 16] {
            octets[at + 1..at + 4].fill(0);
        }
        if let Err(error) = SecurityDescriptor::read(&octets) {
            prop_assert!(error.offset <= usize::from(u16::MAX) + 255);
        }
    }
}
