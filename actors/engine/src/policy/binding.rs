//! Which computer and which user of a directory a device and its owner are.
//!
//! Promise: pure; nothing is guessed. A device that could be several computers, an owner who could be several users,
//! is none, and the answer names all that it could be. A domain controller is never a device.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use super::{dn::Dn, fold::fold, ldif::Entry, sid::Sid};

/// Primary groups of domain controllers: writable ones, and those that only read.
const CONTROLLERS: [&str; 2] = ["516", "521"];

/// What is known of a device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// What people call it.
    pub name: String,
    /// Its owner, as the enrolment has it.
    pub owner: Option<String>,
    /// SHA-256 of its certificate.
    pub certificate: Option<[u8; 32]>,
    /// The DNS name that its certificate bears (SAN).
    pub host: Option<Host>,
    /// Whether another live device has the same name.
    pub has_namesake: bool,
    /// The computer that somebody named for it.
    pub computer: Option<Named>,
    /// The user that somebody named for its owner.
    pub user: Option<Named>,
}

/// The DNS name of a device's certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// The name.
    pub name: String,
    /// Whether another live device's certificate bears it, too.
    pub is_shared: bool,
}

/// An account that was named for a device: by its SID, which stays when it is moved or renamed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// Its SID.
    pub sid: Sid,
    /// Made for the device when it was enrolled, not named by a person.
    pub created: bool,
}

/// What led to an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum How {
    /// A person named it.
    Explicit,
    /// It was made when the device was enrolled.
    Created,
    /// It holds the device's certificate (`userCertificate`).
    Certificate,
    /// It has the DNS name that the device's certificate bears (SAN against `dNSHostName`).
    San,
    /// It bears the device's name.
    Name,
    /// It has the owner's mail address.
    Mail,
    /// It has the owner's principal name.
    PrincipalName,
    /// It has the owner's logon name.
    LogonName,
}

impl How {
    /// The stable spelling.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Explicit => "explicit",
            Self::Created => "created",
            Self::Certificate => "certificate",
            Self::San => "san",
            Self::Name => "name",
            Self::Mail => "mail",
            Self::PrincipalName => "principal-name",
            Self::LogonName => "logon-name",
        }
    }
}

impl fmt::Display for How {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why there is no account.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unbound {
    /// No directory was read yet.
    #[error("no directory was read yet")]
    NoDirectory,
    /// The device has no owner.
    #[error("the device has no owner")]
    NoOwner,
    /// The directory holds none by what is known.
    #[error("the directory holds none by that name")]
    Nobody,
    /// The one that was named is not there any more.
    #[error("the account that was named is not in the directory")]
    Gone,
    /// It could be several.
    #[error("it could be several")]
    Several(Vec<Dn>),
    /// Several live devices have the name.
    #[error("several devices have this name")]
    Namesakes,
    /// Several live devices have certificates for one DNS name.
    #[error("the certificates of several devices bear this DNS name")]
    SharedHost,
}

/// An account, or why there is none.
pub type Found = Result<(Dn, How), Unbound>;

/// What a device and its owner are in the directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    /// The device's computer.
    pub computer: Found,
    /// The owner's user.
    pub user: Found,
}

impl Bound {
    /// What holds while no directory was read.
    #[must_use]
    pub const fn unread() -> Self {
        Self { computer: Err(Unbound::NoDirectory), user: Err(Unbound::NoDirectory) }
    }

    /// The device's computer, where it has one.
    #[must_use]
    pub fn computer(&self) -> Option<&Dn> {
        self.computer.as_ref().ok().map(|(dn, _)| dn)
    }

    /// The owner's user, where there is one.
    #[must_use]
    pub fn user(&self) -> Option<&Dn> {
        self.user.as_ref().ok().map(|(dn, _)| dn)
    }
}

/// The accounts of a directory by everything that they are found by: made once for each reading.
#[derive(Clone, Debug, Default)]
pub struct Accounts {
    by_sid: BTreeMap<Sid, Dn>,
    computers: BTreeMap<String, BTreeSet<Dn>>,
    certificates: BTreeMap<[u8; 32], BTreeSet<Dn>>,
    hosts: BTreeMap<String, BTreeSet<Dn>>,
    mails: BTreeMap<String, BTreeSet<Dn>>,
    principals: BTreeMap<String, BTreeSet<Dn>>,
    logons: BTreeMap<String, BTreeSet<Dn>>,
}

impl Accounts {
    /// The accounts of these entries. `below`: computers elsewhere are no devices, by name or certificate; `digest` is
    /// SHA-256.
    #[must_use]
    pub fn of<'e>(
        entries: impl IntoIterator<Item = (&'e Dn, &'e Entry)>,
        below: Option<&Dn>,
        digest: impl Fn(&[u8]) -> [u8; 32],
    ) -> Self {
        let mut all = Self::default();
        for (dn, entry) in entries {
            let is_computer = entry.has("objectclass", "computer");
            if !is_computer && !entry.has("objectclass", "user") {
                continue;
            }
            let sid = entry.values("objectsid").first().and_then(|octets| Sid::read(octets).ok());
            if is_computer {
                if entry.text("primarygroupid").is_some_and(|group| CONTROLLERS.contains(&group.trim())) {
                    continue;
                }
                all.by_sid.extend(sid.map(|(sid, _)| (sid, dn.clone())));
                if below.is_none_or(|below| dn.is_below(below)) {
                    all.take_computer(dn, entry, &digest);
                }
            } else {
                all.by_sid.extend(sid.map(|(sid, _)| (sid, dn.clone())));
                all.take_user(dn, entry);
            }
        }
        all
    }

    fn take_computer(&mut self, dn: &Dn, entry: &Entry, digest: impl Fn(&[u8]) -> [u8; 32]) {
        for name in computer_names(dn, entry) {
            self.computers.entry(name).or_default().insert(dn.clone());
        }
        if let Some(host) = entry.text("dnshostname").map(host_key).filter(|host| !host.is_empty()) {
            self.hosts.entry(host).or_default().insert(dn.clone());
        }
        for certificate in entry.values("usercertificate") {
            self.certificates.entry(digest(certificate)).or_default().insert(dn.clone());
        }
    }

    fn take_user(&mut self, dn: &Dn, entry: &Entry) {
        let put = |into: &mut BTreeMap<String, BTreeSet<Dn>>, name: Option<&str>| {
            if let Some(name) = name.map(key).filter(|name| !name.is_empty()) {
                into.entry(name).or_default().insert(dn.clone());
            }
        };
        put(&mut self.mails, entry.text("mail"));
        put(&mut self.principals, entry.text("userprincipalname"));
        put(&mut self.logons, entry.text("samaccountname"));
    }

    /// The account with a SID.
    #[must_use]
    pub fn by_sid(&self, sid: &Sid) -> Option<&Dn> {
        self.by_sid.get(sid)
    }

    /// The one user of a principal name, or else of a logon name; none where there is none, or several.
    #[must_use]
    pub fn user_called(&self, principal: Option<&str>, logon: Option<&str>) -> Option<&Dn> {
        let by_principal = principal.and_then(|name| self.principals.get(&key(name)));
        let found = by_principal.or_else(|| self.logons.get(&key(logon?)))?;
        found.first().filter(|_| found.len() == 1)
    }

    /// What a device and its owner are.
    #[must_use]
    pub fn bind(&self, known: &Known) -> Bound {
        Bound { computer: self.computer(known), user: self.user(known) }
    }

    fn computer(&self, known: &Known) -> Found {
        if let Some(named) = &known.computer {
            return self.named(named);
        }
        if let Some(found) = known.certificate.and_then(|digest| self.certificates.get(&digest)) {
            return one(found, How::Certificate);
        }
        if let Some(host) = &known.host
            && let Some(found) = self.hosts.get(&host_key(&host.name))
        {
            return if host.is_shared { Err(Unbound::SharedHost) } else { one(found, How::San) };
        }
        let Some(found) = self.computers.get(&key(&known.name)) else { return Err(Unbound::Nobody) };
        if known.has_namesake {
            return Err(Unbound::Namesakes);
        }
        one(found, How::Name)
    }

    fn user(&self, known: &Known) -> Found {
        if let Some(named) = &known.user {
            return self.named(named);
        }
        let owner = known.owner.as_deref().map(key).filter(|owner| !owner.is_empty());
        let owner = owner.ok_or(Unbound::NoOwner)?;
        let logon = owner.rsplit_once('\\').map_or(owner.as_str(), |(_, logon)| logon);
        let ways = [
            (How::Mail, self.mails.get(&owner)),
            (How::PrincipalName, self.principals.get(&owner)),
            (How::LogonName, self.logons.get(logon)),
        ];
        let found: BTreeSet<Dn> = ways.iter().filter_map(|(_, found)| *found).flatten().cloned().collect();
        match ways.iter().find(|(_, found)| found.is_some()) {
            // One person's mail address that is another's logon name counts as both.
            Some((how, _)) => one(&found, *how),
            None => Err(Unbound::Nobody),
        }
    }

    fn named(&self, named: &Named) -> Found {
        let how = if named.created { How::Created } else { How::Explicit };
        self.by_sid.get(&named.sid).map(|dn| (dn.clone(), how)).ok_or(Unbound::Gone)
    }
}

/// The names by which a device is a computer, in the form that is compared.
#[must_use]
pub fn computer_names(dn: &Dn, entry: &Entry) -> BTreeSet<String> {
    let logon = entry.text("samaccountname").map(|name| name.strip_suffix('$').unwrap_or(name));
    let own = dn.name();
    let all = [logon, entry.text("dnshostname"), Some(own.as_str())].into_iter().flatten();
    all.map(key).filter(|name| !name.is_empty()).collect()
}

fn one(found: &BTreeSet<Dn>, how: How) -> Found {
    match found.first() {
        Some(dn) if found.len() == 1 => Ok((dn.clone(), how)),
        Some(_) => Err(Unbound::Several(found.iter().cloned().collect())),
        None => Err(Unbound::Nobody),
    }
}

/// A DNS name without case and without the dot at its end.
#[must_use]
pub fn host_key(name: &str) -> String {
    key(name.trim().trim_end_matches('.'))
}

fn key(name: &str) -> String {
    fold(name.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = "DC=corp,DC=example";

    fn entry(dn: &str, attributes: &[(&str, &str)]) -> (Dn, Entry) {
        let mut entry = Entry { dn: dn.to_owned(), ..Entry::default() };
        for (name, value) in attributes {
            entry.attributes.entry((*name).to_owned()).or_default().push(value.as_bytes().to_vec());
        }
        (Dn::new(dn).unwrap(), entry)
    }

    fn with_sid((dn, mut entry): (Dn, Entry), rid: u32) -> (Dn, Entry) {
        let mut octets = vec![1, 2, 0, 0, 0, 0, 0, 5];
        octets.extend(21_u32.to_le_bytes());
        octets.extend(rid.to_le_bytes());
        entry.attributes.insert("objectsid".to_owned(), vec![octets]);
        (dn, entry)
    }

    fn computer(dn: &str, logon: &str) -> (Dn, Entry) {
        entry(
            &format!("{dn},{BASE}"),
            &[("objectclass", "user"), ("objectclass", "computer"), ("samaccountname", logon)],
        )
    }

    fn user(name: &str, attributes: &[(&str, &str)]) -> (Dn, Entry) {
        let mut all = vec![("objectclass", "user")];
        all.extend(attributes);
        entry(&format!("CN={name},CN=Users,{BASE}"), &all)
    }

    fn accounts(entries: &[(Dn, Entry)], below: Option<&str>) -> Accounts {
        let below = below.map(|below| Dn::new(below).unwrap());
        let digest = |octets: &[u8]| {
            let mut out = [0; 32];
            out[..octets.len().min(32)].copy_from_slice(&octets[..octets.len().min(32)]);
            out
        };
        Accounts::of(entries.iter().map(|(dn, entry)| (dn, entry)), below.as_ref(), digest)
    }

    fn device(name: &str) -> Known {
        Known { name: name.to_owned(), ..Known::default() }
    }

    fn owned(owner: &str) -> Known {
        Known { owner: Some(owner.to_owned()), ..device("x") }
    }

    #[test]
    fn a_device_is_found_by_name_and_never_guessed() {
        let all = accounts(
            &[
                computer("CN=Phone1,OU=Devices", "PHONE1$"),
                computer("CN=Twin,OU=A", "TWIN-A$"),
                computer("CN=Twin,OU=B", "TWIN-B$"),
            ],
            None,
        );

        let found = all.bind(&device(" phone1 ")).computer.unwrap();
        assert_eq!((found.0.name().as_str(), found.1), ("Phone1", How::Name));
        assert!(
            matches!(all.bind(&device("twin")).computer, Err(Unbound::Several(several)) if several.len() == 2)
        );
        assert_eq!(
            all.bind(&device("twin-a")).computer().unwrap().as_str(),
            "CN=Twin,OU=A,DC=corp,DC=example"
        );
        assert_eq!(all.bind(&device("other")).computer, Err(Unbound::Nobody));
        assert_eq!(all.bind(&device("")).computer, Err(Unbound::Nobody));
        let namesake = Known { has_namesake: true, ..device("phone1") };
        assert_eq!(all.bind(&namesake).computer, Err(Unbound::Namesakes));
    }

    #[test]
    fn what_a_person_named_comes_before_a_certificate_and_that_before_a_name() {
        let mut holder = computer("CN=Holder,OU=Devices", "HOLDER$");
        holder.1.attributes.insert("usercertificate".to_owned(), vec![vec![7; 32]]);
        let all = accounts(
            &[computer("CN=Phone,OU=Devices", "PHONE$"), holder, with_sid(computer("CN=N,OU=Far", "N$"), 7)],
            Some("OU=Devices,DC=corp,DC=example"),
        );
        let by_name = device("phone");
        let by_certificate = Known { certificate: Some([7; 32]), ..by_name.clone() };
        let sid = Sid::new(5, &[21, 7]);
        let named =
            Known { computer: Some(Named { sid: sid.clone(), created: false }), ..by_certificate.clone() };
        let how = |known: &Known| all.bind(known).computer.map(|(dn, how)| (dn.name(), how));

        assert_eq!(how(&by_name), Ok(("Phone".to_owned(), How::Name)));
        assert_eq!(how(&by_certificate), Ok(("Holder".to_owned(), How::Certificate)));
        assert_eq!(how(&named), Ok(("N".to_owned(), How::Explicit)));
        let created = Known { computer: Some(Named { sid, created: true }), ..named.clone() };
        assert_eq!(how(&created), Ok(("N".to_owned(), How::Created)));
        let gone = Named { sid: Sid::new(5, &[21, 8]), created: false };
        assert_eq!(how(&Known { computer: Some(gone), ..named }), Err(Unbound::Gone));
        assert_eq!(how(&device("n")), Err(Unbound::Nobody), "it does not lie below the devices");
    }

    #[test]
    fn the_dns_name_of_a_certificate_comes_before_a_name_and_several_are_none() {
        let hosted = |dn: &str, logon: &str, host: &str| {
            let (dn, mut entry) = computer(dn, logon);
            entry.attributes.insert("dnshostname".to_owned(), vec![host.as_bytes().to_vec()]);
            (dn, entry)
        };
        let all = accounts(
            &[
                hosted("CN=One,OU=Devices", "ONE$", "Host1.Corp.example"),
                hosted("CN=A,OU=Devices", "A$", "twin.corp.example"),
                hosted("CN=B,OU=Devices", "B$", "TWIN.corp.example"),
                computer("CN=Phone,OU=Devices", "PHONE$"),
            ],
            None,
        );
        let of = |host: &str, is_shared| {
            let host = Host { name: host.to_owned(), is_shared };
            all.bind(&Known { host: Some(host), ..device("phone") }).computer
        };

        let found = of("HOST1.corp.EXAMPLE.", false).unwrap();
        assert_eq!((found.0.name().as_str(), found.1), ("One", How::San));
        assert_eq!(of("host1.corp.example", true), Err(Unbound::SharedHost));
        assert!(matches!(of("twin.corp.example", false), Err(Unbound::Several(two)) if two.len() == 2));
        assert_eq!(of("nowhere.corp.example", false).unwrap().1, How::Name, "nobody has it: the next rule");
    }

    #[test]
    fn a_domain_controller_is_no_device() {
        let mut controller = with_sid(computer("CN=DC1,OU=Domain Controllers", "DC1$"), 9);
        controller.1.attributes.insert("primarygroupid".to_owned(), vec![b"516".to_vec()]);
        let all = accounts(&[controller], None);

        assert_eq!(all.bind(&device("dc1")).computer, Err(Unbound::Nobody));
        let sid = Sid::new(5, &[21, 9]);
        let named = Known { computer: Some(Named { sid, created: false }), ..device("dc1") };
        assert_eq!(all.bind(&named).computer, Err(Unbound::Gone));
    }

    #[test]
    fn an_owner_is_found_by_mail_principal_and_logon_name() {
        let all = accounts(
            &[
                user(
                    "Alice",
                    &[
                        ("samaccountname", "alice"),
                        ("userprincipalname", "alice@corp.example"),
                        ("mail", "Alice.A@corp.example"),
                    ],
                ),
                user("Bob", &[("samaccountname", "bob"), ("mail", "shared@corp.example")]),
                user("Eve", &[("samaccountname", "eve"), ("userprincipalname", "shared@corp.example")]),
            ],
            None,
        );
        let how = |owner: &str| all.bind(&owned(owner)).user.map(|(dn, how)| (dn.name(), how));

        assert_eq!(how("alice.a@CORP.example"), Ok(("Alice".to_owned(), How::Mail)));
        assert_eq!(how("alice@corp.example"), Ok(("Alice".to_owned(), How::PrincipalName)));
        assert_eq!(how("CORP\\alice"), Ok(("Alice".to_owned(), How::LogonName)));
        assert!(matches!(how("shared@corp.example"), Err(Unbound::Several(two)) if two.len() == 2));
        assert_eq!(how("nobody"), Err(Unbound::Nobody));
        assert_eq!(all.bind(&device("x")).user, Err(Unbound::NoOwner));
    }
}
