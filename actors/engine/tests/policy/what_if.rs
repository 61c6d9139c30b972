//! Suppositions, on the domain corp.example.

use postern_engine::policy::{
    dn::Dn,
    rsop::{Target, World, resultant},
    what_if::{Impossible, Supposition, place, suppose},
};

use crate::{common::device, corp::corp};

const MDM: &str = "OU=MDM,DC=corp,DC=example";

fn camera(world: &World, target: &Target) -> (Option<u8>, Vec<String>) {
    let pass = resultant(world, target).unwrap().computer.unwrap();
    let data = pass.settings.value("Software\\Policies\\Example\\Mdm", "CameraAllowed");
    let order = pass.order.iter().map(|place| pass.links[*place].gpo_name()).collect();
    (data.map(|data| data.octets[0]), order)
}

fn link(gpo: &str, som: &str, enforced: bool) -> Supposition {
    Supposition::Link { gpo: gpo.to_owned(), som: Dn::new(som).unwrap(), enforced }
}

#[test]
fn a_device_that_moves_keeps_its_groups_and_gets_what_its_new_containers_have() {
    let world = corp();
    let target = device(&world, "PHONE1");
    assert_eq!(camera(&world, &target).0, Some(0));
    let before = world.clone();

    let (there, moved) = suppose(&world, &target, &Supposition::MoveTo(Dn::new(MDM).unwrap())).unwrap();

    assert_eq!(moved.computer.as_ref().unwrap().as_str(), format!("CN=PHONE1,{MDM}"));
    let (value, order) = camera(&there, &moved);
    assert_eq!((value, order.first().map(String::as_str)), (Some(1), Some("MDM Baseline")));
    assert_eq!(world, before, "nothing was touched");
}

#[test]
fn a_group_lets_a_gpo_through_that_only_its_members_get() {
    let world = corp();
    let target = device(&world, "PHONE3");
    assert_eq!(camera(&world, &target).0, Some(1));
    let pass = resultant(&world, &device(&world, "PHONE1")).unwrap().computer.unwrap();
    let groups: Vec<&Dn> = world.directory.groups().keys().collect();
    // Whichever of the groups it is that PHONE1 has and PHONE3 lacks.
    let opens = groups.iter().any(|group| {
        let sid = world.directory.groups()[*group].sid.clone();
        sid.is_some_and(|sid| pass.token.contains(&sid)) && {
            let (there, target) =
                suppose(&world, &target, &Supposition::AddGroup(group.to_string())).unwrap();
            camera(&there, &target).0 == Some(0)
        }
    });
    assert!(opens);
}

#[test]
fn a_new_link_is_the_weakest_of_its_container_and_an_enforced_one_beats_all() {
    let world = corp();
    let target = device(&world, "PHONE1");
    let field = target.computer.as_ref().unwrap().parent().unwrap();

    let (there, same) = suppose(&world, &target, &link("mdm baseline", field.as_str(), false)).unwrap();
    assert_eq!(camera(&there, &same).0, Some(0), "link order 1 still wins");

    let (there, same) = suppose(&world, &target, &link("MDM Baseline", field.as_str(), true)).unwrap();
    assert_eq!(camera(&there, &same).0, Some(1));
}

#[test]
fn a_device_that_is_not_there_gets_what_its_container_and_groups_give() {
    let world = corp();
    let field = device(&world, "PHONE1").computer.unwrap().parent().unwrap();
    let (there, target) = place(&world, &Target::default(), &field, &[]).unwrap();
    let (value, order) = camera(&there, &target);
    assert_eq!(value, Some(1), "{order:?}");
    assert!(order.contains(&"MDM Baseline".to_owned()));
}

#[test]
fn what_the_directory_does_not_hold_cannot_be_supposed() {
    let world = corp();
    let target = device(&world, "PHONE1");
    for supposition in [
        Supposition::MoveTo(Dn::new("OU=Nowhere,DC=corp,DC=example").unwrap()),
        Supposition::AddGroup("Nobodies".to_owned()),
        link("No Such GPO", MDM, false),
        link("MDM Baseline", "OU=Nowhere,DC=corp,DC=example", false),
    ] {
        let error = suppose(&world, &target, &supposition).unwrap_err();
        assert!(matches!(error, Impossible::None { .. }), "{error}");
    }
    let nobody = suppose(&world, &Target::default(), &Supposition::MoveTo(Dn::new(MDM).unwrap()));
    assert_eq!(nobody.unwrap_err(), Impossible::NoComputer);
}
