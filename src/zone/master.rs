//! The zone as a master file (RFC 1035, section 5), from the same entries that answers are written from.

use std::io::{self, Write};
use std::net::IpAddr;

use super::entry::Entry;
use super::lookup::{names, with_pointers};
use super::ports::SrvEntry;
use super::reverse::ttl;
use super::settings::{Discovery, Prepared};
use super::store::{Reader, View};
use crate::records::Shape;
use crate::wire::{ParsedName, ReverseName, reverse_name};

/// Which zones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The cluster domain.
    Cluster,
    /// The reverse zones, one after the other.
    Reverse,
}

/// Prints a part of the zone, sorted.
pub struct MasterFile<'r> {
    reader: &'r Reader,
    part: Part,
}

impl<'r> MasterFile<'r> {
    /// Of a zone as it is now.
    #[must_use]
    pub fn new(reader: &'r Reader, part: Part) -> Self {
        Self { reader, part }
    }

    /// Writes it.
    ///
    /// # Errors
    /// When `out` cannot be written.
    pub fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let view = self.reader.view();
        let mut printer = Printer { out, prepared: &view.prepared, view: &view };
        match self.part {
            Part::Cluster => printer.cluster(),
            Part::Reverse => printer.reverse(),
        }
    }
}

struct Printer<'p, W> {
    out: &'p mut W,
    prepared: &'p Prepared,
    view: &'p View<'p>,
}

impl<W: Write> Printer<'_, W> {
    fn record(&mut self, owner: &str, ttl: u16, rtype: &str, data: &str) -> io::Result<()> {
        writeln!(self.out, "{owner}\t{ttl}\tIN\t{rtype}\t{data}")
    }

    fn apex(&mut self, owner: &str) -> io::Result<()> {
        let settings = &self.prepared.settings;
        let ttl = settings.ttl.positive;
        let mut names = ParsedName::default();
        let mut rest = &*self.prepared.soa_names;
        let mut data = String::new();
        while let Ok(length) = names.parse(rest) {
            data.push_str(&format!("{names} "));
            rest = &rest[length..];
        }
        data.push_str(&self.view.serial.to_string());
        for time in self.prepared.soa_times.chunks_exact(4) {
            let time = time.iter().fold(0_u32, |time, octet| time << 8 | u32::from(*octet));
            data.push_str(&format!(" {time}"));
        }
        self.record(owner, ttl, "SOA", &data)?;
        for server in &settings.nameservers {
            self.record(owner, ttl, "NS", &server.name.to_string())?;
        }
        Ok(())
    }

    fn cluster(&mut self) -> io::Result<()> {
        let settings = &self.prepared.settings;
        let ttl = settings.ttl.positive;
        let zone = settings.zone.to_string();
        self.apex(&zone)?;
        for server in settings.nameservers.iter().filter(|server| server.name.is_within(&settings.zone)) {
            for address in &server.addresses {
                self.address(&server.name.to_string(), ttl, *address)?;
            }
        }
        self.record(&format!("dns-version.{zone}"), ttl, "TXT", "\"1.1.0\"")?;
        if let Some(Discovery { target, port }) = &settings.discovery {
            self.record(&format!("_dns-push-tls._tcp.{zone}"), ttl, "SRV", &format!("0 0 {port} {target}"))?;
        }
        let mut services: Vec<&Entry> = self.view.services().collect();
        services.sort_unstable_by_key(|entry| entry.key());
        services.iter().try_for_each(|entry| self.service(entry))?;
        services.iter().try_for_each(|entry| self.sets(entry))
    }

    /// What a service's StatefulSets say.
    fn sets(&mut self, entry: &Entry) -> io::Result<()> {
        let mut name = ParsedName::default();
        if name.parse(&[entry.key(), b"\x0c_statefulset", &self.prepared.zone].concat()).is_err() {
            return Ok(());
        }
        let owner = name.to_string();
        for mut rest in entry.sets() {
            let mut strings = Vec::new();
            while let Some((string, after)) =
                rest.split_first().and_then(|(length, rest)| rest.split_at_checked(usize::from(*length)))
            {
                strings.push(format!("\"{}\"", text(string)));
                rest = after;
            }
            self.record(&owner, entry.ttl.positive, "TXT", &strings.join(" "))?;
        }
        Ok(())
    }

    fn service(&mut self, entry: &Entry) -> io::Result<()> {
        let mut name = ParsedName::default();
        if name.parse(&[entry.key(), &self.prepared.svc_zone].concat()).is_err() {
            return Ok(());
        }
        let owner = name.to_string();
        let ttl = entry.ttl.positive;
        match &entry.shape {
            Shape::Absent => return Ok(()),
            Shape::External(target) => return self.record(&owner, ttl, "CNAME", &target.to_string()),
            Shape::ClusterIp | Shape::Headless => {}
        }
        let targets = Targets { entry, owner: &owner };
        for a in entry.service_a() {
            self.address(&owner, ttl, (*a).into())?;
        }
        for aaaa in entry.service_aaaa() {
            self.address(&owner, ttl, (*aaaa).into())?;
        }
        self.srv(&owner, ttl, entry.service_srv().iter().map(|srv| targets.srv(srv)).collect())?;
        for (name, protocol) in entry.ports().names() {
            let Some(srv) = entry.port_srv(name, protocol) else { continue };
            let srv = srv.iter().map(|srv| targets.srv(srv)).collect();
            self.srv(&format!("{}.{}.{owner}", text(name), text(protocol)), ttl, srv)?;
        }
        for host in 0..entry.host_count() {
            let own = targets.name(Some(host));
            for a in entry.host_a(host) {
                self.address(&own, ttl, (*a).into())?;
            }
            for aaaa in entry.host_aaaa(host) {
                self.address(&own, ttl, (*aaaa).into())?;
            }
            let ports = entry.host_ports(host);
            self.srv(&own, ttl, ports.numbers.iter().map(|number| (*number, own.clone())).collect())?;
            let mut names: Vec<(&[u8], &[u8])> =
                ports.named.iter().map(|(name, protocol, _)| (&**name, *protocol)).collect();
            names.sort_unstable();
            names.dedup();
            for (name, protocol) in names {
                let below = format!("{}.{}.{own}", text(name), text(protocol));
                // The final dot is the root's octet, each other one a length's: one octet more than the text.
                if below.len() < 255 {
                    self.srv(
                        &below,
                        ttl,
                        ports.numbers_of(name, protocol).map(|n| (n, own.clone())).collect(),
                    )?;
                }
            }
        }
        Ok(())
    }

    fn srv(&mut self, owner: &str, ttl: u16, records: Vec<(u16, String)>) -> io::Result<()> {
        let weight = super::answer::weight(records.len());
        for (port, target) in records {
            self.record(owner, ttl, "SRV", &format!("0 {weight} {port} {target}"))?;
        }
        Ok(())
    }

    fn address(&mut self, owner: &str, ttl: u16, address: IpAddr) -> io::Result<()> {
        let rtype = if address.is_ipv4() { "A" } else { "AAAA" };
        self.record(owner, ttl, rtype, &address.to_string())
    }

    fn reverse(&mut self) -> io::Result<()> {
        let mut addresses: Vec<IpAddr> = Vec::new();
        for (block, pointers) in &self.view.shared.blocks.pin() {
            addresses.extend(pointers.iter().map(|pointer| block.address(pointer.last)));
        }
        addresses.sort_unstable();
        addresses.dedup();
        let mut last_apex = None;
        for address in addresses {
            let owner = reverse_name(address);
            let apex = self.apex_of(&owner);
            if apex != last_apex {
                if let Some(apex) = &apex {
                    self.apex(apex)?;
                }
                last_apex = apex;
            }
            for (ttl, name) in self.names_of(address) {
                self.record(&owner, ttl, "PTR", &name)?;
            }
        }
        Ok(())
    }

    fn names_of(&self, address: IpAddr) -> Vec<(u16, String)> {
        with_pointers(self.view, address, |pointers| {
            let (ttl, mut of_address) = (ttl(pointers), Vec::new());
            let each = |label: &[u8], key: &[u8]| {
                let mut parsed = ParsedName::default();
                if parsed.parse(&[label, key, &self.prepared.svc_zone].concat()).is_ok() {
                    of_address.push((ttl, parsed.to_string()));
                }
                Ok::<(), std::convert::Infallible>(())
            };
            let Ok(()) = names(self.view, address, pointers, each);
            of_address
        })
    }

    /// The reverse zone that a reverse name is in; None outside the configured prefixes.
    fn apex_of(&self, owner: &str) -> Option<String> {
        let mut parsed = ParsedName::default();
        parsed.parse(crate::wire::Name::from_text(owner).ok()?.as_wire()).ok()?;
        let name = ReverseName::read(&parsed)?;
        let depth = self.prepared.reverse.iter().filter_map(|prefix| prefix.apex(&name)).min()?;
        let labels: Vec<&str> = owner.split_inclusive('.').collect();
        Some(labels[labels.len() - 2 - depth..].concat())
    }
}

struct Targets<'t> {
    entry: &'t Entry,
    owner: &'t str,
}

impl Targets<'_> {
    fn name(&self, host: Option<usize>) -> String {
        match host {
            Some(host) => format!("{}.{}", text(&self.entry.host_label(host)[1..]), self.owner),
            None => self.owner.to_owned(),
        }
    }

    fn srv(&self, srv: SrvEntry) -> (u16, String) {
        (srv.port, self.name(srv.host()))
    }
}

/// Labels of the zone are letters, digits, hyphens and underscores.
fn text(label: &[u8]) -> &str {
    std::str::from_utf8(label).unwrap_or_default()
}
