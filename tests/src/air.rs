//! Many devices that enrol over the air: requests by CSV, and the fleet that uses their passwords up.

use std::{fmt::Write as _, process::Command};

use serde_json::Value;

use crate::{binaries, site::Site};

/// Asks for `count` enrolments whose names begin with `prefix`, and has the simulated fleet perform them, so many at
/// the same time. Gives the fleet's summary.
///
/// # Panics
/// When a request is refused, or the fleet says nothing that can be read.
#[must_use]
pub fn enrol_many(site: &Site, prefix: &str, count: usize, in_flight: usize) -> Value {
    let mut asked = "name,owner,auth\n".to_owned();
    for number in 0..count {
        let _ = writeln!(asked, "{prefix}-{number},{prefix}-owner-{number},signed");
    }
    let (file, passwords) =
        (site.path(&format!("{prefix}.csv")), site.path(&format!("{prefix}-passwords.csv")));
    std::fs::write(&file, asked).expect("a file in the site's folder");
    let (file, passwords) = (file.to_string_lossy(), passwords.to_string_lossy());
    let _ = site.ctl().ok(&["enrolment", "import", &file, "--out", &passwords]);

    let (count, in_flight) = (count.to_string(), in_flight.to_string());
    let server = format!("https://localhost:{}", site.device_address().port());
    let mut command = Command::new(binaries::path("postern-device"));
    command.args(["fleet", "--enrol-from", &passwords, "--server", &server, "--output", "json"]);
    command.args(["--count", &count, "--in-flight", &in_flight]);
    let output = command.output().expect("the fleet starts");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let summary = out.lines().rev().find_map(|line| serde_json::from_str(line).ok());
    summary.unwrap_or_else(|| panic!("the fleet's summary: {out}{err}\n{}", site.logs()))
}
