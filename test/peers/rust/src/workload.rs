//! A model that is one number: a window adds to it, a merge takes the weighted mean. Its artifact is the number as JSON, a line
//! feed, and as much ballast as the test asked for, so that the transfer of large artifacts needs no large model.

use std::{collections::BTreeMap, fs, io::Cursor, path::PathBuf};

use anyhow::Context;
use burn_p2p::{
    ArtifactBuildSpec, ArtifactDescriptor, ArtifactKind, AssignmentLease, CachedMicroShard,
    CapabilityEstimate, ChunkingScheme, ClientPlatform, ClientReleaseManifest, ContentId,
    DatasetRegistration, EvalSplit, FsArtifactStore, HeadId, MergeModelCandidate, MergePolicy,
    MetricReport, MetricValue, MicroShardPlan, P2pWorkload, PatchOutcome, PatchSupport, Precision,
    ProjectFamilyId, RuntimePatch, SupportedWorkload, TrainError, WindowCtx, WindowReport,
    WorkloadId,
};
use chrono::Utc;

use crate::{config::Config, dataset};

const TARGET: f64 = 1000.0;
const SCHEMA: &str = "scalar-schema";
const FORMAT: &str = "scalar-json";

#[derive(Clone, Debug)]
pub struct Scalar {
    dataset: PathBuf,
    learning_rate: f64,
    ballast_bytes: usize,
    chunk_bytes: u64,
}

impl Scalar {
    pub fn new(config: &Config) -> Self {
        Self {
            dataset: config.dataset.clone(),
            learning_rate: config.learning_rate,
            ballast_bytes: config.ballast_bytes,
            chunk_bytes: config.chunk_bytes,
        }
    }

    fn encode(&self, model: f64) -> anyhow::Result<Vec<u8>> {
        let mut bytes = serde_json::to_vec(&model)?;
        bytes.push(b'\n');
        // Numbers of a linear congruence: they do not compress, so every chunk is one of its own.
        let mut state = model.to_bits() | 1;
        bytes.extend((0..self.ballast_bytes).map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        }));
        Ok(bytes)
    }
}

fn decode(bytes: &[u8]) -> anyhow::Result<f64> {
    let number = bytes.split(|byte| *byte == b'\n').next().unwrap_or(bytes);
    serde_json::from_slice(number).context("the artifact does not begin with a number")
}

fn metrics(model: f64) -> BTreeMap<String, MetricValue> {
    BTreeMap::from([
        ("loss".into(), MetricValue::Float((TARGET - model).abs())),
        ("model".into(), MetricValue::Float(model)),
    ])
}

impl P2pWorkload for Scalar {
    type Device = ();
    type Model = f64;
    type Batch = f64;
    type WindowStats = BTreeMap<String, MetricValue>;

    fn init_model(&self, _device: &()) -> f64 {
        0.0
    }

    fn benchmark(&self, _model: &f64, _device: &()) -> CapabilityEstimate {
        CapabilityEstimate {
            preferred_backends: vec!["ndarray".into()],
            work_units_per_second: 64.0,
            target_window_seconds: 1,
        }
    }

    fn train_window(
        &self,
        ctx: &mut WindowCtx<(), f64, f64>,
    ) -> Result<WindowReport<Self::WindowStats>, TrainError> {
        let count = ctx.batches.len().max(1) as f64;
        ctx.model += self.learning_rate * ctx.batches.iter().sum::<f64>() / count;
        Ok(WindowReport {
            contribution: None,
            stats: metrics(ctx.model),
            completed_at: Utc::now(),
        })
    }

    fn evaluate(&self, model: &f64, _split: EvalSplit) -> MetricReport {
        MetricReport {
            metrics: metrics(*model),
            captured_at: Utc::now(),
        }
    }

    fn apply_patch(&mut self, _patch: &RuntimePatch) -> PatchOutcome {
        PatchOutcome::Rejected("the scalar workload has nothing to patch".into())
    }

    fn supported_patch_classes(&self) -> PatchSupport {
        PatchSupport {
            hot: false,
            warm: false,
            cold: false,
        }
    }

    fn runtime_device(&self) {}

    fn dataset_registration(&self) -> anyhow::Result<DatasetRegistration> {
        Ok(dataset::registration(&self.dataset))
    }

    fn microshard_plan(
        &self,
        registration: &DatasetRegistration,
    ) -> anyhow::Result<MicroShardPlan> {
        dataset::plan(registration)
    }

    fn load_batches(
        &self,
        _lease: &AssignmentLease,
        shards: &[CachedMicroShard],
    ) -> anyhow::Result<Vec<f64>> {
        shards
            .iter()
            .map(|shard| Ok(fs::read_to_string(&shard.path)?.trim().parse()?))
            .collect()
    }

    fn load_model_artifact(
        &self,
        _model: f64,
        descriptor: &ArtifactDescriptor,
        store: &FsArtifactStore,
        _device: &(),
    ) -> anyhow::Result<f64> {
        decode(&store.materialize_artifact_bytes(descriptor)?)
    }

    fn materialize_model_artifact(
        &self,
        model: &f64,
        kind: ArtifactKind,
        head_id: HeadId,
        base_head_id: Option<HeadId>,
        store: &FsArtifactStore,
    ) -> anyhow::Result<ArtifactDescriptor> {
        let mut spec =
            ArtifactBuildSpec::new(kind, Precision::Fp32, ContentId::new(SCHEMA), FORMAT)
                .with_head(head_id);
        if let Some(base) = base_head_id {
            spec = spec.with_base_head(base);
        }
        let bytes = self.encode(*model)?;
        Ok(store.store_artifact_reader(
            &spec,
            Cursor::new(bytes),
            ChunkingScheme::new(self.chunk_bytes)?,
        )?)
    }

    fn contribution_metrics(
        &self,
        report: &WindowReport<Self::WindowStats>,
    ) -> BTreeMap<String, MetricValue> {
        report.stats.clone()
    }

    fn merge_candidate_models(
        &self,
        base: &f64,
        candidates: &[MergeModelCandidate<'_, f64>],
        _policy: MergePolicy,
    ) -> anyhow::Result<Option<f64>> {
        let weight = |candidate: &MergeModelCandidate<'_, f64>| {
            candidate.sample_weight * candidate.quality_weight
        };
        let total: f64 = candidates.iter().map(weight).sum();
        if total <= 0.0 {
            return Ok(Some(*base));
        }
        let sum: f64 = candidates.iter().map(|c| *c.model * weight(c)).sum();
        Ok(Some(sum / total))
    }

    fn supported_workload(&self) -> SupportedWorkload {
        supported_workload()
    }

    fn model_schema_hash(&self) -> ContentId {
        ContentId::new(SCHEMA)
    }
}

fn supported_workload() -> SupportedWorkload {
    SupportedWorkload {
        workload_id: WorkloadId::new("scalar"),
        workload_name: "One number".into(),
        model_program_hash: ContentId::new("scalar-program"),
        checkpoint_format_hash: ContentId::new(FORMAT),
        supported_revision_family: ContentId::new("scalar-family"),
        resource_class: "cpu".into(),
    }
}

pub const FAMILY: &str = "torchbed-test";
pub const RELEASE_TRAIN: &str = "torchbed-test-train";
pub const TARGET_ARTIFACT: &str = "torchbed-test-native";

pub fn release() -> ClientReleaseManifest {
    ClientReleaseManifest {
        project_family_id: ProjectFamilyId::new(FAMILY),
        release_train_hash: ContentId::new(RELEASE_TRAIN),
        target_artifact_id: "native".into(),
        target_artifact_hash: ContentId::new(TARGET_ARTIFACT),
        target_platform: ClientPlatform::Native,
        app_semver: semver::Version::new(0, 1, 0),
        git_commit: "none".into(),
        cargo_lock_hash: ContentId::new("none"),
        burn_version_string: "0.21.0".into(),
        enabled_features_hash: ContentId::new("none"),
        protocol_major: 0,
        supported_workloads: vec![supported_workload()],
        built_at: Utc::now(),
    }
}
