//! Ports as octets that another process reads back.

use super::{Listed, ListedPort, PortName, PortSet, Ports, Records, SrvEntry};
use crate::records::Protocol;
use crate::zone::kept::{KeptError, Octets, push_count};

const ITSELF: u8 = 0;
const HOSTS_BY_PORTS: u8 = 1;
const LISTED: u8 = 2;

impl Ports {
    /// Appends them.
    pub(in crate::zone) fn keep(&self, out: &mut Vec<u8>) {
        push_count(out, self.of_hosts.len());
        self.of_hosts.iter().for_each(|set| set.keep(out));
        match &self.of_service {
            Records::Itself(set) => {
                out.push(ITSELF);
                set.keep(out);
            }
            Records::HostsByPorts => out.push(HOSTS_BY_PORTS),
            Records::Listed(listed) => {
                out.push(LISTED);
                keep_srv(&listed.at_service, out);
                push_count(out, listed.at_ports.len());
                for (name, protocol, srv) in &listed.at_ports {
                    keep_name(name, protocol, out);
                    keep_srv(srv, out);
                }
            }
        }
    }

    /// Ports that were kept.
    pub(in crate::zone) fn kept(octets: &mut Octets<'_>) -> Result<Self, KeptError> {
        let of_hosts = octets.list(PortSet::kept)?.into();
        let of_service = match octets.u8()? {
            ITSELF => Records::Itself(PortSet::kept(octets)?),
            HOSTS_BY_PORTS => Records::HostsByPorts,
            LISTED => {
                let at_service = octets.list(kept_srv)?.into();
                let at_port = |octets: &mut Octets<'_>| -> Result<ListedPort, KeptError> {
                    let (name, protocol) = kept_name(octets)?;
                    Ok((name, protocol, octets.list(kept_srv)?.into()))
                };
                let at_ports: Box<[ListedPort]> = octets.list(at_port)?.into();
                if !at_ports.is_sorted_by(|one, other| (&one.0, one.1) < (&other.0, other.1)) {
                    return Err(KeptError::Ports);
                }
                Records::Listed(Box::new(Listed { at_service, at_ports }))
            }
            _ => return Err(KeptError::Ports),
        };
        Ok(Self { of_hosts, of_service })
    }

    /// Whether there is such a set of the hosts'.
    pub(in crate::zone) fn has_set(&self, set: usize) -> bool {
        set < self.of_hosts.len()
    }

    /// Whether a service of so many hosts may have them.
    pub(in crate::zone) fn is_sound(&self, hosts: u32) -> bool {
        let Records::Listed(listed) = &self.of_service else { return true };
        let at_ports = listed.at_ports.iter().flat_map(|(_, _, srv)| srv);
        listed.at_service.iter().chain(at_ports).all(|srv| srv.host == SrvEntry::ITSELF || srv.host < hosts)
    }
}

impl PortSet {
    fn keep(&self, out: &mut Vec<u8>) {
        push_count(out, self.numbers.len());
        self.numbers.iter().for_each(|number| out.extend(number.to_le_bytes()));
        push_count(out, self.named.len());
        for (name, protocol, number) in &self.named {
            keep_name(name, protocol, out);
            out.extend(number.to_le_bytes());
        }
    }

    fn kept(octets: &mut Octets<'_>) -> Result<Self, KeptError> {
        let numbers = octets.list(Octets::u16)?.into();
        let named = |octets: &mut Octets<'_>| -> Result<PortName, KeptError> {
            let (name, protocol) = kept_name(octets)?;
            Ok((name, protocol, octets.u16()?))
        };
        let named: Box<[PortName]> = octets.list(named)?.into();
        // They are searched.
        let is_sorted = named.is_sorted_by(|one, other| (&one.0, one.1) <= (&other.0, other.1));
        is_sorted.then_some(Self { numbers, named }).ok_or(KeptError::Ports)
    }
}

fn keep_srv(srv: &[SrvEntry], out: &mut Vec<u8>) {
    push_count(out, srv.len());
    for SrvEntry { host, port } in srv {
        out.extend(host.to_le_bytes());
        out.extend(port.to_le_bytes());
    }
}

fn kept_srv(octets: &mut Octets<'_>) -> Result<SrvEntry, KeptError> {
    Ok(SrvEntry { host: octets.u32()?, port: octets.u16()? })
}

/// `_name`, at most 64 octets, behind its length; and which protocol.
#[allow(clippy::cast_possible_truncation)]
fn keep_name(name: &[u8], protocol: &[u8], out: &mut Vec<u8>) {
    let number = PROTOCOLS.iter().position(|one| one.srv_label().as_bytes() == protocol).unwrap_or_default();
    out.extend([number as u8, name.len() as u8]);
    out.extend(name);
}

fn kept_name(octets: &mut Octets<'_>) -> Result<(Box<[u8]>, &'static [u8]), KeptError> {
    let protocol = PROTOCOLS.get(usize::from(octets.u8()?)).ok_or(KeptError::Ports)?;
    let length = octets.u8()?;
    let name = octets.take(length.into())?;
    let is_one = name.split_first().is_some_and(|(first, label)| {
        let is_inner = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-';
        *first == b'_' && (1..64).contains(&label.len()) && label.iter().all(is_inner)
    });
    is_one.then(|| (name.into(), protocol.srv_label().as_bytes())).ok_or(KeptError::Ports)
}

const PROTOCOLS: [Protocol; 3] = [Protocol::Tcp, Protocol::Udp, Protocol::Sctp];
