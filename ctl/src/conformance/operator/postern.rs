//! Postern's own operator: the admin API.

use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::{Operator, OperatorError};
use crate::{client::Client, failure::Failure};

/// An admin of Postern.
pub struct Postern {
    client: Client,
    runtime: Runtime,
}

impl Postern {
    /// An admin who uses this client.
    ///
    /// # Errors
    /// No runtime can be made.
    pub fn new(client: Client) -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Self { client, runtime })
    }

    fn enrol(&self, input: &Value) -> Result<Value, Failure> {
        let mut body = json!({"device_id": input["device_id"], "auth": input["auth"]});
        if input["csr_pem"].is_string() {
            body["csr_pem"] = input["csr_pem"].clone();
        }
        let enrolled: Value = self.runtime.block_on(self.client.post(&["devices"], &body))?;
        Ok(enrolled["enrolment"].clone())
    }

    fn queue(&self, input: &Value) -> Result<Value, Failure> {
        let path = ["devices", text(input, "device_id"), "commands"];
        let body = json!({"syncml": input["syncml"]});
        let operation: Value = self.runtime.block_on(self.client.post(&path, &body))?;
        let ids: Vec<_> =
            operation["commands"].as_array().into_iter().flatten().map(|command| &command["id"]).collect();
        Ok(json!({"commands": ids}))
    }

    /// The device is said to listen at a gateway; whether a notification reaches it there is not what is asked.
    fn notify(&self, input: &Value) -> Result<Value, Failure> {
        let device = text(input, "device_id");
        let listens = json!({"bearer": "listen"});
        let _: Value =
            self.runtime.block_on(self.client.put_to(&["devices", device, "address"], &listens))?;
        let body = json!({"resync": input["resync"] == true});
        self.runtime.block_on(self.client.post(&["devices", device, "notify"], &body))
    }

    fn notification(&self, input: &Value) -> Result<Value, Failure> {
        let known = self.get(&["devices", text(input, "device_id"), "notifications"])?;
        let mut all = known["notifications"].as_array().cloned().unwrap_or_default();
        all.retain(|one| one["session_id"] == input["session_id"]);
        Ok(all.into_iter().next().unwrap_or_default())
    }

    fn get(&self, path: &[&str]) -> Result<Value, Failure> {
        self.runtime.block_on(self.client.get(path, &()))
    }
}

impl Operator for Postern {
    fn ask(&mut self, verb: &str, input: &Value) -> Result<Value, OperatorError> {
        let done = match verb {
            "enrol" => self.enrol(input),
            "queue" => self.queue(input),
            "command" => self.get(&["commands", text(input, "id")]),
            "device" => self.get(&["devices", text(input, "device_id")]),
            "notify" => self.notify(input),
            "notification" => self.notification(input),
            "abort" => {
                let path = ["devices", text(input, "device_id"), "sessions", "open"];
                self.runtime.block_on(self.client.delete(&path, &())).map(|()| Value::Null)
            }
            "cancel" => self.runtime.block_on(
                self.client.delete_to(&["commands", text(input, "id")], &json!({"reason": "test"})),
            ),
            _ => return Err(OperatorError::Unsupported(verb.to_owned())),
        };
        done.map_err(|failure| match failure.slug.as_str() {
            "not-yet" | "reserved-uri" => {
                OperatorError::Unsupported(format!("{verb} this ({})", failure.slug))
            }
            _ => OperatorError::failed(verb, failure),
        })
    }
}

fn text<'v>(input: &'v Value, name: &str) -> &'v str {
    input[name].as_str().unwrap_or_default()
}
