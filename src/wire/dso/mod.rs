//! DNS Stateful Operations (RFC 8490) and those of DNS Push Notifications (RFC 8765), as octets.
//!
//! A message is a DNS header of opcode 6 with all four counts 0, and type-length-values behind it: the first says what
//! the message is, the others add to it. One with an ID asks for a response, one without (ID 0) does not.

mod client;
mod read;
mod write;

pub use client::{Change, Said, ask_keepalive, subscribe, unsubscribe};
pub use read::{Fault, Operation, Request, Subscription, is_stateful};
pub use write::{Changes, Keepalive, MAX_PUSH, dictate_keepalive, keepalive, response, retry_delay};

/// OPCODE 6 in the header's second 16 bits (RFC 8490, section 10.1).
const OPCODE_DSO: u16 = 6 << 11;

/// DSO-TYPE codes (RFC 8490, section 10.3; RFC 8765, section 8).
mod tlv {
    pub(super) const KEEPALIVE: u16 = 1;
    pub(super) const RETRY_DELAY: u16 = 2;
    pub(super) const PADDING: u16 = 3;
    pub(super) const SUBSCRIBE: u16 = 0x40;
    pub(super) const PUSH: u16 = 0x41;
    pub(super) const UNSUBSCRIBE: u16 = 0x42;
    pub(super) const RECONFIRM: u16 = 0x43;
}

/// Type and length in front of a value (RFC 8490, section 5.4.4).
const TLV_HEAD: usize = 4;

/// The TTLs of a change notification that add nothing (RFC 8765, section 6.3.1).
pub mod removal {
    /// The record with this name, type, class and data.
    pub const OF_RECORD: u32 = 0xFFFF_FFFF;
    /// All records with this name, type and class, without their data; type ANY is every type.
    pub const OF_SET: u32 = 0xFFFF_FFFE;
}
