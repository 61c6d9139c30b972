//! Any folder: read or refused, and nothing is asked for that was not listed. The first octets make the tree, the rest is what files hold.
#![no_main]

use std::cell::RefCell;

use libfuzzer_sys::fuzz_target;
use postern_engine::policy::sysvol::{Contents, Entry, Kind, Limits, Tree};

const NAMES: &[&str] = &[
    "GPT.INI",
    "gpt.ini",
    "Machine",
    "MACHINE",
    "User",
    "Registry.pol",
    "registry.POL",
    "Preferences",
    "Scripts",
    "GptTmpl.inf",
    "Drives.xml",
    "..",
    "a/b",
    "a",
    "comment.cmtx",
    "",
];

struct Fuzzed<'f> {
    plan: RefCell<std::slice::Iter<'f, u8>>,
    octets: &'f [u8],
    listed: RefCell<Vec<Vec<String>>>,
}

impl Tree for Fuzzed<'_> {
    fn entries(&self, at: &[&str], most: usize) -> Result<Vec<Entry>, String> {
        let mut plan = self.plan.borrow_mut();
        let count = plan.next().map_or(0, |count| usize::from(count % 8));
        let mut entries = Vec::new();
        for octet in plan.by_ref().take(count.min(most.saturating_add(1))) {
            let name = NAMES[usize::from(octet & 15)].to_owned();
            let kind = [Kind::Folder, Kind::File, Kind::File, Kind::Other][usize::from(octet >> 6)];
            let path: Vec<String> = at.iter().map(|name| (*name).to_owned()).chain([name.clone()]).collect();
            self.listed.borrow_mut().push(path);
            entries.push(Entry { name, kind });
        }
        Ok(entries)
    }

    fn octets(&self, at: &[&str], most: usize) -> Result<Vec<u8>, String> {
        assert!(self.listed.borrow().iter().any(|path| path.iter().eq(at.iter())));
        assert!(!at.contains(&".."));
        Ok(self.octets[..self.octets.len().min(most + 1)].to_vec())
    }
}

fuzz_target!(|octets: &[u8]| {
    let (plan, octets) = octets.split_at(octets.len().min(64));
    let tree = Fuzzed { plan: RefCell::new(plan.iter()), octets, listed: RefCell::default() };
    let limits = Limits::default();
    if let Ok(contents) = Contents::read(&tree, &limits) {
        let _ = contents.folder(&limits.registry_pol);
    }
});
