//! What deploy/ holds is tried: units against systemd's own judgement, alert rules against promtool and a real core's
//! figures. The firewall rules are tried in `perimeter.rs`.
#![forbid(unsafe_code)]

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use postern_tests::{
    raw,
    site::{Plan, Site},
};

/// systemd's exposure level of a unit, in tenths, that we stay at or below (10 is sealed, 100 is open).
const EXPOSURE: &str = "20";

#[test]
fn systemd_knows_every_line_of_the_units_and_finds_them_sealed() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for unit in ["postern-core.service", "postern-gateway.service"] {
        let text = read(&deploy(&format!("systemd/{unit}")));
        // The binaries are not installed here; whether they exist is not what is asked.
        let here = folder.path().join(unit);
        let tried = text.lines().map(|line| match line.split_once("=/usr/local/bin/postern-") {
            Some((key, _)) => format!("{key}=/bin/true\n"),
            None => format!("{line}\n"),
        });
        std::fs::write(&here, tried.collect::<String>()).expect("a unit");
        let verified = run("systemd-analyze", &["verify", &here.to_string_lossy()], folder.path());
        assert!(verified.status.success() && verified.stderr.is_empty(), "{unit}: {}", said(&verified));
        let threshold = format!("--threshold={EXPOSURE}");
        let judged = ["security", "--no-pager", "--offline=true", &threshold, &here.to_string_lossy()];
        let judged = run("systemd-analyze", &judged, folder.path());
        assert!(judged.status.success(), "{unit}: {}", said(&judged));
    }
}

#[test]
fn every_alert_fires_when_it_should_and_is_quiet_before() {
    let folder = deploy("prometheus");
    let checked = run("promtool", &["check", "rules", "postern.rules.yml"], &folder);
    assert!(checked.status.success(), "{}", said(&checked));
    let tested = run("promtool", &["test", "rules", "postern.rules.test.yml"], &folder);
    assert!(tested.status.success(), "{}", said(&tested));
}

#[test]
fn every_alert_has_a_case_and_a_runbook_line() {
    let cases = read(&deploy("prometheus/postern.rules.test.yml"));
    let runbook = read(&deploy("../docs/RUNBOOK.md"));
    for alert in alerts() {
        assert!(cases.contains(&format!("alertname: {alert}\n")), "{alert} has no case");
        let heading = format!("\n## {alert}\n");
        let (_, after) = runbook.split_once(&heading).unwrap_or_else(|| panic!("{alert} has no heading"));
        assert!(after.lines().next().is_some_and(|line| line.len() > 40), "{alert} says nothing");
        let rules = read(&deploy("prometheus/postern.rules.yml"));
        assert!(rules.contains(&format!("runbook: docs/RUNBOOK.md#{}\n", alert.to_lowercase())), "{alert}");
    }
    let headings = runbook.lines().filter_map(|line| line.strip_prefix("## ")).map(str::to_owned);
    assert_eq!(headings.collect::<BTreeSet<_>>(), alerts(), "headings and alerts are the same");
}

#[test]
fn every_figure_that_an_alert_reads_is_one_that_a_running_core_shows() {
    let site = Site::start(&Plan::default());
    // A device, so that figures that begin with the first check-in are there.
    let device = site.device("urn:uuid:figures", "signed");
    assert_eq!(device.check_in(&[]).exit, 0);
    let shown = raw::plain_get(site.core_observe(), "/metrics").expect("the core shows its figures");
    let shown = String::from_utf8_lossy(&shown.body).into_owned();
    let rules = read(&deploy("prometheus/postern.rules.yml"));
    let names: BTreeSet<&str> = rules
        .split(|character: char| !character.is_ascii_alphanumeric() && character != '_')
        .filter(|word| word.starts_with("postern_"))
        .collect();
    assert!(names.len() > 8, "{names:?}");
    for name in names {
        assert!(
            shown.lines().any(|line| line.starts_with(&format!("# TYPE {name} "))),
            "{name} is not shown"
        );
    }
}

fn alerts() -> BTreeSet<String> {
    let rules = read(&deploy("prometheus/postern.rules.yml"));
    rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).map(str::to_owned).collect()
}

fn deploy(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy").join(path)
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn run(program: &str, args: &[&str], folder: &Path) -> Output {
    let output = Command::new(program).args(args).current_dir(folder).output();
    output.unwrap_or_else(|error| panic!("{program} does not start ({error}); tests/run installs it"))
}

fn said(output: &Output) -> String {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    format!("{out}{err}")
}
