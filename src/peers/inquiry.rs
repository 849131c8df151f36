//! Single names, asked for by themselves: what a server answers, and where it is nothing, why.
//!
//! A list says who is there. Why somebody is not, and whether a name gives the address that it should, is a question of
//! its own. It goes to the server that the list is of: no cache in between is made to remember a "no".

use std::fmt;
use std::net::IpAddr;

use super::datagram::Datagrams;
use super::options::{Options, OptionsError};
use super::place::Place;
use super::reading::{check, staleness};
use super::stream::Connection;
use super::trouble::Trouble;
use super::view::Question;
use super::way::{Server, Transport};
use crate::wire::record::{Data, Reply};
use crate::wire::{Name, rcode, rtype};

/// Asks for the addresses of a service and of hosts below it, when somebody wants to know.
pub struct Inquiry {
    place: Place,
    servers: Vec<Server>,
    /// Asked before the others.
    preferred: Option<Server>,
    /// A connection that may serve again.
    open: Option<(Server, Connection)>,
    #[cfg(feature = "tls")]
    tls: super::tls::Tls,
}

/// What was answered.
#[derive(Debug)]
pub struct Answers {
    /// Who answered.
    pub server: String,
    /// Of the service's own name.
    pub service: Result<Answer, Trouble>,
    /// Of the hosts, in the order they were asked for.
    pub hosts: Vec<(String, Result<Answer, Trouble>)>,
}

/// The addresses that a name has, or why it has none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answer {
    /// Of both families, IPv4 first. A name may have those of one alone.
    pub addresses: Vec<IpAddr>,
    /// The name is there (NOERROR), be it without addresses. Else it is not (NXDOMAIN).
    pub exists: bool,
    /// Said by whom the zone is of (AA), for both families.
    pub authoritative: bool,
    /// Said with an Extended DNS Error that the data are stale (RFC 8914, section 4).
    pub stale: bool,
    /// The sentence of the first Extended DNS Error, or its number where it has none.
    pub why: Option<String>,
}

impl Inquiry {
    /// Of the same service and servers as [`super::Peers::follow`].
    ///
    /// # Errors
    /// When a name or a server is missing or wrong.
    pub fn new(options: &Options) -> Result<Self, OptionsError> {
        #[cfg(feature = "tls")]
        let tls = super::tls::Tls::new(options.authorities.as_deref())
            .map_err(|trouble| OptionsError::Tls(trouble.to_string()))?;
        Ok(Self {
            place: options.place()?,
            servers: options.servers.clone(),
            preferred: None,
            open: None,
            #[cfg(feature = "tls")]
            tls,
        })
    }

    /// Asks this server first from now on, by its name in a list ([`super::List::server`]).
    pub fn prefer(&mut self, server: &str) {
        self.preferred = server.parse().ok().or(self.preferred.take());
    }

    /// The whole name of a host below the service, without its final dot; None where it can be none.
    #[must_use]
    pub fn name(&self, host: &str) -> Option<String> {
        let mut name = self.below(host)?.to_string();
        name.pop();
        Some(name)
    }

    /// The service's whole name, without its final dot.
    #[must_use]
    pub fn service(&self) -> String {
        let mut name = self.place.service.to_string();
        name.pop();
        name
    }

    fn below(&self, host: &str) -> Option<Name> {
        Name::under(&[host.as_bytes()], &self.place.service).ok()
    }

    /// Asks for the addresses of both families of the service and of these hosts, of one server: the first that gives an
    /// answer. A name that is not to be had of it has its own trouble; the rest stands.
    ///
    /// # Errors
    /// The trouble that tells most, where no server says anything.
    pub async fn ask(&mut self, hosts: &[String]) -> Result<Answers, Trouble> {
        let hosts: Vec<(&String, Name)> =
            hosts.iter().filter_map(|host| Some((host, self.below(host)?))).collect();
        let names = std::iter::once(&self.place.service).chain(hosts.iter().map(|(_, name)| name));
        let questions: Vec<Question> =
            names.flat_map(|name| [(name.clone(), rtype::A), (name.clone(), rtype::AAAA)]).collect();
        let mut told: Option<Result<Answers, Trouble>> = None;
        for server in self.order() {
            let said = server.to_string();
            let result = self.replies(&server, &questions).await.map(|replies| {
                let mut answers = questions
                    .chunks(2)
                    .zip(replies.chunks(2))
                    .map(|(questions, replies)| answer(&said, questions, replies));
                let service = answers.next().unwrap_or_else(|| Ok(Answer::default()));
                let hosts = hosts.iter().map(|(host, _)| (*host).clone()).zip(answers).collect();
                Answers { server: said.clone(), service, hosts }
            });
            match result {
                Ok(answers) if answers.service.is_ok() => return Ok(answers),
                result if told.as_ref().is_none_or(|told| weight(told) < weight(&result)) => {
                    told = Some(result);
                }
                _ => {}
            }
        }
        told.unwrap_or(Err(Trouble::NoPush("no server")))
    }

    fn order(&self) -> Vec<Server> {
        let rest = self.servers.iter().filter(|server| Some(*server) != self.preferred.as_ref());
        self.preferred.iter().chain(rest).cloned().collect()
    }

    async fn replies(&mut self, server: &Server, questions: &[Question]) -> Result<Vec<Reply>, Trouble> {
        match self.over_stream(server, questions).await {
            // Where TCP does not come through, UDP may: one question behind the other, and no longer all at one time.
            Err(_) if server.transport == Transport::Plain => {
                Datagrams::new(server.address, &server.to_string()).ask(questions).await
            }
            result => result,
        }
    }

    async fn over_stream(&mut self, server: &Server, questions: &[Question]) -> Result<Vec<Reply>, Trouble> {
        // One that stayed open may have been closed meanwhile: that is no trouble of the server's.
        if let Some((to, mut connection)) = self.open.take()
            && to == *server
            && let Ok(replies) = connection.ask(questions).await
        {
            self.open = Some((to, connection));
            return Ok(replies);
        }
        let mut connection = self.connect(server).await?;
        let replies = connection.ask(questions).await?;
        self.open = Some((server.clone(), connection));
        Ok(replies)
    }

    async fn connect(&self, server: &Server) -> Result<Connection, Trouble> {
        let said = server.to_string();
        if server.transport != Transport::Tls {
            return Connection::tcp(server.address, &said).await;
        }
        #[cfg(feature = "tls")]
        {
            Connection::tls(server.address, server.name.as_deref(), &said, &self.tls).await
        }
        #[cfg(not(feature = "tls"))]
        {
            Err(Trouble::NoPush("TLS is not built in"))
        }
    }
}

/// A server that says something counts more than one that is away.
fn weight(told: &Result<Answers, Trouble>) -> u8 {
    match told {
        Ok(_) => u8::MAX,
        Err(trouble) => trouble.weight(),
    }
}

/// The questions and replies are those of one name: A and AAAA. Both have to be answers.
fn answer(server: &str, questions: &[Question], replies: &[Reply]) -> Result<Answer, Trouble> {
    let mut answer = Answer { authoritative: true, ..Answer::default() };
    for (question, reply) in questions.iter().zip(replies) {
        check(server, question, reply)?;
        answer.exists |= reply.rcode == rcode::NOERROR;
        answer.authoritative &= reply.authoritative;
        answer.stale |= staleness(reply).is_some();
        answer.why = answer.why.or_else(|| why(reply));
        let of_name = reply.answer.iter().filter(|record| record.owner == question.0);
        answer.addresses.extend(of_name.filter_map(|record| match record.data {
            Some(Data::Address(address)) => Some(address),
            _ => None,
        }));
    }
    answer.addresses.sort_unstable();
    answer.addresses.dedup();
    // Of a name with addresses it is why one family has none: nothing is amiss there.
    answer.why = answer.why.filter(|_| answer.addresses.is_empty() || answer.stale);
    Ok(answer)
}

fn why(reply: &Reply) -> Option<String> {
    let sentence = reply.errors.iter().find(|(_, text)| !text.is_empty()).map(|(_, text)| text.clone());
    let number = || reply.errors.first().map(|(code, _)| format!("Extended DNS Error {code}"));
    sentence.or_else(number)
}

impl fmt::Display for Answer {
    /// `10.244.0.7`, `NXDOMAIN: web-1 is not ready`, `no addresses`, each with what makes it doubtful.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.addresses.as_slice(), self.exists) {
            ([], true) => f.write_str("no addresses")?,
            ([], false) => f.write_str("NXDOMAIN")?,
            ([first, rest @ ..], _) => {
                write!(f, "{first}")?;
                rest.iter().try_for_each(|address| write!(f, " {address}"))?;
            }
        }
        if self.stale {
            f.write_str(" from stale data")?;
        } else if self.addresses.is_empty() && !self.authoritative {
            f.write_str(" without authority")?;
        }
        self.why.as_ref().map_or(Ok(()), |why| write!(f, ": {why}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::record::Record;

    fn mk_reply(rcode: u16, addresses: &[&str], errors: &[(u16, &str)]) -> Reply {
        let record = |address: &&str| {
            let address: IpAddr = address.parse().unwrap();
            let rtype = if address.is_ipv4() { rtype::A } else { rtype::AAAA };
            Record { owner: mk_name(), rtype, ttl: 5, data: Some(Data::Address(address)) }
        };
        Reply {
            id: 1,
            question: None,
            rcode,
            authoritative: true,
            truncated: false,
            errors: errors.iter().map(|(code, text)| (*code, (*text).to_owned())).collect(),
            answer: addresses.iter().map(record).collect(),
            additional: Vec::new(),
        }
    }

    fn mk_name() -> Name {
        Name::from_text("web-0.nginx.default.svc.cluster.local").unwrap()
    }

    fn answered(replies: [Reply; 2]) -> Result<Answer, Trouble> {
        answer("server", &[(mk_name(), rtype::A), (mk_name(), rtype::AAAA)], &replies)
    }

    #[test]
    fn a_name_with_one_family_is_there() {
        let none = || mk_reply(rcode::NOERROR, &[], &[]);
        let v4 = || mk_reply(rcode::NOERROR, &["10.0.0.2", "10.0.0.1"], &[]);
        let v6 = || mk_reply(rcode::NOERROR, &["fd00::1"], &[]);
        let text = |replies| answered(replies).unwrap().to_string();
        let no_v6 = mk_reply(rcode::NOERROR, &[], &[(0, "every address of this name is IPv4")]);
        assert_eq!(text([v4(), none()]), "10.0.0.1 10.0.0.2");
        assert_eq!(text([v4(), no_v6]), "10.0.0.1 10.0.0.2");
        assert_eq!(text([none(), v6()]), "fd00::1");
        assert_eq!(text([v4(), v6()]), "10.0.0.1 10.0.0.2 fd00::1");
        assert_eq!(text([none(), none()]), "no addresses");
    }

    #[test]
    fn each_kind_of_nothing_has_its_words() {
        let no = |errors| mk_reply(rcode::NXDOMAIN, &[], errors);
        let text = |replies| answered(replies).unwrap().to_string();
        assert_eq!(text([no(&[]), no(&[])]), "NXDOMAIN");
        assert_eq!(text([no(&[(0, "web-0 waits")]), no(&[])]), "NXDOMAIN: web-0 waits");
        assert_eq!(text([no(&[(19, "")]), no(&[])]), "NXDOMAIN from stale data: Extended DNS Error 19");
        let hearsay = Reply { authoritative: false, ..no(&[]) };
        assert_eq!(text([no(&[]), hearsay]), "NXDOMAIN without authority");
    }

    #[test]
    fn half_an_answer_is_none() {
        let v4 = mk_reply(rcode::NOERROR, &["10.0.0.1"], &[]);
        let failed = mk_reply(rcode::SERVFAIL, &[], &[(14, "not ready yet")]);
        let trouble = answered([v4, failed]).unwrap_err().to_string();
        assert!(trouble.contains("SERVFAIL") && trouble.contains("not ready yet"), "{trouble}");
    }
}
