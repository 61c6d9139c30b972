//! `posternctl policy test FILE…`: what devices end with, tried without a server (docs/POLICY.md, "Policy tests").
//!
//! Promise: the same order and the same tables as on a server, on files alone. A test that fails says who won instead and
//! why the others did not.

mod case;

use std::path::{Path, PathBuf};

use postern_engine::policy::{
    documents::{
        Held, Limits,
        expect::{self, Source, Tests},
        read,
    },
    mapping::table::Table,
    rsop::World,
};
use serde::Serialize;

use self::case::{Case, Outcome};
use super::{import_check::own_tables, rsop};
use crate::{
    commands::policy::files::gather,
    failure::{Exit, Failure},
    files,
    output::Output,
    text,
};

/// Which tests, over what.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Files of tests (`postern: policy-test/1`).
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// More documents: a file or a folder. May be given several times.
    #[arg(long = "document", value_name = "FILE|DIR")]
    pub documents: Vec<PathBuf>,
    /// Also show the tests that pass.
    #[arg(long)]
    pub all: bool,
}

/// What came of all tests.
#[derive(Debug, Serialize)]
struct Report {
    passed: usize,
    failed: usize,
    tests: Vec<Outcome>,
}

impl Args {
    /// Runs them. Exit code 1 when one fails, 2 when a file is not what it should be.
    pub fn run(self, output: &mut Output<'_>) -> Result<Exit, Failure> {
        let mut report = Report { passed: 0, failed: 0, tests: Vec::new() };
        for path in &self.files {
            let octets = files::octets_up_to(path, Limits::default().octets as u64)?;
            let tests = expect::read(&octets, &Limits::default())
                .map_err(|error| Failure::invalid("invalid-test", format!("{}: {error}", path.display())))?;
            let base = path.parent().unwrap_or_else(|| Path::new("."));
            let documents = self.documents(&tests, base)?;
            let world = tests.directory.as_ref().map(|source| world(source, base, output)).transpose()?;
            let tables = tables(&tests, base)?;
            for test in &tests.tests {
                let site = tests.directory.as_ref().and_then(|source| source.site.as_deref());
                let case = Case { documents: &documents, tables: &tables, world: world.as_ref(), site };
                let outcome = case.run(test, path)?;
                if outcome.failures.is_empty() {
                    report.passed += 1;
                } else {
                    report.failed += 1;
                }
                report.tests.push(outcome);
            }
        }
        output.answer(&report, |report| told(report, self.all))?;
        Ok(if report.failed == 0 { Exit::Done } else { Exit::Refused })
    }

    /// The documents that the file names, from where it lies, and those of the command line.
    fn documents(&self, tests: &Tests, base: &Path) -> Result<Vec<Held>, Failure> {
        let mut paths: Vec<PathBuf> = tests.documents.iter().map(|path| base.join(path)).collect();
        paths.extend(self.documents.iter().cloned());
        if paths.is_empty() {
            return Ok(Vec::new());
        }
        let mut all: Vec<Held> = Vec::new();
        for file in gather(&paths)? {
            let documents = read::documents(file.text.as_bytes(), &Limits::default());
            let documents = documents
                .map_err(|error| Failure::invalid("invalid-policy", format!("{}: {error}", file.name)))?;
            for document in documents {
                if all.iter().any(|held| held.document.name == document.name) {
                    let sentence = format!("{}: there are two documents {:?}", file.name, document.name);
                    return Err(Failure::invalid("invalid-policy", sentence));
                }
                all.push(Held::draft(document));
            }
        }
        Ok(all)
    }
}

/// An operator's tables, from where the file lies.
fn tables(tests: &Tests, base: &Path) -> Result<Vec<Table>, Failure> {
    let paths: Vec<PathBuf> = tests.tables.iter().map(|path| base.join(path)).collect();
    own_tables(&paths)
}

fn world(source: &Source, base: &Path, output: &mut Output<'_>) -> Result<World, Failure> {
    let ldif: Vec<PathBuf> = source.ldif.iter().map(|path| base.join(path)).collect();
    let directory = rsop::directory(&ldif, output)?;
    let wmi = if source.wmi_unknown_allows { rsop::Choice::Allow } else { rsop::Choice::Deny };
    rsop::world(directory, &base.join(&source.sysvol), wmi)
}

fn told(report: &Report, all: bool) -> String {
    let mut lines = Vec::new();
    for test in &report.tests {
        let line = test.line.map(|line| format!(":{line}")).unwrap_or_default();
        let verdict = if test.failures.is_empty() { "ok    " } else { "FAILED" };
        if all || !test.failures.is_empty() {
            lines.push(format!("{verdict} {} ({}{line})", test.name, test.file));
        }
        for failure in &test.failures {
            lines.push(format!("  {}: {} is wanted, it is {}", failure.subject, failure.wanted, failure.got));
            lines.extend(failure.because.iter().map(|line| format!("    {line}")));
        }
    }
    lines.push(format!("{} passed, {} failed", report.passed, report.failed));
    let lines: Vec<_> = lines.iter().map(|line| text::terminal(line).into_owned()).collect();
    lines.join("\n")
}
