//! The terminal: taken, drawn on, read from, and given back as it was, on every way out but SIGKILL.

use std::io::{self, Stdout, Write as _, stdout};
use std::sync::Once;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use ratatui_core::terminal::Terminal;
use ratatui_crossterm::CrosstermBackend;
use ratatui_crossterm::crossterm::cursor::{Hide, Show};
use ratatui_crossterm::crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers, read};
use ratatui_crossterm::crossterm::execute;
use ratatui_crossterm::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};

use super::answers::News;
use super::keys::{Choice, Key};
use super::screen::Screen;
use super::state::State;

/// Between two screens where nothing happens: ages go on.
const TICK: Duration = Duration::from_secs(1);
/// Inputs that may wait to be taken in. Who brings more waits itself.
pub const MOST_WAITING: usize = 256;
/// Inputs of one screen: where they come faster than they are taken in there is a screen all the same.
const MOST_AT_ONCE: usize = 256;

/// What makes another screen.
#[derive(Debug)]
pub enum Input {
    /// A key.
    Key(Key),
    /// Another size.
    Resized,
    /// What the server told.
    News(News),
    /// The end: a signal, or a terminal that is gone.
    End,
    /// A thread that brings inputs has panicked, and the terminal was given back for its words.
    Panicked,
}

/// Tells of the end when its thread has come to it, by a panic too: nobody would draw on a terminal that was given back.
pub struct Ending(pub SyncSender<Input>);

impl Drop for Ending {
    fn drop(&mut self) {
        // The screen may be gone before.
        let _ = self.0.send(if thread::panicking() { Input::Panicked } else { Input::End });
    }
}

/// Why there is no screen any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// It was quit, or a signal came.
    Quit,
    /// A thread panicked; its words are on standard error.
    Panicked,
}

/// The terminal while it is ours; given back when it is dropped.
struct Taken;

impl Taken {
    fn take() -> io::Result<Self> {
        static HOOK: Once = Once::new();
        // A panic's words would be lost with the alternate screen, or written over it.
        HOOK.call_once(|| {
            let before = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                give_back();
                before(panic);
            }));
        });
        enable_raw_mode()?;
        // From here on it is given back, whatever fails.
        let taken = Self;
        execute!(stdout(), EnterAlternateScreen, Hide)?;
        Ok(taken)
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        give_back();
    }
}

/// Where the terminal is gone there is nobody to tell.
fn give_back() {
    let _ = execute!(stdout(), LeaveAlternateScreen, Show);
    let _ = disable_raw_mode();
    let _ = stdout().flush();
}

/// Shows the state until somebody quits. Choices that are for the server's side go to `choose`.
///
/// # Errors
/// Those of the terminal.
pub fn show(
    mut state: State,
    colour: bool,
    inputs_tx: SyncSender<Input>,
    inputs: &Receiver<Input>,
    mut choose: impl FnMut(Option<String>),
) -> io::Result<Over> {
    let taken = Taken::take()?;
    let mut terminal = Terminal::new(CrosstermBackend::new(stdout()))?;
    // It is waited for by nobody: it sleeps in a read of the terminal, which ends with the process.
    thread::spawn(move || read_keys(&Ending(inputs_tx)));
    draw(&mut terminal, &state, colour)?;
    let over = loop {
        let first = match inputs.recv_timeout(TICK) {
            Ok(input) => Some(input),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => break Over::Quit,
        };
        if let Some(over) = take_in(&mut state, first, inputs, &mut choose) {
            break over;
        }
        draw(&mut terminal, &state, colour)?;
    };
    drop(taken);
    Ok(over)
}

/// Does what has come for the next screen, from the first on; whether it is over.
fn take_in(
    state: &mut State,
    first: Option<Input>,
    inputs: &Receiver<Input>,
    choose: &mut impl FnMut(Option<String>),
) -> Option<Over> {
    for input in first.into_iter().chain(inputs.try_iter()).take(MOST_AT_ONCE) {
        match input {
            Input::Key(key) => match state.press(key) {
                Some(Choice::Quit) => return Some(Over::Quit),
                Some(Choice::Namespace(namespace)) => choose(namespace),
                None => {}
            },
            Input::News(news) => state.hear(news, Timestamp::now()),
            Input::Resized => {}
            Input::End => return Some(Over::Quit),
            Input::Panicked => return Some(Over::Panicked),
        }
    }
    None
}

fn draw(terminal: &mut Terminal<CrosstermBackend<Stdout>>, state: &State, colour: bool) -> io::Result<()> {
    let screen = Screen { colour, now: Timestamp::now() };
    terminal.draw(|frame| screen.draw(state, frame.buffer_mut()))?;
    Ok(())
}

fn read_keys(Ending(inputs): &Ending) {
    loop {
        let input = match read() {
            Ok(Event::Key(key)) => match key_of(key) {
                Some(key) => Input::Key(key),
                None => continue,
            },
            Ok(Event::Resize(..)) => Input::Resized,
            Ok(_) => continue,
            Err(_) => return,
        };
        if inputs.send(input).is_err() {
            return;
        }
    }
}

fn key_of(event: KeyEvent) -> Option<Key> {
    if event.kind == KeyEventKind::Release {
        return None;
    }
    let is_control = event.modifiers.contains(KeyModifiers::CONTROL);
    Some(match event.code {
        KeyCode::Char('c') if is_control => Key::Interrupt,
        KeyCode::Char(_) if event.modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT) => {
            return None;
        }
        KeyCode::Char(char) => Key::Char(char),
        KeyCode::Up => Key::Up,
        KeyCode::Down => Key::Down,
        KeyCode::Left => Key::Left,
        KeyCode::Right => Key::Right,
        KeyCode::PageUp => Key::PageUp,
        KeyCode::PageDown => Key::PageDown,
        KeyCode::Home => Key::Home,
        KeyCode::End => Key::End,
        KeyCode::Enter => Key::Enter,
        KeyCode::Esc => Key::Escape,
        KeyCode::Backspace => Key::Backspace,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use super::*;

    #[test]
    fn a_thread_that_panics_ends_the_screen() {
        for (is_panic, over) in [(false, Over::Quit), (true, Over::Panicked)] {
            let (inputs_tx, inputs_rx) = sync_channel(1);
            let ended = thread::spawn(move || {
                let _ending = Ending(inputs_tx);
                if is_panic {
                    // Without the words of a panic, which are no news of a test.
                    std::panic::resume_unwind(Box::new(()));
                }
            });
            assert_eq!(ended.join().is_err(), is_panic);
            let mut state = State::new("", None);
            assert_eq!(take_in(&mut state, None, &inputs_rx, &mut |_| {}), Some(over));
        }
    }

    #[test]
    fn a_screen_comes_however_much_there_is_to_take_in() {
        let (inputs_tx, inputs_rx) = sync_channel(MOST_AT_ONCE + 10);
        for _ in 0..MOST_AT_ONCE + 9 {
            inputs_tx.send(Input::Resized).unwrap();
        }
        inputs_tx.send(Input::End).unwrap();
        let mut state = State::new("", None);
        let mut taken = |first| take_in(&mut state, first, &inputs_rx, &mut |_| {});
        assert_eq!(taken(Some(Input::Resized)), None);
        assert_eq!(inputs_rx.try_iter().count(), 11);
        inputs_tx.send(Input::End).unwrap();
        assert_eq!(taken(None), Some(Over::Quit));
    }

    #[test]
    fn keys_of_a_terminal() {
        let key = |code, modifiers| key_of(KeyEvent::new(code, modifiers));
        assert_eq!(key(KeyCode::Char('c'), KeyModifiers::CONTROL), Some(Key::Interrupt));
        assert_eq!(key(KeyCode::Char('c'), KeyModifiers::NONE), Some(Key::Char('c')));
        assert_eq!(key(KeyCode::Char('G'), KeyModifiers::SHIFT), Some(Key::Char('G')));
        assert_eq!(key(KeyCode::Char('q'), KeyModifiers::ALT), None);
        assert_eq!(key(KeyCode::Up, KeyModifiers::NONE), Some(Key::Up));
        assert_eq!(key(KeyCode::F(1), KeyModifiers::NONE), None);
    }
}
