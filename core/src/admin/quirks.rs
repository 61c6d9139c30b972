//! Quirk profiles: list, show, add, delete; and which of them a device's client matches.

use actix_web::web;
use postern_actors::{BadProfiles, Profile, Profiles};
use postern_api::{
    Page, Time,
    problem::Slug,
    quirks::{AddQuirks, AppliedProfile, QuirkProfile},
};
use postern_store::{
    Reader, StoreError,
    facts::Fact,
    quirks::{self, QuirkProfile as Row},
};
use serde_json::json;

use super::{
    answer::{self, Answer},
    auth::Caller,
    problem::Refused,
    write::{Done, Stop},
};
use crate::{inside::Inside, quirks as stored};

/// The fact that names the profiles which a device's client matched.
const MATCHED: &str = "model/profiles";

pub(super) async fn list(inside: web::Data<Inside>, _: Caller) -> Answer {
    let items = inside.store.read(all).await?;
    answer::ok(&Page { items, next_cursor: None })
}

pub(super) async fn show(inside: web::Data<Inside>, path: web::Path<String>, _: Caller) -> Answer {
    let name = path.into_inner();
    let profiles = inside.store.read(all).await?;
    match profiles.into_iter().find(|profile| profile.name == name) {
        Some(profile) => answer::ok(&profile),
        None => Err(Refused::not_found("quirk profile", name)),
    }
}

pub(super) async fn add(inside: web::Data<Inside>, body: web::Json<AddQuirks>, caller: Caller) -> Answer {
    let profiles = Profiles::parse(&body.document).map_err(|error| refused(&error))?;
    let documents = profiles.documents().map_err(|error| refused(&error))?;
    let documents: Vec<_> =
        documents.into_iter().map(|(profile, document)| (profile.name.clone(), document)).collect();
    if documents.is_empty() {
        return Err(Refused::new(Slug::InvalidQuirks, "the document holds no [[profile]]")
            .item("/document", "no profile"));
    }
    let active = inside.active()?;
    let by = caller.name();
    let names: Vec<_> = documents.iter().map(|(name, _)| name.clone()).collect();
    let items = inside
        .change(&caller, move |tx| {
            for (name, document) in &documents {
                quirks::put(tx, name, document, &by)?;
            }
            let names: Vec<_> = documents.iter().map(|(name, _)| name.clone()).collect();
            let detail =
                json!({"profiles": documents.iter().cloned().collect::<std::collections::BTreeMap<_, _>>()});
            let mut items = all(tx)?;
            items.retain(|profile| names.contains(&profile.name));
            Ok::<_, Stop>(Done { object: format!("quirks:{}", names.join(",")), detail, value: items })
        })
        .await?;
    stored::tell(&inside, &active.devices).await?;
    tracing::info!(profiles = %names.join(","), "quirk profiles were added");
    answer::json(201, &Page { items, next_cursor: None })
}

pub(super) async fn delete(inside: web::Data<Inside>, path: web::Path<String>, caller: Caller) -> Answer {
    let active = inside.active()?;
    let name = path.into_inner();
    inside
        .change(&caller, move |tx| {
            if !quirks::remove(tx, &name)? {
                let built_in = Profiles::built_in().iter().any(|profile| profile.name == name);
                return Err(if built_in {
                    let detail = format!("{name} is built in: add one of its name to put it in its place");
                    Refused::new(Slug::WrongState, detail).into()
                } else {
                    Refused::not_found("quirk profile", &name).into()
                });
            }
            Ok(Done { object: format!("quirks:{name}"), detail: json!({"name": name}), value: () })
        })
        .await?;
    stored::tell(&inside, &active.devices).await?;
    answer::nothing()
}

/// Says which profile breaks which rule.
fn refused(error: &BadProfiles) -> Refused {
    let at = match error {
        BadProfiles::Form(_) => "/document".to_owned(),
        BadProfiles::Profile { name, .. } => format!("/document/{name}"),
    };
    Refused::new(Slug::InvalidQuirks, error.to_string()).item(at, error.to_string())
}

/// The profiles in force, in their order.
fn all(r: &mut Reader) -> Result<Vec<QuirkProfile>, StoreError> {
    let rows = quirks::list(r)?;
    let profiles = Profiles::built_in().merge(stored::added(r)?);
    Ok(profiles.iter().map(|profile| view(profile, &rows)).collect())
}

fn view(profile: &Profile, rows: &[Row]) -> QuirkProfile {
    let row = rows.iter().find(|row| row.name == profile.name);
    let own = |pairs: Vec<(&'static str, &str)>| {
        pairs.into_iter().map(|(name, text)| (name.to_owned(), text.to_owned())).collect()
    };
    let alone = Profiles::from_iter([profile.clone()]);
    let document = alone.documents().ok().and_then(|mut all| all.pop()).map(|(_, text)| text);
    QuirkProfile {
        name: profile.name.clone(),
        origin: origin(&profile.name, row.is_some()).to_owned(),
        source: profile.source.clone(),
        matches: own(profile.matches.patterns()),
        quirks: settings(profile),
        document: document.unwrap_or_default(),
        added_by: row.map(|row| row.set_by.clone()),
        added_at: row.map(|row| Time(row.at)),
    }
}

fn settings(profile: &Profile) -> std::collections::BTreeMap<String, String> {
    profile.quirks.settings().into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn origin(name: &str, added: bool) -> &'static str {
    let built_in = Profiles::built_in().iter().any(|profile| profile.name == name);
    match (built_in, added) {
        (true, true) => "replaced",
        (_, true) => "operator",
        (true, false) => "built-in",
        (false, false) => "gone",
    }
}

/// The profiles that a device's client matched when it last told DevInfo, with what they asked for.
///
/// # Errors
/// As the store's reads.
pub(super) fn applied(r: &mut Reader, facts: &[Fact]) -> Result<Vec<AppliedProfile>, StoreError> {
    let Some(matched) = facts.iter().find(|fact| fact.key == MATCHED).filter(|fact| !fact.value.is_empty())
    else {
        return Ok(Vec::new());
    };
    let rows = quirks::list(r)?;
    let profiles = Profiles::built_in().merge(stored::added(r)?);
    let told = |name: &str| {
        let uri = match name {
            "man" => "./DevInfo/Man",
            "mod" => "./DevInfo/Mod",
            "swv" => "./DevDetail/SwV",
            _ => return String::new(),
        };
        let fact = facts.iter().find(|fact| fact.key == uri);
        fact.map_or_else(String::new, |fact| format!(" (it says {:?})", fact.value))
    };
    let one = |name: &str| match profiles.iter().find(|profile| profile.name == name) {
        Some(profile) => {
            let asked = profile.matches.patterns().into_iter();
            let because: Vec<_> =
                asked.map(|(name, pattern)| format!("{name} fits {pattern:?}{}", told(name))).collect();
            AppliedProfile {
                name: name.to_owned(),
                origin: origin(name, rows.iter().any(|row| row.name == name)).to_owned(),
                because: because.join(", "),
                source: profile.source.clone(),
                quirks: settings(profile),
            }
        }
        None => AppliedProfile {
            name: name.to_owned(),
            origin: "gone".to_owned(),
            because: "it was deleted since and counts for nothing".to_owned(),
            source: String::new(),
            quirks: std::collections::BTreeMap::new(),
        },
    };
    Ok(matched.value.split(',').map(one).collect())
}
