//! What the documents say is so: a heading that is cited is there, a command that is shown is one that posternctl takes, and
//! the keys that are documented are those that there are.
#![forbid(unsafe_code)]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use clap::{Parser as _, error::ErrorKind};
use posternctl::args::Cli;

#[test]
fn every_heading_that_is_cited_is_there() {
    let mut cited = 0;
    let mut missing = Vec::new();
    for file in files(root(), &["rs", "md", "toml", "yml", "sh"]) {
        let text = read(&file).replace("\n//! ", " ").replace("\n/// ", " ");
        for part in text.split("docs/").skip(1) {
            let Some((document, rest)) = part.split_once(".md, \"") else { continue };
            if document.len() > 20 || !document.bytes().all(|octet| octet.is_ascii_uppercase()) {
                continue;
            }
            let heading = rest.split('"').next().unwrap_or_default();
            cited += 1;
            let known = read(&root().join(format!("docs/{document}.md")));
            if !known
                .lines()
                .any(|line| line.starts_with('#') && line.trim_start_matches('#').trim() == heading)
            {
                missing.push(format!("{}: docs/{document}.md, {heading:?}", file.display()));
            }
        }
    }
    assert!(cited > 20, "{cited} citations were found");
    assert!(missing.is_empty(), "{missing:#?}");
}

/// In a code block a command stands whole; in running text it may stop before its arguments.
#[test]
fn posternctl_takes_every_command_that_the_documents_show() {
    let mut shown = 0;
    let mut wrong = Vec::new();
    for file in files(root(), &["md"]) {
        let text = read(&file);
        let mut in_fence = false;
        for (number, line) in text.lines().enumerate() {
            if line.trim_start().starts_with("```") {
                in_fence = !in_fence;
                continue;
            }
            let in_block = in_fence || line.starts_with("    posternctl ");
            let commands: Vec<&str> = if in_block {
                commands_of_a_line(line).collect()
            } else {
                line.split('`').skip(1).step_by(2).filter(|code| code.starts_with("posternctl ")).collect()
            };
            for command in commands {
                shown += 1;
                let refused = refused(command, in_block).into_iter();
                wrong.extend(refused.map(|why| format!("{}:{}: {why}", file.display(), number + 1)));
            }
        }
    }
    assert!(shown > 100, "{shown} commands were found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The four tables of docs/CONFIGURATION.md, each row once, against the keys that the code takes.
#[test]
fn the_tables_of_the_configuration_have_every_key_once_and_no_other() {
    let text = read(&root().join("docs/CONFIGURATION.md"));
    let of_core = postern_core::config::KEYS.iter().map(|key| key.path.to_owned());
    assert_eq!(table(&text, "## Core: core.toml"), of_core.collect());
    let settings = postern_api::settings::TABLE.iter().map(|row| row.name.to_owned());
    assert_eq!(table(&text, "## Settings: intervals and limits"), settings.collect());
    assert_eq!(table(&text, "## Gateway: gateway.toml"), keys_of_the_example());
    let mut pushed = BTreeSet::new();
    let document = serde_json::to_value(postern_wire::link::Settings::default()).expect("a document");
    leaves("", &document, &mut pushed);
    pushed.remove("version"); // counted by the core, set by nobody
    assert_eq!(table(&text, "## Gateway settings"), pushed);
}

/// The names in the first column of the table under a heading; a name that stands twice panics.
fn table(text: &str, heading: &str) -> BTreeSet<String> {
    let section = text.split_once(heading).unwrap_or_else(|| panic!("no {heading:?}")).1;
    let section = section.split("\n## ").next().unwrap_or_default();
    let mut names = BTreeSet::new();
    for row in section.lines().filter(|line| line.starts_with("| `")) {
        let first = row.split('|').nth(1).unwrap_or_default();
        for name in first.split('`').skip(1).step_by(2) {
            assert!(names.insert(name.to_owned()), "{heading}: {name} stands twice");
        }
    }
    names
}

/// The keys of gateway.example.toml, those that are commented out among them; it is read whole by a test of its own.
fn keys_of_the_example() -> BTreeSet<String> {
    let mut section = String::new();
    let mut keys = BTreeSet::new();
    for line in read(&root().join("gateway/gateway.example.toml")).lines() {
        if let Some(name) = line.strip_prefix('[') {
            section = format!("{}.", name.trim_end_matches(']'));
        } else if let Some((key, _)) = line.trim_start_matches("# ").split_once(" = ")
            && !key.contains(' ')
        {
            keys.insert(format!("{section}{key}"));
        }
    }
    keys
}

fn leaves(path: &str, value: &serde_json::Value, found: &mut BTreeSet<String>) {
    match value {
        serde_json::Value::Object(members) if !members.is_empty() => {
            for (name, member) in members {
                let deeper = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                leaves(&deeper, member, found);
            }
        }
        _ => {
            found.insert(path.to_owned());
        }
    }
}

/// What posternctl says against a command. One that shows what may be left out has to be whole with all of it.
fn refused(command: &str, in_block: bool) -> Vec<String> {
    let readings = readings(command);
    let whole = readings.len() - 1;
    let tried = readings.iter().enumerate().filter_map(|(place, words)| {
        let error = Cli::try_parse_from(words).err()?;
        let may_be_unfinished = !in_block || place < whole;
        let is_fine =
            error.kind() == ErrorKind::DisplayHelp || may_be_unfinished && is_unfinished(error.kind());
        (!is_fine).then(|| format!("{words:?}: {error}"))
    });
    tried.collect()
}

fn is_unfinished(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::MissingRequiredArgument
            | ErrorKind::MissingSubcommand
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    )
}

/// The commands of a line of a code block: a pipe or a remark ends one.
fn commands_of_a_line(line: &str) -> impl Iterator<Item = &str> {
    let line = line.split(" #").next().unwrap_or_default();
    let calls = line.split(" | ").flat_map(|part| part.split("&&"));
    let calls = calls.map(|call| call.trim().trim_start_matches("$ ").trim_start_matches("target/release/"));
    calls.filter(|call| call.starts_with("posternctl "))
}

/// A line as words: once without what stands in brackets, once with it. Of `A|B` the first counts.
fn readings(command: &str) -> Vec<Vec<String>> {
    let command = command.split(" > ").next().unwrap_or_default();
    let (mut depth, mut without) = (0_u32, String::new());
    for character in command.chars() {
        match character {
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            other if depth == 0 => without.push(other),
            _ => {}
        }
    }
    // Of options that exclude each other the first counts, too.
    let with = command.split('[').enumerate().map(|(place, part)| match part.split_once(']') {
        Some((inside, after)) if place > 0 => {
            format!("{}{after}", inside.split("|--").next().unwrap_or_default())
        }
        _ => part.to_owned(),
    });
    let with: String = with.collect();
    let mut readings = vec![words(&without)];
    if without != command {
        readings.push(words(&with));
    }
    readings
}

/// The words of a command, quotes taken off; a name in capitals stands for a value, and three dots for more of the same.
fn words(command: &str) -> Vec<String> {
    let (mut words, mut quote) = (vec![String::new()], None);
    for character in command.chars() {
        match (character, quote) {
            (at, Some(open)) if at == open => quote = None,
            ('"' | '\'', None) => quote = Some(character),
            (' ', None) => words.push(String::new()),
            ('…', Some(_)) => words.last_mut().expect("one at least").push_str("some text"),
            (other, _) => words.last_mut().expect("one at least").push(other),
        }
    }
    let words = words.into_iter().filter(|word| !word.is_empty() && word != "…" && word != "...");
    words
        .map(|word| match word.split('|').next().unwrap_or_default().trim_end_matches(['…', ',', ';']) {
            "N" => "1".to_owned(),
            "ROLE" => "device".to_owned(),
            "REASON" => "key-compromise".to_owned(),
            "ID" => "01890000-0000-7000-8000-000000000000".to_owned(),
            "TIME" => "2026-11-20T08:00:00Z".to_owned(),
            value => value.to_owned(),
        })
        .collect()
}

fn files(folder: &Path, endings: &[&str]) -> Vec<PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of the checkout").flatten() {
            let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
            if path.is_dir() {
                if !name.starts_with('.') && name != "target" {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|ending| endings.iter().any(|known| ending == *known)) {
                found.push(path);
            }
        }
    }
    found
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the checkout")
}
