//! The person at a terminal: prompts on standard error, answers from standard input.
//!
//! Promise: MAXDT is kept while nobody answers; text of a server cannot steer the terminal (control characters are
//! escaped). While a prompt is open the session waits: the device has nothing else to do. A terminal without
//! a reader (end of input) is a device without a user. ET=P asks the terminal not to echo through `stty`, where there is one.

use std::{
    io::{BufRead as _, Write as _},
    process::{Command, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
    time::Duration,
};

use super::{Echo, Kind, Prompt, Reaction, UserInterface};

/// Prompts that are put again after an answer that does not fit.
const TRIES: usize = 3;

/// A user at standard input.
#[derive(Debug, Default)]
pub struct Terminal {
    lines: Option<Receiver<String>>,
}

impl UserInterface for Terminal {
    fn ask(&mut self, prompt: &Prompt) -> Reaction {
        for _ in 0..TRIES {
            show(prompt);
            if prompt.kind == Kind::Display {
                thread::sleep(Duration::from_secs(prompt.options.min_display_s.unwrap_or_default().into()));
                return Reaction::Shown;
            }
            let hidden = prompt.options.echo == Echo::Password && prompt.kind == Kind::Input;
            let line = if hidden { without_echo(|| self.line(prompt)) } else { self.line(prompt) };
            let reaction = match line {
                Ok(line) => understood(prompt, line.trim_end_matches(['\r', '\n'])),
                Err(RecvTimeoutError::Timeout) => return Reaction::TimedOut,
                Err(RecvTimeoutError::Disconnected) => return Reaction::Nobody,
            };
            if let Some(reaction) = reaction.filter(|reaction| prompt.takes(reaction)) {
                return reaction;
            }
        }
        Reaction::Cancelled
    }
}

impl Terminal {
    /// The next line; one thread reads them, because a read cannot be given up.
    fn line(&mut self, prompt: &Prompt) -> Result<String, RecvTimeoutError> {
        let lines = self.lines.get_or_insert_with(|| {
            let (sender, receiver) = mpsc::channel();
            thread::spawn(move || {
                for line in std::io::stdin().lock().lines() {
                    let Ok(line) = line else { break };
                    if sender.send(line).is_err() {
                        break;
                    }
                }
            });
            receiver
        });
        match prompt.options.max_display_s {
            Some(limit) => lines.recv_timeout(Duration::from_secs(limit.into())),
            None => lines.recv().map_err(|_| RecvTimeoutError::Disconnected),
        }
    }
}

/// What a line says: nothing is the default response, `!` gives up.
fn understood(prompt: &Prompt, line: &str) -> Option<Reaction> {
    let default = prompt.options.default_response.clone();
    if line == "!" {
        return Some(Reaction::Cancelled);
    }
    Some(match prompt.kind {
        Kind::Display => Reaction::Shown,
        Kind::Confirm => match (line.to_ascii_lowercase().as_str(), default.as_deref()) {
            ("y" | "yes", _) | ("", Some("1")) => Reaction::Yes,
            ("n" | "no", _) | ("", Some("0")) => Reaction::No,
            _ => return None,
        },
        Kind::Input if line.is_empty() => Reaction::Text(default.unwrap_or_default()),
        Kind::Input => Reaction::Text(line.to_owned()),
        Kind::Choice | Kind::Choices if line.is_empty() => Reaction::Chosen(prompt.options.default_numbers()),
        Kind::Choice | Kind::Choices => {
            let numbers: Result<Vec<usize>, _> =
                line.split([' ', ',', '-']).filter(|part| !part.is_empty()).map(str::parse).collect();
            Reaction::Chosen(numbers.ok()?)
        }
    })
}

fn show(prompt: &Prompt) {
    let mut text = prompt.text.escape_debug().to_string();
    for (number, choice) in (1..).zip(&prompt.choices) {
        text.push_str(&format!("\n  {number}  {}", choice.escape_debug()));
    }
    let how = match prompt.kind {
        Kind::Display => "",
        Kind::Confirm => " [y/n, ! gives up]",
        Kind::Input => " [text, ! gives up]",
        Kind::Choice => " [number, ! gives up]",
        Kind::Choices => " [numbers, ! gives up]",
    };
    let _nobody_reads = writeln!(std::io::stderr(), "{text}{how}");
}

/// Asks with the terminal's echo off; where it cannot be switched off, with it on.
pub(crate) fn without_echo<T>(ask: impl FnOnce() -> T) -> T {
    let switch = |how: &str| {
        let stty = Command::new("stty").arg(how).stdin(Stdio::inherit()).stderr(Stdio::null()).status();
        stty.is_ok_and(|status| status.success())
    };
    let off = switch("-echo");
    let answer = ask();
    if off {
        switch("echo");
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interaction::Options;

    #[test]
    fn a_line_is_understood_as_the_prompt_wants_it() {
        let chosen = |numbers: &[usize]| Some(Reaction::Chosen(numbers.to_vec()));
        let text = |text: &str| Some(Reaction::Text(text.into()));
        for (kind, options, line, reaction) in [
            (Kind::Confirm, "", "Yes", Some(Reaction::Yes)),
            (Kind::Confirm, "", "n", Some(Reaction::No)),
            (Kind::Confirm, "", "", None),
            (Kind::Confirm, "DR=1", "", Some(Reaction::Yes)),
            (Kind::Confirm, "DR=0", "", Some(Reaction::No)),
            (Kind::Confirm, "", "!", Some(Reaction::Cancelled)),
            (Kind::Input, "", "a b", text("a b")),
            (Kind::Input, "DR=x+y", "", text("x y")),
            (Kind::Choice, "", "2", chosen(&[2])),
            (Kind::Choice, "", "two", None),
            (Kind::Choices, "", "1, 3", chosen(&[1, 3])),
            (Kind::Choices, "DR=2-3", "", chosen(&[2, 3])),
        ] {
            let choices = vec!["a".to_owned(), "b".to_owned(), "c".to_owned()];
            let prompt = Prompt { kind, text: "?".into(), choices, options: Options::parse(options) };
            assert_eq!(understood(&prompt, line), reaction, "{kind:?} {options} {line:?}");
        }
    }
}
