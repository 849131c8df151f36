//! What the targets share: a zone made once from files, and questions as packets.

use std::path::{Path, PathBuf};

use hickory_proto::rr::Name;
use hickory_proto::serialize::binary::BinEncodable;
use rollcall::config::{Config, Typed};

/// A folder of this process's own, in memory where there is such a place: the manifests' API reads files.
///
/// # Panics
/// When it cannot be made: the machine cannot fuzz.
#[must_use]
pub fn folder() -> PathBuf {
    let memory = Path::new("/dev/shm");
    let parent = if memory.is_dir() { memory.into() } else { std::env::temp_dir() };
    let folder = parent.join(format!("rollcall-fuzz-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder for the manifests");
    folder
}

/// Resolves a configuration that is text; `source.manifests` is relative to `folder`.
///
/// # Panics
/// When it is not valid: the target is wrong.
#[must_use]
pub fn configuration(folder: &Path, text: &str) -> Config {
    let file = folder.join("rollcall.toml");
    std::fs::write(&file, text).expect("the configuration is written");
    let typed = Typed::from_file(&file).expect("the configuration is read");
    Config::resolve(typed).expect("the configuration is valid")
}

/// A question of class IN with the flags RD=0, with an OPT record of 1232 octets.
///
/// # Panics
/// When the name cannot be encoded, which a parsed one always can.
#[must_use]
pub fn question(name: &Name, rtype: u16) -> Vec<u8> {
    let mut packet = vec![0xab, 0xcd, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1];
    packet.extend(name.to_bytes().expect("a name is encoded"));
    packet.extend(rtype.to_be_bytes());
    packet.extend([0, 1, 0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]);
    packet
}
