//! What the providers' tests share: a device with an order key, and a server's commands to it.

use postern_wire::{
    order::{Order, VERSION},
    syncml::{Command, Data, Encoding, Item, Location, Meta, Request},
    terms::{OperationId, UtcMillis},
};
use uuid::Uuid;

use super::{Completion, Hardware, Providers};
use crate::{
    codes::Code,
    enrolment::{Account, Enrolment},
    event::Event,
    interaction::NoUser,
    keys::{SigningKey, new_request},
    manager::{Manager, Run},
    state::State,
};

/// A device, its order key's private half, and what its manager is asked.
pub(super) struct Bench {
    pub(super) state: State,
    pub(super) csp: Providers,
    pub(super) account: Account,
    pub(super) events: Vec<Event>,
    user: NoUser,
    pub(super) now: UtcMillis,
    order_key: SigningKey,
}

impl Bench {
    pub(super) fn new(csp: Providers) -> Self {
        let pair = new_request("order key").unwrap();
        let public = rcgen::KeyPair::from_pem(&pair.key_pem).unwrap().public_key_pem();
        let account = account("srv", Some(public));
        let state = State::new(csp.plant(&account, &Hardware::default()).unwrap());
        let order_key = SigningKey::from_pem(&pair.key_pem).unwrap();
        Self { state, csp, account, events: Vec::new(), user: NoUser, now: UtcMillis(1_000), order_key }
    }

    /// The same device, asked by another server.
    pub(super) fn by(mut self, server_id: &str) -> Self {
        self.account.server_id = server_id.to_owned();
        self
    }

    pub(super) fn manager(&mut self) -> Manager<'_> {
        Manager {
            state: &mut self.state,
            csp: &self.csp,
            account: &self.account,
            encoding: Encoding::Xml,
            now: self.now,
            events: &mut self.events,
            ui: &mut self.user,
            cancelled: false,
            atomic_octets: usize::MAX,
        }
    }

    pub(super) fn add(&mut self, uri: &str, text: &str) -> Result<(), Code> {
        self.manager().add(uri, &Meta::default(), Some(&text.into()))
    }

    pub(super) fn replace(&mut self, uri: &str, text: &str) -> Result<(), Code> {
        self.manager().replace(uri, &Meta::default(), Some(&text.into()))
    }

    pub(super) fn delete(&mut self, uri: &str) -> Result<(), Code> {
        self.manager().delete(uri)
    }

    /// A leaf's text, or an interior node's child names.
    pub(super) fn read(&mut self, uri: &str) -> Result<String, Code> {
        let items = self.manager().get(uri)?;
        Ok(items[0].data.as_ref().and_then(Data::as_text).unwrap_or_default().to_owned())
    }

    /// Exec with the Correlator `c1`.
    pub(super) fn exec(&mut self, uri: &str, data: &str) -> Result<Code, Code> {
        self.manager().exec(uri, Some(&data.into()), Some("c1"))
    }

    pub(super) fn codes(&mut self, command: &Command) -> Vec<u32> {
        let answers = self.manager().run(command, Run::Execute);
        answers.into_iter().map(|answer| answer.code.0).collect()
    }

    /// A signed order for `uri`, as its operation `number`.
    pub(super) fn order(&self, uri: &str, number: u128, change: impl FnOnce(&mut Order)) -> String {
        let mut order = Order {
            v: VERSION,
            enrolment: self.account.enrolment,
            generation: self.account.generation,
            uri: uri.to_owned(),
            expires: self.now.plus(1_000),
            order: OperationId(Uuid::from_u128(number)),
        };
        change(&mut order);
        order.seal(|octets| self.order_key.sign(octets)).unwrap()
    }

    /// Does one step of work; `false` when there was none.
    pub(super) fn step(&mut self) -> bool {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let Some(step) = self.csp.work(&mut self.state, self.now) else { return false };
        runtime.block_on(step);
        true
    }

    /// Does all the work there is and takes what ended.
    pub(super) fn ended(&mut self) -> Vec<Completion> {
        while self.step() {}
        self.csp.collect(&mut self.state, self.now);
        std::mem::take(&mut self.state.completions)
    }
}

pub(super) fn account(server_id: &str, order_key_pem: Option<String>) -> Account {
    let json = serde_json::json!({
        "server_uri": "https://dm.test/dm/1/abc",
        "enrolment": Uuid::from_u128(5),
        "generation": 3,
        "device_id": "IMEI:1",
        "server_id": server_id,
        "auth": "basic",
        "password": "pw",
        "ca_pem": "",
        "order_key_pem": order_key_pem,
    });
    Account::new(&Enrolment::from_json(&json.to_string()).unwrap(), None).unwrap()
}

pub(super) fn request(target: &str, data: Option<&str>) -> Request {
    let item = Item { target: Some(Location::uri(target)), data: data.map(Into::into), ..Item::default() };
    Request { cmd_id: 1, items: vec![item], ..Request::default() }
}
