//! An event as other systems and as people read it.

use postern_engine::mail::letter::{self, Letter, Templates, Told};
use postern_store::{
    Reader, StoreError, enrolments,
    outbox::{self, Delivery, Entry},
};
use postern_wire::terms::{Channel, UtcMillis};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::Parcel;

/// An event with what is known of its device now.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    pub(super) entry: Entry,
    data: Value,
}

/// Adds to an event what it does not say itself.
pub(super) fn facts(r: &mut Reader, entry: Entry) -> Result<Facts, StoreError> {
    let mut data: Value = serde_json::from_str(&entry.data).unwrap_or_else(|_| json!({}));
    let device = match entry.device {
        Some(id) => enrolments::find(r, id)?,
        None => None,
    };
    if let (Some(device), Some(facts)) = (device, data.as_object_mut()) {
        facts.entry("device").or_insert_with(|| json!(device.name));
        facts.entry("device_id").or_insert_with(|| json!(device.device_id));
    }
    if let (Some(owner), Some(facts)) = (&entry.owner, data.as_object_mut()) {
        facts.entry("owner").or_insert_with(|| json!(owner));
    }
    Ok(Facts { entry, data })
}

/// The event with this id.
pub(super) fn told(r: &mut Reader, id: Uuid) -> Result<Option<Facts>, StoreError> {
    outbox::find(r, id)?.map(|entry| facts(r, entry)).transpose()
}

impl Facts {
    /// As people read it.
    pub(super) fn letter(&self, sign_in: Option<&str>, templates: &Templates) -> Letter {
        let told = Told {
            event: self.entry.id,
            kind: self.entry.kind,
            subject: &self.entry.subject,
            data: &self.data,
            at: self.entry.at,
            sign_in,
        };
        letter::letter(&told, templates)
    }

    /// What one try carries.
    pub(super) fn parcel(
        self,
        row: &Delivery,
        sign_in: Option<&str>,
        templates: &Templates,
        now: UtcMillis,
    ) -> Parcel {
        let letter = (row.channel == Channel::Mail).then(|| self.letter(sign_in, templates));
        Parcel {
            event: self.entry.id,
            kind: self.entry.kind,
            target: row.target.clone(),
            message_id: row.message_id.clone(),
            at: self.entry.at,
            now,
            document: document(&self.entry, &self.data),
            subject: self.entry.subject,
            letter,
        }
    }
}

/// An event as another system reads it (docs/MAIL.md, "The document").
#[must_use]
pub fn document(entry: &Entry, data: &Value) -> Value {
    json!({
        "id": entry.id,
        "type": entry.kind.as_str(),
        "timestamp": entry.at.to_string(),
        "subject": entry.subject,
        "device": entry.device.map(|id| id.to_string()),
        "data": data,
    })
}
