//! Policy documents as the store has them, put into the engine's words; and how many devices a change of them reaches.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, LazyLock, Mutex, PoisonError},
};

use postern_engine::policy::{
    desired::layer::Layer,
    documents::{
        Assignment, Document, Effective, Error, ErrorKind, Held, InGroup, Layered, Limits, effective,
        layer::layers, read, resolve,
    },
    mapping::table::Table,
};
use postern_store::{
    Reader, StoreError, documents,
    enrolments::{self, Enrolment},
    groups,
};
use postern_wire::terms::{Dialect, EnrolmentId, EnrolmentState};
use uuid::Uuid;

use crate::policy::{compute::Stale, inputs::PolicyDocuments};

/// Members of a group that are read at a time.
const PAGE: i64 = 500;

/// The built-in tables: our own client's, that of the clients that the original managed, that of Windows.
#[must_use]
pub fn tables() -> &'static [Table] {
    static TABLES: LazyLock<[Table; 3]> =
        LazyLock::new(|| [Table::classic("postern"), Table::classic("windows-mobile"), Table::windows()]);
    &*TABLES
}

/// The table of a device of this dialect of which nothing more is known.
#[must_use]
pub fn table(dialect: Dialect) -> &'static Table {
    let [postern, _, windows] = tables() else { unreachable!("there are three") };
    match dialect {
        Dialect::Classic => postern,
        Dialect::Windows => windows,
    }
}

/// Reads a document as the store keeps it, which may be larger than a file may be.
///
/// # Errors
/// [`Error`]: what stands there is none.
pub fn stored(text: &str) -> Result<Document, Error> {
    let limits = Limits { octets: usize::MAX, nodes: usize::MAX, ..Limits::default() };
    let mut all = read::documents(text.as_bytes(), &limits)?;
    all.pop().ok_or(Error { line: None, path: String::new(), kind: ErrorKind::Missing("a document") })
}

/// The documents in force, by name. One that cannot be read any more is left out and logged: what is computed of devices goes by
/// [`StoredDocuments`], which tells that apart from a document that says nothing.
///
/// # Errors
/// As the store's reads.
pub fn held(r: &mut Reader) -> Result<Vec<Held>, StoreError> {
    Ok(all_held(r)?.held)
}

/// The documents in force, as they were read.
#[derive(Debug, Default)]
struct AllHeld {
    held: Vec<Held>,
    /// Those that cannot be read any more, and why.
    unread: BTreeMap<String, String>,
}

fn all_held(r: &mut Reader) -> Result<AllHeld, StoreError> {
    let mut all = AllHeld::default();
    for one in documents::in_force(r)? {
        let document = match stored(&one.version.document) {
            Ok(document) => document,
            Err(error) => {
                tracing::error!(document = %one.version.name, version = one.version.version, %error, "a stored policy document cannot be read: its devices keep what they have");
                let why = format!(
                    "version {} of the document {} cannot be read: {error}",
                    one.version.version, one.version.name
                );
                all.unread.insert(one.version.name, why);
                continue;
            }
        };
        all.held.push(Held {
            document: Arc::new(document),
            version: u64::try_from(one.version.version).unwrap_or(0),
            assignments: one.assignments.into_iter().map(|(group, row)| assignment(group, row)).collect(),
        });
    }
    Ok(all)
}

/// The groups that a device is in, directly or by nesting, the outermost first.
///
/// # Errors
/// As the store's reads.
pub fn groups_of(r: &mut Reader, device: EnrolmentId) -> Result<Vec<InGroup>, StoreError> {
    Depths::default().groups(r, device)
}

/// A group of this name with those that hold it, as a device in it would have them; nothing where there is none.
///
/// # Errors
/// As the store's reads.
pub fn holders_of(r: &mut Reader, name: &str) -> Result<Option<Vec<InGroup>>, StoreError> {
    let Some(group) = groups::find(r, name)?.filter(|group| group.name == name) else { return Ok(None) };
    let mut all = Vec::new();
    for id in groups::holders(r, group.id)? {
        if let Some(holder) = groups::find(r, &id.to_string())? {
            all.push(InGroup { name: holder.name, depth: groups::depth(r, id)? });
        }
    }
    Ok(Some(all))
}

/// The documents of the store, for the policy supervisor. What they say is read again when one changed; where they are assigned, once
/// a look, because groups are renamed.
#[derive(Debug, Default)]
pub struct StoredDocuments {
    read: Mutex<Option<(i64, Arc<AllHeld>)>>,
}

impl StoredDocuments {
    fn snapshot(&self, r: &mut Reader) -> Result<Snapshot, StoreError> {
        let revision = documents::revision(r)?;
        let kept = self.read.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let read = match kept {
            Some((at, read)) if at == revision => read,
            _ => {
                let read = Arc::new(all_held(r)?);
                *self.read.lock().unwrap_or_else(PoisonError::into_inner) =
                    Some((revision, Arc::clone(&read)));
                read
            }
        };
        let mut of: BTreeMap<String, Vec<Assignment>> = BTreeMap::new();
        for (group, row) in documents::all_assignments(r)? {
            of.entry(row.name.clone()).or_default().push(assignment(group, row));
        }
        let assigned = |held: &Held| Held {
            assignments: of.remove(&held.document.name).unwrap_or_default(),
            ..held.clone()
        };
        let held = read.held.iter().map(assigned).collect();
        let unread = read.unread.iter().flat_map(|(name, why)| {
            let groups = of.remove(name).unwrap_or_default();
            groups.into_iter().map(|assignment| (assignment.group, why.clone()))
        });
        Ok(Snapshot { held, unread: unread.collect(), depths: Mutex::default() })
    }
}

impl PolicyDocuments for StoredDocuments {
    fn layers(
        &self,
        r: &mut Reader,
        device: &Enrolment,
        tables: &[Arc<Table>],
        version: Option<&str>,
    ) -> Result<Result<Vec<Layer>, Stale>, StoreError> {
        self.snapshot(r)?.layers(r, device, tables, version)
    }

    fn of_now(&self, r: &mut Reader) -> Result<Option<Arc<dyn PolicyDocuments>>, StoreError> {
        Ok(Some(Arc::new(self.snapshot(r)?)))
    }
}

/// Documents, their assignments and how groups are nested, of one moment: read once, asked for many devices.
struct Snapshot {
    held: Vec<Held>,
    /// Groups that a document is assigned to that cannot be read, and why.
    unread: BTreeMap<String, String>,
    depths: Mutex<Depths>,
}

impl PolicyDocuments for Snapshot {
    fn layers(
        &self,
        r: &mut Reader,
        device: &Enrolment,
        tables: &[Arc<Table>],
        version: Option<&str>,
    ) -> Result<Result<Vec<Layer>, Stale>, StoreError> {
        let groups = self.depths.lock().unwrap_or_else(PoisonError::into_inner).groups(r, device.id)?;
        if let Some(why) = groups.iter().find_map(|group| self.unread.get(&group.name)) {
            return Ok(Err(why.clone()));
        }
        let tables: Vec<&Table> = tables.iter().map(|table| &**table).collect();
        Ok(Ok(layers(&resolve(&self.held, &groups, device.dialect), &tables, version)))
    }
}

fn assignment(group: String, row: documents::AssignmentRow) -> Assignment {
    Assignment {
        document: row.name,
        group,
        order: u32::try_from(row.place).unwrap_or(u32::MAX),
        enforced: row.enforced,
    }
}

/// How deep groups lie, each looked up once.
#[derive(Default)]
struct Depths(HashMap<Uuid, usize>);

impl Depths {
    fn groups(&mut self, r: &mut Reader, device: EnrolmentId) -> Result<Vec<InGroup>, StoreError> {
        let mut all = Vec::new();
        for group in groups::of_device(r, device)? {
            let depth = match self.0.get(&group.id) {
                Some(depth) => *depth,
                None => {
                    let depth = groups::depth(r, group.id)?;
                    self.0.insert(group.id, depth);
                    depth
                }
            };
            all.push(InGroup { name: group.name, depth });
        }
        all.sort_by(|one, other| (one.depth, &one.name).cmp(&(other.depth, &other.name)));
        Ok(all)
    }
}

/// How many devices a change of documents reaches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// Devices that the whole change alters.
    pub devices: u64,
    /// For each document that changes, the devices that its change alone alters.
    pub each: BTreeMap<String, u64>,
}

/// Which devices would have another document's value at some node, were `after` in force instead of `before`. What GPOs make
/// of it is not looked at. Documents that are the same in both are those of equal hash and assignments.
///
/// # Errors
/// As the store's reads.
pub fn reach(r: &mut Reader, before: &[Held], after: &[Held]) -> Result<Reach, StoreError> {
    let (old, new) = (by_name(before), by_name(after));
    let changed: Vec<&str> = old
        .keys()
        .chain(new.keys().filter(|name| !old.contains_key(*name)))
        .copied()
        .filter(|name| match (old.get(name), new.get(name)) {
            (Some(one), Some(other)) => {
                one.document.settings != other.document.settings
                    || one.document.dialects != other.document.dialects
                    || one.assignments != other.assignments
            }
            _ => true,
        })
        .collect();
    let touched = changed.iter().flat_map(|name| [old.get(name), new.get(name)]).flatten();
    let named: BTreeSet<&str> =
        touched.flat_map(|held| &held.assignments).map(|assignment| assignment.group.as_str()).collect();
    let mut reach = Reach { devices: 0, each: changed.iter().map(|name| ((*name).to_owned(), 0)).collect() };
    let mut depths = Depths::default();
    let mut seen: BTreeMap<(Dialect, Vec<InGroup>), (bool, Vec<bool>)> = BTreeMap::new();
    for device in members(r, &named)? {
        let row = enrolments::get(r, device)?;
        if row.state == EnrolmentState::Retired {
            continue;
        }
        let key = (row.dialect, depths.groups(r, device)?);
        let (whole, each) = seen.entry(key).or_insert_with_key(|(dialect, groups)| {
            let stands = outcome(before, groups, *dialect);
            let is_here = |held: &&Held| {
                held.assignments.iter().any(|own| groups.iter().any(|group| group.name == own.group))
            };
            // Each change by itself, beside the whole: what is assigned to none of these groups changes nothing for them.
            let alone = |name: &&str| {
                let (was, is) = (old.get(name).copied(), new.get(name).copied());
                if !was.iter().chain(&is).any(is_here) {
                    return false;
                }
                let others = before.iter().filter(|held| held.document.name != **name);
                outcome(others.chain(is), groups, *dialect) != stands
            };
            (outcome(after, groups, *dialect) != stands, changed.iter().map(alone).collect())
        });
        reach.devices += u64::from(*whole);
        for (name, differs) in changed.iter().zip(each) {
            if let Some(count) = reach.each.get_mut(*name) {
                *count += u64::from(*differs);
            }
        }
    }
    Ok(reach)
}

fn by_name(documents: &[Held]) -> BTreeMap<&str, &Held> {
    documents.iter().map(|held| (held.document.name.as_str(), held)).collect()
}

/// What documents come to for devices of these groups: node, value, what becomes of it later.
fn outcome<'h>(
    documents: impl IntoIterator<Item = &'h Held>,
    groups: &[InGroup],
    dialect: Dialect,
) -> Vec<(String, String, Option<String>, Option<&'static str>)> {
    let layers: Vec<Layered> = resolve(documents, groups, dialect);
    let nodes = effective(&layers, table(dialect), None).into_iter();
    nodes
        .map(|Effective { uri, format, data, removal, .. }| {
            (uri, format, data, removal.map(|one| one.word()))
        })
        .collect()
}

/// The devices of groups of these names, nested ones included, each once.
fn members(r: &mut Reader, named: &BTreeSet<&str>) -> Result<BTreeSet<EnrolmentId>, StoreError> {
    let mut all = BTreeSet::new();
    for name in named {
        let Some(group) = groups::find(r, name)? else { continue };
        let mut after = None;
        loop {
            let page = groups::members(r, group.id, after, PAGE)?;
            after = page.last().copied();
            let is_last = i64::try_from(page.len()).unwrap_or(PAGE) < PAGE;
            all.extend(page);
            if is_last {
                break;
            }
        }
    }
    Ok(all)
}
