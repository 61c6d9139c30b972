//! The OpenAPI document, made from [`routes::ALL`](crate::routes::ALL) and the types' schemas.
//!
//! Checked in as docs/openapi.json; a test of the core fails when the two part.

use utoipa::{
    OpenApi,
    openapi::{
        self, Content, HttpMethod, InfoBuilder, ObjectBuilder, OpenApiBuilder, Paths, Ref, RefOr, Required,
        ResponseBuilder, Schema,
        path::{OperationBuilder, Parameter, ParameterBuilder, ParameterIn},
        request_body::RequestBodyBuilder,
        schema::{ArrayBuilder, Type},
        security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme},
    },
};

use crate::{
    admins, alarms, approvals, audit, ca, captures, commands, device_policy, devices, directory, enrolment,
    gateways, groups, locks, mail, notifications, objects,
    permissions::Permission,
    policy, policy_answers, policy_held, problem, quirks, recovery,
    routes::{self, Answer, Method, RouteSpec},
    safety, server, sessions, settings, status, tokens, trees, why, wipes,
};

/// The schemas that a route names; what they hold comes along.
#[derive(OpenApi)]
#[openapi(components(schemas(
    problem::Problem,
    alarms::Alarm,
    alarms::AcknowledgeAlarm,
    approvals::Approval,
    approvals::Approve,
    approvals::Reject,
    locks::LockDevices,
    locks::Locked,
    mail::Address,
    mail::Delivery,
    mail::Preview,
    mail::PutAddress,
    mail::RetryDelivery,
    mail::TestMail,
    mail::Told,
    safety::BreakGlass,
    safety::Freeze,
    safety::FreezeOrThaw,
    safety::OpenBreakGlass,
    safety::Safety,
    safety::SafetyChange,
    safety::SafetyLimits,
    safety::SetSafetyLimits,
    server::Server,
    server::Doctor,
    server::ReleaseServer,
    server::Released,
    server::SetLogLevel,
    server::LogLevel,
    server::SupportPart,
    directory::DirectoryState,
    directory::RefreshDirectory,
    directory::RefreshedDirectory,
    directory::DeviceBinding,
    directory::BindDevice,
    directory::SignIn,
    directory::SignedIn,
    directory::SignOut,
    devices::EnrolDevice,
    devices::Enrolled,
    devices::Device,
    devices::UpdateDevice,
    device_policy::DevicePolicy,
    commands::QueueCommands,
    commands::Operation,
    commands::CommandSummary,
    commands::Command,
    trees::ReadTree,
    trees::TreeReading,
    trees::TreeSnapshot,
    trees::Tree,
    trees::TreeDiff,
    objects::ManagementObject,
    objects::ManagementObjectDetail,
    objects::ImportObject,
    objects::Completions,
    policy::ApplyPolicies,
    policy::PolicyDocument,
    policy::PolicyDocumentDetail,
    policy::PolicyPlan,
    policy::PolicyVersion,
    policy::RollBackPolicy,
    policy_answers::PolicyComparison,
    policy_answers::PolicyExplanation,
    policy_answers::SupposePolicy,
    policy_held::HeldPolicy,
    quirks::QuirkProfile,
    quirks::AddQuirks,
    recovery::DeviceRecovery,
    recovery::ShowRecovery,
    recovery::ShownRecovery,
    recovery::RecoveryReason,
    recovery::RecoverySummary,
    recovery::SetPassword,
    groups::Group,
    groups::GroupDetail,
    groups::CreateGroup,
    groups::UpdateGroup,
    enrolment::EnrolmentRequest,
    enrolment::RequestEnrolment,
    enrolment::RequestedEnrolment,
    enrolment::ImportEnrolments,
    enrolment::ImportedEnrolments,
    enrolment::EnrolmentAttempt,
    enrolment::UnenrolDevice,
    enrolment::DecideQuarantine,
    wipes::RequestWipe,
    wipes::RequestedWipes,
    wipes::Wipe,
    wipes::WipeExplanation,
    wipes::WipeProof,
    wipes::DecideWipe,
    captures::DeclareCompromised,
    captures::Compromised,
    captures::CompromisedDevice,
    gateways::Gateway,
    gateways::GatewaySettings,
    gateways::PutGatewaySettings,
    gateways::AddGateway,
    gateways::FallenSettings,
    gateways::GatewayBundle,
    gateways::GatewayCertificate,
    gateways::GatewayCertificateInUse,
    gateways::GatewayDefaults,
    gateways::GatewayLists,
    gateways::GatewaySettingValue,
    gateways::ImportGatewayCertificate,
    gateways::RenewGatewayCertificate,
    gateways::RetireGateway,
    gateways::RetiredGateway,
    gateways::RollBackGatewaySettings,
    ca::CertificateAuthority,
    ca::CaStatus,
    ca::RollOver,
    ca::RequestCa,
    ca::CaRequest,
    ca::ImportCa,
    ca::Certificate,
    ca::IssueCertificate,
    ca::RenewCertificate,
    ca::IssuedCertificate,
    ca::RevokeCertificate,
    ca::Crl,
    ca::ImportCrl,
    ca::ImportedCrl,
    admins::Admin,
    admins::CreateAdmin,
    admins::UpdateAdmin,
    admins::RoleInfo,
    admins::Me,
    tokens::Token,
    tokens::CreateToken,
    tokens::CreatedToken,
    audit::AuditRow,
    audit::AuditHead,
    audit::VerifyAudit,
    audit::AuditVerified,
    sessions::WatchedSessions,
    sessions::RecordSessions,
    sessions::RecordedSession,
    settings::Settings,
    settings::UpdateSettings,
    status::Status,
    why::Why,
    why::SessionSummary,
    notifications::PushAddress,
    notifications::NotifyDevice,
    notifications::Notification,
    notifications::DeviceNotifications,
    notifications::MakeBootstrap,
    notifications::Bootstrap,
)))]
struct Schemas;

/// The whole document.
#[must_use]
pub fn document() -> openapi::OpenApi {
    let mut components = Schemas::openapi().components.unwrap_or_default();
    components.add_security_scheme(
        "token",
        SecurityScheme::Http(
            HttpBuilder::new()
                .scheme(HttpAuthScheme::Bearer)
                .description(Some("A token that starts with `pst_`."))
                .build(),
        ),
    );
    let mut paths = Paths::new();
    for route in routes::ALL {
        paths.add_path_operation(route.path, vec![method(route.method)], operation(route));
    }
    OpenApiBuilder::new()
        .info(
            InfoBuilder::new()
                .title("Postern admin API")
                .version("1")
                .description(Some(concat!(
                    "Manages devices over OMA DM. Times are RFC 3339 in UTC. A list's `next_cursor` is opaque. ",
                    "A POST takes an `Idempotency-Key`: the same key with the same request within a day gets the first answer ",
                    "again. Refusals are RFC 9457 problems whose type is `urn:postern:problem:<slug>`.",
                )))
                .build(),
        )
        .paths(paths)
        .components(Some(components))
        .security(Some([SecurityRequirement::new("token", Vec::<String>::new())]))
        .build()
}

/// The document as docs/openapi.json holds it: indented, with a newline at its end.
#[must_use]
pub fn document_text() -> String {
    let mut text = document().to_pretty_json().expect("an OpenAPI document has no key that is not a string");
    text.push('\n');
    text
}

const fn method(method: Method) -> HttpMethod {
    match method {
        Method::Get => HttpMethod::Get,
        Method::Post => HttpMethod::Post,
        Method::Put => HttpMethod::Put,
        Method::Patch => HttpMethod::Patch,
        Method::Delete => HttpMethod::Delete,
    }
}

fn operation(route: &RouteSpec) -> openapi::path::Operation {
    let anyone = route.permission == Permission::Anyone;
    let mut needs = match anyone {
        true => "Needs no token.".to_owned(),
        false => format!("Needs the permission `{}`.", route.permission.as_str()),
    };
    for also in route.also {
        needs.push_str(&format!(" Needs `{}` too when {}.", also.permission.as_str(), also.when));
    }
    let tag = route.operation.split('.').next().unwrap_or_default();
    let mut operation = OperationBuilder::new()
        .operation_id(Some(route.operation))
        .tag(tag)
        .summary(Some(route.summary))
        .description(Some(needs))
        .parameters(Some(parameters(route)))
        .response(route.status.to_string(), answer(route.answer))
        .response("default", refusal());
    if anyone {
        operation = operation.securities(Some(Vec::<SecurityRequirement>::new()));
    }
    if let Some(body) = route.body {
        operation = operation.request_body(Some(
            RequestBodyBuilder::new()
                .content("application/json", content(body))
                .required(Some(Required::True))
                .build(),
        ));
    }
    operation.build()
}

fn parameters(route: &RouteSpec) -> Vec<Parameter> {
    let in_path = route
        .path
        .split('/')
        .filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
        .map(|name| parameter(name, ParameterIn::Path, Required::True, ""));
    let in_query =
        route.query.iter().map(|(name, doc)| parameter(name, ParameterIn::Query, Required::False, doc));
    let mut all: Vec<Parameter> = in_path.chain(in_query).collect();
    if route.if_match {
        all.push(parameter(
            "If-Match",
            ParameterIn::Header,
            Required::True,
            "The ETag of the version that is being changed, or `*`.",
        ));
    }
    if route.method == Method::Post {
        all.push(parameter(
            "Idempotency-Key",
            ParameterIn::Header,
            Required::False,
            "Up to 128 visible ASCII characters; the same key with the same request within a day gets the first answer again.",
        ));
    }
    all
}

fn parameter(name: &str, place: ParameterIn, required: Required, doc: &str) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(place)
        .required(required)
        .description((!doc.is_empty()).then_some(doc))
        .schema(Some(ObjectBuilder::new().schema_type(type_of(name))))
        .build()
}

/// What a parameter is; a name means the same on every route.
fn type_of(parameter: &str) -> Type {
    match parameter {
        "limit" | "wait" | "wait_ms" | "revision" | "after" | "ends_within_days" | "version" => Type::Integer,
        "pending" | "revoked" | "names" | "unbound" | "outstanding" | "removed" => Type::Boolean,
        _ => Type::String,
    }
}

fn answer(answer: Answer) -> openapi::Response {
    let response = ResponseBuilder::new();
    match answer {
        Answer::One(schema) => {
            response.description(schema).content("application/json", content(schema)).build()
        }
        Answer::PageOf(schema) => response
            .description(format!("A page of {schema}"))
            .content("application/json", Content::new(Some(page(schema))))
            .build(),
        Answer::Document => response
            .description("A document")
            .content("application/json", Content::new(Some(ObjectBuilder::new())))
            .build(),
        Answer::Nothing => response.description("Done").build(),
    }
}

fn page(schema: &str) -> RefOr<Schema> {
    ObjectBuilder::new()
        .property("items", ArrayBuilder::new().items(Ref::from_schema_name(schema)))
        .required("items")
        .property("next_cursor", ObjectBuilder::new().schema_type(Type::String))
        .into()
}

fn refusal() -> openapi::Response {
    ResponseBuilder::new().description("A refusal").content(problem::CONTENT_TYPE, content("Problem")).build()
}

fn content(schema: &str) -> Content {
    Content::new(Some(Ref::from_schema_name(schema)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_schema_that_a_route_names_is_in_the_document() {
        let components = document().components.unwrap();
        for route in routes::ALL {
            let named = route.body.into_iter().chain(match route.answer {
                Answer::One(schema) | Answer::PageOf(schema) => Some(schema),
                Answer::Document | Answer::Nothing => None,
            });
            for schema in named {
                assert!(components.schemas.contains_key(schema), "{} names {schema}", route.operation);
            }
        }
    }

    #[test]
    fn every_reference_in_the_document_leads_somewhere() {
        let text = document_text();
        let components = document().components.unwrap();
        for rest in text.split("\"#/components/schemas/").skip(1) {
            let name = rest.split('"').next().unwrap();
            assert!(components.schemas.contains_key(name), "{name}");
        }
    }
}
