//! From a GPO's edit to the device's confirmed setting: a domain controller, gateway, core and our device, all real. After each step of an
//! administrator the device holds exactly the expected values, confirmed them, and the server says which GPO gave each.

use std::{collections::BTreeMap, time::Duration};

use postern_tests::{
    device::Device,
    site::{Plan, Site},
    wait,
};
use serde_json::Value;

use crate::{
    domain::{ACCOUNT, Domain, FIELD, PASSWORD, PHONE},
    steps::STEPS,
};

/// How long a step may take to reach the device.
const LIMIT: Duration = Duration::from_secs(60);
const NODES: &str = "./Settings/Policy/";

#[test]
fn from_a_gpos_edit_to_the_confirmed_setting_on_the_device() {
    let mut domain = Domain::start();
    let mut site = Site::make(&Plan::default());
    let password = site.path("directory-password");
    std::fs::write(&password, PASSWORD).expect("the password");
    let config = format!(
        "\n[directory]\nservers = [\"ldaps://{}\"]\nca = {:?}\naccount = \"{ACCOUNT}@corp.example\"\npassword_file = {password:?}\nlook_s = 5\n\
         \n[sysvol]\npath = {:?}\n",
        domain.samba.ldaps(),
        domain.samba.ca(),
        domain.samba.sysvol(),
    );
    let file = site.path("state/core.toml");
    let before = std::fs::read_to_string(&file).expect("the core's configuration");
    std::fs::write(&file, before + &config).expect("the core's configuration");
    site.start_gateway();
    site.start_core();
    site.wait_ready();
    let device = site.device(PHONE, "md5");
    refresh(&site);
    let _ = site.ctl().ok(&["device", "bind", PHONE, "--computer", PHONE]);

    for step in STEPS {
        (step.act)(&mut domain);
        settles(&site, &device, step.name, step.expected);
    }

    what_cannot_be_decided_goes_by_the_setting(&site, &mut domain, &device);
    a_sites_gpos_go_to_the_devices_that_count_to_it(&site, &mut domain, &device);

    // A controller that stops takes nothing away.
    domain.samba.stop();
    let _ = site.ctl().run(&["directory", "refresh"]);
    let _ = device.check_in(&[]);
    let last = STEPS.last().expect("there are steps");
    assert_eq!(held(&device), nodes(last.expected), "{}", site.logs());

    // Nor does a core that starts while controller and share are gone, whose directory is from before the last changes.
    site.stop_core();
    let share = domain.samba.sysvol();
    std::fs::rename(&share, share.with_extension("away")).expect("the share goes away");
    site.start_core();
    site.wait_ready();
    let explained = site.ctl().ok(&["policy", "explain", PHONE]);
    assert!(explained["stale"].to_string().contains("not read since the start"), "{explained:#}");
    for (name, number, gpo) in last.expected {
        let rows = explained["settings"].as_array().cloned().unwrap_or_default();
        let says = |row: &Value| {
            row["uri"] == node(name) && row["value"] == shown(name, *number) && row["source"]["name"] == *gpo
        };
        assert!(rows.iter().any(says), "{name}: {explained:#}");
    }
    let _ = device.check_in(&[]);
    assert_eq!(held(&device), nodes(last.expected), "{}", site.logs());
    let status: Value = serde_json::from_str(&site.ctl().run(&["directory", "status"]).out).expect("JSON");
    assert_eq!(
        (&status["state"], &status["sysvol"]["state"]),
        (&"stale".into(), &"stale".into()),
        "{status:#}"
    );
}

/// A GPO whose WMI filter nobody can decide of the device.
fn what_cannot_be_decided_goes_by_the_setting(site: &Site, domain: &mut Domain, device: &Device) {
    let last = STEPS.last().expect("there are steps").expected;
    let more: Vec<_> = last.iter().copied().chain([("Password\\History", 5, "Filtered")]).collect();
    domain.create("Filtered");
    domain.set("Filtered", &[("Password\\History", 5)]);
    domain.filter("Filtered", "SELECT * FROM Win32_Battery");
    domain.link(FIELD, "Filtered", &[]);
    let says = |what: &str| {
        let explained = site.ctl().ok(&["policy", "explain", PHONE]);
        let links = explained["links"].as_array().cloned().unwrap_or_default();
        let link = links.iter().find(|link| link["gpo"] == "Filtered");
        let link = link.unwrap_or_else(|| panic!("{explained:#}"));
        assert_eq!(link["reason"], "wmi-filter-unevaluated");
        assert!(link["detail"].to_string().contains(what), "{link:#}");
    };
    settles(site, device, "an undecided filter keeps its GPO away", last);
    says("what cannot be decided does not apply");
    let _ = site.ctl().ok(&["settings", "set", "PolicyAllowUnknownWmi", "on"]);
    let there = || {
        let _ = device.check_in(&[]);
        (held(device) == nodes(&more)).then_some(())
    };
    wait::until("an undecided filter lets its GPO apply", LIMIT, there, || site.logs());
    says("what cannot be decided applies");
    let _ = site.ctl().ok(&["settings", "set", "PolicyAllowUnknownWmi", "off"]);
    settles(site, device, "and keeps it away again", last);
}

/// A GPO of a site, whose devices are said by the setting where the directory has several sites.
fn a_sites_gpos_go_to_the_devices_that_count_to_it(site: &Site, domain: &mut Domain, device: &Device) {
    let last = STEPS.last().expect("there are steps").expected;
    let more: Vec<_> = last.iter().copied().chain([("Password\\History", 7, "Berlin")]).collect();
    let because = || site.ctl().ok(&["policy", "explain", PHONE])["site_because"].to_string();
    assert!(because().contains("only one"), "{}", because());
    domain.samba.tool(&["sites", "create", "Berlin"]);
    domain.create("Berlin");
    domain.set("Berlin", &[("Password\\History", 7)]);
    domain.link("CN=Berlin,CN=Sites,CN=Configuration,DC=corp,DC=example", "Berlin", &[]);
    settles(site, device, "of two sites a device counts to none", last);
    let _ = site.ctl().ok(&["settings", "set", "--device", PHONE, "PolicySite", "berlin"]);
    settles(site, device, "the device counts to a site", &more);
    assert!(because().contains("set for this device"), "{}", because());

    // A site that is not there takes nothing away.
    let _ = site.ctl().ok(&["settings", "set", "--device", PHONE, "PolicySite", "Rome"]);
    let stale = || {
        let explained = site.ctl().ok(&["policy", "explain", PHONE]);
        explained["stale"].to_string().contains("no site").then_some(())
    };
    wait::until("a site that is not there is told", LIMIT, stale, || site.logs());
    let _ = device.check_in(&[]);
    assert_eq!(held(device), nodes(&more));
    let _ = site.ctl().ok(&["settings", "set", "--device", PHONE, "PolicySite", "--clear"]);
    settles(site, device, "the device counts to no site again", last);
}

fn refresh(site: &Site) {
    let _ = site.ctl().ok(&["directory", "refresh"]);
}

fn settles(site: &Site, device: &Device, step: &str, expected: &[(&str, u32, &str)]) {
    let values: BTreeMap<String, (String, String)> = expected
        .iter()
        .map(|(name, number, gpo)| (node(name), (shown(name, *number), (*gpo).to_owned())))
        .collect();
    refresh(site);
    let there = || {
        let _ = device.check_in(&[]);
        (confirmed(site) == Some(values.clone()) && held(device) == nodes(expected)).then_some(())
    };
    wait::until(step, LIMIT, there, || format!("{:?}\n{:#}\n{}", held(device), policy(site), site.logs()));
    is_explained(site, expected);
}

fn policy(site: &Site) -> Value {
    site.ctl().ok(&["device", "policy", PHONE])
}

/// Why each setting is as it is: the GPO that won stands among the links as applied.
fn is_explained(site: &Site, expected: &[(&str, u32, &str)]) {
    let explained = site.ctl().ok(&["policy", "explain", PHONE]);
    for (name, number, gpo) in expected {
        let rows = explained["settings"].as_array().cloned().unwrap_or_default();
        let row = rows.iter().find(|row| row["uri"] == node(name));
        let row = row.unwrap_or_else(|| panic!("{name} is not explained: {explained:#}"));
        assert_eq!(
            (&row["value"], &row["source"]["name"]),
            (&shown(name, *number).into(), &(*gpo).into()),
            "{row:#}"
        );
        let links = explained["links"].as_array().cloned().unwrap_or_default();
        let applied = links.iter().any(|link| link["gpo"] == *gpo && link["reason"] == "applied");
        assert!(applied, "{gpo}: {explained:#}");
    }
}

/// What the server holds to be confirmed, each with the GPO that gave it; none while something is on its way.
fn confirmed(site: &Site) -> Option<BTreeMap<String, (String, String)>> {
    let policy = policy(site);
    let settings = policy["settings"].as_array()?;
    let mut found = BTreeMap::new();
    for setting in settings {
        if setting["leaving"] == true || setting["state"] != "compliant" {
            return None;
        }
        if setting["deleted"] == true {
            continue;
        }
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let value = (text(&setting["value"])?, text(&setting["source"]["name"])?);
        found.insert(text(&setting["uri"])?, value);
    }
    Some(found)
}

/// What the device itself holds below the node of policies.
fn held(device: &Device) -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(device.state.join("state.json")).expect("the device's state");
    let state: Value = serde_json::from_str(&text).expect("JSON");
    let nodes = state["tree"].as_array().cloned().unwrap_or_default();
    let leaf = |node: &Value| {
        let uri = node["uri"].as_str()?.to_owned();
        let value = node["text"].as_str()?.to_owned();
        uri.starts_with(NODES).then_some((uri, value))
    };
    nodes.iter().filter_map(leaf).filter(|(_, value)| !value.is_empty()).collect()
}

fn nodes(expected: &[(&str, u32, &str)]) -> BTreeMap<String, String> {
    expected.iter().map(|(name, number, _)| (node(name), shown(name, *number))).collect()
}

/// `Area\Name` as the node that the classic table gives it.
fn node(name: &str) -> String {
    format!("{NODES}{}", name.replace('\\', "/"))
}

/// A number as its node has it.
fn shown(name: &str, number: u32) -> String {
    if name == "Lockdown\\Camera" { (number == 1).to_string() } else { number.to_string() }
}
