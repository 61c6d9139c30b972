//! The operator of the server under test: who enrols test devices, queues commands and says what came of them.
//!
//! A verb with JSON in, JSON out; `posternctl conformance server --operator CMD` runs a program with the verb as its
//! argument and the JSON on stdin. An operator that does not know a verb says so, and the cases that need it do not
//! apply.
//!
//! | verb | in | out |
//! |-|-|-|
//! | enrol | device_id, auth (basic, md5, hmac, certificate), csr_pem? | an account: server_uri, device_id, server_id, auth, user, password, server_password, certificate_pem, ca_pem |
//! | queue | device_id, syncml: commands in XML | commands: their ids, in order |
//! | command | id | state (queued, sent, succeeded, failed, in-doubt, expired, cancelled), status, cause, results: uri, format, type, data, data_base64 |
//! | cancel | id | nothing |
//! | device | device_id | facts: key and value of what the device said of itself; state |
//! | abort | device_id | nothing: the device's open session is to end |
//! | notify | device_id, resync? | session_id: the SessionID, in hexadecimal digits, that a notification to the device asks for; with resync over the default nonce |
//! | notification | device_id, session_id | state: answered, once a session has answered that notification |
//! | rotate | device_id | an account with new secrets, for the next session |

mod postern;
mod program;

pub use postern::Postern;
pub use program::Program;
use serde_json::Value;

/// Why an operator did not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OperatorError {
    /// It has no such verb; the case does not apply.
    #[error("the operator cannot {0}")]
    Unsupported(String),
    /// It has, and failed.
    #[error("the operator failed to {verb}: {why}")]
    Failed {
        /// What was asked.
        verb: String,
        /// Why it failed.
        why: String,
    },
}

impl OperatorError {
    fn failed(verb: &str, why: impl ToString) -> Self {
        Self::Failed { verb: verb.to_owned(), why: why.to_string() }
    }
}

/// An operator.
pub trait Operator {
    /// Does what the verb says.
    ///
    /// # Errors
    /// [`OperatorError`].
    fn ask(&mut self, verb: &str, input: &Value) -> Result<Value, OperatorError>;
}
