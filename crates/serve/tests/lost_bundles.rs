//! A folder under `store/bundles` is gone when the daemon starts: only who needs that bundle is affected.
#![allow(clippy::unwrap_used)]

mod common;

use common::{engine_config, named, terms};
use haggle_core::Policy;
use haggle_policy::Bundle;
use haggle_policy::bandit::{BanditConfig, BanditPlan};
use haggle_serve::{CanaryReason, Code, Engine, EngineConfig, Mode};
use std::fs;
use std::path::PathBuf;
use tempfile::TempDir;

/// A store that began with the first of three bundles.
struct Shop {
    dir: TempDir,
    bundles: [Bundle; 3],
    config: EngineConfig,
}

impl Shop {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let bundles = [0.01, 0.02, 0.03].map(bandits);
        let config = engine_config(dir.path(), &bundles[0], "", None);
        Self { dir, bundles, config }
    }

    fn folder(&self, bundle: usize) -> PathBuf {
        self.bundles[bundle]
            .write(&self.dir.path().join("bundles"))
            .unwrap()
            .1
    }

    /// Starts the daemon, works with it, and stops it.
    fn run(&self, work: impl FnOnce(&Engine)) {
        let engine = Engine::open(&self.config).unwrap();
        work(&engine);
        engine.close().unwrap();
    }

    /// Its folder in the store goes; no `--bundle` heals it.
    fn lose(&mut self, bundle: usize) {
        self.config.bundle = None;
        let kept = self.config.store.join("bundles");
        fs::remove_dir_all(kept.join(self.bundles[bundle].digest().short())).unwrap();
    }
}

/// Bandits over the small market that differ by their floor.
fn bandits(floor: f64) -> Bundle {
    let like = BanditConfig::logit_thompson(Vec::new(), 0, 0);
    let plan = BanditPlan::of(&like, Vec::new(), Vec::new()).unwrap();
    Bundle::bandit(terms(floor), plan).unwrap()
}

#[test]
fn a_bundle_of_the_past_is_not_needed_and_what_it_learnt_is_kept() {
    let mut shop = Shop::new();
    shop.run(|engine| {
        for n in 0..20 {
            let id = format!("d{n}");
            engine.price(named(&id, &id, "milk-0"), 1).unwrap();
        }
        engine.expire(1_000_000);
        engine.swap(&shop.folder(1), true).unwrap();
        engine.swap(&shop.folder(2), true).unwrap();
    });
    shop.lose(0);
    for _ in 0..2 {
        shop.run(|engine| {
            let status = engine.status();
            assert_eq!(
                (status.mode, status.policy),
                (Mode::Live, shop.bundles[2].digest())
            );
            assert_eq!(status.previous, Some(shop.bundles[1].digest()));
            engine.price(named("another", "s", "milk-0"), 1_000_001).unwrap();
        });
    }
    shop.run(|engine| {
        engine.set_mode(Mode::Shadow, Some(&shop.folder(0))).unwrap();
        // What is on disk is taught a moment after whoever waits for it is answered.
        let taught = || {
            let all = engine.status().bandits;
            let first = all.iter().find(|of| of.policy == shop.bundles[0].digest());
            first.map(|of| of.lessons)
        };
        let begun = std::time::Instant::now();
        while taught().is_none() && begun.elapsed().as_secs() < 10 {
            std::thread::yield_now();
        }
        assert_eq!(taught(), Some(20));
    });
    // Without a checkpoint the past is read again, and needs it: the refusal says what helps.
    shop.lose(0);
    fs::remove_dir_all(shop.config.store.join("checkpoint")).unwrap();
    let error = Engine::open(&shop.config).unwrap_err();
    assert!(
        error.to_string().contains("`--bundle <an intact copy of it>`"),
        "{error}"
    );
    shop.config.bundle = Some(shop.folder(0));
    shop.run(|engine| assert_eq!(engine.status().policy, shop.bundles[2].digest()));
}

#[test]
fn a_rollback_to_a_lost_bundle_is_refused() {
    let mut shop = Shop::new();
    shop.run(|engine| {
        engine.swap(&shop.folder(1), true).unwrap();
        engine.swap(&shop.folder(2), true).unwrap();
    });
    shop.lose(1);
    for checkpoint in [true, false] {
        if !checkpoint {
            fs::remove_dir_all(shop.config.store.join("checkpoint")).unwrap();
        }
        shop.run(|engine| {
            let status = engine.status();
            assert_eq!(
                (status.mode, status.policy),
                (Mode::Live, shop.bundles[2].digest())
            );
            assert_eq!(status.previous, Some(shop.bundles[1].digest()));
            let refusal = engine.rollback().unwrap_err();
            assert_eq!(refusal.code, Code::BundleRefused);
            assert!(refusal.message.contains("damaged or gone"), "{refusal}");
        });
    }
}

#[test]
fn a_lost_canary_ends_and_a_lost_shadow_too() {
    for (ended, checkpoint) in [(true, true), (true, false), (false, true), (false, false)] {
        let mut shop = Shop::new();
        shop.run(|engine| {
            engine.begin_canary(&shop.folder(1), 0.5, true).unwrap();
            engine.set_mode(Mode::Shadow, Some(&shop.folder(2))).unwrap();
            if ended {
                engine.stop_canary().unwrap();
                engine.set_mode(Mode::Live, None).unwrap();
            }
        });
        shop.lose(1);
        shop.lose(2);
        if !checkpoint {
            fs::remove_dir_all(shop.config.store.join("checkpoint")).unwrap();
        }
        let alone = |engine: &Engine| {
            let status = engine.status();
            assert_eq!(
                (status.mode, status.policy),
                (Mode::Live, shop.bundles[0].digest())
            );
            assert_eq!((status.canary, status.shadow), (None, None));
            let stopped = status.canary_stopped.map(|stopped| stopped.reason);
            assert_eq!(stopped, (!ended).then_some(CanaryReason::Lost));
        };
        shop.run(alone);
        // It has ended for good: the copies are back, and the journal is read from its beginning.
        let kept = shop.config.store.join("bundles");
        shop.bundles[1].write(&kept).unwrap();
        shop.bundles[2].write(&kept).unwrap();
        fs::remove_dir_all(shop.config.store.join("checkpoint")).unwrap();
        shop.run(alone);
    }
}

#[test]
fn a_promoted_canary_that_is_lost_is_frozen_over_and_nothing_thaws_that_but_another_swap() {
    let mut shop = Shop::new();
    shop.run(|engine| {
        engine.begin_canary(&shop.folder(1), 0.5, true).unwrap();
        engine.promote_canary().unwrap();
    });
    shop.lose(1);
    let before = shop.bundles[0].digest();
    shop.run(|engine| {
        let status = engine.status();
        assert_eq!((status.mode, status.policy), (Mode::Frozen, before));
        for other in [1, 2] {
            let refusal = engine.begin_canary(&shop.folder(other), 0.5, true).unwrap_err();
            assert_eq!(refusal.code, Code::Frozen, "{refusal}");
        }
        let refusal = engine.swap(&shop.folder(1), true).unwrap_err();
        assert!(refusal.message.contains("restart"), "{refusal}");
        assert_eq!(engine.status().mode, Mode::Frozen);
    });
    shop.run(|engine| {
        let status = engine.status();
        assert_eq!(
            (status.mode, status.policy),
            (Mode::Live, shop.bundles[1].digest())
        );
        assert_eq!(status.previous, Some(before));
    });
    shop.lose(1);
    shop.run(|engine| {
        let swapped = engine.swap(&shop.folder(2), true).unwrap();
        assert_eq!(
            (swapped.policy, swapped.previous),
            (shop.bundles[2].digest(), before)
        );
        assert_eq!(engine.status().mode, Mode::Live);
    });
}
