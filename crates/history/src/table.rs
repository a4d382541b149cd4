//! Reading one CSV file, plain or gzipped, with errors that name file, line and column.

use crate::HistoryError;
use csv::{Reader, ReaderBuilder, StringRecord};
use flate2::read::MultiGzDecoder;
use haggle_core::Digest;
use std::fs;
use std::io::{self, Cursor, Read};
use std::path::{Path, PathBuf};

/// One CSV file with the positions of the columns that are wanted; other columns are ignored.
pub(crate) struct Table {
    /// The file.
    pub(crate) file: PathBuf,
    /// Digest of the file as it lies on disk.
    pub(crate) digest: Digest,
    /// Data rows handed out so far.
    pub(crate) rows: usize,
    reader: Reader<Box<dyn Read>>,
    columns: &'static [&'static str],
    places: Vec<usize>,
    record: StringRecord,
}

/// Text whose lines end with `\n`, of text whose lines may end with `\r\n`: the reader of CSV counts a line of the latter only when
/// it comes to the next one, and would name the line before.
struct OneByteEnds<R>(R);

impl<R: Read> Read for OneByteEnds<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.0.read(out)?;
            let mut kept = 0;
            for n in 0..read {
                out[kept] = out[n];
                kept += usize::from(out[n] != b'\r');
            }
            if kept > 0 || read == 0 {
                return Ok(kept);
            }
        }
    }
}

/// The current row of a [`Table`]; columns are numbered as they were asked for.
pub(crate) struct Row<'a> {
    table: &'a Table,
}

impl Table {
    /// Opens `name.csv` or `name.csv.gz` and checks its header.
    pub(crate) fn open(
        folder: &Path,
        name: &str,
        columns: &'static [&'static str],
    ) -> Result<Self, HistoryError> {
        Self::open_optional(folder, name, columns)?.ok_or_else(|| HistoryError::Missing {
            folder: folder.to_owned(),
            name: name.to_owned(),
        })
    }

    /// As [`Table::open`], but a file that is not there is `None`.
    pub(crate) fn open_optional(
        folder: &Path,
        name: &str,
        columns: &'static [&'static str],
    ) -> Result<Option<Self>, HistoryError> {
        let plain = folder.join(format!("{name}.csv"));
        let packed = folder.join(format!("{name}.csv.gz"));
        let Some(file) = [plain, packed].into_iter().find(|file| file.exists()) else {
            return Ok(None);
        };
        let bytes = fs::read(&file).map_err(HistoryError::io("read", &file))?;
        let digest = Digest::of(&bytes);
        let unpacked: Box<dyn Read> = if file.extension().is_some_and(|ending| ending == "gz") {
            Box::new(MultiGzDecoder::new(Cursor::new(bytes)))
        } else {
            Box::new(Cursor::new(bytes))
        };
        let mut table = Self {
            file,
            digest,
            rows: 0,
            reader: ReaderBuilder::new().from_reader(Box::new(OneByteEnds(unpacked))),
            columns,
            places: Vec::new(),
            record: StringRecord::new(),
        };
        table.find_columns()?;
        Ok(Some(table))
    }

    /// The file's name without its folder.
    pub(crate) fn name(&self) -> String {
        let name = self.file.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }

    /// The next row, or `None` after the last.
    pub(crate) fn next_row(&mut self) -> Result<Option<Row<'_>>, HistoryError> {
        let line = self.reader.position().line();
        match self.reader.read_record(&mut self.record) {
            Ok(true) => {
                self.rows += 1;
                Ok(Some(Row { table: self }))
            }
            Ok(false) => Ok(None),
            Err(error) => Err(self.failure(&error, line.saturating_sub(1))),
        }
    }

    fn find_columns(&mut self) -> Result<(), HistoryError> {
        let header = match self.reader.headers() {
            Ok(header) => header.clone(),
            Err(error) => return Err(self.failure(&error, 0)),
        };
        for column in self.columns {
            let place = header.iter().position(|name| name.trim() == *column);
            self.places.push(place.ok_or_else(|| HistoryError::Header {
                file: self.file.clone(),
                column: (*column).to_owned(),
                expected: format!("`{}`", self.columns.join(",")),
                got: match header.len() {
                    0 => "an empty file".to_owned(),
                    _ => format!("`{}`", header.iter().collect::<Vec<_>>().join(",")),
                },
            })?);
        }
        Ok(())
    }

    fn failure(&self, error: &csv::Error, line: u64) -> HistoryError {
        let file = self.file.clone();
        match error.kind() {
            csv::ErrorKind::UnequalLengths {
                pos,
                expected_len,
                len,
            } => HistoryError::Width {
                file,
                line: pos.as_ref().map_or(line + 1, csv::Position::line),
                expected: *expected_len,
                got: *len,
            },
            csv::ErrorKind::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                let what = "the compressed file ends too early: it was cut off".to_owned();
                HistoryError::Unreadable { file, line, what }
            }
            csv::ErrorKind::Io(error) => {
                let what = format!("the file does not unpack: {error}");
                HistoryError::Unreadable { file, line, what }
            }
            csv::ErrorKind::Utf8 { .. } => {
                let what = "the next line is not UTF-8 text".to_owned();
                HistoryError::Unreadable { file, line, what }
            }
            _ => HistoryError::Unreadable {
                file,
                line,
                what: error.to_string(),
            },
        }
    }
}

impl Row<'_> {
    /// A column's text.
    pub(crate) fn text(&self, column: usize) -> &str {
        self.table
            .record
            .get(self.table.places[column])
            .unwrap_or_default()
            .trim()
    }

    /// A column's text, which must not be empty.
    pub(crate) fn name(&self, column: usize) -> Result<&str, HistoryError> {
        match self.text(column) {
            "" => Err(self.wrong(column, "a name (it is empty)")),
            text => Ok(text),
        }
    }

    /// A column as a finite number.
    pub(crate) fn number(&self, column: usize) -> Result<f64, HistoryError> {
        let number: Option<f64> = self.text(column).parse().ok();
        number
            .filter(|value| value.is_finite())
            .ok_or_else(|| self.wrong(column, "a number"))
    }

    /// A column as a whole number, written with or without `.0`.
    pub(crate) fn whole(&self, column: usize) -> Result<i64, HistoryError> {
        let value = self
            .number(column)
            .map_err(|_| self.wrong(column, "a whole number"))?;
        if value.fract() == 0.0 && value.abs() <= f64::from(u32::MAX) {
            Ok(value as i64)
        } else {
            Err(self.wrong(column, "a whole number below 2^32"))
        }
    }

    /// A column as an instant `2017-01-01T12:26:30`, in seconds since 1970.
    pub(crate) fn time_s(&self, column: usize) -> Result<i64, HistoryError> {
        let text = self.text(column);
        // A time in the shop's own zone: an offset behind it would be read and ignored.
        let offset = text
            .get("2017-01-01".len()..)
            .is_some_and(|time| time.contains(['+', '-', '[']));
        if offset {
            return Err(self.wrong(column, "a local time like 2017-01-01T12:26:30, without an offset"));
        }
        text.parse::<jiff::civil::DateTime>()
            .and_then(|local| jiff::tz::TimeZone::UTC.to_timestamp(local))
            .map(jiff::Timestamp::as_second)
            .map_err(|_| self.wrong(column, "a time like 2017-01-01T12:26:30"))
    }

    /// All fields, for finding exact duplicates.
    pub(crate) fn fields(&self) -> impl Iterator<Item = &str> {
        self.table.record.iter()
    }

    /// The error for a field of the wrong kind.
    pub(crate) fn wrong(&self, column: usize, expected: &'static str) -> HistoryError {
        let line = self.table.record.position().map_or(0, csv::Position::line);
        HistoryError::Field {
            file: self.table.file.clone(),
            line,
            column: self.table.columns[column].to_owned(),
            value: self.text(column).to_owned(),
            expected,
        }
    }
}
