//! A resultant set and the documents of groups, put together.
//!
//! **Order**, the last wins: what GPOs say by links that are not enforced; documents, outer group to inner, in each the highest
//! order number first; enforced documents the other way round, inner group to outer; what GPOs say by enforced links. So
//! documents count as if they were linked at the innermost containers, and no document beats an enforced link of the directory.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use postern_wire::{terms::Verb, uri::TreeUri};

use super::{Desired, DesiredSetting, Homeless, NODES, Removal, Source, layer::Layer};
use crate::{
    destructive,
    policy::{
        gpo::Half,
        mapping::{Setting, plan::Plan, table::Table},
        rsop::{
            Pass, Rsop,
            settings::{Name, Say, losers, winner},
        },
    },
};

/// What the resultant set comes to on one kind of device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Planned {
    nodes: Vec<Said>,
    unmapped: Vec<Homeless>,
}

/// What somebody says of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Said {
    uri: String,
    format: String,
    data: Option<String>,
    removal: Removal,
    source: Source,
    /// Those that lost against it inside the directory.
    losers: Vec<Source>,
    enforced: bool,
}

/// The resultant set put into nodes by tables: the first table that has a row for a setting takes it, so an operator's stand first.
#[must_use]
pub fn planned(rsop: &Rsop, tables: &[&Table], version: Option<&str>) -> Planned {
    let passes = rsop.computer.iter().chain(&rsop.user);
    let all: Vec<(&Pass, &Name, &[Say])> = passes
        .flat_map(|pass| pass.settings.iter().map(move |(name, says)| (pass, name, says)))
        .filter(|(_, _, says)| winner(says).is_some())
        .collect();
    let mut out = Planned::default();
    let mut taken: BTreeSet<String> = BTreeSet::new();
    let mut left: Vec<usize> = (0..all.len()).collect();
    for (place, table) in tables.iter().enumerate() {
        let settings: Vec<Setting<'_>> = left.iter().map(|at| setting_of(&all[*at])).collect();
        let Plan { nodes, fates } = table.plan(&settings, version);
        for node in nodes {
            if taken.contains(&node.uri) {
                continue;
            }
            let mut all_says = node.settings.iter().filter_map(|at| left.get(*at)).map(|at| &all[*at]);
            let Some(first) = all_says.next() else { continue };
            let source = source_of(first, winner(first.2));
            let mut lost: Vec<Source> =
                losers(first.2).filter_map(|say| source_of(first, Some(say))).collect();
            let mut enforced = is_enforced(first);
            for one in all_says {
                // A node that is made of several settings is as strong as the strongest of them.
                enforced |= is_enforced(one);
                lost.extend(losers(one.2).filter_map(|say| source_of(one, Some(say))));
            }
            let Some(source) = source else { continue };
            taken.insert(node.uri.clone());
            out.nodes.push(Said {
                removal: node.removal.unwrap_or(Removal::of(table.dialect)),
                uri: node.uri,
                format: node.format,
                data: node.data,
                losers: lost,
                source,
                enforced,
            });
        }
        let last = place + 1 == tables.len();
        let homeless: Vec<usize> = fates
            .iter()
            .zip(&left)
            .filter_map(|(fate, at)| {
                let why = fate.as_ref().err()?;
                if last && let Some(source) = source_of(&all[*at], winner(all[*at].2)) {
                    out.unmapped.push(Homeless {
                        setting: name_of(&all[*at]),
                        reason: why.word().to_owned(),
                        detail: why.to_string(),
                        source,
                    });
                }
                Some(*at)
            })
            .collect();
        left = homeless;
    }
    out
}

fn setting_of<'s>((pass, name, says): &(&'s Pass, &'s Name, &'s [Say])) -> Setting<'s> {
    let data = winner(says).and_then(|say| say.data.as_deref());
    Setting { half: pass.half, key: &name.key, value: &name.value, data }
}

fn name_of((pass, name, _): &(&Pass, &Name, &[Say])) -> String {
    let half: Half = pass.half;
    format!("{}:{}\\{}", half.word(), name.key, name.value)
}

fn is_enforced((pass, _, says): &(&Pass, &Name, &[Say])) -> bool {
    winner(says).and_then(|say| pass.links.get(say.link)).is_some_and(|link| link.enforced)
}

fn source_of(one: &(&Pass, &Name, &[Say]), say: Option<&Say>) -> Option<Source> {
    let link = one.0.links.get(say?.link)?;
    Some(Source::Gpo {
        dn: link.gpo_dn.clone(),
        name: link.gpo_name(),
        som: link.som.dn.as_str().to_owned(),
        enforced: link.enforced,
        setting: name_of(one),
    })
}

/// Where somebody stands: the greatest wins.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    class: u8,
    depth: i64,
    order: Reverse<i64>,
    names: Reverse<(String, String)>,
}

impl Rank {
    fn gpo(enforced: bool) -> Self {
        let names = Reverse((String::new(), String::new()));
        Self { class: if enforced { 3 } else { 0 }, depth: 0, order: Reverse(0), names }
    }

    fn document(layer: &Layer) -> Self {
        let depth = i64::try_from(layer.depth).unwrap_or(i64::MAX);
        Self {
            class: if layer.enforced { 2 } else { 1 },
            depth: if layer.enforced { -depth } else { depth },
            order: Reverse(layer.order),
            names: Reverse((layer.document.clone(), layer.group.clone())),
        }
    }

    /// Whether only a name tells the two apart.
    fn ties(&self, other: &Self) -> bool {
        (self.class, self.depth, self.order) == (other.class, other.depth, other.order)
    }
}

/// Puts together what GPOs and documents say.
#[must_use]
pub fn fold(policy: Planned, documents: &[Layer]) -> Desired {
    let mut says: BTreeMap<String, Vec<(Rank, Said)>> = BTreeMap::new();
    for said in policy.nodes {
        says.entry(said.uri.clone()).or_default().push((Rank::gpo(said.enforced), said));
    }
    for layer in documents {
        for setting in &layer.settings {
            let source = Source::Document {
                name: layer.document.clone(),
                version: layer.version,
                group: layer.group.clone(),
                enforced: layer.enforced,
            };
            let said = Said {
                uri: setting.uri.clone(),
                format: setting.format.clone(),
                data: setting.data.clone(),
                removal: setting.removal,
                source,
                losers: Vec::new(),
                enforced: layer.enforced,
            };
            says.entry(setting.uri.clone()).or_default().push((Rank::document(layer), said));
        }
    }
    // So many are for no device ([`Desired::bounded`]), so none of them is looked at more closely.
    let too_many = says.len() > NODES;
    let settings = says.into_iter().filter_map(|(uri, mut says)| {
        // Two sayings of one document about one node: its values decide, so that no order of input does.
        says.sort_by(|(one, first), (other, second)| {
            other.cmp(one).then_with(|| (&first.data, &first.format).cmp(&(&second.data, &second.format)))
        });
        let mut says = says.into_iter();
        let (rank, won) = says.next()?;
        let mut losers = won.losers;
        let mut tied = false;
        for (place, (other, said)) in says.enumerate() {
            tied |= place == 0 && rank.ties(&other) && (&said.data, &said.format) != (&won.data, &won.format);
            losers.push(said.source);
            losers.extend(said.losers);
        }
        let withheld = if too_many { None } else { withheld(&uri) };
        Some(DesiredSetting {
            uri,
            format: won.format,
            data: won.data,
            source: won.source,
            losers,
            removal: won.removal,
            tied,
            withheld,
        })
    });
    Desired::new(settings.collect(), policy.unmapped)
}

/// Why a node is not for policy.
fn withheld(uri: &str) -> Option<String> {
    let Ok(uri) = TreeUri::parse(uri) else {
        return Some("it is no address of a management tree".to_owned());
    };
    if uri.query().is_some() {
        return Some("it is a property or a listing, not a node".to_owned());
    }
    let found =
        [Verb::Replace, Verb::Delete].into_iter().find_map(|verb| destructive::protected(verb, &uri, false));
    found.map(|protected| format!("it is {protected} and goes through its own operation"))
}
