//! Orders one certificate: opens the account, proves to the authority that this server controls the
//! domain, and downloads the certificate.

use std::sync::Arc;
use std::time::Duration;

use instant_acme::{
    Account, AuthorizationStatus, ChallengeType, Error, Identifier, NewAccount, NewOrder, Order, OrderStatus,
    Problem, RetryPolicy,
};
use rcgen::{CertificateParams, DistinguishedName, KeyPair};
use rustls::crypto::CryptoProvider;
use tracing::info;

use crate::acme::client::Client;
use crate::acme::failure::{Failure, Step, Way, is_bad_nonce};
use crate::acme::proof;
use crate::acme::store::{self, Store};
use crate::config::acme::{AcmeFlags, Domain};
use crate::tls::challenges::{CHALLENGES_MAX, Challenge, Challenges, InFlight};

/// Maximum wait for the authority to validate the challenge, and again for it to issue the
/// certificate.
pub const WAIT: Duration = Duration::from_secs(120);

/// Maximum number of times that a request is sent again because the authority refused its nonce.
/// The library instant_acme already makes three attempts each time.
pub const NONCES_MAX: u32 = 10;

/// Order of a certificate for one domain.
pub(super) struct Ordering<'a> {
    pub(super) domain: &'a Domain,
    pub(super) flags: &'a AcmeFlags,
    pub(super) store: &'a Store,
    pub(super) client: &'a Client,
    pub(super) challenges: &'a Arc<Challenges>,
    pub(super) provider: &'a Arc<CryptoProvider>,
}

/// Sends a request, and sends it again while the authority refuses its nonce, at most
/// [`NONCES_MAX`] times.
macro_rules! again {
    ($request:expr) => {{
        let mut tries = 0;
        loop {
            match $request.await {
                Err(error) if tries < NONCES_MAX && is_bad_nonce(&error) => tries += 1,
                result => break result,
            }
        }
    }};
}

impl Ordering<'_> {
    /// Gets a certificate by this type of challenge. Returns its private key and its chain, in PEM.
    pub(super) async fn certificate(&self, way: Way) -> Result<String, Failure> {
        self.store.check_room().map_err(|error| Step::Folder.failed(format!("{error:#}")))?;
        let account = self.account().await?;
        let names = [Identifier::Dns(self.domain.to_string())];
        let refused = |error| Step::Order.refused(&error);
        let mut order = again!(account.new_order(&NewOrder::new(&names))).map_err(refused)?;
        self.prove(&mut order, way).await?;
        self.fetch(&mut order).await
    }

    /// Opens the saved account, or creates one if there is none. Updates the email address of a
    /// saved account if the flags have changed it.
    async fn account(&self) -> Result<Account, Failure> {
        let refused = |error| Step::Account.refused(&error);
        let contact: Vec<String> =
            self.flags.acme_email.iter().map(|address| format!("mailto:{address}")).collect();
        let contacts: Vec<&str> = contact.iter().map(String::as_str).collect();
        let builder = || Account::builder_with_http(Box::new(self.client.clone()));
        let saved = |error: anyhow::Error| Step::Folder.failed(format!("{error:#}"));
        if let Some(store::Account { contact: known, credentials }) = self.store.account() {
            let text = serde_json::to_vec(&credentials).map_err(|error| Step::Account.failed(error))?;
            let account = again!(builder().from_credentials(credentials_of(&text)?)).map_err(refused)?;
            if known != contact {
                again!(account.update_contacts(&contacts)).map_err(refused)?;
                self.store.save_account(&store::Account { contact, credentials }).map_err(saved)?;
            }
            return Ok(account);
        }
        let new = NewAccount {
            contact: &contacts,
            terms_of_service_agreed: self.flags.acme_agree,
            only_return_existing: false,
        };
        let directory = &self.flags.acme_directory;
        let created = again!(builder().create(&new, directory.clone(), None));
        let (account, credentials) = created.map_err(refused)?;
        info!(directory, account = account.id(), "account of ACME created");
        self.store.save_account(&store::Account { contact, credentials }).map_err(saved)?;
        Ok(account)
    }

    /// Completes the challenges of an order, so that the authority can verify that this server
    /// controls the domain, and waits for the result.
    async fn prove(&self, order: &mut Order, way: Way) -> Result<(), Failure> {
        let step = Step::Challenge(way);
        let refused = |error| step.refused(&error);
        let count = order.state().authorizations.len();
        if count > CHALLENGES_MAX {
            return Err(step.failed(format!(
                "the authority asks for {count} proofs; expected at most {CHALLENGES_MAX}"
            )));
        }
        again!(look(order)).map_err(refused)?;
        let mut in_flight = Vec::new();
        let mut proofs = order.authorizations();
        while let Some(proof) = proofs.next().await {
            let mut proof = proof.map_err(refused)?;
            match proof.status {
                // The authority has looked before, and remembers.
                AuthorizationStatus::Valid => continue,
                AuthorizationStatus::Pending => {}
                other => {
                    return Err(step.failed(format!("the authority does not look: its state is {other:?}")));
                }
            }
            let kind = match way {
                Way::Tls => ChallengeType::TlsAlpn01,
                Way::Http => ChallengeType::Http01,
            };
            let offered = proof.challenge(kind);
            let mut challenge = offered.ok_or_else(|| step.failed("the authority does not offer it"))?;
            let authorization = challenge.key_authorization();
            let begun =
                self.begin(way, &challenge.token, authorization.as_str(), authorization.digest().as_ref());
            in_flight.push(begun?);
            again!(challenge.set_ready()).map_err(refused)?;
        }
        let policy = RetryPolicy::new().timeout(WAIT);
        match again!(order.poll_ready(&policy)) {
            Ok(OrderStatus::Ready) => Ok(()),
            Ok(state) => {
                let cause = why(order).await;
                Err(step.failed(cause.unwrap_or_else(|| format!("the state of the order is {state:?}"))))
            }
            Err(error) => match why(order).await {
                Some(cause) => Err(step.failed(cause)),
                None => Err(refused(error)),
            },
        }
    }

    /// Prepares the answer to a challenge. The server gives this answer until the result is
    /// dropped.
    fn begin(&self, way: Way, token: &str, answer: &str, digest: &[u8]) -> Result<InFlight, Failure> {
        let step = Step::Challenge(way);
        let challenge = match way {
            Way::Http => Challenge::Http { token: token.to_owned(), answer: answer.to_owned() },
            Way::Tls => {
                let terms = proof::terms(self.domain, digest, self.provider);
                let terms = terms.map_err(|error| step.failed(format!("{error:#}")))?;
                Challenge::Tls { domain: self.domain.to_string(), terms }
            }
        };
        self.challenges.begin(challenge).ok_or_else(|| step.failed("too many challenges are in flight"))
    }

    /// Creates a private key, and gets the certificate for it. Returns the key and the chain, in
    /// PEM.
    async fn fetch(&self, order: &mut Order) -> Result<String, Failure> {
        let refused = |error| Step::Certificate.refused(&error);
        let wrong = |error: rcgen::Error| Step::Certificate.failed(error);
        let key = KeyPair::generate().map_err(wrong)?;
        let mut params = CertificateParams::new(vec![self.domain.to_string()]).map_err(wrong)?;
        params.distinguished_name = DistinguishedName::new();
        let request = params.serialize_request(&key).map_err(wrong)?;
        again!(order.finalize_csr(request.der())).map_err(refused)?;
        let policy = RetryPolicy::new().timeout(WAIT);
        let chain = again!(order.poll_certificate(&policy)).map_err(refused)?;
        Ok(key.serialize_pem() + &chain)
    }
}

/// Parses the credentials of an account. Called for each attempt to open the account, because
/// opening consumes them.
fn credentials_of(text: &[u8]) -> Result<instant_acme::AccountCredentials, Failure> {
    serde_json::from_slice(text).map_err(|_| Step::Account.failed("the account cannot be read"))
}

/// Requests the state of all authorizations of an order.
async fn look(order: &mut Order) -> Result<(), Error> {
    let mut proofs = order.authorizations();
    while let Some(proof) = proofs.next().await {
        proof?;
    }
    Ok(())
}

/// Returns the error that the authority reports for a failed challenge; [`None`] if it reports
/// none.
async fn why(order: &mut Order) -> Option<String> {
    let mut proofs = order.authorizations();
    while let Some(Ok(mut proof)) = proofs.next().await {
        again!(async { proof.refresh().await.map(drop) }).ok()?;
        if let Some(problem) = proof.challenges.iter().find_map(|challenge| challenge.error.as_ref()) {
            return Some(told(problem));
        }
    }
    None
}

fn told(problem: &Problem) -> String {
    match (&problem.detail, &problem.r#type) {
        (Some(detail), Some(kind)) => format!("{detail} ({kind})"),
        (detail, kind) => detail.as_ref().or(kind.as_ref()).cloned().unwrap_or_default(),
    }
}
