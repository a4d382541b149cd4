//! The vocabulary of haggle and its pure rules.
//!
//! Everything here is a value or a function of its arguments: no files, no clocks, no threads. History, environment,
//! learner and daemon all speak in these types, so that what a policy saw in training is what it sees when serving.

mod catalog;
mod codec;
mod confidence;
mod digest;
mod ending;
mod feature;
mod guardrail;
mod ladder;
#[cfg(test)]
mod milk;
mod offer;
mod period;
mod pmf;
mod policy;
mod price;
mod reward_terms;
mod rulebook;
mod ruling;
mod seed;
mod segment;
mod state;
mod visit;

pub use catalog::{Catalog, CatalogError, Category, Item, ItemTraits, SavedCategory};
pub use codec::{
    FRAME_BYTES_MAX, FrameError, Frames, RECORD_VERSION, decode_record, encode_record, write_frame,
};
pub use confidence::{ARM_USERS_MIN, Arm, Difference, UserTotal};
pub use digest::{Digest, DigestError};
pub use ending::Ending;
pub use feature::{FEATURE_NAMES, FEATURE_WIDTH, encode, feature_spec_digest};
pub use guardrail::{Bounds, GuardrailError, Guardrails, Rule, allowed_rungs};
pub use ladder::{LADDER_RUNGS_MAX, Ladder, LadderError, Mask};
pub use offer::{DecisionId, Logged, Offer, Reward};
pub use period::{ChangeLimit, Period};
pub use pmf::{Draw, Pmf, PmfError};
pub use policy::{Observation, Policy, PolicyError};
pub use price::PriceMinor;
pub use reward_terms::{Aggregation, RewardTerms};
pub use rulebook::{Corridor, ItemRules, Rulebook, RulebookError};
pub use ruling::{Past, Ruling, Step};
pub use seed::Seeds;
pub use segment::{SEGMENT_EXTENSION, SEGMENT_MAGIC, SegmentError, read_segment, write_segment};
pub use state::{CategoryState, ItemState, Loyalty, MemoryRates};
pub use visit::{SessionContext, ShelfEntry, Visit};
