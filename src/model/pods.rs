//! Pods and their claims, as far as a sentence about a replica that is not ready tells of them.
//!
//! What Kubernetes, a scheduler or a container's runtime wrote is foreign text: here it is [`Text`], bounded and clean.

use std::fmt;

/// Somebody else's text as a line of a sentence: printable ASCII, at most [`Text::MOST`] octets.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Text(Box<str>);

impl Text {
    /// As long as a whole sentence may be: of a longer one nothing could be told.
    pub const MOST: usize = 200;

    /// Cleans a text: white space of any kind and length is one space, what is not printable ASCII a `?`, and what is
    /// too long is cut with an ellipsis.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let mut clean = String::new();
        // A message may be as long as an object: what is cut away is not looked at.
        for word in text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty())
        {
            if !clean.is_empty() {
                clean.push(' ');
            }
            let left = (Self::MOST + 1).saturating_sub(clean.len());
            clean.extend(word.chars().take(left).map(|c| if c.is_ascii_graphic() { c } else { '?' }));
            if clean.len() > Self::MOST {
                clean.truncate(Self::MOST - 3);
                clean.push_str("...");
                break;
            }
        }
        Self(clean.into())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

/// When something began.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Moment {
    /// Seconds since 1970.
    pub seconds: i64,
    /// As a sentence says it: `14:02 UTC`, with the date where that was another day.
    pub text: Text,
}

/// `status.phase` of a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(missing_docs)] // the API's
pub enum Phase {
    Pending,
    Running,
    Succeeded,
    Failed,
    /// Not told, or not known here.
    #[default]
    Unknown,
}

/// A pod, as far as it says why it is not ready.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PodState {
    /// Its name; that of a replica is its set's, with an ordinal.
    pub name: Box<str>,
    /// Tells a pod that was made anew from the one before.
    pub uid: Box<str>,
    /// `status.phase`.
    pub phase: Phase,
    /// The condition `PodScheduled` is true: it has a node.
    pub scheduled: bool,
    /// What keeps it from starting: what the scheduler says, else the last event that says so. Empty where nobody does.
    pub pending: Text,
    /// Its node; empty before it has one.
    pub node: Text,
    /// The condition `Ready`.
    pub ready: bool,
    /// Since when it is as it is.
    pub ready_since: Option<Moment>,
    /// Why it is not true, as the kubelet says: `containers with unready status: [nginx]`.
    pub ready_message: Text,
    /// Its containers are ready and the pod is not, and no gate is the reason: that is what the control plane writes of
    /// the pods of a node that it has not heard of.
    pub node_silent: bool,
    /// It is being deleted.
    pub terminating: Option<Terminating>,
    /// The first of its containers that cannot start.
    pub waiting: Option<Waiting>,
    /// Of the volumes that it names, in their order.
    pub claims: Box<[Claim]>,
}

/// A pod that is being deleted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Terminating {
    /// When that was asked for.
    pub since: Moment,
    /// Its time to end by itself is over.
    pub overdue: bool,
    /// The control plane deletes it for what its node is tainted with: unreachable, mostly.
    pub evicted: bool,
    /// The first that keeps it; empty where none does.
    pub finalizer: Text,
}

/// A container that waits.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Waiting {
    /// `ImagePullBackOff`.
    pub reason: Text,
    /// `image nginx:oops`, `container nginx`.
    pub detail: Text,
}

/// A PersistentVolumeClaim.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Claim {
    /// Its name.
    pub name: Box<str>,
    /// Whether it has its volume; None where nobody looked.
    pub bound: Option<bool>,
    /// `spec.storageClassName`; empty where it names none.
    pub class: Text,
}

impl PodState {
    /// Octets of memory, near enough for a bound.
    #[must_use]
    pub fn size(&self) -> usize {
        let waiting = self.waiting.as_ref().map_or(0, |w| w.reason.0.len() + w.detail.0.len());
        let terminating = self.terminating.as_ref().map_or(0, |t| t.since.text.0.len() + t.finalizer.0.len());
        let claim = |claim: &Claim| size_of::<Claim>() + claim.name.len() + claim.class.0.len();
        let texts = [&self.pending, &self.node, &self.ready_message].map(|text| text.0.len());
        size_of::<Self>()
            + self.name.len()
            + self.uid.len()
            + texts.iter().sum::<usize>()
            + self.ready_since.as_ref().map_or(0, |since| since.text.0.len())
            + waiting
            + terminating
            + self.claims.iter().map(claim).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_one_line_of_ascii() {
        let clean = |text: &str| Text::new(text).as_str().to_owned();
        assert_eq!(
            clean(" 0/3 nodes are\r\n\tavailable: \u{e4}\u{1b}[31m\u{0}x "),
            "0/3 nodes are available: ? [31m x"
        );
        assert_eq!(clean("\u{202e}\u{7f}"), "?");
        assert_eq!(clean(""), "");
    }

    #[test]
    fn a_text_that_is_too_long_is_cut_and_says_so() {
        let just = "x".repeat(Text::MOST);
        assert_eq!(Text::new(&just).as_str(), just);
        for long in [format!("{just}y"), format!("{just} y"), "x".repeat(1 << 20), "ab ".repeat(1000)] {
            let cut = Text::new(&long);
            assert_eq!(cut.as_str().len(), Text::MOST);
            assert!(
                cut.as_str().ends_with("...") && long.starts_with(&cut.as_str()[..Text::MOST - 3]),
                "{cut}"
            );
        }
    }
}
