//! Alarms: what a person has to know of, or to do.
//!
//! Promise: while a trouble lasts there is one row for its kind and subject, however often it is raised; raising it
//! again counts and moves `last`. Raise and clear take part in the transaction of whoever found out. Bounded: a flood
//! of subjects becomes one alarm that says so ([`OVERFLOW`]).

use diesel::{OptionalExtension, prelude::*};
use postern_wire::terms::UtcMillis;
use uuid::Uuid;

use crate::{
    column::{Column, Db, db, readable, row},
    conn::each,
    errors::StoreError,
    tables::alarms::dsl as t,
    tx::{Reader, Tx},
};

/// Open alarms of one kind at most; beyond it they are only counted, under [`OVERFLOW`].
pub const MOST_OF_A_KIND: i64 = 500;
/// The kind of the alarm that says that another kind has more than [`MOST_OF_A_KIND`]; its subject is that kind.
pub const OVERFLOW: &str = "alarms-overflow";
/// Characters of an alarm's text that are kept.
const TEXT: usize = 1_000;
/// Characters of a subject that are kept.
const SUBJECT: usize = 200;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Good to know; nothing has to be done tonight.
    Notice,
    /// Something will go wrong unless somebody acts in time.
    Warning,
    /// Something is wrong now. The system's state is degraded while it lasts.
    Critical,
}

impl Severity {
    /// Every severity, from the least.
    pub const ALL: [Self; 3] = [Self::Notice, Self::Warning, Self::Critical];

    /// The stable spelling.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Notice => "notice",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

impl Column for Severity {
    type Sql = diesel::sql_types::Text;
    type Repr = String;
    fn lower(self) -> String {
        self.as_str().to_owned()
    }
    fn raise(repr: String) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|severity| severity.as_str() == repr);
        known.ok_or_else(|| format!("{repr:?} is no severity"))
    }
}
readable!(Severity);

row! {
    /// One alarm.
    pub struct Alarm in alarms {
        /// Its id.
        pub id: Uuid,
        /// What kind of trouble, lower-case words with hyphens: `gateway-lost`, `certificate-expiring` …
        pub kind: String,
        /// What it is about: `gateway:NAME`, `device:ID`, `database` … May hold text from outside.
        pub subject: String,
        /// How bad it is.
        pub severity: Severity,
        /// What is wrong, one sentence for people. May hold text from outside.
        pub text: String,
        /// When it was raised first.
        pub since: UtcMillis,
        /// When it was raised last.
        pub last: UtcMillis,
        /// How often it was raised.
        pub count: i64,
        /// Who has seen it.
        pub acknowledged_by: Option<String>,
        /// When.
        pub acknowledged_at: Option<UtcMillis>,
        /// What that person said about it.
        pub acknowledged_because: Option<String>,
        /// When it was over.
        pub cleared_at: Option<UtcMillis>,
        /// Why it was over.
        pub cleared_because: Option<String>,
    }
}

/// What raising an alarm did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Raised {
    /// It is new: somebody may have to be told.
    New,
    /// It was open already and was counted.
    Again,
    /// There are too many of its kind: [`OVERFLOW`] was raised in its place.
    Overflow,
}

/// Which alarms are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// Those that last.
    Open,
    /// Those that are over.
    Cleared,
    /// Both.
    All,
}

/// How many alarms are open, of one kind and severity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Count {
    /// The kind.
    pub kind: String,
    /// The severity.
    pub severity: Severity,
    /// How many.
    pub open: i64,
    /// Of these, how many nobody has acknowledged.
    pub unacknowledged: i64,
}

// --- reading

/// The alarm with this id.
pub fn find(r: &mut Reader, id: Uuid) -> Result<Option<Alarm>, StoreError> {
    Ok(each!(r.conn, c => t::alarms
        .filter(t::id.eq(db(id)))
        .select(Alarm::as_select())
        .first(c)
        .optional())?)
}

/// The open alarm about this.
pub fn open(r: &mut Reader, kind: &str, subject: &str) -> Result<Option<Alarm>, StoreError> {
    Ok(each!(r.conn, c => t::alarms
        .filter(t::kind.eq(kind))
        .filter(t::subject.eq(cut(subject, SUBJECT)))
        .filter(t::cleared_at.is_null())
        .select(Alarm::as_select())
        .first(c)
        .optional())?)
}

/// Alarms, the newest first; `before` is the id of the last one seen.
pub fn list(
    r: &mut Reader,
    which: Which,
    kind: Option<&str>,
    before: Option<Uuid>,
    limit: i64,
) -> Result<Vec<Alarm>, StoreError> {
    let before = match before {
        Some(id) => find(r, id)?.map(|alarm| (alarm.since, id)),
        None => None,
    };
    Ok(each!(r.conn, c => {
        let mut query = t::alarms.into_boxed();
        match which {
            Which::Open => query = query.filter(t::cleared_at.is_null()),
            Which::Cleared => query = query.filter(t::cleared_at.is_not_null()),
            Which::All => {}
        }
        if let Some(kind) = kind {
            query = query.filter(t::kind.eq(kind.to_owned()));
        }
        if let Some((since, id)) = before {
            query = query.filter(t::since.lt(since.0).or(t::since.eq(since.0).and(t::id.lt(db(id)))));
        }
        query
            .order((t::since.desc(), t::id.desc()))
            .limit(limit)
            .select(Alarm::as_select())
            .load(c)
    })?)
}

/// Open alarms counted by kind and severity, in order of kind.
pub fn counts(r: &mut Reader) -> Result<Vec<Count>, StoreError> {
    let rows: Vec<(String, String, Option<i64>)> = each!(r.conn, c => t::alarms
        .filter(t::cleared_at.is_null())
        .order((t::kind, t::severity))
        .select((t::kind, t::severity, t::acknowledged_at))
        .load(c))?;
    let mut counts: Vec<Count> = Vec::new();
    for (kind, severity, acknowledged) in rows {
        let severity = Severity::raise(severity).map_err(StoreError::Damaged)?;
        let unseen = i64::from(acknowledged.is_none());
        match counts.last_mut().filter(|last| last.kind == kind && last.severity == severity) {
            Some(last) => {
                last.open += 1;
                last.unacknowledged += unseen;
            }
            None => counts.push(Count { kind, severity, open: 1, unacknowledged: unseen }),
        }
    }
    Ok(counts)
}

// --- writing

/// Raises an alarm, or counts it once more where it is open. The newer text stands, and the graver severity.
pub fn raise(
    tx: &mut Tx,
    severity: Severity,
    kind: &str,
    subject: &str,
    text: &str,
) -> Result<Raised, StoreError> {
    if again(tx, severity, kind, subject, text)? {
        return Ok(Raised::Again);
    }
    let open: i64 = each!(tx.conn, c => t::alarms
        .filter(t::kind.eq(kind))
        .filter(t::cleared_at.is_null())
        .count()
        .get_result(c))?;
    if open < MOST_OF_A_KIND {
        insert(tx, severity, kind, subject, text)?;
        return Ok(Raised::New);
    }
    let text = format!("more than {MOST_OF_A_KIND} alarms {kind} are open; this one counts the rest");
    if !again(tx, severity, OVERFLOW, kind, &text)? {
        insert(tx, severity, OVERFLOW, kind, &text)?;
    }
    Ok(Raised::Overflow)
}

/// Counts an open alarm once more; false when there is none.
fn again(tx: &mut Tx, severity: Severity, kind: &str, subject: &str, text: &str) -> Result<bool, StoreError> {
    let Some(old) = open(tx, kind, subject)? else { return Ok(false) };
    let now = tx.now();
    each!(tx.conn, c => diesel::update(t::alarms.filter(t::id.eq(db(old.id))))
        .set((
            t::count.eq(t::count + 1),
            t::last.eq(now.0),
            t::severity.eq(old.severity.max(severity).as_str()),
            t::text.eq(db(cut(text, TEXT))),
        ))
        .execute(c))?;
    Ok(true)
}

fn insert(tx: &mut Tx, severity: Severity, kind: &str, subject: &str, text: &str) -> Result<(), StoreError> {
    let now = tx.now();
    let row = Alarm {
        id: tx.fresh_id(),
        kind: kind.to_owned(),
        subject: cut(subject, SUBJECT),
        severity,
        text: cut(text, TEXT),
        since: now,
        last: now,
        count: 1,
        acknowledged_by: None,
        acknowledged_at: None,
        acknowledged_because: None,
        cleared_at: None,
        cleared_because: None,
    };
    each!(tx.conn, c => diesel::insert_into(t::alarms).values(row).execute(c))?;
    Ok(())
}

/// The trouble is over. False when there was no open alarm about it.
pub fn clear(tx: &mut Tx, kind: &str, subject: &str, because: &str) -> Result<bool, StoreError> {
    let now = tx.now();
    let changed = each!(tx.conn, c => diesel::update(
        t::alarms
            .filter(t::kind.eq(kind))
            .filter(t::subject.eq(cut(subject, SUBJECT)))
            .filter(t::cleared_at.is_null()),
    )
    .set((t::cleared_at.eq(Some(now.0)), t::cleared_because.eq(Some(cut(because, TEXT)))))
    .execute(c))?;
    Ok(changed > 0)
}

/// A person has seen it; with `over`, it is closed at once. `Refused` when it is over already.
pub fn acknowledge(
    tx: &mut Tx,
    id: Uuid,
    by: &str,
    because: Option<&str>,
    over: bool,
) -> Result<Alarm, StoreError> {
    let alarm = find(tx, id)?.ok_or(StoreError::NotFound("alarm"))?;
    if alarm.cleared_at.is_some() {
        return Err(StoreError::Refused("the alarm is over already".to_owned()));
    }
    let now = tx.now();
    let because = because.map(|text| cut(text, TEXT));
    let alarm = Alarm {
        acknowledged_by: Some(by.to_owned()),
        acknowledged_at: Some(now),
        acknowledged_because: because.clone(),
        cleared_at: over.then_some(now),
        cleared_because: over.then(|| because.unwrap_or_else(|| format!("closed by {by}"))),
        ..alarm
    };
    each!(tx.conn, c => diesel::update(t::alarms.filter(t::id.eq(db(id))))
        .set((
            t::acknowledged_by.eq(alarm.acknowledged_by.clone()),
            t::acknowledged_at.eq(Some(now.0)),
            t::acknowledged_because.eq(alarm.acknowledged_because.clone()),
            t::cleared_at.eq(alarm.cleared_at.map(|at| at.0)),
            t::cleared_because.eq(alarm.cleared_because.clone()),
        ))
        .execute(c))?;
    Ok(alarm)
}

/// Removes alarms that were over before `before`, and those that somebody acknowledged and nothing has raised since
/// then; at most `limit`.
pub fn purge(tx: &mut Tx, before: UtcMillis, limit: i64) -> Result<usize, StoreError> {
    let old: Vec<Vec<u8>> = each!(tx.conn, c => t::alarms
        .filter(t::cleared_at.lt(before.0).or(
            t::acknowledged_at.lt(before.0).and(t::last.lt(before.0)),
        ))
        .order(t::last)
        .limit(limit)
        .select(t::id)
        .load(c))?;
    if old.is_empty() {
        return Ok(0);
    }
    Ok(each!(tx.conn, c => diesel::delete(t::alarms.filter(t::id.eq_any(old))).execute(c))?)
}

/// The first characters of a text, without U+0000 (which PostgreSQL does not hold).
fn cut(text: &str, most: usize) -> String {
    text.chars().take(most).map(|c| if c == '\0' { '\u{FFFD}' } else { c }).collect()
}
