//! Arbitrary domains: an enforced ancestor is never beaten, what does not matter changes nothing, and a fleet kept up
//! to date is equal to one computed anew.

use std::{collections::BTreeMap, sync::Arc};

use postern_engine::policy::{
    directory::{AccountKind, Group, SomKind},
    dn::Dn,
    gpo::FilterRef,
    registry_pol::Record,
    rsop::{
        Target, WmiUnknown, World,
        fleet::Fleet,
        resultant,
        settings::{Folder, winner},
    },
    security_descriptor::{AceKind, access::APPLY_GROUP_POLICY},
    sid::Sid,
    wql::{Filter, facts::Facts},
};
use proptest::prelude::*;
use uuid::Uuid;

use crate::common::{Hand, KEY, ace, descriptor, dn, everyone};

const UNITS: [&str; 5] = ["DC=t", "OU=A,DC=t", "OU=B,DC=t", "OU=C,OU=A,DC=t", "CN=S,CN=Sites,DC=t"];
const COMPUTERS: [&str; 4] =
    ["CN=D1,OU=A,DC=t", "CN=D2,OU=B,DC=t", "CN=D3,OU=C,OU=A,DC=t", "CN=D4,CN=Box,DC=t"];
const USER: &str = "CN=P,OU=B,DC=t";
const GROUP: &str = "CN=G,DC=t";
const OUTER_GROUP: &str = "CN=H,DC=t";

/// One change of a world.
#[derive(Clone, Debug)]
enum Change {
    Link(usize, usize, u32),
    Unlink(usize),
    Block(usize, bool),
    Flags(usize, u32),
    OnlyGroup(usize, bool),
    Filter(usize, bool),
    FilterText(bool),
    Value(usize, u32),
    Folder(usize),
    Remove(usize),
    Member(usize, bool),
    Nested(bool),
    Unknown(bool),
    Loopback(usize, u32),
}

fn change() -> impl Strategy<Value = Change> {
    let unit = 0..UNITS.len();
    let gpo = 0..6usize;
    prop_oneof![
        4 => (unit.clone(), gpo.clone(), 0..4u32).prop_map(|(u, g, o)| Change::Link(u, g, o)),
        1 => unit.clone().prop_map(Change::Unlink),
        1 => (unit, any::<bool>()).prop_map(|(u, b)| Change::Block(u, b)),
        1 => (gpo.clone(), 0..4u32).prop_map(|(g, f)| Change::Flags(g, f)),
        1 => (gpo.clone(), any::<bool>()).prop_map(|(g, b)| Change::OnlyGroup(g, b)),
        1 => (gpo.clone(), any::<bool>()).prop_map(|(g, b)| Change::Filter(g, b)),
        1 => any::<bool>().prop_map(Change::FilterText),
        1 => (gpo.clone(), 0..9u32).prop_map(|(g, n)| Change::Value(g, n)),
        1 => gpo.clone().prop_map(Change::Folder),
        1 => gpo.clone().prop_map(Change::Remove),
        1 => (0..COMPUTERS.len(), any::<bool>()).prop_map(|(c, b)| Change::Member(c, b)),
        1 => any::<bool>().prop_map(Change::Nested),
        1 => any::<bool>().prop_map(Change::Unknown),
        1 => (gpo, 0..3u32).prop_map(|(g, n)| Change::Loopback(g, n)),
    ]
}

/// The domain before any change: six GPOs without links, four computers, a user, two groups.
fn start() -> (Hand, Vec<Dn>) {
    let mut hand = Hand::new(&["A"]);
    for (place, unit) in UNITS.iter().enumerate().skip(1) {
        hand.som(unit, if place == 4 { SomKind::Site } else { SomKind::Unit });
    }
    for (rid, computer) in (1001..).zip(COMPUTERS) {
        hand.account(&dn(computer), AccountKind::Computer, rid);
    }
    hand.account(&dn(USER), AccountKind::User, 2000);
    for (rid, group) in [(3000, GROUP), (3001, OUTER_GROUP)] {
        let sid = Some(Sid::new(5, &[21, 1, 2, 3, rid]));
        hand.world.directory.set_group(Group { dn: dn(group), sid, members: Vec::new() });
    }
    let gpos = (0..6).map(|number| hand.unlinked(&format!("G{number}"))).collect();
    (hand, gpos)
}

fn targets() -> BTreeMap<usize, Arc<Target>> {
    let facts = Facts::from_json(&serde_json::json!({"Win32_OperatingSystem.Version": "10.0"})).unwrap();
    let target = |computer: &str, user: Option<&str>, facts: Facts| {
        let site = Some(dn(UNITS[4]));
        Arc::new(Target {
            computer: Some(dn(computer)),
            user: user.map(dn),
            site,
            facts: Arc::new(facts),
            ..Target::default()
        })
    };
    let owners = [None, Some(USER), Some(USER), None];
    COMPUTERS
        .into_iter()
        .zip(owners)
        .enumerate()
        .map(|(key, (computer, user))| {
            (key, target(computer, user, if key % 2 == 0 { facts.clone() } else { Facts::default() }))
        })
        .collect()
}

fn apply(hand: &mut Hand, gpos: &[Dn], change: &Change) {
    let there = |hand: &Hand, gpo: usize| hand.world.directory.gpos().contains_key(&gpos[gpo]);
    match *change {
        Change::Link(unit, gpo, options) => hand.link(&gpos[gpo], UNITS[unit], options),
        Change::Unlink(unit) => hand.change_som(UNITS[unit], |som| {
            som.links.as_mut().unwrap().pop();
        }),
        Change::Block(unit, blocks) => hand.change_som(UNITS[unit], |som| som.blocks = blocks),
        Change::Flags(gpo, flags) if there(hand, gpo) => hand.change_gpo(&gpos[gpo], |gpo| gpo.flags = flags),
        Change::OnlyGroup(gpo, only) if there(hand, gpo) => hand.change_gpo(&gpos[gpo], |gpo| {
            let mut apply = ace(
                AceKind::Allowed { object: true, conditional: false },
                0x100,
                Sid::new(5, &[21, 1, 2, 3, 3001]),
            );
            apply.object = Some(APPLY_GROUP_POLICY);
            let read =
                ace(AceKind::Allowed { object: false, conditional: false }, 0x8000_0000, Sid::everyone());
            gpo.security = Ok(if only { descriptor(vec![read, apply]) } else { everyone() });
        }),
        Change::Filter(gpo, has) if there(hand, gpo) => {
            hand.change_gpo(&gpos[gpo], |gpo| gpo.filter = has.then(|| FilterRef::Id(Uuid::from_u128(9))))
        }
        Change::FilterText(ten) => {
            let version = if ten { "10.%" } else { "6.%" };
            let text = format!(
                "1;3;10;0;WQL;root\\CIMv2;SELECT * FROM Win32_OperatingSystem WHERE Version LIKE '{version}';"
            );
            hand.world.directory.set_filter(Uuid::from_u128(9), Filter::read("f", &text));
        }
        Change::Value(gpo, number) if there(hand, gpo) => hand.records(
            &gpos[gpo],
            &[Record::dword(KEY, "Winner", number), Record::dword(KEY, &format!("V{number}"), 1)],
        ),
        Change::Folder(gpo) if there(hand, gpo) => {
            hand.change_folder(&gpos[gpo], |folder: &mut Folder| folder.computer = Err("gone".into()));
        }
        Change::Remove(gpo) => hand.world.directory.remove_gpo(&gpos[gpo]),
        Change::Member(computer, is_in) => {
            let mut group = (*hand.world.directory.groups()[&dn(GROUP)]).clone();
            group.members.retain(|member| *member != dn(COMPUTERS[computer]));
            if is_in {
                group.members.push(dn(COMPUTERS[computer]));
            }
            hand.world.directory.set_group(group);
        }
        Change::Nested(nested) => {
            let mut group = (*hand.world.directory.groups()[&dn(OUTER_GROUP)]).clone();
            group.members = if nested { vec![dn(GROUP)] } else { Vec::new() };
            hand.world.directory.set_group(group);
        }
        Change::Unknown(allow) => {
            hand.world.options.wmi_unknown = if allow { WmiUnknown::Allow } else { WmiUnknown::Deny };
        }
        Change::Loopback(gpo, mode) if there(hand, gpo) => hand.records(
            &gpos[gpo],
            &[Record::dword("Software\\Policies\\Microsoft\\Windows\\System", "UserPolicyMode", mode)],
        ),
        _ => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_fleet_kept_up_to_date_is_equal_to_one_computed_anew(changes in prop::collection::vec(change(), 1..24)) {
        let (mut hand, gpos) = start();
        let mut fleet = Fleet::new(hand.world.clone(), targets());
        for change in &changes {
            let before: BTreeMap<_, _> = fleet.results().map(|(key, result)| (*key, result.clone())).collect();
            apply(&mut hand, &gpos, change);
            let again = fleet.set_world(hand.world.clone());

            for (key, target) in targets() {
                let anew = resultant(&hand.world, &target).map(Arc::new);
                prop_assert_eq!(fleet.result(&key).unwrap(), &anew, "{:?} after {:?}", key, change);
                if !again.contains(&key) {
                    prop_assert_eq!(&before[&key], &anew);
                }
            }
        }
    }

    #[test]
    fn an_enforced_ancestor_is_never_beaten(changes in prop::collection::vec(change(), 1..40)) {
        let (mut hand, gpos) = start();
        changes.iter().for_each(|change| apply(&mut hand, &gpos, change));
        for target in targets().values() {
            let Ok(rsop) = resultant(&hand.world, target) else { continue };
            let pass = rsop.computer.unwrap();
            // Nearest first: an enforced link that applies comes behind everything of its own container and below.
            let distance = |link: usize| match &pass.links[link].som.dn {
                site if site.as_str() == UNITS[4] => usize::MAX,
                other => 1000 - other.as_str().len(),
            };
            for (place, link) in pass.order.iter().enumerate().filter(|(_, link)| pass.links[**link].enforced) {
                for later in &pass.order[place + 1..] {
                    prop_assert!(pass.links[*later].enforced, "only enforced links come behind an enforced one");
                    prop_assert!(distance(*later) >= distance(*link), "a nearer container came behind");
                }
            }
            for (name, says) in pass.settings.iter() {
                let winner = winner(says).unwrap().link;
                let beaten = says.iter().any(|say| pass.links[say.link].enforced && say.link != winner)
                    && !pass.links[winner].enforced;
                prop_assert!(!beaten, "{name:?}");
            }
        }
    }

    #[test]
    fn what_does_not_matter_to_a_target_changes_nothing(changes in prop::collection::vec(change(), 1..20), noise in 0..4u32) {
        let (mut hand, gpos) = start();
        changes.iter().for_each(|change| apply(&mut hand, &gpos, change));
        let target = &targets()[&0];
        let before = resultant(&hand.world, target);

        // Another unit, a GPO that nobody links, an account, a group that it is not in, one more filter.
        hand.som("OU=Z,DC=t", SomKind::Unit);
        hand.gpo("Elsewhere", "OU=Z,DC=t", noise);
        hand.unlinked("Nowhere");
        hand.account(&dn("CN=X,OU=Z,DC=t"), AccountKind::Computer, 4000);
        let members = vec![dn("CN=X,OU=Z,DC=t")];
        hand.world.directory.set_group(Group { dn: dn("CN=Y,DC=t"), sid: Some(Sid::new(5, &[21, 1, 2, 3, 9])), members });
        hand.world.directory.set_filter(Uuid::from_u128(77), Filter::read("x", "x"));

        prop_assert_eq!(before, resultant(&hand.world, target));
    }
}

#[test]
fn a_target_is_computed_again_when_it_is_another_and_forgotten_when_it_goes() {
    let (hand, _) = start();
    let mut fleet = Fleet::new(World::clone(&hand.world), targets());
    let same = targets()[&1].clone();

    assert!(!fleet.set_target(1, same.clone()));
    assert!(fleet.set_target(1, Arc::new(Target { user: None, ..(*same).clone() })));
    fleet.remove(&1);
    assert!(fleet.result(&1).is_none());
    assert_eq!(fleet.results().count(), 3);
}
