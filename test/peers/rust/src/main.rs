//! A peer of the burn_p2p network for the tests: `torchbed-test-peer config.json`. Events go to standard output, one JSON object a
//! line; commands come from standard input the same way, and the peer ends with it.

mod config;
mod dataset;
mod events;
mod workload;

use std::{
    collections::{BTreeMap, BTreeSet},
    io::BufRead,
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use burn_p2p::{
    ArtifactId, ContentId, ExperimentHandle, ExperimentId, GenesisSpec, HeadDescriptor,
    IdentityConfig, NetworkId, NetworkManifest, NodeBuilder, PeerId, PeerRole, PeerRoleSet,
    ProjectFamilyId, RevisionId, RoleSet, RunningNode, RuntimeStatus, SelectedWorkloadProject,
    SingleWorkloadProjectFamily, StorageConfig, StudyId, SwarmAddress,
};
use chrono::Utc;
use serde::Deserialize;
use serde_json::json;

use crate::{
    config::{Config, Mode},
    events::emit,
    workload::Scalar,
};

type Peer = RunningNode<SelectedWorkloadProject<SingleWorkloadProjectFamily<Scalar>>>;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Command {
    /// Fetches an artifact from a connected peer.
    Fetch { peer: String, artifact: String },
    /// Trains this many windows more.
    Train { windows: u32 },
}

fn main() -> anyhow::Result<()> {
    let path = std::env::args()
        .nth(1)
        .context("usage: torchbed-test-peer <config.json>")?;
    let config = config::read(&path)?;
    dataset::ensure(&config.dataset)?;
    let commands = read_commands();
    let (mut peer, experiment) = start(&config)?;
    let outcome = match config.mode {
        Mode::Validator => validate(&mut peer, &experiment, &commands),
        Mode::Trainer => train(&mut peer, &experiment, &config, &commands),
    };
    if let Err(error) = &outcome {
        emit("failed", json!({ "message": format!("{error:#}") }));
    }
    let _ = peer.shutdown();
    let _ = peer.await_termination_timeout(Duration::from_secs(3));
    outcome
}

fn read_commands() -> Receiver<Command> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            match serde_json::from_str(&line) {
                Ok(command) => {
                    if sender.send(command).is_err() {
                        return;
                    }
                }
                Err(error) => emit("refused", json!({ "message": error.to_string() })),
            }
        }
    });
    receiver
}

fn start(config: &Config) -> anyhow::Result<(Peer, ExperimentHandle)> {
    let genesis = GenesisSpec {
        network_id: NetworkId::new(config.network.as_str()),
        protocol_version: semver::Version::new(0, 1, 0),
        display_name: "A network of a test".into(),
        created_at: Utc::now(),
        metadata: BTreeMap::new(),
    };
    let manifest = NetworkManifest {
        network_id: genesis.network_id.clone(),
        project_family_id: ProjectFamilyId::new(workload::FAMILY),
        protocol_major: 0,
        minimum_client_version: semver::Version::new(0, 0, 0),
        required_release_train_hash: ContentId::new(workload::RELEASE_TRAIN),
        allowed_target_artifact_hashes: BTreeSet::from([ContentId::new(workload::TARGET_ARTIFACT)]),
        authority_public_keys: Vec::new(),
        bootstrap_addrs: Vec::new(),
        auth_policy_hash: ContentId::new("none"),
        created_at: genesis.created_at,
        description: genesis.display_name.clone(),
    };
    let roles = match config.mode {
        Mode::Validator => {
            PeerRoleSet::new([PeerRole::Authority, PeerRole::Validator, PeerRole::Archive])
        }
        Mode::Trainer => RoleSet::default_trainer(),
    };
    let addresses = |texts: &[String]| {
        texts
            .iter()
            .map(|text| SwarmAddress::new(text.as_str()))
            .collect::<Result<Vec<_>, _>>()
    };
    let family = SingleWorkloadProjectFamily::new(workload::release(), Scalar::new(config))?;
    let mut builder = NodeBuilder::new(family);
    if let Some(auth) = &config.auth {
        builder = builder.with_auth(auth.clone());
    }
    let peer = builder
        .with_network(manifest)?
        .with_roles(roles)
        .with_identity(IdentityConfig::Persistent)
        .with_storage(StorageConfig::new(&config.storage))
        .with_listen_addresses(addresses(&config.listen)?)
        .with_bootstrap_peers(addresses(&config.bootstrap)?)
        .spawn()?;
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let snapshot = peer.telemetry().snapshot();
        if snapshot.status == RuntimeStatus::Running && !snapshot.listen_addresses.is_empty() {
            emit(
                "listening",
                json!({ "peer": snapshot.local_peer_id, "addresses": snapshot.listen_addresses }),
            );
            break;
        }
        if Instant::now() > deadline {
            bail!("the runtime did not start: {:?}", snapshot.status);
        }
        thread::sleep(Duration::from_millis(10));
    }
    let experiment = peer.experiment(
        StudyId::new(config.study.as_str()),
        ExperimentId::new(config.experiment.as_str()),
        RevisionId::new(config.revision.as_str()),
    );
    Ok((peer, experiment))
}

fn describe(head: &HeadDescriptor) -> serde_json::Value {
    json!({
        "head": head.head_id,
        "artifact": head.artifact_id,
        "parent": head.parent_head_id,
        "step": head.global_step,
        "metrics": head.metrics,
    })
}

/// Carries out what can be done between two steps of a role. False: standard input has ended.
fn obey(peer: &Peer, commands: &Receiver<Command>, pause: Duration, more: &mut u32) -> bool {
    match commands.recv_timeout(pause) {
        Ok(Command::Train { windows }) => *more += windows,
        Ok(Command::Fetch {
            peer: from,
            artifact,
        }) => {
            let started = Instant::now();
            match peer.sync_artifact_from_peer(&PeerId::new(from), ArtifactId::new(artifact)) {
                Ok(descriptor) => emit(
                    "fetched",
                    json!({
                        "artifact": descriptor.artifact_id,
                        "bytes": descriptor.bytes_len,
                        "ms": started.elapsed().as_millis() as u64,
                    }),
                ),
                Err(error) => emit("not_fetched", json!({ "message": format!("{error:#}") })),
            }
        }
        Err(RecvTimeoutError::Timeout) => {}
        Err(RecvTimeoutError::Disconnected) => return false,
    }
    true
}

/// Who is connected, and what became of their certificates, whenever that changes.
fn report_peers(peer: &Peer, known: &mut serde_json::Value) {
    let snapshot = peer.telemetry().snapshot();
    let peers = json!({
        "connected": snapshot.connected_peer_ids,
        "admitted": snapshot.admitted_peers.keys().collect::<BTreeSet<_>>(),
        "rejected": snapshot.rejected_peers.keys().collect::<BTreeSet<_>>(),
    });
    if peers != *known {
        emit("peers", peers.clone());
        *known = peers;
    }
}

fn validate(
    peer: &mut Peer,
    experiment: &ExperimentHandle,
    commands: &Receiver<Command>,
) -> anyhow::Result<()> {
    let head = match peer.restore_experiment_head(experiment)? {
        Some(head) => head,
        None => peer.initialize_local_head(experiment)?,
    };
    emit("genesis", describe(&head));
    let mut known = serde_json::Value::Null;
    let mut last_problem = String::new();
    while obey(peer, commands, Duration::from_millis(50), &mut 0) {
        report_peers(peer, &mut known);
        match peer.validate_candidates_once(experiment) {
            Ok(Some(outcome)) => {
                let mut fields = describe(&outcome.merged_head);
                fields["source"] = json!(outcome.source_peer_id);
                fields["receipts"] = json!(outcome.merge_certificate.contribution_receipts);
                emit("promoted", fields);
            }
            Ok(None) => {}
            Err(error) => {
                let problem = format!("{error:#}");
                if problem != last_problem {
                    emit("not_validated", json!({ "message": problem }));
                    last_problem = problem;
                }
            }
        }
    }
    Ok(())
}

fn train(
    peer: &mut Peer,
    experiment: &ExperimentHandle,
    config: &Config,
    commands: &Receiver<Command>,
) -> anyhow::Result<()> {
    let mut known = serde_json::Value::Null;
    let mut remaining = config.windows;
    let mut adopted: Option<HeadDescriptor> = None;
    let mut trained_on: Option<burn_p2p::HeadId> = None;
    let mut waiting_since = Instant::now();
    let mut last_problem = String::new();
    while obey(peer, commands, Duration::from_millis(50), &mut remaining) {
        report_peers(peer, &mut known);
        match peer.sync_experiment_head(experiment) {
            Ok(Some(head)) => {
                if adopted.as_ref().map(|known| &known.head_id) != Some(&head.head_id) {
                    let mut fields = describe(&head);
                    fields["waited_ms"] = json!(waiting_since.elapsed().as_millis() as u64);
                    emit("adopted", fields);
                    adopted = Some(head);
                }
            }
            Ok(None) => {}
            Err(error) => {
                let problem = format!("{error:#}");
                if problem != last_problem {
                    emit("not_synced", json!({ "message": problem }));
                    last_problem = problem;
                }
            }
        }
        let Some(base) = &adopted else { continue };
        if trained_on.as_ref() == Some(&base.head_id) {
            if remaining > 0
                && waiting_since.elapsed() > Duration::from_secs(config.patience_seconds)
            {
                bail!("no head came after {}", base.head_id.as_str());
            }
            continue;
        }
        if remaining == 0 {
            continue;
        }
        let outcome = peer.train_window_once(experiment)?;
        remaining -= 1;
        trained_on = Some(base.head_id.clone());
        waiting_since = Instant::now();
        let mut fields = describe(&outcome.head);
        fields["window"] = json!(outcome.lease.window_id);
        fields["lease"] = json!(outcome.lease.lease_id);
        fields["shards"] = json!(outcome.lease.microshards.len());
        emit("trained", fields);
        if remaining == 0 {
            emit("finished", json!({}));
        }
    }
    Ok(())
}
