//! The domain corp.example, as it was read from a running Samba domain controller.

use std::sync::Arc;

use postern_engine::policy::{
    directory::AccountKind,
    registry_pol::{
        File, Limits,
        value::{self, Value},
    },
    rsop::{Loopback, Pass, Target, World, resultant, settings::winner},
    wql::facts::Facts,
};
use serde_json::json;

use crate::common::{data, device, json, order, world};

pub(crate) fn corp() -> World {
    let files = [
        "ad/00-domain.ldif",
        "ad/10-ou-mdm.ldif",
        "ad/20-gpos.ldif",
        "ad/30-wmi.ldif",
        "ad/40-tokengroups.ldif",
    ];
    world(&files, "ad/sysvol/corp.example/Policies")
}

fn pass(world: &World, name: &str, version: Option<&str>) -> Pass {
    let facts = version.map_or_else(Facts::default, |version| {
        Facts::from_json(&json!({"Win32_OperatingSystem.Version": version})).unwrap()
    });
    resultant(world, &Target { facts: Arc::new(facts), ..device(world, name) }).unwrap().computer.unwrap()
}

fn value(pass: &Pass, name: &str) -> Option<Value> {
    let data = pass.settings.value("Software\\Policies\\Example\\Mdm", name)?;
    value::typed(data.kind, &data.octets).ok()
}

#[test]
fn every_registry_pol_reads_as_samba_reads_it() {
    let oracle = json("ad/60-registry-pol-oracle.json");
    for (path, expected) in oracle.as_object().unwrap() {
        let octets = std::fs::read(data(&format!("ad/{path}"))).unwrap();
        let file = File::read(&octets, &Limits::default()).unwrap();
        let got: Vec<_> = file
            .records
            .iter()
            .map(|record| {
                let shown = match record.typed().unwrap() {
                    Value::Number(number) => json!(number),
                    Value::Text(text) => json!(text),
                    _ => json!(record.data.iter().map(|octet| format!("{octet:02x}")).collect::<String>()),
                };
                json!([record.key, record.value, record.kind, shown])
            })
            .collect();
        assert_eq!(json!(got), *expected, "{path}");
    }
}

#[test]
fn who_may_apply_a_gpo_is_what_the_groups_say() {
    let world = corp();
    let reasons = |name: &str| {
        let pass = pass(&world, name, None);
        let reason =
            |gpo: &str| pass.links.iter().find(|link| link.gpo_name() == gpo).map(|link| link.reason.word());
        (reason("Field Phones Only"), reason("Denied To Phone2"))
    };

    assert_eq!(reasons("PHONE1"), (Some("applied"), Some("applied")));
    assert_eq!(reasons("PHONE2"), (Some("applied"), Some("denied-explicit")));
    assert_eq!(reasons("PHONE3"), (Some("denied-not-granted"), Some("applied")));
    assert_eq!(value(&pass(&world, "PHONE1", None), "CameraAllowed"), Some(Value::Number(0)));
    assert_eq!(value(&pass(&world, "PHONE3", None), "CameraAllowed"), Some(Value::Number(1)));
}

#[test]
fn a_wmi_filter_is_decided_by_what_is_known_of_the_device() {
    let world = corp();
    for (version, word, set) in [
        (Some("10.0.22631"), "applied", Some(Value::Number(1))),
        (Some("6.1.7601"), "wmi-filter-false", None),
        (None, "wmi-filter-unevaluated", None),
    ] {
        let pass = pass(&world, "PHONE1", version);
        let link = pass.links.iter().find(|link| link.gpo_name() == "Wmi Filtered").unwrap();
        assert_eq!(link.reason.word(), word);
        assert_eq!(value(&pass, "OnlyOnWmi"), set, "{version:?}");
    }
}

#[test]
fn the_computers_policy_asks_for_loopback() {
    let world = corp();
    let alice = world.directory.account(AccountKind::User, "alice@corp.example").unwrap().dn.clone();
    let target = Target { user: Some(alice), ..device(&world, "PHONE1") };

    let rsop = resultant(&world, &target).unwrap();

    assert_eq!(rsop.loopback, Loopback::Merge);
    let user = rsop.user.unwrap();
    assert_eq!(value(&user, "LoopUser"), Some(Value::Number(1)));
    let off = user.links.iter().find(|link| link.gpo_name() == "Computer Half Off").unwrap();
    assert_eq!(off.reason.word(), "applied");
}

#[test]
fn a_blocked_container_keeps_its_own_links_and_the_enforced_ones() {
    let world = corp();
    let pass = pass(&world, "KIOSK1", None);

    assert_eq!(order(&pass), ["Kiosk Lockdown", "Domain Security"]);
    let winners: Vec<_> =
        pass.settings.iter().map(|(name, says)| (name.value.clone(), winner(says).unwrap().link)).collect();
    assert!(!winners.is_empty());
}
