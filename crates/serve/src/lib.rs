//! haggle-serve
