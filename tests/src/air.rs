//! Many devices that enrol over the air: requests by CSV, and the fleet that uses their passwords up.

use std::{fmt::Write as _, process::Command};

use serde_json::Value;

use crate::{binaries, site::Site};

/// Devices that have been asked for, with their passwords.
#[derive(Debug)]
pub struct Crowd<'s> {
    site: &'s Site,
    passwords: String,
    count: usize,
}

impl<'s> Crowd<'s> {
    /// Asks for `count` enrolments whose names begin with `prefix`.
    ///
    /// # Panics
    /// When a request is refused.
    #[must_use]
    pub fn ask(site: &'s Site, prefix: &str, count: usize) -> Self {
        let mut asked = "name,owner,auth\n".to_owned();
        for number in 0..count {
            let _ = writeln!(asked, "{prefix}-{number},{prefix}-owner-{number},signed");
        }
        let file = site.path(&format!("{prefix}.csv"));
        let passwords = site.path(&format!("{prefix}-passwords.csv")).to_string_lossy().into_owned();
        std::fs::write(&file, asked).expect("a file in the site's folder");
        let _ = site.ctl().ok(&["enrolment", "import", &file.to_string_lossy(), "--out", &passwords]);
        Self { site, passwords, count }
    }

    /// Has the simulated fleet use the passwords up, so many at the same time. Gives the fleet's summary.
    ///
    /// # Panics
    /// When the fleet says nothing that can be read.
    #[must_use]
    pub fn enrol(&self, in_flight: usize) -> Value {
        let (count, in_flight) = (self.count.to_string(), in_flight.to_string());
        let server = format!("https://localhost:{}", self.site.device_address().port());
        let mut command = Command::new(binaries::path("postern-device"));
        command.args(["fleet", "--enrol-from", &self.passwords, "--server", &server, "--output", "json"]);
        command.args(["--count", &count, "--in-flight", &in_flight]);
        let output = command.output().expect("the fleet starts");
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let summary = out.lines().rev().find_map(|line| serde_json::from_str(line).ok());
        summary.unwrap_or_else(|| panic!("the fleet's summary: {out}{err}\n{}", self.site.logs()))
    }
}
