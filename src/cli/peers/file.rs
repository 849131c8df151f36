//! A list as a file that others read: whole at each moment, and of one list.

use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use clap::ValueEnum;

use crate::peers::Peer;

use super::template::Template;
use super::told::{Choice, Of};

/// What a file looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// A name a line
    Plain,
    /// Names, addresses and ports
    Json,
    /// As /etc/hosts: an address, and the names that it has
    Hosts,
    /// What --template says
    Template,
}

/// A form that is ready to be filled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Form {
    Plain,
    Json,
    Hosts,
    Template(Template),
}

impl Form {
    pub(super) fn text(&self, of: &Of, choice: Choice, peers: &[Peer]) -> io::Result<String> {
        Ok(match self {
            Self::Plain => choice.lines(peers),
            Self::Json => of.file(peers)?,
            Self::Hosts => hosts(of, peers),
            Self::Template(template) => template.render(of, peers),
        })
    }
}

/// hosts(5): the whole name, then those that a pod's search list makes of it.
fn hosts(of: &Of, peers: &[Peer]) -> String {
    let mut text = String::new();
    for peer in peers {
        let short = format!("{}.{}", peer.host, of.service);
        // A peer that has only an address has no name to write.
        for address in peer.addresses.iter().filter(|_| peer.name != peer.host) {
            let (name, host, namespace) = (&peer.name, &peer.host, &of.namespace);
            // A string takes all that is written.
            let _ = writeln!(text, "{address}\t{name} {short}.{namespace} {short} {host}");
        }
    }
    text
}

/// Replaces a file in one step, where it says something else; whether it did.
///
/// The new one is written beside it, forced to the disk, and renamed over it: a reader sees the one or the other. It
/// keeps the old one's permissions.
pub(super) fn replace(path: &Path, text: &str) -> io::Result<bool> {
    if fs::read(path).is_ok_and(|octets| octets == text.as_bytes()) {
        return Ok(false);
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_string_lossy().into_owned();
    let beside = Beside(folder.join(format!(".{name}.{}.new", std::process::id())));
    // One that a killed process with our number has left.
    let _ = fs::remove_file(&beside.0);
    let mut file = OpenOptions::new().write(true).create_new(true).open(&beside.0)?;
    if let Ok(old) = fs::metadata(path) {
        file.set_permissions(old.permissions())?;
    }
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&beside.0, path)?;
    // The name as well; a file system that cannot has its own ways.
    let _ = File::open(folder).and_then(|folder| folder.sync_all());
    Ok(true)
}

/// A file that goes where it was not renamed.
struct Beside(PathBuf);

impl Drop for Beside {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

    use super::*;

    fn peer(host: &str, addresses: &[&str]) -> Peer {
        let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
        let name = format!("{host}.nginx.shop.svc.cluster.local");
        Peer { name, host: host.to_owned(), addresses, ports: vec![80], ready: true, ordinal: Some(0) }
    }

    fn of() -> Of {
        Of { service: "nginx".to_owned(), namespace: "shop".to_owned(), own: Some("web-0".to_owned()) }
    }

    #[test]
    fn each_form() {
        let nameless = Peer { name: "10.0.0.9".to_owned(), ordinal: None, ..peer("10.0.0.9", &["10.0.0.9"]) };
        let peers = [peer("web-0", &["10.0.0.1", "fd00::1"]), nameless];
        let text = |form: Form, choice| form.text(&of(), choice, &peers).unwrap();
        assert_eq!(text(Form::Plain, Choice::default()), "web-0.nginx.shop.svc.cluster.local\n10.0.0.9\n");
        let ordinals = Choice { ordinals: true, ..Choice::default() };
        assert_eq!(ordinals.lines(&peers[..1]), "0 web-0.nginx.shop.svc.cluster.local\n");
        let names = "web-0.nginx.shop.svc.cluster.local web-0.nginx.shop web-0.nginx web-0";
        assert_eq!(text(Form::Hosts, Choice::default()), format!("10.0.0.1\t{names}\nfd00::1\t{names}\n"));
        let json: serde_json::Value = serde_json::from_str(&text(Form::Json, Choice::default())).unwrap();
        assert_eq!(json["peers"][0]["addresses"][1], "fd00::1");
        assert_eq!((&json["peers"][0]["self"], &json["peers"][1]["self"]), (&true.into(), &false.into()));
        let template = Template::parse("{{#peers}}{{host}};{{/peers}}").unwrap();
        assert_eq!(text(Form::Template(template), Choice::default()), "web-0;10.0.0.9;");
    }

    #[test]
    fn it_is_replaced_whole_and_only_where_it_differs() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("peers");
        assert!(replace(&path, "one\n").unwrap());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let (mut old, before) = (File::open(&path).unwrap(), fs::metadata(&path).unwrap());
        assert!(!replace(&path, "one\n").unwrap());
        assert_eq!(fs::metadata(&path).unwrap().ino(), before.ino(), "left alone");
        assert!(replace(&path, "two\n").unwrap());
        let after = fs::metadata(&path).unwrap();
        assert!(after.ino() != before.ino() && after.permissions().mode() & 0o777 == 0o640);
        // Who has opened the old one reads the old one to its end.
        let mut text = String::new();
        io::Read::read_to_string(&mut old, &mut text).unwrap();
        assert_eq!(text, "one\n");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn one_that_cannot_be_replaced_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("peers");
        fs::create_dir(&path).unwrap();
        assert!(replace(&path, "text").is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(replace(&folder.path().join("no/such"), "text").is_err());
    }
}
