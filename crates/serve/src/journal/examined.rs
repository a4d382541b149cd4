use super::chain;
use super::frame::{Entry, Frame};
use super::pieces::{Piece, Pieces};
use super::volume::Header;
use crate::record::Record;
use crate::store_error::{StoreError, lost};
use haggle_core::{Digest, decode_record};
use std::path::Path;

/// What a volume holds, damaged or not.
#[derive(Debug)]
pub struct Examined<'a> {
    /// Its header, or the one that it must have had.
    pub header: Header,
    /// What is left of it, in order; a mark where records are lost; the seal last if it has one.
    pub frames: Vec<Frame<'a>>,
    /// Records that are lost, also those that an earlier repair has marked: first number, and the one after the last.
    pub lost: Vec<(u64, u64)>,
    /// What is wrong, as the end of a sentence that begins with the name of the volume.
    pub damage: Vec<String>,
    /// What does not fit the chain, likewise.
    pub breaks: Vec<String>,
    /// Bytes that were never acknowledged.
    pub torn_bytes: usize,
    /// Number of the next record.
    pub next: u64,
    /// Chain digest of all records before.
    pub chain: Digest,
}

impl<'a> Examined<'a> {
    /// Examines a volume. `until` is the number that the next volume begins with; for the last one it is the number after
    /// the last record that is known to have been acknowledged. `chain` is the digest at the end of the volume before.
    #[must_use]
    pub fn new(bytes: &'a [u8], first: u64, until: u64, last: bool, chain: Option<Digest>) -> Self {
        let header = Header::read(bytes).filter(|header| header.first == first);
        let given = chain.or(header.map(|header| header.chain));
        let chain = header
            .map(|header| header.chain)
            .or(given)
            .unwrap_or_else(chain::origin);
        let mut found = Self {
            header: Header { first, chain },
            frames: Vec::new(),
            lost: Vec::new(),
            damage: Vec::new(),
            breaks: Vec::new(),
            torn_bytes: 0,
            next: first,
            chain,
        };
        if bytes.is_empty() {
            found.damage.push("it is missing".to_owned());
        } else if header.is_none() {
            found.damage.push("its header is damaged".to_owned());
        }
        if given.is_some_and(|given| given != chain) {
            found
                .breaks
                .push("it does not follow the volume before".to_owned());
        }
        let durable = if last {
            until.max(begun_after(bytes, first))
        } else {
            until
        };
        found.walk(bytes, durable, last);
        found
    }

    fn walk(&mut self, bytes: &'a [u8], durable: u64, last: bool) {
        let mut gap = None;
        for piece in Pieces::new(bytes, self.next) {
            match piece {
                Piece::Sound(at, frame) if readable(&frame) => {
                    if frame.number > self.next && last && self.next >= durable {
                        gap = gap.or(Some(at));
                        break;
                    }
                    if frame.number > self.next {
                        self.lose(frame.number);
                    } else if let Some(at) = gap.take() {
                        self.damage
                            .push(format!("byte {at} and what follows is no record"));
                    }
                    gap = None;
                    self.keep(frame);
                    if matches!(frame.entry, Entry::Seal(_)) {
                        return;
                    }
                }
                Piece::Sound(at, _) | Piece::Damage(at) => gap = gap.or(Some(at)),
            }
        }
        if self.next < durable {
            self.lose(durable);
        } else if let (Some(at), true) = (gap, last) {
            let used = bytes.iter().rposition(|byte| *byte != 0).unwrap_or(at);
            self.torn_bytes = used + 1 - at;
        }
        if !last && !bytes.is_empty() {
            self.damage.push("its seal is damaged".to_owned());
        }
    }

    /// Sentences about it, with its name.
    pub fn named(&self, sentences: &[String]) -> impl Iterator<Item = String> {
        sentences
            .iter()
            .map(|what| format!("volume {:020}: {what}", self.header.first))
    }

    /// Why the store cannot be used: what a check says of this volume.
    pub fn refusal(&self, store: &Path) -> StoreError {
        let what: Vec<String> = self.named(&self.damage).collect();
        StoreError::Damaged {
            store: store.to_owned(),
            what: what.join("; "),
        }
    }

    /// Whether the chain digest at its end is what it was when its last record was written.
    #[must_use]
    pub fn chain_is_known(&self) -> bool {
        let sealed = |frame: &Frame<'_>| matches!(frame.entry, Entry::Seal(_));
        self.lost.is_empty() || self.frames.last().is_some_and(sealed)
    }

    fn keep(&mut self, frame: Frame<'a>) {
        match frame.entry {
            Entry::Seal(sealed) if sealed != self.chain && self.lost.is_empty() => {
                self.breaks
                    .push("its records are not those that it was sealed with".to_owned());
            }
            Entry::Lost(next) => self.lost.push((frame.number, next)),
            _ => {}
        }
        self.chain = chain::after(self.chain, &frame);
        self.next = frame.next();
        self.frames.push(frame);
    }

    /// Records up to a number are lost.
    fn lose(&mut self, next: u64) {
        self.damage.push(lost(self.next, next));
        self.keep(Frame {
            number: self.next,
            place: 0,
            entry: Entry::Lost(next),
        });
    }
}

/// Whatever stands before the batch of a sound frame was on disk before that batch was begun.
fn begun_after(bytes: &[u8], first: u64) -> u64 {
    let begun = Pieces::new(bytes, first).map(|piece| match piece {
        Piece::Sound(_, frame) => frame.number.saturating_sub(u64::from(frame.place)),
        Piece::Damage(_) => 0,
    });
    begun.max().unwrap_or(0)
}

fn readable(frame: &Frame<'_>) -> bool {
    match frame.entry {
        Entry::Record { record, .. } => decode_record::<Record>(record).is_ok(),
        _ => true,
    }
}
