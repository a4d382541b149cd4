//! Tests on a shop whose demand is known: sessions are drawn from a model, another is fitted on them.

mod answers;
mod recovery;
mod shop;
