//! Server-sent events, from octets to events (WHATWG HTML, section 9.2.6), as far as a client of ours needs them.

/// The most octets of an event: a change with its 64 replicas is some ten thousand.
const MOST: usize = 1 << 20;

/// An event without an end is no event of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an event of more than {MOST} octets")]
pub struct TooLong;

/// An event; a comment, which is a sign of life, is none.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Event {
    pub name: String,
    /// Where to go on; empty where it does not say.
    pub id: String,
    pub data: String,
}

/// Takes octets as they come and gives whole events.
#[derive(Debug, Default)]
pub struct Events {
    rest: Vec<u8>,
}

impl Events {
    /// The events that these octets end.
    ///
    /// # Errors
    /// [`TooLong`].
    pub fn take(&mut self, octets: &[u8]) -> Result<Vec<Event>, TooLong> {
        self.rest.extend_from_slice(octets);
        let mut events = Vec::new();
        let mut from = 0;
        while let Some(end) = self.rest[from..].windows(2).position(|pair| pair == b"\n\n") {
            events.extend(event(&self.rest[from..from + end]));
            from += end + 2;
        }
        self.rest.drain(..from);
        if self.rest.len() > MOST { Err(TooLong) } else { Ok(events) }
    }
}

fn event(octets: &[u8]) -> Option<Event> {
    let text = String::from_utf8_lossy(octets);
    let mut event = Event { name: "message".to_owned(), id: String::new(), data: String::new() };
    let mut is_told = false;
    for (field, value) in text.lines().filter_map(|line| line.split_once(':')) {
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut event.name),
            "id" => value.clone_into(&mut event.id),
            "data" => {
                if is_told {
                    event.data.push('\n');
                }
                event.data.push_str(value);
                is_told = true;
            }
            _ => {}
        }
    }
    is_told.then_some(event)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_in_pieces() {
        let text =
            "retry: 2000\n\nevent: change\nid: a-7\ndata: {\"a\":1}\n\n: beat\n\nevent: end\ndata: {}\n\n";
        for size in [1, 3, 1000] {
            let mut events = Events::default();
            let taken: Vec<Event> =
                text.as_bytes().chunks(size).flat_map(|piece| events.take(piece).unwrap()).collect();
            let names: Vec<(&str, &str, &str)> =
                taken.iter().map(|e| (e.name.as_str(), e.id.as_str(), e.data.as_str())).collect();
            assert_eq!(names, [("change", "a-7", "{\"a\":1}"), ("end", "", "{}")], "{size}");
        }
    }

    #[test]
    fn what_has_no_end_is_not_kept() {
        let mut events = Events::default();
        assert_eq!(events.take(&vec![b'x'; MOST]), Ok(Vec::new()));
        assert_eq!(events.take(b"x"), Err(TooLong));
    }
}
