//! The chart, the examples for Argo and Flux, the workflows and the Dockerfile, judged by the tools that will use them.
//!
//! The image itself is built and run by `tests/kubernetes/image.sh` (ring `image`).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../support/mod.rs"]
mod support;

mod alerts;
mod chart;
mod gitops;
mod manual;
mod network;
mod pods;
mod refusals;
mod rendered;
mod runbook;
mod runs;
mod tools;
