//! The state as cells of a screen, of any size.
//!
//! From the top: the server, numbers, the sets, the selected replica, the last changes, the keys. What is short of room
//! goes from the bottom up, the sets last. Letters say what colours say.

use jiff::Timestamp;
use ratatui_core::buffer::Buffer;
use ratatui_core::layout::Rect;
use ratatui_core::style::{Color, Modifier, Style};

use super::answers::{Cell, Set};
use super::state::{Link, Prompt, State};
use super::words::{cell_lines, change_text, count_text, cut, few, link_text, numbers_text, span};

/// Cells that stand together.
const GROUP: usize = 10;
const HELP: [&str; 12] = [
    "up, down, j, k     another set (PgUp, PgDn: ten; Home, End)",
    "left, right, h, l  another replica of it",
    "/                  only sets whose namespace/name has this in it",
    "n                  another namespace (empty: all)",
    "q, Esc, Ctrl-C     quit",
    "",
    "R  ready: its name is answered",
    "n  not ready: a slice has it, and it is not answered",
    "-  missing: wanted, and no slice has it",
    "T  terminating: it goes, and no other has come",
    "",
    "any key goes back",
];

/// What draws.
#[derive(Debug, Clone, Copy)]
pub struct Screen {
    /// Colours may be used.
    pub colour: bool,
    /// So that ages can be told.
    pub now: Timestamp,
}

/// How wide the parts of a row are.
#[derive(Debug, Clone, Copy)]
struct Columns {
    name: usize,
    count: usize,
    /// The ordinal that a row begins with.
    ordinal: usize,
    /// Cells of a row.
    cells: usize,
}

impl Columns {
    fn of(sets: &[&Set], width: usize) -> Self {
        let longest = |length: fn(&Set) -> usize| sets.iter().map(|set| length(set)).max().unwrap_or(0);
        let count = longest(|set| count_text(set).len());
        let ordinal = longest(|set| set.cells.last().map_or(1, |cell| cell.ordinal.to_string().len()));
        let name = longest(|set| set.namespace.len() + 1 + set.name.len());
        // A row of cells should have room for one group, where the screen has.
        let name = name.min(width.saturating_sub(count + ordinal + GROUP + 4)).min((width / 2).max(12));
        let room = width.saturating_sub(name + count + ordinal + 4);
        let groups = (room + 1) / (GROUP + 1);
        let cells = if groups == 0 { room.max(1) } else { groups * GROUP };
        Self { name, count, ordinal, cells }
    }

    fn rows(&self, set: &Set) -> usize {
        set.cells.len().div_ceil(self.cells).max(1)
    }
}

impl Screen {
    /// Draws all of it. A part that has no room is left out.
    pub fn draw(&self, state: &State, buffer: &mut Buffer) {
        let area = buffer.area;
        let height = area.height;
        if area.width == 0 || height == 0 {
            return;
        }
        self.header(state, buffer, 0);
        if height < 3 {
            return;
        }
        self.footer(state, buffer, height - 1);
        if state.is_helping {
            for (line, y) in HELP.iter().zip(1..height - 1) {
                put(buffer, 1, y, line, Style::new());
            }
            return;
        }
        let changes = if height >= 10 { (height / 4).saturating_sub(2) } else { 0 };
        let details = if height >= 8 { 3 + u16::from(height >= 20) } else { 0 };
        // A line above each of both.
        let below = changes + u16::from(changes > 0) + details + u16::from(details > 0);
        let numbers = u16::from(height >= 5);
        if numbers > 0 {
            put(buffer, 0, 1, &numbers_text(state), Style::new());
        }
        let top = 1 + numbers;
        let bottom = (height - 1).saturating_sub(below).max(top);
        self.sets(state, buffer, top, bottom);
        let mut y = bottom;
        if details > 0 {
            self.rule(buffer, y, "");
            self.details(state, buffer, y + 1, y + 1 + details);
            y += 1 + details;
        }
        if changes > 0 {
            self.rule(buffer, y, "last changes");
            self.changes(state, buffer, y + 1, y + 1 + changes);
        }
    }

    fn colour(&self, colour: Color) -> Style {
        if self.colour { Style::new().fg(colour) } else { Style::new() }
    }

    fn dim(&self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    fn header(&self, state: &State, buffer: &mut Buffer, y: u16) {
        let bar = Style::new().add_modifier(Modifier::REVERSED);
        buffer.set_style(Rect::new(0, y, buffer.area.width, 1), bar);
        let (word, colour) = link_text(state, self.now);
        let mut x = put(buffer, 0, y, " rollcall ", bar.add_modifier(Modifier::BOLD));
        // The most important first: a narrow screen cuts the rest.
        let style = if self.colour { bar.patch(Style::new().bg(colour)) } else { bar };
        x = put(buffer, x, y, &format!(" {word} "), style.add_modifier(Modifier::BOLD));
        x = put(buffer, x, y, &format!(" {}", state.server), bar);
        if let Some((_, zone)) = &state.health {
            x = put(buffer, x, y, &format!("  {} serial {}", zone.zone, zone.serial), bar);
        }
        match (&state.health, state.watch_age(self.now)) {
            (_, Some(age)) => put(buffer, x, y, &format!("  watches {}", span(age)), bar),
            (Some((health, _)), None) => put(buffer, x, y, &format!("  from {}", health.source), bar),
            (None, None) => x,
        };
    }

    fn sets(&self, state: &State, buffer: &mut Buffer, top: u16, bottom: u16) {
        let visible = state.visible();
        if visible.is_empty() {
            let text = match (&state.link, state.is_loaded) {
                (Link::Lost { .. }, false) => "not asked yet: the server is away",
                (_, false) => "asking the server …",
                (_, true) if state.filter.is_empty() => "no StatefulSets here",
                (_, true) => "no set has this in its name; Esc shows all",
            };
            put_before(buffer, 0, top, bottom, text, self.dim());
            return;
        }
        let columns = Columns::of(&visible, usize::from(buffer.area.width));
        let at = state.selected_at(&visible);
        let room = usize::from(bottom.saturating_sub(top));
        let cell = state.cell_at(visible[at]);
        // The line of the selected cell is in the middle, but at both ends.
        let line =
            visible[..at].iter().map(|set| columns.rows(set)).sum::<usize>() + cell / columns.cells.max(1);
        let all: usize = visible.iter().map(|set| columns.rows(set)).sum();
        let first = line.saturating_sub(room / 2).min(all.saturating_sub(room));
        let mut number = 0;
        for (index, set) in visible.iter().enumerate() {
            let rows = columns.rows(set);
            if number + rows > first {
                for row in 0..rows {
                    let Some(y) = (number + row).checked_sub(first) else { continue };
                    if y >= room {
                        return;
                    }
                    // Below the height of a screen.
                    let y = top + u16::try_from(y).unwrap_or(u16::MAX);
                    let chosen = (index == at).then_some(cell);
                    self.row(buffer, y, set, row, chosen, columns);
                }
            }
            number += rows;
        }
    }

    fn row(
        &self,
        buffer: &mut Buffer,
        y: u16,
        set: &Set,
        row: usize,
        chosen: Option<usize>,
        columns: Columns,
    ) {
        let mark = if chosen.is_some() { ">" } else { " " };
        put(buffer, 0, y, mark, Style::new().add_modifier(Modifier::BOLD));
        if row == 0 {
            let name = cut(&format!("{}/{}", set.namespace, set.name), columns.name);
            let style =
                if chosen.is_some() { Style::new().add_modifier(Modifier::BOLD) } else { Style::new() };
            put(buffer, 1, y, &name, style);
            let count = format!("{:>width$}", count_text(set), width = columns.count);
            let colour = self.colour(if set.is_complete() { Color::Green } else { Color::Yellow });
            put(buffer, wide(columns.name + 2), y, &count, colour);
        }
        let mut x = columns.name + columns.count + 3;
        let from = row * columns.cells;
        let cells = set.cells.iter().enumerate().skip(from).take(columns.cells);
        if set.service.is_none() {
            put(buffer, wide(x), y, "no serviceName: its pods have no names", self.dim());
            return;
        }
        if let Some(first) = set.cells.get(from) {
            let ordinal = format!("{:>width$}", first.ordinal, width = columns.ordinal);
            put(buffer, wide(x), y, &ordinal, self.dim());
        }
        x += columns.ordinal + 1;
        for (index, cell) in cells {
            let mut style = self.cell(cell);
            if chosen == Some(index) {
                style = style.add_modifier(Modifier::REVERSED);
            }
            put(buffer, wide(x), y, cell.letter().encode_utf8(&mut [0; 4]), style);
            x += 1 + usize::from((index - from) % GROUP == GROUP - 1);
        }
        if set.more > 0 && from + columns.cells >= set.cells.len() {
            put(buffer, wide(x), y, &format!(" +{} more", set.more), self.dim());
        }
    }

    fn cell(&self, cell: &Cell) -> Style {
        let style = match cell.letter() {
            'R' => self.colour(Color::Green),
            'n' => self.colour(Color::Yellow),
            'T' => self.colour(Color::Magenta),
            _ => self.colour(Color::Red),
        };
        if cell.expected {
            style.add_modifier(Modifier::BOLD)
        } else {
            style.add_modifier(Modifier::UNDERLINED)
        }
    }

    fn rule(&self, buffer: &mut Buffer, y: u16, title: &str) {
        let width = usize::from(buffer.area.width);
        let title = if title.is_empty() { String::new() } else { format!("-- {title} ") };
        put(buffer, 0, y, &format!("{title:-<width$}"), self.dim());
    }

    fn details(&self, state: &State, buffer: &mut Buffer, top: u16, bottom: u16) {
        let Some((set, cell)) = state.selection() else { return };
        let Some(cell) = cell else {
            put_before(
                buffer,
                0,
                top,
                bottom,
                &format!("{}/{}: no replicas", set.namespace, set.name),
                self.dim(),
            );
            return;
        };
        let lines = cell_lines(state, set, cell, self.now, usize::from(buffer.area.width));
        for (line, y) in lines.iter().zip(top..bottom) {
            let style = if y == top { self.cell(cell) } else { Style::new() };
            put(buffer, 0, y, line, style);
        }
    }

    fn changes(&self, state: &State, buffer: &mut Buffer, top: u16, bottom: u16) {
        for (change, y) in state.changes.iter().zip(top..bottom) {
            let width = usize::from(buffer.area.width);
            put(buffer, 0, y, &cut(&change_text(change, width), width), Style::new());
        }
    }

    fn footer(&self, state: &State, buffer: &mut Buffer, y: u16) {
        let (text, style) = match (&state.prompt, &state.link) {
            (Some(Prompt::Filter(text)), _) => (format!("/{text}_"), Style::new()),
            (Some(Prompt::Namespace(text)), _) => (format!("namespace (empty: all): {text}_"), Style::new()),
            // Why nothing moves is more than which keys there are.
            (None, Link::Lost { why, .. }) => (why.clone(), self.colour(Color::Red)),
            (None, _) => {
                ("q quit  ? help  / filter  n namespace  arrows or hjkl move".to_owned(), self.dim())
            }
        };
        put(buffer, 0, y, &cut(&text, usize::from(buffer.area.width)), style);
    }
}

fn wide(x: usize) -> u16 {
    u16::try_from(x).unwrap_or(u16::MAX)
}

/// Writes what fits into the row, and nothing that a terminal would obey; where it ended.
fn put(buffer: &mut Buffer, x: u16, y: u16, text: &str, style: Style) -> u16 {
    let area = buffer.area;
    if x >= area.width || y >= area.height {
        return x;
    }
    let room = usize::from(area.width - x);
    let (end, _) = buffer.set_stringn(x, y, few(text, room), room, style);
    end
}

/// The same, where the row is not past the end of its part.
fn put_before(buffer: &mut Buffer, x: u16, y: u16, bottom: u16, text: &str, style: Style) {
    if y < bottom {
        put(buffer, x, y, text, style);
    }
}
