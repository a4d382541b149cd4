//! haggle-eval
