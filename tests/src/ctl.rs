//! posternctl as a script runs it: the real binary, JSON out, exit codes.

use std::{
    path::PathBuf,
    process::{Command, Output, Stdio},
};

use serde_json::Value;

use crate::binaries;

/// A posternctl that talks to one core.
#[derive(Clone, Debug)]
pub struct Ctl {
    /// The admin API's address.
    pub url: String,
    /// The admin token's file.
    pub token_file: PathBuf,
    /// The CA of the admin API's certificate.
    pub ca_file: PathBuf,
    /// What stands before it on its command line: `ip netns exec …`, or nothing.
    pub prefix: Vec<String>,
}

/// What one run said and ended with.
#[derive(Clone, Debug)]
pub struct Ran {
    /// Exit code.
    pub exit: i32,
    /// What it wrote to stdout.
    pub out: String,
    /// What it wrote to stderr.
    pub err: String,
}

impl Ran {
    /// The answer as JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("not JSON ({error}): {self:?}"))
    }

    /// The slug of the failure on stderr, or nothing.
    #[must_use]
    pub fn slug(&self) -> String {
        let failure: Value = serde_json::from_str(self.err.trim()).unwrap_or_default();
        failure["slug"].as_str().unwrap_or_default().to_owned()
    }
}

impl Ctl {
    /// The command with its connection, for a test that starts it by itself.
    #[must_use]
    pub fn command(&self, args: &[&str]) -> Command {
        let posternctl = binaries::path("posternctl");
        let mut command = match self.prefix.split_first() {
            None => Command::new(posternctl),
            Some((program, more)) => {
                let mut command = Command::new(program);
                command.args(more).arg(posternctl);
                command
            }
        };
        command
            .args(["--output", "json"])
            .args(args)
            .env("POSTERN_URL", &self.url)
            .env("POSTERN_TOKEN_FILE", &self.token_file)
            .env("POSTERN_CA_FILE", &self.ca_file)
            .stdin(Stdio::null());
        command
    }

    /// Runs it to its end, whatever that is.
    #[must_use]
    pub fn run(&self, args: &[&str]) -> Ran {
        let Output { status, stdout, stderr } = self.command(args).output().expect("posternctl starts");
        Ran {
            exit: status.code().unwrap_or(-1),
            out: String::from_utf8(stdout).expect("posternctl writes UTF-8"),
            err: String::from_utf8(stderr).expect("posternctl writes UTF-8"),
        }
    }

    /// Runs what has to work, and gives its answer.
    #[must_use]
    pub fn ok(&self, args: &[&str]) -> Value {
        let ran = self.run(args);
        assert_eq!(ran.exit, 0, "posternctl {args:?}: {}{}", ran.out, ran.err);
        if ran.out.trim().is_empty() { Value::Null } else { ran.json() }
    }
}
