//! Which order to swap is the newest. A newer one ends the work on an older
//! candidate, and only the newest may publish, so that an undo never waits for a
//! change in progress and is never undone by it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot::{self, Receiver, Sender};

/// The orders of one server.
#[derive(Default)]
pub(super) struct Orders(Mutex<Newest>);

#[derive(Default)]
struct Newest {
    number: u64,
    /// Ends the work on its candidate.
    cancel: Option<Sender<()>>,
}

/// An order that a candidate is prepared for.
pub(super) struct Order {
    number: u64,
    cancelled: Receiver<()>,
}

impl Orders {
    /// Begins an order, which ends the work on any other.
    pub(super) fn begin(&self) -> Order {
        let (cancel, cancelled) = oneshot::channel();
        let mut newest = self.newest();
        newest.number += 1;
        // The sender that this drops wakes the older order.
        newest.cancel = Some(cancel);
        Order { number: newest.number, cancelled }
    }

    /// Publishes for an order, unless a newer one was begun.
    pub(super) fn if_newest<T>(&self, order: &Order, publish: impl FnOnce() -> T) -> Option<T> {
        let newest = self.newest();
        (newest.number == order.number).then(publish)
    }

    /// Publishes at once. Where that takes effect, it ends the work on any
    /// candidate.
    pub(super) fn overrule<T>(&self, publish: impl FnOnce() -> Option<T>) -> Option<T> {
        let mut newest = self.newest();
        let published = publish()?;
        newest.number += 1;
        newest.cancel = None;
        Some(published)
    }

    fn newest(&self) -> MutexGuard<'_, Newest> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Order {
    /// Waits until a newer order has come.
    pub(super) async fn cancelled(&mut self) {
        let _ = (&mut self.cancelled).await;
    }
}

#[cfg(test)]
mod tests {
    use super::Orders;

    #[tokio::test]
    async fn only_the_newest_order_publishes() {
        let orders = Orders::default();
        let mut first = orders.begin();
        assert_eq!(orders.if_newest(&first, || 1), Some(1));
        let mut second = orders.begin();
        first.cancelled().await;
        assert_eq!(orders.if_newest(&first, || 1), None);
        assert_eq!(orders.overrule(|| None::<u8>), None);
        assert_eq!(orders.if_newest(&second, || 2), Some(2), "nothing came of the other one");
        assert_eq!(orders.overrule(|| Some(3)), Some(3));
        second.cancelled().await;
        assert_eq!(orders.if_newest(&second, || 2), None);
    }
}
