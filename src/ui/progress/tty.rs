use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::board::{Active, Board};
use crate::base::{FaultKind, Layer};
use crate::engine::{Event, EventKind, Listener};
use crate::flow::Background;
use crate::ui::words::{self, cut, milliseconds, number, pad, resource, width};
use crate::ui::{Paint, Table};

/// A run that is over within this time draws nothing live.
const QUIET_START: Duration = Duration::from_millis(300);
/// How often the live part is drawn.
const FRAME: Duration = Duration::from_millis(100);

/// How many columns the name of a resource gets.
const TITLE: usize = 32;

/// How the live part looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// The colours.
    pub paint: Paint,
    /// Whether the terminal shows more than ASCII.
    pub unicode: bool,
}

/// A live picture of the run on a terminal: what is finished scrolls by, what runs stays below.
pub struct Tty {
    shared: Arc<Mutex<Shared>>,
    // Stops drawing when it is dropped.
    _painter: Background,
}

struct Shared {
    board: Board,
    look: Look,
    size: Box<dyn Fn() -> (usize, usize) + Send>,
    bar: ProgressBar,
    began: Instant,
    frame: usize,
    live: bool,
}

impl Tty {
    /// Draws on standard error. `size` says how many columns and rows the terminal has at the moment.
    pub fn new(look: Look, size: impl Fn() -> (usize, usize) + Send + 'static) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(20));
        bar.set_style(style());
        let shared = Arc::new(Mutex::new(Shared {
            board: Board::default(),
            look,
            size: Box::new(size),
            bar,
            began: Instant::now(),
            frame: 0,
            live: false,
        }));
        let drawn = Arc::clone(&shared);
        let painter = Background::every(FRAME, move || {
            lock(&drawn).draw();
            async {}
        });
        Self { shared, _painter: painter }
    }
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{msg}").expect("a constant template that is valid")
}

impl Drop for Tty {
    fn drop(&mut self) {
        lock(&self.shared).clear();
    }
}

impl Listener for Tty {
    fn on(&mut self, event: &Event) {
        let mut shared = lock(&self.shared);
        if matches!(event.kind, EventKind::RunStarted { .. }) {
            shared.began = Instant::now();
        }
        shared.board.on(event);
        let columns = (shared.size)().0;
        if let Some(line) = scrolled(event, shared.look, columns) {
            shared.above(&line);
        }
        if shared.board.over {
            shared.clear();
        }
    }
}

impl Shared {
    fn draw(&mut self) {
        let age = self.began.elapsed();
        if self.board.over || age < QUIET_START || self.board.active.is_empty() && !self.live {
            return;
        }
        self.live = true;
        self.frame += 1;
        let now = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
        let (columns, rows) = (self.size)();
        let lines = live(&self.board, now, self.frame, self.look, columns, rows);
        self.bar.set_message(lines.join("\n"));
        self.bar.tick();
    }

    fn above(&mut self, line: &str) {
        if self.live {
            self.bar.println(line);
        } else {
            crate::ui::Printer {
                data_paint: self.look.paint,
                talk_paint: self.look.paint,
                width: 0,
                talk_width: 0,
            }
            .talk(line);
        }
    }

    fn clear(&mut self) {
        if self.live {
            self.bar.finish_and_clear();
            self.live = false;
        }
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The line that stays of an event.
fn scrolled(event: &Event, look: Look, columns: usize) -> Option<String> {
    let paint = look.paint;
    let mark = |good: bool| match (good, look.unicode) {
        (true, true) => "✓",
        (true, false) => "+",
        (false, true) => "✗",
        (false, false) => "x",
    };
    let line = |mark: String, id, state: &str, time: String| {
        let title = pad(&cut(&resource(id), TITLE), TITLE);
        cut_painted(&format!("{mark} {title}"), &format!("{time:>12}  {state}"), columns)
    };
    Some(match &event.kind {
        EventKind::Finished { resource, result: "unchanged" | "goes with its cluster", .. }
            if resource.layer() == Layer::Records =>
        {
            return None;
        }
        EventKind::Finished { resource, result, took_ms } => {
            line(paint.good(mark(true)), resource, result, milliseconds(*took_ms))
        }
        EventKind::NotReady { resource, took_ms, .. } => {
            line(paint.notice("-"), resource, "not ready", milliseconds(*took_ms))
        }
        EventKind::Failed { resource, fault: FaultKind::Cancelled, took_ms, .. } => {
            line(paint.notice("-"), resource, "stopped", milliseconds(*took_ms))
        }
        EventKind::Failed { resource, took_ms, .. } => {
            line(paint.bad(mark(false)), resource, "failed", milliseconds(*took_ms))
        }
        EventKind::Stopping { running } => {
            let names: Vec<String> = running.iter().map(words::resource).collect();
            let what = if names.is_empty() { "nothing runs".to_string() } else { words::list(&names) };
            let text = format!("stopping, finishing: {what}; Ctrl-C again stops at once");
            paint.notice(&cut(&text, columns.saturating_sub(1)))
        }
        _ => return None,
    })
}

/// A painted `head` with as much of `rest` behind it as the line has room for.
fn cut_painted(head: &str, rest: &str, columns: usize) -> String {
    format!("{head}{}", cut(rest, columns.saturating_sub(TITLE + 3).max(12)))
}

/// The live part: what runs, longest first, and a line of totals.
fn live(board: &Board, now_ms: u64, frame: usize, look: Look, columns: usize, rows: usize) -> Vec<String> {
    let most = rows.saturating_sub(2).clamp(1, 20);
    let shown = if board.active.len() > most { most.saturating_sub(1) } else { board.active.len() };
    let mut table = Table::new();
    for active in &board.active[..shown] {
        let took = milliseconds(now_ms.saturating_sub(active.since_ms));
        table.row([
            pad(&cut(&active.title, TITLE), TITLE),
            format!("{took:>10}"),
            state(active, look.unicode),
        ]);
    }
    let wheel = wheel(frame, look.unicode);
    let mut lines: Vec<String> = table
        .lines(|_, _, cell| cell)
        .iter()
        .map(|line| format!("{} {}", look.paint.live(wheel), cut(line, columns.saturating_sub(3))))
        .collect();
    if board.active.len() > shown {
        lines.push(look.paint.faint(&format!("  and {} more", number(board.active.len() - shown))));
    }
    lines.push(look.paint.strong(&cut(&totals(board, now_ms), columns.saturating_sub(1))));
    lines
}

fn state(active: &Active, unicode: bool) -> String {
    match (&active.counted, active.retrying) {
        (_, Some(attempt)) => format!("retry {attempt}: {}", active.status),
        (Some((done, total, unit)), None) => {
            format!("{} {} of {} {unit}", bar(*done, *total, unicode), number(*done), number(*total))
        }
        (None, None) => active.status.clone(),
    }
}

fn bar(done: usize, total: usize, unicode: bool) -> String {
    const CELLS: usize = 16;
    let filled = (done.min(total) * CELLS).checked_div(total).unwrap_or(0);
    let (full, empty) = if unicode { ("━", "╌") } else { ("#", ".") };
    format!("{}{}", full.repeat(filled), empty.repeat(CELLS - filled))
}

fn wheel(frame: usize, unicode: bool) -> &'static str {
    const DOTS: [&str; 10] = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];
    const LINES: [&str; 4] = ["|", "/", "-", "\\"];
    if unicode { DOTS[frame % DOTS.len()] } else { LINES[frame % LINES.len()] }
}

fn totals(board: &Board, now_ms: u64) -> String {
    let mut parts = Vec::new();
    let of = if board.total > 0 { format!("/{}", board.total) } else { String::new() };
    parts.push(format!("{}{of} done", board.done));
    parts.push(format!("{} running", board.active.len()));
    if board.failed > 0 {
        parts.push(format!("{} failed", board.failed));
    }
    let retrying = board.active.iter().filter(|active| active.retrying.is_some()).count();
    if retrying > 0 {
        parts.push(format!("{retrying} retrying"));
    }
    if board.stopping {
        parts.push("stopping".to_string());
    }
    parts.push(milliseconds(now_ms));
    let command = if board.command.is_empty() { String::new() } else { format!("{}: ", board.command) };
    debug_assert!(width(&command) < 20);
    format!("{command}{}", parts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::super::board::tests::{id, started, stream};
    use super::*;

    const LOOK: Look = Look { paint: Paint::PLAIN, unicode: false };

    fn board(kinds: Vec<(u64, EventKind)>) -> Board {
        let mut board = Board::default();
        for event in stream(kinds) {
            board.on(&event);
        }
        board
    }

    #[test]
    fn what_runs_is_shown_with_its_time_state_and_counts() {
        let planned = |name| EventKind::Planned { resource: id(name), changes: vec![], notes: vec![] };
        let board = board(vec![
            (0, started()),
            (0, planned("cluster/kwok/lab")),
            (0, planned("addon/traefik")),
            (0, planned("tenants")),
            (0, EventKind::Started { resource: id("cluster/kwok/lab") }),
            (3000, EventKind::Finished { resource: id("cluster/kwok/lab"), result: "ready", took_ms: 3000 }),
            (3000, EventKind::Started { resource: id("tenants") }),
            (3000, EventKind::Started { resource: id("addon/traefik") }),
            (3100, EventKind::Counted { resource: id("tenants"), done: 450, total: 900, unit: "objects" }),
            (
                3200,
                EventKind::Progressing { resource: id("addon/traefik"), status: "3 of 7 ready".to_string() },
            ),
        ]);
        let lines = live(&board, 4000, 0, LOOK, 80, 24);
        assert_eq!(
            lines,
            [
                "| tenants                                1.0 s  ########........ 450 of 900 ob…",
                "| addon traefik                          1.0 s  3 of 7 ready",
                "up: 1/3 done, 2 running, 4.0 s",
            ]
        );
    }

    #[test]
    fn the_live_part_leaves_room_on_a_low_terminal() {
        let kinds =
            (0..30).map(|n| (0, EventKind::Started { resource: id(&format!("addon/a{n}")) })).collect();
        let lines = live(&board(kinds), 1000, 0, LOOK, 80, 10);
        assert_eq!(lines.len(), 9);
        assert_eq!(lines[7], "  and 23 more");
    }

    #[test]
    fn what_is_finished_scrolls_by_with_its_time() {
        let events = stream(vec![
            (0, EventKind::Finished { resource: id("addon/traefik"), result: "ready", took_ms: 2100 }),
            (0, EventKind::NotStarted { resource: id("tenants"), after: None }),
            (0, EventKind::Counted { resource: id("tenants"), done: 1, total: 2, unit: "objects" }),
        ]);
        let lines: Vec<Option<String>> = events.iter().map(|event| scrolled(event, LOOK, 80)).collect();
        assert_eq!(lines[0].as_deref(), Some("+ addon traefik                          2.1 s  ready"));
        assert_eq!(lines[1], None, "the report says it, once for all");
        assert_eq!(lines[2], None);
    }
}
