//! Orders swaps and rollbacks. A newer order cancels the work on an older
//! candidate, and only the newest may publish, so that a rollback never waits for a
//! swap in progress and is never undone by it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot::{self, Receiver, Sender};

/// Orders of one server.
#[derive(Default)]
pub(super) struct Orders(Mutex<Newest>);

#[derive(Default)]
struct Newest {
    number: u64,
    /// Cancels the work on the newest order's candidate when dropped.
    cancel: Option<Sender<()>>,
}

/// Order that a candidate is prepared for.
pub(super) struct Order {
    number: u64,
    cancelled: Receiver<()>,
}

impl Orders {
    /// Begins an order and cancels any other.
    pub(super) fn begin(&self) -> Order {
        let (cancel, cancelled) = oneshot::channel();
        let mut newest = self.newest();
        newest.number += 1;
        // Dropping the previous sender cancels the older order.
        newest.cancel = Some(cancel);
        Order { number: newest.number, cancelled }
    }

    /// Runs `publish` unless a newer order has begun.
    pub(super) fn if_newest<T>(&self, order: &Order, publish: impl FnOnce() -> T) -> Option<T> {
        let newest = self.newest();
        (newest.number == order.number).then(publish)
    }

    /// Runs `publish` at once. If it succeeds, any order in progress is cancelled.
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
    /// Waits until the order is cancelled.
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
