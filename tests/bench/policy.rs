//! Resultant sets: one change brought up to date, against the naive full pass over every device in the same run.

mod domain;

use std::{collections::BTreeMap, sync::Arc};

use postern_engine::policy::{
    directory::{Account, AccountKind, Directory, Group, Som, SomKind, SomLink},
    dn::Dn,
    gpo::{Gpo, GpoId},
    registry_pol::{File, Record},
    rsop::{
        Target, World,
        fleet::Fleet,
        resultant,
        settings::{Folder, Policy},
    },
    security_descriptor::{Ace, AceKind, DACL_PRESENT, SecurityDescriptor},
    sid::Sid,
};
use uuid::Uuid;

use crate::{clock, table::Row};

const UNITS: usize = 100;
const GPOS: usize = 200;
/// Values that each GPO sets.
const VALUES: usize = 20;

/// All rows of this section.
///
/// # Errors
/// What was brought up to date differs from the full pass.
pub(crate) fn run(quick: bool) -> anyhow::Result<Vec<Row>> {
    let devices = if quick { 1_000 } else { 10_000 };
    let rounds = if quick { 3 } else { 5 };
    let mut world = world(devices)?;
    let targets = targets(devices)?;
    let mut fleet = Fleet::new(world.clone(), targets.clone());
    let mut rows = Vec::new();
    for (name, change) in [
        ("the settings of a GPO of one OU changed", settings_of as fn(&mut World, u32) -> anyhow::Result<()>),
        ("the links of one OU changed", links_of),
        ("the members of a group changed", members_of),
        ("the settings of a GPO of the domain changed", settings_of_all),
    ] {
        let mut measured = Vec::new();
        let mut concerned = 0;
        for round in 0..rounds {
            change(&mut world, round)?;
            // What a supervisor hands over is its own copy; making it is no part of either figure.
            let handed = world.clone();
            let begun = clock::now();
            concerned = fleet.set_world(handed).len();
            let ours = begun.elapsed();
            let begun = clock::now();
            let full: BTreeMap<usize, _> =
                targets.iter().map(|(key, target)| (*key, resultant(&world, target).map(Arc::new))).collect();
            let naive = begun.elapsed();
            for (key, anew) in &full {
                let kept = fleet.result(key);
                anyhow::ensure!(kept == Some(anew), "device {key} differs from the full pass after: {name}");
            }
            measured.push((nanoseconds(naive), nanoseconds(ours)));
        }
        let subject = format!("{name}: {concerned} of {devices} devices computed again, {GPOS} GPOs");
        rows.push(Row::ratio(subject, "naive full pass", measured.into(), None));
    }
    rows.extend(domain::run(quick)?);
    Ok(rows)
}

fn nanoseconds(time: std::time::Duration) -> f64 {
    time.as_secs_f64() * 1e9
}

fn settings_of(world: &mut World, round: u32) -> anyhow::Result<()> {
    set_folder(world, GPOS - 1, round + 1)
}

fn settings_of_all(world: &mut World, round: u32) -> anyhow::Result<()> {
    set_folder(world, 0, round + 1)
}

fn links_of(world: &mut World, _: u32) -> anyhow::Result<()> {
    let dn = unit(1)?;
    let mut som = Som::clone(&world.directory.soms()[&dn]);
    if let Ok(links) = &mut som.links {
        links.reverse();
    }
    world.directory.set_som(som);
    Ok(())
}

fn members_of(world: &mut World, round: u32) -> anyhow::Result<()> {
    let member = device(round as usize)?;
    let sid = Some(Sid::new(5, &[21, 1, 2, 3, 900]));
    world.directory.set_group(Group { dn: Dn::new("CN=Pilot,DC=bench")?, sid, members: vec![member] });
    Ok(())
}

/// A domain of 100 OUs: 10 GPOs at the domain, 2 at each of 95 OUs, the rest nowhere.
fn world(devices: usize) -> anyhow::Result<World> {
    let mut world = World::default();
    let domain = Dn::new("DC=bench")?;
    let mut linked: Vec<Vec<Dn>> = vec![Vec::new(); UNITS + 1];
    for number in 0..GPOS {
        let gpo = gpo(number)?;
        linked[if number < 10 { UNITS } else { (number - 10) / 2 }].push(gpo.dn.clone());
        world.directory.set_gpo(gpo);
        set_folder(&mut world, number, 0)?;
    }
    let of_domain = linked.pop().unwrap_or_default();
    set_som(&mut world.directory, domain, SomKind::Domain, of_domain);
    for (number, gpos) in linked.into_iter().enumerate() {
        set_som(&mut world.directory, unit(number)?, SomKind::Unit, gpos);
    }
    for number in 0..devices {
        world.directory.set_account(Account {
            dn: device(number)?,
            kind: AccountKind::Computer,
            logon_name: None,
            principal_name: None,
            sid: Some(Sid::new(5, &[21, 1, 2, 3, 10_000 + u32::try_from(number)?])),
            token_groups: None,
            primary_group: None,
        });
    }
    members_of(&mut world, u32::try_from(devices)?)?;
    Ok(world)
}

fn set_som(directory: &mut Directory, dn: Dn, kind: SomKind, gpos: Vec<Dn>) {
    let links = gpos.into_iter().map(|gpo| SomLink { gpo: Ok(gpo), disabled: false, enforced: false });
    directory.set_som(Som { dn, kind, links: Ok(links.collect()), blocks: false });
}

fn targets(devices: usize) -> anyhow::Result<BTreeMap<usize, Arc<Target>>> {
    let target = |number| {
        let target = Target { computer: Some(device(number)?), ..Target::default() };
        Ok((number, Arc::new(target)))
    };
    (0..devices).map(target).collect()
}

fn unit(number: usize) -> anyhow::Result<Dn> {
    Ok(Dn::new(&format!("OU=U{number},DC=bench"))?)
}

/// The devices are spread over the OUs.
fn device(number: usize) -> anyhow::Result<Dn> {
    Ok(Dn::new(&format!("CN=D{number},OU=U{},DC=bench", number % UNITS))?)
}

fn gpo_dn(number: usize) -> anyhow::Result<Dn> {
    let id = GpoId(Uuid::from_u128(number as u128));
    Ok(Dn::new(&format!("CN={id},CN=Policies,CN=System,DC=bench"))?)
}

/// Every third is for the pilot group alone, the others for everybody.
fn gpo(number: usize) -> anyhow::Result<Gpo> {
    let who = if number.is_multiple_of(3) && number >= 10 {
        Sid::new(5, &[21, 1, 2, 3, 900])
    } else {
        Sid::authenticated_users()
    };
    let kind = AceKind::Allowed { object: false, conditional: false };
    let ace = Ace { kind, flags: 0, mask: 0x1000_0000, sid: who, object: None, inherited_object: None };
    let security =
        SecurityDescriptor { control: DACL_PRESENT, owner: None, group: None, dacl: Some(vec![ace]) };
    Ok(Gpo {
        dn: gpo_dn(number)?,
        id: Some(GpoId(Uuid::from_u128(number as u128))),
        name: format!("GPO {number}"),
        flags: 0,
        version: 1,
        functionality: Some(2),
        computer_extensions: Some(
            "[{35378EAC-683F-11D2-A89A-00C04FBBCFA2}{D02B1F72-3407-48AE-BA88-E8213C6761F1}]".to_owned(),
        ),
        user_extensions: None,
        filter: None,
        security: Ok(security),
    })
}

fn set_folder(world: &mut World, number: usize, round: u32) -> anyhow::Result<()> {
    let records = (0..VALUES).map(|value| {
        // Half of the values are set by every GPO, the others by this one alone.
        let name = if value % 2 == 0 { format!("V{value}") } else { format!("V{value} of {number}") };
        Record::dword("Software\\Policies\\Bench", &name, round)
    });
    let policy = Arc::new(Policy::of(&File { records: records.collect(), trailing_octets: 0 }));
    let folder =
        Folder { version: Ok(1), computer: Ok(policy.clone()), user: Ok(policy), others: Arc::from([]) };
    world.folders.insert(gpo_dn(number)?, Arc::new(folder));
    Ok(())
}
