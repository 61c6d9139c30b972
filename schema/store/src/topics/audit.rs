//! The audit log: a row in the action's own transaction, each chained to the one before by its hash; the head is
//! signed outside the database (docs/THREATS.md, "Who may attack").
//!
//! `hash = SHA-256(previous hash ‖ canonical row)`, the canonical row being the domain word, then seq and at as
//! 64-bit big-endian, then each text with its length in octets as 32-bit big-endian before it. The first row's
//! previous hash is 32 zero octets.

use aws_lc_rs::digest;
use diesel::{
    OptionalExtension,
    prelude::*,
    sql_types::{BigInt, Binary},
};
use postern_wire::terms::UtcMillis;

use crate::{
    column::row,
    conn::{each, kept::Kept},
    errors::StoreError,
    tables::{audit::dsl as t, audit_heads::dsl as h},
    tx::{Reader, Tx},
};

row! {
    /// One row of the log.
    pub struct Entry in audit {
        /// Counts from 1, without gaps.
        pub seq: i64,
        /// When.
        pub at: UtcMillis,
        /// Who: `admin:NAME`, `token:ID`, `service:NAME`, `device:ID`.
        pub actor: String,
        /// What: `device.enrol`, `command.queue`.
        pub action: String,
        /// On what: `device:ID`, `gateway:NAME`.
        pub object: String,
        /// `ok`, or `refused: ...`.
        pub outcome: String,
        /// More, as JSON. Never a secret.
        pub detail: String,
        /// The address that the request came from.
        pub source: String,
        /// The request's id.
        pub request: String,
        /// The hash of the row before.
        pub previous: [u8; 32],
        /// This row's hash.
        pub hash: [u8; 32],
    }
}

row! {
    /// A signed head: who has it can tell whether the log up to `seq` is still the same.
    pub struct Head in audit_heads {
        /// The row that was the last one.
        pub seq: i64,
        /// Its hash.
        pub hash: [u8; 32],
        /// When it was signed.
        pub at: UtcMillis,
        /// By which key.
        pub key_id: String,
        /// The signature.
        pub signature: Vec<u8>,
    }
}

/// What happened: the part of a row that its caller gives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Act {
    /// Who.
    pub actor: String,
    /// What.
    pub action: String,
    /// On what.
    pub object: String,
    /// How it went.
    pub outcome: String,
    /// More, as JSON. Never a secret.
    pub detail: String,
    /// From where.
    pub source: String,
    /// The request's id.
    pub request: String,
}

/// What a check of the chain found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Rows `first` to `last` hang together; `last` has `hash`.
    Whole {
        /// The first row there is (0: none).
        first: i64,
        /// The last.
        last: i64,
        /// The last row's hash.
        hash: [u8; 32],
    },
    /// The row `seq` is not what it was, or is missing.
    Broken {
        /// Where.
        seq: i64,
        /// What is wrong.
        why: String,
    },
}

/// Appends a row. Call it in the transaction of the action itself.
pub fn append(tx: &mut Tx, act: Act) -> Result<Entry, StoreError> {
    let (last, previous) = last(tx)?.unwrap_or((0, [0; 32]));
    let mut entry = Entry {
        seq: last + 1,
        at: tx.now(),
        actor: rests(act.actor),
        action: rests(act.action),
        object: rests(act.object),
        outcome: rests(act.outcome),
        detail: rests(act.detail),
        source: rests(act.source),
        request: rests(act.request),
        previous,
        hash: [0; 32],
    };
    entry.hash = hash(&entry);
    each!(tx.conn, c => diesel::insert_into(t::audit).values(entry.clone()).execute(c))?;
    Ok(entry)
}

/// The last row's number and hash.
pub fn last(r: &mut Reader) -> Result<Option<(i64, [u8; 32])>, StoreError> {
    let last =
        Kept::<(BigInt, Binary)>::new("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1", Vec::new());
    let row: Option<(i64, Vec<u8>)> = each!(r.conn, c => last.get_result(c).optional())?;
    row.map(|(seq, hash)| {
        hash.try_into().map(|hash| (seq, hash)).map_err(|_| StoreError::Damaged(format!("audit row {seq}")))
    })
    .transpose()
}

/// The number of the first row that is kept.
pub fn first(r: &mut Reader) -> Result<Option<i64>, StoreError> {
    Ok(each!(r.conn, c => t::audit.order(t::seq).select(t::seq).first(c).optional())?)
}

/// Which rows are wanted; everything that is given has to fit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// On exactly this object.
    pub object: Option<String>,
    /// By exactly this actor.
    pub actor: Option<String>,
    /// Exactly this action, or all that begin with it when it ends in a dot.
    pub action: Option<String>,
    /// Not before.
    pub since: Option<UtcMillis>,
    /// Before.
    pub until: Option<UtcMillis>,
}

/// Rows before `before`, newest first; of one object when it is given.
pub fn list(
    r: &mut Reader,
    object: Option<&str>,
    before: Option<i64>,
    limit: i64,
) -> Result<Vec<Entry>, StoreError> {
    let filter = Filter { object: object.map(str::to_owned), ..Filter::default() };
    list_where(r, &filter, before, limit)
}

/// Rows before `before` that fit, newest first.
pub fn list_where(
    r: &mut Reader,
    filter: &Filter,
    before: Option<i64>,
    limit: i64,
) -> Result<Vec<Entry>, StoreError> {
    let Filter { object, actor, action, since, until } = filter.clone();
    Ok(each!(r.conn, c => {
        let mut query = t::audit.into_boxed().order(t::seq.desc()).limit(limit).select(Entry::as_select());
        if let Some(object) = object {
            query = query.filter(t::object.eq(object));
        }
        if let Some(actor) = actor {
            query = query.filter(t::actor.eq(actor));
        }
        match action {
            Some(begin) if begin.ends_with('.') => {
                let plain = begin.replace(['%', '\\'], "");
                query = query.filter(t::action.like(format!("{plain}%")));
            }
            Some(action) => query = query.filter(t::action.eq(action)),
            None => {}
        }
        if let Some(since) = since {
            query = query.filter(t::at.ge(since.0));
        }
        if let Some(until) = until {
            query = query.filter(t::at.lt(until.0));
        }
        if let Some(before) = before {
            query = query.filter(t::seq.lt(before));
        }
        query.load(c)
    })?)
}

/// Checks rows after `after` (whose hash is `previous`; from the start: 0 and what the first row says), at most
/// `limit`. To check a long log, go on from the `Whole` that the last call gave.
pub fn verify(
    r: &mut Reader,
    after: i64,
    previous: Option<[u8; 32]>,
    limit: i64,
) -> Result<Verdict, StoreError> {
    let rows: Vec<Entry> = each!(r.conn, c => t::audit
        .filter(t::seq.gt(after))
        .order(t::seq)
        .limit(limit)
        .select(Entry::as_select())
        .load(c))?;
    let first_kept = match first_kept(r)? {
        kept if after == 0 => kept,
        _ => after + 1,
    };
    let start = if after == 0 && first_kept == 1 { Some([0; 32]) } else { previous };
    Ok(check(&rows, first_kept, start))
}

/// Checks that rows hang together: `first` is the number that the first must have, `previous` the hash before it
/// when that is known.
#[must_use]
pub fn check(rows: &[Entry], first: i64, previous: Option<[u8; 32]>) -> Verdict {
    let mut expected = first;
    let mut before = previous;
    for row in rows {
        let why = if row.seq != expected {
            Some(format!("row {expected} is missing"))
        } else if before.is_some_and(|hash| hash != row.previous) {
            Some("it does not follow the row before it".to_owned())
        } else if hash(row) != row.hash {
            Some("its content is not what was hashed".to_owned())
        } else {
            None
        };
        if let Some(why) = why {
            return Verdict::Broken { seq: expected, why };
        }
        before = Some(row.hash);
        expected += 1;
    }
    match rows {
        [] => Verdict::Whole { first: 0, last: first - 1, hash: before.unwrap_or_default() },
        [start, ..] => {
            Verdict::Whole { first: start.seq, last: expected - 1, hash: before.unwrap_or_default() }
        }
    }
}

/// Keeps a signed head. One row, one head: a second for the same row is left out.
pub fn add_head(tx: &mut Tx, head: Head) -> Result<(), StoreError> {
    each!(tx.conn, c => diesel::insert_into(h::audit_heads)
        .values(head)
        .on_conflict(h::seq)
        .do_nothing()
        .execute(c))?;
    Ok(())
}

/// The signed heads before `before`, newest first.
pub fn heads(r: &mut Reader, before: Option<i64>, limit: i64) -> Result<Vec<Head>, StoreError> {
    let before = before.unwrap_or(i64::MAX);
    Ok(each!(r.conn, c => h::audit_heads
        .filter(h::seq.lt(before))
        .order(h::seq.desc())
        .limit(limit)
        .select(Head::as_select())
        .load(c))?)
}

/// Removes the rows up to `seq`, which must be a signed head, older than `before`. Gives how many went. What the
/// first kept row must follow stays in the kept head.
pub fn purge(tx: &mut Tx, seq: i64, before: UtcMillis) -> Result<usize, StoreError> {
    let head: Option<Head> = each!(tx.conn, c => h::audit_heads.filter(h::seq.eq(seq)).select(Head::as_select()).get_result(c).optional())?;
    match head {
        None => return Err(StoreError::Refused(format!("row {seq} is not a signed head"))),
        Some(head) if head.at >= before => {
            return Err(StoreError::Refused(format!("row {seq} is not old enough")));
        }
        Some(_) => {}
    }
    let newest = last(tx)?.map_or(0, |(last, _)| last);
    if seq >= newest {
        return Err(StoreError::Refused("the last row stays".to_owned()));
    }
    super::meta::set(tx, KEPT_FROM, &(seq + 1).to_string())?;
    Ok(each!(tx.conn, c => diesel::delete(t::audit.filter(t::seq.le(seq))).execute(c))?)
}

/// The number of the first row that is kept, in `meta`.
const KEPT_FROM: &str = "audit/kept-from";

fn first_kept(r: &mut Reader) -> Result<i64, StoreError> {
    Ok(super::meta::get(r, KEPT_FROM)?.and_then(|text| text.parse().ok()).unwrap_or(1))
}

/// The hash of a row, from its content and the hash before it.
#[must_use]
pub fn hash(entry: &Entry) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(&entry.previous);
    context.update(b"postern-audit-1");
    context.update(&entry.seq.to_be_bytes());
    context.update(&entry.at.0.to_be_bytes());
    let texts = [
        &entry.actor,
        &entry.action,
        &entry.object,
        &entry.outcome,
        &entry.detail,
        &entry.source,
        &entry.request,
    ];
    for text in texts {
        context.update(&u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes());
        context.update(text.as_bytes());
    }
    let mut out = [0; 32];
    out.copy_from_slice(context.finish().as_ref());
    out
}

/// A text as it will be read back (see `column`), so that the hash is of that.
fn rests(text: String) -> String {
    <String as crate::column::Column>::lower(text)
}
