//! Management objects: list, show, import, delete; addresses completed; commands judged by the descriptions.

use actix_web::web;
use postern_actors::{Body, BodyItem, objects};
use postern_api::{
    Page, Time,
    objects::{
        CompleteQuery, Completions, DescribedNode, ImportObject, ManagementObject, ManagementObjectDetail,
        NODES_SHOWN,
    },
    problem::Slug,
};
use postern_store::{
    Reader,
    ddfs::{self, StoredDdf},
    trees,
};
use postern_wire::{
    ddf::{Node, Verb as DdfVerb},
    mo::{Asked, Forbidden, Mounts, Object, Origin, Registry, builtin},
    terms::{EnrolmentId, UtcMillis, Verb},
    tree::Snapshot,
    uri::TreeUri,
};
use serde_json::json;

use super::{
    answer::{self, Answer},
    auth::Caller,
    devices::resolve,
    problem::Refused,
    write::{Done, Keep},
};
use crate::inside::Inside;

/// Longest name, in characters.
const NAME: usize = 128;
/// Names of a device's tree that complete an address.
const NAMES: usize = 200;

pub(super) async fn list(inside: web::Data<Inside>, _: Caller) -> Answer {
    let known = inside.objects.clone();
    let (registry, stored) = inside.store.read(move |r| Ok((known.registry(r)?, ddfs::list(r)?))).await?;
    let mut items: Vec<ManagementObject> = Vec::new();
    for object in registry.objects().filter(|object| object.origin == Origin::BuiltIn) {
        items.push(view(&object.name, &[object], None));
    }
    items.extend(stored.iter().map(|row| imported(&registry, row)));
    answer::ok(&Page { items, next_cursor: None })
}

fn imported(registry: &Registry, row: &StoredDdf) -> ManagementObject {
    let objects: Vec<_> = registry
        .objects()
        .filter(|object| object.origin == Origin::Imported && object.name == row.name)
        .collect();
    view(&row.name, &objects, Some(row))
}

fn view(name: &str, objects: &[&Object], row: Option<&StoredDdf>) -> ManagementObject {
    fn count(node: &Node) -> u64 {
        1 + node.children.iter().map(count).sum::<u64>()
    }
    ManagementObject {
        name: name.to_owned(),
        origin: if row.is_some() { "imported" } else { "built-in" }.to_owned(),
        ids: objects.iter().filter_map(|object| object.id.clone()).collect(),
        places: objects.iter().flat_map(|object| object.places()).collect(),
        nodes: objects.iter().map(|object| count(&object.root)).sum(),
        skipped: row.map_or(0, |row| u64::try_from(row.skipped).unwrap_or(0)),
        imported_by: row.map(|row| row.set_by.clone()),
        imported_at: row.map(|row| Time(row.at)),
    }
}

pub(super) async fn show(inside: web::Data<Inside>, path: web::Path<String>, _: Caller) -> Answer {
    let (name, known) = (path.into_inner(), inside.objects.clone());
    let wanted = name.clone();
    let (registry, row) =
        inside.store.read(move |r| Ok((known.registry(r)?, ddfs::find(r, &wanted)?))).await?;
    let objects: Vec<_> = registry.objects().filter(|object| object.name == name).collect();
    if objects.is_empty() && row.is_none() {
        return Err(Refused::not_found("management object", name));
    }
    let mut described = Vec::new();
    for object in &objects {
        let place = object.places().next().unwrap_or_else(|| ".".to_owned());
        let uri = match place.strip_suffix("/*") {
            Some(above) => format!("{above}/<{}>", object.root.df.title.as_deref().unwrap_or("name")),
            None => place,
        };
        describe(uri, &object.name, &object.root, &mut described);
    }
    answer::ok(&ManagementObjectDetail { object: view(&name, &objects, row.as_ref()), described })
}

fn describe(uri: String, object: &str, node: &Node, all: &mut Vec<DescribedNode>) {
    if all.len() >= NODES_SHOWN {
        return;
    }
    let below = uri.clone();
    all.push(described(uri, Some(object), node.name.is_empty(), Some(node)));
    for child in &node.children {
        let name = match (&*child.name, child.df.title.as_deref()) {
            ("", title) => format!("<{}>", title.unwrap_or("name")),
            (name, _) => name.to_owned(),
        };
        describe(format!("{below}/{name}"), object, child, all);
    }
}

fn described(uri: String, object: Option<&str>, placeholder: bool, node: Option<&Node>) -> DescribedNode {
    let Some(node) = node else {
        return DescribedNode { uri, placeholder, more: true, ..DescribedNode::default() };
    };
    DescribedNode {
        uri,
        object: object.map(str::to_owned),
        placeholder,
        more: !node.is_leaf(),
        format: node.df.format.map(|format| format.as_str().to_owned()),
        access: node.df.access.iter().map(|verb| verb.as_str().to_owned()).collect(),
        occurrence: node.df.occurrence.map(|occurrence| occurrence.to_string()),
        type_: node.df.type_.as_ref().map(|type_| type_.as_str().to_owned()).filter(|text| !text.is_empty()),
        description: node.df.description.clone(),
    }
}

pub(super) async fn import(
    inside: web::Data<Inside>,
    body: web::Json<ImportObject>,
    caller: Caller,
) -> Answer {
    let body = body.into_inner();
    let document = match (body.document, body.document_base64) {
        (Some(text), None) => text.into_bytes(),
        (None, Some(text)) => data_encoding::BASE64
            .decode(text.as_bytes())
            .map_err(|_| Refused::invalid("/document_base64", "this is not base64"))?,
        _ => return Err(Refused::invalid("/document", "give document or document_base64")),
    };
    let read = objects::read(&document).map_err(|error| {
        Refused::new(Slug::InvalidDdf, error.to_string()).item("/document", error.place.to_string())
    })?;
    let first = read.ddf.nodes.iter().map(|node| &node.name).find(|name| !name.is_empty());
    let given = body.name.or_else(|| first.cloned());
    let given = given.ok_or_else(|| Refused::invalid("/name", "its nodes have no names: give it one"))?;
    let name = answer::text("/name", &given, NAME)?;
    if name.contains('/') {
        return Err(Refused::invalid("/name", "a name has no /"));
    }
    if builtin::document(&name).is_some() {
        let detail = format!("{name} is built in: give the description another name");
        return Err(Refused::new(Slug::AlreadyExists, detail));
    }
    let nodes = i64::try_from(objects::nodes(&read.ddf)).unwrap_or(i64::MAX);
    let skipped = i64::from(read.skipped);
    let found = Object::of_ddf(&name, read.ddf, Origin::Imported)
        .map_err(|error| Refused::new(Slug::InvalidDdf, error.to_string()).item("/document", "Path"))?;
    let row = StoredDdf {
        name,
        document,
        nodes,
        skipped,
        set_by: caller.admin.name.clone(),
        at: UtcMillis(0),
        revision: 0,
    };
    let object = inside
        .change_once(&caller, Keep::Plain(201), move |tx| {
            let row = ddfs::put(tx, row.clone())?;
            let detail = json!({"name": row.name, "nodes": row.nodes, "revision": row.revision});
            let objects: Vec<_> = found.iter().collect();
            Ok(Done {
                object: format!("object:{}", row.name),
                detail,
                value: view(&row.name, &objects, Some(&row)),
            })
        })
        .await?;
    answer::json(201, &object)
}

pub(super) async fn delete(inside: web::Data<Inside>, path: web::Path<String>, caller: Caller) -> Answer {
    let name = path.into_inner();
    if builtin::document(&name).is_some() {
        return Err(Refused::new(Slug::WrongState, format!("{name} is built in")));
    }
    inside
        .change(&caller, move |tx| {
            if !ddfs::remove(tx, &name)? {
                return Err(Refused::not_found("management object", &name).into());
            }
            Ok(Done { object: format!("object:{name}"), detail: json!({"name": name}), value: () })
        })
        .await?;
    answer::nothing()
}

pub(super) async fn complete(
    inside: web::Data<Inside>,
    query: web::Query<CompleteQuery>,
    _: Caller,
) -> Answer {
    let (query, known) = (query.into_inner(), inside.objects.clone());
    let items = inside
        .store
        .read(move |r| {
            let device = match query.device.as_deref().map(|name| resolve(r, name)).transpose() {
                Ok(device) => device.map(|device| device.id),
                Err(refused) => return Ok(Err(refused)),
            };
            let mounts = device.map(|id| objects::mounts(r, id)).transpose()?.unwrap_or_default();
            let registry = known.registry(r)?;
            let mut items: Vec<DescribedNode> = registry
                .complete(&query.prefix, &mounts)
                .into_iter()
                .map(|found| {
                    described(found.uri, found.object.as_deref(), found.placeholder, found.node.as_ref())
                })
                .collect();
            if let Some(id) = device {
                for uri in names(r, id, &query.prefix)? {
                    let node = registry.node(&uri, &mounts);
                    if !items.iter().any(|item| item.uri == uri.path()) {
                        items.push(described(uri.path().to_owned(), None, false, node));
                    }
                }
            }
            items.sort_by(|left, right| left.uri.cmp(&right.uri));
            Ok(Ok(items))
        })
        .await??;
    answer::ok(&Completions { items })
}

/// Addresses that the device's snapshots have and that begin so, one name longer than the last whole one.
fn names(
    r: &mut Reader,
    device: EnrolmentId,
    begun: &str,
) -> Result<Vec<TreeUri>, postern_store::StoreError> {
    let (base, partial) = begun.trim().rsplit_once('/').unwrap_or((".", begun.trim()));
    let Ok(base) = TreeUri::parse(base) else { return Ok(Vec::new()) };
    let partial = if partial == "." { "" } else { partial };
    let mut found = Vec::new();
    for head in trees::snapshots(r, device)?.into_iter().take(4) {
        let Some(row) = trees::snapshot(r, device, head.id)? else { continue };
        let Ok(snapshot) = serde_json::from_slice::<Snapshot>(&row.document) else { continue };
        for uri in snapshot.children(&base) {
            let fits = uri.name().is_some_and(|name| name.starts_with(partial));
            if fits && !found.contains(uri) && found.len() < NAMES {
                found.push(uri.clone());
            }
        }
    }
    Ok(found)
}

/// Judges commands by the descriptions, and gives items without a format the one that their node has. Gives what was
/// forbidden and let through by `force`.
pub(super) fn judge(
    commands: &mut [Body],
    registry: &Registry,
    mounts: &Mounts,
    force: bool,
) -> Result<Vec<Forbidden>, Refused> {
    let mut forced = Vec::new();
    for (at, command) in commands.iter_mut().enumerate() {
        each_item(command, &mut |verb, item| {
            let Some(asked) = asked(verb, item) else { return Ok(()) };
            let (uri, verb) = asked;
            let judged = registry.check(
                &Asked {
                    verb,
                    uri: &uri,
                    format: item.format.as_deref(),
                    type_: item.type_.as_deref(),
                    data: item.data.as_ref(),
                },
                mounts,
            );
            match judged {
                Ok(Some(format)) => item.format = Some(format.as_str().to_owned()),
                Ok(None) => {}
                Err(forbidden) if force => forced.push(forbidden),
                Err(forbidden) => return Err(refusal(at, &forbidden)),
            }
            Ok(())
        })?;
    }
    Ok(forced)
}

fn asked(verb: Verb, item: &BodyItem) -> Option<(TreeUri, DdfVerb)> {
    let verb = match verb {
        Verb::Add => DdfVerb::Add,
        Verb::Replace => DdfVerb::Replace,
        Verb::Get => DdfVerb::Get,
        Verb::Delete => DdfVerb::Delete,
        Verb::Exec => DdfVerb::Exec,
        Verb::Copy => DdfVerb::Copy,
        Verb::Atomic | Verb::Sequence | Verb::Alert => return None,
    };
    Some((TreeUri::parse(&item.target).ok()?, verb))
}

fn refusal(at: usize, forbidden: &Forbidden) -> Refused {
    let rule = forbidden.rule.slug();
    Refused::new(Slug::DdfForbids, forbidden.to_string())
        .item(format!("/commands/{at}"), format!("{rule}: {} says that {}", forbidden.object, forbidden.rule))
}

fn each_item(
    body: &mut Body,
    work: &mut impl FnMut(Verb, &mut BodyItem) -> Result<(), Refused>,
) -> Result<(), Refused> {
    match body {
        Body::Plain { verb, items, .. } => {
            let verb = *verb;
            items.iter_mut().try_for_each(|item| work(verb, item))
        }
        Body::Atomic(children) | Body::Sequence(children) => {
            children.iter_mut().try_for_each(|child| each_item(child, work))
        }
        Body::UserAlert { .. } => Ok(()),
    }
}
