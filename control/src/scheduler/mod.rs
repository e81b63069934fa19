//! Assigns pods to nodes: a pure decision over a snapshot, and a loop over the API.
