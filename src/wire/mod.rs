//! DNS messages as octets: names, queries, responses, EDNS, reverse names.
//!
//! Nothing here allocates on the way of a query and nothing here knows Kubernetes. A leaf: imports nothing of
//! the house. hickory-proto is the oracle that the tests hold these parsers and writers against.

mod constants;
pub mod dso;
mod finished;
mod name;
mod query;
pub mod record;
mod response;
mod reverse;

pub use constants::{class, rcode, rtype};
pub use finished::{has_option, least_ttl, pad};
pub use name::{Name, NameError, ParsedName};
pub use query::{Edns, Query, QueryError};
pub use response::{Extended, Full, RecordSet, Response, SrvTarget};
pub use reverse::{ReverseName, reverse_name};
