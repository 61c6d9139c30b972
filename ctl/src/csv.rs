//! CSV as RFC 4180 has it: fields with commas between, in double quotes where they hold one, a quote or a line's end.
//!
//! Promise: a line is named by its number in the file; a cell that a spreadsheet would take for a formula is written so
//! that it does not.

/// One record, with the number of the line that it begins on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) line: usize,
    pub(crate) fields: Vec<String>,
}

/// The records of a text; blank lines are passed over.
pub(crate) fn read(text: &str) -> Result<Vec<Record>, (usize, &'static str)> {
    let mut records = Vec::new();
    let (mut line, mut begun) = (1, 1);
    let (mut fields, mut field) = (Vec::new(), String::new());
    let (mut quoted, mut was_quoted) = (false, false);
    let mut rest = text.trim_start_matches('\u{feff}').chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '"' if quoted => {
                if rest.peek() == Some(&'"') {
                    rest.next();
                    field.push('"');
                } else {
                    quoted = false;
                }
            }
            '"' if field.is_empty() && !was_quoted => (quoted, was_quoted) = (true, true),
            '"' => return Err((line, "a quote stands inside a field without quotes")),
            ',' if !quoted => {
                fields.push(std::mem::take(&mut field));
                was_quoted = false;
            }
            '\r' if !quoted => {}
            '\n' if !quoted => {
                fields.push(std::mem::take(&mut field));
                keep(&mut records, begun, std::mem::take(&mut fields));
                was_quoted = false;
                line += 1;
                begun = line;
            }
            other if was_quoted && !quoted => {
                let _ = other;
                return Err((line, "something stands behind a closing quote"));
            }
            other => {
                if other == '\n' {
                    line += 1;
                }
                field.push(other);
            }
        }
    }
    if quoted {
        return Err((begun, "a quote is not closed"));
    }
    if !field.is_empty() || !fields.is_empty() {
        fields.push(field);
        keep(&mut records, begun, fields);
    }
    Ok(records)
}

fn keep(records: &mut Vec<Record>, line: usize, fields: Vec<String>) {
    if fields.iter().any(|field| !field.trim().is_empty()) {
        records.push(Record { line, fields });
    }
}

/// One line of these fields.
pub(crate) fn write(fields: &[&str]) -> String {
    let cells: Vec<String> = fields.iter().map(|field| cell(field)).collect();
    format!("{}\r\n", cells.join(","))
}

/// What begins a formula, also as spreadsheets of East Asian languages take it, or hides what does.
const FORMULA: [char; 11] =
    ['=', '+', '-', '@', '\t', '\r', '\n', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}'];

fn cell(text: &str) -> String {
    let text = if text.starts_with(FORMULA) { format!("'{text}") } else { text.to_owned() };
    if text.contains(['"', ',', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<(usize, Vec<String>)> {
        read(text).unwrap().into_iter().map(|record| (record.line, record.fields)).collect()
    }

    fn fields(all: &[&str]) -> Vec<String> {
        all.iter().map(|&one| one.to_owned()).collect()
    }

    #[test]
    fn fields_are_read_with_quotes_commas_and_the_ends_of_lines_in_them() {
        let text = "\u{feff}a,b\r\n\r\n\"x, \"\"y\"\"\",\"two\nlines\"\nlast,";
        assert_eq!(
            lines(text),
            [(1, fields(&["a", "b"])), (3, fields(&["x, \"y\"", "two\nlines"])), (5, fields(&["last", ""])),]
        );
        assert_eq!(lines(""), []);
    }

    #[test]
    fn what_is_no_csv_is_refused_with_its_line() {
        for (text, line) in [("a\nb\"c", 2), ("\"a\nb", 1), ("a\n\"b\"c", 2)] {
            assert_eq!(read(text).unwrap_err().0, line, "{text:?}");
        }
    }

    #[test]
    fn what_is_written_is_read_back_and_is_no_formula() {
        let line = write(&["plain", "with, comma", "a \"quote\"", "=1+1"]);
        assert_eq!(lines(&line), [(1, fields(&["plain", "with, comma", "a \"quote\"", "'=1+1"]))]);
        for begin in FORMULA {
            let line = write(&[&format!("{begin}cmd|' /C calc'!A0")]);
            let written = &lines(&line)[0].1[0];
            assert!(written.starts_with('\''), "{begin:?}: {line:?}");
        }
    }
}
