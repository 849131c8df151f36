//! Until when a certificate is valid: the one thing of X.509 that is asked of it here, so that no parser of all of it is
//! brought along.

/// The tags of DER (X.690, section 8.1.2) that stand on the way to it.
const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// The `notAfter` of a certificate in DER (RFC 5280, section 4.1.2.5), in seconds since 1970; None where it does not
/// read like one.
pub(super) fn not_after(certificate: &[u8]) -> Option<u64> {
    let (certificate, _) = expect(certificate, SEQUENCE)?;
    let (mut fields, _) = expect(certificate, SEQUENCE)?;
    if fields.first() == Some(&VERSION) {
        (_, _, fields) = element(fields)?;
    }
    // Serial number, signature algorithm, issuer.
    for _ in 0..3 {
        (_, _, fields) = element(fields)?;
    }
    let (validity, _) = expect(fields, SEQUENCE)?;
    let (_, _, after) = element(validity)?;
    let (tag, time, _) = element(after)?;
    seconds(tag, time)
}

/// Tag, contents, and what is behind them.
fn element(octets: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = octets.split_first()?;
    let (&first, mut rest) = rest.split_first()?;
    let mut length = usize::from(first);
    if first & 0x80 != 0 {
        let (octets, behind) = rest.split_at_checked(usize::from(first & 0x7f))?;
        // 16 MiB are more than any certificate has.
        if octets.len() > 3 {
            return None;
        }
        length = octets.iter().fold(0, |length, octet| length << 8 | usize::from(*octet));
        rest = behind;
    }
    let (contents, behind) = rest.split_at_checked(length)?;
    Some((tag, contents, behind))
}

fn expect(octets: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (found, contents, behind) = element(octets)?;
    (found == tag).then_some((contents, behind))
}

/// `YYMMDDhhmmssZ` of the years 1950 to 2049, or `YYYYMMDDhhmmssZ`.
fn seconds(tag: u8, text: &[u8]) -> Option<u64> {
    let digits = text.strip_suffix(b"Z")?;
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = |octets: &[u8]| octets.iter().fold(0, |number, octet| number * 10 + u64::from(octet - b'0'));
    let (year, rest) = match tag {
        UTC_TIME => {
            let (year, rest) = digits.split_at_checked(2)?;
            let year = number(year);
            (if year < 50 { 2000 + year } else { 1900 + year }, rest)
        }
        GENERALIZED_TIME => {
            let (year, rest) = digits.split_at_checked(4)?;
            (number(year), rest)
        }
        _ => return None,
    };
    let [m0, m1, d0, d1, rest @ ..] = rest else { return None };
    let [h0, h1, i0, i1, s0, s1] = rest else { return None };
    let (month, day) = (number(&[*m0, *m1]), number(&[*d0, *d1]));
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // Days since 1 March of the year 0, by years that begin in March: leap days are their last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year.checked_sub(1)?, month + 9) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1;
    let days = days.checked_sub(719_468)?;
    Some(((days * 24 + number(&[*h0, *h1])) * 60 + number(&[*i0, *i1])) * 60 + number(&[*s0, *s1]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_time() {
        let utc = |text: &str| seconds(UTC_TIME, text.as_bytes());
        assert_eq!(utc("700101000000Z"), Some(0));
        assert_eq!(utc("261121134200Z"), Some(1_795_268_520));
        assert_eq!(utc("000229235959Z"), Some(951_868_799));
        assert_eq!(utc("491231235959Z"), Some(2_524_607_999));
        assert_eq!(utc("500101000000Z"), None, "before 1970");
        let general = |text: &str| seconds(GENERALIZED_TIME, text.as_bytes());
        assert_eq!(general("20500101000000Z"), Some(2_524_608_000));
        // RFC 5280, section 4.1.2.5: no end.
        assert_eq!(general("99991231235959Z"), Some(253_402_300_799));
        for bad in ["", "Z", "261121134200", "2611211342Z", "261321134200Z", "26112x134200Z", "260021134200Z"]
        {
            assert_eq!(utc(bad), None, "{bad}");
        }
        assert_eq!(seconds(4, b"261121134200Z"), None);
    }

    #[test]
    fn a_certificate_says_its_end_and_a_cut_one_nothing() {
        for (year, end) in [(2031, 1_926_979_200), (2071, 3_189_283_200)] {
            let mut params = rcgen::CertificateParams::new(vec!["dns.example".to_owned()]).unwrap();
            params.not_after = rcgen::date_time_ymd(year, 1, 24);
            let key = rcgen::KeyPair::generate().unwrap();
            let der = params.self_signed(&key).unwrap().der().to_vec();
            assert_eq!(not_after(&der), Some(end));
            for cut in 0..100 {
                assert_eq!(not_after(&der[..cut]), None, "{cut}");
            }
        }
        assert_eq!(not_after(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff, 0x30]), None);
    }
}
