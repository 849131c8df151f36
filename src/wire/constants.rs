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
    pub const ANY: u16 = 255;
}

/// Response codes (RFC 1035, section 4.1.1; 9 from RFC 2136, section 2.2; 11 from RFC 8490, section 5.4.5; 16 from
/// RFC 6891, section 6.1.3).
#[allow(missing_docs)]
pub mod rcode {
    pub const NOERROR: u16 = 0;
    pub const FORMERR: u16 = 1;
    pub const SERVFAIL: u16 = 2;
    pub const NXDOMAIN: u16 = 3;
    pub const NOTIMP: u16 = 4;
    pub const REFUSED: u16 = 5;
    pub const NOTAUTH: u16 = 9;
    pub const DSOTYPENI: u16 = 11;
    pub const BADVERS: u16 = 16;
}
