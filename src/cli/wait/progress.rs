//! What is said while it is waited: what is missing, when that changes, and now and then that it still is.

use std::time::Duration;

use tokio::time::Instant;

use super::super::colour::plain;
use crate::run;

/// How often what has been said is said again.
const REMINDER: Duration = Duration::from_secs(10);

/// Says it on standard error, a line each; what servers say does nothing to a terminal.
pub(super) struct Progress {
    began: Instant,
    quiet: bool,
    said: String,
    /// When to say it again.
    pub(super) due: Instant,
}

impl Progress {
    pub(super) fn begin(quiet: bool, what: &str) -> Self {
        let began = Instant::now();
        let progress = Self { began, quiet, said: String::new(), due: began + REMINDER };
        progress.line(&format!("waiting for {what}"));
        progress
    }

    /// Of what is missing now, where it was not said last.
    pub(super) fn tell(&mut self, lacks: &str) {
        if self.said != lacks {
            lacks.clone_into(&mut self.said);
            self.line(&format!("{}: {lacks}", self.elapsed()));
            self.due = Instant::now() + REMINDER;
        }
    }

    /// What is missing still.
    pub(super) fn remind(&mut self, lacks: &str) {
        let still = if self.said == lacks { "still " } else { "" };
        lacks.clone_into(&mut self.said);
        self.line(&format!("{}: {still}{lacks}", self.elapsed()));
        self.due = Instant::now() + REMINDER;
    }

    pub(super) fn done(&self, what: &str) {
        self.line(&format!("{}: {what}", self.elapsed()));
    }

    fn elapsed(&self) -> String {
        format!("{:.1} s", self.began.elapsed().as_secs_f32())
    }

    fn line(&self, text: &str) {
        if !self.quiet {
            run::say(&plain(text));
        }
    }
}
