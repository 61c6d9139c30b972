//! Who is told of an event, by what: each address of its people once by mail, each other far end once.

use postern_engine::mail::address;
use postern_store::{
    Reader, StoreError, Tx, admins, mail_addresses,
    outbox::{self, Delivery, Entry, NO_ADDRESS, Way},
};
use postern_wire::terms::{Channel, EventKind};
use sha2::{Digest as _, Sha256};

use super::{Mail, MailError, TOGETHER};

/// Whom a mail goes to.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Address {
    /// The address; of somebody who has none, who that is.
    to: String,
    /// Whether it waits for what holds the owner's mail.
    held: bool,
    /// Why it cannot go out.
    parked: Option<String>,
}

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
                    parked: None,
                }),
                None => {
                    ways.extend(self.addresses(r, entry)?.into_iter().map(|Address { to, held, parked }| {
                        let message_id = message_id(entry, &to, &self.0.parts.domain);
                        Way { channel, message_id, target: to, held, parked }
                    }))
                }
            }
        }
        Ok(ways)
    }

    /// Puts the address of whom a parked delivery is for in its place, where there is one by now. Its cause where there is none.
    pub(super) fn readdress(
        &self,
        tx: &mut Tx,
        row: &Delivery,
        entry: &Entry,
    ) -> Result<Option<String>, StoreError> {
        let ways = self.ways(tx, entry)?;
        let same = |way: &&Way| way.channel == row.channel && way.target == row.target;
        let why = ways.iter().find(same).and_then(|way| way.parked.clone());
        let done = outbox::readdress(tx, row.id, ways)?;
        Ok((!done).then(|| why.unwrap_or_default()))
    }

    /// Whom an event is mailed to. Whoever has two reasons to be told is told once, and at once if one allows it; who has
    /// no address is named with what has to be done.
    fn addresses(&self, r: &mut Reader, entry: &Entry) -> Result<Vec<Address>, StoreError> {
        let mut all: Vec<Address> = Vec::new();
        if entry.kind == EventKind::Test {
            let data: serde_json::Value = serde_json::from_str(&entry.data).unwrap_or_default();
            add(&mut all, data.get("to").and_then(serde_json::Value::as_str), false);
            return Ok(all);
        }
        if entry.security {
            for address in &self.0.parts.security {
                add(&mut all, Some(address), false);
            }
        }
        if let Some(admin) = entry.requester {
            let known = mail_addresses::find(r, &mail_addresses::of_admin(admin))?;
            let name = admins::find(r, admin)?.map(|admin| admin.name);
            let second = add(&mut all, known.as_ref().and_then(|known| known.second.as_deref()), false);
            let first = known.as_ref().map(|known| known.address.as_str()).or(name.as_deref());
            if !add(&mut all, first, false) && !second {
                nobody(&mut all, &format!("admin:{}", name.unwrap_or_else(|| admin.to_string())));
            }
        }
        if let Some(owner) = &entry.owner {
            let known = mail_addresses::find(r, &mail_addresses::of_owner(owner))?;
            // The other address is not read on the device: nobody has to wait for it.
            let second = add(&mut all, known.as_ref().and_then(|known| known.second.as_deref()), false);
            let first = known.as_ref().map(|known| known.address.as_str()).or(Some(owner));
            if !add(&mut all, first, true) && !second {
                nobody(&mut all, &mail_addresses::of_owner(owner));
            }
        }
        Ok(all)
    }
}

/// Whether a delivery is for somebody of whom no address was known when it was planned.
pub(super) fn is_nobodys(row: &Delivery) -> bool {
    row.channel == Channel::Mail && !address::is_address(&row.target)
}

/// Adds an address, if it is one.
fn add(all: &mut Vec<Address>, address: Option<&str>, held: bool) -> bool {
    let Some(text) = address.map(str::trim).filter(|text| address::is_address(text)) else { return false };
    match all.iter_mut().find(|other| other.to.eq_ignore_ascii_case(text)) {
        Some(other) => other.held &= held,
        None => all.push(Address { to: text.to_owned(), held, parked: None }),
    }
    true
}

/// Adds somebody who has no address.
fn nobody(all: &mut Vec<Address>, who: &str) {
    let why = format!(
        "{NO_ADDRESS}{who} is known: `posternctl mail address set`, then `posternctl mail retry` with this id"
    );
    if all.iter().all(|other| other.to != who) {
        all.push(Address { to: who.to_owned(), held: false, parked: Some(why) });
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
        assert!(add(&mut all, Some("Ada@corp.example"), true));
        assert!(add(&mut all, Some("ada@corp.example "), false));
        assert!(!add(&mut all, Some("CORP\\grace"), false));
        assert!(!add(&mut all, None, false));
        let once = Address { to: "Ada@corp.example".to_owned(), held: false, parked: None };
        assert_eq!(all, [once]);
        assert!(add(&mut all, Some("ada@corp.example"), true));
        assert!(!all[0].held);
    }

    #[test]
    fn who_has_no_address_is_named_once_with_what_is_to_be_done() {
        let mut all = Vec::new();
        nobody(&mut all, "owner:CORP\\grace");
        nobody(&mut all, "owner:CORP\\grace");
        let [one] = all.as_slice() else { panic!("{all:?}") };
        assert!(one.parked.as_deref().is_some_and(|why| why.contains("mail address set")), "{one:?}");
    }
}
