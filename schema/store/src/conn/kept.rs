//! Statements in words of their own, for the few that run with every session.
//!
//! Diesel does not keep an UPDATE, an upsert or a multi-row insert of any length prepared, because their text may
//! differ from one call to the next; parsing them then takes longer than running them, and on PostgreSQL a second
//! round trip. The text of a [`Kept`] is fixed, so both backends keep it prepared. It compiles once, whatever it says.

use std::{borrow::Cow, marker::PhantomData};

use diesel::{
    QueryResult, RunQueryDsl,
    backend::Backend,
    pg::Pg,
    query_builder::{AstPass, Query, QueryFragment, QueryId},
    result::Error,
    sql_types::{Array, BigInt, Binary, Bool, Nullable, Text},
    sqlite::Sqlite,
};

/// A statement: its text with a `?` for each value, in order. `Row` is the SQL type of what it gives back.
pub(crate) struct Kept<'a, Row = ()> {
    text: &'static str,
    values: Vec<Value<'a>>,
    row: PhantomData<Row>,
}

/// A value to bind.
pub(crate) enum Value<'a> {
    /// Octets or NULL.
    Octets(Option<&'a [u8]>),
    /// A number or NULL.
    Integer(Option<i64>),
    /// Text or NULL.
    Text(Option<Cow<'a, str>>),
    /// PostgreSQL only: a column of octets, for `unnest`.
    OctetsColumn(Vec<Option<&'a [u8]>>),
    /// PostgreSQL only: a column of numbers.
    IntegerColumn(Vec<Option<i64>>),
    /// PostgreSQL only: a column of texts.
    TextColumn(Vec<Option<Cow<'a, str>>>),
    /// PostgreSQL only: a column of truth values.
    TruthColumn(Vec<bool>),
}

impl<'a> Value<'a> {
    /// An id, or octets of any kind.
    pub(crate) fn octets(octets: &'a [u8]) -> Self {
        Self::Octets(Some(octets))
    }

    /// A number.
    pub(crate) const fn integer(number: i64) -> Self {
        Self::Integer(Some(number))
    }

    /// A text, as [`text`] lets it in.
    pub(crate) fn text(words: &'a str) -> Self {
        Self::Text(Some(text(words)))
    }

    /// A text, or NULL.
    pub(crate) fn maybe_text(words: Option<&'a str>) -> Self {
        Self::Text(words.map(text))
    }
}

/// PostgreSQL's text cannot hold U+0000; it rests as U+FFFD on both backends (as in [`crate::column`]).
pub(crate) fn text(words: &str) -> Cow<'_, str> {
    if words.contains('\0') { Cow::Owned(words.replace('\0', "\u{FFFD}")) } else { Cow::Borrowed(words) }
}

impl<'a, Row> Kept<'a, Row> {
    /// `text` has as many `?` as there are `values`.
    pub(crate) fn new(text: &'static str, values: Vec<Value<'a>>) -> Self {
        Self { text, values, row: PhantomData }
    }

    fn walk<'b, DB: Backend>(
        &'b self,
        mut out: AstPass<'_, 'b, DB>,
        bind: fn(&'b Value<'a>, AstPass<'_, 'b, DB>) -> QueryResult<()>,
    ) -> QueryResult<()> {
        let mut pieces = self.text.split('?');
        out.push_sql(pieces.next().unwrap_or_default());
        let mut values = self.values.iter();
        for piece in pieces {
            let value = values.next().ok_or_else(|| unfit("too few values"))?;
            bind(value, out.reborrow())?;
            out.push_sql(piece);
        }
        if values.next().is_some() { Err(unfit("too many values")) } else { Ok(()) }
    }
}

fn unfit(what: &'static str) -> Error {
    Error::QueryBuilderError(what.into())
}

impl<Row> QueryFragment<Sqlite> for Kept<'_, Row> {
    fn walk_ast<'b>(&'b self, out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        self.walk(out, |value, mut out| match value {
            Value::Octets(value) => out.push_bind_param::<Nullable<Binary>, _>(value),
            Value::Integer(value) => out.push_bind_param::<Nullable<BigInt>, _>(value),
            Value::Text(value) => out.push_bind_param::<Nullable<Text>, _>(value),
            Value::OctetsColumn(_)
            | Value::IntegerColumn(_)
            | Value::TextColumn(_)
            | Value::TruthColumn(_) => Err(unfit("SQLite has no arrays")),
        })
    }
}

impl<Row> QueryFragment<Pg> for Kept<'_, Row> {
    fn walk_ast<'b>(&'b self, out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        self.walk(out, |value, mut out| match value {
            Value::Octets(value) => out.push_bind_param::<Nullable<Binary>, _>(value),
            Value::Integer(value) => out.push_bind_param::<Nullable<BigInt>, _>(value),
            Value::Text(value) => out.push_bind_param::<Nullable<Text>, _>(value),
            Value::OctetsColumn(values) => out.push_bind_param::<Array<Nullable<Binary>>, _>(values),
            Value::IntegerColumn(values) => out.push_bind_param::<Array<Nullable<BigInt>>, _>(values),
            Value::TextColumn(values) => out.push_bind_param::<Array<Nullable<Text>>, _>(values),
            Value::TruthColumn(values) => out.push_bind_param::<Array<Bool>, _>(values),
        })
    }
}

impl<Row> QueryId for Kept<'_, Row> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Row> Query for Kept<'_, Row> {
    type SqlType = Row;
}

impl<C, Row> RunQueryDsl<C> for Kept<'_, Row> {}
