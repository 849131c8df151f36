//! From what somebody typed to the name that is asked for, as a pod's resolver gets there.

use std::net::IpAddr;

use hickory_proto::rr::RecordType;

use super::answer::{Answered, Asked, ask};
use super::explanation::Searched;
use super::form::{Form, Front};
use super::typed::Typed;
use crate::reasons::{Answer, Reason};
use crate::wire::{NameError, reverse_name};
use crate::zone::View;

/// A name and a type as typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// A name, short or whole, or an address.
    pub typed: String,
    /// The type; without one it is that which the name is asked for most.
    pub rtype: Option<String>,
    /// The namespace of the pod that asks: short names are completed by it.
    pub namespace: String,
}

/// Why what was typed cannot be asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)] // the sentences
pub enum QuestionError {
    #[error("there is no name")]
    NoName,
    #[error("{0} is no name: it {1}")]
    BadName(String, NameError),
    #[error("{0} is no type of record")]
    BadType(String),
}

/// The name that is explained, and those that a resolver tries before it.
pub(super) struct Chosen {
    pub(super) asked: Asked,
    /// Empty where nothing had to be completed.
    pub(super) searched: Vec<Searched>,
}

impl Question {
    /// The type to ask for.
    fn rtype(&self, name: &Typed) -> Result<u16, QuestionError> {
        let Some(text) = &self.rtype else {
            return Ok(if name.is_reverse() {
                RecordType::PTR.into()
            } else if name.is_of_port() {
                RecordType::SRV.into()
            } else {
                RecordType::A.into()
            });
        };
        let upper = text.to_ascii_uppercase();
        // RFC 3597, section 5.
        if let Some(number) = upper.strip_prefix("TYPE").and_then(|number| number.parse().ok()) {
            return Ok(number);
        }
        let rtype = upper.parse::<RecordType>().map_err(|_| QuestionError::BadType(text.clone()))?;
        Ok(rtype.into())
    }

    /// The names that are tried, in order. A name of the zone, a reverse name, and one with a dot at its end are tried by
    /// themselves; others as the search path of a pod completes them (Kubernetes gives it `ndots:5`).
    fn candidates(&self, zone: &str) -> Result<Vec<Typed>, QuestionError> {
        let text = self.typed.trim();
        if text.is_empty() {
            return Err(QuestionError::NoName);
        }
        let bad = |error| QuestionError::BadName(text.to_owned(), error);
        let parse = |text: &str| Typed::parse(text).map_err(bad);
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(vec![parse(&reverse_name(address))?]);
        }
        let (zone, typed) = (parse(zone)?, parse(text)?);
        if text.ends_with('.') || typed.is_within(&zone) || typed.is_reverse() {
            return Ok(vec![typed]);
        }
        let path = [format!("{}.svc", self.namespace), "svc".to_owned()];
        let path = path.iter().filter_map(|path| Typed::parse(path).ok()?.under(&zone));
        // One that becomes too long is not tried.
        let searched = path.chain([zone.clone()]).filter_map(|domain| typed.under(&domain));
        Ok(searched.chain([typed.clone()]).collect())
    }
}

/// The name to explain: the one at which a pod's search ends, or where all of them are denied the one whose denial says
/// most.
pub(super) fn choose(question: &Question, view: &View<'_>) -> Result<Chosen, QuestionError> {
    let candidates = question.candidates(&view.settings().zone.to_string())?;
    let rtype = question.rtype(candidates.first().ok_or(QuestionError::NoName)?)?;
    if let [name] = candidates.as_slice() {
        return Ok(Chosen { asked: Asked::new(name, rtype), searched: Vec::new() });
    }
    let mut searched = Vec::new();
    let mut best: Option<(u8, Asked)> = None;
    for name in candidates {
        let asked = Asked::new(&name, rtype);
        let (code, rank) =
            ask(view, &asked, |answered| (answered.message.metadata.response_code, rank(view, answered)));
        searched.push(Searched { name: asked.name.clone(), code: super::answer::code_name(code.into()) });
        // The first of the best: the search goes on only behind a denial.
        if best.as_ref().is_none_or(|(least, _)| rank > *least) {
            best = Some((rank, asked));
        }
    }
    let (_, asked) = best.ok_or(QuestionError::NoName)?;
    Ok(Chosen { asked, searched })
}

/// How much an answer says about what was meant.
fn rank(view: &View<'_>, answered: &Answered<'_>) -> u8 {
    match (answered.answer, answered.reason) {
        (Answer::Records, _) => 9,
        (Answer::NoData, Some(Reason::OnlyBelow)) => 7,
        (Answer::NoData, _) => 8,
        (Answer::Failed, _) => 6,
        (_, Some(Reason::OutsideZones)) => 1,
        (_, Some(Reason::NoSuchName | Reason::NoPodNames)) => 0,
        (_, Some(Reason::NoSuchNamespace)) => 2,
        (_, Some(Reason::NoSuchService)) => match Form::of(view, &answered.query.name) {
            Form::Service { namespace, .. } if !view.knows_namespace(namespace.as_bytes()) => 0,
            // `nginx.shop`: the namespace is there, and may be meant more than a host of a Service shop.
            Form::Service { front: Front::Itself, .. } => 4,
            _ => 3,
        },
        (_, Some(Reason::NamespaceLeftOut)) => 2,
        (Answer::Refused, _) => 1,
        // A Service was found, or one that may be meant.
        (Answer::NoName, _) => 5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mk_question(typed: &str) -> Question {
        Question { typed: typed.into(), rtype: None, namespace: "shop".into() }
    }

    fn names(typed: &str) -> Vec<String> {
        let names = mk_question(typed).candidates("cluster.local.").unwrap();
        names.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn short_names_are_completed_as_a_pods_search_path_does() {
        assert_eq!(
            names(" web-0.nginx "),
            [
                "web-0.nginx.shop.svc.cluster.local.",
                "web-0.nginx.svc.cluster.local.",
                "web-0.nginx.cluster.local.",
                "web-0.nginx."
            ]
        );
        for (typed, whole) in [
            ("nginx.default.svc.cluster.local", "nginx.default.svc.cluster.local."),
            ("NGINX.default.svc.Cluster.Local.", "NGINX.default.svc.Cluster.Local."),
            ("example.org.", "example.org."),
            ("cluster.local", "cluster.local."),
            ("10.244.0.7", "7.0.244.10.in-addr.arpa."),
            ("7.0.244.10.in-addr.arpa", "7.0.244.10.in-addr.arpa."),
        ] {
            assert_eq!(names(typed), [whole], "{typed}");
        }
        let reverse = &names("fd00::1")[0];
        assert!(reverse.starts_with("1.0.0.") && reverse.ends_with(".d.f.ip6.arpa."), "{reverse}");
    }

    #[test]
    fn what_is_no_name_is_said() {
        for bad in ["", " ", "a..b", ".a", "a b.c", "\u{e4}", &"x".repeat(64), &"x.".repeat(128)] {
            assert!(mk_question(bad).candidates("cluster.local.").is_err(), "{bad}");
        }
        // Too long only with what completes it.
        let long = "x.".repeat(125);
        assert_eq!(names(long.trim_end_matches('.')).len(), 1);
    }

    #[test]
    fn the_type_is_that_of_the_name() {
        let rtype = |typed: &str, rtype: Option<&str>| {
            let question = Question { rtype: rtype.map(ToOwned::to_owned), ..mk_question(typed) };
            question.rtype(&question.candidates("cluster.local.").unwrap()[0])
        };
        assert_eq!(rtype("web-0.nginx", None), Ok(1));
        assert_eq!(rtype("_web._tcp.nginx", None), Ok(33));
        assert_eq!(rtype("10.244.0.7", None), Ok(12));
        assert_eq!(rtype("web-0.nginx", Some("aaaa")), Ok(28));
        assert_eq!(rtype("web-0.nginx", Some("type65400")), Ok(65400));
        assert_eq!(rtype("web-0.nginx", Some("nonsense")), Err(QuestionError::BadType("nonsense".into())));
    }
}
