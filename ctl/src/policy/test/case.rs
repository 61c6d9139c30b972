//! One test: a device made, its policy computed, what it ends with compared.

use std::{path::Path, sync::Arc};

use postern_engine::policy::{
    desired::{
        Desired, DesiredSetting, Source,
        fold::{Planned, fold, planned},
    },
    directory::AccountKind,
    dn::Dn,
    documents::{
        Document, Held, Setting, Value,
        expect::{Expect, Outcome as Wanted, Test, Who},
        layer::layers,
        resolve,
    },
    mapping::{Dialect, table::Table},
    rsop::{Pass, Rsop, Target, World, resultant},
    what_if,
    wql::facts::Facts,
};
use postern_wire::terms;
use serde::Serialize;

use super::rsop;
use crate::failure::{Exit, Failure};

/// What a test is run over.
pub(super) struct Case<'c> {
    pub(super) documents: &'c [Held],
    pub(super) tables: &'c [Table],
    pub(super) world: Option<&'c World>,
    pub(super) site: Option<&'c str>,
}

/// What came of a test.
#[derive(Debug, Serialize)]
pub(super) struct Outcome {
    pub(super) file: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) line: Option<usize>,
    pub(super) name: String,
    pub(super) failures: Vec<Unmet>,
}

/// An expectation that was not met.
#[derive(Debug, Serialize)]
pub(super) struct Unmet {
    pub(super) subject: String,
    pub(super) wanted: String,
    pub(super) got: String,
    /// Who won, who lost, and who did not take part and why.
    pub(super) because: Vec<String>,
}

impl Case<'_> {
    pub(super) fn run(&self, test: &Test, path: &Path) -> Result<Outcome, Failure> {
        let refused = |sentence: String| {
            let line = test.line.map(|line| format!(":{line}")).unwrap_or_default();
            Failure::new(
                Exit::Invalid,
                "invalid-test",
                format!("{}{line}: {}: {sentence}", path.display(), test.name),
            )
        };
        let built_in = match test.device.kind.as_str() {
            "windows" => Table::windows(),
            kind => Table::classic(kind),
        };
        let own = self.tables.iter().filter(|table| table.dialect == built_in.dialect);
        let tables: Vec<&Table> = own.chain([&built_in]).collect();
        let version = test.device.version.as_deref();
        let rsop = self.rsop(test, &refused)?;
        let policy = rsop.as_ref().map_or_else(Planned::default, |rsop| planned(rsop, &tables, version));
        let dialect = match built_in.dialect {
            Dialect::Classic => terms::Dialect::Classic,
            Dialect::Windows => terms::Dialect::Windows,
        };
        let layered = resolve(self.documents, &test.device.groups, dialect);
        let desired = fold(policy, &layers(&layered, &tables, version));
        let mut failures = Vec::new();
        for expect in &test.expect {
            failures.extend(unmet(expect, &desired, rsop.as_ref(), &tables, version, &refused)?);
        }
        let (file, name) = (path.display().to_string(), test.name.clone());
        Ok(Outcome { file, line: test.line, name, failures })
    }

    fn rsop(&self, test: &Test, refused: &dyn Fn(String) -> Failure) -> Result<Option<Rsop>, Failure> {
        let Some(world) = self.world else { return Ok(None) };
        let named = |kind, name: &str| -> Result<Dn, Failure> {
            let found = world.directory.account(kind, name).map(|account| account.dn.clone());
            found.map_err(|error| refused(error.to_string()))
        };
        let facts =
            Facts::from_json(&test.device.facts).map_err(|error| refused(format!("facts: {error}")))?;
        let target = Target {
            computer: match &test.device.who {
                Who::Computer(name) => Some(named(AccountKind::Computer, name)?),
                Who::Nobody | Who::Supposed { .. } => None,
            },
            user: test.device.user.as_deref().map(|name| named(AccountKind::User, name)).transpose()?,
            site: rsop::site(&world.directory, self.site)?,
            facts: Arc::new(facts),
            loopback: None,
        };
        let supposed = match &test.device.who {
            Who::Supposed { container, groups } => {
                let dn = Dn::new(container).map_err(|error| refused(format!("in {container:?}: {error}")))?;
                Some(
                    what_if::place(world, &target, &dn, groups)
                        .map_err(|error| refused(error.to_string()))?,
                )
            }
            Who::Nobody | Who::Computer(_) => None,
        };
        let (world, target) = match &supposed {
            Some((world, target)) => (world, target),
            None => (world, &target),
        };
        if target.computer.is_none() && target.user.is_none() {
            return Ok(None);
        }
        resultant(world, target).map(Some).map_err(|error| refused(error.to_string()))
    }
}

/// The expectations of one line that are not met: a setting may be several nodes.
fn unmet(
    expect: &Expect,
    desired: &Desired,
    rsop: Option<&Rsop>,
    tables: &[&Table],
    version: Option<&str>,
    refused: &dyn Fn(String) -> Failure,
) -> Result<Vec<Unmet>, Failure> {
    let value = match &expect.outcome {
        Wanted::Value(value) => value.clone(),
        Wanted::Absent | Wanted::Unset => Value::Absent(true),
    };
    // What a document that says this would come to is what the device has to end with.
    let setting = Setting { subject: expect.subject.clone(), format: None, value, removal: None };
    let mut expected = Document::new("expected");
    expected.settings = vec![setting];
    let claims = expected.claims_by(tables, version);
    if claims.nodes.is_empty() {
        let why =
            claims.unmapped.first().map_or_else(|| "it names no node".to_owned(), |(_, why)| why.to_string());
        return Err(refused(format!("{}: {why}", expect.subject.text())));
    }
    let mut all = Vec::new();
    for claim in claims.nodes {
        let stands = desired.get(&claim.uri);
        let is_met = match (&expect.outcome, stands) {
            (Wanted::Unset, stands) => stands.is_none(),
            (Wanted::Absent, Some(setting)) => setting.data.is_none(),
            (Wanted::Value(_), Some(setting)) => setting.data == claim.data,
            (_, None) => false,
        };
        let won = stands.map(|setting| setting.source.name());
        if is_met && expect.from.as_deref().is_none_or(|from| won == Some(from)) {
            continue;
        }
        let wanted = match &expect.outcome {
            Wanted::Unset => "nothing".to_owned(),
            Wanted::Absent => "absent".to_owned(),
            Wanted::Value(_) => claim.data.clone().unwrap_or_default(),
        };
        let from = expect.from.as_ref().map(|from| format!(" from {from}")).unwrap_or_default();
        let subject = expect.subject.text();
        all.push(Unmet {
            subject: if subject == claim.uri {
                claim.uri.clone()
            } else {
                format!("{subject} ({})", claim.uri)
            },
            wanted: format!("{wanted}{from}"),
            got: stands.map_or_else(
                || "not set by anybody".to_owned(),
                |setting| format!("{} from {}", told(setting), setting.source.name()),
            ),
            because: because(stands, rsop),
        });
    }
    Ok(all)
}

fn told(setting: &DesiredSetting) -> String {
    setting.data.clone().unwrap_or_else(|| "absent".to_owned())
}

/// Who won, who lost, and which GPOs did not take part and why.
fn because(stands: Option<&DesiredSetting>, rsop: Option<&Rsop>) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(setting) = stands {
        lines.push(format!("won:  {}", source(&setting.source)));
        lines.extend(setting.losers.iter().map(|loser| format!("lost: {}", source(loser))));
    }
    let passes = rsop.into_iter().flat_map(|rsop| rsop.computer.iter().chain(&rsop.user));
    for pass in passes {
        lines.extend(denied(pass));
    }
    lines
}

fn denied(pass: &Pass) -> Vec<String> {
    let out = pass.links.iter().enumerate().filter(|(place, _)| !pass.order.contains(place));
    out.map(|(_, link)| {
        let detail = link.detail.to_string();
        let detail = if detail.is_empty() { String::new() } else { format!(": {detail}") };
        format!("out:  {} at {}, {}{detail}", link.gpo_name(), link.som.dn, link.reason.word())
    })
    .collect()
}

fn source(source: &Source) -> String {
    let enforced = |is| if is { ", enforced" } else { "" };
    match source {
        Source::Gpo { name, som, enforced: is, setting, .. } => {
            format!("GPO {name} at {som}{} ({setting})", enforced(*is))
        }
        Source::Document { name, group, enforced: is, .. } => {
            format!("document {name} by group {group}{}", enforced(*is))
        }
    }
}
