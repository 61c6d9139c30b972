//! The files that posternctl reads and writes: secrets by path only, and owner-only when written.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use secrecy::SecretString;

use crate::failure::Failure;

/// Most octets of an input file: more than any message that a device may send.
const MOST: u64 = 64 << 20;

/// A secret: the file's first line.
pub fn secret(path: &Path) -> Result<SecretString, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| Failure::file(path, &error))?;
    let line = text.lines().next().unwrap_or_default().trim();
    if line.is_empty() {
        return Err(Failure::invalid("file", format!("{} is empty", path.display())));
    }
    Ok(SecretString::from(line))
}

/// A file's octets; `-` is stdin.
pub fn octets(path: &Path) -> Result<Vec<u8>, Failure> {
    octets_up_to(path, MOST)
}

/// A file's octets where it has no more than so many; `-` is stdin.
pub fn octets_up_to(path: &Path, most: u64) -> Result<Vec<u8>, Failure> {
    let mut content = Vec::new();
    let read = if path == Path::new("-") {
        std::io::stdin().lock().take(most + 1).read_to_end(&mut content)
    } else {
        File::open(path).and_then(|file| file.take(most + 1).read_to_end(&mut content))
    };
    read.map_err(|error| Failure::file(path, &error))?;
    if content.len() as u64 > most {
        return Err(Failure::invalid(
            "too-large",
            format!("{} is larger than {most} octets", path.display()),
        ));
    }
    Ok(content)
}

/// A file's lines, one after the other; `-` is stdin.
pub fn lines(path: &Path) -> Result<Box<dyn Iterator<Item = Result<String, Failure>>>, Failure> {
    let shown = path.to_owned();
    let reader: Box<dyn BufRead> = if path == Path::new("-") {
        Box::new(BufReader::new(std::io::stdin()))
    } else {
        Box::new(BufReader::new(File::open(path).map_err(|error| Failure::file(path, &error))?))
    };
    Ok(Box::new(reader.lines().map(move |line| line.map_err(|error| Failure::file(&shown, &error)))))
}

/// A file's text.
pub fn text(path: &Path) -> Result<String, Failure> {
    String::from_utf8(octets(path)?)
        .map_err(|error| Failure::invalid("file", format!("{} is not UTF-8: {error}", path.display())))
}

/// The octets that hexadecimal digits stand for, if that is all there is; else the octets themselves.
#[must_use]
pub fn hex_or_octets(content: Vec<u8>) -> Vec<u8> {
    std::str::from_utf8(&content)
        .ok()
        .filter(|text| !text.trim().is_empty())
        .and_then(of_hex)
        .unwrap_or(content)
}

/// The octets of hexadecimal digits of either case, white space among them.
#[must_use]
pub fn of_hex(text: &str) -> Option<Vec<u8>> {
    let digits: String = text.split_ascii_whitespace().collect();
    HEXLOWER_PERMISSIVE.decode(digits.as_bytes()).ok()
}

/// Lower-case hexadecimal digits.
#[must_use]
pub fn hex(octets: &[u8]) -> String {
    HEXLOWER.encode(octets)
}

/// Writes a new file that only its owner can read. An existing one is never overwritten.
pub fn write_secret(path: &Path, content: &[u8]) -> Result<(), Failure> {
    File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(content).and_then(|()| file.sync_all()))
        .map_err(|error| Failure::file(path, &error))
}

/// Writes a file that only its owner can read, in the place of what was there.
pub fn replace_secret(path: &Path, content: &[u8]) -> Result<(), Failure> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}", std::process::id()));
    let new = path.with_file_name(name);
    write_secret(&new, content)?;
    std::fs::rename(&new, path).map_err(|error| Failure::file(path, &error))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use secrecy::ExposeSecret as _;

    use super::*;

    #[test]
    fn a_secret_file_is_for_its_owner_and_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("enrolment.json");

        write_secret(&path, b"first\nsecond\n").unwrap();

        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert!(write_secret(&path, b"third").is_err());
        assert_eq!(secret(&path).unwrap().expose_secret(), "first");
    }
}
