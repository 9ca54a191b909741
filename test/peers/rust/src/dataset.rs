//! Four shards of one number each, and the manifest by which the runtime finds them.

use std::{collections::BTreeMap, fs, path::Path};

use burn_p2p::{
    ContentId, DatasetId, DatasetManifest, DatasetRegistration, DatasetSizing, DatasetView,
    DatasetViewId, MicroShardPlan, MicroShardPlanner, MicroShardPlannerConfig, ShardFetchManifest,
    UpstreamAdapter,
};

const SHARDS: u32 = 4;

pub fn registration(root: &Path) -> DatasetRegistration {
    let id = DatasetId::new("scalar-dataset");
    let manifest_hash = ContentId::new("scalar-manifest");
    DatasetRegistration {
        manifest: DatasetManifest {
            dataset_id: id.clone(),
            source_uri: root.display().to_string(),
            format: "microshards".into(),
            manifest_hash: manifest_hash.clone(),
            metadata: BTreeMap::new(),
        },
        view: DatasetView {
            dataset_view_id: DatasetViewId::new("scalar-view"),
            dataset_id: id,
            preprocessing_hash: ContentId::new("scalar-preprocessing"),
            tokenizer_hash: None,
            manifest_hash,
            metadata: BTreeMap::new(),
        },
        upstream: UpstreamAdapter::Local {
            root: root.display().to_string(),
        },
    }
}

pub fn plan(registration: &DatasetRegistration) -> anyhow::Result<MicroShardPlan> {
    let planner = MicroShardPlanner::new(MicroShardPlannerConfig {
        target_microshard_bytes: 8,
        min_microshards: SHARDS,
        max_microshards: SHARDS,
    })?;
    Ok(planner.plan(
        &registration.view,
        DatasetSizing {
            total_examples: u64::from(SHARDS),
            total_tokens: u64::from(SHARDS),
            total_bytes: u64::from(SHARDS) * 8,
        },
    )?)
}

/// Writes the shards, unless another peer of the same test has.
pub fn ensure(root: &Path) -> anyhow::Result<()> {
    let manifest_path = root.join("fetch-manifest.json");
    if manifest_path.exists() {
        return Ok(());
    }
    fs::create_dir_all(root)?;
    let sample = |ordinal: u32| format!("{:.1}", 4.0 + f64::from(ordinal)).into_bytes();
    let plan = plan(&registration(root))?;
    let manifest =
        ShardFetchManifest::from_microshards(&plan.dataset_view, &plan.microshards, sample);
    for entry in &manifest.entries {
        fs::write(root.join(&entry.locator), sample(entry.ordinal))?;
    }
    let temporary = root.join(format!("fetch-manifest.{}.json", std::process::id()));
    fs::write(&temporary, serde_json::to_vec_pretty(&manifest)?)?;
    fs::rename(temporary, manifest_path)?;
    Ok(())
}
