//! One line an event.

use std::{
    io::{IsTerminal as _, Write as _},
    path::Path,
};

use postern_device::edge;
use serde_json::{Value, json};

use crate::arguments::Output;

/// Writes events to standard output. A reader that went away is no error: the system runs on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Show {
    output: Output,
    colour: bool,
}

impl Show {
    pub(crate) fn new(output: Output) -> Self {
        Self { output, colour: std::io::stdout().is_terminal() }
    }

    /// The first line: where everything is.
    pub(crate) fn ready(self, device_url: &str, admin_url: &str, state: &Path) {
        let (token, ca) = (state.join("admin.token"), state.join("ca.pem"));
        match self.output {
            Output::Json => self.line(&json!({
                "event": "ready", "device_url": device_url, "admin_url": admin_url, "token_file": token, "ca_file": ca,
            })),
            Output::Text => {
                print(&format!(
                    "Postern {} is ready; state in {}\n  devices connect to  {device_url}\n  admin API           {admin_url}\n  in another terminal: export POSTERN_URL={admin_url} POSTERN_TOKEN_FILE={} POSTERN_CA_FILE={}\n                       cargo run --release -p posternctl -- status",
                    env!("CARGO_PKG_VERSION"),
                    state.display(),
                    token.display(),
                    ca.display()
                ));
            }
        }
    }

    /// Something happened to `who`.
    pub(crate) fn event(self, event: &str, who: &str, text: &str, details: Value) {
        match self.output {
            Output::Json => {
                let mut object = json!({ "event": event, "at": edge::now().to_string(), "device": who });
                if let (Some(object), Value::Object(details)) = (object.as_object_mut(), details) {
                    object.extend(details);
                }
                self.line(&object);
            }
            Output::Text => {
                let at = edge::now().to_string();
                let time = at.get(11..19).unwrap_or(&at);
                let (mark, end) = match (self.colour, event) {
                    (true, "succeeded") => ("\x1b[32m", "\x1b[0m"),
                    (true, "failed" | "trouble" | "in-doubt") => ("\x1b[31m", "\x1b[0m"),
                    (true, "queued") => ("\x1b[36m", "\x1b[0m"),
                    _ => ("", ""),
                };
                print(&format!("{time}  {who:<10} {mark}{event:<10}{end} {text}"));
            }
        }
    }

    fn line(self, object: &Value) {
        print(&object.to_string());
    }
}

fn print(text: &str) {
    // A closed pipe only means that nobody reads any more.
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}
