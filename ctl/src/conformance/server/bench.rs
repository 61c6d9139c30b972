//! What server cases work with: the server's address, test devices, and the operator.

use std::time::Duration;

use postern_wire::terms::AuthType;
use serde_json::{Value, json};

use super::session::Session;
use crate::conformance::{
    account::{Account, AccountFile},
    operator::{Operator, OperatorError},
    tamper::{Passing, Tamper, Thing},
    variant::Variant,
    verdict::{Miss, Outcome},
};

/// Polls of a command before it counts as unfinished, and the wait between two.
const POLLS: u32 = 100;
const BETWEEN_POLLS: Duration = Duration::from_millis(50);

/// A server under test.
pub struct Target {
    /// The account to use where no operator can enrol one for each case.
    pub account: Option<Account>,
    /// Who enrols devices and queues commands.
    pub operator: Option<Box<dyn Operator>>,
    /// Tells the devices of this run from those of every other.
    pub run: u64,
    /// Devices that this run has enrolled.
    pub enrolled: u32,
}

/// What one case has.
pub struct Bench<'t> {
    /// In which encoding and version the case runs.
    pub variant: Variant,
    target: &'t mut Target,
    tamper: Option<Tamper>,
    asked: u32,
    sessions: u32,
}

/// A test device: its account, and what it remembers from one session to the next.
#[derive(Clone, Debug)]
pub struct Device {
    /// Its account.
    pub account: Account,
    /// The nonce that the server gave for its proof.
    pub nonce: Option<Vec<u8>>,
    /// The nonce that it gave for the server's proof.
    pub server_nonce: Option<Vec<u8>>,
}

impl Device {
    /// Remembers the nonces of a session.
    pub fn keep(&mut self, session: &Session) {
        self.nonce.clone_from(&session.nonce);
        self.server_nonce.clone_from(&session.server_nonce);
    }
}

impl<'t> Bench<'t> {
    /// The bench of one case in one variant.
    pub const fn new(variant: Variant, target: &'t mut Target, tamper: Option<Tamper>) -> Self {
        Self { variant, target, tamper, asked: 0, sessions: 0 }
    }

    /// A device that proves itself by md5: one of its own for this case, or the account that was given.
    pub fn device(&mut self) -> Outcome<Device> {
        let own =
            |account: &Account| matches!(account.auth, AuthType::Basic | AuthType::Md5 | AuthType::Hmac);
        match &self.target.account {
            Some(account) if own(account) => Ok(fresh(account.clone())),
            _ => self.enrol(AuthType::Md5),
        }
    }

    /// A new device that proves itself in this way.
    pub fn enrol(&mut self, auth: AuthType) -> Outcome<Device> {
        self.enrol_with(auth, None, None)
    }

    /// A new device with a certificate request.
    pub fn enrol_with(
        &mut self,
        auth: AuthType,
        csr_pem: Option<&str>,
        key: Option<&secrecy::SecretString>,
    ) -> Outcome<Device> {
        if let Some(account) = self.target.account.as_ref().filter(|account| account.auth == auth) {
            return Ok(fresh(account.clone()));
        }
        self.target.enrolled += 1;
        let device_id = format!("urn:conformance:{:x}:{}", self.target.run, self.target.enrolled);
        let mut input = json!({"device_id": device_id, "auth": auth.to_string()});
        if let Some(csr) = csr_pem {
            input["csr_pem"] = csr.into();
        }
        let account = self.ask("enrol", &input)?;
        let file: AccountFile = serde_json::from_value(account)
            .map_err(|error| Miss::broken(format!("the operator's account cannot be read: {error}")))?;
        Ok(fresh(Account::new(file, key)))
    }

    /// Queues commands given as XML; their ids.
    pub fn queue(&mut self, device: &Device, syncml: &str) -> Outcome<Vec<String>> {
        let queued = self.ask("queue", &json!({"device_id": device.account.device_id, "syncml": syncml}))?;
        let ids = queued["commands"].as_array().into_iter().flatten().filter_map(Value::as_str);
        Ok(ids.map(str::to_owned).collect())
    }

    /// Queues one command; its id.
    pub fn queue_one(&mut self, device: &Device, syncml: &str) -> Outcome<String> {
        let ids = self.queue(device, syncml)?;
        ids.into_iter().next().ok_or_else(|| Miss::broken("the operator queued nothing"))
    }

    /// What is known of a command now.
    pub fn command(&mut self, id: &str) -> Outcome<Value> {
        self.ask("command", &json!({"id": id}))
    }

    /// What is known of a command when it has ended.
    pub fn ended(&mut self, id: &str) -> Outcome<Value> {
        for _ in 0..POLLS {
            let command = self.command(id)?;
            if !matches!(command["state"].as_str(), Some("queued" | "sent")) {
                return Ok(command);
            }
            std::thread::sleep(BETWEEN_POLLS);
        }
        let command = self.command(id)?;
        Err(Miss::broken(format!("the command does not end: it is {} still", command["state"])))
    }

    /// What the server knows of a device.
    pub fn known(&mut self, device: &Device) -> Outcome<Value> {
        self.ask("device", &json!({"device_id": device.account.device_id}))
    }

    /// What the server knows of a device once `enough` holds, or in the end: it may write in batches.
    pub fn known_when(&mut self, device: &Device, enough: impl Fn(&Value) -> bool) -> Outcome<Value> {
        for _ in 0..POLLS {
            let known = self.known(device)?;
            if enough(&known) {
                return Ok(known);
            }
            std::thread::sleep(BETWEEN_POLLS);
        }
        self.known(device)
    }

    /// What the operator tells once `enough` holds, or in the end.
    pub fn told_when(
        &mut self,
        verb: &str,
        input: &Value,
        enough: impl Fn(&Value) -> bool,
    ) -> Outcome<Value> {
        for _ in 0..POLLS {
            let told = self.ask(verb, input)?;
            if enough(&told) {
                return Ok(told);
            }
            std::thread::sleep(BETWEEN_POLLS);
        }
        self.ask(verb, input)
    }

    /// A yes or no that no message tells.
    pub fn judged(&mut self, mut answer: bool) -> bool {
        if let Some(tamper) = self.tamper {
            tamper(&mut Passing { nth: self.asked, thing: Thing::Judged(&mut answer) });
        }
        answer
    }

    /// Asks the operator, where there is one.
    pub fn ask(&mut self, verb: &str, input: &Value) -> Outcome<Value> {
        let Some(operator) = &mut self.target.operator else {
            return Err(Miss::not_applicable("needs an operator that can queue commands and enrol devices"));
        };
        let answered = operator.ask(verb, input);
        let mut answer = answered.map_err(|error| match error {
            OperatorError::Unsupported(_) => Miss::not_applicable(error.to_string()),
            OperatorError::Failed { .. } => Miss::broken(error.to_string()),
        })?;
        if let Some(tamper) = self.tamper {
            tamper(&mut Passing { nth: self.asked, thing: Thing::Operator(verb, &mut answer) });
        }
        self.asked += 1;
        Ok(answer)
    }

    /// A session of a device that has not said anything yet.
    pub fn open(&mut self, device: &Device) -> Outcome<Session> {
        self.sessions += 1;
        let id = u64::from(self.sessions) + (self.target.run & 0xFF) * 16;
        Session::open(device, self.variant, format!("{id:X}"), self.tamper)
    }

    /// A session in which the server has taken the device's proof: its first answer with nothing but 200 or 212.
    pub fn signed_in(&mut self, device: &Device) -> Outcome<(Session, super::Answer)> {
        let mut session = self.open(device)?;
        let answer = session.sign_in(Vec::new())?;
        Ok((session, answer))
    }
}

fn fresh(account: Account) -> Device {
    Device { account, nonce: None, server_nonce: None }
}
