//! An event as a letter: subject, plain text and HTML, by the built-in templates or an operator's.
//!
//! Promise: a letter can always be made. An operator's template that cannot be used costs its own words, not the mail:
//! the built-in one takes its place, and the letter says so to who previews it. The link opens a sign-in page and holds
//! nothing but what the event is about: no token, and nothing that acts.

use postern_wire::terms::{EventKind, UtcMillis};
use serde_json::Value as Json;
use uuid::Uuid;

use super::{
    sink,
    template::{BadTemplate, Sink, Template, Value, Values},
    words,
};

/// The built-in text template; its first line is the subject.
pub const TEXT: &str = include_str!("templates/mail.txt");
/// The built-in HTML template.
pub const HTML: &str = include_str!("templates/mail.html");
/// What the first line of a text template begins with.
const SUBJECT: &str = "Subject:";
/// Facts that a letter shows at most.
const FACTS: usize = 40;

/// What a letter tells of.
#[derive(Clone, Debug, PartialEq)]
pub struct Told<'a> {
    /// The event's id.
    pub event: Uuid,
    /// What happened.
    pub kind: EventKind,
    /// What it is about: `wipe:ID` …
    pub subject: &'a str,
    /// Its facts, a JSON object.
    pub data: &'a Json,
    /// When it happened.
    pub at: UtcMillis,
    /// Where people sign in, an `https://` address; without it a letter has no link.
    pub sign_in: Option<&'a str>,
}

/// A template of each sort, as text; `None` stands for the built-in one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Templates {
    /// Subject line and plain text.
    pub text: Option<String>,
    /// HTML.
    pub html: Option<String>,
}

/// A letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// The subject: one line.
    pub subject: String,
    /// Plain text.
    pub text: String,
    /// HTML.
    pub html: String,
    /// What was wrong with the operator's templates, for whoever previews it.
    pub troubles: Vec<String>,
}

/// Makes the letter of an event.
#[must_use]
pub fn letter(told: &Told<'_>, templates: &Templates) -> Letter {
    let values = values(told);
    let mut troubles = Vec::new();
    let (subject, text) = match templates.text.as_deref().map(|text| in_text(text, &values)) {
        Some(Ok(made)) => made,
        other => {
            troubles.extend(other.and_then(Result::err).map(|bad| format!("text template: {bad}")));
            in_text(TEXT, &values).unwrap_or_else(|_| (words::of(told.kind).title.to_owned(), String::new()))
        }
    };
    let html = match templates.html.as_deref().map(|html| in_html(html, &values)) {
        Some(Ok(made)) => made,
        other => {
            troubles.extend(other.and_then(Result::err).map(|bad| format!("HTML template: {bad}")));
            in_html(HTML, &values).unwrap_or_else(|_| sink::html(words::of(told.kind).lead))
        }
    };
    Letter { subject, text, html, troubles }
}

/// Example facts for a preview of a kind that nothing was told of yet.
#[must_use]
pub fn example(kind: EventKind) -> Json {
    serde_json::json!({
        "device": "Ada's phone <b>& co</b>",
        "device_id": "IMEI:004999010640000",
        "owner": "ada@corp.example",
        "by": "admin:grace",
        "reason": "left in a train",
        "state": kind.as_str(),
    })
}

fn in_text(template: &str, values: &Values) -> Result<(String, String), BadTemplate> {
    let (first, body) = template.split_once('\n').unwrap_or((template, ""));
    let (subject, body) = match first.strip_prefix(SUBJECT) {
        Some(subject) => (subject, body),
        None => ("[Postern] {{title}}", template),
    };
    let subject = Template::read(subject.trim())?.render(values, Sink::Header)?;
    let text = Template::read(body)?.render(values, Sink::Text)?;
    Ok((sink::header(&subject), text.trim_start_matches(['\r', '\n']).to_owned()))
}

fn in_html(template: &str, values: &Values) -> Result<String, BadTemplate> {
    Template::read(template)?.render(values, Sink::Html)
}

fn values(told: &Told<'_>) -> Values {
    let words = words::of(told.kind);
    let ours = |text: &str| Value::Ours(text.to_owned());
    let mut values: Values = Values::new();
    for (name, fact) in facts(told.data) {
        values.insert(name, Value::Text(fact));
    }
    // The one name that a letter makes something to click of.
    values.remove("link");
    let listed = facts(told.data).into_iter().map(|(name, fact)| {
        Values::from([
            ("label".to_owned(), Value::Text(words::label(&name).to_owned())),
            ("value".to_owned(), Value::Text(fact)),
        ])
    });
    values.insert("facts".to_owned(), Value::List(listed.collect()));
    values.insert("title".to_owned(), ours(words.title));
    values.insert("lead".to_owned(), ours(words.lead));
    values.insert("advice".to_owned(), ours(words.advice));
    values.insert("kind".to_owned(), ours(told.kind.as_str()));
    values.insert("event".to_owned(), ours(&told.event.to_string()));
    values.insert("about".to_owned(), Value::Text(told.subject.to_owned()));
    values.insert("when".to_owned(), ours(&told.at.to_string()));
    if let Some(link) = told.sign_in.map(|base| link(base, told.subject)) {
        values.insert("link".to_owned(), Value::Ours(link));
    }
    values
}

/// The sign-in page, told what somebody wants to look at afterwards.
#[must_use]
pub fn link(sign_in: &str, subject: &str) -> String {
    let mut out = sign_in.to_owned();
    out.push(if sign_in.contains('?') { '&' } else { '?' });
    out.push_str("about=");
    for byte in subject.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// The facts of an event's data, in the order in which people are shown them. What is no text, number or truth is
/// shown as JSON.
#[must_use]
pub fn facts(data: &Json) -> Vec<(String, String)> {
    let Some(object) = data.as_object() else { return Vec::new() };
    let place = |name: &str| words::LABELS.iter().position(|(known, _)| *known == name).unwrap_or(usize::MAX);
    let mut facts: Vec<(String, String)> = object
        .iter()
        .filter_map(|(name, value)| match value {
            Json::Null => None,
            Json::String(text) => Some((name.clone(), text.clone())),
            Json::Bool(truth) => Some((name.clone(), if *truth { "yes" } else { "no" }.to_owned())),
            other => Some((name.clone(), other.to_string())),
        })
        .collect();
    facts.sort_by(|a, b| place(&a.0).cmp(&place(&b.0)).then_with(|| a.0.cmp(&b.0)));
    facts.truncate(FACTS);
    facts
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(data: &Json) -> Told<'_> {
        Told {
            event: Uuid::nil(),
            kind: EventKind::WipeRequested,
            subject: "wipe:1 & 2",
            data,
            at: UtcMillis(0),
            sign_in: Some("https://console.example/sign-in"),
        }
    }

    #[test]
    fn a_letter_tells_what_happened_with_all_facts() {
        let data = json!({"zebra": 1, "reason": "lost", "device": "phone", "absent": null});
        let made = letter(&told(&data), &Templates::default());
        assert_eq!(made.subject, "[Postern] Wipe requested: phone");
        let device = made.text.find("Device: phone").unwrap();
        let reason = made.text.find("Reason: lost").unwrap();
        let zebra = made.text.find("zebra: 1").unwrap();
        assert!(device < reason && reason < zebra, "{}", made.text);
        assert!(!made.text.contains("absent"), "{}", made.text);
        assert!(made.html.contains("<td style=\"padding: 0.2em 0\">lost</td>"), "{}", made.html);
        assert!(made.troubles.is_empty());
    }

    #[test]
    fn a_hostile_device_name_brings_neither_headers_nor_markup_nor_lines() {
        let data = json!({"device": "x\r\nBcc: thief@evil.example\r\n\r\n<a href='https://evil.example'>Sign in</a>\nReason: fine"});
        for kind in EventKind::ALL {
            let made = letter(&Told { kind: *kind, ..told(&data) }, &Templates::default());
            assert!(!made.subject.contains(['\r', '\n']), "{}", made.subject);
            assert!(!made.text.lines().any(|line| line.starts_with("Reason: fine")), "{}", made.text);
            assert!(!made.html.contains("<a href='"), "{}", made.html);
            assert!(!made.html.contains("https://evil"), "{}", made.html);
        }
    }

    #[test]
    fn the_link_opens_the_sign_in_page_and_holds_nothing_that_acts() {
        let data = json!({});
        let made = letter(&told(&data), &Templates::default());
        let link = "https://console.example/sign-in?about=wipe%3A1%20%26%202";
        assert!(made.text.contains(link), "{}", made.text);
        assert_eq!(made.html.matches("href=").count(), 1);
        assert!(made.html.contains(&format!("href=\"{link}\"")), "{}", made.html);
        let without = letter(&Told { sign_in: None, ..told(&data) }, &Templates::default());
        assert!(!without.html.contains("href") && !without.text.contains("sign in"));
    }

    #[test]
    fn an_operators_template_takes_the_place_of_ours_unless_it_is_broken() {
        let data = json!({"device": "phone"});
        let own = Templates {
            text: Some("Subject: {{device}} soll gelöscht werden\nGerät: {{device}}\n".to_owned()),
            html: Some("<p>{{device".to_owned()),
        };
        let made = letter(&told(&data), &own);
        assert_eq!(
            (made.subject.as_str(), made.text.as_str()),
            ("phone soll gelöscht werden", "Gerät: phone\n")
        );
        assert!(made.html.contains("Wipe requested"), "{}", made.html);
        assert_eq!(made.troubles, ["HTML template: line 1: a tag does not end with }}"]);
    }

    #[test]
    fn a_fact_cannot_take_the_place_of_our_own_words() {
        let data =
            json!({"title": "Nothing happened", "lead": "Ignore this", "link": "https://evil.example"});
        let made = letter(&told(&data), &Templates::default());
        assert_eq!(made.subject, "[Postern] Wipe requested");
        assert!(!made.html.contains("https://evil.example"), "{}", made.html);
        let without = letter(&Told { sign_in: None, ..told(&data) }, &Templates::default());
        assert!(!without.html.contains("href"), "{}", without.html);
    }
}
