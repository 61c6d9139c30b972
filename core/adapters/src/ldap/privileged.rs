//! Which computers are never touched, whatever is asked: controllers, service accounts, and computers that stand for more than a device.

use postern_actors::{DirectoryEntry, DirectoryError, DirectoryWriteError, Sid};

use super::session::Session;

/// Bits of `userAccountControl` (MS-ADTS 2.2.16).
const WORKSTATION: u32 = 0x1000;
const NOT_A_DEVICE: [(u32, &str); 6] = [
    (0x2000, "it is a domain controller"),
    (0x0400_0000, "it is a read-only domain controller"),
    (0x0800, "it is a trust between domains"),
    (0x0200, "it is a user's account"),
    (0x0008_0000, "it is trusted for delegation"),
    (0x0100_0000, "it is trusted to sign in for others"),
];
/// Primary groups of domain controllers.
const CONTROLLERS: [&str; 2] = ["516", "521"];
/// Groups of the domain that administer it (MS-DTYP 2.4.2.4): controllers, also read-only ones, admins of domain, schema, forest and keys,
/// publishers of certificates, owners of GPOs.
const GROUPS: [u32; 10] = [498, 512, 516, 517, 518, 519, 520, 521, 526, 527];
/// Groups of the controllers themselves: administrators; account, server, print and backup operators, replicators.
const BUILT_IN: [u32; 6] = [544, 548, 549, 550, 551, 552];
/// Classes that are computers by descent only.
const SERVICES: [&str; 3] =
    ["msDS-ManagedServiceAccount", "msDS-GroupManagedServiceAccount", "msDS-DelegatedManagedServiceAccount"];

/// Why a computer is none that may be touched.
///
/// # Errors
/// Where that cannot be told: what is not known is not touched.
pub(super) async fn why_privileged(
    session: &mut Session,
    entry: &DirectoryEntry,
) -> Result<Option<&'static str>, DirectoryWriteError> {
    if let Some(why) = of_entry(entry)? {
        return Ok(Some(why));
    }
    // Constructed: of one entry only, those in groups included.
    let token = session.one(&entry.dn, &["tokenGroups"]).await?.map(|found| found.entry);
    let token = token.as_ref().map(|token| token.values("tokengroups")).unwrap_or_default();
    if token.is_empty() {
        let why = format!("the account that writes may not read which groups {} is in", entry.dn);
        return Err(DirectoryWriteError::Refused(why));
    }
    let groups: Result<Vec<Sid>, _> = token.iter().map(|octets| Sid::read_whole(octets)).collect();
    let groups = groups.map_err(|_| DirectoryError::Half("a token that cannot be read".to_owned()))?;
    Ok(groups.iter().any(is_privileged).then_some("it is in a group that administers the domain"))
}

fn of_entry(entry: &DirectoryEntry) -> Result<Option<&'static str>, DirectoryWriteError> {
    let flags = entry.text("useraccountcontrol").and_then(|flags| flags.trim().parse::<i64>().ok());
    // The directory writes a number of 32 bits with a sign.
    let flags = flags.and_then(|flags| u32::try_from(flags & 0xffff_ffff).ok()).ok_or_else(|| {
        let why = format!("the account that writes may not read userAccountControl of {}", entry.dn);
        DirectoryWriteError::Refused(why)
    })?;
    if let Some((_, why)) = NOT_A_DEVICE.iter().find(|(bit, _)| flags & bit != 0) {
        return Ok(Some(*why));
    }
    let is_true = |name: &str| entry.text(name).is_some_and(|text| text.trim().eq_ignore_ascii_case("TRUE"));
    Ok(if !entry.has("objectclass", "computer") || flags & WORKSTATION == 0 {
        Some("it is no computer of the domain")
    } else if SERVICES.iter().any(|class| entry.has("objectclass", class)) {
        Some("it is an account of services")
    } else if entry.text("primarygroupid").is_some_and(|group| CONTROLLERS.contains(&group.trim())) {
        Some("it is a domain controller")
    } else if is_true("iscriticalsystemobject") {
        Some("the directory says that it needs it")
    } else if entry.text("admincount").is_some_and(|count| count.trim() != "0") {
        Some("it is, or was, an administrator's")
    } else {
        None
    })
}

fn is_privileged(group: &Sid) -> bool {
    match group.in_domain() {
        Some((_, rid)) => GROUPS.contains(&rid),
        None => BUILT_IN.iter().any(|rid| *group == Sid::new(5, &[32, *rid])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(flags: &str, more: &[(&str, &str)]) -> DirectoryEntry {
        let mut entry = DirectoryEntry { dn: "CN=x,DC=y".to_owned(), ..DirectoryEntry::default() };
        let all = [("objectclass", "computer"), ("primarygroupid", "515"), ("useraccountcontrol", flags)];
        for (name, value) in all.iter().chain(more) {
            entry.attributes.entry((*name).to_owned()).or_default().push(value.as_bytes().to_vec());
        }
        entry
    }

    #[test]
    fn a_plain_computer_may_be_touched_and_nothing_else() {
        for flags in ["4096", "4098", "4128", "69632"] {
            assert_eq!(of_entry(&entry(flags, &[])), Ok(None), "{flags}");
        }
        for (flags, more) in [
            ("532480", [].as_slice()),
            ("83890176", &[]),
            ("528384", &[]),
            ("16781312", &[]),
            ("512", &[]),
            ("2080", &[]),
            ("0", &[]),
            ("4096", &[("admincount", "1")]),
            ("4096", &[("iscriticalsystemobject", "TRUE")]),
            ("4096", &[("objectclass", "msDS-GroupManagedServiceAccount")]),
        ] {
            assert!(matches!(of_entry(&entry(flags, more)), Ok(Some(_))), "{flags} {more:?}");
        }
        assert!(of_entry(&entry("x", &[])).unwrap_err().needs_a_person(), "what is not known is not touched");
    }

    #[test]
    fn groups_that_administer_are_known_by_number() {
        let domain = |rid| Sid::new(5, &[21, 1, 2, 3, rid]);
        assert!(is_privileged(&domain(512)) && is_privileged(&Sid::new(5, &[32, 544])));
        assert!(!is_privileged(&domain(515)) && !is_privileged(&domain(1104)));
        assert!(!is_privileged(&Sid::new(5, &[32, 545])));
    }
}
