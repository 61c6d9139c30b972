//! Who has not followed a roll-over, as the parties themselves show it: gateways by what they report, this core by its
//! own files. (Devices stand in the rows: [`super::roll::stragglers`].)

use postern_store::authorities::Authority;
use postern_wire::terms::CaRole;

use super::{own, roll::Straggler};
use crate::inside::Inside;

/// Gateways and this core, as far as they are not at `stays`.
pub(crate) fn of_parties(inside: &Inside, role: CaRole, stays: &Authority) -> Vec<Straggler> {
    let mut found = Vec::new();
    let active = inside.active.load_full();
    let version = u64::try_from(inside.authorities.version()).unwrap_or(0);
    for link in active.iter().flat_map(|active| active.links.status()) {
        let name = link.name;
        let straggler = |generation, why: String| Straggler {
            kind: "gateway",
            id: name.clone(),
            name: name.clone(),
            generation,
            why,
        };
        let trust = active.as_ref().and_then(|active| active.lists.trust_at(&name));
        let beat = inside.beat(&name);
        let used = beat.as_ref().map(|beat| match role {
            CaRole::Link => beat.heartbeat.link_certificate_issuer.as_str(),
            _ => beat.heartbeat.device_certificate_issuer.as_str(),
        });
        match (trust, used) {
            (Some(Err(reason)), _) => {
                found.push(straggler(0, format!("it does not take the new trust: {reason}")))
            }
            (None, _) | (_, None) => {
                found.push(straggler(0, "nothing was heard from it since this core's start".to_owned()));
            }
            (Some(Ok(at)), _) if at < version => {
                found.push(straggler(0, "it has not taken the new trust yet".to_owned()));
            }
            (Some(Ok(_)), Some(issuer)) if role != CaRole::Device && issuer != stays.issuer => {
                let generation = inside.authorities.generation_of(issuer).unwrap_or(0);
                found.push(straggler(
                    generation,
                    format!("its {role} certificate is not of the CA that signs"),
                ));
            }
            _ => {}
        }
    }
    let file = match role {
        CaRole::Device => None,
        CaRole::Link => Some(&inside.config.links.certificate),
        CaRole::Server => Some(&inside.config.admin.certificate),
    };
    if let Some(used) = file.and_then(|file| own::in_use(&inside.config.at(file)))
        && let Some(generation) = inside.authorities.generation_of(&used.issuer)
        && used.issuer != stays.issuer
    {
        let id = inside.config.core.id.to_string();
        let why = "its own certificate is not of the CA that signs".to_owned();
        found.push(Straggler { kind: "core", name: id.clone(), id, generation, why });
    }
    found
}
