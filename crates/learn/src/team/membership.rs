use crate::{ConfigError, Share};
use haggle_env::Env;

/// Which parameter set each agent plays by.
pub(super) fn member_of(share: Share, env: &dyn Env) -> Result<Vec<usize>, ConfigError> {
    let agents = env.spec().agents;
    match share {
        Share::All => Ok(vec![0; agents]),
        Share::None => Ok((0..agents).collect()),
        Share::Group => env.agent_groups().ok_or_else(|| ConfigError::Disagree {
            first: "share = \"group\"".to_owned(),
            second: "the environment".to_owned(),
            why: "it does not know which of its agents are alike; say \"all\" or \"none\"",
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use haggle_env::market::{Market, MarketEnv};

    fn member_of_market(file: &str) -> Result<Vec<usize>, ConfigError> {
        let market: Market = toml::from_str(file).expect("a market");
        member_of(Share::Group, &MarketEnv::new(&market, 1).expect("an environment"))
    }

    #[test]
    fn sellers_that_are_alike_share_their_parameters() {
        let file = include_str!("../../../../envs/c.toml").replace("sellers = 2", "sellers = 4\nrungs = 3");
        let costs = |costs: &str| member_of_market(&file.replace("costs = 1.0", costs));
        assert_eq!(costs("costs = 1.0"), Ok(vec![0, 0, 0, 0]));
        assert_eq!(costs("costs = [1.2, 1.0, 1.2, 1.0]"), Ok(vec![0, 1, 0, 1]));
        let quality = file.replace("quality = 2.0", "quality = [2.0, 2.0, 2.5, 2.0]");
        assert_eq!(member_of_market(&quality), Ok(vec![0, 0, 1, 0]));
        let rival = format!("{file}\nrivals = [1.5]");
        assert_eq!(member_of_market(&rival), Ok(vec![0, 0, 0]));
    }

    #[test]
    fn agents_of_which_nobody_knows_whether_they_are_alike_form_no_groups() {
        let error =
            member_of_market(include_str!("../../../../envs/a4.toml")).expect_err("one agent, no groups");
        assert_eq!(
            error.to_string(),
            "share = \"group\" and the environment disagree: it does not know which of its agents are alike; say \"all\" or \
             \"none\""
        );
    }
}
