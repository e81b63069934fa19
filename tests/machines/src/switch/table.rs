//! Which port an address is at: a learning switch.

use std::collections::HashMap;

/// Addresses and the ports that they were last seen on.
#[derive(Debug, Default)]
pub(super) struct Table {
    ports: HashMap<[u8; 6], usize>,
}

/// Where a frame goes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Target {
    Port(usize),
    AllOthers,
    Nowhere,
}

impl Table {
    /// Learns a frame's sender and finds its receiver.
    pub(super) fn route(&mut self, from: usize, frame: &[u8]) -> Target {
        let Some((to, rest)) = frame.split_first_chunk::<6>() else {
            return Target::Nowhere;
        };
        let Some(sender) = rest.first_chunk::<6>() else {
            return Target::Nowhere;
        };
        // A group address is never a sender.
        if sender[0] & 1 == 0 {
            self.ports.insert(*sender, from);
        }
        match self.ports.get(to) {
            _ if to[0] & 1 == 1 => Target::AllOthers,
            Some(port) if *port == from => Target::Nowhere,
            Some(port) => Target::Port(*port),
            None => Target::AllOthers,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(to: u8, from: u8) -> Vec<u8> {
        [[to; 6], [from; 6]].concat()
    }

    #[test]
    fn addresses_are_learned_and_move() {
        let mut table = Table::default();
        assert_eq!(table.route(0, &frame(2, 4)), Target::AllOthers);
        assert_eq!(table.route(1, &frame(4, 2)), Target::Port(0));
        assert_eq!(table.route(0, &frame(2, 4)), Target::Port(1));
        assert_eq!(table.route(2, &frame(255, 2)), Target::AllOthers);
        assert_eq!(table.route(0, &frame(2, 4)), Target::Port(2));
        assert_eq!(table.route(2, &frame(2, 2)), Target::Nowhere);
        assert_eq!(table.route(0, &[1, 2, 3]), Target::Nowhere);
    }
}
