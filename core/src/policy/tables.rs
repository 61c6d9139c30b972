//! The operator's own mapping tables: files and folders of the configuration, read at the start and again when they change.
//!
//! Promise: what counts was read whole and is right, or is what counted before. A table that is refused keeps all of them from
//! counting; where none counted before, nothing is computed, so that no device loses what a table that cannot be read would map.

use std::{
    fs,
    io::Read as _,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, SystemTime},
};

use postern_actors::policy::{
    Policies,
    inputs::{Change, PolicyTables},
};
use postern_api::server::{Check, Verdict};
use postern_engine::policy::mapping::{
    operator::{self, FILES, File, OCTETS},
    table::Table,
};

use crate::doctor::{check, ok};

/// How often it is looked for changed files. What changed is read when it stood still for one look.
const LOOK: Duration = Duration::from_secs(2);
/// The end of a table's name in a folder.
const END: &str = "tsv";

/// The tables of the configuration.
#[derive(Debug)]
pub(crate) struct OperatorTables {
    paths: Vec<PathBuf>,
    /// How the files stood when they were first read.
    begun: Stamps,
    now: RwLock<Now>,
}

#[derive(Clone, Debug, Default)]
struct Now {
    /// What counts; none was ever right.
    good: Option<Arc<[Arc<Table>]>>,
    /// Why the last reading was refused.
    refused: Option<String>,
}

/// What tells that a file is another: where it lies, how long it is, when it was written.
type Stamps = Vec<(PathBuf, u64, Option<SystemTime>)>;

impl OperatorTables {
    /// The tables at these places, read now; none where the configuration names none.
    pub(crate) fn open(paths: Vec<PathBuf>) -> Option<Arc<Self>> {
        if paths.is_empty() {
            return None;
        }
        let tables = Self { begun: stamps(&paths), paths, now: RwLock::default() };
        tables.read();
        Some(Arc::new(tables))
    }

    /// Why the last reading was refused; what counted before counts on.
    pub(crate) fn refused(&self) -> Option<String> {
        self.now.read().unwrap_or_else(PoisonError::into_inner).refused.clone()
    }

    /// Reads all; gives whether others count now.
    fn read(&self) -> bool {
        let read = read(&self.paths);
        let mut now = self.now.write().unwrap_or_else(PoisonError::into_inner);
        match read {
            Ok(tables) => {
                let rows: usize = tables.iter().map(Table::len).sum();
                tracing::info!(tables = tables.len(), rows, "the operator's mapping tables were read");
                let tables = tables.into_iter().map(Arc::new).collect::<Vec<_>>();
                *now = Now { good: Some(tables.into()), refused: None };
                true
            }
            Err(why) => {
                tracing::error!(%why, "the operator's mapping tables are refused; what counted before counts on");
                now.refused = Some(why);
                false
            }
        }
    }

    /// Looks for changed files. Runs until it is dropped.
    pub(crate) async fn keep_looking(self: Arc<Self>, policies: Policies) {
        let mut read = self.begun.clone();
        let mut before = read.clone();
        loop {
            tokio::time::sleep(LOOK).await;
            let paths = self.paths.clone();
            let Ok(found) = tokio::task::spawn_blocking(move || stamps(&paths)).await else { return };
            if found != read && found == before {
                read.clone_from(&found);
                let tables = Arc::clone(&self);
                if matches!(tokio::task::spawn_blocking(move || tables.read()).await, Ok(true)) {
                    policies.changed(Change::World);
                }
            }
            before = found;
        }
    }

    /// What doctor finds of them.
    pub(crate) fn check(&self) -> Check {
        const NAME: &str = "policy-tables";
        let subject = self.paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ");
        let now = self.now.read().unwrap_or_else(PoisonError::into_inner).clone();
        let remedy = "docs/POLICY.md, \"Tables of your own\"; `posternctl policy import-check --table FILE PATH` tries one";
        match (now.refused, now.good) {
            (Some(why), Some(_)) => {
                check(NAME, subject, Verdict::Warn, format!("{why}; what was read before counts"), remedy)
            }
            (Some(why), None) => {
                check(NAME, subject, Verdict::Fail, format!("{why}; no policy is computed"), remedy)
            }
            (None, good) => {
                let tables = good.unwrap_or_else(|| Arc::from([]));
                let told: Vec<String> =
                    tables.iter().map(|table| format!("{} ({} rows)", table.name, table.len())).collect();
                ok(NAME, subject, told.join(", "))
            }
        }
    }
}

impl PolicyTables for OperatorTables {
    fn now(&self) -> Result<Arc<[Arc<Table>]>, String> {
        let now = self.now.read().unwrap_or_else(PoisonError::into_inner).clone();
        now.good.ok_or_else(|| {
            format!("the mapping tables of [policy] are refused: {}", now.refused.unwrap_or_default())
        })
    }
}

/// The tables at these places.
///
/// # Errors
/// File, line and cause.
pub(crate) fn read(paths: &[PathBuf]) -> Result<Vec<Table>, String> {
    let mut read = Vec::new();
    for path in files(paths)? {
        let refused = |error: std::io::Error| format!("{}: {error}", path.display());
        let mut octets = Vec::new();
        let most = u64::try_from(OCTETS).unwrap_or(u64::MAX).saturating_add(1);
        let open = fs::File::open(&path).map_err(refused)?;
        if !open.metadata().map_err(refused)?.is_file() {
            return Err(format!("{}: it is no plain file", path.display()));
        }
        open.take(most).read_to_end(&mut octets).map_err(refused)?;
        let name = path.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        read.push(File { path: path.display().to_string(), name, octets });
    }
    operator::tables(&read).map_err(|refused| refused.to_string())
}

/// The files, those of a folder by name.
fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, String> {
    let mut all = Vec::new();
    for path in paths {
        let refused = |error: std::io::Error| format!("{}: {error}", path.display());
        if !fs::metadata(path).map_err(refused)?.is_dir() {
            all.push(path.clone());
            continue;
        }
        let mut own = Vec::new();
        for entry in fs::read_dir(path).map_err(refused)? {
            let entry = entry.map_err(refused)?.path();
            if entry.extension().is_some_and(|end| end == END) && !is_hidden(&entry) {
                own.push(entry);
            }
            if own.len() > FILES {
                return Err(format!("{}: there are more than {FILES} tables", path.display()));
            }
        }
        own.sort();
        all.extend(own);
    }
    Ok(all)
}

fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'))
}

fn stamps(paths: &[PathBuf]) -> Stamps {
    let all = files(paths).unwrap_or_default();
    let stamp = |path: PathBuf| {
        let found = fs::metadata(&path).ok();
        let length = found.as_ref().map_or(0, fs::Metadata::len);
        (path, length, found.and_then(|found| found.modified().ok()))
    };
    all.into_iter().map(stamp).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "half\tkey\tvalue\ttype\turi\tformat\thow\n";

    fn table(key: &str) -> String {
        format!("{HEAD}computer\tSoftware\\{key}\tA\tDWORD\t./Own/{key}\tint\tplain\n")
    }

    #[test]
    fn a_folders_tables_are_read_by_name_and_one_that_is_refused_keeps_what_counted() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        write("b.tsv", &table("B"));
        write("a.tsv", &table("A"));
        write("readme.txt", "no table");
        write(".hidden.tsv", "no table");
        let tables = OperatorTables::open(vec![folder.path().to_owned()]).unwrap();
        let names = |tables: &OperatorTables| -> Vec<String> {
            tables.now().unwrap().iter().map(|table| table.name.clone()).collect()
        };
        assert_eq!(names(&tables), ["a", "b"]);

        write(
            "b.tsv",
            &format!("{HEAD}computer\tSoftware\\B\tA\tDWORD\t./Vendor/Postern/Wipe/Run\tint\tplain\n"),
        );
        assert!(!tables.read());
        let refused = tables.refused().unwrap();
        assert!(refused.contains("b.tsv: line 2: ./Vendor/Postern/Wipe/Run reaches a wipe"), "{refused}");
        assert_eq!(names(&tables), ["a", "b"]);
        assert_eq!(tables.check().verdict, Verdict::Warn);

        write("b.tsv", &table("C"));
        assert!(tables.read() && tables.refused().is_none());
        assert_eq!(tables.check().verdict, Verdict::Ok);
    }

    #[test]
    fn tables_that_were_never_right_say_why_and_a_place_that_is_not_there_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let tables = OperatorTables::open(vec![folder.path().join("none.tsv")]).unwrap();
        let why = tables.now().unwrap_err();
        assert!(why.contains("none.tsv") && tables.check().verdict == Verdict::Fail, "{why}");
        assert!(OperatorTables::open(Vec::new()).is_none());
    }
}
