use haggle_core::Digest;
use serde::{Deserialize, Serialize};

/// Name of the gate's verdict, beside the files of the candidate's bundle.
pub const GATE_FILE: &str = "gate.json";
/// The version of the verdict that this program writes and reads.
pub const VERDICT_FORMAT: u32 = 1;

/// What whoever swaps bundles has to know of [`GATE_FILE`]. The gate writes more; unknown fields are for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// [`VERDICT_FORMAT`].
    pub format: u32,
    /// The bundle that was examined.
    pub candidate: Digest,
    /// The bundle that it was compared with; the verdict says nothing of any other.
    pub incumbent: Digest,
    /// Whether the candidate may be served in the incumbent's place.
    pub passed: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_gate_adds_for_people_is_passed_over() {
        let digest = |text: &str| Digest::of(text.as_bytes());
        let (candidate, incumbent) = (digest("new"), digest("old"));
        let json = format!(
            r#"{{"format":1,"candidate":"{candidate}","incumbent":"{incumbent}","passed":false,"reasons":["too few"]}}"#
        );
        let verdict: Verdict = serde_json::from_str(&json).expect("a verdict");
        let expected = Verdict {
            format: VERDICT_FORMAT,
            candidate,
            incumbent,
            passed: false,
        };
        assert_eq!(verdict, expected);
    }
}
