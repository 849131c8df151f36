//! The cluster's objects, slim: only what a record is made of, parsed once at the border.
//!
//! A value of these types is valid: names are DNS labels, addresses are addresses, ports are not 0. What a
//! manifest or an API server can get wrong is refused where it is read (`source`), never here and never later.
//! A leaf: imports nothing of the house.

mod hold;
mod label;
mod objects;
mod ordinal;
mod pods;
mod selector;

pub use hold::Hold;
pub use label::{Label, LabelError, is_object_name};
pub use objects::{
    Endpoint, EndpointSlice, Namespace, Object, Pod, PodReference, Port, Protocol, Service, ServiceKey,
    ServiceShape, StatefulSet, TtlOverrides,
};
pub use ordinal::ordinal;
pub use pods::{Claim, Moment, Phase, PodState, Terminating, Text, Waiting};
pub use selector::{Selector, SelectorError};
