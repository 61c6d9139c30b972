//! A directory of entries, as a search or an LDIF file gives them.

use std::{collections::BTreeMap, fmt};

use super::{Account, AccountKind, Directory, Group, Som, SomKind, SomLink};
use crate::policy::{
    dn::Dn,
    gplink,
    gpo::{FilterRef, Gpo, GpoId, NoSecurity},
    ldif::Entry,
    security_descriptor::SecurityDescriptor,
    sid::Sid,
    wql::Filter,
};

/// Something in an entry that was passed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// The entry.
    pub dn: String,
    /// What.
    pub what: &'static str,
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.dn, self.what)
    }
}

impl Directory {
    /// Takes entries in any order; several of one name are one entry. What is neither container, GPO, filter,
    /// account nor group is passed over in silence, what is and cannot be read with a remark.
    #[must_use]
    pub fn from_entries(entries: impl IntoIterator<Item = Entry>) -> (Self, Vec<Remark>) {
        let mut remarks = Vec::new();
        let mut merged: BTreeMap<Dn, Entry> = BTreeMap::new();
        for entry in entries {
            let Ok(dn) = Dn::new(&entry.dn) else {
                // The rootDSE has no name.
                if !entry.dn.trim().is_empty() {
                    remarks.push(Remark { dn: entry.dn, what: "not a distinguished name" });
                }
                continue;
            };
            let Some(before) = merged.get_mut(&dn) else {
                merged.insert(dn, entry);
                continue;
            };
            for (attribute, values) in entry.attributes {
                let known = before.attributes.entry(attribute).or_default();
                for value in values {
                    if !known.contains(&value) {
                        known.push(value);
                    }
                }
            }
        }
        let mut directory = Self::default();
        for (dn, entry) in merged {
            directory.take(dn, &entry, &mut |what| remarks.push(Remark { dn: entry.dn.clone(), what }));
        }
        (directory, remarks)
    }

    fn take(&mut self, dn: Dn, entry: &Entry, remark: &mut dyn FnMut(&'static str)) {
        let is = |class| entry.has("objectclass", class);
        let som = match (is("organizationalUnit"), is("domainDNS"), is("site")) {
            (true, ..) => Some(SomKind::Unit),
            (_, true, _) => Some(SomKind::Domain),
            (.., true) => Some(SomKind::Site),
            _ => None,
        };
        if let Some(kind) = som {
            self.set_som(som_of(dn, kind, entry, remark));
        } else if is("groupPolicyContainer") {
            self.set_gpo(gpo_of(dn, entry, remark));
        } else if is("msWMI-Som") {
            let id = entry.text("mswmi-id").and_then(|id| GpoId::read(id.trim()));
            match (id, entry.text("mswmi-parm2")) {
                (Some(GpoId(id)), Some(text)) => {
                    let name = entry.text("mswmi-name").unwrap_or_default();
                    self.set_filter(id, Filter::read(name, text));
                }
                _ => remark("the WMI filter has no id or no query"),
            }
        } else if is("computer") || is("user") {
            let kind = if is("computer") { AccountKind::Computer } else { AccountKind::User };
            self.set_account(account_of(dn, kind, entry, remark));
        } else if is("group") {
            let members = entry.values("member").iter();
            let members = members.filter_map(|member| std::str::from_utf8(member).ok());
            let members = members.filter_map(|member| Dn::new(member).ok()).collect();
            self.set_group(Group { dn, sid: sid_of(entry, remark), members });
        }
    }
}

fn som_of(dn: Dn, kind: SomKind, entry: &Entry, remark: &mut dyn FnMut(&'static str)) -> Som {
    let links = gplink::read(entry.text("gplink").unwrap_or_default()).map(|links| {
        let links = links.into_iter().map(|link| SomLink {
            gpo: Dn::new(&link.gpo).map_err(|_| link.gpo),
            disabled: link.disabled,
            enforced: link.enforced,
        });
        links.collect()
    });
    if links.is_err() {
        remark("gPLink cannot be read");
    }
    let blocks = entry.text("gpoptions").is_some_and(|options| options.trim() == "1");
    Som { dn, kind, links, blocks }
}

fn gpo_of(dn: Dn, entry: &Entry, remark: &mut dyn FnMut(&'static str)) -> Gpo {
    let cn = entry.text("cn").map_or_else(|| dn.name(), str::to_owned);
    let id = GpoId::read(&cn);
    if id.is_none() {
        remark("the GPO's name is no GUID");
    }
    let own = |attribute| entry.text(attribute).map(str::to_owned);
    let number = |attribute| entry.text(attribute).and_then(|text| text.trim().parse::<i64>().ok());
    // Both are signed in the directory; their bits count.
    let bits = |attribute| number(attribute).and_then(|n| u32::try_from(n & 0xffff_ffff).ok()).unwrap_or(0);
    let security = match entry.values("ntsecuritydescriptor").first() {
        None => Err(NoSecurity::Absent),
        Some(octets) => SecurityDescriptor::read(octets).map_err(NoSecurity::Unreadable),
    };
    if security.is_err() {
        remark("no readable nTSecurityDescriptor: the GPO is applied by nobody");
    }
    Gpo {
        id,
        name: own("displayname").filter(|name| !name.trim().is_empty()).unwrap_or(cn),
        flags: bits("flags"),
        version: bits("versionnumber"),
        functionality: number("gpcfunctionalityversion"),
        computer_extensions: own("gpcmachineextensionnames"),
        user_extensions: own("gpcuserextensionnames"),
        filter: entry.text("gpcwqlfilter").and_then(FilterRef::read),
        security,
        dn,
    }
}

fn account_of(dn: Dn, kind: AccountKind, entry: &Entry, remark: &mut dyn FnMut(&'static str)) -> Account {
    let own = |attribute| entry.text(attribute).map(str::to_owned);
    let token_groups = entry.attributes.get("tokengroups").map(|groups| {
        let sids = groups.iter().filter_map(|group| Sid::read_whole(group).ok()).collect::<Vec<_>>();
        if sids.len() != groups.len() {
            remark("tokenGroups holds what is no SID");
        }
        sids
    });
    Account {
        kind,
        logon_name: own("samaccountname"),
        principal_name: own("userprincipalname"),
        sid: sid_of(entry, remark),
        token_groups,
        primary_group: entry.text("primarygroupid").and_then(|rid| rid.trim().parse().ok()),
        dn,
    }
}

fn sid_of(entry: &Entry, remark: &mut dyn FnMut(&'static str)) -> Option<Sid> {
    let octets = entry.values("objectsid").first()?;
    // In base64 as octets; some tools write the text.
    let sid = Sid::read_whole(octets).ok().or_else(|| std::str::from_utf8(octets).ok()?.parse().ok());
    if sid.is_none() {
        remark("objectSid is no SID");
    }
    sid
}
