//! `postern-device fleet`: many devices in memory, a progress bar, a summary.

mod enrol;

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use secrecy::SecretString;

use super::{EncodingName, Failure, Output, print, with_causes};
use crate::{
    device::Settings,
    enrolment::Enrolment,
    fleet::{EnrolSummary, Fleet, FleetOptions, Summary},
    transport::{HttpsOptions, TlsOptions},
    unit::UnitSettings,
};

#[derive(Debug, Args)]
pub(super) struct FleetTask {
    /// Devices to simulate; there have to be as many enrolments.
    #[arg(long)]
    count: usize,
    /// Sessions started each second; 0 is as fast as they end.
    #[arg(long, default_value_t = 0.0)]
    rate: f64,
    /// Seconds to go on for.
    #[arg(long)]
    duration: Option<f64>,
    /// Sessions to hold; without it and without a duration, one for each device.
    #[arg(long)]
    sessions: Option<u64>,
    /// Sessions at the same time at most.
    #[arg(long, default_value_t = 512)]
    in_flight: usize,
    /// Enrolment files, or folders of them; a file NAME.json may have its private key in NAME.key.
    #[arg(long, required_unless_present = "enrol_from", num_args = 1..)]
    enrolments: Vec<PathBuf>,
    #[command(flatten)]
    enrol: enrol::EnrolFrom,
    /// How messages are encoded.
    #[arg(long, value_enum, default_value_t)]
    encoding: EncodingName,
    /// A new connection for each message.
    #[arg(long)]
    connection_per_message: bool,
    /// Resume TLS sessions; without it every connection is a full handshake.
    #[arg(long)]
    resume: bool,
    /// Dial this address whatever the enrolments say; certificates are still checked against their host.
    #[arg(long)]
    dial: Option<SocketAddr>,
    /// Threads; as many as processors without it.
    #[arg(long)]
    threads: Option<usize>,
    /// What is printed.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

impl FleetTask {
    pub(super) fn perform(self) -> Result<(), Failure> {
        if !self.rate.is_finite()
            || self.rate < 0.0
            || self.duration.is_some_and(|s| !(0.0..1e9).contains(&s))
        {
            return Err(Failure::invalid("--rate and --duration have to be numbers from 0 up"));
        }
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        if let Some(threads) = self.threads {
            runtime.worker_threads(threads.max(1));
        }
        let runtime =
            runtime.enable_all().build().map_err(|error| Failure { code: 1, why: error.to_string() })?;
        let enrolments = if self.enrol.is_wanted() {
            let enrolled = runtime.block_on(self.enrolled())?;
            if self.sessions.is_none() && self.duration.is_none() {
                return Ok(());
            }
            enrolled
        } else {
            self.enrolments()?
        };
        let settings = Settings {
            unit: Arc::new(UnitSettings { encoding: self.encoding.into(), ..UnitSettings::default() }),
            retries: 0,
            ..Settings::default()
        };
        let https = HttpsOptions {
            connection_per_message: self.connection_per_message,
            dial: self.dial,
            ..HttpsOptions::default()
        };
        let tls = TlsOptions { resumption: self.resume };
        let mut fleet = Fleet::from_enrolments(&enrolments, &settings, &Arc::new(https), tls)
            .map_err(|error| Failure::invalid(with_causes(&error)))?;
        let sessions = self.sessions.or(self.duration.is_none().then_some(self.count as u64));
        let options = FleetOptions {
            rate: self.rate,
            duration: self.duration.map(Duration::from_secs_f64),
            sessions,
            in_flight: self.in_flight,
        };
        let bar = self.bar(&options);
        let summary = runtime.block_on(fleet.run(&options, |so_far| {
            bar.set_position(so_far.completed + so_far.failed);
            bar.set_message(format!(
                "{} failed, p99 {} µs",
                so_far.failed,
                so_far.latency_us.quantile_us(0.99)
            ));
        }));
        bar.finish_and_clear();
        show(&summary, self.output);
        if summary.failed > 0 {
            Err(Failure { code: 1, why: format!("{} sessions failed", summary.failed) })
        } else {
            Ok(())
        }
    }

    async fn enrolled(&self) -> Result<Vec<Enrolment>, Failure> {
        let bar = match self.output {
            Output::Json => ProgressBar::hidden(),
            Output::Text => ProgressBar::new(self.count as u64),
        };
        let progress = |so_far: &EnrolSummary| bar.set_position(so_far.enrolled + so_far.failed);
        let done = self.enrol.perform(self.count, self.in_flight, self.output, progress).await;
        bar.finish_and_clear();
        done
    }

    fn enrolments(&self) -> Result<Vec<Enrolment>, Failure> {
        let mut files = Vec::new();
        for place in &self.enrolments {
            files.extend(enrolment_files(place)?);
        }
        if files.len() < self.count {
            return Err(Failure::invalid(format!(
                "--count {} needs as many enrolments, {} found",
                self.count,
                files.len()
            )));
        }
        files.iter().take(self.count).map(|file| read(file)).collect()
    }

    fn bar(&self, options: &FleetOptions) -> ProgressBar {
        let template = "{elapsed_precise} [{wide_bar}] {pos} sessions, {per_sec}, {msg}";
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the length of a bar")]
        let expected = options.duration.map(|duration| (duration.as_secs_f64() * options.rate) as u64);
        match (self.output, options.sessions.or(expected)) {
            (Output::Json, _) => ProgressBar::hidden(),
            (Output::Text, Some(length)) => ProgressBar::new(length).with_style(style),
            (Output::Text, None) => ProgressBar::no_length().with_style(style),
        }
    }
}

/// A file itself, or a folder's files that end in `.json`, sorted.
fn enrolment_files(place: &Path) -> Result<Vec<PathBuf>, Failure> {
    let unreadable = |error: std::io::Error| Failure::invalid(format!("{}: {error}", place.display()));
    if !place.is_dir() {
        return Ok(vec![place.to_owned()]);
    }
    let entries = fs::read_dir(place).and_then(Iterator::collect::<Result<Vec<_>, _>>).map_err(unreadable)?;
    let mut files: Vec<_> = entries.into_iter().map(|entry| entry.path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    Ok(files)
}

fn read(file: &Path) -> Result<Enrolment, Failure> {
    let invalid = |error: &dyn std::error::Error| {
        Failure::invalid(format!("{}: {}", file.display(), with_causes(error)))
    };
    let mut enrolment = Enrolment::read(file).map_err(|error| invalid(&error))?;
    if enrolment.key_pem.is_none()
        && let Ok(key) = fs::read_to_string(file.with_extension("key"))
    {
        enrolment.key_pem = Some(SecretString::from(key));
    }
    Ok(enrolment)
}

fn show(summary: &Summary, output: Output) {
    if output == Output::Json {
        print(&serde_json::to_string(summary).unwrap_or_default());
        return;
    }
    let latency = |share| Duration::from_micros(summary.latency_us.quantile_us(share));
    print(&format!(
        "{} devices, {} sessions completed, {} failed, {} late, {:.1} s, {:.1} sessions/s",
        summary.devices,
        summary.completed,
        summary.failed,
        summary.late,
        Duration::from_millis(summary.elapsed_ms).as_secs_f64(),
        summary.per_second,
    ));
    print(&format!("{} messages, {} commands answered", summary.messages, summary.commands));
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
