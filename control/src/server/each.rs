//! Places of which every user has as many.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Semaphore;

/// From so many users on, those who hold and wait for nothing are forgotten.
const MOST: usize = 64;

/// By user.
#[derive(Debug)]
pub struct Each {
    places: usize,
    of: Mutex<HashMap<String, Arc<Semaphore>>>,
}

impl Each {
    /// So many for each.
    pub fn new(places: usize) -> Self {
        let of = Mutex::default();
        Self { places, of }
    }

    /// Those of a user.
    pub fn of(&self, user: &str) -> Arc<Semaphore> {
        let mut of = self.of.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(places) = of.get(user) {
            return Arc::clone(places);
        }
        if of.len() >= MOST {
            // Who holds or waits for a place has a clone.
            of.retain(|_, places| Arc::strong_count(places) > 1);
        }
        let places = Arc::new(Semaphore::new(self.places));
        of.insert(user.to_owned(), Arc::clone(&places));
        places
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_holds_a_place_is_not_forgotten() {
        let each = Each::new(2);
        let held = each.of("a").try_acquire_owned().unwrap();
        for n in 0..1000 {
            assert_eq!(each.of(&n.to_string()).available_permits(), 2);
        }
        assert_eq!(each.of("a").available_permits(), 1);
        assert!(each.of.lock().unwrap().len() <= MOST);
        drop(held);
        assert_eq!(each.of("a").available_permits(), 2);
    }
}
