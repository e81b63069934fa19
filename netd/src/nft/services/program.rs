//! Putting changes of the ruleset into the kernel.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use tracing::warn;

use super::super::adopt::{self, Elements};
use super::super::batch::{self, Batch, ElementValue, Error};
use super::super::family::Family;
use super::super::listing;
use super::super::pods::endpoint;
use super::super::{Marks, services_table};
use super::class::{Class, Classes};
use super::elements::{self, Ids};
use super::layout;
use crate::cidr::Cidr;
use crate::netlink::Socket;
use crate::service::{Change, Frontend, Ruleset, Target};

/// Past this many chains the table is made anew with only those in use. A class for each number of endpoints is
/// natural; thousands come only from Services made for the purpose.
const MAX_CLASSES: usize = 4096;

/// What the table depends on besides the Services.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settings {
    /// Cluster id.
    pub(crate) id: String,
    /// Service ranges.
    pub(crate) service_cidrs: Vec<Cidr>,
    /// Served by the node itself.
    pub(crate) dns_ip: IpAddr,
}

/// The Service proxy's tables in the kernel, one for each family.
#[derive(Debug)]
pub(crate) struct Proxy {
    settings: Settings,
    socket: Socket,
    families: [Loaded; 2],
}

/// What is in one table.
#[derive(Debug)]
struct Loaded {
    family: Family,
    classes: Classes,
    /// How many classes there were when the table was made.
    classes_at_load: usize,
    ids: Ids,
}

impl Proxy {
    /// A proxy whose tables are as a predecessor left them until [`Proxy::load`].
    pub(crate) fn new(settings: Settings) -> Result<Self, Error> {
        let classes = Classes::new(Marks::new(&settings.id));
        let loaded = |family| Loaded {
            family,
            classes: classes.clone(),
            classes_at_load: 0,
            ids: Ids::new(),
        };
        Ok(Self {
            socket: batch::open()?,
            families: Family::ALL.map(loaded),
            settings,
        })
    }

    /// Makes both tables what `ruleset` says. A predecessor's are taken over: there is no moment without rules, and
    /// clients stay with their endpoints.
    pub(crate) fn load(&mut self, ruleset: &Ruleset) -> Result<(), Error> {
        for i in 0..self.families.len() {
            self.load_family(i, ruleset)?;
        }
        Ok(())
    }

    fn load_family(&mut self, i: usize, ruleset: &Ruleset) -> Result<(), Error> {
        let table = services_table(&self.settings.id);
        let family = self.families[i].family;
        if adopt::has_rules(&table, family, &adopt::marker(&self.settings))? {
            match self.adopt_family(i, ruleset) {
                Ok(true) => return Ok(()),
                Ok(false) => warn!(table, "table is not understood, making it anew"),
                Err(error) => warn!(%error, "table cannot be taken over, making it anew"),
            }
        }
        self.replace_family(i, ruleset)
    }

    /// Changes a loaded table to what `ruleset` says; `false` when it is not understood.
    fn adopt_family(&mut self, i: usize, ruleset: &Ruleset) -> Result<bool, Error> {
        let family = self.families[i].family;
        let table = services_table(&self.settings.id);
        let dispatch = listing::elements(&table, family, layout::DISPATCH.name)?;
        let known = dispatch.iter().filter_map(|e| {
            let mark = u32::from_ne_bytes(e.key.as_slice().try_into().ok()?);
            Some((mark, e.chain.as_deref()?))
        });
        let Some(classes) = Classes::adopt(Marks::new(&self.settings.id), known) else {
            return Ok(false);
        };
        let present = adopt::present(&table, family, &layout::FROM_SERVICES)?;
        let ids = present
            .iter()
            .filter(|((map, _), _)| *map == layout::ENDPOINT_IDS.name);
        let ids = Ids::restore(ids.filter_map(|((_, key), value)| {
            let id = u32::from_ne_bytes(key.as_slice().try_into().ok()?);
            Some((socket_address(value, family)?, id))
        }));
        let mut loaded = Loaded {
            family,
            classes_at_load: classes.len(),
            classes,
            ids,
        };
        let mut batch = Batch::new(&table, family);
        let wanted = loaded.all_elements(&mut batch, ruleset);
        adopt::difference(&mut batch, &present, &wanted);
        batch.commit(&mut self.socket)?;
        self.families[i] = loaded;
        Ok(true)
    }

    fn replace_family(&mut self, i: usize, ruleset: &Ruleset) -> Result<(), Error> {
        let family = self.families[i].family;
        let settings = &self.settings;
        let classes = Classes::new(Marks::new(&settings.id));
        let mut loaded = Loaded {
            family,
            classes,
            classes_at_load: 0,
            ids: Ids::new(),
        };
        let mut batch = Batch::new(&services_table(&settings.id), family);
        let marker = adopt::marker(settings);
        layout::create(
            &mut batch,
            family,
            &settings.service_cidrs,
            settings.dns_ip,
            &marker,
        );
        for (frontend, target) in ruleset.iter().filter(|(f, _)| f.family == family) {
            loaded.change(&mut batch, frontend, None, Some(target));
        }
        batch.commit(&mut self.socket)?;
        loaded.classes_at_load = loaded.classes.len();
        self.families[i] = loaded;
        Ok(())
    }

    /// Changes some frontends, each family in one transaction. `ruleset` is the state afterwards: when the tables are
    /// not as expected (somebody else changed them), they are brought to it.
    pub(crate) fn apply(&mut self, changes: &[Change], ruleset: &Ruleset) -> Result<(), Error> {
        for i in 0..self.families.len() {
            let loaded = &self.families[i];
            if loaded.classes.len() > MAX_CLASSES.max(2 * loaded.classes_at_load) {
                self.replace_family(i, ruleset)?;
                continue;
            }
            let loaded = &mut self.families[i];
            let family = loaded.family;
            let mut batch = Batch::new(&services_table(&self.settings.id), family);
            for change in changes.iter().filter(|c| c.frontend.family == family) {
                loaded.change(
                    &mut batch,
                    &change.frontend,
                    change.old.as_ref(),
                    change.new.as_ref(),
                );
            }
            if batch.is_empty() {
                continue;
            }
            if let Err(error) = batch.commit(&mut self.socket) {
                warn!(%error, "table of Services is not as expected, comparing it with what should be");
                self.load_family(i, ruleset)?;
            }
        }
        Ok(())
    }
}

fn socket_address(value: &[u8], family: Family) -> Option<SocketAddr> {
    let (ip, port): (IpAddr, &[u8]) = match family {
        Family::V4 => (
            <[u8; 4]>::try_from(value.get(..4)?).ok()?.into(),
            value.get(4..6)?,
        ),
        Family::V6 => (
            <[u8; 16]>::try_from(value.get(..16)?).ok()?.into(),
            value.get(16..18)?,
        ),
    };
    Some(SocketAddr::new(ip, u16::from_be_bytes(port.try_into().ok()?)))
}

impl Loaded {
    fn change(&mut self, batch: &mut Batch, frontend: &Frontend, old: Option<&Target>, new: Option<&Target>) {
        // Ids are acquired before others are released, so that an endpoint on both sides keeps its own.
        let mut ids = BTreeMap::new();
        for address in sticky(new) {
            if let Some(id) = self.ids.acquire(address) {
                ids.insert(id, Some(address));
            }
        }
        let before = self.elements(batch, frontend, old);
        let after = self.elements(batch, frontend, new);
        for address in sticky(old) {
            if let Some(id) = self.ids.release(address) {
                ids.insert(id, None);
            }
        }
        // A new value for a key is its deletion and addition in one transaction (trap 5).
        for (place, value) in &before {
            if after.get(place) != Some(value) {
                batch.delete(place.0, &place.1);
            }
        }
        for (place, value) in &after {
            if before.get(place) != Some(value) {
                batch.add(place.0, &place.1, &ElementValue::Data(value));
            }
        }
        for (id, address) in ids {
            let key = id.to_ne_bytes();
            match address {
                Some(a) => {
                    let value = endpoint(a.ip(), a.port());
                    batch.add(layout::ENDPOINT_IDS.name, &key, &ElementValue::Data(&value));
                }
                None => batch.delete(layout::ENDPOINT_IDS.name, &key),
            }
        }
    }

    /// The elements of everything in `ruleset`; chains of new classes are added to `batch`.
    fn all_elements(&mut self, batch: &mut Batch, ruleset: &Ruleset) -> Elements {
        let mut all = Elements::new();
        let family = self.family;
        for (frontend, target) in ruleset.iter().filter(|(f, _)| f.family == family) {
            for address in sticky(Some(target)) {
                self.ids.acquire(address);
            }
            all.extend(self.elements(batch, frontend, Some(target)));
        }
        self.ids.forget_unused();
        for (id, address) in self.ids.iter() {
            let key = (layout::ENDPOINT_IDS.name, id.to_ne_bytes().to_vec());
            all.insert(key, endpoint(address.ip(), address.port()));
        }
        all
    }

    fn elements(&mut self, batch: &mut Batch, frontend: &Frontend, target: Option<&Target>) -> Elements {
        let Some(target) = target else {
            return Elements::new();
        };
        let Some(mark) = self.classes.mark(batch, Class::of(frontend, target)) else {
            warn!(
                ?frontend,
                "too many classes of Services, left out until the table is made anew"
            );
            return Elements::new();
        };
        elements::of(frontend, target, mark, &self.ids)
    }
}

/// The endpoints of a target that have an id.
fn sticky(target: Option<&Target>) -> impl Iterator<Item = SocketAddr> {
    let target = target.filter(|t| t.affinity.is_some());
    target
        .into_iter()
        .flat_map(|t| t.endpoints.iter().copied().take(usize::from(u16::MAX)))
}
