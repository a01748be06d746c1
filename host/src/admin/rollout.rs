//! Resources of the API about rollouts.

use std::time::Duration;

use http::StatusCode;
use http::request::Parts;

use crate::admin::proof::{parameter, switch, version};
use crate::admin::protocol::Aborted;
use crate::admin::refusal::{Refusal, refuse};
use crate::admin::reply::{Reply, json};
use crate::admin::routes::Operation;
use crate::config::value::{duration, duration_or_none};
use crate::rollout::plan::Plan;
use crate::rollout::plan_flags::{percent, requests};
use crate::rollout::share::Steps;
use crate::site::by::By;
use crate::site::directory::Site;
use crate::site::swap::Way;

/// Default duration of a rollout without steps (a shadow), in which the candidate gets only copies
/// of requests.
const SHADOW: Duration = Duration::from_secs(600);

/// Returns how a swap publishes its candidate: at once if the query contains `now=true`, otherwise
/// as the site is configured.
pub(super) fn way(_site: &Site, parts: &Parts) -> Result<Way, Refusal> {
    let at_once = parameter(parts, "now", switch)?.unwrap_or_default();
    Ok(if at_once { Way::AtOnce } else { Way::Configured })
}

/// Returns the rollout plan of the site, changed by the parameters in the query. Refuses a plan
/// without steps, unless the query asks for a shadow (`steps=off`).
pub(super) fn plan(site: &Site, parts: &Parts) -> Result<Way, Refusal> {
    let Plan { shadow, percent: share, steps, hold, key, slower, requests: least, wait } =
        site.swapper.plan();
    let given: Option<Steps> = parameter(parts, "steps", str::parse)?;
    let is_shadow = given.as_ref().is_some_and(Steps::is_off);
    let mut plan = Plan {
        shadow: parameter(parts, "shadow", duration_or_none)?.unwrap_or(shadow),
        percent: parameter(parts, "percent", percent)?.unwrap_or(share),
        steps: given.unwrap_or(steps),
        hold: parameter(parts, "hold", duration)?.unwrap_or(hold),
        key: parameter(parts, "key", str::parse)?.unwrap_or(key),
        slower: parameter(parts, "slower", str::parse)?.unwrap_or(slower),
        requests: parameter(parts, "requests", requests)?.unwrap_or(least),
        wait: parameter(parts, "wait", duration)?.unwrap_or(wait),
    };
    if plan.steps.is_off() && !is_shadow {
        let cause = "the rollout has no steps; expected shares such as 1%,10%,50% (--steps, ?steps=, or --rollout \
                     of the server)";
        return refuse(StatusCode::CONFLICT, cause);
    }
    if plan.steps.is_off() && plan.shadow.is_zero() {
        plan.shadow = SHADOW;
    }
    Ok(Way::Plan(plan.into()))
}

/// Returns the state of the latest rollout.
pub(super) fn status(site: &Site) -> Result<Reply, Refusal> {
    match site.swapper.rollout() {
        Ok(status) => Ok(json(StatusCode::OK, &status)),
        Err(cause) => refuse(StatusCode::NOT_FOUND, cause),
    }
}

/// Pauses, resumes, promotes or aborts the rollout in progress. If the query names a version,
/// refuses the request unless that version is the candidate of the rollout.
pub(super) async fn order(site: &Site, parts: &Parts, order: Operation, by: By) -> Result<Reply, Refusal> {
    let swapper = &site.swapper;
    let candidate = parameter(parts, "version", version)?;
    let done = match order {
        Operation::Pause => swapper.pause_rollout(candidate, by).await,
        Operation::Resume => swapper.resume_rollout(candidate, by).await,
        Operation::Promote => swapper.promote_rollout(candidate, by).await,
        _ => {
            let aborted = swapper.abort_rollout(candidate, by).await;
            let aborted = aborted.map(|version| Aborted { version, serving: swapper.current().label.number });
            return aborted.map(|aborted| json(StatusCode::OK, &aborted)).or_else(conflict);
        }
    };
    done.map(|status| json(StatusCode::OK, &status)).or_else(conflict)
}

fn conflict(cause: String) -> Result<Reply, Refusal> {
    refuse(StatusCode::CONFLICT, cause)
}
