//! Follows a server for `watch`: asks for all of it, then hears of changes and asks for what changed.

mod asking;
mod live;
#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::future::poll_fn;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::task::Poll;
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::time::sleep;

use super::remote::Server;
use crate::watch::terminal::{self, Ending, Input, MOST_WAITING, Over};
use crate::watch::{News, State};
use live::End;

/// Sets that a screen shows: beyond, a namespace has to be chosen.
pub const MOST_SETS: usize = 5000;
/// Between two tries: doubled from the first to the last.
const WAIT: (u64, u64) = (1, 16);
/// Characters of an error: what a server says may be of any length.
const MOST_SAID: usize = 400;

/// Everything once: so many sets, and more where the last part has more.
///
/// # Errors
/// When the server cannot be asked.
pub fn look(server: &Server, namespace: Option<&str>, most: usize) -> anyhow::Result<Vec<News>> {
    super::offline::wait_for(async {
        let (mut news, _) = asking::all(server, namespace, most).await?;
        news.extend([News::Changes(asking::changes(server, namespace).await?.changes), News::Live]);
        Ok(news)
    })
}

/// Why it did not work, as far as one reads. It may hold a server's words, as they came.
#[must_use]
pub fn why(error: &anyhow::Error) -> String {
    crate::source::chain(error.as_ref()).chars().take(MOST_SAID).collect()
}

/// Shows the server on the terminal, from the state that it was found in, until somebody quits or a signal comes.
///
/// # Errors
/// Those of the terminal, and where there is no thread to be had.
pub fn show(server: Server, state: State, namespace: Option<String>, colour: bool) -> anyhow::Result<()> {
    let (inputs_tx, inputs_rx) = sync_channel(MOST_WAITING);
    let (chosen_tx, chosen_rx) = watch::channel(namespace);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("cannot start tokio")?;
    let keys_tx = inputs_tx.clone();
    // It ends with the process, as nothing that it does has to be finished.
    thread::Builder::new()
        .name("watch".to_owned())
        .spawn(move || {
            let ending = Ending(inputs_tx);
            runtime.block_on(follow_until_signal(&server, chosen_rx, &ending.0));
        })
        .context("cannot start a thread")?;
    // The one that follows has its end of it until the process ends.
    let choose = |namespace| chosen_tx.send_replace(namespace);
    let over = terminal::show(state, colour, keys_tx, &inputs_rx, |namespace| drop(choose(namespace)))
        .context("the terminal cannot be drawn on")?;
    anyhow::ensure!(over != Over::Panicked, "it went wrong, as is said above");
    Ok(())
}

async fn follow_until_signal(
    server: &Server,
    chosen: watch::Receiver<Option<String>>,
    inputs: &SyncSender<Input>,
) {
    let kinds = [SignalKind::terminate(), SignalKind::hangup(), SignalKind::interrupt(), SignalKind::quit()];
    // Without one of them the others end it still.
    let mut signals: Vec<Signal> = kinds.into_iter().filter_map(|kind| signal(kind).ok()).collect();
    let stopped = poll_fn(|context| {
        let is_stopped = signals.iter_mut().any(|signal| signal.poll_recv(context).is_ready());
        if is_stopped { Poll::Ready(()) } else { Poll::Pending }
    });
    tokio::select! {
        () = stopped => {}
        () = follow(server, chosen, |news| inputs.send(Input::News(news)).is_ok()) => {}
    }
}

/// Follows until `tell` says false, which is that nobody looks any more. A connection that breaks is opened again.
async fn follow(
    server: &Server,
    mut namespace: watch::Receiver<Option<String>>,
    tell: impl Fn(News) -> bool,
) {
    let mut wait = WAIT.0;
    loop {
        let chosen = namespace.borrow_and_update().clone();
        let has_lived = Cell::new(false);
        let end = tokio::select! {
            changed = namespace.changed() => match changed {
                Ok(()) => continue,
                Err(_) => return,
            },
            end = live::follow(server, chosen.as_deref(), &tell, &has_lived) => end,
        };
        let said = match end {
            Ok(End::Unheard) => return,
            Ok(End::Stopped) => "the server is being stopped".to_owned(),
            Ok(End::Broken(said)) => said,
            Err(error) => why(&error),
        };
        // From the first again once it was followed; one that breaks as soon as it is there is waited for longer.
        let seconds = if has_lived.get() { WAIT.0 } else { wait };
        wait = (seconds * 2).min(WAIT.1);
        if !tell(News::Lost(said, seconds)) {
            return;
        }
        tokio::select! {
            () = sleep(Duration::from_secs(seconds)) => {}
            changed = namespace.changed() => if changed.is_err() { return },
        }
    }
}
