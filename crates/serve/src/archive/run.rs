use super::{Archived, damaged, hash_of};
use haggle_core::{FRAME_BYTES_MAX, Frames, decode_record, encode_record, write_frame};
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

/// How the names of the files begin.
pub const PREFIX: &str = "archive";
/// Bytes of the head of a frame, the first four of which are the length of the rest.
const FRAME_HEAD_BYTES: usize = 8;
/// What stands before an entry in its frame: when it was changed last, and the hash of its id.
const ENTRY_HEAD_BYTES: usize = 16;
const PLACE_BYTES: usize = 16;
/// Bytes read at once: most entries are shorter.
const READ_BYTES: usize = 512;
/// Bytes read at once where all of them are read.
const BLOCK_BYTES: usize = 1 << 20;

/// One file of the archive, which is never changed: a row of frames (the codec's, with CRC-32C), and behind them where each
/// lies, ordered by the hash of its id. A frame holds the number of the record that changed the decision last (u64), the
/// hash (u64), and the [`Archived`] as the codec writes records; a place the hash and the byte (u64 each, little endian).
#[derive(Debug)]
pub struct Run {
    pub named: Named,
    file: File,
    places: Vec<(u64, u64)>,
}

/// What tells a run from every other one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    /// Its file's.
    pub number: u64,
    /// Decisions in it.
    pub entries: u64,
    /// Bytes of their frames.
    bytes: u64,
    /// CRC-32C of the file: entries that are sound, but not the ones that were written there, are found out by it.
    crc: u32,
    /// The first and the last record that changed one of its decisions last.
    pub oldest: u64,
    pub newest: u64,
}

impl Named {
    pub fn file(&self) -> String {
        format!("{PREFIX}-{}", self.number)
    }
}

impl Run {
    /// Writes decisions, durably.
    pub fn write(folder: &Path, number: u64, archived: impl Iterator<Item = Archived>) -> io::Result<Self> {
        Draft::filled(folder, number, |draft| {
            let mut payload = Vec::new();
            for archived in archived {
                payload.clear();
                payload.extend(archived.touched.to_le_bytes());
                payload.extend(hash_of(&archived.id).to_le_bytes());
                payload.extend(encode_record(&archived));
                draft.push(&payload)?;
            }
            Ok(())
        })
    }

    /// Writes what is in some runs, the older ones first, into one: of each decision its newest entry, unless that was
    /// changed last before the horizon.
    pub fn merge(folder: &Path, number: u64, runs: &[&Self], horizon: u64) -> io::Result<Self> {
        Draft::filled(folder, number, |draft| {
            for (place, run) in runs.iter().enumerate() {
                for payload in run.payloads() {
                    let payload = payload?;
                    let (touched, hash) = head(&payload)?;
                    if touched >= horizon && !is_in(&runs[place + 1..], hash, &payload)? {
                        draft.push(&payload)?;
                    }
                }
            }
            Ok(())
        })
    }

    /// Opens a file, all of which is read.
    pub fn open(folder: &Path, named: Named) -> io::Result<Self> {
        let other = || damaged("the archive is not the one that its checkpoint is of");
        let file = File::open(folder.join(named.file()))?;
        let whole = named.bytes + named.entries * PLACE_BYTES as u64;
        if file.metadata()?.len() != whole {
            return Err(other());
        }
        let mut places = Vec::with_capacity(named.entries as usize * PLACE_BYTES);
        let (mut crc, mut block) = (0, vec![0; BLOCK_BYTES]);
        for at in (0..whole).step_by(BLOCK_BYTES) {
            let block = &mut block[..BLOCK_BYTES.min((whole - at) as usize)];
            file.read_exact_at(block, at)?;
            crc = crc32c::crc32c_append(crc, block);
            let of_frames = named.bytes.saturating_sub(at) as usize;
            places.extend_from_slice(block.get(of_frames..).unwrap_or_default());
        }
        if crc != named.crc {
            return Err(other());
        }
        let word = |bytes: &[u8]| bytes.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        let places = places.chunks_exact(PLACE_BYTES);
        let places = places.map(|place| (word(place), word(&place[8..]))).collect();
        Ok(Self { named, file, places })
    }

    /// What it knows of a decision whose id has a hash.
    pub fn find(&self, id: &str, hash: u64) -> io::Result<Option<Archived>> {
        let from = self.places.partition_point(|(other, _)| *other < hash);
        for (_, at) in self.places[from..].iter().take_while(|(other, _)| *other == hash) {
            let archived = archived(&self.payload(*at)?)?;
            if archived.id == id {
                return Ok(Some(archived));
            }
            // Of two ids with one hash the other's entry is passed over.
            if hash_of(&archived.id) != hash {
                return Err(damaged("an entry of another decision lies in its place"));
            }
        }
        Ok(None)
    }

    /// What is in its frames, in the order of the file.
    fn payloads(&self) -> impl Iterator<Item = io::Result<Vec<u8>>> + '_ {
        let mut at = 0;
        std::iter::from_fn(move || {
            let payload = (at < self.named.bytes).then(|| self.payload(at))?;
            // After an error the rest cannot be found.
            at = payload.as_ref().map_or(self.named.bytes, |payload| {
                at + (FRAME_HEAD_BYTES + payload.len()) as u64
            });
            Some(payload)
        })
    }

    fn payload(&self, at: u64) -> io::Result<Vec<u8>> {
        let left = self.named.bytes.saturating_sub(at) as usize;
        let mut bytes = vec![0; READ_BYTES.min(left)];
        self.file.read_exact_at(&mut bytes, at)?;
        let length = bytes
            .first_chunk()
            .map_or(0, |length| u32::from_le_bytes(*length)) as usize;
        let whole = FRAME_HEAD_BYTES + length.min(FRAME_BYTES_MAX);
        if whole > bytes.len() && whole <= left {
            bytes.resize(whole, 0);
            self.file.read_exact_at(&mut bytes, at)?;
        }
        bytes.truncate(whole);
        let frame = Frames::new(&bytes).next();
        let payload = frame.ok_or_else(|| damaged("an entry is cut off"))?;
        payload.map(<[u8]>::to_vec).map_err(damaged)
    }
}

/// Whether a run among some knows the decision of an entry, too.
fn is_in(runs: &[&Run], hash: u64, payload: &[u8]) -> io::Result<bool> {
    for run in runs {
        if run.places.binary_search_by_key(&hash, |(hash, _)| *hash).is_ok()
            && run.find(&archived(payload)?.id, hash)?.is_some()
        {
            return Ok(true);
        }
    }
    Ok(false)
}

fn head(payload: &[u8]) -> io::Result<(u64, u64)> {
    let words = payload.split_first_chunk::<8>();
    let words = words.and_then(|(touched, rest)| Some((touched, rest.first_chunk::<8>()?)));
    let (touched, hash) = words.ok_or_else(|| damaged("an entry is cut off"))?;
    Ok((u64::from_le_bytes(*touched), u64::from_le_bytes(*hash)))
}

fn archived(payload: &[u8]) -> io::Result<Archived> {
    let (touched, _) = head(payload)?;
    let archived: Archived = decode_record(&payload[ENTRY_HEAD_BYTES..]).map_err(damaged)?;
    Ok(Archived { touched, ..archived })
}

/// A run that is being written.
struct Draft {
    out: BufWriter<File>,
    named: Named,
    places: Vec<(u64, u64)>,
    frame: Vec<u8>,
}

impl Draft {
    fn filled(folder: &Path, number: u64, fill: impl FnOnce(&mut Self) -> io::Result<()>) -> io::Result<Run> {
        let mut draft = Self::new(folder, number)?;
        let path = folder.join(draft.named.file());
        let run = fill(&mut draft).and_then(|()| draft.finish());
        run.inspect_err(|_| {
            // On a full disk it is in the way of everybody.
            let _ = fs::remove_file(path);
        })
    }

    fn new(folder: &Path, number: u64) -> io::Result<Self> {
        let named = Named {
            number,
            entries: 0,
            bytes: 0,
            crc: 0,
            oldest: u64::MAX,
            newest: 0,
        };
        let path = folder.join(named.file());
        // Whoever reads an old one goes on with it.
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut options = File::options();
        let file = options.read(true).write(true).create_new(true).mode(0o600);
        Ok(Self {
            out: BufWriter::with_capacity(BLOCK_BYTES, file.open(path)?),
            named,
            places: Vec::new(),
            frame: Vec::new(),
        })
    }

    fn push(&mut self, payload: &[u8]) -> io::Result<()> {
        let (touched, hash) = head(payload)?;
        self.frame.clear();
        write_frame(&mut self.frame, |frame| frame.extend_from_slice(payload));
        self.places.push((hash, self.named.bytes));
        self.named.entries += 1;
        self.named.bytes += self.frame.len() as u64;
        self.named.oldest = self.named.oldest.min(touched);
        self.named.newest = self.named.newest.max(touched);
        self.named.crc = crc32c::crc32c_append(self.named.crc, &self.frame);
        self.out.write_all(&self.frame)
    }

    fn finish(mut self) -> io::Result<Run> {
        self.places.sort_unstable();
        for (hash, at) in &self.places {
            let place = [hash.to_le_bytes(), at.to_le_bytes()].concat();
            self.named.crc = crc32c::crc32c_append(self.named.crc, &place);
            self.out.write_all(&place)?;
        }
        let file = self.out.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_data()?;
        Ok(Run {
            named: self.named,
            file,
            places: self.places,
        })
    }
}
