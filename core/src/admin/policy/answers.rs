//! Why a device is to be as it is, what would be if, what tells two devices apart.

use std::{collections::BTreeSet, sync::Arc};

use actix_web::web;
use postern_actors::{
    documents::{groups_of, held, holders_of},
    policy::{
        Explanation,
        compute::Gathered,
        inputs::{Who, WorldNow},
    },
};
use postern_api::{
    policy_answers::{
        PolicyComparison, PolicyExplanation, PolicyLayer, PolicyLink, PolicyNodeDifference, PolicyValue,
        SupposePolicy,
    },
    problem::Slug,
};
use postern_engine::policy::{
    desired::{Desired, layer::Layer},
    dn::Dn,
    documents::{Held, InGroup, Limits, layer::layers, read, resolve},
    mapping::table::Table,
    rsop::{self, Pass, Rsop},
    what_if::{Impossible, Supposition, suppose},
};
use postern_store::Reader;
use serde::Deserialize;

use super::super::{
    answer::{self, Answer},
    auth::Caller,
    device_policy,
    devices::resolve as device,
    problem::Refused,
};
use crate::inside::Inside;

/// Suppositions of one request.
const SUPPOSED: usize = 50;

/// The query of an explanation.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::admin) struct ExplainQuery {
    setting: Option<String>,
}

/// The query of a comparison.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::admin) struct CompareQuery {
    one: String,
    other: String,
}

/// A device with everything about its policy.
struct Subject {
    name: String,
    groups: Vec<InGroup>,
    explanation: Explanation,
}

pub(in crate::admin) async fn explain_device(
    inside: web::Data<Inside>,
    path: web::Path<String>,
    query: web::Query<ExplainQuery>,
    _: Caller,
) -> Answer {
    let subject = subject(&inside, path.into_inner()).await?;
    let Explanation { gathered, rsop, computed, status } = &subject.explanation;
    let (stale, desired) = match (computed, status) {
        (Ok(desired), _) => (None, desired.clone()),
        (Err(why), Some(status)) => (Some(why.clone()), status.desired.clone()),
        (Err(why), None) => (Some(why.clone()), Desired::default()),
    };
    let mut settings = device_policy::settings(&desired, status.as_ref());
    if let Some(wanted) = query.into_inner().setting {
        let named = named(&wanted, &gathered.tables);
        settings.retain(|setting| {
            let registry = setting.source.as_ref().and_then(|source| source.setting.as_deref());
            named.contains(&setting.uri)
                || setting.uri == wanted
                || registry.is_some_and(|registry| ends_with(registry, &wanted))
        });
        if settings.is_empty() {
            return Err(Refused::not_found("setting of policy", wanted));
        }
    }
    let Accounts { computer, user, site, site_because } = accounts(gathered);
    answer::ok(&PolicyExplanation {
        device: gathered.enrolment.id.0,
        name: subject.name,
        stale,
        computer,
        user,
        site,
        site_because,
        groups: subject.groups.into_iter().map(|group| group.name).collect(),
        links: links(rsop.as_ref()),
        documents: gathered.layers.iter().map(layer).collect(),
        tables: gathered.tables.iter().map(|table| table.name.clone()).collect(),
        settings,
        unmapped: device_policy::unmapped(&desired),
    })
}

pub(in crate::admin) async fn compare(
    inside: web::Data<Inside>,
    query: web::Query<CompareQuery>,
    _: Caller,
) -> Answer {
    let query = query.into_inner();
    let one = subject(&inside, query.one).await?;
    let other = subject(&inside, query.other).await?;
    let (left, right) = (computed(&one)?, computed(&other)?);
    let (differences, same) = differences(left, right);
    answer::ok(&PolicyComparison {
        differences,
        same,
        supposed: Vec::new(),
        links: links(other.explanation.rsop.as_ref()),
        documents: other.explanation.gathered.layers.iter().map(layer).collect(),
        one: one.name,
        other: other.name,
    })
}

pub(in crate::admin) async fn what_if(
    inside: web::Data<Inside>,
    path: web::Path<String>,
    body: web::Json<SupposePolicy>,
    _: Caller,
) -> Answer {
    let body = body.into_inner();
    let count =
        usize::from(body.move_to.is_some()) + body.add_groups.len() + body.links.len() + body.files.len();
    if count == 0 || count > SUPPOSED {
        return Err(Refused::invalid("", format!("suppose something: 1 to {SUPPOSED} things")));
    }
    let subject = subject(&inside, path.into_inner()).await?;
    let now = computed(&subject)?.clone();
    let world = inside.active()?.policies.inputs().world();
    let groups = subject.groups.clone();
    let (mut supposed, mut gathered) = (Vec::new(), subject.explanation.gathered);
    // Documents first: what they come to goes by the groups that are supposed, too.
    let asked = body.clone();
    let Documents { documents, groups, known } =
        inside.store.read(move |r| Ok(documents_with(r, &asked, groups.clone()))).await??;
    supposed.extend(known.iter().map(|name| format!("it is in the group {name} of documents")));
    supposed.extend(body.files.iter().map(|file| format!("the documents of {} are applied", file.name)));
    let tables: Vec<&Table> = gathered.tables.iter().map(|table| &**table).collect();
    let layered = resolve(&documents, &groups, gathered.enrolment.dialect);
    let layers = layers(&layered, &tables, gathered.version.as_deref());
    gathered.layers = layers;
    let rsop = directory(&world, &gathered, &body, &known, &mut supposed)?;
    let desired = gathered.desired(rsop.as_ref()).map_err(stale)?;
    let (differences, same) = differences(&now, &desired);
    answer::ok(&PolicyComparison {
        one: subject.name.clone(),
        other: format!("{}, supposed", subject.name),
        differences,
        same,
        supposed,
        links: links(rsop.as_ref()),
        documents: gathered.layers.iter().map(layer).collect(),
    })
}

async fn subject(inside: &Inside, name: String) -> Result<Subject, Refused> {
    let active = inside.active()?;
    let (id, name, groups) = inside
        .store
        .read(move |r| {
            let row = match device(r, &name) {
                Ok(row) => row,
                Err(refused) => return Ok(Err(refused)),
            };
            let groups = groups_of(r, row.id)?;
            Ok(Ok((row.id, row.name, groups)))
        })
        .await??;
    let explanation = active.policies.explain(id).await?;
    Ok(Subject { name, groups, explanation })
}

fn computed(subject: &Subject) -> Result<&Desired, Refused> {
    subject.explanation.computed.as_ref().map_err(|why| stale(why.clone()))
}

fn stale(why: String) -> Refused {
    Refused::new(Slug::WrongState, format!("policy cannot be computed now: {why}"))
}

/// What is supposed of documents.
struct Documents {
    /// The documents, with those that are supposed.
    documents: Vec<Held>,
    /// The device's groups, with those that are supposed.
    groups: Vec<InGroup>,
    /// Which of the supposed names are groups of documents.
    known: BTreeSet<String>,
}

fn documents_with(
    r: &mut Reader,
    body: &SupposePolicy,
    mut groups: Vec<InGroup>,
) -> Result<Documents, Refused> {
    let mut documents = held(r)?;
    for (place, file) in body.files.iter().enumerate() {
        let read = read::documents(file.text.as_bytes(), &Limits::default()).map_err(|error| {
            Refused::new(Slug::InvalidPolicy, "a supposed document cannot be read")
                .item(format!("/files/{place}"), format!("{}: {error}", file.name))
        })?;
        for document in read {
            documents.retain(|held| held.document.name != document.name);
            documents.push(Held::draft(document));
        }
    }
    let mut known = BTreeSet::new();
    for name in &body.add_groups {
        let Some(more) = holders_of(r, name)? else { continue };
        known.insert(name.clone());
        for group in more {
            if !groups.iter().any(|own| own.name == group.name) {
                groups.push(group);
            }
        }
    }
    Ok(Documents { documents, groups, known })
}

/// The directory's part as it would be; the present one where nothing of it is supposed.
fn directory(
    world: &WorldNow,
    gathered: &Gathered,
    body: &SupposePolicy,
    known: &BTreeSet<String>,
    supposed: &mut Vec<String>,
) -> Result<Option<Result<Arc<Rsop>, rsop::Error>>, Refused> {
    let dn = |at: &str, text: &str| {
        Dn::new(text).map_err(|error| Refused::invalid(at, format!("{text:?}: {error}")))
    };
    let mut suppositions = Vec::new();
    if let Some(container) = &body.move_to {
        suppositions
            .push((format!("it lies in {container}"), Supposition::MoveTo(dn("/move_to", container)?)));
    }
    for (place, link) in body.links.iter().enumerate() {
        let som = dn(&format!("/links/{place}/som"), &link.som)?;
        let enforced = if link.enforced { ", enforced" } else { "" };
        let told = format!("{} is linked to {}{enforced}", link.gpo, link.som);
        suppositions.push((told, Supposition::Link { gpo: link.gpo.clone(), som, enforced: link.enforced }));
    }
    for name in &body.add_groups {
        let told = format!("it is in the group {name} of the directory");
        suppositions.push((told, Supposition::AddGroup(name.clone())));
    }
    let (good, target) = match (world, gathered.target()) {
        (WorldNow::Good(world), Some(target)) => (world, target),
        _ if suppositions
            .iter()
            .all(|(_, one)| matches!(one, Supposition::AddGroup(name) if known.contains(name))) =>
        {
            return Ok(None);
        }
        _ => {
            return Err(Refused::new(
                Slug::WrongState,
                "the device has no object in a directory that was read",
            ));
        }
    };
    let (mut world, mut target) = ((**good).clone(), target);
    for (told, supposition) in suppositions {
        match suppose(&world, &target, &supposition) {
            Ok(then) => {
                (world, target) = then;
                supposed.push(told);
            }
            // One of that name among the groups of documents is enough.
            Err(Impossible::None { .. }) if matches!(&supposition, Supposition::AddGroup(name) if known.contains(name)) =>
                {}
            Err(error) => return Err(Refused::new(Slug::NotFound, error.to_string())),
        }
    }
    Ok(Some(rsop::resultant(&world, &target).map(Arc::new)))
}

/// Who a device is in the directory, for people.
#[derive(Default)]
struct Accounts {
    computer: Option<String>,
    user: Option<String>,
    site: Option<String>,
    site_because: Option<String>,
}

fn accounts(gathered: &Gathered) -> Accounts {
    let text = |dn: &Option<Dn>| dn.as_ref().map(ToString::to_string);
    match &gathered.who {
        Who::Accounts { computer, user, site, site_because } => Accounts {
            computer: text(computer),
            user: text(user),
            site: text(site),
            site_because: Some(site_because.clone()),
        },
        Who::Nobody | Who::Unknown(_) => Accounts::default(),
    }
}

/// The addresses that a setting of `settings.tsv` has on a device of these tables.
fn named(id: &str, tables: &[Arc<Table>]) -> BTreeSet<String> {
    use postern_engine::policy::documents::{Document, Setting, Subject as Named, Value};
    let mut probe = Document::new("asked");
    probe.settings.push(Setting {
        subject: Named::Setting(id.to_owned()),
        format: None,
        value: Value::Absent(true),
        removal: None,
    });
    let tables: Vec<&Table> = tables.iter().map(|table| &**table).collect();
    probe.claims_by(&tables, None).nodes.into_iter().map(|claim| claim.uri).collect()
}

/// Whether a registry setting is meant: all of it, or its last names.
fn ends_with(setting: &str, wanted: &str) -> bool {
    let (setting, wanted) = (setting.to_lowercase(), wanted.to_lowercase());
    setting == wanted
        || setting.strip_suffix(&wanted).is_some_and(|rest| rest.ends_with('\\') || rest.ends_with(':'))
}

fn links(rsop: Option<&Result<Arc<Rsop>, rsop::Error>>) -> Vec<PolicyLink> {
    let Some(Ok(rsop)) = rsop else { return Vec::new() };
    let part = |pass: &Pass| {
        let link = |(place, link): (usize, &rsop::Link)| PolicyLink {
            part: pass.half.word().to_owned(),
            gpo: link.gpo_name(),
            som: link.som.dn.to_string(),
            link_order: link.link_order as u64,
            enforced: link.enforced,
            reason: link.reason.word().to_owned(),
            detail: link.detail.to_string(),
            applied: pass.order.iter().position(|applied| *applied == place).map(|place| place as u64 + 1),
        };
        pass.links.iter().enumerate().map(link).collect::<Vec<_>>()
    };
    rsop.computer.iter().chain(&rsop.user).flat_map(part).collect()
}

fn layer(layer: &Layer) -> PolicyLayer {
    PolicyLayer {
        name: layer.document.clone(),
        version: layer.version,
        group: layer.group.clone(),
        depth: layer.depth as u64,
        order: layer.order,
        enforced: layer.enforced,
    }
}

/// The nodes that differ, and how many do not.
fn differences(one: &Desired, other: &Desired) -> (Vec<PolicyNodeDifference>, u64) {
    let addresses: BTreeSet<&str> =
        one.settings.iter().chain(&other.settings).map(|setting| setting.uri.as_str()).collect();
    let (mut all, mut same) = (Vec::new(), 0);
    for uri in addresses {
        let value = |desired: &Desired| {
            desired.get(uri).map(|setting| PolicyValue {
                value: setting.data.clone(),
                source: device_policy::source(&setting.source),
            })
        };
        let (left, right) = (value(one), value(other));
        if left == right {
            same += 1;
            continue;
        }
        let values = (left.as_ref().map(|side| &side.value), right.as_ref().map(|side| &side.value));
        let what = if values.0 == values.1 { "source" } else { "value" };
        all.push(PolicyNodeDifference {
            uri: uri.to_owned(),
            what: what.to_owned(),
            one: left,
            other: right,
        });
    }
    (all, same)
}
