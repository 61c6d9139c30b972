//! The packages that are installed: dpkg's and apk's own files are read; an rpm database is read by `rpm` ([`rpm`]).

use std::collections::BTreeMap;

use super::{
    facts::{Host, show},
    rpm,
};
use crate::{
    codes::Code,
    state::State,
    tree::{
        node::{Format, Node},
        path::Path,
    },
};

/// Octets read of a database.
const DATABASE: u64 = 64 << 20;
/// Packages shown; the tree has room for other things too.
const SHOWN: usize = 6_000;

/// Shows PackageFormat, PackageCount and Packages below `above`.
pub(super) fn show_installed(state: &mut State, above: &Path, host: &Host, rpm: &str) -> Result<(), Code> {
    let (format, packages) = installed(host, rpm);
    show(state, &above.child("PackageFormat"), (Format::Chr, format.to_owned()))?;
    show(state, &above.child("PackageCount"), (Format::Int, packages.len().to_string()))?;
    let top = above.child("Packages");
    let shown = state.tree.get(&top).into_iter().flat_map(Node::child_names);
    let gone: Vec<_> =
        shown.filter(|name| !packages.contains_key(*name)).map(|name| top.child(name)).collect();
    gone.iter().try_for_each(|path| state.tree.remove(path))?;
    for (name, version) in packages.into_iter().take(SHOWN) {
        show(state, &top.child(&name), (Format::Chr, version))?;
    }
    Ok(())
}

fn installed(host: &Host, program: &str) -> (&'static str, BTreeMap<String, String>) {
    let dpkg = host.text("var/lib/dpkg/status", DATABASE);
    if !dpkg.is_empty() {
        return ("dpkg", of_dpkg(&dpkg));
    }
    let apk = host.text("lib/apk/db/installed", DATABASE);
    if !apk.is_empty() {
        return ("apk", of_apk(&apk));
    }
    match rpm::database(&host.root) {
        Some(database) => ("rpm", of_rpm(rpm::query(program, &database, DATABASE))),
        None => ("", BTreeMap::new()),
    }
}

/// A package of two architectures or versions, such as a kernel, is `name:version.architecture` from the second on.
fn of_rpm(found: Vec<(String, String, String)>) -> BTreeMap<String, String> {
    let mut packages = BTreeMap::new();
    for (name, version, architecture) in found {
        let name =
            if packages.contains_key(&name) { format!("{name}:{version}.{architecture}") } else { name };
        add(&mut packages, &name, &version);
    }
    packages
}

/// deb822 stanzas; those whose Status ends with `installed`. A package of two architectures is `name:architecture`.
fn of_dpkg(status: &str) -> BTreeMap<String, String> {
    let mut packages = BTreeMap::new();
    for stanza in status.split("\n\n") {
        let field = |name: &str| {
            let mut lines = stanza.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            lines.next().map(str::trim)
        };
        let is_installed = field("Status").is_some_and(|status| status.ends_with(" installed"));
        let (true, Some(name), Some(version)) = (is_installed, field("Package"), field("Version")) else {
            continue;
        };
        let architecture = field("Architecture").unwrap_or_default();
        let name =
            if packages.contains_key(name) { format!("{name}:{architecture}") } else { name.to_owned() };
        add(&mut packages, &name, version);
    }
    packages
}

/// Records of one-letter fields.
fn of_apk(installed: &str) -> BTreeMap<String, String> {
    let mut packages = BTreeMap::new();
    for record in installed.split("\n\n") {
        let field = |name: &str| record.lines().find_map(|line| line.strip_prefix(name));
        if let (Some(name), Some(version)) = (field("P:"), field("V:")) {
            add(&mut packages, name, version);
        }
    }
    packages
}

/// Only what can be the name of a node and is no longer than a package's is.
fn add(packages: &mut BTreeMap<String, String>, name: &str, version: &str) {
    let clean = |c: char| c.is_ascii_alphanumeric() || "+.-_:".contains(c);
    let is_name = !name.is_empty() && name.len() <= 200 && !name.starts_with('.') && name.chars().all(clean);
    if is_name && version.len() <= 200 {
        packages.insert(name.to_owned(), version.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dpkgs_stanzas_are_read_and_what_is_not_installed_left_out() {
        let status = "Package: a\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1:2.0-1\n\n\
                      Package: a\nStatus: install ok installed\nArchitecture: i386\nVersion: 1:2.0-1\n\n\
                      Package: gone\nStatus: deinstall ok config-files\nVersion: 1\n\n\
                      Package: b\nDescription: x\n Version: 9\nVersion: 3\nStatus: hold ok installed\n\n\
                      Package: half\nStatus: install ok half-installed\nVersion: 1\n\n\
                      Package: ../../x\nStatus: install ok installed\nVersion: 1\n\nVersion: 7\n";
        let packages = of_dpkg(status);
        let found: Vec<_> = packages.iter().map(|(name, version)| format!("{name}={version}")).collect();
        assert_eq!(found, ["a=1:2.0-1", "a:i386=1:2.0-1", "b=3"]);
    }

    #[test]
    fn packages_of_one_name_in_an_rpm_database_stand_beside_each_other() {
        let package = |name: &str, version: &str| (name.to_owned(), version.to_owned(), "x86_64".to_owned());
        let found = vec![package("kernel", "6.1-1"), package("kernel", "6.2-1"), package("../x", "1")];
        let packages = of_rpm(found);
        let found: Vec<_> = packages.iter().map(|(name, version)| format!("{name}={version}")).collect();
        assert_eq!(found, ["kernel=6.1-1", "kernel:6.2-1.x86_64=6.2-1"]);
    }

    #[test]
    fn apks_records_are_read() {
        let packages = of_apk("C:Q1\nP:musl\nV:1.2.5-r0\nA:x86_64\n\nP:busybox\nV:1.36\n\nP:none\n");
        assert_eq!(packages.into_iter().collect::<Vec<_>>().len(), 2);
    }

    proptest::proptest! {
        #[test]
        fn no_database_gives_a_name_that_is_none(text in "(Package: |Version: |Status: x installed|P:|V:|[a-z./:% ]|\n){0,60}") {
            for (name, _) in of_dpkg(&text).into_iter().chain(of_apk(&text)) {
                proptest::prop_assert!(Path::parse(&format!("./{name}")).is_ok(), "{name}");
            }
        }
    }
}
