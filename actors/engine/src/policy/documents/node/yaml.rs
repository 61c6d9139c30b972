//! YAML, from the parser's events: nothing is built of what is over a limit.

use saphyr_parser::{Event, Marker, Parser, ScalarStyle};

use super::{Error, ErrorKind, Kind, Limits, Node};

/// A list or a map that is not at its end.
enum Open {
    List(usize, Vec<Node>),
    /// The key that waits for its value.
    Map(usize, Vec<(String, Node)>, Option<String>),
}

struct Reader<'l> {
    limits: &'l Limits,
    open: Vec<Open>,
    documents: Vec<Node>,
    nodes: usize,
}

pub(super) fn read(text: &str, limits: &Limits) -> Result<Vec<Node>, Error> {
    let mut reader = Reader { limits, open: Vec::new(), documents: Vec::new(), nodes: 0 };
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| {
            let kind = ErrorKind::Syntax(format!("it is not YAML: {}", error.info()));
            Error { line: Some(error.marker().line()), path: String::new(), kind }
        })?;
        reader.take(event, span.start)?;
    }
    Ok(reader.documents)
}

impl Reader<'_> {
    fn take(&mut self, event: Event<'_>, mark: Marker) -> Result<(), Error> {
        let line = mark.line();
        let refuse = |kind| Err(Error { line: Some(line), path: String::new(), kind });
        let (anchor, tag) = match &event {
            Event::Alias(_) => return refuse(ErrorKind::Alias),
            Event::Scalar(_, _, anchor, tag)
            | Event::SequenceStart(anchor, tag)
            | Event::MappingStart(anchor, tag) => (*anchor, tag.is_some()),
            _ => (0, false),
        };
        if anchor != 0 {
            return refuse(ErrorKind::Alias);
        }
        if tag {
            return refuse(ErrorKind::Tag);
        }
        if matches!(event, Event::Scalar(..) | Event::SequenceStart(..) | Event::MappingStart(..)) {
            self.nodes += 1;
            if self.nodes > self.limits.nodes {
                return refuse(ErrorKind::TooLarge { what: "values", limit: self.limits.nodes });
            }
            if self.open.len() >= self.limits.depth {
                return refuse(ErrorKind::TooLarge { what: "levels", limit: self.limits.depth });
            }
        }
        match event {
            Event::Scalar(text, style, ..) => {
                let kind =
                    if style == ScalarStyle::Plain { plain(&text) } else { Kind::Text(text.into_owned()) };
                self.put(line, kind)
            }
            Event::SequenceStart(..) => {
                self.open.push(Open::List(line, Vec::new()));
                Ok(())
            }
            Event::MappingStart(..) => {
                self.open.push(Open::Map(line, Vec::new(), None));
                Ok(())
            }
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(Open::List(line, items)) => self.put(line, Kind::List(items)),
                Some(Open::Map(line, members, _)) => self.put(line, Kind::Map(members)),
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }

    fn put(&mut self, line: usize, kind: Kind) -> Result<(), Error> {
        let refuse = |kind| Err(Error { line: Some(line), path: String::new(), kind });
        let node = |kind| Node { line: Some(line), kind };
        match self.open.last_mut() {
            None if self.documents.len() >= self.limits.documents => {
                refuse(ErrorKind::TooLarge { what: "documents", limit: self.limits.documents })
            }
            None => {
                self.documents.push(node(kind));
                Ok(())
            }
            Some(Open::List(_, items)) => {
                items.push(node(kind));
                Ok(())
            }
            Some(Open::Map(_, members, key @ None)) => {
                // A key that reads as a number or a truth is a name all the same: lists' entries are called 1, 2, 3.
                let name = match kind {
                    Kind::Text(text) => text,
                    Kind::Number(number) => number.to_string(),
                    _ => return refuse(ErrorKind::Key),
                };
                if members.len() >= self.limits.keys {
                    return refuse(ErrorKind::TooLarge { what: "keys", limit: self.limits.keys });
                }
                if members.iter().any(|(own, _)| *own == name) {
                    return refuse(ErrorKind::Twice(name));
                }
                *key = Some(name);
                Ok(())
            }
            Some(Open::Map(_, members, key)) => {
                members.extend(key.take().map(|key| (key, node(kind))));
                Ok(())
            }
        }
    }
}

/// A plain scalar by the core schema (YAML 1.2.2, 10.3.2), whole numbers in decimal only: a leading zero or a sign makes
/// nothing of a telephone number.
fn plain(text: &str) -> Kind {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Kind::Null,
        "true" | "True" | "TRUE" => Kind::Bool(true),
        "false" | "False" | "FALSE" => Kind::Bool(false),
        _ => {
            let digits = text.strip_prefix('-').unwrap_or(text);
            let decimal = digits == "0"
                || !digits.starts_with('0') && digits.bytes().all(|octet| octet.is_ascii_digit());
            let number = decimal.then(|| text.parse().ok()).flatten();
            number.map_or_else(|| Kind::Text(text.to_owned()), Kind::Number)
        }
    }
}
