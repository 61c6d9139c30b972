//! What is logged, and how that changes while the core runs: for one device by its id, for a module, or for all, each
//! for a time; and the last lines, kept in memory for a support bundle.
//!
//! Promise: a change ends by itself; while there is none, lines below the configured level cost nothing. Secrets are
//! in no line at any level: what may hold one has no `Debug` that shows it.

use std::{
    collections::VecDeque,
    io,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicU8, Ordering},
    },
};

use postern_wire::terms::UtcMillis;
use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    level_filters::LevelFilter,
    span,
    subscriber::Interest,
};
use tracing_subscriber::{
    EnvFilter,
    filter::ParseError,
    fmt::MakeWriter,
    layer::{Context, Filter},
};

/// Lines that are kept for a support bundle.
const LINES: usize = 5_000;
/// Octets of them.
const OCTETS: usize = 2 << 20;
/// Changes that may hold at a time.
pub const MOST: usize = 50;
/// Fields that name a device.
const DEVICE_FIELDS: [&str; 2] = ["device", "enrolment"];

/// The process's one log.
static LOG: OnceLock<Arc<Log>> = OnceLock::new();

/// The log of this process; none before [`install`] (a test's core shares the process with others).
#[must_use]
pub fn log() -> Option<&'static Arc<Log>> {
    LOG.get()
}

/// For whom a level is changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whose {
    /// Lines about this device: its enrolment's id.
    Device(String),
    /// Lines of this module and those below: `postern_core::links`. Empty: all of Postern's.
    Module(String),
}

/// A level that was changed for a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// For whom.
    pub whose: Whose,
    /// The level down to which lines are written.
    pub level: Level,
    /// Until when.
    pub until: UtcMillis,
}

/// What is logged, and the last lines.
#[derive(Debug, Default)]
pub struct Log {
    changes: Mutex<Vec<Change>>,
    /// The most talkative level of all changes: 0 none, 1 error … 5 trace.
    most: AtomicU8,
    ring: Mutex<Ring>,
}

#[derive(Debug, Default)]
struct Ring {
    lines: VecDeque<String>,
    octets: usize,
}

/// There are too many changes already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{MOST} log levels are changed already; wait for some to end, or end them")]
pub struct TooMany;

impl Log {
    /// Changes a level; one of the same device or module is replaced.
    ///
    /// # Errors
    /// [`TooMany`].
    pub fn change(&self, change: Change) -> Result<(), TooMany> {
        let mut changes = self.lock();
        changes.retain(|other| other.whose != change.whose);
        if changes.len() >= MOST {
            return Err(TooMany);
        }
        changes.push(change);
        self.told(changes);
        Ok(())
    }

    /// Ends a change. False when there was none.
    pub fn end(&self, whose: &Whose) -> bool {
        let mut changes = self.lock();
        let before = changes.len();
        changes.retain(|change| change.whose != *whose);
        let ended = changes.len() < before;
        self.told(changes);
        ended
    }

    /// Ends the changes whose time is over; to be asked every few seconds.
    pub fn expire(&self, now: UtcMillis) {
        let mut changes = self.lock();
        if changes.iter().any(|change| change.until <= now) {
            changes.retain(|change| change.until > now);
            self.told(changes);
        }
    }

    /// The changes that hold.
    #[must_use]
    pub fn changes(&self) -> Vec<Change> {
        self.lock().clone()
    }

    /// The last lines, the oldest first.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner).lines.iter().cloned().collect()
    }

    fn keep(&self, line: &str) {
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        ring.octets += line.len();
        ring.lines.push_back(line.to_owned());
        while ring.lines.len() > LINES || ring.octets > OCTETS {
            let gone = ring.lines.pop_front().map_or(0, |line| line.len());
            ring.octets -= gone;
        }
    }

    fn told(&self, changes: std::sync::MutexGuard<'_, Vec<Change>>) {
        let most = changes.iter().map(|change| rank(change.level)).max().unwrap_or(0);
        drop(changes);
        self.most.store(most, Ordering::Relaxed);
        tracing::callsite::rebuild_interest_cache();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Change>> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether some change may want lines of this level and module.
    fn may(&self, metadata: &Metadata<'_>) -> bool {
        rank(*metadata.level()) <= self.most.load(Ordering::Relaxed)
            && metadata.target().starts_with("postern")
    }

    fn wants(&self, event: &Event<'_>) -> bool {
        let (level, target) = (*event.metadata().level(), event.metadata().target());
        let mut named = Named::default();
        let mut looked = false;
        self.lock().iter().filter(|change| level <= change.level).any(|change| match &change.whose {
            Whose::Module(module) => target.starts_with(module.as_str()),
            Whose::Device(device) => {
                if !looked {
                    event.record(&mut named);
                    looked = true;
                }
                named.0.iter().any(|name| name == device)
            }
        })
    }
}

fn rank(level: Level) -> u8 {
    match level {
        Level::ERROR => 1,
        Level::WARN => 2,
        Level::INFO => 3,
        Level::DEBUG => 4,
        Level::TRACE => 5,
    }
}

/// The devices that a line names.
#[derive(Default)]
struct Named(Vec<String>);

impl Visit for Named {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if DEVICE_FIELDS.contains(&field.name()) {
            self.0.push(format!("{value:?}"));
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if DEVICE_FIELDS.contains(&field.name()) {
            self.0.push(value.to_owned());
        }
    }
}

/// The configured filter, and what was changed over it.
pub struct Control {
    base: EnvFilter,
    log: Arc<Log>,
}

impl Control {
    /// What `directives` let through, and what the log's changes ask for.
    ///
    /// # Errors
    /// When the directives cannot be read.
    pub fn new(directives: &str, log: Arc<Log>) -> Result<Self, ParseError> {
        Ok(Self { base: EnvFilter::try_new(directives)?, log })
    }
}

impl<S: Subscriber> Filter<S> for Control {
    fn enabled(&self, metadata: &Metadata<'_>, context: &Context<'_, S>) -> bool {
        Filter::enabled(&self.base, metadata, context) || self.log.may(metadata)
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        let base = Filter::<S>::callsite_enabled(&self.base, metadata);
        if base.is_always() || !self.log.may(metadata) { base } else { Interest::sometimes() }
    }

    fn event_enabled(&self, event: &Event<'_>, context: &Context<'_, S>) -> bool {
        Filter::enabled(&self.base, event.metadata(), context) || self.log.wants(event)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        let changed = match self.log.most.load(Ordering::Relaxed) {
            0 => LevelFilter::OFF,
            1 => LevelFilter::ERROR,
            2 => LevelFilter::WARN,
            3 => LevelFilter::INFO,
            4 => LevelFilter::DEBUG,
            _ => LevelFilter::TRACE,
        };
        Filter::<S>::max_level_hint(&self.base).map(|base| base.max(changed))
    }

    fn on_new_span(&self, attributes: &span::Attributes<'_>, id: &span::Id, context: Context<'_, S>) {
        Filter::on_new_span(&self.base, attributes, id, context);
    }

    fn on_record(&self, id: &span::Id, values: &span::Record<'_>, context: Context<'_, S>) {
        Filter::on_record(&self.base, id, values, context);
    }

    fn on_enter(&self, id: &span::Id, context: Context<'_, S>) {
        Filter::on_enter(&self.base, id, context);
    }

    fn on_exit(&self, id: &span::Id, context: Context<'_, S>) {
        Filter::on_exit(&self.base, id, context);
    }

    fn on_close(&self, id: span::Id, context: Context<'_, S>) {
        Filter::on_close(&self.base, id, context);
    }
}

/// Writes lines into the log's memory.
#[derive(Clone)]
pub struct Kept(Arc<Log>);

/// One line on its way.
pub struct Line {
    log: Arc<Log>,
    text: Vec<u8>,
}

impl<'w> MakeWriter<'w> for Kept {
    type Writer = Line;

    fn make_writer(&'w self) -> Line {
        Line { log: Arc::clone(&self.0), text: Vec::new() }
    }
}

impl io::Write for Line {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.text.extend_from_slice(octets);
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let text = String::from_utf8_lossy(&self.text);
        if !text.trim().is_empty() {
            self.log.keep(text.trim_end());
        }
    }
}

/// Makes this the log of the process: lines to stderr in the configured form, and the last of them in memory as JSON.
///
/// # Errors
/// When the configured directives cannot be read.
pub fn install(config: &crate::config::Log, colours: bool) -> Result<(), ParseError> {
    use tracing_subscriber::{Layer as _, fmt, layer::SubscriberExt as _, util::SubscriberInitExt as _};

    let log = Arc::new(Log::default());
    let control = || Control::new(&config.filter, Arc::clone(&log));
    let kept = fmt::layer().json().with_writer(Kept(Arc::clone(&log))).with_filter(control()?);
    let lines = fmt::layer().with_writer(io::stderr).with_ansi(colours);
    let lines = match config.format {
        crate::config::LogFormat::Text => lines.boxed(),
        crate::config::LogFormat::Json => fmt::layer().json().with_writer(io::stderr).boxed(),
    };
    let registry = tracing_subscriber::registry().with(kept).with(lines.with_filter(control()?));
    if registry.try_init().is_ok() {
        // A second log of one process would keep what the first one writes: the first one stays.
        let _ = LOG.set(log);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::{Layer as _, fmt, layer::SubscriberExt as _};

    use super::*;

    fn logged(log: &Arc<Log>, lines: impl FnOnce()) -> Vec<String> {
        let control = Control::new("info", Arc::clone(log)).unwrap();
        let layer = fmt::layer().json().with_writer(Kept(Arc::clone(log))).with_filter(control);
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), lines);
        log.lines()
    }

    fn change(whose: Whose, level: Level) -> Change {
        Change { whose, level, until: UtcMillis(100) }
    }

    #[test]
    fn a_device_s_lines_are_written_at_its_own_level_and_no_other_s() {
        let log = Arc::new(Log::default());
        log.change(change(Whose::Device("d-1".into()), Level::DEBUG)).unwrap();
        let lines = logged(&log, || {
            tracing::debug!(target: "postern_core::device", device = "d-1", "one");
            tracing::debug!(target: "postern_core::device", device = %"d-1", "two");
            tracing::debug!(target: "postern_core::device", device = "d-2", "other");
            tracing::trace!(target: "postern_core::device", device = "d-1", "too much");
            tracing::debug!(target: "elsewhere", device = "d-1", "not ours");
            tracing::info!(target: "elsewhere", "as always");
        });
        let text = lines.join("\n");
        assert_eq!(lines.len(), 3, "{text}");
        assert!(text.contains("\"one\"") && text.contains("\"two\"") && text.contains("as always"), "{text}");
    }

    #[test]
    fn a_module_s_level_holds_below_it_and_ends_by_itself() {
        let log = Arc::new(Log::default());
        log.change(change(Whose::Module("postern_core::links".into()), Level::TRACE)).unwrap();
        let say = || tracing::trace!(target: "postern_core::links::dial", "said");
        assert_eq!(logged(&log, say).len(), 1);
        log.expire(UtcMillis(99));
        assert_eq!(log.changes().len(), 1);
        log.expire(UtcMillis(100));
        assert!(log.changes().is_empty());
        assert_eq!(logged(&log, say).len(), 1, "no line came");
    }

    #[test]
    fn the_lines_in_memory_are_bounded() {
        let log = Log::default();
        for n in 0..LINES + 10 {
            log.keep(&format!("line {n}"));
        }
        let lines = log.lines();
        assert_eq!((lines.len(), lines[0].as_str()), (LINES, "line 10"));
        log.keep(&"x".repeat(OCTETS));
        assert_eq!(log.lines().len(), 1);
    }

    #[test]
    fn changes_are_bounded_and_one_of_the_same_device_is_replaced() {
        let log = Log::default();
        for n in 0..MOST {
            log.change(change(Whose::Device(n.to_string()), Level::DEBUG)).unwrap();
        }
        assert_eq!(log.change(change(Whose::Device("more".into()), Level::DEBUG)), Err(TooMany));
        log.change(change(Whose::Device("7".into()), Level::TRACE)).unwrap();
        assert!(log.end(&Whose::Device("7".into())) && !log.end(&Whose::Device("7".into())));
    }
}
