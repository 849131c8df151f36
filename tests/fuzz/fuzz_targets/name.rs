//! Names, from octets and from text: what `wire` reads is what hickory-proto reads.

#![no_main]

use hickory_proto::rr::Name as HickoryName;
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder, BinEncodable};
use libfuzzer_sys::fuzz_target;
use rollcall::wire::{Name, NameError, ParsedName, ReverseName, reverse_name};

fuzz_target!(|octets: &[u8]| {
    from_octets(octets);
    if let Ok(text) = std::str::from_utf8(octets) {
        from_text(text);
    }
});

fn from_octets(octets: &[u8]) {
    let mut name = ParsedName::default();
    // What was in the buffer before must not show.
    let _ = name.parse(b"\x3fxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\x01y\x00");
    let parsed = name.parse(octets);
    let mut decoder = BinDecoder::new(octets);
    let oracle = HickoryName::read(&mut decoder);
    match (parsed, oracle) {
        (Ok(length), Ok(oracle)) => {
            assert_eq!(length, decoder.index());
            assert_eq!(name.as_wire(), wire(&oracle), "{name}");
            parts(&name);
        }
        (Ok(_), Err(error)) => panic!("{name} is none for hickory-proto: {error}"),
        // hickory-proto follows pointers; in a message's first name there is nothing to point to.
        (Err(NameError::Malformed), Ok(_)) => assert!(octets.iter().any(|octet| *octet >= 0xc0)),
        (Err(error), Ok(oracle)) => panic!("{oracle} is read by hickory-proto, here: {error}"),
        (Err(_), Err(_)) => {}
    }
}

/// What is said of the parts is true of the whole.
fn parts(name: &ParsedName) {
    let count = name.label_count();
    let mut whole = Vec::new();
    for index in 0..count {
        let label = name.label(index);
        assert!((1..=63).contains(&label.len()));
        assert_eq!(label, name.label_from_right(count - 1 - index));
        assert_eq!(name.start(index), whole.len());
        whole.push(u8::try_from(label.len()).expect("at most 63"));
        whole.extend_from_slice(label);
        assert_eq!(name.labels(0, index + 1), whole);
        assert_eq!(name.labels_before(name.from_label(index), count - index), Some(index));
    }
    assert_eq!((name.label(count), name.label_from_right(count)), (&[][..], &[][..]));
    whole.push(0);
    assert_eq!(whole, name.as_wire());
    if let Some(reverse) = ReverseName::read(name) {
        assert_eq!(reverse.depth + reverse.extra + 2, count);
        if let Some(address) = reverse.address() {
            assert_eq!(reverse_name(address), name.to_string());
        }
    }
}

fn from_text(text: &str) {
    // Escapes are hickory-proto's own (it reads them in octal), and so are letters that are not ASCII.
    let host = text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    match (Name::from_text(text), HickoryName::from_ascii(text)) {
        (Ok(name), Ok(oracle)) => {
            assert_eq!(name.as_wire(), wire(&oracle), "{text:?}");
            there_and_back(&name);
        }
        // hickory-proto takes no text for a label that begins with a hyphen, nor the empty one for the root.
        (Ok(name), Err(error)) => {
            let hyphen = text.starts_with('-') || text.contains(".-");
            assert!(hyphen || text.is_empty(), "{name} is none for hickory-proto: {error}");
        }
        (Err(NameError::BadCharacter), _) => assert!(!host),
        (Err(error), Ok(oracle)) => assert!(!host, "{oracle} is read by hickory-proto, here: {error}"),
        (Err(_), Err(_)) => {}
    }
}

fn there_and_back(name: &Name) {
    assert_eq!(Name::from_text(&name.to_string()).as_ref(), Ok(name));
    let mut parsed = ParsedName::default();
    assert_eq!(parsed.parse(name.as_wire()), Ok(name.as_wire().len()));
    assert_eq!((parsed.as_wire(), parsed.label_count()), (name.as_wire(), name.label_count()));
    let labels: Vec<&[u8]> = (0..parsed.label_count()).map(|index| parsed.label(index)).collect();
    for split in 0..=labels.len() {
        let (front, back) = labels.split_at(split);
        let root = Name::from_text(".").expect("the root is a name");
        let parent = Name::under(back, &root).expect("a part of a name is one");
        assert_eq!(Name::under(front, &parent).as_ref(), Ok(name));
        assert!(name.is_within(&parent));
        assert_eq!(parent.is_within(name), split == 0);
    }
}

/// Lower case, with the root.
fn wire(oracle: &HickoryName) -> Vec<u8> {
    let mut name = oracle.to_lowercase();
    name.set_fqdn(true);
    name.to_bytes().expect("a name is encoded")
}
