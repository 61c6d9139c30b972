//! How the words of `postern-wire` rest in columns, the same on SQLite and PostgreSQL.
//!
//! Promise: ids are 16 octets, moments are 64-bit UTC milliseconds, terms are their stable spelling. A value in
//! a column that is none of these is an error with the column's type in it, never a panic.

use diesel::{
    backend::Backend,
    deserialize::{self, FromSql, FromSqlRow},
    expression::AsExpression,
    internal::derives::as_expression::Bound,
    serialize::{self, IsNull, Output, ToSql},
    sql_types::{BigInt, Binary, Bool, Nullable, SqlType, Text},
};
use postern_wire::terms::{
    AuthType, CaRole, CaState, Channel, CommandId, CommandState, DeliveryState, Dialect, DmSessionId,
    EnrolmentId, EnrolmentState, EventKind, Lane, NotificationState, OperationId, OperationKind, ProofClass,
    RecoveryCause, RecoveryKind, Redelivery, RequestState, RevocationReason, Role, UtcMillis, Verb,
    WipeEvidence, WipeKind, WipeState,
};
use uuid::Uuid;

/// A Rust type that can be a column.
pub trait Column: Sized {
    /// The SQL type, the same on both backends.
    type Sql: SqlType;
    /// What diesel reads and writes.
    type Repr: std::fmt::Debug;

    /// The value as it rests.
    fn lower(self) -> Self::Repr;
    /// The value read back.
    fn raise(repr: Self::Repr) -> Result<Self, String>;
}

/// One column's value on its way in or out.
#[derive(FromSqlRow)]
pub struct Db<T: Column>(pub(crate) T::Repr);

/// A value, ready to be bound in a query.
pub(crate) fn db<T: Column>(value: T) -> Db<T> {
    Db(value.lower())
}

impl<T: Column> std::fmt::Debug for Db<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl<T: Column> From<T> for Db<T> {
    fn from(value: T) -> Self {
        db(value)
    }
}

impl<T, B> FromSql<T::Sql, B> for Db<T>
where
    B: Backend,
    T: Column,
    T::Repr: FromSql<T::Sql, B>,
{
    fn from_sql(bytes: B::RawValue<'_>) -> deserialize::Result<Self> {
        T::Repr::from_sql(bytes).map(Db)
    }

    fn from_nullable_sql(bytes: Option<B::RawValue<'_>>) -> deserialize::Result<Self> {
        T::Repr::from_nullable_sql(bytes).map(Db)
    }
}

impl<T, B> ToSql<T::Sql, B> for Db<T>
where
    B: Backend,
    T: Column,
    T::Repr: ToSql<T::Sql, B>,
{
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, B>) -> serialize::Result {
        let done: IsNull = self.0.to_sql(out)?;
        Ok(done)
    }
}

macro_rules! bindable {
    ($($sql:ty),+) => { $(
        impl<T: Column<Sql = $sql>> AsExpression<$sql> for Db<T> {
            type Expression = Bound<$sql, Self>;
            fn as_expression(self) -> Self::Expression {
                Bound::new(self)
            }
        }
    )+ };
}
bindable!(Binary, BigInt, Text, Bool, Nullable<Binary>, Nullable<BigInt>, Nullable<Text>);

/// The conversions out of [`Db`] that diesel's `deserialize_as` asks for; the compiler wants them type by type.
macro_rules! readable {
    ($($t:ty),+ $(,)?) => { $(
        impl TryFrom<Db<$t>> for $t {
            type Error = Box<dyn std::error::Error + Send + Sync>;
            fn try_from(column: Db<$t>) -> Result<Self, Self::Error> {
                <$t as Column>::raise(column.0).map_err(Into::into)
            }
        }
        impl TryFrom<Db<Option<$t>>> for Option<$t> {
            type Error = Box<dyn std::error::Error + Send + Sync>;
            fn try_from(column: Db<Option<$t>>) -> Result<Self, Self::Error> {
                <Option<$t> as Column>::raise(column.0).map_err(Into::into)
            }
        }
    )+ };
}

macro_rules! plain {
    ($($t:ty => $sql:ty),+ $(,)?) => { $(
        impl Column for $t {
            type Sql = $sql;
            type Repr = $t;
            fn lower(self) -> $t {
                self
            }
            fn raise(repr: $t) -> Result<Self, String> {
                Ok(repr)
            }
        }
    )+ readable!($($t),+); };
}
plain!(i64 => BigInt, Vec<u8> => Binary, bool => Bool);

/// PostgreSQL's text cannot hold U+0000; it rests as U+FFFD on both backends, so that both read back the same.
impl Column for String {
    type Sql = Text;
    type Repr = Self;
    fn lower(self) -> Self {
        if self.contains('\0') { self.replace('\0', "\u{FFFD}") } else { self }
    }
    fn raise(repr: Self) -> Result<Self, String> {
        Ok(repr)
    }
}
readable!(String);

impl<T> Column for Option<T>
where
    T: Column,
    T::Sql: SqlType<IsNull = diesel::sql_types::is_nullable::NotNull>,
{
    type Sql = Nullable<T::Sql>;
    type Repr = Option<T::Repr>;
    fn lower(self) -> Self::Repr {
        self.map(Column::lower)
    }
    fn raise(repr: Self::Repr) -> Result<Self, String> {
        repr.map(T::raise).transpose()
    }
}

macro_rules! octets {
    ($($n:literal),+) => { $(
        impl Column for [u8; $n] {
            type Sql = Binary;
            type Repr = Vec<u8>;
            fn lower(self) -> Vec<u8> {
                self.to_vec()
            }
            fn raise(repr: Vec<u8>) -> Result<Self, String> {
                let found = repr.len();
                repr.try_into().map_err(|_| format!("a column of {} octets holds {found}", $n))
            }
        }
        readable!([u8; $n]);
    )+ };
}
octets!(16, 32);

impl Column for Uuid {
    type Sql = Binary;
    type Repr = Vec<u8>;
    fn lower(self) -> Vec<u8> {
        self.as_bytes().to_vec()
    }
    fn raise(repr: Vec<u8>) -> Result<Self, String> {
        Self::from_slice(&repr).map_err(|_| format!("an id of {} octets", repr.len()))
    }
}
readable!(Uuid);

macro_rules! ids {
    ($($t:ident),+) => { $(
        impl Column for $t {
            type Sql = Binary;
            type Repr = Vec<u8>;
            fn lower(self) -> Vec<u8> {
                self.0.lower()
            }
            fn raise(repr: Vec<u8>) -> Result<Self, String> {
                Uuid::raise(repr).map($t)
            }
        }
    )+ readable!($($t),+); };
}
ids!(EnrolmentId, OperationId, CommandId, DmSessionId);

impl Column for UtcMillis {
    type Sql = BigInt;
    type Repr = i64;
    fn lower(self) -> i64 {
        self.0
    }
    fn raise(repr: i64) -> Result<Self, String> {
        Ok(Self(repr))
    }
}
readable!(UtcMillis);

macro_rules! terms {
    ($($t:ident),+ $(,)?) => { $(
        impl Column for $t {
            type Sql = Text;
            type Repr = String;
            fn lower(self) -> String {
                self.as_str().to_owned()
            }
            fn raise(repr: String) -> Result<Self, String> {
                repr.parse().map_err(|unknown: postern_wire::terms::UnknownTerm| unknown.to_string())
            }
        }
    )+ readable!($($t),+); };
}
terms!(
    AuthType,
    CaRole,
    CaState,
    Channel,
    CommandState,
    DeliveryState,
    Dialect,
    EnrolmentState,
    EventKind,
    Lane,
    NotificationState,
    OperationKind,
    ProofClass,
    RecoveryCause,
    RecoveryKind,
    Redelivery,
    RequestState,
    RevocationReason,
    Role,
    Verb,
    WipeEvidence,
    WipeKind,
    WipeState
);

/// Declares a row: a public struct whose fields are columns of the same name. One that stands for several tables
/// (of the same columns in the same order) is read with their default selection.
macro_rules! row {
    ($(#[$meta:meta])* pub struct $name:ident in $table:ident { $($fields:tt)* }) => {
        $crate::column::row! { @ $(#[$meta])* #[derive(diesel::Selectable)] pub struct $name in $table { $($fields)* } }
    };
    ($(#[$meta:meta])* pub struct $name:ident in $($table:ident),+ { $($fields:tt)* }) => {
        $crate::column::row! { @ $(#[$meta])* pub struct $name in $($table),+ { $($fields)* } }
    };
    (@ $(#[$meta:meta])* pub struct $name:ident in $($table:ident),+ {
        $($(#[$field_meta:meta])* pub $field:ident: $ty:ty,)+
    }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, diesel::Queryable, diesel::Insertable)]
        $(#[diesel(table_name = crate::tables::$table)])+
        #[diesel(treat_none_as_default_value = false)]
        pub struct $name {
            $(
                $(#[$field_meta])*
                #[diesel(serialize_as = crate::column::Db<$ty>, deserialize_as = crate::column::Db<$ty>)]
                pub $field: $ty,
            )+
        }
    };
}
pub(crate) use {readable, row};
