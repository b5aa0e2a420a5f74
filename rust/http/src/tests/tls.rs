//! Certificates and proxies, on loopback with real TLS.

use super::{CANARY, builder, context, facts};
use crate::Request;
use lakeflow_core::{ErrorKind, Result, Retry};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// A certificate authority.
struct Authority {
    pem: String,
    der: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "Test CA");
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let (pem, der) = (certificate.pem(), certificate.der().clone());

        Self { pem, der, issuer: Issuer::new(params, key) }
    }

    /// Certificate and key for `name`, in PEM and DER.
    fn issue(&self, name: &str, expired: bool) -> Issued {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        if expired {
            params.not_before = date_time_ymd(2000, 1, 1);
            params.not_after = date_time_ymd(2000, 1, 2);
        }
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Issued {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
            chain: vec![certificate.der().clone()],
            der: key.serialize_der(),
        }
    }
}

struct Issued {
    certificate: String,
    key: String,
    chain: Vec<CertificateDer<'static>>,
    der: Vec<u8>,
}

impl Issued {
    /// TLS of a server; `clients` must show a certificate of this authority.
    fn server(&self, clients: Option<&Authority>, protocol: &str) -> TlsAcceptor {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .unwrap();
        let config = match clients {
            None => config.with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots.add(authority.der.clone()).unwrap();
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                config.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        let key = PrivateKeyDer::try_from(self.der.clone()).unwrap();
        let mut config = config.with_single_cert(self.chain.clone(), key).unwrap();
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];

        TlsAcceptor::from(Arc::new(config))
    }
}

/// What a server saw.
#[derive(Default)]
struct Seen {
    connections: AtomicUsize,
    heads: Mutex<Vec<String>>,
}

/// A TLS server that answers every request with `{"ok": true}`.
async fn serve(tls: TlsAcceptor) -> (u16, Arc<Seen>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let seen = Arc::new(Seen::default());
    let shared = seen.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            shared.connections.fetch_add(1, Relaxed);
            let (tls, seen) = (tls.clone(), shared.clone());
            tokio::spawn(async move {
                if let Ok(stream) = tls.accept(stream).await {
                    let _ = match stream.get_ref().1.alpn_protocol() {
                        Some(b"h2") => answer_h2(stream, &seen).await,
                        _ => answer(stream, &seen).await,
                    };
                }
            });
        }
    });

    (port, seen)
}

async fn head(stream: &mut (impl AsyncRead + Unpin)) -> std::io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }

    Ok(String::from_utf8(head).unwrap())
}

async fn answer(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    seen: &Seen,
) -> std::io::Result<()> {
    loop {
        let head = head(&mut stream).await?;
        seen.heads.lock().unwrap().push(head);
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n{\"ok\": true}").await?;
        stream.flush().await?;
    }
}

/// As much of HTTP/2 as one request needs (RFC 9113, 4.1 frames, 6 their types).
async fn answer_h2(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    seen: &Seen,
) -> std::io::Result<()> {
    const HEADERS: u8 = 1;
    const SETTINGS: u8 = 4;
    let mut preface = [0; 24];
    stream.read_exact(&mut preface).await?;
    assert_eq!(&preface, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    stream.write_all(&[0, 0, 0, SETTINGS, 0, 0, 0, 0, 0]).await?;
    loop {
        let mut frame = [0; 9];
        stream.read_exact(&mut frame).await?;
        let length = u32::from_be_bytes([0, frame[0], frame[1], frame[2]]);
        let mut payload = vec![0; length.try_into().unwrap()];
        stream.read_exact(&mut payload).await?;
        let id = &frame[5..];
        match (frame[3], frame[4]) {
            (SETTINGS, 0) => stream.write_all(&[0, 0, 0, SETTINGS, 1, 0, 0, 0, 0]).await?,
            (HEADERS, _) => {
                seen.heads.lock().unwrap().push("HTTP/2".to_owned());
                // ":status: 200" of the static table, then the body and the end.
                let headers = [&[0, 0, 1, HEADERS, 4], id, &[0x88]].concat();
                let data = [&[0, 0, 12, 0, 1], id, b"{\"ok\": true}"].concat();
                stream.write_all(&[headers, data].concat()).await?;
            }
            _ => {}
        }
        stream.flush().await?;
    }
}

/// What a proxy does with a CONNECT.
#[derive(Clone)]
enum Connect {
    /// Tunnels to this port.
    Tunnel(u16),
    /// Answers with this status.
    Refuse(&'static str),
    /// Takes the place of the service.
    Intercept(TlsAcceptor),
}

async fn proxy(connect: Connect) -> (u16, Arc<Seen>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let seen = Arc::new(Seen::default());
    let shared = seen.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (connect, seen) = (connect.clone(), shared.clone());
            tokio::spawn(async move {
                let Ok(head) = head(&mut stream).await else { return };
                seen.heads.lock().unwrap().push(head);
                let ok = b"HTTP/1.1 200 OK\r\n\r\n";
                match connect {
                    Connect::Tunnel(port) => {
                        let mut target = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                        stream.write_all(ok).await.unwrap();
                        let _ = copy_bidirectional(&mut stream, &mut target).await;
                    }
                    Connect::Refuse(status) => {
                        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
                        stream.write_all(answer.as_bytes()).await.unwrap();
                    }
                    Connect::Intercept(tls) => {
                        stream.write_all(ok).await.unwrap();
                        if let Ok(stream) = tls.accept(stream).await {
                            let _ = answer(stream, &seen).await;
                        }
                    }
                }
            });
        }
    });

    (port, seen)
}

async fn get(host: &str, port: u16, options: &[(&str, &str)]) -> Result<String> {
    let client = builder(&context(options), &format!("https://{host}:{port}")).build()?;
    let response = client.send(Request::get("x")).await?;

    Ok(String::from_utf8(response.body.to_vec()).unwrap())
}

const OK: &str = r#"{"ok": true}"#;

#[tokio::test]
async fn own_authority_is_trusted_as_text_or_file_and_only_where_it_is_given() {
    let authority = Authority::new();
    let tls = authority.issue("localhost", false).server(None, "http/1.1");
    let (port, seen) = serve(tls).await;

    let error = get("localhost", port, &[]).await.unwrap_err();
    let (kind, retry, message) = facts(&error);
    assert_eq!((kind, retry), (ErrorKind::SourceUnavailable, Retry::Never));
    assert!(message.starts_with(&format!("no secure connection to https://localhost:{port}: ")));
    assert!(message.contains("option 'tlsCaBundle' adds certificate authorities"), "{message}");
    assert_eq!(seen.connections.load(Relaxed), 1, "it is not tried again");

    let file = std::env::temp_dir().join(format!("lakeflow-http-ca-{port}.pem"));
    std::fs::write(&file, &authority.pem).unwrap();
    for bundle in [authority.pem.as_str(), file.to_str().unwrap()] {
        assert_eq!(get("localhost", port, &[("tlsCaBundle", bundle)]).await.unwrap(), OK);
    }
    std::fs::remove_file(&file).unwrap();
    assert_eq!(seen.heads.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn expired_and_foreign_certificates_are_refused_once() {
    let authority = Authority::new();
    for (name, expired, why) in
        [("localhost", true, "expired"), ("other.example", false, "not valid for name")]
    {
        let tls = authority.issue(name, expired).server(None, "http/1.1");
        let (port, seen) = serve(tls).await;
        let error = get("localhost", port, &[("tlsCaBundle", &authority.pem)]).await.unwrap_err();

        let (kind, retry, message) = facts(&error);
        assert_eq!((kind, retry), (ErrorKind::SourceUnavailable, Retry::Never), "{message}");
        assert!(message.contains(why), "{message}");
        assert_eq!(seen.connections.load(Relaxed), 1);
        assert_eq!(seen.heads.lock().unwrap().len(), 0, "the credential is not sent");
    }
}

#[tokio::test]
async fn client_certificate_is_shown_where_it_is_asked_for() {
    let authority = Authority::new();
    let tls = authority.issue("localhost", false).server(Some(&authority), "http/1.1");
    let (port, seen) = serve(tls).await;
    let own = authority.issue("me", false);
    let trust = ("tlsCaBundle", authority.pem.as_str());

    let error = get("localhost", port, &[trust]).await.unwrap_err();
    let (kind, retry, message) = facts(&error);
    assert_eq!((kind, retry), (ErrorKind::SourceUnavailable, Retry::Never), "{message}");
    assert!(message.contains("option 'tlsClientCertificate' shows a certificate"), "{message}");
    assert_eq!(seen.connections.load(Relaxed), 1);

    let file = std::env::temp_dir().join(format!("lakeflow-http-key-{port}.pem"));
    std::fs::write(&file, &own.key).unwrap();
    for key in [own.key.as_str(), file.to_str().unwrap()] {
        let options = [trust, ("tlsClientCertificate", &own.certificate), ("tlsClientKey", key)];
        assert_eq!(get("localhost", port, &options).await.unwrap(), OK);
    }
    std::fs::remove_file(&file).unwrap();
}

#[tokio::test]
async fn unusable_certificates_and_proxies_are_errors_that_name_the_option() {
    let own = Authority::new().issue("me", false);
    let together = "options 'tlsClientCertificate' and 'tlsClientKey' are given together or not \
                    at all";
    let cases = [
        (
            vec![("tlsCaBundle", "/no/such/canary.pem")],
            "option 'tlsCaBundle' is neither PEM text nor a file that can be read",
        ),
        (
            vec![("tlsCaBundle", "-----BEGIN NOTHING-----")],
            "option 'tlsCaBundle' holds no PEM certificate",
        ),
        (vec![("tlsClientKey", own.key.as_str())], together),
        (vec![("tlsClientCertificate", own.certificate.as_str())], together),
        (
            vec![("tlsClientCertificate", &own.certificate), ("tlsClientKey", &own.certificate)],
            "options 'tlsClientCertificate' and 'tlsClientKey' must hold a PEM certificate and \
             its unencrypted PEM key",
        ),
        (
            vec![("proxy", "http://canary:p@")],
            "option 'proxy' must be an address like http://user:password@host:port",
        ),
    ];
    for (options, expected) in cases {
        let error = get("localhost", 1, &options).await.unwrap_err();
        let (kind, retry, message) = facts(&error);
        assert_eq!((kind, retry), (ErrorKind::ConfigInvalid, Retry::Never));
        assert_eq!(message, expected);
    }
}

#[tokio::test]
async fn http2_is_spoken_where_the_service_offers_it() {
    let authority = Authority::new();
    let tls = authority.issue("127.0.0.1", false).server(None, "h2");
    let (port, seen) = serve(tls).await;

    assert_eq!(get("127.0.0.1", port, &[("tlsCaBundle", &authority.pem)]).await.unwrap(), OK);
    assert_eq!(*seen.heads.lock().unwrap(), ["HTTP/2"]);
}

#[tokio::test]
async fn requests_go_through_the_tunnel_of_a_proxy() {
    let authority = Authority::new();
    let tls = authority.issue("localhost", false).server(None, "http/1.1");
    let (port, service) = serve(tls).await;
    let (proxy_port, proxy) = proxy(Connect::Tunnel(port)).await;
    let address = format!("http://me:p%40ss@127.0.0.1:{proxy_port}");
    let options = [("proxy", address.as_str()), ("tlsCaBundle", &authority.pem)];

    assert_eq!(get("localhost", port, &options).await.unwrap(), OK);
    let heads = proxy.heads.lock().unwrap().join("");
    assert!(heads.starts_with(&format!("CONNECT localhost:{port} HTTP/1.1\r\n")), "{heads}");
    // base64 of "me:p@ss"
    assert!(heads.to_lowercase().contains("proxy-authorization: basic bwu6cebzcw=="), "{heads}");
    assert!(!heads.contains(CANARY), "the proxy does not see the credential");
    let heads = service.heads.lock().unwrap().join("");
    assert!(!heads.to_lowercase().contains("proxy-authorization"), "{heads}");
}

#[tokio::test]
async fn proxies_that_refuse_are_errors_that_name_the_option() {
    let refused = |port: u16| {
        format!(
            "no connection to https://service.example:{port} through the proxy of option 'proxy' \
             (request: GET /x)"
        )
    };
    let cases = [
        (
            "407 Proxy Authentication Required",
            ErrorKind::ConfigInvalid,
            Retry::Never,
            "the proxy wants other credentials: check option 'proxy' (request: GET /x)".to_owned(),
        ),
        ("403 Forbidden", ErrorKind::SourceUnavailable, Retry::Exhausted, refused(7)),
    ];
    for (status, kind, retry, message) in cases {
        let (port, _) = proxy(Connect::Refuse(status)).await;
        let address = format!("http://me:canary-pass@127.0.0.1:{port}");
        let options = [("proxy", address.as_str()), ("maxRetries", "0")];
        let error = get("service.example", 7, &options).await.unwrap_err();
        assert_eq!(facts(&error), (kind, retry, message));
    }
}

#[tokio::test]
async fn proxy_that_takes_the_place_of_the_service_needs_its_authority_trusted() {
    let authority = Authority::new();
    let tls = authority.issue("service.example", false).server(None, "http/1.1");
    let (port, seen) = proxy(Connect::Intercept(tls)).await;
    let address = format!("http://127.0.0.1:{port}");

    let error = get("service.example", 443, &[("proxy", &address)]).await.unwrap_err();
    let (kind, retry, message) = facts(&error);
    assert_eq!((kind, retry), (ErrorKind::SourceUnavailable, Retry::Never));
    assert!(message.starts_with("no secure connection to https://service.example: "), "{message}");
    assert_eq!(seen.heads.lock().unwrap().len(), 1, "nothing but the CONNECT");

    let options = [("proxy", address.as_str()), ("tlsCaBundle", &authority.pem)];
    assert_eq!(get("service.example", 443, &options).await.unwrap(), OK);
}
