//! `haggled top`: a daemon at a glance, from its metrics.

mod panel;
mod scrape;
mod trials;

use anyhow::Context;
use haggle_serve::http_path;
use panel::Panel;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyModifiers};
use scrape::scrape;
use std::path::Path;
use std::time::{Duration, Instant};

/// How often the daemon is asked.
const PERIOD: Duration = Duration::from_secs(1);

/// Shows a daemon until `q`, Escape or Ctrl-C.
pub fn top(socket: &Path) -> anyhow::Result<()> {
    let http = http_path(socket);
    let mut panel = Panel::default();
    // Before the screen changes: whoever names the wrong socket reads it on his own screen.
    let first =
        scrape(&http).with_context(|| format!("socket {}: no metrics of a daemon", http.display()))?;
    panel.take(Ok(first));
    let mut terminal = ratatui::init();
    let shown = show(&mut terminal, &mut panel, &http);
    ratatui::restore();
    shown.context("the terminal cannot be used")
}

fn show(terminal: &mut ratatui::DefaultTerminal, panel: &mut Panel, http: &Path) -> std::io::Result<()> {
    let mut asked = Instant::now();
    loop {
        terminal.draw(|frame| panel.draw(frame))?;
        if event::poll(PERIOD.saturating_sub(asked.elapsed()))? {
            if let Event::Key(key) = event::read()? {
                let leave = matches!(key.code, KeyCode::Char('q') | KeyCode::Esc);
                if leave || key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL) {
                    return Ok(());
                }
            }
        } else {
            asked = Instant::now();
            panel.take(scrape(http));
        }
    }
}
