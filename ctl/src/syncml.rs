//! `posternctl syncml …`: SyncML messages in files, offline. Reads XML, WBXML and the JSON form by itself.

pub mod form;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use postern_api::problem::ProblemItem;
use postern_wire::syncml::{self, DecodeError, Encoding, Limits, Message, Style};

use crate::{
    failure::{Exit, Failure},
    files,
    output::Output,
};

/// What can be done with messages.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Read a message and show it, as JSON unless --to says otherwise. Exit code 2 with the reason and its place when it is not valid.
    Decode(Conversion),
    /// Write a message, as XML unless --to says otherwise, from the JSON form or from another encoding.
    Encode(Conversion),
}

/// What to read and what to write.
#[derive(Debug, Args)]
pub struct Conversion {
    /// What to write.
    #[arg(long, value_enum)]
    pub to: Option<Form>,
    /// A message in XML, WBXML or JSON. `-` is stdin.
    pub file: PathBuf,
}

/// The forms of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// The message model as JSON.
    Json,
    /// XML, as it crosses the network.
    Xml,
    /// WBXML, as it crosses the network.
    Wbxml,
}

impl Action {
    /// Does it.
    pub fn run(self, output: &mut Output<'_>) -> Result<Exit, Failure> {
        let (conversion, default) = match self {
            Self::Decode(conversion) => (conversion, Form::Json),
            Self::Encode(conversion) => (conversion, Form::Xml),
        };
        let name = conversion.file.as_path();
        let (message, style) = read(name, &files::octets(name)?, output)?;
        match conversion.to.unwrap_or(default) {
            Form::Json => output.document(&form::Message::from(message))?,
            Form::Xml => output.octets(&write(name, &message, Encoding::Xml, style)?)?,
            Form::Wbxml => output.octets(&write(name, &message, Encoding::Wbxml, style)?)?,
        }
        Ok(Exit::Done)
    }
}

/// The message, and how it was written where it came in an encoding of the network.
fn read(name: &Path, body: &[u8], output: &mut Output<'_>) -> Result<(Message, Option<Style>), Failure> {
    let encoding = match form_of(body) {
        Some(Form::Json) => {
            let form: form::Message = serde_json::from_slice(body).map_err(|error| {
                refused(
                    name,
                    "message-json",
                    format!("line {} column {}", error.line(), error.column()),
                    &error,
                )
            })?;
            return Ok((form.into(), None));
        }
        Some(Form::Wbxml) => Encoding::Wbxml,
        // The XML reader says best what is wrong with text that is neither.
        Some(Form::Xml) | None => Encoding::Xml,
    };
    let decoded = syncml::decode(body, encoding, &Limits::default())
        .map_err(|error: DecodeError| refused(name, error.slug(), error.place.to_string(), &error.kind))?;
    if decoded.repairs != Default::default() {
        output.remark(&format!("repaired on the way: {:?}", decoded.repairs));
    }
    Ok((decoded.message, Some(decoded.style)))
}

/// Told by the first octet that means something: `<` or white space, `{`, or a WBXML version from 1.1 on.
fn form_of(body: &[u8]) -> Option<Form> {
    let text = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    match text.iter().find(|octet| !octet.is_ascii_whitespace()) {
        Some(b'<') => Some(Form::Xml),
        Some(b'{') => Some(Form::Json),
        Some(0x01..=0x08) if body.first().is_some_and(|first| *first < 0x09) => Some(Form::Wbxml),
        _ => None,
    }
}

/// The message in an encoding of the network: in the style that it came in, where that is the encoding.
fn write(
    name: &Path,
    message: &Message,
    encoding: Encoding,
    came_in: Option<Style>,
) -> Result<Vec<u8>, Failure> {
    let default = match encoding {
        Encoding::Xml => Style::xml(message.version),
        Encoding::Wbxml => Style::wbxml(message.version),
    };
    let style = came_in.filter(|style| style.encoding == encoding).unwrap_or(default);
    syncml::encode(message, &style)
        .map_err(|error| Failure::invalid("message-not-encodable", format!("{}: {error}", name.display())))
}

fn refused(name: &Path, slug: &str, place: String, kind: &impl ToString) -> Failure {
    let sentence = format!("{} is not a valid SyncML message", name.display());
    let errors = vec![ProblemItem { at: place, detail: kind.to_string() }];
    Failure { errors, ..Failure::invalid(slug, sentence) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_of_a_message_is_told_by_its_first_octet() {
        for (body, form) in [
            (&b"<SyncML/>"[..], Some(Form::Xml)),
            (b"\xef\xbb\xbf\n <SyncML/>", Some(Form::Xml)),
            (b"{}", Some(Form::Json)),
            (b"\x02\xa4\x01\x6a\x00", Some(Form::Wbxml)),
            (b"\x03\x01\x6a\x00", Some(Form::Wbxml)),
            (b"SyncML", None),
            (b"", None),
        ] {
            assert_eq!(form_of(body), form, "{body:?}");
        }
    }
}
