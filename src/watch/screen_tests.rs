//! Screens of all sizes, drawn into memory.

use std::time::{Duration, Instant};

use ratatui_core::backend::TestBackend;
use ratatui_core::buffer::Buffer;
use ratatui_core::style::Color;
use ratatui_core::terminal::Terminal;

use super::mk::{mk_change, mk_health, mk_set, mk_state, now, three};
use super::{Choice, Key, News, Screen, State, is_complete, write};

/// Drawn as a terminal of this size has it.
fn drawn(state: &State, width: u16, height: u16, colour: bool) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    let screen = Screen { colour, now: now() };
    terminal.draw(|frame| screen.draw(state, frame.buffer_mut())).unwrap();
    terminal.backend().buffer().clone()
}

fn lines(buffer: &Buffer) -> Vec<String> {
    let row = |y| (0..buffer.area.width).map(|x| buffer[(x, y)].symbol()).collect::<String>();
    (0..buffer.area.height).map(|y| row(y).trim_end().to_owned()).collect()
}

fn shown(state: &State, width: u16, height: u16) -> Vec<String> {
    lines(&drawn(state, width, height, false))
}

#[test]
fn a_screen_of_ssh() {
    let mut state = mk_state(three());
    state.press(Key::Right);
    state.press(Key::Right);
    let lines = shown(&state, 80, 24);
    assert_eq!(
        lines,
        [
            " rollcall  fresh  127.0.0.1:9153  cluster.local serial 1795000000  watches 3s",
            " 3 sets, 2 incomplete, 7/11 ready",
            ">default/web       2/5 0 RRn-T",
            " kube-system/store 3/3 0 RRR",
            " shop/db           2/3 0 RR-",
            "",
            "",
            "",
            "",
            "",
            "",
            "",
            "",
            &"-".repeat(80),
            "web-2 not ready",
            "web-2 is not ready: slice nginx-x7 has it at 10.244.0.7, ready=false",
            "",
            "",
            &format!("-- last changes {}", "-".repeat(64)),
            "12:04:07   4.1 ms  default: StatefulSet web: 3 -> 4 replicas",
            "12:04:07   4.1 ms  default: older",
            "",
            "",
            "q quit  ? help  / filter  n namespace  arrows or hjkl move",
        ]
    );
}

#[test]
fn a_small_screen_has_the_sets_and_the_reason() {
    let mut state = mk_state(three());
    for _ in 0..2 {
        state.press(Key::Char('l'));
    }
    let lines = shown(&state, 40, 12);
    assert!(lines[0].starts_with(" rollcall  fresh  127.0.0.1:9153"), "{lines:#?}");
    assert!(
        lines.iter().any(|line| line.starts_with(">default/web") && line.ends_with("0 RRn-T")),
        "{lines:#?}"
    );
    assert!(lines.iter().any(|line| line == "web-2 is not ready: slice nginx-x7 has"), "{lines:#?}");
    assert!(lines.iter().any(|line| line == "it at 10.244.0.7, ready=false"), "{lines:#?}");
    assert!(lines.iter().any(|line| line.contains("StatefulSet web")), "{lines:#?}");
}

#[test]
fn a_wide_screen_has_all_of_it() {
    let lines = shown(&mk_state(three()), 200, 50);
    assert!(lines[0].ends_with("serial 1795000000  watches 3s"), "{}", lines[0]);
    assert!(lines.iter().any(|line| line == "web-0 ready since 12:03:07 (1m03s)  10.244.0.0"), "{lines:#?}");
    assert!(lines.iter().any(|line| line == "web-0.nginx.default.svc.cluster.local"), "{lines:#?}");
}

#[test]
fn no_size_is_too_small() {
    let mut state = mk_state(three());
    for is_helping in [false, true] {
        for width in 1..45 {
            for height in 1..26 {
                drawn(&state, width, height, true);
            }
        }
        if !is_helping {
            state.press(Key::Char('?'));
        }
    }
}

#[test]
fn an_empty_cluster_says_so() {
    assert!(shown(&mk_state(Vec::new()), 80, 24).iter().any(|line| line == "no StatefulSets here"));
    let opening = State::new("http://127.0.0.1:9153", None);
    assert!(shown(&opening, 80, 24).iter().any(|line| line.starts_with("asking the server")));
}

#[test]
fn long_names_leave_room_for_cells() {
    let set = mk_set(&"n".repeat(63), &"s".repeat(63), &"R".repeat(25));
    for (width, rows) in [(80, 2), (40, 3)] {
        let lines = shown(&mk_state(vec![set.clone()]), width, 24);
        assert!(lines[2].starts_with(">nnnnnnn") && lines[2].contains("~ 25/25  0 RRRRRRRRRR"), "{lines:#?}");
        let cells: usize = lines[2..2 + rows].iter().map(|line| line.matches('R').count()).sum();
        assert_eq!(cells, 25, "{lines:#?}");
    }
}

#[test]
fn more_ordinals_than_columns_are_wrapped_and_the_selected_one_is_in_sight() {
    let mut state = mk_state(vec![mk_set("default", "web", &format!("{}n", "R".repeat(999)))]);
    for _ in 0..999 {
        state.press(Key::Right);
    }
    let lines = shown(&state, 80, 24);
    assert!(lines.iter().any(|line| line.trim().starts_with('>') && line.ends_with('n')), "{lines:#?}");
    assert!(lines.iter().any(|line| line.starts_with("web-999 not ready")), "{lines:#?}");
}

#[test]
fn colours_say_what_letters_say_and_are_left_away() {
    let state = mk_state(three());
    let foregrounds = |buffer: &Buffer| {
        let row = (0..80).filter(|x| "RnT-".contains(buffer[(*x, 2)].symbol()));
        row.filter_map(|x| buffer[(x, 2)].style().fg).collect::<Vec<_>>()
    };
    let cells = |colours: &[Color]| colours[colours.len() - 5..].to_vec();
    let coloured = foregrounds(&drawn(&state, 80, 24, true));
    assert_eq!(cells(&coloured), [Color::Green, Color::Green, Color::Yellow, Color::Red, Color::Magenta]);
    let plain = drawn(&state, 80, 24, false);
    for y in 0..24 {
        for x in 0..80 {
            let style = plain[(x, y)].style();
            assert_eq!((style.fg, style.bg), (Some(Color::Reset), Some(Color::Reset)), "{x},{y}");
        }
    }
}

#[test]
fn a_thousand_sets_are_scrolled_through() {
    let sets = (0..1000)
        .map(|number| mk_set("default", &format!("set-{number:04}"), "RRRRRRRRRRRRRRRRRRn-"))
        .collect();
    let mut state = mk_state(sets);
    let started = Instant::now();
    for _ in 0..20 {
        state.press(Key::PageDown);
        shown(&state, 80, 24);
    }
    // A debug build on a busy machine; what is drawn is what is in sight.
    assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
    assert_eq!(state.selection().unwrap().0.name, "set-0200");
    assert!(shown(&state, 80, 24).iter().any(|line| line.starts_with(">default/set-0200")));
    state.press(Key::End);
    assert!(shown(&state, 80, 24).iter().any(|line| line.starts_with(">default/set-0999")));
    state.press(Key::Home);
    assert!(shown(&state, 80, 24)[2].starts_with(">default/set-0000"));
}

#[test]
fn a_filter_is_seen_as_it_is_typed() {
    let mut state = mk_state(three());
    let press =
        |state: &mut State, text: &str| text.chars().for_each(|char| drop(state.press(Key::Char(char))));
    press(&mut state, "/shop");
    assert_eq!(shown(&state, 80, 24)[23], "/shop_");
    assert_eq!(state.visible().len(), 1);
    assert_eq!(state.press(Key::Enter), None);
    // Keys are keys again, and Esc undoes the filter before it ends.
    assert!(shown(&state, 80, 24)[1].ends_with("with \"shop\""));
    assert_eq!(state.press(Key::Escape), None);
    assert_eq!(state.visible().len(), 3);
    assert_eq!(state.press(Key::Escape), Some(Choice::Quit));
    press(&mut state, "/nothing-has-this");
    assert!(shown(&state, 80, 24).iter().any(|line| line.starts_with("no set has this")));
}

#[test]
fn another_namespace_is_asked_for() {
    let mut state = mk_state(three());
    "nshop".chars().for_each(|char| drop(state.press(Key::Char(char))));
    assert_eq!(state.press(Key::Enter), Some(Choice::Namespace(Some("shop".to_owned()))));
    assert_eq!(shown(&state, 80, 24)[1..3], [" not asked yet, namespace shop", "asking the server …"]);
    // What was asked for before comes too late.
    state.hear(News::Sets { namespace: None, sets: three(), total: 3 }, now());
    state.hear(News::Set(Box::new(mk_set("default", "web", "R"))), now());
    assert!(state.visible().is_empty());
    state.hear(News::Lost("nobody answers".to_owned(), 4), now());
    let lines = shown(&state, 80, 24);
    assert_eq!(lines[1..3], [" not asked yet, namespace shop", "not asked yet: the server is away"]);
    let sets = vec![mk_set("shop", "db", "RR-")];
    state.hear(News::Sets { namespace: Some("shop".to_owned()), sets, total: 1 }, now());
    assert_eq!(shown(&state, 80, 24)[1], " 1 sets, 1 incomplete, 2/3 ready, namespace shop");
    assert!(
        !shown(&state, 80, 24).iter().any(|line| line.contains("StatefulSet web")),
        "changes of elsewhere"
    );
}

#[test]
fn a_change_is_told_once() {
    let mut state = mk_state(three());
    for text in ["older", "newest", "newest"] {
        state.hear(News::Change(Box::new(mk_change(text))), now());
    }
    let lines = shown(&state, 80, 24);
    assert_eq!(lines[19], "12:04:07   4.1 ms  default: newest");
    assert_eq!(lines.iter().filter(|line| line.ends_with("older")).count(), 1);
}

#[test]
fn keys_that_end_it() {
    let mut state = mk_state(three());
    assert_eq!(state.press(Key::Char('q')), Some(Choice::Quit));
    assert_eq!(state.press(Key::Escape), Some(Choice::Quit));
    for before in ['/', 'n', '?'] {
        let mut state = mk_state(three());
        state.press(Key::Char(before));
        assert_eq!(state.press(Key::Interrupt), Some(Choice::Quit), "{before}");
    }
    // In a filter it is a letter.
    state.press(Key::Char('/'));
    assert_eq!(state.press(Key::Char('q')), None);
}

#[test]
fn what_is_selected_stays_so_while_sets_come_and_go() {
    let mut state = mk_state(three());
    state.press(Key::Down);
    state.press(Key::Right);
    assert_eq!(
        state.selection().map(|(set, cell)| (set.name.as_str(), cell.unwrap().ordinal)),
        Some(("store", 1))
    );
    state.hear(News::Set(Box::new(mk_set("a", "first", "R"))), now());
    assert_eq!(state.selection().unwrap().0.name, "store");
    state.hear(News::Gone("kube-system".to_owned(), "store".to_owned()), now());
    assert_eq!(state.selection().unwrap().0.name, "db");
}

#[test]
fn a_lost_server_is_said_with_the_time_of_what_is_shown() {
    let mut state = mk_state(three());
    let later = "2026-11-21T12:05:00Z".parse().unwrap();
    state.hear(News::Lost("nobody answers".to_owned(), 4), later);
    state.hear(News::Lost("nobody answers still".to_owned(), 8), later);
    let mut terminal = Terminal::new(TestBackend::new(100, 24)).unwrap();
    let screen = Screen { colour: true, now: "2026-11-21T12:05:03Z".parse().unwrap() };
    terminal.draw(|frame| screen.draw(&state, frame.buffer_mut())).unwrap();
    let lines = lines(terminal.backend().buffer());
    assert!(lines[0].contains("NOT LIVE, as of 12:04:10; again in 5 s"), "{}", lines[0]);
    assert_eq!(lines[23], "nobody answers still");
    assert!(lines[2].starts_with(">default/web"));
    state.hear(News::Live, later);
    assert!(shown(&state, 100, 24)[0].contains(" fresh "));
}

#[test]
fn staleness_grows_by_itself() {
    let mut state = mk_state(three());
    state.hear(mk_health(Some(58)), "2026-11-21T12:04:05Z".parse().unwrap());
    assert!(shown(&state, 80, 24)[0].contains(" stale 1m03s "));
}

#[test]
fn what_a_server_says_steers_no_terminal() {
    let mut set = mk_set("default", "web", "n");
    set.cells[0].reason = Some("bad \u{1b}[2J\u{7} \u{202e}reason\u{2066}".to_owned());
    let state = mk_state(vec![set]);
    let mut out = Vec::new();
    write(&mut out, &state, now()).unwrap();
    let text = String::from_utf8(out).unwrap();
    let is_steering = |char: char| {
        char.is_control() && char != '\n' || ('\u{202a}'..='\u{202e}').contains(&char) || char == '\u{2066}'
    };
    assert!(text.contains("bad \u{fffd}[2J\u{fffd} \u{fffd}reason\u{fffd}"), "{text}");
    assert!(!text.contains(is_steering), "{text}");
    let buffer = drawn(&state, 80, 24, true);
    assert!(buffer.content.iter().all(|cell| !cell.symbol().contains(is_steering)));
    assert!(lines(&buffer).iter().any(|line| line.starts_with("bad \u{fffd}[2J")), "{:?}", lines(&buffer));
}

#[test]
fn a_cell_of_the_screen_holds_no_text_without_an_end() {
    let mut set = mk_set("default", "web", "n");
    set.cells[0].reason = Some(format!("e{}", "\u{301}".repeat(100_000)));
    let mut state = mk_state(vec![set]);
    let mut change = mk_change("long");
    change.text = format!("o{}", "\u{308}".repeat(100_000));
    state.hear(News::Change(Box::new(change)), now());
    let buffer = drawn(&state, 80, 24, false);
    let longest = buffer.content.iter().map(|cell| cell.symbol().chars().count()).max();
    assert!(longest.is_some_and(|longest| longest <= 320), "{longest:?}");
}

#[test]
fn as_text() {
    let state = mk_state(three());
    let mut out = Vec::new();
    write(&mut out, &state, now()).unwrap();
    let text = String::from_utf8(out).unwrap();
    assert_eq!(
        text.lines().take(7).collect::<Vec<_>>(),
        [
            "rollcall fresh 127.0.0.1:9153  cluster.local serial 1795000000  from kubernetes",
            "3 sets, 2 incomplete, 7/11 ready",
            "default/web  2/5  RRn-T",
            "  web-2 not ready",
            "  web-2 is not ready: slice nginx-x7 has it at 10.244.0.7, ready=false",
            "  web-3 missing",
            "  web-3 is not ready: slice nginx-x7 has it at 10.244.0.7, ready=false",
        ]
    );
    assert!(!is_complete(&state));
    assert!(is_complete(&mk_state(vec![mk_set("default", "web", "RRR")])));
}
