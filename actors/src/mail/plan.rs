//! Who is told of an event, by what: each address of its people once by mail, each other far end once.

use postern_engine::mail::address;
use postern_store::{
    Reader, StoreError, admins, mail_addresses,
    outbox::{self, Entry, Way},
};
use postern_wire::terms::EventKind;
use sha2::{Digest as _, Sha256};

use super::{Mail, MailError, TOGETHER};

/// An address, and whether it waits for what holds the owner's mail.
type Address = (String, bool);

impl Mail {
    /// Makes the deliveries of what is new. Gives how many events these were.
    pub(super) async fn plan(&self) -> Result<usize, MailError> {
        let store = &self.0.parts.store;
        let new = store.read(|r| outbox::unplanned(r, TOGETHER)).await?;
        let count = new.len();
        for entry in new {
            let mail = self.clone();
            store
                .write(move |tx| {
                    let ways = mail.ways(tx, &entry)?;
                    outbox::plan(tx, entry.id, ways).map(drop)
                })
                .await?;
        }
        Ok(count)
    }

    fn ways(&self, r: &mut Reader, entry: &Entry) -> Result<Vec<Way>, StoreError> {
        let mut ways = Vec::new();
        for end in &self.0.ends {
            let (channel, name) = (end.carrier.channel(), end.carrier.name());
            match name {
                Some(name) => ways.push(Way {
                    channel,
                    target: name.to_owned(),
                    message_id: entry.id.to_string(),
                    held: false,
                }),
                None => ways.extend(self.addresses(r, entry)?.into_iter().map(|(target, held)| Way {
                    channel,
                    message_id: message_id(entry, &target, &self.0.parts.domain),
                    target,
                    held,
                })),
            }
        }
        Ok(ways)
    }

    /// Whom an event is mailed to. Whoever has two reasons to be told is told once, and at once if one allows it.
    fn addresses(&self, r: &mut Reader, entry: &Entry) -> Result<Vec<Address>, StoreError> {
        let mut all: Vec<Address> = Vec::new();
        if entry.kind == EventKind::Test {
            let data: serde_json::Value = serde_json::from_str(&entry.data).unwrap_or_default();
            add(&mut all, data.get("to").and_then(serde_json::Value::as_str), false);
            return Ok(all);
        }
        if entry.security {
            self.0.parts.security.iter().for_each(|address| add(&mut all, Some(address), false));
        }
        if let Some(admin) = entry.requester {
            let known = mail_addresses::find(r, &mail_addresses::of_admin(admin))?;
            let name = admins::find(r, admin)?.map(|admin| admin.name);
            add(&mut all, known.as_ref().map(|known| known.address.as_str()).or(name.as_deref()), false);
            add(&mut all, known.as_ref().and_then(|known| known.second.as_deref()), false);
        }
        if let Some(owner) = &entry.owner {
            let known = mail_addresses::find(r, &mail_addresses::of_owner(owner))?;
            // The other address is not read on the device: nobody has to wait for it.
            add(&mut all, known.as_ref().and_then(|known| known.second.as_deref()), false);
            add(&mut all, known.as_ref().map(|known| known.address.as_str()).or(Some(owner)), true);
        }
        Ok(all)
    }
}

fn add(all: &mut Vec<Address>, address: Option<&str>, held: bool) {
    let Some(text) = address.map(str::trim).filter(|text| address::is_address(text)) else { return };
    let known = |(other, _): &&mut Address| other.eq_ignore_ascii_case(text);
    match all.iter_mut().find(known) {
        Some((_, waits)) => *waits &= held,
        None => all.push((text.to_owned(), held)),
    }
}

/// A Message-ID (RFC 5322 3.6.4) that is the same with each try, and another one for each address.
fn message_id(entry: &Entry, target: &str, domain: &str) -> String {
    let hash = Sha256::digest(target.to_ascii_lowercase().as_bytes());
    let mark = data_encoding::HEXLOWER.encode(&hash[..6]);
    format!("<{}.{mark}@{domain}>", entry.id.simple())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_stands_once_and_waits_only_if_nothing_lets_it_go() {
        let mut all = Vec::new();
        add(&mut all, Some("Ada@corp.example"), true);
        add(&mut all, Some("ada@corp.example "), false);
        add(&mut all, Some("CORP\\grace"), false);
        add(&mut all, None, false);
        assert_eq!(all, [("Ada@corp.example".to_owned(), false)]);
        add(&mut all, Some("ada@corp.example"), true);
        assert!(!all[0].1);
    }
}
