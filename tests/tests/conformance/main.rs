//! The conformance cases against the real parts: core and gateway as a server, postern-device as a client.
#![forbid(unsafe_code)]

mod device;

use std::{collections::BTreeMap, time::Duration};

use postern_tests::site::{Plan, Site};
use posternctl::{
    args::Connection,
    client::Client,
    conformance::{
        client::{self, Listener},
        operator::Postern,
        report::{Line, Report},
        run::{self, Choice},
        server::Target,
        verdict::Verdict,
    },
};

/// A server under test: the site's core and gateway, with the admin API as operator.
fn target(site: &Site, run: u64) -> Target {
    let ctl = site.ctl();
    let connection =
        Connection { url: Some(ctl.url), token_file: Some(ctl.token_file), ca_file: Some(ctl.ca_file) };
    let client = Client::new(&connection).expect("the site's admin API");
    let operator = Postern::new(client).expect("a runtime");
    Target { account: None, operator: Some(Box::new(operator)), run, enrolled: 0 }
}

/// `CONFORMANCE_ONLY` picks cases while one is being written.
fn choice(mutate: bool) -> Choice {
    let only = std::env::var("CONFORMANCE_ONLY").unwrap_or_default();
    let only = only.split(',').filter(|start| !start.is_empty()).map(str::to_owned).collect();
    Choice { only, mutate, explanations: BTreeMap::new() }
}

fn server(site: &Site, mutate: bool) -> Report {
    let mut target = target(site, u64::from(mutate) + 1);
    let told = &mut |line: &Line| println!("{} {} {}", line.id, line.verdict, line.reason());
    run::server(&choice(mutate), "postern".to_owned(), &mut target, told)
}

fn client(mutate: bool) -> Report {
    let address = "127.0.0.1:0".parse().expect("an address");
    let mut listener = Listener::open(address, "localhost", None).expect("a free port");
    listener.patience = Duration::from_secs(20);
    let driver = Box::new(device::Device::new());
    let mut target = client::Target { listener, driver, root: "./Settings".to_owned(), waiting: None };
    let told = &mut |line: &Line| println!("{} {} {}", line.id, line.verdict, line.reason());
    run::client(&choice(mutate), "postern-device".to_owned(), &mut target, told)
}

fn none_fails(report: &Report, logs: &str) {
    let failed: Vec<_> = report.cases.iter().filter(|line| line.is_unexplained()).collect();
    let failed: Vec<_> = failed.iter().map(|line| format!("{}: {}", line.id, line.reason())).collect();
    assert!(failed.is_empty(), "{failed:#?}\n{logs}");
}

fn none_passes(report: &Report) {
    let alive: Vec<_> = report.cases.iter().filter(|line| line.verdict == Verdict::Pass).collect();
    let alive: Vec<_> = alive.iter().map(|line| line.id).collect();
    assert!(alive.is_empty(), "these pass with their mutants: {alive:?}");
}

#[test]
fn every_client_case_passes_against_our_device() {
    none_fails(&client(false), "");
}

#[test]
fn every_client_case_fails_with_its_mutant() {
    none_passes(&client(true));
}

#[test]
fn every_server_case_passes_against_core_and_gateway() {
    let site = Site::start(&Plan::default());

    let report = server(&site, false);

    none_fails(&report, &site.logs());
}

#[test]
fn every_server_case_fails_with_its_mutant() {
    let site = Site::start(&Plan::default());

    let report = server(&site, true);

    none_passes(&report);
}
