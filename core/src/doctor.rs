//! What doctor looks at: the part that needs only the configuration (also while the core does not start), and the
//! part that a running core knows.
//!
//! Promise: looking changes nothing; each check says what was found and, where it is not well, what to do. The names
//! of checks are headings of docs/OPERATIONS.md and stay.

use std::{
    net::{TcpListener, TcpStream, ToSocketAddrs as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use postern_api::server::{Check, Verdict};
use postern_store::examine::{self, Examined};
use postern_wire::terms::UtcMillis;
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use uuid::Uuid;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::{
    ca::DAY_MS,
    config::{Config, DatabaseKind},
    files,
    keys::SigningKey,
    run,
    tls::Certificate,
};

/// Clocks that part by so much are a warning: signatures are good for five minutes.
pub(crate) const SKEW_WARN_MS: i64 = 30_000;
/// By so much, signatures and certificates begin to fail.
pub(crate) const SKEW_FAIL_MS: i64 = 240_000;
/// Less room than this on a disk is a warning.
const ROOM_WARN: u64 = 2 << 30;
/// Less than this is a failure.
const ROOM_FAIL: u64 = 256 << 20;
/// A database that takes so long to answer is a warning.
const SLOW: Duration = Duration::from_millis(250);
/// How long a port may take to answer.
const REACH: Duration = Duration::from_secs(3);

/// Time since some fixed moment.
pub type StopWatch = dyn Fn() -> Duration + Sync;

/// A check that is well.
pub(crate) fn ok(name: &str, subject: impl Into<String>, finding: impl Into<String>) -> Check {
    check(name, subject, Verdict::Ok, finding, "")
}

/// A check with its verdict.
pub(crate) fn check(
    name: &str,
    subject: impl Into<String>,
    verdict: Verdict,
    finding: impl Into<String>,
    remedy: impl Into<String>,
) -> Check {
    let (subject, finding, remedy) = (subject.into(), finding.into(), remedy.into());
    Check { name: name.to_owned(), subject, verdict, finding, remedy }
}

/// What the configuration alone tells: keys, certificates, disks, the database, this machine's clock. Blocks.
#[must_use]
pub fn of_config(config: &Config, now: UtcMillis, elapsed: &StopWatch, id: Uuid) -> Vec<Check> {
    let mut all = keys(config);
    all.extend(certificates(config, now));
    all.extend(disks(config));
    all.extend(database(config, now, elapsed, id));
    all.push(time_source());
    all
}

/// What can be tried only while no core runs with this configuration: its ports and the way to the gateways. Blocks.
#[must_use]
pub fn while_stopped(config: &Config) -> Vec<Check> {
    let ports = [("admin.listen", config.admin.listen), ("observe.listen", config.observe.listen)];
    let mut all: Vec<Check> = ports
        .into_iter()
        .map(|(key, address)| match TcpListener::bind(address) {
            Ok(_) => ok("port.free", key, format!("{address} can be listened on")),
            Err(error) => check(
                "port.free",
                key,
                Verdict::Fail,
                format!("{address} cannot be listened on: {error}"),
                format!("a core may run already; else stop what has the port, or set `{key}` to another"),
            ),
        })
        .collect();
    all.extend(config.gateways.iter().map(|gateway| {
        let subject = format!("gateway:{}", gateway.name);
        match reach(&gateway.address) {
            Ok(()) => ok("port.gateway", subject, format!("{} takes connections", gateway.address)),
            Err(error) => check(
                "port.gateway",
                subject,
                Verdict::Fail,
                format!("{} cannot be reached: {error}", gateway.address),
                "start the gateway, or open the firewall from here to its link port (nothing is opened inward)",
            ),
        }
    }));
    all
}

fn reach(address: &str) -> Result<(), String> {
    let mut last = "the name has no address".to_owned();
    for address in address.to_socket_addrs().map_err(|error| error.to_string())? {
        match TcpStream::connect_timeout(&address, REACH) {
            Ok(_) => return Ok(()),
            Err(error) => last = error.to_string(),
        }
    }
    Err(last)
}

// --- keys

fn keys(config: &Config) -> Vec<Check> {
    let keys = &config.keys;
    let mut all: Vec<Check> = [
        ("keys.master", &keys.master),
        ("keys.audit", &keys.audit),
        ("keys.order", &keys.order),
        ("keys.message", &keys.message),
        ("admin.key", &config.admin.key),
        ("links.key", &config.links.key),
        ("devices.ca_key", &config.devices.ca_key),
    ]
    .into_iter()
    .map(|(key, path)| guarded(key, &config.at(path)))
    .collect();
    for (key, path) in
        [("keys.audit", &keys.audit), ("keys.order", &keys.order), ("keys.message", &keys.message)]
    {
        if let Err(error) = SigningKey::load(&config.at(path)) {
            all.push(check(
                "key.usable",
                key,
                Verdict::Fail,
                error.to_string(),
                "put the file back from a backup (`postern-core restore` into another folder, then copy it)",
            ));
        }
    }
    if let Err(error) = postern_store::MasterKey::load(&config.at(&keys.master)) {
        all.push(check(
            "key.usable",
            "keys.master",
            Verdict::Fail,
            error.to_string(),
            "without it no secret of the database can be read: put your kept copy back",
        ));
    }
    all
}

fn guarded(key: &str, path: &Path) -> Check {
    let shown = path.display();
    match path.metadata() {
        Err(error) => check(
            "key.file",
            key,
            Verdict::Fail,
            format!("{shown} cannot be looked at: {error}"),
            "put the file back from a backup, or correct the configuration",
        ),
        Ok(meta) if meta.permissions().mode() & 0o077 != 0 => check(
            "key.file",
            key,
            Verdict::Fail,
            format!("{shown} is open to others (mode {:o})", meta.permissions().mode() & 0o777),
            format!("chmod 600 {shown}; if others work on this machine, count the key as known to them"),
        ),
        Ok(_) => ok("key.file", key, format!("{shown} is its owner's alone")),
    }
}

// --- certificates

fn certificates(config: &Config, now: UtcMillis) -> Vec<Check> {
    let named = [
        ("admin.certificate", &config.admin.certificate, Some(&config.devices.server_ca)),
        ("links.certificate", &config.links.certificate, Some(&config.links.ca)),
        ("links.ca", &config.links.ca, None),
        ("devices.ca", &config.devices.ca, None),
        ("devices.server_ca", &config.devices.server_ca, None),
    ];
    let mut all = Vec::new();
    for (key, path, ca) in named {
        let path = config.at(path);
        match first(&path) {
            Err(why) => all.push(check(
                "certificate.file",
                key,
                Verdict::Fail,
                why,
                "put the file back from a backup, or issue it anew",
            )),
            Ok(der) => {
                all.push(expiry(key, &der, now));
                all.extend(ca.and_then(|ca| chain(key, &der, &config.at(ca))));
            }
        }
    }
    if let Err(error) =
        Certificate::load(&config.at(&config.admin.certificate), &config.at(&config.admin.key))
    {
        all.push(check(
            "certificate.key",
            "admin.certificate",
            Verdict::Fail,
            error.to_string(),
            "put certificate and key back as a pair; the core does not start without them",
        ));
    }
    all
}

fn first(path: &Path) -> Result<Vec<u8>, String> {
    let pem = files::read(path).map_err(|error| error.to_string())?;
    let der = CertificateDer::from_pem_slice(pem.as_bytes())
        .map_err(|_| format!("{} holds no certificate", path.display()))?;
    Ok(der.to_vec())
}

fn expiry(key: &str, der: &[u8], now: UtcMillis) -> Check {
    let Ok((_, certificate)) = X509Certificate::from_der(der) else {
        return check("certificate.expiry", key, Verdict::Fail, "it is not X.509", "issue it anew");
    };
    let ms = |seconds: i64| UtcMillis(seconds.saturating_mul(1000));
    let (before, after) =
        (ms(certificate.validity().not_before.timestamp()), ms(certificate.validity().not_after.timestamp()));
    let left = after.since(now);
    let days = left / DAY_MS;
    let renew =
        "renew it (docs/OPERATIONS.md, certificate.expiry); the core takes the new file without a restart";
    if left <= 0 {
        return check("certificate.expiry", key, Verdict::Fail, format!("it expired at {after}"), renew);
    }
    if before.since(now) > 0 {
        let finding = format!("it is not valid before {before}");
        return check(
            "certificate.expiry",
            key,
            Verdict::Fail,
            finding,
            "look at this machine's clock first",
        );
    }
    if left < (after.since(before) / 3).min(30 * DAY_MS) {
        return check("certificate.expiry", key, Verdict::Warn, format!("it expires in {days} days"), renew);
    }
    ok("certificate.expiry", key, format!("it is good for {days} more days, until {after}"))
}

/// Whether the certificate names one of the CAs of `ca` as its issuer. An admin port's may come from elsewhere.
fn chain(key: &str, der: &[u8], ca: &Path) -> Option<Check> {
    let pem = files::read(ca).ok()?;
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let found = CertificateDer::pem_slice_iter(pem.as_bytes()).flatten().any(|der| {
        X509Certificate::from_der(&der)
            .is_ok_and(|(_, issuer)| issuer.subject().as_raw() == certificate.issuer().as_raw())
    });
    let issuer = certificate.issuer().to_string();
    Some(match (found, key) {
        (true, _) => ok("certificate.chain", key, format!("its issuer {issuer} is in {}", ca.display())),
        (false, "admin.certificate") => ok(
            "certificate.chain",
            key,
            format!("it comes from another CA: {issuer}; clients have to trust that"),
        ),
        (false, _) => check(
            "certificate.chain",
            key,
            Verdict::Fail,
            format!("its issuer {issuer} is not in {}", ca.display()),
            "gateways refuse this core: put the certificate and the CA of the same installation together",
        ),
    })
}

// --- disks

fn disks(config: &Config) -> Vec<Check> {
    let mut places: Vec<(&str, PathBuf)> = vec![("state folder", config.at(Path::new(".")))];
    if config.database.kind == DatabaseKind::Sqlite {
        let database = config.at(&config.database.path);
        places.push(("database", database.parent().map_or_else(|| database.clone(), Path::to_owned)));
    }
    places.into_iter().map(|(what, path)| disk(what, &path)).collect()
}

fn disk(what: &str, path: &Path) -> Check {
    let shown = path.display();
    let stat = match rustix::fs::statvfs(path) {
        Ok(stat) => stat,
        Err(error) => {
            let finding = format!("{shown} cannot be looked at: {error}");
            return check("disk.free", what, Verdict::Fail, finding, "look whether the disk is mounted");
        }
    };
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    let all = stat.f_blocks.saturating_mul(stat.f_frsize);
    let finding = format!("{} MiB of {} MiB are free on the disk of {shown}", free >> 20, all >> 20);
    let remedy = "make room or enlarge the disk; new orders are refused with 507 when it is full, wipes have a reserve";
    if stat.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY) {
        let finding = format!("the disk of {shown} is mounted read-only");
        return check(
            "disk.free",
            what,
            Verdict::Fail,
            finding,
            "look at the kernel's log, then mount it anew",
        );
    }
    match free {
        free if free < ROOM_FAIL => check("disk.free", what, Verdict::Fail, finding, remedy),
        free if free < ROOM_WARN.min(all / 10) => check("disk.free", what, Verdict::Warn, finding, remedy),
        _ => ok("disk.free", what, finding),
    }
}

// --- the database

fn database(config: &Config, now: UtcMillis, elapsed: &StopWatch, id: Uuid) -> Vec<Check> {
    let options = match run::options(config, id) {
        Ok(options) => options,
        Err(error) => {
            let remedy = "correct `database` in the configuration";
            return vec![check("database.reach", "", Verdict::Fail, error.to_string(), remedy)];
        }
    };
    if let postern_store::Place::Sqlite { path } = &options.place
        && !path.exists()
    {
        let finding = format!("{} is not there; the first start makes it", path.display());
        return vec![check(
            "database.reach",
            "",
            Verdict::Warn,
            finding,
            "start the core, or restore a backup",
        )];
    }
    // PostgreSQL's connection has a runtime of its own, which must not be inside another.
    let found = std::thread::scope(|scope| {
        let asked = scope.spawn(|| examine::examine(&options, elapsed));
        asked
            .join()
            .unwrap_or_else(|_| Err(postern_store::StoreError::Database("the look panicked".to_owned())))
    });
    match found {
        Ok(found) => judged(&found, now),
        Err(error) => vec![check(
            "database.reach",
            "",
            Verdict::Fail,
            error.to_string(),
            "look at the database server and its log, the network and the URL's file",
        )],
    }
}

fn judged(found: &Examined, now: UtcMillis) -> Vec<Check> {
    let took = found.connect + found.answer;
    let size = format!("{} {}, {} MiB", found.kind, found.version, found.octets >> 20);
    let mut all = vec![if found.answer > SLOW {
        check(
            "database.reach",
            "",
            Verdict::Warn,
            format!("{size}; it took {} ms to answer", found.answer.as_millis()),
            "look at the server's load and disk: each order waits for it",
        )
    } else {
        ok("database.reach", "", format!("{size}, connected and answered in {} ms", took.as_millis()))
    }];
    if found.read_only {
        all.push(check(
            "database.writable",
            "",
            Verdict::Fail,
            "the server is a replica in recovery: it takes no writes",
            "point the URL at the primary, or promote this one",
        ));
    }
    all.push(match (found.unknown.as_slice(), found.missing.as_slice()) {
        ([], []) => ok("database.migrations", "", "the schema is this release's"),
        ([], missing) => check(
            "database.migrations",
            "",
            Verdict::Warn,
            format!("{} migrations wait for the next start: {}", missing.len(), missing.join(", ")),
            "start the core; it migrates by itself (back up first)",
        ),
        (unknown, _) => check(
            "database.migrations",
            "",
            Verdict::Warn,
            format!("a newer release was here: {} is not known to this one", unknown.join(", ")),
            "run the newer release everywhere; one release back works for the time of an update",
        ),
    });
    if let Some(clock) = found.clock {
        all.push(skew("clock.database", "", clock.since(now), "the database server's clock"));
    }
    if let (Some(number), Some(at)) = (found.epoch, found.renewed_at) {
        let held = if found.released { "given up in order".to_owned() } else { format!("renewed at {at}") };
        all.push(ok("database.epoch", "", format!("epoch {number}, {held}")));
    }
    all
}

/// A clock against this core's.
pub(crate) fn skew(name: &str, subject: impl Into<String>, ms: i64, whose: &str) -> Check {
    let finding = format!("{whose} is {ms} ms from the core's");
    let remedy = "let both machines take their time from the same NTP servers (chrony or systemd-timesyncd)";
    let verdict = match ms.saturating_abs() {
        ms if ms >= SKEW_FAIL_MS => Verdict::Fail,
        ms if ms >= SKEW_WARN_MS => Verdict::Warn,
        _ => return ok(name, subject, finding),
    };
    check(name, subject, verdict, finding, remedy)
}

/// Whether something keeps this machine's clock. A hint: containers have their host's.
fn time_source() -> Check {
    let signs = ["/run/systemd/timesync/synchronized", "/run/chrony/chronyd.pid", "/run/ntpd.pid"];
    match signs.into_iter().find(|path| Path::new(path).exists()) {
        Some(sign) => {
            ok("clock.source", "", format!("something keeps the clock ({sign}); Postern works in UTC"))
        }
        None => check(
            "clock.source",
            "",
            Verdict::Warn,
            "no sign of a time service on this machine",
            "run chrony or systemd-timesyncd, unless this is a container whose host does",
        ),
    }
}
