//! Settings: show with their reasons, set and clear; for everything, a group or a device.

use std::sync::{Arc, Mutex, PoisonError};

use actix_web::{HttpRequest, web};
use postern_actors::policy::share;
use postern_api::{
    problem::Slug,
    settings::{self, Row, Setting, Settings, UpdateSettings},
};
use postern_store::{
    Reader, StoreError, groups,
    settings::{self as rows, Layers, Scope},
};
use serde_json::json;
use uuid::Uuid;

use super::{
    answer::{self, Answer, IfMatch},
    auth::Caller,
    devices,
    problem::{Refused, needs_approval},
    write::{Done, Stop},
};
use crate::{config::Config, inside::Inside, settings as resolved};

/// Whose settings a path names.
#[derive(Clone, Debug)]
enum Whose {
    Everything,
    Group(String),
    Device(String),
}

/// The scope that a path means, with the name of its subject.
struct Subject {
    scope: Scope,
    id: Option<Uuid>,
    name: Option<String>,
}

pub(super) async fn show(inside: web::Data<Inside>, _: Caller) -> Answer {
    shown(&inside, Whose::Everything).await
}

pub(super) async fn show_group(inside: web::Data<Inside>, path: web::Path<String>, _: Caller) -> Answer {
    shown(&inside, Whose::Group(path.into_inner())).await
}

pub(super) async fn show_device(inside: web::Data<Inside>, path: web::Path<String>, _: Caller) -> Answer {
    shown(&inside, Whose::Device(path.into_inner())).await
}

async fn shown(inside: &Inside, whose: Whose) -> Answer {
    let config = inside.config.clone();
    let read = inside.store.read(move |r| {
        Ok(find(r, &whose).and_then(|subject| view(r, &config, &subject).map_err(Refused::from)))
    });
    let settings = read.await??;
    answer::tagged(200, settings.revision, &settings)
}

pub(super) async fn update(
    inside: web::Data<Inside>,
    request: HttpRequest,
    body: web::Json<UpdateSettings>,
    caller: Caller,
) -> Answer {
    change(&inside, Whose::Everything, &request, body.into_inner(), &caller).await
}

pub(super) async fn update_group(
    inside: web::Data<Inside>,
    request: HttpRequest,
    path: web::Path<String>,
    body: web::Json<UpdateSettings>,
    caller: Caller,
) -> Answer {
    change(&inside, Whose::Group(path.into_inner()), &request, body.into_inner(), &caller).await
}

pub(super) async fn update_device(
    inside: web::Data<Inside>,
    request: HttpRequest,
    path: web::Path<String>,
    body: web::Json<UpdateSettings>,
    caller: Caller,
) -> Answer {
    change(&inside, Whose::Device(path.into_inner()), &request, body.into_inner(), &caller).await
}

async fn change(
    inside: &Inside,
    whose: Whose,
    request: &HttpRequest,
    body: UpdateSettings,
    caller: &Caller,
) -> Answer {
    let if_match = IfMatch::read(request)?;
    let values = check(&whose, &body)?;
    let (config, by) = (inside.config.clone(), caller.name());
    // A change that another has to agree to undoes all of it, and is asked for then.
    let (wider, of) = (Arc::new(Mutex::new(None)), config.clone());
    let found_wider = Arc::clone(&wider);
    let made = inside
        .change(caller, move |tx| {
            let subject = find(tx, &whose)?;
            let found = rows::revision(tx, subject.scope)?;
            if_match.check(u64::try_from(found).unwrap_or(0))?;
            if let Some(shares) = wider_share(tx, &of, subject.scope, &values)? {
                *found_wider.lock().unwrap_or_else(PoisonError::into_inner) = Some(shares);
                return Err(Refused::new(Slug::NeedsApproval, "another has to agree").into());
            }
            rows::change(tx, subject.scope, found, &values, &by)?;
            let detail =
                json!({ "values": values.iter().cloned().collect::<std::collections::BTreeMap<_, _>>() });
            let object = match subject.scope {
                Scope::Global => "settings".to_owned(),
                Scope::Group(id) => format!("group:{id}"),
                Scope::Device(id) => format!("device:{id}"),
            };
            let value = view(tx, &config, &subject)?;
            Ok::<_, Stop>(Done { object, detail, value })
        })
        .await;
    let wider = wider.lock().unwrap_or_else(PoisonError::into_inner).take();
    let settings = match (made, wider) {
        (Err(refused), Some((before, after))) if refused.slug() == Slug::NeedsApproval => {
            let actor = caller.actor();
            let asked = inside.store.write(move |tx| share::ask(tx, &actor, &before, &after)).await?;
            return Err(asked.map_or(refused, needs_approval));
        }
        (made, _) => made?,
    };
    resolved::tell(inside).await;
    answer::tagged(200, settings.revision, &settings)
}

/// A share above which changes of policy wait that is wider than what holds: before and after. Another has to agree to it, as to
/// wider limits.
fn wider_share(
    r: &mut Reader,
    config: &Config,
    scope: Scope,
    values: &[(String, Option<String>)],
) -> Result<Option<(String, String)>, StoreError> {
    let Some((_, wanted)) = values.iter().find(|(name, _)| name == share::SETTING) else { return Ok(None) };
    if !matches!(scope, Scope::Global) {
        return Ok(None);
    }
    let row = resolved::row(share::SETTING);
    let layers = Layers { global: rows::of(r, Scope::Global)?, ..Layers::default() };
    let before = resolved::resolve(row, &layers, config).value;
    let after = wanted.as_deref().and_then(|text| row.parse(text).ok()).unwrap_or(row.default);
    Ok((after > before).then(|| (row.write(before), row.write(after))))
}

/// The values as they are to be kept; all of them have to fit.
fn check(whose: &Whose, body: &UpdateSettings) -> Result<Vec<(String, Option<String>)>, Refused> {
    if body.values.is_empty() {
        return Err(Refused::invalid("/values", "name at least one setting"));
    }
    let scope = match whose {
        Whose::Everything => settings::Scope::Global,
        Whose::Group(_) => settings::Scope::Group,
        Whose::Device(_) => settings::Scope::Device,
    };
    body.values
        .iter()
        .map(|(name, value)| {
            let at = format!("/values/{name}");
            let row = settings::find(name)
                .ok_or_else(|| Refused::invalid(&at, format!("there is no setting {name:?}")))?;
            if !row.scopes.contains(&scope) {
                let detail = format!("{} cannot be set for a {}", row.name, scope.as_str());
                return Err(Refused::invalid(&at, detail));
            }
            let value = value.as_deref().map(|text| row.kept(text)).transpose();
            let value = value.map_err(|error| Refused::invalid(&at, error.to_string()))?;
            if !row.acts && value.is_some() {
                let detail = format!("{} waits for its feature: this release does not act on it", row.name);
                return Err(Refused::new(Slug::NotYet, detail));
            }
            Ok((row.name.to_owned(), value))
        })
        .collect()
}

fn find(r: &mut Reader, whose: &Whose) -> Result<Subject, Refused> {
    Ok(match whose {
        Whose::Everything => Subject { scope: Scope::Global, id: None, name: None },
        Whose::Group(name) => {
            let group = groups::find(r, name)?.ok_or_else(|| Refused::not_found("group", name))?;
            Subject { scope: Scope::Group(group.id), id: Some(group.id), name: Some(group.name) }
        }
        Whose::Device(name) => {
            let device = devices::resolve(r, name)?;
            Subject { scope: Scope::Device(device.id), id: Some(device.id.0), name: Some(device.name) }
        }
    })
}

fn view(r: &mut Reader, config: &Config, subject: &Subject) -> Result<Settings, StoreError> {
    let (scope, layers, own) = match subject.scope {
        Scope::Global => {
            let global = rows::of(r, Scope::Global)?;
            (settings::Scope::Global, Layers { global: global.clone(), ..Layers::default() }, global)
        }
        Scope::Group(id) => {
            let layers = of_group(r, id)?;
            (settings::Scope::Group, layers, rows::of(r, subject.scope)?)
        }
        Scope::Device(id) => {
            let layers = rows::layers(r, id)?;
            let own = layers.device.clone();
            (settings::Scope::Device, layers, own)
        }
    };
    let shown = |row: &Row| {
        let holds = resolved::resolve(row, &layers, config);
        Setting {
            name: row.name.to_owned(),
            value: holds.written(row),
            from: holds.from.to_owned(),
            because: holds.because,
            own: own.iter().find(|set| set.name == row.name).map(|set| set.value.clone()),
            unit: row.unit,
            range: row.range(),
            default: row.write(row.default),
            scopes: row.scopes.to_vec(),
            source: row.source,
            acts: row.acts,
            doc: row.doc.to_owned(),
        }
    };
    Ok(Settings {
        scope,
        subject: subject.id,
        name: subject.name.clone(),
        settings: settings::TABLE.iter().map(shown).collect(),
        revision: u64::try_from(rows::revision(r, subject.scope)?).unwrap_or(0),
    })
}

/// What holds for a device that is in this group only: its own values and those of the groups that hold it.
fn of_group(r: &mut Reader, group: Uuid) -> Result<Layers, StoreError> {
    let mut layers = Layers { global: rows::of(r, Scope::Global)?, ..Layers::default() };
    for id in groups::holders(r, group)? {
        let values = rows::of(r, Scope::Group(id))?;
        if let Some(found) = groups::find(r, &id.to_string())?.filter(|_| !values.is_empty()) {
            let depth = groups::depth(r, id)?;
            layers.groups.push(rows::OfGroup { group: id, name: found.name, depth, values });
        }
    }
    Ok(layers)
}
