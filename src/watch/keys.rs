//! What keys do.

use super::state::{Prompt, State};

/// A key, whatever terminal it comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Key {
    Up,
    Down,
    Left,
    Right,
    PageUp,
    PageDown,
    Home,
    End,
    Enter,
    Escape,
    Backspace,
    /// Ctrl-C.
    Interrupt,
    Char(char),
}

/// What is for others to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// The end.
    Quit,
    /// Another namespace is to be looked at; None is all.
    Namespace(Option<String>),
}

impl State {
    /// Does what a key says.
    pub fn press(&mut self, key: Key) -> Option<Choice> {
        if key == Key::Interrupt {
            return Some(Choice::Quit);
        }
        if self.prompt.is_some() {
            return self.type_key(key);
        }
        if self.is_helping {
            self.is_helping = false;
            return (key == Key::Char('q')).then_some(Choice::Quit);
        }
        match key {
            Key::Char('q') => return Some(Choice::Quit),
            // The first one undoes the filter, which is what one means with it.
            Key::Escape if self.filter.is_empty() => return Some(Choice::Quit),
            Key::Escape => self.filter.clear(),
            Key::Up | Key::Char('k') => self.step_set(-1),
            Key::Down | Key::Char('j') => self.step_set(1),
            Key::Left | Key::Char('h') => self.step_cell(-1),
            Key::Right | Key::Char('l') => self.step_cell(1),
            Key::PageUp => self.step_set(-10),
            Key::PageDown => self.step_set(10),
            Key::Home | Key::Char('g') => self.step_set(isize::MIN),
            Key::End | Key::Char('G') => self.step_set(isize::MAX),
            Key::Char('/') => self.prompt = Some(Prompt::Filter(self.filter.clone())),
            Key::Char('n') => {
                self.prompt = Some(Prompt::Namespace(self.namespace.clone().unwrap_or_default()));
            }
            Key::Char('?') => self.is_helping = true,
            _ => {}
        }
        None
    }

    fn type_key(&mut self, key: Key) -> Option<Choice> {
        let prompt = self.prompt.as_mut()?;
        match key {
            Key::Escape => {
                // What is filtered by is seen while it is typed: giving up gives back all.
                if matches!(prompt, Prompt::Filter(_)) {
                    self.filter.clear();
                }
                self.prompt = None;
            }
            Key::Enter => {
                let typed = self.prompt.take();
                if let Some(Prompt::Namespace(text)) = typed {
                    let namespace = Some(text.trim().to_owned()).filter(|text| !text.is_empty());
                    if namespace != self.namespace {
                        self.look_at(namespace.clone());
                        return Some(Choice::Namespace(namespace));
                    }
                }
            }
            Key::Backspace => {
                prompt.text().pop();
                self.filter_as_typed();
            }
            // The longest name there is; a filter needs no more.
            Key::Char(char) if !char.is_control() && prompt.text().len() < 253 => {
                prompt.text().push(char);
                self.filter_as_typed();
            }
            _ => {}
        }
        None
    }

    fn filter_as_typed(&mut self) {
        if let Some(Prompt::Filter(text)) = &self.prompt {
            self.filter.clone_from(text);
        }
    }
}
