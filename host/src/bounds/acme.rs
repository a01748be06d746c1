//! Fixed bounds for getting certificates by ACME, which no flag changes.

use crate::acme::{attempt, client, failure, order, plan, schedule, store};
use crate::bounds::row::{Row, bytes, count, time};
use crate::config::acme::{DOMAIN_MAX, DOMAINS_MAX};
use crate::tls::challenges::CHALLENGES_MAX;

pub(super) fn rows() -> Vec<Row> {
    const FAILED: &str = "the order has failed, and is tried again later";
    vec![
        count("Domains (`--acme`)", DOMAINS_MAX as u64, "the server does not start"),
        bytes("Domain", DOMAIN_MAX, "the server does not start"),
        count("Challenges in flight", CHALLENGES_MAX as u64, FAILED),
        time(
            "Request to the authority, from the name of its server to the end of its answer",
            client::REQUEST_TIMEOUT,
            FAILED,
        ),
        bytes("Answer of the authority", client::ANSWER_MAX, FAILED),
        time(
            "Wait for the authority to look at the domain, and for the certificate, each",
            order::WAIT,
            FAILED,
        ),
        count(
            "Requests that are sent again because of their nonce, three times each",
            u64::from(order::NONCES_MAX),
            FAILED,
        ),
        count(
            "Looks of the authority at one domain in vain, within an hour",
            plan::LOOKS_MAX as u64,
            "the next attempt waits",
        ),
        time("One attempt", attempt::ATTEMPT_TIMEOUT, FAILED),
        time(
            "Time to the next attempt after a failure, before it is spread by a quarter",
            schedule::LAST,
            "it does not grow any more",
        ),
        time(
            "Time after which the authority may ask to come back",
            client::RETRY_AFTER_MAX,
            "the server asks then",
        ),
        time(
            "Time to the next attempt that a file of plans may say, and after a certificate that is old at once",
            plan::WAIT_MAX,
            "the server orders then",
        ),
        bytes("Cause of a failure", failure::CAUSE_MAX, "it is cut"),
        bytes("File of the account", store::ACCOUNT_MAX, "another account is created"),
        bytes("File of the plans", store::PLANS_MAX, "what has failed is tried at once"),
    ]
}
