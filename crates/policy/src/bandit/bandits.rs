use super::{Bandit, BanditError, BanditPlan, Context, DemandModel, Stock};
use crate::Terms;
use haggle_core::{Catalog, Digest, FEATURE_WIDTH, Mask, Observation, Pmf, Policy, PolicyError};
use std::sync::Arc;

/// The bandits of a bundle, one per item, with what they have learnt so far.
#[derive(Clone, Debug)]
pub struct Bandits {
    sight: Arc<Sight>,
    items: Vec<Arc<Bandit>>,
}

/// What all bandits of a bundle see alike.
#[derive(Debug)]
struct Sight {
    policy: Digest,
    /// Places of the features in an observation.
    columns: Vec<usize>,
    segments: Vec<String>,
    personal: bool,
    catalog: Arc<Catalog>,
}

/// One item's bandit as it stands, before a visit of one segment: a policy like any other, until it learns.
#[derive(Clone, Debug)]
pub struct ItemBandit {
    sight: Arc<Sight>,
    item: usize,
    segment: usize,
    bandit: Arc<Bandit>,
    /// What it is told is left to sell.
    stock: Option<Stock>,
}

impl Bandits {
    /// Bandits that have learnt nothing; `policy` is the digest of their bundle.
    ///
    /// # Errors
    /// When a setting is out of its range, or a name is unknown.
    pub fn new(plan: &BanditPlan, terms: &Terms, policy: Digest) -> Result<Self, BanditError> {
        plan.check_segments()?;
        let sight = Arc::new(Sight {
            policy,
            columns: plan.columns()?,
            segments: plan.segments.clone(),
            personal: plan.is_personal(),
            catalog: Arc::clone(&terms.catalog),
        });
        let seed = terms.provenance.seed;
        let items = terms.catalog.items().iter();
        let items = items
            .map(|item| Bandit::new(plan.config(item, terms.floor, seed)).map(Arc::new))
            .collect::<Result<_, BanditError>>()?;
        Ok(Self { sight, items })
    }

    /// The same bandits, further on: what they had learnt when they were saved.
    ///
    /// # Errors
    /// When the saved ones are not those of this bundle.
    pub fn resume(&mut self, items: Vec<Arc<Bandit>>) -> Result<(), BanditError> {
        let same = |(saved, own): (&Arc<Bandit>, &Arc<Bandit>)| saved.config() == own.config();
        if items.len() != self.items.len() || !items.iter().zip(&self.items).all(same) {
            return Err(BanditError::State);
        }
        self.items = items;
        Ok(())
    }

    /// What they price.
    #[must_use]
    pub fn catalog(&self) -> &Catalog {
        &self.sight.catalog
    }

    /// All of them, in the catalogue's order.
    #[must_use]
    pub fn items(&self) -> &[Arc<Bandit>] {
        &self.items
    }

    /// The bandit of an item before a visit of a segment; an unknown segment is everyone else.
    ///
    /// # Errors
    /// When there is no such item.
    pub fn of(&self, item: usize, segment: Option<&str>) -> Result<ItemBandit, PolicyError> {
        let known = self.items.len();
        let bandit = self.items.get(item).ok_or(PolicyError::Item { item, known })?;
        let named = |segment| self.sight.segments.iter().position(|name| name == segment);
        Ok(ItemBandit {
            sight: Arc::clone(&self.sight),
            item,
            segment: segment.and_then(named).map_or(0, |at| at + 1),
            bandit: Arc::clone(bandit),
            stock: None,
        })
    }

    /// Whether visits of that segment are told apart from everyone else's.
    #[must_use]
    pub fn knows(&self, segment: &str) -> bool {
        self.sight.segments.iter().any(|name| name == segment)
    }

    /// Whether they look at what is known of a visit's user or of his choices.
    #[must_use]
    pub fn are_personal(&self) -> bool {
        self.sight.personal
    }

    /// Keeps what an item's bandit has learnt since it was taken out.
    pub fn keep(&mut self, learnt: ItemBandit) {
        self.items[learnt.item] = learnt.bandit;
    }

    /// The name of exactly this state of all of them.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let digests: Vec<Digest> = self.items.iter().map(|bandit| bandit.digest()).collect();
        let parts: Vec<&[u8]> = digests
            .iter()
            .map(|digest| digest.as_bytes().as_slice())
            .collect();
        Digest::of_parts(&parts)
    }

    /// How many outcomes they have taken in.
    #[must_use]
    pub fn outcomes(&self) -> u64 {
        self.items.iter().map(|bandit| bandit.outcomes()).sum()
    }
}

impl ItemBandit {
    /// The name of exactly what it has learnt: a chain over its settings and every outcome of its item.
    #[must_use]
    pub fn state(&self) -> Digest {
        self.bandit.digest()
    }

    /// Prices for what is left to sell, where its rule can; else it prices as before.
    #[must_use]
    pub fn facing(self, stock: Option<Stock>) -> Self {
        let stock = stock.filter(|_| self.bandit.minds_stock());
        Self { stock, ..self }
    }

    /// Whether what is left to sell moves its prices.
    #[must_use]
    pub fn minds_stock(&self) -> bool {
        self.stock.is_some()
    }

    /// Learns what a price sold to a visit with these features.
    ///
    /// # Errors
    /// When features or rung do not fit; nothing is learnt then.
    pub fn learn(&mut self, features: &[f32], rung: usize, units: u32) -> Result<(), BanditError> {
        let x = self.context(features).map_err(|got| BanditError::Width {
            expected: FEATURE_WIDTH,
            got,
        })?;
        let outcome = match self.bandit.config().demand {
            DemandModel::Logit => f64::from(units.min(1)),
            DemandModel::Linear => f64::from(units),
        };
        let context = Context {
            segment: self.segment,
            x: &x,
        };
        Arc::make_mut(&mut self.bandit).update(context, rung, outcome)
    }

    /// The features of a usual visit, as far as it knows them yet; those that it does not look at are 0.
    #[must_use]
    pub fn usual(&self) -> [f32; FEATURE_WIDTH] {
        let mut features = [0.0; FEATURE_WIDTH];
        for (column, usual) in self.sight.columns.iter().zip(self.bandit.usual(self.segment)) {
            features[*column] = *usual as f32;
        }
        features
    }

    /// The features that it looks at; else how many came.
    fn context(&self, features: &[f32]) -> Result<Vec<f64>, usize> {
        let of = |column: &usize| features.get(*column).map(|feature| f64::from(*feature));
        let context: Option<Vec<f64>> = self.sight.columns.iter().map(of).collect();
        context.ok_or(features.len())
    }
}

impl Policy for ItemBandit {
    fn digest(&self) -> Digest {
        self.sight.policy
    }

    fn pmf(&self, observation: Observation<'_>, allowed: Mask) -> Result<Pmf, PolicyError> {
        let x = self
            .context(observation.features)
            .map_err(|got| PolicyError::Width {
                expected: FEATURE_WIDTH,
                got,
            })?;
        let context = Context {
            segment: self.segment,
            x: &x,
        };
        let pmf = match self.stock {
            Some(stock) => self.bandit.pmf_selling(context, allowed, stock),
            None => self.bandit.pmf(context, allowed),
        };
        match pmf {
            Ok(pmf) => Ok(pmf.widened(self.sight.catalog.rungs_max())),
            Err(BanditError::Pmf(error)) => Err(error.into()),
            Err(error) => Err(PolicyError::NoAnswer(error.to_string())),
        }
    }
}
