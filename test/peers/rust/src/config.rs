//! What a test asks of the peer: one JSON file, named on the command line.

use std::path::PathBuf;

use anyhow::Context;
use burn_p2p::AuthConfig;
use serde::Deserialize;

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Publishes the genesis head and promotes what trainers send.
    Validator,
    /// Follows the promoted head and trains windows on it.
    Trainer,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub mode: Mode,
    pub network: String,
    pub study: String,
    pub experiment: String,
    pub revision: String,
    /// Folder of this peer; identity and state are kept in it.
    pub storage: PathBuf,
    /// Folder of the training samples; made when it does not exist.
    pub dataset: PathBuf,
    #[serde(default = "default_listen")]
    pub listen: Vec<String>,
    #[serde(default)]
    pub bootstrap: Vec<String>,
    /// Windows to train; a validator ignores it.
    #[serde(default)]
    pub windows: u32,
    /// What a window adds to the model is this times the mean of its samples.
    #[serde(default = "default_learning_rate")]
    pub learning_rate: f64,
    /// Bytes that make the artifact as large as a test wants it to be.
    #[serde(default)]
    pub ballast_bytes: usize,
    #[serde(default = "default_chunk_bytes")]
    pub chunk_bytes: u64,
    /// How long a trainer waits for its window to be promoted, in seconds.
    #[serde(default = "default_patience")]
    pub patience_seconds: u64,
    /// The certificates that it accepts, and its own; without it, all peers are accepted.
    #[serde(default)]
    pub auth: Option<AuthConfig>,
}

fn default_listen() -> Vec<String> {
    vec!["/ip4/127.0.0.1/tcp/0".into()]
}

fn default_learning_rate() -> f64 {
    1.0
}

fn default_chunk_bytes() -> u64 {
    262_144
}

fn default_patience() -> u64 {
    30
}

pub fn read(path: &str) -> anyhow::Result<Config> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?;
    serde_json::from_str(&text).with_context(|| format!("{path} is not a configuration"))
}
