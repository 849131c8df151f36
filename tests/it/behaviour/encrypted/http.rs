//! The words of HTTP: what is refused, with which status, and how long a reply may be kept.

use http_body_util::Full;
use hyper::Request;
use hyper::body::Bytes;

use super::certificates::NAME;
use super::clients::{Http, body, post};
use super::{Served, question, run};
use crate::behaviour::manifests::NGINX;

fn request(method: &str, target: &str, media: Option<&str>, body: &[u8]) -> Request<Full<Bytes>> {
    let mut request = Request::builder().method(method).uri(format!("https://{NAME}{target}"));
    if let Some(media) = media {
        request = request.header("content-type", media);
    }
    request.body(Full::from(body.to_vec())).unwrap()
}

#[test]
fn what_is_no_question_has_its_status() {
    let served = Served::with("[limits]\nencrypted_question = 512");
    let packet = question(&format!("-t A {NGINX}"));
    let media = Some("application/dns-message");
    let mut answer = packet.clone();
    answer[2] |= 0x80;
    let long = vec![0; 513];
    let cases = [
        (404, request("POST", "/", media, &packet)),
        (404, request("GET", "/other?dns=AAAA", None, b"")),
        (405, request("PUT", "/dns-query", media, &packet)),
        (405, request("HEAD", "/dns-query?dns=AAAA", None, b"")),
        (415, request("POST", "/dns-query", None, &packet)),
        (415, request("POST", "/dns-query", Some("application/dns-json"), &packet)),
        (413, request("POST", "/dns-query", media, &long)),
        (400, request("GET", "/dns-query", None, b"")),
        (400, request("GET", "/dns-query?dns=!!", None, b"")),
        (400, request("POST", "/dns-query", media, b"")),
        (400, request("POST", "/dns-query", media, &packet[..11])),
        (400, request("POST", "/dns-query", media, &answer)),
        (200, request("POST", "/dns-query", media, &vec![0; 512])),
        (200, post(&packet)),
    ];
    run(async {
        for protocol in ["HTTP/2", "HTTP/1.1"] {
            let mut client = if protocol == "HTTP/2" {
                Http::two(served.at("https"), &served.authority).await
            } else {
                Http::one(served.at("https"), &served.authority).await
            };
            for (status, request) in &cases {
                // A connection may end behind a body that is not read to its end (RFC 9112, section 9.3).
                if let Http::One(sender) = &client
                    && sender.is_closed()
                {
                    client = Http::one(served.at("https"), &served.authority).await;
                }
                let response = client.send(request.clone()).await.unwrap();
                let what = format!("{protocol}: {} {}", request.method(), request.uri());
                assert_eq!(response.status(), *status, "{what}");
                if *status == 405 {
                    assert_eq!(response.headers()["allow"], "GET, POST", "{what}");
                }
                if *status != 200 {
                    assert_eq!(response.headers()["cache-control"], "no-store", "{what}");
                }
                body(response).await;
                if protocol == "HTTP/1.1" && *status == 413 {
                    client = Http::one(served.at("https"), &served.authority).await;
                }
            }
        }
    });
}

#[test]
fn a_reply_says_for_how_long_it_may_be_kept() {
    let served = Served::with("[ttl]\npositive = 11\nnegative = 12");
    run(async {
        let mut client = Http::two(served.at("https"), &served.authority).await;
        for (line, kept) in [
            (format!("-t A {NGINX}"), "max-age=11"),
            (format!("-t AAAA {NGINX}"), "max-age=12"),
            (format!("-t A missing.{NGINX}"), "max-age=12"),
            // REFUSED is about the server, not about the name.
            ("-t A www.example.org".to_owned(), "no-store"),
        ] {
            let response = client.send(post(&question(&line))).await.unwrap();
            assert_eq!(response.headers()["cache-control"], kept, "{line}");
            let length = response.headers()["content-length"].to_str().unwrap().to_owned();
            assert_eq!(body(response).await.len().to_string(), length, "{line}");
        }
    });
}

#[test]
fn a_hundred_questions_at_once_on_one_connection() {
    let served = Served::new();
    run(async {
        let Http::Two(sender) = Http::two(served.at("https"), &served.authority).await else {
            unreachable!()
        };
        let asked: Vec<_> = (0..300)
            .map(|number| {
                let line = if number % 3 == 0 {
                    "-t SRV big.default.svc.cluster.local".to_owned()
                } else {
                    format!("-t A web-{}.{NGINX}", number % 3)
                };
                let mut client = Http::Two(sender.clone());
                tokio::spawn(async move { (number, client.post(&question(&line)).await) })
            })
            .collect();
        for reply in asked {
            let (number, reply) = reply.await.unwrap();
            let message = hickory_proto::op::Message::from_vec(&reply).unwrap();
            let expected = if number % 3 == 0 { 400 } else { 1 };
            assert_eq!(message.answers.len(), expected, "{number}");
        }
    });
}
