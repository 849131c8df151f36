//! Keys, certificates and kubeconfigs: the API server has a certificate that clients verify, as a real one
//! has.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

/// The token of the cluster's administrator; good on a control plane of this process alone.
pub(crate) const ADMIN_TOKEN: &str = "admin-of-a-test-cluster";

/// A key and how long a certificate is good.
const KEY: [&str; 7] = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30"];

/// Makes in `folder`: `ca.crt`, `ca.key`; `apiserver.crt` and `.key` by that authority; `sa.key` and
/// `sa.pub`, which sign the tokens of service accounts; `tokens.csv`, the administrator's.
pub(crate) fn make(folder: &Path) {
    make_authority(folder, "ca");
    make_serving(folder, "ca", "apiserver");
    openssl(folder, &["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "sa.key"]);
    openssl(folder, &["ec", "-in", "sa.key", "-pubout", "-out", "sa.pub"]);
    fs::write(folder.join("tokens.csv"), format!("{ADMIN_TOKEN},admin,admin,\"system:masters\"\n")).unwrap();
}

/// Makes `NAME.crt` and `NAME.key`, an authority.
pub(crate) fn make_authority(folder: &Path, name: &str) {
    let (key, certificate) = (format!("{name}.key"), format!("{name}.crt"));
    let subject = format!("/CN=test-cluster-{name}");
    let output = ["-keyout", &key, "-out", &certificate, "-subj", &subject];
    openssl(folder, &[["req", "-x509"].as_slice(), &KEY, &output].concat());
}

/// Makes `NAME.crt` and `NAME.key` by an authority: the API server's.
pub(crate) fn make_serving(folder: &Path, authority: &str, name: &str) {
    let names = "subjectAltName=IP:127.0.0.1,IP:10.96.0.1,DNS:localhost,DNS:kubernetes,\
         DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local";
    make_signed(folder, authority, name, "/CN=kube-apiserver", &["-addext", names]);
}

/// Makes `NAME.crt` and `NAME.key` by an authority: a server's of these names (`DNS:…,IP:…`).
pub(crate) fn make_named(folder: &Path, authority: &str, name: &str, names: &str) {
    let names = format!("subjectAltName={names}");
    make_signed(folder, authority, name, &format!("/CN={name}"), &["-addext", &names]);
}

/// Makes `NAME.crt` and `NAME.key` by an authority: the administrator's, as a client.
pub(crate) fn make_client(folder: &Path, authority: &str, name: &str) {
    let usage = ["-addext", "extendedKeyUsage=clientAuth"];
    make_signed(folder, authority, name, "/O=system:masters/CN=admin", &usage);
}

fn make_signed(folder: &Path, authority: &str, name: &str, subject: &str, extensions: &[&str]) {
    let file = |name: &str, end: &str| format!("{name}.{end}");
    let (ca_crt, ca_key) = (file(authority, "crt"), file(authority, "key"));
    let (crt, key) = (file(name, "crt"), file(name, "key"));
    let of_authority = ["-CA", &ca_crt, "-CAkey", &ca_key, "-subj", subject];
    // What `req -x509` writes is an authority's unless it is told otherwise, and rustls takes none as a
    // server's.
    let no_authority = ["-addext", "basicConstraints=critical,CA:FALSE"];
    let output = ["-keyout", &key, "-out", &crt];
    let all = [["req", "-x509"].as_slice(), &KEY, &of_authority, &no_authority, extensions, &output];
    openssl(folder, &all.concat());
}

fn openssl(folder: &Path, arguments: &[&str]) {
    let run = Command::new("openssl").args(arguments).current_dir(folder).output().expect("openssl");
    assert!(run.status.success(), "openssl {arguments:?}: {}", String::from_utf8_lossy(&run.stderr));
}

/// Writes a kubeconfig for the API server at this address, with this token and this authority's certificate.
pub(crate) fn write_kubeconfig(file: &Path, server: SocketAddr, authority: &Path, token: &str) {
    let authority = authority.display();
    let text = format!(
        "apiVersion: v1
kind: Config
clusters: [{{name: test, cluster: {{server: \"https://{server}\", certificate-authority: \"{authority}\"}}}}]
users: [{{name: user, user: {{token: \"{token}\"}}}}]
contexts: [{{name: test, context: {{cluster: test, user: user}}}}]
current-context: test
"
    );
    fs::write(file, text).unwrap();
}
