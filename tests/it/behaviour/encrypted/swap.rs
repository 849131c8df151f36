//! Certificates that change on disk: new connections get the new one, old ones go on, a bad one changes nothing.

use std::time::{Duration, Instant};

use super::certificates::{Authority, Issued};
use super::clients::{Http, ask, ask_quic, quic, tls};
use super::{Served, question, run};
use crate::behaviour::manifests::NGINX;

/// The certificates that TLS, HTTPS and QUIC greet with.
async fn greeted_with(served: &Served) -> [Vec<u8>; 3] {
    let of = |transport: &'static str| async move {
        let stream = tls(served.at(transport), served.authority.client(&[])).await.unwrap();
        stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
    };
    let (_endpoint, connection) = quic(served.at("quic"), &served.authority).await.unwrap();
    let identity = connection.peer_identity().unwrap();
    let chain = identity.downcast::<Vec<rustls::pki_types::CertificateDer<'static>>>().unwrap();
    [of("tls").await, of("https").await, chain[0].to_vec()]
}

async fn until_greeted_with(served: &Served, issued: &Issued) {
    let start = Instant::now();
    loop {
        let greeted = greeted_with(served).await;
        if greeted.iter().all(|certificate| *certificate == issued.der) {
            return;
        }
        assert!(start.elapsed() < Duration::from_secs(30), "the new certificate is not served");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Waits for a line of the log with this word.
async fn until_said(served: &Served, word: &str) {
    let start = Instant::now();
    let mut printed = Vec::new();
    while !printed.iter().any(|line: &String| line.contains(word)) {
        assert!(start.elapsed() < Duration::from_secs(30), "no `{word}` in {printed:#?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
        printed.extend(served.server.printed());
    }
}

#[test]
fn a_new_certificate_is_served_and_connections_live_on() {
    let served = Served::new();
    let packet = question(&format!("-t A {NGINX}"));
    run(async {
        let mut over_tls = tls(served.at("tls"), served.authority.client(&[b"dot"])).await.unwrap();
        let mut over_https = Http::two(served.at("https"), &served.authority).await;
        let (_endpoint, over_quic) = quic(served.at("quic"), &served.authority).await.unwrap();
        for serial in 2..4 {
            let issued = served.authority.issue(serial);
            issued.write(served.folder.path());
            until_greeted_with(&served, &issued).await;
            ask(&mut over_tls, &packet).await;
            over_https.post(&packet).await;
            assert!(ask_quic(&over_quic, &packet).await.is_some());
        }
        until_said(&served, "a new certificate is served").await;
    });
}

#[test]
fn a_secrets_volume_swaps_its_link() {
    let served = Served::new();
    run(async {
        // As the kubelet lays it out: tls.crt -> ..data/tls.crt, ..data -> ..2026_11_21.
        let folder = served.folder.path();
        let lay_out = |version: &str, issued: &Issued| {
            std::fs::create_dir(folder.join(version)).unwrap();
            issued.write(&folder.join(version));
            std::os::unix::fs::symlink(version, folder.join("..data_tmp")).unwrap();
            std::fs::rename(folder.join("..data_tmp"), folder.join("..data")).unwrap();
        };
        let (second, third) = (served.authority.issue(2), served.authority.issue(3));
        lay_out("..2", &second);
        for name in ["tls.crt", "tls.key"] {
            let beside = folder.join("beside");
            std::os::unix::fs::symlink(format!("..data/{name}"), &beside).unwrap();
            std::fs::rename(beside, folder.join(name)).unwrap();
        }
        until_greeted_with(&served, &second).await;
        lay_out("..3", &third);
        until_greeted_with(&served, &third).await;
    });
}

#[test]
fn a_bad_pair_is_refused_with_its_reason_and_the_old_one_stays() {
    let served = Served::new();
    run(async {
        let before = greeted_with(&served).await;
        let (one, other) = (served.authority.issue(2), served.authority.issue(3));
        let mismatched = Issued { certificate: one.certificate, key: other.key, der: one.der };
        let garbage = Issued { certificate: "garbage".into(), key: "garbage".into(), der: Vec::new() };
        let expired = served.authority.issue_until(4, 2010);
        for (issued, reason) in [
            (&mismatched, "no certificate and its key"),
            (&garbage, "holds no certificate"),
            (&expired, "has expired"),
        ] {
            issued.write(served.folder.path());
            until_said(&served, reason).await;
            assert_eq!(greeted_with(&served).await, before, "{reason}");
        }
        std::fs::remove_file(served.path("tls.key")).unwrap();
        until_said(&served, "cannot read").await;
        assert_eq!(greeted_with(&served).await, before);
        let good = served.authority.issue(5);
        good.write(served.folder.path());
        until_greeted_with(&served, &good).await;
    });
}

#[test]
fn a_start_without_a_certificate_that_fits_says_so() {
    use crate::behaviour::manifests::{nginx, text};
    use crate::behaviour::process::run as command;

    let folder = tempfile::tempdir().unwrap();
    let manifests = folder.path().join("web.yaml");
    std::fs::write(&manifests, nginx(1)).unwrap();
    let serve = |more: &[&str]| {
        let all = ["serve", "--listen", "tls://127.0.0.1:0", "--manifests", text(&manifests)];
        command(&[&all, more].concat())
    };
    let none = serve(&[]);
    assert_eq!(none.code, 1);
    assert!(none.err.contains("tls.certificate: is not given"), "{}", none.err);
    let (certificate, key) = (folder.path().join("tls.crt"), folder.path().join("tls.key"));
    let flags = ["--tls-certificate", text(&certificate), "--tls-key", text(&key)];
    let missing = serve(&flags);
    assert_eq!(missing.code, 1);
    assert!(missing.err.contains("cannot read") && missing.err.contains("tls.crt"), "{}", missing.err);
    let authority = Authority::new();
    let (one, other) = (authority.issue(1), authority.issue(2));
    std::fs::write(&certificate, one.certificate).unwrap();
    std::fs::write(&key, other.key).unwrap();
    let mismatched = serve(&flags);
    assert_eq!(mismatched.code, 1);
    assert!(mismatched.err.contains("no certificate and its key"), "{}", mismatched.err);
}
