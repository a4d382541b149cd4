use super::scrape::Scrape;
use super::trials::trials;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Style, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Paragraph, Sparkline};
use std::collections::VecDeque;
use std::io;
use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds in the picture of decisions per second.
const SECONDS: usize = 240;
const DECISIONS: &str = "haggle_decisions_total";

/// What is on the screen: the last metrics, the ones before, and how fast prices came.
#[derive(Debug, Default)]
pub struct Panel {
    now: Option<Scrape>,
    before: Option<Scrape>,
    rates: VecDeque<u64>,
    gone: Option<String>,
}

impl Panel {
    /// Takes in the next metrics, or that there are none.
    pub fn take(&mut self, scraped: io::Result<Scrape>) {
        match scraped {
            Ok(scrape) => {
                self.gone = None;
                self.before = self.now.replace(scrape);
                self.rates.push_back(self.rate(DECISIONS).round() as u64);
                self.rates.drain(..self.rates.len().saturating_sub(SECONDS));
            }
            Err(error) => self.gone = Some(error.to_string()),
        }
    }

    /// Draws everything.
    pub fn draw(&self, frame: &mut Frame<'_>) {
        let trials = self.now.as_ref().map(trials).unwrap_or_default();
        let rows = [
            Constraint::Length(1),
            Constraint::Length(7),
            Constraint::Length(10),
            Constraint::Length(match trials.len() {
                0 => 0,
                lines => lines as u16 + 2,
            }),
            Constraint::Min(4),
        ];
        let [head, picture, numbers, arms, timeline] = Layout::vertical(rows).areas(frame.area());
        let halves = [Constraint::Percentage(50), Constraint::Percentage(50)];
        let [left, right] = Layout::horizontal(halves).areas(numbers);
        frame.render_widget(self.head(), head);
        self.picture(frame, picture);
        boxed(frame, left, " Rewards and store ", self.numbers());
        boxed(frame, right, " Guardrail hits ", self.hits());
        let trials = trials.into_iter().map(|(name, said)| row(&name, said)).collect();
        boxed(frame, arms, " Canary and holdout ", trials);
        boxed(frame, timeline, " Policies, newest first ", self.timeline());
    }

    fn head(&self) -> Line<'static> {
        if let Some(error) = &self.gone {
            return Line::from(format!(" haggled does not answer: {error} (q leaves)")).fg(Color::Red);
        }
        let now = self.now.as_ref();
        let served = |label| {
            now.and_then(|now| {
                now.by("haggle_policy_info", label)
                    .first()
                    .map(|(name, _)| (*name).to_owned())
            })
        };
        let ready = self.value("haggle_store_ready") > 0.0;
        let store = match ready {
            true => Span::styled("ready", Style::new().fg(Color::Green)),
            false => Span::styled("takes nothing in", Style::new().fg(Color::Red)),
        };
        Line::from(vec![
            Span::from(" haggled").bold(),
            format!("  policy {}", served("policy").unwrap_or_default()).into(),
            format!("  mode {}", served("mode").unwrap_or_default()).into(),
            "  store ".into(),
            store,
            "  (q leaves)".dim(),
        ])
    }

    fn picture(&self, frame: &mut Frame<'_>, area: Rect) {
        let title = format!(
            " {:.0} decisions/s   answered in: p50 {} p99 {}   explored {} ",
            self.rate(DECISIONS),
            self.latency("haggle_decide_seconds", 0.5),
            self.latency("haggle_decide_seconds", 0.99),
            self.explored(),
        );
        let room = usize::from(area.width.saturating_sub(2));
        let rates: Vec<u64> = self
            .rates
            .iter()
            .skip(self.rates.len().saturating_sub(room))
            .copied()
            .collect();
        let picture = Sparkline::default()
            .data(&rates)
            .style(Style::new().fg(Color::Cyan));
        frame.render_widget(picture.block(Block::bordered().title(title)), area);
    }

    fn numbers(&self) -> Vec<Line<'static>> {
        let commit = "haggle_reward_commit_seconds";
        vec![
            row(
                "rewards on disk",
                format!("{:.0}/s", self.rate("haggle_rewards_total")),
            ),
            row(
                "durable in",
                format!(
                    "p50 {} p99 {}",
                    self.latency(commit, 0.5),
                    self.latency(commit, 0.99)
                ),
            ),
            row(
                "waited for by decisions",
                count(self.value("haggle_decisions_open")),
            ),
            row(
                "deferred, not shown yet",
                count(self.value("haggle_decisions_pending")),
            ),
            row(
                "records that wait for the disk",
                count(self.value("haggle_commit_queue_records")),
            ),
            row("lessons of bandits, and waiting", self.lessons()),
            row(
                "fallbacks since the start",
                count(self.value("haggle_decisions_fallback_total")),
            ),
            row(
                "not logged since the start",
                count(self.value("haggle_decisions_unlogged_total")),
            ),
        ]
    }

    fn hits(&self) -> Vec<Line<'static>> {
        let Some(now) = &self.now else {
            return Vec::new();
        };
        let mut hits = now.by("haggle_guardrail_hits_total", "rule");
        hits.sort_by(|a, b| b.1.total_cmp(&a.1));
        let decisions = now.sum(DECISIONS).max(1.0);
        let share = |hits: f64| format!("{} ({:.1} %)", count(hits), 100.0 * hits / decisions);
        hits.into_iter()
            .map(|(rule, hits)| row(rule, share(hits)))
            .collect()
    }

    fn timeline(&self) -> Vec<Line<'static>> {
        let Some(now) = &self.now else {
            return Vec::new();
        };
        let mut served = now.by("haggle_policy_served_since_seconds", "policy");
        served.sort_by(|a, b| b.1.total_cmp(&a.1));
        let unix_s = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0.0, |now| now.as_secs_f64());
        let decided = now.by(DECISIONS, "policy");
        let line = |(policy, since): (&str, f64)| {
            let decisions: f64 = decided
                .iter()
                .filter(|(name, _)| *name == policy)
                .map(|(_, n)| n)
                .sum();
            let ago = format!(
                "since {} ago, {} decisions",
                age(unix_s - since),
                count(decisions)
            );
            row(policy, ago)
        };
        served.into_iter().map(line).collect()
    }

    fn lessons(&self) -> String {
        let sum = |name| count(self.value(name));
        let (learnt, waiting) = (
            sum("haggle_bandit_lessons_learnt"),
            sum("haggle_bandit_lessons_waiting"),
        );
        format!("{learnt}, {waiting}")
    }

    fn explored(&self) -> String {
        let (decisions, explored) = (self.rate(DECISIONS), self.rate("haggle_decisions_explored_total"));
        match decisions > 0.0 {
            true => format!("{:.1} %", 100.0 * explored / decisions),
            false => "-".to_owned(),
        }
    }

    fn value(&self, name: &str) -> f64 {
        self.now.as_ref().map_or(0.0, |now| now.sum(name))
    }

    /// By how much a counter grew per second.
    fn rate(&self, name: &str) -> f64 {
        let (Some(now), Some(before)) = (&self.now, &self.before) else {
            return 0.0;
        };
        let seconds = now.at.duration_since(before.at).as_secs_f64().max(1e-3);
        ((now.sum(name) - before.sum(name)) / seconds).max(0.0)
    }

    fn latency(&self, histogram: &str, share: f64) -> String {
        let both = self.now.as_ref().zip(self.before.as_ref());
        let seconds = both.and_then(|(now, before)| now.quantile(before, histogram, share));
        match seconds {
            Some(seconds) if seconds < 1e-3 => format!("<{:.0} us", 1e6 * seconds),
            Some(seconds) => format!("<{:.0} ms", 1e3 * seconds),
            None => "-".to_owned(),
        }
    }
}

fn boxed(frame: &mut Frame<'_>, area: Rect, title: &'static str, lines: Vec<Line<'static>>) {
    frame.render_widget(Paragraph::new(lines).block(Block::bordered().title(title)), area);
}

fn row(name: &str, value: String) -> Line<'static> {
    Line::from(vec![format!(" {name:<32}").into(), Span::from(value).bold()])
}

fn count(value: f64) -> String {
    format!("{value:.0}")
}

fn age(seconds: f64) -> String {
    match seconds {
        seconds if seconds < 120.0 => format!("{seconds:.0} s"),
        seconds if seconds < 7_200.0 => format!("{:.0} min", seconds / 60.0),
        seconds if seconds < 172_800.0 => format!("{:.0} h", seconds / 3_600.0),
        seconds => format!("{:.0} days", seconds / 86_400.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    #[test]
    fn a_daemon_at_work_and_one_that_is_gone() -> io::Result<()> {
        let text = "haggle_store_ready 1\n\
            haggle_policy_info{policy=\"0123456789ab\",mode=\"live\"} 1\n\
            haggle_policy_served_since_seconds{policy=\"0123456789ab\"} 0\n\
            haggle_guardrail_hits_total{rule=\"floor\"} 25\n\
            haggle_bandit_lessons_learnt{policy=\"0123456789ab\"} 1500\n\
            haggle_bandit_lessons_waiting{policy=\"0123456789ab\"} 7\n\
            haggle_holdout_share_ratio 0\n\
            haggle_decisions_open 12\n";
        let mut panel = Panel::default();
        panel.take(Ok(Scrape::read(text)));
        let decided = "haggle_decisions_total{policy=\"0123456789ab\",source=\"policy\"} 100\n";
        panel.take(Ok(Scrape::read(&format!("{text}{decided}"))));
        let screen = screen(&panel)?;
        for part in [
            "policy 0123456789ab",
            "mode live",
            "store ready",
            "25 (25.0 %)",
            "100 decisions",
            "1500, 7",
        ] {
            assert!(screen.contains(part), "{part}: {screen}");
        }
        assert!(!screen.contains("Canary and holdout"), "there are none: {screen}");
        panel.take(Err(io::Error::other("nobody is there")));
        assert!(self::screen(&panel)?.contains("does not answer: nobody is there"));
        Ok(())
    }

    #[test]
    fn canary_and_holdout_are_shown_where_there_is_one() -> io::Result<()> {
        let holdout = "haggle_holdout_share_ratio 0.02\n\
            haggle_trial_users{trial=\"holdout\",arm=\"priced\"} 1960\n\
            haggle_trial_users{trial=\"holdout\",arm=\"held_out\"} 41\n";
        let mut panel = Panel::default();
        panel.take(Ok(Scrape::read(holdout)));
        let alone = screen(&panel)?;
        for part in ["2.0 %, users: priced 1960, held out 41", "not known yet"] {
            assert!(alone.contains(part), "{part}: {alone}");
        }
        assert!(!alone.contains("canary "), "{alone}");
        let canary = "haggle_canary_share_ratio{policy=\"0123456789ab\"} 0.125\n\
            haggle_trial_users{trial=\"canary\",arm=\"new\"} 250\n\
            haggle_trial_users{trial=\"canary\",arm=\"old\"} 1700\n\
            haggle_trial_difference_minor{trial=\"canary\",bound=\"mean\"} 1.254\n\
            haggle_trial_difference_minor{trial=\"canary\",bound=\"low\"} -0.5\n\
            haggle_trial_difference_minor{trial=\"canary\",bound=\"high\"} 3\n";
        panel.take(Ok(Scrape::read(&format!("{holdout}{canary}"))));
        let both = screen(&panel)?;
        for part in [
            "canary 0123456789ab",
            "12.5 %, users: new 250, old 1700",
            "+1.25 (-0.50 to +3.00)",
            "held out 41",
            "not known yet",
        ] {
            assert!(both.contains(part), "{part}: {both}");
        }
        Ok(())
    }

    fn screen(panel: &Panel) -> io::Result<String> {
        let mut terminal = Terminal::new(TestBackend::new(100, 30)).map_err(io::Error::other)?;
        terminal
            .draw(|frame| panel.draw(frame))
            .map_err(io::Error::other)?;
        Ok(terminal.backend().to_string())
    }
}
