//! A small device: a flat tree, faults on demand, and a count of what it really executed.

use std::collections::BTreeMap;

use postern_wire::syncml::{Command, Data, Item, Location, Meta, Request, Results, Status};

use super::{Answer, Say};

/// A device that executes server messages.
#[derive(Default)]
pub(crate) struct Device {
    pub(crate) tree: BTreeMap<String, String>,
    /// How often each `verb uri` was executed with success.
    pub(crate) executed: BTreeMap<String, u32>,
}

impl Device {
    /// Executes a server message and gives what is to be said of it, one entry a command.
    pub(crate) fn execute(&mut self, answer: &Answer) -> Vec<Said> {
        let msg_ref = answer.message.header.msg_id;
        answer.message.body.iter().filter_map(|command| self.one(msg_ref, command)).collect()
    }

    fn one(&mut self, msg_ref: u32, command: &Command) -> Option<Said> {
        let (name, request) = match command {
            Command::Add(request) => ("Add", request),
            Command::Replace(request) => ("Replace", request),
            Command::Get(request) => ("Get", request),
            Command::Delete(request) => ("Delete", request),
            Command::Copy(request) => ("Copy", request),
            Command::Exec(request) => ("Exec", request),
            _ => return None,
        };
        let mut said = Said { msg_ref, cmd_ref: request.cmd_id, cmd: name, items: Vec::new() };
        for item in &request.items {
            let uri = item.target.as_ref().map(|target| target.uri.clone()).unwrap_or_default();
            let (code, value) = self.item(name, &uri, item, request);
            if code == 200 {
                *self.executed.entry(format!("{name} {uri}")).or_default() += 1;
            }
            said.items.push((uri, code, value));
        }
        Some(said)
    }

    fn item(&mut self, name: &str, uri: &str, item: &Item, _request: &Request) -> (u32, Option<String>) {
        let value = match &item.data {
            Some(Data::Text(text)) => text.clone(),
            _ => String::new(),
        };
        let known = self.tree.contains_key(uri);
        match name {
            "Add" if known => (418, None),
            "Replace" | "Get" | "Delete" if !known => (404, None),
            "Add" | "Replace" => {
                self.tree.insert(uri.into(), value);
                (200, None)
            }
            "Get" => (200, self.tree.get(uri).cloned()),
            "Delete" => {
                self.tree.remove(uri);
                (200, None)
            }
            "Copy" => match item.source.as_ref().and_then(|source| self.tree.get(&source.uri).cloned()) {
                Some(value) => {
                    self.tree.insert(uri.into(), value);
                    (200, None)
                }
                None => (404, None),
            },
            _ => (200, None),
        }
    }
}

/// What a device says of one command.
#[derive(Clone, Debug)]
pub(crate) struct Said {
    pub(crate) msg_ref: u32,
    pub(crate) cmd_ref: u32,
    pub(crate) cmd: &'static str,
    pub(crate) items: Vec<(String, u32, Option<String>)>,
}

impl Say {
    /// Status and Results for one executed command.
    pub(crate) fn said(mut self, said: &Said) -> Self {
        let Said { msg_ref, cmd_ref, cmd, items } = said;
        for (uri, code, value) in items {
            let cmd_id = u32::try_from(self.0.body.len()).unwrap() + 1;
            self = self.with(Command::Status(Status {
                cmd_id,
                msg_ref: Some(*msg_ref),
                cmd_ref: *cmd_ref,
                cmd: (*cmd).into(),
                target_refs: vec![uri.clone()],
                code: *code,
                ..Status::default()
            }));
            if let Some(value) = value {
                let meta = Meta { format: Some("chr".into()), ..Meta::default() };
                let item = Item {
                    source: Some(Location::uri(uri.clone())),
                    meta,
                    data: Some(Data::Text(value.clone())),
                    ..Item::default()
                };
                self = self.with(Command::Results(Results {
                    cmd_id: cmd_id + 1,
                    msg_ref: Some(*msg_ref),
                    cmd_ref: *cmd_ref,
                    items: vec![item],
                    ..Results::default()
                }));
            }
        }
        self
    }
}
