//! SCOMO as a server meets it: with a source that answers from a table, and with a real one over TLS.

use std::{fs, sync::Mutex};

use super::{
    super::{Hardware, Providers, bench::Bench},
    archive::tests::entry as tar_entry,
    *,
};
use crate::state::Storage;

mod web;

/// Answers what the test put in.
#[derive(Default)]
struct Table(Mutex<Vec<Result<Vec<u8>, FetchError>>>);

impl Fetch for Table {
    fn fetch<'a>(&'a self, wanted: Wanted<'a>) -> Fetching<'a> {
        Box::pin(async move {
            let octets = self.0.lock().unwrap().pop().expect("an answer")?;
            fs::write(wanted.into, &octets).unwrap();
            Ok(sha256(&octets))
        })
    }
}

fn sha256(octets: &[u8]) -> [u8; 32] {
    aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, octets).as_ref().try_into().unwrap()
}

struct Rig {
    bench: Bench,
    source: Arc<Table>,
    folder: tempfile::TempDir,
}

const OPERATIONS: &str = "./SCOMO/Download/app/Operations";

impl Rig {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let source = Arc::new(Table::default());
        let fetch: Arc<dyn Fetch> = Arc::clone(&source) as _;
        let scomo = Scomo::new(folder.path().to_owned(), fetch, 10_000);
        Self { bench: Bench::new(Providers::default().with(scomo)), source, folder }
    }

    fn described() -> Self {
        let mut rig = Self::new();
        for (leaf, value) in [
            ("PkgID", "com.example/app&1"),
            ("Name", "App"),
            ("PkgURL", "https://software.test/app"),
            ("Ext/Version", "1.0"),
        ] {
            rig.bench.add(&format!("./SCOMO/Download/app/{leaf}"), value).unwrap();
        }
        rig
    }

    fn answers(&self, answer: Result<&[u8], FetchError>) {
        self.source.0.lock().unwrap().push(answer.map(<[u8]>::to_vec));
    }

    /// Executes, does the work, and gives result code and target of the alert.
    fn done(&mut self, uri: &str) -> (String, Option<String>) {
        assert_eq!(self.bench.exec(uri, ""), Ok(Code::ACCEPTED), "{uri}");
        let ended = self.bench.ended();
        let [one] = ended.as_slice() else { panic!("{ended:?}") };
        assert_eq!((one.source.as_str(), one.alert_type.as_str()), (uri, ALERT));
        assert_eq!(one.correlator.as_deref(), Some("c1"));
        let (code, rest) = one.data.strip_prefix("<ResultCode>").unwrap().split_once('<').unwrap();
        assert_eq!(rest, "/ResultCode><Identifier>com.example/app&amp;1</Identifier>");
        (code.to_owned(), one.target.clone())
    }

    fn active(&self) -> Option<Vec<u8>> {
        fs::read(self.folder.path().join("active/app/app")).ok()
    }

    fn read(&mut self, uri: &str) -> String {
        self.bench.read(uri).unwrap_or_else(|code| code.to_string())
    }
}

#[test]
fn the_object_has_its_nodes_and_a_described_package_its_operations() {
    let mut rig = Rig::described();
    for (uri, value) in [
        ("./SCOMO?prop=Type", "urn:oma:mo:oma-scomo:1.0"),
        ("./SCOMO", "Download/Ext/Inventory"),
        ("./SCOMO/Inventory", "Delivered/Deployed"),
        ("./SCOMO/Download/app", "Ext/Name/Operations/PkgID/PkgURL/Status"),
        ("./SCOMO/Download/app/Operations", "Download/DownloadInstall/DownloadInstallInactive"),
        ("./SCOMO/Download/app/Status", "10"),
        ("./SCOMO/Download/app/Status?prop=Format", "int"),
    ] {
        assert_eq!(rig.read(uri), value, "{uri}");
    }
    for uri in ["./SCOMO/Download/app/Status", "./SCOMO/Inventory"] {
        assert_eq!(rig.bench.replace(uri, "30"), Err(Code::NOT_ALLOWED), "{uri}");
    }
    assert_eq!(rig.bench.add("./SCOMO/Inventory/Deployed/x", "1"), Err(Code::NOT_ALLOWED));
    assert_eq!(rig.bench.delete("./SCOMO/Download/app/Operations"), Err(Code::NOT_ALLOWED));
    assert_eq!(rig.bench.delete("./SCOMO/Download/app"), Ok(()));
}

#[test]
fn a_package_is_fetched_installed_and_active() {
    let mut rig = Rig::described();
    rig.answers(Ok(b"one"));
    let (code, target) = rig.done(&format!("{OPERATIONS}/DownloadInstall"));
    assert_eq!((code.as_str(), target.as_deref()), ("1200", Some("./SCOMO/Inventory/Deployed/app")));
    assert_eq!(rig.active().as_deref(), Some(b"one".as_slice()));
    for (uri, value) in [
        ("./SCOMO/Download/app/Status", "10"),
        ("./SCOMO/Inventory/Delivered/app/State", "20"),
        ("./SCOMO/Inventory/Delivered/app/PkgID", "com.example/app&1"),
        ("./SCOMO/Inventory/Deployed/app/ID", "com.example/app&1"),
        ("./SCOMO/Inventory/Deployed/app/PkgIDRef", "com.example/app&1"),
        ("./SCOMO/Inventory/Deployed/app/Version", "1.0"),
        ("./SCOMO/Inventory/Deployed/app/State", "20"),
        ("./SCOMO/Inventory/Deployed/app/Status", "10"),
        ("./SCOMO/Inventory/Deployed/app/Operations", "Activate/Deactivate/Remove"),
    ] {
        assert_eq!(rig.read(uri), value, "{uri}");
    }
}

/// Operation, result code, the active file, Download's Status, Delivered's State, Deployed's State.
type Row = (String, &'static str, Option<&'static [u8]>, &'static str, &'static str, &'static str);

#[test]
fn a_component_goes_through_its_life_one_operation_after_the_other() {
    let mut rig = Rig::described();
    rig.answers(Ok(b"one"));
    let delivered = "./SCOMO/Inventory/Delivered/app";
    let deployed = "./SCOMO/Inventory/Deployed/app";
    let table: [Row; 8] = [
        (format!("{OPERATIONS}/Download"), "1200", None, "40", "10", "404"),
        (format!("{delivered}/Operations/InstallInactive"), "1200", None, "40", "20", "10"),
        (format!("{deployed}/Operations/Activate"), "1200", Some(b"one"), "40", "20", "20"),
        (format!("{deployed}/Operations/Deactivate"), "1200", None, "40", "20", "10"),
        (format!("{delivered}/Operations/Install"), "1200", Some(b"one"), "40", "20", "20"),
        (format!("{deployed}/Operations/Remove"), "1200", None, "40", "10", "404"),
        (format!("{delivered}/Operations/Install"), "1200", Some(b"one"), "40", "20", "20"),
        (format!("{delivered}/Operations/Remove"), "1200", Some(b"one"), "40", "404", "20"),
    ];
    for (uri, result, active, download, state, component) in table {
        assert_eq!(rig.done(&uri).0, result, "{uri}");
        assert_eq!(rig.active().as_deref(), active, "{uri}");
        assert_eq!(rig.read("./SCOMO/Download/app/Status"), download, "{uri}");
        assert_eq!(rig.read(&format!("{delivered}/State")), state, "{uri}");
        assert_eq!(rig.read(&format!("{deployed}/State")), component, "{uri}");
    }
}

#[test]
fn a_newer_version_takes_the_place_of_the_older_one() {
    let mut rig = Rig::described();
    for version in [b"one".as_slice(), b"two"] {
        rig.answers(Ok(version));
        assert_eq!(rig.done(&format!("{OPERATIONS}/DownloadInstall")).0, "1200");
        assert_eq!(rig.active().as_deref(), Some(version));
    }
    assert_eq!(fs::read_dir(rig.folder.path().join("components/app")).unwrap().count(), 1);
}

#[test]
fn every_failure_of_a_fetch_has_its_result_code_and_leaves_nothing_behind() {
    let io = || std::io::Error::other("x");
    let full = || std::io::Error::from(std::io::ErrorKind::StorageFull);
    for (error, code) in [
        (FetchError::Url, "1402"),
        (FetchError::Source, "1402"),
        (FetchError::Status(404), "1402"),
        (FetchError::Status(301), "1402"),
        (FetchError::Status(401), "1403"),
        (FetchError::Status(403), "1403"),
        (FetchError::Status(503), "1500"),
        (FetchError::Unreachable("x".into(), io()), "1501"),
        (FetchError::Timeout, "1501"),
        (FetchError::TooLarge(1), "1404"),
        (FetchError::Write(full()), "1404"),
        (FetchError::Write(io()), "1402"),
        (FetchError::Read(io()), "1402"),
    ] {
        let mut rig = Rig::described();
        let text = error.to_string();
        rig.answers(Err(error));
        assert_eq!(rig.done(&format!("{OPERATIONS}/DownloadInstall")), (code.into(), None), "{text}");
        assert_eq!(rig.read("./SCOMO/Download/app/Status"), "20", "{text}");
        assert_eq!(rig.read("./SCOMO/Inventory/Delivered"), "", "{text}");
        assert_eq!(fs::read_dir(rig.folder.path().join("downloads")).unwrap().count(), 0);
    }
}

#[test]
fn a_package_with_another_digest_is_never_installed() {
    let mut rig = Rig::described();
    rig.bench.add("./SCOMO/Download/app/Ext/Digest", &shown(&sha256(b"one"))).unwrap();
    rig.answers(Ok(b"two"));
    assert_eq!(rig.done(&format!("{OPERATIONS}/DownloadInstall")).0, "1407");
    assert_eq!(rig.active(), None);
    rig.answers(Ok(b"one"));
    assert_eq!(rig.done(&format!("{OPERATIONS}/DownloadInstall")).0, "1200");
    rig.bench.replace("./SCOMO/Download/app/Ext/Digest", "md5:nothing known").unwrap();
    rig.answers(Ok(b"one"));
    assert_eq!(
        rig.done(&format!("{OPERATIONS}/DownloadInstall")).0,
        "1407",
        "an unknown algorithm is no match"
    );
}

#[test]
fn an_archive_is_unpacked_whole_or_not_at_all() {
    let mut rig = Rig::described();
    rig.bench.add("./SCOMO/Download/app/PkgType", "application/x-tar").unwrap();
    let good = [tar_entry("app", b'0', b"tool"), tar_entry("lib/x", b'0', b"x")].concat();
    let hostile = [tar_entry("app", b'0', b"bad"), tar_entry("../../out", b'0', b"x")].concat();
    let large = tar_entry("app", b'0', &[0; 11_000]);
    for (archive, code, active) in [
        (&hostile, "1405", None),
        (&good, "1200", Some(b"tool".as_slice())),
        (&hostile, "1405", Some(b"tool")),
        (&large, "1406", Some(b"tool")),
    ] {
        rig.answers(Ok(archive));
        assert_eq!(rig.done(&format!("{OPERATIONS}/DownloadInstall")).0, code);
        assert_eq!(rig.active().as_deref(), active);
        let status = if code == "1200" { "10" } else { "60" };
        assert_eq!(rig.read("./SCOMO/Download/app/Status"), status);
    }
    assert!(!rig.folder.path().join("out").exists());
}

#[test]
fn a_package_for_another_system_is_1413() {
    let mut rig = Rig::described();
    rig.bench.add("./SCOMO/Download/app/EnvType", "symbian").unwrap();
    rig.answers(Ok(b"one"));
    assert_eq!(rig.done(&format!("{OPERATIONS}/DownloadInstall")).0, "1413");
}

#[test]
fn kill_9_at_any_step_is_gone_on_with_at_the_next_start() {
    for killed_after in 0..=2 {
        let memory = tempfile::tempdir().unwrap();
        let storage = Storage::folder(memory.path()).unwrap();
        let mut rig = Rig::described();
        // what the cut-off step had done already on disk
        for _ in 0..3 {
            rig.answers(Ok(b"one"));
        }
        rig.bench.exec(&format!("{OPERATIONS}/DownloadInstall"), "").unwrap();
        (0..killed_after).for_each(|_| assert!(rig.bench.step()));
        storage.save(&rig.bench.state).unwrap();
        rig.bench.step(); // its files are there, what it told is lost
        let planted = rig.bench.csp.plant(&rig.bench.account, &Hardware::default()).unwrap();
        rig.bench.state = storage.load(planted).unwrap();
        let ended = rig.bench.ended();
        assert_eq!(ended.len(), 1, "killed after {killed_after}");
        assert!(ended[0].data.contains("<ResultCode>1200<"), "{ended:?}");
        assert_eq!(rig.active().as_deref(), Some(b"one".as_slice()));
        assert_eq!(rig.bench.replace("./SCOMO/Inventory/Deployed/app/State", "10"), Err(Code::NOT_ALLOWED));
    }
}

#[test]
fn nothing_is_changed_or_begun_twice_while_an_operation_runs() {
    let mut rig = Rig::described();
    rig.bench.exec(&format!("{OPERATIONS}/Download"), "").unwrap();
    assert_eq!(rig.read("./SCOMO/Download/app/Status"), "30");
    assert_eq!(rig.bench.exec(&format!("{OPERATIONS}/Download"), ""), Err(Code::FAILED));
    assert_eq!(rig.bench.replace("./SCOMO/Download/app/PkgURL", "https://evil.test/"), Err(Code::FORBIDDEN));
    assert_eq!(rig.bench.delete("./SCOMO/Download/app"), Err(Code::FORBIDDEN));
    assert_eq!(rig.read("./SCOMO/Download/app/PkgURL"), "https://software.test/app");
}

#[test]
fn names_and_leaves_that_do_not_belong_there_are_refused() {
    let mut rig = Rig::new();
    let long = "a".repeat(65);
    for name in [".hidden", "a%2Fb", "a b", long.as_str()] {
        assert_eq!(
            rig.bench.add(&format!("./SCOMO/Download/{name}/PkgID"), "1"),
            Err(Code::FORBIDDEN),
            "{name}"
        );
    }
    assert_eq!(rig.bench.add("./SCOMO/Download/leaf", "1"), Err(Code::FORBIDDEN));
    for leaf in ["Other", "Ext/Other", "Operations/Run", "Ext/Digest/x"] {
        let added = rig.bench.add(&format!("./SCOMO/Download/app/{leaf}"), "1");
        assert_eq!(added, Err(Code::NOT_ALLOWED), "{leaf}");
    }
    let large = "x".repeat(LEAF_OCTETS + 1);
    assert_eq!(rig.bench.add("./SCOMO/Download/app/PkgURL", &large), Err(Code::TOO_LARGE));
    assert_eq!(rig.read("./SCOMO/Download"), "");
    for number in 0..PACKAGES {
        rig.bench.add(&format!("./SCOMO/Download/p{number}/PkgID"), "1").unwrap();
    }
    assert_eq!(rig.bench.add("./SCOMO/Download/more/PkgID", "1"), Err(Code::DEVICE_FULL));
    assert_eq!(rig.bench.exec("./SCOMO/Download/p0/Operations/Download", ""), Err(Code::INCOMPLETE));
    assert_eq!(rig.bench.exec("./SCOMO/Download", ""), Err(Code::NOT_ALLOWED));
}
