//! CRLs for third parties and TLS peers: `GET /crl/1/<issuer>.crl`, which the gateways relay.
//!
//! Promise: public data only; the device and the server CA's, since nobody outside meets a link. Relayed rather than
//! pushed: a gateway needs no list to judge by (it has the blocked list), a CRL may be larger than what rests there, and
//! who cannot reach a core has the one of yesterday, which holds a week.

use actix_web::{HttpResponse, http::header, web};
use postern_store::{Store, authorities};
use postern_wire::{link::CRL_PREFIX, terms::CaRole};

/// What the route needs.
pub(crate) struct CrlEndpoint(pub(crate) Store);

/// Mounts the route. The application's data must hold a `web::Data<CrlEndpoint>`.
pub(crate) fn configure(config: &mut web::ServiceConfig) {
    config.service(web::resource(format!("{CRL_PREFIX}{{file}}")).route(web::get().to(fetch)));
}

async fn fetch(endpoint: web::Data<CrlEndpoint>, file: web::Path<String>) -> HttpResponse {
    let Some(issuer) = file.strip_suffix(".crl").map(str::to_owned) else {
        return HttpResponse::NotFound().finish();
    };
    let found = endpoint.0.read(move |r| authorities::by_issuer(r, &issuer)).await;
    let row = match found {
        Ok(row) => row.filter(|row| matches!(row.role, CaRole::Device | CaRole::Server)),
        Err(error) => {
            tracing::warn!(%error, "a CRL cannot be read");
            return HttpResponse::ServiceUnavailable().insert_header((header::RETRY_AFTER, "60")).finish();
        }
    };
    match row.and_then(|row| row.crl) {
        Some(crl) => HttpResponse::Ok().content_type("application/pkix-crl").body(crl),
        None => HttpResponse::NotFound().finish(),
    }
}
