//! An API server's etcd, over its JSON gateway: objects as the API server keeps them, many in a transaction.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use anyhow::{Context as _, bail, ensure};
use rollcall_bench::cluster::Kind;
use serde_json::{Value, json};

/// Operations of a transaction: etcd takes 128 at most.
const TOGETHER: usize = 100;

pub(crate) struct Store {
    stream: TcpStream,
    reader: BufReader<TcpStream>,
    address: SocketAddr,
    operations: Vec<Value>,
}

impl Store {
    pub(crate) fn connect(address: SocketAddr) -> anyhow::Result<Self> {
        let stream =
            TcpStream::connect(address).with_context(|| format!("cannot connect to etcd at {address}"))?;
        stream.set_nodelay(true)?;
        let reader = BufReader::new(stream.try_clone()?);
        Ok(Self { stream, reader, address, operations: Vec::new() })
    }

    /// Puts all of them; gives how many.
    pub(crate) fn put_all(
        &mut self,
        kind: Kind,
        objects: impl Iterator<Item = Value>,
    ) -> anyhow::Result<u32> {
        let mut count = 0;
        for mut object in objects {
            if let Some(metadata) = object["metadata"].as_object_mut() {
                metadata.remove("resourceVersion");
            }
            let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
            let (namespace, name) = (text("/metadata/namespace"), text("/metadata/name"));
            let key = match kind {
                Kind::Namespace => format!("/registry/namespaces/{name}"),
                Kind::Service => format!("/registry/services/specs/{namespace}/{name}"),
                Kind::EndpointSlice => format!("/registry/endpointslices/{namespace}/{name}"),
                Kind::StatefulSet => format!("/registry/statefulsets/{namespace}/{name}"),
            };
            let address = text("/spec/clusterIP");
            if kind == Kind::Service && address != "None" {
                // Where it is not there the API server makes it, one after the other.
                let taken = taken(address, namespace, name, text("/metadata/uid"));
                self.put(&format!("/registry/ipaddresses/{address}"), &taken)?;
            }
            self.put(&key, &object)?;
            count += 1;
        }
        self.flush()?;
        Ok(count)
    }

    fn put(&mut self, key: &str, object: &Value) -> anyhow::Result<()> {
        let (key, value) = (base64(key.as_bytes()), base64(&serde_json::to_vec(object)?));
        self.operations.push(json!({ "requestPut": { "key": key, "value": value } }));
        if self.operations.len() >= TOGETHER { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> anyhow::Result<()> {
        if self.operations.is_empty() {
            return Ok(());
        }
        let body = serde_json::to_vec(&json!({ "success": std::mem::take(&mut self.operations) }))?;
        let head = format!(
            "POST /v3/kv/txn HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            self.address,
            body.len()
        );
        self.stream.write_all(&[head.as_bytes(), &body].concat()).context("etcd does not listen any more")?;
        let answer = self.answer().context("etcd's answer")?;
        let answer: Value = serde_json::from_slice(&answer).context("etcd's answer is no JSON")?;
        ensure!(answer["succeeded"] == true, "etcd did not put it: {answer}");
        Ok(())
    }

    /// The body of the next answer, by its length or in chunks.
    fn answer(&mut self) -> anyhow::Result<Vec<u8>> {
        let status = self.line()?;
        let (mut length, mut is_chunked) = (0, false);
        loop {
            let line = self.line()?.to_ascii_lowercase();
            match line.split_once(':').map(|(name, value)| (name, value.trim())) {
                None => break,
                Some(("content-length", value)) => length = value.parse()?,
                Some(("transfer-encoding", value)) => is_chunked = value == "chunked",
                Some(_) => {}
            }
        }
        let mut body = Vec::new();
        loop {
            if is_chunked {
                length = u64::from_str_radix(&self.line()?, 16)?;
            }
            (&mut self.reader).take(length).read_to_end(&mut body)?;
            if is_chunked {
                self.line()?;
            }
            if !is_chunked || length == 0 {
                break;
            }
        }
        if !status.contains(" 200 ") {
            bail!("{status}: {}", String::from_utf8_lossy(&body));
        }
        Ok(body)
    }

    fn line(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        ensure!(self.reader.read_line(&mut line)? > 0, "the connection ended");
        Ok(line.trim_end().to_owned())
    }
}

/// What says that an address belongs to a service.
fn taken(address: &str, namespace: &str, name: &str, uid: &str) -> Value {
    json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "IPAddress",
        "metadata": {
            "name": address, "uid": uid, "creationTimestamp": "2026-03-02T08:15:02Z",
            "labels": {
                "ipaddress.kubernetes.io/ip-family": "IPv4",
                "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io",
            },
        },
        "spec": { "parentRef": { "group": "", "resource": "services", "namespace": namespace, "name": name } },
    })
}

/// RFC 4648, section 4.
fn base64(octets: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(octets.len().div_ceil(3) * 4);
    for group in octets.chunks(3) {
        let bits = (0..3).fold(0_u32, |bits, at| bits << 8 | u32::from(group.get(at).copied().unwrap_or(0)));
        for at in 0..4 {
            let index = (bits >> (18 - 6 * at) & 63) as usize;
            text.push(if at > group.len() { '=' } else { char::from(ALPHABET[index]) });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::base64;

    /// RFC 4648, section 10.
    #[test]
    fn base64_as_the_standard_has_it() {
        let pairs = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("foobar", "Zm9vYmFy"),
        ];
        for (plain, encoded) in pairs {
            assert_eq!(base64(plain.as_bytes()), encoded);
        }
    }
}
