//! The world outside the cluster: a CoreDNS that stands for the node's resolver, with a zone of names for
//! ExternalName services and some reverse names that the cluster does not know.

use std::fs;
use std::path::Path;

/// The TTL of everything that it says, below the 30 s of kubeadm's cache.
pub(super) const UPSTREAM_TTL: u32 = 20;

/// Zone files, by what they are called in the Corefile.
const ZONES: [(&str, &str); 3] = [
    (
        "upstream.test",
        "@ 20 IN SOA ns.upstream.test. hostmaster.upstream.test. 1 7200 1800 86400 20
www 20 IN A 198.51.100.1
www 20 IN A 198.51.100.2
www 20 IN AAAA 2001:db8:100::1
v4 20 IN A 198.51.100.4
alias 20 IN CNAME www
text 20 IN TXT \"some text\"
text 20 IN MX 10 www
_http._tcp 20 IN SRV 0 100 80 www
alias-to-missing 20 IN CNAME missing
",
    ),
    (
        "in-addr.arpa",
        "@ 20 IN SOA ns.upstream.test. hostmaster.upstream.test. 1 7200 1800 86400 20
@ 20 IN NS ns.upstream.test.
1.0.250.10 20 IN PTR router.upstream.test.
8.8.8.8 20 IN PTR resolver.upstream.test.
",
    ),
    (
        "ip6.arpa",
        "@ 20 IN SOA ns.upstream.test. hostmaster.upstream.test. 1 7200 1800 86400 20
@ 20 IN NS ns.upstream.test.
1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.5.2.0.0.0.0.0.0.0.d.f 20 IN PTR router.upstream.test.
",
    ),
];

/// Writes the zones to this folder and returns a Corefile with `@PORT@` for the port. `back.upstream.test` is
/// an alias into the cluster's zone: of this name.
pub(super) fn corefile(folder: &Path, back: &str) -> String {
    let mut zones = String::new();
    for (origin, text) in ZONES {
        let mut text = format!("$ORIGIN {origin}.\n{text}");
        if origin == "upstream.test" {
            text.push_str(&format!("back 20 IN CNAME {back}.\n"));
            text.extend((1..=100).map(|number| format!("many 20 IN A 198.51.100.{number}\n")));
        }
        let path = folder.join(format!("{origin}.zone"));
        fs::write(&path, text).unwrap();
        zones.push_str(&format!("    file {} {origin}\n", path.display()));
    }
    // `template` is asked before `file`: the one name that fails. All that is in no zone does not exist.
    format!(
        "upstream.test:@PORT@ in-addr.arpa:@PORT@ ip6.arpa:@PORT@ {{
    bind 127.0.0.1
    template ANY ANY upstream.test {{
        match ^broken[.]
        rcode SERVFAIL
        fallthrough
    }}
{zones}}}
.:@PORT@ {{
    bind 127.0.0.1
    template ANY ANY . {{
        rcode NXDOMAIN
        authority \". 20 IN SOA ns.upstream.test. hostmaster.upstream.test. 1 7200 1800 86400 20\"
    }}
}}
"
    )
}
