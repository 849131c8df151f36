//! DNS Push Notifications over TLS, without a word of configuration: found by their record, told by a file that changes.

use tokio::io::AsyncWriteExt as _;

use super::clients::{read, tls};
use super::{Served, run};
use crate::behaviour::manifests::{NGINX, nginx, replace};
use crate::support::exchange::Client;
use crate::support::push::{Message, View, apply, subscribe};
use crate::support::query::Query;
use crate::support::reply::Reply;

const A: u16 = 1;

#[test]
fn over_tls_by_default_and_found_by_its_record() {
    let served = Served::new();
    let ask = |line: &str| {
        let query = Query::parse(line).unwrap();
        let reply = Client::tcp(served.plain()).unwrap().ask(&query).unwrap();
        Reply::read(&reply).unwrap().lines().join("\n")
    };
    let found = ask("dig -t SRV _dns-push-tls._tcp.cluster.local");
    assert!(found.contains("IN SRV 0 0 853 ns.dns.cluster.local."), "{found}");
    assert!(found.contains("ns.dns.cluster.local. 5 IN A 127.0.0.1"), "glue: {found}");
    assert!(ask("dig -t A _tcp.cluster.local").contains("NOERROR"), "an empty non-terminal");

    run(async {
        let mut stream = tls(served.at("tls"), served.authority.client(&[b"dot"])).await.unwrap();
        stream.write_all(&subscribe(1, NGINX, A)).await.unwrap();
        stream.flush().await.unwrap();
        let mut view = View::new();
        assert_eq!(Message::parse(read(&mut stream).await.unwrap()).rcode, 0);
        apply(&mut view, Message::parse(read(&mut stream).await.unwrap()).changes());
        assert_eq!(view.len(), 3);
        replace(&served.path("web.yaml"), &nginx(5));
        while view.len() < 5 {
            apply(&mut view, Message::parse(read(&mut stream).await.unwrap()).changes());
        }
        replace(&served.path("web.yaml"), &nginx(1));
        while view.len() > 1 {
            apply(&mut view, Message::parse(read(&mut stream).await.unwrap()).changes());
        }
    });
    // Not over plain TCP.
    let mut plain = crate::support::push::Client::connect(served.plain());
    plain.send(&subscribe(1, NGINX, A));
    assert_eq!(plain.octets()[3] & 15, 4, "NOTIMP");
}
