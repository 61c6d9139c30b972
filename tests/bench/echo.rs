//! The baseline: bare rustls and actix-web, the same handshake and the same octets, no Postern.

use std::{path::PathBuf, sync::Arc};

use actix_web::{App, HttpResponse, HttpServer, web};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};

/// Where the echo server finds its files.
#[derive(clap::Args, Debug, Clone)]
pub(crate) struct Options {
    /// Port on 127.0.0.1.
    #[arg(long)]
    pub port: u16,
    /// Certificate chain, PEM.
    #[arg(long)]
    pub certificate: PathBuf,
    /// Its key, PEM.
    #[arg(long)]
    pub key: PathBuf,
    /// CA of the client certificates, PEM.
    #[arg(long)]
    pub client_ca: PathBuf,
    /// Folder with the replies: 0, 1, 2.
    #[arg(long)]
    pub replies: PathBuf,
    /// Worker threads.
    #[arg(long, default_value_t = 2)]
    pub workers: usize,
}

/// Serves until the process is ended.
///
/// # Errors
/// A file is missing or the port is taken.
pub(crate) fn serve(options: Options) -> anyhow::Result<()> {
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(&options.client_ca)? {
        roots.add(certificate?)?;
    }
    let chain = CertificateDer::pem_file_iter(&options.certificate)?.collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from_pem_file(&options.key)?;
    let verifier = rustls::server::WebPkiClientVerifier::builder(Arc::new(roots)).build()?;
    let tls =
        rustls::ServerConfig::builder().with_client_cert_verifier(verifier).with_single_cert(chain, key)?;
    let mut replies: Vec<web::Bytes> = Vec::new();
    while let Ok(reply) = std::fs::read(options.replies.join(replies.len().to_string())) {
        replies.push(reply.into());
    }
    let replies = web::Data::new(replies);
    actix_rt::System::new().block_on(async move {
        HttpServer::new(move || {
            App::new().app_data(replies.clone()).route(
                "/echo/{turn}",
                web::post().to(|turn: web::Path<usize>, body: web::Bytes, replies: web::Data<Vec<web::Bytes>>| async move {
                    std::hint::black_box(body.len());
                    replies.get(*turn).map_or_else(
                        || HttpResponse::NotFound().finish(),
                        |reply| HttpResponse::Ok().content_type("application/vnd.syncml.dm+xml").body(reply.clone()),
                    )
                }),
            )
        })
        .workers(options.workers)
        .tcp_nodelay(true)
        .bind_rustls_0_23(("127.0.0.1", options.port), tls)?
        .run()
        .await
    })?;
    Ok(())
}
