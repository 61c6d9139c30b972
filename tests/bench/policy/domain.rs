//! A domain of 5,000 computers and 300 GPOs, from the entries of a directory and the files of a SYSVOL to the resultant sets: all of it
//! read and computed, and one GPO that was edited brought up to date, as the core does after a look at what changed.

use std::{collections::BTreeMap, fmt::Write as _, fs, path::Path, sync::Arc};

use postern_actors::{SystemClock, sysvol::SysvolCache};
use postern_adapters::sysvol;
use postern_engine::policy::{
    directory::Directory,
    dn::Dn,
    gpo::GpoId,
    ldif::{self, Entry},
    registry_pol::{File, Record},
    rsop::{Options, Target, World, fleet::Fleet, resultant},
};
use tokio::runtime::Runtime;
use uuid::Uuid;

use super::nanoseconds;
use crate::{clock, table::Row};

const GPOS: usize = 300;
const UNITS: usize = 60;
/// Units in each unit.
const BELOW: usize = 5;
/// Values that each GPO sets.
const VALUES: usize = 40;
/// Linked to the domain; the others are spread over the units.
const OF_DOMAIN: usize = 10;
const EXTENSION: &str = "[{35378EAC-683F-11D2-A89A-00C04FBBCFA2}{D02B1F72-3407-48AE-BA88-E8213C6761F1}]";

pub(super) fn run(quick: bool) -> anyhow::Result<Vec<Row>> {
    let (devices, rounds) = if quick { (1_000, 3) } else { (5_000, 5) };
    let folder = tempfile::tempdir()?;
    let runtime = Runtime::new()?;
    for number in 0..GPOS {
        put(folder.path(), number, 1)?;
    }
    let begun = clock::now();
    let text = ldif_of(devices)?;
    let mut entries = ldif::read(text.as_bytes(), &ldif::Limits::default())
        .map_err(|error| anyhow::anyhow!("line {}: {}", error.line, error.kind))?;
    let (directory, remarks) = Directory::from_entries(entries.iter().cloned());
    anyhow::ensure!(remarks.is_empty(), "{remarks:?}");
    let cache = cache(folder.path())?;
    let look = runtime.block_on(cache.refresh(&directory, false));
    anyhow::ensure!((look.asked, look.troubles) == (GPOS, 0), "{look:?}");
    let targets = targets(devices)?;
    let mut fleet = Fleet::new(world(directory, &cache), targets.clone());
    let all = begun.elapsed();
    let settings: usize =
        fleet.results().filter_map(|(_, result)| result.as_ref().ok()).map(settings_of).sum();
    anyhow::ensure!(fleet.results().all(|(_, result)| result.as_ref().is_ok_and(|rsop| is_whole(rsop))));

    let mut measured = Vec::new();
    let mut concerned = 0;
    for round in 0..rounds {
        // Of one unit's own.
        let number = GPOS - 1;
        put(folder.path(), number, round + 2)?;
        announce(&mut entries, number, round + 2)?;
        let begun = clock::now();
        let (directory, _) = Directory::from_entries(entries.iter().cloned());
        let look = runtime.block_on(cache.refresh(&directory, false));
        concerned = fleet.set_world(world(directory, &cache)).len();
        let ours = begun.elapsed();
        anyhow::ensure!((look.asked, look.changed) == (1, true), "{look:?}");

        let begun = clock::now();
        let (directory, _) = Directory::from_entries(entries.iter().cloned());
        let anew = self::cache(folder.path())?;
        runtime.block_on(anew.refresh(&directory, true));
        let world = world(directory, &anew);
        let full: BTreeMap<usize, _> =
            targets.iter().map(|(key, target)| (*key, resultant(&world, target).map(Arc::new))).collect();
        let naive = begun.elapsed();
        for (key, anew) in &full {
            anyhow::ensure!(fleet.result(key) == Some(anew), "device {key} differs from the full pass");
        }
        measured.push((nanoseconds(naive), nanoseconds(ours)));
    }
    let subject = format!(
        "a domain of {devices} computers and {GPOS} GPOs, one GPO edited: entries, SYSVOL and {concerned} devices brought up to date"
    );
    Ok(vec![
        Row::plain(
            format!(
                "the same domain, LDIF and SYSVOL read and every device computed once: {settings} settings in all"
            ),
            format!("{:.2} s", all.as_secs_f64()),
            "",
        ),
        Row::ratio(subject, "SYSVOL read whole, naive full pass", measured.into(), None),
    ])
}

fn settings_of(rsop: &Arc<postern_engine::policy::rsop::Rsop>) -> usize {
    rsop.computer.as_ref().map_or(0, |pass| pass.settings.len())
}

fn is_whole(rsop: &postern_engine::policy::rsop::Rsop) -> bool {
    rsop.computer.as_ref().is_some_and(|pass| !pass.is_incomplete() && !pass.order.is_empty())
}

fn world(directory: Directory, cache: &SysvolCache) -> World {
    World { directory, folders: BTreeMap::clone(&cache.folders()), options: Options::default() }
}

fn cache(folder: &Path) -> anyhow::Result<SysvolCache> {
    let config = sysvol::SysvolConfig::of_folder(folder);
    Ok(SysvolCache::new(sysvol::open(&config, folder)?, Arc::new(SystemClock::new())))
}

fn id(number: usize) -> GpoId {
    GpoId(Uuid::from_u128(number as u128))
}

fn gpo_dn(number: usize) -> String {
    format!("CN={},CN=Policies,CN=System,DC=bench", id(number))
}

fn unit(number: usize) -> String {
    let (outer, inner) = (number / (BELOW + 1), number % (BELOW + 1));
    match inner {
        0 => format!("OU=U{outer},DC=bench"),
        inner => format!("OU=B{inner},OU=U{outer},DC=bench"),
    }
}

/// The devices are spread over the inner units.
fn device(number: usize) -> String {
    let inner = number % (UNITS / (BELOW + 1) * BELOW);
    format!("CN=D{number},{}", unit(inner / BELOW * (BELOW + 1) + inner % BELOW + 1))
}

fn targets(devices: usize) -> anyhow::Result<BTreeMap<usize, Arc<Target>>> {
    let target = |number| {
        let target = Target { computer: Some(Dn::new(&device(number))?), ..Target::default() };
        Ok((number, Arc::new(target)))
    };
    (0..devices).map(target).collect()
}

/// A GPO's folder of a version.
fn put(folder: &Path, number: usize, version: u32) -> anyhow::Result<()> {
    let gpo = folder.join("bench/Policies").join(id(number).to_string());
    fs::create_dir_all(gpo.join("Machine"))?;
    let records = (0..VALUES).map(|value| {
        // Half of the values are set by every GPO, the others by this one alone.
        let name = if value % 2 == 0 { format!("V{value}") } else { format!("V{value} of {number}") };
        Record::dword("Software\\Policies\\Bench", &name, version)
    });
    let file = File { records: records.collect(), trailing_octets: 0 };
    fs::write(gpo.join("Machine/Registry.pol"), file.write())?;
    fs::write(gpo.join("GPT.INI"), format!("[General]\r\nVersion={version}\r\n"))?;
    Ok(())
}

/// A GPO's version, in the directory.
fn announce(entries: &mut [Entry], number: usize, version: u32) -> anyhow::Result<()> {
    let dn = gpo_dn(number);
    let entry = entries.iter_mut().find(|entry| entry.dn == dn);
    let entry = entry.ok_or_else(|| anyhow::anyhow!("{dn} is not there"))?;
    entry.attributes.insert("versionnumber".to_owned(), vec![version.to_string().into_bytes()]);
    Ok(())
}

/// The domain as `ldapsearch` prints it.
fn ldif_of(devices: usize) -> anyhow::Result<String> {
    use base64::{Engine as _, prelude::BASE64_STANDARD};

    let mut text = String::new();
    let links = |of: &mut dyn Iterator<Item = usize>| {
        of.map(|number| format!("[LDAP://{};0]", gpo_dn(number))).collect::<String>()
    };
    let mut container = |dn: &str, class: &str, links: &str| {
        let links = if links.is_empty() { String::new() } else { format!("gPLink: {links}\n") };
        write!(text, "dn: {dn}\nobjectClass: {class}\n{links}\n")
    };
    container("DC=bench", "domainDNS", &links(&mut (0..OF_DOMAIN)))?;
    for number in 0..UNITS {
        let own = (OF_DOMAIN..GPOS).filter(|gpo| gpo % UNITS == number);
        container(&unit(number), "organizationalUnit", &links(&mut own.into_iter()))?;
    }
    let descriptor = BASE64_STANDARD.encode(everybody_applies());
    for number in 0..GPOS {
        write!(
            text,
            "dn: {}\nobjectClass: groupPolicyContainer\ncn: {}\ndisplayName: GPO {number}\nflags: 0\nversionNumber: 1\n\
             gPCFunctionalityVersion: 2\ngPCMachineExtensionNames: {EXTENSION}\nnTSecurityDescriptor:: {descriptor}\n\n",
            gpo_dn(number),
            id(number),
        )?;
    }
    for number in 0..devices {
        let sid = BASE64_STANDARD.encode(sid(&[21, 1, 2, 3, 10_000 + u32::try_from(number)?]));
        let dn = device(number);
        write!(text, "dn: {dn}\nobjectClass: computer\nsAMAccountName: D{number}$\nobjectSid:: {sid}\n\n")?;
    }
    Ok(text)
}

/// MS-DTYP 2.4.2: a SID of the NT authority.
fn sid(parts: &[u32]) -> Vec<u8> {
    let count = u8::try_from(parts.len()).unwrap_or(u8::MAX);
    let mut octets = vec![1, count, 0, 0, 0, 0, 0, 5];
    octets.extend(parts.iter().flat_map(|part| part.to_le_bytes()));
    octets
}

/// MS-DTYP 2.4.6: a self-relative descriptor that grants authenticated users all.
fn everybody_applies() -> Vec<u8> {
    let sid = sid(&[11]);
    let ace = u16::try_from(8 + sid.len()).unwrap_or(0);
    let mut octets = vec![1, 0, 0x04, 0x80];
    octets.extend([0_u32, 0, 0, 20].iter().flat_map(|offset| offset.to_le_bytes()));
    octets.extend([2, 0]);
    octets.extend((8 + ace).to_le_bytes());
    octets.extend([1, 0, 0, 0, 0, 0]);
    octets.extend(ace.to_le_bytes());
    octets.extend(0x1000_0000_u32.to_le_bytes());
    octets.extend(sid);
    octets
}
