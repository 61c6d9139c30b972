//! `posternctl conformance …` where no network is needed: verdicts, exit codes, JSON.
#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "helpers of tests: a panic is the failure")]

use std::ffi::OsString;

use posternctl::failure::Exit;
use serde_json::Value;

fn posternctl(args: &[&str]) -> (Exit, String, String) {
    let args = std::iter::once("posternctl").chain(args.iter().copied()).map(OsString::from);
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let exit = posternctl::run(args, &mut out, &mut err);
    (exit, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
}

#[test]
fn the_codec_cases_pass_and_the_report_has_every_column() {
    let (exit, out, err) = posternctl(&["--output", "json", "conformance", "codec"]);

    assert_eq!(exit, Exit::Done, "{err}");
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((report["failed"].as_u64(), report["side"].as_str()), (Some(0), Some("codec")));
    let case = &report["cases"][0];
    for (column, value) in [("id", "COD-01"), ("section", "REP 6"), ("obligation", "M"), ("verdict", "pass")]
    {
        assert_eq!(case[column].as_str(), Some(value), "{column}");
    }
    assert!(case["rule"].as_str().is_some_and(|rule| rule.len() > 20));
}

#[test]
fn an_unexplained_failure_is_exit_code_1_and_an_explained_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let explained = folder.path().join("explained");
    std::fs::write(&explained, "# known\nCOD-01: the mutant is in\n").unwrap();
    let mutated = ["conformance", "codec", "--only", "COD-01", "--mutate"];

    let (exit, out, _) = posternctl(&mutated);
    assert_eq!(exit, Exit::Refused, "{out}");
    let (exit, out, _) = posternctl(&[&mutated[..], &["--explain", explained.to_str().unwrap()]].concat());
    assert_eq!(exit, Exit::Done, "{out}");
    assert!(out.contains("explained: the mutant is in"), "{out}");
}

#[test]
fn the_list_names_every_case_and_runs_none() {
    let (exit, out, _) = posternctl(&["--output", "json", "conformance", "list"]);
    let rows: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((exit, rows.as_array().map(Vec::len)), (Exit::Done, Some(182)));
}

#[test]
fn a_server_without_account_operator_or_admin_api_is_a_usage_error() {
    let (exit, _, err) = posternctl(&["conformance", "server", "https://127.0.0.1:9/dm"]);
    assert_eq!(exit, Exit::Usage, "{err}");
}
