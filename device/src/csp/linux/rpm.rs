//! The packages of a machine with an rpm database, as `rpm` itself tells them: the database has had three forms, and its own
//! program reads the one that is there.
//!
//! Promise: the program is run by its arguments and only where a database lies; its output and its time are bounded, and what
//! goes wrong with it gives no packages and no failure.

use std::{
    io::Read as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::mpsc,
    time::Duration,
};

/// Where distributions have the database, below the machine's root.
const PLACES: [&str; 2] = ["usr/lib/sysimage/rpm", "var/lib/rpm"];
/// The database's files: SQLite, Berkeley DB, NDB.
const FILES: [&str; 3] = ["rpmdb.sqlite", "Packages", "Packages.db"];
/// One line a package.
const FORMAT: &str = "%{NAME}\\t%{EPOCHNUM}:%{VERSION}-%{RELEASE}\\t%{ARCH}\\n";
/// How long it may take.
const LIMIT: Duration = Duration::from_secs(60);

/// The folder of the machine's database, where there is one.
pub(super) fn database(root: &Path) -> Option<PathBuf> {
    let holds = |folder: &PathBuf| FILES.iter().any(|file| folder.join(file).is_file());
    PLACES.iter().map(|place| root.join(place)).find(holds)
}

/// Name, version and architecture of each package, up to `most` octets of output; none where the program fails.
pub(super) fn query(program: &str, database: &Path, most: u64) -> Vec<(String, String, String)> {
    let child = Command::new(program)
        .arg("--dbpath")
        .arg(database)
        .args(["-qa", "--queryformat", FORMAT])
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut child) = child else { return Vec::new() };
    let Some(out) = child.stdout.take() else { return Vec::new() };
    let (sender, read) = mpsc::sync_channel(1);
    std::thread::spawn(move || {
        let mut octets = Vec::new();
        let whole = out.take(most).read_to_end(&mut octets).is_ok();
        // Who waits may have given up.
        let _ = sender.send((whole, octets));
    });
    let told = read.recv_timeout(LIMIT);
    let _gone = child.kill();
    let _reaped = child.wait();
    match told {
        Ok((true, octets)) => lines(&String::from_utf8_lossy(&octets)),
        _ => Vec::new(),
    }
}

fn lines(text: &str) -> Vec<(String, String, String)> {
    let package = |line: &str| {
        let mut fields = line.split('\t');
        let (name, version, architecture) = (fields.next()?, fields.next()?, fields.next()?);
        // An epoch of 0 is none; keys that signatures are checked with stand among the packages.
        let version = version.strip_prefix("0:").unwrap_or(version);
        (fields.next().is_none() && name != "gpg-pubkey")
            .then(|| (name.to_owned(), version.to_owned(), architecture.to_owned()))
    };
    text.lines().filter_map(package).collect()
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::*;

    fn stub(folder: &Path, script: &str) -> String {
        let path = folder.join("rpm");
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path.display().to_string()
    }

    #[test]
    fn each_line_is_a_package_and_keys_are_none() {
        let folder = tempfile::tempdir().unwrap();
        let said = "echo \"$@\" > \"$(dirname \"$0\")/asked\"\n\
                    printf 'bash\\t0:5.2-1\\tx86_64\\ngpg-pubkey\\t0:1-2\\t(none)\\nno line\\nvim\\t2:9.1-4\\tx86_64\\n'";
        let found = query(&stub(folder.path(), said), Path::new("/db"), 1 << 20);
        let package = |name: &str, version: &str| (name.to_owned(), version.to_owned(), "x86_64".to_owned());
        assert_eq!(found, [package("bash", "5.2-1"), package("vim", "2:9.1-4")]);
        let asked = fs::read_to_string(folder.path().join("asked")).unwrap();
        assert!(asked.starts_with("--dbpath /db -qa --queryformat "), "{asked}");
    }

    #[test]
    fn a_program_that_is_not_there_or_says_too_much_gives_what_it_can() {
        let folder = tempfile::tempdir().unwrap();
        assert!(query("/nowhere/rpm", Path::new("/db"), 1 << 20).is_empty());
        let endless = "while :; do printf 'a\\t0:1\\tb\\n'; done";
        assert!(query(&stub(folder.path(), endless), Path::new("/db"), 700).len() <= 100);
    }

    #[test]
    fn a_real_database_is_read_by_the_real_program() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let spec = "Name: postern-test\nVersion: 1.2\nRelease: 3\nEpoch: 4\nSummary: x\nLicense: MIT\nBuildArch: noarch\n\
                    %description\nx\n%files\n";
        fs::write(at("test.spec"), spec).unwrap();
        let run = |program: &str, arguments: &[&str]| {
            let ran = Command::new(program).args(arguments).output();
            let ran = ran.unwrap_or_else(|error| panic!("{program}: {error}: install the package rpm"));
            assert!(ran.status.success(), "{program}: {}", String::from_utf8_lossy(&ran.stderr));
        };
        let define = |name: &str, folder: &str| format!("{name} {}", at(folder).display());
        let (top, built) = (define("_topdir", "top"), define("_dbpath", "build"));
        let spec = at("test.spec").display().to_string();
        run("rpmbuild", &["--quiet", "--define", &top, "--define", &built, "-bb", &spec]);
        let place = at("root/var/lib/rpm").display().to_string();
        fs::create_dir_all(&place).unwrap();
        assert_eq!(database(&at("root")), None);
        let package = at("top/RPMS/noarch/postern-test-1.2-3.noarch.rpm").display().to_string();
        run("rpm", &["--dbpath", &place, "--justdb", "--nodeps", "--nosignature", "-i", &package]);

        let found = database(&at("root")).expect("a database");

        let wanted = ("postern-test".to_owned(), "4:1.2-3".to_owned(), "noarch".to_owned());
        assert_eq!(query("rpm", &found, 1 << 20), [wanted]);
    }
}
