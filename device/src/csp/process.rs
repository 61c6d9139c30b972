//! Programs that providers start: by their arguments, never through a shell.

use std::{
    io,
    process::{Command, ExitStatus, Stdio},
    time::Duration,
};

/// Between two looks at a program that runs.
const LOOK: Duration = Duration::from_millis(20);

/// Why a program did not do its work.
#[derive(Debug, thiserror::Error)]
pub(super) enum ProcessError {
    /// No program is named.
    #[error("no program is named")]
    Empty,
    /// It cannot be started or watched.
    #[error("{program} cannot be run")]
    Run {
        program: String,
        #[source]
        source: io::Error,
    },
    /// It failed.
    #[error("{program} ended with {status}")]
    Failed { program: String, status: ExitStatus },
    /// It took too long and was killed.
    #[error("{program} took longer than {limit:?}")]
    Timeout { program: String, limit: Duration },
}

/// Runs a program to its end, with no input, and its output to nowhere.
pub(super) async fn run(arguments: &[String], limit: Duration) -> Result<(), ProcessError> {
    let (program, rest) = arguments.split_first().ok_or(ProcessError::Empty)?;
    let failed = |source| ProcessError::Run { program: program.clone(), source };
    let mut child = Command::new(program)
        .args(rest)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(failed)?;
    let ended = async {
        loop {
            if let Some(status) = child.try_wait().map_err(failed)? {
                return Ok(status);
            }
            tokio::time::sleep(LOOK).await;
        }
    };
    let status = match tokio::time::timeout(limit, ended).await {
        Ok(status) => status?,
        Err(_) => {
            let _gone = child.kill();
            let _reaped = child.wait();
            return Err(ProcessError::Timeout { program: program.clone(), limit });
        }
    };
    if status.success() { Ok(()) } else { Err(ProcessError::Failed { program: program.clone(), status }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run_it(arguments: &[&str], limit: Duration) -> Result<(), ProcessError> {
        let arguments: Vec<String> = arguments.iter().map(|text| (*text).to_owned()).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(run(&arguments, limit))
    }

    #[test]
    fn a_program_is_run_by_its_arguments_and_its_end_counts() {
        let long = Duration::from_secs(60);
        assert!(run_it(&["true"], long).is_ok());
        assert!(matches!(run_it(&["false"], long), Err(ProcessError::Failed { .. })));
        assert!(matches!(run_it(&["/nowhere/at/all"], long), Err(ProcessError::Run { .. })));
        assert!(matches!(run_it(&[], long), Err(ProcessError::Empty)));
        // one argument, and no shell to take it apart
        assert!(matches!(run_it(&["true; false"], long), Err(ProcessError::Run { .. })));
    }

    #[test]
    fn a_program_that_does_not_end_is_killed() {
        let done = run_it(&["sleep", "600"], Duration::from_millis(50));
        assert!(matches!(done, Err(ProcessError::Timeout { .. })));
    }
}
