//! `postern-core backup` and `postern-core restore`: the whole system into a folder, and out of it again, held.
//!
//! Promise: a backup is of one moment and is made while the core works. Without the master key it shows no secret:
//! every file of the state folder lies in it sealed (AES-256-GCM under the master key), and so do the secrets of the
//! database; the master key itself is not in it and is kept apart. Nothing of a backup is believed before the seal
//! over its manifest was opened with that key. A restored core is held ([`postern_store::held`]).
//!
//! The database's rows are written by [`postern_store::dump`], on both backends in the same form: no tool of another
//! version is needed, one set of tests covers both, and a system may move from SQLite to PostgreSQL this way.

use std::{
    fs,
    io::{self, BufRead as _, BufReader, BufWriter, Read as _, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use postern_store::{
    MasterKey, Options, Sealer, StoreError,
    dump::{self, DumpError, Dumped},
    held::Held,
};
use postern_wire::terms::{EnrolmentId, UtcMillis};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::{
    config::{Config, ConfigError, DatabaseKind},
    files::{self, FileError},
    run::{self, StartError},
};

/// The form's version.
const FORM: u32 = 1;
const MANIFEST: &str = "manifest.json";
const ROWS: &str = "database.jsonl";
const FILES: &str = "files.jsonl";
/// A file of the state folder that is larger is not one of ours.
const LARGEST: u64 = 4 << 20;
/// Where files from outside the state folder go when they are restored.
const OUTSIDE: &str = "outside";

/// What a backup says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The form's version.
    pub form: u32,
    /// The release that made it.
    pub version: String,
    /// When, RFC 3339.
    pub made_at: String,
    /// When, UTC milliseconds.
    pub made_at_ms: i64,
    /// The core's id.
    pub core: Uuid,
    /// The configuration's file name.
    pub config: String,
    /// Where the master key has to lie, from the configuration's folder.
    pub master_key: PathBuf,
    /// The database's rows.
    pub database: Dumped,
    /// How many files are in it.
    pub files: u64,
    /// SHA-256 of `database.jsonl`, hex.
    pub database_sha256: String,
    /// SHA-256 of `files.jsonl`, hex.
    pub files_sha256: String,
}

/// The manifest's file.
#[derive(Serialize, Deserialize)]
struct Signed {
    manifest: Manifest,
    /// The manifest's SHA-256, sealed under the master key: base64.
    seal: String,
}

/// A file of the state folder.
#[derive(Serialize, Deserialize)]
struct Kept {
    /// From the configuration's folder; an absolute one lay outside.
    path: PathBuf,
    mode: u32,
    /// Its octets, sealed: base64.
    sealed: String,
}

/// Why there is no backup, or nothing was restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The folder is there already.
    #[error("{0} is there already; give the name of a folder that is not")]
    Exists(String),
    /// A file cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The same, of a stream.
    #[error("{path} cannot be read or written: {source}")]
    Stream {
        /// Which file.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// The database's rows.
    #[error(transparent)]
    Dump(#[from] DumpError),
    /// The master key cannot be used, or is not the one of this backup.
    #[error("the master key: {0}")]
    Key(StoreError),
    /// It is not what it was when it was made.
    #[error("the backup is damaged or was changed: {0}")]
    Damaged(String),
    /// The restored configuration does not do.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The restored configuration's database cannot be told.
    #[error(transparent)]
    Start(#[from] StartError),
}

// --- backup

/// Makes a backup in the new folder `out`. Blocks.
///
/// # Errors
/// [`BackupError`]; a folder that was begun is left for a look.
pub fn backup(
    config: &Config,
    file: &Path,
    out: &Path,
    now: UtcMillis,
    id: Uuid,
) -> Result<Manifest, BackupError> {
    if out.exists() {
        return Err(BackupError::Exists(out.display().to_string()));
    }
    let master = MasterKey::load(&config.at(&config.keys.master)).map_err(BackupError::Key)?;
    let sealer = Sealer::new(&master, &[]).map_err(BackupError::Key)?;
    files::make_folder(out)?;
    let options = run::options(config, id)?;
    let database = {
        let mut rows = create(&out.join(ROWS))?;
        let dumped = dump::dump(&options, &mut rows)?;
        finish(rows, &out.join(ROWS))?;
        dumped
    };
    let owner = EnrolmentId(config.core.id);
    let path = out.join(FILES);
    let mut kept = create(&path)?;
    let mut count = 0;
    for (name, at) in state_files(config, file, out)? {
        let octets = fs::read(&at).map_err(stream(&at))?;
        let sealed = sealer.seal(owner, &octets).map_err(BackupError::Key)?;
        let mode = fs::metadata(&at).map_err(stream(&at))?.permissions().mode() & 0o777;
        let sealed = data_encoding::BASE64.encode(sealed.as_octets());
        let line = serde_json::to_string(&Kept { path: name, mode, sealed }).map_err(io::Error::other);
        writeln!(kept, "{}", line.map_err(stream(&path))?).map_err(stream(&path))?;
        count += 1;
    }
    finish(kept, &path)?;
    let manifest = Manifest {
        form: FORM,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        made_at: now.to_string(),
        made_at_ms: now.0,
        core: config.core.id,
        config: file.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        master_key: config.keys.master.clone(),
        database,
        files: count,
        database_sha256: digest(&out.join(ROWS))?,
        files_sha256: digest(&path)?,
    };
    let seal = sealer.seal(owner, &summary(&manifest)).map_err(BackupError::Key)?;
    let seal = data_encoding::BASE64.encode(seal.as_octets());
    let text = serde_json::to_string_pretty(&Signed { manifest: manifest.clone(), seal });
    // Written last: a folder with a manifest is whole.
    let path = out.join(MANIFEST);
    files::write_secret(&path, &text.map_err(|error| stream(&path)(io::Error::other(error)))?)?;
    Ok(manifest)
}

/// The files of the state folder, and those that the configuration names elsewhere: name and place. The database, the
/// master key and the backup itself are not among them.
fn state_files(config: &Config, file: &Path, out: &Path) -> Result<Vec<(PathBuf, PathBuf)>, BackupError> {
    let folder = config.at(Path::new("."));
    let folder = fs::canonicalize(&folder).map_err(stream(&folder))?;
    let out = fs::canonicalize(out).map_err(stream(out))?;
    let master = fs::canonicalize(config.at(&config.keys.master)).ok();
    let database = match config.database.kind {
        DatabaseKind::Sqlite => Some(config.at(&config.database.path)),
        DatabaseKind::Postgres => None,
    };
    let database = database.and_then(|path| fs::canonicalize(path).ok());
    let is_database = |path: &Path| {
        database.as_ref().is_some_and(|database| {
            path.as_os_str().to_string_lossy().starts_with(&*database.as_os_str().to_string_lossy())
        })
    };
    let mut all = Vec::new();
    let mut folders = vec![folder.clone()];
    while let Some(at) = folders.pop() {
        for entry in fs::read_dir(&at).map_err(stream(&at))? {
            let entry = entry.map_err(stream(&at))?;
            let (path, kind) = (entry.path(), entry.file_type().map_err(stream(&at))?);
            // Another backup in the state folder is not part of this one.
            if kind.is_dir() && path != out && !path.join(MANIFEST).exists() {
                folders.push(path);
            } else if kind.is_file()
                && Some(&path) != master.as_ref()
                && !is_database(&path)
                && entry.metadata().map_err(stream(&path))?.len() <= LARGEST
            {
                let name = path.strip_prefix(&folder).unwrap_or(&path).to_owned();
                all.push((name, path));
            }
        }
    }
    let named = [
        &config.admin.certificate,
        &config.admin.key,
        &config.links.certificate,
        &config.links.key,
        &config.links.ca,
        &config.devices.ca,
        &config.devices.ca_key,
        &config.devices.server_ca,
        &config.keys.audit,
        &config.keys.order,
        &config.keys.message,
    ];
    let more = [&config.database.url_file, &config.database.ca, &config.database.key];
    let named = named.into_iter().chain(more.into_iter().flatten()).map(|path| config.at(path));
    for path in named.chain([file.to_owned()]) {
        let Ok(path) = fs::canonicalize(&path) else { continue };
        if !path.starts_with(&folder) {
            all.push((path.clone(), path));
        }
    }
    all.sort();
    all.dedup();
    Ok(all)
}

// --- restore

/// What is to be restored, and where.
#[derive(Clone, Debug)]
pub struct Restore {
    /// The backup's folder.
    pub from: PathBuf,
    /// The state folder to make.
    pub state: PathBuf,
    /// The master key's file.
    pub master_key: PathBuf,
    /// Why, for the audit log.
    pub reason: String,
}

/// Makes a state folder from a backup and loads its rows into the empty database that the configuration names.
/// Blocks. Gives the configuration's file and the manifest.
///
/// # Errors
/// [`BackupError`]; a state folder that was begun is removed again.
pub fn restore(
    restore: &Restore,
    environment: impl IntoIterator<Item = (String, String)>,
    now: UtcMillis,
    id: Uuid,
) -> Result<(PathBuf, Manifest), BackupError> {
    let state = &restore.state;
    if state.exists() {
        return Err(BackupError::Exists(state.display().to_string()));
    }
    let master = MasterKey::load(&restore.master_key).map_err(BackupError::Key)?;
    let sealer = Sealer::new(&master, &[]).map_err(BackupError::Key)?;
    let manifest = believed(&restore.from, &sealer)?;
    let made = fill(restore, &manifest, &sealer).and_then(|config| {
        let read = Config::load(&config, environment)?;
        let options = run::options(&read, id)?;
        load(restore, &manifest, &options, now)?;
        Ok(config)
    });
    match made {
        Ok(config) => Ok((config, manifest)),
        Err(error) => {
            // Nothing half restored stays; what cannot be removed is no worse than before.
            let _ = fs::remove_dir_all(state);
            Err(error)
        }
    }
}

/// Reads the manifest and checks it, and what it says of the two files.
fn believed(from: &Path, sealer: &Sealer) -> Result<Manifest, BackupError> {
    let damaged = |what: &str| BackupError::Damaged(what.to_owned());
    let text = files::read(&from.join(MANIFEST))?;
    let Signed { manifest, seal } =
        serde_json::from_str(&text).map_err(|error| BackupError::Damaged(format!("{MANIFEST}: {error}")))?;
    if manifest.form != FORM {
        return Err(BackupError::Damaged(format!("its form {} is not known", manifest.form)));
    }
    let seal = data_encoding::BASE64.decode(seal.as_bytes()).map_err(|_| damaged("its seal is no base64"))?;
    let opened = sealer.open(EnrolmentId(manifest.core), &seal).map_err(BackupError::Key)?;
    if opened.as_slice() != summary(&manifest).as_slice() {
        return Err(damaged("its manifest is not the one that was sealed"));
    }
    for (name, sha256) in [(ROWS, &manifest.database_sha256), (FILES, &manifest.files_sha256)] {
        if digest(&from.join(name))? != *sha256 {
            return Err(BackupError::Damaged(format!("{name} is not the one that was sealed")));
        }
    }
    Ok(manifest)
}

fn fill(restore: &Restore, manifest: &Manifest, sealer: &Sealer) -> Result<PathBuf, BackupError> {
    let state = &restore.state;
    files::make_folder(state)?;
    let list = restore.from.join(FILES);
    let file = fs::File::open(&list).map_err(stream(&list))?;
    for line in BufReader::new(file).lines() {
        let kept: Kept = serde_json::from_str(&line.map_err(stream(&list))?)
            .map_err(|error| BackupError::Damaged(format!("{FILES}: {error}")))?;
        let sealed = data_encoding::BASE64
            .decode(kept.sealed.as_bytes())
            .map_err(|_| BackupError::Damaged(format!("{FILES}: {} is no base64", kept.path.display())))?;
        let octets = sealer.open(EnrolmentId(manifest.core), &sealed).map_err(BackupError::Key)?;
        let path = match kept.path.strip_prefix("/") {
            Ok(outside) => state.join(OUTSIDE).join(outside),
            Err(_) => state.join(&kept.path),
        };
        if path.components().any(|part| part == std::path::Component::ParentDir) {
            return Err(BackupError::Damaged(format!("{} leads outside", kept.path.display())));
        }
        if let Some(folder) = path.parent() {
            files::make_folder(folder)?;
        }
        write(&path, &octets, kept.mode)?;
    }
    let config = [state.join(&manifest.config), state.join(OUTSIDE).join(&manifest.config)];
    let config = config.into_iter().find(|path| path.exists());
    let config = config.ok_or_else(|| BackupError::Damaged(format!("no {} in it", manifest.config)))?;
    // An absolute place of the master key is the operator's own business.
    if manifest.master_key.is_relative() {
        let octets = fs::read(&restore.master_key).map_err(stream(&restore.master_key))?;
        let path = state.join(&manifest.master_key);
        if let Some(folder) = path.parent() {
            files::make_folder(folder)?;
        }
        write(&path, &octets, 0o600)?;
    }
    Ok(config)
}

fn load(
    restore: &Restore,
    manifest: &Manifest,
    options: &Options,
    now: UtcMillis,
) -> Result<(), BackupError> {
    let held = Held {
        since: now.0,
        reason: restore.reason.clone(),
        backup_at: manifest.made_at_ms,
        audit_seq: manifest.database.audit.as_ref().map_or(0, |(seq, _)| *seq),
        settled: false,
    };
    let held = serde_json::to_string(&held).map_err(|error| BackupError::Damaged(error.to_string()))?;
    let path = restore.from.join(ROWS);
    let file = fs::File::open(&path).map_err(stream(&path))?;
    let loaded = dump::load(options, &mut BufReader::new(file), &held)?;
    if loaded.tables != manifest.database.tables {
        return Err(BackupError::Damaged("its rows are not as many as were sealed".to_owned()));
    }
    Ok(())
}

// --- both

/// What the seal covers.
fn summary(manifest: &Manifest) -> Vec<u8> {
    let text = serde_json::to_string(manifest).unwrap_or_default();
    Sha256::digest(text).to_vec()
}

fn digest(path: &Path) -> Result<String, BackupError> {
    let mut file = BufReader::new(fs::File::open(path).map_err(stream(path))?);
    let mut hash = Sha256::new();
    let mut piece = [0; 65_536];
    loop {
        match file.read(&mut piece).map_err(stream(path))? {
            0 => return Ok(data_encoding::HEXLOWER.encode(&hash.finalize())),
            some => hash.update(&piece[..some]),
        }
    }
}

fn create(path: &Path) -> Result<BufWriter<fs::File>, BackupError> {
    let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    Ok(BufWriter::new(file.map_err(stream(path))?))
}

fn finish(file: BufWriter<fs::File>, path: &Path) -> Result<(), BackupError> {
    let file = file.into_inner().map_err(|error| stream(path)(error.into_error()))?;
    file.sync_all().map_err(stream(path))
}

fn write(path: &Path, octets: &[u8], mode: u32) -> Result<(), BackupError> {
    let file = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    let mut file = file.map_err(stream(path))?;
    file.write_all(octets).and_then(|()| file.sync_all()).map_err(stream(path))
}

fn stream(path: &Path) -> impl FnOnce(io::Error) -> BackupError {
    let path = path.display().to_string();
    move |source| BackupError::Stream { path, source }
}
