//! A peer of burn_p2p_python for the benchmark of torchbed: one model, which it materialises and loads as it is told.
//!
//! The one argument is JSON: python, factory, config, roots (folders of modules), store (a folder), schema, chunk_bytes.
//! Each line of the standard input is a command, and each gets one line of JSON: `materialize STORE` stores the model
//! in that folder, `load` loads what was stored last.

use std::io::{BufRead, Write, stdin, stdout};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use burn_p2p_checkpoint::{ChunkingScheme, FsArtifactStore};
use burn_p2p_core::{
    ArtifactDescriptor, ArtifactKind, ContentId, DatasetId, DatasetViewId, HeadId,
    SupportedWorkload, WorkloadId,
};
use burn_p2p_dataloader::{DatasetSizing, MicroShardPlannerConfig};
use burn_p2p_python::{
    PythonTorchDatasetConfig, PythonTorchProject, PythonTorchRuntimeConfig,
    PythonTorchWorkloadConfig,
};
use burn_p2p_workload::P2pWorkload;
use serde_json::{Value, json};

fn main() -> Result<()> {
    let argument = std::env::args().nth(1).context("the argument is missing")?;
    let settings: Value = serde_json::from_str(&argument).context("read the argument")?;
    let project = PythonTorchProject::new(workload(&settings)?)?;
    let device = project.runtime_device();
    let mut model = project.init_model(&device);
    let mut stored: Option<(ArtifactDescriptor, FsArtifactStore)> = None;
    answer(&json!({ "ready": true }))?;
    for line in stdin().lock().lines() {
        let line = line?;
        let (command, folder) = line.split_once(' ').unwrap_or((line.as_str(), ""));
        let began = Instant::now();
        match command {
            "materialize" => {
                let store = FsArtifactStore::new(folder);
                let head = HeadId::new("head-1");
                let kind = ArtifactKind::FullHead;
                let artifact =
                    project.materialize_model_artifact(&model, kind, head, None, &store)?;
                let ms = milliseconds(began);
                answer(&json!({ "ms": ms, "artifact_id": artifact.artifact_id.as_str() }))?;
                stored = Some((artifact, store));
            }
            "load" => {
                let (artifact, store) = stored.as_ref().context("nothing is stored yet")?;
                model = project.load_model_artifact(model, artifact, store, &device)?;
                answer(&json!({ "ms": milliseconds(began) }))?;
            }
            other => bail!("unknown command {other:?}"),
        }
    }
    Ok(())
}

fn workload(settings: &Value) -> Result<PythonTorchWorkloadConfig> {
    let text = |name: &str| {
        let value = settings[name].as_str();
        value.with_context(|| format!("{name} must be a text"))
    };
    let config = settings["config"].clone();
    let mut runtime = PythonTorchRuntimeConfig::new(text("python")?, text("factory")?, config);
    for root in settings["roots"]
        .as_array()
        .context("roots must be a list")?
    {
        runtime = runtime.with_module_search_root(root.as_str().context("a root must be a text")?);
    }
    let hash = || ContentId::new("bench");
    let supported = SupportedWorkload {
        workload_id: WorkloadId::new("bench"),
        workload_name: "bench".into(),
        model_program_hash: hash(),
        checkpoint_format_hash: hash(),
        supported_revision_family: hash(),
        resource_class: "cpu".into(),
    };
    let schema = ContentId::new(text("schema")?);
    let mut workload =
        PythonTorchWorkloadConfig::new(runtime, dataset(text("store")?), supported, schema)?;
    let chunk_bytes = settings["chunk_bytes"].as_u64();
    workload.artifact_chunking =
        ChunkingScheme::new(chunk_bytes.context("chunk_bytes must be a whole number")?)?;
    Ok(workload)
}

/// The project asks for a dataset; no batch is ever made of this one.
fn dataset(root: &str) -> PythonTorchDatasetConfig {
    PythonTorchDatasetConfig {
        root: root.into(),
        dataset_id: DatasetId::new("none"),
        dataset_view_id: DatasetViewId::new("none"),
        source_uri: "none".into(),
        format: "none".into(),
        manifest_hash: ContentId::new("none"),
        preprocessing_hash: ContentId::new("none"),
        tokenizer_hash: None,
        sizing: DatasetSizing {
            total_examples: 1,
            total_tokens: 1,
            total_bytes: 1,
        },
        planner: MicroShardPlannerConfig::default(),
        microshards_per_batch: 1,
        metadata: Default::default(),
    }
}

fn milliseconds(began: Instant) -> f64 {
    began.elapsed().as_secs_f64() * 1000.0
}

fn answer(value: &Value) -> Result<()> {
    let mut out = stdout().lock();
    writeln!(out, "{value}")?;
    Ok(out.flush()?)
}
