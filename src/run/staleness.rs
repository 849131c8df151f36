//! How long ago what is served was known to be right, and what follows from it (RFC 8767 says the like of caches).

use std::time::Duration;

use tokio::time::Instant;

use crate::config::Stale;
use crate::zone::Freshness;

/// An API server that is restarted is away for less: until then times to live stay as they are.
pub(super) const GRACE: Duration = Duration::from_secs(30);

/// A moment, which may lie before this process was started, or the machine.
#[derive(Debug, Clone, Copy)]
pub(super) struct Since {
    /// Later than it by so much
    age: Duration,
    /// was this.
    at: Instant,
}

impl Since {
    /// So long ago.
    pub(super) fn ago(age: Duration) -> Self {
        Self { age, at: Instant::now() }
    }

    /// How long ago it is.
    pub(super) fn age(self) -> Duration {
        self.age.saturating_add(self.at.elapsed())
    }

    /// As people say it: the time of the day, of a day long ago with its date; UTC.
    pub(super) fn text(self) -> String {
        let age = jiff::SignedDuration::try_from(self.age()).unwrap_or(jiff::SignedDuration::MAX);
        let Ok(moment) = jiff::Timestamp::now().checked_sub(age) else { return "long ago".to_owned() };
        let form = if age.as_hours() < 20 { "%H:%M UTC" } else { "%Y-%m-%d %H:%M UTC" };
        moment.strftime(form).to_string()
    }

    /// The earlier one.
    pub(super) fn or_before(self, other: Self) -> Self {
        if other.age() > self.age() { other } else { self }
    }
}

/// What is said of records that have been stale since then, and after which time to ask again.
pub(super) fn freshness(since: Option<Since>, stale: &Stale) -> (Freshness, Option<Duration>) {
    let Some(age) = since.map(Since::age) else { return (Freshness::Fresh, None) };
    let left = stale.max_age.map(|max_age| max_age.saturating_sub(age));
    if left == Some(Duration::ZERO) {
        return (Freshness::Expired, None);
    }
    match GRACE.checked_sub(age).filter(|grace| !grace.is_zero()) {
        Some(grace) => (Freshness::Fresh, Some(left.map_or(grace, |left| left.min(grace)))),
        None => (Freshness::Stale { ttl_cap: stale.ttl_cap }, left),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn fresh_then_capped_then_expired() {
        let stale = Stale { max_age: Some(Duration::from_secs(100)), ttl_cap: 7 };
        assert_eq!(freshness(None, &stale), (Freshness::Fresh, None));
        let since = Since::ago(Duration::from_secs(10));
        assert_eq!(freshness(Some(since), &stale), (Freshness::Fresh, Some(Duration::from_secs(20))));
        tokio::time::advance(Duration::from_secs(20)).await;
        let capped = Freshness::Stale { ttl_cap: 7 };
        assert_eq!(freshness(Some(since), &stale), (capped, Some(Duration::from_secs(70))));
        tokio::time::advance(Duration::from_secs(69)).await;
        assert_eq!(freshness(Some(since), &stale).0, capped);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(freshness(Some(since), &stale), (Freshness::Expired, None));
        let for_ever = Stale { max_age: None, ..stale };
        assert_eq!(freshness(Some(since), &for_ever), (capped, None));
        let short = Stale { max_age: Some(Duration::from_secs(20)), ..stale };
        let since = Since::ago(Duration::from_secs(5));
        assert_eq!(freshness(Some(since), &short), (Freshness::Fresh, Some(Duration::from_secs(15))));
    }

    #[tokio::test(start_paused = true)]
    async fn a_moment_has_its_date_where_it_is_of_another_day() {
        let shape = |age| {
            let text = Since::ago(age).text();
            text.chars().map(|c| if c.is_ascii_digit() { '9' } else { c }).collect::<String>()
        };
        assert_eq!(shape(Duration::from_secs(60)), "99:99 UTC");
        assert_eq!(shape(Duration::from_hours(48)), "9999-99-99 99:99 UTC");
        assert_eq!(shape(Duration::MAX), "long ago");
    }

    #[tokio::test(start_paused = true)]
    async fn the_earlier_of_two() {
        let (early, late) = (Since::ago(Duration::MAX), Since::ago(Duration::ZERO));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(late.or_before(early).age(), Duration::MAX);
        assert_eq!(late.or_before(late).age(), Duration::from_secs(1));
    }
}
