//! The conformance cases against the real parts: core and gateway as a server, postern-device as a client.
#![forbid(unsafe_code)]

mod device;
mod inside;

use std::{collections::BTreeMap, path::Path, time::Duration};

use postern_tests::site::{Plan, Site};
use posternctl::{
    args::Connection,
    client::Client,
    conformance::{
        client::{self, Listener},
        operator::Postern,
        report::{self, Line, Report},
        run::{self, Choice},
        server::Target,
        verdict::Verdict,
    },
};

/// A server under test: the site's core and gateway, with the admin API as operator.
fn target(site: &Site, run: u64) -> Target {
    let ctl = site.ctl();
    let connection = Connection {
        url: Some(ctl.url),
        token_file: Some(ctl.token_file),
        ca_file: Some(ctl.ca_file),
        break_glass: false,
    };
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

/// The cases that do not apply to our codec, our server and our client, and no others: a case that suddenly cannot be
/// tried is no pass.
const NOT_APPLICABLE: [&[&str]; 3] = [
    &[],
    // No RespURI is sent; the nodes of a wipe are not for commands; the operator rotates no secret.
    &["SRV-52", "SRV-60", "SRV-61", "SEC-20"],
    &[],
];

fn none_passes(report: &Report) {
    let alive: Vec<_> = report.cases.iter().filter(|line| line.verdict == Verdict::Pass).collect();
    let alive: Vec<_> = alive.iter().map(|line| line.id).collect();
    assert!(alive.is_empty(), "these pass with their mutants: {alive:?}");
}

#[test]
fn every_client_case_fails_with_its_mutant() {
    none_passes(&client(true));
}

#[test]
fn every_server_case_fails_with_its_mutant() {
    let site = Site::start(&Plan::default());

    none_passes(&server(&site, true));
}

/// Runs every case as it is; `POSTERN_WRITE_CONFORMANCE=1` writes the document anew.
#[test]
fn every_case_passes_against_our_parts_and_the_document_says_so() {
    let site = Site::start(&Plan::default());
    let reports = std::thread::scope(|scope| {
        let client = scope.spawn(|| client(false));
        let (codec, server) = (run::codec(&choice(false)), server(&site, false));
        [codec, server, client.join().expect("the client's run ends")]
    });

    for report in &reports {
        none_fails(report, &site.logs());
    }
    if !choice(false).only.is_empty() {
        return; // a part of the cases says nothing of the document
    }
    for (report, expected) in reports.iter().zip(NOT_APPLICABLE) {
        let not = report.cases.iter().filter(|line| matches!(line.verdict, Verdict::NotApplicable(_)));
        assert_eq!(not.map(|line| line.id).collect::<Vec<_>>(), expected, "{:?}", report.side);
    }
    let document = format!("{HEAD}\n{}", report::document(&reports));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/CONFORMANCE.md");
    let counts =
        reports.map(|report| format!("| {:?} | {} | {} |", report.side, report.peer, report.summary()));
    let document = document.replace("COUNTS", &counts.join("\n"));
    if std::env::var_os("POSTERN_WRITE_CONFORMANCE").is_some() {
        std::fs::write(&path, &document).expect("docs is writable");
        panic!("written; now run it without POSTERN_WRITE_CONFORMANCE");
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == document, "docs/CONFORMANCE.md is stale: run this test with POSTERN_WRITE_CONFORMANCE=1");
}

const HEAD: &str = "\
# Conformance

Generated by `POSTERN_WRITE_CONFORMANCE=1 cargo test -p postern-tests --test conformance document` from a run against this
tree's own parts: the codec, core and gateway as a server, postern-device as a client. The same test fails when this page and the
run differ. Each case runs in XML and WBXML where the encoding matters, and in 1.1 and 1.2 where the version matters.
Beside each case stands a mutant that breaks its one rule; two more tests want every case to fail with its mutant.

## Run it yourself
```
posternctl conformance codec
posternctl conformance server --account account.toml                      # any server: what needs an operator does not apply
posternctl conformance server --operator ./operator                      # a program of yours enrols devices and queues commands
posternctl conformance server --url URL --token-file FILE --ca-file FILE # Postern, by its admin API
posternctl conformance client --listen 127.0.0.1:8443 --client ./driver  # any client: your program makes it open sessions
```
`--output json` for scripts; exit code 1 when a case fails that `--explain FILE` does not excuse; `--mutate` puts the mutants in.
`posternctl conformance list` prints the table. The verbs of an operator are in `ctl/src/conformance/operator.rs`, those of a driver in
`ctl/src/conformance/client/driver.rs`.

## Result
| side | peer | |
|-|-|-|
COUNTS

Column \"by\": M every server owes it, M2 one that does bootstrap, M3 notification, M4 TNDS; O is a SHOULD or MAY; C a client owes it;
Q is a rule of quality that the standard does not have. Sections: PRO, REP, SEC, NOT, BOO, STD, TND are the parts of OMA DM 1.2.1.
An empty cell: the rule has no case on that side.
";
