//! An operator that is a program: argument the verb, JSON on stdin, JSON on stdout, exit code 64 for an unknown verb.

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use serde_json::Value;

use super::{Operator, OperatorError};

/// A program.
#[derive(Clone, Debug)]
pub struct Program {
    /// Its path, found as a shell finds it.
    pub path: String,
}

/// What a program ends with when it does not know a verb (EX_USAGE).
const UNKNOWN: i32 = 64;

impl Operator for Program {
    fn ask(&mut self, verb: &str, input: &Value) -> Result<Value, OperatorError> {
        let failed = |error: std::io::Error| OperatorError::failed(verb, error);
        let mut command = Command::new(&self.path);
        command.arg(verb).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = command.spawn().map_err(failed)?;
        if let Some(mut stdin) = child.stdin.take() {
            // A program that needs no input may have gone already.
            let _ = stdin.write_all(input.to_string().as_bytes());
        }
        let done = child.wait_with_output().map_err(failed)?;
        match done.status.code() {
            Some(0) if done.stdout.trim_ascii().is_empty() => Ok(Value::Null),
            Some(0) => {
                serde_json::from_slice(&done.stdout).map_err(|error| OperatorError::failed(verb, error))
            }
            Some(UNKNOWN) => Err(OperatorError::Unsupported(verb.to_owned())),
            other => Err(OperatorError::failed(verb, format!("exit code {other:?}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs::Permissions, os::unix::fs::PermissionsExt as _};

    use serde_json::json;

    use super::*;

    #[test]
    fn a_program_gets_the_verb_and_json_and_may_say_that_it_cannot() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("operator");
        std::fs::write(&path, "#!/bin/sh\n[ $1 = command ] && exec cat\n[ $1 = queue ] && exit 1\nexit 64\n")
            .unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o700)).unwrap();
        let mut program = Program { path: path.display().to_string() };

        assert_eq!(program.ask("command", &json!({"id": 1})), Ok(json!({"id": 1})));
        assert_eq!(program.ask("abort", &json!({})), Err(OperatorError::Unsupported("abort".to_owned())));
        assert!(matches!(program.ask("queue", &json!({})), Err(OperatorError::Failed { .. })));
    }
}
