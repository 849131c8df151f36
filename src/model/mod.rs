//! The cluster's objects, slim: only what a record is made of, parsed once at the border.
//!
//! A value of these types is valid: names are DNS labels, addresses are addresses, ports are not 0. What a
//! manifest or an API server can get wrong is refused where it is read (`source`), never here and never later.
//! A leaf: imports nothing of the house.

mod label;
mod objects;
mod selector;

pub use label::{Label, LabelError};
pub use objects::{
    Endpoint, EndpointSlice, Namespace, Object, Pod, PodReference, Port, Protocol, Service, ServiceKey,
    ServiceShape, StatefulSet, TtlOverrides,
};
pub use selector::{Selector, SelectorError};
