//! Certificates and CRLs: listed, issued, renewed, revoked, imported.

use actix_web::web;
use postern_actors::{Announce as _, AuthorityError};
use postern_api::{
    Page, Time,
    ca::{
        Certificate, CertificateQuery, Crl, ImportCrl, ImportedCrl, IssueCertificate, IssueFor,
        IssuedCertificate, RenewCertificate, RevokeCertificate,
    },
    problem::Slug,
};
use postern_store::{
    Reader, StoreError,
    authorities::{self, Authority},
    certificates, crls,
};
use postern_wire::{
    link::{CORE_URI_PREFIX, CertificateName, GATEWAY_URI_PREFIX},
    terms::{CaRole, CaState, UtcMillis},
};
use serde_json::json;

use super::{
    answer::{self, Answer, Window},
    auth::Caller,
    cut_off,
    devices::REASON,
    problem::Refused,
    write::{Done, Stop},
};
use crate::{
    ca::{self, DAY_MS, OWN_DAYS, Subject, certificates_in, chain_of, crl, request_der},
    config,
    inside::Inside,
};

const LIST: &str = "certificates";
/// The longest that a server or link certificate holds, in days.
const MOST_DAYS: u32 = 825;
/// Most names of a server certificate.
const NAMES: usize = 64;
/// Longest name, in characters.
const NAME: usize = 253;

pub(super) async fn list(
    inside: web::Data<Inside>,
    query: web::Query<CertificateQuery>,
    _: Caller,
) -> Answer {
    let query = query.into_inner();
    let window = Window::read(LIST, query.limit, query.cursor.as_deref())?;
    let (now, after, fetch) = (inside.now(), window.after.clone().unwrap_or_default(), window.fetch());
    let filter = certificates::Filter {
        role: query.role,
        subject: query.subject,
        revoked: query.revoked,
        ends_before: query.ends_within_days.map(|days| now.plus(i64::from(days) * DAY_MS)),
    };
    let rows = inside.store.read(move |r| certificates::list(r, &filter, &after, fetch)).await?;
    answer::ok(&window.page(LIST, rows, |row| row.serial.clone(), |row| view(row, now)))
}

pub(super) async fn show(inside: web::Data<Inside>, path: web::Path<String>, _: Caller) -> Answer {
    let serial = path.into_inner();
    let row = inside.store.read(move |r| Ok(find(r, &serial))).await??;
    answer::ok(&view(row, inside.now()))
}

fn find(r: &mut Reader, serial: &str) -> Result<certificates::Certificate, Refused> {
    let mut found = certificates::by_serial(r, serial)?;
    match found.len() {
        1 => Ok(found.swap_remove(0)),
        0 => Err(Refused::not_found("certificate", serial)),
        _ => Err(Refused::new(Slug::WrongState, "several CAs have given this serial number")),
    }
}

fn view(row: certificates::Certificate, now: UtcMillis) -> Certificate {
    let state = match (&row.revoked_at, &row.replaced_by) {
        (Some(_), _) => "revoked",
        (None, _) if now > row.not_after => "expired",
        (None, Some(_)) => "replaced",
        (None, None) => "valid",
    };
    Certificate {
        serial: row.serial,
        issuer: row.issuer,
        role: row.role,
        generation: u32::try_from(row.authority).unwrap_or(0),
        subject: row.subject,
        fingerprint: data_encoding::HEXLOWER.encode(&row.fingerprint),
        not_before: Time(row.not_before),
        not_after: Time(row.not_after),
        issued_at: Time(row.issued_at),
        state: state.to_owned(),
        revoked_at: row.revoked_at.map(Time),
        reason: row.reason,
        replaced_by: row.replaced_by,
    }
}

pub(super) async fn issue(
    inside: web::Data<Inside>,
    body: web::Json<IssueCertificate>,
    caller: Caller,
) -> Answer {
    let body = body.into_inner();
    let subject = subject(body.what, &body.id, &body.names)?;
    let reason = answer::optional_text("/reason", body.reason.as_deref(), REASON)?;
    issued(&inside, &caller, &subject, &body.csr_pem, body.days, None, reason).await
}

pub(super) async fn renew(
    inside: web::Data<Inside>,
    path: web::Path<String>,
    body: web::Json<RenewCertificate>,
    caller: Caller,
) -> Answer {
    let (serial, body) = (path.into_inner(), body.into_inner());
    let reason = answer::optional_text("/reason", body.reason.as_deref(), REASON)?;
    let row = inside.store.read(move |r| Ok(find(r, &serial))).await??;
    let server = row.role == CaRole::Server;
    let (what, id) = if let Some(name) = row.subject.strip_prefix(GATEWAY_URI_PREFIX) {
        (if server { IssueFor::GatewayServer } else { IssueFor::GatewayLink }, name)
    } else if let Some(id) = row.subject.strip_prefix(CORE_URI_PREFIX) {
        (if server { IssueFor::CoreServer } else { IssueFor::CoreLink }, id)
    } else {
        return Err(Refused::new(
            Slug::WrongState,
            "a device's certificate is renewed in its own session: see `enrolment`",
        ));
    };
    let subject = subject(what, id, &body.names)?;
    issued(&inside, &caller, &subject, &body.csr_pem, body.days, Some(row.serial), reason).await
}

fn subject(what: IssueFor, id: &str, names: &[String]) -> Result<Subject, Refused> {
    let server = matches!(what, IssueFor::GatewayServer | IssueFor::CoreServer);
    if names.len() > NAMES {
        return Err(Refused::invalid("/names", format!("at most {NAMES} names")));
    }
    if server == names.is_empty() {
        let text = if server { "a server needs its names" } else { "a link certificate bears no host names" };
        return Err(Refused::invalid("/names", text));
    }
    for name in names {
        let good = |c: char| c.is_ascii_alphanumeric() || "-.:*".contains(c);
        if name.is_empty() || name.len() > NAME || !name.chars().all(good) {
            return Err(Refused::invalid("/names", format!("{name:?} is no host name or address")));
        }
    }
    let gateway = || {
        config::is_gateway_name(id)
            .then(|| id.to_owned())
            .ok_or_else(|| Refused::invalid("/id", "use lower-case letters, digits and hyphens, at most 63"))
    };
    let core = || id.parse().map_err(|_| Refused::invalid("/id", "a core has a UUID: see its core.toml"));
    Ok(match what {
        IssueFor::GatewayLink => Subject::GatewayLink(gateway()?),
        IssueFor::CoreLink => Subject::CoreLink(core()?),
        IssueFor::GatewayServer => Subject::Server { role: "gateway", id: gateway()?, names: names.to_vec() },
        IssueFor::CoreServer => {
            let id: uuid::Uuid = core()?;
            Subject::Server { role: "core", id: id.to_string(), names: names.to_vec() }
        }
    })
}

async fn issued(
    inside: &Inside,
    caller: &Caller,
    subject: &Subject,
    csr_pem: &str,
    days: Option<u32>,
    replaces: Option<String>,
    reason: Option<String>,
) -> Answer {
    let days = days.unwrap_or(OWN_DAYS);
    if !(1..=MOST_DAYS).contains(&days) {
        return Err(Refused::invalid("/days", format!("1 to {MOST_DAYS} days")));
    }
    let bad = |text: String| Refused::new(Slug::InvalidCsr, text.clone()).item("/csr_pem", text);
    let request = request_der(csr_pem).map_err(|error| bad(error.to_string()))?;
    let now = inside.now();
    let made = inside.authorities.certify(&request, subject, days, now).map_err(|error| match error {
        AuthorityError::Request(_) => bad(error.to_string()),
        AuthorityError::Unavailable(_) => Refused::new(Slug::Unavailable, error.to_string()),
    })?;
    let chain_pem = made.chain_pem();
    let certificate = inside
        .change(caller, move |tx| {
            ca::keep(tx, &made, 0)?;
            let row = certificates::find(tx, &made.name)?.ok_or(StoreError::NotFound("certificate"))?;
            let detail = json!({
                "subject": row.subject, "serial": row.serial, "generation": row.authority, "days": days,
                "replaces": replaces, "reason": reason,
            });
            Ok(Done { object: format!("certificate:{}", row.serial), detail, value: view(row, tx.now()) })
        })
        .await?;
    answer::json(201, &IssuedCertificate { certificate, chain_pem })
}

pub(super) async fn revoke(
    inside: web::Data<Inside>,
    path: web::Path<String>,
    body: web::Json<RevokeCertificate>,
    caller: Caller,
) -> Answer {
    let (serial, body) = (path.into_inner(), body.into_inner());
    let note = answer::optional_text("/note", body.note.as_deref(), REASON)?;
    let active = inside.active()?;
    let reason = body.reason;
    // To revoke a device's certificate is to take the device away: it is counted like that.
    let named = serial.clone();
    let device = inside.store.read(move |r| match find(r, &named) {
        Ok(row) => cut_off::device_of(r, &row),
        Err(_) => Ok(None),
    });
    let device: Vec<_> = device.await?.into_iter().collect();
    let what = json!({ "serial": serial, "reason": reason.as_str() });
    cut_off::admitted(&inside, &caller, device, what, note.as_deref().unwrap_or_default()).await?;
    let revoked = inside
        .change(&caller, move |tx| {
            find(tx, &serial)?;
            let revoked = certificates::revoke(tx, &serial, reason)?;
            let row = &revoked.certificate;
            let detail = json!({
                "subject": row.subject, "reason": reason, "note": note,
                "verdict": revoked.blocked.as_ref().map(|entry| entry.verdict.as_str()),
            });
            Ok::<_, Stop>(Done { object: format!("certificate:{}", row.serial), detail, value: revoked })
        })
        .await?;
    if let Some(entry) = revoked.blocked {
        active.told.blocked(entry);
    }
    inside.certificates_due.notify_one();
    answer::ok(&view(revoked.certificate, inside.now()))
}

pub(super) async fn crl_list(inside: web::Data<Inside>, _: Caller) -> Answer {
    let items = inside
        .store
        .read(|r| {
            let ours = authorities::list(r)?.into_iter().filter(is_listed).map(|row| ours(&row, false));
            let mut all: Vec<Crl> = ours.collect();
            all.extend(crls::list(r)?.into_iter().map(imported));
            Ok(all)
        })
        .await?;
    answer::ok(&Page { items, next_cursor: None })
}

fn is_listed(row: &Authority) -> bool {
    !row.key_file.is_empty() && row.state != CaState::Requested
}

pub(super) async fn crl_show(inside: web::Data<Inside>, path: web::Path<String>, _: Caller) -> Answer {
    let issuer = path.into_inner();
    let found = inside
        .store
        .read(move |r| {
            if let Some(row) = authorities::by_issuer(r, &issuer)?.filter(is_listed) {
                return Ok(Ok(ours(&row, true)));
            }
            Ok(crls::find(r, &issuer)?.map(imported).ok_or_else(|| Refused::not_found("CRL", &issuer)))
        })
        .await??;
    answer::ok(&found)
}

fn ours(row: &Authority, with_octets: bool) -> Crl {
    Crl {
        issuer: row.issuer.clone(),
        name: row.name.clone(),
        ours: true,
        number: row.crl_number.to_string(),
        this_update: row.crl_at.map(Time),
        next_update: row.crl_next.map(Time),
        der_base64: row.crl.as_ref().filter(|_| with_octets).map(|der| data_encoding::BASE64.encode(der)),
    }
}

fn imported(row: crls::Imported) -> Crl {
    Crl {
        issuer: row.issuer,
        name: row.name,
        ours: false,
        number: row.number,
        this_update: Some(Time(row.this_update)),
        next_update: row.next_update.map(Time),
        der_base64: None,
    }
}

pub(super) async fn crl_import(
    inside: web::Data<Inside>,
    body: web::Json<ImportCrl>,
    caller: Caller,
) -> Answer {
    let body = body.into_inner();
    let reason = answer::optional_text("/reason", body.reason.as_deref(), REASON)?;
    let octets = data_encoding::BASE64
        .decode(body.crl_base64.as_bytes())
        .map_err(|_| Refused::invalid("/crl_base64", "this is not base64"))?;
    let active = inside.active()?;
    let all = inside.store.read(authorities::list).await?;
    let given = body.issuer_pem.as_deref().map(certificates_in).unwrap_or_default();
    let known: Vec<Vec<u8>> = all.iter().flat_map(chain_of).chain(given).map(|der| der.to_vec()).collect();
    let foreign = crl::judge(&octets, &known, inside.now()).map_err(|bad| {
        Refused::new(Slug::InvalidCrl, bad.to_string()).item("/crl_base64", bad.to_string())
    })?;
    if all.iter().any(|row| row.issuer == foreign.crl.issuer && is_listed(row)) {
        return Err(Refused::new(
            Slug::WrongState,
            "this CRL is one of ours: revoke the certificates instead",
        ));
    }
    let (read, retires) = (foreign.clone(), own_listed(&all, &foreign));
    let devices = inside.store.read(move |r| {
        let entries = read.entries.iter();
        let names: Vec<_> = entries
            .map(|entry| CertificateName { serial: entry.serial.clone(), issuer: read.crl.issuer.clone() })
            .collect();
        let mut devices = cut_off::devices_of_list(r, &names)?;
        for generation in &retires {
            devices.extend(cut_off::devices_of_generation(r, *generation)?);
        }
        Ok(devices)
    });
    let what = json!({ "crl": foreign.crl.name, "issuer": foreign.crl.issuer, "number": foreign.crl.number });
    cut_off::admitted(&inside, &caller, devices.await?, what, reason.as_deref().unwrap_or_default()).await?;
    let by = caller.name();
    let (imported_row, blocking, retired) = inside
        .change(&caller, move |tx| {
            let mut row = foreign.crl.clone();
            row.imported_by.clone_from(&by);
            let blocking = crls::import(tx, row.clone(), foreign.entries.clone())?;
            let mut retired = Vec::new();
            for authority in &all {
                let Some(name) = own_name(authority) else { continue };
                let listed = name.issuer == row.issuer
                    && foreign.entries.iter().any(|entry| entry.serial == name.serial);
                if listed && authority.state != CaState::Retired {
                    authorities::set_state(tx, authority.role, authority.generation, CaState::Retired)?;
                    retired.push(authority.name.clone());
                }
            }
            let detail = json!({
                "name": row.name, "number": row.number, "entries": row.entries,
                "blocked": blocking.add.len(), "freed": blocking.remove.len(), "retired": retired,
                "reason": reason,
            });
            let object = format!("crl:{}", row.issuer);
            Ok::<_, Stop>(Done { object, detail, value: (row, blocking, retired) })
        })
        .await?;
    let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
    let answer = ImportedCrl {
        blocked: count(blocking.add.len()),
        freed: count(blocking.remove.len()),
        crl: imported(imported_row),
        retired,
    };
    active.told.block(blocking.add, blocking.remove);
    if !answer.retired.is_empty() {
        tracing::error!(retired = ?answer.retired, "an imported CRL lists our own CA: it is retired");
        ca::changed(&inside).await?;
    }
    answer::ok(&answer)
}

/// The generations of the device CA that a CRL lists and that are not retired yet.
fn own_listed(all: &[Authority], foreign: &crl::Foreign) -> Vec<i64> {
    let live = all.iter().filter(|row| row.role == CaRole::Device && row.state != CaState::Retired);
    live.filter(|row| {
        own_name(row).is_some_and(|name| {
            name.issuer == foreign.crl.issuer
                && foreign.entries.iter().any(|entry| entry.serial == name.serial)
        })
    })
    .map(|row| row.generation)
    .collect()
}

/// A CA's own certificate as its issuer's CRL names it.
fn own_name(row: &Authority) -> Option<CertificateName> {
    use x509_parser::prelude::{FromDer as _, X509Certificate};
    let chain = chain_of(row);
    let (_, read) = X509Certificate::from_der(chain.first()?).ok()?;
    Some(CertificateName::new(read.raw_serial(), read.issuer().as_raw()))
}
