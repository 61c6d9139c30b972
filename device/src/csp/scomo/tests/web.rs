//! The real fetch, from a TLS server on loopback that answers by the path.

use std::{fs, path::Path as FilePath, sync::Arc, time::Duration};

use rcgen::{CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{ClientConfig, RootCertStore, ServerConfig, crypto::aws_lc_rs};
use rustls_pki_types::PrivateKeyDer;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

use super::{
    super::fetch::{Fetch as _, FetchError, Wanted, Web},
    sha256,
};

const BODY: &[u8] = b"the package";

fn answer(path: &str) -> Vec<u8> {
    let head = |status: &str, length: usize| {
        format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n").into_bytes()
    };
    match path {
        "/good" => [head("200 OK", BODY.len()), BODY.to_vec()].concat(),
        "/short" => [head("200 OK", BODY.len() + 1), BODY.to_vec()].concat(),
        "/elsewhere" => b"HTTP/1.1 302 Found\r\nLocation: /good\r\nContent-Length: 0\r\n\r\n".to_vec(),
        "/denied" => head("403 Forbidden", 0),
        "/garbage" => b"\0\0\0\0\r\n\r\n".to_vec(),
        _ => Vec::new(),
    }
}

/// A CA, its server on loopback over TLS, and one without TLS: their ports.
async fn serve() -> (Arc<ClientConfig>, u16, u16) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let own = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&key, &ca).unwrap();
    let provider = Arc::new(aws_lc_rs::default_provider());
    let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![own.der().clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
        .unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(ca.der().clone()).unwrap();
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let acceptor = TlsAcceptor::from(Arc::new(server));
    let tls = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let plain = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let ports = (tls.local_addr().unwrap().port(), plain.local_addr().unwrap().port());
    tokio::spawn(async move {
        while let Ok((stream, _)) = tls.accept().await {
            if let Ok(stream) = acceptor.accept(stream).await {
                tokio::spawn(talk(stream));
            }
        }
    });
    tokio::spawn(async move {
        while let Ok((stream, _)) = plain.accept().await {
            tokio::spawn(talk(stream));
        }
    });
    (Arc::new(client), ports.0, ports.1)
}

async fn talk(mut stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin) {
    let mut head = vec![0; 4096];
    let read = stream.read(&mut head).await.unwrap_or_default();
    let head = String::from_utf8_lossy(&head[..read]).into_owned();
    let path = head.split(' ').nth(1).unwrap_or_default();
    if path == "/silent" {
        tokio::time::sleep(Duration::from_secs(3_600)).await;
    }
    let _gone = stream.write_all(&answer(path)).await;
    let _gone = stream.shutdown().await;
}

fn run<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

async fn fetch(web: &Web, url: &str, into: &FilePath, has_digest: bool) -> Result<[u8; 32], FetchError> {
    web.fetch(Wanted { url, into, limit: BODY.len() as u64, has_digest }).await
}

#[test]
fn what_a_tls_server_gives_arrives_whole_and_hashed() {
    run(async {
        let (tls, port, _) = serve().await;
        let folder = tempfile::tempdir().unwrap();
        let into = folder.path().join("part");
        let got = fetch(&Web::new(tls), &format!("https://localhost:{port}/good"), &into, false).await;
        assert_eq!(got.unwrap(), sha256(BODY));
        assert_eq!(fs::read(into).unwrap(), BODY);
    });
}

/// A URL and what its fetch has to fail with.
type Row = (String, fn(&FetchError) -> bool);

#[test]
fn what_is_not_as_it_should_be_is_refused_for_its_reason() {
    run(async {
        let (tls, port, plain) = serve().await;
        let folder = tempfile::tempdir().unwrap();
        let into = folder.path().join("part");
        let web = Web::new(tls).within(Duration::from_millis(500), Duration::from_secs(60));
        let at = |path: &str| format!("https://localhost:{port}{path}");
        let other_name = format!("https://127.0.0.1:{port}/good");
        let table: Vec<Row> = vec![
            (at("/short"), |e| matches!(e, FetchError::Broken(_))),
            (at("/garbage"), |e| matches!(e, FetchError::Broken(_))),
            (at("/elsewhere"), |e| matches!(e, FetchError::Status(302))),
            (at("/denied"), |e| matches!(e, FetchError::Status(403))),
            (at("/silent"), |e| matches!(e, FetchError::Timeout)),
            (other_name, |e| matches!(e, FetchError::Unreachable(..))),
            (format!("https://localhost:{plain}/good"), |e| matches!(e, FetchError::Unreachable(..))),
            (format!("http://localhost:{plain}/good"), |e| matches!(e, FetchError::Source)),
            (format!("https://user@localhost:{port}/good"), |e| matches!(e, FetchError::Url)),
            ("ftp://localhost/good".into(), |e| matches!(e, FetchError::Url)),
            ("/good".into(), |e| matches!(e, FetchError::Url)),
            (String::new(), |e| matches!(e, FetchError::Url)),
            ("file:///etc/hostname".into(), |e| matches!(e, FetchError::Source)),
        ];
        for (url, is_expected) in table {
            let error = fetch(&web, &url, &into, false).await.unwrap_err();
            assert!(is_expected(&error), "{url}: {error:?}");
        }
    });
}

#[test]
fn an_http_url_is_fetched_when_the_digest_is_known() {
    run(async {
        let (tls, _, plain) = serve().await;
        let folder = tempfile::tempdir().unwrap();
        let into = folder.path().join("part");
        let got = fetch(&Web::new(tls), &format!("http://localhost:{plain}/good"), &into, true).await;
        assert_eq!(got.unwrap(), sha256(BODY));
    });
}

#[test]
fn no_octet_beyond_the_limit_is_written() {
    run(async {
        let (tls, port, _) = serve().await;
        let folder = tempfile::tempdir().unwrap();
        let (into, limit) = (folder.path().join("part"), BODY.len() as u64 - 1);
        let (web, url) = (Web::new(tls), format!("https://localhost:{port}/good"));
        let got = web.fetch(Wanted { url: &url, into: &into, limit, has_digest: false }).await;
        assert!(matches!(got, Err(FetchError::TooLarge(got)) if got == limit));
        assert!(fs::metadata(into).unwrap().len() <= limit);
    });
}

#[test]
fn with_sources_named_nothing_comes_from_elsewhere() {
    run(async {
        let (tls, port, _) = serve().await;
        let folder = tempfile::tempdir().unwrap();
        let into = folder.path().join("part");
        let web = Web::new(tls).only_from(vec![format!("https://localhost:{port}/go")]);
        assert!(fetch(&web, &format!("https://localhost:{port}/good"), &into, false).await.is_ok());
        let denied = fetch(&web, &format!("https://localhost:{port}/denied"), &into, false).await;
        assert!(matches!(denied, Err(FetchError::Source)));
    });
}

#[cfg(unix)]
#[test]
fn a_file_url_stays_in_its_folder_whatever_links_lie_there() {
    run(async {
        let (tls, ..) = serve().await;
        let folder = tempfile::tempdir().unwrap();
        let packages = folder.path().join("packages");
        fs::create_dir(&packages).unwrap();
        fs::write(packages.join("good"), BODY).unwrap();
        fs::write(folder.path().join("secret"), BODY).unwrap();
        std::os::unix::fs::symlink("../secret", packages.join("link")).unwrap();
        let into = folder.path().join("part");
        let web = Web::new(tls).with_files_of(packages.clone());
        let url = |path: &str| format!("file://{}/{path}", packages.display());
        assert_eq!(fetch(&web, &url("good"), &into, false).await.unwrap(), sha256(BODY));
        for path in ["link", "../secret", "."] {
            let refused = fetch(&web, &url(path), &into, false).await;
            assert!(matches!(refused, Err(FetchError::Source)), "{path}: {refused:?}");
        }
        assert!(matches!(fetch(&web, &url("none"), &into, false).await, Err(FetchError::Read(_))));
    });
}
