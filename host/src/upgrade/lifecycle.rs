//! Implements the operations of the API on the whole server: upgrades, reloads, and lists of the
//! settings and limits in force.

use std::sync::Arc;
use std::time::Duration;

use crate::admin::api::Lifecycle;
use crate::admin::protocol::{Limit, Reloaded, ShownSetting};
use crate::cli::{config, serve};
use crate::limits;
use crate::site::by::By;
use crate::upgrade::handover::Upgrader;

impl Lifecycle for Arc<Upgrader> {
    async fn upgrade(&self, by: By) -> Result<u32, String> {
        Upgrader::upgrade(self, by).await
    }

    fn upgrade_time(&self) -> Duration {
        self.timeout()
    }

    async fn reload(&self, by: By) -> Result<Reloaded, String> {
        self.reloader().reload_by(by).await
    }

    async fn settings(&self) -> Vec<ShownSetting> {
        config::entries(&self.reloader().running())
    }

    async fn limits(&self) -> Vec<Limit> {
        limits::in_force(&serve::definition(), self.settings().await)
    }
}
