//! Clients of each transport, octets for octets.

use std::net::SocketAddr;
use std::sync::Arc;

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::{http1, http2};
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Connection, Endpoint};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::certificates::{Authority, NAME};

/// A message behind its length.
pub(super) fn framed(message: &[u8]) -> Vec<u8> {
    [&u16::try_from(message.len()).unwrap().to_be_bytes(), message].concat()
}

/// Reads one message; None where the stream ends before it.
pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Option<Vec<u8>> {
    let mut message = vec![0; stream.read_u16().await.ok()?.into()];
    stream.read_exact(&mut message).await.ok()?;
    Some(message)
}

/// Asks over a stream, TCP or TLS.
pub(super) async fn ask(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), message: &[u8]) -> Vec<u8> {
    stream.write_all(&framed(message)).await.unwrap();
    stream.flush().await.unwrap();
    read(stream).await.expect("a reply, not an end")
}

/// A connection over TLS; the error of a handshake that fails.
pub(super) async fn tls(
    server: SocketAddr,
    config: rustls::ClientConfig,
) -> std::io::Result<TlsStream<TcpStream>> {
    tls_with(server, &Arc::new(config)).await
}

/// The same with a configuration that remembers tickets.
pub(super) async fn tls_with(
    server: SocketAddr,
    config: &Arc<rustls::ClientConfig>,
) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(server).await?;
    stream.set_nodelay(true)?;
    let name = ServerName::try_from(NAME).unwrap();
    TlsConnector::from(Arc::clone(config)).connect(name, stream).await
}

/// A client of HTTP over TLS.
pub(super) enum Http {
    One(http1::SendRequest<Full<Bytes>>),
    Two(http2::SendRequest<Full<Bytes>>),
}

impl Http {
    pub(super) async fn one(server: SocketAddr, authority: &Authority) -> Self {
        let stream = tls(server, authority.client(&[b"http/1.1"])).await.unwrap();
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Self::One(sender)
    }

    pub(super) async fn two(server: SocketAddr, authority: &Authority) -> Self {
        let stream = tls(server, authority.client(&[b"h2"])).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(b"h2".as_slice()));
        let (sender, connection) =
            http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Self::Two(sender)
    }

    pub(super) async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, hyper::Error> {
        match self {
            Self::One(sender) => {
                sender.ready().await?;
                sender.send_request(request).await
            }
            Self::Two(sender) => {
                sender.ready().await?;
                sender.send_request(request).await
            }
        }
    }

    /// A question by POST, as RFC 8484 has it.
    pub(super) async fn post(&mut self, message: &[u8]) -> Vec<u8> {
        let response = self.send(post(message)).await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "application/dns-message");
        body(response).await
    }

    /// By GET.
    pub(super) async fn get(&mut self, message: &[u8]) -> Vec<u8> {
        let encoded = data_encoding::BASE64URL_NOPAD.encode(message);
        let request = Request::get(format!("https://{NAME}/dns-query?dns={encoded}"));
        let response = self.send(request.body(Full::default()).unwrap()).await.unwrap();
        assert_eq!(response.status(), 200);
        body(response).await
    }
}

/// The request of a question.
pub(super) fn post(message: &[u8]) -> Request<Full<Bytes>> {
    Request::post(format!("https://{NAME}/dns-query"))
        .header("content-type", "application/dns-message")
        .body(Full::from(message.to_vec()))
        .unwrap()
}

/// All of a response's body.
pub(super) async fn body(response: Response<Incoming>) -> Vec<u8> {
    response.into_body().collect().await.unwrap().to_bytes().to_vec()
}

/// A connection over QUIC, with its endpoint, which must live as long.
pub(super) async fn quic(
    server: SocketAddr,
    authority: &Authority,
) -> Result<(Endpoint, Connection), quinn::ConnectionError> {
    quic_with(server, authority, &[b"doq"]).await
}

/// The same with these protocols.
pub(super) async fn quic_with(
    server: SocketAddr,
    authority: &Authority,
    protocols: &[&[u8]],
) -> Result<(Endpoint, Connection), quinn::ConnectionError> {
    let tls = QuicClientConfig::try_from(authority.client(protocols)).unwrap();
    let endpoint = Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
    let config = ClientConfig::new(Arc::new(tls));
    let connection = endpoint.connect_with(config, server, NAME).unwrap().await?;
    Ok((endpoint, connection))
}

/// A question on a stream of its own; None where the server sends no reply.
pub(super) async fn ask_quic(connection: &Connection, message: &[u8]) -> Option<Vec<u8>> {
    let (mut send, mut receive) = connection.open_bi().await.ok()?;
    // Where the server is done with it already, the reading tells.
    let _ = send.write_all(&framed(message)).await;
    let _ = send.finish();
    let reply = receive.read_to_end(1 << 17).await.ok()?;
    let (length, reply) = reply.split_first_chunk()?;
    assert_eq!(usize::from(u16::from_be_bytes(*length)), reply.len());
    Some(reply.to_vec())
}
