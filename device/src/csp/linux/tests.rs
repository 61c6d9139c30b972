//! The Linux host on the machine that the tests run on, and on a folder that stands in for one.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink},
    path::Path as FilePath,
};

use super::{
    super::{Providers, bench::Bench},
    *,
};

struct Rig {
    bench: Bench,
    folder: tempfile::TempDir,
}

impl Rig {
    /// `root` stands in for the machine, `drop` and `other` are folders, of which `drop` is allowed.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["root/etc", "root/proc/self", "root/var/lib/dpkg", "drop/sub", "other"] {
            fs::create_dir_all(folder.path().join(name)).unwrap();
        }
        let file = |name: &str, text: &str| fs::write(folder.path().join("root").join(name), text).unwrap();
        file("etc/os-release", "ID=debian\nNAME=\"Debian GNU/Linux\"\nVERSION_ID='12'\n# x\n");
        file("etc/passwd", "root:x:0:0::/:/bin/sh\nann:x:1234:77::/:/bin/sh\n");
        file("etc/group", "root:x:0:\nstaff:x:50:ann\n");
        file("proc/uptime", "4242.17 9000.00\n");
        file("proc/meminfo", "MemTotal:       24684096 kB\nMemAvailable:   20577184 kB\n");
        file(
            "proc/self/mounts",
            "/dev/sda1 / ext4 rw 0 0\nproc /proc proc rw 0 0\n/dev/sda1 /mnt ext4 rw 0 0\n",
        );
        file("var/lib/dpkg/status", "Package: bash\nStatus: install ok installed\nVersion: 5.2\n");
        let script = folder.path().join("systemctl");
        let body = format!(
            "#!/bin/sh\necho \"$@\" >> {}/calls\n[ \"$3\" != bad.service ]\n",
            folder.path().display()
        );
        fs::write(&script, body).unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        let allow = Allow {
            files: vec![folder.path().join("drop")],
            units: vec!["app.service".into(), "bad.service".into()],
        };
        allow.check().unwrap();
        let linux = Linux {
            host: Host { root: folder.path().join("root") },
            allow,
            systemctl: script.display().to_string(),
            rpm: "/nowhere/rpm".to_owned(),
        };
        Self { bench: Bench::new(Providers::default().with(linux)), folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn read(&mut self, leaf: &str) -> String {
        self.bench.read(&format!("./Vendor/Linux/{leaf}")).unwrap_or_else(|code| code.to_string())
    }

    /// Describes a file and writes it.
    fn drop(&mut self, path: &FilePath, more: &[(&str, &str)]) -> Result<Code, Code> {
        let entry = "./Vendor/Linux/Files/f";
        let _none_yet = self.bench.delete(entry);
        self.bench.add(&format!("{entry}/Path"), path.to_str().unwrap())?;
        self.bench.add(&format!("{entry}/Data"), "content").unwrap();
        for (leaf, value) in more {
            self.bench.add(&format!("{entry}/{leaf}"), value)?;
        }
        self.bench.exec(&format!("{entry}/Write"), "")
    }
}

#[test]
fn the_machine_is_read_when_it_is_asked_for() {
    let mut rig = Rig::new();
    for (leaf, value) in [
        ("OS/Id", "debian"),
        ("OS/Name", "Debian GNU/Linux"),
        ("OS/VersionId", "12"),
        ("OS/PrettyName", ""),
        ("Uptime", "4242"),
        ("Memory/TotalMiB", "24105"),
        ("Memory/AvailableMiB", "20094"),
        ("Disks", "1"),
        ("Disks/1/MountPoint", "/"),
        ("Disks/1/Type", "ext4"),
        ("PackageFormat", "dpkg"),
        ("PackageCount", "1"),
        ("Packages/bash", "5.2"),
        ("Packages/zsh", "404"),
    ] {
        assert_eq!(rig.read(leaf), value, "{leaf}");
    }
    fs::write(rig.path("root/proc/uptime"), "4243.00 1\n").unwrap();
    fs::write(
        rig.path("root/var/lib/dpkg/status"),
        "Package: zsh\nStatus: install ok installed\nVersion: 6\n",
    )
    .unwrap();
    assert_eq!(rig.read("Uptime"), "4243");
    assert_eq!(rig.read("Packages"), "zsh");
    assert_eq!(rig.bench.delete("./Vendor/Linux/Packages/zsh"), Err(Code::NOT_ALLOWED));
    assert_eq!(rig.bench.replace("./Vendor/Linux/Hostname", "x"), Err(Code::NOT_ALLOWED));
}

#[test]
fn this_very_machine_says_who_it_is() {
    let mut bench = Bench::new(Providers::default().with(Linux::new(Allow::default())));
    let uptime: u32 = bench.read("./Vendor/Linux/Uptime").unwrap().parse().unwrap();
    let hostname = bench.read("./Vendor/Linux/Hostname").unwrap();
    assert!(uptime > 0 && !hostname.is_empty());
    assert_eq!(bench.read("./Vendor/Linux/Kernel/Machine"), Ok(std::env::consts::ARCH.into()));
    assert_eq!(Linux::hardware().manufacturer, "Postern");
}

#[test]
fn a_machine_without_any_of_its_files_is_no_failure() {
    let mut rig = Rig::new();
    fs::remove_dir_all(rig.path("root")).unwrap();
    for (leaf, value) in
        [("OS/Id", ""), ("Uptime", "0"), ("Disks", ""), ("PackageFormat", ""), ("Packages", "")]
    {
        assert_eq!(rig.read(leaf), value, "{leaf}");
    }
}

#[test]
fn a_unit_of_the_list_is_restarted_by_its_arguments_and_told_of() {
    let mut rig = Rig::new();
    let uri = "./Vendor/Linux/Services/Restart";
    assert_eq!(rig.read("Services/Allowed"), "app.service bad.service");
    assert_eq!(rig.bench.exec(uri, "app.service"), Ok(Code::ACCEPTED));
    assert_eq!(rig.bench.exec(uri, "bad.service"), Ok(Code::ACCEPTED));
    let ended: Vec<_> = rig.bench.ended().into_iter().map(|one| (one.data, one.mark)).collect();
    assert_eq!(ended, [("1200".into(), Mark::Informational), ("1400".into(), Mark::Warning)]);
    let calls = fs::read_to_string(rig.path("calls")).unwrap();
    assert_eq!(calls, "restart -- app.service\nrestart -- bad.service\n");
}

#[test]
fn any_other_unit_is_refused_and_nothing_run() {
    let mut rig = Rig::new();
    let uri = "./Vendor/Linux/Services/Restart";
    for (unit, code) in [
        ("ssh.service", Code::DENIED),
        ("app.service; id", Code::DENIED),
        ("--force app.service", Code::DENIED),
        ("app.servic", Code::DENIED),
        ("", Code::INCOMPLETE),
    ] {
        assert_eq!(rig.bench.exec(uri, unit), Err(code), "{unit:?}");
    }
    assert_eq!(rig.bench.ended(), []);
    assert!(!rig.path("calls").exists());
    assert_eq!(rig.bench.add("./Vendor/Linux/Services/x", "1"), Err(Code::NOT_ALLOWED));
}

#[test]
fn a_file_is_put_below_an_allowed_folder_with_its_mode() {
    let mut rig = Rig::new();
    let path = rig.path("drop/sub/file");
    fs::write(&path, "before").unwrap();
    assert_eq!(rig.drop(&path, &[("Mode", "0750")]), Ok(Code::OK));
    assert_eq!(fs::read_to_string(&path).unwrap(), "content");
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o750);
    assert_eq!(fs::read_dir(rig.path("drop/sub")).unwrap().count(), 1, "nothing is left beside it");
    let digest = "sha-256:ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73";
    assert_eq!(rig.read("Files/f/Digest"), digest);
    assert_eq!(rig.read("Files/f/Data"), "404");
    assert_eq!(rig.bench.exec("./Vendor/Linux/Files/f/Write", ""), Err(Code::INCOMPLETE));
}

#[test]
fn no_path_and_no_link_leads_out_of_the_allowed_folder() {
    let mut rig = Rig::new();
    let outside = rig.path("other/file");
    fs::write(&outside, "kept").unwrap();
    symlink(rig.path("other"), rig.path("drop/link")).unwrap();
    symlink(&outside, rig.path("drop/file")).unwrap();
    symlink(&outside, rig.path("drop/.new.postern-new")).unwrap();
    let drop = rig.path("drop").display().to_string();
    for (path, code) in [
        (outside.display().to_string(), Code::DENIED),
        (format!("{drop}/../other/file"), Code::BAD_FORMAT),
        (format!("{drop}/./x"), Code::BAD_FORMAT),
        (format!("{drop}//x"), Code::BAD_FORMAT),
        (format!("{drop}/link/file"), Code::DENIED),
        (format!("{drop}er/x"), Code::DENIED),
        (drop.clone(), Code::DENIED),
        (format!("{drop}/"), Code::BAD_FORMAT),
        (format!("{drop}/sub"), Code::DENIED),
        (format!("{drop}/none/x"), Code::NOT_FOUND),
        ("relative".to_owned(), Code::BAD_FORMAT),
        ("/etc/passwd".to_owned(), Code::DENIED),
    ] {
        assert_eq!(rig.drop(FilePath::new(&path), &[]), Err(code), "{path}");
    }
    // a link in the file's own place, or in that of the file beside it, is replaced and not followed
    for name in ["file", "new"] {
        let path = rig.path("drop").join(name);
        assert_eq!(rig.drop(&path, &[]), Ok(Code::OK));
        assert!(fs::symlink_metadata(path).unwrap().is_file());
    }
    assert_eq!(fs::read_to_string(outside).unwrap(), "kept");
}

#[test]
fn modes_owners_and_leaves_that_are_none_are_refused() {
    let mut rig = Rig::new();
    let path = rig.path("drop/x");
    for (leaf, value, code) in [
        ("Mode", "4755", Code::BAD_FORMAT),
        ("Mode", "rwx", Code::BAD_FORMAT),
        ("Owner", "nobody-knows", Code::BAD_FORMAT),
        ("Other", "1", Code::NOT_ALLOWED),
    ] {
        assert_eq!(rig.drop(&path, &[(leaf, value)]), Err(code), "{leaf} {value}");
        assert!(!path.exists(), "{leaf} {value}");
    }
    assert_eq!(rig.bench.read("./Vendor/Linux/Files/f/Data"), Err(Code::NOT_ALLOWED), "it may be a secret");
    let host = Host { root: rig.path("root") };
    assert_eq!(host.id_of("etc/passwd", "ann"), Ok(1234));
    assert_eq!(host.id_of("etc/group", "staff"), Ok(50));
    assert_eq!(host.id_of("etc/passwd", "77"), Ok(77));
}

#[test]
fn an_allow_list_that_cannot_be_meant_is_refused() {
    for (files, units) in [
        (vec!["relative"], vec![]),
        (vec!["/a/../b"], vec![]),
        (vec![], vec!["-x"]),
        (vec![], vec!["a b"]),
        (vec![], vec![""]),
    ] {
        let allow = Allow {
            files: files.iter().map(PathBuf::from).collect(),
            units: units.iter().map(|unit| (*unit).to_owned()).collect(),
        };
        assert!(allow.check().is_err(), "{allow:?}");
    }
}
