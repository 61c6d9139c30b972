//! JSON, value by value: nothing is built of what is over a limit.

use std::{cell::Cell, fmt};

use serde::de::{DeserializeSeed, MapAccess, SeqAccess, Visitor};

use super::{Error, ErrorKind, Kind, Limits, Node};

pub(super) fn read(text: &str, limits: &Limits) -> Result<Vec<Node>, Error> {
    let refused = Cell::new(None);
    let nodes = Cell::new(0);
    let mut reader = serde_json::Deserializer::from_str(text);
    let seed = Seed { limits, depth: 0, nodes: &nodes, refused: &refused };
    let read = seed.deserialize(&mut reader).and_then(|node| reader.end().map(|()| node));
    read.map(|node| vec![node]).map_err(|error| {
        let kind = refused.take().unwrap_or_else(|| ErrorKind::Syntax(format!("it is not JSON: {error}")));
        Error { line: Some(error.line()).filter(|line| *line > 0), path: String::new(), kind }
    })
}

#[derive(Clone, Copy)]
struct Seed<'s> {
    limits: &'s Limits,
    depth: usize,
    nodes: &'s Cell<usize>,
    refused: &'s Cell<Option<ErrorKind>>,
}

impl Seed<'_> {
    fn refuse<E: serde::de::Error>(&self, kind: ErrorKind) -> E {
        let error = E::custom(&kind);
        self.refused.set(Some(kind));
        error
    }

    fn counted<E: serde::de::Error>(&self) -> Result<(), E> {
        self.nodes.set(self.nodes.get() + 1);
        if self.nodes.get() > self.limits.nodes {
            return Err(self.refuse(ErrorKind::TooLarge { what: "values", limit: self.limits.nodes }));
        }
        Ok(())
    }

    fn inside<E: serde::de::Error>(&self) -> Result<Self, E> {
        if self.depth >= self.limits.depth {
            return Err(self.refuse(ErrorKind::TooLarge { what: "levels", limit: self.limits.depth }));
        }
        Ok(Self { depth: self.depth + 1, ..*self })
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Node;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        self.counted()?;
        deserializer.deserialize_any(self)
    }
}

fn node<E>(kind: Kind) -> Result<Node, E> {
    Ok(Node { line: None, kind })
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        node(Kind::Null)
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Node, E> {
        node(Kind::Bool(truth))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Node, E> {
        node(Kind::Number(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Node, E> {
        node(i64::try_from(number).map_or_else(|_| Kind::Text(number.to_string()), Kind::Number))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Node, E> {
        node(Kind::Text(number.to_string()))
    }

    fn visit_str<E>(self, text: &str) -> Result<Node, E> {
        node(Kind::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Node, A::Error> {
        let inside = self.inside()?;
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(inside)? {
            items.push(item);
        }
        node(Kind::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let inside = self.inside()?;
        let mut members: Vec<(String, Node)> = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            self.counted()?;
            if members.len() >= self.limits.keys {
                return Err(self.refuse(ErrorKind::TooLarge { what: "keys", limit: self.limits.keys }));
            }
            if members.iter().any(|(own, _)| *own == name) {
                return Err(self.refuse(ErrorKind::Twice(name)));
            }
            let value = map.next_value_seed(inside)?;
            members.push((name, value));
        }
        node(Kind::Map(members))
    }
}
