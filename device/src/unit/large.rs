//! Large objects on their way in (OMA-TS-DM_Protocol 7): kept in memory until the last chunk, then one command.

use postern_wire::syncml::{Alert, Command, Data, Item, Request};

use super::Unit;
use crate::{
    codes::Code,
    manager::{Answer, Manager, Run},
    tree::Tree,
};

/// An object of which chunks have come.
#[derive(Debug)]
pub(super) struct Incoming {
    replaces: bool,
    uri: String,
    /// The first chunk's Item: its Meta counts.
    first: Item,
    announced: u64,
    octets: Vec<u8>,
}

/// Octets of Data as carried: what Size and MaxObjSize speak of.
pub(super) fn carried_len(data: &Data) -> u64 {
    let octets = match data {
        Data::Text(text) | Data::Markup(text) => text.len(),
        Data::Binary(octets) => octets.len(),
    };
    octets as u64
}

impl Unit {
    /// Runs a command of SyncBody, unless it is a chunk that is kept.
    pub(super) fn take_large(&mut self, command: &Command, manager: &mut Manager<'_>) -> Vec<Answer> {
        let (Command::Add(request) | Command::Replace(request)) = command else {
            if !matches!(command, Command::Alert(alert) if alert.code == 1222) {
                self.break_off();
            }
            return manager.run(command, Run::Execute);
        };
        let replaces = matches!(command, Command::Replace(_));
        let goes_on = self.large.as_ref().is_some_and(|large| large.is_continued_by(replaces, request));
        if self.large.is_some() && !goes_on {
            self.break_off();
        }
        if let Some(answers) = self.too_large(command, request) {
            return answers;
        }
        let Some((last, before)) = request.items.split_last().filter(|(last, _)| goes_on || last.more_data)
        else {
            return manager.run(command, Run::Execute);
        };
        self.chunk_came = true;
        let remake = |items: Vec<Item>| {
            let request = Request { items, ..request.clone() };
            if replaces { Command::Replace(request) } else { Command::Add(request) }
        };
        let mut answers = match before {
            [] => Vec::new(),
            before => manager.run(&remake(before.to_vec()), Run::Execute),
        };
        match self.keep(replaces, request, last, &manager.state.tree) {
            Ok(Some(whole)) => answers.extend(manager.run(&remake(vec![whole]), Run::Execute)),
            Ok(None) => answers.push(answer(request, replaces, last, Code::CHUNK_KEPT)),
            Err(code) => {
                self.large = None;
                answers.push(answer(request, replaces, last, code));
            }
        }
        answers
    }

    /// Adds a chunk; the whole Item when it was the last.
    fn keep(
        &mut self,
        replaces: bool,
        request: &Request,
        item: &Item,
        tree: &Tree,
    ) -> Result<Option<Item>, Code> {
        let limit = self.settings.max_object;
        if self.large.is_none() {
            let announced = item.meta.size.or(request.meta.size).ok_or(Code::SIZE_REQUIRED)?;
            if announced > limit {
                return Err(Code::TOO_LARGE);
            }
            if !tree.has_room(announced) {
                return Err(Code::DEVICE_FULL); // rather than after the last chunk
            }
            let uri = item.target.as_ref().map(|target| target.uri.clone()).ok_or(Code::INCOMPLETE)?;
            let first = Item { data: None, more_data: false, ..item.clone() };
            self.large = Some(Incoming { replaces, uri, first, announced, octets: Vec::new() });
        }
        let large = self.large.as_mut().ok_or(Code::FAILED)?;
        match &item.data {
            Some(Data::Text(text) | Data::Markup(text)) => large.octets.extend_from_slice(text.as_bytes()),
            Some(Data::Binary(octets)) => large.octets.extend_from_slice(octets),
            None => {}
        }
        let length = large.octets.len() as u64;
        if length > large.announced {
            return Err(Code::SIZE_MISMATCH);
        }
        if item.more_data {
            return Ok(None);
        }
        if length != large.announced {
            return Err(Code::SIZE_MISMATCH);
        }
        let large = self.large.take().ok_or(Code::FAILED)?;
        let data = match String::from_utf8(large.octets) {
            Ok(text) => Data::Text(text),
            Err(error) => Data::Binary(error.into_bytes()),
        };
        Ok(Some(Item { data: Some(data), ..large.first }))
    }

    /// 413 for a command with an object, whole in this message, that is larger than our MaxObjSize.
    fn too_large(&self, command: &Command, request: &Request) -> Option<Vec<Answer>> {
        let limit = self.settings.max_object;
        let is_large = |item: &Item| item.data.as_ref().is_some_and(|data| carried_len(data) > limit);
        let large = request.items.iter().find(|item| is_large(item))?;
        Some(vec![answer(request, matches!(command, Command::Replace(_)), large, Code::TOO_LARGE)])
    }

    /// Alert 1225: the server left an object unfinished. What had come of it is dropped.
    pub(super) fn break_off(&mut self) {
        let Some(large) = self.large.take() else { return };
        let item = Item { source: large.first.source, target: large.first.target, ..Item::default() };
        self.outbox.push_back(Command::Alert(Alert { code: 1225, items: vec![item], ..Alert::default() }));
    }
}

impl Incoming {
    fn is_continued_by(&self, replaces: bool, request: &Request) -> bool {
        let target = request.items.first().and_then(|item| item.target.as_ref());
        self.replaces == replaces
            && request.items.len() == 1
            && target.is_some_and(|target| target.uri == self.uri)
    }
}

fn answer(request: &Request, replaces: bool, item: &Item, code: Code) -> Answer {
    Answer {
        cmd_ref: request.cmd_id,
        cmd: if replaces { "Replace" } else { "Add" }.to_owned(),
        code,
        target: item.target.as_ref().map(|target| target.uri.clone()),
        source: None,
        items: Vec::new(),
        results: Vec::new(),
    }
}
