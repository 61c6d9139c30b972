//! The directory reader on a real domain controller: what it reads is what an LDIF file of the same domain says, what
//! changes is seen, and each thing that is wrong with a controller has its own error.

mod computers;
mod in_a_core;
mod killed;

use std::{
    collections::BTreeMap,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener},
    path::Path,
    sync::Arc,
};

use postern_actors::{
    BindRefusal, DirectoryChanges, DirectoryEntry, DirectoryError, DirectoryKeeper, DirectoryLook,
    DirectoryPace, DirectoryReader as _, DirectorySnapshot, Dn, SystemClock,
};
use postern_adapters::{
    OpenError,
    ldap::{LdapConfig, LdapReader},
};
use postern_engine::policy::{
    directory::{AccountKind, Directory},
    ldif,
    rsop::{self, Options, Target, World},
};
use postern_tests::{
    proxy::{FaultProxy, Faults},
    samba::Samba,
    tls_front::TlsFront,
};
use tokio::runtime::Runtime;

const ACCOUNT: &str = "svc-mdm@corp.example";
const PASSWORD: &str = "Svc-Passw0rd!1";
const POLICIES: &str = "CN=Policies,CN=System,DC=corp,DC=example";
const DEFAULT_POLICY: &str = "{31B2F340-016D-11D2-945F-00C04FB984F9}";
const BASELINE: &str = "{AAAAAAAA-0000-4000-8000-000000000001}";
const FIELD: &str = "{AAAAAAAA-0000-4000-8000-000000000002}";
const SITE: &str = "{AAAAAAAA-0000-4000-8000-000000000003}";
const SITE_DN: &str = "CN=Default-First-Site-Name,CN=Sites,CN=Configuration,DC=corp,DC=example";
const FILTER: &str = "{11111111-2222-3333-4444-555555555555}";
const FIELD_OU: &str = "OU=Field,OU=Devices,OU=MDM,DC=corp,DC=example";

#[test]
fn a_real_domain_is_read_followed_and_its_faults_are_told_apart() {
    let mut samba = Samba::start();
    populate(&samba);
    let folder = tempfile::tempdir().expect("a folder");
    let site = Site { samba: &samba, folder: folder.path(), runtime: Runtime::new().expect("a runtime") };

    let read = what_is_read_is_what_ldif_says(&site);
    policy_runs_on_it(&read);
    let read = changes_are_seen(&site, read);
    a_wrong_sign_in_is_told(&site);
    nothing_is_sent_in_clear(&site);
    a_wrong_certificate_is_told(&site);
    limits_hold(&site);
    an_answer_cut_short_is_half_an_answer(&site);
    a_controller_that_hangs_is_slow(&site, &read);

    let Site { runtime, .. } = site;
    let settings = config(&format!("ldaps://{}", samba.ldaps()));
    let reader = Arc::new(LdapReader::open(&settings, folder.path()).expect("settings"));
    let keeper = DirectoryKeeper::new(reader, Arc::new(SystemClock::new()), DirectoryPace::default());
    assert_eq!(runtime.block_on(keeper.refresh(false)), Ok(DirectoryLook::Whole));
    assert_eq!(runtime.block_on(keeper.refresh(false)), Ok(DirectoryLook::Same));
    let good = keeper.snapshot();
    assert_eq!(good.as_ref().map(|good| good.directory()), Some(read.directory()));
    samba.stop();
    let stopped = runtime.block_on(keeper.refresh(false));
    assert!(matches!(stopped, Err(DirectoryError::Down(_))), "{stopped:?}");
    assert_eq!(keeper.snapshot(), good, "the last good snapshot stays");
    assert_eq!(keeper.status().trouble.map(|trouble| trouble.looks), Some(1));
}

struct Site<'s> {
    samba: &'s Samba,
    folder: &'s Path,
    runtime: Runtime,
}

impl Site<'_> {
    fn config(&self) -> LdapConfig {
        std::fs::copy(self.samba.ca(), self.folder.join("ca.pem")).expect("the authority");
        std::fs::write(self.folder.join("password"), PASSWORD).expect("the password");
        config(&format!("ldaps://{}", self.samba.ldaps()))
    }

    fn reader(&self, config: &LdapConfig) -> LdapReader {
        LdapReader::open(config, self.folder).expect("settings that can work")
    }

    fn snapshot(&self, config: &LdapConfig) -> Result<DirectorySnapshot, DirectoryError> {
        let reader = self.reader(config);
        self.runtime.block_on(async { reader.snapshot().await })
    }

    fn changes(&self, since: &DirectorySnapshot) -> DirectoryChanges {
        let reader = self.reader(&self.config());
        self.runtime.block_on(reader.changes(since.mark.clone())).expect("the controller answers")
    }
}

fn config(server: &str) -> LdapConfig {
    LdapConfig {
        servers: vec![server.to_owned()],
        starttls: false,
        ca: "ca.pem".into(),
        account: ACCOUNT.to_owned(),
        password_file: "password".into(),
        look_s: 60,
        devices_below: None,
        page: 500,
        range: 1_000,
        connect_ms: 20_000,
        answer_ms: 20_000,
        pass_ms: 60_000,
        entries: 10_000,
        octets: 1 << 26,
    }
}

/// A tree of units, GPOs linked at each kind of container, computers, a user, groups in groups.
fn populate(samba: &Samba) {
    let base = Samba::BASE;
    let mut ldif = String::new();
    let mut add = |dn: &str, lines: &[&str]| {
        ldif += &format!("dn: {dn}\nchangetype: add\n{}\n\n", lines.join("\n"));
    };
    for unit in ["OU=MDM", "OU=Devices,OU=MDM", "OU=Field,OU=Devices,OU=MDM", "OU=Groups,OU=MDM"] {
        add(&format!("{unit},{base}"), &["objectClass: organizationalUnit"]);
    }
    for (id, name) in [(BASELINE, "MDM Baseline"), (FIELD, "Field Phones"), (SITE, "Of The Site")] {
        add(
            &format!("CN={id},{POLICIES}"),
            &[
                "objectClass: groupPolicyContainer",
                &format!("displayName: {name}"),
                "flags: 0",
                "versionNumber: 65537",
                "gPCFunctionalityVersion: 2",
                "gPCMachineExtensionNames: [{35378EAC-683F-11D2-A89A-00C04FBBCFA2}{D02B1F72-3407-48AE-BA88-E8213C6761F1}]",
            ],
        );
    }
    let query = "SELECT * FROM Win32_OperatingSystem";
    add(
        &format!("CN={FILTER},CN=SOM,CN=WMIPolicy,CN=System,{base}"),
        &[
            "objectClass: msWMI-Som",
            &format!("msWMI-ID: {FILTER}"),
            "msWMI-Name: All",
            "msWMI-Author: Administrator@CORP.EXAMPLE",
            "msWMI-Parm1: test",
            &format!("msWMI-Parm2: 1;3;10;{};WQL;root\\CIMv2;{query};", query.len()),
            "msWMI-ChangeDate: 20260101000000.000000-000",
            "msWMI-CreationDate: 20260101000000.000000-000",
        ],
    );
    for number in 1..=7 {
        add(&format!("CN=PHONE{number},{FIELD_OU}"), &computer(number).each_ref().map(String::as_str));
    }
    let members: Vec<String> = (1..=7).map(|number| format!("member: CN=PHONE{number},{FIELD_OU}")).collect();
    let mut phones = vec!["objectClass: group", "sAMAccountName: Phones"];
    phones.extend(members.iter().map(String::as_str));
    add(&format!("CN=Phones,OU=Groups,OU=MDM,{base}"), &phones);
    let inner = format!("member: CN=Phones,OU=Groups,OU=MDM,{base}");
    add(
        &format!("CN=Everything,OU=Groups,OU=MDM,{base}"),
        &["objectClass: group", "sAMAccountName: Everything", &inner],
    );
    add(&format!("CN=Nobody,OU=Groups,OU=MDM,{base}"), &["objectClass: group", "sAMAccountName: Nobody"]);
    let mut change = |dn: &str, attribute: &str, value: &str| {
        ldif += &format!("dn: {dn}\nchangetype: modify\nreplace: {attribute}\n{attribute}: {value}\n\n");
    };
    change(&format!("OU=MDM,{base}"), "gPLink", &link(&[(BASELINE, 2)]));
    change(FIELD_OU, "gPLink", &link(&[(FIELD, 0), (BASELINE, 1)]));
    change(FIELD_OU, "gPOptions", "1");
    change(SITE_DN, "gPLink", &link(&[(SITE, 0)]));
    change(&format!("CN={FIELD},{POLICIES}"), "gPCWQLFilter", &format!("[corp.example;{FILTER};0]"));
    samba.modify(&ldif);
    samba.tool(&["user", "create", "svc-mdm", PASSWORD]);
    samba.tool(&["user", "create", "was-mdm", PASSWORD]);
    samba.tool(&["user", "disable", "was-mdm"]);
}

fn computer(number: u32) -> [String; 3] {
    // 0x1000 workstation trust account, 0x20 no password needed.
    [
        "objectClass: computer".to_owned(),
        format!("sAMAccountName: PHONE{number}$"),
        "userAccountControl: 4128".to_owned(),
    ]
}

fn link(of: &[(&str, u32)]) -> String {
    of.iter().map(|(id, options)| format!("[LDAP://CN={id},{POLICIES};{options}]")).collect()
}

fn what_is_read_is_what_ldif_says(site: &Site<'_>) -> DirectorySnapshot {
    let small = LdapConfig { page: 3, range: 2, ..site.config() };
    let read = site.snapshot(&small).expect("the domain in small pages");
    let (directory, remarks) = read.directory();

    let mut expected = Vec::new();
    for base in [Samba::BASE, "CN=Sites,CN=Configuration,DC=corp,DC=example"] {
        let file = site.samba.ldif(ACCOUNT, PASSWORD, base);
        expected.extend(ldif::read(&file, &ldif::Limits::default()).expect("LDIF"));
    }
    let (expected, expected_remarks) = Directory::from_entries(expected);
    assert_eq!(directory.soms(), expected.soms());
    assert_eq!(directory.gpos(), expected.gpos());
    assert_eq!(directory.filters(), expected.filters());
    assert_eq!(directory.accounts(), expected.accounts());
    assert_eq!(directory.groups(), expected.groups());
    assert_eq!((directory.clone(), remarks), (expected, expected_remarks));

    assert_eq!((directory.gpos().len(), directory.filters().len(), directory.sites().count()), (5, 1, 1));
    assert!(directory.gpos().values().all(|gpo| gpo.security.is_ok()), "security descriptors are read");
    let phones = Dn::new(&format!("CN=Phones,OU=Groups,OU=MDM,{}", Samba::BASE)).expect("a name");
    assert_eq!(directory.groups()[&phones].members.len(), 7, "a group larger than a piece is whole");

    let by_starttls = LdapConfig {
        servers: vec![format!("ldap://{}", site.samba.address())],
        starttls: true,
        ..site.config()
    };
    let same = site.snapshot(&by_starttls).expect("the domain in one page").directory().0;
    assert_eq!(same, directory);
    read
}

fn policy_runs_on_it(read: &DirectorySnapshot) {
    let (directory, _) = read.directory();
    let phone = directory.account(AccountKind::Computer, "PHONE1").expect("the computer").dn.clone();
    let world = World { directory, folders: BTreeMap::new(), options: Options::default() };
    let target = Target {
        computer: Some(phone),
        user: None,
        site: Some(Dn::new(SITE_DN).expect("a name")),
        facts: Arc::default(),
        loopback: None,
    };

    let pass =
        rsop::resultant(&world, &target).expect("a resultant set").computer.expect("the device's part");

    let mut links: Vec<(String, bool)> =
        pass.links.iter().map(|link| (link.gpo_name(), link.enforced)).collect();
    links.sort();
    links.dedup();
    let expected = ["Default Domain Policy", "Field Phones", "MDM Baseline", "MDM Baseline", "Of The Site"];
    assert_eq!(links.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), expected);
    let enforced: Vec<_> =
        links.iter().filter(|(_, enforced)| *enforced).map(|(name, _)| name.as_str()).collect();
    assert_eq!(enforced, ["MDM Baseline"]);
}

/// After each change the look at what changed comes to what a whole reading gives.
fn changes_are_seen(site: &Site<'_>, mut read: DirectorySnapshot) -> DirectorySnapshot {
    let base = Samba::BASE;
    let modify = |dn: &str, attribute: &str, value: &str| {
        format!("dn: {dn}\nchangetype: modify\nreplace: {attribute}\n{attribute}: {value}\n")
    };
    let swapped = link(&[(BASELINE, 0), (DEFAULT_POLICY, 2)]);
    for (what, ldif, changed) in [
        ("a link", modify(FIELD_OU, "gPLink", &swapped), FIELD_OU.to_owned()),
        ("a site's link", modify(SITE_DN, "gPLink", &link(&[(SITE, 1)])), SITE_DN.to_owned()),
        (
            "a version",
            modify(&format!("CN={FIELD},{POLICIES}"), "versionNumber", "65538"),
            format!("CN={FIELD},{POLICIES}"),
        ),
        (
            "a new computer",
            format!("dn: CN=PHONE8,{FIELD_OU}\nchangetype: add\n{}\n", computer(8).join("\n")),
            format!("CN=PHONE8,{FIELD_OU}"),
        ),
        (
            "a member less",
            format!(
                "dn: CN=Phones,OU=Groups,OU=MDM,{base}\nchangetype: modify\ndelete: member\nmember: CN=PHONE1,{FIELD_OU}\n"
            ),
            format!("CN=Phones,OU=Groups,OU=MDM,{base}"),
        ),
        (
            "a GPO gone",
            format!("dn: CN={SITE},{POLICIES}\nchangetype: delete\n"),
            format!("CN={SITE},{POLICIES}"),
        ),
    ] {
        site.samba.modify(&ldif);
        let changes = site.changes(&read);
        let DirectoryChanges::Some { entries, present, .. } = &changes else { panic!("{what}: {changes:?}") };
        let changed = Dn::new(&changed).expect("a name");
        let is_changed = |entry: &DirectoryEntry| Dn::new(&entry.dn).is_ok_and(|dn| dn == changed);
        assert!(entries.iter().any(is_changed) || !present.contains(&changed), "{what}: {entries:?}");
        assert!(entries.len() < 5, "{what}: only what changed is read: {entries:?}");
        read = read.after(changes).unwrap_or_else(|| panic!("{what} needs no whole reading"));
        let whole = site.snapshot(&site.config()).expect("the whole domain");
        assert_eq!(read.directory(), whole.directory(), "{what}");
    }
    let som = &read.directory().0.soms()[&Dn::new(FIELD_OU).expect("a name")].links.clone().expect("links");
    assert_eq!(som.iter().map(|link| link.enforced).collect::<Vec<_>>(), [false, true]);

    // Not every server tells who had named one that is gone.
    site.samba.modify(&format!("dn: CN=PHONE7,{FIELD_OU}\nchangetype: delete\n"));
    let changes = site.changes(&read);
    let whole = site.snapshot(&site.config()).expect("the whole domain");
    if let Some(after) = read.after(changes) {
        assert_eq!(after.directory(), whole.directory(), "a member gone");
    }
    read = whole;

    let renamed =
        format!("dn: OU=Devices,OU=MDM,{base}\nchangetype: modrdn\nnewrdn: OU=Things\ndeleteoldrdn: 1\n");
    site.samba.modify(&renamed);
    let changes = site.changes(&read);
    let whole = site.snapshot(&site.config()).expect("the whole domain");
    if let Some(after) = read.after(changes) {
        assert_eq!(after.directory(), whole.directory(), "a renamed unit");
    }
    let again = site.changes(&whole);
    assert_eq!(whole.after(again).expect("nothing else changed").directory(), whole.directory());
    let mut stranger = whole.clone();
    stranger.mark.database = "00".to_owned();
    assert_eq!(site.changes(&stranger), DirectoryChanges::Unknown, "a database that was put back");
    whole
}

fn a_wrong_sign_in_is_told(site: &Site<'_>) {
    let refused = |account: &str, password: &str| {
        let config =
            LdapConfig { account: account.to_owned(), password_file: "other".into(), ..site.config() };
        std::fs::write(site.folder.join("other"), password).expect("a password");
        site.snapshot(&config).expect_err("no sign-in")
    };
    assert_eq!(refused(ACCOUNT, "Wr0ng-Passw0rd!"), DirectoryError::Refused(BindRefusal::Credentials));
    assert_eq!(refused("nobody@corp.example", PASSWORD), DirectoryError::Refused(BindRefusal::Credentials));
    assert_eq!(refused("was-mdm@corp.example", PASSWORD), DirectoryError::Refused(BindRefusal::Disabled));
}

fn nothing_is_sent_in_clear(site: &Site<'_>) {
    let proxy = FaultProxy::before(SocketAddr::new(site.samba.ldaps().ip(), 389));
    let clear = LdapConfig { servers: vec![format!("ldap://{}", proxy.address())], ..site.config() };
    let error = LdapReader::open(&clear, site.folder).expect_err("a sign-in in clear");
    assert!(matches!(error, OpenError::Setting { key: "directory.servers", .. }), "{error}");
    assert_eq!((proxy.connections(), proxy.octets()), (0, (0, 0)));

    // One that does not encrypt hears the question for it, and nothing else.
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("a bound listener has an address");
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("the reader comes");
        let mut heard = vec![0; 31];
        stream.read_exact(&mut heard).expect("its question");
        let protocol_error = b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x02\x04\x00\x04\x00";
        stream.write_all(protocol_error).expect("it listens");
        stream.read_to_end(&mut heard).expect("its end");
        heard
    });
    let starttls = LdapConfig { servers: vec![format!("ldap://{address}")], starttls: true, ..site.config() };
    let error = site.snapshot(&starttls).expect_err("no encryption");
    assert!(matches!(error, DirectoryError::ClearText(_)), "{error:?}");
    let heard = server.join().expect("the server's thread");
    assert_eq!(heard.len(), 31, "{heard:02x?}");
    assert!(heard.ends_with(b"1.3.6.1.4.1.1466.20037"));
}

fn a_wrong_certificate_is_told(site: &Site<'_>) {
    let front = TlsFront::start(site.samba.ldaps());
    let config = site.config();
    std::fs::write(site.folder.join("other.pem"), front.ca_pem()).expect("another authority");
    let other_authority = LdapConfig { ca: "other.pem".into(), ..config.clone() };
    // Its certificate is for localhost.
    let other_name = LdapConfig {
        servers: vec![format!("ldaps://{}", front.address())],
        ca: "other.pem".into(),
        ..config
    };
    for config in [other_authority, other_name] {
        let error = site.snapshot(&config).expect_err("no trust");
        assert!(matches!(error, DirectoryError::Certificate(_)), "{error:?}");
    }
}

fn limits_hold(site: &Site<'_>) {
    let few = LdapConfig { entries: 5, ..site.config() };
    assert_eq!(site.snapshot(&few), Err(DirectoryError::TooLarge("5 entries".to_owned())));
    let short = LdapConfig { octets: 10_000, ..site.config() };
    assert_eq!(site.snapshot(&short), Err(DirectoryError::TooLarge("10000 octets".to_owned())));
}

fn an_answer_cut_short_is_half_an_answer(site: &Site<'_>) {
    let proxy = FaultProxy::before(site.samba.ldaps());
    let through =
        LdapConfig { servers: vec![format!("ldaps://{}", proxy.address())], page: 5, ..site.config() };
    site.snapshot(&through).expect("nothing is wrong yet");
    let whole = proxy.octets().1;

    for reset in [false, true] {
        proxy.set(Faults { cut_downstream_after: Some(whole * 2 / 3), reset, ..Faults::default() });
        let error = site.snapshot(&through).expect_err("two thirds of an answer");
        assert!(matches!(error, DirectoryError::Half(_)), "{error:?}");
    }
    // A second controller serves when the first one is away.
    proxy.set(Faults { refuse: true, ..Faults::default() });
    let mut two = through.clone();
    two.servers.push(format!("ldaps://{}", site.samba.ldaps()));
    site.snapshot(&two).expect("the second controller");
    let error = site.snapshot(&through).expect_err("no connection");
    assert!(matches!(error, DirectoryError::Down(_)), "{error:?}");
}

fn a_controller_that_hangs_is_slow(site: &Site<'_>, read: &DirectorySnapshot) {
    let impatient = LdapConfig { connect_ms: 500, answer_ms: 500, ..site.config() };
    site.samba.signal("STOP");
    let error = site.snapshot(&impatient);
    site.samba.signal("CONT");
    assert_eq!(error, Err(DirectoryError::Slow));
    let later = site.changes(read);
    assert_eq!(read.after(later).expect("it goes on").directory(), read.directory());
}
