//! What `policy rsop` prints: the fields that scripts go by, and beside them what explains them.

use std::collections::BTreeMap;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use postern_engine::policy::{
    registry_pol::value::{Value, kind_name, typed},
    rsop::{
        Loopback, Pass, Unread,
        settings::{Say, losers, winner},
    },
    sysvol::Other,
};
use serde::Serialize;

use crate::{output, policy::registry_pol::shown};

/// A resultant set.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Report {
    dn: String,
    mode: &'static str,
    loopback: Loopback,
    token_sids: Vec<String>,
    application_order: Vec<String>,
    links: Vec<Link>,
    settings: Vec<Setting>,
    /// Settings whose winner deletes them: disabled, which is not the same as not configured.
    deleted: Vec<Deleted>,
    /// What is done to keys as a whole.
    keys: Vec<Key>,
    /// What the words of `links` do not say, by the link's place.
    explanations: Vec<Explanation>,
    /// What the GPOs hold beside Registry.pol: no device gets it.
    others: Vec<Beside>,
    /// What could not be read. Where this is not empty, a device keeps the last good set.
    unread: Vec<String>,
    /// Containers on the way that the directory does not show.
    unseen: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    registry: Option<BTreeMap<String, serde_json::Value>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Link {
    gpo: String,
    som: String,
    link_order: usize,
    enforced: bool,
    reason: &'static str,
}

#[derive(Debug, Serialize)]
struct Setting {
    scope: &'static str,
    key: String,
    value: String,
    #[serde(rename = "type")]
    kind: u32,
    data_b64: String,
    winner: String,
    losers: Vec<String>,
    #[serde(skip)]
    shown: String,
}

#[derive(Debug, Serialize)]
struct Deleted {
    scope: &'static str,
    key: String,
    value: String,
    winner: String,
    losers: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Key {
    scope: &'static str,
    key: String,
    operation: &'static str,
    gpo: String,
}

#[derive(Debug, Serialize)]
struct Beside {
    gpo: String,
    #[serde(flatten)]
    other: Other,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Explanation {
    link: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    guid: Option<String>,
    /// The place in the application order, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    applied: Option<usize>,
    #[serde(skip_serializing_if = "String::is_empty")]
    detail: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    ad_sysvol_version_mismatch: bool,
}

impl Report {
    pub(super) fn of(pass: &Pass, loopback: Loopback, compat: bool) -> Self {
        let scope = pass.half.word();
        let gpo = |say: &Say| pass.links[say.link].gpo_name();
        let mut report = Self {
            dn: pass.dn.to_string(),
            mode: scope,
            loopback,
            token_sids: pass.token.iter().map(ToString::to_string).collect(),
            application_order: pass.order.iter().map(|place| pass.links[*place].gpo_name()).collect(),
            links: links(pass),
            settings: Vec::new(),
            deleted: Vec::new(),
            keys: Vec::new(),
            explanations: explanations(pass),
            others: pass
                .others()
                .map(|(link, other)| Beside { gpo: link.gpo_name(), other: other.clone() })
                .collect(),
            unread: unread(pass),
            unseen: pass.unseen.iter().map(ToString::to_string).collect(),
            registry: compat.then(BTreeMap::new),
        };
        for (_, says) in pass.settings.iter() {
            let Some(winner) = winner(says) else { continue };
            let (key, value) = (winner.name.key.clone(), winner.name.value.clone());
            let losers = losers(says).map(gpo).collect();
            let Some(data) = &winner.data else {
                report.deleted.push(Deleted { scope, key, value, winner: gpo(winner), losers });
                continue;
            };
            if let Some(registry) = &mut report.registry {
                registry.insert(value.clone(), flat(data.kind, &data.octets));
            }
            report.settings.push(Setting {
                scope,
                key,
                value,
                kind: data.kind,
                data_b64: BASE64_STANDARD.encode(&data.octets),
                winner: gpo(winner),
                losers,
                shown: format!("{} {}", kind_name(data.kind), shown(data.kind, &data.octets)),
            });
        }
        let keys = pass.settings.keys.iter();
        report.keys.extend(keys.map(|(link, name, operation)| Key {
            scope,
            key: name.key.clone(),
            operation: operation.word(),
            gpo: pass.links[*link].gpo_name(),
        }));
        report
    }

    /// For people.
    pub(super) fn table(&self) -> String {
        let head = output::fields([
            ("of", self.dn.clone()),
            ("part", self.mode.to_owned()),
            ("loopback", format!("{:?}", self.loopback).to_lowercase()),
            ("unread", self.unread.join(", ")),
            ("not shown by the directory", self.unseen.join(", ")),
        ]);
        let details: BTreeMap<usize, &Explanation> = self.explanations.iter().map(|e| (e.link, e)).collect();
        let links = self.links.iter().enumerate().map(|(place, link)| {
            let detail = details.get(&place);
            let applied = output::or_dash(detail.and_then(|detail| detail.applied));
            let enforced = if link.enforced { "enforced" } else { "" }.to_owned();
            let says = detail.map(|detail| detail.detail.clone()).unwrap_or_default();
            let order = link.link_order.to_string();
            [applied, link.gpo.clone(), link.som.clone(), order, enforced, link.reason.to_owned(), says]
        });
        let settings = self.settings.iter().map(|setting| {
            let name = format!("{}\\{}", setting.key, setting.value);
            [name, setting.shown.clone(), setting.winner.clone(), setting.losers.join(", ")]
        });
        let deleted = self.deleted.iter().map(|setting| {
            let name = format!("{}\\{}", setting.key, setting.value);
            [name, "deleted".to_owned(), setting.winner.clone(), setting.losers.join(", ")]
        });
        let others = self.others.iter().map(|beside| {
            let other = &beside.other;
            [beside.gpo.clone(), other.path.clone(), other.items.join(", "), other.reason.to_owned()]
        });
        let others = match self.others.len() {
            0 => String::new(),
            _ => format!("\n\nBeside them\n{}", output::table(["GPO", "FILE", "ITEMS", ""], others)),
        };
        format!(
            "{head}\n\nLinks, nearest container first; APPLIED is the place in the order, the last wins\n{}\n\nSettings\n{}{others}",
            output::table(["APPLIED", "GPO", "CONTAINER", "ORDER", "", "REASON", "DETAIL"], links),
            output::table(["SETTING", "VALUE", "WINNER", "LOSERS"], settings.chain(deleted)),
        )
    }
}

fn links(pass: &Pass) -> Vec<Link> {
    let link = |link: &postern_engine::policy::rsop::Link| Link {
        gpo: link.gpo_name(),
        som: link.som.dn.to_string(),
        link_order: link.link_order,
        enforced: link.enforced,
        reason: link.reason.word(),
    };
    pass.links.iter().map(link).collect()
}

fn explanations(pass: &Pass) -> Vec<Explanation> {
    let explanation = |(place, link): (usize, &postern_engine::policy::rsop::Link)| Explanation {
        link: place,
        guid: link.gpo.as_ref().and_then(|gpo| gpo.id).map(|id| id.to_string()),
        applied: pass.order.iter().position(|applied| *applied == place).map(|place| place + 1),
        detail: link.detail.to_string(),
        ad_sysvol_version_mismatch: link.version_mismatch,
    };
    pass.links.iter().enumerate().map(explanation).collect()
}

fn unread(pass: &Pass) -> Vec<String> {
    let unread = |unread: &Unread| match unread {
        Unread::Links(som) => format!("gPLink of {som}"),
        Unread::Security(gpo) => format!("nTSecurityDescriptor of {gpo}"),
        Unread::Folder(gpo) => format!("SYSVOL folder of {gpo}"),
    };
    pass.unread.iter().map(unread).collect()
}

/// A value as JSON has it; octets in base64.
fn flat(kind: u32, data: &[u8]) -> serde_json::Value {
    match typed(kind, data) {
        Ok(Value::Number(number)) => number.into(),
        Ok(Value::Text(text)) => text.into(),
        Ok(Value::List(texts)) => texts.into(),
        Ok(Value::Octets(_)) | Err(_) => BASE64_STANDARD.encode(data).into(),
    }
}
