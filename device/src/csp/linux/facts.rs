//! What a Linux machine tells of itself: /etc/os-release, /proc and the system calls.
//!
//! Promise: a file that is not there, or not as expected, gives an empty value and no failure; no more of a file is read
//! than its bound.

use std::{
    collections::BTreeMap,
    fs::File,
    io::Read as _,
    path::{Path as FilePath, PathBuf},
};

use postern_wire::terms::Verb;

use super::super::Hardware;
use crate::{
    codes::Code,
    state::State,
    tree::{
        node::{Format, Node},
        path::Path,
    },
};

/// Octets read of a small file.
const SMALL: u64 = 1 << 20;
/// Disks shown at most.
const DISKS: usize = 64;
const MIB: u64 = 1 << 20;

/// A value with its format.
pub(super) type Value = (Format, String);

/// A machine, by the folder that its files are in.
pub(super) struct Host {
    pub(super) root: PathBuf,
}

/// One mounted file system.
pub(super) struct Disk {
    mount_point: String,
    device: String,
    kind: String,
    size: u64,
    free: u64,
}

impl Host {
    /// The one that we run on.
    pub(super) fn this() -> Self {
        Self { root: PathBuf::from("/") }
    }

    /// A file's text; empty when it cannot be read.
    pub(super) fn text(&self, file: &str, limit: u64) -> String {
        let mut octets = Vec::new();
        let read =
            File::open(self.root.join(file)).and_then(|file| file.take(limit).read_to_end(&mut octets));
        match read {
            Ok(_) => String::from_utf8_lossy(&octets).into_owned(),
            Err(_) => String::new(),
        }
    }

    /// Everything that is one leaf.
    pub(super) fn facts(&self) -> Vec<(&'static [&'static str], Value)> {
        let os = self.os_release();
        let chr = |value: &str| (Format::Chr, value.to_owned());
        let int = |value: u64| (Format::Int, value.min(i32::MAX as u64).to_string());
        let of_os = |name: &str| chr(os.get(name).map_or("", String::as_str));
        let uname = rustix::system::uname();
        let memory = self.text("proc/meminfo", SMALL);
        let kernel = |text: &std::ffi::CStr| chr(&text.to_string_lossy());
        let uptime = self.text("proc/uptime", SMALL);
        let uptime = uptime.split(['.', ' ']).next().and_then(|text| text.parse().ok());
        vec![
            (&["OS"], (Format::Node, String::new())),
            (&["OS", "Id"], of_os("ID")),
            (&["OS", "Name"], of_os("NAME")),
            (&["OS", "VersionId"], of_os("VERSION_ID")),
            (&["OS", "PrettyName"], of_os("PRETTY_NAME")),
            (&["Hostname"], kernel(uname.nodename())),
            (&["Kernel"], (Format::Node, String::new())),
            (&["Kernel", "Release"], kernel(uname.release())),
            (&["Kernel", "Version"], kernel(uname.version())),
            (&["Kernel", "Machine"], kernel(uname.machine())),
            (&["Uptime"], int(uptime.unwrap_or_default())),
            (&["Memory"], (Format::Node, String::new())),
            (&["Memory", "TotalMiB"], int(kib_of(&memory, "MemTotal:") / 1_024)),
            (&["Memory", "AvailableMiB"], int(kib_of(&memory, "MemAvailable:") / 1_024)),
        ]
    }

    /// The file systems that lie on a device, each device once.
    pub(super) fn disks(&self) -> BTreeMap<String, BTreeMap<&'static str, Value>> {
        let mounts = self.text("proc/self/mounts", SMALL);
        let mut disks: Vec<Disk> = Vec::new();
        for line in mounts.lines() {
            let mut fields = line.split(' ').map(unescaped);
            let (Some(device), Some(mount_point), Some(kind)) = (fields.next(), fields.next(), fields.next())
            else {
                continue;
            };
            let real = device.starts_with('/') || matches!(kind.as_str(), "zfs" | "btrfs" | "overlay");
            if !real || disks.len() >= DISKS || disks.iter().any(|disk| disk.device == device) {
                continue;
            }
            let Ok(space) = rustix::fs::statvfs(FilePath::new(&mount_point)) else { continue };
            let (size, free) = (space.f_blocks * space.f_frsize, space.f_bavail * space.f_frsize);
            disks.push(Disk { mount_point, device, kind, size, free });
        }
        let shown = |disk: &Disk| {
            let mib = |octets: u64| (Format::Int, (octets / MIB).min(i32::MAX as u64).to_string());
            BTreeMap::from([
                ("MountPoint", (Format::Chr, disk.mount_point.clone())),
                ("Device", (Format::Chr, disk.device.clone())),
                ("Type", (Format::Chr, disk.kind.clone())),
                ("SizeMiB", mib(disk.size)),
                ("FreeMiB", mib(disk.free)),
            ])
        };
        disks.iter().enumerate().map(|(at, disk)| ((at + 1).to_string(), shown(disk))).collect()
    }

    /// For DevInfo and DevDetail. The maker stays ours: a server knows by it whose objects these are.
    pub(super) fn hardware(&self) -> Hardware {
        let dmi = |name: &str| {
            let text = self.text(&format!("sys/class/dmi/id/{name}"), SMALL);
            Some(text.trim().to_owned()).filter(|text| !text.is_empty())
        };
        let usual = Hardware::default();
        let os = self.os_release();
        Hardware {
            model: "Linux".to_owned(),
            device_type: "host".to_owned(),
            oem: dmi("sys_vendor").unwrap_or_else(|| usual.oem.clone()),
            hardware: dmi("product_name").unwrap_or_else(|| usual.hardware.clone()),
            firmware: rustix::system::uname().release().to_string_lossy().into_owned(),
            software: os.get("PRETTY_NAME").cloned().unwrap_or_else(|| usual.software.clone()),
            ..usual
        }
    }

    /// The number behind a name in /etc/passwd or /etc/group, or the number itself.
    pub(super) fn id_of(&self, file: &str, name: &str) -> Result<u32, Code> {
        if let Ok(id) = name.parse() {
            return Ok(id);
        }
        let text = self.text(file, SMALL);
        let mut lines = text.lines().map(|line| line.split(':'));
        lines
            .find_map(|mut fields| {
                (fields.next() == Some(name)).then(|| fields.nth(1)?.parse().ok()).flatten()
            })
            .ok_or(Code::BAD_FORMAT)
    }

    /// os-release(5).
    fn os_release(&self) -> BTreeMap<String, String> {
        let own = self.text("etc/os-release", SMALL);
        let text = if own.is_empty() { self.text("usr/lib/os-release", SMALL) } else { own };
        let plain = |value: &str| {
            let quoted = |quote: char| value.strip_prefix(quote)?.strip_suffix(quote);
            quoted('"').or_else(|| quoted('\'')).unwrap_or(value).to_owned()
        };
        let lines = text.lines().filter_map(|line| line.trim().split_once('='));
        lines.map(|(name, value)| (name.to_owned(), plain(value))).collect()
    }
}

fn kib_of(meminfo: &str, name: &str) -> u64 {
    let line = meminfo.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}

/// A field of /proc/self/mounts: blanks are written as octal escapes.
fn unescaped(field: &str) -> String {
    field.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\")
}

/// Shows a value as a node of the provider's own.
pub(super) fn show(state: &mut State, path: &Path, (format, value): Value) -> Result<(), Code> {
    match state.tree.get(path) {
        Some(node) if node.value == value.as_bytes() => Ok(()),
        Some(_) => state.tree.update(path, |node| node.value = value.into_bytes()),
        None if format == Format::Node => state.tree.insert(path, Node::interior().permanent(&[Verb::Get])),
        None => state.tree.insert(path, Node::leaf(format, value).permanent(&[Verb::Get])),
    }
}

/// Shows entries with their leaves below `above`, and takes away what is no longer one.
pub(super) fn show_all(
    state: &mut State,
    above: &Path,
    entries: BTreeMap<String, BTreeMap<&'static str, Value>>,
) -> Result<(), Code> {
    let shown = state.tree.get(above).into_iter().flat_map(Node::child_names);
    let gone: Vec<_> =
        shown.filter(|name| !entries.contains_key(*name)).map(|name| above.child(name)).collect();
    gone.iter().try_for_each(|path| state.tree.remove(path))?;
    for (name, leaves) in entries {
        let entry = above.child(&name);
        show(state, &entry, (Format::Node, String::new()))?;
        for (leaf, value) in leaves {
            show(state, &entry.child(leaf), value)?;
        }
    }
    Ok(())
}
