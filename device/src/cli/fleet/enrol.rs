//! `postern-device fleet --enrol-from`: enrols the fleet by the passwords that `posternctl enrolment import` wrote.

use std::{collections::BTreeMap, fs, path::Path, time::Duration};

use clap::Args;
use postern_wire::enrol::OneTimePassword;

use super::super::{Failure, Output, enrol::Resolve, print};
use crate::{
    csp::Hardware,
    enrolment::{
        Enrolment,
        air::{self, AirOptions, Applicant, Proof},
    },
    fleet::{Candidate, EnrolSummary, enrol_all},
    keys::NewRequest,
    origin::ServerUri,
};

#[derive(Debug, Args)]
pub(super) struct EnrolFrom {
    /// A CSV file with a one-time password in each line, such as `posternctl enrolment import` writes: enrol first.
    #[arg(long, value_name = "CSV", conflicts_with = "enrolments")]
    enrol_from: Option<std::path::PathBuf>,
    /// Where to enrol: `https://HOST[:PORT]`.
    #[arg(long, conflicts_with = "email")]
    server: Option<String>,
    /// Or an e-mail address, whose domain says where.
    #[arg(long)]
    email: Option<String>,
    /// Dial ADDRESS:PORT for HOST when enrolling; may be given again.
    #[arg(long, value_name = "HOST=ADDRESS:PORT")]
    resolve: Vec<Resolve>,
    /// Write the enrolments into this folder, to be used with --enrolments.
    #[arg(long, value_name = "DIR")]
    out: Option<std::path::PathBuf>,
}

impl EnrolFrom {
    /// Whether devices are to be enrolled first.
    pub(super) const fn is_wanted(&self) -> bool {
        self.enrol_from.is_some()
    }

    /// Enrols `count` devices.
    pub(super) async fn perform(
        &self,
        count: usize,
        in_flight: usize,
        output: Output,
        progress: impl FnMut(&EnrolSummary),
    ) -> Result<Vec<Enrolment>, Failure> {
        let Some(file) = &self.enrol_from else { return Ok(Vec::new()) };
        let passwords = passwords(file, count)?;
        let resolve: BTreeMap<_, _> =
            self.resolve.iter().map(|Resolve(host, address)| (host.clone(), *address)).collect();
        let options = AirOptions { resolve, ..AirOptions::default() };
        let server = match (&self.server, &self.email) {
            (Some(server), _) => ServerUri::parse(server).map_err(Failure::invalid)?,
            (None, Some(email)) => {
                let found = air::discover(email, &options).await;
                found.map_err(|error| Failure { code: 3, why: error.to_string() })?
            }
            (None, None) => {
                return Err(Failure { code: 64, why: "--enrol-from needs --server or --email".to_owned() });
            }
        };
        let candidates = candidates(passwords)?;
        let (enrolled, summary) = enrol_all(&server, candidates, in_flight, &options, progress).await;
        show(&summary, output);
        if let Some(folder) = &self.out {
            enrolled.iter().try_for_each(|enrolment| write(folder, enrolment))?;
        }
        if summary.failed > 0 {
            return Err(Failure { code: 1, why: format!("{} enrolments failed", summary.failed) });
        }
        Ok(enrolled)
    }
}

/// The first field of each line that is a one-time password; a heading has none.
fn passwords(file: &Path, count: usize) -> Result<Vec<OneTimePassword>, Failure> {
    let invalid = |why: String| Failure::invalid(format!("{}: {why}", file.display()));
    let text = fs::read_to_string(file).map_err(|error| invalid(error.to_string()))?;
    let field = |line: &str| {
        line.split(',').find_map(|field| OneTimePassword::parse(field.trim().trim_matches('"')).ok())
    };
    let found: Vec<_> = text.lines().filter_map(field).take(count).collect();
    if found.len() < count {
        return Err(invalid(format!("--count {count} needs as many passwords, {} found", found.len())));
    }
    Ok(found)
}

/// What each device would make alone: spread over the processors.
fn candidates(passwords: Vec<OneTimePassword>) -> Result<Vec<Candidate>, Failure> {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let share = passwords.len().div_ceil(threads).max(1);
    std::thread::scope(|scope| {
        let parts: Vec<_> = passwords
            .chunks(share)
            .map(|part| scope.spawn(move || part.iter().map(candidate).collect::<Result<Vec<_>, _>>()))
            .collect();
        let mut all = Vec::with_capacity(passwords.len());
        for part in parts {
            let made = part.join().map_err(|_| Failure { code: 1, why: "a thread panicked".to_owned() })?;
            all.extend(made?);
        }
        Ok(all)
    })
}

fn candidate(password: &OneTimePassword) -> Result<Candidate, Failure> {
    let hardware = Hardware::default();
    let id = format!("FLEET:{}", password.code());
    Ok(Candidate {
        proof: Proof { code: password.code(), psk: password.psk() },
        key: NewRequest::make(&id).map_err(Failure::invalid)?,
        applicant: Applicant {
            hardware_id: format!("fleet-{}", password.code()),
            device_id: id,
            manufacturer: hardware.manufacturer,
            model: hardware.model,
            platform: std::env::consts::OS.to_owned(),
            email: None,
        },
    })
}

fn write(folder: &Path, enrolment: &Enrolment) -> Result<(), Failure> {
    use std::io::Write as _;
    let file = folder.join(format!("{}.json", enrolment.enrolment));
    fs::create_dir_all(folder)
        .and_then(|()| crate::state::private_file(&file))
        .and_then(|mut open| open.write_all(enrolment.to_json().as_bytes()))
        .map_err(|error| Failure::invalid(format!("{}: {error}", file.display())))
}

fn show(summary: &EnrolSummary, output: Output) {
    if output == Output::Json {
        print(&serde_json::to_string(summary).unwrap_or_default());
        return;
    }
    let latency = |share| Duration::from_micros(summary.latency_us.quantile_us(share));
    print(&format!(
        "{} devices enrolled, {} failed, {:.1} s, {:.1} enrolments/s",
        summary.enrolled,
        summary.failed,
        Duration::from_millis(summary.elapsed_ms).as_secs_f64(),
        summary.per_second,
    ));
    print(&format!(
        "latency p50 {:.2?}, p95 {:.2?}, p99 {:.2?}, longest {:.2?}",
        latency(0.50),
        latency(0.95),
        latency(0.99),
        Duration::from_micros(summary.latency_us.longest_us()),
    ));
    for (kind, count) in &summary.errors {
        print(&format!("  {count} × {kind}"));
    }
}
