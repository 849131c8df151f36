//! A textbook lookup in the flat list: RFC 1034, section 4.3.2, with RFC 2308, 6604, 8020 and 8482.

use rollcall::model::{Object, Service, ServiceShape};

use super::cluster::{known_namespaces, ready_hosts, replica_is_expected, services, undashed};
use super::records::{everything, lone_apex, pointer_rank, prefix_apexes, service_name};
use super::{Name, OracleSettings, Pods, Rdata, Record, qtype, rcode};

/// What must be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Expected {
    pub(crate) rcode: u16,
    pub(crate) aa: bool,
    /// In any order, but that the links of a chain come first, in theirs.
    pub(crate) answer: Vec<Record>,
    /// The SOA's owner and TTL.
    pub(crate) authority: Option<(Name, u32)>,
    pub(crate) additional: Vec<Record>,
    /// Whether a chain leaves the zones, so that `[upstream]` is asked for the rest.
    pub(crate) chase: bool,
}

/// "At most 8 links."
const LINKS: usize = 8;

/// A cluster and all its records.
pub(crate) struct World<'a> {
    objects: Vec<&'a Object>,
    settings: &'a OracleSettings,
    list: Vec<Record>,
    /// Known addresses outside every prefix: each is an apex to itself, and names below it are nobody's.
    alone: Vec<Name>,
}

/// What is at a name.
enum Found {
    OutsideTheZones,
    /// In a namespace that the filter leaves out.
    LeftOut,
    Nothing,
    Node(Vec<Record>),
}

impl<'a> World<'a> {
    /// Of objects that are [`super::current`], the newest applied last.
    pub(crate) fn new(cluster: &'a [Object], settings: &'a OracleSettings) -> Self {
        let objects: Vec<&Object> = cluster.iter().collect();
        let mut list = everything(&objects, settings);
        let prefixes = prefix_apexes(settings);
        let covered = |name: &Name| prefixes.iter().any(|apex| name.is_within(apex));
        let pointers = list.iter().filter(|record| record.data.rtype() == qtype::PTR);
        let mut alone: Vec<Name> =
            pointers.map(|record| record.owner.clone()).filter(|n| !covered(n)).collect();
        alone.sort();
        alone.dedup();
        list.extend(alone.iter().flat_map(|apex| lone_apex(apex, settings)));
        Self { objects, settings, list, alone }
    }

    /// Answers one question; `name` in any spelling.
    pub(crate) fn answer(&self, name: &Name, rtype: u16) -> Expected {
        let mut expected = Expected {
            rcode: rcode::REFUSED,
            aa: false,
            answer: Vec::new(),
            authority: None,
            additional: Vec::new(),
            chase: false,
        };
        let mut name = name.lower();
        if rtype == qtype::AXFR || rtype == qtype::IXFR {
            return expected;
        }
        if matches!(self.find(&name), Found::OutsideTheZones | Found::LeftOut) {
            return expected;
        }
        expected.rcode = rcode::NOERROR;
        expected.aa = true;
        loop {
            let records = match self.find(&name) {
                Found::OutsideTheZones => {
                    expected.chase = true;
                    return expected;
                }
                // "Names inside the zones never go upstream", and the alias itself is ours to tell.
                Found::LeftOut => return expected,
                Found::Nothing => {
                    expected.rcode = rcode::NXDOMAIN;
                    expected.authority = self.authority(&name, false);
                    return expected;
                }
                Found::Node(records) => records,
            };
            let alias = records.iter().find(|record| record.data.rtype() == qtype::CNAME).cloned();
            let Some(alias) = alias.filter(|_| rtype != qtype::CNAME && rtype != qtype::ANY) else {
                let matching = of_type(&records, rtype);
                if matching.is_empty() {
                    expected.authority = self.authority(&name, true);
                }
                expected.additional = self.glue(&matching);
                expected.answer.extend(matching);
                return expected;
            };
            // "A chain that stays in the zone is followed (at most 8 links, loops cut, rcode of the last)."
            if expected.answer.contains(&alias) || expected.answer.len() == LINKS {
                return expected;
            }
            name = alias.data.target().expect("an alias has a target").clone();
            expected.answer.push(alias);
        }
    }

    /// Every name that owns a record, for the generator of questions; of the prefixes' apexes only the first.
    pub(crate) fn owners(&self) -> Vec<Name> {
        let prefixes = prefix_apexes(self.settings);
        let mut owners: Vec<Name> = self.list.iter().map(|record| record.owner.clone()).collect();
        owners.dedup();
        owners.retain(|owner| !prefixes.iter().skip(1).any(|apex| apex == owner));
        owners
    }

    /// The types of the records at a name, for the generator of questions.
    pub(crate) fn types_at(&self, name: &Name) -> Vec<u16> {
        match self.find(&name.lower()) {
            Found::Node(records) => records.iter().map(|record| record.data.rtype()).collect(),
            _ => Vec::new(),
        }
    }

    /// The order that PTR records are answered in: the lower ones first.
    pub(crate) fn pointer_ranks(&self, answer: &[Record]) -> Vec<u8> {
        let pointers = answer.iter().filter(|record| record.data.rtype() == qtype::PTR);
        pointers.map(|pointer| pointer_rank(pointer, &self.objects, self.settings)).collect()
    }

    pub(crate) fn settings(&self) -> &OracleSettings {
        self.settings
    }

    /// The longest apex at or above a name.
    fn apex(&self, name: &Name) -> Option<Name> {
        let soas = self.list.iter().filter(|record| record.data.rtype() == qtype::SOA);
        let above = soas.map(|record| &record.owner).filter(|apex| name.is_within(apex));
        let above = above.filter(|apex| !self.alone.contains(apex));
        let above = above.chain(self.alone.iter().filter(|apex| name == *apex));
        above.max_by_key(|apex| apex.0.len()).cloned()
    }

    fn find(&self, name: &Name) -> Found {
        if self.apex(name).is_none() {
            return Found::OutsideTheZones;
        }
        if self.is_left_out(name) {
            return Found::LeftOut;
        }
        let mut records: Vec<Record> = self.list.iter().filter(|r| r.owner == *name).cloned().collect();
        records.extend(self.pod_records(name));
        let has_data_below = self.list.iter().any(|record| record.owner.is_below(name));
        if records.is_empty() && !has_data_below && !self.is_bare_node(name) {
            return Found::Nothing;
        }
        Found::Node(records)
    }

    /// Names that exist though no record is at or below them.
    fn is_bare_node(&self, name: &Name) -> bool {
        let zone = &self.settings.zone;
        let mut nodes = vec![zone.below("svc"), zone.below("dns"), zone.below("_statefulset")];
        if self.settings.pods != Pods::Disabled {
            nodes.push(zone.below("pod"));
        }
        for namespace in known_namespaces(&self.objects, self.settings) {
            nodes.push(zone.below(&format!("{namespace}.svc")));
            nodes.push(zone.below(&format!("{namespace}._statefulset")));
            if self.settings.pods != Pods::Disabled {
                nodes.push(zone.below(&format!("{namespace}.pod")));
            }
        }
        let is_cluster_ip = |service: &&&Service| matches!(service.shape, ServiceShape::ClusterIp(_));
        let all = services(&self.objects);
        nodes.extend(all.iter().filter(is_cluster_ip).map(|service| service_name(service, self.settings)));
        nodes.contains(name)
    }

    /// "Names in namespaces that a filter leaves out are REFUSED, never NXDOMAIN."
    fn is_left_out(&self, name: &Name) -> bool {
        let Some(served) = &self.settings.namespaces else { return false };
        let branches: &[&str] = &["svc", "_statefulset", "pod"];
        let branches = &branches[..if self.settings.pods == Pods::Disabled { 2 } else { 3 }];
        let namespaces = branches.iter().filter_map(|branch| self.labels_below(branch, name)?.pop());
        namespaces.into_iter().any(|namespace| !served.contains(&namespace))
    }

    /// `<a-b-c-d>.<ns>.pod.<zone>`.
    fn pod_records(&self, name: &Name) -> Vec<Record> {
        let Some([label, namespace]) =
            self.labels_below("pod", name).and_then(|l| <[String; 2]>::try_from(l).ok())
        else {
            return Vec::new();
        };
        let Some(address) = undashed(&label) else { return Vec::new() };
        let is_a_pods = self.objects.iter().any(|object| match object {
            Object::Pod(pod) => pod.namespace.as_str() == namespace && pod.addresses.contains(&address),
            _ => false,
        });
        let answers = match self.settings.pods {
            Pods::Disabled => false,
            Pods::Insecure => true,
            Pods::Verified => is_a_pods,
        };
        if !answers || !known_namespaces(&self.objects, self.settings).contains(&namespace) {
            return Vec::new();
        }
        vec![Record { owner: name.clone(), ttl: self.settings.positive, data: Rdata::address(address) }]
    }

    /// The labels in front of `<branch>.<zone>`.
    fn labels_below(&self, branch: &str, name: &Name) -> Option<Vec<String>> {
        let labels = name.0.strip_suffix(self.settings.zone.below(branch).0.as_slice())?;
        Some(labels.iter().map(|label| String::from_utf8_lossy(label).into_owned()).collect())
    }

    /// SOA in Authority: whose, and for how long the absence may be remembered.
    fn authority(&self, name: &Name, exists: bool) -> Option<(Name, u32)> {
        Some((self.apex(name)?, self.negative_ttl(name, exists)))
    }

    fn negative_ttl(&self, name: &Name, exists: bool) -> u32 {
        let settings = self.settings;
        let labels = self.labels_below("svc", name).unwrap_or_default();
        let [below @ .., service_label, namespace] = labels.as_slice() else { return settings.negative };
        let of_the_name = |service: &&Service| {
            service.key.name.as_str() == service_label && service.key.namespace.as_str() == namespace
        };
        let service = services(&self.objects).into_iter().find(of_the_name);
        let ttl = service.map(|service| service.ttl).unwrap_or_default();
        let negative = ttl.negative.map_or(settings.negative, u32::from);
        let expected = ttl.expected.map_or(settings.expected, u32::from);

        let none_ready = service.is_some_and(|service| {
            service.shape == ServiceShape::Headless
                && ready_hosts(&self.objects, service, settings).is_empty()
        });
        // An alias governs nobody: no replica will ever answer below it.
        let is_alias = service.is_some_and(|service| matches!(service.shape, ServiceShape::External(_)));
        let host_is_expected = !is_alias
            && below.last().is_some_and(|host| {
                let host_name = settings.zone.below(&format!("{host}.{service_label}.{namespace}.svc"));
                let host_is_there = matches!(self.find(&host_name), Found::Node(_));
                !host_is_there && replica_is_expected(&self.objects, namespace, service_label, host)
            });
        if none_ready || (!exists && host_is_expected) { expected } else { negative }
    }

    /// Addresses of what SRV and NS records point at.
    fn glue(&self, answer: &[Record]) -> Vec<Record> {
        let mut glue: Vec<Record> = Vec::new();
        for record in answer {
            let points = matches!(record.data, Rdata::Srv { .. } | Rdata::Ns(_));
            let Some(target) = record.data.target().filter(|_| points) else { continue };
            let addresses =
                |r: &&Record| matches!(r.data, Rdata::A(_) | Rdata::Aaaa(_)) && r.owner == *target;
            glue.extend(self.list.iter().filter(addresses).cloned());
        }
        glue.sort();
        glue.dedup();
        glue
    }
}

/// The records that a question's type asks for; of ANY, one RRset.
fn of_type(records: &[Record], rtype: u16) -> Vec<Record> {
    let exact = |rtype| records.iter().filter(|r| r.data.rtype() == rtype).cloned().collect::<Vec<_>>();
    if rtype != qtype::ANY {
        return exact(rtype);
    }
    let preferred =
        [qtype::CNAME, qtype::A, qtype::AAAA, qtype::SRV, qtype::PTR, qtype::TXT, qtype::SOA, qtype::NS];
    preferred.into_iter().map(exact).find(|rrset| !rrset.is_empty()).unwrap_or_default()
}
