//! A domain with units, computers and GPOs, made as an administrator makes them: samba-tool, LDAP, and files put into SYSVOL over SMB.

use std::{collections::BTreeMap, process::Command};

use postern_engine::policy::registry_pol::{File, Record};
use postern_tests::samba::Samba;

/// The account that reads.
pub(crate) const ACCOUNT: &str = "svc-mdm";
/// Its password.
pub(crate) const PASSWORD: &str = "Svc-Passw0rd!1";
/// The device's computer.
pub(crate) const PHONE: &str = "PHONE1";
/// The units, outer first.
pub(crate) const DEVICES: &str = "OU=Devices,DC=corp,DC=example";
/// The unit that the computer is in.
pub(crate) const FIELD: &str = "OU=Field,OU=Devices,DC=corp,DC=example";
const EXTENSION: &str = "[{35378EAC-683F-11D2-A89A-00C04FBBCFA2}{D02B1F72-3407-48AE-BA88-E8213C6761F1}]";
const APPLY: &str = "edacfd8f-ffb3-11d1-b41d-00a0c968f939";

/// A domain, and its GPOs by name.
pub(crate) struct Domain {
    /// Its controller.
    pub samba: Samba,
    gpos: BTreeMap<&'static str, Gpo>,
    folder: tempfile::TempDir,
}

struct Gpo {
    id: String,
    version: u32,
}

impl Domain {
    /// A domain with the units, the computer and the account.
    pub(crate) fn start() -> Self {
        let samba = Samba::start();
        for unit in [DEVICES, FIELD] {
            samba.tool(&["ou", "create", unit]);
        }
        samba.tool(&["computer", "create", PHONE, "--computerou=OU=Field,OU=Devices"]);
        samba.tool(&["user", "create", ACCOUNT, PASSWORD]);
        Self { samba, gpos: BTreeMap::new(), folder: tempfile::tempdir().expect("a folder") }
    }

    /// Makes a GPO that sets nothing.
    pub(crate) fn create(&mut self, name: &'static str) {
        let tmpdir = format!("--tmpdir={}", self.folder.path().display());
        let said = self.samba.tool(&["gpo", "create", name, &tmpdir]);
        let id = said.rsplit('{').next().and_then(|rest| rest.split('}').next()).expect("its GUID");
        self.gpos.insert(name, Gpo { id: format!("{{{id}}}"), version: 0 });
    }

    /// A GPO's name in the directory.
    pub(crate) fn dn(&self, name: &str) -> String {
        format!("CN={},CN=Policies,CN=System,{}", self.gpos[name].id, Samba::BASE)
    }

    /// Sets what a GPO says: values below `Software\Policies\Postern`, each `Area\Name`. Both versions go up.
    pub(crate) fn set(&mut self, name: &str, values: &[(&str, u32)]) {
        self.put(name, values);
        self.announce(name);
    }

    /// The files of a GPO's next version, in SYSVOL alone.
    pub(crate) fn put(&mut self, name: &str, values: &[(&str, u32)]) {
        let gpo = self.gpos.get_mut(name).expect("a GPO that was made");
        gpo.version += 1;
        let version = gpo.version;
        let records = values.iter().map(|(path, number)| {
            let (area, value) = path.split_once('\\').expect("Area\\Name");
            Record::dword(&format!("Software\\Policies\\Postern\\{area}"), value, *number)
        });
        let file = File { records: records.collect(), trailing_octets: 0 };
        self.put_file(name, "Machine/Registry.pol", &file.write());
        self.put_file(name, "GPT.INI", format!("[General]\r\nVersion={version}\r\n").as_bytes());
    }

    /// The version of a GPO's files, in the directory.
    pub(crate) fn announce(&self, name: &str) {
        self.samba.modify(&format!(
            "dn: {}\nchangetype: modify\nreplace: versionNumber\nversionNumber: {}\n-\nreplace: gPCMachineExtensionNames\ngPCMachineExtensionNames: {EXTENSION}\n-\n",
            self.dn(name), self.gpos[name].version
        ));
    }

    /// A version ahead of SYSVOL, in the directory: its files come later.
    pub(crate) fn announce_next(&self, name: &str) {
        self.samba.modify(&format!(
            "dn: {}\nchangetype: modify\nreplace: versionNumber\nversionNumber: {}\n-\n",
            self.dn(name),
            self.gpos[name].version + 1
        ));
    }

    /// Puts a file into a GPO's folder over SMB.
    pub(crate) fn put_file(&self, name: &str, path: &str, octets: &[u8]) {
        let local = self.folder.path().join("put");
        std::fs::write(&local, octets).expect("a file");
        let gpo = format!("corp.example/Policies/{}", self.gpos[name].id);
        self.share(&format!("put {} {gpo}/{path}", local.display()));
    }

    /// Commands for the share of SYSVOL.
    pub(crate) fn share(&self, commands: &str) {
        let mut command = Command::new("smbclient");
        command.args(["-s", "/dev/null", &format!("//{}/sysvol", self.samba.address()), "-c", commands]);
        command.args(["-U", &format!("CORP/Administrator%{}", Samba::ADMINISTRATOR_PASSWORD)]);
        let output = command.output().expect("smbclient is installed");
        assert!(
            output.status.success(),
            "{commands}: {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }

    /// Links a GPO at the lowest precedence of a container.
    pub(crate) fn link(&self, container: &str, name: &str, more: &[&str]) {
        self.samba.tool(&[&["gpo", "setlink", container, &self.gpos[name].id], more].concat());
    }

    /// Takes a link away.
    pub(crate) fn unlink(&self, container: &str, name: &str) {
        self.samba.tool(&["gpo", "dellink", container, &self.gpos[name].id]);
    }

    /// Blocks inheritance, or does not.
    pub(crate) fn inherit(&self, container: &str, how: &str) {
        self.samba.tool(&["gpo", "setinheritance", container, how]);
    }

    /// Denies a computer to apply a GPO.
    pub(crate) fn deny(&self, name: &str, computer: &str) {
        let said = self.samba.tool(&["computer", "show", computer, "--attributes=objectSid"]);
        let sid = said.lines().find_map(|line| line.strip_prefix("objectSid: ")).expect("its SID");
        let ace = format!("--sddl=(OD;;CR;{APPLY};;{sid})");
        self.samba.tool(&["dsacl", "set", &format!("--objectdn={}", self.dn(name)), &ace]);
    }

    /// Gives a GPO a WMI filter of one query.
    pub(crate) fn filter(&self, name: &str, query: &str) {
        const ID: &str = "{11111111-2222-3333-4444-555555555555}";
        let (base, day) = (Samba::BASE, "20261121192104.000000-000");
        self.samba.modify(&format!(
            "dn: CN={ID},CN=SOM,CN=WMIPolicy,CN=System,{base}\nchangetype: add\nobjectClass: msWMI-Som\nmsWMI-ID: {ID}\nmsWMI-Name: {name}\n\
             msWMI-Author: a\nmsWMI-ChangeDate: {day}\nmsWMI-CreationDate: {day}\nmsWMI-Parm1: a\n\
             msWMI-Parm2: 1;3;10;{};WQL;root\\CIMv2;{query};\n\n\
             dn: {}\nchangetype: modify\nreplace: gPCWQLFilter\ngPCWQLFilter: [corp.example;{ID};0]\n-\n",
            query.len(),
            self.dn(name),
        ));
    }

    /// Deletes a GPO, its links and its folder.
    pub(crate) fn delete(&mut self, name: &str) {
        let gpo = self.gpos.remove(name).expect("a GPO that was made");
        self.samba.tool(&["gpo", "del", &gpo.id]);
    }
}
