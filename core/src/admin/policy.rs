//! Policy documents: list, show, versions; what applying them changes ([`apply`]); answers about
//! devices ([`answers`]); what waits ([`held`]).

mod answers;
mod apply;
mod held;

use actix_web::web;
use postern_actors::documents::stored;
use postern_api::{
    Page, Time,
    page::PageQuery,
    policy::{PolicyAssignment, PolicyDocument, PolicyDocumentDetail, PolicyVersion},
};
use postern_engine::policy::documents::Document;
use postern_store::{
    Reader, StoreError,
    documents::{self, DocumentRow, VersionRow},
};
use serde::Deserialize;

pub(super) use self::{
    answers::{compare, explain_device, what_if},
    apply::{apply, plan, roll_back},
    held::held,
};
use super::{
    answer::{self, Answer, Window},
    auth::Caller,
    problem::Refused,
};
use crate::inside::Inside;

const LIST: &str = "policy-documents";
const VERSIONS: &str = "policy-versions";

/// The query of the list.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    limit: Option<u32>,
    cursor: Option<String>,
    #[serde(default)]
    removed: bool,
}

pub(super) async fn list(inside: web::Data<Inside>, query: web::Query<ListQuery>, _: Caller) -> Answer {
    let query = query.into_inner();
    let window = Window::read(LIST, query.limit, query.cursor.as_deref())?;
    let (mut after, fetch) = (window.after.clone(), window.fetch());
    let (revision, rows) = inside
        .store
        .read(move |r| {
            let mut views = Vec::new();
            loop {
                let rows = documents::list(r, after.as_deref(), fetch)?;
                let is_last = i64::try_from(rows.len()).unwrap_or(fetch) < fetch;
                after = rows.last().map(|row| row.name.clone());
                for row in rows.into_iter().filter(|row| query.removed || !row.removed) {
                    views.push(view(r, row)?.document);
                }
                if is_last || i64::try_from(views.len()).unwrap_or(fetch) >= fetch {
                    views.truncate(usize::try_from(fetch).unwrap_or(usize::MAX));
                    return Ok((documents::revision(r)?, views));
                }
            }
        })
        .await?;
    let page: Page<PolicyDocument> =
        window.page(LIST, rows, |document| document.name.clone(), |document| document);
    answer::tagged(200, number(revision), &page)
}

pub(super) async fn show(inside: web::Data<Inside>, path: web::Path<String>, _: Caller) -> Answer {
    let name = path.into_inner();
    let detail = inside.store.read(move |r| Ok(find(r, &name).and_then(|row| Ok(view(r, row)?)))).await??;
    answer::tagged(200, detail.document.version, &detail)
}

pub(super) async fn versions(
    inside: web::Data<Inside>,
    path: web::Path<String>,
    query: web::Query<PageQuery>,
    _: Caller,
) -> Answer {
    let window = Window::read(VERSIONS, query.limit, query.cursor.as_deref())?;
    let (name, before, fetch) = (path.into_inner(), window.place::<i64>()?, window.fetch());
    let rows = inside
        .store
        .read(move |r| {
            Ok(match find(r, &name) {
                Ok(row) => Ok(documents::versions(r, &row.name, before, fetch)?),
                Err(refused) => Err(refused),
            })
        })
        .await??;
    answer::ok(&window.page(VERSIONS, rows, |row| row.version.to_string(), |row| version_view(row, false)))
}

pub(super) async fn version(inside: web::Data<Inside>, path: web::Path<(String, i64)>, _: Caller) -> Answer {
    let (name, version) = path.into_inner();
    let wanted = name.clone();
    let row = inside.store.read(move |r| documents::version(r, &wanted, version)).await?;
    let row = row.ok_or_else(|| Refused::not_found("version", format!("{name} {version}")))?;
    answer::ok(&version_view(row, true))
}

fn find(r: &mut Reader, name: &str) -> Result<DocumentRow, Refused> {
    documents::find(r, name)?.ok_or_else(|| Refused::not_found("policy document", name))
}

fn view(r: &mut Reader, row: DocumentRow) -> Result<PolicyDocumentDetail, StoreError> {
    let version = documents::version(r, &row.name, row.version)?
        .ok_or_else(|| StoreError::Damaged(format!("{} has no version {}", row.name, row.version)))?;
    let assignments = documents::assignments(r, &row.name)?
        .into_iter()
        .map(|(group, row)| PolicyAssignment { group, order: number(row.place), enforced: row.enforced });
    let document = read(&version);
    Ok(PolicyDocumentDetail {
        document: PolicyDocument {
            version: number(row.version),
            removed: row.removed,
            description: document.as_ref().map(|document| document.description.clone()).unwrap_or_default(),
            settings: document.as_ref().map_or(0, |document| document.settings.len() as u64),
            assignments: assignments.collect(),
            sha256: data_encoding::HEXLOWER.encode(&version.hash),
            changed_at: Time(version.at),
            changed_by: version.set_by,
            name: row.name,
        },
        text: document.map(|document| document.to_yaml()).unwrap_or_default(),
    })
}

/// The document of a version; nothing where it took it away, or where it cannot be read, which is logged.
fn read(version: &VersionRow) -> Option<Document> {
    if version.document.is_empty() {
        return None;
    }
    let read = stored(&version.document);
    read.inspect_err(|error| {
        tracing::error!(document = %version.name, version = version.version, %error, "a stored policy document cannot be read");
    })
    .ok()
}

fn version_view(row: VersionRow, with_text: bool) -> PolicyVersion {
    let text = with_text.then(|| read(&row).map(|document| document.to_yaml()).unwrap_or_default());
    PolicyVersion {
        name: row.name,
        version: number(row.version),
        removed: row.document.is_empty(),
        of_version: row.of_version.map(number),
        sha256: data_encoding::HEXLOWER.encode(&row.hash),
        reason: (!row.reason.is_empty()).then_some(row.reason),
        set_by: row.set_by,
        at: Time(row.at),
        text,
    }
}

fn number(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
