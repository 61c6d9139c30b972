//! Devices: enrol, list, show, change, retire.

use std::time::Duration;

use actix_web::{HttpRequest, web};
use postern_actors::{Authority as _, AuthorityError, DeviceCsr, IssuedDevice, NewEnrolment};
use postern_api::{
    Time,
    devices::{
        Device, DeviceCertificate, DeviceQuery, EnrolDevice, Enrolled, EnrolmentFile, Fact, ReasonQuery,
        StateFilter, UpdateDevice,
    },
    groups::GroupRef,
    problem::Slug,
};
use postern_store::{Reader, StoreError, enrolments, facts, groups, lives, recovery};
use postern_wire::terms::{AuthType, Dialect, EnrolmentId, EnrolmentState, ProofClass, UtcMillis};
use secrecy::SecretString;
use serde_json::json;
use uuid::Uuid;

use super::{
    answer::{self, Answer, IfMatch, Window},
    auth::Caller,
    enrolment,
    problem::Refused,
    quirks,
    write::{Done, Keep, Stop},
};
use crate::{
    ca::{certificate_pem, request_der},
    inside::{Active, Inside},
    schedule::Eye,
};

const LIST: &str = "devices";
/// How long the answer to an enrolment waits for the gateways to know its route.
const ROUTES_WAIT: Duration = Duration::from_secs(2);
/// Longest DevId, name, owner and hardware id, in characters.
const NAME: usize = 256;
/// Longest user name and password, in characters.
const CREDENTIAL: usize = 128;
/// Longest reason, in characters.
pub(super) const REASON: usize = 1000;

pub(super) async fn list(inside: web::Data<Inside>, query: web::Query<DeviceQuery>, _: Caller) -> Answer {
    let query = query.into_inner();
    let window = Window::read(LIST, query.limit, query.cursor.as_deref())?;
    let after: Option<EnrolmentId> = window.place()?;
    let fetch = window.fetch();
    let eye = Eye::of(&inside);
    let rows = inside.store.read(move |r| Ok(matching(r, &eye, &query, after, fetch))).await??;
    answer::ok(&window.page(LIST, rows, |device| device.id.to_string(), |device| device))
}

/// Up to `wanted` devices after `after` that fit the query.
fn matching(
    r: &mut Reader,
    eye: &Eye,
    query: &DeviceQuery,
    mut after: Option<EnrolmentId>,
    wanted: i64,
) -> Result<Vec<Device>, Refused> {
    let group = match &query.group {
        Some(name) => Some(groups::find(r, name)?.ok_or_else(|| Refused::not_found("group", name))?.id),
        None => None,
    };
    let filter = enrolments::Filter {
        state: query.state.and_then(StateFilter::state),
        owner: query.owner.clone(),
        text: query.q.clone(),
        not_seen_since: query.seen_before.map(|time| time.0),
        group: None,
    };
    let wanted = usize::try_from(wanted).unwrap_or(usize::MAX);
    let overdue = query.state == Some(StateFilter::Overdue);
    let everything = eye.everything(r)?;
    let mut found = Vec::new();
    loop {
        let mut rows = Vec::new();
        let ids = match group {
            Some(group) => groups::members(r, group, after, 500)?,
            None if overdue => eye.overdue(r, after, 500)?,
            None => {
                rows = enrolments::list(r, &filter, after, 500)?;
                Vec::new()
            }
        };
        for id in ids {
            rows.extend(enrolments::find(r, id)?);
        }
        let Some(last) = rows.last() else { return Ok(found) };
        after = Some(last.id);
        for row in rows.into_iter().filter(|row| fits(row, query)) {
            let device = view(r, row, false)?;
            let device = eye.scheduled(r, &everything, device)?;
            if overdue && device.schedule.as_ref().is_none_or(|schedule| schedule.overdue_since.is_none()) {
                continue;
            }
            found.push(device);
            if found.len() == wanted {
                return Ok(found);
            }
        }
    }
}

/// What the query asks beside what the database filtered by; all of it for a group's members.
fn fits(row: &enrolments::Enrolment, query: &DeviceQuery) -> bool {
    let state = query.state.and_then(StateFilter::state);
    state.map_or(row.state != EnrolmentState::Retired, |state| row.state == state)
        && query.pending.is_none_or(|pending| pending == (row.pending > 0))
        && query.owner.as_ref().is_none_or(|owner| row.owner.as_ref() == Some(owner))
        && query.q.as_ref().is_none_or(|text| {
            let text = text.to_lowercase();
            row.name.to_lowercase().contains(&text) || row.device_id.to_lowercase().contains(&text)
        })
        && query.seen_before.is_none_or(|before| row.last_seen_at.is_none_or(|at| at < before.0))
}

pub(super) async fn show(inside: web::Data<Inside>, path: web::Path<String>, _: Caller) -> Answer {
    let name = path.into_inner();
    let eye = Eye::of(&inside);
    let device = inside.store.read(move |r| Ok(show_row(r, &eye, &name))).await??;
    answer::tagged(200, device.revision, &device)
}

pub(super) fn show_row(r: &mut Reader, eye: &Eye, name: &str) -> Result<Device, Refused> {
    let row = resolve(r, name)?;
    let device = view(r, row, true)?;
    let everything = eye.everything(r)?;
    Ok(eye.scheduled(r, &everything, device)?)
}

/// The one device that a name means: of several, the one that is not retired.
pub(super) fn resolve(r: &mut Reader, name: &str) -> Result<enrolments::Enrolment, Refused> {
    let mut named = enrolments::named(r, name)?;
    if named.len() > 1 {
        let live: Vec<_> = named.iter().filter(|row| row.state != EnrolmentState::Retired).cloned().collect();
        if !live.is_empty() {
            named = live;
        }
    }
    match named.len() {
        0 => Err(Refused::not_found("device", name)),
        1 => Ok(named.swap_remove(0)),
        _ => Err(named.iter().fold(
            Refused::new(
                Slug::AmbiguousDevice,
                "the name fits several devices; take the id of the one you mean",
            ),
            |refused, row| refused.item(row.id.to_string(), format!("{} ({})", row.name, row.device_id)),
        )),
    }
}

/// Where a device's life stands: a new one that was seen is in its first session.
const fn stage(state: EnrolmentState, first_seen: Option<UtcMillis>) -> &'static str {
    match (state, first_seen) {
        (EnrolmentState::New, None) => "enrolled",
        (EnrolmentState::New, Some(_)) => "first-session",
        (EnrolmentState::Managed, _) => "managed",
        (EnrolmentState::Retired, _) => "retired",
        (EnrolmentState::Quarantined, _) => "quarantined",
    }
}

/// A row as the API shows it.
pub(super) fn view(
    r: &mut Reader,
    row: enrolments::Enrolment,
    with_facts: bool,
) -> Result<Device, StoreError> {
    let groups = groups::of_device(r, row.id)?;
    let facts = if with_facts { facts::of(r, row.id)? } else { Vec::new() };
    let life = if with_facts { lives::find(r, row.id)?.map(enrolment::life) } else { None };
    let profiles = if with_facts { quirks::applied(r, &facts)? } else { Vec::new() };
    let certificate = row.certificate_serial.map(|serial| DeviceCertificate {
        serial,
        fingerprint: data_encoding::HEXLOWER.encode(&row.certificate_fingerprint.unwrap_or_default()),
        not_after: row.certificate_not_after.map(Time),
    });
    Ok(Device {
        id: row.id,
        generation: u32::try_from(row.generation).unwrap_or(u32::MAX),
        name: (row.name != row.device_id).then_some(row.name),
        device_id: row.device_id,
        owner: row.owner,
        hardware_id: row.hardware_id,
        state: row.state,
        stage: stage(row.state, row.first_seen_at).to_owned(),
        schedule: None,
        auth: row.auth,
        proof_class: row.proof_floor,
        dialect: row.dialect,
        created_at: Time(row.created_at),
        first_seen: row.first_seen_at.map(Time),
        last_seen: row.last_seen_at.map(Time),
        last_source: row.last_source,
        last_gateway: row.last_gateway,
        pending: u64::try_from(row.pending).unwrap_or(0),
        groups: groups.into_iter().map(|group| GroupRef { id: group.id, name: group.name }).collect(),
        certificate,
        retired_at: row.retired_at.map(Time),
        retired_because: row.retired_because,
        life,
        profiles,
        facts: facts
            .into_iter()
            .map(|fact| Fact { key: fact.key, value: fact.value, at: Time(fact.at) })
            .collect(),
        revision: u64::try_from(row.revision).unwrap_or(0),
    })
}

pub(super) async fn update(
    inside: web::Data<Inside>,
    request: HttpRequest,
    path: web::Path<String>,
    body: web::Json<UpdateDevice>,
    caller: Caller,
) -> Answer {
    let (name, body) = (path.into_inner(), body.into_inner());
    let if_match = IfMatch::read(&request)?;
    let new_name = answer::optional_text("/name", body.name.as_deref(), NAME)?;
    let owner = answer::optional_text("/owner", body.owner.as_deref(), NAME)?;
    let hardware_id = answer::optional_text("/hardware_id", body.hardware_id.as_deref(), NAME)?;
    let device = inside
        .change(&caller, move |tx| {
            let mut row = resolve(tx, &name)?;
            let revision = if_match.check(u64::try_from(row.revision).unwrap_or(0))?;
            if body.name.is_some() {
                row.name = new_name.clone().unwrap_or_else(|| row.device_id.clone());
            }
            if body.owner.is_some() {
                row.owner.clone_from(&owner);
            }
            if body.hardware_id.is_some() {
                row.hardware_id.clone_from(&hardware_id);
            }
            let revision = i64::try_from(revision).unwrap_or(i64::MAX);
            enrolments::describe(
                tx,
                row.id,
                revision,
                &row.name,
                row.owner.as_deref(),
                row.hardware_id.as_deref(),
            )?;
            let row = enrolments::get(tx, row.id)?;
            let id = row.id;
            let detail = json!({"name": row.name, "owner": row.owner, "hardware_id": row.hardware_id});
            Ok(Done { object: format!("device:{id}"), detail, value: view(tx, row, true)? })
        })
        .await?;
    answer::tagged(200, device.revision, &device)
}

pub(super) async fn retire(
    inside: web::Data<Inside>,
    path: web::Path<String>,
    query: web::Query<ReasonQuery>,
    caller: Caller,
) -> Answer {
    let reason = answer::optional_text("reason", query.reason.as_deref(), REASON)?.unwrap_or_default();
    let active = inside.active()?;
    let name = path.into_inner();
    let row = inside.store.read(move |r| Ok(resolve(r, &name))).await??;
    active.devices.retire(row.id, caller.actor(), reason).await?;
    let device = inside.store.read(move |r| show_one(r, row.id)).await?;
    answer::tagged(200, device.revision, &device)
}

fn show_one(r: &mut Reader, id: EnrolmentId) -> Result<Device, StoreError> {
    let row = enrolments::get(r, id)?;
    view(r, row, true)
}

pub(super) async fn enrol(inside: web::Data<Inside>, body: web::Json<EnrolDevice>, caller: Caller) -> Answer {
    by_hand(&inside, body.into_inner(), &caller, None).await
}

/// A new generation of a device, by hand.
pub(super) async fn re_enrol(
    inside: web::Data<Inside>,
    path: web::Path<String>,
    body: web::Json<EnrolDevice>,
    caller: Caller,
) -> Answer {
    let name = path.into_inner();
    let row = inside.store.read(move |r| Ok(resolve(r, &name))).await??;
    by_hand(&inside, body.into_inner(), &caller, Some(row.id)).await
}

async fn by_hand(inside: &Inside, body: EnrolDevice, caller: &Caller, renews: Option<EnrolmentId>) -> Answer {
    let asked = Asked::check(inside, body)?;
    let active = inside.active()?;
    let group_ids = group_ids(inside, &asked.groups).await?;
    let ca_pem = inside.authorities.anchors().server.iter().map(|der| certificate_pem(der)).collect();
    let id = renews.unwrap_or_else(|| active.devices.next_enrolment_id());
    let certificate = asked.certificate(inside, id)?;
    let secret = |text: &Option<String>| text.clone().map(SecretString::from);
    let enrolled = active
        .devices
        .enrol(NewEnrolment {
            id,
            device_id: asked.device_id.clone(),
            name: asked.name.clone(),
            owner: asked.owner.clone(),
            hardware_id: asked.hardware_id.clone(),
            auth: asked.auth,
            floor: floor(asked.auth),
            dialect: asked.dialect,
            user: asked.user.clone(),
            password: secret(&asked.password),
            server_id: asked.server_id.clone(),
            server_password: secret(&asked.server_password),
            certificate: certificate.as_ref().map(IssuedDevice::facts),
            replace: renews.is_some(),
            actor: caller.actor(),
            reason: asked.reason.clone(),
        })
        .await?;
    known_to_gateways(&active).await;
    // without it the device has its first escrow key from an order
    let escrow_key = inside.store.read(recovery::current_key).await.ok().flatten();
    let escrow_key = escrow_key.and_then(|key| key.key().ok()).map(|key| key.to_base64());
    let enrolment = EnrolmentFile {
        server_uri: format!("{}{}", inside.config.devices.url, enrolled.route.path()),
        enrolment: enrolled.enrolment,
        generation: u32::try_from(enrolled.generation).unwrap_or(u32::MAX),
        device_id: asked.device_id,
        server_id: asked.server_id,
        auth: asked.auth,
        user: asked.user,
        password: asked.password,
        server_password: asked.server_password,
        certificate_pem: certificate.as_ref().map(chain_pem),
        ca_pem,
        message_key_pem: inside.message_public_pem.clone(),
        order_key_pem: inside.order_public_pem.clone(),
        escrow_key,
    };
    // The credentials are committed and shown nowhere else: from here on nothing may keep the answer back but
    // the loss of the database itself.
    let id = enrolled.enrolment;
    let answered = inside
        .change_once(caller, Keep::Sealed(201), move |tx| {
            for group in &group_ids {
                groups::add_device(tx, *group, id)?;
            }
            let row = enrolments::get(tx, id)?;
            let device = view(tx, row, true)?;
            let names: Vec<String> = device.groups.iter().map(|group| group.name.clone()).collect();
            let value = Enrolled { device, enrolment: enrolment.clone() };
            Ok::<_, Stop>(Done { object: format!("device:{id}"), detail: json!({"groups": names}), value })
        })
        .await?;
    answer::tagged(201, answered.device.revision, &answered)
}

/// Waits a little until the gateways know the route, so that a device that starts at once is served. A gateway that is
/// slow or away does not keep the answer back: it refuses the device until it is up to date.
pub(crate) async fn known_to_gateways(active: &Active) {
    let watching: Vec<String> = active
        .links
        .status()
        .into_iter()
        .filter(|gateway| gateway.watching)
        .map(|gateway| gateway.name)
        .collect();
    let (_, version) = active.lists.versions();
    if !active.lists.routes_reached(&watching, version, ROUTES_WAIT).await {
        tracing::debug!(version, "a gateway has not acknowledged the new route yet");
    }
}

/// The least proof that is accepted: what the way of proof gives.
const fn floor(auth: AuthType) -> ProofClass {
    match auth {
        AuthType::Basic => ProofClass::Basic,
        AuthType::Md5 => ProofClass::Md5,
        AuthType::Certificate => ProofClass::Certificate,
        AuthType::Hmac => ProofClass::Mac,
        AuthType::Signed => ProofClass::Signed,
    }
}

/// Groups by id or name; each has to exist.
async fn group_ids(inside: &Inside, names: &[String]) -> Result<Vec<Uuid>, Refused> {
    let names = names.to_vec();
    let found: Result<Vec<Uuid>, Refused> = inside
        .store
        .read(move |r| {
            let mut ids = Vec::new();
            for name in &names {
                match groups::find(r, name)? {
                    Some(group) => ids.push(group.id),
                    None => return Ok(Err(Refused::not_found("group", name))),
                }
            }
            Ok(Ok(ids))
        })
        .await?;
    found
}

/// A checked request, with what was left out filled in.
struct Asked {
    device_id: String,
    auth: AuthType,
    dialect: Dialect,
    name: Option<String>,
    owner: Option<String>,
    hardware_id: Option<String>,
    user: Option<String>,
    password: Option<String>,
    server_id: String,
    server_password: Option<String>,
    csr_pem: Option<String>,
    dns_name: Option<String>,
    groups: Vec<String>,
    reason: String,
}

impl Asked {
    fn check(inside: &Inside, body: EnrolDevice) -> Result<Self, Refused> {
        let auth = body.auth.unwrap_or(AuthType::Md5);
        let by_password = matches!(auth, AuthType::Basic | AuthType::Md5 | AuthType::Hmac);
        let by_certificate = matches!(auth, AuthType::Certificate | AuthType::Signed);
        if by_certificate && body.csr_pem.is_none() {
            return Err(Refused::invalid(
                "/csr_pem",
                format!("auth {auth} needs a certificate: send a PKCS#10 request in PEM"),
            ));
        }
        if !by_password && (body.user.is_some() || body.password.is_some() || body.server_password.is_some())
        {
            return Err(Refused::invalid("/password", format!("auth {auth} knows no user and no passwords")));
        }
        let device_id = answer::text("/device_id", &body.device_id, NAME)?;
        let credential = |at: &str, value: Option<String>, made: &dyn Fn() -> String| {
            if !by_password {
                return Ok(None);
            }
            // A colon would end the user in syncml:auth-basic.
            match value {
                Some(text) if at == "/user" && text.contains(':') => {
                    Err(Refused::invalid(at, "a user name holds no colon"))
                }
                Some(text) => answer::text(at, &text, CREDENTIAL).map(Some),
                None => Ok(Some(made())),
            }
        };
        Ok(Self {
            user: credential("/user", body.user, &|| device_id.replace(':', "-"))?,
            password: credential("/password", body.password, &|| password(inside))?,
            server_password: credential("/server_password", body.server_password, &|| password(inside))?,
            server_id: match body.server_id {
                Some(text) => answer::text("/server_id", &text, CREDENTIAL)?,
                None => inside.config.devices.server_id.clone(),
            },
            name: answer::optional_text("/name", body.name.as_deref(), NAME)?,
            owner: answer::optional_text("/owner", body.owner.as_deref(), NAME)?,
            hardware_id: answer::optional_text("/hardware_id", body.hardware_id.as_deref(), NAME)?,
            reason: answer::optional_text("/reason", body.reason.as_deref(), REASON)?.unwrap_or_default(),
            dialect: body.dialect.unwrap_or(Dialect::Classic),
            dns_name: match body.dns_name {
                Some(_) if body.csr_pem.is_none() => {
                    return Err(Refused::invalid(
                        "/dns_name",
                        "a DNS name stands in a certificate: send a request",
                    ));
                }
                Some(name) if !is_dns_name(&name) => {
                    return Err(Refused::invalid("/dns_name", "it is no DNS name"));
                }
                name => name.map(|name| name.to_ascii_lowercase()),
            },
            csr_pem: body.csr_pem,
            groups: body.groups,
            device_id,
            auth,
        })
    }

    /// A certificate over the request's public key, which names the enrolment.
    fn certificate(&self, inside: &Inside, id: EnrolmentId) -> Result<Option<IssuedDevice>, Refused> {
        let Some(request) = &self.csr_pem else { return Ok(None) };
        let bad = |text: String| Refused::new(Slug::InvalidCsr, text.clone()).item("/csr_pem", text);
        let der = request_der(request).map_err(|error| bad(error.to_string()))?;
        let request =
            DeviceCsr { der: &der, enrolment: id, generation: 1, dns_name: self.dns_name.as_deref() };
        let issued = inside.authorities.issue_device(request, inside.now()).map_err(|error| match error {
            AuthorityError::Request(_) => bad(error.to_string()),
            AuthorityError::Unavailable(_) => Refused::new(Slug::Unavailable, error.to_string()),
        })?;
        Ok(Some(issued))
    }
}

/// Labels of letters, digits and hyphens, at least two of them (RFC 1123 2.1).
fn is_dns_name(name: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.len() <= 253 && name.contains('.') && name.split('.').all(is_label)
}

/// A certificate and what stands between it and an anchor, PEM.
fn chain_pem(issued: &IssuedDevice) -> String {
    std::iter::once(&issued.der).chain(&issued.chain_der).map(|der| certificate_pem(der)).collect()
}

/// 128 random bits, in characters that every client's configuration takes.
fn password(inside: &Inside) -> String {
    let mut bits = [0; 16];
    inside.random.fill(&mut bits);
    data_encoding::BASE64URL_NOPAD.encode(&bits)
}
