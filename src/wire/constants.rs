//! The numbers of the IANA DNS parameters registry that the server uses.

/// Record types (RFC 1035, section 3.2.2, and later).
#[allow(missing_docs)] // their names are their meaning
pub mod rtype {
    pub const A: u16 = 1;
    pub const NS: u16 = 2;
    pub const CNAME: u16 = 5;
    pub const SOA: u16 = 6;
    pub const PTR: u16 = 12;
    pub const TXT: u16 = 16;
    pub const AAAA: u16 = 28;
    pub const SRV: u16 = 33;
    pub const OPT: u16 = 41;
    pub const HTTPS: u16 = 65;
    pub const IXFR: u16 = 251;
    pub const AXFR: u16 = 252;
    pub const ANY: u16 = 255;
}

/// Classes (RFC 1035, section 3.2.4).
#[allow(missing_docs)]
pub mod class {
    pub const IN: u16 = 1;
    pub const CH: u16 = 3;
}

/// Response codes (RFC 1035, section 4.1.1; 16 from RFC 6891, section 6.1.3).
#[allow(missing_docs)]
pub mod rcode {
    pub const NOERROR: u16 = 0;
    pub const FORMERR: u16 = 1;
    pub const SERVFAIL: u16 = 2;
    pub const NXDOMAIN: u16 = 3;
    pub const NOTIMP: u16 = 4;
    pub const REFUSED: u16 = 5;
    pub const BADVERS: u16 = 16;
}

/// Extended DNS Error codes (RFC 8914, section 4).
pub mod ede {
    /// No code of its own: the text says it.
    pub const OTHER: u16 = 0;
    /// The server has no data yet (section 4.15).
    pub const NOT_READY: u16 = 14;
    /// The question is outside the zones served (section 4.21).
    pub const NOT_AUTHORITATIVE: u16 = 20;
}
