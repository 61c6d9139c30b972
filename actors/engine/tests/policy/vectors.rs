//! The domain example.test against what an independent implementation computed of it.

use postern_engine::policy::{
    directory::AccountKind,
    registry_pol::value::{self, Value},
    rsop::{Loopback, Pass, Target, World, resultant, settings::winner},
};
use serde_json::json;

use crate::common::{device, example, json, order};

#[test]
fn every_target_comes_out_as_expected() {
    let world = example();
    let expected = json("rsop/expected.json");
    let mut seen = 0;
    for (name, expected) in expected.as_object().unwrap() {
        let pass = pass(&world, name);
        seen += 1;
        assert_eq!(pass.half.word(), expected["mode"], "{name}");
        assert_eq!(json!(order(&pass)), expected["applicationOrder"], "{name}");
        assert_eq!(links(&pass), expected["links"], "{name}");
        assert_eq!(registry(&pass), expected["registry"], "{name}");
        if let Some(dn) = expected.get("dn") {
            let sids: Vec<_> = pass.token.iter().map(ToString::to_string).collect();
            assert_eq!(pass.dn.as_str(), dn, "{name}");
            assert_eq!(json!(sids), expected["tokenSids"], "{name}");
        }
        assert!(!pass.is_incomplete() && pass.unseen.is_empty(), "{name}");
    }
    assert_eq!(seen, 4);
}

/// `PHONE01`, or `alice@PHONE01 loopback-replace`.
fn pass(world: &World, name: &str) -> Pass {
    let Some((user, rest)) = name.split_once('@') else {
        return resultant(world, &device(world, name)).unwrap().computer.unwrap();
    };
    let (computer, mode) = rest.split_once(" loopback-").unwrap();
    let loopback = if mode == "merge" { Loopback::Merge } else { Loopback::Replace };
    let user = world.directory.account(AccountKind::User, user).unwrap().dn.clone();
    let target = Target { user: Some(user), loopback: Some(loopback), ..device(world, computer) };
    resultant(world, &target).unwrap().user.unwrap()
}

fn links(pass: &Pass) -> serde_json::Value {
    let links = pass.links.iter().map(|link| {
        json!({
            "gpo": link.gpo_name(), "som": link.som.dn.as_str(), "linkOrder": link.link_order,
            "enforced": link.enforced, "reason": link.reason.word(),
        })
    });
    links.collect()
}

fn registry(pass: &Pass) -> serde_json::Value {
    let mut flat = serde_json::Map::new();
    for (name, says) in pass.settings.iter() {
        let Some(data) = &winner(says).unwrap().data else { continue };
        let value = match value::typed(data.kind, &data.octets).unwrap() {
            Value::Number(number) => json!(number),
            Value::Text(text) => json!(text),
            other => panic!("{other:?}"),
        };
        flat.insert(name.value.clone(), value);
    }
    flat.into()
}

#[test]
fn a_kiosk_is_filtered_on_the_way_that_its_neighbours_do_not_inherit() {
    let world = example();
    let pass = pass(&world, "KIOSK01");

    let mdm: Vec<_> = pass.links.iter().filter(|link| link.som.dn.name() == "MDM").collect();
    let reasons: Vec<_> = mdm.iter().map(|link| (link.gpo_name(), link.reason.word())).collect();
    let expected = [
        ("WmiFiltered", "applied"),
        ("LinkOff", "link-disabled"),
        ("ApplyNoRead", "denied-read"),
        ("AllRightsPilot", "denied-not-granted"),
        ("NoExt", "no-extension"),
        ("EmptyVer", "empty-version-0"),
        ("BadFunc", "bad-functionality-version"),
        ("AllOff", "gpo-disabled"),
        ("UserOff", "applied"),
        ("MachineOff", "gpo-disabled"),
        ("DenyBlocked", "applied"),
        ("PilotOnly", "denied-not-granted"),
        ("Mdm2", "applied"),
        ("Mdm1", "applied"),
    ];
    assert_eq!(reasons, expected.map(|(name, word)| (name.to_owned(), word)));
    // The filter's object is not in the directory: it filters nothing, and the report says so.
    assert!(mdm[0].detail.to_string().contains("was not found"));
}

#[test]
fn loopback_merge_puts_the_computers_containers_behind_the_users() {
    let world = example();
    let replace = pass(&world, "alice@PHONE01 loopback-replace");
    let merge = pass(&world, "alice@PHONE01 loopback-merge");

    let merged = order(&merge);
    assert!(merged.ends_with(&order(&replace)), "{merged:?}");
    let own = &merged[..merged.len() - replace.order.len()];
    let user = world.directory.account(AccountKind::User, "alice").unwrap().dn.clone();
    let alone = Target { computer: None, user: Some(user), ..device(&world, "PHONE01") };
    assert_eq!(own, order(&resultant(&world, &alone).unwrap().user.unwrap()));
}

#[test]
fn the_groups_that_were_read_stand_in_for_the_token_that_was_not() {
    let mut world = example();
    for name in ["PHONE01", "PHONE02", "PC01"] {
        let before = world.directory.account(AccountKind::Computer, name).unwrap().clone();
        let token = world.directory.token(&before);
        let mut without = (*before).clone();
        without.token_groups = None;
        world.directory.set_account(without.clone());

        assert_eq!(world.directory.token(&without), token, "{name}");
    }
}

#[test]
fn the_order_of_objects_and_unrelated_objects_change_nothing() {
    let world = example();
    let octets = std::fs::read(crate::common::data("rsop/directory.ldif")).unwrap();
    let mut entries = postern_engine::policy::ldif::read(&octets, &Default::default()).unwrap();
    entries.reverse();
    for entry in &mut entries {
        entry.dn = entry.dn.to_uppercase();
    }
    let (directory, _) = postern_engine::policy::directory::Directory::from_entries(entries);
    let other = World { directory, ..world.clone() };

    for name in ["PHONE01", "PHONE02", "PC01", "KIOSK01"] {
        let (one, two) = (pass(&world, name), pass(&other, name));
        assert_eq!(order(&one), order(&two), "{name}");
        assert_eq!(one.settings, two.settings, "{name}");
    }
}
