//! Changes of the current version: swaps and rollbacks. A newer change cancels the
//! work on an older candidate, and only the newest may publish. So a rollback neither
//! waits for a swap in progress nor is undone by it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot::{self, Receiver, Sender};

/// Changes of the current version of one site. Only the newest of them may publish.
#[derive(Default)]
pub(super) struct Changes(Mutex<Newest>);

#[derive(Default)]
struct Newest {
    number: u64,
    /// Number of method calls that may have changed something. [`Changes::close`] compares it with
    /// an earlier number.
    touched: u64,
    /// Sender that cancels the newest change: as [`Cancelled::Superseded`] when it is dropped, as
    /// [`Cancelled::Aborted`] when it sends a message.
    cancel: Option<Sender<Aborted>>,
}

/// Change of the current version that is in progress: its candidate is being prepared.
pub(super) struct Change {
    number: u64,
    cancelled: Receiver<Aborted>,
}

/// Message that an operator has cancelled the change.
struct Aborted;

/// Why the work on a candidate was cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cancelled {
    /// A newer change has begun.
    Superseded,
    /// An operator has cancelled the change.
    Aborted,
}

impl Changes {
    /// Begins a change, and cancels the change in progress, if any.
    pub(super) fn begin(&self) -> Change {
        let (cancel, cancelled) = oneshot::channel();
        let mut newest = self.touch();
        newest.number += 1;
        // Dropping the previous sender cancels the older change.
        newest.cancel = Some(cancel);
        Change { number: newest.number, cancelled }
    }

    /// Runs `publish` and returns its result; [`None`] if a newer change than `change` has begun.
    pub(super) fn if_newest<T>(&self, change: &Change, publish: impl FnOnce() -> T) -> Option<T> {
        let newest = self.touch();
        (newest.number == change.number).then(publish)
    }

    /// Runs `publish` immediately. If `publish` succeeds, cancels the change in progress, if any.
    pub(super) fn overrule<T, E>(&self, publish: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let mut newest = self.touch();
        let published = publish()?;
        newest.number += 1;
        newest.cancel = None;
        Ok(published)
    }

    /// Runs `publish` immediately, under the lock. Does not cancel a change in progress.
    pub(super) fn beside<T>(&self, publish: impl FnOnce() -> T) -> T {
        let _newest = self.touch();
        publish()
    }

    /// Cancels the change in progress, because an operator ordered it. Returns whether there was
    /// one.
    pub(super) fn cancel(&self) -> bool {
        let mut newest = self.touch();
        let is_prepared = newest.cancel.take().is_some_and(|cancel| cancel.send(Aborted).is_ok());
        newest.number += u64::from(is_prepared);
        is_prepared
    }

    /// Returns the number of the newest change, for [`Changes::supersede`].
    pub(super) fn number(&self) -> u64 {
        self.newest().number
    }

    /// Runs `publish` if `seen` is still the number of the newest change. If `publish` succeeds,
    /// cancels the change in progress, if any.
    pub(super) fn supersede<T, E>(
        &self,
        seen: u64,
        publish: impl FnOnce() -> Result<T, E>,
    ) -> Option<Result<T, E>> {
        let mut newest = self.touch();
        if newest.number != seen {
            return None;
        }
        let published = publish();
        if published.is_ok() {
            newest.number += 1;
            newest.cancel = None;
        }
        Some(published)
    }

    /// Runs `look` under the lock, so that nothing changes meanwhile. Returns a mark for
    /// [`Changes::close`], and the result of `look`.
    pub(super) fn look<T>(&self, look: impl FnOnce() -> T) -> (u64, T) {
        let newest = self.newest();
        (newest.touched, look())
    }

    /// Runs `close` if nothing has changed since [`Changes::look`] and no candidate is being
    /// prepared.
    pub(super) fn close<T>(&self, mark: u64, close: impl FnOnce() -> T) -> Option<T> {
        let newest = self.newest();
        (newest.touched == mark && !newest.is_preparing()).then(close)
    }

    /// Returns whether a candidate is being prepared.
    pub(super) fn is_preparing(&self) -> bool {
        self.newest().is_preparing()
    }

    fn touch(&self) -> MutexGuard<'_, Newest> {
        let mut newest = self.newest();
        newest.touched += 1;
        newest
    }

    fn newest(&self) -> MutexGuard<'_, Newest> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Newest {
    fn is_preparing(&self) -> bool {
        self.cancel.as_ref().is_some_and(|cancel| !cancel.is_closed())
    }
}

impl Change {
    /// Waits until the change is cancelled.
    pub(super) async fn cancelled(&mut self) -> Cancelled {
        let end = (&mut self.cancelled).await;
        end.map_or(Cancelled::Superseded, |Aborted| Cancelled::Aborted)
    }
}

#[cfg(test)]
mod tests {
    use super::{Cancelled, Changes};

    #[tokio::test]
    async fn only_the_newest_change_publishes() {
        let changes = Changes::default();
        let ok = Ok::<u8, &str>;
        let mut first = changes.begin();
        let mut second = changes.begin();
        first.cancelled().await;
        assert_eq!(changes.if_newest(&first, || ok(1)), None);
        assert_eq!(changes.overrule(|| Err::<u8, _>("refused")), Err("refused"));
        assert_eq!(changes.if_newest(&second, || ok(2)), Some(Ok(2)), "nothing came of the other one");
        assert_eq!(changes.overrule(|| ok(4)), Ok(4));
        second.cancelled().await;
        assert_eq!(changes.if_newest(&second, || ok(5)), None);
        let mut third = changes.begin();
        let seen = changes.number();
        assert_eq!(changes.supersede(seen, || Err::<u8, _>("refused")), Some(Err("refused")));
        assert_eq!(changes.supersede(seen, || Ok::<_, &str>(5)), Some(Ok(5)));
        assert_eq!(third.cancelled().await, Cancelled::Superseded);
        assert_eq!(changes.supersede(seen, || Ok::<_, &str>(6)), None);
        let mut fourth = changes.begin();
        assert!(changes.cancel());
        assert_eq!(fourth.cancelled().await, Cancelled::Aborted);
        assert_eq!(changes.if_newest(&fourth, || ok(7)), None);
        assert!(!changes.cancel(), "there is no work any more");
    }

    #[test]
    fn changes_close_only_if_nothing_has_changed() {
        let changes = Changes::default();
        let (mark, ()) = changes.look(|| ());
        assert_eq!(changes.close(mark, || 1), Some(1));
        changes.beside(|| ());
        assert_eq!(changes.close(mark, || 2), None);
        let change = changes.begin();
        let (mark, ()) = changes.look(|| ());
        assert!(changes.is_preparing());
        assert_eq!(changes.close(mark, || 3), None, "a candidate is being prepared");
        drop(change);
        assert_eq!(changes.close(mark, || 4), Some(4));
    }
}
