//! How wire's terms look in the OpenAPI document: strings with their fixed spellings.
//!
//! The types here have no values; `#[schema(value_type = schema::AuthType)]` names them where a field holds the term.

use std::borrow::Cow;

use postern_wire::terms;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        RefOr,
        schema::{ObjectBuilder, Schema, Type},
    },
};

macro_rules! term_schema {
    ($($name:ident: $doc:literal),+ $(,)?) => {$(
        #[doc = $doc]
        #[derive(Clone, Copy, Debug)]
        pub enum $name {}

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                ObjectBuilder::new()
                    .schema_type(Type::String)
                    .enum_values(Some(terms::$name::ALL.iter().map(|term| term.as_str())))
                    .description(Some($doc))
                    .into()
            }
        }

        impl ToSchema for $name {
            fn name() -> Cow<'static, str> {
                Cow::Borrowed(stringify!($name))
            }
        }
    )+};
}

term_schema! {
    CaRole: "What the certificates of a CA are for.",
    CaState: "Where one generation of a CA stands.",
    RevocationReason: "Why a certificate was revoked (RFC 5280 5.3.1).",
    AuthType: "How an enrolment's device proves itself.",
    RecoveryKind: "What a device escrows.",
    RecoveryCause: "Why a device made a new recovery password.",
    ProofClass: "How strongly a session or a result was proved to the core; in order of strength.",
    Dialect: "Which family of clients a device belongs to.",
    EnrolmentState: "Where an enrolment stands.",
    RequestState: "Where a request for an enrolment stands; only an open one lets a device in.",
    CommandState: "The life of a command; only queued and sent are pending.",
    NotificationState: "The life of a notification; only wanted, sent and delivered are open.",
    Redelivery: "What may be done with a command whose fate is unknown.",
    OperationKind: "What an operation is for.",
    Lane: "How soon a command goes out among those of the same kind.",
    Verb: "A DM command's verb.",
    EventKind: "What people and other systems are told of.",
    Channel: "A way in which events go out.",
    DeliveryState: "Where one delivery of an event stands.",
    Role: "A role that an admin can hold.",
    WipeState: "The life of a wipe.",
    WipeKind: "What a wipe takes away.",
    WipeEvidence: "What a wipe was counted as done on.",
}
