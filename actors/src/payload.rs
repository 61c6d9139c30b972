//! How a command's content and its last place in a session rest in their columns: JSON, with short stable names.
//!
//! Promise: what was written by this or an earlier version is read back equal; anything else is an error.

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD as BASE64, URL_SAFE_NO_PAD as BASE64URL},
};
use postern_engine::queue::{Body, BodyItem, SentAs};
use postern_wire::{
    syncml::Data,
    terms::{CommandId, DmSessionId, Verb},
};
use serde::{Deserialize, Serialize};

/// A column that does not hold what it should.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a command's {column} cannot be read: {cause}")]
pub struct BadPayload {
    /// Which column.
    pub column: &'static str,
    /// What is wrong.
    pub cause: String,
}

/// The content of a command as its row keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// What the command says.
    pub body: Body,
    /// Whether it waits for the answer to the one before.
    pub ordered: bool,
}

/// A body: that of a row has its verb in a column of its own, one inside a container says it here.
#[derive(Default, Serialize, Deserialize)]
struct BodyForm {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    verb: Option<Verb>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    items: Vec<ItemForm>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    correlator: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    commands: Vec<Self>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    alert: Option<AlertForm>,
    /// Of a row only: whether it waits for the answer to the one before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    ordered: bool,
}

#[derive(Serialize, Deserialize)]
struct AlertForm {
    code: u32,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    options: String,
    text: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    choices: Vec<String>,
}

/// Containers in containers that are read at most.
const DEPTH: usize = 8;

#[derive(Serialize, Deserialize)]
struct ItemForm {
    target: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    source: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    format: Option<String>,
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    type_: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    data: Option<DataForm>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum DataForm {
    Text(String),
    Base64(String),
    Markup(String),
}

impl Content {
    /// The octets of the payload column.
    #[must_use]
    pub fn to_payload(&self) -> Vec<u8> {
        let form = BodyForm { verb: None, ordered: self.ordered, ..body_form(&self.body) };
        serde_json::to_vec(&form).expect("strings and lists always become JSON")
    }

    /// Reads the payload column of a command of `verb`.
    ///
    /// # Errors
    /// [`BadPayload`].
    pub fn from_payload(verb: Verb, payload: &[u8]) -> Result<Self, BadPayload> {
        let bad = |cause: String| BadPayload { column: "payload", cause };
        let form: BodyForm = serde_json::from_slice(payload).map_err(|cause| bad(cause.to_string()))?;
        let (ordered, form) = (form.ordered, BodyForm { verb: Some(verb), ..form });
        Ok(Self { body: read_body(form, 0).map_err(bad)?, ordered })
    }
}

fn body_form(body: &Body) -> BodyForm {
    let form = BodyForm { verb: Some(body.verb()), ..BodyForm::default() };
    match body {
        Body::Plain { items, correlator, .. } => {
            BodyForm { items: items.iter().map(item_form).collect(), correlator: correlator.clone(), ..form }
        }
        Body::Atomic(children) | Body::Sequence(children) => {
            BodyForm { commands: children.iter().map(body_form).collect(), ..form }
        }
        Body::UserAlert { code, options, text, choices } => {
            let (options, text, choices) = (options.clone(), text.clone(), choices.clone());
            BodyForm { alert: Some(AlertForm { code: *code, options, text, choices }), ..form }
        }
    }
}

fn read_body(form: BodyForm, depth: usize) -> Result<Body, String> {
    if depth > DEPTH {
        return Err("containers are nested too deep".to_owned());
    }
    let children = |commands: Vec<BodyForm>| {
        commands.into_iter().map(|child| read_body(child, depth + 1)).collect::<Result<Vec<_>, _>>()
    };
    Ok(match form.verb.ok_or("a command inside has no verb")? {
        Verb::Atomic => Body::Atomic(children(form.commands)?),
        Verb::Sequence => Body::Sequence(children(form.commands)?),
        Verb::Alert => {
            let AlertForm { code, options, text, choices } = form.alert.ok_or("an alert has no content")?;
            Body::UserAlert { code, options, text, choices }
        }
        verb => {
            let items = form.items.into_iter().map(read_item).collect::<Result<_, _>>()?;
            Body::Plain { verb, items, correlator: form.correlator }
        }
    })
}

fn item_form(item: &BodyItem) -> ItemForm {
    let data = item.data.as_ref().map(|data| match data {
        Data::Text(text) => DataForm::Text(text.clone()),
        Data::Binary(octets) => DataForm::Base64(BASE64.encode(octets)),
        Data::Markup(markup) => DataForm::Markup(markup.clone()),
    });
    ItemForm {
        target: item.target.clone(),
        source: item.source.clone(),
        format: item.format.clone(),
        type_: item.type_.clone(),
        data,
    }
}

fn read_item(form: ItemForm) -> Result<BodyItem, String> {
    let data = match form.data {
        None => None,
        Some(DataForm::Text(text)) => Some(Data::Text(text)),
        Some(DataForm::Base64(text)) => {
            Some(Data::Binary(BASE64.decode(text).map_err(|cause| cause.to_string())?))
        }
        Some(DataForm::Markup(markup)) => Some(Data::Markup(markup)),
    };
    Ok(BodyItem { target: form.target, source: form.source, format: form.format, type_: form.type_, data })
}

/// Where one command was sent last. The column holds those of all commands that one statement recorded, with spaces
/// between: `<command>:<MsgID>:<CmdID>:<parts>:<SessionID in base64url>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sent<'a> {
    command: CommandId,
    sent: &'a SentAs,
}

impl<'a> Sent<'a> {
    pub(crate) const fn of(command: CommandId, sent: &'a SentAs) -> Self {
        Self { command, sent }
    }

    pub(crate) fn to_text(&self) -> String {
        let SentAs { device_session, msg_id, cmd_id, parts, .. } = self.sent;
        let session = BASE64URL.encode(device_session);
        format!("{}:{msg_id}:{cmd_id}:{parts}:{session}", self.command.0.simple())
    }
}

/// Reads the place of `command`, sent in `session`, out of the column.
///
/// # Errors
/// [`BadPayload`].
pub(crate) fn sent_as(command: CommandId, session: DmSessionId, column: &str) -> Result<SentAs, BadPayload> {
    let bad = |cause: &str| BadPayload { column: "reference", cause: cause.to_owned() };
    let own = command.0.simple().to_string();
    let mut parts = column
        .split(' ')
        .map(|entry| entry.split(':'))
        .find_map(|mut parts| (parts.next()? == own).then_some(parts))
        .ok_or_else(|| bad("the command is not in it"))?;
    let mut number =
        || parts.next().and_then(|text| text.parse().ok()).ok_or_else(|| bad("a number is missing"));
    let (msg_id, cmd_id, count) = (number()?, number()?, number()?);
    let device_session = parts
        .next()
        .and_then(|text| BASE64URL.decode(text).ok())
        .and_then(|octets| String::from_utf8(octets).ok())
        .ok_or_else(|| bad("the SessionID is missing"))?;
    Ok(SentAs { session, device_session, msg_id, cmd_id, parts: count })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commands_content_is_read_back_equal() {
        let full = BodyItem {
            target: "./Vendor/X".into(),
            source: Some("./Vendor/Y".into()),
            format: Some("bin".into()),
            type_: Some("application/octet-stream".into()),
            data: Some(Data::Binary(vec![0, 1, 255])),
        };
        let markup = BodyItem { data: Some(Data::Markup("<a/>".into())), ..BodyItem::node("./A") };
        let text = BodyItem { data: Some(Data::Text(String::new())), ..BodyItem::node("./A") };
        let items = vec![full, markup, text, BodyItem::node("./B")];
        let content = Content {
            body: Body::Plain { verb: Verb::Replace, items, correlator: Some("c".into()) },
            ordered: true,
        };
        assert_eq!(Content::from_payload(Verb::Replace, &content.to_payload()), Ok(content));
    }

    #[test]
    fn a_structured_commands_content_is_read_back_equal() {
        let plain = |verb, uri: &str| Body::plain(verb, vec![BodyItem::node(uri)]);
        let ask = Body::UserAlert {
            code: 1103,
            options: "DR=1".into(),
            text: "Which?".into(),
            choices: vec!["one".into(), "two".into()],
        };
        let atomic = Body::Atomic(vec![plain(Verb::Add, "./A"), ask.clone(), plain(Verb::Delete, "./B")]);
        for body in [atomic.clone(), Body::Sequence(vec![plain(Verb::Exec, "./C"), atomic]), ask] {
            let content = Content { body, ordered: false };
            assert_eq!(Content::from_payload(content.body.verb(), &content.to_payload()), Ok(content));
        }
    }

    #[test]
    fn rows_of_earlier_versions_are_read() {
        let old = br#"{"items":[{"target":"./A","data":{"text":"x"}}],"correlator":"c","ordered":true}"#;
        let read = Content::from_payload(Verb::Exec, old).unwrap();
        let item = BodyItem { data: Some("x".into()), ..BodyItem::node("./A") };
        let body = Body::Plain { verb: Verb::Exec, items: vec![item], correlator: Some("c".into()) };
        assert_eq!(read, Content { body, ordered: true });
        assert!(Content::from_payload(Verb::Alert, old).is_err());
    }

    #[test]
    fn each_commands_place_in_a_session_is_found_among_those_recorded_with_it() {
        let session = DmSessionId(uuid::Uuid::from_u128(7));
        let [one, two, other] = [1, 2, 3].map(|n| CommandId(uuid::Uuid::from_u128(n)));
        let first = SentAs { session, device_session: "1 A:\u{0}".into(), msg_id: 2, cmd_id: 5, parts: 1 };
        let second = SentAs { cmd_id: 6, parts: 3, ..first.clone() };
        let column = format!("{} {}", Sent::of(one, &first).to_text(), Sent::of(two, &second).to_text());
        assert_eq!(sent_as(one, session, &column), Ok(first));
        assert_eq!(sent_as(two, session, &column), Ok(second));
        assert!(sent_as(other, session, &column).is_err());
    }
}
