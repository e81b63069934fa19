//! Hearing when somebody else removes our tables (`nft flush ruleset`), so that they can be loaded again at once.

use std::os::fd::OwnedFd;

use super::batch::{Error, open};
use crate::netlink::{Answer, Membership, Socket, find};

/// `NFNLGRP_NFTABLES`.
const GROUP: u32 = 7;
const DELETE_TABLE: u16 = 10 << 8 | 2;

/// A socket that hears every change of nftables in the network namespace.
#[derive(Debug)]
pub(crate) struct Monitor {
    socket: Socket,
    membership: Membership,
    tables: Vec<String>,
}

impl Monitor {
    /// Listens for the deletion of any of `tables`.
    pub(crate) fn new(tables: Vec<String>) -> Result<Self, Error> {
        let socket = open()?;
        let membership = socket.join(GROUP).map_err(|source| Error {
            table: "-".into(),
            source,
        })?;
        Ok(Self {
            socket,
            membership,
            tables,
        })
    }

    /// Reads what is queued; whether one of the tables was deleted. Losing notifications (an overrun) counts as one.
    pub(crate) fn deleted(&mut self) -> bool {
        let mut deleted = false;
        loop {
            match self.socket.receive() {
                Ok(answers) if answers.is_empty() => return deleted,
                Ok(answers) => {
                    deleted |= answers.iter().any(|a| match a {
                        Answer::Data(DELETE_TABLE, payload) => self.names_ours(payload),
                        _ => false,
                    });
                }
                Err(_) => deleted = true,
            }
        }
    }

    /// To be left while thousands of elements are loaded: as long as any socket of the host listens, the kernel makes a
    /// notification of every one, which takes it longer than all the rest.
    pub(crate) fn membership(&self) -> &Membership {
        &self.membership
    }

    /// Another descriptor of the same socket, to wait on.
    pub(crate) fn descriptor(&self) -> std::io::Result<OwnedFd> {
        self.socket.fd().try_clone_to_owned()
    }

    fn names_ours(&self, payload: &[u8]) -> bool {
        let name = payload
            .get(4..)
            .and_then(|attributes| find(attributes, 1))
            .unwrap_or_default();
        self.tables
            .iter()
            .any(|t| name.strip_suffix(&[0]) == Some(t.as_bytes()))
    }
}
