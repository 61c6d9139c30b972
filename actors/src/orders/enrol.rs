//! Registering a device, or a new generation of one.

use postern_engine::{command::Cause, enrolment::Door};
use postern_store::{
    StoreError, Tx, certificates,
    credentials::Credentials,
    enrolments::{self, Enrolment},
    lists::{self, Change, List},
    lives::{self, Life},
};
use postern_wire::{
    link::BlockedEntry,
    route::RouteId,
    terms::{AuthType, CommandId, EnrolmentState},
};
use serde_json::json;

use super::{Unwritten, audit, drop_pending, retire::bury};
use crate::{
    EnrolError, Enrolled, NewEnrolment,
    enrolment::rows,
    safety::{self, Admitted, Ask, Class},
    shared::Shared,
    wipe,
};

/// Octets that a name of any kind may have.
const NAME_OCTETS: usize = 256;

/// What changed, for who is told afterwards.
pub(crate) struct Done {
    pub(crate) enrolled: Enrolled,
    /// The route of the generation before.
    pub(crate) buried: Option<RouteId>,
    dropped: Vec<CommandId>,
    blocked: Vec<BlockedEntry>,
}

pub(crate) async fn enrol(shared: &Shared, device: NewEnrolment) -> Result<Done, EnrolError> {
    check(&device)?;
    let credentials = Credentials {
        user: device.user.clone().unwrap_or_default(),
        password: device.password.clone(),
        server_id: device.server_id.clone(),
        server_password: device.server_password.clone(),
    };
    let sealed = credentials
        .seal(&shared.sealer, device.id)
        .map_err(|cause| EnrolError::Unavailable(format!("credentials cannot be sealed: {cause}")))?;
    let route = shared.random_route();
    let written = shared.store.write(move |tx| decide(tx, &device, route, &sealed)).await;
    let mut done = match written.map_err(Unwritten::from) {
        Ok(decided) => decided?,
        Err(Unwritten::Overloaded(seconds)) => return Err(EnrolError::Overloaded(seconds)),
        Err(Unwritten::Full) => return Err(EnrolError::Unavailable("the database's disk is full".into())),
        Err(Unwritten::Unavailable(cause)) => return Err(EnrolError::Unavailable(cause)),
    };
    shared.watches.tell(done.dropped.iter().copied());
    shared.announce.live(route.hash());
    if let Some(old) = done.buried {
        shared.announce.gone(old.hash());
    }
    rows::announce(shared, std::mem::take(&mut done.blocked));
    Ok(done)
}

fn check(device: &NewEnrolment) -> Result<(), EnrolError> {
    let invalid = |text: &str| Err(EnrolError::Invalid(text.to_owned()));
    let names =
        [Some(&device.device_id), device.name.as_ref(), device.owner.as_ref(), device.hardware_id.as_ref()];
    for name in names.into_iter().flatten() {
        if name.trim().is_empty() || name.len() > NAME_OCTETS || name.chars().any(char::is_control) {
            return invalid("names are 1 to 256 octets without control characters");
        }
    }
    let by_password = matches!(device.auth, AuthType::Basic | AuthType::Md5 | AuthType::Hmac);
    if by_password && (device.user.as_deref().is_none_or(str::is_empty) || device.password.is_none()) {
        return invalid("basic, md5 and hmac need a user and a password");
    }
    if matches!(device.auth, AuthType::Certificate | AuthType::Signed) && device.certificate.is_none() {
        return invalid("certificate and signed need a certificate");
    }
    if device.certificate.as_ref().is_some_and(|certificate| certificate.enrolment != Some(device.id)) {
        return invalid("the certificate does not name this enrolment");
    }
    Ok(())
}

fn decide(
    tx: &mut Tx,
    device: &NewEnrolment,
    route: RouteId,
    sealed: &[u8],
) -> Result<Result<Done, EnrolError>, StoreError> {
    let twin = enrolments::live_twin(tx, &device.device_id, device.hardware_id.as_deref())?;
    if let Some(twin) = twin.filter(|twin| !(device.replace && twin.id == device.id)) {
        return Ok(Err(EnrolError::Duplicate(twin.id)));
    }
    let mut blocked = Vec::new();
    let (row, buried, dropped) = if device.replace {
        let Some(old) = enrolments::find(tx, device.id)?.filter(|old| old.state != EnrolmentState::Retired)
        else {
            return Ok(Err(EnrolError::Unknown(device.id)));
        };
        let ask = Ask {
            kind: safety::RE_ENROL,
            class: Class::Identity,
            by: &device.actor,
            targets: &[device.id],
            reason: &device.reason,
            settings: json!({ "device_id": device.device_id, "auth": device.auth }),
        };
        match safety::admit(tx, &ask)? {
            Admitted::Go(_) => {}
            Admitted::NeedsApproval(request) => return Ok(Err(EnrolError::NeedsApproval(request))),
            Admitted::Held(held) => return Ok(Err(held.into())),
        }
        wipe::follow::ended(tx, device.id, false, "the device was enrolled anew")?;
        let dropped = drop_pending(tx, device.id, Cause::Superseded)?;
        let old_route = RouteId::from_bytes(old.route);
        let row = enrolments::next_generation(
            tx,
            device.id,
            *route.as_bytes(),
            device.auth,
            Some(sealed.to_vec()),
        )?;
        bury(tx, old_route)?;
        let hardware = device.hardware_id.as_deref().or(old.hardware_id.as_deref());
        enrolments::came_anew(tx, device.id, &device.device_id, hardware, device.floor)?;
        blocked = rows::revoke(tx, old.certificate_serial.as_deref(), rows::Because::Superseded)?;
        (row, Some(old_route), dropped)
    } else {
        let fresh = Enrolment::new(device.id, *route.as_bytes(), &device.device_id, device.auth, tx.now());
        let row = Enrolment {
            name: device.name.clone().unwrap_or_else(|| device.device_id.clone()),
            owner: device.owner.clone(),
            hardware_id: device.hardware_id.clone(),
            proof_floor: device.floor,
            dialect: device.dialect,
            credentials: Some(sealed.to_vec()),
            ..fresh
        };
        enrolments::insert(tx, row.clone())?;
        (row, None, Vec::new())
    };
    if let Some(certificate) = &device.certificate {
        let (serial, not_after) = (&certificate.serial, certificate.not_after);
        enrolments::set_certificate(tx, device.id, serial, certificate.fingerprint, not_after)?;
        certificates::insert(tx, &rows::of_device(certificate, device.id, row.generation))?;
    }
    let dns_name = device.certificate.as_ref().and_then(|certificate| certificate.dns_name.as_deref());
    certificates::set_dns_name(tx, device.id, dns_name)?;
    rows::trusts_server(tx, device.id)?;
    let mut life = Life::new(device.id, row.generation, Door::Hand.as_str(), tx.now());
    life.certificate_from = device.certificate.as_ref().map(|certificate| certificate.not_before);
    lives::put(tx, life)?;
    lists::change(
        tx,
        List::Routes,
        &[Change::Add { entry: route.hash().to_string(), verdict: String::new() }],
    )?;
    let detail = json!({
        "device_id": device.device_id,
        "auth": device.auth,
        "generation": row.generation,
        "certificate": device.certificate.as_ref().map(|certificate| &certificate.serial),
        "dns_name": device.certificate.as_ref().and_then(|certificate| certificate.dns_name.as_ref()),
        "reason": device.reason,
    });
    let action = if device.replace { "device.re-enrol" } else { "device.enrol" };
    audit(tx, &device.actor, action, format!("device:{}", device.id), &detail)?;
    let enrolled = Enrolled { enrolment: device.id, generation: row.generation, route };
    Ok(Ok(Done { enrolled, buried, dropped, blocked }))
}
