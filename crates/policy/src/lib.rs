//! haggle-policy
