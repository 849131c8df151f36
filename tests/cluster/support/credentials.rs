//! Keys, certificates and kubeconfigs: the API server has a certificate that clients verify, as a real one
//! has.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

/// The token of the cluster's administrator; good on a control plane of this process alone.
pub(crate) const ADMIN_TOKEN: &str = "admin-of-a-test-cluster";

/// Makes in `folder`: `ca.crt`, `ca.key`; `apiserver.crt` and `.key` by that authority; `sa.key` and
/// `sa.pub`, which sign the tokens of service accounts; `tokens.csv`, the administrator's.
pub(crate) fn make(folder: &Path) {
    let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30"];
    let certificate = |arguments: &[&str]| {
        openssl(folder, &[&["req", "-x509"], key.as_slice(), arguments].concat());
    };
    certificate(&["-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=test-cluster-ca"]);
    let names = "subjectAltName=IP:127.0.0.1,IP:10.96.0.1,DNS:localhost,DNS:kubernetes,\
         DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local";
    let of_authority = ["-CA", "ca.crt", "-CAkey", "ca.key", "-subj", "/CN=kube-apiserver"];
    // What `req -x509` writes is an authority's unless it is told otherwise, and rustls takes none as a
    // server's.
    let extensions = ["-addext", "basicConstraints=critical,CA:FALSE", "-addext", names];
    let output = ["-keyout", "apiserver.key", "-out", "apiserver.crt"];
    certificate(&[of_authority.as_slice(), &extensions, &output].concat());
    openssl(folder, &["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "sa.key"]);
    openssl(folder, &["ec", "-in", "sa.key", "-pubout", "-out", "sa.pub"]);
    fs::write(folder.join("tokens.csv"), format!("{ADMIN_TOKEN},admin,admin,\"system:masters\"\n")).unwrap();
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
