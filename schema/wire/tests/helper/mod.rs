//! Debian's libwbxml: its two tools, and `wbxml_helper.c` as a persistent process.
//!
//! What is missing fails the test with the name of the package that has it.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::{
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
};

/// Runs `wbxml2xml` or `xml2wbxml` on these octets.
pub(crate) fn tool(name: &str, arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (from, to) = (folder.path().join("in"), folder.path().join("out"));
    std::fs::write(&from, input).expect("a temporary file");
    let run = Command::new(name).args(arguments).arg("-o").arg(&to).arg(&from).output();
    let run =
        run.unwrap_or_else(|error| panic!("{name} (Debian package libwbxml2-utils) cannot be run: {error}"));
    let said = String::from_utf8_lossy(&run.stderr);
    std::fs::read(&to).unwrap_or_else(|error| panic!("{name} wrote nothing ({error}); it said: {said}"))
}

/// The helper process.
pub(crate) struct Helper(Child);

impl Helper {
    pub(crate) fn start() -> Self {
        let child = Command::new(built()).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        Self(child.expect("the helper that was just built"))
    }

    /// One conversion: `None` when libwbxml refuses it. When libwbxml dies of it (it does, on malformed input), a
    /// new process takes over.
    pub(crate) fn convert(&mut self, op: u8, input: &[u8]) -> Option<Vec<u8>> {
        match self.ask(op, input) {
            Ok((0, octets)) => Some(octets),
            Ok(_) => None,
            Err(_) => {
                *self = Self::start();
                None
            }
        }
    }

    fn ask(&mut self, op: u8, input: &[u8]) -> std::io::Result<(u8, Vec<u8>)> {
        let (stdin, stdout) = (self.0.stdin.as_mut().expect("piped"), self.0.stdout.as_mut().expect("piped"));
        stdin.write_all(&[op])?;
        stdin.write_all(&u32::try_from(input.len()).expect("a small message").to_be_bytes())?;
        stdin.write_all(input)?;
        stdin.flush()?;
        let mut head = [0; 5];
        stdout.read_exact(&mut head)?;
        let mut octets = vec![0; u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize];
        stdout.read_exact(&mut octets)?;
        Ok((head[0], octets))
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

/// Compiles the helper, once for each test program.
fn built() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/helper/wbxml_helper.c");
        let program =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("wbxml_helper-{}", std::process::id()));
        let run = Command::new("cc")
            .args(["-O2", "-I/usr/include/libwbxml-1.0", "-o"])
            .arg(&program)
            .arg(&source)
            .arg("-lwbxml2")
            .output();
        let run = run.unwrap_or_else(|error| panic!("cc (Debian package gcc) cannot be run: {error}"));
        let said = String::from_utf8_lossy(&run.stderr);
        assert!(
            run.status.success(),
            "the libwbxml helper does not build (Debian packages libwbxml2-dev, libc6-dev): {said}"
        );
        program
    })
}
