//! What `policy import-check` prints.

use std::collections::{BTreeMap, BTreeSet};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use postern_engine::policy::{
    gpo::Half,
    mapping::{Dialect, Setting, Unmapped, plan::Node, table::Table},
    registry_pol::{File, directive::Directive},
    rsop::settings::Data,
};
use serde::Serialize;

use super::gather::Gpo as Gathered;
use crate::{output, policy::registry_pol::shown};

/// Characters of a value in a table for people.
const COLUMN: usize = 60;

/// What maps and what does not.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    totals: Totals,
    gpos: Vec<Gpo>,
}

#[derive(Debug, Default, Serialize)]
struct Totals {
    gpos: usize,
    settings: usize,
    /// Settings that no table maps.
    unmapped: usize,
    /// Settings that a table maps, by table.
    mapped: BTreeMap<String, usize>,
    /// Files beside Registry.pol that no device gets.
    others: usize,
    /// Registry.pol files that were refused.
    refused: usize,
}

#[derive(Debug, Serialize)]
struct Gpo {
    name: String,
    settings: Vec<Item>,
    others: Vec<Other>,
    refused: Vec<Refused>,
}

#[derive(Debug, Serialize)]
struct Item {
    scope: &'static str,
    key: String,
    value: String,
    /// `set`, `delete`, or the directive that no node can stand for.
    operation: &'static str,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data_b64: Option<String>,
    mapped: bool,
    /// Where it goes, by table.
    nodes: BTreeMap<String, Vec<Node>>,
    /// Why it goes nowhere, by table.
    reasons: BTreeMap<String, Reason>,
    #[serde(skip)]
    shown: String,
}

#[derive(Debug, Serialize)]
struct Reason {
    reason: &'static str,
    detail: String,
}

#[derive(Debug, Serialize)]
struct Other {
    scope: &'static str,
    file: String,
    reason: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    items: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Refused {
    scope: &'static str,
    reason: String,
}

/// A record as a plan takes it, or a directive that none takes.
struct Step {
    key: String,
    value: String,
    operation: &'static str,
    data: Option<Data>,
    plans: bool,
}

impl Report {
    /// An operator's own tables take a setting in their order, before the built-in one of their dialect.
    pub(super) fn of(gpos: &[Gathered], own: &[Table], built_in: &[Table]) -> Self {
        let mut report = Self { totals: Totals::default(), gpos: Vec::new() };
        let tables = own.iter().chain(built_in);
        report.totals.mapped = tables.map(|table| (table.name.clone(), 0)).collect();
        for gathered in gpos {
            report.totals.gpos += 1;
            let mut gpo = Gpo {
                name: gathered.name.clone(),
                settings: Vec::new(),
                others: Vec::new(),
                refused: Vec::new(),
            };
            for found in &gathered.halves {
                match &found.file {
                    Ok(file) => gpo.settings.extend(items(found.half, file, own, built_in)),
                    Err(reason) => {
                        gpo.refused.push(Refused { scope: found.half.word(), reason: reason.clone() });
                    }
                }
            }
            gpo.others.extend(gathered.others.iter().map(|other| Other {
                scope: other.half.word(),
                file: other.path.clone(),
                reason: other.reason,
                items: other.items.clone(),
            }));
            report.totals.count(&gpo);
            report.gpos.push(gpo);
        }
        report
    }

    /// For people.
    pub(super) fn table(&self, all: bool) -> String {
        let totals = &self.totals;
        let mapped = totals.mapped.iter().map(|(table, count)| format!("{table} {count}"));
        let mut text = output::fields([
            ("GPOs", totals.gpos.to_string()),
            ("settings", totals.settings.to_string()),
            ("mapped", mapped.collect::<Vec<_>>().join(", ")),
            ("mapped by no table", totals.unmapped.to_string()),
            ("other files", totals.others.to_string()),
            ("refused", totals.refused.to_string()),
        ]);
        for gpo in &self.gpos {
            let settings = gpo.settings.iter().filter(|item| all || !item.mapped).map(Item::row);
            let others = gpo.others.iter().map(|other| {
                let items = other.items.join(", ");
                [other.scope.to_owned(), other.file.clone(), items, other.reason.to_owned()]
            });
            let refused = gpo.refused.iter().map(|refused| {
                [
                    refused.scope.to_owned(),
                    "Registry.pol".to_owned(),
                    String::new(),
                    format!("refused {}", refused.reason),
                ]
            });
            let rows: Vec<_> = settings.chain(others).chain(refused).collect();
            if !rows.is_empty() {
                let name = crate::text::terminal(&gpo.name).into_owned();
                let rows = output::table(["PART", "SETTING", "VALUE", "WHERE OR WHY NOT"], rows);
                text.push_str(&format!("\n\n{name}\n{rows}"));
            }
        }
        text
    }
}

impl Totals {
    fn count(&mut self, gpo: &Gpo) {
        self.settings += gpo.settings.len();
        self.others += gpo.others.len();
        self.refused += gpo.refused.len();
        for item in &gpo.settings {
            self.unmapped += usize::from(!item.mapped);
            for table in item.nodes.keys() {
                *self.mapped.entry(table.clone()).or_default() += 1;
            }
        }
    }
}

impl Item {
    fn row(&self) -> [String; 4] {
        let value = if self.value.is_empty() { "(default)" } else { &self.value };
        let name = format!("{}\\{value}", self.key);
        let nodes = self
            .nodes
            .iter()
            .flat_map(|(table, nodes)| nodes.iter().map(move |node| format!("{table}: {}", node.uri)));
        let whys: BTreeSet<&str> = self.reasons.values().map(|why| why.detail.as_str()).collect();
        let says: Vec<String> = match (self.mapped, whys.len()) {
            (true, _) => nodes.collect(),
            // One reason for all tables is said once.
            (false, 1) => whys.into_iter().map(str::to_owned).collect(),
            _ => self.reasons.iter().map(|(table, why)| format!("{table}: {}", why.detail)).collect(),
        };
        [self.scope.to_owned(), name, short(&self.shown), says.join("; ")]
    }
}

/// A value that is too long for a column, cut.
fn short(value: &str) -> String {
    let mut cut: String = value.chars().take(COLUMN).collect();
    if cut.len() < value.len() {
        cut.push('…');
    }
    cut
}

fn items(half: Half, file: &File, own: &[Table], built_in: &[Table]) -> Vec<Item> {
    let steps: Vec<Step> = file.records.iter().flat_map(steps).collect();
    let planned: Vec<usize> = (0..steps.len()).filter(|place| steps[*place].plans).collect();
    let settings: Vec<Setting<'_>> = planned
        .iter()
        .map(|place| &steps[*place])
        .map(|step| Setting { half, key: &step.key, value: &step.value, data: step.data.as_ref() })
        .collect();
    let mut items: Vec<Item> = steps.iter().map(|step| item(half, step)).collect();
    // What a table of the operator's took, by dialect and place: no table behind it has a say.
    let mut taken: BTreeMap<(Dialect, usize), &str> = BTreeMap::new();
    for (place_of_table, table) in own.iter().chain(built_in).enumerate() {
        let plan = table.plan(&settings, None);
        for (place, fate) in planned.iter().zip(&plan.fates) {
            let item = &mut items[*place];
            match (fate, taken.get(&(table.dialect, *place))) {
                (Ok(_), Some(by)) => {
                    let detail = format!("the table {by} takes it");
                    item.reasons.insert(table.name.clone(), Reason { reason: "taken", detail });
                }
                (Ok(nodes), None) => {
                    if place_of_table < own.len() {
                        taken.insert((table.dialect, *place), &table.name);
                    }
                    item.mapped = true;
                    let nodes = nodes.iter().map(|node| plan.nodes[*node].clone()).collect();
                    item.nodes.insert(table.name.clone(), nodes);
                }
                (Err(why), _) => {
                    item.reasons.insert(table.name.clone(), reason(why));
                }
            }
        }
    }
    items
}

fn reason(why: &Unmapped) -> Reason {
    Reason { reason: why.word(), detail: why.to_string() }
}

fn item(half: Half, step: &Step) -> Item {
    let mut item = Item {
        scope: half.word(),
        key: step.key.clone(),
        value: step.value.clone(),
        operation: step.operation,
        kind: step.data.as_ref().map(|data| data.kind),
        data_b64: step.data.as_ref().map(|data| BASE64_STANDARD.encode(&data.octets)),
        mapped: false,
        nodes: BTreeMap::new(),
        reasons: BTreeMap::new(),
        shown: step.data.as_ref().map_or_else(|| step.operation.to_owned(), |d| shown(d.kind, &d.octets)),
    };
    if !step.plans {
        let detail = format!("no node stands for {}", step.operation);
        item.reasons.insert("all".to_owned(), Reason { reason: "directive", detail });
    }
    item
}

/// What a record asks for. `**delvals.` belongs to the list behind it and is no setting of its own.
fn steps(record: &postern_engine::policy::registry_pol::Record) -> Vec<Step> {
    let step = |value: &str, operation, data, plans| Step {
        key: record.key.clone(),
        value: value.to_owned(),
        operation,
        data,
        plans,
    };
    let data = || Some(Data { kind: record.kind, octets: record.data.clone() });
    match record.directive() {
        Directive::Set { name } => vec![step(&name, "set", data(), true)],
        Directive::Soft { name } => vec![step(&name, "set", data(), true)],
        Directive::DeleteValue { name } => vec![step(&name, "delete", None, true)],
        Directive::DeleteValues { names } => {
            names.iter().map(|name| step(name, "delete", None, true)).collect()
        }
        Directive::DeleteAllValues | Directive::CreateKey => Vec::new(),
        Directive::DeleteKeys { .. } => vec![step(&record.value, "delete-keys", None, false)],
        Directive::SecureKey { .. } => vec![step(&record.value, "secure-key", None, false)],
        Directive::Unknown => vec![step(&record.value, "unknown-directive", None, false)],
    }
}
