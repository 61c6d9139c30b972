//! Handlers meet their rows of [`routes::ALL`] here.

use std::sync::Arc;

use actix_web::{
    FromRequest, Handler, HttpRequest, HttpResponse, Responder,
    error::{JsonPayloadError, PathError, QueryPayloadError},
    middleware::from_fn,
    web::{self, ServiceConfig},
};
use postern_api::{
    problem::Slug,
    routes::{self, Method},
};

use super::{
    admins, alarms, answer, approvals, audit, bootstrap, ca, captures, certificates, commands, device_policy,
    devices, directory, enrolment, gateways, groups, guard, locks, mail, notifications, objects, passwords,
    policy, problem::Refused, quirks, recordings, recovery, safety, server, sessions, settings, sign_in,
    status, support, tokens, trees, why, wipes,
};
use crate::inside::Inside;

/// Mounts the API on an application.
pub(crate) fn configure(inside: &Arc<Inside>) -> impl Fn(&mut ServiceConfig) + Clone + use<> {
    let inside = Arc::clone(inside);
    move |service| {
        let limit = inside.config.admin.body_octets;
        service
            .app_data(web::Data::from(Arc::clone(&inside)))
            .app_data(json_up_to(limit))
            .app_data(web::PayloadConfig::new(limit))
            .app_data(web::QueryConfig::default().error_handler(|error, _| bad_query(&error).into()))
            .app_data(web::PathConfig::default().error_handler(|error, _| bad_path(&error).into()));
        let mut table = Table { resources: Vec::new(), registered: Vec::new() };
        handlers(&mut table);
        let mut scope = web::scope("").wrap(from_fn(guard::guard));
        for (path, routes) in table.resources {
            let mut resource = web::resource(path);
            // Only who may queue commands gets as far as the reading of a body.
            if routes::ALL.iter().any(|row| row.path == path && guard::takes_much(row.operation)) {
                let limit = inside.config.admin.commands_octets;
                resource = resource.app_data(json_up_to(limit));
            }
            let resource = routes.into_iter().fold(resource, actix_web::Resource::route);
            scope = scope.service(resource.default_service(web::to(nowhere)));
        }
        service.service(scope.default_service(web::to(nowhere)));
    }
}

fn json_up_to(octets: usize) -> web::JsonConfig {
    web::JsonConfig::default().limit(octets).error_handler(|error, _| bad_json(&error).into())
}

/// The operations that have a handler.
#[must_use]
pub fn registered() -> Vec<&'static str> {
    let mut table = Table { resources: Vec::new(), registered: Vec::new() };
    handlers(&mut table);
    table.registered
}

fn handlers(table: &mut Table) {
    table.on("me.show", admins::me);
    table.on("me.set_password", passwords::set);
    table.on("openapi.show", openapi);
    table.on("status.show", status::show);
    table.on("alarms.list", alarms::list);
    table.on("alarms.acknowledge", alarms::acknowledge);
    table.on("mail.outbox", mail::outbox);
    table.on("mail.delivery", mail::delivery);
    table.on("mail.retry", mail::retry);
    table.on("mail.preview", mail::preview);
    table.on("mail.test", mail::test);
    table.on("mail.addresses", mail::addresses);
    table.on("mail.put_address", mail::put_address);
    table.on("safety.show", safety::show);
    table.on("safety.freeze", safety::freeze);
    table.on("safety.thaw", safety::thaw);
    table.on("safety.limits", safety::limits);
    table.on("safety.set_limits", safety::set_limits);
    table.on("safety.break_glass", safety::break_glass);
    table.on("approvals.list", approvals::list);
    table.on("approvals.show", approvals::show);
    table.on("approvals.approve", approvals::approve);
    table.on("approvals.reject", approvals::reject);
    table.on("locks.order", locks::order);
    table.on("servers.list", server::list);
    table.on("server.doctor", server::doctor);
    table.on("server.release", server::release);
    table.on("server.log_levels", support::log_levels);
    table.on("server.set_log_level", support::set_log_level);
    table.on("server.support", support::bundle);
    table.on("devices.list", devices::list);
    table.on("devices.enrol", devices::enrol);
    table.on("devices.show", devices::show);
    table.on("devices.update", devices::update);
    table.on("devices.retire", devices::retire);
    table.on("devices.why", why::show);
    table.on("directory.show", directory::show);
    table.on("directory.refresh", directory::refresh);
    table.on("directory.bindings", directory::bindings);
    table.on("devices.binding", directory::binding);
    table.on("devices.bind", directory::bind);
    table.on("devices.unbind", directory::unbind);
    table.on("sign_in.open", sign_in::open);
    table.on("sign_in.close", sign_in::close);
    table.on("enrolment.list", enrolment::list);
    table.on("enrolment.request", enrolment::request);
    table.on("enrolment.show", enrolment::show);
    table.on("enrolment.cancel", enrolment::cancel);
    table.on("enrolment.import", enrolment::import);
    table.on("enrolment.log", enrolment::log);
    table.on("devices.unenrol", enrolment::unenrol);
    table.on("devices.release", enrolment::release);
    table.on("devices.reject", enrolment::reject);
    table.on("devices.re_enrol", devices::re_enrol);
    table.on("wipes.list", wipes::list);
    table.on("wipes.request", wipes::request);
    table.on("wipes.show", wipes::show);
    table.on("wipes.explain", wipes::explain);
    table.on("wipes.proof", wipes::proof);
    table.on("wipes.cancel", wipes::cancel);
    table.on("wipes.approve", wipes::approve);
    table.on("wipes.disarm", wipes::disarm);
    table.on("notifications.list", notifications::list);
    table.on("notifications.send", notifications::send);
    table.on("devices.put_address", notifications::put_address);
    table.on("devices.clear_address", notifications::clear_address);
    table.on("bootstrap.make", bootstrap::make);
    table.on("commands.list", commands::list);
    table.on("commands.queue", commands::queue);
    table.on("trees.show", trees::show);
    table.on("trees.read", trees::read);
    table.on("trees.reading", trees::reading);
    table.on("trees.snapshots", trees::snapshots);
    table.on("trees.forget", trees::forget);
    table.on("trees.diff", trees::compare);
    table.on("objects.list", objects::list);
    table.on("objects.import", objects::import);
    table.on("objects.show", objects::show);
    table.on("objects.delete", objects::delete);
    table.on("objects.complete", objects::complete);
    table.on("devices.policy", device_policy::show);
    table.on("recovery.status", recovery::status);
    table.on("recovery.rotate_all", recovery::rotate_all);
    table.on("recovery.roll_key", recovery::roll_key);
    table.on("recovery.device", recovery::device);
    table.on("recovery.show", recovery::show);
    table.on("recovery.rotate", recovery::rotate);
    table.on("quirks.list", quirks::list);
    table.on("quirks.add", quirks::add);
    table.on("quirks.show", quirks::show);
    table.on("quirks.delete", quirks::delete);
    table.on("policy.list", policy::list);
    table.on("policy.plan", policy::plan);
    table.on("policy.apply", policy::apply);
    table.on("policy.show", policy::show);
    table.on("policy.versions", policy::versions);
    table.on("policy.version", policy::version);
    table.on("policy.roll_back", policy::roll_back);
    table.on("policy.held", policy::held);
    table.on("policy.compare", policy::compare);
    table.on("policy.explain", policy::explain_device);
    table.on("policy.what_if", policy::what_if);
    table.on("operations.show", commands::operation);
    table.on("commands.show", commands::show);
    table.on("commands.cancel", commands::cancel);
    table.on("groups.list", groups::list);
    table.on("groups.create", groups::create);
    table.on("groups.show", groups::show);
    table.on("groups.update", groups::update);
    table.on("groups.delete", groups::delete);
    table.on("groups.add_device", groups::add_device);
    table.on("groups.remove_device", groups::remove_device);
    table.on("groups.add_group", groups::add_group);
    table.on("groups.remove_group", groups::remove_group);
    table.on("sessions.list", sessions::list);
    table.on("sessions.watch", sessions::watch);
    table.on("sessions.record", recordings::order);
    table.on("recordings.list", recordings::list);
    table.on("recordings.show", recordings::show);
    table.on("recordings.forget", recordings::forget);
    table.on("sessions.abort", sessions::abort);
    table.on("settings.show", settings::show);
    table.on("settings.update", settings::update);
    table.on("settings.show_group", settings::show_group);
    table.on("settings.update_group", settings::update_group);
    table.on("settings.show_device", settings::show_device);
    table.on("settings.update_device", settings::update_device);
    table.on("gateways.list", gateways::list);
    table.on("gateways.add", gateways::add);
    table.on("gateways.show", gateways::show);
    table.on("gateways.compromise", captures::declare);
    table.on("gateways.compromised", captures::show);
    table.on("gateways.compromised_devices", captures::devices);
    table.on("gateways.settings", gateways::settings);
    table.on("gateways.put_settings", gateways::put_settings);
    table.on("gateways.settings_versions", gateways::versions);
    table.on("gateways.roll_back_settings", gateways::roll_back);
    table.on("gateways.retire", gateways::retire);
    table.on("gateways.certificates", gateways::certificates);
    table.on("gateways.renew_certificate", gateways::renew);
    table.on("gateways.import_certificate", gateways::import);
    table.on("gateway_defaults.show", gateways::defaults);
    table.on("gateway_defaults.put", gateways::put_defaults);
    table.on("gateway_defaults.stop", gateways::stop_roll_out);
    table.on("gateways.lists", gateways::lists);
    table.on("ca.list", ca::list);
    table.on("ca.show", ca::show);
    table.on("ca.roll_over", ca::roll_over);
    table.on("ca.request", ca::request);
    table.on("ca.import", ca::import);
    table.on("certificates.list", certificates::list);
    table.on("certificates.show", certificates::show);
    table.on("certificates.issue", certificates::issue);
    table.on("certificates.renew", certificates::renew);
    table.on("certificates.revoke", certificates::revoke);
    table.on("crls.list", certificates::crl_list);
    table.on("crls.show", certificates::crl_show);
    table.on("crls.import", certificates::crl_import);
    table.on("roles.list", admins::roles);
    table.on("admins.list", admins::list);
    table.on("admins.create", admins::create);
    table.on("admins.show", admins::show);
    table.on("admins.update", admins::update);
    table.on("tokens.list", tokens::list);
    table.on("tokens.create", tokens::create);
    table.on("tokens.revoke", tokens::revoke);
    table.on("audit.list", audit::list);
    table.on("audit.head", audit::head);
    table.on("audit.verify", audit::verify);
}

struct Table {
    /// A path once, with all its methods: actix takes the first resource that fits a path.
    resources: Vec<(&'static str, Vec<actix_web::Route>)>,
    registered: Vec<&'static str>,
}

impl Table {
    fn on<F, Args>(&mut self, operation: &'static str, handler: F)
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        let row = routes::find(operation).expect("every handler's operation has a row in routes::ALL");
        let route = match row.method {
            Method::Get => web::get(),
            Method::Post => web::post(),
            Method::Put => web::put(),
            Method::Patch => web::patch(),
            Method::Delete => web::delete(),
        };
        self.registered.push(operation);
        match self.resources.iter_mut().find(|(path, _)| *path == row.path) {
            Some((_, routes)) => routes.push(route.to(handler)),
            None => self.resources.push((row.path, vec![route.to(handler)])),
        }
    }
}

async fn openapi() -> answer::Answer {
    answer::ok(&postern_api::openapi::document())
}

/// Never reached past the guard, which refuses what no row names; stands for itself all the same.
async fn nowhere(request: HttpRequest) -> HttpResponse {
    Refused::new(Slug::NotFound, format!("there is no {} {}", request.method(), request.path())).respond(None)
}

fn bad_json(error: &JsonPayloadError) -> Refused {
    match error {
        JsonPayloadError::OverflowKnownLength { limit, .. } | JsonPayloadError::Overflow { limit } => {
            Refused::new(Slug::TooLarge, format!("a request body holds at most {limit} octets"))
        }
        JsonPayloadError::ContentType => {
            Refused::new(Slug::UnsupportedMediaType, "send the body as application/json")
        }
        JsonPayloadError::Deserialize(cause) => Refused::invalid("", cause.to_string()),
        other => Refused::invalid("", format!("the body cannot be read: {other}")),
    }
}

fn bad_query(error: &QueryPayloadError) -> Refused {
    Refused::invalid("?", error.to_string())
}

fn bad_path(error: &PathError) -> Refused {
    Refused::new(Slug::NotFound, format!("the path names nothing: {error}"))
}
