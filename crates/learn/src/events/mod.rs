//! TensorBoard event files. `tensorboard-rs` gives the record framing and `tensorboard-proto` the messages; its own
//! writer is not used, because it can lose data and end the process on a full disk.

mod message;
mod setting;

use protobuf::{Message, RepeatedField};
pub use setting::Setting;
use std::fs::{self, OpenOptions};
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tensorboard_proto::event::Event;
use tensorboard_proto::plugin_hparams::HParamsPluginData;
use tensorboard_proto::summary::{Summary, Summary_Value};
use tensorboard_rs::record_writer::RecordWriter;

const FLUSH_EVERY: Duration = Duration::from_secs(2);

/// Writes one event file. Watching must not end a run: the first failure is kept as a warning, later ones are counted.
#[derive(Debug)]
pub struct EventWriter {
    path: PathBuf,
    records: Option<Records>,
    flushed: Instant,
    warning: Option<String>,
    lost: u64,
}

struct Records(RecordWriter<BufWriter<fs::File>>);

impl std::fmt::Debug for Records {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Records")
    }
}

impl EventWriter {
    /// A new file in `folder`; its name is new even if several are made in one second.
    ///
    /// # Errors
    /// When the folder or the file cannot be created.
    pub fn create(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let second = wall_time() as u64;
        let mut number = 0;
        let (path, file) = loop {
            let process = std::process::id();
            let path = folder.join(format!(
                "events.out.tfevents.{second:010}.haggle.{process}.{number}"
            ));
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(file) => break (path, file),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
                Err(error) => return Err(error),
            }
        };
        let mut writer = Self {
            path,
            records: Some(Records(RecordWriter::new(BufWriter::new(file)))),
            flushed: Instant::now(),
            warning: None,
            lost: 0,
        };
        let mut first = Event::new();
        first.set_file_version("brain.Event:2".to_owned());
        writer.put(first, 0);
        Ok(writer)
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// One number.
    pub fn scalar(&mut self, tag: &str, value: f64, step: u64) {
        self.summary(message::scalar(tag, value), step);
    }

    /// Counts of whole numbers: `counts[n]` times the value `n`.
    pub fn counts(&mut self, tag: &str, counts: &[f64], step: u64) {
        if let Some(histogram) = message::histogram(tag, counts) {
            self.summary(histogram, step);
        }
    }

    /// A text in Markdown.
    pub fn text(&mut self, tag: &str, markdown: &str, step: u64) {
        self.summary(message::text(tag, markdown), step);
    }

    /// The settings of the run and the tags that its results have: what the HPARAMS tab shows.
    pub fn settings(&mut self, run: &str, settings: &[(String, Setting)], results: &[&str]) {
        self.hparams("_hparams_/experiment", &message::experiment(settings, results));
        let start = message::session_start(run, settings, wall_time());
        self.hparams("_hparams_/session_start_info", &start);
    }

    /// The run is over; everything is on its way to the disk. Returns the warning of the first failure, if there was one.
    pub fn finish(mut self, success: bool) -> Option<String> {
        let end = message::session_end(success, wall_time());
        self.hparams("_hparams_/session_end_info", &end);
        self.flush();
        self.warning()
    }

    /// What went wrong first, with how many events were lost since.
    #[must_use]
    pub fn warning(&self) -> Option<String> {
        let first = self.warning.as_ref()?;
        Some(format!(
            "{}: {first}; {} events are missing there",
            self.path.display(),
            self.lost
        ))
    }

    /// Hands what is buffered to the system.
    pub fn flush(&mut self) {
        self.flushed = Instant::now();
        if let Some(records) = &mut self.records
            && let Err(error) = records.0.flush()
        {
            self.fail(&error);
        }
    }

    fn hparams(&mut self, tag: &str, data: &HParamsPluginData) {
        match data.write_to_bytes() {
            Ok(bytes) => self.summary(message::hparams(tag, bytes), 0),
            Err(error) => self.fail(&io::Error::other(error)),
        }
    }

    fn summary(&mut self, value: Summary_Value, step: u64) {
        let mut summary = Summary::new();
        summary.set_value(RepeatedField::from_vec(vec![value]));
        let mut event = Event::new();
        event.set_summary(summary);
        self.put(event, step);
        if self.flushed.elapsed() > FLUSH_EVERY {
            self.flush();
        }
    }

    fn put(&mut self, mut event: Event, step: u64) {
        event.set_wall_time(wall_time());
        event.set_step(i64::try_from(step).unwrap_or(i64::MAX));
        let Some(records) = &mut self.records else {
            self.lost += 1;
            return;
        };
        let written = event
            .write_to_bytes()
            .map_err(io::Error::other)
            .and_then(|bytes| records.0.write(&bytes));
        if let Err(error) = written {
            self.fail(&error);
        }
    }

    fn fail(&mut self, error: &io::Error) {
        self.lost += 1;
        self.records = None; // a record may be half written: nothing after it could be read
        self.warning
            .get_or_insert_with(|| format!("TensorBoard events stopped: {error}"));
    }
}

fn wall_time() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0.0, |time| time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(path: &Path) -> Vec<Event> {
        let bytes = fs::read(path).expect("the file");
        let mut at = 0;
        let mut events = Vec::new();
        while at < bytes.len() {
            let length = u64::from_le_bytes(bytes[at..at + 8].try_into().expect("8 bytes")) as usize;
            events.push(Event::parse_from_bytes(&bytes[at + 12..at + 12 + length]).expect("an event"));
            at += 12 + length + 4;
        }
        events
    }

    #[test]
    fn everything_that_was_written_is_there_after_finish() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut writer = EventWriter::create(folder.path()).expect("a writer");
        let path = writer.path().to_owned();
        writer.settings(
            "r1",
            &[("gamma".into(), Setting::Number(0.9))],
            &["eval/mean_reward"],
        );
        writer.scalar("train/value_loss", 0.25, 64);
        writer.counts("agents/0/rung", &[0.0, 3.0, 1.0], 64);
        writer.text("config", "`gamma = 0.9`", 0);
        assert_eq!(writer.finish(true), None);
        let events = events(&path);
        assert_eq!(events.len(), 1 + 2 + 3 + 1);
        assert_eq!(events[0].get_file_version(), "brain.Event:2");
        let value = &events[3].get_summary().get_value()[0];
        assert_eq!(
            (value.get_tag(), value.get_simple_value(), events[3].get_step()),
            ("train/value_loss", 0.25, 64)
        );
        let histogram = events[4].get_summary().get_value()[0].get_histo();
        assert_eq!(
            (histogram.get_min(), histogram.get_max(), histogram.get_num()),
            (1.0, 2.0, 4.0)
        );
        assert_eq!(histogram.get_bucket().len(), histogram.get_bucket_limit().len());
    }

    #[test]
    fn two_writers_of_one_second_have_two_files() {
        let folder = tempfile::tempdir().expect("a folder");
        let first = EventWriter::create(folder.path()).expect("a writer");
        let second = EventWriter::create(folder.path()).expect("a writer");
        assert_ne!(first.path(), second.path());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_one_warning_and_a_count() {
        let file = OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .expect("the device");
        let mut writer = EventWriter {
            path: "full".into(),
            records: Some(Records(RecordWriter::new(BufWriter::new(file)))),
            flushed: Instant::now(),
            warning: None,
            lost: 0,
        };
        writer.scalar("a", 1.0, 1);
        writer.flush();
        writer.scalar("a", 2.0, 2);
        let warning = writer.finish(true).expect("a warning");
        assert!(
            warning.contains("TensorBoard events stopped") && warning.ends_with("3 events are missing there"),
            "{warning}"
        );
    }
}
