//! haggle-learn
