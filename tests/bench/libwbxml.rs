//! libwbxml as a baseline: the cross-check's helper process, its conversions repeated in memory.

use std::{
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, bail};

/// Conversions in one timed batch.
const COUNT: u32 = 4000;

/// Nanoseconds of processor time that libwbxml takes for one message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Nanoseconds {
    /// WBXML to compact XML.
    pub decode: f64,
    /// That XML to WBXML.
    pub encode: f64,
}

/// Compiles the helper.
///
/// # Errors
/// `cc` or libwbxml2-dev is missing.
pub(crate) fn build(root: &Path) -> anyhow::Result<PathBuf> {
    let program = std::env::temp_dir().join(format!("postern-bench-wbxml-{}", std::process::id()));
    let made = Command::new("cc")
        .args(["-O2", "-I/usr/include/libwbxml-1.0", "-o"])
        .arg(&program)
        .arg(root.join("schema/wire/tests/helper/wbxml_helper.c"))
        .arg("-lwbxml2")
        .output()
        .context("cc")?;
    if !made.status.success() {
        bail!(
            "the libwbxml helper does not compile (Debian package libwbxml2-dev): {}",
            String::from_utf8_lossy(&made.stderr)
        );
    }
    Ok(program)
}

/// Times both ways for this message.
///
/// # Errors
/// libwbxml refused it, or the helper died.
pub(crate) fn nanoseconds_per_message(helper: &Path, wbxml: &[u8]) -> anyhow::Result<Nanoseconds> {
    let mut child = Command::new(helper).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let result = (|| {
        let (Some(stdin), Some(stdout)) = (child.stdin.as_mut(), child.stdout.as_mut()) else {
            bail!("no pipes")
        };
        let mut ask = |op: u8, input: &[u8]| -> anyhow::Result<Vec<u8>> {
            stdin.write_all(&[op])?;
            stdin.write_all(&u32::try_from(input.len())?.to_be_bytes())?;
            stdin.write_all(input)?;
            stdin.flush()?;
            let mut head = [0; 5];
            stdout.read_exact(&mut head)?;
            let mut answer = vec![0; u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize];
            stdout.read_exact(&mut answer)?;
            if head[0] != 0 {
                bail!("libwbxml's error {}", head[0]);
            }
            Ok(answer)
        };
        let xml = ask(b'x', wbxml)?;
        let mut timed = |op: u8, input: &[u8]| -> anyhow::Result<f64> {
            let answer = ask(op, &[&COUNT.to_be_bytes()[..], input].concat())?;
            let octets: [u8; 8] = answer.as_slice().try_into().context("eight octets of nanoseconds")?;
            Ok(u64::from_be_bytes(octets) as f64 / f64::from(COUNT))
        };
        Ok(Nanoseconds { decode: timed(b'X', wbxml)?, encode: timed(b'W', &xml)? })
    })();
    drop(child.stdin.take());
    child.wait()?;
    result
}
